"""The tables of the settings, one a chapter; those of wires and of what people get are in `wiring`.

Every default lives here, and every default is safe: what is not said denies, and is off.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from gated.config.safe import Safe
from gated.config.wiring import CueSettings, DoorSettings, EndTime, ReaderSettings, Time, Unit, Wires
from gated.events import MAIN, SECOND
from gated.names import ID
from gated.sitetime import DEFAULT

Name = Annotated[str, Meta(pattern=ID.pattern, description="small letters, digits, - and _, such as gate-2")]
Date = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", description="a date, YYYY-MM-DD")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"]


class SiteSettings(msgspec.Struct, frozen=True):
    """The courtyard."""

    id: Name
    timezone: str = DEFAULT
    """Of schedules and of what people are shown (IANA)."""
    clock: Literal["auto", "trusted"] = "auto"
    """auto: the time of day counts while a time server keeps it, or a clock chip that has proved itself."""
    holidays: Annotated[tuple[Date, ...], Safe.DAYS] = ()
    """On these days a schedule's "holiday" counts, and its weekdays do not."""
    workdays: Annotated[tuple[Date, ...], Safe.DAYS] = ()
    """Make-up working days: on these a schedule that has all of mon to fri counts, and one that has not does not."""


class GateSettings(msgspec.Struct, frozen=True):
    """The gate itself, one of the courtyard's."""

    id: Name


class ModelSettings(msgspec.Struct, frozen=True):
    """Which models, and where their files lie."""

    dir: str = "models"
    set: Annotated[str, Safe.GRADE] = "evaluation"
    manifest: str = ""
    """Another manifest than the one that comes with gated."""


class CameraSettings(msgspec.Struct, frozen=True):
    """What looks at the street."""

    kind: Literal["picamera2", "replay", "simulated"] = "picamera2"
    path: str = ""
    """replay: a folder of pictures, one picture, or a video file. simulated: a scene script."""
    fps: Annotated[float, Meta(ge=1, le=60)] = 10.0
    hold_s: Annotated[float, Meta(gt=0, le=3600)] = 2.0
    """replay: how long each picture is shown."""
    loop: bool = False
    """replay, simulated: begin anew at the end."""
    number: Annotated[int, Meta(ge=0, le=3)] = 0
    """picamera2: which camera."""
    width: Annotated[int, Meta(ge=320, le=4608)] = 1280
    height: Annotated[int, Meta(ge=240, le=2592)] = 960
    timeout_s: Annotated[float, Meta(ge=0.5, le=30)] = 2.0
    """Without a frame for so long the camera is opened anew."""
    mains_hz: Literal[50, 60] = 50
    """Lamps flicker with the mains; the exposure is chosen so that no bands run over the picture."""


class FaceSettings(msgspec.Struct, frozen=True):
    """When a face is good enough to be searched for. Never about eyes, expression or what is worn."""

    detection_score: Annotated[Unit, Safe.MORE] = 0.6
    min_eye_px: Annotated[float, Meta(ge=16, le=400), Safe.MORE] = 40.0
    """Eye distance in px of the main picture; the embedder's crop has 35."""
    min_enrol_eye_px: Annotated[float, Meta(ge=16, le=400), Safe.MORE] = 60.0
    min_relative_size: Annotated[Unit, Safe.MORE] = 0.6
    """A face smaller than this share of the largest one in view is background and not searched for."""
    min_sharpness: Annotated[float, Meta(ge=0), Safe.MORE] = 15.0
    min_luminance: Annotated[float, Meta(ge=0, le=255), Safe.MORE] = 40.0
    max_luminance: Annotated[float, Meta(ge=0, le=255), Safe.LESS] = 230.0
    max_side_ratio: Annotated[float, Meta(ge=1, le=20), Safe.LESS] = 4.0
    max_saturated: Annotated[Unit, Safe.LESS] = 0.3
    max_yaw_deg: Annotated[float, Meta(ge=5, le=90), Safe.LESS] = 45.0
    max_pitch_deg: Annotated[float, Meta(ge=5, le=90), Safe.LESS] = 35.0
    max_faces: Annotated[int, Meta(ge=1, le=20), Safe.ANY] = 5
    threads: Annotated[int, Meta(ge=1, le=8), Safe.ANY] = 1
    """For one model; two run side by side. More helps large models on four cores: let `gated bench` say."""


