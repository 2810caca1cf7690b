"""An environment outside of the checkout, into which distributions are installed as a user would install them."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


class Environment:
    """A fresh virtual environment. Third-party packages come from the environment of the tests, so nothing is downloaded;
    mainstem itself does not: a `.pth` file adds a directory and ignores the `.pth` of an editable checkout in it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
        self.python = place / "bin" / "python"
        packages = Path(sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)}))
        (packages / "third_party.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def install(self, what: Path) -> None:
        offline = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--disable-pip-version-check"]
        pip = [sys.executable, "-m", "pip", "--python", self.python, "install", *offline, what]
        subprocess.run(pip, check=True)

    def run(self, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Raises AssertionError with what it printed if it fails."""
        done = subprocess.run(
            [str(argument) for argument in (self.python, *arguments)],
            cwd=cwd, capture_output=True, text=True, check=False, env={"NO_COLOR": "1", "COLUMNS": "120"},
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", place, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = place.glob("mainstem-*.whl")
    return wheel


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """With mainstem from the wheel."""
    environment = Environment(tmp_path_factory.mktemp("environment"))
    environment.install(wheel)
    return environment
