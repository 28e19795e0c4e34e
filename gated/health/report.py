"""The page that is handed over with a gate: what it is, what was tried, what was found, and who signs for it.

Plain HTML that prints on one A4 page and needs nothing else. No key, code, name or person is on it.
"""

import html
import platform
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version

import msgspec

from gated.config import Settings
from gated.errors import StateError
from gated.health.board import Board
from gated.health.finding import SIGNS, Finding

STYLE = """
@page { size: A4; margin: 14mm }
body { font: 9.5pt/1.3 sans-serif; color: #000; max-width: 180mm; margin: 0 auto }
h1 { font-size: 16pt; margin: 0 0 2mm } h2 { font-size: 11pt; margin: 4mm 0 1mm }
table { border-collapse: collapse; width: 100% } td { padding: .4mm 2mm .4mm 0; vertical-align: top }
tr { border-bottom: .2mm solid #bbb; break-inside: avoid } td:first-child { white-space: nowrap }
.sign td { height: 11mm; vertical-align: bottom }
"""


def report(
    settings: Settings, board: Board, findings: Sequence[Finding], now: datetime, tried: Sequence[tuple[str, str]] = ()
) -> str:
    """The page. `tried`: what was promised on this very gate, and what came of it."""
    counts = ", ".join(f"{sum(f.light == light for f in findings)} {light}" for light in SIGNS)
    parts = [
        _table("What it is", _facts(settings, board, now)),
        _table(f"What was found: {counts}", [_found(finding) for finding in findings]),
        _table("What was tried on it", tried),
        _signs(),
    ]
    title = f"Gate {settings.gate.id} of {settings.site.id}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>{''.join(parts)}</html>\n"
    )


def _facts(settings: Settings, board: Board, now: datetime) -> list[tuple[str, str]]:
    camera = settings.camera
    doors = "; ".join(
        f"{name}: {wires.lock} on pin {wires.lock_pin}, {'active high' if wires.lock_active_high else 'active low'}, "
        f"contact {_pin(wires.contact_pin)}, exit button {_pin(wires.rex_pin)}, fire {_pin(wires.fire_pin)}"
        for name, wires in settings.doors.items()
    )
    return [
        ("day", f"{now:%Y-%m-%d %H:%M}"),
        ("machine", f"{board.model}, serial {board.serial}"),
        ("system", f"{platform.platform(terse=True)}, Python {platform.python_version()}"),
        ("versions", f"gated {version('gated')}, onnxruntime {version('onnxruntime')}, numpy {version('numpy')}"),
        ("models", f"set {settings.models.set}"),
        ("camera", f"{camera.kind}, {camera.width} x {camera.height} px, {camera.fps:g} frames a second"),
        ("doors", doors),
        ("exit waiver", settings.door.rex_waiver or "none"),
        ("office", settings.sync.url or "none"),
        ("release", f"{settings.door.release_s:g} s; held open after {settings.door.held_open_s:g} s"),
    ]


def _pin(pin: int | None) -> str:
    return "none" if pin is None else str(pin)


def _found(finding: Finding) -> tuple[str, str]:
    step = f" -> {finding.next_step}" if finding.next_step else ""
    return f"{SIGNS[finding.light]} {finding.part}", f"{finding.says}{step}"


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<tr><td>{html.escape(name)}<td>{html.escape(says)}" for name, says in rows)
    return f"<h2>{html.escape(title)}</h2><table>{cells}</table>"


def _signs() -> str:
    lines = ("Installer: I pressed the exit button without power on the Pi, and the door opened",
             "Installer: I cut the power while the lock was released, and the lock was as promised",
             "Owner: I was shown how to open, to lock down, and whom to call")  # fmt: skip
    rows = "".join(f"<tr><td>{line}<td>________________" for line in lines)
    return f'<h2>Signed</h2><table class="sign">{rows}</table>'


class _Result(msgspec.Struct, frozen=True):
    promise: str
    outcome: str
    at: str


class _Tried(msgspec.Struct, frozen=True):
    results: tuple[_Result, ...]


def rows_of(data: bytes) -> list[tuple[str, str]]:
    """What was promised and what came of it, of a `report.json`. Raises `StateError`."""
    try:
        results = msgspec.json.decode(data, type=_Tried).results
    except msgspec.MsgspecError as error:
        raise StateError(f"this is no report.json of hw_tests ({error}); name the one in its folder") from error
    return [(each.promise, f"{each.outcome}, {each.at[:10]}") for each in results]
