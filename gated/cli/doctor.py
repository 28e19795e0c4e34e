"""`gated doctor`: a look at the whole gate that changes nothing, beside a gate that runs or without one."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import click

from gated.access.lockdown import read_lockdown
from gated.cli import Context, show_json
from gated.cli.tables import show
from gated.config import Settings
from gated.door.messages import LatchState
from gated.door.observer import observe
from gated.door.sheet import sheet
from gated.errors import LatchError
from gated.health import diagnosis, looks
from gated.health.finding import SIGNS, Finding, Light, amber, is_well

COLOURS: dict[Light, str] = {"green": "green", "amber": "yellow", "red": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For a program.")
@click.pass_obj
def doctor(context: Context, as_json: bool) -> None:
    """Show every wire with its state and what it would do, what works now, and what to do about the rest.

    Asks the latch that serves and claims no pin, so that it may be run at any time. Exit 1 when something is red.
    """
    settings = context.settings
    seen, why = _ask(settings)
    lines, findings = sheet(settings, seen, context.own_settings), list(examine(settings, seen, why))
    if as_json:
        show_json({"ok": is_well(findings), "latch": seen is not None, "lines": lines, "findings": findings})
    else:
        show(
            ["line", "pin", "way", "wired", "now", "what it does"],
            [[line.name, str(line.pin), line.direction, line.wiring, line.state, line.effect] for line in lines],
        )
        for finding in findings:
            _tell(finding)
        count = Counter(finding.light for finding in findings)
        click.echo(", ".join(f"{count[light]} {light}" for light in COLOURS))
    sys.exit(0 if is_well(findings) else 1)


def examine(settings: Settings, seen: LatchState | None, why: str) -> Iterator[Finding]:
    """Everything that is looked at, in the order of an installer's afternoon. `why`: what came instead of `seen`."""
    past, has_brain = looks.Past(settings), seen is not None and seen.has_brain
    lost = past.lost if has_brain else frozenset[str]()
    yield from diagnosis.of_latch(settings, seen, why)
    yield from diagnosis.of_doors(settings, seen)
    yield from diagnosis.of_wiring(settings)
    models, clock = looks.models(settings), looks.clock(settings, past.last_at)
    camera, readers = looks.camera(settings, is_lost="vision" in lost), list(looks.readers(settings))
    yield from (models, camera, *readers, looks.prompts(settings), looks.screen(settings, has_brain=has_brain))
    yield from (clock, looks.state_folder(settings), past.finding)
    told = {"vision"} if clock.light == "green" else {"vision", "clock"}
    for part in sorted(lost - told):
        yield amber(part, "the gate that runs has lost it", "look at the log of `gated run`")
    yield from _lockdown(settings)
    broken = {finding.part for finding in (models, *readers) if finding.light == "red"}
    broken |= lost | ({"clock"} if clock.light != "green" else set())
    if settings.readers.devices and all(f"reader {path}" in broken for path in settings.readers.devices):
        broken.add("readers")
    nobody = diagnosis.nobody_in(seen, read_lockdown(settings.state) is not None)
    yield from diagnosis.ways_in(settings, broken, nobody)


def _ask(settings: Settings) -> tuple[LatchState | None, str]:
    """What the latch says, or why it does not."""
    try:
        return asyncio.run(observe(settings.latch_socket)), ""
    except LatchError as error:
        return None, str(error)


def _lockdown(settings: Settings) -> Iterator[Finding]:
    order = read_lockdown(settings.state)
    if order is not None:
        since = order.at.astimezone(ZoneInfo(settings.site.timezone)).isoformat(" ", "seconds")
        yield amber("lockdown", f"since {since}: nobody is let in", "when it is over: `gated lockdown off --by NAME`")


def _tell(finding: Finding) -> None:
    mark = click.style(f"{SIGNS[finding.light]} {finding.light:5}", fg=COLOURS[finding.light])
    click.echo(f"{mark}  {finding.part}: {finding.says}")
    if finding.next_step:
        click.echo(f"         -> {finding.next_step}")
