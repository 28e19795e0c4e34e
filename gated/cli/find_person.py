"""Finds a person by id, the start of an id, a name or a part of a name. Also asks for confirmation before a step that
cannot be undone.
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
"""Maximum number of candidates listed."""
SHORT_ID = 8
"""Number of id characters shown in place of an unknown name."""
LEAST_OF_AN_ID = 4
"""Minimum number of characters matched as the start of an id."""


class NamedPerson(Protocol):
    """The fields by which a person is found."""

    @property
    def subject(self) -> str:
        """The subject id."""

    @property
    def name(self) -> str:
        """The name."""

    @property
    def household(self) -> str:
        """The household."""


P = TypeVar("P", bound=NamedPerson)

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def matching(words: str, people: Iterable[P]) -> list[P]:
    """Return every person that `words` may name. Tries the id, then the full name or name and household, then a part of
    a name or the start of an id. Compares names in their normal form.
    """
    everybody, query = list(people), names.plain(words)
    steps: tuple[Callable[[P], bool], ...] = (
        lambda person: person.subject == words.strip(),
        lambda person: (
            query
            in {names.plain(person.name), names.plain(called(person)), names.plain(f"{person.name} {person.household}")}
        ),
        lambda person: (
            query in names.plain(person.name) or (len(query) >= LEAST_OF_AN_ID and person.subject.startswith(query))
        ),
    )
    if not query:
        return []
    return next((found for fits in steps if (found := [person for person in everybody if fits(person)])), [])


def find(words: str, people: Iterable[P], missing: GatedError) -> P:
    """Return the one person that `words` name. Several candidates are offered on a terminal; elsewhere none is guessed.

    Raises `missing` for no match, and `SubjectNotFoundError`, which lists ids only, for several.
    """
    found = sorted(matching(words, people), key=lambda person: (person.household, person.name, person.subject))
    if not found:
        raise missing
    if len(found) == 1:
        return found[0]
    if not is_asked():
        ids = ", ".join(person.subject for person in found[:MOST_SHOWN])
        raise SubjectNotFoundError(f"{len(found)} people match {words!r}: {ids}{_more(found)}; give one of these ids")
    return _chosen(words, found)


def called(person: NamedPerson) -> str:
    """Return name and household for a reply to the operator. The start of the id replaces a name that the office does
    not send.
    """
    return line(f"{person.name or person.subject[:SHORT_ID]} ({person.household})")


def is_asked() -> bool:
    """Return whether a person can answer a question: standard input is a terminal."""
    return sys.stdin.isatty()


def sure(question: str, otherwise: str, *, yes: bool) -> None:
    """Continue only if the operator confirms or gave `--yes`. Raises click's `Abort` and `UsageError`.

    `otherwise` is the message if nobody can answer. It may end in a log, so it names no person and no flat.
    """
    if yes:
        return
    if not is_asked():
        raise click.UsageError(f"{otherwise}; there is no terminal to ask at; add --yes to confirm")
    streams.confirm(question, abort=True, err=True)


def not_twice(name: str, household: str, people: Iterable[NamedPerson], *, yes: bool, but: str = "") -> None:
    """Ask for confirmation of a second person with the same name in a household, and of a similar household name.

    `but` is the id of a person to ignore. Raises the errors of `sure`.
    """
    others = [person for person in people if person.subject != but]
    for person in others:
        if names.is_same(person.household, household) and names.is_same(person.name, name):
            otherwise = f"{person.subject} has the same name, in the same household"
            sure(f"{called(person)} exists already, {person.subject}. Is this another person?", otherwise, yes=yes)
            break
    near_household(household, {person.household for person in others}, yes=yes)


def near_household(household: str, known: Iterable[str], *, yes: bool) -> None:
    """Ask for confirmation of an unknown household whose name is similar to a known one."""
    known = sorted(known)
    if any(names.is_same(household, other) for other in known):
        return
    other = names.near(household, known)
    if other is not None:
        otherwise = "this household is new, and a known one has nearly the same name"
        sure(f"{household!r} is new, and {other!r} is known. Is it another household?", otherwise, yes=yes)


def _chosen(words: str, found: Sequence[P]) -> P:
    streams.echo(f"{len(found)} people match {words!r}:", err=True)
    for number, person in enumerate(found[:MOST_SHOWN], 1):
        streams.echo(f"  {number}  {called(person)}  {person.subject}", err=True)
    if more := _more(found):
        streams.echo(f"  {more.strip()}", err=True)
    number = click.prompt("Which one", type=click.IntRange(1, min(len(found), MOST_SHOWN)), err=True)
    return found[number - 1]


def _more(found: Sequence[object]) -> str:
    return f" and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
