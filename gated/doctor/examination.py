"""Runs all checks that the doctor makes without changing anything, in the order of an installer's afternoon."""

from collections.abc import Iterator
from datetime import UTC, datetime

from gated.access.lockdown import read_lockdown
from gated.config import Settings
from gated.doctor import (
    attack_rates,
    board,
    checks,
    diagnosis,
    disk,
    false_accepts,
    guess_time,
    keys,
    office_connection,
)
from gated.doctor.board import board_at
from gated.doctor.finding import Finding, amber
from gated.door.latch_messages import LatchState
from gated.sitetime import format_time, zone


def examine(settings: Settings, seen: LatchState | None, why: str) -> Iterator[Finding]:
    """Yield all findings. `why`: the error that replaces `seen`."""
    past, has_brain = checks.JournalCheck(settings), seen is not None and seen.has_brain
    lost = past.lost if has_brain else frozenset[str]()
    yield from diagnosis.of_latch(settings, seen, why)
    yield from diagnosis.of_doors(settings, seen)
    yield from diagnosis.of_wiring(settings)
    models, clock = checks.models(settings), checks.clock(settings, past.last_at)
    camera, readers = checks.camera(settings, is_lost="vision" in lost), list(checks.readers(settings))
    yield from (
        models,
        camera,
        *checks.vision(),
        *attack_rates.of_attacks(settings.state, settings.models.set),
        *readers,
        checks.prompts(settings),
        checks.screen(settings, has_brain=has_brain),
    )
    yield from checks.calendar(settings, datetime.now(UTC))
    yield from (
        *checks.letters(settings),
        *diagnosis.of_help(settings),
        *guess_time.of_pins(settings),
        *guess_time.of_cards(settings),
        *false_accepts.of_faces(settings),
    )
    yield from (clock, checks.state_folder(settings), past.finding, *past.decisions, *past.misread)
    yield from _machine(settings)
    reported = {"vision"} if clock.light == "green" else {"vision", "clock"}
    for part in sorted(lost - reported):
        yield amber(part, "the running gate has lost it", "read the log of `gated run`")
    yield from _lockdown(settings)
    broken = {finding.part for finding in (models, *readers) if finding.light == "red"}
    broken |= lost | ({"clock"} if clock.light != "green" else set())
    if settings.readers.devices and all(f"reader {path}" in broken for path in settings.readers.devices):
        broken.add("readers")
    entry_problem = diagnosis.nobody_in(seen, read_lockdown(settings.state) is not None)
    yield from diagnosis.of_credential_kinds(settings, broken, entry_problem)


def _machine(settings: Settings) -> Iterator[Finding]:
    """Yield the findings on the board, the disk, the keys and the network to the office."""
    this_board = board_at()
    if this_board.is_pi:
        yield board.power(this_board, board.throttling())
        yield board.temperature()
    yield board.memory()
    yield from disk.state_disk(settings)
    yield from disk.kept_aside(settings)
    yield from keys.keys(settings, datetime.now(zone(settings.site.timezone)))
    yield from office_connection.network(settings, datetime.now(UTC))


def _lockdown(settings: Settings) -> Iterator[Finding]:
    lockdown = read_lockdown(settings.state)
    if lockdown is not None:
        since = format_time(lockdown.at, zone(settings.site.timezone))
        yield amber(
            "lockdown",
            f"active since {since}: the gate denies entry to everyone",
            "to end it: run `gated lockdown off --by NAME`",
        )