class AccessSettings(msgspec.Struct, frozen=True):
    """When a face is somebody's."""

    threshold: Annotated[Annotated[float, Meta(gt=0, lt=1)] | None, Safe.MORE] = None
    """Cosine similarity; by default the one of the model set's manifest."""
    pad_threshold: Annotated[Annotated[float, Meta(gt=0, lt=1)] | None, Safe.MORE] = None
    margin: Annotated[Unit, Safe.MORE] = 0.05
    """How far the best candidate must be ahead of the best one of another household."""
    frames: Annotated[int, Meta(ge=1, le=20), Safe.MORE] = 3
    """So many frames of one visit must agree."""
    give_up_s: Annotated[float, Meta(ge=0.5, le=30), Safe.LESS] = 3.0
    """A visit that has not been granted by then is refused, and other ways in are named."""
    max_frame_age_s: Annotated[float, Meta(ge=0.1, le=5), Safe.LESS] = 1.0
    """A frame older than this opens nothing."""


class Schedule(msgspec.Struct, frozen=True):
    """Hours of the week, in the site's own time. `start` after `end` runs past midnight; the two alike are all day."""

    days: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday")
    start: Time = "00:00"
    end: EndTime = "00:00"

    def __post_init__(self) -> None:
        """24:00 is the end of the day, which the day after calls 00:00."""
        if self.end == "24:00":
            msgspec.structs.force_setattr(self, "end", "00:00")


class SyncSettings(msgspec.Struct, frozen=True):
    """The community server. Without `url` the gate keeps to itself."""

    url: Annotated[str, Meta(pattern=r"^(mqtts?://[^/\s]+)?\Z", description="mqtts://HOST[:PORT]")] = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    gate_keys: str = ""
    """The gate's own private keys, to sign and to be sealed to (a JWK set); made at pairing."""
    office_keys: str = ""
    """The office's public keys (a JWK set)."""
    protocol: Literal["auto", "3.1.1", "5"] = "auto"
    """auto: MQTT 5 where the broker speaks it."""
    ack_timeout_s: Annotated[float, Meta(ge=0.2, le=300)] = 5.0
    backoff_max_s: Annotated[float, Meta(ge=0.2, le=300)] = 60.0
    status_s: Annotated[float, Meta(ge=1, le=120)] = 60.0
    """The beat: status and journal are told so often. A gate says some 19 MB a day at 60 s, and half at 120 s."""
    silent_h: Annotated[float, Meta(gt=0, le=720)] = 24.0
    """Without a proven word of the office for so long it is an alarm, and for ten minutes while the broker is reached.
    Nothing opens or shuts because of it."""
    most_new_per_hour: Annotated[int, Meta(ge=1, le=100_000)] = 200
    """More people than this joining from the office within an hour look like poisoning, and wait for somebody here."""
    most_new_in_batch: Annotated[int, Meta(ge=0, le=100_000)] = 300
    """So many may join in batches that the office announces, and by its acceptance, in all; 0: none. The default is 72
    households. Somebody at the gate renews it."""


class HealthSettings(msgspec.Struct, frozen=True):
    """What others may ask of the gate's pulse."""

    metrics_port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """Prometheus reads there, on this machine alone; 0: nobody does."""


class Settings(msgspec.Struct, frozen=True):
    """All of it, one part a chapter."""

    site: SiteSettings
    gate: GateSettings
    state_dir: str = "/var/lib/gated"
    models: ModelSettings = field(default_factory=ModelSettings)
    camera: CameraSettings = field(default_factory=CameraSettings)
    face: FaceSettings = field(default_factory=FaceSettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    door: DoorSettings = field(default_factory=DoorSettings)
    second_door: Wires | None = None
    """Another leaf, on the same pins and with the same latch; faces open the first."""
    readers: ReaderSettings = field(default_factory=ReaderSettings)
    cues: CueSettings = field(default_factory=CueSettings)
    schedules: Annotated[dict[Name, Schedule], Safe.HOURS] = field(default_factory=dict)
    sync: SyncSettings = field(default_factory=SyncSettings)
    health: HealthSettings = field(default_factory=HealthSettings)

    @property
    def state(self) -> Path:
        """The folder that everything is kept in."""
        return Path(self.state_dir)

    @property
    def prompts(self) -> Path:
        """The folder of spoken prompts."""
        return Path(self.cues.prompts) if self.cues.prompts else self.state / "prompts"

    @property
    def doors(self) -> dict[str, Wires]:
        """The doors that there are, by the names that facts and messages have for them."""
        return {MAIN: self.door} if self.second_door is None else {MAIN: self.door, SECOND: self.second_door}

    @property
    def latch_socket(self) -> Path:
        """Where the latch listens."""
        return Path(self.door.socket) if self.door.socket else self.state / "latch.sock"
