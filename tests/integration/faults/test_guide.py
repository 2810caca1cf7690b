"""The examples of docs/testing.md do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "testing.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_the_guide_can_be_followed(block: int, tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(BLOCKS[block])
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
