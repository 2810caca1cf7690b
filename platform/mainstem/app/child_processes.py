"""Processes that run the same script as this one, and end when it is asked to end."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress


async def start_again(environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    """This process's own command line, with another environment."""
    return await asyncio.create_subprocess_exec(sys.executable, *sys.orig_argv[1:], env=dict(environment))


def ask_to_end(processes: Sequence[asyncio.subprocess.Process]) -> None:
    """Always by SIGTERM: a terminal's Ctrl-C has reached them as well, and a second SIGINT would end them uncleanly."""
    for process in processes:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)


def on_signals(call: Callable[[], None], stack: AsyncExitStack) -> None:
    """On SIGINT and SIGTERM until the stack is closed: once, and again if the same one comes again. A terminal's SIGINT may come
    together with the SIGTERM of a parent that heard it too."""
    if sys.platform == "win32":
        return  # a console's Ctrl-C reaches all of its processes anyway
    loop = asyncio.get_running_loop()
    heard: set[int] = set()

    def hear(number: int) -> None:
        if not heard or number in heard:
            call()
        heard.add(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, hear, number)
        stack.callback(loop.remove_signal_handler, number)


def exit_status(returned: int) -> int:
    """As a shell says it: 128 and the number of the signal that ended it."""
    return returned if returned >= 0 else 128 - returned
