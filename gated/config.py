"""The settings: one TOML, read once, checked wholly. Unknown keys and wrong values are all reported together.

Every default lives here, and every default is safe: what is not said denies, and is off.
Relative paths are taken from the folder that the file is in.
"""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta, field

from gated.errors import ConfigError

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}\Z", description="small letters, digits, - and _")]
Pin = Annotated[int, Meta(ge=0, le=27, description="a BCM number, 0 to 27")]
Unit = Annotated[float, Meta(ge=0, le=1)]


class SiteSettings(msgspec.Struct, frozen=True):
    """The courtyard."""

    id: Name


class GateSettings(msgspec.Struct, frozen=True):
    """The gate itself, one of the courtyard's."""

    id: Name


class ModelSettings(msgspec.Struct, frozen=True):
    """Which models, and where their files lie."""

    dir: str = "models"
    set: str = "evaluation"
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


class FaceSettings(msgspec.Struct, frozen=True):
    """When a face is good enough to be searched for. Never about eyes, expression or what is worn."""

    detection_score: Unit = 0.6
    min_eye_px: Annotated[float, Meta(ge=16, le=400)] = 40.0
    """Eye distance in px of the main picture; the embedder's crop has 35."""
    min_enrol_eye_px: Annotated[float, Meta(ge=16, le=400)] = 60.0
    min_relative_size: Unit = 0.6
    """A face smaller than this share of the largest one in view is background and not searched for."""
    min_sharpness: Annotated[float, Meta(ge=0)] = 15.0
    min_luminance: Annotated[float, Meta(ge=0, le=255)] = 40.0
    max_luminance: Annotated[float, Meta(ge=0, le=255)] = 230.0
    max_side_ratio: Annotated[float, Meta(ge=1, le=20)] = 4.0
    max_saturated: Unit = 0.3
    max_yaw_deg: Annotated[float, Meta(ge=5, le=90)] = 45.0
    max_pitch_deg: Annotated[float, Meta(ge=5, le=90)] = 35.0
    max_faces: Annotated[int, Meta(ge=1, le=20)] = 5
    threads: Annotated[int, Meta(ge=1, le=8)] = 1
    """For one model; two run side by side. More helps large models on four cores: let `gated bench` say."""


class AccessSettings(msgspec.Struct, frozen=True):
    """When a face is somebody's."""

    threshold: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """Cosine similarity; by default the one of the model set's manifest."""
    pad_threshold: Annotated[float, Meta(gt=0, lt=1)] | None = None
    margin: Unit = 0.05
    """How far the best candidate must be ahead of the best one of another household."""
    frames: Annotated[int, Meta(ge=1, le=20)] = 3
    """So many frames of one visit must agree."""
    give_up_s: Annotated[float, Meta(ge=0.5, le=30)] = 3.0
    """A visit that has not been granted by then is refused, and other ways in are named."""
    max_frame_age_s: Annotated[float, Meta(ge=0.1, le=5)] = 1.0
    """A frame older than this opens nothing."""


class DoorSettings(msgspec.Struct, frozen=True):
    """The lock, the leaf and the wires."""

    pins: Literal["gpio", "mock"] = "gpio"
    socket: str = ""
    """The latch's Unix socket; by default `latch.sock` in the state folder."""
    brain_user: str = ""
    """The user that may command the latch, beside the latch's own; needed when the two are services of their own."""
    trace: str = ""
    """mock pins: the file that every transition is written to."""
    release_s: Annotated[float, Meta(ge=0.5, le=30)] = 8.0
    relock_on_close: bool = True
    lock_pin: Pin = 17
    lock_active_high: bool = True
    contact_pin: Pin | None = None
    """None: no door contact is fitted."""
    contact_closed_is_high: bool = False
    rex_pin: Pin | None = None
    debounce_s: Annotated[float, Meta(ge=0, le=1)] = 0.05


class SyncSettings(msgspec.Struct, frozen=True):
    """The community server. Without `url` the gate keeps to itself."""

    url: Annotated[str, Meta(pattern=r"^(mqtts?://[^/\s]+)?\Z", description="mqtts://HOST[:PORT]")] = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    ack_timeout_s: Annotated[float, Meta(ge=0.2, le=300)] = 5.0
    backoff_max_s: Annotated[float, Meta(ge=0.2, le=3600)] = 60.0
    status_s: Annotated[float, Meta(ge=1, le=3600)] = 60.0


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
    sync: SyncSettings = field(default_factory=SyncSettings)

    @property
    def state(self) -> Path:
        """The folder that everything is kept in."""
        return Path(self.state_dir)

    @property
    def latch_socket(self) -> Path:
        """Where the latch listens."""
        return Path(self.door.socket) if self.door.socket else self.state / "latch.sock"


