"""`gated office watch`: prints alarms as they come, and rings the bell while a person calls at a gate."""

import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec

from gated.cli import show_json_line, streams
from gated.cli.table_output import in_words
from gated.office.alarm_meanings import MEANINGS
from gated.office.alarm_store import Alarm
from gated.office.event_effects import CALLED
from gated.office.running_processes import is_served
from gated.office.store import Store

POLL_S = 0.2
RING_S = 2.0
"""Interval between rings while a call is open, in seconds."""
BELL = "\a"
RUN_S = 10.0
"""Time limit of the `--run` program, in seconds. It runs once for each alarm, one at a time."""


@click.command()
@click.option("--quiet", is_flag=True, help="Ring no bell.")
@click.option(
    "--run",
    "program",
    type=click.Path(path_type=Path, exists=True),
    help="Run this for every new alarm, with the alarm as JSON on stdin. With sudo it runs as the office's user.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
@click.pass_obj
def watch(folder: Path, program: Path | None, *, quiet: bool, as_json: bool) -> None:
    """Show the open alarms and each new one, until Ctrl-C. Rings the terminal's bell while somebody calls."""
    with closing(Store.open(folder)) as store:
        known: dict[int, Alarm] = {}
        alone: set[str] = set()
        rings_at = 0.0
        while True:
            standing = {alarm.id: alarm for alarm in store.alarms.all()}
            for alarm in [each for number, each in standing.items() if number not in known]:
                _print(alarm, store.zone, as_json=as_json)
                if program is not None:
                    _run(program, alarm)
            for alarm in [each for number, each in known.items() if number not in standing]:
                _print(alarm, store.zone, as_json=as_json, is_over=True)
            known, alone = standing, _warn_of_unserved(folder, store, alone)
            if not quiet and not as_json and time.monotonic() >= rings_at and ring(standing.values()):
                rings_at = time.monotonic() + RING_S
            time.sleep(POLL_S)


def _warn_of_unserved(folder: Path, store: Store, before: set[str]) -> set[str]:
    """Warn of gates that no office process serves: no message of such a gate is processed. Warns once each time this
    begins.
    """
    alone = {gate.gate for gate in store.gates() if not is_served(folder, gate.gate)}
    if alone - before:
        gates = ", ".join(sorted(alone))
        streams.echo(f"no `gated office serve` serves {gates}, so calls there do not arrive; start it", err=True)
    return alone


def ring(alarms: Iterable[Alarm]) -> bool:
    """Ring the terminal's bell if a call is open; never in a pipe. Return whether a call is open."""
    is_called = any(alarm.kind == CALLED and alarm.over_at is None for alarm in alarms)
    if is_called and sys.stdout.isatty():
        streams.own(BELL)
    return is_called


def _print(alarm: Alarm, zone: ZoneInfo, *, as_json: bool, is_over: bool = False) -> None:
    meaning = MEANINGS.get(alarm.kind, "")
    if as_json:
        data = asdict(alarm) | {"meaning": meaning, "is_over": is_over}
        show_json_line(data)
        return
    state = "is over" if is_over else meaning
    streams.echo(f"{in_words(alarm.at, zone)}  {alarm.gate:12} {alarm.kind} {alarm.detail}: {state}")


def _run(program: Path, alarm: Alarm) -> None:
    """Pass an alarm to a program. A failure is reported and delays nothing."""
    data = msgspec.json.encode(asdict(alarm) | {"meaning": MEANINGS.get(alarm.kind, "")})
    try:
        subprocess.run([program.resolve()], input=data, check=True, timeout=RUN_S)
    except (OSError, subprocess.SubprocessError) as error:
        streams.echo(f"{program}: {error}; check that it is executable and ends within {RUN_S:.0f} s", err=True)
