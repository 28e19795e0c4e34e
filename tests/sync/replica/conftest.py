"""Fixtures: an office's records without a wire, and one gate that follows them."""

import shutil
from contextlib import closing
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from gated.events import RecordsApplied
from gated.gallery.gallery import Gallery
from gated.office.gate_records import DigestKeys, as_sent
from gated.office.office_person import OfficeCard, OfficePerson, without_readable_pins
from gated.people.credential_store import Credentials
from gated.people.keyring import KeyRing
from gated.protocol.envelope import Peer
from gated.protocol.jose import Identity
from gated.protocol.record_keys import digest_of, key_of
from gated.protocol.record_messages import Delta, RecordRequest, SnapshotPart
from gated.protocol.status_messages import Heartbeat
from gated.protocol.wire_records import AnyPerson, HouseholdRecord, PersonRecord, RoleRecord, Tombstone, WireConsent
from gated.storage import sql
from gated.storage.vault import CARD, PIN, Vault
from gated.sync.person_records import is_readable
from gated.sync.replica import Replica
from gated.sync.sealed_faces import seal_face
from gated.sync.snapshot import SnapshotStore

SITE, GATE, OTHER = "market-south", "gate-2", "gate-3"
ME, OFFICE, NEIGHBOUR = Identity.make(), Identity.make(), Identity.make()
EMBEDDER, DIMENSION, THRESHOLD = "ab" * 32, 32, 0.7
AT = "2026-03-01T09:30:00+00:00"
US = {"site": SITE, "gate": GATE}
SITE_KEY, SALT = bytes(range(32)), bytes(range(16))
VAULT = Vault(SITE_KEY, SITE)
KEYS = DigestKeys(VAULT.key_for(CARD), VAULT.key_for(PIN))
"""The keys with which the gates of these tests digest cards and PINs."""


def subject(number):
    return f"{number:016x}"


def vector(number, picture=0):
    """Return a unit vector for a person number; `picture` gives a vector near it, as of another picture."""
    made = np.random.default_rng(number).standard_normal(DIMENSION)
    if picture:
        made += 0.1 * np.random.default_rng((number, picture)).standard_normal(DIMENSION)
    return (made / np.linalg.norm(made)).astype(np.float32)


def face(number, like=None, embedder=EMBEDDER, pictures=1):
    """Return a person's face, sealed to this gate as by the gate of enrolment.

    With `like`, the vectors are another person's.
    """
    which = number if like is None else like
    templates = [(f"{which}-{picture}", vector(which, picture)) for picture in range(pictures)]
    return seal_face(ME.party, subject(number), embedder, templates)


def consents(number, *purposes):
    return [WireConsent(purpose, f"paper-2026-{number:05}", "notice-3", AT) for purpose in purposes]


def person(number, **other):
    """Return the record of person `number`; its record number is 0 until `Office.put` sets it."""
    values = {
        "name": f"Resident Number {number}",
        "household": f"Block 4 Flat {number}",
        "added_at": AT,
        "consents": consents(number, "recognise"),
    }
    return PersonRecord(n=0, subject=subject(number), **(values | other))


def sent(record):
    """Return a record as an office sends it to the gates of these tests: cards and PINs as digests."""
    if not isinstance(record, PersonRecord) or not is_readable(record):
        return record
    fields = {name: getattr(record, name) for name in AnyPerson.__struct_fields__}
    cards = [OfficeCard(c.id, c.number, c.label, c.valid_from, c.valid_until, c.uses) for c in record.cards]
    who = without_readable_pins(OfficePerson(**fields, cards=cards, pin=record.pin, duress_pin=record.duress_pin), SALT)
    return msgspec.structs.replace(as_sent(who, KEYS, with_names=True), face=record.face)


class Office:
    """An office's state: one record counter, and the newest record of each key."""

    def __init__(self):
        self.version, self.records, self.beat = 0, {}, 0

    def put(self, *records):
        """Store new versions of these records and return them with their numbers."""
        said = []
        for record in records:
            self.version += 1
            said.append(msgspec.structs.replace(sent(record), n=self.version))
            self.records[key_of(record)] = said[-1]
        return said

    def remove(self, number):
        return self.put(Tombstone(n=0, key=f"person/{subject(number)}"))

    @property
    def live(self):
        return [record for record in self.records.values() if not isinstance(record, Tombstone)]

    @property
    def digest(self):
        return digest_of((key_of(record), record.n) for record in self.live)

    def delta(self, after=0, upto=None):
        upto = self.version if upto is None else upto
        records = [record for record in self.records.values() if after < record.n <= upto]
        return Delta(**US, after=after, upto=upto, records=sorted(records, key=lambda record: record.n))

    def word(self):
        self.beat += 1
        mine = {"version": self.version, "digest": self.digest, "verifiers": KEYS.fingerprint}
        return Heartbeat(**US, challenge="c", number=self.beat, at=AT, **mine)

    def snapshot(self, size=2):
        """Return all parts of a snapshot, with at most `size` records in each part."""
        live, version = self.live, self.version
        groups = [live[start : start + size] for start in range(0, len(live), size)] or [[]]
        return [
            SnapshotPart(**US, version=version, digest=self.digest, part=part, parts=len(groups), records=records)
            for part, records in enumerate(groups)
        ]

    def answer(self, request, size=2):
        """Return an honest office's answer to a request."""
        if not request.is_snapshot:
            return [self.delta(request.after)]
        parts = self.snapshot(size)
        if request.snapshot != self.version:
            return parts[:16]
        return [parts[number] for number in request.parts if number < len(parts)]


