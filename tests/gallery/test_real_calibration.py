"""The calibration on embeddings of real people: the FPIR of strangers whom it never saw. It prints a table.

The bound of each case allows for chance: a few alike pairs decide the rate of a small population.
"""

import numpy as np
import pytest

from gated.composite import Composite
from gated.config import ModelSettings
from gated.face.manifest import load_manifest
from gated.gallery.calibration import Reason
from gated.gallery.calibrator import calibrate_gallery
from gated.gallery.search import Index, Row
from tests.conftest import SHARED

EMBEDDINGS = SHARED / "faces" / "dev_embeddings.npz"
pytestmark = [
    pytest.mark.skipif(not EMBEDDINGS.exists(), reason="needs ../shared/faces/dev_embeddings.npz"),
    pytest.mark.slow,
]
TARGET = 0.003
MIXED = {"half": 0.5, "quarter": 0.25}
"""Kinds of populations with a share of East Asian people, among the strangers too."""


class Faces:
    """The people of the file, with composites of the set `site`."""

    def __init__(self):
        data = np.load(EMBEDDINGS)
        chosen = load_manifest(ModelSettings()).model_set("site")
        self.composite, self.table = chosen.composite, chosen.table
        parts = [data[name].astype(np.float32) for name in ("mobilefacenet", "intel0095")]
        parts = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts]
        self.vectors = np.hstack([part / np.sqrt(2) for part in parts]).astype(np.float32)
        self.person = data["person"]
        self.rows = {each: np.flatnonzero(self.person == each) for each in np.unique(self.person)}
        is_east_asian = {each: bool(data["east_asian"][own].any()) for each, own in self.rows.items()}
        self.everybody = np.array(list(self.rows))
        self.east_asian = np.array([each for each in self.everybody if is_east_asian[each]])
        self.others = np.setdiff1d(self.everybody, self.east_asian)

    def gallery(self, random, people, most=3):
        """Return the index of these people in households of two to four, and the rows that were enrolled."""
        rows, used, home, left = [], [], 0, 0
        for each in people:
            home, left = (home, left - 1) if left else (home + 1, int(random.integers(1, 4)))
            own = random.permutation(self.rows[each])[: random.integers(1, most + 1)]
            used.extend(own)
            rows += [Row(f"p{each:05}", f"h{home}", "active", self.vectors[row]) for row in own]
        return Index(rows, self.vectors.shape[1], self.composite), np.array(used)

    def scores(self, index, rows):
        """Return the best score of each row, and the row's score with its own person (-1 for a stranger)."""
        probes = self.vectors[rows].copy()
        index.centring.centre(probes)
        enrolled = index.enrolled()
        scores = probes @ enrolled.matrix.T
        own = [
            scores[i, enrolled.people[name]].max() if (name := f"p{self.person[row]:05}") in enrolled.people else -1.0
            for i, row in enumerate(rows)
        ]
        return scores.max(axis=1), np.array(own)


@pytest.fixture(scope="module")
def faces():
    return Faces()


def chosen_people(faces, random, kind, size):
    """Return the people of a gallery and the strangers, with the weight of each stranger."""
    if kind in MIXED:
        some = random.permutation(faces.east_asian)[: round(MIXED[kind] * size)]
        people = np.concatenate([some, random.permutation(faces.others)[: size - len(some)]])
        strangers = np.setdiff1d(faces.everybody, people)
        is_east_asian = np.isin(strangers, faces.east_asian)
        shares = MIXED[kind] / is_east_asian.sum(), (1 - MIXED[kind]) / (~is_east_asian).sum()
        weights = np.where(is_east_asian, *shares)
        return random.permutation(people), strangers, weights
    population = faces.east_asian if kind == "East Asian" else faces.everybody
    people = random.permutation(population)[:size]
    strangers = np.setdiff1d(population, people)
    return people, strangers, np.full(len(strangers), 1 / len(strangers))


CASES = [
    ("all", 72, 16, 0.003), ("all", 144, 16, 0.003), ("all", 216, 16, 0.003), ("all", 500, 5, 0.003),
    ("all", 1000, 4, 0.004), ("all", 1500, 4, 0.005), ("all", 1900, 4, 0.007),
    ("East Asian", 48, 20, 0.004), ("East Asian", 72, 20, 0.006), ("half", 96, 20, 0.005), ("half", 144, 12, 0.006),
    ("quarter", 96, 12, 0.005), ("quarter", 300, 8, 0.008),
]  # fmt: skip
"""Population, people, galleries, and the bound of the mean FPIR: the target, and room for chance."""


