"""`gated pass`: the office's side of a visitor's pass, and a look at what one says."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from gated.access import qr
from gated.access.passes import issue_pass, open_pass, pass_key, read_pass
from gated.access.rights import Refusal
from gated.cli import Context, show_json
from gated.config import SiteSettings
from gated.errors import ConfigError
from gated.events import MAIN, SECOND

LOCAL_TIME = click.DateTime(["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d"])


@click.group("pass")
def pass_() -> None:
    """Sign a visitor's pass, or show what one says.

    The site's key pair, once: `openssl genpkey -algorithm ed25519 -out site.key`, kept by the office, and
    `openssl pkey -in site.key -pubout -out site.pub`, for [readers] pass_key at every gate.
    """


@pass_.command()
@click.option("--key", type=click.Path(path_type=Path), required=True, help="The site's private key (Ed25519, PEM).")
@click.option("--site", help="By default that of the settings.")
@click.option("--gate", help="By default that of the settings.")
@click.option("--door", type=click.Choice([MAIN, SECOND]), default=MAIN, show_default=True)
@click.option("--from", "begins", type=LOCAL_TIME, help="In the site's own time; by default now.")
@click.option("--until", "ends", type=LOCAL_TIME, required=True, help="In the site's own time.")
@click.option("--uses", type=int, default=1, show_default=True, help="How often it opens.")
@click.option("--png", type=click.Path(path_type=Path), help="Draw the code into this file, instead of here.")
@click.pass_obj
def issue(
    context: Context, *, key: Path, site: str | None, gate: str | None, door: str, begins: datetime | None,
    ends: datetime, uses: int, png: Path | None,
) -> None:  # fmt: skip
    """Sign a pass for one door: prints its text, and on a terminal its code."""
    site, gate, zone = _place(context, site, gate)
    try:
        pem = key.read_bytes()
    except OSError as error:
        raise ConfigError("--key", [f"{key} cannot be read ({error.strerror}); name the site's private key"]) from error
    starts = datetime.now(UTC) if begins is None else begins.replace(tzinfo=zone)
    text = issue_pass(pem, site, gate, starts, ends.replace(tzinfo=zone), door=door, uses=uses)
    if png is not None:
        qr.write_png(text, png)
    elif sys.stdout.isatty():
        click.echo(qr.on_terminal(text))
    click.echo(text)


@pass_.command("show")
@click.argument("text")
@click.option("--key", type=click.Path(path_type=Path), help="The site's public key; by default that of the settings.")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
@click.pass_obj
def show_pass(context: Context, text: str, key: Path | None, as_json: bool) -> None:
    """Show what a pass says; exit 1 when the site did not sign it. What is left of its uses, only its gate knows."""
    public = pass_key(_key_of(context) if key is None else key)
    signed = open_pass(text, public)
    if signed is None:
        click.echo("this is no pass of the site whose key this is", err=True)
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
        for name, value in facts.items():
            click.echo(f"{name:6}{value}")


def _place(context: Context, site: str | None, gate: str | None) -> tuple[str, str, ZoneInfo]:
    """Where a pass is for, and whose time it is in. Raises `ConfigError` where neither we nor the settings know."""
    if context.has_settings or site is None or gate is None:
        settings = context.settings
        return site or settings.site.id, gate or settings.gate.id, ZoneInfo(settings.site.timezone)
    return site, gate, ZoneInfo(SiteSettings(site).timezone)


def _key_of(context: Context) -> Path:
    if not context.settings.readers.pass_key:
        raise ConfigError("readers.pass_key", ["is not set; name the site's public key there, or with --key"])
    return Path(context.settings.readers.pass_key)
