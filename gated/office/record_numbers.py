"""Keeps the record numbers of one gate and their digest. `RecordBook` uses it.

A gate's number for a record never falls (see `RecordBook.renumber`), so records and faces with lower
numbers change nothing.
"""

from collections.abc import Collection, Iterable

from gated.protocol.record_keys import digest_of


class Numbers:
    """The number of each record that one gate must have, without tombstones."""

    def __init__(self) -> None:
        self.version = -1
        """The version up to which records and faces were read; -1 before the first time."""
        self.digest = ""
        """The digest of all records at `version` (see `record_keys.digest_of`)."""
        self._held: dict[str, int] = {}

    def follow(self, version: int, records: Iterable[tuple[str, int | None]], faces: Iterable[tuple[str, int]]) -> None:
        """Raise the version, and apply all records and faces with numbers above the last one.

        The number of a tombstone is None.
        """
        for key, n in records:
            if n is None:
                self._held.pop(key, None)
            else:
                self._held[key] = n
        for key, n in faces:
            if key in self._held:
                self._held[key] = max(n, self._held[key])
        self.version, self.digest = version, digest_of(self._held.items())

    def digest_without(self, keys: Collection[str]) -> str:
        """Return the digest of all records except these."""
        return digest_of((key, n) for key, n in self._held.items() if key not in keys)
