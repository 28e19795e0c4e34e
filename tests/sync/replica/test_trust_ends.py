"""An acceptance ends with its object: replaced keys, removed gates and removed people."""

from contextlib import closing
from datetime import UTC, datetime

import pytest

from gated.errors import EnrolmentError
from gated.gallery.gallery import Gallery
from gated.gallery.holdings import Holdings
from gated.people.acceptances import THIS_GATE
from gated.protocol.envelope import Peer
from gated.protocol.jose import Identity
from gated.protocol.vouching import vouch
from gated.protocol.wire_records import GateRecord, Tombstone, WireConsent
from gated.sync.replica import Replica
from tests.gallery.changes import remove

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
NEW, THIRD, FOURTH = Identity.make(), Identity.make(), Identity.make()


@pytest.fixture
def home(followed, office, kit):
    """A gate that took a person's face, accepted that person's consent to the transfer, and trusts another gate."""
    office.put(gate(kit.other, kit.neighbour), wider(kit))
    followed.hear(office.delta())
    take_face(followed, kit)
    accept_gate(followed, kit, kit.other)
    accept_consents(followed, kit)
    assert shares(followed, kit, kit.other) == 1
    return followed


def gate(name, identity, *vouched):
    return GateRecord(n=0, gate=name, keys=identity.party.dump().decode(), vouched=list(vouched))


def wider(kit, number=1):
    return kit.person(number, consents=kit.consents(number, "recognise", "transfer"))


def take_face(home, kit, like=1):
    with closing(Gallery.open(home.state, kit.site, kit.embedder, kit.dimension)) as gallery:
        with gallery.enrolling():
            gallery.store_capture(gallery.person(kit.subject(1)), [kit.vector(like)], NOON)
        gallery.tidy()


def accept_gate(home, kit, name):
    with closing(Holdings.open(home.state, kit.site)) as holdings:
        for each in holdings.neighbours():
            if each.gate == name:
                assert holdings.trust(name, each.keys, THIS_GATE)
    _ = home.replica.mark


def accept_consents(home, kit):
    with closing(Holdings.open(home.state, kit.site)) as holdings:
        return holdings.agree(holdings.claims())


def hear(home, office, *records):
    before = office.version
    office.put(*records)
    home.hear(office.delta(before))
    _ = home.replica.mark


def shares(home, kit, to):
    try:
        return home.replica.share(kit.subject(1), to).face.count
    except EnrolmentError:
        return 0


def test_replaced_keys_stay_untrusted_when_they_return(home, office, kit):
    """Attack: the gate's SD card is stolen, and the gate is paired again. A stolen office then sends its old keys."""
    hear(home, office, gate(kit.other, NEW))
    hear(home, office, gate(kit.other, kit.neighbour))
    assert shares(home, kit, kit.other) == 0
    accept_gate(home, kit, kit.other)
    assert shares(home, kit, kit.other) == 1


def test_an_old_signature_makes_no_replaced_keys_trusted_again(home, office, kit):
    old, new = (vouch(kit.neighbour, kit.site, kit.other, "gate-4", each.party) for each in (THIRD, NEW))
    hear(home, office, gate("gate-4", THIRD, old))
    assert shares(home, kit, "gate-4") == 1
    hear(home, office, gate("gate-4", NEW, old, new))
    assert shares(home, kit, "gate-4") == 1
    hear(home, office, gate("gate-4", THIRD, old, new))
    assert shares(home, kit, "gate-4") == 0


def test_replaced_keys_sign_for_nobody(home, office, kit):
    hear(home, office, gate(kit.other, NEW))
    accept_gate(home, kit, kit.other)
    hear(home, office, gate("gate-4", THIRD, vouch(kit.neighbour, kit.site, kit.other, "gate-4", THIRD.party)))
    assert shares(home, kit, "gate-4") == 0
    hear(home, office, gate("gate-3b", kit.neighbour))
    accept_gate(home, kit, "gate-3b")
    hear(home, office, gate("gate-4", THIRD, vouch(kit.neighbour, kit.site, "gate-3b", "gate-4", THIRD.party)))
    assert shares(home, kit, "gate-4") == 0


def test_gates_trusted_through_a_removed_gate_lose_trust_at_any_distance(home, office, kit):
    """Attack: a stolen gate vouches for the thief's second gate, and that gate vouches for a third."""
    hear(home, office, gate("gate-4", THIRD, vouch(kit.neighbour, kit.site, kit.other, "gate-4", THIRD.party)))
    hear(home, office, gate("gate-5", FOURTH, vouch(THIRD, kit.site, "gate-4", "gate-5", FOURTH.party)))
    assert [shares(home, kit, name) for name in ("gate-4", "gate-5")] == [1, 1]
    hear(home, office, Tombstone(n=0, key=f"gate/{kit.other}"))
    assert [shares(home, kit, name) for name in (kit.other, "gate-4", "gate-5")] == [0, 0, 0]
    home.restart()
    assert [shares(home, kit, name) for name in (kit.other, "gate-4", "gate-5")] == [0, 0, 0]


