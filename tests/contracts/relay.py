"""The relay's line, from boot to the end, in every state of the process that drives it."""

import asyncio
import time

from contracts.bench import busy, needs, quantile, released, until

GONE_S = 1.0
"""Longest time from the end of the process until the line is off."""
OVERRUN_S = 0.25
"""Longest time that a coil may have power after its lease."""


@needs("lock", "probe")
class RelayContract:
    """A subclass gives a fixture `bench`. A second pin on the relay's line observes it."""

    def test_the_line_is_off_without_a_driver(self, bench):
        """Read the line with no latch running: the pull resistor and the firmware hold it."""
        assert not bench.is_on(), (
            "the line floats to on: fit a pull resistor, and set gpio=PIN=op,dl (active low: dh) in config.txt"
        )

    def test_starting_never_drives_the_relay_for_an_instant(self, bench):
        """Start and stop the latch repeatedly. No edge to on may occur, on active-low boards too."""
        begun = time.monotonic()
        for _ in range(bench.pace.starts):
            bench.latch.start(bench.pace.patience_s)
            bench.latch.stop()
        blips = [edge for edge in bench.edges(begun) if edge.is_on]
        assert not blips, f"the relay was driven {len(blips)} times in {bench.pace.starts} starts"

    async def test_the_line_follows_a_lease_and_no_longer(self, bench):
        """Release for half a second. Measure how long the line is on."""
        lease_s, begun = 0.5, time.monotonic()
        async with released(bench, lease_s):
            await until(lambda: not bench.is_on(), bench.pace.within(lease_s + 1), "the lease does not end")
        on, off = (edge.at for edge in bench.edges(begun)[-2:])
        bench.note("a lease of 0.5 s", f"{off - on:.3f} s on the line")
        assert lease_s - 0.01 <= off - on <= bench.pace.within(lease_s + OVERRUN_S)

    async def test_stopping_the_latch_secures_the_lock(self, bench):
        """Release, then stop the latch as `systemctl stop` does."""
        async with released(bench):
            bench.latch.stop()
            assert not bench.is_on(), "the lock stays released after a normal stop"

    async def test_killing_the_latch_secures_the_lock_and_the_next_start_releases_nothing(self, bench):
        """Release, kill -9 the latch, start it again."""
        async with released(bench):
            killed = time.monotonic()
            bench.latch.kill()
            await self._goes_off(bench, killed, "kill -9")
        begun = time.monotonic()
        bench.latch.start(bench.pace.patience_s)
        assert not [edge for edge in bench.edges(begun) if edge.is_on], "the release came back with the latch"

    async def test_the_watchdog_ends_a_frozen_latch_and_the_lock_is_secured(self, bench):
        """Release for half a second, freeze the latch, end it as systemd's watchdog does."""
        async with released(bench, 0.5):
            bench.latch.freeze()
            await asyncio.sleep(0.7)
            bitten = time.monotonic()
            bench.latch.bite()
            await self._goes_off(bench, bitten, "the watchdog")

    async def test_the_end_of_the_brain_ends_its_release(self, bench):
        """Release for 20 s, then close the brain's connection."""
        async with released(bench):
            pass
        await until(
            lambda: not bench.is_on(), bench.pace.within(GONE_S), "the lock outlives the brain that released it"
        )

    @staticmethod
    async def _goes_off(bench, since, by):
        off = await until(
            lambda: not bench.is_on(),
            bench.pace.within(GONE_S),
            f"the line stays on after {by}: set dtparam=strict_gpiod in config.txt, and fit a pull resistor",
        )
        bench.note(f"off after {by}", f"{off - since:.3f} s")


@needs("lock", "probe", "rex", "button")
class LeavingContract:
    """The exit button, pressed by another pin."""

    ANSWER_S = 0.25
    """Longest time from press to coil: 50 ms of debouncing, plus the scheduler's delay."""

    async def test_the_button_releases_at_once_while_every_core_is_busy(self, bench):
        """Keep all cores busy and press the exit button, without a brain."""
        bench.latch.start(bench.pace.patience_s)
        took = []
        with busy(bench.pace.spinners):
            for _ in range(bench.pace.presses):
                took.append(await self._press(bench))
        bench.note(
            "exit button to relay, all cores busy", f"median {quantile(took, 0.5):.3f} s, most {max(took):.3f} s"
        )
        assert max(took) <= bench.pace.within(self.ANSWER_S)

    async def _press(self, bench):
        """Press once and wait until the lock is secured. Return the seconds from press to coil."""
        pressed = time.monotonic()
        await bench.press(True)
        await until(bench.is_on, bench.pace.within(2.0), "the exit button releases nothing")
        await bench.press(False)
        await until(lambda: not bench.is_on(), bench.pace.within(5.0), "the exit button's lease does not end")
        return next(edge.at for edge in bench.edges(pressed) if edge.is_on) - pressed
