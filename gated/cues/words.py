"""The texts of a gate: they name only the credential kinds that it has, and its telephone number. Pure.

Many sentences end with the credentials that people can use. This module builds that ending from the fitted parts: no
"card" without a reader, no "code" without a keypad, no "call" without a call button.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from gated.config import Settings
from gated.cues.cue import Cue, Tail

OfferedKind = Literal["card", "code", "call"]

ZH: Mapping[OfferedKind, str] = MappingProxyType({"card": "刷卡", "code": "输密码", "call": "按呼叫键"})
EN: Mapping[OfferedKind, str] = MappingProxyType({"card": "a card", "code": "a code"})
SPOKEN_DIGITS = {
    "zh": dict(zip("0123456789", "零幺二三四五六七八九", strict=True)),
    "en": dict(
        zip("0123456789", ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], strict=True)
    ),
}
"""Spoken digits of a telephone number. Chinese uses 幺 (yao) for one, because 一 (yi) sounds like 七 (qi), seven."""
PHONE_LABEL = {"zh": "电话", "en": "Telephone"}
FETCH = {"zh": "请找值班人员", "en": "Please fetch the warden."}
PHONE_ENDING = {"zh": "请打电话", "en": "Please telephone."}
EXIT = {"zh": "离开请按按钮", "en": "To leave, press the button."}
INSTEAD: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        "code": ("keypad", {"zh": "密码", "en": "CODE"}),
        "call": ("press", {"zh": "按铃", "en": "RING"}),
        "phone": ("phone", {"zh": "电话", "en": "PHONE"}),
        "warden": ("warden", {"zh": "求助", "en": "HELP"}),
    }
)
"""The pictogram and word that replace the card at a gate without a card reader, by `Fitted.first`."""


class Fitted(Struct, frozen=True):
    """The fitted parts of a gate. `phone` is the telephone number as written, or empty."""

    card: bool = True
    code: bool = True
    call: bool = True
    exit_button: bool = True
    phone: str = ""

    @property
    def credentials(self) -> tuple[OfferedKind, ...]:
        """The credential kinds beside the face, in the order in which texts name them."""
        has: dict[OfferedKind, bool] = {"card": self.card, "code": self.code, "call": self.call}
        return tuple(kind for kind, is_fitted in has.items() if is_fitted)

    @property
    def first(self) -> str:
        """The first thing that a refused person should use: a credential kind, else "phone", else "warden"."""
        return (*self.credentials, "phone" if self.phone else "warden")[0]


EVERYTHING = Fitted()
"""A gate with every credential kind, and without a telephone number."""


def fitted_of(settings: Settings) -> Fitted:
    """Return the fitted parts by the settings.

    A USB device may be a reader or a keypad. So the setting `[cues] ways`, if given, decides.
    """
    cues, readers, wires = settings.cues, settings.readers, tuple(settings.doors.values())
    kinds = cues.ways
    if kinds is None:
        has_card = bool(readers.devices) or any(each.wiegand_pins is not None for each in wires)
        has_code = bool(readers.devices) or bool(readers.keypad_rows)
        has_call = any(each.call_pin is not None for each in wires)
    else:
        has_card, has_code, has_call = "card" in kinds, "code" in kinds, "call" in kinds
    has_exit = any(each.rex_pin is not None for each in wires)
    return Fitted(has_card, has_code, has_call, has_exit, cues.phone.strip())


def cue_sentence(cue: Cue, language: str, fitted: Fitted) -> str:
    """Return the sentence of a cue at this gate. It is shown and spoken."""
    begin, end = cue.sentences[language], sentence_ending(cue.tail, language, fitted)
    if language == "zh":
        return "，".join(part for part in (begin, end) if part)
    return " ".join(part for part in (begin, end) if part)


def cue_word(cue: Cue, language: str, fitted: Fitted) -> str:
    """Return the large word of a cue at this gate."""
    is_replaced = cue.names_credential and fitted.first in INSTEAD
    return INSTEAD[fitted.first][1][language] if is_replaced else cue.words[language]


def cue_pictogram(cue: Cue, fitted: Fitted) -> str:
    """Return the id of the symbol of a cue at this gate."""
    if cue.pictogram == "ways":  # this symbol shows a card, keys and a bell
        return "ways" if len(fitted.credentials) == len(EVERYTHING.credentials) else "later"
    if fitted.first == "card" or "card" not in cue.pictogram:
        return cue.pictogram
    return cue.pictogram.replace("card", INSTEAD[fitted.first][0])


def cue_phone(cue: Cue, fitted: Fitted) -> str:
    """Return the telephone number of a cue. Empty if there is no number, or if people can use a credential."""
    is_named = cue.names_phone or (cue.tail in ("ways", "near") and not fitted.credentials)
    return fitted.phone if is_named else ""


def sentence_ending(tail: Tail, language: str, fitted: Fitted) -> str:
    """Return the ending of a sentence at this gate, or an empty string."""
    if tail == "none" or (tail == "exit" and not fitted.exit_button):
        return ""
    if tail == "exit":
        return EXIT[language]
    if tail == "phone":
        return (PHONE_ENDING if fitted.phone else FETCH)[language]
    kinds = tuple(kind for kind in fitted.credentials if not (tail == "others" and kind == "call"))
    if not kinds and tail != "near":
        return (PHONE_ENDING if fitted.phone else FETCH)[language]
    is_near = tail == "near"
    return _zh(kinds, is_near=is_near) if language == "zh" else _en(kinds, is_near=is_near)


def _zh(kinds: tuple[OfferedKind, ...], *, is_near: bool) -> str:
    parts = [*(["走近"] if is_near else []), *(ZH[kind] for kind in kinds)]
    *most, last = parts
    return f"请{'、'.join(most)}{'或' if most else ''}{last}"


def _en(kinds: tuple[OfferedKind, ...], *, is_near: bool) -> str:
    uses = " or ".join(EN[kind] for kind in kinds if kind in EN)
    parts = [*(["come near"] if is_near else []), *([f"use {uses}"] if uses else [])]
    parts += ["press call"] if "call" in kinds else []
    *most, last = parts
    advice = f"{', '.join(most)}{', or ' if most else ''}{last}."
    return advice[0].upper() + advice[1:] if is_near else f"Please {advice}"


def spoken_phone(phone: str, language: str) -> str:
    """Return the spoken text of a telephone number, digit by digit. Empty if it has no digits."""
    digits = [SPOKEN_DIGITS[language][digit] for digit in phone if digit in SPOKEN_DIGITS[language]]
    if not digits:
        return ""
    if language == "zh":
        return f"{PHONE_LABEL[language]}，{''.join(digits)}"
    return f"{PHONE_LABEL[language]}: {', '.join(digits)}."
