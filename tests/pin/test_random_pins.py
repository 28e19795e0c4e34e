from collections import Counter

import pytest

from gated.pin.random_pins import random_pin, spaced_pin
from gated.pin.rule import is_weak


@pytest.mark.parametrize("least", [1, 4, 6, 8, 12])
def test_a_random_pin_is_always_strong(least):
    assert not any(is_weak(random_pin(least, "2401", {"2401"}), least, "2401", {"2401"}) for _ in range(200))


def test_random_pins_differ():
    pins = [random_pin(6) for _ in range(500)]
    assert len(set(pins)) > 495
    assert all(count > 25 for count in Counter(pin[0] for pin in pins).values())


def test_a_pin_is_shown_in_groups():
    assert [spaced_pin("492716"), spaced_pin("4927"), spaced_pin("492716038527")] == [
        "492 716",
        "492 7",
        "492 716 038 527",
    ]
