"""`--reload`: the script in a process of its own, which is ended and started again whenever code near it changes.

It ends as on Ctrl-C, with a checkpoint, so the new code goes on where the old one was. A script that has failed, or has come to its
end, waits for the next change.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

from mainstem.app.child_processes import ask_to_end, exit_status, on_signals, start_again
from mainstem.app.telling import tell
from mainstem.model.errors import ConfigError

RELOADED = "MAINSTEM_RELOADED"
OTHER_SUFFIXES = (".avsc",)  # what pipelines write, such as JSON, must not count
ENVIRONMENT = {RELOADED: "1", "PYTHONDONTWRITEBYTECODE": "1"}
"""Python takes compiled code for current if the source was changed in the same second and has the same size."""

Changes = AsyncGenerator[set[str], None]


def is_reloaded(environment: Mapping[str, str] = os.environ) -> bool:
    """This process was started by one that has `--reload`."""
    return RELOADED in environment


def run_reloading(script: Path, more_folders: Sequence[Path]) -> int:
    """Watches the script's folder, and more, until SIGINT or SIGTERM. Returns the status to end with. Raises: ConfigError."""
    for folder in more_folders:
        if not folder.is_dir():
            raise ConfigError("reload-dir", str(folder), "there is no such folder")
    folders = [script.resolve().parent, *more_folders]
    with asyncio.Runner() as runner:
        return runner.run(_run(folders))


async def _run(folders: Sequence[Path]) -> int:
    stopping = asyncio.Event()
    running: list[asyncio.subprocess.Process] = []

    def stop() -> None:
        stopping.set()
        ask_to_end(running)

    async with AsyncExitStack() as stack:
        changes = await stack.enter_async_context(aclosing(_changes(folders, stopping)))
        on_signals(stop, stack)
        changed = asyncio.ensure_future(anext(changes, None))
        watched = [str(folder) for folder in folders]
        tell(f"mainstem: watching {', '.join(watched)} for changes", "run.watches", folders=watched)
        while True:
            process = await start_again({**os.environ, **ENVIRONMENT})
            running[:] = [process]
            if stopping.is_set():
                ask_to_end(running)  # the signal came while it was being started, so it has not heard of it
            await _until_changed(process, changed)
            if stopping.is_set():
                return exit_status(await process.wait())
            ask_to_end(running)
            await process.wait()
            files = sorted(changed.result() or ())
            tell(f"mainstem: {', '.join(files)} changed, starting again", "run.reloads", files=files)
            changed = asyncio.ensure_future(anext(changes, None))


async def _until_changed(process: asyncio.subprocess.Process, changed: asyncio.Future[set[str] | None]) -> None:
    """Also if the process ends before; that is told."""
    ended = asyncio.ensure_future(process.wait())
    waited: set[asyncio.Future[Any]] = {ended, changed}
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    if not changed.done():
        status = exit_status(ended.result())
        sentence = f"mainstem: the script has ended with status {status}, waiting for a change"
        tell(sentence, "run.waits_for_change", status=status)
    await asyncio.wait({changed})


def _changes(folders: Sequence[Path], stopping: asyncio.Event) -> Changes:
    """Files that were changed together. Ends when `stopping` is set. Raises: ConfigError."""
    try:
        from watchfiles import PythonFilter, awatch
    except ImportError as error:
        raise ConfigError("reload", True, "it needs watchfiles: pip install 'mainstem[reload]'") from error

    async def watch() -> Changes:
        only = PythonFilter(extra_extensions=OTHER_SUFFIXES)
        async for changes in awatch(*folders, watch_filter=only, stop_event=stopping):
            yield {Path(path).name for _, path in changes}

    return watch()
