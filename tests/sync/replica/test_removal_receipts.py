"""A receipt is sent once for each removed person, and never before the person's data is erased."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.gallery.record_changes import PERSON
from gated.people.held_records import RecordState
from gated.sync.removal_receipts import ERASE_AGAIN_S, RemovalReceipts

AT = "2026-03-01T09:30:00+00:00"


class Records:
    """The stored records, and a register whose erasure another process may block."""

    def __init__(self):
        self.rows, self.is_blocked, self.tries = {}, False, 0
        self.register = self

    def get(self, key):
        return self.rows.get(key, RecordState(key))

    def remove(self, subject, n):
        self.rows[PERSON + subject] = RecordState(PERSON + subject, n=n, is_gone=True, templates=2, at=AT)
        return PERSON + subject, n

    def tidy(self, among=None):
        self.tries += 1
        return not self.is_blocked


@pytest.fixture
def records():
    return Records()


@pytest.fixture
def receipts(records):
    return RemovalReceipts(records, SimpleNamespace(site="s", gate="g"))


def test_a_receipt_names_the_person_the_record_and_the_erased_templates(records, receipts):
    (receipt,) = receipts.collect(0.0, [records.remove("a", 7)])
    assert (receipt.site, receipt.gate, receipt.subject, receipt.n, receipt.templates, receipt.at) == (
        "s", "g", "a", 7, 2, AT
    )  # fmt: skip
    assert receipts.collect(1.0) == []


def test_no_receipt_is_sent_while_the_data_is_still_there(records, receipts):
    records.is_blocked = True
    assert receipts.collect(10.0, [records.remove("a", 7)]) == []
    assert not receipts.is_overdue(10.0 + ERASE_AGAIN_S / 2)
    assert receipts.is_overdue(10.0 + ERASE_AGAIN_S)
    records.is_blocked = False
    assert [receipt.subject for receipt in receipts.collect(20.0)] == ["a"]
    assert not receipts.is_overdue(1e9)


def test_a_later_change_that_cannot_be_erased_holds_the_next_receipt_back(records, receipts):
    receipts.collect(0.0, [records.remove("a", 7)])
    records.is_blocked = True
    receipts.erase([])
    assert receipts.collect(1.0, [records.remove("b", 8)]) == []


def test_only_a_person_gets_a_receipt(receipts):
    assert receipts.collect(0.0, [("household/12", 3), ("role/guard", 4)]) == []
    assert not receipts.is_overdue(1e9)


def test_a_person_who_was_enrolled_again_gets_no_receipt(records, receipts):
    records.rows[PERSON + "a"] = RecordState(PERSON + "a", n=9)
    assert receipts.collect(0.0, [(PERSON + "a", 7)]) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 50), st.booleans()), max_size=20))
def test_every_removed_person_gets_a_receipt_at_last_and_none_while_erasure_is_blocked(steps):
    """Whatever the order of removals and of blocks: a receipt of each person arrives with the newest number."""
    records = Records()
    receipts, sent = RemovalReceipts(records, SimpleNamespace(site="s", gate="g")), {}
    for now, (subject, n, records.is_blocked) in enumerate(steps):
        newest = max(n, records.get(PERSON + subject).n)
        receipts.erase([])
        found = receipts.collect(float(now), [records.remove(subject, newest)])
        assert not (found and records.is_blocked)
        sent |= {receipt.subject: receipt.n for receipt in found}
    records.is_blocked = False
    receipts.erase([])
    sent |= {receipt.subject: receipt.n for receipt in receipts.collect(100.0)}
    assert sent == {subject: records.get(PERSON + subject).n for subject, _, _ in steps}
