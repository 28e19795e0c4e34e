"""Measures how much a flood of junk on a gate's topics slows its door: the brain's event loop, its link, a latch."""

import asyncio
import multiprocessing
import secrets
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from gated.door.latch_client import LatchClient
from gated.events import DoorReleased, Event
from gated.office.authority import Authority
from gated.office.mosquitto import MOST_SHARES, name_of, tls_context
from gated.office.mqtt_client import Client
from gated.protocol.topics import Topics
from gated.simulator.load import FIRST, SyncBench
from gated.simulator.simulated_gate import SITE

PER_S = 5000
AT_ONCE = 50
JUNK_BYTES = 200
LEASE_S, EVERY_S = 0.1, 0.25
START_S = 10.0
LAST = MOST_SHARES - 1
"""The junk client connects as this share of the office, because the broker disconnects a second client of one name."""

CONFIG = """
state_dir = "{state}"
[site]
id = "bench"
[gate]
id = "gate-1"
[door]
pins = "mock"
socket = "{state}/latch.sock"
rex_waiver = "a simulated door"
"""


async def latencies_s(
    bench: SyncBench, folder: Path, window_s: float, rounds: int
) -> tuple[list[float], list[float], int]:
    """Measure the time from a release to the latch's report, in turn without and with junk.

    Return both lists of seconds, and the number of junk messages sent.
    """
    state = folder / "latch"
    state.mkdir(mode=0o700)
    (folder / "latch.toml").write_text(CONFIG.format(state=state))
    command = ["-P", "-m", "gated", "--config", str(folder / "latch.toml"), "latch"]
    latch = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=asyncio.subprocess.DEVNULL)
    released, linked = asyncio.Event(), asyncio.Event()

    def report(event: Event, at: datetime) -> None:
        """Note the release of the door."""
        if isinstance(event, DoorReleased):
            released.set()

    def on_link(is_up: bool, why: str) -> None:
        """Note that the link to the office is up."""
        if is_up:
            linked.set()

    door = LatchClient(state / "latch.sock", report, on_link)
    running = asyncio.create_task(door.run())
    quiet, flooded, sent = list[float](), list[float](), 0
    try:
        async with bench.gates[FIRST].linked(), asyncio.timeout(START_S + 4 * window_s * rounds):
            await linked.wait()
            for _ in range(rounds):
                quiet += await _releases(door, released, window_s)
                counter = multiprocessing.get_context("spawn").Value("i", 0)
                junk = multiprocessing.get_context("spawn").Process(
                    target=send_junk, args=(bench.office, bench.network.port, window_s + 2.0, counter)
                )
                junk.start()
                while counter.value == 0:  # noqa: ASYNC110 - another process counts
                    await asyncio.sleep(0.05)
                flooded += await _releases(door, released, window_s)
                await asyncio.to_thread(junk.join)
                sent += counter.value
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        latch.terminate()
        await latch.wait()
    return quiet, flooded, sent


async def _releases(door: LatchClient, released: asyncio.Event, window_s: float) -> list[float]:
    times_s, end = [], time.monotonic() + window_s
    while time.monotonic() < end:
        released.clear()
        began = time.monotonic()
        door.release(secrets.token_hex(4), LEASE_S, began)
        await asyncio.wait_for(released.wait(), START_S)
        times_s.append(time.monotonic() - began)
        await asyncio.sleep(EVERY_S)
    return times_s


def send_junk(
    office: Path, port: int, seconds: float, counter: "multiprocessing.sharedctypes.Synchronized[int]"
) -> None:
    """Publish junk to the gate with the office's certificate. Runs in a process of its own."""
    asyncio.run(_send_junk(office, port, seconds, counter))


async def _send_junk(
    office: Path, port: int, seconds: float, counter: "multiprocessing.sharedctypes.Synchronized[int]"
) -> None:
    topic, payload = Topics(SITE, FIRST).command, secrets.token_bytes(JUNK_BYTES)
    name = name_of(LAST)
    Authority.load(office).write_client(office, name.lower(), name, datetime.now(UTC))
    async with Client("localhost", port, tls_context=tls_context(office, LAST)) as client:
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            for _ in range(AT_ONCE):
                await client.publish(topic, payload, qos=0)
            counter.value += AT_ONCE
            await asyncio.sleep(max(0.0, counter.value / PER_S - elapsed))
