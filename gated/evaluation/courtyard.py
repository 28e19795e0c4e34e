"""Who lives in the simulated courtyard, who comes to its gate, and how: all of it drawn from one seed, none of it seen.

Nobody here was ever trained on: the seeds of these identities lie below `TRAINING_FROM`, residents and strangers apart.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from gated.simulator.identity import Age
from gated.simulator.view import Glasses

RESIDENTS_FROM, STRANGERS_FROM, TRAINING_FROM = 100_000_000, 500_000_000, 1_000_000_000
"""The seeds of identities: those who live here, those who do not, and those that the models that ship learnt from."""
MOST_PEOPLE = 100_000
"""So many seeds of identities belong to one seed of a courtyard."""
MOST_SEEDS = (STRANGERS_FROM - RESIDENTS_FROM) // MOST_PEOPLE - 1

Species = Literal["print", "phone"]
SPECIES: tuple[Species, ...] = ("print", "phone")

MEMBERS: tuple[Age, ...] = ("adult", "adult", "child", "old", "child", "adult")
"""Who lives in a household, the first to move in first; in every third the old live with the young instead."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody rendered. `glasses`: what they usually wear, as those do who are blind."""

    seed: int
    age: Age
    glasses: Glasses
    household: int | None = None
    """None: a stranger."""

    @property
    def key(self) -> str:
        """Who this is to the evaluation."""
        return str(self.seed)


@dataclass(frozen=True, slots=True)
class Plan:
    """One visit to come. Of an attack `person` is the one whose face is shown."""

    number: int
    person: Person
    attack: Species | None
    glasses: Glasses
    eyes_closed: bool
    hat: bool
    courtyard: int
    """The seed that everything else about the visit is drawn from."""

    @property
    def groups(self) -> frozenset[str]:
        """What the rates are told by."""
        of_age = {"child": "children", "old": "old people", "adult": "adults"}[self.person.age]
        worn = {"dark": ["dark glasses"], "clear": ["glasses"], "none": []}[self.glasses]
        return frozenset([of_age, *worn, *(["closed eyes"] if self.eyes_closed else [])])


@dataclass(frozen=True, slots=True)
class Courtyard:
    """How large, and how many visits: `visits` by people (a share of them strangers), and `attacks` beside them."""

    households: int
    people: int
    visits: int
    strangers: float
    attacks: int
    seed: int

    def residents(self) -> list[Person]:
        """Everybody who lives here."""
        first = RESIDENTS_FROM + self.seed * MOST_PEOPLE
        return [
            self._person(first + number, self._age(number), household=number % self.households)
            for number in range(self.people)
        ]

    def plans(self) -> list[Plan]:
        """Every visit. Those by one person follow each other, because whoever was rendered last is rendered fastest."""
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
        """The age of a resident; every third household has its old people before its children."""
        household, member = number % self.households, number // self.households % len(MEMBERS)
        age = MEMBERS[member]
        turned: dict[Age, Age] = {"child": "old", "old": "child", "adult": "adult"}
        return turned[age] if household % 3 == 0 else age

    def _person(self, seed: int, age: Age | None, household: int | None = None) -> Person:
        rng = np.random.default_rng([self.seed, seed])
        drawn: Age = age or ("child" if (share := rng.random()) < 0.2 else "old" if share < 0.4 else "adult")
        worn: Glasses = "dark" if (share := rng.random()) < 0.2 else "clear" if share < 0.45 else "none"
        return Person(seed, drawn, worn, household)

    def _plan(self, number: int, person: Person, attack: Species | None) -> Plan:
        """What somebody looks like today. A picture that is held up shows them at their plainest."""
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
