"""Events of faces, cards, PINs and passes: grants, denials, guesses and attacks."""

from msgspec import field

from gated.events.event import MAIN, Event


class AccessGranted(Event, frozen=True, tag="access_granted"):
    """A face was granted access. The fields are the evidence."""

    visit: str
    subject: str
    score: float
    threshold: float
    gallery_size: int
    pad_score: float
    frames: int
    embedder_sha256: str
    latency_s: float
    """Seconds from the exposure of the deciding frame to the decision."""
    also: str | None = None
    """The kind of the credential that the person showed first, if one kind was not enough: "card" or "pin"."""


class AccessDenied(Event, frozen=True, tag="access_denied"):
    """A visit ended without a grant. `reason`: of `access.face_policy` or `access.permissions`.

    A stranger leaves no other trace.
    """

    visit: str
    reason: str
    threshold: float
    gallery_size: int
    frames: int
    latency_s: float
    """Seconds from the exposure of the last frame to the decision."""
    subject: str | None = None
    score: float | None = None
    pad_score: float | None = None


class CredentialGranted(Event, frozen=True, tag="way_granted"):
    """A credential other than a face was granted access. `way`: "card", "pin", "pass" or "remote"."""

    way: str
    visit: str
    credential: str
    """Id of the credential, never its number."""
    subject: str | None = None
    """None for a visitor pass."""
    door: str = MAIN
    is_first: bool = False
    """Whether this is its first use."""
    also: str | None = None
    """The kind of the credential that the person showed first, if one kind was not enough: "face", "card" or "pin"."""


class CredentialDenied(Event, frozen=True, tag="way_denied"):
    """A card, PIN or pass was denied. `reason`: a `Refusal` of `access.permissions`. The number is not stored."""

    way: str
    reason: str
    subject: str | None = None
    credential: str | None = None
    door: str = MAIN


class TooManyAttempts(Event, frozen=True, tag="too_many_attempts"):
    """One kind of credential rests for a while after too many failures. All other kinds still work."""

    way: str
    attempts: int
    door: str = MAIN


class PresentationAttack(Event, frozen=True, tag="presentation_attack"):
    """Pictures of faces were shown: `visits` within a minute, or more within an hour.

    The face of `subject` rests for `rests_s`. Without a subject, the pictures matched nobody or several people, and PAD
    is stricter for that time.
    """

    visits: int
    rests_s: float
    subject: str | None = None
    door: str = MAIN


class PinsGuessed(Event, frozen=True, tag="pins_guessed"):
    """The wrong PINs of a day reached the limit of a door or a household. PINs rest there, or the door slows down."""

    guesses: int
    door: str = MAIN


class WeakPin(Event, frozen=True, tag="weak_pin"):
    """A person typed their own PIN, and it is weak. The event tells neither the PIN nor whether it opened."""

    subject: str


class CardsGuessed(Event, frozen=True, tag="cards_guessed"):
    """The unknown cards of a day reached the limit of a reader. The reader now pauses after each further one."""

    guesses: int
    door: str = MAIN


class ReaderMisread(Event, frozen=True, tag="reader_misread"):
    """A reader sent unreadable input. `problem`: the kind and length of the input, never its content."""

    reader: str
    problem: str = field(name="what")
    door: str = MAIN


class Duress(Event, frozen=True, tag="duress"):
    """A duress PIN was used. The gate opens as usual and shows nothing."""

    subject: str
    visit: str
    door: str = MAIN


class CredentialAdded(Event, frozen=True, tag="credential_added"):
    """A card, PIN or pass was issued."""

    way: str
    credential: str
    subject: str | None = None


class CredentialRemoved(Event, frozen=True, tag="credential_removed"):
    """A card, PIN or pass was revoked."""

    way: str
    credential: str
    subject: str | None = None


CredentialEvent = (
    AccessGranted
    | AccessDenied
    | CredentialGranted
    | CredentialDenied
    | TooManyAttempts
    | PresentationAttack
    | PinsGuessed
    | WeakPin
    | CardsGuessed
    | ReaderMisread
    | Duress
    | CredentialAdded
    | CredentialRemoved
)
