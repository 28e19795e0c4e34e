"""The gallery: who is enrolled here, and which face is theirs."""
