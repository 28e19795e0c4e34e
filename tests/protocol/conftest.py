"""The fixtures of the sync's tests: both packages are about the same messages."""

from tests.sync.conftest import *  # noqa: F403
