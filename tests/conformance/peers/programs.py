"""Programs of our own in Go and Node, built once, which get the clients under test by name."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from peers.class_path import CACHE, require_program

BUILD_TIMEOUT_S = 600
_SOURCES = Path(__file__).resolve().parents[1]
_BUILT = CACHE / "conformance"


def run(command: list[str], *, timeout_s: float, folder: Path | None = None) -> str:
    """What the command printed, if it ended well; fails the test with everything it said otherwise."""
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert finished.returncode == 0, f"{' '.join(command)}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout


def build_go_programs() -> Path:
    """The folder of the built Go programs, each named as its source folder."""
    go = require_program("go", "Go, version 1.26 or newer")
    built = _BUILT / "go"
    built.mkdir(parents=True, exist_ok=True)
    run([go, "build", "-o", f"{built}/", "./..."], folder=_SOURCES / "go", timeout_s=BUILD_TIMEOUT_S)
    return built


def install_node_programs() -> Path:
    """A folder outside the sources with the Node programs and the packages they need beside them."""
    npm = require_program("npm", "Node with npm, version 20 or newer")
    package = (_SOURCES / "node" / "package.json").read_bytes()
    installed = _BUILT / f"node-{hashlib.sha256(package).hexdigest()[:12]}"
    installed.mkdir(parents=True, exist_ok=True)
    for source in (_SOURCES / "node").iterdir():
        shutil.copy(source, installed)
    if not (installed / "node_modules").exists():
        install = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund"]
        run(install, folder=installed, timeout_s=BUILD_TIMEOUT_S)
    return installed


def python_programs_interpreter() -> str:
    """The Python that runs the programs of tests/conformance/python: their libraries stay out of our own environment."""
    requirements = _SOURCES / "python" / "requirements.txt"
    environment = _BUILT / f"python-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]}"
    interpreter = environment / "bin" / "python"
    stamp = environment / "installed"
    if not stamp.exists():
        run([sys.executable, "-m", "venv", str(environment)], timeout_s=BUILD_TIMEOUT_S)
        install = [str(interpreter), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)]
        run(install, timeout_s=BUILD_TIMEOUT_S)
        stamp.touch()
    return str(interpreter)
