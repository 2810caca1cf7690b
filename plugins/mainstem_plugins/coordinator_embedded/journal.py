"""The journal file: one line per write, each with a checksum, each on the disk before the next one begins.

    8b2f01c4 {"type":"Founded","cluster_id":"MkU3OEVBNTcwNTJENDM2Qk","format":1}

Because every line is synced before the next is written, a crash can damage the last line only. It is cut off
when the file is opened: nobody was told that it is there. A damaged line with whole ones after it is not the
work of a crash, and the file is refused rather than guessed at.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from crc32c import crc32c

from mainstem.api.files import File, FileSystem
from mainstem.model.errors import FencedError, StorageError
from mainstem_plugins.coordinator_embedded.entries import FORMAT, Entry, Founded, State

FILE_NAME = "mainstem-metadata.journal"
CHECKSUM_CHARACTERS = 8

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Entry)


class Journal:
    """All calls block. Owned by one coordinator, which never calls it twice at a time."""

    def __init__(self, directory: Path, files: FileSystem) -> None:
        self._directory = directory
        self.path = directory / FILE_NAME
        self._files = files
        self._file: File | None = None
        self.size_bytes = 0

    def open(self) -> State:
        """Raises: StorageError."""
        try:
            self._files.make_directory(self._directory)
            self._sync_own_name()
            self._file = self._files.open(self.path)
            content = bytes(self._file.read(0, self._file.size()))
            state, self.size_bytes = self._replay(content)
            if self.size_bytes < len(content):
                self._file.truncate(self.size_bytes)
                self._file.sync()
            self._files.sync_directory(self._directory)
        except OSError as error:
            self.close()
            raise self._failure(str(error)) from error
        except StorageError:
            self.close()
            raise
        return state

    def _sync_own_name(self) -> None:
        """A new directory with a journal in it must not vanish as a whole."""
        try:
            self._files.sync_directory(self._directory.parent)
        except OSError:
            pass  # not ours to open; whoever made the directory has seen to its name

    def append(self, entries: Iterable[Entry]) -> None:
        """All of `entries` or none is on the disk after this.

        Raises: FencedError if another process writes to this file as well, StorageError.
        """
        if self._file is None:
            raise self._failure("it is closed")
        lines = b"".join(encode_line(entry) for entry in entries)
        try:
            size = self._files.file_size(self.path)
            if size != self.size_bytes:
                raise FencedError(f"journal {self.path} (bytes)", self.size_bytes, size)
            self._file.append([lines], len(lines))
            self._file.sync()
        except OSError as error:
            raise self._failure(str(error)) from error
        self.size_bytes += len(lines)

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Replace everything by `entries`, atomically.

        Raises: StorageError; the journal as it was goes on if there is no room for the new one.
        """
        content = b"".join(encode_line(entry) for entry in entries)
        try:
            self._files.write_file(self.path, content)
            self.close()
            self._file = self._files.open(self.path)
        except OSError as error:
            raise self._failure(str(error)) from error
        self.size_bytes = len(content)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _replay(self, content: bytes) -> tuple[State, int]:
        """The state, and how many bytes of the file are whole lines."""
        state = State()
        position, number = 0, 0
        while position < len(content):
            number += 1
            end = content.find(b"\n", position)
            line = content[position:end] if end >= 0 else content[position:]
            entry = self._decode(line, number) if end >= 0 else None
            if entry is None:
                if any(is_intact(later) for later in content[position:].split(b"\n")[1:]):
                    raise self._failure(f"line {number} is damaged and others follow it; restore the file")
                break
            if isinstance(entry, Founded) != (number == 1):
                raise self._failure(f"line {number} is not where it belongs; restore the file")
            if isinstance(entry, Founded) and entry.format != FORMAT:
                raise self._failure(f"it has format {entry.format}, and this version reads {FORMAT}")
            try:
                state.apply(entry)
            except KeyError as error:
                raise self._failure(f"line {number} changes topic {error}, which does not exist") from None
            position = end + 1
        return state, position

    def _decode(self, line: bytes, number: int) -> Entry | None:
        try:
            return decode_line(line)
        except msgspec.DecodeError as error:
            raise self._failure(f"line {number} says something that this version does not know: {error}") from None

    def _failure(self, reason: str) -> StorageError:
        return StorageError(str(self.path), reason)


def encode_line(entry: Entry) -> bytes:
    text = _encoder.encode(entry)
    return b"%08x %s\n" % (crc32c(text), text)


def decode_line(line: bytes) -> Entry | None:
    """The entry of a line without its end, or None if the line is damaged.

    Raises: msgspec.DecodeError for an intact line that is not an entry.
    """
    if not is_intact(line):
        return None
    entry: Entry = _decoder.decode(line[CHECKSUM_CHARACTERS + 1 :])
    return entry


def is_intact(line: bytes) -> bool:
    return line[:CHECKSUM_CHARACTERS] == b"%08x" % crc32c(line[CHECKSUM_CHARACTERS + 1 :])
