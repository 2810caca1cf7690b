"""Buffers are used again when, and only when, nobody looks at them any more."""

from __future__ import annotations

import pytest

from mainstem.api.read_buffers import KEPT_PER_SIZE, SIZE_MAX, SIZE_MIN, ReadBuffers


def whose(view: bytearray | memoryview) -> object:
    return view.obj if isinstance(view, memoryview) else view


@pytest.mark.parametrize("size", [SIZE_MIN, 100_000, 1 << 20, SIZE_MAX])
def test_buffer_is_used_again_once_it_is_free(size: int) -> None:
    buffers = ReadBuffers()
    first = buffers.take(size)
    assert len(first) == size
    identity = id(whose(first))
    del first
    assert id(whose(buffers.take(size))) == identity


def test_buffer_in_use_is_never_handed_out() -> None:
    """A slice of a view is a use as well: that is what a reply or a transport holds."""
    buffers = ReadBuffers()
    held = [buffers.take(100_000)[10:20] for _ in range(KEPT_PER_SIZE + 3)]
    for number, piece in enumerate(held):
        piece[:] = bytes([number] * 10)
    assert [bytes(piece) for piece in held] == [bytes([number] * 10) for number in range(len(held))]
    assert len({id(whose(piece)) for piece in held if isinstance(piece, memoryview)}) == KEPT_PER_SIZE


@pytest.mark.parametrize("size", [0, 1, SIZE_MIN - 1, SIZE_MAX + 1])
def test_other_sizes_are_simply_new(size: int) -> None:
    buffer = ReadBuffers().take(size)
    assert isinstance(buffer, bytearray)
    assert len(buffer) == size
