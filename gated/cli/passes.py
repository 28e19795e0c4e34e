"""`gated pass`: signs visitors' passes without an office, and shows what a pass contains."""

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from gated import names
from gated.access import qr
from gated.access.access_rules import Refusal
from gated.access.pass_keys import PassKey, make_pass_key, pass_key_pem, pass_key_text, read_pass_key
from gated.access.passes import issue_pass, open_pass, read_pass
from gated.atomic_files import atomic_write
from gated.bounded import MOST_KEYS
from gated.cli import Context, read_only_command, show_json, streams
from gated.cli.place_options import DOORS, Name
from gated.config import SiteSettings
from gated.errors import ConfigError, StateError
from gated.events import MAIN
from gated.sitetime import day_begins, format_time, window
from gated.storage.named_files import read_named, reading
from gated.sync.settings_file import set_key


class Local(click.ParamType["datetime | date"]):
    """A date, or a date and time, in the site's time zone."""

    name = "date or time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | date:
        """Parse the date or time. Raises a usage error for an invalid one."""
        text = str(value).strip()
        try:
            if len(text) == len("YYYY-MM-DD"):
                return date.fromisoformat(text)
            midnight = text[10:] in (" 24:00", "T24:00")
            at = datetime.fromisoformat(f"{text[:10]}T00:00" if midnight else text)
            at += timedelta(days=midnight)
        except (ValueError, OverflowError):
            self.fail(f"{text!r} is not a time; write YYYY-MM-DD, or YYYY-MM-DD HH:MM", param, ctx)
        if at.tzinfo is not None:
            self.fail(f"{text!r} names a time zone; write the local time of the site", param, ctx)
        return at


def moment(given: datetime | date, zone: ZoneInfo, *, is_end: bool) -> datetime:
    """Return the moment. A date as a start means its first moment; as an end, the first moment of the next day."""
    if isinstance(given, datetime):
        return given.replace(tzinfo=zone)
    begin, end = window(given, given, zone)
    return (end if is_end else begin) or day_begins(given, zone)


@click.group("pass")
def pass_() -> None:
    """Sign a visitor's pass, or show what a pass contains.

    With an office, use `gated office pass`: the office has the key. Without an office: run `gated pass key site.key`
    once, and keep the file safe. At every gate, run `gated pass trust` with the text that either command shows.
    """


@pass_.command("key")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def key_(file: Path) -> None:
    """Make the site's private key in FILE unless it exists, and show its public key for `gated pass trust`."""
    with reading(file):
        if not file.exists():
            make_pass_key(file)
    streams.echo(pass_key_text(_read(file)))


@pass_.command()
@click.argument("text", nargs=-1)
@click.option("--replace", is_flag=True, help="Replace the earlier key; passes signed with it no longer open.")
@click.pass_obj
def trust(context: Context, text: Sequence[str], replace: bool) -> None:
    """Accept this site's passes at this gate. TEXT is the public key from `gated office pass key`.

    Run as root, at the gate. Compare the text with the office's screen: the owner of that key can let visitors in here.
    """
    settings = context.own_settings
    pem = pass_key_pem("".join(text) or click.prompt("The site's public key"))
    path = settings.state / "pass.pub"
    before = Path(settings.readers.pass_key) if settings.readers.pass_key else None
    if before is not None and before.exists() and before.read_bytes() != pem and not replace:
        raise ConfigError(
            "readers.pass_key",
            [f"{before} holds another key; add --replace to replace it, and its passes become invalid"],
        )
    try:
        atomic_write(path, pem)
    except OSError as error:
        raise StateError(f"{path}: cannot be written ({error.strerror}); run this as root") from error
    if before != path:
        with reading(context.path):
            set_key(context.path, "readers", "pass_key", str(path))
    click.echo("This gate accepts visitors' passes of this site from the next start on: sudo systemctl restart gated")


@pass_.command()
@click.option("--key", type=click.Path(path_type=Path), required=True, help="The site's private key (Ed25519, PEM).")
@click.option("--site", help="By default from the settings.")
@click.option("--gate", help="By default from the settings.")
@click.option("--door", type=Name(DOORS), metavar="main|second", default=MAIN, show_default=True)
@click.option("--from", "begins", type=Local(), help="YYYY-MM-DD [HH:MM], in the site's time zone; by default now.")
@click.option("--until", "ends", type=Local(), required=True,
              help="YYYY-MM-DD (to the end of that day) or YYYY-MM-DD HH:MM, in the site's time zone.")  # fmt: skip
