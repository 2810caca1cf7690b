from __future__ import annotations

import datetime
import io
import json
from pathlib import Path

import avro.io
import avro.schema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.api.serde import SerdeError
from mainstem.api.spec import configure
from mainstem.model.errors import ConfigError
from mainstem.testing.conformance.serializers import check_serializer
from mainstem_plugins.serde_avro import AvroConfig, AvroSerializer, mainstem_register_serializers

[SPEC] = mainstem_register_serializers()

ORDER = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "price", "type": "double"},
    ],
}


def serializer(schema: object = ORDER) -> AvroSerializer:
    return AvroSerializer(configure(AvroConfig, {"schema": schema}, owner="serializer avro"))


def test_contract():
    check_serializer(
        SPEC,
        [{"id": 1, "note": "a", "price": 0.5}, {"id": -(2**40), "note": None, "price": 1e300}],
        unfit=[
            {},
            {"id": "x", "note": None, "price": 1.0},
            {"id": 2**70, "note": None, "price": 1.0},
            7,
            "text",
        ],
        unreadable=[
            b"",
            b"\x02",
            b"\x02\x00",
            b"\x02\x07" + b"0" * 20,
            b"\x02\x00" + b"0" * 20,
            b"\xff" * 30,
        ],
        schema=ORDER,
    )


orders = st.fixed_dictionaries(
    {
        "id": st.integers(-(2**63), 2**63 - 1),
        "note": st.none() | st.text(),
        "price": st.floats(allow_nan=False),
    }
)


@given(st.lists(orders, max_size=5))
def test_apache_avro_reads_what_is_written_and_writes_what_is_read(values):
    """The judge is Apache's own implementation, in both directions."""
    schema = avro.schema.parse(json.dumps(ORDER))
    ours = serializer()
    written = ours.dumps_many(values)
    reader = avro.io.DatumReader(schema)
    assert [reader.read(avro.io.BinaryDecoder(io.BytesIO(data))) for data in written] == values
    theirs = []
    for value in values:
        buffer = io.BytesIO()
        avro.io.DatumWriter(schema).write(value, avro.io.BinaryEncoder(buffer))
        theirs.append(buffer.getvalue())
    assert theirs == written
    assert ours.loads_many(theirs) == values


@given(st.binary(max_size=60))
def test_random_bytes_are_read_or_refused_and_nothing_else(data):
    ours = serializer()
    try:
        [value] = ours.loads_many([data])
    except SerdeError:
        return
    assert set(value) == {"id", "note", "price"}


def test_the_schema_may_be_a_path_text_or_a_dict(tmp_path: Path):
    path = tmp_path / "order.avsc"
    path.write_text(json.dumps(ORDER))
    value = {"id": 1, "note": None, "price": 2.0}
    expected = serializer(ORDER).dumps_many([value])
    for form in (path, str(path), json.dumps(ORDER), f"\n  {json.dumps(ORDER)}"):
        assert serializer(form).dumps_many([value]) == expected


def test_a_plain_type_is_a_schema_too():
    assert serializer('"long"').loads_many(serializer('"long"').dumps_many([7])) == [7]
    assert serializer(["null", "string"]).dumps_many([None, "a"])[0] is None


def test_timestamps_are_datetimes_in_utc():
    at = datetime.datetime(2013, 1, 1, 5, 15, tzinfo=datetime.UTC)
    ours = serializer({"type": "long", "logicalType": "timestamp-millis"})
    assert ours.loads_many(ours.dumps_many([at])) == [at]


def test_fields_that_the_schema_does_not_have_are_refused_and_defaults_are_filled():
    value = {"id": 1, "price": 2.0}
    assert serializer().loads_many(serializer().dumps_many([value])) == [{**value, "note": None}]
    with pytest.raises(SerdeError, match="colour"):
        serializer().dumps_many([{**value, "colour": "red"}])


def test_the_field_that_does_not_fit_is_named():
    with pytest.raises(SerdeError, match=r"record 0 of the batch: .*price"):
        serializer().dumps_many([{"id": 1, "note": None, "price": "cheap"}])


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (
            "no/such/file.avsc",
            r"schema='no/such/file.avsc' is not valid: a path .* \(No such file or directory\)",
        ),
        ("", "a path to an Avro schema"),
        ("{not json", "an Avro schema"),
        ({"type": "recrod", "name": "X", "fields": []}, "an Avro schema"),
        ({"type": "record", "fields": []}, "an Avro schema"),
        ({"type": "record", "name": "X"}, "an Avro schema"),
        ({"type": "record", "name": "X", "fields": [{"name": "a", "type": "int"}] * 2}, "an Avro schema"),
        ({"type": "enum", "name": "X", "symbols": ["a", "a"]}, "an Avro schema"),
        (["int", "int"], "an Avro schema"),
    ],
)
def test_a_schema_that_is_none_says_why(schema, reason):
    with pytest.raises(ConfigError, match=reason):
        serializer(schema)
