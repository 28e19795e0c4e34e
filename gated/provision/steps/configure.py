"""The step that writes the settings: the answers in the commented example. It checks everything before it writes the
file.
"""

import os
from dataclasses import dataclass
from importlib.resources import files
from typing import ClassVar

from gated.atomic_files import atomic_write
from gated.config import Settings
from gated.config.reading import read
from gated.config.toml_writing import with_tables
from gated.doctor.finding import amber
from gated.errors import ConfigError, GatedError, ProvisionError
from gated.provision.draft import drafted
from gated.provision.install_step import DONE, StepCheck
from gated.provision.installer_answers import UNNAMED, merged
from gated.provision.step_state import Making, attempted, check_writable, writing
from gated.storage.owner import maker_of


@dataclass(frozen=True)
class WriteSettings:
    """The step that writes the settings.

    It never overwrites existing settings, because they belong to the installer.
    """

    making: Making
    title: ClassVar[str] = "settings"

    def is_done(self) -> bool:
        """Return whether valid settings of this gate exist. Raises `ConfigError`, `ProvisionError`."""
        making = self.making
        if not making.config.exists():
            return False
        draft = drafted(read(making.config), making.config.parent)
        if draft.settings is None or draft.problems:
            raise ConfigError(str(making.config), draft.problems)
        self._check_names(draft.settings)
        self._check_screen(draft.settings)
        self._report_differences()
        return True

    def do(self) -> str:
        """Write the settings. Raises `ConfigError` with every problem, and then writes nothing. Raises `StateError`."""
        making = self.making
        maker_of(making.config, None)
        text = with_tables(files("gated").joinpath("example.toml").read_text("utf-8"), making.values)
        aside = making.config.with_name(".gated.toml.draft")
        with writing(making.config):
            atomic_write(aside, text.encode())
        try:
            draft = drafted(read(aside), making.config.parent)
            if draft.problems:
                raise ConfigError("the answers", draft.problems)
            os.chown(aside, 0, (making.owner or (0, 0))[1])
            aside.chmod(0o640)
            aside.replace(making.config)
        finally:
            aside.unlink(missing_ok=True)
        return f"{making.config}, with every key explained"

    def check(self) -> StepCheck:
        """Return every problem of the existing settings, or of the settings that the answers give."""
        making = self.making
        exists = making.config.exists()
        if exists and not os.access(making.config, os.R_OK):
            return StepCheck(f"{making.config} exists; only root can read it")
        draft, source = making.draft, str(making.config) if exists else "the answers"
        wrong: list[GatedError] = [ConfigError(source, [problem]) for problem in draft.problems]
        if exists and draft.settings is not None:
            settings = draft.settings
            wrong += attempted(lambda: self._check_names(settings), lambda: self._check_screen(settings))
            wrong += attempted(self._report_differences)
        elif not exists and os.geteuid() == 0:
            wrong += attempted(lambda: check_writable(making.config))
        return StepCheck(DONE if exists else f"{making.config} would be written", wrong)

    def _check_names(self, settings: Settings) -> None:
        """Check that the settings name this site and gate. Raises `ProvisionError`."""
        making, answers = self.making, self.making.answers
        stored = (settings.site.id, settings.gate.id)
        if UNNAMED not in (answers.site, answers.gate) and stored != (answers.site, answers.gate):
            raise ProvisionError(
                f"{making.config} is for {'/'.join(stored)}, not {answers.site}/{answers.gate}; "
                "give those names, or move the file away"
            )

    def _check_screen(self, settings: Settings) -> None:
        """Check that a gate with a display serves its page. Otherwise the display would stay empty. Raises
        `ConfigError`.
        """
        if self.making.answers.kiosk and settings.cues.screen_port == 0:
            step = f"write screen_port = 8080 below [cues] in {self.making.config}"
            raise ConfigError("cues.screen_port", [f"is 0, and --kiosk shows the page on that port; {step}"])

    def _report_differences(self) -> None:
        """Warn about answers that differ from the existing settings. These answers have no effect."""
        making = self.making
        document = read(making.config)
        wanted = merged({"models": {"set": making.answers.models}}, making.answers.settings)
        differ = [
            f"{table}.{key}".lstrip(".")
            for table, values in wanted.items()
            for key, value in values.items()
            if (document.get(table, {}) if table else document).get(key) != value
        ]
        if differ:
            summary = f"exist already and differ from the answers in {', '.join(differ)}"
            making.report(amber("settings", summary, f"the gate uses {making.config}: change them there"))
