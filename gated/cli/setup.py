"""`gated config` and `gated check`: prepare and check the settings before the gate goes on duty."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from gated.cli import Context, read_only_command, show_json, streams
from gated.config import Settings, unsafe_wiring
from gated.config.overlay import in_force, kept_keys, office_keys
from gated.config.proposal import read_proposal
from gated.errors import ConfigError, GatedError, StateError
from gated.storage.owner import acting_as_oneself


@click.group()
def config() -> None:
    """Write a commented example of the settings, or show those in force."""


@config.command()
def new() -> None:
    """Print settings with every key, its default and its purpose. Redirect the output to a file."""
    click.echo(files("gated").joinpath("example.toml").read_text("utf-8"), nl=False)


@config.command("show")
@click.pass_obj
@read_only_command
def show_config(context: Context) -> None:
    """Print the settings in force as JSON, with the keys set by the office, and the keys on trial."""
    settings = context.settings
    kept, trial = kept_keys(context.own_settings), read_proposal(settings.state)
    on_trial = office_keys(trial.toml) if trial is not None else {}
    named = {"office": kept, "on_trial": on_trial}
    show_json({"settings": settings, **{name: [".".join(key) for key in keys] for name, keys in named.items()}})


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. A `problem` keeps the gate off duty; a `warning` does not."""

    part: str
    problem: GatedError | None
    warning: str | None = None
    result: str = ""
    """Extra information to show."""

    @property
    def row(self) -> dict[str, str | None]:
        """Return the check as values for JSON."""
        problem = None if self.problem is None else str(self.problem)
        return {"part": self.part, "problem": problem, "warning": self.warning, "says": self.result}

    @property
    def lines(self) -> list[str]:
        """Return the check as lines of text."""
        status = "fix " if self.problem else "note" if self.warning else "good"
        first, *more = self.problem.lines if self.problem else [self.warning or self.result]
        return [f"{status}  {': '.join(filter(None, (self.part, first)))}", *more]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
@read_only_command
def check(context: Context, as_json: bool) -> None:
    """Check settings, wiring, state folder, people, access rules, models, camera, keys, certificates and prompts.

    Exit 0 when the gate could go on duty. Else lists the problems: exit 2 for the settings, 3 for the rest.
    """
    done = list(_checks(context.settings, context.path, context.written))
    good = not any(item.problem for item in done)
    if as_json:
        show_json({"ok": good, "checks": [item.row for item in done]})
    else:
        for item in done:
            streams.echo(*item.lines)
    sys.exit(0 if good else StateError.exit_code)


def _checks(settings: Settings, path: Path, written: dict[str, Any]) -> Iterator[Check]:
    """Run every check in turn. A failed check does not stop the other checks."""
    yield Check("settings", None, "; ".join(in_force(path, written)[1]) or None)
    for part, examine in {
        "wiring": _wiring, "state folder": _state, "journal": _journal, "people and keys": _gallery,
        "access rules": _access_rules, "calendar": _calendar, "models": _models, "camera": _camera, "pins": _pins,
        "pass key": _pass_key, "server": _server, "certificates": _certificates,
    }.items():  # fmt: skip
        yield _run_check(part, examine, settings)
    yield Check("prompts", None, _unspoken(settings))
    yield _vision()
    yield from _pin_budget(settings)
    yield from _release_key()
    yield from _card_budget(settings)


def _run_check(part: str, examine: Callable[[Settings], str | None], settings: Settings) -> Check:
    """Run one check. `examine` raises for a problem, and returns the text of a warning or None."""
    try:
        return Check(part, None, examine(settings))
    except GatedError as error:
        return Check(part, error)
    except OSError as error:
        text = f"{error.filename}: the gate's user cannot use it ({error.strerror}); give that user access"
        return Check(part, StateError(text))


def _wiring(settings: Settings) -> None:
    """Raise `ConfigError` for a door that nobody can leave by. Mock pins trap nobody, so they pass."""
    problems = unsafe_wiring(settings.door, settings.second_door) if settings.door.pins == "gpio" else []
    if problems:
        raise ConfigError("settings", problems)


def _state(settings: Settings) -> None:
    """Raise `StateError` if the state folder cannot be used. Creates nothing, so that root may run it."""
    folder = settings.state
    nearest = next(each for each in (folder, *folder.parents) if each.exists())
    if not nearest.is_dir():
        raise StateError(f"{nearest}: is not a folder; name another state_dir")
    if not os.access(nearest, os.W_OK | os.X_OK) or os.statvfs(nearest).f_flag & os.ST_RDONLY:
        raise StateError(f"{nearest}: cannot be written by this user; make it writable, or run this as the gate's user")
    if nearest == folder and folder.stat().st_mode & 0o077:
        raise StateError(f"{folder}: other users may read it; run `chmod 700` on it")


def _journal(settings: Settings) -> None:
    from gated.journal.journal import Journal

    journal = Journal.open(settings.state, settings.site.id, settings.gate.id)
    flaw = journal.verify()
    journal.close()
    if flaw is not None:
        raise StateError(f"row {flaw.seq} was changed after it was written: {flaw.why}")


def _gallery(settings: Settings) -> str | None:
    """Warn of people whose face is of another model set. Raises `StateError` if people and keys cannot be used."""
    from gated.cli.enrol_again import enrol_again_text
    from gated.gallery.register import Register

    Register.open(settings.state, settings.site.id).close()
    return enrol_again_text(settings)