@click.option("--uses", type=int, default=1, show_default=True, help="Number of uses.")
@click.option("--png", type=click.Path(path_type=Path), help="Write the QR code to this file instead.")
@click.pass_obj
def issue(
    context: Context, *, key: Path, site: str | None, gate: str | None, door: str, begins: datetime | date | None,
    ends: datetime | date, uses: int, png: Path | None,
) -> None:  # fmt: skip
    """Sign a pass for one door. Prints its text, and on a terminal its QR code."""
    site, gate, zone = _place(context, site, gate)
    show_new(sign(_read(key), (site, gate, door), zone, begins, ends, uses=uses), png)


def sign(
    pem: bytes, place: tuple[str, str, str], zone: ZoneInfo, begins: datetime | date | None, ends: datetime | date,
    *, uses: int,
) -> str:  # fmt: skip
    """Sign a pass for a place (site, gate, door), between two local times. Raises `ConfigError`."""
    starts = datetime.now(UTC) if begins is None else moment(begins, zone, is_end=False)
    site, gate, door = place
    return issue_pass(pem, site, gate, starts, moment(ends, zone, is_end=True), door=door, uses=uses)


def show_new(text: str, png: Path | None) -> None:
    """Print the text of a pass. Draw its QR code on a terminal or in a picture."""
    if png is not None:
        qr.write_png(text, png)
    elif sys.stdout.isatty():
        streams.own(f"{qr.on_terminal(text, is_unicode=streams.can_write(qr.BLOCKS))}\n")
    streams.echo(text)


@pass_.command("show")
@click.argument("text")
@click.option("--key", type=click.Path(path_type=Path), help="The site's public key; by default from the settings.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
@read_only_command
def show_pass(context: Context, text: str, key: Path | None, as_json: bool) -> None:
    """Show what a pass contains. Exit 1 when the site did not sign it. Only the gate knows the uses left."""
    public = _public(context, key)
    signed = open_pass(text, public)
    if signed is None:
        click.echo("this is not a pass of this site: the key does not match", err=True)
        sys.exit(1)
    zone = ZoneInfo((context.settings.site if context.has_settings else SiteSettings(signed.site)).timezone)
    judged = read_pass(text, public, signed.site, signed.gate, signed.door, at=datetime.now(UTC))
    facts = {
        "pass": signed.credential,
        "site": signed.site,
        "gate": signed.gate,
        "door": signed.door,
        "from": datetime.fromtimestamp(signed.not_before, zone).isoformat(),
        "until": datetime.fromtimestamp(signed.not_after, zone).isoformat(),
        "uses": signed.uses,
        "now": str(judged) if isinstance(judged, Refusal) else "good",
    }
    if as_json:
        show_json(facts)
    else:
        fields = facts | {name: format_time(str(facts[name]), zone) for name in ("from", "until")}
        for name, value in fields.items():
            streams.echo(f"{name:6}{value}")


def _read(key: Path) -> bytes:
    try:
        return read_named(key, MOST_KEYS)
    except OSError as error:
        raise ConfigError(
            "--key", [f"{key} cannot be read ({error.strerror}); name the file of the site's private key"]
        ) from error


def _place(context: Context, site: str | None, gate: str | None) -> tuple[str, str, ZoneInfo]:
    """Return the site, gate and time zone of a pass. Raises `ConfigError` if neither the options nor the settings name
    them.
    """
    site, gate = site and names.id_of(site), gate and names.id_of(gate)
    if context.has_settings or site is None or gate is None:
        settings = context.settings
        return site or settings.site.id, gate or settings.gate.id, ZoneInfo(settings.site.timezone)
    return site, gate, ZoneInfo(SiteSettings(site).timezone)


def _public(context: Context, key: Path | None) -> PassKey:
    """Return the public key in `key`, or else the key of the settings. Raises `ConfigError`."""
    if key is None:
        return read_pass_key(_key_of(context))
    with reading(key):
        return read_pass_key(key)


def _key_of(context: Context) -> Path:
    if not context.settings.readers.pass_key:
        raise ConfigError("readers.pass_key", ["is not set; name the site's public key there, or with --key"])
    return Path(context.settings.readers.pass_key)
