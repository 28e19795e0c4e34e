"""The office sends a stolen gate, or a copy of its pairing, no readable secrets. A new request for them raises an
alarm.
"""

import hmac
from contextlib import closing

import msgspec
import pytest

from gated.office.office_person import OfficeCard, OfficePerson, hashed_pin
from gated.office.schema import MIGRATIONS
from gated.office.store import DATABASE, KEYS, Store
from gated.people import card_readings
from gated.people.pin_verifiers import Recipe, secret_of, verifier
from gated.protocol.command_messages import AcceptQuarantined, Command, Offer
from gated.protocol.jose import Identity
from gated.protocol.key_messages import VerifierKeys
from gated.protocol.record_messages import Delta, RecordRequest
from gated.protocol.status_messages import Heartbeat, RecordMark
from gated.protocol.wire_records import PersonRecord, Tombstone
from gated.storage import database
from gated.storage.vault import digest_readings

CARD, PIN, DURESS = "0006729715", "739154", "281946"
OLD = ["live", "batch", "held"]


@pytest.fixture
def wang(court, person):
    """Return a person with a card, a PIN, a duress PIN and a label: every readable value."""
    salt = court.store.book.pin_salt
    pins = [hashed_pin(PIN, salt, is_duress=False), hashed_pin(DURESS, salt, is_duress=True)]
    return person(1, name="Wang Fang", cards=[OfficeCard("c1", CARD, "blue tag of Wang")], pins=pins)


def people(messages):
    return [record for message in messages for record in message.records if isinstance(record, PersonRecord)]


def test_a_copied_pairing_reveals_no_name_number_or_pin(court, gate, wang):
    court.store.book.put(wang)
    for ask in ({}, {"after": 1}, {"is_snapshot": True}):
        said = gate.send(RecordRequest, **ask)
        [record] = people(said)
        told = b"".join(map(msgspec.json.encode, said))
        for secret in ("Wang", "blue tag", CARD, CARD.lstrip("0"), "66AFF3", "102-45043", PIN, DURESS):
            assert secret.encode() not in told
        assert (record.name, record.pin, record.duress_pin, record.cards[0].number) == ("", "", "", "")


def test_records_for_a_gate_work_only_with_its_own_keys(court, gate, other, wang):
    court.store.book.put(wang)
    [mine], [theirs] = people(gate.send(RecordRequest)), people(other.send(RecordRequest))
    own = hmac.digest(gate.keys["card"], b"6729715", "sha256")
    assert mine.cards[0].digest == own
    assert mine.cards[0].readings == b"".join(sorted(digest_readings(gate.keys["card"], card_readings.given(CARD))))
    assert mine.cards[0].digest != theirs.cards[0].digest
    assert {pin.verifier for pin in mine.pins}.isdisjoint(pin.verifier for pin in theirs.pins)
    for digits, is_duress in ((PIN, False), (DURESS, True)):
        result = Recipe(mine.pins[0].salt).result(secret_of(digits))
        assert verifier(gate.keys["pin"], result, is_duress=is_duress) in {pin.verifier for pin in mine.pins}
        assert verifier(gate.keys["pin"], result, is_duress=not is_duress) not in {pin.verifier for pin in mine.pins}


def test_plain_and_duress_pins_have_the_same_size_and_order(court, gate, person):
    salt, places = court.store.book.pin_salt, set()
    for number in range(12):
        plain, duress = (hashed_pin(f"{number}{end}", salt, is_duress=end == "22222") for end in ("11111", "22222"))
        court.store.book.put(person(number, pins=[plain, duress] if number % 2 else [duress, plain]))
    for number, record in enumerate(people(gate.send(RecordRequest))):
        sizes = {len(msgspec.json.encode(pin)) for pin in record.pins}
        assert len(sizes) == 1
        assert len({pin.salt for pin in record.pins}) == 1
        plain = verifier(gate.keys["pin"], Recipe(salt).result(f"{number}11111".encode()), is_duress=False)
        places.add([pin.verifier for pin in record.pins].index(plain))
    assert places == {0, 1}


def test_the_first_keys_are_valid_until_the_gate_is_paired_again(court, gate, wang):
    court.store.book.put(wang)
    thief = {"card": bytes(32), "pin": bytes(32)}
    assert gate.send(VerifierKeys, **thief) == []
    assert ("gate-1", "verifiers_changed") in court.alarms()
    [record] = people(gate.send(RecordRequest))
    assert record.cards[0].digest == hmac.digest(gate.keys["card"], b"6729715", "sha256")
    court.store.add_gate("gate-1", gate.me.party.dump(), "0a0b")
    assert court.store.book.digest_keys("gate-1") is None
    gate.send(VerifierKeys, **thief)
    [record] = people(gate.send(RecordRequest))
    assert record.cards[0].digest == hmac.digest(bytes(32), b"6729715", "sha256")


