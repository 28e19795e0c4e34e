"""`gated office invite` and `invitations`: create pairing codes for gates, on screen or on a sheet to print."""

import math
import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from gated import names
from gated.access import qr
from gated.cli import read_only_unless, show_json, streams
from gated.cli.office import json_option
from gated.cli.table_output import show
from gated.errors import OfficeError
from gated.office.invitations import DAY_S, LONGEST_DAYS, VALID_S, Invitations
from gated.office.registrar import Registrar
from gated.office.store import Store
from gated.printable import page
from gated.protocol.pairing_code import NAME, PairingCode
from gated.sitetime import format_time, iso
from gated.storage.named_files import replacing, write_named

SHEET_HTML = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Codes for gates</title><style>
@page {{ size: A4; margin: 15mm }}
body {{ font: 12pt sans-serif; color: #000; background: #fff }}
section {{ break-inside: avoid; border: 1px dashed #000; padding: 5mm; margin-bottom: 8mm;
  display: grid; grid-template-columns: 45mm 1fr; gap: 6mm }}
svg {{ width: 45mm; height: 45mm }}
h1 {{ font-size: 20pt; margin: 0 0 2mm }}
code {{ font-size: 11pt; overflow-wrap: anywhere }}
</style></head><body>
{slips}
</body></html>
"""
SLIP_HTML = """\
<section><div>{svg}</div><div><h1>{gate}</h1>
<p><code>{text}</code></p>
<p>Valid once, for {gate} only, until {until}. Anyone with this paper can join as {gate}: keep it safe, and destroy it
afterwards.</p>
<p>In answers.toml: <code>code = "..."</code>; or at the gate: <code>sudo -u gated gated pair</code></p></div></section>
"""


def _a_number(_: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Reject NaN and infinity, which click's ranges accept."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter("write a number", param=param)
    return value


@click.command()
@click.argument("gates", metavar="GATE...", nargs=-1, required=True)
@click.option("--days", type=click.FloatRange(0, LONGEST_DAYS, min_open=True), callback=_a_number,
              help=f"Days for which the codes are valid, up to {LONGEST_DAYS}; by default one hour.")  # fmt: skip
@click.option("--sheet", type=click.Path(path_type=Path, dir_okay=False),
              help="Write a page to print to this file, with a QR code for each gate.")  # fmt: skip
@json_option
@click.pass_obj
def invite(folder: Path, gates: Sequence[str], days: float | None, sheet: Path | None, as_json: bool) -> None:
    """Invite gates to join: shows a code for each, valid once and for that gate only.

    A new code replaces an earlier one for the same gate. Codes are not stored: if you lose one, make a new one.
    """
    gates = [names.id_of(gate) for gate in gates]
    for gate in gates:
        if not re.fullmatch(NAME, gate):
            raise OfficeError(
                f"{gate!r} cannot be the name of a gate; use small letters, digits, - and _, as in [gate] id"
            )
        if gates.count(gate) > 1:
            raise OfficeError(f"{gate} appears twice; name each gate once")
    now, valid_s = datetime.now(UTC), VALID_S if days is None else days * DAY_S
    if sheet is not None:
        _check_free(sheet)
    with closing(Store.open(folder)) as store, closing(Registrar(folder, store)) as registrar:
        codes, zone = [registrar.invite(gate, now, valid_s) for gate in gates], store.zone
    ends = now + timedelta(seconds=valid_s)
    until = format_time(ends, zone)
    if sheet is not None:
        write_named(sheet, SHEET_HTML.format(slips="".join(_slip(code, until) for code in codes)).encode())
        streams.echo(f"{sheet}: {len(codes)} slips to print. Delete the file after printing.", err=True)
    if as_json:
        show_json([{"gate": code.gate, "code": code.text(), "until": iso(ends, zone)} for code in codes])
    elif sheet is None:
        _show(codes, until)


def _show(codes: Iterable[PairingCode], until: str) -> None:
    for code in codes:
        if sys.stdout.isatty():
            drawn = qr.on_terminal(code.text().upper(), is_unicode=streams.can_write(qr.BLOCKS))  # fewer squares
            streams.echo("", code.gate)
            streams.own(f"{drawn}\n")
        streams.echo(code.text())
    hint = (
        f"Each code is valid once, for its own gate, until {until}. Put it as `code` in the gate's answers.toml, or run"
    )
    streams.echo(f"{hint} `gated pair` there. `gated office serve` must run here at that time.", err=True)


def _slip(code: PairingCode, until: str) -> str:
    text = code.text()
    svg = qr.svg(text.upper())
    return SLIP_HTML.format(svg=svg, gate=page(code.gate), text=page(text), until=page(until))


def _check_free(sheet: Path) -> None:
    """Check that the sheet can be written, before making a code: no code must be lost. Raises `OfficeError`."""
    with replacing(sheet):
        is_free = sheet.parent.is_dir() and os.access(sheet.parent, os.W_OK)
    if not is_free:
        raise OfficeError(f"{sheet}: cannot be written; name a file in your own folder")


@click.command()
@click.option("--cancel", metavar="GATE", help="Cancel the code of this gate.")
@json_option
@click.pass_obj
def invitations(folder: Path, cancel: str | None, as_json: bool) -> None:
    """List the gates with a valid code, and when it expires. Codes are not shown again."""
    with read_only_unless(cancel), closing(Store.open(folder)) as store, closing(Invitations(folder)) as invitations_:
        if cancel is not None and not invitations_.cancel(names.id_of(cancel)):
            raise OfficeError(f"{cancel} has no valid code; `gated office invitations` lists the codes")
        expected, zone = invitations_.open(datetime.now(UTC).timestamp()), store.zone
    ends = {gate: datetime.fromtimestamp(each.ends_at, UTC) for gate, each in expected.items()}
    if as_json:
        show_json([
            {"gate": gate, "until": iso(ends[gate], zone), "wrong_tries": each.wrong} for gate, each in expected.items()
        ])  # fmt: skip
    else:
        rows = [[gate, format_time(ends[gate], zone), str(each.wrong)] for gate, each in expected.items()]
        show(["gate", "until", "wrong tries"], rows)
