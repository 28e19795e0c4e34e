"""Somebody is given a card or a PIN, or it is taken from them: nobody's twice, and no PIN that is easily guessed."""

import re
from datetime import datetime

from gated.errors import CredentialError
from gated.gallery import entitlement, pins
from gated.gallery.credentials import Credentials
from gated.gallery.entitlement import Credential
from gated.types import SubjectId

NUMBER = re.compile(r"[0-9A-Z]{4,40}|W[0-9]{2}:[0-9A-Z-]{1,37}")
"""What is printed on a card or typed by a USB reader, or as a wired reader says it, its format first: w26:12-3456."""


def plain_number(number: str) -> str:
    """A card's number as every reader means it: some type leading zeros or small letters, and some do not."""
    plain = number.strip().upper()
    return plain.lstrip("0") if plain.isascii() and plain.isdigit() else plain


def give_card(
    store: Credentials,
    number: str,
    subject: SubjectId | None,
    *,
    label: str = "",
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
    uses: int | None = None,
) -> Credential:
    """Give somebody a card, or with no `subject` a guest; `uses`: so many times, None: any number.

    Raises `CredentialError` when the number is none or is given out already, and `SubjectNotFoundError`.
    """
    plain = plain_number(number)
    if not NUMBER.fullmatch(plain):
        raise CredentialError(
            "a card's number has 4 to 40 digits or letters A to Z, and not only zeros; a wired reader puts the format "
            "before it, as in w26:12-3456; read it again"
        )
    digest = store.vault.digest("card", plain)
    card = Credential(
        entitlement.new_id(), "card", subject, digest, None, label.strip(), valid_from, valid_until, uses_left=uses
    )
    with store.changing():
        for other in store.all():
            if other.digest == digest:
                raise CredentialError(f"this card is given out already, as {other.id}; remove that one first")
        store.add(card)
    return card


def set_pin(
    store: Credentials, digits: str, subject: SubjectId, *, least: int, is_duress: bool = False
) -> tuple[Credential, Credential | None]:
    """Give somebody a PIN of at least `least` digits, or a duress PIN; gives it, and the one that it replaced.

    Raises `SubjectNotFoundError`, and `CredentialError`: in the same words for a weak PIN and for one that exists, so
    that this is no way to learn a neighbour's.
    """
    bucket = pins.bucket(store.vault, digits)
    pin = Credential(
        entitlement.new_id(), "pin", subject, bucket, pins.hashed(store.vault, digits), is_duress=is_duress
    )
    with store.changing():
        every = [credential for credential in store.all() if credential.way == "pin"]
        alike = [other for other in every if other.digest == bucket]
        if pins.is_weak(digits, least) or pins.find(store.vault, digits, alike, tries=1):
            raise CredentialError(
                f"this PIN will not do: choose another of {least} to {pins.MOST_DIGITS} digits, "
                "that are not all alike and do not run up or down"
            )
        mine = {other.is_duress: other for other in every if other.subject == subject}
        if is_duress and False not in mine:
            raise CredentialError("a duress PIN is somebody's second: set their PIN first")
        if old := mine.get(is_duress):
            store.delete(old.id)
        store.add(pin)
    store.tidy()
    return pin, old


def take_away(store: Credentials, which: str) -> Credential:
    """Take a card or a PIN away, by its id. Raises `CredentialError` when there is none."""
    with store.changing():
        for credential in store.all():
            if credential.id == which:
                store.delete(which)
                break
        else:
            raise CredentialError(f"there is no card and no PIN {which!r}; `gated people card list` shows the ids")
    store.tidy()
    return credential
