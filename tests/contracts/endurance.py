"""A whole gate after a cold start: the time until it is ready, and its state over an hour."""

import asyncio
import contextlib
import time
from pathlib import Path

from contracts.bench import needs

READY_S = 2.0
"""From the start of the brain to READY, with the models of a site."""
HOTTEST_C = 80.0
"""From here on a Pi slows itself down (Raspberry Pi documentation, "Frequency management and thermal control")."""
MOST_GROWTH_BYTES = 30_000_000
"""What the brain may grow by in an hour; a leak of a frame's worth of pixels a minute would be more."""
FLAGS = {0: "low voltage", 1: "clock capped", 2: "throttled", 3: "too hot"}
"""Bits of `vcgencmd get_throttled`; 16 higher: it has been so since the start (Raspberry Pi documentation)."""


class EnduranceContract:
    """A subclass gives a fixture `bench`."""

    @needs("lock", "camera", "models")
    def test_a_cold_gate_is_ready_soon(self, bench):
        """Start the latch, then the brain with camera and models. Wait for READY with no part lost."""
        bench.latch.start(bench.pace.patience_s)
        took_s = bench.gate.start(bench.pace.patience_s)
        bench.note("start to READY", f"{took_s:.2f} s")
        bench.gate.stop()
        lost = bench.gate.lost()
        assert not lost, f"ready without {', '.join(sorted(lost))}: see run.log in the folder of the bench"
        assert took_s <= bench.pace.within(READY_S)

    @needs("lock", "probe", "camera", "models", "soak")
    async def test_an_idle_gate_stays_cool_small_and_secured(self, bench):
        """Run the whole gate on an empty street. Note temperature, throttling and memory. The lock must not be
        released.
        """
        bench.latch.start(bench.pace.patience_s)
        bench.gate.start(bench.pace.patience_s)
        begun, first, hottest, flags = time.monotonic(), memory_bytes(bench.gate.pid), 0.0, 0
        while time.monotonic() < begun + bench.pace.soak_s:
            await asyncio.sleep(bench.pace.look_s)
            assert bench.gate.is_running, "the gate has ended"
            assert bench.latch.is_running, "the latch has ended"
            vitals = bench.vitals()
            hottest, flags = max(hottest, vitals.temperature_c), flags | vitals.throttled
        grown = memory_bytes(bench.gate.pid) - first
        bench.note("soak", f"{bench.pace.soak_s:.0f} s, hottest {hottest:.1f} C, grown by {grown / 1e6:.1f} MB")
        bench.note("throttling", ", ".join(flags_of(flags)) or "none")
        assert not [edge for edge in bench.edges(begun) if edge.is_on], "the lock was released without a cause"
        assert not flags, f"the board reports: {', '.join(flags_of(flags))}; use a better power supply, or a heat sink"
        assert hottest < HOTTEST_C
        assert grown < MOST_GROWTH_BYTES
        bench.gate.stop()
        assert not bench.gate.lost(), "the gate lost a part: see run.log in the folder of the bench"


def flags_of(throttled):
    """Return the names of the bits, now or since boot, each once."""
    return [word for bit, word in FLAGS.items() if throttled >> bit & 1 or throttled >> (bit + 16) & 1]


def memory_bytes(pid):
    """Return the resident memory of a process (proc(5), VmRSS). 0 if it has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0
