"""What somebody agrees to at this gate while their face is taken here, beside being recognised.

Whoever is with them says it on the command line of the gate, and stays until the face is taken. It is a wish (see
`runtime.wish`): it ends with that command. No message of the office can say it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from gated.gallery.people import RECOGNISE, Consent
from gated.runtime import wish
from gated.types import SubjectId
from gated.wording import UNDECODABLE

NAME = "consents-given"
TRANSFER = "transfer"
"""The purpose of a consent to take a face to another gate."""


class Given(msgspec.Struct, frozen=True):
    """Somebody, the purposes that they agree to, on which paper, after which notice."""

    subject: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
    purposes: Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(min_length=1, max_length=10)]
    reference: Annotated[str, Meta(min_length=1, max_length=200)]
    notice: Annotated[str, Meta(min_length=1, max_length=200)]


@contextmanager
def giving(state: Path, given: Given) -> Iterator[Callable[[], bool]]:
    """Say it until the end of the block. Gives whether it still stands. Raises `StateError`."""
    with wish.wishing(state / NAME, msgspec.json.encode(given)) as stands:
        yield stands


def forget(state: Path) -> None:
    """Take away what a crash has left behind of it."""
    wish.forget(state / NAME)


def given_now(state: Path, subject: SubjectId, at: datetime) -> tuple[Consent, ...]:
    """What somebody is said, at this moment and at this gate, to agree to. `at`: the time of it, aware."""
    said = wish.wished(state / NAME)
    try:
        given = None if said is None else msgspec.json.decode(said, type=Given)
    except UNDECODABLE:
        return ()
    if given is None or given.subject != subject:
        return ()
    purposes = [purpose for purpose in given.purposes if purpose != RECOGNISE]
    return tuple(Consent(purpose, given.reference, given.notice, at) for purpose in dict.fromkeys(purposes))
