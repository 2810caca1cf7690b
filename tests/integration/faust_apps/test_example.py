"""The example, as a reader would start it: Faust's own command line in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "faust_app.py"


def test_the_example_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLE), "worker", "-l", "warn"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        printed = []
        for line in process.stdout:
            printed.append(line)
            if "'ada': 120" in line:
                process.send_signal(signal.SIGTERM)
        status = process.wait(60)
    assert status == 0, "".join(printed)
    assert any("'ada': 120" in line for line in printed), "".join(printed)
    assert (tmp_path / "mainstem-data").is_dir()
