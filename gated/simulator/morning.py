"""A morning at the gate, as data: the residents, the visits, and the expected decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from gated.simulator.script import Actor, Age, Held, Looks

LATER_S = 80_000.0
"""Second of actors that are not called yet. The camera can render them while idle."""

GateEvent = Literal["", "network cut", "network back", "vision killed", "removed"]


@dataclass(frozen=True, slots=True)
class Resident:
    """A resident of the demo. The name is shown in the demo only."""

    name: str
    person: int
    household: str
    age: Age = "adult"


@dataclass(frozen=True, slots=True)
class MorningStep:
    """One step of the demo. `let_in`: names of exactly the people that the gate must grant.

    `also`: a further condition: "refused", "events wait", "all events acknowledged" or "vision came back".
    """

    title: str
    actors: tuple[Actor, ...] = ()
    let_in: tuple[str, ...] = ()
    also: str = ""
    first: GateEvent = ""
    """The event that happens to the gate at the start of the step."""
    name: str = ""
    """Name of the person of that event, if any."""
    is_attack: bool = False


def residents(seed: int) -> tuple[Resident, ...]:
    """Return six neighbours of five households, different ones for each seed."""
    first = 1000 * seed + 17
    return (
        Resident("Wang Yu", first, "12"),
        Resident("Li Wei", first + 1, "31"),
        Resident("Zhang Min", first + 2, "44", "child"),
        Resident("Zhao Gui", first + 3, "44", "old"),
        Resident("Chen Jie", first + 4, "58"),
        Resident("Liu Yang", first + 5, "70"),
    )


def morning(seed: int, *, fast: bool = False, has_network: bool = True) -> tuple[MorningStep, ...]:
    """Return the steps in order. Without a network, events wait from the first to the last step."""
    wang, li, zhang, zhao, chen, liu = residents(seed)
    stranger, thief = 1000 * seed + 601, 1000 * seed + 602

    def home(resident: Resident, side: float = 0.0, **looks: object) -> Actor:
        """Return a resident who comes home. `looks`: fields of `Looks`."""
        return Actor(
            person=resident.person, age=resident.age, name=resident.name, comes_s=LATER_S, goes="in", side=side,
            looks=Looks(**looks),  # type: ignore[arg-type]  # by keyword, as the class checks them
        )  # fmt: skip

    def someone(person: int, name: str, holds: Held | None = None) -> Actor:
        """Return a person who does not live here."""
        return Actor(person=person, name=name, comes_s=LATER_S, holds=holds)

    refused = "refused"
    steps = [
        MorningStep("Wang Yu comes home", (home(wang),), (wang.name,)),
        MorningStep("a stranger tries", (someone(stranger, "a stranger"),), also=refused),
        MorningStep("Li Wei comes in dark glasses", (home(li, glasses="dark"),), (li.name,)),
        MorningStep(
            "a printed photograph of Wang Yu",
            (someone(thief, "a thief with a print", Held("print", wang.person, wang.age)),),
            also=refused,
            is_attack=True,
        ),
        MorningStep(
            "a phone that shows Li Wei",
            (someone(thief, "a thief with a phone", Held("phone", li.person, li.age)),),
            also=refused,
            is_attack=True,
        ),
        MorningStep(
            "Zhao Gui and Chen Jie come at once",
            (home(zhao, -0.42), home(chen, 0.42)),
            (zhao.name, chen.name),
        ),
        MorningStep(
            f"{'the network goes' if has_network else 'without a network'}; Liu Yang comes with closed eyes",
            (home(liu, eyes_closed=True),),
            (liu.name,),
            "events wait",
            "network cut",
        ),
        MorningStep(
            "vision is killed as Zhang Min walks up",
            (home(zhang),),
            (zhang.name,),
            "vision came back",
            "vision killed",
        ),
        MorningStep("the network comes back", also="all events acknowledged", first="network back"),
        MorningStep(
            "Chen Jie moves out, is removed, and tries once more",
            (replace(home(chen), goes="away"),),
            also=refused,
            first="removed",
            name=chen.name,
        ),
    ]
    chosen = [step for step in steps if has_network or step.first != "network back"]
    return tuple(_at_pace(step, fast) for step in chosen)


def described(actors: Sequence[Actor]) -> str:
    """Return a description of the camera's view."""
    return " and ".join(_described(actor) for actor in actors) or "the empty lane"


def _described(actor: Actor) -> str:
    looks = actor.looks
    wears = {
        "in dark glasses": looks.glasses == "dark",
        "in glasses": looks.glasses == "clear",
        "with closed eyes": looks.eyes_closed,
        "in a hat": looks.hat,
        "masked": looks.mask,
        "holding a printed face up": actor.holds is not None and actor.holds.kind == "print",
        "holding a phone with a face up": actor.holds is not None and actor.holds.kind == "phone",
    }
    return ", ".join([actor.name.split(" with ")[0], *(words for words, are_so in wears.items() if are_so)])


def _at_pace(step: MorningStep, fast: bool) -> MorningStep:
    if not fast:
        return step
    return MorningStep(
        step.title, tuple(replace(actor, walk_s=1.0) for actor in step.actors), step.let_in, step.also, step.first,
        step.name, step.is_attack,
    )  # fmt: skip
