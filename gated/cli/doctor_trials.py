"""The trials of `gated doctor` that need a person at the gate. They run only on request, on a terminal."""

import asyncio
import sys
from collections.abc import Iterator

import click

from gated.cli import streams
from gated.config import Settings
from gated.doctor.finding import Finding, amber, green, red
from gated.doctor.trials import in_command, of_cycle, open_once, show_lights, speak
from gated.errors import LatchError

AS_WHOM = "stop the gate (`systemctl stop gated`), and try as its user: `runuser -u gated -- gated doctor ...`"


def need_somebody() -> None:
    """Raise `UsageError` without a terminal, because nobody could answer."""
    if not sys.stdin.isatty():
        raise click.UsageError("--door, --lights and --sound need a person at a terminal who watches the gate")


def try_doors(settings: Settings, by: str) -> Iterator[Finding]:
    """Open every door once, each with a separate lease."""
    for name, wires in settings.doors.items():
        if not _asked(f"Release {name} for {wires.release_s:g} s now? A person must stand at it."):
            yield amber(f"{name}: opening", "not tested", "test it before handover")
            continue
        found = asyncio.run(_opening(settings, name, by))
        if found.light == "green" and not _asked("Did the lock release, and is the door locked again? Pull at it."):
            step = "check the lock's kind, supply and bolt, and the door closer"
            found = red(found.part, f"the latch reported: {found.result}; the installer saw a different result", step)
        yield found


async def _opening(settings: Settings, name: str, by: str) -> Finding:
    wires = settings.doors[name]
    try:
        async with in_command(settings) as hand:
            if hand.seen.doors.get(name) == "open":
                return red(
                    f"{name}: opening", "the door is already open", "close the door; if it is closed, check its contact"
                )
            return of_cycle(name, await open_once(hand, name, wires, by, _print), wires)
    except LatchError as error:
        raise LatchError(f"{error}; {AS_WHOM}") from error


def try_lights(settings: Settings) -> Finding:
    """Show every light, the buzzer and the pad, one after the other."""
    lines = asyncio.run(_lights(settings))
    if not lines:
        return amber("lights", "no lamp is fitted", "fit lamps: deaf people must see what the gate does")
    if _asked(f"Did each of the {len(lines)} turn on, alone and in this order?"):
        return green("lights", f"all correct: {', '.join(lines)}")
    return red("lights", f"not all correct: {', '.join(lines)}", "check the pins in [cues] and their wires")


async def _lights(settings: Settings) -> list[str]:
    try:
        async with in_command(settings) as hand:
            return await show_lights(hand, settings, _print)
    except LatchError as error:
        raise LatchError(f"{error}; {AS_WHOM}") from error


def try_sound(settings: Settings) -> Finding:
    """Play the prompt of an opening gate."""
    if settings.cues.sound == "none":
        return amber("sound", "no loudspeaker is set", 'fit one for blind people, and set [cues] sound = "alsa"')
    if not asyncio.run(speak(settings)):
        step = "run apt-get install alsa-utils, or set [cues] sound_device to a device of `aplay -L`"
        return red("sound", "the loudspeaker cannot play it", step)
    if _asked("Was every word clear where people stand?"):
        return green("sound", f"clear, at volume {settings.cues.volume:g}")
    return red("sound", "not clear", "check [cues] volume, `alsamixer` and the wires")


def _asked(question: str) -> bool:
    return streams.confirm(question, default=False, err=True)


def _print(text: str) -> None:
    streams.echo(text, err=True)
