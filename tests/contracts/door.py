"""What any wiring of a door keeps, whatever pins are under it: mock pins in `tests/`, a Pi's in `hw_tests/`.

A subclass gives three fixtures: `wiring` (a `Wiring` whose contact and button are fitted), `coil` (a callable: is the
coil energised, electrically) and `outside` (a callable `(line, active)` that opens the leaf or presses the button).
"""

import time


def until(true, timeout_s=5.0):
    """Wait until something holds; edges arrive on a thread of their own."""
    deadline = time.monotonic() + timeout_s
    while not true() and time.monotonic() < deadline:
        time.sleep(0.005)
    return true()


class DoorContract:
    """The promises of `gated.door.hardware.Wiring`."""

    def test_the_lock_is_off_at_first(self, wiring, coil):
        assert not coil()

    def test_the_lock_follows_and_off_means_off(self, wiring, coil):
        for on in (True, False, True, False, False):
            wiring.lock(on)
            assert coil() == on

    def test_closing_leaves_the_coil_off(self, wiring, coil):
        wiring.lock(True)
        wiring.close()
        assert not coil()

    def test_the_leaf_and_the_button_are_read(self, wiring, outside):
        assert not wiring.is_open
        assert not wiring.is_pressed
        outside("contact", True)
        assert until(lambda: wiring.is_open)
        outside("rex", True)
        assert until(lambda: wiring.is_pressed)
        outside("contact", False)
        outside("rex", False)
        assert until(lambda: not wiring.is_open and not wiring.is_pressed)

    def test_each_edge_is_told(self, wiring, outside, edges):
        for line in ("contact", "rex"):
            for active in (True, False):
                before = len(edges)
                outside(line, active)
                assert until(lambda n=before: len(edges) > n)
