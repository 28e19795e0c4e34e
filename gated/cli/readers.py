"""`gated readers`: shows the output of a card reader, and learns how a USB reader types. For installers."""

import asyncio
import os
import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import click

from gated.access.readers.keystrokes import ENTER, TypedNumber
from gated.access.readers.learning import LearntReader, learn_settings
from gated.access.readers.observing import ReaderReading, borrowed, is_running, next_reading, reading_socket
from gated.access.readers.reader_set import reading_of
from gated.access.readers.usb import EVENTS_BYTES, Keyboard, UsbReader, grab_device, open_device
from gated.cli import Context, show_json, streams
from gated.config import UsbSettings
from gated.config.handwritten import HandwritingError, read_text
from gated.errors import ConfigError, StateError
from gated.people import card_readings
from gated.people.keyring import KeyRing
from gated.storage import named_files as named

BY_ID = Path("/dev/input/by-id")
LET_GO_S = 5.0
"""Time limit for the brain or another program to release a device, in seconds."""
SILENT_S, AFTER_ENTER_S = 1.5, 0.4
"""A card is complete after this much silence, in seconds: in general, and after Enter or "#"."""


@click.group()
def readers() -> None:
    """Show the output of a card reader, and learn how a USB reader types."""


@readers.command()
@click.option("--seconds", type=click.FloatRange(1, 3600), default=60.0, show_default=True, help="Seconds to listen.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(context: Context, seconds: float, as_json: bool) -> None:
    """Show the output of the readers while you hold cards to them, in every reading. Cards still open the door
    meanwhile.

    Numbers appear only at this terminal and are not stored. A PIN appears only as "a PIN".
    """
    settings = context.settings
    has_brain, wired = is_running(settings.state), any(door.wiegand_pins for door in settings.doors.values())
    if not as_json:
        click.echo("hold a card to a reader; Ctrl+C ends this")
        if not has_brain and (wired or settings.readers.keypad_rows):
            click.echo("the gate does not run, so only USB readers are read")
    with _ring(context) as ring:

        def show(reading: ReaderReading) -> None:
            """Print one output of a reader."""
            _show_reading(reading, ring, as_json=as_json)

        if has_brain or not settings.readers.devices:
            _read_keys(settings.state, show, seconds)
        else:
            asyncio.run(_read_devices(settings.readers.devices, settings.readers.usb, show, seconds))


@readers.command()
@click.option("--device", "paths", multiple=True, help="Only this device under /dev/input; by default all.")
@click.option("--keypad", is_flag=True, help="Learn a keypad for PINs: press any keys, then Enter or #.")
@click.option("--dry-run", is_flag=True, help="Write nothing.")
@click.option("--seconds", type=click.FloatRange(1, 600), default=30.0, show_default=True, help="Seconds to wait.")
@click.pass_obj
def learn(context: Context, paths: Sequence[str], keypad: bool, dry_run: bool, seconds: float) -> None:
    """Learn how a USB reader types from one card, and write that into the settings.

    The gate releases its USB readers meanwhile, so cards there do not open. The command captures all keyboards of this
    machine: no card number must appear in a terminal. Work from another machine.
    """
    settings = context.settings
    present = [path for path in (paths or _devices(settings.readers.devices)) if Path(path).exists()]
    if not present:
        raise StateError("no USB reader was found; plug one in, or name it with --device /dev/input/...")
    with borrowed(settings.state):
        please = "press keys, then Enter or #" if keypad else "hold a card to the reader"
        path, keys = _first_typed(present, seconds, please, must_open=bool(paths))
    path = path if path in settings.readers.devices else _by_id(path)
    if keypad:
        usb = UsbSettings("keypad")
        streams.echo(f"{path}: a keypad")
    else:
        found = learn_settings(keys)
        _show_learnt(path, found)
        usb = found.settings
    if dry_run:
        streams.echo("the settings need these lines:", *_lines(path, usb).splitlines())
        return
    _write(context, path, usb)
    streams.echo(f"written into {context.path}; apply it with `systemctl restart gated`")


def _show_learnt(path: str, found: LearntReader) -> None:
    streams.echo(f"{path}: {found.description}")
    if found.trouble:
        raise ConfigError(path, [found.trouble])
    for kind, reading in card_readings.shown(found.number):
        streams.echo(f"  {kind}: {reading}")
    if card_readings.is_random(found.number):
        click.echo("  this number may be random, new at each reading: learn with another card too")


def _lines(path: str, usb: UsbSettings) -> str:
    from gated.provision.reader_settings import lines

    return lines(path, usb)


def _write(context: Context, path: str, usb: UsbSettings) -> None:
    from gated.provision.reader_settings import with_reader, write

    with named.reading(context.path):
        write(context.path, with_reader(_text(context.path), path, usb))


def _devices(known: Sequence[str]) -> list[str]:
    """Return the devices of the settings, then every other keyboard device."""
    found = {os.path.realpath(path): path for path in map(str, sorted(BY_ID.glob("*-event-kbd")))}
    return [*known, *(path for real, path in found.items() if real not in set(map(os.path.realpath, known)))]


def _by_id(path: str) -> str:
    """Return a device path that does not change with other devices."""
    real = os.path.realpath(path)
    return next((str(link) for link in sorted(BY_ID.glob("*-event-kbd")) if os.path.realpath(link) == real), path)


def _first_typed(
    paths: Sequence[str], wait_s: float, please: str, *, must_open: bool
) -> tuple[str, list[tuple[str, float]]]:
    """Return the device that typed first, and its keys with their times. Prints `please` when it has exclusive access
    to all devices.

    Raises `StateError`. Without `must_open`, skips a device that another program holds.
    """
    with ExitStack() as until_then:
        fds: dict[int, str] = {}
        for path in paths:
            try:
                fds[_open(path, until_then)] = path
            except StateError as error:
                if must_open or len(paths) == 1:
                    raise
                streams.echo(f"skipped: {error}")
        streams.echo(f"{please} ({len(fds)} devices)")
        keyboards, until = {fd: Keyboard() for fd in fds}, time.monotonic() + wait_s
        typing, keys = -1, list[tuple[str, float]]()
        while (left_s := until - time.monotonic()) > 0:
            for fd in select.select([typing] if keys else list(fds), [], [], left_s)[0]:
                fresh = keyboards[fd].feed(_chunk(fd, fds[fd]))
                if fresh and (not keys or fd == typing):
                    typing, keys = fd, [*keys, *fresh]
                    until = time.monotonic() + (AFTER_ENTER_S if keys[-1][0] in (ENTER, "#") else SILENT_S)
        if keys:
            return fds[typing], keys
    raise StateError(f"nothing was typed within {wait_s:g} s; hold a card to the reader, and check the reader's power")


def _chunk(fd: int, path: str) -> bytes:
    try:
        return os.read(fd, EVENTS_BYTES)
    except BlockingIOError:
        return b""
    except OSError as error:
        raise StateError(f"{path}: was unplugged ({error.strerror}); plug it in, and start again") from error


def _device(path: str) -> int:
    """Open the device as root, because the gate's user may have no access to it. Raises `OSError`."""
    with named.reading(Path(path)):
        return open_device(path)


def _open(path: str, until_then: ExitStack) -> int:
    """Open the device for exclusive use. Raises `StateError`."""
    try:
        fd = _device(path)
    except OSError as error:
        raise StateError(f"{path}: cannot be read ({error.strerror}); run this as root") from error
    until_then.callback(os.close, fd)
    until = time.monotonic() + LET_GO_S
    while True:
        try:
            grab_device(fd)
        except OSError as error:
            if time.monotonic() > until:
                raise StateError(
                    f"{path}: another program uses it ({error.strerror}); end that program first"
                ) from error
            time.sleep(0.1)
        else:
            return fd


def _read_keys(state: Path, show: Callable[[ReaderReading], None], seconds: float) -> None:
    """Pass each output of the brain's readers to `show`, for `seconds`. Raises `StateError`."""
    until = time.monotonic() + seconds
    with reading_socket(state) as listening:
        while (left_s := until - time.monotonic()) > 0:
            if (reading := next_reading(listening, left_s)) is not None:
                show(reading)


async def _read_devices(
    paths: Sequence[str], usb: dict[str, UsbSettings], show: Callable[[ReaderReading], None], seconds: float
) -> None:
    """Read the USB readers directly, as the brain does, if no brain runs."""

    def on_typed(path: str) -> Callable[[TypedNumber], None]:
        """Return a function that shows the numbers of the device at `path`."""
        return lambda typed: show(reading_of(typed, path))

    devices = [UsbReader(path, on_typed(path), settings=usb.get(path), open_device=_device) for path in paths]
    tasks = [asyncio.create_task(device.run()) for device in devices]
    try:
        await asyncio.sleep(seconds)
    finally:
        for task in tasks:
            task.cancel()


@contextmanager
def _ring(context: Context) -> Iterator[KeyRing | None]:
    """Yield the cards in use, or None if this user cannot read them."""
    settings = context.settings
    people = settings.state / "people.db"
    if not people.exists() or people.stat().st_uid != os.geteuid():
        yield None
        return
    with closing(KeyRing.open_best(settings.state, settings.site.id)) as ring:
        yield ring


def _show_reading(output: ReaderReading, ring: KeyRing | None, *, as_json: bool) -> None:
    """Print one line for each output of a reader, and all readings of a card."""
    readings = (
        card_readings.shown(output.number) if output.kind == "card" and card_readings.numbers_in(output.number) else []
    )
    found = [each.id for each in ring.cards(output.number)] if ring is not None and readings else []
    if as_json:
        named = [{"kind": kind, "reading": reading} for kind, reading in readings]
        show_json({"said": output, "readings": named, "cards": found})
        return
    streams.echo(f"reader {output.reader}: {'a PIN' if output.kind == 'pin' else output.detail}")
    for kind, reading in readings:
        streams.echo(f"  {kind}: {reading}")
    if readings and ring is not None:
        owner = f"card {' and '.join(found)}" if found else "assigned to no person"
        streams.echo(f"  {owner}{': the reader cannot distinguish them, so none opens' if len(found) > 1 else ''}")


def _text(path: Path) -> str:
    """Return the text of the settings file. Raises `ConfigError`."""
    try:
        return read_text(path)
    except HandwritingError as error:
        raise ConfigError(str(path), [str(error)]) from error
