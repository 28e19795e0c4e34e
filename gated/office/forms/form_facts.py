"""The facts for the forms: from a file of the office, and from the office's data."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from gated import names, wording
from gated.config import Settings
from gated.config.reading import read
from gated.errors import ConfigError

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
OtherKind = Literal["card", "pin", "key", "call", "guard", "pass"]

KIND_TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {"card": "card", "pin": "PIN", "key": "key", "call": "call button", "guard": "the guard",
           "pass": "a visitor's pass"},
    "zh": {"card": "刷卡", "pin": "密码", "key": "钥匙", "call": "呼叫按钮", "guard": "值班人员", "pass": "访客码"},
}  # fmt: skip
TRAVEL = {
    "en": {True: "If you agree to that too, it is encrypted and sent to the other gates of this site; the office "
                 "passes it on and cannot open it.",
           False: "It never leaves the gate."},
    "zh": {True: "另外同意的人，模板加密后发给本小区其他的门；办公室只转发，无法解密。", False: "模板不离开这台设备。"},
}  # fmt: skip
JOIN = {"en": ", ", "zh": "、"}
BLANK = "________________"
LONGEST_FACT = 300
"""Limit for one fact, in characters."""

Text = Annotated[str, Meta(max_length=LONGEST_FACT, description=f"a text of up to {LONGEST_FACT} signs")]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The office's own statements about the site. An empty field leaves a blank on the form."""

    site_name: Text = ""
    site_name_zh: Text = ""
    controller: Text = ""
    controller_zh: Text = ""
    address: Text = ""
    contact: Text = ""
    contact_zh: Text = ""
    telephone: Text = ""
    other_ways: tuple[OtherKind, ...] = ()
    """Credentials as good as a face. Without at least one, the office may not ask for a face."""
    faces_travel: bool | None = None
    seen_by: Text = ""
    seen_by_zh: Text = ""
    face_years: Annotated[int, Meta(ge=1, le=20)] | None = None
    office_days: Annotated[int, Meta(ge=1, le=3660)] | None = None
    assessment: Text = ""
    decision: Text = ""
    models: Text = ""


def read_facts(path: Path) -> Facts:
    """Read the facts from a TOML file. Raises `ConfigError` with every problem."""
    data = read(path, "`gated office forms` without --facts writes a commented example")
    problems = [f"{key}: unknown key{_meant(key)}" for key in data if key not in Facts.__struct_fields__]
    accepted: dict[str, Any] = {}
    for name, kind in get_type_hints(Facts, include_extras=True).items():
        if name in data:
            try:
                accepted[name] = msgspec.convert(data[name], kind)
            except msgspec.ValidationError as error:
                problems.append(f"{name}: {wording.shown(data[name])} is not valid: {wording.problem(error, kind)}")
    if problems:
        raise ConfigError(str(path), problems)
    return Facts(**accepted)


def with_settings(facts: Facts, settings: Settings) -> Facts:
    """Fill empty facts from a gate's settings: its models, telephone and other credentials."""
    door, readers = settings.door, settings.readers
    fitted: dict[OtherKind, bool] = {
        "card": bool(readers.devices or door.wiegand_pins),
        "pin": bool(readers.keypad_rows),
        "call": door.call_pin is not None,
    }
    known = {
        "models": settings.models.set,
        "telephone": settings.cues.phone,
        "other_ways": tuple(kind for kind, is_fitted in fitted.items() if is_fitted),
    }
    return replace(facts, **{name: value for name, value in known.items() if not getattr(facts, name)})


def values(facts: Facts, language: Language, gates: Sequence[str], gate_days: int, version: str) -> dict[str, str]:
    """Return the text for each placeholder of a form; `BLANK` for a missing fact."""

    def value(name: str) -> str:
        """Return one fact in the language of the form, or a blank."""
        own = getattr(facts, f"{name}_zh", "") if language == "zh" else ""
        return next(filter(None, map(_plain, (own, getattr(facts, name)))), BLANK)

    texts, travel = KIND_TEXTS[language], TRAVEL[language]
    return {
        **{name: value(name) for name in ("controller", "contact", "seen_by")},
        **{name: value(name) for name in ("address", "telephone", "assessment", "decision", "models")},
        "site": value("site_name"),
        "ways": JOIN[language].join(texts[kind] for kind in facts.other_ways) or BLANK,
        "travel": BLANK if facts.faces_travel is None else travel[facts.faces_travel],
        "gates": JOIN[language].join(gates) or BLANK,
        "face_years": BLANK if facts.face_years is None else str(facts.face_years),
        "office_days": BLANK if facts.office_days is None else str(facts.office_days),
        "gate_days": str(gate_days),
        "version": version,
    }


def missing(facts: Facts, gates: Sequence[str]) -> list[str]:
    """Return the facts that are still missing, with a hint. A form with a missing fact must not be handed out."""
    optional = ("site_name_zh", "controller_zh", "contact_zh", "seen_by_zh")
    empty = [name for name in Facts.__struct_fields__ if name not in optional and not _is_given(getattr(facts, name))]
    return [*empty, *([] if gates else ["gates (no gate has joined the office yet)"])]


def _is_given(value: object) -> bool:
    return bool(_plain(value)) if isinstance(value, str) else value not in (None, ())


def _plain(text: str) -> str:
    """Return the text on one line; empty if it has no letter or digit (a filler such as "---")."""
    return " ".join(text.split()) if any(sign.isalnum() for sign in text) else ""


def _meant(key: str) -> str:
    near = names.closest(key, Facts.__struct_fields__)
    return f"; known here: {', '.join(Facts.__struct_fields__)}" if near is None else f"; did you mean {near!r}?"
