"""The office's key alone moves no face away from a gate.

Other gates' keys and wider consents wait until a person at the gate accepts them.
"""

import itertools
from contextlib import closing
from datetime import UTC, datetime

import msgspec
import pytest

from gated.errors import EnrolmentError, UnacceptedError
from gated.events import ConsentHeld, FaceShared, GateAccepted, GateHeld
from gated.gallery.enrolment import enrol_known
from gated.gallery.gallery import Gallery
from gated.gallery.holdings import Holdings
from gated.people.acceptances import THIS_GATE
from gated.people.store import Consent, People, Person
from gated.protocol.command_messages import Enrol
from gated.protocol.face_messages import Vouching
from gated.protocol.jose import Identity, Party
from gated.protocol.vouching import fingerprint, is_same_print, newly_trusted, parsed, signers, vouch
from gated.protocol.wire_records import GateRecord, Tombstone

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
THIEF, THIRD = Identity.make(), Identity.make()


def gate(name, identity, *vouched):
    return GateRecord(n=0, gate=name, keys=identity.party.dump().decode(), vouched=list(vouched))


@pytest.fixture
def home(followed, office, kit):
    """A gate with one person whose face was taken here. The person agreed to recognition only."""
    office.put(kit.person(1))
    followed.hear(office.delta())
    take_face(followed, kit, 1)
    followed.replica.due(0.0)
    return followed


def take_face(followed, kit, number):
    with closing(Gallery.open(followed.state, kit.site, kit.embedder, kit.dimension)) as gallery:
        with gallery.enrolling():
            gallery.store_capture(gallery.person(kit.subject(number)), [kit.vector(number)], NOON)
        gallery.tidy()


def accept(followed, name=None):
    """Accept all waiting consents at the gate; with `name`, accept the keys of that gate."""
    with closing(Holdings.open(followed.state, "market-south")) as holdings:
        if name is None:
            return holdings.agree(holdings.claims())
        return [holdings.trust(each.gate, each.keys, THIS_GATE) for each in holdings.neighbours() if each.gate == name]


def shares(followed, kit, to):
    try:
        return followed.replica.share(kit.subject(1), to).face.count
    except EnrolmentError:
        return 0


def wider(kit, number=1):
    return kit.person(number, consents=kit.consents(number, "recognise", "transfer"))


def test_three_signed_messages_give_no_face_to_the_office(home, office, kit):
    """Attack: the thief's own gate, a consent that no person gave, and `share`, in any order."""
    office.put(gate("gate-9", THIEF), wider(kit))
    home.hear(office.delta(1))
    with pytest.raises(UnacceptedError, match="accepted by nobody here"):
        home.replica.share(kit.subject(1), "gate-9")
    assert home.facts(FaceShared) == []
    assert [fact.gate for fact in home.facts(GateHeld)] == ["gate-9"]
    assert home.facts(ConsentHeld) == [ConsentHeld(kit.subject(1))]
    for _ in range(2):
        home.restart()
        home.hear_word(office.word())
        assert shares(home, kit, "gate-9") == 0


@pytest.mark.parametrize("accepted", list(itertools.product([False, True], repeat=2)))
def test_a_face_is_shared_only_after_both_acceptances_at_the_gate(home, office, kit, accepted):
    office.put(gate(kit.other, kit.neighbour), wider(kit))
    home.hear(office.delta(1))
    is_gate, is_consent = accepted
    if is_gate:
        assert accept(home, kit.other) == [True]
    if is_consent:
        assert accept(home) == 1
    home.restart()
    assert shares(home, kit, kit.other) == (1 if all(accepted) else 0)


def test_an_enrolment_commanded_by_the_office_makes_no_consent_count(followed, office, kit):
    """Attack: a thief with the office's key commands the taking of her face while she happens to stand at the gate."""
    office.put(wider(kit), gate(kit.other, kit.neighbour))
    followed.hear(office.delta())
    take_face(followed, kit, 1)
    accept(followed, kit.other)
    assert shares(followed, kit, kit.other) == 0
    assert accept(followed) == 1
    assert shares(followed, kit, kit.other) == 1


