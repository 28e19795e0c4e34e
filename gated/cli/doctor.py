"""`gated doctor`: examines the whole gate and changes nothing, with or without a running gate.

An installer requests further measurements and trials by option. They require the gate to be stopped.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

import click

from gated.bounded import MOST_TEXT
from gated.cli import Context, show_json, streams
from gated.cli.lockdown import name_of
from gated.cli.table_output import show
from gated.config import Settings
from gated.doctor.board import board_at
from gated.doctor.examination import examine
from gated.doctor.finding import SIGNS, Finding, Light, amber, is_well
from gated.doctor.handover_page import Language
from gated.doctor.trial_record import recall, remember
from gated.door.latch_messages import LatchState
from gated.door.latch_observer import read_latch_state
from gated.door.wiring_sheet import sheet
from gated.errors import LatchError, StateError
from gated.sitetime import zone
from gated.storage.named_files import read_named, write_named
from gated.storage.owner import acting_as_oneself
from gated.storage.read_only import read_only_mode
from gated.update.release_key import of_release_key

ROUNDS = 30
MEASURE_STEP = "run `systemctl stop gated`, measure, and start it again"
COLOURS: dict[Light, str] = {"green": "green", "amber": "yellow", "red": "red"}


@click.command()
@click.option("--measure", is_flag=True, help="Measure camera and models too; takes the camera for ten seconds.")
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
              help="With --measure: write the last picture to this file, or draw it on the terminal (-).")  # fmt: skip
@click.option(
    "--report", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write the handover page (HTML)."
)
@click.option("--language", type=click.Choice(["zh", "en"]),
              help="With --report: language of the page; by default the first of [cues] languages.")  # fmt: skip
@click.option("--tried", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="With --report: the file report.json of hw_tests.")  # fmt: skip
@click.option("--door", "by_door", is_flag=True, help="Open every door once, with somebody at it; needs --by.")
@click.option("--by", metavar="NAME", default="", help="With --door: your name, for the journal.")
@click.option("--lights", "by_light", is_flag=True, help="Try every lamp, the buzzer and the pad in turn.")
@click.option("--sound", "by_sound", is_flag=True, help="Play the prompt of an opening gate.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def doctor(
    context: Context,
    *,
    measure: bool,
    picture: Path | None,
    page: Path | None,
    tried: Path | None,
    language: Language | None,
    by_door: bool,
    by: str,
    by_light: bool,
    by_sound: bool,
    as_json: bool,
) -> None:
    """Show the state and purpose of every wire, the working parts, and how to repair the other parts.

    Asks the running latch and claims no pin, so it can run at any time. --door, --lights and --sound operate the gate
    and ask what you saw. Exit 1 when something is red.
    """
    settings = context.settings
    watched = list(_watched(settings, name_of(by) if by_door else "", by_light=by_light, by_sound=by_sound))
    seen, why = _ask(settings)
    with read_only_mode():
        lines, findings = sheet(settings, seen, context.own_settings), list(examine(settings, seen, why))
    findings += of_release_key()
    if measure and seen is not None and seen.has_brain:
        findings.append(amber("camera", "the running gate uses the camera; nothing was measured", MEASURE_STEP))
    elif measure:
        watched = [*_measured(settings, picture), *watched]
    findings += watched
    remember(settings.state, watched, datetime.now(zone(settings.site.timezone)))
    if page is not None:
        listed = {finding.part for finding in findings}
        _write(page, settings, [*findings, *(old for old in recall(settings.state) if old.part not in listed)], tried,
               language or settings.cues.languages[0])  # fmt: skip
    if as_json:
        show_json({"ok": is_well(findings), "latch": seen is not None, "lines": lines, "findings": findings})
    else:
        show(
            ["line", "pin", "way", "wired", "now", "what it does"],
            [[line.name, str(line.pin), line.direction, line.wiring, line.state, line.effect] for line in lines],
        )
        for finding in findings:
            _print_finding(finding)
        count = Counter(finding.light for finding in findings)
        streams.echo(", ".join(f"{count[light]} {light}" for light in COLOURS))
    sys.exit(0 if is_well(findings) else 1)


def _watched(settings: Settings, by: str, *, by_light: bool, by_sound: bool) -> Iterator[Finding]:
    """Yield the results of the trials that a person watches. `by` names the person who tries the doors; empty skips the
    doors.
    """
    if not (by or by_light or by_sound):
        return
    from gated.cli import doctor_trials

    doctor_trials.need_somebody()
    if by:
        yield from doctor_trials.try_doors(settings, by)
    if by_light:
        yield doctor_trials.try_lights(settings)
    if by_sound:
        yield doctor_trials.try_sound(settings)


def _measured(settings: Settings, picture: Path | None) -> list[Finding]:
    """Measure camera and speed, if no other process holds the camera."""
    from gated.cli.camera_picture import show_picture
    from gated.doctor.measurements import measure
    from gated.face.pipeline import load_pipeline
    from gated.vision import camera_of

    pipeline = load_pipeline(settings.models, settings.face)
    with acting_as_oneself() if settings.camera.kind == "picamera2" else nullcontext():
        findings, frame = measure(settings, camera_of(settings.camera), pipeline, ROUNDS)
    if picture is not None and frame is not None:
        show_picture(picture, frame)
    return findings


def _write(page: Path, settings: Settings, findings: list[Finding], tried: Path | None, language: Language) -> None:
    from gated.doctor.handover_page import report, tested_promises

    try:
        rows = tested_promises(read_named(tried, MOST_TEXT)) if tried is not None else ()
        now = datetime.now(zone(settings.site.timezone))
        write_named(page, report(settings, board_at(), findings, now, rows, language=language).encode(), 0o666)
    except OSError as error:
        raise StateError(f"{error.filename}: cannot be written ({error.strerror}); name another place") from error
    streams.echo(f"{page}: print the page, sign it and give it to the owner", err=True)


def _ask(settings: Settings) -> tuple[LatchState | None, str]:
    """Return the latch's state, or None and the error text."""
    try:
        return asyncio.run(read_latch_state(settings.latch_socket)), ""
    except LatchError as error:
        return None, str(error)


def _print_finding(finding: Finding) -> None:
    mark = click.style(f"{SIGNS[finding.light]} {finding.light:5}", fg=COLOURS[finding.light])
    streams.own(mark)
    streams.echo(f"  {finding.part}: {finding.result}")
    if finding.next_step:
        streams.echo(f"         -> {finding.next_step}")
