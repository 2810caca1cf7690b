from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.api.spec import configure
from mainstem.model.errors import ConfigError
from mainstem.testing.conformance.serializers import check_serializer
from mainstem_plugins.serde_string import StringConfig, StringSerializer, mainstem_register_serializers

[SPEC] = mainstem_register_serializers()


def test_contract():
    check_serializer(
        SPEC, ["", "a", "Zürich 🛫"], unfit=[1, b"bytes", ["list"], "\ud800"], unreadable=[b"\xff", b"a\xc3"]
    )


def test_contract_in_another_encoding():
    check_serializer(SPEC, ["a", "ü"], unfit=["€"], encoding="latin-1")


@given(st.lists(st.none() | st.text()))
def test_every_text_comes_back(values):
    serializer = StringSerializer(StringConfig())
    assert serializer.loads_many(serializer.dumps_many(values)) == values


@pytest.mark.parametrize("encoding", ["klingon", "base64", ""])
def test_an_unknown_encoding_is_named(encoding):
    with pytest.raises(ConfigError, match=r"encoding=.*a text encoding that Python knows"):
        StringSerializer(configure(StringConfig, {"encoding": encoding}, owner="serializer string"))


def test_what_was_given_instead_of_text_is_named():
    with pytest.raises(ValueError, match=r"record 1 of the batch: expected text, got int 7"):
        StringSerializer(StringConfig()).dumps_many(["a", 7])
