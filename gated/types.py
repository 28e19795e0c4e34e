"""Names for the plain values that all packages use.

A suffix tells the kind of time: `now` and `_at` in the code are monotonic seconds, `at` in a record is UTC wall time.
"""

from typing import NewType

SubjectId = NewType("SubjectId", str)
"""An enrolled person (subject): 16 random hex digits without any other meaning."""

TrackId = NewType("TrackId", int)
"""One face in view, from its first frame until it leaves."""

Score = NewType("Score", float)
"""Cosine similarity of two embeddings, -1 to 1. Higher is more similar. A score is accepted at `>=` the threshold."""
