"""What was learnt of a USB reader, written into the settings: every comment and every other value stays."""

import re
from pathlib import Path
from typing import Any

import msgspec

from gated.config import UsbSettings, parse
from gated.config.handwritten import HandwritingError, toml_of
from gated.errors import ConfigError, StateError
from gated.provision.filling import filled
from gated.runtime.files import rewrite

DEVICES = re.compile(r"^devices\s*=\s*\[[^\]]*\]", re.MULTILINE)


def with_reader(text: str, path: str, usb: UsbSettings) -> str:
    """The settings with this device among the readers, typing so. Raises `ConfigError` where that cannot be done."""
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
            "settings", [f"cannot be changed by this command; write into them yourself:\n{lines(path, usb)}"]
        )
    return new


def lines(path: str, usb: UsbSettings) -> str:
    """The lines that the settings need."""
    return f'[readers]\ndevices = ["{path}"]\n\n{_table(path, usb)}'


def write(config: Path, text: str) -> None:
    """Put these settings in the place of those that are there: whole or not at all, for the same owner. Raises
    `ConfigError` for what is wrong in them, and `StateError` where they cannot be written.
    """
    parse(toml_of(text), config.resolve().parent, str(config))
    try:
        rewrite(config.resolve(), text.encode())
    except OSError as error:
        raise StateError(f"{config}: cannot be written ({error.strerror}); run this as root") from error


def _table(path: str, usb: UsbSettings) -> str:
    head = f"[readers.usb.{msgspec.json.encode(path).decode()}]"
    return f'{head}\nkind = "{usb.kind}"\nsuffix = "{usb.suffix}"\ngap_ms = {usb.gap_ms}\n'


def _with_table(text: str, path: str, usb: UsbSettings) -> str:
    """The device's own table, in the place of the one that is there or at the end."""
    head = re.escape(f"[readers.usb.{msgspec.json.encode(path).decode()}]")
    there = re.search(rf"^{head}[^\n]*\n(?P<body>(?:(?!\[)[^\n]*\n)*)", text, re.MULTILINE)
    if there is None:
        return f"{text.rstrip()}\n\n{_table(path, usb)}"
    kept = [line for line in there["body"].splitlines() if not re.match(r"(kind|suffix|gap_ms)\s*=", line)]
    rest = "\n".join(kept).rstrip()
    body = _table(path, usb).partition("\n")[2] + (f"{rest}\n" if rest else "")
    return text[: there.start("body")] + body + ("\n" if text[there.end("body") :] else "") + text[there.end("body") :]


def _is_only_this(before: dict[str, Any], text: str, path: str, usb: UsbSettings) -> bool:
    """Whether nothing but this reader is another than before."""
    try:
        after = toml_of(text)
    except HandwritingError:
        return False
    had, has = dict(before.get("readers", {})), dict(after.get("readers", {}))
    devices = had.get("devices", [])
    had["devices"] = devices if path in devices else [*devices, path]
    had["usb"] = {**had.get("usb", {}), path: msgspec.to_builtins(usb)}
    return has == had and {**before, "readers": None} == {**after, "readers": None}
