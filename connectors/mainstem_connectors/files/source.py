"""Reading files. A position is `{"byte": …, "row": …}`: bytes of the file (unpacked, if it is packed) and rows before
it.

Files may grow between two runs, and are read on from there. A file that is packed again as a whole is read on too.
"""

from __future__ import annotations

import asyncio
import glob
import gzip
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

from mainstem.api.batch import Batch, SourceBatch
from mainstem.api.connector import ConnectorError, Split
from mainstem.api.context import PluginContext
from mainstem_connectors.files.config import FileSourceConfig
from mainstem_connectors.files.formats import CountedLines, csv_names, csv_rows, json_rows

ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
COUNTED_BYTES_MAX = 64 << 20


def _opened(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


class _OpenFile:
    """One file and where in it the next read begins. Used by one thread at a time."""

    def __init__(self, path: Path, config: FileSourceConfig) -> None:
        self.path = path
        self.file = _opened(path)
        self.names: Sequence[str] = config.names
        self.lines = CountedLines(self.file, 0)
        try:
            if not self.names and _format(path, config) == "csv":
                self.names = csv_names(self.lines, config)
        except BaseException:
            self.file.close()
            raise
        self.first = self.lines.position

    def move_to(self, position: int) -> None:
        if self.path.suffix != ".gz" and position > os.fstat(self.file.fileno()).st_size:
            raise ConnectorError(
                f"it is shorter than the {position} bytes that were read of it; a new file needs a new name"
            )
        if position != self.lines.position:
            self.file.seek(position)  # in a packed file: unpacking again up to there
        self.lines = CountedLines(self.file, position)


class FileSource:
    def __init__(self, config: FileSourceConfig, context: PluginContext) -> None:
        self._config = config
        self._context = context
        self._paths: dict[str, Path] = {}
        self._open: dict[str, _OpenFile] = {}

    async def open(self) -> None:
        found = sorted(glob.glob(self._config.path, recursive=True))
        self._paths = {name: Path(name) for name in found if os.path.isfile(name)}  # noqa: ASYNC240 - as above
        if not self._paths:
            raise ConnectorError(f"path={self._config.path!r}: there is no such file")
        for path in self._paths.values():
            _format(path, self._config)

    async def splits(self) -> Sequence[Split]:
        loop = asyncio.get_running_loop()
        return [
            Split(
                name=name,
                is_bounded=True,
                records_total=await loop.run_in_executor(self._context.executor, _count_rows, path, self._config),
            )
            for name, path in self._paths.items()
        ]

    async def read(self, split: str, position: Any, *, max_records: int, max_wait_ms: int) -> SourceBatch:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._context.executor, self._read, split, position, max_records)

    def _read(self, split: str, position: Mapping[str, int] | None, limit: int) -> SourceBatch:
        path = self._paths[split]
        try:
            opened = self._open.get(split)
            if opened is None:
                opened = self._open[split] = _OpenFile(path, self._config)
            row = position["row"] if position else 0
            opened.move_to(position["byte"] if position else opened.first)
            if _format(path, self._config) == "csv":
                values: list[Any] = csv_rows(opened.lines, opened.names, self._config, row, limit)
            else:
                values = json_rows(opened.lines, row, limit)
        except ConnectorError as error:
            raise ConnectorError(f"{path}: {error}") from None
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise ConnectorError(f"{path} cannot be read: {error}") from error
        except LookupError:
            raise ConnectorError(f"encoding={self._config.encoding!r} is no text encoding") from None
        now_ms = self._context.clock.now_ms()
        return SourceBatch(
            split=split,
            batch=Batch(keys=[None] * len(values), values=values, timestamps=[now_ms] * len(values)),
            next_position={"byte": opened.lines.position, "row": row + len(values)},
            at_end=len(values) < limit,
            offsets=range(row + 1, row + len(values) + 1),
        )

    async def commit(self, positions: Mapping[str, Any]) -> None:
        pass

    async def close(self) -> None:
        for opened in self._open.values():
            opened.file.close()
        self._open.clear()


def _format(path: Path, config: FileSourceConfig) -> str:
    if config.format is not None:
        return config.format
    name = path.with_suffix("") if path.suffix == ".gz" else path
    known = ENDINGS.get(name.suffix)
    if known is None:
        raise ConnectorError(f"{path}: the format is not known by the name; give format='csv' or format='jsonl'")
    return known


def _count_rows(path: Path, config: FileSourceConfig) -> int | None:
    """Lines of files of moderate size; nobody waits for the others. Quoted line ends make it an estimate."""
    try:
        if path.stat().st_size > COUNTED_BYTES_MAX:
            return None
        with _opened(path) as file:
            lines = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    except (OSError, EOFError):
        return None  # reading it will say why
    has_header = _format(path, config) == "csv" and not config.names
    return max(0, lines - has_header)
