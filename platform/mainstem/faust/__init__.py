"""Faust at home: apps on our transports, pipelines beside agents, our serializers as codecs. See docs/faust.md.

Names are loaded when they are used: Faust imports this package for every app, also those with another broker.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainstem.faust.app import MainstemApp
    from mainstem.faust.codecs import codec

_NAMES = {"MainstemApp": "mainstem.faust.app", "codec": "mainstem.faust.codecs"}

__all__ = ["MainstemApp", "codec"]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_NAMES[name]), name)
