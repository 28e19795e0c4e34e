"""File names give the identities. A person who is not in the gallery's folder is a stranger."""

import pytest

from gated.errors import PictureError
from gated.evaluation import folders
from gated.evaluation.confidence import Rate
from gated.evaluation.enrolled import enrol_all
from gated.evaluation.measures import measured
from tests.evaluation.conftest import evaluate_visits

RED, PINK, GREEN, BLUE, BLACK = (200, 0, 0), (200, 30, 20), (0, 200, 0), (0, 0, 200), (0, 0, 0)


@pytest.fixture
def town(tmp_path, paint):
    """Ann and Bob are enrolled. Ann, Bob and a stranger come. Cid has no usable enrolment picture."""
    for name, colour in (("ann/1.png", RED), ("ann/2.png", PINK), ("bob_1.png", GREEN), ("cid_1.png", BLACK)):
        paint(f"gallery/{name}", colour)
    for name, colour in (("ann_7.png", PINK), ("bob/x.JPG", GREEN), ("dan_1.png", BLUE), ("cid_2.png", BLUE)):
        paint(f"probes/{name}", colour)
    return tmp_path


def test_a_folder_or_the_name_before_the_last_underscore_is_the_person(tmp_path, paint):
    for name in ("ann/1.png", "ann/deep/2.png", "bob_1.png", "bob_2.png", "li_na_1.png", "eve.png"):
        paint(f"x/{name}", RED)
    (tmp_path / "x" / "notes.txt").write_text("no picture")
    found = folders.identities(tmp_path / "x")
    assert {name: len(photos) for name, photos in found.items()} == {"ann": 2, "bob": 2, "li_na": 1, "eve": 1}


def test_the_error_for_an_empty_folder_explains_the_layout(tmp_path):
    with pytest.raises(PictureError, match=r"NAME_1\.jpg"):
        folders.identities(tmp_path)


def test_people_are_enrolled_from_every_usable_picture(town, colours):
    steps = []
    people = folders.identities(town / "gallery")
    made = list(folders.applicants(colours, people, lambda: steps.append(1)))
    assert {a.key: len(a.embeddings) for a in made} == {"ann": 2, "bob": 1, "cid": 0}
    assert len({a.household for a in made}) == len(steps) == 3


def evaluated(town, colours, rules):
    people, probes = folders.identities(town / "gallery"), folders.identities(town / "probes")
    done = enrol_all(folders.applicants(colours, people, lambda: None), 64, rules.threshold)
    coming = list(folders.visits(probes, done.subjects, people, rules.frames))
    return done, list(evaluate_visits(colours, done.index(64), rules, coming))


def test_residents_are_granted_and_strangers_denied(town, colours, rules):
    done, outcomes = evaluated(town, colours, rules)
    assert {(o.subject, o.granted) for o in outcomes} == {("ann", "ann"), ("bob", "bob"), (None, None)}
    assert done.failed == Rate.of(1, 3)


def test_a_failure_to_enrol_is_not_a_stranger(town, colours, rules):
    _, outcomes = evaluated(town, colours, rules)
    assert len(outcomes) == 3, "Cid is neither a resident nor a stranger"


def test_labels_reach_enrolment_and_visits(town, colours, rules):
    people, probes = folders.identities(town / "gallery"), folders.identities(town / "probes")
    groups = {"ann": frozenset({"women"}), "cid": frozenset({"women", "over 65"})}
    done = enrol_all(folders.applicants(colours, people, lambda: None, groups), 64, rules.threshold)
    assert done.failed_by_group == {"over 65": Rate.of(1, 1), "women": Rate.of(1, 2)}
    coming = folders.visits(probes, done.subjects, people, rules.frames, groups)
    assert [visit.groups for visit in coming] == [{"women"}, frozenset(), frozenset()]


def test_a_picture_gives_the_requested_number_of_frames(town, colours, rules):
    probes = folders.identities(town / "probes")
    visit = next(folders.visits(probes, {}, {}, frames=5))
    frames = list(visit.frames)
    assert [round(f.at, 6) for f in frames] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert all(f.main is frames[0].main for f in frames)


def test_pictures_give_the_rates_of_visits(town, colours, rules):
    _, outcomes = evaluated(town, colours, rules)
    rates = {(m.name, m.of): m.rate for m in measured(outcomes, rules.threshold)}
    assert rates["FNIR", "all"] == Rate.of(0, 2)
    assert rates["FPIR", "all"] == Rate.of(0, 1)
    assert rates["FPIR left out", "all"] == Rate.of(0, 2)