def test_another_trusted_gate_may_vouch_in_place_of_a_removed_one(home, office, kit):
    hear(home, office, gate("gate-6", NEW))
    accept_gate(home, kit, "gate-6")
    tokens = [vouch(kit.neighbour, kit.site, kit.other, "gate-4", THIRD.party),
              vouch(NEW, kit.site, "gate-6", "gate-4", THIRD.party)]  # fmt: skip
    hear(home, office, gate("gate-4", THIRD, *tokens))
    hear(home, office, Tombstone(n=0, key=f"gate/{kit.other}"))
    assert shares(home, kit, "gate-4") == 1


@pytest.mark.parametrize("whose", ["the old keys", "the new keys"])
def test_a_gate_with_waiting_keys_vouches_for_no_gate(home, office, kit, whose):
    signer = kit.neighbour if whose == "the old keys" else NEW
    own = vouch(signer, kit.site, kit.other, kit.other, NEW.party)
    hear(home, office, gate(kit.other, NEW, own))
    hear(home, office, gate("gate-4", THIRD, vouch(signer, kit.site, kit.other, "gate-4", THIRD.party)))
    assert [shares(home, kit, name) for name in (kit.other, "gate-4")] == [0, 0]


def test_new_office_keys_change_no_acceptance(home, office, kit):
    """A hand-over: gates and consents from the new office wait as usual, and accepted ones still count."""
    home.replica.close()
    peer = Peer(kit.me, Identity.make().party, kit.site, kit.gate)
    home.replica = Replica(home.state, peer, kit.embedder, kit.dimension, kit.threshold, 100, home.events.append, print)
    hear(home, office, gate("gate-9", NEW), gate(kit.other, kit.neighbour))
    assert [shares(home, kit, name) for name in (kit.other, "gate-9")] == [1, 0]


@pytest.mark.parametrize("says", ["the consent once more", "the consent on another paper"])
def test_an_old_backup_of_the_office_restores_no_withdrawn_consent(home, office, kit, says):
    hear(home, office, kit.person(1))
    assert shares(home, kit, kit.other) == 0
    papers = kit.consents(1 if says == "the consent once more" else 7, "recognise", "transfer")
    hear(home, office, kit.person(1, consents=papers))
    home.restart()
    assert shares(home, kit, kit.other) == 0


def test_an_older_gate_record_restores_no_older_keys(home, office, kit):
    hear(home, office, gate(kit.other, kit.neighbour))
    old = office.records[f"gate/{kit.other}"]
    hear(home, office, gate(kit.other, NEW))
    home.hear(home_delta(office, old))
    assert shares(home, kit, kit.other) == 0


def home_delta(office, record):
    delta = office.delta(office.version)
    return type(delta)(site=delta.site, gate=delta.gate, after=0, upto=office.version, records=[record])


def test_an_acceptance_covers_the_shown_consents_and_no_later_ones(followed, office, kit):
    """Attack: while a person reads the list, the office adds a purpose, or another paper."""
    office.put(wider(kit))
    followed.hear(office.delta())
    take_face(followed, kit)
    with closing(Holdings.open(followed.state, kit.site)) as holdings:
        seen = holdings.claims()
        hear(followed, office, kit.person(1, consents=kit.consents(1, "recognise", "transfer", "advertise")))
        assert holdings.agree(seen) == 1
        assert holdings.agreed(kit.subject(1)) == {"transfer"}
        assert [claim.purpose for claim in holdings.claims()] == ["advertise"]
        paper = WireConsent("advertise", "another paper", "notice-3", NOON.isoformat())
        seen = holdings.claims()
        hear(followed, office, kit.person(1, consents=[*kit.consents(1, "recognise", "transfer"), paper]))
        assert holdings.agree(seen) == 0
        assert holdings.agreed(kit.subject(1)) == {"transfer"}


def test_without_consent_to_recognition_no_other_consent_counts(home, office, kit):
    """Attack: the office takes the consent to recognition away and gives it back. She stands at the gate by chance."""
    hear(home, office, kit.person(1, consents=kit.consents(1, "transfer")))
    hear(home, office, wider(kit))
    take_face(home, kit)
    with closing(Holdings.open(home.state, kit.site)) as holdings:
        assert holdings.accept(kit.subject(1)), "the face of somebody who had one waits"
    assert shares(home, kit, kit.other) == 0
    assert accept_consents(home, kit) == 1
    assert shares(home, kit, kit.other) == 1


@pytest.mark.parametrize("made", ["here", "elsewhere"])
@pytest.mark.parametrize("how", ["at the gate", "by the office"])
def test_a_held_face_of_a_removed_person_cannot_be_accepted(home, office, kit, made, how):
    if made == "here":
        take_face(home, kit, like=9)
    else:
        hear(home, office, kit.person(1, consents=kit.consents(1, "recognise"), face=kit.face(1, like=9)))
    if how == "at the gate":
        with closing(Gallery.open(home.state, kit.site, kit.embedder, kit.dimension)) as gallery:
            remove(gallery, kit.subject(1))
    else:
        hear(home, office, Tombstone(n=0, key=f"person/{kit.subject(1)}"))
    with closing(Holdings.open(home.state, kit.site)) as holdings:
        assert holdings.quarantined() == []
        assert not holdings.accept(kit.subject(1))
    hear(home, office, kit.person(1, consents=kit.consents(1, "recognise"), face=kit.face(1, like=9)))
    assert home.finds(9) == (kit.subject(1) if how == "at the gate" else None), "a first face of somebody new"
    assert home.finds(1) is None
