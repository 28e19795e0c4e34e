"""`gated demo`: plays a morning at a simulated gate, for a user without a gate. Processes and models are real; people
are rendered.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click

from gated.cli.demo_board import DemoBoard
from gated.config import ModelSettings
from gated.errors import StateError
from gated.face.manifest import load_manifest
from gated.simulator.desk import GATE, SITE, SIZE, Desk
from gated.simulator.director import Director, StepOutcome
from gated.simulator.morning import Resident, morning, residents
from gated.simulator.network import Network, NetworkError, find_mosquitto
from gated.simulator.picture_writer import record
from gated.storage.named_files import make_folder, reading

OWN_SET = "courtyard"
BESIDE = Path(__file__).parents[3] / "shared" / "models"
FOR_PHOTOGRAPHS = {"threshold": 0.62, "pad_threshold": 0.001}
"""Thresholds for models trained on photographs. These models classify rendered faces as attacks, and find rendered
faces more similar than real faces.
"""


@click.command()
@click.option("--seed", type=click.IntRange(0, 10_000), default=1, show_default=True, help="Seed of the random people.")
@click.option("--fast", is_flag=True, help="Let everybody walk faster.")
@click.option("--record", "record_to", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Write the camera pictures, with boxes, as JPEG.")  # fmt: skip
@click.option("--set", "model_set", metavar="NAME", help=f"The model set; by default {OWN_SET!r}.")
@click.option(
    "--models",
    type=click.Path(path_type=Path),
    default=BESIDE,
    help="Folder of a set that this repository does not contain.",
)
@click.option("--screen-port", type=click.IntRange(1, 65535), help="The gate screen's port; any free one by default.")
def demo(
    *, seed: int, fast: bool, record_to: Path | None, model_set: str | None, models: Path, screen_port: int | None
) -> None:
    """Watch a morning at a simulated gate: entries, refusals and failures.

    Exit 0 when exactly the expected events happened.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # leaves no gate running
    began, chosen = time.monotonic(), model_set or own_set()
    with tempfile.TemporaryDirectory(prefix="gated-demo-") as folder, _network(Path(folder)) as network:
        steps = morning(seed, fast=fast, has_network=network is not None)
        judged = [_can_detect_attacks(chosen) or not step.is_attack for step in steps]
        screen = {"cues": {"screen_port": screen_port or _free_port()}}
        desk = Desk(Path(folder), _tables(chosen, models, network) | screen)
        board = DemoBoard(f"gated demo · {SITE}, {GATE} · seed {seed} · models: {chosen}", len(steps))
        director = Director(desk, steps, network, board.show)
        outcomes = _play(desk, director, board, residents(seed), judged)
        board.table(outcomes)
        if record_to is not None:
            board.write("The pictures are being written ...")
            let_in = [outcome.let_in for outcome in outcomes]
            make_folder(record_to)
            with reading(record_to):
                count = record(director.script, director.actors, let_in, SIZE, record_to)
            board.write(f"{count} pictures are in {record_to}")
        if network is None:
            board.write("No Mosquitto runs here: there was no network, and the events wait in the outbox.")
    as_expected = all(outcome.is_right for outcome in outcomes)
    board.write(f"{'All as expected' if as_expected else 'NOT as expected'}, in {time.monotonic() - began:.0f} s.")
    sys.exit(0 if as_expected else 1)


def _play(
    desk: Desk, director: Director, board: DemoBoard, people: Sequence[Resident], judged: Sequence[bool]
) -> list[StepOutcome]:
    """Start the gate, enrol the neighbours while it starts, and play the morning."""
    with board, closing(director):
        desk.start()
        try:
            for resident, subject in desk.enrol(people):
                director.enrolled(resident, subject)
            if not director.wait_until_on_duty():
                raise StateError("the gate does not see:", *desk.log().splitlines())
            screen = f"http://{LOOPBACK}:{desk.settings.cues.screen_port}/"
            is_shown = show_page(screen)
            board.write(f"The gate screen is {screen}{'' if is_shown else ' (open it in a browser on this machine)'}")
            return [director.play(number, is_judged=is_judged) for number, is_judged in enumerate(judged)]
        finally:
            desk.stop()


LOOPBACK = "127.0.0.1"
BROWSERS = ("xdg-open", "chromium", "chromium-browser", "google-chrome", "firefox-esr", "firefox")


def show_page(address: str) -> bool:
    """Open a page if a display and a browser exist. Return whether a browser was started."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    for browser in filter(None, map(shutil.which, BROWSERS)):
        null = subprocess.DEVNULL
        subprocess.Popen([browser, address], stdin=null, stdout=null, stderr=null, start_new_session=True)
        return True
    return False


def _free_port() -> int:
    """Return a TCP port that is free now."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def own_set() -> str:
    """Return the model set that ships with gated and is made for rendered people."""
    return OWN_SET if OWN_SET in load_manifest(ModelSettings()).sets else "evaluation"


@contextmanager
def _network(folder: Path) -> Iterator[Network | None]:
    """Start a broker and office for the demo. Yields None if Mosquitto is missing or does not start."""
    program = find_mosquitto()
    if program is None:
        yield None
        return
    with closing(Network(folder / "network", SITE, GATE, program)) as network:
        try:
            network.start()
        except NetworkError:
            yield None
        else:
            yield network


def _tables(chosen: str, models: Path, network: Network | None) -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = {"models": {"set": chosen, "dir": str(models.resolve())}}
    if not _can_detect_attacks(chosen):
        tables["access"] = dict(FOR_PHOTOGRAPHS)
    if network is not None:
        tables["sync"] = dict(network.settings())
    return tables


def _can_detect_attacks(chosen: str) -> bool:
    """Return whether the set is made for rendered people. The test of attack detection runs only with such a set."""
    return load_manifest(ModelSettings(set=chosen)).model_set(chosen).grade == "demo"
