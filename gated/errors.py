"""The errors of gated. Each message names the problem and the next step.

The refusal of a person is a `FaceDecision`, not an error. `exit_code` is the exit status of a command: 1 refused or not
found, 2 usage, 3 environment.
"""


class GatedError(Exception):
    """The base class of all errors. A command catches it at the top level and prints each of its lines.

    Each argument is one line. A newline inside an argument belongs to quoted text, and does not start a new line.
    """

    exit_code = 3

    def __str__(self) -> str:
        return "\n".join(self.lines)

    @property
    def lines(self) -> list[str]:
        """Return the message, line by line."""
        return [str(each) for each in self.args]


class ConfigError(GatedError):
    """The settings are wrong. `problems` holds every problem, one sentence each."""

    exit_code = 2

    def __init__(self, source: str, problems: list[str]) -> None:
        self.problems = problems
        if len(problems) == 1:
            super().__init__(f"{source}: {problems[0]}")
        else:
            super().__init__(f"{source}: ", *(f"  - {problem}" for problem in problems))


class StateError(GatedError):
    """The state folder or a database in it cannot be used."""


class DiskError(StateError):
    """The disk of the state folder cannot be written (read-only, full, failing) or cannot be read."""


class TornError(StateError):
    """A database is damaged: SQLite reports that it is no database, or that its pages are inconsistent."""


class BusyError(GatedError):
    """Another process holds something that only one process may hold."""


class ModelError(GatedError):
    """A model file is missing, altered, of the wrong shape, or fails its known answer."""


class CameraError(GatedError):
    """The camera cannot be opened, or delivers no more frames."""


class ConfinedError(GatedError):
    """A process without rights gave no result. The text is its reason."""


class PictureError(GatedError):
    """A picture file cannot be read, or has no usable face."""

    exit_code = 1


class EmbeddingError(GatedError):
    """An embedding that is not a finite unit vector of the right length."""

    exit_code = 1


class EnrolmentError(GatedError):
    """A person cannot be enrolled: consent is missing, the face belongs to somebody else, or no
    photo is good enough.
    """

    exit_code = 1


class UnacceptedError(EnrolmentError):
    """Only the office vouches for the person. Somebody at this gate must accept the person first."""


class CredentialError(GatedError):
    """A card, a PIN or an access rule cannot be added or removed. It is weak, belongs to another person, or does not
    exist.
    """

    exit_code = 1


class SubjectNotFoundError(GatedError):
    """Nobody with this id is enrolled here."""

    exit_code = 1


class SealError(GatedError):
    """Sealed data does not open: the key is wrong, or the data was altered."""


class LatchError(GatedError):
    """The latch does not answer, refuses us, or does not run."""


class WireError(GatedError):
    """A message between processes, or from the office, breaks the protocol."""


class OfficeError(GatedError):
    """The office's folder cannot be used, or the office cannot do what was requested."""

    exit_code = 1


class WithdrawnError(GatedError):
    """The office withdrew a command, or did not confirm it again. Nothing was done."""

    exit_code = 1


class PairingError(GatedError):
    """A gate and an office could not pair: the code is wrong, used or expired, or nobody answers."""

    exit_code = 1


class ProvisionError(GatedError):
    """The machine cannot become a gate yet: it is not suitable, or a step failed. Finished steps stay done."""


class UpdateError(GatedError):
    """Another version of gated is not available, not complete, or not fit for this gate. The current version keeps
    running.
    """

    exit_code = 1
