"""What must never happen, and the silence in which everything else does."""

from __future__ import annotations

from collections.abc import Callable


class Violation(AssertionError):
    """Something happened that must never happen."""


def given_up(reason: str) -> None:
    """What a shard tells when it is lost; a simulated log gives it no cause. Raises: Violation."""
    if reason != "bug":  # a bug is on its way up by itself
        raise Violation(f"the shard was given up: {reason}")


class Quiet:
    """A logger that nobody reads."""

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda event, **facts: None
