"""Makes the handover page of a gate: the equipment, the findings, the trials, and lines for signatures.

The page is plain HTML for one A4 sheet and needs no other file. It holds no key, code, name or person.
"""

import platform
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Literal

import msgspec

from gated import wording
from gated.config import Settings, Wires
from gated.doctor import handover_chinese
from gated.doctor.board import Board
from gated.doctor.finding import SIGNS, Finding
from gated.errors import StateError
from gated.printable import page
from gated.sitetime import format_time, zone
from gated.wording import UNDECODABLE

STYLE = """
@page { size: A4; margin: 11mm 14mm }
body { font: 8.5pt/1.25 sans-serif; color: #000; max-width: 182mm; margin: 0 auto; overflow-wrap: anywhere }
h1 { font-size: 15pt; margin: 0 0 1mm } h2 { font-size: 10.5pt; margin: 3mm 0 .5mm; break-after: avoid }
table { border-collapse: collapse; width: 100% } td { padding: .3mm 2mm .3mm 0; vertical-align: top }
td:first-child { width: 30mm; font-weight: bold } tr { border-bottom: .2mm solid #bbb; break-inside: avoid }
ul { columns: 2; column-gap: 6mm; margin: 1mm 0 0; padding: 0; list-style: none; font-size: 7.5pt }
li { break-inside: avoid; padding-left: 3.5mm; text-indent: -3.5mm }
.signed { break-inside: avoid } .signed td { height: 9.5mm; vertical-align: bottom; font-weight: normal; width: 60% }
"""
"""The style sheet, for one A4 sheet."""

Language = Literal["zh", "en"]

NOT_SHOWN = frozenset({"ca", "cert", "key", "gate_keys", "office_keys", "url", "pass_key", "rex_waiver"})
"""Settings without a row in the table: paths of keys, and settings that the page shows elsewhere."""


def report(
    settings: Settings, board: Board, findings: Sequence[Finding], now: datetime, tried: "Sequence[TestedPromise]" = (),
    *, language: Language = "en",
) -> str:  # fmt: skip
    """Return the page. `tried`: the promises tested on this gate and their outcome; these sentences stay in English."""
    shown = list(map(_in_chinese, findings)) if language == "zh" else list(findings)
    counts = [str(sum(f.light == light for f in findings)) for light in SIGNS]
    parts = [
        _table(_translated("What it is", language), _facts(settings, board, now, language)),
        _table(_translated("Settings that are not the default", language), list(changed(settings))),
        f"<h2>{_translated('What was found: {} green, {} amber, {} red', language, *counts)}</h2>",
        _table("", [_found(finding) for finding in shown if finding.light != "green"]),
        _list(f"{_found(finding)[0]}: {finding.result}" for finding in shown if finding.light == "green"),
        _tried(tried, language),
        _signs(settings, language),
    ]
    title = _translated("Gate {} of {}", language, settings.gate.id, settings.site.id)
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8"><title>{page(title)}</title>'
        f"<style>{STYLE}</style><h1>{page(title)}</h1>{''.join(parts)}</html>\n"
    )


