"""A fingerprint on the gate screen, for two people who compare it with what another gate shows.

Somebody at this gate asks for it on its command line, and it is shown while that command runs and nothing else is to be
told. It is a digest of public keys: whoever passes by learns nothing by which a face or a door could be had.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from gated.cues.cue import Language
from gated.printable import line
from gated.runtime import local_request
from gated.wording import UNDECODABLE

NAME = "on-screen"
MOST = 99
"""A higher number is shown as this one and more."""
LONGEST = 28
"""So many signs of a gate's name have room in one line of the smallest panel."""
LABELS: Mapping[bool, Mapping[Language, str]] = {
    True: {"zh": "本门的密钥指纹", "en": "the fingerprint of this gate"},
    False: {"zh": "密钥指纹，社区所报", "en": "fingerprint, as the office says it"},
}
"""Of this gate itself, and of another one."""


class Compared(msgspec.Struct, frozen=True):
    """Which gate's keys, and their fingerprint in groups, as `gated gates list` has it."""

    gate: Annotated[str, Meta(min_length=1, max_length=64)]
    fingerprint: Annotated[str, Meta(pattern=r"^[0-9a-f]{4}( [0-9a-f]{4}){7}\Z")]
    is_own: bool


class Keys(msgspec.Struct, frozen=True):
    """The same as the page shows it. `labels`: language and text."""

    gate: str
    labels: list[tuple[Language, str]]
    groups: list[str]


@dataclass(frozen=True, slots=True)
class Beside:
    """What the screen tells whoever looks after the gate, beside every cue."""

    gates: int = 0
    """Other gates whose keys wait to be accepted here."""
    consents: int = 0
    """People whose consents wait."""
    compared: Compared | None = None
    """Shown by an idle gate alone."""


@contextmanager
def comparing(state: Path, compared: Compared) -> Iterator[Callable[[], bool]]:
    """Have it shown until the end of the block. Gives whether this wish still stands. Raises `StateError`."""
    with local_request.wishing(state / NAME, msgspec.json.encode(compared)) as stands:
        yield stands


def compared_now(state: Path) -> Compared | None:
    """What somebody wants to see at this moment; None if nobody does."""
    said = local_request.wished(state / NAME)
    try:
        return None if said is None else msgspec.json.decode(said, type=Compared)
    except UNDECODABLE:
        return None


def keys_of(compared: Compared, languages: tuple[Language, ...]) -> Keys:
    """What the page shows of it."""
    texts = LABELS[compared.is_own]
    labels = [(language, texts[language]) for language in languages]
    return Keys(_short(line(compared.gate)), labels, compared.fingerprint.split())


def _short(name: str) -> str:
    """A name that stands in one line: a long one without its middle."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}…{name[-LONGEST // 2 + 1 :]}"


def waiting_note(beside: Beside) -> Mapping[Language, str] | None:
    """A small note that so many gates' keys, and people's consents, wait to be accepted here; None if none does."""
    if not beside.gates and not beside.consents:
        return None
    parts = [(beside.gates, "密钥", "keys"), (beside.consents, "同意", "consents")]
    zh = "、".join(f"{word} {_number(count)}" for count, word, _ in parts if count)
    en = ", ".join(f"{word} {_number(count)}" for count, _, word in parts if count)
    return {"zh": f"待核对：{zh}", "en": f"to check: {en}"}


def _number(count: int) -> str:
    return f"{MOST}+" if count > MOST else str(count)
