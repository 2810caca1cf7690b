"""What a start finds in a partition's folder: leftovers of a crash removed, a finished compaction completed.

Source: Kafka's `LogLoader`, 4.1. Temporary files go; a `.log.swap` takes the place of the segments that it was made from; lookup
files without a log go. Files with other names are nobody's business here and stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mainstem.api.files import FileSystem
from mainstem.model.batch import iterate
from mainstem_plugins.storage_segments import names


class Found(NamedTuple):
    """`bases` ascending; `aside` may be removed at leisure; `files` are all names that stay."""

    bases: list[int]
    aside: list[Path]
    files: list[str]


def load_folder(files: FileSystem, folder: Path) -> Found:
    """Raises: OSError."""
    present = set(files.list_directory(folder))
    aside = [folder / name for name in present if name.endswith(names.DELETED)]
    present -= {path.name for path in aside}
    swaps = _usable_swaps(present)
    for name in sorted(present):
        if name.endswith((names.CLEANED, names.TEMPORARY)) or (
            name.endswith(names.SWAP) and not any(name.startswith(f"{base:020d}.") for base in swaps)
        ):
            files.remove(folder / name)
            present.discard(name)
    for base in swaps:
        aside += _complete_swap(files, folder, base, present)
    bases = {base for base, kind in map(_segment_file, present) if kind == names.LOG}
    for name in sorted(present):
        base, kind = _segment_file(name)
        if kind and base not in bases:
            files.remove(folder / name)
            present.discard(name)
    return Found(sorted(bases), aside, sorted(present))


def _segment_file(name: str) -> tuple[int, str]:
    match = names.SEGMENT_FILE.fullmatch(name)
    return (int(match[1]), match[2]) if match is not None else (-1, "")


def _bases_of(present: set[str], suffix: str) -> list[int]:
    stripped = [_segment_file(name.removesuffix(suffix)) for name in present if name.endswith(suffix)]
    return sorted(base for base, kind in stripped if kind == names.LOG)


def _usable_swaps(present: set[str]) -> list[int]:
    """Kafka renames from the highest base offset down when it splits a segment, so a `.swap` above a `.cleaned` is half of one."""
    smallest_cleaned = min(_bases_of(present, names.CLEANED), default=None)
    return [b for b in _bases_of(present, names.SWAP) if smallest_cleaned is None or b < smallest_cleaned]


def _complete_swap(files: FileSystem, folder: Path, base: int, present: set[str]) -> Sequence[Path]:
    end = _end_of_range(files, folder, base, present)
    aside = []
    for name in sorted(present):
        old_base, kind = _segment_file(name)
        if kind in (names.LOG, *names.LOOKUPS) and base <= old_base < end:
            target = folder / (name + names.DELETED)
            files.rename(folder / name, target)
            aside.append(target)
            present.discard(name)
    # The new segment may only appear when the old ones cannot come back beside it.
    files.sync_directory(folder)
    for kind in (*names.LOOKUPS, names.TXN_INDEX, names.LOG):
        name = names.name_of(base, kind)
        if name + names.SWAP in present:
            files.rename(folder / (name + names.SWAP), folder / name)
            present.discard(name + names.SWAP)
            present.add(name)
    files.remove(names.path_of(folder, base, names.RANGE, names.SWAP))
    present.discard(names.name_of(base, names.RANGE, names.SWAP))
    files.sync_directory(folder)
    return aside


def _end_of_range(files: FileSystem, folder: Path, base: int, present: set[str]) -> int:
    """End of the base offsets that it replaces: written beside it, or else, as Kafka has it, where its batches end."""
    if names.name_of(base, names.RANGE, names.SWAP) in present:
        try:
            return int(files.read_file(names.path_of(folder, base, names.RANGE, names.SWAP)))
        except ValueError:
            pass  # damaged; what Kafka does is safe, too
    end = base + 1
    for _, header in iterate(files.read_file(names.path_of(folder, base, names.LOG, names.SWAP))):
        end = max(end, header.next_offset)
    return end
