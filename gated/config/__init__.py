"""The settings of one gate: `tables` and `wiring` say what there is, `reading` reads and checks it, `overlay` lays over
it what the office has set, and `trial` has that prove itself first.
"""

from gated.config.overlay import load
from gated.config.reading import load_own, parse
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
from gated.config.wiring import CueSettings, DoorSettings, ReaderSettings, UsbSettings, Wires, unsafe_wiring

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
    "UsbSettings",
    "Wires",
    "load",
    "load_own",
    "parse",
    "unsafe_wiring",
]
