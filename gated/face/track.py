"""Follows one face over many frames. A box continues a track if it overlaps the track's last box."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gated.embedding import Embedding
from gated.face.detect import Box, overlap
from gated.face.vision_messages import TrackEnded
from gated.types import TrackId

MIN_OVERLAP = 0.2
"""Least intersection over union with the last box. A walk of half a face's width between two frames gives 0.33."""


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """The last observation of a face."""

    id: TrackId
    box: Box
    seen_at: float
    embedding: Embedding | None = None


class Tracker:
    """Gives each face a track id that is never reused. Pure: boxes, embeddings and time in, ids and ends out."""

    def __init__(
        self,
        threshold: float,
        score: Callable[[Embedding, Embedding], float] = lambda first, second: float(first @ second),
        patience_s: float = 1.0,
    ) -> None:
        """`threshold`: two embeddings of one track that `score` less are two people. `patience_s`: a track unseen for
        longer ends.
        """
        self._threshold, self._score, self._patience_s = threshold, score, patience_s
        self._tracks: dict[TrackId, Track] = {}
        self._next = 1

    @property
    def alive(self) -> bool:
        """Whether any track is alive."""
        return bool(self._tracks)

    def follow(self, boxes: list[Box], now: float) -> tuple[list[TrackId], list[TrackEnded]]:
        """Return the track id of each box of one frame, in order, and the tracks that ended."""
        before = self._matches(boxes)
        ids = [before[i] if i in before else self._new_id() for i in range(len(boxes))]
        for track, box in zip(ids, boxes, strict=True):
            old = self._tracks.get(track)
            self._tracks[track] = replace(old, box=box, seen_at=now) if old else Track(track, box, now)
        lost = [t.id for t in self._tracks.values() if not now - t.seen_at <= self._patience_s]
        return ids, [self._end(track, now) for track in lost]

    def confirm(self, track: TrackId, embedding: Embedding, now: float) -> tuple[TrackId, TrackEnded | None]:
        """Store the embedding of a track. Return its id, or a new id and the ended track if the person changed."""
        old = self._tracks[track]
        alike = old.embedding is None or self._score(old.embedding, embedding) >= self._threshold
        if alike:
            self._tracks[track] = replace(old, embedding=embedding)
            return track, None
        fresh = self._new_id()
        self._tracks[fresh] = replace(old, id=fresh, embedding=embedding)
        return fresh, self._end(track, now)

    def _matches(self, boxes: list[Box]) -> dict[int, TrackId]:
        """Map the index of each box to the track that it continues: best overlap first, each at most once."""
        if not boxes or not self._tracks:
            return {}
        tracks = list(self._tracks.values())
        overlaps = overlap(np.array(boxes, np.float32), np.array([t.box for t in tracks], np.float32))
        matches: dict[int, TrackId] = {}
        for pair in np.argsort(-overlaps, axis=None, kind="stable").tolist():
            box, track = divmod(pair, len(tracks))
            if not overlaps[box, track] >= MIN_OVERLAP:
                break
            if box not in matches and tracks[track].id not in matches.values():
                matches[box] = tracks[track].id
        return matches

    def _new_id(self) -> TrackId:
        """Return an id that was not used before."""
        self._next += 1
        return TrackId(self._next - 1)

    def _end(self, track: TrackId, now: float) -> TrackEnded:
        """Remove a track and return its end."""
        del self._tracks[track]
        return TrackEnded(track=track, at=now)
