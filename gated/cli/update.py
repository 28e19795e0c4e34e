"""`gated update`: installs another version beside the running one, tries it, and keeps it or rolls back by itself."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from gated.cli import Context, show_json, show_json_line, streams
from gated.config import Settings
from gated.errors import UpdateError
from gated.events import Updated
from gated.provision.vision_unit import bring_units
from gated.service import logs
from gated.storage.owner import acting_as, owner_of
from gated.update.health import HEALTH_S, observe_gate
from gated.update.rehearsal import migrate_copies
from gated.update.release import ROOT
from gated.update.services import Systemd
from gated.update.signature import Key, read_keys
from gated.update.source import ReleaseSource, sources_in
from gated.update.updater import Updater

NEWEST = "newest"


@click.command()
@click.option("--to", "target", metavar="WHAT", help='A bundle, a wheel, a version in --from, or "newest" there.')
@click.option("--check", is_flag=True, help="Show whether --from has a newer version.")
@click.option("--status", is_flag=True, help="Show the installed versions and the trial.")
@click.option("--back", is_flag=True, help="Go back to the previous version.")
@click.option("--key", "keys", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
              help="Trust only these public keys for signed releases from now on.")  # fmt: skip
@click.option("--yes", is_flag=True, help="With --key: do not ask.")
@click.option("--step", type=click.Choice(["settle", "look", "migrate", "keep"]), hidden=True)
@click.option("--from", "place", type=click.Path(path_type=Path, file_okay=False), envvar="GATED_RELEASES",
              help="Folder of releases; also from $GATED_RELEASES.")  # fmt: skip
@click.option("--health-s", type=click.FloatRange(1, 3600), default=HEALTH_S, show_default=True, metavar="SECONDS",
              help="Seconds that the gate must be well without a break.")  # fmt: skip
@click.option("--root", type=click.Path(path_type=Path, file_okay=False), envvar="GATED_ROOT", default=ROOT,
              show_default=True, help="Folder of the versions.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="With --status: print JSON.")
@click.pass_obj
def update(
    context: Context, *, target: str | None, check: bool, status: bool, back: bool, step: str | None,
    place: Path | None, health_s: float, root: Path, as_json: bool, keys: Path | None, yes: bool,
) -> None:  # fmt: skip
    """Install another version of gated, try it, and keep it only if the gate is well with it.

    First completes a trial interrupted by a power cut. Exit 1 when a version was rolled back.
    """
    if sum((target is not None, check, status, back, keys is not None, step is not None)) != 1:
        raise click.UsageError("give one of --to, --check, --status, --back and --key")
    logs.set_up()
    updater = Updater(root, context.path.resolve(), context.own_settings, Systemd(), health_s)
    if step is not None:
        _do(step, updater, context)
    elif status:
        _show(updater, as_json)
    elif check:
        source = updater.newest(sources_in(place)) if place is not None else None
        streams.echo(f"{source.version} is newer: {source.path}" if source is not None else "there is no newer version")
    elif back:
        with _as_root(updater):
            _print_outcome(updater.back())
    elif keys is not None:
        with _as_root(updater):
            _trust_keys(updater, keys, yes=yes)
    else:
        with _as_root(updater):
            facts = [fact for fact in (updater.resume(), _go(updater, target or "", place)) if fact is not None]
        for fact in facts:
            _print_outcome(fact)
        sys.exit(any(fact.outcome != "kept" for fact in facts))


@contextmanager
def _as_root(updater: Updater) -> Iterator[None]:
    """Require root, and hold the update lock. Raises `UpdateError` and `BusyError`."""
    if os.geteuid() != 0:
        raise UpdateError("only root may change the gate's software; use sudo")
    with updater.alone():
        yield


def _go(updater: Updater, target: str, place: Path | None) -> Updated | None:
    """Update to the version that `--to` names. Return None if it already runs. Raises `UpdateError`."""
    source = _source(updater, target, place)
    fact = updater.update(source) if source is not None else None
    if fact is None:
        streams.echo(f"{updater.releases.current} runs already, and there is no newer version")
    return fact


def _source(updater: Updater, target: str, place: Path | None) -> ReleaseSource | None:
    path = Path(target)
    if path.exists() or os.sep in target or path.suffix in {".whl", ".tar"}:
        return ReleaseSource(path.resolve())
    if place is None:
        raise UpdateError(f"{target}: there is no such file; name a folder of releases with --from")
    sources = sources_in(place)
    if target == NEWEST:
        return updater.newest(sources)
    for source in sources:
        if source.version == target:
            return source
    raise UpdateError(f"{place}: has no {target}")


def _trust_keys(updater: Updater, path: Path, *, yes: bool) -> None:
    """Replace the trusted release keys after root confirms. For a lost key, or a gate older than the keys."""
    new, old = read_keys(path), _trusted_keys(updater)
    for heading, keys in (("trusted until now", old), ("trusted from now on", new)):
        for key in keys:
            streams.echo(f"{heading}: {key.fingerprint} {key.comment}".rstrip())
    if not yes and not click.confirm("Are these the fingerprints that `ssh-keygen -l -f release.pub` shows?"):
        raise UpdateError("nothing was changed")
    updater.releases.trust_keys(new)


def _trusted_keys(updater: Updater) -> Sequence[Key]:
    """Return the trusted keys.

    If their file is damaged, or users other than root may write it, warn and return no keys.
    """
    try:
        return updater.releases.keys
    except UpdateError as error:
        streams.echo(f"trusted until now: nothing; {error}", err=True)
        return []


def _do(step: str, updater: Updater, context: Context) -> None:
    """Run one step on behalf of another version or the guard."""
    settings = context.own_settings
    if step == "look":
        show_json_line(observe_gate(settings))
    elif step == "migrate":
        migrate_copies(settings.state)
    elif step == "keep":
        updater.keep()
        bring_units(settings, lambda: _sees(settings))
    else:
        with updater.alone():
            updater.finish_rollback()


def _sees(settings: Settings) -> bool:
    """Return whether the running gate has vision. Runs as the gate's user, who owns the journal."""
    with acting_as(owner_of(settings.state)):
        return "vision" not in observe_gate(settings).lost


def _show(updater: Updater, as_json: bool) -> None:
    current, trial = updater.releases.current, updater.trial
    whole = updater.releases.whole()
    keys = updater.releases.keys
    if as_json:
        trial_ = msgspec.to_builtins(trial) if trial else None
        show_json({"current": current, "whole": whole, "trial": trial_, "keys": [key.fingerprint for key in keys]})
        return
    for version in whole:
        trouble = updater.releases.trouble(version)
        note = f"  does not run on this system: {trouble}" if trouble else "  runs" if version == current else ""
        streams.echo(f"{version}{note}")
    _print_keys(keys)
    if trial is not None:
        note = trial.why or f"brain started {trial.brain} times, latch {trial.latch}"
        streams.echo(f"on trial: {trial.after} in place of {trial.before}; {note}")


def _print_outcome(fact: Updated) -> None:
    if fact.outcome == "kept":
        streams.echo(f"{fact.after} is kept; {fact.before} stays installed to go back to")
    else:
        streams.echo(f"{fact.before} runs again, not {fact.after}: {fact.why}")


def _print_keys(keys: Sequence[Key]) -> None:
    for key in keys:
        streams.echo(f"releases are signed with {key.fingerprint} {key.comment}".rstrip())
    if not keys:
        click.echo("this gate trusts no release key yet; set one with `gated update --key release.pub`")
