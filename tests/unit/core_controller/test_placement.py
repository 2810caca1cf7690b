from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mainstem.core.controller.placement import alternate_racks, place
from mainstem.model.cluster import BrokerRegistration


def brokers(*racks: str | None) -> list[BrokerRegistration]:
    return [
        BrokerRegistration(broker_id=index + 1, epoch=1, endpoints=(), rack=rack) for index, rack in enumerate(racks)
    ]


def test_leaders_go_round_and_followers_move_on_with_every_round() -> None:
    """The example of the module's docstring."""
    assert place(brokers(None, None, None), 2, range(6), 0) == [(1, 2), (2, 3), (3, 1), (1, 3), (2, 1), (3, 2)]


def test_the_start_shifts_the_round() -> None:
    assert place(brokers(None, None, None), 1, range(3), 5) == [(3,), (1,), (2,)]


def test_added_partitions_go_on_where_the_round_stands() -> None:
    assert place(brokers(None, None, None), 1, range(2, 4), 0) == [(3,), (1,)]


def test_brokers_alternate_between_racks() -> None:
    ordered = alternate_racks(brokers("a", "a", "a", "b", "c", "c"))
    assert [broker.broker_id for broker in ordered] == [1, 4, 5, 2, 6, 3]


def test_replicas_take_every_rack_before_they_share_one() -> None:
    racks = {1: "a", 2: "a", 3: "b", 4: "b", 5: "c"}
    for replicas in place(brokers("a", "a", "b", "b", "c"), 3, range(20), 0):
        assert {racks[broker_id] for broker_id in replicas} == {"a", "b", "c"}


@given(
    st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=7),
    st.data(),
    st.integers(0, 2**32),
    st.integers(1, 60),
)
def test_replicas_are_distinct_and_leaders_are_spread_evenly(
    racks: list[str | None], data: st.DataObject, start: int, partitions: int
) -> None:
    factor = data.draw(st.integers(1, len(racks)))
    placed = place(brokers(*racks), factor, range(partitions), start)
    assert len(placed) == partitions
    for replicas in placed:
        assert len(set(replicas)) == factor
    leaders = Counter(replicas[0] for replicas in placed)
    counts = [leaders[broker_id] for broker_id in range(1, len(racks) + 1)]
    assert max(counts) - min(counts) <= 1


def test_the_followers_of_one_leader_are_spread_over_all_others() -> None:
    placed = place(brokers(None, None, None, None), 2, range(24), 0)
    followers = Counter(replicas[1] for replicas in placed if replicas[0] == 1)
    assert followers == {2: 2, 3: 2, 4: 2}
