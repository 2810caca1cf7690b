"""How topics and groups are called on a NATS server, where dots, slashes and much else mean something in names.

    topic orders.eu, made as 3f2a…, partition 2:   stream  mainstem=orders=eu=3f2a…=2
                                                   subject mainstem.log.orders=eu.3f2a….2

`=` is legal there and in no topic's name, so that no two of them come to the same name.
"""

from __future__ import annotations

STREAM_NAME_LENGTH_MAX = 255


def encoded_topic(topic: str) -> str:
    return topic.replace(".", "=")


def encoded_text(text: str) -> str:
    """Any text, such as a group's id: other bytes than ASCII letters, digits, `-` and `_` become `=` and two hex digits."""
    return "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or byte in b"-_") else f"={byte:02x}"
        for byte in text.encode()
    )


def stream_name(prefix: str, topic: str, incarnation: str, number: int) -> str:
    return f"{prefix}={encoded_topic(topic)}={incarnation}={number}"


def subject_of(prefix: str, topic: str, incarnation: str, number: int) -> str:
    return f"{prefix}.log.{encoded_topic(topic)}.{incarnation}.{number}"
