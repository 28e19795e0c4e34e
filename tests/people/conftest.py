"""The fixtures of the gallery's tests: both packages use the same two databases."""

from tests.gallery.conftest import *  # noqa: F403
from tests.gallery.conftest import _no_credentials  # noqa: F401
