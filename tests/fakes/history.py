"""Checks that the history of a gate keeps every promise of the door, whatever failed.

As Jepsen does: generate a day with faults, record it, then judge the record.
"""

from collections.abc import Sequence

from gated.access.visits import VisitOutcome
from gated.events import DoorReleased, ReleaseRefused
from tests.fakes.day import DayFact

CLOCK_S = 1e-6
"""Room for rounding of floating-point seconds. Not a tolerance of the gate."""


def violations(history: Sequence[DayFact]) -> list[str]:
    """Return the violations in a history, one sentence each. Empty if the gate kept its promises.

    The lock is driven on only at a release. Every release has exactly one cause before it: a grant of a visit that was
    granted once, or a press of the button. The lock is off again when the last lease ends.
    """
    problems: list[str] = []
    granted: set[str] = set()
    released: set[str] = set()
    until = released_at = pressed_at = float("-inf")
    is_on = False
    for fact in history:
        match fact.what:
            case VisitOutcome(visit, decision) if decision.grant:
                problems += [f"{fact.at}: visit {visit} was granted twice"] if visit in granted else []
                granted.add(visit)
            case DoorReleased(cause="grant", lease_s=lease_s, visit=visit):
                problems += [] if visit in granted else [f"{fact.at}: released without a grant"]
                problems += [f"{fact.at}: two releases for one grant"] if visit in released else []
                released.add(str(visit))
                until, released_at = max(until, fact.at + lease_s), fact.at
            case "press":
                pressed_at = fact.at
            case DoorReleased(cause="rex", lease_s=lease_s):
                problems += [] if fact.at == pressed_at else [f"{fact.at}: released without a press"]
                until, released_at = max(until, fact.at + lease_s), fact.at
            case ReleaseRefused(visit=visit):
                released.add(visit)
            case "on":
                problems += [] if fact.at == released_at else [f"{fact.at}: driven on without a release"]
                problems += [f"{fact.at}: driven on twice"] if is_on else []
                is_on = True
            case "off":
                problems += [] if fact.at <= until + CLOCK_S else [f"{fact.at}: driven on longer than its lease"]
                is_on, until = False, float("-inf")
            case _:
                pass
    if is_on and history and history[-1].at > until + CLOCK_S:
        problems.append(f"{history[-1].at}: still driven on after its lease")
    return problems
