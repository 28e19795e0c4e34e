"""Limits that both ends of the wire keep."""

COMMAND_WINDOW = 64
"""A gate refuses a command whose number is this far or more below the highest. Messages may overtake each other."""

PARTS_WINDOW = 16
"""Greatest number of parts of a snapshot in one request."""
