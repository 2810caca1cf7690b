from __future__ import annotations

from itertools import pairwise

import pytest

from mainstem.api.spec import configure
from mainstem.model.errors import ConfigError
from mainstem.testing.conformance.partitioners import check_partitioner
from mainstem_plugins.partitioner_sticky import (
    StickyConfig,
    StickyPartitioner,
    mainstem_register_partitioners,
)

[SPEC] = mainstem_register_partitioners()


def test_contract():
    check_partitioner(SPEC, is_by_key=False, seed=1)


def test_a_batch_stays_together_and_the_next_goes_elsewhere():
    partitioner = StickyPartitioner(StickyConfig(seed=5))
    batches = [partitioner.partition_many("t", [b"a", b"b", None], 4) for _ in range(50)]
    assert all(len(set(batch)) == 1 for batch in batches)
    assert all(one != two for one, two in pairwise(batches))


def test_small_batches_share_a_partition_until_it_has_enough():
    partitioner = StickyPartitioner(StickyConfig(seed=5, records=4))
    chosen = [partitioner.partition_many("t", [b"a", b"b"], 4)[0] for _ in range(4)]
    assert chosen[0] == chosen[1] != chosen[2] == chosen[3]


def test_the_same_seed_gives_the_same_order():
    one, two = StickyPartitioner(StickyConfig(seed=5)), StickyPartitioner(StickyConfig(seed=5))
    for _ in range(20):
        assert one.partition_many("t", [None], 9) == two.partition_many("t", [None], 9)


@pytest.mark.parametrize("records", [0, -1, "few"])
def test_how_many_records_must_be_a_positive_number(records):
    with pytest.raises(ConfigError, match="records="):
        configure(StickyConfig, {"records": records}, owner="partitioner sticky")
