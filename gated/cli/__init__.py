"""The command line of gated. Each group of commands is a module. It is imported only when called, so the latch never
loads numpy.

Public: __init__.
"""

import errno
import functools
import importlib
import json
import keyword
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import click
import msgspec

from gated import config
from gated.cli import streams
from gated.cli.owners import by_holder
from gated.config.reading import read
from gated.errors import GatedError
from gated.runtime.secrecy import keep_memory_secret
from gated.storage.named_files import reading
from gated.storage.owner import acting_as, owner_of

DEFAULT_CONFIG = "/etc/gated/gated.toml"

COMMANDS = {
    "run": ("gated.cli.daemon", "Run the gate: camera, faces, door, journal, sync."),
    "latch": ("gated.cli.daemon", "Serve the pins to the brain."),
    "vision": ("gated.cli.daemon", ""),
    "demo": ("gated.cli.demo", "Watch a morning at a simulated gate."),
    "replay": ("gated.cli.replay", "Show pictures to a simulated gate, and list the people let in."),
    "config": ("gated.cli.setup", "Write a commented example of the settings, or show those in force."),
    "check": ("gated.cli.setup", "Check settings, models, keys and wiring, and list the problems."),
    "status": ("gated.cli.status", "Show the state of the gate."),
    "doctor": ("gated.cli.doctor", "Show every wire, the working parts, and how to repair the other parts."),
    "provision": ("gated.cli.provision", "Set this machine up as a gate, pair it and start it. As root."),
    "bundle": ("gated.cli.bundle", "Pack gated, its libraries and models for a gate without a network."),
    "update": ("gated.cli.update", "Install another version, try it, and keep it or go back."),
    "lockdown": ("gated.cli.lockdown", "Deny entry to everyone, or allow entry again."),
    "office": ("gated.cli.office.office", "Run the community office: people, gates, events and commands."),
    "gates": ("gated.cli.gates", "Show the keys of the other gates, and accept them."),
    "pair": ("gated.cli.pairing", "Join the office, with a code from it."),
    "models": ("gated.cli.models", "List the model sets, install their files, and verify them."),
    "enrol": ("gated.cli.people", "Enrol a person who has consented, from photos."),
    "people": (
        "gated.cli.people",
        "Manage people: list, suspend, remove; credentials, access rules, preferences.",
    ),
    "readers": ("gated.cli.readers", "Show the output of a card reader, and learn how a USB reader types."),
    "pass": ("gated.cli.passes", "Sign a visitor's pass, or show what a pass contains."),
    "identify": ("gated.cli.recognition", "Identify the face in a photo, and show whether the gate would open."),
    "calibrate": ("gated.cli.calibrate", "Show the threshold for the enrolled people, and the false-accept budget."),
    "evaluate": ("gated.cli.evaluate", "Measure the error rates: FPIR, FNIR, APCER and others."),
    "bench": ("gated.cli.recognition", "Measure the time of a decision, and gated's own part of it."),
    "prompts": ("gated.cli.prompts", "Make the spoken prompts, and check them."),
    "events": ("gated.cli.events", "Show the journal, and verify that it is unchanged."),
}


class Context:
    """The settings and paths that every command may use. Reads the settings once, on first use."""

    def __init__(self, path: Path, models_dir: str | None) -> None:
        self.path, self._models_dir = path, models_dir

    @functools.cached_property
    def settings(self) -> config.Settings:
        """Return the checked settings, with the settings that the office sent. Raises `ConfigError`."""
        written = self.written
        with acting_as(owner_of(config.load_own(self.path, written).state)):
            return self._with_models(config.load(self.path, written))

    @functools.cached_property
    def own_settings(self) -> config.Settings:
        """Return the gate's own settings, without those from the office. The latch uses only these. Raises
        `ConfigError`.
        """
        return self._with_models(config.load_own(self.path, self.written))

    @functools.cached_property
    def written(self) -> dict[str, Any]:
        """Return the settings file as written, unchecked. The acting user need not be able to read the file. Raises
        `ConfigError`.
        """
        with reading(self.path):
            return read(self.path)

    @property
    def place(self) -> Path | None:
        """Return the state folder, or None without settings: then this is no gate. Raises `ConfigError`."""
        return self.own_settings.state if self.has_settings else None

    @property
    def has_settings(self) -> bool:
        """Return whether settings were named or exist at the default path. Without settings this machine counts as a
        desk. Some commands still work there.
        """
        return str(self.path) != DEFAULT_CONFIG or self.path.exists()

    @property
    def settings_or_defaults(self) -> config.Settings:
        """Return the checked settings, or the defaults on a desk. Raises `ConfigError`."""
        if self.has_settings:
            return self.settings
        return self._with_models(config.parse({"site": {"id": "desk"}, "gate": {"id": "desk"}}, Path.cwd()))

    def _with_models(self, settings: config.Settings) -> config.Settings:
        if self._models_dir is None:
            return settings
        return msgspec.structs.replace(settings, models=msgspec.structs.replace(settings.models, dir=self._models_dir))