class Followed:
    """A gate's replica that records its events and changes."""

    def __init__(self, state, most_new_per_hour=1000, embedder=EMBEDDER, most_new_in_batch=0, composite=None):
        self.state, self.most, self.embedder = state, most_new_per_hour, embedder
        self.in_all, self.composite = most_new_in_batch, composite
        self.events, self.changes, self.now = [], 0, 0.0
        self.open()

    def open(self):
        peer = Peer(ME, OFFICE.party, SITE, GATE)
        self.replica = Replica(
            self.state, peer, self.embedder, DIMENSION, THRESHOLD, self.most, self.events.append, self.changed,
            most_new_in_batch=self.in_all, composite=self.composite,
        )  # fmt: skip
        self.replica.wall = datetime.now(UTC)

    def changed(self):
        self.changes += 1

    def restart(self):
        self.replica.close()
        self.open()

    def hear(self, *messages):
        return [said for message in messages for said in self.replica.handle_records(message, self.now)]

    def hear_word(self, word):
        return self.replica.handle_heartbeat(word, self.now)

    def converge(self, office, size=2):
        """Exchange messages with an honest office until the gate requests nothing more."""
        for _ in range(20):
            self.now += 5.0
            said = self.hear_word(office.word())
            if not said:
                return
            while said:
                said = [
                    s for ask in said if isinstance(ask, RecordRequest) for s in self.hear(*office.answer(ask, size))
                ]
        raise AssertionError("gate and office do not come to an end")

    def people(self):
        """Return all people at the gate, by id."""
        with closing(Gallery.open(self.state, SITE, self.embedder, DIMENSION)) as gallery:
            return {person.subject: person for person in gallery.people()}

    def finds(self, number):
        """Return the id of the person found by this person's face; None if no score reaches `THRESHOLD`."""
        with closing(Gallery.open(self.state, SITE, self.embedder, DIMENSION)) as gallery:
            found = gallery.search(vector(number))
        return found[0].subject if found and found[0].score >= THRESHOLD else None

    def ring(self):
        """Return cards, PINs, access rules and schedules, as the entrance reads them."""
        with closing(Credentials.open(self.state, SITE)) as store:
            return KeyRing.of(store)

    def store(self):
        return closing(Credentials.open(self.state, SITE))

    def facts(self, *kinds):
        """Return the reported events of these kinds; without kinds, all events except `RecordsApplied`."""
        return [e for e in self.events if (isinstance(e, kinds) if kinds else not isinstance(e, RecordsApplied))]

    def traces(self, *texts):
        """Return the names of the files in the state folder that contain any of these bytes."""
        files = [file for file in self.state.rglob("*") if file.is_file()]
        return [file.name for file in files if any(text in file.read_bytes() for text in texts)]


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def office():
    return Office()


@pytest.fixture(scope="session")
def empty_state(tmp_path_factory):
    """The state folder of a gate that has followed no records yet. Tests copy it, because creating schemas is slow."""
    state = tmp_path_factory.mktemp("empty") / "state"
    (state / "keys").mkdir(0o700, parents=True)
    (state / "keys" / "site.key").write_bytes(SITE_KEY)
    (state / "keys" / "site.key").chmod(0o600)
    Followed(state).replica.close()
    return state


@pytest.fixture
def follow(empty_state, tmp_path):
    """A factory of gates, each with its own state folder."""
    made = []

    def make(**settings):
        state = tmp_path / f"gate{len(made)}"
        shutil.copytree(empty_state, state)
        made.append(Followed(state, **settings))
        return made[-1]

    yield make
    for gate in made:
        gate.replica.close()


@pytest.fixture
def followed(follow):
    return follow()


@pytest.fixture
def staging(tmp_path):
    staging = SnapshotStore(tmp_path, ME)
    yield staging
    staging.close()


@pytest.fixture
def careless(monkeypatch):
    """Switch off waiting for the disk. Use it in tests of what is stored, not of whether it survives a power cut."""
    monkeypatch.setattr(sql, "PRAGMAS", sql.PRAGMAS.replace("synchronous = FULL", "synchronous = OFF"))


@pytest.fixture
def kit():
    """The makers of records and faces, for tests that cannot import this file."""

    class Kit:
        pass

    for value in (Office, Followed, subject, vector, face, consents, person, sent, HouseholdRecord, RoleRecord):
        setattr(Kit, value.__name__, staticmethod(value) if not isinstance(value, type) else value)
    Kit.keys, Kit.vault = KEYS, VAULT
    Kit.me, Kit.office, Kit.neighbour = ME, OFFICE, NEIGHBOUR
    Kit.site, Kit.gate, Kit.other, Kit.us = SITE, GATE, OTHER, US
    Kit.embedder, Kit.dimension, Kit.threshold = EMBEDDER, DIMENSION, THRESHOLD
    return Kit
