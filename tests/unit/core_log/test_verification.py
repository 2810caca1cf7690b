"""A log takes the first batch of a transaction only with what its verification began with (KIP-890)."""

from __future__ import annotations

import pytest

from mainstem.core.log.append import AppendPlan, plan_append
from mainstem.core.log.state import LogState
from mainstem.core.log.transactions import build_marker
from mainstem.core.log.verification import Admission, Verification
from mainstem.model import records
from mainstem.model.batch import TRANSACTIONAL_BIT, read_header
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.errors import ErrorCode

CONFIG = TopicConfig.resolve({}, BrokerConfig.from_texts({}))
NOW_MS = 1_700_000_000_000
PRODUCER_ID = 7


class Log:
    def __init__(self) -> None:
        self.state = LogState()
        self.end = 0

    def start(self, sequence: int = 0, epoch: int = 0, *, bumps: bool = True) -> Verification | ErrorCode:
        return self.state.producers.start_verification(PRODUCER_ID, sequence, epoch, NOW_MS, supports_epoch_bump=bumps)

    def verification(self, sequence: int = 0, epoch: int = 0, *, bumps: bool = True) -> Verification:
        started = self.start(sequence, epoch, bumps=bumps)
        assert isinstance(started, Verification)
        return started

    def append(
        self,
        admission: Admission | None,
        sequence: int = 0,
        epoch: int = 0,
        *,
        transactional: bool = True,
        from_client: bool = True,
        count: int = 1,
    ) -> AppendPlan:
        batch = records.encode(
            [None] * count,
            [b"v"] * count,
            [NOW_MS] * count,
            producer_id=PRODUCER_ID,
            producer_epoch=epoch,
            base_sequence=sequence,
            attributes=TRANSACTIONAL_BIT if transactional else 0,
        )
        plan = plan_append(
            batch, self.end, self.state.producers, CONFIG, NOW_MS, from_client=from_client, admission=admission
        )
        if plan.header is not None and not plan.is_duplicate:
            self.state.apply(plan.header, batch, self.end, NOW_MS)
            self.end = plan.last_offset + 1
        return plan

    def mark(self, epoch: int = 0) -> None:
        marker = build_marker(PRODUCER_ID, epoch, NOW_MS, is_commit=True, coordinator_epoch=0)
        self.state.apply(read_header(marker), marker, self.end, NOW_MS)
        self.end += 1


@pytest.fixture
def log() -> Log:
    return Log()


def test_the_first_batch_needs_a_verification(log: Log) -> None:
    assert log.append(Admission()).error is ErrorCode.INVALID_TXN_STATE
    assert log.append(Admission(log.verification())).error is ErrorCode.NONE


def test_batches_after_it_need_none(log: Log) -> None:
    log.append(Admission(log.verification()))
    assert log.start(1) is ErrorCode.NONE
    assert log.append(Admission(), 1).error is ErrorCode.NONE


def test_nothing_is_needed_where_the_operator_says_so(log: Log) -> None:
    assert log.append(Admission(is_required=False)).error is ErrorCode.NONE


def test_a_batch_of_a_transaction_comes_with_the_transactional_id(log: Log) -> None:
    assert log.append(None).error is ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    log.append(Admission(log.verification()))
    assert log.append(None, 1).error is ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


def test_a_verification_of_another_log_is_worth_nothing(log: Log) -> None:
    log.verification()
    foreign = Verification(0, 0, NOW_MS, supports_epoch_bump=True)
    assert log.append(Admission(foreign)).error is ErrorCode.INVALID_TXN_STATE


@pytest.mark.parametrize("bumps", [True, False])
def test_a_marker_in_between_takes_its_worth(log: Log, bumps: bool) -> None:
    verified = log.verification(epoch=0, bumps=bumps)
    log.mark(epoch=1 if bumps else 0)
    error = ErrorCode.INVALID_TXN_STATE
    assert log.append(Admission(verified)).error is error


def test_the_marker_before_the_epoch_of_the_next_transaction_leaves_it(log: Log) -> None:
    """With an epoch per transaction the producer may be verified while the marker of its last one is on its way."""
    log.append(Admission(log.verification()), epoch=0)
    verified = log.verification(0, epoch=1)
    log.mark(epoch=1)
    assert log.append(Admission(verified), 0, epoch=1).error is ErrorCode.NONE


def test_an_old_epoch_is_not_even_asked_about(log: Log) -> None:
    log.append(Admission(log.verification(epoch=3)), epoch=3)
    assert log.start(epoch=2) is ErrorCode.INVALID_PRODUCER_EPOCH
    assert log.append(Admission(), epoch=2).error is ErrorCode.INVALID_TXN_STATE


def test_a_retry_is_answered_even_when_its_transaction_is_over(log: Log) -> None:
    log.append(Admission(log.verification(bumps=False)))
    log.mark()
    again = log.append(Admission())
    assert (again.error, again.is_duplicate, again.base_offset) == (ErrorCode.NONE, True, 0)


class TestSequences:
    def test_the_first_of_an_epoch_is_0_for_newer_clients(self, log: Log) -> None:
        assert log.append(Admission(log.verification(1)), 1).error is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER

    def test_of_an_unknown_older_client_it_may_be_any(self, log: Log) -> None:
        assert log.append(Admission(log.verification(5, bumps=False)), 5).error is ErrorCode.NONE

    def test_a_later_batch_waits_for_the_earlier_one_that_was_not_verified(self, log: Log) -> None:
        log.verification(4, bumps=False)
        verified = log.verification(6, bumps=False)
        assert log.append(Admission(verified), 6).error is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert log.append(Admission(verified), 4, count=2).error is ErrorCode.NONE
        assert log.append(Admission(), 6).error is ErrorCode.NONE

    def test_a_newer_epoch_begins_anew(self, log: Log) -> None:
        log.verification(9, epoch=0)
        assert log.append(Admission(log.verification(0, epoch=1)), 0, epoch=1).error is ErrorCode.NONE

    def test_after_a_marker_with_an_epoch_of_its_own_it_is_0(self, log: Log) -> None:
        log.append(Admission(log.verification()))
        log.mark(epoch=1)
        assert log.append(None, 1, epoch=1, transactional=False).error is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert log.append(None, 0, epoch=1, transactional=False).error is ErrorCode.NONE

    def test_a_plain_batch_within_a_transaction_is_refused(self, log: Log) -> None:
        log.append(Admission(log.verification()))
        assert log.append(None, 1, transactional=False).error is ErrorCode.INVALID_TXN_STATE


class TestCoordinators:
    """What they write within a transaction has no sequence of its own."""

    def test_the_same_bytes_twice_are_two_batches(self, log: Log) -> None:
        verified = log.verification()
        for _ in range(3):
            plan = log.append(Admission(verified), from_client=False)
            assert (plan.error, plan.is_duplicate) == (ErrorCode.NONE, False)

    def test_they_are_verified_too(self, log: Log) -> None:
        assert log.append(Admission(), from_client=False).error is ErrorCode.INVALID_TXN_STATE

    def test_an_old_epoch_is_refused(self, log: Log) -> None:
        log.mark(epoch=4)
        verified = Admission(is_required=False)
        assert log.append(verified, epoch=3, from_client=False).error is ErrorCode.INVALID_PRODUCER_EPOCH


def test_a_verification_that_led_to_nothing_is_forgotten(log: Log) -> None:
    log.verification()
    log.state.producers.expire(NOW_MS)
    assert log.state.producers.verifications
    log.state.producers.expire(NOW_MS + 1)
    assert not log.state.producers.verifications