def test_a_consent_counts_at_once_for_an_enrolment_at_the_gate(followed, office, kit):
    person = Person(kit.subject(1), "Ann", "2-401", "active", NOON, tuple(
        Consent(purpose, "paper-1", "1", NOON) for purpose in ("recognise", "transfer")))  # fmt: skip
    with closing(Gallery.open(followed.state, kit.site, kit.embedder, kit.dimension)) as gallery, gallery.enrolling():
        gallery.add(person, [kit.vector(1)])
    office.put(gate(kit.other, kit.neighbour))
    followed.hear(office.delta())
    accept(followed, kit.other)
    assert shares(followed, kit, kit.other) == 1
    assert followed.facts(ConsentHeld) == []


def test_a_consent_given_here_and_at_the_office_needs_no_acceptance(followed, office, kit):
    office.put(kit.person(1), gate(kit.other, kit.neighbour))
    followed.hear(office.delta())
    accept(followed, kit.other)
    given = [Consent("transfer", "paper-9", "1", NOON)]
    with closing(Gallery.open(followed.state, kit.site, kit.embedder, kit.dimension)) as gallery:
        enrol_known(gallery, kit.subject(1), [kit.vector(1)], threshold=0.7, at=NOON, given=lambda: given)
    assert shares(followed, kit, kit.other) == 1
    office.put(wider(kit))
    followed.hear(office.delta(office.version - 1))
    assert shares(followed, kit, kit.other) == 1
    assert followed.facts(ConsentHeld) == []
    for record in (kit.person(1), wider(kit)):  # the office takes the consent back, and then sends it again
        office.put(record)
        followed.hear(office.delta(office.version - 1))
        assert shares(followed, kit, kit.other) == 0
    assert followed.facts(ConsentHeld) == [ConsentHeld(kit.subject(1))]


def test_an_enrolment_command_has_no_field_for_a_consent(kit):
    """Attack: the command to enrol itself claims a consent."""
    said = {"type": "enrol", "subject": kit.subject(1), "within_s": 60.0, "consents": ["transfer"], "transfer": True}
    read = msgspec.json.decode(msgspec.json.encode(said), type=Enrol)
    assert msgspec.to_builtins(read) == {"type": "enrol", "subject": kit.subject(1), "within_s": 60.0}


def test_later_consents_are_accepted_together_in_one_step(followed, office, kit):
    office.put(*(kit.person(number) for number in range(1, 6)), gate(kit.other, kit.neighbour))
    followed.hear(office.delta())
    for number in range(1, 6):
        take_face(followed, kit, number)
    office.put(*(wider(kit, number) for number in range(1, 6)))
    followed.hear(office.delta(6))
    accept(followed, kit.other)
    with closing(Holdings.open(followed.state, kit.site)) as holdings:
        assert holdings.disputed() == [kit.subject(number) for number in range(1, 6)]
    assert accept(followed) == 5
    assert all(followed.replica.share(kit.subject(number), kit.other) for number in range(1, 6))


def test_a_withdrawn_consent_that_returns_must_be_accepted_again(home, office, kit):
    office.put(gate(kit.other, kit.neighbour), wider(kit))
    home.hear(office.delta(1))
    accept(home, kit.other)
    accept(home)
    assert shares(home, kit, kit.other) == 1
    for record in (kit.person(1), wider(kit)):
        office.put(record)
        home.hear(office.delta(office.version - 1))
        assert shares(home, kit, kit.other) == 0
    accept(home)
    assert shares(home, kit, kit.other) == 1


@pytest.mark.parametrize("how", ["other keys", "its sealing key alone", "gone and back", "another spelling"])
def test_changed_keys_of_a_trusted_gate_wait_again(home, office, kit, how):
    office.put(gate(kit.other, kit.neighbour), wider(kit))
    home.hear(office.delta(1))
    accept(home, kit.other)
    accept(home)
    mine, its = msgspec.json.decode(kit.neighbour.party.dump()), msgspec.json.decode(THIEF.party.dump())
    mixed = {"keys": [mine["keys"][0], its["keys"][1]]}
    if how == "gone and back":
        office.put(Tombstone(n=0, key=f"gate/{kit.other}"))
        home.hear(office.delta(3))
    changed = {
        "other keys": gate(kit.other, THIEF),
        "its sealing key alone": GateRecord(n=0, gate=kit.other, keys=msgspec.json.encode(mixed).decode()),
        "gone and back": gate(kit.other, kit.neighbour),
        "another spelling": gate("Gate-3", THIEF),
    }[how]
    office.put(changed)
    home.hear(office.delta(office.version - 1))
    if how == "another spelling":
        assert shares(home, kit, "Gate-3") == 0
        assert shares(home, kit, kit.other) == 1
    else:
        assert shares(home, kit, kit.other) == 0