@pytest.mark.parametrize(("kind", "size", "galleries", "bound"), CASES)
def test_strangers_are_accepted_no_more_often_than_the_target(faces, kind, size, galleries, bound):
    rates, misses, thresholds, expected, searches = [], [], [], [], 0
    for number in range(galleries):
        random = np.random.default_rng(1000 * size + number)
        people, strangers, weights = chosen_people(faces, random, kind, size)
        index, used = faces.gallery(random, people)
        found = calibrate_gallery(index.enrolled(), faces.table, TARGET).calibration
        rows = np.concatenate([faces.rows[each] for each in strangers])
        best, _ = faces.scores(index, rows)
        shares = np.repeat(
            weights / [len(faces.rows[each]) for each in strangers], [len(faces.rows[each]) for each in strangers]
        )
        rates.append(shares[best >= found.threshold].sum())
        mated = np.setdiff1d(np.concatenate([faces.rows[each] for each in people]), used)
        misses.append((faces.scores(index, mated)[1] < found.threshold).mean())
        thresholds.append(found.threshold)
        expected.append(found.fpir)
        searches += len(rows)
        assert found.reason is Reason.FITTED
        assert found.fpir_bound <= TARGET * 1.01
    print(
        f"\n{kind:10} {size:5} people, {galleries:2} galleries, {searches:6} searches: threshold "
        f"{np.mean(thresholds):.3f}, FPIR {100 * np.mean(rates):.2f} % (standard error "
        f"{100 * np.std(rates, ddof=1) / galleries**0.5:.2f}, expected {100 * np.mean(expected):.2f}, worst "
        f"{100 * np.max(rates):.2f}), FNIR {100 * np.mean(misses):.1f} %"
    )
    assert np.mean(rates) <= bound


def test_an_east_asian_gallery_gets_a_higher_threshold_than_a_mixed_one(faces):
    thresholds = {}
    for kind in ("all", "East Asian"):
        found = []
        for number in range(8):
            random = np.random.default_rng(number)
            people, _, _ = chosen_people(faces, random, kind, 72)
            index, _ = faces.gallery(random, people)
            found.append(calibrate_gallery(index.enrolled(), faces.table, TARGET).calibration.threshold)
        thresholds[kind] = np.mean(found)
    assert thresholds["East Asian"] > thresholds["all"] + 0.01


@pytest.mark.parametrize("kind", ["all", "East Asian"])
def test_the_threshold_rises_with_the_gallery_within_the_tolerance(faces, kind):
    random = np.random.default_rng(5)
    people, _, _ = chosen_people(faces, random, kind, 90 if kind == "East Asian" else 1200)
    sizes = [size for size in (10, 30, 45, 72, 90, 144, 216, 500, 1200) if size <= len(people)]
    thresholds = []
    for size in sizes:
        index, _ = faces.gallery(np.random.default_rng(6), people[:size])
        thresholds.append(calibrate_gallery(index.enrolled(), faces.table, TARGET).calibration.threshold)
    assert np.all(np.diff(thresholds) > -0.03)
    assert thresholds[-1] > thresholds[0]
    assert all(faces.table.floor <= each <= faces.table.ceiling for each in thresholds)


@pytest.mark.parametrize("size", [72, 216, 1000])
def test_a_real_person_in_two_households_moves_the_threshold_by_less_than_a_hundredth(faces, size):
    random = np.random.default_rng(size)
    people, _, _ = chosen_people(faces, random, "all", size)
    index, _ = faces.gallery(random, people)
    twice = next(each for each in people if len(faces.rows[each]) > 1)
    rows = [
        Row(name, home, "active", faces.vectors[row])
        for name, home in ((f"p{each:05}", f"h{number // 2}") for number, each in enumerate(people))
        for row in faces.rows[int(name[1:])][:1]
    ]
    again = [*rows, Row("again", "elsewhere", "active", faces.vectors[faces.rows[twice][1]])]
    before, after = (
        calibrate_gallery(Index(each, index.dimension, faces.composite).enrolled(), faces.table, TARGET)
        for each in (rows, again)
    )
    assert abs(after.calibration.threshold - before.calibration.threshold) < 0.01
    assert before.calibration.people + 1 == after.calibration.people


def test_the_composite_is_that_of_the_set(faces):
    assert isinstance(faces.composite, Composite)
    assert faces.composite.dimension == faces.vectors.shape[1]
