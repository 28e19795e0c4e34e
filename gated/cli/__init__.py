"""The commands. Each group is a module that is only imported when it is asked for: the latch never loads numpy."""

import importlib
import keyword
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from gated import config
from gated.errors import GatedError

DEFAULT_CONFIG = "/etc/gated/gated.toml"

COMMANDS = {
    "run": ("gated.cli.daemon", "Be the gate: camera, faces, door, journal, server."),
    "latch": ("gated.cli.daemon", "Serve the pins to one brain; the service that outlives it."),
    "vision": ("gated.cli.daemon", ""),
    "demo": ("gated.cli.demo", "Watch a morning at a simulated gate."),
    "replay": ("gated.cli.replay", "Show a folder of pictures to a simulated gate, and tell who was let in."),
    "config": ("gated.cli.setup", "Write a commented example of the settings, or show those in force."),
    "check": ("gated.cli.setup", "Check settings, models, keys and wiring; say what to mend."),
    "status": ("gated.cli.status", "Show how the gate stands at this moment."),
    "doctor": ("gated.cli.doctor", "Show every wire and what it would do, what works now, and what to do next."),
    "provision": ("gated.cli.provision", "Make this machine a gate: set up, paired, started. As root."),
    "bundle": ("gated.cli.bundle", "Pack gated, its libraries and models for a gate without a network."),
    "update": ("gated.cli.update", "Bring another version, try it, and keep it or go back."),
    "lockdown": ("gated.cli.lockdown", "Let nobody in, or let people in again."),
    "office": ("gated.cli.office", "Be the community office: people for every gate, its events, its orders."),
    "pair": ("gated.cli.pairing", "Join the office, with the code that it gave."),
    "models": ("gated.cli.models", "List the model sets, bring the files of one here, and prove them."),
    "enrol": ("gated.cli.people", "Enrol somebody who has consented, from photos."),
    "people": ("gated.cli.people", "List people, suspend or remove them; cards, PINs, roles, rights and preferences."),
    "pass": ("gated.cli.passes", "Sign a visitor's pass, or show what one says."),
    "identify": ("gated.cli.looking", "Say who is in a photo, and whether the gate would open."),
    "evaluate": ("gated.cli.evaluate", "Measure how often the gate is wrong: FPIR, FNIR, APCER and their kin."),
    "bench": ("gated.cli.looking", "Measure what a decision costs here, and what of it is ours."),
    "prompts": ("gated.cli.prompts", "Make the spoken prompts, and check them."),
    "events": ("gated.cli.events", "Show the journal, and prove that nobody has changed it."),
}


class Context:
    """What every command may ask for: the settings, read when they are first needed."""

    def __init__(self, path: Path, models_dir: str | None) -> None:
        self.path, self._models_dir = path, models_dir

    @property
    def settings(self) -> config.Settings:
        """The checked settings, with what the office has set. Raises `ConfigError`."""
        return self._with_models(config.load(self.path))

    @property
    def own_settings(self) -> config.Settings:
        """The gate's own alone: for the latch, which has no business with the office's. Raises `ConfigError`."""
        return self._with_models(config.load_own(self.path))

    @property
    def has_settings(self) -> bool:
        """Whether settings were named, or lie where a gate's do: else this is a desk, where some commands need none."""
        return str(self.path) != DEFAULT_CONFIG or self.path.exists()

    @property
    def settings_or_defaults(self) -> config.Settings:
        """The same, or on a desk the defaults. Raises `ConfigError`."""
        if self.has_settings:
            return self.settings
        return self._with_models(config.parse({"site": {"id": "desk"}, "gate": {"id": "desk"}}, Path.cwd()))

    def _with_models(self, settings: config.Settings) -> config.Settings:
        if self._models_dir is None:
            return settings
        return msgspec.structs.replace(settings, models=msgspec.structs.replace(settings.models, dir=self._models_dir))


class Gated(click.Group):
    """Finds a command in its module, and turns the errors we know into one clear line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a gate's life."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of the command, and no other."""
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items() if text])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except* GatedError as group:
            fail(group)


def fail(group: BaseExceptionGroup[GatedError]) -> None:
    """Say what went wrong, once each, and end with the code of the first."""
    errors = list(_leaves(group))
    for message in dict.fromkeys(str(error) for error in errors):
        click.echo(f"gated: {message}", err=True)
    sys.exit(errors[0].exit_code)


def _leaves(group: BaseExceptionGroup[GatedError]) -> list[GatedError]:
    return [leaf for e in group.exceptions for leaf in (_leaves(e) if isinstance(e, BaseExceptionGroup) else [e])]


def show_json(value: object) -> None:
    """Print a value for a program to read."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


@click.group(cls=Gated, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    envvar="GATED_CONFIG",
    default=DEFAULT_CONFIG,
    show_default=True,
    help="The settings; also from $GATED_CONFIG.",
)
@click.option("--models", "models_dir", type=click.Path(), help="Where the model files lie, instead of [models] dir.")
@click.version_option(package_name="gated")
@click.pass_context
def main(ctx: click.Context, config_path: Path, models_dir: str | None) -> None:
    """The gate of a courtyard: it opens for those who live there, and for nobody else.

    Begin with `gated config new > gated.toml`, then `gated --config gated.toml check`.

    Exit codes: 0 done, 1 refused or not found, 2 usage or settings, 3 environment.
    """
    ctx.obj = Context(config_path, None if models_dir is None else str(Path(models_dir).resolve()))
