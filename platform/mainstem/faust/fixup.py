"""Installs the classes that make an app fast, by the entry point `faust.fixups`: in the app only its broker URL changes.

Runs while the app is configured, before a topic or a table is made, and never touches an app with another broker, nor a class that
the app has chosen itself.
"""

from __future__ import annotations

from typing import Any

from faust.fixups.base import Fixup as FaustFixup
from mode.utils.imports import symbol_by_name

from mainstem.faust.schemes import is_ours

# By name: an app with another broker must not pay for loading them.
OWN_CLASSES = {
    "Stream": "mainstem.faust.stream:Stream",
    "Topic": "mainstem.faust.topic:Topic",
    "Table": "mainstem.faust.table:Table",
    "GlobalTable": "mainstem.faust.table:GlobalTable",
    "TableManager": "mainstem.faust.recovery:TableManager",
    "Monitor": "mainstem.faust.monitor:Monitor",
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
            serve_metrics(app)


def serve_metrics(app: Any) -> None:
    """Faust calls `on_webserver_init` when all of the app's pages are there and before the server listens."""
    apps_own = app.on_webserver_init

    def on_webserver_init(server: Any) -> None:
        from mainstem.faust.metrics import mount

        apps_own(server)
        mount(server)

    app.on_webserver_init = on_webserver_init


def install(conf: Any) -> None:
    for name, own in OWN_CLASSES.items():
        if getattr(conf, f"_{name}") in (None, symbol_by_name(type(conf).SETTINGS[name].default)):
            setattr(conf, f"_{name}", symbol_by_name(own))
