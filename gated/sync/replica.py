"""The office's records at this gate: what arrives becomes people, rights and faces, or is asked for again."""

from collections.abc import Callable
from pathlib import Path

from gated.events import Event
from gated.sync.messages import Delta, Message, RecordMark, Shared, SnapshotPart, Word
from gated.sync.wire import Peer


class Replica:
    """Follows the office. Used from one thread at a time; every method may raise `StateError` and `BusyError`."""

    def __init__(
        self,
        state: Path,
        peer: Peer,
        embedder_sha256: str,
        dimension: int,
        threshold: float,
        most_new_per_hour: int,
        report: Callable[[Event], None],
        on_change: Callable[[], None],
    ) -> None:
        """`report` is given facts for the journal; `on_change` is called when somebody may come in who might not, or
        the reverse, after it is on disk.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give the files back. May be called twice."""
        raise NotImplementedError

    @property
    def mark(self) -> RecordMark:
        """How far this gate is."""
        raise NotImplementedError

    def hear(self, message: Delta | SnapshotPart, now: float) -> list[Message]:
        """Records arrived: what is to be said because of them (receipts, requests)."""
        raise NotImplementedError

    def hear_word(self, word: Word, now: float) -> list[Message]:
        """The office said where it is: a request, where we are not."""
        raise NotImplementedError

    def due(self, now: float) -> list[Message]:
        """Requests that were not answered in time, again."""
        raise NotImplementedError

    def restart(self) -> None:
        """A new connection: what was asked on the old one is forgotten."""
        raise NotImplementedError

    def suspend(self, subject: str, n: int) -> bool:
        """Somebody is not let in from now on, as record `n` says; False when nobody here is called so."""
        raise NotImplementedError

    def share(self, subject: str, to: str) -> Shared:
        """Somebody's templates, sealed to another gate. Raises `EnrolmentError` without their consent on record here,
        and where the gate or the face is not known.
        """
        raise NotImplementedError