def test_the_heartbeat_names_the_keys_that_the_office_has(court, gate, only):
    [word] = only(Heartbeat, gate.status())
    assert word.verifiers == court.store.book.digest_keys("gate-1").fingerprint
    court.store.add_gate("gate-1", gate.me.party.dump(), "0a0b")
    [word] = only(Heartbeat, gate.status())
    assert word.verifiers == ""


def test_a_gate_without_reported_keys_gets_its_records_only_after_reporting(court, gate, wang):
    court.store.add_gate("gate-1", gate.me.party.dump(), "0a0b")
    court.store.book.put(wang)
    assert people(court.due()) == []
    assert people(gate.send(RecordRequest)) == []
    [record] = people(gate.send(VerifierKeys, **gate.keys))
    assert (len(record.cards), len(record.pins)) == (1, 2)
    assert gate.send(VerifierKeys, **gate.keys) == [], "once"


def test_keys_are_sealed_in_the_database(court, gate):
    disk = b"".join(file.read_bytes() for file in court.folder.iterdir() if file.is_file())
    assert gate.keys["card"] not in disk
    assert gate.keys["pin"] not in disk


# -- gates too old for verifiers ------------------------------------------------------------------------------------


def test_a_too_old_gate_gets_only_removals_of_access(court, gate, other, wang, person, only):
    court.store.book.put(person(2))
    court.due()
    before = RecordMark(gate.version, gate.digest)
    [command] = only(Command, gate.status(can=OLD))
    assert "old version of gated: update it" in command.reason
    assert not command.is_live, "which no gate carries out"
    assert ("gate-1", "gate_outdated") in court.alarms()
    court.store.book.put(wang)
    assert {record.subject for record in people(m for m in court.due() if m.gate == "gate-1")} == set()
    court.store.book.put(person(3, status="suspended"))
    court.store.book.remove("person/" + person(2).subject)
    told = [record for m in court.due() if m.gate == "gate-1" for record in m.records]
    assert [isinstance(record, Tombstone) or record.status for record in told] == ["suspended", True]
    said = gate.status(can=OLD)
    [word] = only(Heartbeat, said)
    assert (word.version, word.digest) == (before.version, before.digest), "so that it is content with what it has"
    assert only(Command, said) == [], "it is told once"
    asked = [record for message in gate.send(RecordRequest, after=1) for record in message.records]
    assert all(isinstance(record, Tombstone) or record.status == "suspended" for record in asked)
    [word] = only(Heartbeat, gate.status())
    assert word.version == court.store.book.version("gate-1")
    assert ("gate-1", "gate_outdated") not in court.alarms()
    assert {record.subject for record in people(gate.send(RecordRequest, after=gate.version))} >= {wang.subject}


# -- repeated requests ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [{}, {"after": 1}, {"is_snapshot": True}, {"is_snapshot": True, "snapshot": 3}])
def test_requesting_records_that_a_gate_has_raises_an_alarm(court, gate, person, ask):
    for number in range(4):
        court.store.book.put(person(number))
    gate.version = court.store.book.version("gate-1")
    gate.status()
    assert gate.send(RecordRequest, after=gate.version) != []
    assert ("gate-1", "asked_for_all") not in court.alarms()
    assert people(gate.send(RecordRequest, **ask)), "it is answered all the same"
    assert ("gate-1", "asked_for_all") in court.alarms()


def test_a_status_that_claims_no_records_hides_nothing(court, gate, person):
    court.store.book.put(person(1))
    gate.status(records=RecordMark(court.store.book.version("gate-1"), "x"))
    court.restart()
    gate.status(records=RecordMark(0, ""))
    gate.send(RecordRequest)
    assert ("gate-1", "asked_for_all") in court.alarms()


def test_a_first_request_and_the_rest_of_a_snapshot_raise_no_alarm(court, gate, person):
    for number in range(300):
        court.store.book.put(person(number))
    first = gate.send(RecordRequest)
    assert first[0].parts > 1
    gate.send(RecordRequest, is_snapshot=True, snapshot=first[0].version, parts=[1])
    gate.status(records=RecordMark(first[0].version, "x"))
    gate.send(RecordRequest, is_snapshot=True, snapshot=first[0].version, parts=[1])
    assert ("gate-1", "asked_for_all") not in court.alarms()


