"""What can go wrong, by name: each message says what happened and what to do about it.

A refused person is a `Decision`, never an error. `exit_code` is what a command returns:
1 refused or not found, 2 usage, 3 environment.
"""


class GatedError(Exception):
    """The root: catch it at the edge of a command, and print each of its lines as one.

    Each argument is a line of its own. An end of a line within one is of what it quotes, and begins none.
    """

    exit_code = 3

    def __str__(self) -> str:
        return "\n".join(self.lines)

    @property
    def lines(self) -> list[str]:
        """What it says, line by line."""
        return [str(each) for each in self.args]


class ConfigError(GatedError):
    """The settings are wrong; `problems` holds every problem that was found, one sentence each."""

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
    """The disk under the state folder takes no write (read-only, full, failing), or gives nothing back."""


class TornError(StateError):
    """A database is damaged: SQLite says that it is no database, or that its pages do not fit together."""


class BusyError(GatedError):
    """Something that only one process may hold is held by another."""


class ModelError(GatedError):
    """A model file is missing, altered, of the wrong shape, or gives the wrong known answer."""


class CameraError(GatedError):
    """The camera cannot be opened, or has stopped giving frames."""


class PictureError(GatedError):
    """A picture file cannot be read, or is no picture that a face could be taken from."""

    exit_code = 1


class EmbeddingError(GatedError):
    """An embedding that is not a finite unit vector of the right length."""

    exit_code = 1


class EnrolmentError(GatedError):
    """A person cannot be enrolled: consent is missing, the face is somebody else's, no photo will do."""

    exit_code = 1


class UnacceptedError(EnrolmentError):
    """Only the office says so, and somebody at this gate has to accept it first."""


class CredentialError(GatedError):
    """A card, a PIN or a right cannot be given or taken: it is weak, it is somebody's already, it is not there."""

    exit_code = 1


class SubjectNotFoundError(GatedError):
    """Nobody with that id is enrolled here."""

    exit_code = 1


class SealError(GatedError):
    """Something sealed does not open: the wrong key, or it was altered."""


class LatchError(GatedError):
    """The latch does not answer, refuses us, or is not there."""


class WireError(GatedError):
    """A message between processes, or from the server, that is not what was agreed."""


class OfficeError(GatedError):
    """The office's folder cannot be used, or what it was asked for cannot be."""

    exit_code = 1


class WithdrawnError(GatedError):
    """The office does not want an order any more, or did not say that it still does; nothing was done."""

    exit_code = 1


class PairingError(GatedError):
    """A gate and an office have not come together: a wrong, spent or old code, or nobody there."""

    exit_code = 1


class ProvisionError(GatedError):
    """No gate can be made of this machine yet: it is not fit, or a step failed; what is done stays done."""


class UpdateError(GatedError):
    """Another version of gated cannot be had, is not whole, or is not fit for this gate; the one that runs goes on."""

    exit_code = 1
