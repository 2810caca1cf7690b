"""The examples of the guides do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[3] / "docs"
BLOCKS = [
    pytest.param(block, id=f"{guide}-{index}")
    for guide in ("testing.md", "groups-and-transactions.md")
    for index, block in enumerate(
        re.findall(r"^```python\n(.*?)^```", (DOCS / guide).read_text(), re.MULTILINE | re.DOTALL)
    )
]


@pytest.mark.parametrize("block", BLOCKS)
def test_the_guide_can_be_followed(block: str, tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(block)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, cwd=tmp_path)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "passed" in finished.stdout
