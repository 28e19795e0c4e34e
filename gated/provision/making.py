"""A gate in the making: what the steps of provisioning share."""

import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gated.config import Settings, load_own
from gated.config.reading import read
from gated.errors import ConfigError, GatedError, ProvisionError, StateError
from gated.face.download import Progress
from gated.health.finding import Finding
from gated.provision.answers import Answers, merged
from gated.provision.boot import config_txt
from gated.provision.draft import Draft, drafted
from gated.runtime.owner import Owner

USER = "gated"
STATE = "/var/lib/gated"
SOCKET = "/run/gated/latch.sock"
SCREEN_PORT = 8080
INSTALLING = "GATED_INSTALLING"
"""Set by systemd/install: it makes the user and /opt/gated/current before the real run."""


@dataclass
class Making:
    """The answers, and where everything goes. `config`: the settings. `root`: "/" but in tests."""

    answers: Answers
    config: Path
    root: Path = Path("/")
    is_starting: bool = True
    is_installing: bool = field(default_factory=lambda: bool(os.environ.get(INSTALLING)))
    progress: Progress = lambda file, done, total: None
    tell: Callable[[Finding], None] = lambda finding: None
    confirm: Callable[[str], bool] = lambda text: True

    @cached_property
    def owner(self) -> Owner | None:
        """The gate's own user. Raises `ProvisionError` where there is none."""
        if os.geteuid() != 0:
            raise ProvisionError("only root can set up a gate; use sudo")
        try:
            user = pwd.getpwnam(USER)
        except KeyError as error:
            raise ProvisionError(f"there is no user {USER!r}; run systemd/install, which makes it") from error
        return user.pw_uid, user.pw_gid

    @property
    def settings(self) -> Settings:
        """As they are written. Raises `ConfigError`."""
        return load_own(self.config)

    @cached_property
    def draft(self) -> Draft:
        """The settings that are there, or that would be written. Nothing is changed."""
        tables = self.tables
        data: dict[str, Any] = {**tables.get("", {}), **{name: keys for name, keys in tables.items() if name}}
        if self.config.exists():
            try:
                data = read(self.config)
            except ConfigError as error:
                return Draft(None, error.problems)
        return drafted(_nested(data), self.config.parent)

    @property
    def state(self) -> Path:
        """Where everything is kept."""
        return Path(self.tables[""]["state_dir"])

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """The answers, as the settings have them; what the installer said himself beats what a gate usually has."""
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
    def config_txt(self) -> Path | None:
        """The firmware's settings; None on a machine that is no Raspberry Pi."""
        return config_txt(self.root)

    def judge(self, findings: list[Finding]) -> None:
        """Tell all of it; raises `ProvisionError` where something is red."""
        for finding in findings:
            self.tell(finding)
        wrong = [f"{each.part}: {each.says}; {each.next_step}" for each in findings if each.light == "red"]
        if wrong:
            raise ProvisionError(*wrong)


def attempted(*looks: Callable[[], object]) -> list[GatedError]:
    """What each of these finds wrong; one that fails does not keep the others from being made."""
    wrong: list[GatedError] = []
    for look in looks:
        try:
            look()
        except GatedError as error:
            wrong.append(error)
    return wrong


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A card that is full or cannot be written is a `StateError`."""
    try:
        yield
    except OSError as error:
        raise StateError(
            f"{error.filename or path}: cannot be made ({error.strerror}); "
            "see that the card can be written, and make room"
        ) from error


def check_writable(path: Path) -> None:
    """Whether root could make this file or folder: the nearest folder that is there can be written.

    Raises `StateError`. Nothing is made.
    """
    there = next(each for each in (path, *path.parents) if each.exists() or each.is_symlink())
    if there != path and not there.is_dir():
        raise StateError(f"{there}: is no folder, and {path} is to be made in it; move it away")
    if not os.access(there, os.W_OK):
        raise StateError(f"{path}: could not be written; see that the card can be written (`mount`), and use sudo")


def _nested(data: dict[str, Any]) -> dict[str, Any]:
    """Tables with a dot in their name (`schedules.night`) as TOML reads them."""
    nested: dict[str, Any] = {}
    for name, value in data.items():
        *above, last = name.split(".") if isinstance(value, dict) else [name]
        at = nested
        for step in above:
            at = at.setdefault(step, {})
        at[last] = {**at.get(last, {}), **value} if isinstance(value, dict) else value
    return nested
