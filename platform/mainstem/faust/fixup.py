"""Installs the classes that make an app fast, by the entry point `faust.fixups`: in the app only its broker URL changes.

Runs while the app is configured, before a topic or a table is made, and never touches an app with another broker, nor a class that
the app has chosen itself.
"""

from __future__ import annotations

from typing import Any

from faust.fixups.base import Fixup as FaustFixup
from mode.utils.imports import symbol_by_name

from mainstem.faust.monitor import Monitor
from mainstem.faust.recovery import TableManager
from mainstem.faust.session import MEMORY_SCHEME, REMOTE_PREFIX, SCHEME
from mainstem.faust.stream import Stream
from mainstem.faust.table import GlobalTable, Table
from mainstem.faust.topic import Topic

OWN_CLASSES = {
    "Stream": Stream,
    "Topic": Topic,
    "Table": Table,
    "GlobalTable": GlobalTable,
    "TableManager": TableManager,
    "Monitor": Monitor,
}


class Fixup(FaustFixup):
    def enabled(self) -> bool:
        """Faust asks while the app is being made, when its settings are not known yet."""
        connect: Any = self.app.on_configured.connect
        connect(self.on_configured)
        return True

    def on_configured(self, app: Any, conf: Any, **kwargs: Any) -> None:
        # The storage, not the setting: reading a setting makes Faust warn of whoever sets it later.
        urls = conf._broker_consumer or conf._broker
        if urls and is_ours(urls[0].scheme):
            install(conf)


def install(conf: Any) -> None:
    for name, own in OWN_CLASSES.items():
        if getattr(conf, f"_{name}") in (None, symbol_by_name(type(conf).SETTINGS[name].default)):
            setattr(conf, f"_{name}", own)


def is_ours(scheme: str) -> bool:
    return scheme in (SCHEME, MEMORY_SCHEME) or scheme.startswith(REMOTE_PREFIX)