def test_a_request_after_accepting_people_raises_no_alarm(court, gate, person, only):
    court.store.book.put(person(1))
    gate.version = court.store.book.version("gate-1")
    gate.status()
    placed = court.order(AcceptQuarantined([person(1).subject]))
    [offer] = only(Offer, court.due())
    gate.reply(gate.asks(offer))
    assert court.state(placed) == "done"
    gate.send(RecordRequest, is_snapshot=True)
    assert ("gate-1", "asked_for_all") not in court.alarms()
    court.wait(3600)
    gate.send(RecordRequest, is_snapshot=True, snapshot=1)
    assert ("gate-1", "asked_for_all") in court.alarms()


# -- names ----------------------------------------------------------------------------------------------------------


def test_names_are_sent_only_if_the_site_chose_it_and_can_be_withdrawn(court, gate, wang):
    court.store.book.put(wang)
    court.due()
    for chosen, said in ((True, ("Wang Fang", "blue tag of Wang")), (False, ("", ""))):
        court.store.send_names(chosen)
        [record] = people(message for message in court.due() if isinstance(message, Delta))
        assert (record.name, record.cards[0].label) == said
    version = court.store.book.version("gate-1")
    court.store.send_names(False)
    assert court.store.book.version("gate-1") == version


# -- an old database ------------------------------------------------------------------------------------------------


def old_office(folder, records):
    """Create an office with the schema from before verifiers. It stores these people."""
    folder.mkdir()
    Identity.make().save(folder / KEYS)
    identity = Identity.load(folder / KEYS)
    known = next(number for number, script in enumerate(MIGRATIONS) if "pin_salt" in script)
    with closing(database.connect(folder / DATABASE, MIGRATIONS[:known])) as connection:
        secret = identity.party.seal(bytes(32))
        connection.execute("INSERT INTO office VALUES (1, 'market-south', ?, 9, 0, 0, 'Asia/Shanghai')", (secret,))
        connection.execute(
            "INSERT INTO gates (gate, keys, serial, since) VALUES ('gate-1', ?, '0a', 1)",
            (Identity.make().party.dump().decode(),),
        )
        for n, record in enumerate(records, 1):
            row = (f"person/{record['subject']}", n, identity.party.seal(msgspec.json.encode(record)))
            connection.execute("INSERT INTO records VALUES (?, ?, 0, 0, ?)", row)
    return identity


def test_a_person_stored_before_marks_existed_has_none(tmp_path):
    old_office(tmp_path / "office", [old_person(1)])
    with closing(Store.open(tmp_path / "office")) as store:
        assert store.book.person(f"{1:016x}").mark is None


def old_person(number, **more):
    return {
        "type": "person", "n": 0, "subject": f"{number:016x}", "name": "Wang", "household": "1", "role": "resident",
        "status": "active", "added_at": "2026-11-20T09:00:00Z", "consents": [], "rights": [],
        "cards": [{"id": "c", "number": CARD, "label": "", "valid_from": None, "valid_until": None, "uses": None}],
        "pin": "", "duress_pin": "", "wishes": {}, "face": None, **more,
    }  # fmt: skip


def test_an_upgraded_office_stores_no_readable_pin_and_sends_all_records_again(tmp_path):
    folder = tmp_path / "office"
    identity = old_office(folder, [old_person(1, pin=PIN, duress_pin=DURESS), old_person(2)])
    with closing(Store.open(folder)) as store:
        before = store.book.version("gate-1")
        assert store.convert_readable_pins() == 2
        assert store.convert_readable_pins() == 0
        who = store.book.person(f"{1:016x}")
        assert (who.pin, who.duress_pin, who.has_pin, who.has_duress_pin) == ("", "", True, True)
        assert {pin.is_duress: pin for pin in who.pins} == {
            False: hashed_pin(PIN, store.book.pin_salt, is_duress=False),
            True: hashed_pin(DURESS, store.book.pin_salt, is_duress=True),
        }
        assert {record.subject for record in store.book.after("gate-1", before)} == {f"{n:016x}" for n in (1, 2)}
        rows = store.file._connection.execute("SELECT sealed FROM records").fetchall()
    for row in rows:
        assert PIN.encode() not in identity.open(row["sealed"])
        assert DURESS.encode() not in identity.open(row["sealed"])


def test_a_gate_gets_a_digest_also_for_a_readable_pin(tmp_path):
    folder = tmp_path / "office"
    old_office(folder, [old_person(1, pin=PIN)])
    with closing(Store.open(folder)) as store:
        store.gate_table.store_digest_keys("gate-1", store.identity.party.seal(bytes(range(64))))
        [record] = store.book.after("gate-1", 0)
        assert (record.pin, len(record.pins)) == ("", 1)
        store.book.put(store.book.person(f"{1:016x}"))
        assert isinstance(store.book.live(OfficePerson)[0].pins[0].result, bytes)
        assert store.book.person(f"{1:016x}").pin == ""
