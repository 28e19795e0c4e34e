"""Consents that a person gives at this gate during face capture, beside recognition.

A companion enters the consents on the gate's command line and stays until the capture ends. A consent is a local
request (see `runtime.local_request`): it ends with that command. No message from the office can give a consent.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from gated.people.store import RECOGNISE, Consent
from gated.runtime import local_request
from gated.types import SubjectId
from gated.wording import UNDECODABLE

NAME = "consents-given"
TRANSFER = "transfer"
"""Purpose of a consent to transfer a face to another gate."""


class GivenConsents(msgspec.Struct, frozen=True):
    """One person's consents at the gate: the purposes, the paper's reference, and the version of the notice."""

    subject: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
    purposes: Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(min_length=1, max_length=10)]
    reference: Annotated[str, Meta(min_length=1, max_length=200)]
    notice: Annotated[str, Meta(min_length=1, max_length=200)]


@contextmanager
def offering_consents(state: Path, given: GivenConsents) -> Iterator[Callable[[], bool]]:
    """Offer these consents until the end of the block. Yields a function that returns whether these consents still
    apply. Raises `StateError`.
    """
    with local_request.wishing(state / NAME, msgspec.json.encode(given)) as stands:
        yield stands


def forget(state: Path) -> None:
    """Remove a consent file that a crash left behind."""
    local_request.forget(state / NAME)


def consents_given_now(state: Path, subject: SubjectId, at: datetime) -> tuple[Consent, ...]:
    """Return the consents that the person gives at this gate now. `at`: the current time, aware."""
    requested = local_request.wished(state / NAME)
    try:
        given = None if requested is None else msgspec.json.decode(requested, type=GivenConsents)
    except UNDECODABLE:
        return ()
    if given is None or given.subject != subject:
        return ()
    purposes = [purpose for purpose in given.purposes if purpose != RECOGNISE]
    return tuple(Consent(purpose, given.reference, given.notice, at) for purpose in dict.fromkeys(purposes))
