"""A partition that takes transactions: what was admitted, and what a reader could see of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from virtual_log import Outcome, VirtualLog
from virtual_time import Time

from mainstem.core.log.append import plan_append
from mainstem.core.log.state import LogState
from mainstem.model import records
from mainstem.model.batch import read_header
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

CONFIG = BrokerConfig.from_texts({"node.id": "1"})
TOPIC_CONFIG = TopicConfig.resolve({}, CONFIG)


class TransactionalLog(VirtualLog):
    """One partition over the real producer state."""

    commit_ms_max = 60

    def __init__(self, name: TopicPartition, time: Time, chance: random.Random) -> None:
        super().__init__(time, chance)
        self.topic_partition = name
        self.state = LogState()
        self.watch: Callable[[TransactionalLog], None] = lambda log: None

    @property
    def last_stable_offset(self) -> int:
        return self.state.transactions.last_stable_offset(self.high_watermark)

    def append_batch(self, batch: bytes, admission: Any = None) -> Outcome:
        return self.append(batch, from_client=False, admission=admission)

    def append(self, batch: bytes, *, from_client: bool, admission: Any) -> Outcome:
        if self.is_refusing:
            return Outcome(ErrorCode.NOT_ENOUGH_REPLICAS)
        data, now_ms = bytearray(batch), self._time.now_ms()
        plan = plan_append(
            data,
            self.log_end_offset,
            self.state.producers,
            TOPIC_CONFIG,
            now_ms,
            from_client=from_client,
            admission=admission,
        )
        if plan.header is None:
            return Outcome(plan.error)
        if plan.is_duplicate:
            return Outcome(ErrorCode.NONE, plan.base_offset, plan.last_offset)
        base_offset = self.add(data)
        if plan.header.producer_id >= 0:
            self.state.apply(plan.header, bytes(data), base_offset, now_ms)
        return Outcome(ErrorCode.NONE, base_offset, plan.last_offset)

    def advanced(self) -> None:
        self.state.transactions.advance(self.high_watermark)
        self.watch(self)

    def fail_over(self) -> None:
        """All state is built anew from what is left."""
        super().fail_over()
        self.state = LogState()
        for batch in self.batches:
            header = read_header(batch)
            if header.producer_id >= 0:
                self.state.apply(header, batch, header.base_offset, self._time.now_ms())
        self.advanced()

    def visible(self) -> list[str]:
        """What a read_committed reader of the whole log sees."""
        stable = self.last_stable_offset
        seen: list[str] = []
        for batch in self.batches:
            header = read_header(batch)
            if header.base_offset >= stable or header.is_control:
                continue
            if header.is_transactional and self._is_aborted(header.producer_id, header.base_offset, stable):
                continue
            seen += [(value or b"").decode() for value in records.decode(batch).values]
        return seen

    def _is_aborted(self, producer_id: int, offset: int, stable: int) -> bool:
        return any(
            entry.producer_id == producer_id and entry.first_offset <= offset <= entry.last_offset
            for entry in self.state.transactions.aborted.overlapping(0, stable)
        )