def changed(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each settings table that has values other than the default, with these values.

    Never shows a path of a key.
    """
    for table in msgspec.structs.fields(settings):
        values = getattr(settings, table.name)
        if not isinstance(values, msgspec.Struct) or table.name in {"site", "gate"}:
            continue
        parts = [
            f"{each.name} {_value(getattr(values, each.name))}"
            for each in msgspec.structs.fields(values)
            if each.name not in NOT_SHOWN and getattr(values, each.name) != _default(each)
        ]
        if parts:
            yield f"[{table.name}]", ", ".join(parts)


def _default(field: msgspec.structs.FieldInfo) -> object:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _value(value: object) -> str:
    return msgspec.json.encode(value).decode()


def not_fitted(settings: Settings) -> Iterator[str]:
    """Yield, in English, the parts that a gate can have and this one lacks."""
    cues, readers, doors = settings.cues, settings.readers, list(settings.doors.values())
    parts = {
        "exit button": doors[0].rex_pin, "exit button of the second door": doors[-1].rex_pin if doors[1:] else 0,
        "door contact": doors[0].contact_pin, "fire input": _any(doors, "fire_pin"),
        "key that ends a fire release": _any(doors, "fire_reset_pin"), "tamper contact": _any(doors, "tamper_pin"),
        "call button": _any(doors, "call_pin"), "relay feedback": _any(doors, "feedback_pin"),
        "card reader": readers.devices or _any(doors, "wiegand_pins"),
        "keypad for a PIN": readers.devices or readers.keypad_rows or None,
        "visitors' passes": readers.pass_key or None,
        "loudspeaker": None if cues.sound == "none" else cues.sound, "gate screen": cues.screen_port or None,
        "lamps": next((pin for pin in (cues.ready_pin, cues.open_pin, cues.refused_pin, cues.fault_pin, cues.red_pin,
                                       cues.green_pin, cues.blue_pin) if pin is not None), None),
        "buzzer": cues.buzzer_pin, "pad that is felt": cues.vibration_pin,
        "camera of the Pi": settings.camera.kind if settings.camera.kind == "picamera2" else None,
    }  # fmt: skip
    yield from (part for part, fitted in parts.items() if fitted is None or fitted == ())


def _any(doors: Sequence[Wires], key: str) -> object:
    """Return the value of a pin setting at any door; None if no door has one."""
    return next((found for wires in doors if (found := getattr(wires, key)) is not None), None)


def _translated(text: str, language: Language, *values: str) -> str:
    """Return a fixed word or sentence of the page with its values."""
    return (handover_chinese.words(text) if language == "zh" else text).format(*values)


def _in_chinese(finding: Finding) -> Finding:
    return Finding(
        handover_chinese.part(finding.part),
        finding.light,
        handover_chinese.sentence(finding.result),
        handover_chinese.sentence(finding.next_step),
    )


def _facts(settings: Settings, board: Board, now: datetime, language: Language) -> list[tuple[str, str]]:
    parts = [
        (handover_chinese.door if language == "zh" else _door)(name, wires) for name, wires in settings.doors.items()
    ]
    doors = ("；" if language == "zh" else "; ").join(parts)
    missing = [_translated(part, language) for part in not_fitted(settings)]
    facts = [
        ("day", format_time(now, zone(settings.site.timezone))),
        ("machine", f"{board.model}, serial {board.serial}; {platform.platform(terse=True)}"),
        ("versions", f"gated {version('gated')}, Python {platform.python_version()}, onnxruntime "
                     f"{version('onnxruntime')}, numpy {version('numpy')}; models: set {settings.models.set}"),
        ("doors", doors),
        ("not fitted", ("、" if language == "zh" else ", ").join(missing) or _translated("none", language)),
        ("exit waiver", settings.door.rex_waiver or _translated("none", language)),
        ("telephone", settings.cues.phone or _translated("none is set: write it here:", language)),
        ("office", settings.sync.url.rpartition("@")[2] or _translated("none", language)),
    ]  # fmt: skip
    return [(_translated(name, language), result) for name, result in facts]


def _door(name: str, wires: Wires) -> str:
    return (
        f"{name}: {wires.lock} on pin {wires.lock_pin}, {'active high' if wires.lock_active_high else 'active low'}, "
        f"contact {_pin(wires.contact_pin)}, exit button {_pin(wires.rex_pin)}, fire {_pin(wires.fire_pin)}, "
        f"{wires.release_s:g} s"
    )


def _pin(pin: int | None) -> str:
    return "none" if pin is None else str(pin)


def _found(finding: Finding) -> tuple[str, str]:
    step = f" → {finding.next_step}" if finding.next_step else ""
    return f"{SIGNS[finding.light]} {finding.part}", f"{finding.result}{step}"


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<tr><td>{page(name)}<td>{page(result)}" for name, result in rows)
    return f"{f'<h2>{page(title)}</h2>' if title else ''}<table>{cells}</table>"


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{page(line)}' for line in lines)}</ul>"


def _tried(tried: "Sequence[TestedPromise]", language: Language) -> str:
    """Return the tested promises, the broken ones first."""
    if not tried:
        return ""
    lines = [f"{'✓' if each.is_kept else '✗'} {each.promise}" for each in sorted(tried, key=lambda each: each.is_kept)]
    kept, days = sum(each.is_kept for each in tried), sorted({each.at[:10] for each in tried})
    between = " 至 " if language == "zh" else " to "
    days_tried = between.join(dict.fromkeys((days[0], days[-1])))
    result = _translated(
        "What was tried on it: {} of {} promises kept, {}", language, str(kept), str(len(tried)), days_tried
    )
    return f"<h2>{page(result)}</h2>{_list(lines)}"


def _signs(settings: Settings, language: Language) -> str:
    lines = ("Installer: I pressed the exit button without power on the Pi, and the door opened",
             "Installer: I cut the power while the lock was released, and the lock was as promised",
             "Owner: I was shown how to open, to lock down, and whom to call")  # fmt: skip
    phone = f": {settings.cues.phone}" if settings.cues.phone else ""
    parts = [_translated(line, language) for line in lines[:2]] + [_translated(lines[2], language) + phone]
    sign = _translated("name, day, signature:", language)
    rows = "".join(f"<tr><td>{page(line)}<td>{sign}" for line in parts)
    return f'<div class="signed"><h2>{_translated("Signed", language)}</h2><table>{rows}</table></div>'


class TestedPromise(msgspec.Struct, frozen=True):
    """One promise as `hw_tests` tested it. `outcome`: "kept" or "broken"; `at`: ISO 8601."""

    promise: str
    outcome: str
    at: str

    @property
    def is_kept(self) -> bool:
        """Return whether the promise was kept."""
        return self.outcome == "kept"


class _Report(msgspec.Struct, frozen=True):
    results: tuple[TestedPromise, ...]


def tested_promises(data: bytes) -> tuple[TestedPromise, ...]:
    """Return the tested promises in a `report.json`. Raises `StateError`."""
    try:
        return msgspec.json.decode(data, type=_Report).results
    except UNDECODABLE as error:
        why = wording.cause(error, _Report)
        raise StateError(f"this is no report.json of hw_tests: {why}; name the one in its folder") from error