def test_repeated_keys_need_no_acceptance(home, office, kit):
    office.put(gate(kit.other, kit.neighbour), wider(kit))
    home.hear(office.delta(1))
    accept(home, kit.other)
    accept(home)
    office.put(gate(kit.other, kit.neighbour))
    home.hear(office.delta(office.version - 1))
    assert shares(home, kit, kit.other) == 1


def test_an_acceptance_covers_the_keys_that_were_shown_and_no_newer_ones(home, office, kit):
    office.put(gate(kit.other, kit.neighbour))
    home.hear(office.delta(1))
    with closing(Holdings.open(home.state, kit.site)) as holdings:
        (seen,) = holdings.neighbours()
        office.put(gate(kit.other, THIEF))
        home.hear(office.delta(office.version - 1))
        assert not holdings.trust(seen.gate, seen.keys, THIS_GATE)


def test_a_trusted_gate_vouches_for_another(home, office, kit):
    token = vouch(kit.neighbour, kit.site, kit.other, "gate-4", THIRD.party)
    office.put(gate(kit.other, kit.neighbour), gate("gate-4", THIRD, token), wider(kit))
    home.hear(office.delta(1))
    accept(home)
    assert shares(home, kit, "gate-4") == 0
    accept(home, kit.other)
    home.replica.mark  # noqa: B018 - the link reads it every second
    assert shares(home, kit, "gate-4") == 1
    assert [(fact.gate, fact.by) for fact in home.facts(GateAccepted)] == [("gate-4", kit.other)]


@pytest.mark.parametrize(
    "forged",
    [
        lambda kit: vouch(THIEF, kit.site, kit.other, "gate-9", THIEF.party),
        lambda kit: vouch(kit.neighbour, kit.site, kit.other, "gate-8", THIEF.party),
        lambda kit: vouch(kit.neighbour, kit.site, kit.other, "gate-9", THIRD.party),
        lambda kit: vouch(kit.neighbour, "elsewhere", kit.other, "gate-9", THIEF.party),
        lambda kit: vouch(kit.neighbour, kit.site, "gate-9", "gate-9", THIEF.party),
        lambda kit: vouch(kit.office, kit.site, kit.other, "gate-9", THIEF.party),
        lambda kit: kit.neighbour.sign("status", b"{}").decode(),
        lambda kit: "",
        lambda kit: "a.b.c",
    ],
)
def test_a_forged_signature_makes_no_gate_trusted(home, office, kit, forged):
    office.put(gate(kit.other, kit.neighbour), wider(kit), gate("gate-9", THIEF, forged(kit)))
    home.hear(office.delta(1))
    accept(home)
    accept(home, kit.other)
    home.replica.mark  # noqa: B018
    assert shares(home, kit, "gate-9") == 0


def test_two_gates_that_only_vouch_for_each_other_are_not_trusted(home, office, kit):
    other = Identity.make()
    office.put(
        wider(kit),
        gate("gate-8", other, vouch(THIEF, kit.site, "gate-9", "gate-8", other.party)),
        gate("gate-9", THIEF, vouch(other, kit.site, "gate-8", "gate-9", THIEF.party)),
        gate(kit.gate, THIEF, vouch(THIEF, kit.site, kit.gate, kit.gate, THIEF.party)),
    )
    home.hear(office.delta(1))
    accept(home)
    home.replica.mark  # noqa: B018
    assert [shares(home, kit, name) for name in ("gate-8", "gate-9", kit.gate)] == [0, 0, 0]


def test_a_removed_gate_vouches_for_no_gate_any_more(home, office, kit):
    token = vouch(kit.neighbour, kit.site, kit.other, "gate-4", THIRD.party)
    office.put(gate(kit.other, kit.neighbour), wider(kit), gate("gate-4", THIRD, token))
    home.hear(office.delta(1))
    accept(home)
    accept(home, kit.other)
    home.replica.mark  # noqa: B018
    assert shares(home, kit, "gate-4") == 1
    office.put(Tombstone(n=0, key=f"gate/{kit.other}"))
    home.hear(office.delta(office.version - 1))
    assert shares(home, kit, "gate-4") == 0
    office.put(gate("gate-3b", kit.neighbour), gate("gate-4", THIRD, vouch(kit.neighbour, kit.site, "gate-3b", "gate-4",
                                                                              THIRD.party)))  # fmt: skip
    home.hear(office.delta(office.version - 2))
    home.replica.mark  # noqa: B018
    assert shares(home, kit, "gate-4") == 0


