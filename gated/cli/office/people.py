"""`gated office person`: manages the people who may enter at the gates of the site."""

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from gated import names
from gated.cli import looks, show_json, streams
from gated.cli.credentials import show_readings
from gated.cli.find_person import called, find, not_twice, sure, yes_option
from gated.cli.office.access_rules import days, keep_bound, passages, passages_option
from gated.cli.office.pins import budget_of, lines
from gated.cli.people_stores import Day, since_option, until_option
from gated.cli.pins import choose_option, insisted, tell_made
from gated.cli.preferences import near_role
from gated.cli.table_output import in_words, in_zone, show
from gated.errors import CredentialError, OfficeError
from gated.gallery.enrolment import plain_text
from gated.journal.entry import stamp
from gated.office.gate_consents import with_enrolment_consents
from gated.office.office_person import OfficeCard, OfficePerson
from gated.office.pin_issuing import give_pin, take_pin
from gated.office.store import Store
from gated.people import card_numbers, card_readings
from gated.people.access_rule import plain_role
from gated.people.credential import new_id
from gated.people.issuing import RANDOM_UID
from gated.protocol.messages import Consented, Wishes
from gated.sitetime import iso
from gated.sitetime import window as site_window

_consent = click.option("--consent", metavar="REF", help="Reference of the paper consent to recognition.")
_notice = click.option("--notice", metavar="VERSION", help="Version of the notice read or heard before.")
_transfer = click.option("--transfer", is_flag=True, help="The person also agrees to send the face to the other gates.")
_role = click.option("--role", help="Role, such as resident, staff or guardian.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

WITHDRAWN = {"recognise": {"recognise", "transfer"}, "transfer": {"transfer"}}
"""Consents withdrawn together with a consent. Without consent to recognition, a face is of no use to another gate."""


@click.group()
def person() -> None:
    """Manage the people of the site. Every gate follows within seconds."""


@person.command()
@click.option("--name", required=True)
@click.option("--household", required=True, help="Household: a number or a name.")
@click.option("--subject", help="Existing id of a person enrolled at a gate.")
@_role
@_consent
@_notice
@_transfer
@yes_option
@click.pass_obj
def add(
    folder: Path, *, name: str, household: str, subject: str | None, role: str | None, consent: str | None,
    notice: str | None, transfer: bool, yes: bool,
) -> None:  # fmt: skip
    """Add a person. A card or PIN works at once; a face works after a gate has captured it (`enrol`)."""
    who = OfficePerson(
        n=0,
        subject=subject or secrets.token_hex(8),
        name=plain_text("name", name),
        household=names.tidy(plain_text("household", household)),
        role=plain_role(role) if role else "resident",
        added_at=stamp(datetime.now(UTC)),
        consents=_consents(consent, notice, transfer),
    )
    with closing(Store.open(folder)) as store:
        if store.book.get(f"person/{who.subject}") is not None:
            raise OfficeError(f"{who.subject!r} is there already, or was removed for good; `person change` changes")
        _ask_about(store, who, yes=yes)
        with store.file.writing():
            keep_bound(store, who)
            known = with_enrolment_consents(store, who)
            store.book.put(known)
    for more in known.consents[len(who.consents) :]:
        streams.say(f"{more.purpose}: noted as well, as the gate has it: {more.reference}")
    streams.say(f"added {called(who)}, {who.subject}")


@person.command()
@click.argument("subject")
@click.option("--name")
@click.option("--household", help="Household: a number or a name.")
@_role
@_consent
@_notice
@_transfer
@click.option("--withdraw", type=click.Choice(["recognise", "transfer"]), help="Withdraw this consent.")
@yes_option
@click.pass_obj
def change(
    folder: Path, subject: str, *, name: str | None, household: str | None, role: str | None, consent: str | None,
    notice: str | None, transfer: bool, withdraw: str | None, yes: bool,
) -> None:  # fmt: skip
    """Change a person. Options not given keep their value. Withdrawing a consent deletes faces at every gate."""
    said = {
        field: plain(value)
        for field, value, plain in (
            ("name", name, partial(plain_text, "name")),
            ("household", household, lambda text: names.tidy(plain_text("household", text))),
            ("role", role, plain_role),
        )
        if value is not None
    }
    new = _consents(consent, notice, transfer)
    over = {each.purpose for each in new} | WITHDRAWN.get(withdraw or "", set())
    with _changing(folder, subject) as (store, who):
        kept = [each for each in who.consents if each.purpose not in over]
        now = stamp(datetime.now(UTC))
        taken_back = dict.fromkeys(sorted(WITHDRAWN.get(withdraw or "", set())), now)
        changed = replace(who, **said, consents=kept + new, withdrawn=who.withdrawn | taken_back)
        if said:
            _ask_about(store, changed, yes=yes)
            keep_bound(store, changed)
        store.book.put(changed)
    streams.say(f"changed {called(changed)}, {who.subject}")


@person.command()
@click.argument("subject")
@click.pass_obj
def suspend(folder: Path, subject: str) -> None:
    """Suspend a person: no gate lets them in until they are resumed."""
    with _changing(folder, subject) as (store, who):
        store.book.put(replace(who, status="suspended"))
    streams.say(f"suspended {called(who)}, {who.subject}")


@person.command()
@click.argument("subject")
@click.pass_obj
def resume(folder: Path, subject: str) -> None:
    """End a suspension."""
    with _changing(folder, subject) as (store, who):
        store.book.put(replace(who, status="active"))
    streams.say(f"resumed {called(who)}, {who.subject}")


@person.command()
@click.argument("subject")
@yes_option
@click.pass_obj
def remove(folder: Path, subject: str, yes: bool) -> None:
    """Erase a person, here and at every gate. `gated office receipts` shows which gates have confirmed.

    Asks first; without a terminal, --yes is required.
    """
    with closing(Store.open(folder)) as store:
        who = somebody(store, subject)
        question = f"Erase {called(who)}, {who.subject}, here and at every gate, for good?"
        sure(question, f"{who.subject} would be erased for good, here and at every gate", yes=yes)
        store.book.remove(f"person/{who.subject}")
    told = f"`gated office receipts {who.subject}` shows where they are gone"
    streams.say(f"removed {called(who)}, {who.subject}; {told}")


@person.command("list")
@click.option(
    "--consent-before", "day", type=Day(), help="Only people whose consent is older than this day, YYYY-MM-DD."
)
@_json
@click.pass_obj
@looks
def list_people(folder: Path, day: date | None, as_json: bool) -> None:
    """List all people, by household and name."""
    with closing(Store.open(folder)) as store:
        people = sorted(store.book.live(OfficePerson), key=lambda who: (who.household, who.name, who.subject))
        begin, _ = site_window(day, None, store.zone)
        if begin is not None:
            people = [who for who in people if any(consent.at < stamp(begin) for consent in who.consents)]
        rows, zone = [_row(store, who) for who in people], store.zone
    if as_json:
        show_json(rows)
    else:
        columns = ["subject", "name", "household", "role", "status", "enrolled_at"]
        heads = [*columns[:-1], "enrolled at"]
        show(heads, [[in_words(row[column], zone) for column in columns] for row in rows])


@person.command("show")
@click.argument("subject")
@_json
@click.pass_obj
@looks
def show_person(folder: Path, subject: str, as_json: bool) -> None:
    """Show all stored data of one person, without numbers of cards and PINs."""
    with closing(Store.open(folder)) as store:
        row, zone = _row(store, somebody(store, subject)), store.zone
    if as_json:
        show_json(row)
    else:
        rows = [[head, in_words(row[key], zone)] for key, head in zip(row, in_zone(list(row), zone), strict=True)]
        show(["what", f"is (times: {zone.key})"], rows)


@person.command("rights")
@click.argument("subject")
@passages_option
@click.pass_obj
def person_rights(folder: Path, /, subject: str, **said: Any) -> None:
    """Set the doors and hours of a person. With --clear, the rules of the household or role apply."""
    with _changing(folder, subject) as (store, who):
        store.book.put(replace(who, rights=passages(store, **said)))
    streams.say(f"set the rights of {called(who)}, {who.subject}")


@person.command()
@click.argument("subject")
@click.option("--release-s", type=click.FloatRange(5, 30), help="Seconds that the lock stays released.")
@click.option("--search-s", type=click.FloatRange(1, 30), help="Seconds that the gate looks for the face.")
@click.option("--first", type=click.Choice(["speech", "light", "touch"]), help="The cue to give first.")
@click.option("--clear", is_flag=True, help="Reset to the defaults.")
@click.pass_obj
def prefer(folder: Path, /, subject: str, *, clear: bool, **wishes: Any) -> None:
    """Set how every gate behaves for a person. No reason is asked for or stored."""
    asked = {wish: value for wish, value in wishes.items() if value is not None}
    if clear == bool(asked):
        raise click.UsageError("say some of --release-s, --search-s and --first, or --clear alone")
    with _changing(folder, subject) as (store, who):
        store.book.put(replace(who, wishes=Wishes() if clear else replace(who.wishes, **asked)))
    streams.say(f"set what {called(who)}, {who.subject}, prefers")


@person.command()
@click.argument("subject")
@click.option("--number", help="Give this card: the printed number or a reader's output.")
@click.option("--take", metavar="CARD", help="Remove the card with this id; `person show` shows the ids.")
@since_option
@until_option
@click.option("--uses", type=click.IntRange(1, 100_000), help="Number of uses at each gate.")
@click.option("--label", default="", help="A note for the office.")
@click.option("--same-each-time", is_flag=True, help="The number looks random but is fixed: you saw it more than once.")
@click.pass_obj
def card(
    folder: Path, subject: str, *, number: str | None, take: str | None, since: date | None, until: date | None,
    uses: int | None, label: str, same_each_time: bool,
) -> None:  # fmt: skip
    """Give a person a card, or take one away."""
    if (number is None) == (take is None):
        raise click.UsageError("say --number to give a card, or --take to take one away")
    with _changing(folder, subject) as (store, who):
        if take is not None:
            kept = [each for each in who.cards if each.id != take]
            if kept == who.cards:
                raise CredentialError(f"{who.subject} has no card {take!r}; `gated office person show` tells the ids")
            store.book.put(replace(who, cards=kept))
            streams.say(f"removed card {take} of {called(who)}")
            return
        begin, end = days(since, until, store.zone)
        plain = _card_number(store, number or "", may_be_random=same_each_time)
        given = OfficeCard(new_id(), plain, label.strip(), begin, end, uses)
        store.book.put(replace(who, cards=[*who.cards, given]))
    show_readings(plain)
    streams.say(f"gave {called(who)} the card {given.id}")


@person.command()
@click.argument("subject")
@click.option("--duress", is_flag=True, help="The duress PIN: it opens, and silently calls for help.")
@click.option("--take", is_flag=True, help="Remove it; removing the PIN removes the duress PIN too.")
@choose_option
@click.pass_obj
def pin(folder: Path, subject: str, duress: bool, take: bool, choose: bool) -> None:
    """Make a PIN for a person and show it once. It replaces the earlier PIN.

    With --choose, the person types one. A program may write one to standard input.
    """
    with closing(Store.open(folder)) as store:  # a prompt must not hold the write lock
        subject = somebody(store, subject).subject
    what = "the duress PIN" if duress else "the PIN"
    if take:
        with _changing(folder, subject) as (store, who):
            take_pin(store, who.subject, only_duress=duress)
        streams.say(f"removed {what} of {called(who)}, {who.subject}")
        return
    typed = insisted(choose)
    with _changing(folder, subject) as (store, who):
        digits = give_pin(store, who.subject, typed, is_duress=duress)
        found = budget_of(store)
    streams.say(f"set {what} of {called(who)}, {who.subject}")
    tell_made(typed, digits)
    if found.is_short:
        streams.say(f"note: {'; '.join(lines(found))}", err=True)


@contextmanager
def _changing(folder: Path, subject: str) -> Iterator[tuple[Store, OfficePerson]]:
    """Yield the store and a person's record, inside a write transaction. Nobody else changes the store meanwhile."""
    with closing(Store.open(folder)) as store:
        who = somebody(store, subject)  # a prompt must not hold the write lock
        with store.file.writing():
            yield store, store.book.person(who.subject)


def somebody(store: Store, words: str) -> OfficePerson:
    """Return the person that `words` name (see `who.find`). Raises `OfficeError` and `SubjectNotFoundError`."""
    if store.book.get(f"person/{words}") is not None:
        return store.book.person(words)  # raises if this person was removed for good
    missing = OfficeError(f"nobody here has the id or the name {words!r}; `gated office person list` shows everybody")
    return find(words, store.book.live(OfficePerson), missing)


def _ask_about(store: Store, who: OfficePerson, *, yes: bool) -> None:
    """Ask for confirmation of a second person with the same name in a household, and of similar names of households or
    roles.
    """
    people = store.book.live(OfficePerson)
    not_twice(who.name, who.household, people, yes=yes, but=who.subject)
    near_role(who.role, {each.role for each in people}, yes=yes)


def _consents(reference: str | None, notice: str | None, transfer: bool) -> list[Consented]:
    if (reference is None) != (notice is None) or (transfer and reference is None):
        raise click.UsageError("a consent has both: --consent REF and --notice VERSION")
    if reference is None or notice is None:
        return []
    at, purposes = stamp(datetime.now(UTC)), ["recognise", "transfer"] if transfer else ["recognise"]
    reference, notice = plain_text("consent", reference), plain_text("notice", notice)
    return [Consented(purpose, reference, notice, at) for purpose in purposes]


def _card_number(store: Store, number: str, *, may_be_random: bool) -> str:
    """Return the plain card number, if no kind of reader confuses it with a card already given. Raises
    `CredentialError`.
    """
    plain, readings, weak = card_numbers.plain(number), card_readings.given(number), card_readings.weak(number)
    if card_readings.is_random(number) and not may_be_random:
        raise CredentialError(RANDOM_UID)
    for other in store.book.live(OfficePerson):
        for card in other.cards:
            shared = readings & _readings(card.number)
            if plain == card.number or shared - weak:
                raise CredentialError(f"this card is given out already, as {card.id}; take it away there first")
            if shared:
                raise CredentialError(
                    f"a reader of 26 bits cannot tell this card from {card.id}: their lower 24 bits are the same; "
                    "give another card, or take that one away first"
                )
    return plain


def _readings(number: str) -> frozenset[str]:
    """Return the readings of a stored card. They are empty if the number, accepted by an earlier version, is not valid
    now.
    """
    try:
        return card_readings.given(number)
    except CredentialError:
        return frozenset()


def _row(store: Store, who: OfficePerson) -> dict[str, Any]:
    return {
        "subject": who.subject,
        "name": who.name,
        "household": who.household,
        "role": who.role,
        "status": who.status,
        "added_at": iso(who.added_at, store.zone),
        "consents": who.consents,
        "enrolled_at": store.faces.enrolled_at(who.subject),
        "rights": who.rights,
        "cards": [
            {"id": each.id, "label": each.label, "valid_until": iso(each.valid_until, store.zone)} for each in who.cards
        ],
        "pin": who.has_pin,
        "duress_pin": who.has_duress_pin,
        "wishes": who.wishes,
    }
