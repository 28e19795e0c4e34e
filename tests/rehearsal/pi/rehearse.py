"""Runs the steps of the rehearsal in order, and prints the table at the end: `rehearse.py FOLDER [OPTIONS]`."""

import argparse
import importlib
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from machine import Machine, end_network
from rig import Rig, StepError

STEPS = ("install", "people", "kills", "hardware", "cuts", "card", "clock", "unplugged", "update", "pi5", "edges")


def main() -> int:
    """Run the steps. Returns 1 if a row of the table is BAD."""
    asked = arguments()
    steps = asked.only.split(",") if asked.only else STEPS
    place = Path(asked.place)
    rig = Rig(Machine(place), cuts=100 if asked.long else 5)
    if asked.only and "install" not in steps:
        rig.machine.insert_card("installed")
        rig.machine.start()
    durations = []
    try:
        for name in steps:
            began = time.monotonic()
            print(f"\n== {name}: {purpose(name)}", flush=True)
            try:
                importlib.import_module(f"steps.{name}").run(rig)
            except (StepError, AssertionError, OSError) as error:
                rig.bad(name, str(error).strip())
                if not isinstance(error, StepError):
                    traceback.print_exc()
                if name == "install":
                    break
                revive(rig)
            durations.append((name, time.monotonic() - began))
    finally:
        rig.machine.cut()
        end_network()
    print(table(rig, durations), flush=True)
    return int(any(row[1] == "BAD" for row in rig.rows))


def purpose(name: str) -> str:
    """Return the first line of a step's docstring."""
    return (importlib.import_module(f"steps.{name}").__doc__ or "").strip().splitlines()[0]


def revive(rig: Rig) -> None:
    """Bring the machine back to a gate on duty after a step that failed."""
    rig.machine.cut()
    rig.machine.insert_card("installed")
    rig.machine.start()


def table(rig: Rig, durations: list[tuple[str, float]]) -> str:
    """Return the rows of what was tried, and the time of each step."""
    width = max((len(what) for what, _, _ in rig.rows), default=0)
    rows = [f"{what:<{width}}  {outcome:<4}  {' '.join(seen.split())[:140]}" for what, outcome, seen in rig.rows]
    times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in durations)
    bad = sum(row[1] == "BAD" for row in rig.rows)
    end = f"{len(rig.rows)} tried, {bad} BAD" if bad else f"{len(rig.rows)} tried. All as it should be."
    return "\n".join(["", *rows, "", times, end])


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="run")
    parser.add_argument("place")
    parser.add_argument("--long", action="store_true", help="100 power cuts in place of 5")
    parser.add_argument("--only", default="", help="these steps, on the card that an earlier run has installed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
