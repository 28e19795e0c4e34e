"""Events of the gate itself: its start, parts, clock, settings, version and data; and the office's commands."""

from msgspec import field

from gated.events.event import Event


class Started(Event, frozen=True, tag="started"):
    """The brain has started. `settings_sha256` is a digest of the settings: it shows a change."""

    version: str
    settings_sha256: str


class Stopped(Event, frozen=True, tag="stopped"):
    """The brain was stopped and ends. `why`: the reason."""

    why: str


class ConfigChanged(Event, frozen=True, tag="config_changed"):
    """The settings differ from those of the previous start."""

    before_sha256: str
    after_sha256: str


class ClockDoubted(Event, frozen=True, tag="clock_doubted"):
    """The time of day is not trusted; `is_over`: trusted again. Meanwhile schedules grant nobody access."""

    why: str
    is_over: bool = False


class WorkerLost(Event, frozen=True, tag="worker_lost"):
    """A worker process ended, stopped answering, or reported that it cannot work. `worker`: "vision" or "latch"."""

    worker: str
    why: str


class WorkerReady(Event, frozen=True, tag="worker_ready"):
    """A worker process works, or works again."""

    worker: str


class Degraded(Event, frozen=True, tag="degraded"):
    """The functions that the gate has lost now. An empty list: all work again."""

    lost: list[str]


class Commanded(Event, frozen=True, tag="commanded"):
    """A command of the office ended. `outcome`: "done", "refused" or "failed". `operator`: the short name there."""

    action: str
    command: str
    operator: str
    reason: str
    outcome: str
    why: str = ""


class OfficeSilent(Event, frozen=True, tag="server_silent"):
    """The office has proved nothing for too long; `is_over`: it has again."""

    silent_s: int
    is_over: bool = False


class SettingsTried(Event, frozen=True, tag="settings_tried"):
    """Settings of the office were tried. `outcome`: "kept", or "rolled_back" because the gate was not healthy."""

    outcome: str
    why: str = ""


class Updated(Event, frozen=True, tag="updated"):
    """Another version of gated was "kept" after its trial, or "rolled_back" to the version before."""

    before: str
    after: str
    outcome: str
    why: str = ""


class EventsLost(Event, frozen=True, tag="events_lost"):
    """`count` events were lost while the disk could not be written."""

    count: int


class DatabaseReplaced(Event, frozen=True, tag="database_mended"):
    """A damaged database was replaced by a new one with its readable part. `kept_as`: the file of the damaged one."""

    file: str
    kept_as: str
    torn: list[str] = field(default_factory=list)
    """Tables that have lost rows."""
    anew: list[str] = field(default_factory=list)
    """Ids of people known only to this gate who must be enrolled again."""


GateEvent = (
    Started
    | Stopped
    | ConfigChanged
    | ClockDoubted
    | WorkerLost
    | WorkerReady
    | Degraded
    | Commanded
    | OfficeSilent
    | SettingsTried
    | Updated
    | EventsLost
    | DatabaseReplaced
)
