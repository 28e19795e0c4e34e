"""What any wiring of a door keeps, whatever pins are under it: mock pins in `tests/`, a Pi's in `hw_tests/`.

A subclass gives four fixtures: `wiring` (a `Wiring` whose contact and button are fitted), `is_released` (a callable:
does the lock let people pass, electrically), `outside` (a callable `(line, active)` that opens the leaf or presses the
button) and `edges` (a list that grows with each edge that the wiring tells). `fails_safe` says what the lock does
without power.
"""

import time


def until(true, timeout_s=5.0):
    """Wait until something holds; edges arrive on a thread of their own."""
    deadline = time.monotonic() + timeout_s
    while not true() and time.monotonic() < deadline:
        time.sleep(0.005)
    return true()


class DoorContract:
    """The promises of `gated.door.door_hardware.DoorWiring`."""

    fails_safe = False

    def test_the_lock_is_secured_at_first(self, wiring, is_released):
        assert not is_released()

    def test_the_lock_follows_its_command_and_secured_means_secured(self, wiring, is_released):
        for on in (True, False, True, False, False):
            wiring.release(on)
            assert is_released() == on

    def test_closing_leaves_the_lock_as_it_is_without_power(self, wiring, is_released):
        for on in (True, False):
            wiring.release(on)
        wiring.close()
        assert is_released() == self.fails_safe

    def test_closing_a_released_lock_removes_its_power(self, wiring, is_released):
        wiring.release(True)
        wiring.close()
        assert is_released() == self.fails_safe

    def test_the_leaf_and_the_button_are_read(self, wiring, outside):
        assert not wiring.lines["contact"]
        assert not wiring.lines["rex"]
        outside("contact", True)
        assert until(lambda: wiring.lines["contact"])
        outside("rex", True)
        assert until(lambda: wiring.lines["rex"])
        outside("contact", False)
        outside("rex", False)
        assert until(lambda: not wiring.lines["contact"] and not wiring.lines["rex"])

    def test_each_edge_is_reported(self, wiring, outside, edges):
        for line in ("contact", "rex"):
            for active in (True, False):
                before = len(edges)
                outside(line, active)
                assert until(lambda n=before: len(edges) > n)
