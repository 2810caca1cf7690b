"""`mainstem dump-log` prints Kafka's files as Kafka's own tool does (tests/data/…/expected)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mainstem.cli.main import main

GOLDEN = Path(__file__).parents[2] / "data" / "kafka-4.1-log"
FILES = {
    "golden-0.txt": ("golden-0", ("00000000000000000000.log", "00000000000000000100.log")),
    "golden-compacted-0.txt": ("golden-compacted-0", ("00000000000000000000.log",)),
    "golden-logappend-0.txt": ("golden-logappend-0", ("00000000000000000000.log",)),
    "golden-0-sidecars.txt": (
        "golden-0",
        ("00000000000000000117.snapshot", "00000000000000000100.txnindex", "00000000000000000000.timeindex"),
    ),
    "__consumer_offsets-8.txt": ("__consumer_offsets-8", ("00000000000000000000.log",)),
    "__consumer_offsets-32.txt": ("__consumer_offsets-32", ("00000000000000000000.log",)),
    "__consumer_offsets-41.txt": ("__consumer_offsets-41", ("00000000000000000000.log",)),
    "__consumer_offsets-49.txt": ("__consumer_offsets-49", ("00000000000000000000.log",)),
    "__transaction_state-14.txt": ("__transaction_state-14", ("00000000000000000000.log",)),
}
DECODERS = {"__consumer_offsets": "--offsets-decoder", "__transaction_state": "--transaction-log-decoder"}


@pytest.mark.parametrize("expected", FILES)
def test_output_is_that_of_kafka(
    expected: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(GOLDEN)
    folder, names = FILES[expected]
    decoder = DECODERS.get(folder.rpartition("-")[0], "--print-data-log")
    files = ",".join(f"{folder}/{name}" for name in names)
    assert main(["dump-log", "--files", files, decoder]) == 0
    printed = capsys.readouterr()
    assert printed.out == (GOLDEN / "expected" / expected).read_text()
    assert printed.err == ""


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["dump-log", *map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_json_has_a_line_for_every_batch_and_record(capsys: pytest.CaptureFixture[str]) -> None:
    log = GOLDEN / "golden-0" / "00000000000000000100.log"
    status, out, _ = run(capsys, "--files", log, "--json", "--print-data-log")
    lines = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert lines[0]["log_starting_offset"] == 100
    assert [line["offset"] for line in lines if "offset" in line] == list(range(100, 117))
    assert {"payload": "tx abort 0", "headerKeys": []}.items() <= next(
        x for x in lines if x.get("offset") == 109
    ).items()


def test_torn_tail_and_flipped_bytes_are_pointed_out(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "00000000000000000000.log"
    content = bytearray((GOLDEN / "golden-0" / "00000000000000000000.log").read_bytes())
    content[1000] ^= 1
    log.write_bytes(content + b"torn")
    _, out, _ = run(capsys, "--files", log)
    assert [line.endswith("isvalid: true") for line in out.splitlines() if "baseOffset" in line].count(False) == 1
    assert out.splitlines()[-1] == "Found 4 invalid bytes at the end of 00000000000000000000.log"


def test_index_that_contradicts_its_log_is_pointed_out(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "golden-0" / "00000000000000000000.log", tmp_path)
    index, times = tmp_path / "00000000000000000000.index", tmp_path / "00000000000000000000.timeindex"
    index.write_bytes(bytes.fromhex("00000027 0000080d") + bytes.fromhex("00000030 00000967") + bytes(16))
    times.write_bytes((1700000000019).to_bytes(8, "big") + (20).to_bytes(4, "big"))
    _, out, err = run(capsys, "--files", f"{index},{times}")
    assert "offset: 39 position: 2061" in out
    assert "Index offset: 48, log offset: 59" in err
    assert "Index offset: 39" not in err
    assert "Indexed offset: 20, found log offset: 39" in err
    _, out, err = run(capsys, "--files", index, "--verify-index-only")
    assert "position" not in out
    assert "Index offset: 48" in err


def test_sanity_check_and_empty_index(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    empty, odd = tmp_path / "00000000000000000000.index", tmp_path / "00000000000000000005.index"
    empty.write_bytes(b"")
    odd.write_bytes(b"123")
    assert f"{empty} is empty." in run(capsys, "--files", empty)[1]
    times = GOLDEN / "golden-0" / "00000000000000000000.timeindex"
    assert run(capsys, "--files", times, "--index-sanity-check")[1].endswith("passed sanity check.\n")
    status, _, err = run(capsys, "--files", odd, "--index-sanity-check")
    assert (status, "not a multiple of 8" in err) == (1, True)


def test_files_that_are_none_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, _, err = run(capsys, "--files", tmp_path / "00000000000000000000.log")
    assert (status, "No such file or directory" in err) == (1, True)
    assert "Ignoring unknown file" in run(capsys, "--files", tmp_path / "x.txt")[2]
    broken = tmp_path / "00000000000000000007.snapshot"
    broken.write_bytes(b"\0\1damaged.....")
    status, _, err = run(capsys, "--files", broken)
    assert (status, "Snapshot is corrupt" in err) == (1, True)
    assert run(capsys)[0] == 1
    assert "is ignored" in run(capsys, "--files", "x", "--value-decoder-class", "a.B")[2]
