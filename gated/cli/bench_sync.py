"""`gated bench --sync`: measures the speed and cost of the sync between gate and office, and how they grow. Prints each
figure as soon as it is measured.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gated.cli import show_json, streams
from gated.cli.table_output import show
from gated.simulator import flood, load
from gated.simulator.network import NetworkError, find_mosquitto

PEOPLE, TEMPLATES, BACKLOG, REVOKED = 3600, 3, 20_000, 50
WINDOW_S, ROUNDS, STEADY_S = 10.0, 6, 30.0


def bench_sync(gates: Sequence[int], *, as_json: bool) -> None:
    """Measure on loopback, with a temporary Mosquitto and office. Raises `NetworkError` without Mosquitto."""
    program = find_mosquitto()
    if program is None:
        raise NetworkError("mosquitto is not installed; `apt-get install mosquitto`")
    with tempfile.TemporaryDirectory() as folder:
        streams.echo(f"joining {max(gates)} gates to an office", err=True)
        bench = load.SyncBench(Path(folder) / "bench", program, max(gates))
        bench.register(PEOPLE, TEMPLATES)
        found: dict[str, Any] = {}
        with bench.running():
            for name, measure in (("fill", _fill), ("revoke", _revoke), ("drain", _drain), ("junk", _junk)):
                found[name] = measure(bench, Path(folder))
                if not as_json:
                    streams.echo(f"{name}: {', '.join(f'{key} {value}' for key, value in found[name].items())}")
            rows = [cost for count in gates for cost in asyncio.run(load.costs(bench, count, STEADY_S))]
        if as_json:
            show_json({**found, "costs": [cost.__dict__ for cost in rows]})
            return
        columns = ["gates", "part", "of a core", "memory MB"]
        show(columns, [[str(c.gates), c.part, f"{c.cpu:.3f}", f"{c.memory_mb:.0f}"] for c in rows])


def _fill(bench: load.SyncBench, folder: Path) -> dict[str, Any]:
    seconds = asyncio.run(load.fill_s(bench))
    return {"people": PEOPLE, "templates of each": TEMPLATES, "s to an empty gate": round(seconds, 2)}


def _revoke(bench: load.SyncBench, folder: Path) -> dict[str, Any]:
    times_s = sorted(asyncio.run(load.revoke_s(bench, REVOKED)))
    return {"n": REVOKED, "median s": round(statistics.median(times_s), 3), "p95 s": round(times_s[_p95(times_s)], 3)}


def _drain(bench: load.SyncBench, folder: Path) -> dict[str, Any]:
    return {"backlog": BACKLOG, "events a s": round(asyncio.run(load.drain_per_s(bench, BACKLOG)))}


def _junk(bench: load.SyncBench, folder: Path) -> dict[str, Any]:
    quiet, flooded, sent = asyncio.run(flood.latencies_s(bench, folder, WINDOW_S, ROUNDS))
    ratio = statistics.median(flooded) / statistics.median(quiet)
    ms = [f"{1000 * value:.2f}" for run_s in (quiet, flooded) for value in (statistics.median(run_s), _at_p95(run_s))]
    return {
        "messages a s": round(sent / (ROUNDS * (WINDOW_S + 2))),
        "n": len(flooded),
        "quiet median, p95 ms": f"{ms[0]}, {ms[1]}",
        "under junk": f"{ms[2]}, {ms[3]}",
        "ratio of medians": round(ratio, 2),
    }


def _at_p95(times_s: Sequence[float]) -> float:
    return sorted(times_s)[_p95(times_s)]


def _p95(times_s: Sequence[float]) -> int:
    return min(len(times_s) - 1, int(0.95 * len(times_s)))
