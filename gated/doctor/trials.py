"""Tries out a gate while an installer watches: a full opening of a door, every light, the loudspeaker.

It bypasses nothing. It acts as the brain at the latch, so the latch must accept this user as its brain. No gate
may run on the state folder. A lockdown holds. The lease is the door's own. Every fact goes into the journal.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime
from time import monotonic

from gated.access.lockdown import read_lockdown
from gated.config import Settings, Wires
from gated.cues.cue import Situation
from gated.cues.samples import RATE
from gated.cues.sound import Sound, Sounding
from gated.cues.voice import Voice
from gated.cues.words import fitted_of
from gated.doctor.finding import Finding, green, red
from gated.door.latch_client import LatchClient
from gated.door.latch_messages import LatchState
from gated.door.latch_observer import read_latch_state
from gated.door.pin_source import output_pins
from gated.errors import LatchError
from gated.events import (
    DoorClosed,
    DoorDidNotOpen,
    DoorOpened,
    DoorReleased,
    DoorSecured,
    DoorTried,
    Event,
    LineImplausible,
    ReleaseRefused,
)
from gated.journal.journal import Journal
from gated.storage.process_lock import FileLock

VISIT = "doctor"
"""The visit id of such a release, in the journal and at the latch."""
LINK_S = 3.0
"""Limits how long the latch may take to accept the connection, in seconds."""
SHUT_S = 20.0
"""Longest time from the end of the lease until the contact reports a closed leaf, in seconds."""
SHOW_S = 1.5
"""How long each light shines, the buzzer sounds and the pad shakes, in seconds."""
TAIL_S = 0.5
"""Longest time until the player has finished a sound, in seconds."""

Print = Callable[[str], None]
"""Callback that shows a line to the installer."""
Fact = tuple[float, Event]
"""Seconds after the request, and the event."""


class Hand:
    """The brain's place at the latch, while the installer tries something."""

    def __init__(self, settings: Settings, journal: Journal, seen: LatchState) -> None:
        self.seen, self.is_linked = seen, asyncio.Event()
        self._journal, self._facts = journal, asyncio.Queue[tuple[datetime, Event]]()
        self.door = LatchClient(settings.latch_socket, self._record_event, lambda *_: self.is_linked.set())

    def note(self, event: Event) -> None:
        """Write a fact to the journal."""
        self._journal.append(event, datetime.now(UTC))

    async def next(self) -> tuple[datetime, Event]:
        """Return the next fact from the latch. It may be older than this connection."""
        return await self._facts.get()

    def _record_event(self, event: Event, at: datetime) -> None:
        """Store a fact from the latch, including those it kept for the next brain.

        Nobody else would write them down.
        """
        self._journal.append(event, at)
        self._facts.put_nowait((at, event))


@asynccontextmanager
async def in_command(settings: Settings) -> AsyncIterator[Hand]:
    """Take the brain's place at the latch until the end of the block.

    Raises `BusyError` while a gate runs, `LatchError` if no latch accepts this process as its brain, and `StateError`
    if the journal cannot be written.
    """
    seen = await read_latch_state(
        settings.latch_socket
    )  # first: if the latch refuses this user, no file must stay behind
    with (
        closing(FileLock(settings.state / "run.lock", "a gate with this state folder")),
        closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal,
    ):
        hand = Hand(settings, journal, seen)
        if read_lockdown(settings.state) is not None:
            hand.door.lockdown(True)
        link = asyncio.create_task(hand.door.run(), name="door")
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(LINK_S):
                    await hand.is_linked.wait()
            if not hand.door.is_linked:
                raise LatchError("the latch does not take us for its brain: another one commands it; stop that first")
            yield hand
        finally:
            link.cancel()  # the latch then secures the door, and its report is recorded
            await asyncio.wait([link])


