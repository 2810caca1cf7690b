"""The compiled encoder writes what the pure one writes, byte for byte."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.model import records, records_pure

part = st.none() | st.binary(max_size=40) | st.binary(min_size=120, max_size=140)
pairs = st.lists(st.tuples(st.text(max_size=10), part), max_size=3)
record = st.tuples(part, part, st.integers(0, 2**47), pairs)


@given(st.lists(record, min_size=1, max_size=200), st.booleans())
def test_compiled_and_pure_encoders_agree(rows, with_headers):
    keys, values, timestamps, headers = (list(column) for column in zip(*rows, strict=True))
    given_headers = headers if with_headers else None
    compiled = records._encode_compiled(keys, values, timestamps, given_headers)
    assert compiled == records_pure.encode_records(keys, values, timestamps, given_headers)


@given(st.lists(record, min_size=1, max_size=60))
def test_what_is_encoded_is_decoded(rows):
    keys, values, timestamps, headers = (list(column) for column in zip(*rows, strict=True))
    decoded = records.decode(records.encode(keys, values, timestamps, headers))
    assert (decoded.keys, decoded.values, decoded.timestamps) == (keys, values, timestamps)
    assert [list(pairs) for pairs in decoded.headers] == headers


def test_without_the_extension_the_pure_encoder_is_used(monkeypatch: pytest.MonkeyPatch):
    many = ([b"k"] * 100, [b"v"] * 100, list(range(100)))
    compiled = records.encode(*many)
    monkeypatch.setattr(records, "_compiled_builder", None)
    assert records._encode_compiled(*many, None) is None
    assert records.encode(*many) == compiled


def test_a_few_records_are_encoded_without_importing_aiokafka():
    """In a process of its own, because this one has imported it."""
    code = "import sys; from mainstem.model import records; records.encode([b'k'], [b'v'], [1]); print('aiokafka' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
