"""The examples that Faust publishes, from the source distribution of the version that is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "conformance" / "faust"
PACKAGE = "faust-streaming"
DOWNLOAD_TIMEOUT_S = 300
_URL = re.compile(r"""(['"])(?:kafka|aiokafka)://[^'"]*\1""")


def published_examples() -> Path:
    """Their folder, fetched once."""
    named = f"faust_streaming-{version(PACKAGE)}"
    folder = CACHE / named / "examples"
    if not folder.is_dir():
        _pip("download", "--no-deps", "--no-binary", PACKAGE, "--dest", str(CACHE), f"{PACKAGE}=={version(PACKAGE)}")
        with tarfile.open(CACHE / f"{named}.tar.gz") as archive:
            archive.extractall(CACHE, filter="data")
    return folder


def packages(*wanted: str) -> Path:
    """A folder for PYTHONPATH with what some examples need and mainstem does not, installed once."""
    folder = CACHE / "packages" / "-".join(sorted(wanted))
    if not folder.is_dir():
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        _pip("install", "--target", str(partial), *wanted)
        partial.rename(folder)
    return folder


def copy_examples(to: Path, broker: str) -> None:
    """With the broker's URL in place of theirs, and nothing else changed."""
    shutil.copytree(published_examples(), to)
    for path in to.rglob("*.py"):
        text = path.read_text()
        path.write_text(_URL.sub(lambda found: f"{found[1]}{broker}{found[1]}", text))


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-2_000:]}"
