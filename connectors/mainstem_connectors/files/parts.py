"""Writing JSON Lines as parts: the lines of each checkpoint are a file of their own, which appears whole.

A part is written under a hidden name, `.NAME.open`, and is renamed when the positions of its records are committed. What a
killed worker had not prepared stays behind under such a name, which nobody reads.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from mainstem.api.batch import Batch
from mainstem.api.connector import ConnectorError, Rejected
from mainstem.api.context import PluginContext
from mainstem_connectors.files.config import FileSinkConfig
from mainstem_connectors.files.lines import rejected_or_lines


class PartsSink:
    """See `api.connector.TwoPhaseSink`. A token is the name of a part. Names sort by the time at which their writer began."""

    def __init__(self, config: FileSinkConfig, context: PluginContext) -> None:
        self._folder = config.path
        self._executor = context.executor
        self._log = context.log
        began = datetime.fromtimestamp(context.clock.now_ms() / 1000, UTC)
        self._writer = f"part-{began:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        self._count = 0
        self._file: IO[bytes] | None = None
        self._prepared: set[str] = set()

    async def open(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise ConnectorError(f"path={str(self._folder)!r} is a file; parts=True needs a folder") from error
        except OSError as error:
            raise ConnectorError(f"path={str(self._folder)!r} cannot be made: {error.strerror}") from error

    async def write(self, batch: Batch) -> Sequence[Rejected]:
        rejected, data = rejected_or_lines(batch.values)
        if data:
            await self._in_thread("written", lambda: self._write(data))
        return rejected

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._count += 1
            self._file = self._hidden(self._name).open("wb")
        self._file.write(data)

    @property
    def _name(self) -> str:
        return f"{self._writer}-{self._count:06d}.jsonl"

    def _hidden(self, name: str) -> Path:
        return self._folder / f".{name}.open"

    async def prepare(self) -> str | None:
        if self._file is None:
            return None
        await self._in_thread("flushed", self._finish_part)
        self._prepared.add(self._name)
        return self._name

    def _finish_part(self) -> None:
        assert self._file is not None, "something was written"
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self._sync_folder()

    async def commit(self, token: str) -> None:
        if Path(token).name != token:
            raise ConnectorError(f"{token!r} is no part of {self._folder}")
        await self._in_thread("committed", lambda: self._show(token))
        self._prepared.discard(token)

    def _show(self, name: str) -> None:
        try:
            self._hidden(name).rename(self._folder / name)
        except FileNotFoundError:
            # Shown before the crash. If somebody took it away since, or if it lies in a folder of another machine, only people
            # can tell.
            if not (self._folder / name).exists():
                self._log.warning("files.part_is_not_here", folder=str(self._folder), part=name)
            return
        self._sync_folder()

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    async def flush(self) -> None:
        token = await self.prepare()
        if token is not None:
            await self.commit(token)

    async def abort(self) -> None:
        await self._in_thread("removed", self._forget)

    def _forget(self) -> None:
        self._drop_open_part()
        for name in self._prepared:
            self._hidden(name).unlink(missing_ok=True)
        self._prepared.clear()

    def _drop_open_part(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._hidden(self._name).unlink(missing_ok=True)

    async def _in_thread(self, done: str, work: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except OSError as error:
            raise ConnectorError(f"a part in {self._folder} cannot be {done}: {error.strerror}") from error

    async def close(self) -> None:
        """What was prepared stays: whether it counts may be known to whoever comes next only."""
        self._drop_open_part()
