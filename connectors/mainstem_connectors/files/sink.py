"""Writing JSON Lines: one value per line, appended; a line that a crash cut off is removed at the next start."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from mainstem.api.batch import Batch
from mainstem.api.connector import ConnectorError, Rejected
from mainstem.api.context import PluginContext
from mainstem_connectors.files.config import FileSinkConfig
from mainstem_connectors.files.lines import rejected_or_lines

CHUNK_BYTES = 1 << 16


class JsonLinesSink:
    def __init__(self, config: FileSinkConfig, context: PluginContext) -> None:
        self._path = config.path
        self._executor = context.executor
        self._file: IO[bytes] | None = None

    async def open(self) -> None:
        if self._path.suffix == ".gz":
            raise ConnectorError(f"path={str(self._path)!r}: writing packed files is not possible; drop the .gz")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab")
            _cut_torn_line(self._path)
        except OSError as error:
            raise ConnectorError(f"path={str(self._path)!r} cannot be written: {error.strerror}") from error

    async def write(self, batch: Batch) -> Sequence[Rejected]:
        rejected, data = rejected_or_lines(batch.values)
        if data:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._write, data)
        return rejected

    def _write(self, data: bytes) -> None:
        assert self._file is not None, "opened before use"
        try:
            self._file.write(data)
        except OSError as error:
            raise ConnectorError(f"{self._path} cannot be written: {error.strerror}") from error

    async def flush(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, self._flush)

    def _flush(self) -> None:
        assert self._file is not None, "opened before use"
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise ConnectorError(f"{self._path} cannot be flushed: {error.strerror}") from error

    async def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _cut_torn_line(path: Path) -> None:
    """What comes after the last line end was being written when a process died; its record will be written again."""
    with path.open("r+b") as file:
        end = position = file.seek(0, os.SEEK_END)
        while position > 0:
            start = max(0, position - CHUNK_BYTES)
            file.seek(start)
            line_end = file.read(position - start).rfind(b"\n")
            if line_end >= 0:
                position = start + line_end + 1
                break
            position = start
        if position != end:
            file.truncate(position)
