"""The settings of one gate: `tables` and `wiring` say what there is, `reading` reads and checks it."""

from gated.config.reading import load, parse
from gated.config.tables import (
    AccessSettings,
    CameraSettings,
    FaceSettings,
    GateSettings,
    ModelSettings,
    Schedule,
    Settings,
    SiteSettings,
    SyncSettings,
)
from gated.config.wiring import CueSettings, DoorSettings, ReaderSettings, Wires, unsafe_wiring

__all__ = [
    "AccessSettings",
    "CameraSettings",
    "CueSettings",
    "DoorSettings",
    "FaceSettings",
    "GateSettings",
    "ModelSettings",
    "ReaderSettings",
    "Schedule",
    "Settings",
    "SiteSettings",
    "SyncSettings",
    "Wires",
    "load",
    "parse",
    "unsafe_wiring",
]
