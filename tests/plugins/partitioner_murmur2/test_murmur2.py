from __future__ import annotations

import pytest
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from mainstem.testing.conformance.partitioners import check_partitioner
from mainstem_plugins.partitioner_murmur2 import (
    Murmur2Config,
    Murmur2Partitioner,
    mainstem_register_partitioners,
    murmur2,
)

[SPEC] = mainstem_register_partitioners()


def test_contract():
    check_partitioner(SPEC, is_by_key=True, seed=1)


@pytest.mark.parametrize(
    ("key", "signed_hash"),
    [
        # The cases of Kafka's own UtilsTest.testMurmur2.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_hashes_are_those_of_java(key, signed_hash):
    assert murmur2(key) == signed_hash & 0xFFFFFFFF


@given(st.binary(max_size=64))
def test_hashes_are_those_of_aiokafka(key):
    assert murmur2(key) == aiokafka_murmur2(key) & 0xFFFFFFFF


@given(st.binary(max_size=16), st.integers(1, 100))
def test_partition_is_the_positive_hash_modulo_the_count(key, partition_count):
    expected = (aiokafka_murmur2(key) & 0x7FFFFFFF) % partition_count
    assert Murmur2Partitioner(Murmur2Config()).partition_many("t", [key], partition_count) == [expected]


def test_an_empty_key_is_a_key():
    partitioner = Murmur2Partitioner(Murmur2Config(seed=3))
    assert {tuple(partitioner.partition_many("t", [b""], 50)) for _ in range(20)} == {(murmur2(b"") % 2**31 % 50,)}


def test_records_without_a_key_stay_together_and_move_from_batch_to_batch():
    partitioner = Murmur2Partitioner(Murmur2Config(seed=3))
    batches = [partitioner.partition_many("t", [None] * 10, 8) for _ in range(50)]
    assert all(len(set(batch)) == 1 for batch in batches)
    assert {batch[0] for batch in batches} == set(range(8))