PATHS = {
    ("state_dir",),
    ("models", "dir"),
    ("models", "manifest"),
    ("camera", "path"),
    ("door", "socket"),
    ("door", "trace"),
} | {("sync", key) for key in ("ca", "cert", "key")}


def load(path: Path) -> Settings:
    """Read and check a settings file. Raises `ConfigError` with every problem in it."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            str(path), [f"cannot be read ({error.strerror}); `gated config new` writes a commented example"]
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f"is not valid TOML: {error}"]) from error
    return parse(data, path.resolve().parent, str(path))


def parse(data: dict[str, Any], folder: Path, source: str = "settings") -> Settings:
    """Check settings that were read, with paths relative to `folder`. Raises `ConfigError` with every problem."""
    problems: list[str] = []
    settings = _struct(Settings, _absolute(data, folder), "", problems)
    if isinstance(settings, Settings):
        problems += _contradictions(settings)
    if problems:
        raise ConfigError(source, problems)
    return settings  # type: ignore[no-any-return]


def _absolute(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same data with every path made absolute."""

    def fix(value: Any, at: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {k: fix(v, (*at, k)) for k, v in value.items()}
        return str(folder / Path(value).expanduser()) if at in PATHS and isinstance(value, str) and value else value

    return {k: fix(v, (k,)) for k, v in data.items()}


def _struct(kind: Any, data: Any, at: str, problems: list[str]) -> Any:
    """Convert a table field by field, so that one bad value does not hide the next. None when something was wrong."""
    if not isinstance(data, dict):
        problems.append(f"{at.rstrip('.')}: expected a table [{at.rstrip('.')}], got {data!r}")
        return None
    hints, fields, values = get_type_hints(kind, include_extras=True), msgspec.structs.fields(kind), {}
    known = [f.name for f in fields]
    problems += [f"{at}{key}: unknown key{_did_you_mean(key, known)}" for key in data if key not in known]
    before = len(problems)
    for item in fields:
        if item.name in data or item.required:
            values[item.name] = _value(
                hints[item.name], data.get(item.name, msgspec.UNSET), f"{at}{item.name}", problems
            )
    return kind(**values) if len(problems) == before else None


def _value(kind: Any, value: Any, at: str, problems: list[str]) -> Any:
    """One field: a table of its own, or a plain value checked by msgspec."""
    is_table = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    if value is msgspec.UNSET:
        if not is_table:
            problems.append(f"{at}: is required")
            return None
        value = {}
    if is_table:
        return _struct(kind, value, f"{at}.", problems)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problems.append(f"{at}: {value!r} will not do: {_plain(str(error), kind)}")
        return None


def _plain(message: str, kind: Any) -> str:
    """The words of msgspec, or the field's own description where it has one."""
    description = next((m.description for m in getattr(kind, "__metadata__", ()) if m.description), None)
    return f"expected {description}" if description else message[0].lower() + message[1:]


def _did_you_mean(key: str, known: list[str]) -> str:
    """A hint for a misspelt key."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(known)}"


def _contradictions(settings: Settings) -> list[str]:
    """Values that are each fine and do not go together."""
    problems = []
    camera, door, sync = settings.camera, settings.door, settings.sync
    if camera.kind != "picamera2" and not camera.path:
        problems.append(f'camera.path: is required when camera.kind is "{camera.kind}"')
    if camera.kind == "simulated" and door.pins == "gpio":
        problems.append('camera.kind: "simulated" people never move a real lock; set door.pins to "mock"')
    pins = {"lock_pin": door.lock_pin, "contact_pin": door.contact_pin, "rex_pin": door.rex_pin}
    used = [pin for pin in pins.values() if pin is not None]
    problems += [
        f"door.{key}: pin {pin} is used twice" for key, pin in pins.items() if pin is not None and used.count(pin) > 1
    ]
    if sync.url.startswith("mqtts:"):
        problems += [
            f"sync.{key}: is required when sync.url is set" for key in ("ca", "cert", "key") if not getattr(sync, key)
        ]
    elif sync.url:
        problems.append("sync.url: the link is TLS with certificates on both sides; write mqtts://")
    return problems
