"""Wait for a second credential after a card or PIN, and store the use of the first one when the door was released.

Used by `credential_service`. `second_after_face` begins the windows after a face. `second_credential` holds both.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from gated.access.access_rules import PERSONAL, Refusal
from gated.access.permissions import Permissions
from gated.access.responder import PresentedCredential, Responder
from gated.access.second_credential import FirstCredential, SecondCredentials
from gated.access.use_writer import UseWriter
from gated.people.credential import Credential
from gated.people.keyring import KeyRing


class SecondRequests:
    """The windows that cards and PINs begin and end. Use it in the event loop's thread."""

    def __init__(
        self,
        second: SecondCredentials,
        responder: Responder,
        ring: KeyRing,
        writer: UseWriter,
        permissions: Permissions,
        *,
        wall: Callable[[], datetime | None],
        note_use: Callable[[str], None],
    ) -> None:
        """`note_use` receives the id of each credential that helped to open the door."""
        self._second, self._responder, self._ring, self._writer = second, responder, ring, writer
        self._permissions, self._wall, self._note_use = permissions, wall, note_use
        self.complete = second.complete

    def first(self, found: Credential | None, door: str) -> FirstCredential | None:
        """Return the credential of another kind that the owner of this one has just shown at this door, or None."""
        return None if found is None else self._second.first(door, found.subject, found.kind, time.monotonic())

    def recognised_homes(self, door: str) -> frozenset[str]:
        """Return the households of the people whose face waits at this door for a card or PIN."""
        return self._ring.homes(self._second.recognised(door, time.monotonic()))

    def request(self, presented: PresentedCredential, found: Credential) -> None:
        """Wait for the second credential of the same person, and ask for it.

        A PIN stays counted as a guess until both have released the door.
        """
        now = time.monotonic()
        if found.subject is not None:
            first = FirstCredential(
                found.subject,
                found.kind,
                presented.door,
                now + self._second.window_s,
                deny=partial(self._deny, replace(presented, is_duress=False)),
                complete=partial(self._record_use, presented, found),
                is_valid=partial(self._still_opens, presented, found),
                is_duress=found.is_duress,
            )
            self._second.begin(first, now)
            self._second.judge_again(presented.door)
        self._responder.request_second(presented)

    def _deny(self, presented: PresentedCredential) -> None:
        self._responder.act(presented, Refusal.SECOND_MISSING)

    def _record_use(self, presented: PresentedCredential, found: Credential) -> None:
        at, store = self._wall(), self._ring.store
        self._responder.remove_correct(presented.guess)
        self._note_use(found.id)
        self._writer.record(lambda: store.use(found.id, at))

    def _still_opens(self, presented: PresentedCredential, found: Credential) -> bool:
        """Return whether the card or PIN, as it is stored now, would open together with a second one."""
        stored = self._ring.present(found, presented.text)
        refusal = self._permissions.judge_credential(stored, presented.door, self._wall(), PERSONAL)
        return refusal is None
