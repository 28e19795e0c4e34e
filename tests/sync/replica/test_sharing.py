"""A face goes to another gate only sealed to that gate, and only with the person's consent accepted here."""

from contextlib import closing
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from gated.embedding import check_embedding
from gated.errors import EnrolmentError, SealError, WireError
from gated.events import FaceShared
from gated.gallery.gallery import Gallery
from gated.gallery.holdings import Holdings
from gated.people.acceptances import THIS_GATE, Claim
from gated.protocol.envelope import Peer
from gated.protocol.face_messages import FaceTemplates, SharedFace
from gated.protocol.limits import MAX_PLAIN_BYTES, MAX_TEMPLATES
from gated.protocol.wire_records import GateRecord, PersonRecord
from gated.sync.sealed_faces import open_face, seal_face

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def sharing(followed, office, kit):
    """A gate with a person who has a face and agreed to the transfer, and with a second gate.

    Both are accepted here.
    """
    office.put(
        kit.person(1, face=kit.face(1, pictures=3), consents=kit.consents(1, "recognise", "transfer")),
        GateRecord(n=0, gate=kit.other, keys=kit.neighbour.party.dump().decode()),
    )
    followed.hear(office.delta())
    with closing(Holdings.open(followed.state, kit.site)) as holdings:  # a person at the gate accepts both
        holdings.trust(kit.other, holdings.keys_of(kit.other), THIS_GATE)
        consents = kit.consents(1, "transfer")
        holdings.agree([Claim(kit.subject(1), each.purpose, each.reference) for each in consents])
    return followed


def test_the_receiving_gate_opens_a_face_sealed_to_it(sharing, kit):
    shared = sharing.replica.share(kit.subject(1), kit.other)
    assert isinstance(shared, SharedFace)
    assert (shared.subject, shared.to, shared.face.count) == (kit.subject(1), kit.other, 3)
    vectors = open_face(kit.neighbour, shared.face, kit.subject(1), kit.embedder, kit.dimension)
    expected = sorted(kit.vector(1, picture).tobytes() for picture in range(3))
    assert sorted(vector.tobytes() for vector in vectors) == expected
    assert sharing.facts(FaceShared) == [FaceShared(kit.subject(1), kit.other)]


def test_neither_the_office_nor_the_sending_gate_opens_the_face(sharing, kit):
    shared = sharing.replica.share(kit.subject(1), kit.other)
    for reader in (kit.office, kit.me):
        with pytest.raises(SealError):
            reader.open(shared.face.sealed.encode())
    assert kit.vector(1).tobytes() not in msgspec.json.encode(shared)


def test_a_shared_face_is_used_at_the_other_gate(sharing, office, kit, follow):
    shared = sharing.replica.share(kit.subject(1), kit.other)
    there = follow()
    there.replica.close()
    peer = Peer(kit.neighbour, kit.office.party, kit.site, kit.other)
    there.replica = type(there.replica)(
        there.state, peer, kit.embedder, kit.dimension, kit.threshold, 9, there.events.append, there.changed
    )
    office.put(kit.person(1, face=shared.face))
    there.hear(msgspec.structs.replace(office.delta(), gate=kit.other))
    assert there.finds(1) == kit.subject(1)


def test_an_unchanged_face_keeps_its_id(sharing, kit):
    first, second = (sharing.replica.share(kit.subject(1), kit.other).face for _ in range(2))
    assert first.id == second.id
    assert first.sealed != second.sealed


@pytest.mark.parametrize("purposes", [(), ("recognise",), ("transfer",)])
def test_without_both_consents_nothing_is_shared(sharing, office, kit, purposes):
    office.put(kit.person(1, face=kit.face(1), consents=kit.consents(1, *purposes)))
    sharing.hear(office.delta(2))
    with pytest.raises(EnrolmentError):
        sharing.replica.share(kit.subject(1), kit.other)
    assert sharing.facts(FaceShared) == []


