"""The pulse: is the gate well, and who is told."""
