"""`gated replay`: shows your own pictures to a simulated gate. Processes and models are real, pins are mocked."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from gated.cli import streams
from gated.cli.table_output import show
from gated.errors import StateError
from gated.journal.journal import Journal

BESIDE = Path(__file__).parents[3] / "shared"
HOLD_S = 2.0
SITE, GATE = "courtyard-2", "front"

SETTINGS = """
state_dir = "state"
[site]
id = "{site}"
clock = "trusted"
[gate]
id = "{gate}"
[models]
dir = "{models}"
set = "evaluation"
[camera]
kind = "replay"
path = "{pictures}"
hold_s = {hold_s}
[door]
pins = "mock"
trace = "trace.jsonl"
release_s = 1.5
"""


@click.command()
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    default=BESIDE / "faces",
    help="A folder with NAME_1.jpg, NAME_2.jpg ...",
)
@click.option(
    "--models", type=click.Path(path_type=Path), default=BESIDE / "models", help="Folder of the evaluation models."
)
def replay(pictures: Path, models: Path) -> None:
    """Enrol every person with NAME_1 and NAME_2, show all pictures to the camera, and list the people let in.

    Exit 0 when the gate opened for those people and for nobody else.
    """
    paths = sorted(pictures.glob("*.jpg")) if models.is_dir() else []
    names = [p.stem[:-2] for p in paths if p.stem.endswith("_1") and p.with_stem(f"{p.stem[:-2]}_2").exists()]
    if not names:
        raise StateError(
            f"{pictures} and {models}: no pictures of somebody, or no models; name them with --pictures and --models"
        )
    with tempfile.TemporaryDirectory(prefix="gated-replay-") as folder:
        happened = Replay(Path(folder), paths, models.resolve()).run(names)
    expected = {path: {name for name in names if name in path.stem} for path in paths}
    rows = [
        [p.name, _people(expected[p]), _people(happened[p]), "yes" if expected[p] == happened[p] else "NO"]
        for p in paths
    ]
    click.echo("\nExpected and actual results:")
    show(["picture", "should let in", "let in", "as expected"], rows)
    sys.exit(0 if expected == happened else 1)


class Replay:
    """One simulated gate with a separate folder."""

    def __init__(self, folder: Path, paths: list[Path], models: Path) -> None:
        self.folder, self.paths, self.config = folder, paths, folder / "gated.toml"
        settings = {
            "site": SITE,
            "gate": GATE,
            "models": models,
            "pictures": paths[0].parent.resolve(),
            "hold_s": HOLD_S,
        }
        self.config.write_text(SETTINGS.format(**settings))

    def run(self, names: list[str]) -> dict[Path, set[str]]:
        """Enrol the people and show the pictures. Return the names let in at each picture."""
        self.names = {self._enrol(name): name for name in names}
        let_in: dict[Path, set[str]] = {path: set() for path in self.paths}
        streams.echo("", f"$ gated run            {len(self.paths)} pictures, {HOLD_S:.0f} s each, to a simulated gate")
        with (self.folder / "log").open("wb") as log:
            brain = subprocess.Popen(self._command("run", "--once"), stdout=log, stderr=log)
        try:
            for fact in self._facts(brain):
                self._print_decision(fact, let_in)
        finally:
            brain.terminate()
        if brain.wait() != 0:
            raise StateError("the gate failed:", *(self.folder / "log").read_text().splitlines())
        return let_in

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "gated", "--config", str(self.config), *arguments]

    def _enrol(self, name: str) -> str:
        photo = next(path for path in self.paths if path.stem == f"{name}_1")
        streams.echo(
            f"$ gated enrol --name {name} --household {name} --photo {photo.name} --consent none --notice none"
        )
        arguments = [
            "--name",
            name,
            "--household",
            name,
            "--photo",
            str(photo),
            "--consent",
            "demo",
            "--notice",
            "demo",
        ]
        done = subprocess.run(self._command("enrol", *arguments, "--json"), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StateError(done.stderr.strip() or f"{photo}: nobody could be enrolled from it")
        return str(msgspec.json.decode(done.stdout)["subject"])

    def _facts(self, brain: "subprocess.Popen[bytes]") -> Iterator[dict[str, Any]]:
        """Yield journal events as they are written, until the gate has ended and all events are read."""
        seen, ended = 0, False
        with closing(Journal.open(self.folder / "state", SITE, GATE)) as journal:
            while not ended:
                ended = brain.poll() is not None
                for entry in journal.entries(after=seen):
                    seen = entry.seq
                    yield {"at": datetime.fromisoformat(entry.at), **msgspec.json.decode(entry.body)}
                time.sleep(0.1)

    def _print_decision(self, fact: dict[str, Any], let_in: dict[Path, set[str]]) -> None:
        """Print one line for each decision, with the picture shown at that time."""
        if fact["kind"] == "worker_ready" and fact["worker"] == "vision":
            self.began_at = fact["at"]
        if fact["kind"] not in ("access_granted", "access_denied"):
            return
        shown_s = (fact["at"] - self.began_at).total_seconds() - fact["latency_s"]
        path = self.paths[min(int(shown_s / HOLD_S), len(self.paths) - 1)]
        why = f"score {fact.get('score') or 0:.2f} of {fact['threshold']}, PAD {fact.get('pad_score') or 0:.2f}"
        if fact["kind"] == "access_granted":
            name = self.names.get(fact["subject"], "?")
            let_in[path].add(name)
            streams.echo(f"  {path.name:22} OPEN for {name:8} {why}, {fact['latency_s'] * 1000:.0f} ms after the frame")
        else:
            streams.echo(f"  {path.name:22} closed: {fact['reason']:8} {why}")


def _people(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nobody"
