"""`verify` finds every edit of a real journal file, at the first changed row."""

from datetime import UTC, datetime

import pytest

COLUMNS = ("at", "kind", "body", "hash")


def test_every_edit_of_every_row_on_disk_is_found(journal, fill, tamper):
    fill(journal, 200)
    for entry in journal.entries(limit=200):
        for column in COLUMNS:
            was = getattr(entry, column)
            tamper(f"UPDATE event SET {column} = ? WHERE seq = ?", was[:-1] + chr(ord(was[-1]) ^ 1), entry.seq)
            assert journal.verify().seq == entry.seq
            tamper(f"UPDATE event SET {column} = ? WHERE seq = ?", was, entry.seq)
        tamper("DELETE FROM event WHERE seq = ?", entry.seq)
        assert journal.verify().seq == entry.seq
        tamper("INSERT INTO event VALUES (?, ?, ?, ?, ?)", entry.seq, entry.at, entry.kind, entry.body, entry.hash)
    assert journal.verify() is None


def test_a_truncated_tail_is_found(journal, fill, tamper):
    fill(journal, 50)
    for length in range(49, -1, -1):
        tamper("DELETE FROM event WHERE seq > ?", length)
        flaw = journal.verify()
        assert (flaw.seq, "cut off" in flaw.why) == (length + 1, True)


def test_rows_renumbered_after_a_deletion_are_found(journal, fill, tamper):
    fill(journal, 50)
    tamper("DELETE FROM event WHERE seq = 20")
    tamper("UPDATE event SET seq = seq - 1 WHERE seq > 20")
    tamper("UPDATE head SET seq = seq - 1")
    assert journal.verify().seq == 20


@pytest.mark.parametrize(
    "change", ["seq = 9", "seq = 11", "hash = ''", "base = 1", "base_hash = ''", "acked = 11", "gate = 'x'"]
)
def test_an_altered_head_record_is_found(journal, fill, tamper, change):
    fill(journal, 10)
    tamper(f"UPDATE head SET {change}")
    assert journal.verify() is not None


def test_a_missing_head_record_is_found_and_never_recreated(journal, fill, tamper, tmp_path):
    fill(journal, 10)
    tamper("DELETE FROM head")
    assert "head record" in journal.verify().why
    with pytest.raises(Exception, match="head record"):
        type(journal).open(tmp_path, "market-south", "gate-2")
    assert tamper("DELETE FROM event") == 10


def test_a_pruned_journal_is_protected_from_its_base_on(journal, fill, tamper):
    fill(journal, 50)
    journal.acknowledge(50)
    journal.prune(datetime(2026, 11, 23, tzinfo=UTC), keep_rows=20)
    assert journal.verify() is None
    tamper("UPDATE event SET body = '{}' WHERE seq = 31")
    assert journal.verify().seq == 31
