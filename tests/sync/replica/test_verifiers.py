"""A gate receives cards and PINs as digests made for it.

It tells only its office the keys, and accepts no readable values.
"""

import sqlite3
from contextlib import closing

import msgspec
import pytest

from gated.protocol.key_messages import VerifierKeys
from gated.protocol.record_messages import Delta, RecordRequest
from gated.protocol.wire_records import WireCard

PIN, DURESS = "739184", "281946"


def readable(kit, n=1, **more):
    """Return a person record with readable values, as an office older than verifiers sends it."""
    return msgspec.structs.replace(kit.person(1, **more), n=n)


def delta(kit, *records, after=0):
    return Delta(**kit.us, after=after, upto=records[-1].n, records=list(records))


def test_a_card_and_a_pin_sent_as_digests_open_at_every_reading(followed, office, kit):
    office.put(kit.person(1, cards=[WireCard("c1", "0006729715")], pin=PIN, duress_pin=DURESS))
    followed.hear(office.delta())
    ring = followed.ring()
    for number in ("0006729715", "0066AFF3", "W26:102-45043", "w34:102-45043"):
        assert ring.card(number).subject == kit.subject(1)
    assert [ring.pin(digits).is_duress for digits in (PIN, DURESS)] == [False, True]
    assert ring.pin("739185") is None


def test_nothing_on_disk_reveals_a_pin_or_the_duress_pin(followed, office, kit):
    office.put(kit.person(1, cards=[WireCard("c1", "0006729715")], pin=PIN, duress_pin=DURESS))
    followed.hear(office.delta())
    with closing(sqlite3.connect(followed.state / "people.db")) as connection:
        rows = connection.execute(
            "SELECT digest, pin_hash, is_duress FROM credentials WHERE way = 'pin' ORDER BY rowid"
        )
        rows = rows.fetchall()
    assert len({row[1:] for row in rows}) == 1
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert followed.traces(PIN.encode(), DURESS.encode(), b"6729715") == []


def test_an_unchanged_pin_stays_and_is_deleted_with_its_record(followed, office, kit):
    def rows():
        with followed.store() as store:
            return {(each.id, each.digest) for each in store.all() if each.kind == "pin"}

    office.put(kit.person(1, pin=PIN, duress_pin=DURESS))
    followed.hear(office.delta())
    first = rows()
    office.put(kit.person(1, pin=PIN, duress_pin=DURESS, name="Another"))
    followed.hear(office.delta(1))
    assert rows() == first
    office.put(kit.person(1, pin=PIN, duress_pin="605271"))
    followed.hear(office.delta(2))
    assert len({digest for _, digest in rows()} & {digest for _, digest in first}) == 1
    assert rows().isdisjoint(first), "both rows are new, so that neither looks older"
    office.put(kit.person(1))
    followed.hear(office.delta(3))
    assert rows() == set()


def test_a_readable_pin_is_refused_and_the_stored_one_stays(followed, office, kit, caplog):
    office.put(kit.person(1, cards=[WireCard("c1", "55501")], pin=PIN))
    followed.hear(office.delta())
    news = readable(kit, 2, cards=[WireCard("c2", "66602")], pin="605271", name="Another")
    followed.hear(delta(kit, news, after=1))
    ring = followed.ring()
    assert [ring.card(number) is not None for number in ("55501", "66602")] == [True, False]
    assert [ring.pin(digits) is not None for digits in (PIN, "605271")] == [True, False]
    assert followed.people()[kit.subject(1)].name == "Another", "the rest of the record counts"
    assert followed.replica.is_office_outdated
    assert "update the office" in caplog.text
    assert "605271" not in caplog.text + str(followed.traces(b"605271", b"66602"))
    followed.hear_word(office.word())
    assert not followed.replica.is_office_outdated, "an office that knows our keys is new"


@pytest.mark.parametrize(
    "more", [{"pin": "1"}, {"duress_pin": "739154"}, {"cards": [WireCard("c1", "4711")]},
             {"cards": [WireCard("c1", "4711", digest=bytes(32), readings=bytes(16))]}],
)  # fmt: skip
def test_readable_credentials_of_a_new_person_are_refused(followed, kit, more):
    followed.hear(delta(kit, readable(kit, **more)))
    assert set(followed.people()) == {kit.subject(1)}
    with followed.store() as store:
        assert store.all() == []
    assert followed.replica.is_office_outdated


@pytest.mark.parametrize(
    "card", [WireCard("c"), WireCard("c", digest=bytes(32)), WireCard("c", readings=bytes(16)),
             WireCard("c", digest=bytes(31), readings=bytes(16)), WireCard("c", digest=bytes(32), readings=bytes(15)),
             WireCard("c", digest=bytes(32), readings=bytes(16), valid_from="noon")],
)  # fmt: skip
def test_a_card_with_incomplete_digests_is_skipped(followed, kit, card):
    record = readable(kit, cards=[card, WireCard("good", digest=b"1" * 32, readings=b"1" * 16)])
    followed.hear(delta(kit, record))
    with followed.store() as store:
        assert [each.id for each in store.all()] == ["good"]


def test_a_gate_sends_its_keys_before_requests_and_only_until_the_office_has_them(followed, office, kit, caplog):
    office.put(kit.person(1))
    word = office.word()
    said = followed.hear_word(msgspec.structs.replace(word, verifiers=""))
    assert [type(message) for message in said] == [VerifierKeys, RecordRequest]
    assert (said[0].card, said[0].pin) == (kit.keys.card, kit.keys.pin)
    assert not any(isinstance(message, VerifierKeys) for message in followed.hear_word(office.word()))
    said = followed.hear_word(msgspec.structs.replace(office.word(), verifiers="0" * 64))
    assert isinstance(said[0], VerifierKeys)
    assert "pair the gate again" in caplog.text


def test_the_verifier_keys_are_neither_in_the_pairing_folder_nor_the_site_key(followed, kit):
    assert kit.keys.card not in (bytes(range(32)), kit.keys.pin)
    assert followed.traces(kit.keys.card, kit.keys.pin) == []
