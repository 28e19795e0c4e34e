"""Who is meant: people are found by an id, its first characters, a name or a part of one; and questions before a step
that cannot be taken back.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import click

from gated import names
from gated.cli import streams
from gated.errors import GatedError, SubjectNotFoundError
from gated.printable import line

MOST_SHOWN = 20
"""So many candidates are listed."""
SHORT_ID = 8
"""So many characters of an id stand for a name that is not known here."""
LEAST_OF_AN_ID = 4
"""So many characters are taken for the beginning of an id."""


class Somebody(Protocol):
    """What a person is found by."""

    @property
    def subject(self) -> str:
        """The id."""

    @property
    def name(self) -> str:
        """The name."""

    @property
    def household(self) -> str:
        """Where they live."""


P = TypeVar("P", bound=Somebody)

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def matching(words: str, people: Iterable[P]) -> list[P]:
    """Everybody who may be meant: by the id; else by the whole name, or name and household; else by a part of a name or
    the first characters of an id. Names are compared in their normal form.
    """
    everybody, said = list(people), names.plain(words)
    steps: tuple[Callable[[P], bool], ...] = (
        lambda who: who.subject == words.strip(),
        lambda who: (
            said in {names.plain(who.name), names.plain(called(who)), names.plain(f"{who.name} {who.household}")}
        ),
        lambda who: said in names.plain(who.name) or (len(said) >= LEAST_OF_AN_ID and who.subject.startswith(said)),
    )
    if not said:
        return []
    return next((found for fits in steps if (found := [who for who in everybody if fits(who)])), [])


def find(words: str, people: Iterable[P], missing: GatedError) -> P:
    """The one person who is meant. Of several the one that is chosen on a terminal; elsewhere nobody is guessed.

    Raises `missing` where there is nobody, and `SubjectNotFoundError`, which names ids alone, where there are several.
    """
    found = sorted(matching(words, people), key=lambda who: (who.household, who.name, who.subject))
    if not found:
        raise missing
    if len(found) == 1:
        return found[0]
    if not is_asked():
        ids = ", ".join(who.subject for who in found[:MOST_SHOWN])
        raise SubjectNotFoundError(f"{len(found)} people fit {words!r}: {ids}{_more(found)}; say one of these ids")
    return _chosen(words, found)


def called(who: Somebody) -> str:
    """Somebody by name and household, for replies to whoever asked; by the beginning of their id where the office keeps
    names to itself.
    """
    return line(f"{who.name or who.subject[:SHORT_ID]} ({who.household})")


def is_asked() -> bool:
    """Whether somebody is there to answer a question."""
    return sys.stdin.isatty()


def sure(question: str, otherwise: str, *, yes: bool) -> None:
    """Go on only if somebody says so, or has said so with `--yes`. Raises click's `Abort` and `UsageError`.

    `otherwise`: what is told where nobody can answer. It may end in a log, so no name of a person or a flat is in it.
    """
    if yes:
        return
    if not is_asked():
        raise click.UsageError(f"{otherwise}; nobody is here to answer, so say --yes if it is right")
    streams.confirm(question, abort=True, err=True)


def not_twice(name: str, household: str, people: Iterable[Somebody], *, yes: bool, but: str = "") -> None:
    """Ask about a second person of a name in a household, and about a household that is nearly another's.

    `but`: the id of somebody who is no second one. Raises as `sure`.
    """
    others = [who for who in people if who.subject != but]
    for who in others:
        if names.is_same(who.household, household) and names.is_same(who.name, name):
            otherwise = f"{who.subject} has the same name, in the same household"
            sure(f"{called(who)} is there already, {who.subject}. Is this another person?", otherwise, yes=yes)
            break
    near_household(household, {who.household for who in others}, yes=yes)


def near_household(household: str, known: Iterable[str], *, yes: bool) -> None:
    """Ask about a household that nobody lives in yet, where one of nearly the same name is known."""
    known = sorted(known)
    if any(names.is_same(household, other) for other in known):
        return
    other = names.near(household, known)
    if other is not None:
        otherwise = "nobody lives in this household yet, and one of nearly the same name is known"
        sure(f"Nobody lives in {household!r} yet, and {other!r} is known. Is it another one?", otherwise, yes=yes)


def _chosen(words: str, found: Sequence[P]) -> P:
    streams.say(f"{len(found)} people fit {words!r}:", err=True)
    for number, who in enumerate(found[:MOST_SHOWN], 1):
        streams.say(f"  {number}  {called(who)}  {who.subject}", err=True)
    if more := _more(found):
        streams.say(f"  {more.strip()}", err=True)
    number = click.prompt("Which one", type=click.IntRange(1, min(len(found), MOST_SHOWN)), err=True)
    return found[number - 1]


def _more(found: Sequence[object]) -> str:
    return f" and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
