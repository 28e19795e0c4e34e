"""The centring of a gallery, and that search, enrolment and waiting faces all compare with the same one."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gated.composite import Composite
from gated.errors import EnrolmentError
from gated.gallery.centring import PRIOR_PEOPLE, gallery_centring, runs
from gated.gallery.enrolment import enrol
from gated.gallery.gallery import Gallery
from gated.gallery.holdings import Holdings
from gated.gallery.record_changes import PERSON
from gated.gallery.search import Index, Row
from gated.people.held_records import MARK_DIGITS, put
from gated.sync.quarantine import find_duplicates
from gated.types import SubjectId
from tests.gallery.conftest import AT, EMBEDDER

SIZES, DIMENSION = (8, 12), 20
SAME = np.ones(DIMENSION) / np.sqrt(DIMENSION)
"""A direction that all people of one region share."""
SHARED = 2.5
"""How far they lie in it: their embeddings score above 0.7 with each other, unless they are centred."""


def composite(mean: float = 0.0, weights=(0.4, 0.6)) -> Composite:
    return Composite.of(SIZES, weights, [[mean] * size for size in SIZES])


TWO = composite()
PLAIN = Composite.of(SIZES, (0.4, 0.6))


def face(seed: int, shared: float = 0.0, of: Composite = TWO, picture: int = 0) -> np.ndarray:
    """Return an embedding. `shared`: how far it lies in the common direction. Pictures of one person are near."""
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    vector += 0.1 * np.random.default_rng((seed, picture)).standard_normal(DIMENSION) * bool(picture)
    vector += shared * np.sqrt(DIMENSION) * SAME
    parts = [vector[place] / np.linalg.norm(vector[place]) for place in of.slices]
    return of.join([part.astype(np.float32) for part in parts])


def row(person: int, vector: np.ndarray) -> Row:
    return Row(SubjectId(f"p{person:03}"), f"h{person // 2:03}", "active", vector)


people = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40)), max_size=30)


def index_of(drawn, of: Composite = TWO) -> tuple[list[Row], Index]:
    rows = [row(person, face(1000 * person + seed, shared=0.7)) for person, seed in drawn]
    return rows, Index(rows, DIMENSION, of)


@given(people, st.integers(0, 99))
def test_a_centred_search_finds_the_same_as_an_exhaustive_comparison(drawn, seed):
    rows, index = index_of(drawn)
    probe = face(seed, shared=0.7)
    best: dict[str, float] = {}
    for each in rows:
        best[each.subject] = max(best.get(each.subject, -2), index.centring.score(each.vector, probe))
    found = index.search(probe, 20)
    assert [c.score for c in found] == pytest.approx(sorted(best.values(), reverse=True), abs=1e-5)
    assert {c.subject: c.score for c in found} == pytest.approx(best, abs=1e-5)


@given(people, st.randoms(use_true_random=False))
def test_the_rank_of_a_person_does_not_depend_on_the_order_of_the_rows(drawn, chance):
    rows, index = index_of(drawn)
    mixed = rows.copy()
    chance.shuffle(mixed)
    probe = face(7, shared=0.7)
    first, second = index.search(probe, 20), Index(mixed, DIMENSION, TWO).search(probe, 20)
    assert [c.score for c in first] == pytest.approx([c.score for c in second], abs=1e-5)
    gaps = [a.score - b.score for a, b in pairwise(first)]
    assume(all(gap > 1e-4 for gap in gaps))
    assert [c.subject for c in first] == [c.subject for c in second]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.floats(-0.0625, 0.0625))
def test_the_mean_is_that_of_the_people_blended_with_that_of_the_population(templates, population):
    """Every person counts the same, with any number of templates."""
    of = composite(population)
    faces = [[face(10 * person + n, shared=0.5) for n in range(count)] for person, count in enumerate(templates)]
    matrix = np.array([vector for own in faces for vector in own], np.float32)
    centring = gallery_centring(of, matrix.copy(), runs(p for p, own in enumerate(faces) for _ in own))
    for place, root in zip(of.slices, of.roots, strict=True):
        mine = np.mean([np.mean([vector[place] / root for vector in own], axis=0) for own in faces], axis=0)
        n = len(faces)
        expected = (n * mine + PRIOR_PEOPLE * population) / (n + PRIOR_PEOPLE)
        np.testing.assert_allclose(centring.mean[place], expected, atol=1e-5)


def test_an_empty_gallery_is_centred_on_the_population():
    of = composite(0.05)
    np.testing.assert_array_equal(Index([], DIMENSION, of).centring.mean, of.mean)


def test_the_centring_of_the_first_person_keeps_their_direction():
    """The mean of one person lies on the line between the population and the person."""
    of, only = composite(0.05), face(1)
    alone = gallery_centring(of, only[None].copy(), [slice(0, 1)])
    np.testing.assert_allclose(alone.of(only), of.centring.of(only), atol=1e-5)


def test_the_same_people_give_the_same_version_and_others_another():
    rows, index = index_of([(person, 1) for person in range(5)])
    assert Index(rows[::-1], DIMENSION, TWO).centring.version == index.centring.version
    assert Index(rows[1:], DIMENSION, TWO).centring.version != index.centring.version


def test_a_set_that_is_not_centred_is_searched_as_before():
    rows = [row(person, face(person)) for person in range(6)]
    index, bare = Index(rows, DIMENSION, PLAIN), Index(rows, DIMENSION)
    assert index.centring.version == bare.centring.version == ""
    assert index.search(face(3), 6) == bare.search(face(3), 6)


@pytest.mark.parametrize("odd", [np.nan, np.inf, 0.0])
@pytest.mark.parametrize("place", PLAIN.slices)
def test_a_damaged_template_is_dropped_and_moves_no_mean(odd, place):
    rows, index = index_of([(person, 1) for person in range(5)])
    damaged = face(99)
    damaged[place] = odd
    hurt = Index([*rows, row(9, damaged)], DIMENSION, TWO)
    assert (hurt.dropped, hurt.size) == (1, 5)
    assert hurt.centring.version == index.centring.version


def test_a_template_of_one_part_alone_is_dropped():
    """It has length 1, and passes the check of the whole vector."""
    alone = np.concatenate([np.zeros(8), face(1)[8:] / np.linalg.norm(face(1)[8:])]).astype(np.float32)
    rows, _ = index_of([(person, 1) for person in range(5)])
    assert Index([*rows, row(9, alone)], DIMENSION, TWO).dropped == 1


def test_everybody_in_the_index_can_be_read_and_not_changed():
    rows, index = index_of([(0, 1), (0, 2), (1, 1), (2, 1)])
    everybody = index.enrolled()
    assert everybody.people == {"p000": slice(0, 2), "p001": slice(2, 3), "p002": slice(3, 4)}
    assert everybody.households == {"h000": slice(0, 3), "h001": slice(3, 4)}
    np.testing.assert_allclose(everybody.matrix[2], index.centring.of(rows[2].vector), atol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        everybody.matrix[0] = 0


@pytest.fixture
def opened(state):
    made = []

    def make(of: Composite | None = TWO) -> Gallery:
        made.append(Gallery.open(state, "site", EMBEDDER, DIMENSION, of))
        return made[-1]

    yield make
    for gallery in made:
        gallery.close()


def join(gallery: Gallery, person: int, pictures: int = 1, shared: float = SHARED) -> SubjectId:
    return enrol(
        gallery, f"Resident {person}", f"flat {person}", [face(person, shared, picture=n) for n in range(pictures)],
        consent="paper", notice="1", threshold=0.7, at=AT,
    ).subject  # fmt: skip


def test_neighbours_who_share_a_direction_are_different_people_at_a_centred_gate(opened):
    """Without centring the second neighbour is refused as the first."""
    plain = opened(None)
    join(plain, 1)
    with pytest.raises(EnrolmentError, match="enrolled as"):
        join(plain, 2)
    plain.close()
    centred = opened(composite(0.25))
    for person in range(2, 20):
        join(centred, person, pictures=2)
    assert centred.size == 19


def test_the_pictures_of_two_neighbours_are_not_those_of_one_person(opened):
    both = [face(1, SHARED), face(2, SHARED)]
    facts = {"consent": "paper", "notice": "1", "threshold": 0.7, "at": AT}
    with pytest.raises(EnrolmentError, match="does not show the same person"):
        enrol(opened(composite(0.25)), "Ann", "1", both, **facts)
    assert enrol(opened(None), "Ann", "1", both, **facts).templates == 2


def test_templates_stay_as_they_were_when_the_centring_moves(opened):
    """Nobody must be enrolled anew when the gallery changes."""
    gallery = opened(composite(0.25))
    first = join(gallery, 1)
    before, version = gallery._register.opened(EMBEDDER).rows[0].vector, gallery.centring.version
    for person in range(2, 9):
        join(gallery, person)
    (now,) = [each.vector for each in gallery._register.opened(EMBEDDER).rows if each.subject == first]
    assert gallery.centring.version != version
    assert now.tobytes() == before.tobytes() == face(1, SHARED).tobytes()
    assert gallery.search(face(1, SHARED))[0].subject == first


def test_another_set_without_templates_finds_no_person_and_keeps_its_own_centring(opened):
    gallery = opened()
    join(gallery, 1, shared=0.0)
    gallery.switch_embedder("cd" * 32, DIMENSION, PLAIN)
    gallery.reload_if_changed()
    assert (gallery.search(face(1)), gallery.foreign_count, gallery.centring.version) == ((), 1, "")


def test_a_changed_population_mean_of_the_same_models_is_followed(opened):
    gallery = opened()
    join(gallery, 1, shared=0.0)
    before = gallery.centring.version
    gallery.switch_embedder(EMBEDDER, DIMENSION, composite(0.05))
    gallery.reload_if_changed()
    assert gallery.centring.version != before
    assert gallery.size == 1


def waiting(gallery: Gallery, subject: SubjectId, vector: np.ndarray) -> None:
    """Let a face wait beside the one of a person who has a card with the digest ab..."""
    register = gallery._register
    with register.changing():
        register.store_capture(gallery.person(subject), EMBEDDER, [vector], AT)
    with register.changing() as connection:
        held = Holdings(register).get(PERSON + subject)
        put(connection, replace(held, ways=("ab" * 32)[:MARK_DIGITS]))


@pytest.mark.parametrize(("shown", "is_confirmed"), [(2, True), (3, False)])
def test_a_waiting_face_is_confirmed_by_the_same_centred_face_alone(opened, shown, is_confirmed):
    """A neighbour who shares the direction does not confirm it."""
    gallery = opened(composite(0.25))
    subject = join(gallery, 1)
    waiting(gallery, subject, face(2, SHARED))
    probes = [face(shown, SHARED, picture=n) for n in (1, 2)]
    done = gallery.confirm(subject, bytes.fromhex("ab" * 32), probes, 0.7)
    assert (done is not None) is is_confirmed
    assert float(face(2, SHARED) @ face(3, SHARED)) > 0.7  # without centring the neighbour would


def test_the_office_cannot_send_one_face_twice_and_neighbours_are_no_duplicates():
    of = composite(0.25)
    neighbours = [(f"n{person}", [face(person, SHARED)]) for person in range(20)]
    assert find_duplicates([], neighbours, 0.7, composite=of) == set()
    assert find_duplicates([], neighbours, 0.7) != set()
    again = [*neighbours, ("again", [face(3, SHARED, picture=1)])]
    assert find_duplicates([], again, 0.7, composite=of) == {"again"}
    stored = [row(person, vectors[0]) for person, (_, vectors) in enumerate(neighbours)]
    assert find_duplicates(stored, again[-1:], 0.7, composite=of) == {"again"}


def test_a_damaged_stored_template_hides_no_duplicate():
    """A single NaN would make the mean of all people NaN, and every score with it."""
    damaged = np.full(DIMENSION, np.nan, np.float32)
    rows = [row(0, damaged), row(1, face(3, SHARED)), *(row(p, face(p, SHARED)) for p in range(4, 20))]
    twin = [("again", [face(3, SHARED, picture=1)])]
    assert find_duplicates(rows, twin, 0.7, composite=composite(0.25)) == {"again"}
