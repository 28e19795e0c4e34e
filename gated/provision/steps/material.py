"""The steps for the gate's data: the models, the spoken prompts, the databases and the keys."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from gated.config import Settings
from gated.cues.prompt_copies import copy_prompts
from gated.cues.prompts import check_prompts, render_prompts
from gated.cues.words import fitted_of
from gated.errors import GatedError, ModelError, ProvisionError, StateError
from gated.face.licences import described
from gated.face.manifest import ModelSet, folder_of, lawful_set, load_manifest
from gated.face.model_entry import ModelEntry
from gated.face.model_files import pull_set, unaccepted
from gated.face.model_sources import find, is_right, lacking
from gated.face.onnx import Model
from gated.gallery.register import Register
from gated.journal.journal import Journal
from gated.provision import step_state as places
from gated.provision.install_step import DONE, StepCheck
from gated.provision.step_state import Making, attempted
from gated.storage.named_files import reading
from gated.storage.owner import acting_as, as_holder_of

REACH_S = 5.0


@dataclass(frozen=True)
class Models:
    """The step that brings the files of the model set and verifies each of them."""

    making: Making
    title: ClassVar[str] = "models"

    def is_done(self) -> bool:
        """Return whether all files exist and are verified."""
        return not attempted(self._prove)

    def do(self) -> str:
        """Copy or download the files, and verify them. Raises `ModelError`."""
        making, settings, answers = self.making, self.making.settings, self.making.answers
        source = Path(answers.models_from) if answers.models_from else None
        with as_holder_of(Path(settings.models.dir)):
            done = pull_set(
                settings.models,
                settings.models.set,
                source=source,
                progress=making.progress,
                accept=answers.accept_licence,
                reading=reading,
            )
        self._prove()
        return f"{len(done)} of set {settings.models.set}, verified"

    def check(self) -> StepCheck:
        """Check that the set may drive this lock. Check that each file exists or can be obtained, has an accepted
        licence, and can be verified.
        """
        settings = self.making.draft.settings
        if settings is None:
            return StepCheck("cannot be examined before the settings are correct")
        if wrong := attempted(lambda: lawful_set(settings)):
            return StepCheck("", wrong)
        chosen = load_manifest(settings.models).model_set(settings.models.set)
        folder = folder_of(settings.models, chosen)
        missing = [entry for entry in chosen.models if not is_right(folder / entry.file, entry)]
        wrong += self._unproved(chosen, folder, missing)
        if not self.making.answers.accept_licence:
            wrong += [
                ModelError(f"{described(entry)}; this is not accepted; read the licence, and give "
                           "accept_licence = true, or --accept-licence")
                for entry in unaccepted(settings.models, settings.models.set)
            ]  # fmt: skip
        wrong += self._unobtainable(missing)
        return StepCheck(f"{len(missing)} would be copied or downloaded" if missing else DONE, wrong)

    def _prove(self) -> None:
        """Verify the digest, the input and the known answer of each model, and that the set may drive this lock.

        Raises `ModelError`.
        """
        settings = self.making.settings
        lawful_set(settings)
        chosen = load_manifest(settings.models).model_set(settings.models.set)
        for entry in chosen.models:
            Model.load(entry, folder_of(settings.models, chosen))

    def _unproved(self, chosen: ModelSet, folder: Path, missing: list[ModelEntry]) -> list[GatedError]:
        """Return the errors of models that fail the verification. Existing files are run. Missing files are checked by
        the manifest.
        """
        given = self.making.answers.models_from
        wrong: list[GatedError] = []
        for entry in chosen.models:
            found = find(Path(given), entry) if given and entry in missing else None
            source = folder if found is None else found.parent
            if entry.known_answer is None or entry not in missing or found is not None:
                wrong += attempted(lambda entry=entry, source=source: Model.load(entry, source))  # type: ignore[misc]
        return wrong

    def _unobtainable(self, missing: list[ModelEntry]) -> list[GatedError]:
        """Return the errors of files that are not in the given folder and cannot be downloaded."""
        given = self.making.answers.models_from
        if given:
            return [
                ModelError(
                    f"{Path(given) / file}: {_why_not(Path(given) / file)}; copy the file that the manifest names"
                )
                for entry in missing
                for file in lacking(Path(given), entry)
            ]
        wrong: list[GatedError] = [
            ModelError(f"{entry.file}: the manifest has no address for it; copy it with models_from")
            for entry in missing
            if not entry.origins
        ]
        hosts = sorted({urlsplit(source.url).netloc for entry in missing for source in entry.origins})
        return wrong + attempted(*(lambda host=host: _reach(host) for host in hosts))


def _why_not(path: Path) -> str:
    return "differs from the file in the manifest" if path.is_file() else "is missing"


def _reach(netloc: str) -> None:
    """Check that a server accepts connections at this address. Raises `ModelError`."""
    host, _, port = netloc.partition(":")
    try:
        socket.create_connection((host, int(port or 443)), REACH_S).close()
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{host}, the source of the models, does not answer ({error}); connect the network, or "
            "copy the files and give models_from (--models-from)"
        ) from error


@dataclass(frozen=True)
class PromptFiles:
    """The step that makes the spoken prompts, for a gate with sound."""

    making: Making
    title: ClassVar[str] = "prompts"

    def is_done(self) -> bool:
        """Return whether all prompts exist and are valid, or the gate has no sound."""
        settings = self.making.settings
        if settings.cues.sound == "none":
            return True
        return all(
            problem is None
            for _, problem in check_prompts(settings.prompts, settings.cues.languages, fitted_of(settings))
        )

    def do(self) -> str:
        """Copy the recordings, and synthesise the missing prompts. Raises `StateError`."""
        settings, source = self.making.settings, self.making.answers.prompts_from
        with acting_as(self.making.owner):
            if source:
                _copy_prompts(Path(source), settings.prompts)
            made = sum(
                is_made for _, is_made in render_prompts(settings.prompts, settings.cues.languages, fitted_of(settings))
            )
        return f"{made} prompts made, in {settings.prompts}"

    def check(self) -> StepCheck:
        """Check that the folder of recordings can be read. espeak-ng synthesises missing prompts; `packages` installs
        it.
        """
        settings, source = self.making.draft.settings, self.making.answers.prompts_from
        if settings is None:
            return StepCheck("cannot be examined before the settings are correct")
        if settings.cues.sound == "none":
            return StepCheck("no sound is set")
        missing = _missing_prompts(settings)
        if source and not os.access(source, os.R_OK | os.X_OK):
            wrong = StateError(f"{source}: cannot be read as a folder of prompts; correct the answer prompts_from")
            return StepCheck("", [wrong])
        return StepCheck(f"{len(missing)} would be made" if missing else DONE)


def _missing_prompts(settings: Settings) -> list[Path]:
    """Return the prompts that are missing or invalid."""
    found = check_prompts(settings.prompts, settings.cues.languages, fitted_of(settings))
    return [path for path, problem in found if problem is not None]


def _copy_prompts(source: Path, folder: Path) -> None:
    """Copy the recordings as the gate's user, who cannot read every folder. Raises `StateError`."""
    try:
        copy_prompts(source, folder)
    except OSError as error:
        raise StateError(
            f"{error.filename or source}: {error.strerror or 'cannot be copied'}; see that the gate's user "
            f"{places.USER!r} may read {source}, and free some space"
        ) from error