def test_acceptances_of_this_gate_are_sent_once_for_each_connection(home, office, kit):
    office.put(gate(kit.other, kit.neighbour))
    home.hear(office.delta(1))
    assert home.replica.due(1.0) == []
    accept(home, kit.other)
    (said,) = home.replica.due(2.0)
    assert isinstance(said, Vouching)
    assert (said.to, signers([said.vouched])) == (kit.other, [kit.gate])
    assert home.replica.due(3.0) == []
    home.replica.restart()
    assert home.replica.due(4.0) == [said]


def test_only_gates_accepted_in_person_are_vouched_for(home, office, kit):
    token = vouch(kit.neighbour, kit.site, kit.other, "gate-4", THIRD.party)
    office.put(gate(kit.other, kit.neighbour), gate("gate-4", THIRD, token))
    home.hear(office.delta(1))
    accept(home, kit.other)
    home.replica.mark  # noqa: B018
    assert {said.to for said in home.replica.due(1.0)} == {kit.other}


def test_a_fingerprint_covers_the_gate_and_both_its_keys(kit):
    shown = fingerprint(kit.site, kit.other, kit.neighbour.party)
    assert len(shown.split()) == 8
    assert is_same_print(shown.upper().replace(" ", ""), shown)
    assert not is_same_print("", "")
    others = {
        fingerprint(kit.site, kit.other, THIEF.party),
        fingerprint(kit.site, "gate-4", kit.neighbour.party),
        fingerprint("elsewhere", kit.other, kit.neighbour.party),
        fingerprint(kit.site, kit.other, "no keys"),
    }
    assert shown not in others
    assert len(others) == 4


def test_consents_older_than_acceptances_stay_valid(tmp_path, kit, monkeypatch):
    """Starts from a database with the schema before the trust tables, with one gate and one person who agreed."""
    from gated.people import schema, store

    monkeypatch.setattr(store, "MIGRATIONS", store.MIGRATIONS[: store.MIGRATIONS.index(schema.ACCEPTANCES)])
    Holdings.open(tmp_path, kit.site).close()
    with closing(People(tmp_path).connection) as old, old:
        old.execute("INSERT INTO gates VALUES ('gate-3', 'keys')")
        old.execute("INSERT INTO people VALUES ('aa', 'n', 'h', 'active', '2026-01-01T00:00:00+00:00', 'resident', '')")
        for purpose in ("recognise", "transfer"):
            row = ("aa", purpose, "paper", "1", "2026-01-01T00:00:00+00:00")
            old.execute("INSERT INTO consents VALUES (?, ?, ?, ?, ?)", row)
    monkeypatch.undo()
    with closing(Holdings.open(tmp_path, kit.site)) as holdings:
        (known,) = holdings.neighbours()
        assert (known.gate, known.is_trusted, known.by) == ("gate-3", True, "*")
        assert holdings.agreed("aa") == {"transfer"}
        assert newly_trusted(kit.site, kit.gate, [known], []) == []


def test_the_keys_of_a_gate_are_verified_once_and_not_with_every_record(home, office, kit, monkeypatch):
    proofs, seal = [], Party.seal
    monkeypatch.setattr(Party, "seal", lambda self, text: proofs.append(self.kid) or seal(self, text))
    office.put(gate("gate-9", Identity.make()))
    home.hear(office.delta(home.replica.mark.version))
    assert home.replica.mark.version == office.version
    before = len(proofs)
    for number in range(2, 6):
        office.put(kit.person(number))
        home.hear(office.delta(home.replica.mark.version))
        assert home.replica.mark.version == office.version
    assert len(proofs) == before > 0


def test_invalid_keys_are_refused_each_time():
    for _ in range(2):
        assert parsed("{}") is None
        assert parsed(THIEF.party.dump().decode()).kid == THIEF.party.kid
