"""The promises of `hw_tests`, kept by the simulator; and each of them broken by what would break it on a Pi."""

from contracts.endurance import EnduranceContract
from contracts.hands import HandsContract
from contracts.relay import LeavingContract, RelayContract
from contracts.sight import SightContract


class TestRelay(RelayContract):
    """On mock pins, through their trace."""


class TestLeaving(LeavingContract):
    """With one busy core."""


class TestSight(SightContract):
    """On a rendered street."""


class TestHands(HandsContract):
    """By a script."""


class TestEndurance(EnduranceContract):
    """With our own models, for two seconds."""
