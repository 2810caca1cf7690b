from __future__ import annotations

from mainstem.api.spec import PluginConfig
from mainstem.testing.conformance.partitioners import check_partitioner
from mainstem_plugins.partitioner_round_robin import RoundRobinPartitioner, mainstem_register_partitioners

[SPEC] = mainstem_register_partitioners()


def test_contract():
    check_partitioner(SPEC, is_by_key=False)


def test_partitions_follow_each_other_over_batches():
    partitioner = RoundRobinPartitioner(PluginConfig())
    assert partitioner.partition_many("t", [b"a", b"a"], 3) == [0, 1]
    assert partitioner.partition_many("t", [None, b"a"], 3) == [2, 0]
    assert partitioner.partition_many("t", [b"a"], 3) == [1]


def test_topics_do_not_disturb_each_other():
    partitioner = RoundRobinPartitioner(PluginConfig())
    partitioner.partition_many("t", [b"a"], 3)
    assert partitioner.partition_many("u", [b"a"], 3) == [0]


def test_a_topic_that_shrank_is_no_problem():
    partitioner = RoundRobinPartitioner(PluginConfig())
    partitioner.partition_many("t", [b"a"] * 9, 10)
    assert partitioner.partition_many("t", [b"a"] * 2, 2) == [1, 0]
