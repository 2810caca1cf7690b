"""One log directory: partition folders, Kafka's checkpoint files, `meta.properties`, the clean-shutdown mark."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from mainstem.api.context import Log
from mainstem.api.files import FileSystem
from mainstem.api.storage import PartitionLog
from mainstem.model.errors import StorageError
from mainstem.model.ids import NO_TOPIC_ID, TopicId, TopicPartition
from mainstem_plugins.storage_segments import checkpoints, names
from mainstem_plugins.storage_segments.aside import Aside
from mainstem_plugins.storage_segments.handles import Handles
from mainstem_plugins.storage_segments.log import SegmentLog

CLEAN_MARK = ".kafka_cleanshutdown"
PROPERTIES_FILE = "meta.properties"
NAME_BYTES_MAX = 255
_FOLDER = re.compile(r"(.+)-(\d+)")
_DELETED_FOLDER = re.compile(r".+\.[0-9a-f]{32}-delete")


class SegmentStore:
    """See `api.storage.LogStore`."""

    def __init__(self, directory: Path, files: FileSystem, *, open_files_max: int, log: Log | None = None) -> None:
        self._directory = directory
        self._files = files
        self._log = log
        self._handles = Handles(files, open_files_max)
        self._aside = Aside(files, directory)
        self._logs: dict[TopicPartition, SegmentLog] = {}
        self._topic_ids: dict[TopicPartition, TopicId] = {}
        try:
            files.make_directory(directory)
            self._sync_own_name()
            found = files.list_directory(directory)
            self._was_clean = CLEAN_MARK in found or not any(_FOLDER.fullmatch(n) for n in found)
            # The mark promises something about the past only; a crash from now on must not find it.
            files.remove(directory / CLEAN_MARK)
            files.sync_directory(directory)
            # What a killed process left in the system's cache is made durable at once, so that recovery need not sync every log.
            self._is_synced = self._was_clean or files.sync_all(directory)
        except OSError as error:
            raise self._failed(directory, error) from error
        for name in found:
            if _DELETED_FOLDER.fullmatch(name):
                self._aside.put_folder(directory / name)

    def _sync_own_name(self) -> None:
        try:
            self._files.sync_directory(self._directory.parent)
        except OSError:
            pass  # not ours to open; whoever made the directory has seen to its name

    def _failed(self, path: Path, error: OSError) -> StorageError:
        return StorageError(str(path), error.strerror or str(error))

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
            if match is None:
                continue
            partition = TopicPartition(match[1], int(match[2]))
            # The file of a log that was opened just now is written with its first flush.
            topic_id = self._topic_ids.get(partition) or self._topic_id(self._directory / name)
            if topic_id is not None:
                found.append((partition, topic_id))
                self._topic_ids[partition] = topic_id
        return found

    def _topic_id(self, folder: Path) -> TopicId | None:
        """None: no folder. A damaged file is as good as none, it is written anew from what the caller knows."""
        try:
            return checkpoints.decode_partition_metadata(self._files.read_file(folder / names.METADATA_FILE))
        except FileNotFoundError:
            return NO_TOPIC_ID
        except NotADirectoryError:
            return None
        except ValueError as error:
            if self._log is not None:
                self._log.warning("storage.partition_metadata_damaged", folder=str(folder), reason=str(error))
            return NO_TOPIC_ID
        except OSError as error:
            raise self._failed(folder, error) from error

    def open_log(
        self, partition: TopicPartition, topic_id: TopicId, *, index_interval_bytes: int = 4096
    ) -> PartitionLog:
        folder = self._folder(partition)
        try:
            stored = self._topic_ids.get(partition) or self._topic_id(folder)
            if stored not in (topic_id, NO_TOPIC_ID, None) and topic_id != NO_TOPIC_ID:
                self._put_stray_aside(folder)
            metadata = checkpoints.encode_partition_metadata(topic_id)
            log = SegmentLog(
                folder, self._handles, self._aside, index_interval_bytes, metadata, is_synced=self._is_synced
            )
        except OSError as error:
            raise self._failed(folder, error) from error
        self._logs[partition] = log
        self._topic_ids[partition] = topic_id
        return log

    def _put_stray_aside(self, folder: Path) -> None:
        """Records of another topic that had this name. Nobody said that they may go, so they stay under another name."""
        target = _renamed(folder, "stray")
        self._files.rename(folder, target)
        self._files.sync_directory(self._directory)
        if self._log is not None:
            self._log.warning("storage.stray_folder", folder=str(folder), renamed_to=target.name)

    def delete_log(self, partition: TopicPartition) -> None:
        self._logs.pop(partition, None)
        self._topic_ids.pop(partition, None)
        folder = self._folder(partition)
        doomed = _renamed(folder, "delete")
        try:
            self._files.rename(folder, doomed)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failed(folder, error) from error
        self._aside.put_folder(doomed)

    def purge(self) -> None:
        try:
            self._aside.purge()
        except OSError as error:
            raise self._failed(self._directory, error) from error

    def read_properties(self) -> Mapping[str, str]:
        path = self._directory / PROPERTIES_FILE
        try:
            return checkpoints.decode_properties(self._files.read_file(path))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise StorageError(str(path), f"not a properties file: {error}") from error
        except OSError as error:
            raise self._failed(path, error) from error

    def write_properties(self, properties: Mapping[str, str]) -> None:
        self._write(PROPERTIES_FILE, checkpoints.encode_properties(properties))

    def read_checkpoint(self, name: str) -> Mapping[TopicPartition, int]:
        path = self._directory / name
        try:
            return checkpoints.decode_offsets(self._files.read_file(path))
        except FileNotFoundError:
            return {}
        except (ValueError, IndexError) as error:
            raise StorageError(str(path), f"not an offset checkpoint: {error}") from error
        except OSError as error:
            raise self._failed(path, error) from error

    def write_checkpoint(self, name: str, offsets: Mapping[TopicPartition, int]) -> None:
        self._write(name, checkpoints.encode_offsets(offsets))

    def _write(self, name: str, content: bytes) -> None:
        try:
            self._files.write_file(self._directory / name, content)
        except OSError as error:
            raise self._failed(self._directory / name, error) from error

    def close(self, *, clean: bool, broker_epoch: int = -1) -> None:
        try:
            if clean:
                self._leave_small_files()
            self._handles.close()
        except OSError as error:
            raise self._failed(self._directory, error) from error
        if clean:
            self._write(CLEAN_MARK, checkpoints.encode_clean_mark(broker_epoch))

    def _leave_small_files(self) -> None:
        """Lookup files and producer snapshots of thousands of logs, and one sync for all of them. Raises: OSError."""
        has_sync_all = bool(self._logs) and self._files.sync_all(self._directory)
        for log in self._logs.values():
            log.leave_small_files(sync=not has_sync_all)
        if has_sync_all:
            self._files.sync_all(self._directory)


def _renamed(folder: Path, why: str) -> Path:
    """`<topic>-<partition>.<uuid>-<why>` as Kafka has it, the topic cut off where the name would be too long."""
    suffix = f".{uuid.uuid4().hex}-{why}"
    return folder.with_name(folder.name[: NAME_BYTES_MAX - len(suffix)] + suffix)
