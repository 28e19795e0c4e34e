"""Report functions that the gate has lost because of its office: the office is too old, or data does not arrive."""

from collections.abc import Callable

from gated.protocol.lag import DATA_KINDS
from gated.protocol.status_messages import SEALED, Heartbeat
from gated.sync.withheld_records import WithheldData


class LostFunctions:
    """Turns the state of the office into entries of `degraded`. Reports each change once."""

    def __init__(self, withheld: WithheldData, lost: Callable[[str, str | None], None]) -> None:
        """Take `lost`, which receives a part of `degraded` and the reason why it is lost, or None when it is back."""
        self._withheld, self._lost = withheld, lost
        self._reported, self._is_outdated = list[str](), False
        self.missing = list[str]()
        """What this gate itself knows to be missing."""

    def apply_heartbeat(self, heartbeat: Heartbeat, *, has_opened: bool) -> None:
        """Take a new heartbeat.

        `has_opened` says whether the office has ever echoed a challenge, and so has opened a status. An office that
        cannot open a status does not know the gate's state, and cannot prove that it is alive.
        """
        self._withheld.reported_by_office = heartbeat.withheld
        is_outdated = SEALED not in heartbeat.understands and not has_opened
        if is_outdated != self._is_outdated:
            self._is_outdated = is_outdated
            why = "it is too old to read this gate's status; update the office"
            self._lost("office_outdated", why if is_outdated else None)

    def refresh(self, now: float, proved_at: float | None) -> None:
        """Update what is missing, and report a change.

        `proved_at` is when the gate sent the newest challenge that was echoed; None if none was.
        """
        self.missing = [] if self._is_outdated else self._withheld.overdue(now, proved_at)
        before, self._reported = (
            self._reported,
            sorted({*self.missing, *self._withheld.reported_by_office} & set(DATA_KINDS)),
        )
        if self._reported != before:
            why = f"data has not arrived for 10 minutes: {', '.join(self._reported)}"
            self._lost("records_withheld", why if self._reported else None)