async def open_once(hand: Hand, name: str, wires: Wires, by: str, printed: Print) -> list[Fact]:
    """Release one door under a separate lease. Watch until the leaf was open and is shut, or the time is up."""
    hand.note(DoorTried(by, door=name))
    began, until = datetime.now(UTC), monotonic() + wires.release_s + SHUT_S
    hand.door.release(VISIT, wires.release_s, monotonic(), name)
    facts: list[Fact] = []
    with suppress(TimeoutError):
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + until - monotonic()):
            while not _is_over(facts, wires):
                at, event = await hand.next()
                if at >= began and getattr(event, "door", name) == name:
                    facts.append(((at - began).total_seconds(), event))
                    printed(f"{name}: {facts[-1][0]:.1f} s  {_WORDS.get(type(event), '')}".rstrip())
    return facts


_WORDS: dict[type[Event], str] = {
    DoorReleased: "released: open the door, then let it close",
    DoorOpened: "the contact reports an open door",
    DoorClosed: "the contact reports a closed door",
    DoorSecured: "secured",
    DoorDidNotOpen: "the contact reported no opening",
    LineImplausible: "an input has an implausible level",
    ReleaseRefused: "the latch refuses",
}


def _is_over(facts: Sequence[Fact], wires: Wires) -> bool:
    kinds = {type(event) for _, event in facts}
    if kinds & {ReleaseRefused, DoorDidNotOpen}:
        return True
    return DoorSecured in kinds and (wires.contact_pin is None or {DoorOpened, DoorClosed} <= kinds)


def of_cycle(name: str, facts: Sequence[Fact], wires: Wires) -> Finding:
    """Return the result of one opening. Pure."""
    part, first = f"{name}: opening", {type(event): (after_s, event) for after_s, event in reversed(facts)}
    refused, odd = first.get(ReleaseRefused), first.get(LineImplausible)
    if refused is not None and isinstance(refused[1], ReleaseRefused):
        return red(part, f"the latch refuses: {refused[1].why}", "remove the reason, and try again")
    if DoorReleased not in first:
        return red(part, "the latch did not release the lock", "read the log of the latch")
    if odd is not None and isinstance(odd[1], LineImplausible):
        return red(part, f"{odd[1].line}: {odd[1].why}", "check the relay board's supply, then that wire")
    if DoorSecured not in first:
        return red(part, "the lock was not secured again", "cut its power; check the relay and the log of the latch")
    times = {"released_s": first[DoorReleased][0], "secured_s": first[DoorSecured][0]}
    if wires.contact_pin is None:
        return green(
            part, f"released, and secured after {times['secured_s']:.1f} s; no door contact is fitted", **times
        )
    if DoorOpened not in first:
        result = f"released for {times['secured_s']:.1f} s, and the contact reported no opening"
        return red(
            part, result, "if the door was opened, check its contact; otherwise check the lock's supply", **times
        )
    times["opened_s"] = first[DoorOpened][0]
    if DoorClosed not in first:
        return red(
            part,
            "the door opened, and the contact reported no closing",
            "close the door; check its closer and contact",
            **times,
        )
    times["closed_s"] = first[DoorClosed][0]
    result = "released, open after {opened_s:.1f} s, shut after {closed_s:.1f} s, secured after {secured_s:.1f} s"
    return green(part, result.format(**times), **times)


async def show_lights(hand: Hand, settings: Settings, printed: Print) -> list[str]:
    """Switch on every light, the buzzer and the pad in turn. Return which are fitted."""
    pins = output_pins(settings.cues)
    for line, pin in pins.items():
        printed(f"{line} (pin {pin})")
        hand.door.play(line, (SHOW_S,))
        await asyncio.sleep(SHOW_S)
        hand.door.play(line)
    return list(pins)


async def speak(settings: Settings) -> bool:
    """Speak the opening prompt at daytime volume. Return whether the loudspeaker played it."""
    voice = Voice(settings.cues, settings.prompts, fitted_of(settings))
    once = voice.sound_of(Situation.OPEN, None, False, lambda: 0.0).once
    sound = Sound(settings.cues.sound_device)
    playing = asyncio.create_task(sound.run(), name="sound")
    try:
        sound.play(Sounding(once, volume=settings.cues.volume))
        await asyncio.sleep(once.size / RATE + TAIL_S)
    finally:
        playing.cancel()
        await asyncio.wait([playing])
    return not sound.is_mute
