"""Draws the people of the simulated courtyard and their visits from one seed. Nothing is rendered here.

No identity here was used in training: training seeds start at `TRAINING_FROM`, and residents and strangers do not
overlap.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from gated.simulator.likeness import Age
from gated.simulator.view import Glasses

RESIDENTS_FROM, STRANGERS_FROM, TRAINING_FROM = 100_000_000, 500_000_000, 1_000_000_000
"""First seed of the identities of residents, of strangers, and of the training data of the shipped models."""
MOST_PEOPLE = 100_000
"""Number of identity seeds that belong to one seed of a courtyard."""
MOST_SEEDS = (STRANGERS_FROM - RESIDENTS_FROM) // MOST_PEOPLE - 1

Species = Literal["print", "phone"]
SPECIES: tuple[Species, ...] = ("print", "phone")

MEMBERS: tuple[Age, ...] = ("adult", "adult", "child", "old", "child", "adult")
"""Ages in a household, in the order of moving in. In every third household "old" and "child" are swapped."""


@dataclass(frozen=True, slots=True)
class RenderedPerson:
    """A rendered person. `glasses`: the kind that they usually wear. Some wear dark ones, as blind people do."""

    seed: int
    age: Age
    glasses: Glasses
    household: int | None = None
    """None for a stranger."""

    @property
    def key(self) -> str:
        """The person's key in the evaluation."""
        return str(self.seed)


@dataclass(frozen=True, slots=True)
class Plan:
    """One planned visit. In an attack, the picture shows the face of `person`."""

    number: int
    person: RenderedPerson
    attack: Species | None
    glasses: Glasses
    eyes_closed: bool
    hat: bool
    courtyard: int
    """Seed of all other random choices of the visit."""

    @property
    def groups(self) -> frozenset[str]:
        """The groups of this visit in the report."""
        of_age = {"child": "children", "old": "old people", "adult": "adults"}[self.person.age]
        worn = {"dark": ["dark glasses"], "clear": ["glasses"], "none": []}[self.glasses]
        return frozenset([of_age, *worn, *(["closed eyes"] if self.eyes_closed else [])])


@dataclass(frozen=True, slots=True)
class Courtyard:
    """Size of the courtyard, and number of visits: `visits` by people (a share are strangers), plus `attacks`."""

    households: int
    people: int
    visits: int
    strangers: float
    attacks: int
    seed: int

    def residents(self) -> list[RenderedPerson]:
        """Return all residents."""
        first = RESIDENTS_FROM + self.seed * MOST_PEOPLE
        return [
            self._person(first + number, self._age(number), household=number % self.households)
            for number in range(self.people)
        ]

    def plans(self) -> list[Plan]:
        """Return every visit. Visits of one person follow each other, because the last rendered person is cached."""
        by_strangers = round(self.visits * self.strangers)
        first = STRANGERS_FROM + self.seed * MOST_PEOPLE
        residents = self.residents()
        coming = [self._person(first + number, None) for number in range(by_strangers)]
        coming += [residents[number % self.people] for number in range(self.visits - by_strangers)]
        plans = [self._plan(number, person, None) for number, person in enumerate(coming)]
        plans += [
            self._plan(self.visits + number, residents[number // 2 % self.people], SPECIES[number % 2])
            for number in range(self.attacks)
        ]
        return sorted(plans, key=lambda plan: (plan.person.seed, plan.glasses, plan.eyes_closed, plan.number))

    def _age(self, number: int) -> Age:
        """Return the age of a resident. In every third household old people and children are swapped."""
        household, member = number % self.households, number // self.households % len(MEMBERS)
        age = MEMBERS[member]
        turned: dict[Age, Age] = {"child": "old", "old": "child", "adult": "adult"}
        return turned[age] if household % 3 == 0 else age

    def _person(self, seed: int, age: Age | None, household: int | None = None) -> RenderedPerson:
        rng = np.random.default_rng([self.seed, seed])
        drawn: Age = age or ("child" if (share := rng.random()) < 0.2 else "old" if share < 0.4 else "adult")
        worn: Glasses = "dark" if (share := rng.random()) < 0.2 else "clear" if share < 0.45 else "none"
        return RenderedPerson(seed, drawn, worn, household)

    def _plan(self, number: int, person: RenderedPerson, attack: Species | None) -> Plan:
        """Draw the appearance for one visit. In an attack the face has no glasses, no hat and open eyes."""
        rng = np.random.default_rng([self.seed, 1, number])
        habit, eyes, hat = rng.random(3)
        plain = attack is not None
        return Plan(
            number=number,
            person=person,
            attack=attack,
            glasses=person.glasses if habit < 0.9 and not plain else "none",
            eyes_closed=bool(eyes < 0.15) and not plain,
            hat=bool(hat < 0.08) and not plain,
            courtyard=self.seed,
        )
