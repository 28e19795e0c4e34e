"""What makes a machine a gate, in order. Each step knows whether it is done: a second run goes on from there."""

import os
import pwd
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from gated.config import Settings, load_own, parse
from gated.config.reading import read
from gated.cues.prompts import check as check_prompts
from gated.cues.prompts import render
from gated.errors import GatedError, ProvisionError, StateError
from gated.face.download import Progress
from gated.face.manifest import folder_of, load_manifest
from gated.face.onnx import Model
from gated.face.pull import pull_set
from gated.gallery.register import Register
from gated.health.finding import Finding, amber
from gated.journal.journal import Journal
from gated.provision import machine
from gated.provision.answers import Answers, merged
from gated.provision.boot import boot_lines, config_txt, with_lines
from gated.provision.filling import filled
from gated.provision.units import ALWAYS, KIOSK, UPDATE, has_systemd, start, unit_files
from gated.runtime.files import rewrite, write_whole
from gated.sync.code import PairingCode
from gated.sync.pairing import Pairing
from gated.sync.pairing import pair as join
from gated.sync.table import write_table
from gated.update.owner import Owner, acting_as
from gated.update.units import systemctl

USER = "gated"
STATE = "/var/lib/gated"
SOCKET = "/run/gated/latch.sock"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `do` gives what is to be told of it, and raises `GatedError`."""

    title: str
    is_done: Callable[[], bool]
    do: Callable[[], str]


@dataclass
class Provisioning:
    """A gate in the making. `config`: where its settings go. `root`: "/" but in tests."""

    answers: Answers
    config: Path
    root: Path = Path("/")
    is_starting: bool = True
    progress: Progress = lambda file, done, total: None
    tell: Callable[[Finding], None] = lambda finding: None
    confirm: Callable[[str], bool] = lambda text: True

    def steps(self) -> Iterator[Step]:
        """All of them, in order."""
        yield Step("machine", lambda: False, self._look)
        yield Step("folders", self._has_folders, self._make_folders)
        yield Step("settings", self._has_settings, self._write_settings)
        yield Step("models", self._has_models, self._bring_models)
        yield Step("prompts", self._has_prompts, self._bring_prompts)
        yield Step("keys", lambda: False, self._make_keys)
        if self.answers.code:
            yield Step("office", self._is_paired, self._pair)
        yield Step("camera and pins", lambda: False, self._try_parts)
        if self._config_txt is not None:
            yield Step("firmware", self._has_boot_lines, self._write_boot_lines)
        yield Step("services", self._has_units, self._write_units)
        if self.is_starting:
            yield Step("start", lambda: False, self._start)

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

    @property
    def state(self) -> Path:
        """Where everything is kept."""
        return Path(self._tables[""]["state_dir"])

    @property
    def _tables(self) -> dict[str, dict[str, Any]]:
        """The answers, as the settings have them; what the installer said himself beats what a gate usually has."""
        answers, state = self.answers, self.root / STATE.lstrip("/")
        usual = {
            "": {"state_dir": str(state)},
            "site": {"id": answers.site},
            "gate": {"id": answers.gate},
            "models": {"dir": str(state / "models"), "set": answers.models},
            "door": {"socket": SOCKET, "brain_user": USER},
        }
        return merged(usual, answers.settings)

    @property
    def _config_txt(self) -> Path | None:
        return config_txt(self.root)

    def _look(self) -> str:
        findings = list(machine.looked_at(self.state, self.root))
        self._judge(findings)
        return f"{findings[0].says}"

    def _judge(self, findings: list[Finding]) -> None:
        """Tell all of it; raises `ProvisionError` where something is red."""
        for finding in findings:
            self.tell(finding)
        wrong = [f"{each.part}: {each.says}; {each.next_step}" for each in findings if each.light == "red"]
        if wrong:
            raise ProvisionError("\n".join(wrong))

    def _has_folders(self) -> bool:
        state = self.state
        return (
            self.config.parent.is_dir() and state.is_dir() and state.stat().st_mode & 0o777 == 0o700
            and (state.stat().st_uid, state.stat().st_gid) == self.owner
        )  # fmt: skip

    def _make_folders(self) -> str:
        uid, gid = self.owner or (-1, -1)
        with _writing(self.state):
            self.config.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.chown(self.state, uid, gid)
            self.state.chmod(0o700)
        return f"{self.state}, {USER}'s alone"

    def _has_settings(self) -> bool:
        """Settings that are there are the installer's own, and are never written over. Raises `ConfigError`."""
        if not self.config.exists():
            return False
        settings, answers = self.settings, self.answers
        if (settings.site.id, settings.gate.id) != (answers.site, answers.gate):
            there = f"{settings.site.id}/{settings.gate.id}"
            raise ProvisionError(
                f"{self.config} is for {there}, not {answers.site}/{answers.gate}; say those names, or move it away"
            )
        self._tell_what_differs()
        return True

    def _tell_what_differs(self) -> None:
        """Answers that were mended after the settings had been written change nothing, and are named."""
        there = read(self.config)
        wanted = merged({"models": {"set": self.answers.models}}, self.answers.settings)
        differ = [
            f"{table}.{key}".lstrip(".")
            for table, values in wanted.items()
            for key, value in values.items()
            if (there.get(table, {}) if table else there).get(key) != value
        ]
        if differ:
            says = f"are there already, and other than the answers in {', '.join(differ)}"
            self.tell(amber("settings", says, f"what counts is {self.config}: change it there"))

    def _write_settings(self) -> str:
        """Checked wholly before anything is written."""
        text = filled(files("gated").joinpath("example.toml").read_text("utf-8"), self._tables)
        draft = self.config.with_name(".gated.toml.draft")
        with _writing(self.config):
            write_whole(draft, text.encode())
        try:
            parse(read(draft), self.config.parent, "the answers")
            os.chown(draft, 0, (self.owner or (0, 0))[1])
            draft.chmod(0o640)
            draft.replace(self.config)
        finally:
            draft.unlink(missing_ok=True)
        return f"{self.config}, with every key explained"

    def _has_models(self) -> bool:
        try:
            self._prove_models()
        except GatedError:
            return False
        return True

    def _prove_models(self) -> None:
        """Digest, input and known answer of each. Raises `ModelError`."""
        settings = self.settings
        chosen = load_manifest(settings.models).model_set(settings.models.set)
        for entry in chosen.models:
            Model.load(entry, folder_of(settings.models, chosen), settings.face.threads)

    def _bring_models(self) -> str:
        settings, answers = self.settings, self.answers
        source = Path(answers.models_from) if answers.models_from else None
        with acting_as(self.owner):
            Path(settings.models.dir).mkdir(mode=0o755, parents=True, exist_ok=True)
        done = pull_set(
            settings.models, settings.models.set, source=source, progress=self.progress, accept=answers.accept_licence
        )
        self._prove_models()
        return f"{len(done)} of set {settings.models.set}, proved"

    def _has_prompts(self) -> bool:
        settings = self.settings
        if settings.cues.sound == "none":
            return True
        return all(problem is None for _, problem in check_prompts(settings.prompts, settings.cues.languages))

    def _bring_prompts(self) -> str:
        settings, source = self.settings, self.answers.prompts_from
        with acting_as(self.owner):
            if source:
                _copy_prompts(Path(source), settings.prompts)
            made = sum(is_made for _, is_made in render(settings.prompts, settings.cues.languages))
        return f"{made} spoken, in {settings.prompts}"

    def _make_keys(self) -> str:
        """Databases and keys, by the user whose they will be."""
        settings = self.settings
        with acting_as(self.owner):
            Journal.open(settings.state, settings.site.id, settings.gate.id).close()
            Register.open(settings.state, settings.site.id).close()
        return "of this gate, made here"

    def _is_paired(self) -> bool:
        done = Pairing.find(self.state)
        there = read(self.config).get("sync", {})
        return done is not None and done.settings().items() <= there.items()

    def _pair(self) -> str:
        code = PairingCode.parse(self.answers.code)
        if code.gate != self.answers.gate:
            raise ProvisionError(f"the code is for {code.gate}, and this gate is {self.answers.gate}; ask for its own")
        with acting_as(self.owner):
            pairing, _ = join(code, self.state, self.answers.site)
        write_table(self.config, pairing)
        return f"joined, by {pairing.url}"

    def _try_parts(self) -> str:
        if (self.root / "run/systemd/system").is_dir() and self.settings.latch_socket.exists():
            return "in use by the gate that runs; `gated doctor` says how they are"
        findings = list(machine.parts(self.settings))
        self._judge(findings)
        return "can be used"

    def _boot_text(self) -> tuple[Path, str, str]:
        path = self._config_txt
        assert path is not None
        text = path.read_text("utf-8")
        lines = boot_lines(self.settings) if self.settings.door.pins == "gpio" else ["dtparam=watchdog=on"]
        return path, text, with_lines(text, lines)

    def _has_boot_lines(self) -> bool:
        _, text, wanted = self._boot_text()
        return text == wanted

    def _write_boot_lines(self) -> str:
        path, _, wanted = self._boot_text()
        block = wanted[wanted.rindex("# gated: begin") :]
        if not self.confirm(f"{path} gets these lines:\n{block}Write them?"):
            raise ProvisionError(f"{path} was not changed; without these lines a killed process leaves the lock open")
        with _writing(path):
            rewrite(path, wanted.encode())
        return f"{path}: counts from the next start of the machine"

    def _files(self) -> dict[Path, str]:
        answers = self.answers
        is_pi = self._config_txt is not None
        return unit_files(self.root, is_pi=is_pi, kiosk=answers.kiosk, updates=bool(answers.releases))

    def _units(self) -> tuple[str, ...]:
        kiosk, timer = KIOSK if self.answers.kiosk else (), UPDATE[1:] if self.answers.releases else ()
        return (*ALWAYS, *kiosk, *timer)

    def _has_units(self) -> bool:
        is_written = all(path.is_file() and path.read_text("utf-8") == text for path, text in self._files().items())
        wants = self.root / "etc/systemd/system/multi-user.target.wants"
        return is_written and all((wants / unit).is_symlink() for unit in ALWAYS)

    def _write_units(self) -> str:
        for path, text in self._files().items():
            with _writing(path):
                path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                write_whole(path, text.encode())
                path.chmod(0o755 if path.name == "guard" else 0o644)
        units = self._units()
        systemctl("enable", *(["--root", str(self.root)] if self.root != Path("/") else []), *units)
        return ", ".join(units)

    def _start(self) -> str:
        if not has_systemd():
            raise ProvisionError("systemd did not start this machine: start it as usual, and the gate comes with it")
        start(self._units())
        return "on duty"


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """A card that is full or cannot be written is a `StateError`."""
    try:
        yield
    except OSError as error:
        raise StateError(
            f"{error.filename or path}: cannot be made ({error.strerror}); "
            "see that the card can be written, and make room"
        ) from error


def _copy_prompts(source: Path, folder: Path) -> None:
    """As the gate's user, who may not see into everybody's folders. Raises `StateError`."""
    try:
        shutil.copytree(source, folder, dirs_exist_ok=True)
    except OSError as error:  # with shutil's own, which has many of them in one
        raise StateError(
            f"{error.filename or source}: {error.strerror or 'cannot all be copied'}; see that the gate's user "
            f"{USER!r} may read {source}, and make room"
        ) from error
