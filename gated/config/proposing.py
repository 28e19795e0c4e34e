"""Stores settings from the office for a trial at the next start. The commands of the office use it.

`settings_trial` then tries them.
"""

from collections.abc import Collection
from pathlib import Path

from gated.config.overlay import laid_over, tightening
from gated.config.proposal import Mark, SettingsProposal
from gated.config.reading import load_own
from gated.config.toml_writing import to_toml


def propose(config: Path, toml: str, lost: Collection[str] = ()) -> None:
    """Store settings from the office for a trial at the next start. They replace the office's stored settings.

    An empty `toml` leaves only the gate's own settings. `lost`: the parts that are lost now. Raises `ConfigError` with
    every problem, and `StateError` if the state folder cannot be written.
    """
    laid_over(config, toml, "settings from the office")
    SettingsProposal(Mark(0, sorted(lost)), toml).write(load_own(config).state)


def propose_models(config: Path, model_set: str, lost: Collection[str] = ()) -> None:
    """Propose another model set for the next start, and keep the office's other settings. Raises the same errors as
    `propose`.
    """
    propose(config, to_toml({**tightening(config), ("models", "set"): model_set}), lost)
