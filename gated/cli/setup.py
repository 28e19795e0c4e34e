"""`gated config` and `gated check`: before the gate goes on duty."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import click
import msgspec

from gated.cli import Context, show_json
from gated.config import Settings, unsafe_wiring
from gated.config.overlay import kept_keys, office_keys
from gated.config.proposal import read_proposal
from gated.errors import ConfigError, GatedError, StateError


@click.group()
def config() -> None:
    """Write a commented example of the settings, or show those in force."""


@config.command()
def new() -> None:
    """Print settings with every key, its default and what it is for; redirect it to a file."""
    click.echo(files("gated").joinpath("example.toml").read_text("utf-8"), nl=False)


@config.command("show")
@click.pass_obj
def show_config(context: Context) -> None:
    """Print the settings in force as JSON, with the keys that the office has set, and those that it has on trial."""
    settings = context.settings
    kept, trial = kept_keys(context.own_settings), read_proposal(settings.state)
    on_trial = office_keys(trial.toml) if trial is not None else {}
    named = {"office": kept, "on_trial": on_trial}
    show_json({"settings": settings, **{name: [".".join(key) for key in keys] for name, keys in named.items()}})


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at. A `problem` keeps the gate from going on duty, a `warning` does not."""

    part: str
    problem: str | None
    warning: str | None = None


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For a program.")
@click.pass_obj
def check(context: Context, as_json: bool) -> None:
    """Check settings, wiring, state folder, people and rights, models, camera, keys, server certificates and prompts.

    Exit 0 when the gate could go on duty; else the list of what to mend, and 2 for the settings or 3 for the rest.
    """
    done = list(_checks(context.settings))
    good = not any(item.problem for item in done)
    if as_json:
        show_json({"ok": good, "checks": done})
    else:
        for item in done:
            word = "mend" if item.problem else "note" if item.warning else "good"
            click.echo(f"{word}  {': '.join(filter(None, (item.part, item.problem or item.warning)))}")
    sys.exit(0 if good else StateError.exit_code)


def _checks(settings: Settings) -> Iterator[Check]:
    """Every check in turn; one that fails does not keep the others from being made."""
    yield Check("settings", None)
    for part, look in {
        "wiring": _wiring, "state folder": _state, "journal": _journal, "people and keys": _gallery, "rights": _rights,
        "models": _models, "camera": _camera, "pins": _pins, "pass key": _pass_key, "server": _server,
    }.items():  # fmt: skip
        yield Check(part, _problem(look, settings))
    yield Check("prompts", None, _unspoken(settings))


def _problem(look: Callable[[Settings], None], settings: Settings) -> str | None:
    try:
        look(settings)
    except GatedError as error:
        return str(error)
    return None


def _wiring(settings: Settings) -> None:
    """A door that nobody can leave by is refused; mock pins trap nobody."""
    problems = unsafe_wiring(settings.door, settings.second_door) if settings.door.pins == "gpio" else []
    if problems:
        raise ConfigError("settings", problems)


def _state(settings: Settings) -> None:
    try:
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = settings.state / ".check"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StateError(
            f"{settings.state}: cannot be written ({error.strerror}); make it writable for this user"
        ) from error
    if settings.state.stat().st_mode & 0o077:
        raise StateError(f"{settings.state}: others may read it; chmod 700 it")


def _journal(settings: Settings) -> None:
    from gated.journal.journal import Journal

    journal = Journal.open(settings.state, settings.site.id, settings.gate.id)
    flaw = journal.verify()
    journal.close()
    if flaw is not None:
        raise StateError(f"row {flaw.seq} is not as it was written: {flaw.why}")


def _gallery(settings: Settings) -> None:
    from gated.gallery.register import Register

    Register.open(settings.state, settings.site.id).close()


def _rights(settings: Settings) -> None:
    """A right whose hours nobody has written down lets nobody in."""
    from gated.gallery.credentials import Credentials

    with closing(Credentials.open(settings.state, settings.site.id)) as store:
        named = {right.schedule for holder in store.holders().values() for right in holder.rights if right.schedule}
    problems = [
        f"schedules.{name}: somebody's right names it and it is not there; write it, or give the right anew"
        for name in sorted(named - settings.schedules.keys())
    ]
    if problems:
        raise ConfigError("settings", problems)


def _models(settings: Settings) -> None:
    from gated.app import check_models
    from gated.face.pipeline import load_pipeline

    check_models(settings)
    load_pipeline(settings.models, settings.face)


def _camera(settings: Settings) -> None:
    from gated.vision import try_camera

    try_camera(settings.camera)


def _pins(settings: Settings) -> None:
    from gated.door.latch import allowed_uids
    from gated.door.pins import pin_factory

    allowed_uids(settings.door)
    if not settings.latch_socket.exists():  # a latch that serves has the pins, and has proved them
        pin_factory(settings).close()


def _pass_key(settings: Settings) -> None:
    from gated.access.passes import pass_key

    if settings.readers.pass_key:
        pass_key(Path(settings.readers.pass_key))


def _unspoken(settings: Settings) -> str | None:
    """What is left to tones alone, where there is sound at all."""
    from gated.cues.prompts import check as check_prompts

    if settings.cues.sound == "none":
        return None
    wrong = [path for path, problem in check_prompts(settings.prompts, settings.cues.languages) if problem is not None]
    if not wrong:
        return None
    return f"{len(wrong)} are missing or not as they should be, and tones stand in; `gated prompts check` lists them"


def _server(settings: Settings) -> None:
    """That the office can be spoken to: its address, and the five files that pairing leaves."""
    from gated.sync.certificate import check_name
    from gated.sync.dial import address, tls_context
    from gated.sync.jose import Identity, Party

    sync = settings.sync
    if sync.url:
        address(sync.url)
        for file in (sync.ca, sync.cert, sync.key, sync.gate_keys, sync.office_keys):
            if not os.access(Path(file), os.R_OK):
                raise StateError(f"{file}: cannot be read; copy it there, and let this user read it")
        tls_context(sync)
        check_name(sync, settings.gate.id)
        Identity.load(Path(sync.gate_keys))
        Party.load(Path(sync.office_keys))
