"""The tables of the settings, one for each part of the gate. `wiring` has the tables of the hardware and of the cues.

Every default is defined here or in `wiring`. Every default is safe: it denies access or turns a function off.
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
    """The time zone (IANA) of schedules and of times that people see."""
    clock: Literal["auto", "trusted"] = "auto"
    """auto: the time of day is used while a time server or a proven clock chip keeps it."""
    holidays: Annotated[tuple[Date, ...], Safe.DAYS] = ()
    """On these days a schedule's "holiday" applies instead of its weekdays."""
    workdays: Annotated[tuple[Date, ...], Safe.DAYS] = ()
    """Make-up working days.

    On these days a schedule applies if it has all of mon to fri; other schedules do not apply.
    """


class GateSettings(msgspec.Struct, frozen=True):
    """The gate itself, one of the courtyard's gates."""

    id: Name


class ModelSettings(msgspec.Struct, frozen=True):
    """The model set, and the folder of its files."""

    dir: str = "models"
    set: Annotated[str, Safe.GRADE] = "evaluation"
    manifest: str = ""
    """The path of a manifest that replaces gated's own manifest."""


class CameraSettings(msgspec.Struct, frozen=True):
    """The camera that looks at the street."""

    kind: Literal["picamera2", "replay", "simulated"] = "picamera2"
    path: str = ""
    """replay: a folder of pictures, one picture, or a video file. simulated: a scene script."""
    fps: Annotated[float, Meta(ge=1, le=60)] = 10.0
    hold_s: Annotated[float, Meta(gt=0, le=3600)] = 2.0
    """replay: how long each picture is shown, in seconds."""
    loop: bool = False
    """replay, simulated: restart at the end."""
    number: Annotated[int, Meta(ge=0, le=3)] = 0
    """picamera2: the number of the camera."""
    width: Annotated[int, Meta(ge=320, le=4608)] = 1280
    height: Annotated[int, Meta(ge=240, le=2592)] = 960
    timeout_s: Annotated[float, Meta(ge=0.5, le=30)] = 2.0
    """The camera is reopened after this many seconds without a frame."""
    mains_hz: Literal[50, 60] = 50
    """The frequency of the mains. Lamps flicker with it; the exposure is chosen so that the picture has no bands."""


class FaceSettings(msgspec.Struct, frozen=True):
    """The quality that a face needs before it is searched for. Eyes, expression and clothing never count."""

    detection_score: Annotated[Unit, Safe.MORE] = 0.6
    min_eye_px: Annotated[float, Meta(ge=16, le=400), Safe.MORE] = 40.0
    """Eye distance in px of the main picture. The embedder's crop has 35 px."""
    min_enrol_eye_px: Annotated[float, Meta(ge=16, le=400), Safe.MORE] = 60.0
    min_relative_size: Annotated[Unit, Safe.MORE] = 0.6
    """A face smaller than this share of the largest face in view is background, and is not searched for."""
    min_sharpness: Annotated[float, Meta(ge=0), Safe.MORE] = 15.0
    min_luminance: Annotated[float, Meta(ge=0, le=255), Safe.MORE] = 40.0
    max_luminance: Annotated[float, Meta(ge=0, le=255), Safe.LESS] = 230.0
    max_side_ratio: Annotated[float, Meta(ge=1, le=20), Safe.LESS] = 4.0
    max_saturated: Annotated[Unit, Safe.LESS] = 0.3
    max_yaw_deg: Annotated[float, Meta(ge=5, le=90), Safe.LESS] = 45.0
    max_pitch_deg: Annotated[float, Meta(ge=5, le=90), Safe.LESS] = 35.0
    max_faces: Annotated[int, Meta(ge=1, le=20), Safe.ANY] = 5
    threads: Annotated[Annotated[int, Meta(ge=1, le=8)] | None, Safe.ANY] = None
    """Threads for each model; as many models run side by side as the cores allow, at most four. By default the detector
    has a thread for each core, up to four, and each other model two.
    """


