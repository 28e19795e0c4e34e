"""Issue and revoke cards and PINs. It issues no credential twice, and no weak PIN. The commands use this
module.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from gated.errors import CredentialError
from gated.people import card_readings, pin_verifiers
from gated.people.credential import Credential, by_kind, new_id
from gated.people.credential_store import Credentials
from gated.people.known_pins import KnownPins
from gated.pin.flat_numbers import all_typed, flat_of
from gated.pin.random_pins import random_pin
from gated.pin.rule import is_weak, will_not_do
from gated.storage.vault import READING_BYTES, Vault
from gated.types import CredentialKind, SubjectId

RANDOM_UID = (
    "this number is random: a UID of four bytes that begins with 08 changes each time, so the card would not "
    "open again; give another card, or add --same-each-time if you saw the same number twice"
)

SECOND = (
    "a duress PIN exists, and gated does not know which of the two PINs it is: remove it with `gated people pin "
    "remove --duress` (the command asks for the PIN), or set a new PIN first and then a new duress PIN"
)
MOST_TRIES = 50
"""Maximum number of random PINs to try. A random PIN belongs to another person about once in several hundred tries."""


class UnfitError(CredentialError):
    """A PIN is weak or already exists. Both cases have the same message."""


def issue_card(
    store: Credentials,
    number: str,
    subject: SubjectId | None,
    *,
    label: str = "",
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
    uses: int | None = None,
    may_be_random: bool = False,
) -> Credential:
    """Issue a card to a person, or to a guest if `subject` is None. `uses`: number of uses; None for no limit.

    `may_be_random`: the number looks random, but a person has checked that it does not change.

    Raises `CredentialError` if the number is invalid or random, or matches another issued card at any kind of reader.
    Raises `SubjectNotFoundError`.
    """
    if card_readings.is_random(number) and not may_be_random:
        raise CredentialError(RANDOM_UID)
    named = card_of(store.vault, new_id(), number)
    card = replace(
        named, subject=subject, label=label.strip(), valid_from=valid_from, valid_until=valid_until, uses_left=uses
    )
    with store.changing():
        if twin := conflict_of(store.vault, number, store.all()):
            raise CredentialError(twin)
        store.add(card)
    return card


def card_of(vault: Vault, credential_id: str, number: str) -> Credential:
    """Return a card with only its id, digest and readings. Raises `CredentialError` for an invalid number."""
    own, readings = card_readings.own_name(number), vault.readings(card_readings.given(number))
    return Credential(credential_id, CredentialKind.CARD, None, vault.digest("card", own), readings=readings)


def conflict_of(vault: Vault, number: str, others: Iterable[Credential]) -> str | None:
    """Return why the card conflicts with an issued card at some reader; None without a conflict."""
    own, readings = vault.digest("card", card_readings.own_name(number)), vault.readings(card_readings.given(number))
    before = vault.readings(card_readings.readings_of_older_cards(number))
    weak = vault.readings(card_readings.weak(number))
    for other in by_kind(others)[0]:
        is_old = not other.readings
        shared = ({other.digest[:READING_BYTES]} & (readings | before)) if is_old else readings & other.readings
        if other.digest == own or shared - weak:
            return f"this card is given out already, as {other.id}; remove that one first"
        if shared:
            return (
                f"a reader of 26 bits cannot tell this card from {other.id}: their lower 24 bits are the same; "
                "give another card, or remove that one first"
            )
    return None


def issue_random_pin(store: Credentials, subject: SubjectId, *, least: int, is_duress: bool = False) -> tuple[str, int]:
    """Issue a random PIN or duress PIN. Return its digits and the number of PINs that it replaced.

    Raises `SubjectNotFoundError`. Raises `CredentialError` for a duress PIN without a normal PIN.
    """
    flat, flats = _flats(store, subject)
    for _ in range(MOST_TRIES):
        digits = random_pin(least, flat, flats)
        try:
            return digits, set_pin(store, digits, subject, least=least, is_duress=is_duress)[1]
        except UnfitError:
            continue
    raise CredentialError(f"of {MOST_TRIES} PINs each was somebody's: set [readers] pin_digits higher")


def _flats(store: Credentials, subject: SubjectId) -> tuple[str, frozenset[str]]:
    """Return the digits of the person's flat number, and all keypad entries for flats."""
    people = store.people()
    home = next((each.household for each in people if each.subject == subject), "")
    return flat_of(home), all_typed(each.household for each in people)


def set_pin(
    store: Credentials, digits: str, subject: SubjectId, *, least: int, is_duress: bool = False
) -> tuple[Credential, int]:
    """Set a PIN of at least `least` digits, or a duress PIN. Return it and the number of PINs that it replaced.

    A new PIN also replaces the duress PIN: no data shows which of the two is the duress PIN.

    Raises `SubjectNotFoundError`. Raises `CredentialError` with the same message for a weak PIN and for an existing
    PIN. So the message does not reveal a neighbour's PIN.
    """
    with store.changing():
        every = store.all()
        known = KnownPins(store.vault, every)
        if is_weak(digits, least, *_flats(store, subject)) or known.find(digits):
            raise UnfitError(will_not_do(least))
        owned = [pin_verifiers.as_verifier(store.vault, each) for each in by_kind(every)[1] if each.subject == subject]
        if is_duress and len(owned) != 1:
            raise CredentialError(SECOND if owned else "a duress PIN is somebody's second: set their PIN first")
        new = _pin(store.vault, digits, subject, owned if is_duress else [], known.salt, is_duress=is_duress)
        store.set_pins(subject, [*owned, new] if is_duress else [new])
    store.tidy()
    return replace(new, id=str(subject), is_duress=is_duress), 0 if is_duress else len(owned)


def remove_duress_pin(store: Credentials, digits: str, subject: SubjectId) -> None:
    """Remove a person's duress PIN. The caller must know its digits. Raises `CredentialError`."""
    with store.changing():
        owned = [each for each in by_kind(store.all())[1] if each.subject == subject]
        removed = KnownPins(store.vault, owned).match(digits)
        if removed is None or not removed[1]:
            raise CredentialError(f"this is no duress PIN of {subject}; nothing was removed")
        store.set_pins(subject, [each for each in owned if each.id != removed[0].id])
    store.tidy()


def _pin(
    vault: Vault, digits: str, subject: SubjectId, beside: Sequence[Credential], salt: bytes | None, *, is_duress: bool
) -> Credential:
    """Return a PIN in stored form. A second PIN of the same person has the form of the first, so that the form shows
    nothing.
    """
    like = beside[0] if beside else None
    recipe = None if like is None else pin_verifiers.recipe_of(like.pin_hash)
    if like is not None and len(like.digest) != pin_verifiers.VERIFIER_BYTES:
        digest, verifier = pin_verifiers.stored_alone(vault, digits, is_duress=is_duress)
    else:
        salt = recipe.salt if recipe is not None else salt or pin_verifiers.new_salt()
        digest, verifier = pin_verifiers.stored(vault, digits, salt, is_duress=is_duress)
    return Credential(new_id(), CredentialKind.PIN, subject, digest, verifier)


def revoke_credential(store: Credentials, credential_id: str) -> Credential:
    """Delete a card or a PIN by its id, and return it. Raises `CredentialError` for an unknown id."""
    with store.changing():
        for credential in store.all():
            if credential.id == credential_id:
                store.delete(credential_id)
                break
        else:
            raise CredentialError(
                f"there is no card and no PIN {credential_id!r}; `gated people card list` shows the ids"
            )
    store.tidy()
    return credential
