"""Nested tables and flat keys are two forms of the same settings."""

from hypothesis import given
from hypothesis import strategies as st

from gated.config.keys import has_key, leaves, with_keys

NESTED = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
).filter(lambda found: isinstance(found, dict))


@given(NESTED)
def test_the_leaves_of_a_table_make_the_table_again(table):
    assert with_keys({}, dict(leaves(table))) == table


@given(NESTED, NESTED)
def test_a_set_key_is_there_and_the_arguments_stay(table, values):
    before = repr(table)
    new = with_keys(table, dict(leaves(values)))
    assert all(has_key(new, key) for key, _ in leaves(values))
    assert repr(table) == before


def test_an_empty_table_as_value_removes_nothing():
    assert with_keys({"door": {"lock_pin": 5}}, {("door",): {}}) == {"door": {"lock_pin": 5}}


def test_a_value_has_no_keys_below_it():
    table = {"door": {"lock_pin": 5}}
    assert has_key(table, ())
    assert has_key(table, ("door", "lock_pin"))
    assert not has_key(table, ("door", "lock_pin", "x"))
    assert not has_key(table, ("second_door", "lock_pin"))
