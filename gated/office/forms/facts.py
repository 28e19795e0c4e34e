"""What the forms say of a site: from a file that the office fills in, and from what the office knows."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from gated import wording
from gated.config import Settings
from gated.config.reading import read
from gated.errors import ConfigError

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
Way = Literal["card", "pin", "key", "call", "guard", "pass"]

WAYS: Mapping[str, Mapping[str, str]] = {
    "en": {"card": "card", "pin": "PIN", "key": "key", "call": "call button", "guard": "the guard",
           "pass": "a visitor's pass"},
    "zh": {"card": "刷卡", "pin": "密码", "key": "钥匙", "call": "呼叫键", "guard": "值班人员", "pass": "访客码"},
}  # fmt: skip
TRAVEL = {
    "en": {True: "For those who agreed to that as well it is sent, sealed, to the other gates of this site; the office "
                 "passes it on and cannot open it.",
           False: "It never leaves the gate."},
    "zh": {True: "另外同意的人，模板加密以后发给本小区其他的门；办公室只转交，打不开。", False: "模板不离开这台设备。"},
}  # fmt: skip
JOIN = {"en": ", ", "zh": "、"}
BLANK = "________________"
LONGEST = 300

Text = Annotated[str, Meta(max_length=LONGEST, description=f"a text of up to {LONGEST} signs")]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the office says of itself. Empty: nobody has said it, and the paper has a blank there."""

    site_name: Text = ""
    site_name_zh: Text = ""
    controller: Text = ""
    controller_zh: Text = ""
    address: Text = ""
    contact: Text = ""
    contact_zh: Text = ""
    telephone: Text = ""
    other_ways: tuple[Way, ...] = ()
    """As good as a face; without one no face may be asked for."""
    faces_travel: bool | None = None
    seen_by: Text = ""
    seen_by_zh: Text = ""
    face_years: Annotated[int, Meta(ge=1, le=20)] | None = None
    office_days: Annotated[int, Meta(ge=1, le=3660)] | None = None
    assessment: Text = ""
    decision: Text = ""
    models: Text = ""


def read_facts(path: Path) -> Facts:
    """The facts of a file (TOML). Raises `ConfigError` with every problem."""
    data = read(path, "`gated office forms` without --facts writes a commented example")
    problems = [f"{key}: unknown key{_meant(key)}" for key in data if key not in Facts.__struct_fields__]
    good: dict[str, Any] = {}
    for name, kind in get_type_hints(Facts, include_extras=True).items():
        if name in data:
            try:
                good[name] = msgspec.convert(data[name], kind)
            except msgspec.ValidationError as error:
                problems.append(f"{name}: {wording.shown(data[name])} will not do: {wording.problem(error, kind)}")
    if problems:
        raise ConfigError(str(path), problems)
    return Facts(**good)


def with_settings(facts: Facts, settings: Settings) -> Facts:
    """The facts, and what a gate's settings know where they say nothing: its models, its telephone, its ways in."""
    door, readers = settings.door, settings.readers
    fitted: dict[Way, bool] = {
        "card": bool(readers.devices or door.wiegand_pins),
        "pin": bool(readers.keypad_rows),
        "call": door.call_pin is not None,
    }
    known = {
        "models": settings.models.set,
        "telephone": settings.cues.phone,
        "other_ways": tuple(way for way, is_fitted in fitted.items() if is_fitted),
    }
    return replace(facts, **{name: value for name, value in known.items() if not getattr(facts, name)})


def values(facts: Facts, language: Language, gates: Sequence[str], gate_days: int, version: str) -> dict[str, str]:
    """What goes into the blanks of a form; `BLANK` where nobody has said it."""

    def said(name: str) -> str:
        own = getattr(facts, f"{name}_zh", "") if language == "zh" else ""
        return next(filter(None, map(_plain, (own, getattr(facts, name)))), BLANK)

    ways, travel = WAYS[language], TRAVEL[language]
    return {
        **{name: said(name) for name in ("controller", "contact", "seen_by")},
        **{name: said(name) for name in ("address", "telephone", "assessment", "decision", "models")},
        "site": said("site_name"),
        "ways": JOIN[language].join(ways[way] for way in facts.other_ways) or BLANK,
        "travel": BLANK if facts.faces_travel is None else travel[facts.faces_travel],
        "gates": JOIN[language].join(gates) or BLANK,
        "face_years": BLANK if facts.face_years is None else str(facts.face_years),
        "office_days": BLANK if facts.office_days is None else str(facts.office_days),
        "gate_days": str(gate_days),
        "version": version,
    }


def missing(facts: Facts, gates: Sequence[str]) -> list[str]:
    """Which keys nobody has filled in, with what they are for; a form with one of them is not to be handed out."""
    optional = ("site_name_zh", "controller_zh", "contact_zh", "seen_by_zh")
    empty = [name for name in Facts.__struct_fields__ if name not in optional and not _is_said(getattr(facts, name))]
    return [*empty, *([] if gates else ["gates (none has joined the office yet)"])]


def _is_said(value: object) -> bool:
    return bool(_plain(value)) if isinstance(value, str) else value not in (None, ())


def _plain(text: str) -> str:
    """One line of it; empty for signs without a letter or digit, which stand for what nobody has filled in."""
    return " ".join(text.split()) if any(sign.isalnum() for sign in text) else ""


def _meant(key: str) -> str:
    near = difflib.get_close_matches(key, Facts.__struct_fields__, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(Facts.__struct_fields__)}"
