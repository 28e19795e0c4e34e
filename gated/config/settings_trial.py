"""Test the office's settings before keeping them: the gate must stay on duty and lose no part.

Each start is counted on disk before it begins. So settings that stop the gate are dropped after three starts. The
reason of each end (error, kill, power cut) does not matter.
"""

import logging
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from gated.config.overlay import in_force, laid_over
from gated.config.proposal import SettingsProposal, drop_proposal, keep_proposal, read_proposal
from gated.config.reading import load_own
from gated.config.tables import Settings
from gated.errors import ConfigError, StateError
from gated.events import SettingsTried

log = logging.getLogger(__name__)

STARTS = 3
"""The number of starts that a proposal may use."""
HEALTHY_S = 30.0
"""The time on duty without losing a part, in seconds, after which the settings are kept."""
DECIDED_S = 60.0
"""After this time on duty, in seconds, the gate rolls back settings that were not kept."""
ELSEWHERE = frozenset(
    {
        *("network", "server", "clock", "disk", "screen", "sound", "metrics", "passes", "sync"),
        *("records_withheld", "office_outdated", "crowd"),
    }
)
"""Parts that depend on the outside world. No setting of the office can cause their loss."""


@dataclass(slots=True)
class SettingsTrial:
    """The proposal that this process started with. Parts that were already lost before it do not count against it."""

    state: Path
    proposal: SettingsProposal
    _began: float = field(default=math.nan, init=False)
    _whole_since: float = field(default=math.nan, init=False)
    _missing: frozenset[str] = field(default=frozenset(), init=False)

    def judge(self, lost: Collection[str], now: float) -> SettingsTried | None:
        """Return the verdict, or None while it is open.

        `lost`: the parts that are lost now. `now`: monotonic seconds. The first call means that the gate is on duty.
        """
        if math.isnan(self._began):
            self._began = now
        missing = frozenset(lost) - frozenset(self.proposal.mark.lost) - ELSEWHERE
        if missing:
            self._whole_since, self._missing = math.nan, missing
        elif math.isnan(self._whole_since):
            self._whole_since = now
        if now - self._whole_since >= HEALTHY_S:
            return SettingsTried("kept")
        if now - self._began >= DECIDED_S:
            return SettingsTried("rolled_back", f"parts lost during the trial: {', '.join(sorted(self._missing))}")
        return None

    def apply_verdict(self, verdict: SettingsTried) -> bool:
        """Keep or drop the proposal, as the verdict says. Return False if a newer proposal replaced it, and then do
        nothing.

        Raises `StateError` if the state folder cannot be read or written.
        """
        try:
            is_proposed = read_proposal(self.state) == self.proposal
        except ConfigError:
            is_proposed = False
        if is_proposed:
            (keep_proposal if verdict.outcome == "kept" else drop_proposal)(self.state)
        return is_proposed


@dataclass(frozen=True, slots=True)
class BrainStart:
    """The settings for one start of the brain. `dropped` says why the office's settings are not used; empty if they
    are.
    """

    settings: Settings
    trial: SettingsTrial | None = None
    dropped: str = ""


def begin(config: Path) -> BrainStart:
    """Return the settings for this start: the settings on trial, with the start counted, or else the settings in force.

    Call it only while no other brain runs. Raises `ConfigError` only if the gate's own settings are wrong, so that the
    office cannot prevent a start.
    """
    state = load_own(config).state
    try:
        return _attempt(config, state) or _in_force(config)
    except StateError as error:  # without the count, a bad proposal could restart the gate for ever
        return _in_force(config, str(error))
    except ConfigError as error:
        try:
            drop_proposal(state)
        except StateError as failure:
            log.error("%s", failure)
        return _in_force(config, "; ".join(error.problems))


def _attempt(config: Path, state: Path) -> BrainStart | None:
    """Count a start, and return the proposal's settings, or None.

    Raises `ConfigError` if the proposal must be dropped.
    """
    proposal = read_proposal(state)
    if proposal is None:
        return None
    if proposal.mark.starts >= STARTS:
        raise ConfigError("office", [f"{STARTS} starts with these settings ended before the trial was over"])
    settings = laid_over(config, proposal.toml, "settings on trial")
    proposal = proposal.counted()
    proposal.write(state)
    return BrainStart(settings, SettingsTrial(state, proposal))


def _in_force(config: Path, dropped: str = "") -> BrainStart:
    """Return the settings without a trial. Use only the gate's own settings if the office's contradict them.

    Ignore a key of the office that protects less than the gate's own; keep its other keys.
    """
    try:
        settings, loose = in_force(config)
        dropped = dropped or "; ".join(loose)
    except ConfigError as error:
        settings, dropped = load_own(config), dropped or "; ".join(error.problems)
    if dropped:
        log.error("started without settings from the office: %s", dropped)
    return BrainStart(settings, dropped=dropped)