@dataclass(frozen=True)
class StateKeys:
    """The step that creates the databases and the keys, as the gate's user."""

    making: Making
    title: ClassVar[str] = "keys"

    def is_done(self) -> bool:
        """Return False: every run opens them, which verifies them."""
        return False

    def do(self) -> str:
        """Create the databases and keys, or open existing ones. Raises `StateError`, `SealError`."""
        settings = self.making.settings
        with acting_as(self.making.owner):
            Journal.open(settings.state, settings.site.id, settings.gate.id).close()
            Register.open(settings.state, settings.site.id).close()
        return "of this gate, made here"

    def check(self) -> StepCheck:
        """Check that the gate's user owns the existing files. A dry run opens no database, because opening one changes
        it.
        """
        state = self.making.state
        try:
            files = [path for path in (*state.glob("*.db"), *state.glob("keys/*")) if path.is_file()]
            uids = {path: path.stat().st_uid for path in files}
        except PermissionError:
            return StepCheck("only root can examine them")
        if not files:
            return StepCheck("would be made here")
        if attempted(lambda: self.making.owner):
            return StepCheck("are there")
        uid = (self.making.owner or (0, 0))[0]
        foreign = sorted(str(path) for path, file_uid in uids.items() if file_uid != uid)
        step = f"chown them to {places.USER}"
        return StepCheck(
            "are there", [ProvisionError(f"{', '.join(foreign)}: not owned by the gate's user; {step}")] * bool(foreign)
        )
