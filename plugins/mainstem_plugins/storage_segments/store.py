"""One log directory: partition folders, Kafka's checkpoint files, the clean-shutdown mark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mainstem.api.files import FileSystem
from mainstem.api.storage import PartitionLog
from mainstem.model.errors import StorageError
from mainstem.model.ids import NO_TOPIC_ID, TopicId, TopicPartition
from mainstem_plugins.storage_segments import checkpoints
from mainstem_plugins.storage_segments.handles import Handles
from mainstem_plugins.storage_segments.log import SegmentLog

CLEAN_MARK = ".kafka_cleanshutdown"
METADATA_FILE = "partition.metadata"
_FOLDER = re.compile(r"(.+)-(\d+)")


class SegmentStore:
    """See `api.storage.LogStore`."""

    def __init__(self, directory: Path, files: FileSystem, *, open_files_max: int) -> None:
        self._directory = directory
        self._files = files
        self._handles = Handles(files, open_files_max)
        try:
            files.make_directory(directory)
            names = files.list_directory(directory)
        except OSError as error:
            raise StorageError(str(directory), error.strerror or str(error)) from error
        self._was_clean = CLEAN_MARK in names or not any(_FOLDER.fullmatch(n) for n in names)
        # The mark promises something about the past only; a crash from now on must not find it.
        files.remove(directory / CLEAN_MARK)
        for name in names:
            if name.endswith("-delete"):
                files.remove_tree(directory / name)
        files.sync_directory(directory)

    @property
    def place(self) -> str:
        return str(self._directory)

    @property
    def was_clean(self) -> bool:
        return self._was_clean

    def _folder(self, partition: TopicPartition) -> Path:
        return self._directory / f"{partition.topic}-{partition.partition}"

    def existing(self) -> Sequence[tuple[TopicPartition, TopicId]]:
        found = []
        for name in sorted(self._files.list_directory(self._directory)):
            match = _FOLDER.fullmatch(name)
            if match is not None:
                partition = TopicPartition(match[1], int(match[2]))
                found.append((partition, self._topic_id(self._directory / name)))
        return found

    def _topic_id(self, folder: Path) -> TopicId:
        try:
            return checkpoints.decode_partition_metadata(self._files.read_file(folder / METADATA_FILE))
        except FileNotFoundError:
            return NO_TOPIC_ID
        except ValueError as error:
            raise StorageError(str(folder / METADATA_FILE), str(error)) from error

    def open_log(
        self, partition: TopicPartition, topic_id: TopicId, *, index_interval_bytes: int = 4096
    ) -> PartitionLog:
        folder = self._folder(partition)
        try:
            if METADATA_FILE not in self._files.list_directory(folder):
                self._files.make_directory(folder)
                self._files.write_file(folder / METADATA_FILE, checkpoints.encode_partition_metadata(topic_id))
                self._files.sync_directory(self._directory)
            return SegmentLog(folder, self._handles, index_interval_bytes)
        except OSError as error:
            raise StorageError(str(folder), error.strerror or str(error)) from error

    def delete_log(self, partition: TopicPartition) -> None:
        """Renamed first, so that a crash in the middle leaves a folder that the next start removes."""
        folder = self._folder(partition)
        if not self._files.list_directory(folder):
            return
        doomed = folder.with_name(f"{folder.name}-delete")
        self._files.rename(folder, doomed)
        self._files.sync_directory(self._directory)
        self._files.remove_tree(doomed)

    def read_checkpoint(self, name: str) -> Mapping[TopicPartition, int]:
        try:
            return checkpoints.decode_offsets(self._files.read_file(self._directory / name))
        except FileNotFoundError:
            return {}
        except (ValueError, IndexError) as error:
            raise StorageError(str(self._directory / name), f"not an offset checkpoint: {error}") from error

    def write_checkpoint(self, name: str, offsets: Mapping[TopicPartition, int]) -> None:
        self._files.write_file(self._directory / name, checkpoints.encode_offsets(offsets))

    def close(self, *, clean: bool) -> None:
        self._handles.close()
        if clean:
            self._files.write_file(self._directory / CLEAN_MARK, b'{"version":0}\n')