def test_an_unknown_person_gate_or_face_has_its_own_error(sharing, office, kit):
    office.put(kit.person(2, consents=kit.consents(2, "recognise", "transfer")))
    office.put(GateRecord(n=0, gate="odd", keys="no keys"))
    sharing.hear(office.delta(2))
    for who, to, why in (
        (3, kit.other, "has not agreed"),
        (1, "nowhere", "is no gate"),
        (2, kit.other, "has no face here"),
        (1, "odd", "its keys are invalid"),
    ):
        with pytest.raises(EnrolmentError, match=why):
            sharing.replica.share(kit.subject(who), to)


def test_a_face_of_another_embedder_is_not_shared_as_ours(sharing, office, kit):
    office.put(kit.person(1, face=kit.face(1, embedder="cd" * 32), consents=kit.consents(1, "recognise", "transfer")))
    sharing.hear(office.delta(2))
    with pytest.raises(EnrolmentError, match="no face here"):
        sharing.replica.share(kit.subject(1), kit.other)


@pytest.mark.parametrize("dimension", [32, 128, 512, 1024])
def test_a_face_with_any_number_of_templates_fits_into_a_message(kit, dimension):
    vectors = np.random.default_rng(1).standard_normal((30, dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    templates = [(f"t{number}", vector) for number, vector in enumerate(vectors)]
    face = seal_face(kit.neighbour.party, kit.subject(1), kit.embedder, templates)
    assert 1 <= face.count <= MAX_TEMPLATES
    opened = open_face(kit.neighbour, face, kit.subject(1), kit.embedder, dimension)
    assert [check_embedding(vector, dimension).tobytes() for vector in opened] == [
        vector.tobytes() for vector in vectors[: face.count]
    ]
    said = msgspec.json.encode(SharedFace(**kit.us, subject=kit.subject(1), to=kit.other, face=face))
    assert len(said) < MAX_PLAIN_BYTES - 5000, "a record has more in it than the face"
    msgspec.json.decode(msgspec.json.encode(kit.person(1, face=face)), type=PersonRecord)


def test_a_face_cannot_be_moved_to_another_person(kit):
    face = seal_face(kit.me.party, kit.subject(1), kit.embedder, [("t", kit.vector(1))])
    with pytest.raises(WireError):
        open_face(kit.me, face, kit.subject(2), kit.embedder, kit.dimension)


def test_an_error_shows_nothing_of_a_face(kit):
    sealed = kit.me.party.seal(
        msgspec.json.encode(FaceTemplates(kit.subject(1), kit.embedder, [b"secret bytes"]))
    ).decode()
    face = msgspec.structs.replace(kit.face(1), sealed=sealed)
    with pytest.raises(WireError) as caught:
        open_face(kit.me, face, kit.subject(1), kit.embedder, kit.dimension)
    assert "secret" not in str(caught.value)


def test_a_deeply_nested_face_is_refused(kit):
    """A stolen gate could send such a face to every other gate."""
    body = '{"more":' + "[" * 9000 + "]" * 9000 + "}"
    face = msgspec.structs.replace(kit.face(1), sealed=kit.me.party.seal(body.encode()).decode())
    with pytest.raises(WireError):
        open_face(kit.me, face, kit.subject(1), kit.embedder, kit.dimension)


def test_a_gate_may_share_a_person_added_there(sharing, office, kit):
    gallery = Gallery.open(sharing.state, kit.site, kit.embedder, kit.dimension)
    with gallery.enrolling():
        gallery.store_capture(gallery.person(kit.subject(1)), [kit.vector(31), kit.vector(31, 1)], NOON)
    with closing(Holdings.open(sharing.state, kit.site)) as holdings:
        assert holdings.accept(kit.subject(1))
    gallery.close()
    shared = sharing.replica.share(kit.subject(1), kit.other)
    assert shared.face.count == 2
