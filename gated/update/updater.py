"""Carries out an update: build, rehearse, try, then keep the version or take it back, even across power cuts.

Each step leaves on disk what the next step needs. After a power cut, the guard or the timer's `gated update` continues:
see the top of `gated.update`. The version on trial may have changed a database. Steps that need it run in that
version's program (`gated update --step`).
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gated import wording
from gated.config import Settings
from gated.errors import UpdateError
from gated.events import Updated
from gated.journal.journal import KEEP_ROWS, Journal
from gated.storage.owner import acting_as, owner_of
from gated.storage.process_lock import FileLock
from gated.update import rehearsal
from gated.update.build import build, run
from gated.update.health import GateObservation, TrialWatch
from gated.update.release import Releases, version_order
from gated.update.services import GateServices
from gated.update.signature import KEYS, read_keys
from gated.update.source import ReleaseSource, signer
from gated.update.trial import VersionTrial, read_trial, remove_trial
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)

HEALTH_POLL_S = 5.0
"""Interval between two observations of a gate on trial, in seconds. Each one starts a Python process."""
STEP_S = 300.0
"""Limits one step of another version, in seconds: a rehearsal of a full journal on a slow card is slow."""
UNPROVED = "its starts ended before it was proved"
"""Reason for a version that is taken back by the guard."""


class Updater:
    """The updates of one gate. Runs as root, because the brain must not be able to change its own program."""

    def __init__(self, root: Path, config: Path, settings: Settings, units: GateServices, health_s: float) -> None:
        """Set up the updates of one gate.

        `config`: path of the settings, for the other version. `health_s`: seconds for which everything must work.
        """
        self.releases, self._config, self._settings = Releases(root), config, settings
        self._units, self._health_s = units, health_s
        self._owner = owner_of(settings.state)

    @property
    def trial(self) -> VersionTrial | None:
        """Return the trial on disk, or None. Raises `StateError`."""
        return read_trial(self.releases.root)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Lock out other updates until the end of the block. Raises `BusyError`."""
        with closing(FileLock(self.releases.root / "update.lock", "`gated update`")):
            yield

    def update(self, source: ReleaseSource) -> Updated | None:
        """Install and try a source's version; return None if that version already runs.

        Raises `UpdateError` if the version cannot be built or is not fit. The current version then keeps running, and
        nothing was switched.
        """
        before, after = self.releases.current, source.version
        if version_order(after) == version_order(before):
            return None
        if version_order(after) < version_order(before):
            raise UpdateError(f"{after} is older than the running {before}; to go back, use `gated update --back`")
        if why := self._why_anew(source):
            log.info("building %s beside %s: %s", after, before, why)
            build(self.releases, source)
        self._ask(after, "models", "verify")
        rehearsal.rehearse(self._settings.state, self._owner, lambda: self._step(after, "migrate"))
        now = self._observe(before)
        log.info("%s goes on trial for %g s", after, self._health_s)
        VersionTrial(before, after, since=now.head, lost=" ".join(now.lost)).write(self.releases.root)
        self.releases.switch(after)
        self._units.restart()
        return self.resume()

    def _why_anew(self, source: ReleaseSource) -> str:
        """Return why an installed version must be built again; empty if it is complete."""
        version = source.version
        if not self.releases.is_whole(version):
            return "it is not installed yet"
        if not source.is_the_origin_of(self.releases.folder(version) / "wheels"):
            return f"it was built from other files than those of {source.path}"
        return self._distrust(version) or self.releases.trouble(version)

    def _distrust(self, version: str) -> str:
        """Return why a version on disk would be refused today, for example because its key is no longer trusted."""
        try:
            signer(self.releases.folder(version) / "wheels", self.releases.keys, version)
        except (OSError, UnicodeDecodeError, UpdateError) as error:
            return str(error)
        return ""

    def newest(self, sources: Sequence[ReleaseSource]) -> ReleaseSource | None:
        """Return the newest source that is newer than the current version and was not taken back; None if there is
        none.

        `sources`: oldest first. Logs and skips a source without a valid signature.
        """
        now, believed = version_order(self.releases.current), self.releases.keys
        for source in reversed(sources):
            if version_order(source.version) > now and not self.releases.is_unfit(source.version):
                why = source.trouble(believed)
                if not why:
                    return source
                log.warning("skipped: %s", why)
        return None

    def back(self) -> Updated:
        """Go back to the previous version on request. Raises `UpdateError` if there is none."""
        return self._roll_back(self.trial or self._previous_version(), "going back was requested")

    def _previous_version(self) -> VersionTrial:
        now = self.releases.current
        older = [version for version in self.releases.whole() if version_order(version) < version_order(now)]
        if not older:
            raise UpdateError(f"no version older than {now} is installed; install one with --to")
        fit = [version for version in older if not self.releases.trouble(version)]
        return VersionTrial((fit or older)[-1], now, since=self._observe(now).head)

    def resume(self) -> Updated | None:
        """Continue a trial to its end, also after a power cut. Return None if there is no trial."""
        rehearsal.forget_copies(self._settings.state, self._owner)
        trial = self.trial
        if trial is None:
            return None
        why = self._watch(trial)
        if why:
            return self._roll_back(trial, why)
        self._step(trial.after, "keep", is_owner=False)
        return self._kept(trial)

    def keep(self) -> None:
        """Keep the version on trial: record it in the journal and end the trial.

        Remove all other versions but the previous one.
        """
        trial = self.trial
        if trial is not None:
            self._write_down(self._kept(trial), trial.since)
            self._trust_keys(trial.after)
            remove_trial(self.releases.root)
            self.releases.prune({trial.before, trial.after})

    def _trust_keys(self, version: str) -> None:
        """Trust the keys that a version brought.

        One of the trusted keys signed it, or it is the first signed version.
        """
        path = self.releases.folder(version) / "wheels" / KEYS
        if not path.is_file():
            return
        if why := self._distrust(version):
            log.warning("the release keys of %s are not trusted: %s", version, why)
        else:
            self.releases.trust_keys(read_keys(path))

    def finish_rollback(self) -> Updated | None:
        """Finish going back if the previous version is current again: databases, journal entry, end of the trial.

        Call it only while no brain runs. Raises `BusyError` otherwise, and `StateError` if a database cannot go back.
        """
        trial = self.trial
        if trial is None or self.releases.current != trial.before:
            return None
        fact = Updated(trial.before, trial.after, "rolled_back", trial.why or UNPROVED)
        with acting_as(self._owner), closing(FileLock(self._settings.state / "run.lock", "a gate")):
            for name in rehearsal.go_back(self._settings.state):
                log.info("%s: went back to the schema of %s", name, trial.before)
            self._write_down(fact, trial.since)
        self.releases.condemn(trial.after)
        remove_trial(self.releases.root)
        return fact

    def _watch(self, trial: VersionTrial) -> str:
        """Observe the gate until the trial is decided.

        Return an empty text to keep the version, else why it must go.
        """
        watch = TrialWatch(self._health_s)
        while self.releases.current == trial.after and not trial.why:
            brain = self._units.run()
            verdict = watch.judge(brain, self._problem(trial) if brain else "not on duty", time.monotonic())
            if verdict is not None:
                return verdict
            time.sleep(HEALTH_POLL_S)
        return trial.why or UNPROVED

    def _problem(self, trial: VersionTrial) -> str:
        try:
            return self._observe(trial.after).problem(trial.after, trial.lost.split())
        except UpdateError as error:
            return str(error)

    def _observe(self, version: str) -> GateObservation:
        output = self._step(version, "look")
        try:
            return msgspec.json.decode(output, type=GateObservation)
        except UNDECODABLE as error:
            raise UpdateError(
                f"{version}: cannot read the state of the gate: {wording.cause(error, GateObservation)}"
            ) from error

    def _roll_back(self, trial: VersionTrial, why: str) -> Updated:
        """Take a version back. Writes the decision to disk first, so that the guard can finish it after a power cut."""
        trouble = self.releases.trouble(trial.before)
        if trouble:
            raise UpdateError(
                f"{trial.before} cannot run on this system ({trouble}): {trial.after} keeps running, although {why}; "
                "install another version with --to"
            )
        condemned = trial.condemned(why)
        condemned.write(self.releases.root)
        self._units.stop_brain()
        self.releases.switch(trial.before)
        try:
            fact = self.finish_rollback()
        finally:
            self._units.restart()
        return fact or Updated(trial.before, trial.after, "rolled_back", condemned.why)

    def _write_down(self, fact: Updated, since: int) -> None:
        """Write the result to the journal once, even if a power cut repeats this step.

        `since`: search only newer rows.
        """
        settings = self._settings
        with (
            acting_as(self._owner),
            closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal,
        ):
            if all(entry.event != fact for entry in journal.entries(since, KEEP_ROWS) if entry.kind == "updated"):
                journal.append(fact, datetime.now(UTC))

    def _kept(self, trial: VersionTrial) -> Updated:
        return Updated(trial.before, trial.after, "kept")

    def _step(self, version: str, name: str, *, is_owner: bool = True) -> str:
        """Run one step of an update with a version's own program; see `gated.cli.update`."""
        return self._ask(version, "update", "--root", str(self.releases.root), "--step", name, is_owner=is_owner)

    def _ask(self, version: str, *words: str, is_owner: bool = True) -> str:
        command = [str(self.releases.program(version)), "--config", str(self._config), *words]
        return run(command, self._owner if is_owner else None, STEP_S)
