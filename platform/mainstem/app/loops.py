"""The event loop: uvloop where it exists, asyncio's own elsewhere (Windows) or when MAINSTEM_UVLOOP=0 says so."""

from __future__ import annotations

import asyncio
import os


def new_event_loop() -> asyncio.AbstractEventLoop:
    if os.environ.get("MAINSTEM_UVLOOP", "1") != "0":
        try:
            import uvloop
        except ImportError:
            pass  # the fallback below is the answer
        else:
            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
            return loop
    return asyncio.new_event_loop()
