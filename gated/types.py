"""Names for the few plain values that every chapter passes on.

Time is a suffix: `now` and `_at` in the code are monotonic seconds, `at` in a record is UTC wall time.
"""

from typing import NewType

SubjectId = NewType("SubjectId", str)
"""An enrolled person: 16 random hex digits that mean nothing anywhere else."""

TrackId = NewType("TrackId", int)
"""One face in view, from first sight to leaving."""

Score = NewType("Score", float)
"""Cosine similarity of two embeddings, -1 to 1; higher is nearer, accepted at `>=`."""
