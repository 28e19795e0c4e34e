"""Somebody is given a card or a PIN, or it is taken from them: nobody's twice, and no PIN that is easily guessed."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from gated.errors import CredentialError
from gated.gallery import cards, entitlement, verifiers
from gated.gallery.credentials import Credentials
from gated.gallery.entitlement import Credential
from gated.gallery.known_pins import KnownPins
from gated.gallery.vault import READING_BYTES, Vault
from gated.pin.flat import all_typed, flat_of
from gated.pin.making import made
from gated.pin.rule import is_weak, will_not_do
from gated.types import SubjectId

RANDOM_UID = (
    "this is a random number: a UID of four bytes that begins with 08 is another one each time the card is shown, and "
    "would not open again; give another card, or add --same-each-time if you have seen this one say the same twice"
)

SECOND = (
    "a duress PIN is set already, and nothing tells which of the two PINs it is: take it away first with "
    "`gated people pin remove --duress`, which asks for it, or set the PIN anew and the duress PIN after it"
)
MOST_TRIES = 50
"""A PIN that is made is somebody's already once in hundreds of times."""


class UnfitError(CredentialError):
    """A PIN that will not do, or that exists already: in the same words."""


def give_card(
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
    """Give somebody a card, or with no `subject` a guest; `uses`: so many times, None: any number.

    `may_be_random`: somebody has seen that this number is the same each time, although it looks random.
    Raises `CredentialError` when the number is none, is random, or is that of another card that is given out, be it at
    one kind of reader only, and `SubjectNotFoundError`.
    """
    if cards.is_random(number) and not may_be_random:
        raise CredentialError(RANDOM_UID)
    named = card_of(store.vault, entitlement.new_id(), number)
    card = replace(
        named, subject=subject, label=label.strip(), valid_from=valid_from, valid_until=valid_until, uses_left=uses
    )
    with store.changing():
        if twin := twin_of(store.vault, number, store.all()):
            raise CredentialError(twin)
        store.add(card)
    return card


def card_of(vault: Vault, which: str, number: str) -> Credential:
    """A card as it is stored, without anything else than its number. Raises `CredentialError` for what is no number."""
    own = cards.own_name(number)
    return Credential(which, "card", None, vault.digest("card", own), readings=vault.readings(cards.given(number)))


def twin_of(vault: Vault, number: str, others: Iterable[Credential]) -> str | None:
    """Why a card of this number cannot be given beside these: at some reader it is the same as one of them."""
    own, readings = vault.digest("card", cards.own_name(number)), vault.readings(cards.given(number))
    before = vault.readings(cards.given_before(number))
    weak = vault.readings(cards.weak(number))
    for other in others:
        if other.way != "card":
            continue
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


def make_pin(store: Credentials, subject: SubjectId, *, least: int, is_duress: bool = False) -> tuple[str, int]:
    """Give somebody a PIN, or a duress PIN, that is made here; gives its digits, and how many it took the place of.

    Raises `SubjectNotFoundError`, and `CredentialError` where a duress PIN would be the first.
    """
    flat, flats = _flats(store, subject)
    for _ in range(MOST_TRIES):
        digits = made(least, flat, flats)
        try:
            return digits, set_pin(store, digits, subject, least=least, is_duress=is_duress)[1]
        except UnfitError:
            continue
    raise CredentialError(f"of {MOST_TRIES} PINs each was somebody's: set [readers] pin_digits higher")


def _flats(store: Credentials, subject: SubjectId) -> tuple[str, frozenset[str]]:
    """The digits of somebody's flat number, and everything that may be typed for any flat."""
    people = store.people()
    home = next((each.household for each in people if each.subject == subject), "")
    return flat_of(home), all_typed(each.household for each in people)


def set_pin(
    store: Credentials, digits: str, subject: SubjectId, *, least: int, is_duress: bool = False
) -> tuple[Credential, int]:
    """Give somebody a PIN of at least `least` digits, or a duress PIN; gives it, and how many it took the place of.

    Another PIN takes the place of the duress PIN as well, for nothing here tells which of the two it is. Raises
    `SubjectNotFoundError`, and `CredentialError`: in the same words for a weak PIN and for one that exists, so that
    this is no way to learn a neighbour's.
    """
    with store.changing():
        every = store.all()
        known = KnownPins(store.vault, every)
        if is_weak(digits, least, *_flats(store, subject)) or known.find(digits):
            raise UnfitError(will_not_do(least))
        mine = [verifiers.veiled(store.vault, each) for each in every if (each.subject, each.way) == (subject, "pin")]
        if is_duress and len(mine) != 1:
            raise CredentialError(SECOND if mine else "a duress PIN is somebody's second: set their PIN first")
        new = _pin(store.vault, digits, subject, mine if is_duress else [], known.salt, is_duress=is_duress)
        store.set_pins(subject, [*mine, new] if is_duress else [new])
    store.tidy()
    return replace(new, id=str(subject), is_duress=is_duress), 0 if is_duress else len(mine)


def take_duress_pin(store: Credentials, digits: str, subject: SubjectId) -> None:
    """Take somebody's duress PIN away, which whoever asks for it must know. Raises `CredentialError`."""
    with store.changing():
        mine = [each for each in store.all() if (each.subject, each.way) == (subject, "pin")]
        gone = KnownPins(store.vault, mine).match(digits)
        if gone is None or not gone[1]:
            raise CredentialError(f"this is no duress PIN of {subject}; nothing was taken away")
        store.set_pins(subject, [each for each in mine if each.id != gone[0].id])
    store.tidy()


def _pin(
    vault: Vault, digits: str, subject: SubjectId, beside: Sequence[Credential], salt: bytes | None, *, is_duress: bool
) -> Credential:
    """A PIN as it is stored; one that stands beside another is stored in the same way, and so told apart by nothing."""
    like = beside[0] if beside else None
    recipe = None if like is None else verifiers.recipe_of(like.pin_hash)
    if like is not None and len(like.digest) != verifiers.VERIFIER_BYTES:
        digest, how = verifiers.stored_alone(vault, digits, is_duress=is_duress)
    else:
        salt = recipe.salt if recipe is not None else salt or verifiers.new_salt()
        digest, how = verifiers.stored(vault, digits, salt, is_duress=is_duress)
    return Credential(entitlement.new_id(), "pin", subject, digest, how)


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
