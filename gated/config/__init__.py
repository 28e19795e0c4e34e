"""The settings of one gate. `tables` and `wiring` define the settings. `reading` parses and checks them. `overlay` adds
the office's settings. `settings_trial` tests the office's settings for some minutes before it keeps them.

Public: __init__, handwritten, keys, model_limits, overlay, proposal, proposing, reading, settings_trial, toml_writing,
wiring.
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
