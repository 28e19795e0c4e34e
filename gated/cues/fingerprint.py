"""A fingerprint on the gate screen, for two people who compare it with the screen of another gate.

A command at this gate requests it. An idle gate shows the fingerprint while that command runs. It is a digest of public
keys, so it reveals no face and opens no door.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gated.cues.cue import Language
from gated.printable import line
from gated.runtime import local_request
from gated.wording import UNDECODABLE

REQUEST_NAME = "on-screen"
MOST_COUNTED = 99
"""A higher count is shown as this number and a plus sign."""
LONGEST_GATE_NAME = 28
"""The most characters of a gate's name that fit into one line of the smallest panel."""
FINGERPRINT_LABELS: Mapping[bool, Mapping[Language, str]] = {
    True: {"zh": "本门的密钥指纹", "en": "the fingerprint of this gate"},
    False: {"zh": "密钥指纹，由社区提供", "en": "fingerprint, from the office"},
}
"""The label for the keys of this gate (True), and for those of another gate."""


class RequestedFingerprint(msgspec.Struct, frozen=True):
    """The fingerprint that a command requests: the gate, and the groups of digits as in `gated gates list`."""

    gate: Annotated[str, Meta(min_length=1, max_length=64)]
    fingerprint: Annotated[str, Meta(pattern=r"^[0-9a-f]{4}( [0-9a-f]{4}){7}\Z")]
    is_own: bool


class FingerprintPanel(msgspec.Struct, frozen=True):
    """The fingerprint in the form of the page. `labels` are pairs of language and text."""

    gate: str
    labels: list[tuple[Language, str]]
    groups: list[str]


class ScreenNotes(Struct, frozen=True):
    """The notes for the guard that the screen shows beside every cue."""

    gates: int = 0
    """The count of other gates whose keys wait for acceptance here."""
    consents: int = 0
    """The count of people whose consents wait for acceptance here."""
    compared: RequestedFingerprint | None = None
    """The requested fingerprint, or None. Only an idle gate shows it."""


@contextmanager
def show_fingerprint(state: Path, compared: RequestedFingerprint) -> Iterator[Callable[[], bool]]:
    """Request this fingerprint until the end of the block. Yields a function that returns whether the request is still
    valid. Raises `StateError`.
    """
    with local_request.wishing(state / REQUEST_NAME, msgspec.json.encode(compared)) as stands:
        yield stands


def requested_fingerprint(state: Path) -> RequestedFingerprint | None:
    """Return the requested fingerprint, or None."""
    request = local_request.wished(state / REQUEST_NAME)
    try:
        return None if request is None else msgspec.json.decode(request, type=RequestedFingerprint)
    except UNDECODABLE:
        return None


def fingerprint_panel(compared: RequestedFingerprint, languages: tuple[Language, ...]) -> FingerprintPanel:
    """Return the fingerprint in the form of the page."""
    texts = FINGERPRINT_LABELS[compared.is_own]
    labels = [(language, texts[language]) for language in languages]
    return FingerprintPanel(_short(line(compared.gate)), labels, compared.fingerprint.split())


def _short(name: str) -> str:
    """Return a name that fits into one line. A long name loses its middle."""
    return (
        name
        if len(name) <= LONGEST_GATE_NAME
        else f"{name[: LONGEST_GATE_NAME // 2]}…{name[-LONGEST_GATE_NAME // 2 + 1 :]}"
    )


def waiting_note(beside: ScreenNotes) -> Mapping[Language, str] | None:
    """Return a small note with the counts of keys and consents that wait for acceptance here, or None without any."""
    if not beside.gates and not beside.consents:
        return None
    parts = [(beside.gates, "密钥", "keys"), (beside.consents, "同意", "consents")]
    zh = "、".join(f"{word} {_number(count)}" for count, word, _ in parts if count)
    en = ", ".join(f"{word} {_number(count)}" for count, _, word in parts if count)
    return {"zh": f"待核对：{zh}", "en": f"to check: {en}"}


def _number(count: int) -> str:
    return f"{MOST_COUNTED}+" if count > MOST_COUNTED else str(count)
