"""The software in the gate of a residential courtyard."""
