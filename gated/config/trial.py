"""Settings from the office, on trial: they count for good only once the gate has been on duty with them and well.

A start is counted on disk before it is made, so that settings with which the gate cannot live are gone after three,
whatever ends it: an error, a kill, a power cut.
"""

import logging
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from gated.config.overlay import Key, in_force, laid_over, tightening
from gated.config.proposal import Mark, Proposal, drop_proposal, keep_proposal, read_proposal
from gated.config.reading import load_own
from gated.config.tables import Settings
from gated.errors import ConfigError, StateError
from gated.events import SettingsTried

log = logging.getLogger(__name__)

STARTS = 3
"""So many starts a proposal has to prove itself."""
HEALTHY_S = 30.0
"""So long the gate must be on duty without losing a part."""
DECIDED_S = 60.0
"""After so long on duty what has not proved itself is taken back."""
ELSEWHERE = frozenset(
    {
        *("network", "server", "clock", "disk", "screen", "sound", "metrics", "passes", "sync"),
        *("records_withheld", "office_outdated", "crowd"),
    }
)
"""Parts that come and go with the world outside, and that nothing on the office's list can take away."""


@dataclass(slots=True)
class Trial:
    """The proposal that this process started with. `lost` before already is not held against it."""

    state: Path
    proposal: Proposal
    _began: float = field(default=math.nan, init=False)
    _whole_since: float = field(default=math.nan, init=False)
    _missing: frozenset[str] = field(default=frozenset(), init=False)

    def judge(self, lost: Collection[str], now: float) -> SettingsTried | None:
        """What came of it, None while that is open. `lost`: the parts lost now. `now`: monotonic seconds; the first
        call says that the gate is on duty.
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
            return SettingsTried("rolled_back", f"lost with them: {', '.join(sorted(self._missing))}")
        return None

    def settle(self, verdict: SettingsTried) -> bool:
        """Do as was judged. False where another proposal has come meanwhile: it has a trial of its own, and nothing is
        done. Raises `StateError` where the state folder cannot be read or written.
        """
        try:
            is_ours = read_proposal(self.state) == self.proposal
        except ConfigError:
            is_ours = False
        if is_ours:
            (keep_proposal if verdict.outcome == "kept" else drop_proposal)(self.state)
        return is_ours


@dataclass(frozen=True, slots=True)
class Start:
    """What a brain starts with. `dropped` says why it is without settings that the office would have it use."""

    settings: Settings
    trial: Trial | None = None
    dropped: str = ""


def propose(config: Path, toml: str, lost: Collection[str] = ()) -> None:
    """Have the next start of the brain try the office's settings, in place of those it may have kept; empty: the gate's
    own alone. `lost`: the parts lost now. Raises `ConfigError` with everything that is wrong with them, and
    `StateError` where the state folder cannot be written.
    """
    laid_over(config, toml, "settings from the office")
    Proposal(Mark(0, sorted(lost)), toml).write(load_own(config).state)


def propose_models(config: Path, model_set: str, lost: Collection[str] = ()) -> None:
    """Have the next start try another model set, and let all else that the office has set be. Raises as `propose`."""
    propose(config, to_toml({**tightening(config), ("models", "set"): model_set}), lost)


def begin(config: Path) -> Start:
    """The settings to start the brain with: those on trial where there are some, and this start is counted; else those
    in force. Only while no other brain runs. Raises `ConfigError` where the gate's own are wrong, and for no other
    reason: the office keeps no gate from starting.
    """
    state = load_own(config).state
    try:
        return _attempt(config, state) or _in_force(config)
    except StateError as error:  # a start that cannot be counted could be the first of thousands
        return _in_force(config, str(error))
    except ConfigError as error:
        try:
            drop_proposal(state)
        except StateError as failure:
            log.error("%s", failure)
        return _in_force(config, "; ".join(error.problems))


def _attempt(config: Path, state: Path) -> Start | None:
    """Count a start, and give the proposal's settings, if there is one. Raises `ConfigError` where it has to go."""
    proposal = read_proposal(state)
    if proposal is None:
        return None
    if proposal.mark.starts >= STARTS:
        raise ConfigError("office", [f"{STARTS} starts with them ended before they had proved themselves"])
    settings = laid_over(config, proposal.toml, "settings on trial")
    proposal = proposal.counted()
    proposal.write(state)
    return Start(settings, Trial(state, proposal))


def _in_force(config: Path, dropped: str = "") -> Start:
    """What the gate has without a trial; its own alone where they no longer go with what the office has set.

    A key of the office's that protects less than the gate's own does not count, and the others do.
    """
    try:
        settings, loose = in_force(config)
        dropped = dropped or "; ".join(loose)
    except ConfigError as error:
        settings, dropped = load_own(config), dropped or "; ".join(error.problems)
    if dropped:
        log.error("started without settings from the office: %s", dropped)
    return Start(settings, dropped=dropped)


def to_toml(keys: dict[Key, Any]) -> str:
    """Flat keys as TOML, one a line."""
    return "".join(f"{'.'.join(map(_literal, key))} = {_literal(value)}\n" for key, value in keys.items())


def _literal(value: Any) -> str:
    """A text, a number, a truth or a list of them as TOML: JSON has no infinity, and lets DEL stand."""
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, float):
        return repr(value)
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
