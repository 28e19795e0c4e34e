"""Measures cost and speed of the office, its broker and a gate: real processes, a real broker, this machine.

Every figure is from one run on loopback, where network and disk are nearly free. Compare ratios and growth.
"""

import asyncio
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from gated.config import SyncSettings
from gated.events import CallPressed
from gated.gallery.holdings import Holdings
from gated.office.mosquitto import Place
from gated.office.office_person import OfficeCard, OfficePerson, OfficePin
from gated.office.store import Store
from gated.people.credential import new_id
from gated.protocol.jose import Identity
from gated.protocol.wire_records import WireConsent
from gated.simulator.network import Network, free_port, join
from gated.simulator.simulated_gate import DIMENSION, EMBEDDER, SITE, SimulatedGate
from gated.sync.sealed_faces import seal_face

FIRST = "gate-1"
PATIENCE_S = 120.0
STABLE_S = 10.0
"""Time until the cost of joining is over."""
BATCH = 500


class SyncBench:
    """An office with several gates, its broker and its own process, in a folder."""

    def __init__(self, folder: Path, mosquitto: str, gates: int) -> None:
        self.network = Network(folder, SITE, FIRST, mosquitto)
        self.office = self.network.office
        Place("localhost", self.network.port, free_port()).save(self.office)
        states = {FIRST: folder / "gate"}
        for number in range(2, gates + 1):
            states[f"gate-{number}"] = folder / f"gate-{number}"
            join(self.office, states[f"gate-{number}"], f"gate-{number}")
        first = self.network.settings()
        self.gates = {}
        for name, state in states.items():
            own = {k: str(v).replace(str(states[FIRST]), str(state)) for k, v in first.items() if isinstance(v, str)}
            own = {k: v.replace(f"/{FIRST}.", f"/{name}.") for k, v in own.items()}
            self.gates[name] = SimulatedGate(name, state, SyncSettings(**own, most_new_per_hour=100_000))  # type: ignore[arg-type]
        self.serving: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run broker and office as processes inside this context."""
        self.network.restore()
        command = [sys.executable, "-P", "-m", "gated", "office", "--dir", str(self.office), "serve"]
        self.serving = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            self.serving.terminate()
            self.serving.wait()
            self.network.cut()

    @property
    def processes(self) -> dict[str, int]:
        """Pids of broker, office and the simulated gates. 0 stands for this process."""
        broker = self.network.process
        serving = self.serving
        return {"broker": broker, "office": 0 if serving is None else serving.pid, "gates": 0}

    def register(self, people: int, templates: int) -> None:
        """Register people at the office, each with a card, a PIN, and a face for the first gate."""
        at = datetime.now(UTC).isoformat()
        keys = Identity.load(Path(self.gates[FIRST].settings.gate_keys)).party
        with closing(Store.open(self.office)) as store, store.file.writing():
            for number in range(people):
                subject = secrets.token_hex(8)
                consents = [
                    WireConsent(purpose=purpose, reference="bench", notice="1", at=at)
                    for purpose in ("recognise", "transfer")
                ]
                card = OfficeCard(new_id(), f"{secrets.randbits(56):014X}")
                # Random bytes stand for argon2's output, which is computed when a PIN is set.
                pin = OfficePin(store.book.pin_salt, secrets.token_bytes(32))
                store.book.put(
                    OfficePerson(
                        n=0,
                        subject=subject,
                        name=f"Resident {number}",
                        household=str(number // 3),
                        added_at=at,
                        consents=consents,
                        cards=[card],
                        pins=[pin],
                    )
                )
                face = seal_face(keys, subject, EMBEDDER, [(str(i), unit_vector()) for i in range(templates)])
                store.faces.store_face(subject, FIRST, face)


def unit_vector() -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return a random template."""
    vector = np.random.default_rng(secrets.randbits(64)).normal(size=DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


async def until(claim: Callable[[], bool], goal: str) -> None:
    """Wait until `claim` is true. Raises `TimeoutError` after `PATIENCE_S`."""
    end = time.monotonic() + PATIENCE_S
    while not claim():
        if time.monotonic() > end:
            raise TimeoutError(f"not reached within {PATIENCE_S:.0f} s: {goal}")
        await asyncio.sleep(0.01)


async def fill_s(bench: SyncBench) -> float:
    """Return the seconds until an empty gate has all records."""
    gate = bench.gates[FIRST]
    with closing(Store.open(bench.office)) as store:
        version = store.book.version(FIRST)
    began = time.monotonic()
    async with gate.linked():
        await until(lambda: held(gate) >= version, "everybody at the gate")
    return time.monotonic() - began


def held(gate: SimulatedGate) -> int:
    """Return the version of the records in a gate's database."""
    with closing(Holdings.open(gate.state, SITE)) as holdings:
        return holdings.version


async def revoke_s(bench: SyncBench, rounds: int) -> list[float]:
    """Return the seconds from each suspension at the office until the gate's database has it."""
    gate, times_s = bench.gates[FIRST], []
    async with gate.linked():
        with closing(Store.open(bench.office)) as store:
            people = store.book.live(OfficePerson)
            await asyncio.sleep(2.0)
            for person in people[:rounds]:
                gate.changed.clear()
                began = time.monotonic()
                store.book.put(replace(person, status="suspended"))
                await asyncio.wait_for(gate.changed.wait(), PATIENCE_S)
                times_s.append(time.monotonic() - began)
                await asyncio.sleep(0.05)
    return times_s


async def drain_per_s(bench: SyncBench, events: int) -> float:
    """Return the rows of a backlog that the office acknowledges per second."""
    gate, now = bench.gates[FIRST], datetime.now(UTC)
    with closing(gate.journal()) as journal:
        for _ in range(0, events, BATCH):
            journal.extend([(CallPressed(), now)] * BATCH)
        async with gate.linked():
            await until(lambda: journal.position().acked > 0, "the first ack")
            began, first = time.monotonic(), journal.position().acked
            await until(lambda: journal.position().acked == journal.position().head, "the last ack")
            return (journal.position().head - first) / (time.monotonic() - began)


@dataclass(frozen=True)
class Cost:
    """CPU and memory of one part, with so many gates."""

    gates: int
    part: str
    cpu: float
    """Share of one core; 1 is a full core."""
    memory_mb: float


async def costs(bench: SyncBench, count: int, seconds: float) -> list[Cost]:
    """Measure each part with `count` gates. Each gate sends an event every 10 s."""
    async with AsyncExitStack() as stack:
        gates = list(bench.gates.values())[:count]
        for gate in gates:
            await stack.enter_async_context(gate.linked())
        journals = [stack.enter_context(closing(gate.journal())) for gate in gates]
        await asyncio.sleep(STABLE_S)
        before, began = {part: used_s(pid) for part, pid in bench.processes.items()}, time.monotonic()
        turn = 0
        while (elapsed := time.monotonic() - began) < seconds:
            while turn < elapsed * count / 10:
                journals[turn % count].append(CallPressed(), datetime.now(UTC))
                gates[turn % count].wake.set()
                turn += 1
            await asyncio.sleep(0.01)
        elapsed = time.monotonic() - began
        return [
            Cost(count, part, (used_s(pid) - before[part]) / elapsed, memory_mb(pid))
            for part, pid in bench.processes.items()
        ]


def used_s(pid: int) -> float:
    """Return the CPU seconds of a process so far (0: this one), from proc(5), fields 14 and 15, in ticks of 1/100 s."""
    fields = Path(f"/proc/{pid or 'self'}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process, in MB (0: this one)."""
    for line in Path(f"/proc/{pid or 'self'}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
