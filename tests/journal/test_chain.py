"""The chain finds every edit: rows altered, removed, added, moved, or cut off at the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gated.journal.chain import Flaw, Position, check_chain, genesis, row_digest

ROWS = 250


def chained(count, base=0, acked=0):
    """Return a valid position and its rows."""
    first = before = genesis("s", "g", "j") if base == 0 else "ab" * 32
    rows = []
    for seq in range(base + 1, base + count + 1):
        at, kind, body = f"2026-01-01T00:00:00.{seq:06}Z".encode(), b"door_closed", b'{"kind":"door_closed"}'
        before = row_digest(before, seq, at, kind, body)
        rows.append((seq, at, kind, body, before.encode()))
    return Position("s", "g", "j", base, first, base + count, before, acked, 0), rows


@pytest.mark.parametrize("base", [0, 7])
@pytest.mark.parametrize("count", [0, 1, ROWS])
def test_an_unchanged_journal_verifies(base, count):
    assert check_chain(*chained(count, base)) is None


@pytest.mark.parametrize("field", range(1, 5))
def test_every_altered_field_of_every_row_is_found_at_that_row(field):
    position, rows = chained(ROWS)
    for index, row in enumerate(rows):
        altered = tuple(value[:-1] + bytes([value[-1] ^ 1]) if n == field else value for n, value in enumerate(row))
        flaw = check_chain(position, [*rows[:index], altered, *rows[index + 1 :]])
        assert flaw.seq == index + 1, flaw


def test_every_deleted_row_is_found_and_named():
    position, rows = chained(ROWS)
    for index in range(ROWS):
        assert check_chain(position, rows[:index] + rows[index + 1 :]).seq == index + 1


def test_every_truncated_tail_is_found():
    position, rows = chained(ROWS)
    for length in range(ROWS):
        assert check_chain(position, rows[:length]).seq == length + 1


def test_every_swap_of_two_neighbours_is_found():
    position, rows = chained(ROWS)
    for i in range(ROWS - 1):
        a, b = rows[i], rows[i + 1]
        swapped = [*rows[:i], (a[0], *b[1:]), (b[0], *a[1:]), *rows[i + 2 :]]
        assert check_chain(position, swapped).seq == i + 1


def test_an_inserted_row_is_found_even_if_all_later_rows_are_renumbered():
    position, rows = chained(ROWS)
    for i in range(ROWS):
        moved = [(seq + 1, *rest) for seq, *rest in rows[i:]]
        inserted = (i + 1, b"2026-01-01T00:00:00.000000Z", b"door_closed", b"{}", b"0" * 64)
        assert check_chain(position, [*rows[:i], inserted, *moved]).seq == i + 1


def test_a_changed_row_with_a_fitting_hash_is_found_at_the_next_row():
    position, rows = chained(ROWS)
    for i in range(1, ROWS - 1):
        seq, at, kind, _, _ = rows[i]
        body = b'{"kind":"door_opened"}'
        fitted = (seq, at, kind, body, row_digest(rows[i - 1][4].decode(), seq, at, kind, body).encode())
        assert check_chain(position, [*rows[:i], fitted, *rows[i + 1 :]]).seq == i + 2


def test_a_changed_last_row_with_a_fitting_hash_is_found_by_the_head_record():
    position, rows = chained(3)
    seq, at, kind, _, _ = rows[-1]
    forged = (seq, at, kind, b"{}", row_digest(rows[-2][4].decode(), seq, at, kind, b"{}").encode())
    assert check_chain(position, [*rows[:-1], forged]) == Flaw(3, "differs from the head record")


def test_rows_added_after_the_head_or_before_the_base_are_found():
    position, rows = chained(5, base=3)
    assert check_chain(replace(position, head=7, head_hash=rows[3][4].decode()), rows).seq == 8
    assert check_chain(position, [(3, *rows[0][1:]), *rows]).seq == 3


@pytest.mark.parametrize(
    "change",
    [
        {"head": 6},
        {"head": 4},
        {"head_hash": "0" * 64},
        {"base": 1},
        {"base_hash": "0" * 64},
        {"acked": 6},
        {"acked": -1},
        {"dropped": -1},
        {"site": "t"},
        {"gate": "h"},
        {"journal": "k"},
    ],
)
def test_an_altered_position_is_found(change):
    position, rows = chained(5)
    assert check_chain(replace(position, **change), rows) is not None


texts = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20).map(str.encode)


@given(st.tuples(st.integers(1, 10**6), texts, texts, texts), st.tuples(st.integers(1, 10**6), texts, texts, texts))
def test_only_equal_rows_have_equal_hashes(one, other):
    assert (row_digest("a" * 64, *one) == row_digest("a" * 64, *other)) == (one == other)


@given(st.data())
def test_random_edits_are_found_unless_they_cancel_out(data):
    position, rows = chained(12)
    edited = list(rows)
    for _ in range(data.draw(st.integers(1, 4))):
        i, j = data.draw(st.integers(0, max(len(edited) - 1, 0))), data.draw(st.integers(0, 11))
        match data.draw(st.sampled_from(["delete", "copy", "alter", "move"])):
            case "delete":
                edited = edited[:i] + edited[i + 1 :]
            case "copy":
                edited.insert(i, rows[j])
            case "alter" if edited:
                row = list(edited[i])
                row[data.draw(st.integers(1, 4))] = data.draw(st.binary(max_size=70))
                edited[i] = tuple(row)
            case "move" if edited:
                edited.insert(j, edited.pop(i))
    in_order = sorted(edited, key=lambda row: row[0])
    assert (check_chain(position, in_order) is None) == (in_order == rows)
