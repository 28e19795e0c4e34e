"""Who is let in no more though that cannot be stored yet: kept in memory until the office's record of it is on disk."""

from collections.abc import Callable


class Revoked:
    """Ids with the number of the record that takes them away. Outlives a link, so that no restart of it forgets."""

    def __init__(self, tell: Callable[[frozenset[str]], None]) -> None:
        """`tell` is given everybody, at each change."""
        self._tell = tell
        self._numbers: dict[str, int] = {}

    def add(self, subject: str, n: int) -> None:
        """Somebody may come in no more, as record `n` says."""
        if n > self._numbers.get(subject, 0):
            self._numbers[subject] = n
            self._tell(frozenset(self._numbers))

    def settle(self, stored: Callable[[str], int]) -> None:
        """Forget whoever's record is on disk by now. `stored`: the newest number there of somebody."""
        left = {subject: n for subject, n in self._numbers.items() if stored(subject) < n}
        if left != self._numbers:
            self._numbers = left
            self._tell(frozenset(left))
