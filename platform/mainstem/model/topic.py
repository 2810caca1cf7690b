"""What a topic may be called, and which names are the broker's own."""

from __future__ import annotations

import re

NAME_LENGTH_MAX = 249
GROUP_OFFSETS_TOPIC = "__consumer_offsets"
TRANSACTION_STATE_TOPIC = "__transaction_state"
INTERNAL_TOPICS = frozenset({GROUP_OFFSETS_TOPIC, TRANSACTION_STATE_TOPIC})

_LEGAL = re.compile(r"[a-zA-Z0-9._-]+")


def topic_name_problem(name: str) -> str | None:
    """Why this cannot be a topic's name, or None. Source: Kafka's `Topic.validate`."""
    if not name:
        return "the empty string is not allowed as a topic name"
    if name in (".", ".."):
        return "topic name cannot be '.' or '..'"
    if len(name) > NAME_LENGTH_MAX:
        return f"topic name is {len(name)} characters long, {NAME_LENGTH_MAX} are allowed"
    if not _LEGAL.fullmatch(name):
        return f"topic name {name!r} has a character other than ASCII letters, digits, '.', '_' and '-'"
    return None


def collides(name: str, other: str) -> bool:
    """Whether two names differ only in '.' and '_', which Kafka's metric names cannot tell apart."""
    return name != other and name.replace(".", "_") == other.replace(".", "_")
