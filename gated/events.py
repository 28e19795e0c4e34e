"""Facts that cross chapters and that the journal keeps: what happened at this gate, never to whom by name.

A fact is one small struct; its tag is the `kind` that `gated events list` shows. Fields are only ever added.
"""

import msgspec


class Event(msgspec.Struct, frozen=True, tag_field="kind", omit_defaults=True):
    """The root of all facts."""


class Started(Event, frozen=True, tag="started"):
    """The brain is up, with these settings (a digest, so that a change is seen) and this version."""

    version: str
    settings_sha256: str


class Stopped(Event, frozen=True, tag="stopped"):
    """The brain ends as it was asked to."""

    why: str


class ConfigChanged(Event, frozen=True, tag="config_changed"):
    """The settings are not those of the start before."""

    before_sha256: str
    after_sha256: str


class AccessGranted(Event, frozen=True, tag="access_granted"):
    """Somebody enrolled was let in, and on what evidence."""

    visit: str
    subject: str
    score: float
    threshold: float
    gallery_size: int
    pad_score: float
    frames: int
    embedder_sha256: str
    latency_s: float
    """From the exposure of the deciding frame to the decision."""


class AccessDenied(Event, frozen=True, tag="access_denied"):
    """A visit ended without a grant; `reason` is one of `access.policy.Reason`. A stranger leaves no other trace."""

    visit: str
    reason: str
    threshold: float
    gallery_size: int
    frames: int
    latency_s: float
    """From the exposure of the last frame that was looked at to the decision."""
    subject: str | None = None
    score: float | None = None
    pad_score: float | None = None


class DoorReleased(Event, frozen=True, tag="door_released"):
    """The lock is energised; `cause` is "grant" or "rex"."""

    cause: str
    lease_s: float
    visit: str | None = None


class DoorSecured(Event, frozen=True, tag="door_secured"):
    """The lock is not energised any more; `cause` is "lease", "closed", "disconnect", "stop" or "start"."""

    cause: str


class DoorOpened(Event, frozen=True, tag="door_opened"):
    """The leaf opened; `after` is "grant", "rex" or "nothing"."""

    after: str


class DoorClosed(Event, frozen=True, tag="door_closed"):
    """The leaf is shut."""


class ReleaseRefused(Event, frozen=True, tag="release_refused"):
    """The latch would not release: the request was too old, too long, or malformed."""

    visit: str
    why: str


class WorkerLost(Event, frozen=True, tag="worker_lost"):
    """A worker process ended, fell silent, or said that it cannot work; `worker` is "vision" or "latch"."""

    worker: str
    why: str


class WorkerReady(Event, frozen=True, tag="worker_ready"):
    """A worker process works (again)."""

    worker: str


class Degraded(Event, frozen=True, tag="degraded"):
    """What the gate cannot do now; an empty list means that all is well again."""

    lost: list[str]


class PersonEnrolled(Event, frozen=True, tag="person_enrolled"):
    """Somebody consented, after this version of the notice, and was enrolled. The consent's reference stays here."""

    subject: str
    templates: int
    notice: str
    embedder_sha256: str


class PersonSuspended(Event, frozen=True, tag="person_suspended"):
    """Somebody is known and not let in for the time being."""

    subject: str


class PersonResumed(Event, frozen=True, tag="person_resumed"):
    """A suspension is over."""

    subject: str


class PersonRemoved(Event, frozen=True, tag="person_removed"):
    """Somebody is gone from this gate; the key to what was stored is destroyed."""

    subject: str
    templates: int


AnyEvent = (
    Started
    | Stopped
    | ConfigChanged
    | AccessGranted
    | AccessDenied
    | DoorReleased
    | DoorSecured
    | DoorOpened
    | DoorClosed
    | ReleaseRefused
    | WorkerLost
    | WorkerReady
    | Degraded
    | PersonEnrolled
    | PersonSuspended
    | PersonResumed
    | PersonRemoved
)
"""Every fact there is; what the journal can read back."""
