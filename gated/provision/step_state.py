"""The state that the steps of provisioning share: the answers, the paths and the user. It also has helpers that turn
errors into findings.
"""

import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gated.config import Settings, load_own
from gated.config.keys import leaves, with_keys
from gated.config.reading import read
from gated.doctor.finding import Finding
from gated.errors import ConfigError, GatedError, ProvisionError, StateError
from gated.face.download import Progress
from gated.provision.boot import config_txt
from gated.provision.draft import SettingsDraft, drafted
from gated.provision.installer_answers import InstallerAnswers, merged
from gated.storage.owner import Owner

USER = "gated"
STATE = "/var/lib/gated"
SOCKET = "/run/gated/latch.sock"
SCREEN_PORT = 8080
INSTALLING = "GATED_INSTALLING"
"""The environment variable that systemd/install sets.

It creates the user and /opt/gated/current before the real run.
"""


@dataclass
class Making:
    """One run of provisioning: the answers and all paths.

    `config` is the path of the settings. `root` is "/" except in tests.
    """

    answers: InstallerAnswers
    config: Path
    root: Path = Path("/")
    is_starting: bool = True
    is_installing: bool = field(default_factory=lambda: bool(os.environ.get(INSTALLING)))
    progress: Progress = lambda file, done, total: None
    report: Callable[[Finding], None] = lambda finding: None
    confirm: Callable[[str], bool] = lambda text: True

    @cached_property
    def owner(self) -> Owner | None:
        """Return the gate's user and group id.

        Raises `ProvisionError` if we are not root, or the user does not exist.
        """
        if os.geteuid() != 0:
            raise ProvisionError("only root can set up a gate; use sudo")
        try:
            user = pwd.getpwnam(USER)
        except KeyError as error:
            raise ProvisionError(f"there is no user {USER!r}; run systemd/install to make it") from error
        return user.pw_uid, user.pw_gid

    @property
    def settings(self) -> Settings:
        """Return the settings from the written file. Raises `ConfigError`."""
        return load_own(self.config)

    @cached_property
    def draft(self) -> SettingsDraft:
        """Return a draft of the existing settings, or of the settings that the answers give. Changes nothing."""
        try:
            data = read(self.config) if self.config.exists() else self.values
        except ConfigError as error:
            return SettingsDraft(None, error.problems)
        return drafted(data, self.config.parent)

    @property
    def state(self) -> Path:
        """Return the folder for the gate's data."""
        return Path(self.tables[""]["state_dir"])

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """Return the answers as tables of the settings. The installer's values override the usual values."""
        answers, state = self.answers, self.root / STATE.lstrip("/")
        usual: dict[str, dict[str, Any]] = {
            "": {"state_dir": str(state)},
            "site": {"id": answers.site},
            "gate": {"id": answers.gate},
            "models": {"dir": str(state / "models"), "set": answers.models},
            "door": {"socket": SOCKET, "brain_user": USER},
        }
        if answers.kiosk:
            usual["cues"] = {"screen_port": SCREEN_PORT}
        return merged(usual, answers.settings)

    @property
    def values(self) -> dict[str, Any]:
        """Return the answers as nested tables. The answers name an inner table with dots: `schedules.night`."""
        keys = {
            (*(table.split(".") if table else ()), *key): value
            for table, values in self.tables.items()
            for key, value in leaves(values)
        }
        return with_keys({}, keys)

    @property
    def config_txt(self) -> Path | None:
        """Return the path of the firmware's configuration. None if this machine is not a Raspberry Pi."""
        return config_txt(self.root)

    def judge(self, findings: list[Finding]) -> None:
        """Report every finding. Raises `ProvisionError` if one is red."""
        for finding in findings:
            self.report(finding)
        wrong = [f"{each.part}: {each.result}; {each.next_step}" for each in findings if each.light == "red"]
        if wrong:
            raise ProvisionError(*wrong)


def attempted(*checks: Callable[[], object]) -> list[GatedError]:
    """Run every check and return the errors. A failed check does not stop the other checks."""
    wrong: list[GatedError] = []
    for check in checks:
        try:
            check()
        except GatedError as error:
            wrong.append(error)
    return wrong


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an `OSError` into a `StateError`: the card is full or not writable."""
    try:
        yield
    except OSError as error:
        raise StateError(
            f"{error.filename or path}: cannot be made ({error.strerror}); "
            "check that the card can be written, and free some space"
        ) from error


def check_writable(path: Path) -> None:
    """Check that root can create this file or folder: the nearest existing folder is writable.

    Raises `StateError`. Creates nothing.
    """
    nearest = next(each for each in (path, *path.parents) if each.exists() or each.is_symlink())
    if nearest != path and not nearest.is_dir():
        raise StateError(f"{nearest}: is not a folder, but {path} must be made in it; move it away")
    if not os.access(nearest, os.W_OK):
        raise StateError(f"{path}: cannot be written; check that the card can be written (`mount`), and use sudo")
