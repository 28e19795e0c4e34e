"""Deny subjects access in memory while their removal or suspension cannot be stored."""

from collections.abc import Callable


class DeniedSubjects:
    """Subjects without access, each with the number of its record.

    Outlives a link, so that a restart of the link keeps them.
    """

    def __init__(self, report: Callable[[frozenset[str]], None]) -> None:
        """Set up with `report`, which receives all subjects at each change."""
        self._report = report
        self._numbers: dict[str, int] = {}

    def add(self, subject: str, n: int) -> None:
        """Deny a subject access because of record `n`."""
        if n > self._numbers.get(subject, 0):
            self._numbers[subject] = n
            self._report(frozenset(self._numbers))

    def forget_stored(self, stored: Callable[[str], int]) -> None:
        """Forget each subject whose record is on disk. `stored` returns a subject's newest stored number."""
        remaining = {subject: n for subject, n in self._numbers.items() if stored(subject) < n}
        if remaining != self._numbers:
            self._numbers = remaining
            self._report(frozenset(remaining))
