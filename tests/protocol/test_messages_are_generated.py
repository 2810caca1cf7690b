"""The message modules are what the generator writes from kio's schemas today."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_messages_are_generated() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "schemas" / "protocol" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    sys.modules["generate"] = generate  # dataclasses look their module up there
    spec.loader.exec_module(generate)
    folder = ROOT / "platform" / "mainstem" / "wire" / "messages"
    written = {path.name: path.read_text() for path in folder.glob("*.py") if path.name != "__init__.py"}
    assert written == generate.generate()
