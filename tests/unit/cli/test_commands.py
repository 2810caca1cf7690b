"""What the commands refuse before they talk to anybody, and what they say."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mainstem.cli import main as command_line
from mainstem.cli.arguments import Parser
from mainstem.cli.complete import parser_of
from mainstem.cli.main import COMMANDS, main

NOBODY = "--bootstrap-server 127.0.0.1:1"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("run", "demo")])
def test_every_command_explains_itself_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"usage: mainstem {name}" in text
    assert f"  mainstem {name} " in text.partition("examples:")[2]


def test_the_list_of_commands_names_every_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mainstem 0.")


def test_an_unknown_command_is_refused_with_the_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topic"]) == 1
    assert "there is no command topic; did you mean topics?" in capsys.readouterr().err


def test_kafkas_own_script_names_are_understood(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kafka-topics.sh", "--help"]) == 0
    assert "usage: mainstem topics" in capsys.readouterr().out
    assert main(["kafka-server-start.sh", "--help"]) == 0
    assert "usage: mainstem broker" in capsys.readouterr().out
    monkeypatch.setenv("LOG_DIR", str(tmp_path))
    assert main(["kafka-server-stop.sh"]) == 1
    assert capsys.readouterr().out == "No kafka server to stop\n"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("run", "demo")])
def test_every_command_tells_its_version_as_kafkas_tools_do(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--version"]) == 0
    assert capsys.readouterr().out.startswith("4.1.0 (mainstem 0.")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("topics", "Command must include exactly one action: --list, --describe, --create, --alter or --delete"),
        ("topics --list --create", "Command must include exactly one action"),
        (f"topics {NOBODY} --create", 'Missing required argument "[topic]"'),
        (f"topics {NOBODY} --alter --topic t", 'Missing required argument "[partitions]"'),
        (f"topics {NOBODY} --list --partitions 3", 'Option "--partitions" can\'t be used with option "--list"'),
        (f"topics {NOBODY} --describe --config a=b", 'Option "--config" can\'t be used with option "--describe"'),
        (f"topics {NOBODY} --alter --topic t --partitions 2 --if-not-exists", "--if-not-exists"),
        (f"topics {NOBODY} --list --exclude-interna", "did you mean --exclude-internal?"),
        (f"topics {NOBODY} --create --topic t --partitions x", "invalid int value: 'x'"),
        (f"topics {NOBODY} --list extra", "extra is not expected here"),
        (
            f"topics {NOBODY} --create --topic t --partitions 1 --replica-assignment 1",
            'Option "--replica-assignment" can\'t be used with option "--partitions"',
        ),
        ("configs --describe --alter", "Command must include exactly one action: --describe or --alter"),
        (f"configs {NOBODY} --describe", "At least one entity type must be specified"),
        (f"configs {NOBODY} --describe --entity-type fish", "Invalid entity type fish"),
        (f"configs {NOBODY} --describe --entity-type users", "users have no settings here yet"),
        (f"configs {NOBODY} --describe --topic t --entity-name u", "should not be used in conjunction"),
        (f"configs {NOBODY} --describe --topic t --group g", "may be specified together"),
        (f"configs {NOBODY} --describe --broker x", "must be a valid integer broker id, but it is: x"),
        (f"configs {NOBODY} --describe --entity-type topics --entity-default", "--entity-default must not"),
        (f"configs {NOBODY} --alter --entity-type topics --add-config a=b", "An entity name must be specified"),
        (f"configs {NOBODY} --alter --topic t", "At least one of --add-config"),
        (f"configs {NOBODY} --describe --topic t --add-config a=b", '"--describe" can\'t be used'),
        (f"console-producer {NOBODY}", 'Missing required argument "[topic]"'),
        (f"console-producer {NOBODY} --topic t --compression-codec brotli", "brotli is not a compression codec"),
        (f"console-consumer {NOBODY}", "Exactly one of --include/--topic is required."),
        (f"console-consumer {NOBODY} --topic t --include u", "Exactly one of --include/--topic is required."),
        (f"console-consumer {NOBODY} --include t --partition 0", "The topic is required when partition"),
        (f"console-consumer {NOBODY} --topic t --offset 3", "The partition is required when offset"),
        (f"console-consumer {NOBODY} --topic t --partition 0 --offset -2", "The provided offset value '-2'"),
        (f"console-consumer {NOBODY} --topic t --partition 0 --offset x", "The provided offset value 'x'"),
        (f"console-consumer {NOBODY} --topic t --partition 0 --group g", "group and partition cannot"),
        (f"console-consumer {NOBODY} --topic t --isolation-level read", "read is not an isolation level"),
        (f"console-consumer {NOBODY} --topic t --formatter My", "My is not a formatter"),
        (f"console-consumer {NOBODY} --topic t --group g --consumer-property group.id=h", "do not match"),
        (
            f"console-consumer {NOBODY} --topic t --from-beginning --consumer-property auto.offset.reset=latest",
            "please remove one option",
        ),
        (f"console-consumer {NOBODY} --topic t --partition 0 --from-beginning --offset 1", "cannot be specified"),
        (
            f"consumer-groups {NOBODY} --describe",
            'Option "--describe" takes one of these options: --all-groups, --group',
        ),
        (f"consumer-groups {NOBODY} --describe --group g --all-groups", '"--group" can\'t be used with option "--all'),
        (f"consumer-groups {NOBODY} --describe --group g --members --state", "takes at most one of these options"),
        (f"consumer-groups {NOBODY} --describe --group g --state stable", "does not take a value"),
        (f"consumer-groups {NOBODY} --list --members", 'Option "--members" can\'t be used with option "--list"'),
        (f"consumer-groups {NOBODY} --list --group g", 'Option "--group" can\'t be used with option "--list"'),
        (f"consumer-groups {NOBODY} --reset-offsets --group g --to-earliest", "One of the reset scopes"),
        (f"consumer-groups {NOBODY} --reset-offsets --group g --topic t", "requires exactly one of"),
        (
            f"consumer-groups {NOBODY} --reset-offsets --group g --topic t --to-offset 0 --shift-by 0",
            "requires exactly one of",
        ),
        (
            f"consumer-groups {NOBODY} --reset-offsets --group g --topic t --to-latest --dry-run --execute",
            'Option "--dry-run" can\'t be used with option "--execute"',
        ),
        ("broker one two", "two is not expected here"),
        ("broker --overide a=b", "did you mean --override?"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(
    line: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(shlex.split(line)) == 1
    output = capsys.readouterr()
    assert problem in output.err
    assert f"`mainstem {line.split()[0]} --help` explains the options" in output.err
    assert output.out == ""


def test_without_a_bootstrap_server_the_broker_at_its_default_address_is_asked() -> None:
    parser = Parser("topics", "")
    parser.connection()
    assert parser.read([]).bootstrap_server == "localhost:9092"
    assert parser.read(["--bootstrap-server", "h:1"]).bootstrap_server == "h:1"


@pytest.mark.parametrize(
    "line",
    [
        "topics --list",
        "configs --describe --topic t",
        "console-producer --topic t",
        "console-consumer --topic t",
        "consumer-groups --list",
    ],
)
def test_without_a_broker_the_message_says_how_to_start_one(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*shlex.split(line), *NOBODY.split()]) == 1
    error = capsys.readouterr().err
    assert "no broker answers at 127.0.0.1:1: Connection refused" in error
    assert "`mainstem broker` starts one on localhost:9092" in error


@pytest.mark.parametrize("address", ["localhost", "localhost:", ":9092", "localhost:x", ""])
def test_a_bootstrap_address_without_host_or_port_is_named(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topics", "--list", f"--bootstrap-server={address}"]) == 1
    assert "bootstrap.servers=" in capsys.readouterr().err


def test_a_client_properties_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topics", "--list", *NOBODY.split(), "--command-config", "/nowhere"]) == 1
    assert "configuration file='/nowhere' is not valid: No such file or directory" in capsys.readouterr().err


def test_a_bad_broker_setting_ends_the_start_with_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["broker", "--override", "num.partitions=none"]) == 1
    assert "num.partitions='none' is not valid: a number of at least 1" in capsys.readouterr().err


def test_the_broker_is_served_with_file_environment_and_overrides(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served = []
    monkeypatch.setattr("mainstem.app.serve.serve", lambda settings: served.append(settings.config) or 0)
    monkeypatch.setenv("KAFKA_NUM_PARTITIONS", "2")
    path = tmp_path / "server.properties"
    path.write_text("num.partitions=1\nnode.id=7\n")
    assert main(["broker", str(path), "--override", "message.max.bytes=9"]) == 0
    (config,) = served
    assert (config.node_id, config.num_partitions, config.message_max_bytes) == (7, 2, 9)


def test_ctrl_c_ends_with_the_status_shells_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    assert command_line.run("broker", interrupted, []) == 130


def test_starting_a_broker_imports_no_client_library() -> None:
    """What `mainstem broker` loads before it serves; the client library alone would cost a tenth of a second."""
    code = (
        "import sys, mainstem.cli.main, mainstem.cli.broker, mainstem.app.serve;"
        "print([name for name in ('confluent_kafka', 'typer', 'rich', 'faust', 'fastavro', 'prometheus_client')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_commands_look_for_a_broker_where_one_listens_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topics", "--help"]) == 0
    assert "(default: localhost:9092)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in COMMANDS
        # These start something, print scripts, or print JSON in any case.
        if name
        not in ("broker", "run", "demo", "install-scripts", "completion", "verifiable-producer", "verifiable-consumer")
    ],
)
def test_every_command_that_has_a_result_prints_it_as_json(name: str) -> None:
    parser = parser_of(name)
    assert parser is not None
    assert "--json" in {flag for action in parser.flags() for flag in action.option_strings}
