"""The version of the gated that runs."""

from functools import cache
from importlib.metadata import version


@cache
def own_version() -> str:
    """Return the version that was installed when it was first asked for. Reading it takes some milliseconds."""
    return version("gated")
