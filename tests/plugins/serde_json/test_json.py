from __future__ import annotations

import datetime
import json
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.testing.conformance.serializers import check_serializer
from mainstem_plugins.serde_json import JsonConfig, JsonSerializer, mainstem_register_serializers

[SPEC] = mainstem_register_serializers()

json_values = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children | st.none()) | st.dictionaries(st.text(), children | st.none()),
    max_leaves=10,
)


def test_contract():
    check_serializer(
        SPEC,
        [{"a": 1}, [1, 2.5, None], "text", 0, False],
        unfit=[b"bytes", {1, 2}, {1: "key"}, object(), 2**64],
        unreadable=[b"", b"{", b"1,2", b"1] [2", b"'a'", b"\xff"],
    )


@given(st.lists(st.none() | json_values, max_size=5))
def test_every_json_value_comes_back_and_the_standard_library_reads_it(values):
    serializer = JsonSerializer(JsonConfig())
    written = serializer.dumps_many(values)
    assert serializer.loads_many(written) == values
    assert [None if data is None else json.loads(data) for data in written] == values


def test_structs_datetimes_and_uuids_are_written_as_json():
    class Order(msgspec.Struct):
        id: uuid.UUID
        at: datetime.datetime

    order = Order(id=uuid.UUID(int=1), at=datetime.datetime(2013, 1, 1, tzinfo=datetime.UTC))
    assert JsonSerializer(JsonConfig()).dumps_many([order]) == [
        b'{"id":"00000000-0000-0000-0000-000000000001","at":"2013-01-01T00:00:00+00:00"}'
    ]


def test_keys_are_sorted_on_demand():
    assert JsonSerializer(JsonConfig(sort_keys=True)).dumps_many([{"b": 1, "a": 2}]) == [b'{"a":2,"b":1}']


def test_the_type_without_a_form_in_json_is_named():
    with pytest.raises(ValueError, match=r"record 0 of the batch: .*set"):
        JsonSerializer(JsonConfig()).dumps_many([{1}])