class Gated(click.Group):
    """The root group. Imports the module of a command. Turns a known error into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in the order of a gate's life."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of this command only."""
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), name)
        return by_holder(command, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command list of `--help` without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items() if text])

    def main(self, args: Sequence[str] | None = None, *more: Any, **options: Any) -> Any:
        """Run the command line safely on any terminal."""
        with streams.guarded():
            return self._run(args, *more, **options)

    def _run(self, args: Sequence[str] | None, *more: Any, **options: Any) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        if odd := streams.unreadable(words):
            click.echo(
                f"gated: {', '.join(map(ascii, odd))}: not valid text in this terminal's encoding; use UTF-8", err=True
            )
            sys.exit(2)
        try:
            try:
                return super().main(words, *more, **options)
            finally:
                streams.finish()
        except OSError as error:
            is_pipe = error.errno == errno.EPIPE
            if not (is_pipe or error.errno in streams.FULL or streams.are_lost()):
                raise
            streams.abandon()
            if not is_pipe:  # the program that closed the pipe needs no message
                target = error.filename or "the output"
                streams.echo(f"gated: {target} cannot be written ({error.strerror}); free some space", err=True)
            sys.exit(1 if is_pipe else 3)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except GatedError as error:
            fail([error])
        except BaseExceptionGroup as group:  # no `except*`: Python 3.11.2 would wrap SystemExit in a group
            refusals, others = group.split(GatedError)
            if refusals is None or others is not None:
                raise
            fail(_leaves(refusals))


def fail(errors: Sequence[GatedError]) -> NoReturn:
    """Print each error once, then exit with the exit code of the first."""
    for first, *more in dict.fromkeys(tuple(error.lines) for error in errors):
        streams.echo(f"gated: {first}", *more, err=True)
    sys.exit(errors[0].exit_code)


def _leaves(group: BaseExceptionGroup[GatedError]) -> list[GatedError]:
    return [leaf for e in group.exceptions for leaf in (_leaves(e) if isinstance(e, BaseExceptionGroup) else [e])]


def read_only_unless(change: object) -> AbstractContextManager[None]:
    """Return a context that writes no file (see `read_only_command`) if `change` is None, else an empty context."""
    from gated.storage.read_only import read_only_mode

    return read_only_mode() if change is None else nullcontext()


P = ParamSpec("P")
T = TypeVar("T")


def read_only_command(command: Callable[P, T]) -> Callable[P, T]:
    """Decorate a read-only command: it creates no file and changes no file, even as root."""

    @functools.wraps(command)
    def wrapped(*arguments: P.args, **options: P.kwargs) -> T:
        """Run the command without writing to any database."""
        from gated.storage.read_only import read_only_mode

        with read_only_mode():
            return command(*arguments, **options)

    return wrapped


def show_json(value: object) -> None:
    """Print a value as JSON, in ASCII if the terminal is not Unicode."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    click.echo(text if streams.is_unicode() else json.dumps(json.loads(text), indent=2))


def show_json_line(value: object) -> None:
    """Print a value as one line of JSON Lines, in ASCII if the terminal is not Unicode."""
    text = msgspec.json.encode(value).decode()
    click.echo(text if streams.is_unicode() else json.dumps(json.loads(text)))


@click.group(cls=Gated, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    envvar="GATED_CONFIG",
    default=DEFAULT_CONFIG,
    show_default=True,
    help="The settings file; also from $GATED_CONFIG.",
)
@click.option("--models", "models_dir", type=click.Path(), help="Folder of the model files, instead of [models] dir.")
@click.version_option(package_name="gated")
@click.pass_context
def main(ctx: click.Context, config_path: Path, models_dir: str | None) -> None:
    """The access control of a courtyard gate: the gate opens only for residents and their guests.

    Begin with `gated config new > gated.toml`, then `gated --config gated.toml check`.

    Exit codes: 0 done, 1 refused or not found, 2 usage or settings, 3 environment.
    """
    keep_memory_secret()
    ctx.obj = Context(config_path, None if models_dir is None else str(Path(models_dir).resolve()))
