"""The office's influence on quarantined subjects: announce a batch, and accept subjects above the hourly limit.

Both count against the total that the installer set at this gate (`most_new_in_batch`). The count stays on disk until it
is renewed at the gate. So a stolen office cannot accept an unlimited number of forged people. A duplicate or invalid
face can only be judged at the gate, where both persons can be seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from gated.events import Event
from gated.gallery.accepted import AcceptedRecord
from gated.gallery.holdings import Holdings
from gated.gallery.record_changes import PERSON
from gated.journal.entry import stamp
from gated.people.held_records import BULK
from gated.protocol.command_messages import ReplyFinding
from gated.sync.command_desk import CommandOutcome
from gated.sync.quarantine import Allowance
from gated.types import SubjectId

AT_THE_GATE = "`gated people quarantine accept` at the gate"
USED_UP = f"nothing is left of the installer's total (`[sync] most_new_in_batch`); use {AT_THE_GATE}, or `renew` there"
NONE = f"this gate lets no batch in (`[sync] most_new_in_batch` is 0); use {AT_THE_GATE}"


def announce(  # noqa: PLR0917 - one call describes the whole batch
    holdings: Holdings, allowance: Allowance, in_all: int, people: int, window_h: float, wall: datetime | None
) -> CommandOutcome:
    """Let `people` subjects join within `window_h` hours, up to the installer's total. The newest batch counts.

    `wall` is the time of day, None while the clock is not trusted. Without a trusted time the batch is refused: its end
    is unknown.
    """
    if wall is None:
        return CommandOutcome("refused", "this gate does not trust its clock yet; announce the batch again later")
    allowed = holdings.allowed
    room = allowance.by_office(allowed)
    if not room:
        return CommandOutcome("refused", USED_UP if in_all else NONE)
    until = wall + timedelta(hours=window_h)
    holdings.allow(replace(allowed, batch=min(people, room), batch_until=stamp(until)))
    if people > room:
        return CommandOutcome(
            "done", f"only {room} of {people} people: the installer set that total; others wait at the gate"
        )
    return CommandOutcome("done", f"up to {people} people may join within {window_h:g} h")


def accept(
    holdings: Holdings,
    allowance: Allowance,
    subjects: Sequence[str],
    operator: str,
    report: Callable[[Event], None],
) -> CommandOutcome:
    """Accept these subjects, as far as an office may. The findings name each one, with the reason for a refusal."""
    findings = []
    for subject in dict.fromkeys(subjects):
        accepted = _accept(holdings, allowance, SubjectId(subject))
        if isinstance(accepted, AcceptedRecord):
            for fact in accepted.facts(operator):
                report(fact)
            accepted = ""
        findings.append(ReplyFinding(subject, "refused" if accepted else "accepted", accepted))
    count = sum(finding.level == "accepted" for finding in findings)
    is_all = count == len(findings)
    return CommandOutcome("done" if is_all else "refused", f"accepted {count} of {len(findings)}", tuple(findings))


def _accept(holdings: Holdings, allowance: Allowance, subject: SubjectId) -> AcceptedRecord | str:
    """Return what was accepted for a subject, or the reason for the refusal."""
    why, allowed = holdings.get(PERSON + subject).quarantine, holdings.allowed
    if why is None:
        return "is not held back here"
    if why != BULK:
        return f"{why}: only {AT_THE_GATE} will do"
    if not allowance.by_office(allowed):
        return USED_UP
    spent = replace(allowed, spent=allowed.spent + 1)
    return holdings.accept(subject, spent) or "is not held back here"
