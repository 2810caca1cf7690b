"""The log of a coordinator of groups, in Kafka's record bytes, and whoever waits for the coordinator's answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from violation import Violation
from virtual_log import Outcome, VirtualLog

from mainstem.model.errors import ErrorCode
from mainstem.runtime.coordinator_shard import RecordFormat
from mainstem.wire.stored.consumer_offsets import decode_record, encode_record

FORMAT = RecordFormat(encode_record, decode_record)


class GroupLog(VirtualLog):
    """Takes every batch while it does not refuse."""

    commit_ms_max = 150

    def append_batch(self, batch: bytes, admission: Any = None) -> Outcome:
        if self.is_refusing:
            return Outcome(ErrorCode.NOT_ENOUGH_REPLICAS)
        base = self.add(bytearray(batch))
        return Outcome(ErrorCode.NONE, base, self.log_end_offset - 1)


class SimWaiter:
    """Answers once; an answer of a coordinator that crashed meanwhile never leaves it."""

    def __init__(self, command: Any, send: Callable[[Any], None], is_up: Callable[[], bool]) -> None:
        self._command = command
        self._send = send
        self._is_up = is_up
        self._is_answered = False

    def answer(self, result: Any) -> None:
        if self._is_answered:
            raise Violation(f"{type(self._command).__name__} was answered twice")
        self._is_answered = True
        if self._is_up():
            self._send(result)

    def refuse(self, error: ErrorCode) -> None:
        if not self._is_answered:
            self.answer(self._command.refused(error))
