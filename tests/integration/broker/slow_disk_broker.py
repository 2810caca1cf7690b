"""A broker whose disk takes its time for every sync. Run by test_limits.py: says where it listens, ends when its input does.

python slow_disk_broker.py DIRECTORY SYNC_S
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from mainstem.api.files import File, OsFiles
from mainstem.app.compose_broker import start_broker
from mainstem.app.embedded import embedded_settings


class SlowFile:
    def __init__(self, file: File, sync_s: float) -> None:
        self._file = file
        self._sync_s = sync_s

    def sync(self) -> None:
        time.sleep(self._sync_s)
        self._file.sync()

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


class SlowFiles(OsFiles):
    def __init__(self, sync_s: float) -> None:
        super().__init__()
        self._sync_s = sync_s

    def open(self, path: Path, *, create: bool = True) -> File:
        file: File = SlowFile(super().open(path, create=create), self._sync_s)  # type: ignore[assignment]
        return file


async def main(directory: str, sync_s: float) -> None:
    node = await start_broker(embedded_settings({}, directory, None, None).config, files=SlowFiles(sync_s))
    print(node.bootstrap_servers, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await node.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
