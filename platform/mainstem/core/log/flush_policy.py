"""When a topic's appends are made durable: `flush.policy`, and Kafka's `flush.messages` and `flush.ms`."""

from __future__ import annotations

from typing import NamedTuple

from mainstem.model.configs.topic import TopicConfig

LINGER_MS = 500
"""How long appends that nobody waits for (acks=0 and 1, no reader at the end) may gather before their flush."""
LINGER_BYTES = 64 << 20
"""How many of them, so that who does wait then is not kept by a long one."""
INTERVAL_MS_DEFAULT = 1000
"""Of policy `interval` where flush.ms is longer; Kafka's own default is never."""
NEVER = (1 << 63) - 1
"""What Kafka's flush settings say where they mean never."""


class FlushPolicy(NamedTuple):
    """`commits_by_flush`: the high watermark follows the flush, not the log end. `within_ms` is -1 for never."""

    commits_by_flush: bool
    messages: int
    within_ms: int

    @classmethod
    def of(cls, config: TopicConfig, *, is_durable: bool) -> FlushPolicy:
        """What a store that loses everything with the process would flush is no matter."""
        if not is_durable:
            return cls(False, NEVER, -1)
        longest = {"commit": LINGER_MS, "interval": INTERVAL_MS_DEFAULT}.get(config.flush_policy, NEVER)
        within_ms = min(config.flush_ms, longest)
        return cls(config.flush_policy == "commit", config.flush_messages, within_ms if within_ms < NEVER else -1)
