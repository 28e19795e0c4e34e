"""The simulator keeps the promises of `hw_tests`. test_broken.py breaks each of them."""

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
    """With a scripted person."""


class TestEndurance(EnduranceContract):
    """With the shipped models, for two seconds."""