class AccessSettings(msgspec.Struct, frozen=True):
    """The conditions for a face match."""

    threshold: Annotated[Annotated[float, Meta(gt=0, lt=1)] | None, Safe.MORE] = None
    """The least cosine similarity. By default the gate calibrates it on its gallery, or the model set's manifest has
    it.
    """
    fpir: Annotated[float, Meta(ge=1e-5, le=0.05), Safe.LESS] = 0.003
    """The target of the calibration: the share of strangers that the gate accepts, at the present number of people."""
    strangers_a_day: Annotated[float, Meta(gt=0, le=100_000)] = 100.0
    """The number of strangers a day whose face this gate compares, for the false-accept budget. 100: visitors and
    couriers of 72 households. A gate at a busy street has more. It changes no decision.
    """
    pad_threshold: Annotated[Annotated[float, Meta(gt=0, lt=1)] | None, Safe.MORE] = None
    pad_bpcer: Annotated[float, Meta(ge=0.001, le=0.3)] = 0.03
    """The share of bona fide visits that PAD may reject: a higher one ends attacks sooner."""
    pad_apcer: Annotated[Annotated[float, Meta(ge=0.001, le=0.3)], Safe.LESS] = 0.15
    """The share of attacks that PAD may accept at once. Below this certainty a visit needs twice the frames."""
    margin: Annotated[Unit, Safe.MORE] = 0.05
    """The least distance in score between the best candidate and the best candidate of another household."""
    frames: Annotated[int, Meta(ge=1, le=20), Safe.MORE] = 3
    """The number of frames of one visit that must agree."""
    clear_frames: Annotated[int, Meta(ge=2, le=20), Safe.MORE] = 2
    """The number that a clear visit needs: score and PAD are far above their thresholds in it. As many as `frames`: no
    visit is decided sooner.
    """
    give_up_s: Annotated[float, Meta(ge=0.5, le=30), Safe.LESS] = 3.0
    """After this many seconds without a grant, the gate refuses the visit and names the other credentials."""
    max_frame_age_s: Annotated[float, Meta(ge=0.1, le=5), Safe.LESS] = 1.0
    """A frame older than this many seconds opens nothing."""
    second_credential_s: Annotated[float, Meta(ge=5, le=60), Safe.LESS] = 20.0
    """After a first credential, the second one must follow within this many seconds. The spoken request takes 9 s of
    them in two languages.
    """

    @property
    def frames_if_clear(self) -> int:
        """The number of frames of a clear visit, never more than of any other."""
        return min(self.clear_frames, self.frames)


class Schedule(msgspec.Struct, frozen=True):
    """Hours of the week, in the site's time zone. If `start` is after `end`, the hours run past midnight. If both are
    equal, the schedule lasts all day.
    """

    days: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday")
    start: Time = "00:00"
    end: EndTime = "00:00"

    def __post_init__(self) -> None:
        """Replace the end time 24:00 by 00:00, which means the same."""
        if self.end == "24:00":
            msgspec.structs.force_setattr(self, "end", "00:00")


class SyncSettings(msgspec.Struct, frozen=True):
    """The link to the office. Without `url` the gate works alone."""

    url: Annotated[str, Meta(pattern=r"^(mqtts?://[^/\s]+)?\Z", description="mqtts://HOST[:PORT]")] = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    gate_keys: str = ""
    """The gate's private keys for signing and for decryption (a JWK set). Pairing creates them."""
    office_keys: str = ""
    """The office's public keys (a JWK set)."""
    protocol: Literal["auto", "3.1.1", "5"] = "auto"
    """auto: MQTT 5 if the broker supports it."""
    ack_timeout_s: Annotated[float, Meta(ge=0.2, le=300)] = 5.0
    backoff_max_s: Annotated[float, Meta(ge=0.2, le=300)] = 60.0
    status_s: Annotated[float, Meta(ge=1, le=120)] = 60.0
    """The heartbeat: the interval of status and journal messages, in seconds. A gate sends about 19 MB a day at 60 s,
    and half of that at 120 s.
    """
    silent_h: Annotated[float, Meta(gt=0, le=720)] = 24.0
    """The gate raises an alarm after this many hours without an authenticated message from the office. While the broker
    is reachable, ten minutes are enough. The alarm opens and closes nothing.
    """
    most_new_per_hour: Annotated[int, Meta(ge=1, le=100_000)] = 200
    """The number of new people from the office that one hour may bring. More look like poisoning, and wait for
    acceptance.
    """
    most_new_in_batch: Annotated[int, Meta(ge=0, le=100_000)] = 300
    """The total of new people that may join in announced batches or by the office's acceptance; 0: none. The default is
    enough for 72 households. Somebody at the gate renews the total.
    """


class HealthSettings(msgspec.Struct, frozen=True):
    """The metrics of the gate for other programs."""

    metrics_port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """The port for Prometheus, on this machine only; 0: no metrics."""


class Settings(msgspec.Struct, frozen=True):
    """All settings, one table for each part of the gate."""

    site: SiteSettings
    gate: GateSettings
    state_dir: str = "/var/lib/gated"
    models: ModelSettings = field(default_factory=ModelSettings)
    camera: CameraSettings = field(default_factory=CameraSettings)
    face: FaceSettings = field(default_factory=FaceSettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    door: DoorSettings = field(default_factory=DoorSettings)
    second_door: Wires | None = None
    """A second door, with the same latch and the same kind of pins. Faces open only the first door."""
    readers: ReaderSettings = field(default_factory=ReaderSettings)
    cues: CueSettings = field(default_factory=CueSettings)
    schedules: Annotated[dict[Name, Schedule], Safe.HOURS] = field(default_factory=dict)
    sync: SyncSettings = field(default_factory=SyncSettings)
    health: HealthSettings = field(default_factory=HealthSettings)

    @property
    def state(self) -> Path:
        """Return the folder for the gate's data."""
        return Path(self.state_dir)

    @property
    def prompts(self) -> Path:
        """Return the folder of the spoken prompts."""
        return Path(self.cues.prompts) if self.cues.prompts else self.state / "prompts"

    @property
    def doors(self) -> dict[str, Wires]:
        """Return the existing doors, by their names in events and messages."""
        return {MAIN: self.door} if self.second_door is None else {MAIN: self.door, SECOND: self.second_door}

    @property
    def latch_socket(self) -> Path:
        """Return the path of the latch's socket."""
        return Path(self.door.socket) if self.door.socket else self.state / "latch.sock"
