"""The page that is handed over with a gate: what it is, what was tried, what was found, and who signs for it.

Plain HTML that prints on one A4 page and needs nothing else. No key, code, name or person is on it.
"""

import html
import platform
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from importlib.metadata import version

import msgspec

from gated.config import Settings
from gated.errors import StateError
from gated.health.board import Board
from gated.health.finding import SIGNS, Finding

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

NOT_SHOWN = frozenset({"ca", "cert", "key", "gate_keys", "office_keys", "url", "pass_key", "rex_waiver"})
"""Settings that are left out of the table: where keys lie, and what the page says elsewhere."""


def report(
    settings: Settings, board: Board, findings: Sequence[Finding], now: datetime, tried: "Sequence[Tried]" = ()
) -> str:
    """The page. `tried`: what was promised on this very gate, and what came of it."""
    counts = ", ".join(f"{sum(f.light == light for f in findings)} {light}" for light in SIGNS)
    parts = [
        _table("What it is", _facts(settings, board, now)),
        _table("Settings that are not the default", list(changed(settings))),
        f"<h2>What was found: {counts}</h2>",
        _table("", [_found(finding) for finding in findings if finding.light != "green"]),
        _list(f"{_found(finding)[0]}: {finding.says}" for finding in findings if finding.light == "green"),
        _tried(tried),
        _signs(),
    ]
    title = f"Gate {settings.gate.id} of {settings.site.id}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>{''.join(parts)}</html>\n"
    )


def changed(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every table of the settings with what in it is another value than the default; no path of a key."""
    for table in msgspec.structs.fields(settings):
        values = getattr(settings, table.name)
        if not isinstance(values, msgspec.Struct) or table.name in {"site", "gate"}:
            continue
        told = [
            f"{each.name} {_value(getattr(values, each.name))}"
            for each in msgspec.structs.fields(values)
            if each.name not in NOT_SHOWN and getattr(values, each.name) != each.default
        ]
        if told:
            yield f"[{table.name}]", ", ".join(told)


def _value(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _facts(settings: Settings, board: Board, now: datetime) -> list[tuple[str, str]]:
    doors = "; ".join(
        f"{name}: {wires.lock} on pin {wires.lock_pin}, {'active high' if wires.lock_active_high else 'active low'}, "
        f"contact {_pin(wires.contact_pin)}, exit button {_pin(wires.rex_pin)}, fire {_pin(wires.fire_pin)}, "
        f"{wires.release_s:g} s"
        for name, wires in settings.doors.items()
    )
    return [
        ("day", f"{now:%Y-%m-%d %H:%M %Z}"),
        ("machine", f"{board.model}, serial {board.serial}; {platform.platform(terse=True)}"),
        ("versions", f"gated {version('gated')}, Python {platform.python_version()}, onnxruntime "
                     f"{version('onnxruntime')}, numpy {version('numpy')}; models: set {settings.models.set}"),
        ("doors", doors),
        ("exit waiver", settings.door.rex_waiver or "none"),
        ("office", settings.sync.url.rpartition("@")[2] or "none"),
    ]  # fmt: skip


def _pin(pin: int | None) -> str:
    return "none" if pin is None else str(pin)


def _found(finding: Finding) -> tuple[str, str]:
    step = f" → {finding.next_step}" if finding.next_step else ""
    return f"{SIGNS[finding.light]} {finding.part}", f"{finding.says}{step}"


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<tr><td>{html.escape(name)}<td>{html.escape(says)}" for name, says in rows)
    return f"{f'<h2>{html.escape(title)}</h2>' if title else ''}<table>{cells}</table>"


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{html.escape(line)}' for line in lines)}</ul>"


def _tried(tried: "Sequence[Tried]") -> str:
    """The broken promises first."""
    if not tried:
        return ""
    lines = [f"{'✓' if each.is_kept else '✗'} {each.promise}" for each in sorted(tried, key=lambda each: each.is_kept)]
    kept, days = sum(each.is_kept for each in tried), sorted({each.at[:10] for each in tried})
    says = (
        f"What was tried on it: {kept} of {len(tried)} promises kept, {' to '.join(dict.fromkeys((days[0], days[-1])))}"
    )
    return f"<h2>{html.escape(says)}</h2>{_list(lines)}"


def _signs() -> str:
    lines = ("Installer: I pressed the exit button without power on the Pi, and the door opened",
             "Installer: I cut the power while the lock was released, and the lock was as promised",
             "Owner: I was shown how to open, to lock down, and whom to call")  # fmt: skip
    rows = "".join(f"<tr><td>{line}<td>name, day, signature:" for line in lines)
    return f'<div class="signed"><h2>Signed</h2><table>{rows}</table></div>'


class Tried(msgspec.Struct, frozen=True):
    """One promise, as `hw_tests` tried it. `outcome`: "kept" or "broken"; `at`: ISO 8601."""

    promise: str
    outcome: str
    at: str

    @property
    def is_kept(self) -> bool:
        """Whether it was kept."""
        return self.outcome == "kept"


class _Report(msgspec.Struct, frozen=True):
    results: tuple[Tried, ...]


def tried_of(data: bytes) -> tuple[Tried, ...]:
    """What was promised and what came of it, of a `report.json`. Raises `StateError`."""
    try:
        return msgspec.json.decode(data, type=_Report).results
    except msgspec.MsgspecError as error:
        raise StateError(f"this is no report.json of hw_tests ({error}); name the one in its folder") from error
