"""A pickle is read as data. Nothing in it is imported or called."""

import os
import pickle
import sys
from collections import OrderedDict
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.errors import ModelError
from gated.face.convert import pickled_data
from gated.face.convert.pickled_data import Call, Name, PickledData

NAMES = {"collections.OrderedDict", "known.function"}


def read(data: bytes):
    return PickledData(NAMES).read(BytesIO(data))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.text(),
    lambda inner: (
        st.tuples(inner, inner)
        | st.lists(inner, min_size=2)
        | st.dictionaries(st.text(), inner, min_size=2).map(OrderedDict)
        | st.dictionaries(st.text(), inner)
    ),
)


@given(PLAIN)
def test_plain_values_come_back(value):
    assert read(pickle.dumps(value, 2)) == value


def test_a_call_of_a_known_name_is_returned_and_not_made():
    found = read(b"\x80\x02cknown\nfunction\nK\x07\x85R.")
    assert found == Call("known.function", (7,))


def test_a_known_name_is_not_imported():
    assert read(b"\x80\x02cknown\nfunction\n.") == Name("known.function")
    assert "known" not in sys.modules


def test_attributes_of_an_object_are_left_out():
    value = OrderedDict(a=1)
    value._metadata = {"version": 1}
    assert read(pickle.dumps(value, 2)) == {"a": 1}


class Runs:
    """A pickle that runs a program when Python's own reader reads it."""

    def __init__(self, function, *arguments):
        self._call = (function, arguments)

    def __reduce__(self):
        return self._call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "arguments"),
    [(os.system, ("touch {}",)), (eval, ("open({!r}, 'w')",)), (exec, ("open({!r}, 'w')",)), (getattr, (os, "system"))],
)
def test_a_pickle_that_runs_a_program_is_refused(tmp_path, function, arguments, protocol):
    there = tmp_path / "made"
    data = pickle.dumps(
        Runs(function, *(each.format(str(there)) if isinstance(each, str) else "posix" for each in arguments)), protocol
    )
    with pytest.raises(ModelError, match="which no state dict needs"):
        read(data)
    assert not there.exists()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "damaged"),
        (b"\x80\x02", "damaged"),
        (b"not a pickle", "damaged"),
        (b"\x80\x02.", "damaged"),
        (b"\x80\x02h\x05.", "damaged"),
        (b"\x80\x02X\xff\xff\xff\x7fabc.", "damaged"),
        (b"\x80\x02}K\x01K\x02K\x03(K\x04u.", "no dictionary"),
        (b"\x80\x02}(K\x04u.", "no dictionary"),
        (b"\x80\x02K\x01K\x02K\x03s.", "no dictionary"),
        (b"\x80\x02}]K\x01s.", "damaged"),
        (b"\x80\x02}(K\x01e.", "no list"),
        (b"\x80\x02K\x01)R.", "without a name"),
        (b"\x80\x02cknown\nfunction\nK\x01R.", "without a name"),
        (b"\x80\x02K\x01Q.", "no storage"),
        (b"\x80\x02cos\nsystem\n.", "os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "SHORT_BINUNICODE"),
        (b"\x80\x02U\x01a.", "SHORT_BINSTRING"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f", "damaged"),
        (b"\x80\x02P1\n.", "PERSID"),
        (b"\x80\x02\x820.", "EXT1"),
    ],
)
def test_a_hostile_or_damaged_pickle_is_refused_in_words(data, reason):
    with pytest.raises(ModelError, match=reason):
        read(data)


def test_a_pickle_of_too_many_operations_is_refused(monkeypatch):
    monkeypatch.setattr(pickled_data, "MOST_OPERATIONS", 1000)
    assert read(b"\x80\x02]" + b"q\x00" * 900 + b".") == []
    with pytest.raises(ModelError, match="more than 1000 operations"):
        read(b"\x80\x02]" + b"q\x00" * 1001 + b".")


def test_lists_nested_without_end_are_read_without_recursion():
    depth = 60_000
    found = read(b"\x80\x02" + b"](" * depth + b"K\x01" + b"e" * depth + b".")
    assert len(found) == 1
    found = read(b"\x80\x02" + b"]" + b"\x85" * depth + b".")
    assert isinstance(found, tuple)


def test_a_dictionary_in_itself_ends():
    assert isinstance(read(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."), dict)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    try:
        read(b"\x80\x02" + data)
    except ModelError as error:
        assert str(error).isprintable()


GOOD = pickle.dumps(OrderedDict((f"name{i}", [i, (i, None, True), {"a": i}]) for i in range(20)), 2)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_one_changed_byte_is_read_or_refused(place, value):
    try:
        read(GOOD[:place] + bytes([value]) + GOOD[place + 1 :])
    except ModelError as error:
        assert str(error).isprintable()