def _access_rules(settings: Settings) -> str | None:
    """Raise `ConfigError` if an access rule names an unknown schedule: such a rule admits nobody. Warn of people
    without a card or PIN whose face needs one.
    """
    from gated.people.credential_store import Credentials

    with closing(Credentials.open(settings.state, settings.site.id)) as store:
        named, known = store.schedule_names(), {*settings.schedules, *store.schedules()}
        holders, served = store.holders(), {each.subject for each in store.all()}
    problems = [
        f"schedules.{name}: an access rule names this missing schedule; write it, or set the rule again"
        for name in sorted(named - known)
    ]
    if problems:
        raise ConfigError("settings", problems)
    lacking = sorted(
        subject for subject, holder in holders.items() if holder.always_needs_second and subject not in served
    )
    advice = "give each of them one"
    return (
        f"these people need a card or PIN to enter, and have none: {', '.join(lacking)}; {advice}" if lacking else None
    )


def _calendar(settings: Settings) -> str | None:
    """Warn of calendar days to enter or correct. Not a problem: a missing day widens no access."""
    from gated.doctor.checks import calendar_faults

    return "; ".join(calendar_faults(settings, datetime.now(UTC))) or None


def _pin_budget(settings: Settings) -> Iterator[Check]:
    """Yield the time a stranger at the keypad must guess. Yields nothing without a keypad or countable PINs."""
    from gated.doctor.guess_time import pin_budget, sentence, weak_pin_holders

    found = pin_budget(settings)
    if found is not None:
        text = sentence(settings, found)
        is_well = not found.is_short and not found.shut_out and not weak_pin_holders(settings)
        yield Check("PIN budget", None, None if is_well else text, text if is_well else "")


def _release_key() -> Iterator[Check]:
    """Yield whether updates must be signed. Yields nothing if gated is updated in another way. Never a problem."""
    from gated.update.release_key import of_release_key

    for found in of_release_key():
        is_well = found.light == "green"
        yield Check(found.part, None, None if is_well else f"{found.result}; {found.next_step}", found.result)


def _card_budget(settings: Settings) -> Iterator[Check]:
    """Yield the time a stranger who guesses card numbers needs. Yields nothing without a reader or cards."""
    from gated.doctor.guess_time import of_cards

    for found in of_cards(settings):
        is_well = found.light == "green"
        yield Check(found.part, None, None if is_well else f"{found.result}; {found.next_step}", found.result * is_well)


def _models(settings: Settings) -> None:
    from gated.face.manifest import lawful_set
    from gated.face.pipeline import load_pipeline

    lawful_set(settings)
    load_pipeline(settings.models, settings.face)


def _camera(settings: Settings) -> str | None:
    from gated.vision import try_camera

    with acting_as_oneself() if settings.camera.kind == "picamera2" else nullcontext():
        doubt = try_camera(settings.camera)
    return None if doubt is None else f"{doubt}; measure it with a person in view: `gated doctor --measure`"


def _vision() -> Check:
    """Return how vision runs, and how it is confined."""
    from gated.doctor.checks import vision

    found = list(vision())
    amber = [f"{each.result}: {each.next_step}" for each in found if each.light != "green"]
    return Check("vision", None, "; ".join(amber) or None, found[0].result)


def _pins(settings: Settings) -> str | None:
    """Raise for pins that the latch needs and cannot use. Return a warning about optional ones, or None."""
    from gated.door.claim_trial import try_pins
    from gated.door.latch import allowed_uids

    allowed_uids(settings.door)
    if settings.latch_socket.exists():  # a running latch holds the pins, and has tested them
        return None
    with acting_as_oneself():
        missing = try_pins(settings, makes_files=False)
    without = "; ".join(f"{part} cannot be used: {why}" for part, why in missing.items())
    return f"{without}; `gpioinfo` shows the user of each pin" if without else None


def _pass_key(settings: Settings) -> None:
    from gated.access.pass_keys import read_pass_key

    if settings.readers.pass_key:
        read_pass_key(Path(settings.readers.pass_key))


def _unspoken(settings: Settings) -> str | None:
    """Warn of missing or wrong prompts, which tones replace. None if no sound is set."""
    from gated.cues.prompts import check_prompts
    from gated.cues.words import fitted_of

    if settings.cues.sound == "none":
        return None
    wrong = [
        path
        for path, problem in check_prompts(settings.prompts, settings.cues.languages, fitted_of(settings))
        if problem is not None
    ]
    if not wrong:
        return None
    return f"{len(wrong)} prompts are missing or wrong, and tones replace them; `gated prompts check` lists them"


def _certificates(settings: Settings) -> str | None:
    """Warn of certificates that end soon or have ended. Not a problem: the gate works without the office."""
    from gated.doctor.keys import ends_soon

    return "; ".join(ends_soon(settings, datetime.now(UTC))) or None


def _server(settings: Settings) -> None:
    """Check the office's address, certificate and the five files from pairing. Raises `StateError`."""
    from gated.protocol.broker import address, tls_context
    from gated.protocol.certificate import check_name
    from gated.protocol.jose import Party
    from gated.protocol.sealed_files import Lock

    sync, lock = settings.sync, Lock.of(settings.state)
    if sync.url:
        address(sync.url)
        for file in (sync.ca, sync.cert, sync.key, sync.gate_keys, sync.office_keys):
            if not os.access(Path(file), os.R_OK):
                raise StateError(f"{file}: cannot be read; copy it there, and let this user read it")
        tls_context(sync, lock)
        check_name(sync, settings.gate.id)
        lock.identity(Path(sync.gate_keys))
        Party.load(Path(sync.office_keys))
