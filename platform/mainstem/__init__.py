"""mainstem: the Kafka you can `pip install`.

A lazy table of public names: `import mainstem` costs nothing until a name is used (PEP 562). No room imports it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainstem.app.embedded import AsyncBroker, Broker

_NAMES = {
    "AsyncBroker": "mainstem.app.embedded",
    "Broker": "mainstem.app.embedded",
}

__all__ = ["AsyncBroker", "Broker"]


def __getattr__(name: str) -> Any:
    try:
        room = _NAMES[name]
    except KeyError:
        raise AttributeError(f"module 'mainstem' has no name {name!r}; it has {', '.join(sorted(_NAMES))}") from None
    return getattr(import_module(room), name)


def __dir__() -> list[str]:
    return sorted(_NAMES)
