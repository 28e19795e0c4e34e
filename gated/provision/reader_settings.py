"""Write what `gated readers learn` found about a USB reader into the settings. Every comment and every other value
stays.
"""

from pathlib import Path

import msgspec

from gated.atomic_files import atomic_rewrite
from gated.config import UsbSettings, parse
from gated.config.handwritten import HandwritingError, toml_of
from gated.config.keys import Key
from gated.config.toml_writing import to_toml, with_values
from gated.errors import ConfigError, StateError


def with_reader(text: str, path: str, usb: UsbSettings) -> str:
    """Return the settings text with this device in `readers.devices` and its table in `readers.usb`.

    Raises `ConfigError` if the text cannot be changed safely, and `HandwritingError` if it is not valid TOML.
    """
    devices = toml_of(text).get("readers", {}).get("devices", [])
    listed = devices if path in devices else [*devices, path]
    try:
        return with_values(text, {("readers", "devices"): listed, **_keys(path, usb)})
    except HandwritingError as error:
        problem = f"cannot be changed by this command; add these lines yourself:\n{lines(path, usb)}"
        raise ConfigError("settings", [problem]) from error


def lines(path: str, usb: UsbSettings) -> str:
    """Return the lines that the user must add by hand."""
    return to_toml({("readers", "devices"): [path], **_keys(path, usb)})


def write(config: Path, text: str) -> None:
    """Replace the settings file atomically, and keep its owner.

    Raises `ConfigError` if the new settings are wrong, and `StateError` if the file cannot be written.
    """
    parse(toml_of(text), config.resolve().parent, str(config))
    try:
        atomic_rewrite(config.resolve(), text.encode())
    except OSError as error:
        raise StateError(f"{config}: cannot be written ({error.strerror}); run this as root") from error


def _keys(path: str, usb: UsbSettings) -> dict[Key, object]:
    return {("readers", "usb", path, name): value for name, value in msgspec.to_builtins(usb).items()}
