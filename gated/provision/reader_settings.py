"""Write what `gated readers learn` found about a USB reader into the settings. Every comment and every other value
stays.
"""

import re
from pathlib import Path
from typing import Any

import msgspec

from gated.atomic_files import atomic_rewrite
from gated.config import UsbSettings, parse
from gated.config.handwritten import HandwritingError, toml_of
from gated.errors import ConfigError, StateError
from gated.provision.filling import filled

DEVICES = re.compile(r"^devices\s*=\s*\[[^\]]*\]", re.MULTILINE)


def with_reader(text: str, path: str, usb: UsbSettings) -> str:
    """Return the settings text with this device in `readers.devices` and its table in `readers.usb`.

    Raises `ConfigError` if the text cannot be changed safely.
    """
    before = toml_of(text)
    devices = list(before.get("readers", {}).get("devices", []))
    new = text
    if path not in devices:
        listed = f"devices = {msgspec.json.encode([*devices, path]).decode()}"
        if DEVICES.search(text):
            new = DEVICES.sub(lambda _: listed, text, count=1)
        else:
            new = filled(text, {"readers": {"devices": [*devices, path]}})
    new = _with_table(new, path, usb)
    if not _is_only_this(before, new, path, usb):
        raise ConfigError(
            "settings", [f"cannot be changed by this command; add these lines yourself:\n{lines(path, usb)}"]
        )
    return new


def lines(path: str, usb: UsbSettings) -> str:
    """Return the lines that the user must add by hand."""
    return f'[readers]\ndevices = ["{path}"]\n\n{_table(path, usb)}'


def write(config: Path, text: str) -> None:
    """Replace the settings file atomically, and keep its owner.

    Raises `ConfigError` if the new settings are wrong, and `StateError` if the file cannot be written.
    """
    parse(toml_of(text), config.resolve().parent, str(config))
    try:
        atomic_rewrite(config.resolve(), text.encode())
    except OSError as error:
        raise StateError(f"{config}: cannot be written ({error.strerror}); run this as root") from error


def _table(path: str, usb: UsbSettings) -> str:
    head = f"[readers.usb.{msgspec.json.encode(path).decode()}]"
    return f'{head}\nkind = "{usb.kind}"\nsuffix = "{usb.suffix}"\ngap_ms = {usb.gap_ms}\n'


def _with_table(text: str, path: str, usb: UsbSettings) -> str:
    """Return the text with the device's table. It replaces an existing table, or is added at the end."""
    head = re.escape(f"[readers.usb.{msgspec.json.encode(path).decode()}]")
    table = re.search(rf"^{head}[^\n]*\n(?P<body>(?:(?!\[)[^\n]*\n)*)", text, re.MULTILINE)
    if table is None:
        return f"{text.rstrip()}\n\n{_table(path, usb)}"
    kept = [line for line in table["body"].splitlines() if not re.match(r"(kind|suffix|gap_ms)\s*=", line)]
    rest = "\n".join(kept).rstrip()
    body = _table(path, usb).partition("\n")[2] + (f"{rest}\n" if rest else "")
    return text[: table.start("body")] + body + ("\n" if text[table.end("body") :] else "") + text[table.end("body") :]


def _is_only_this(before: dict[str, Any], text: str, path: str, usb: UsbSettings) -> bool:
    """Return whether the new text differs from `before` in this reader only."""
    try:
        after = toml_of(text)
    except HandwritingError:
        return False
    had, has = dict(before.get("readers", {})), dict(after.get("readers", {}))
    devices = had.get("devices", [])
    had["devices"] = devices if path in devices else [*devices, path]
    had["usb"] = {**had.get("usb", {}), path: msgspec.to_builtins(usb)}
    return has == had and {**before, "readers": None} == {**after, "readers": None}
