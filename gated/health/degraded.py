"""What the gate cannot do at the moment, as one set that everybody is told about when it changes."""

from collections.abc import Callable

from gated.events import Degraded, Event


class Losses:
    """The parts that are lost now; a change is reported once."""

    def __init__(self, report: Callable[[Event], None]) -> None:
        self._report = report
        self._lost: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """The parts that are lost, in alphabetical order."""
        return sorted(self._lost)

    def why(self, part: str) -> str | None:
        """Why a part is lost; None while it is well."""
        return self._lost.get(part)

    def set(self, part: str, why: str | None) -> None:
        """A part is lost, and why, or with None it is back."""
        before = self.names
        if why is None:
            self._lost.pop(part, None)
        else:
            self._lost[part] = why
        if self.names != before:
            self._report(Degraded(self.names))
