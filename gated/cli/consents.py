"""`gated people consents`: shows consents that only the office reports, and lets a person at the gate confirm them."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Literal

import click

from gated.cli import Context, read_only_command, show_json, streams
from gated.cli.find_person import called, find, sure, yes_option
from gated.cli.people_stores import unknown_person
from gated.cli.table_output import show
from gated.events import ConsentsAccepted
from gated.gallery.holdings import Holdings
from gated.gallery.record_changes import PERSON
from gated.journal.journal import Journal
from gated.people.acceptances import Claim
from gated.people.given_consents import TRANSFER, GivenConsents, offering_consents
from gated.people.plain_text import plain_text
from gated.types import SubjectId

FACE_POLL_S = 0.3
ConsentOutcome = Literal["counts", "waits", "replaced", "nothing"]
OUTCOME_TEXT: dict[ConsentOutcome, str] = {
    "counts": "the consent is valid from now on and is reported to the office",
    "waits": "the new face waits, because this gate has another one; nothing was recorded; accept the new face first",
    "replaced": "the same command was started again and replaced this one",
    "nothing": "no face was captured within the time limit; nothing was recorded",
}


@click.group()
def consents() -> None:
    """Show consents that wait for confirmation here, and confirm them.

    The office may report that a person agreed to more than recognition. No face leaves this gate before a person here
    has checked the papers. This also holds for a face captured here by order of the office. `accept` without a name
    confirms all. Run `give` during an enrolment here: then the consent counts at once.
    """


@consents.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
@read_only_command
def list_consents(context: Context, as_json: bool) -> None:
    """List people enrolled here whose further consent only the office reports."""
    with closing(_holdings(context)) as holdings:
        claims = holdings.claims()
        rows = [_row(holdings, claims, subject) for subject in sorted({claim.subject for claim in claims})]
    if as_json:
        show_json(rows)
    else:
        columns = ["subject", "name", "household", "purposes", "papers"]
        show(columns, [[str(row[column]) for column in columns] for row in rows])


@consents.command()
@click.argument("subjects", nargs=-1, metavar="[SUBJECT...]")
@yes_option
@click.pass_obj
def accept(context: Context, subjects: tuple[str, ...], yes: bool) -> None:
    """Confirm the consents of these people, or of all waiting people without a name. Names each person first.

    Exit 1 if one of them has nothing to confirm; all other people are confirmed.
    """
    settings = context.settings
    with closing(_holdings(context)) as holdings:
        seen = [claim for claim in holdings.claims() if not subjects or claim.subject in subjects]
        chosen = {claim.subject for claim in seen}
        for subject in sorted(chosen):
            person = holdings.person(subject)
            if person is not None:
                streams.echo(f"{called(person)}: {_papers(seen, subject)}", err=True)
        if chosen:
            sure(f"Have these {len(chosen)} people agreed?", f"{len(chosen)} consents would be accepted", yes=yes)
        count = holdings.agree(seen)
        waiting = len(holdings.disputed())
    with closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal:
        if count:
            journal.append(ConsentsAccepted(count, waiting), datetime.now(UTC))
    missing = {*subjects} - {*chosen}
    for name in sorted(missing):
        streams.echo(f"{name!r} has no waiting consent; `gated people consents list` shows all that wait", err=True)
    streams.echo(f"accepted the consents of {count} people; {waiting} wait")
    sys.exit(1 if missing else 0)


@consents.command()
@click.argument("subject")
@click.option("--transfer", is_flag=True, required=True, help="Consent to send the face to the other gates.")
@click.option("--consent", required=True, metavar="REF", help="Reference of this person's consent.")
@click.option("--notice", required=True, metavar="VERSION", help="Version of the notice read or heard before.")
@click.option(
    "--minutes", type=click.FloatRange(0, 60, min_open=True), default=10.0, show_default=True, help="Wait this long."
)
@yes_option
@click.pass_obj
def give(
    context: Context, subject: str, *, transfer: bool, consent: str, notice: str, minutes: float, yes: bool
) -> None:
    """Record the consent of SUBJECT at this gate, and wait until the face is captured here.

    The consent counts from then on, and the office is told. Start the enrolment while this command runs. The consent is
    void when this command ends first or the face is held back. Exit 1 when nothing was recorded.
    """
    settings = context.settings
    paper, version = plain_text("consent", consent), plain_text("notice", notice)
    with closing(_holdings(context)) as holdings:
        person = find(subject, holdings.register.people(), unknown_person(subject))
        effect = f"{person.subject} would be recorded as agreeing to send the face to the other gates"
        sure(f"Does {called(person)} stand here, and agree to send the face to the other gates?", effect, yes=yes)
        given = GivenConsents(person.subject, [TRANSFER] * transfer, paper, version)
        with offering_consents(settings.state, given) as stands:
            streams.echo(
                "capture the face at this gate now; Ctrl-C ends this command and withdraws the consent", err=True
            )
            outcome = _await(holdings, person.subject, stands, time.monotonic() + 60 * minutes)
    streams.echo(f"{called(person)}: {OUTCOME_TEXT[outcome]}")
    sys.exit(0 if outcome == "counts" else 1)


def _await(holdings: Holdings, subject: SubjectId, stands: Callable[[], bool], until: float) -> ConsentOutcome:
    """Wait until a face of this person is captured, or until the monotonic time `until`, in seconds.

    Return what came of it.
    """
    before = holdings.face(subject), holdings.get(PERSON + subject).pending
    while time.monotonic() < until:
        if not stands():
            return "replaced"
        now = holdings.face(subject), holdings.get(PERSON + subject).pending
        if now[0] != before[0]:
            return "counts" if TRANSFER in holdings.agreed(subject) else "nothing"
        if now[1] != before[1] and now[1] is not None:
            return "waits"
        time.sleep(FACE_POLL_S)
    return "nothing"


def _row(holdings: Holdings, claims: Sequence[Claim], subject: SubjectId) -> dict[str, object]:
    """Return one person as a row: the purposes that the office reports, and the references of the consent papers."""
    person = holdings.person(subject)
    return {
        "subject": subject,
        "name": person.name if person is not None else "",
        "household": person.household if person is not None else "",
        "purposes": [claim.purpose for claim in claims if claim.subject == subject],
        "papers": _papers(claims, subject),
    }


def _papers(claims: Sequence[Claim], subject: SubjectId) -> str:
    return ", ".join(f"{claim.purpose}: {claim.reference}" for claim in claims if claim.subject == subject)


def _holdings(context: Context) -> Holdings:
    return Holdings.open(context.settings.state, context.settings.site.id)
