"""Draw a rendered person from a seed. Used by the courtyard, the evaluation and the training of the models.

A seed gives the same person in every version: trained models and reports depend on it. Adult proportions follow the
canon of artists and craniofacial norms. The eyes are half way up the head, the pupils 0.55 apart. The nose ends at
-0.42, and the lips meet at -0.62. The ranges are wider than in life, because that keeps strangers apart at 112 px.
"""

from dataclasses import replace
from typing import cast, get_args

import numpy as np

from gated.simulator.likeness import Age, Colour, HairStyle, Likeness

RANGES: dict[str, tuple[float, float]] = {
    "head_width": (0.58, 0.76),
    "head_depth": (0.78, 0.92),
    "crown": (0.92, 1.16),
    "jaw_width": (0.62, 0.90),
    "jaw_height": (0.16, 0.50),
    "jaw_square": (0.75, 1.9),
    "chin_y": (-1.10, -0.90),
    "chin_out": (-0.07, 0.09),
    "chin_width": (0.05, 0.20),
    "cheek_out": (-0.03, 0.09),
    "cheek_full": (-0.06, 0.09),
    "forehead": (-0.07, 0.06),
    "brow_ridge": (0.0, 0.06),
    "eye_x": (0.22, 0.345),
    "eye_y": (-0.05, 0.05),
    "eye_width": (0.095, 0.165),
    "eye_height": (0.028, 0.064),
    "eye_tilt": (-0.16, 0.30),
    "eye_deep": (0.01, 0.10),
    "iris_size": (0.046, 0.060),
    "fold": (0.0, 1.0),
    "epicanthus": (0.0, 1.0),
    "bags": (0.0, 0.6),
    "brow_y": (0.12, 0.27),
    "brow_thick": (0.014, 0.055),
    "brow_tilt": (-0.30, 0.30),
    "brow_arch": (0.0, 2.0),
    "brow_length": (0.13, 0.23),
    "brow_gap": (0.06, 0.16),
    "brow_dense": (0.45, 1.0),
    "nose_y": (-0.50, -0.28),
    "nose_width": (0.09, 0.21),
    "nose_bridge": (0.00, 0.13),
    "nose_bridge_width": (0.04, 0.095),
    "nose_tip": (0.11, 0.25),
    "nose_tip_size": (0.055, 0.115),
    "nose_hump": (-0.03, 0.04),
    "nose_up": (-0.05, 0.05),
    "mouth_gap": (0.13, 0.27),
    "mouth_width": (0.14, 0.30),
    "upper_lip": (0.018, 0.065),
    "lower_lip": (0.028, 0.078),
    "lip_out": (0.02, 0.08),
    "mouth_corner": (-0.03, 0.03),
    "cupid": (0.0, 0.6),
    "ear_size": (0.20, 0.34),
    "ear_out": (0.10, 0.75),
    "asymmetry": (-0.03, 0.03),
    "tone": (0.0, 1.0),
    "undertone": (-1.0, 1.0),
    "lip_red": (0.0, 1.0),
    "blush": (0.0, 1.0),
    "oily": (0.15, 1.0),
    "freckles": (0.0, 1.0),
    "blemishes": (0.0, 1.0),
    "beard": (0.0, 1.0),
    "beard_line": (0.0, 1.0),
    "wrinkles": (0.0, 0.25),
    "spots": (0.0, 0.1),
    "hairline": (0.42, 0.72),
    "hairline_shape": (-0.25, 0.45),
    "hair_volume": (0.05, 0.16),
    "hair_length": (0.0, 1.0),
    "hair_part": (-0.4, 0.4),
    "hair_shade": (0.0, 1.0),
    "grey": (0.0, 0.05),
    "neck_width": (0.28, 0.40),
}
"""Parameters drawn uniformly between two bounds. Append only: any other change gives every seed another face."""


def identity(seed: int, age: str | None = None) -> Likeness:
    """Return the person of this seed, always the same. `age`: overrides the age drawn.

    Raises `ValueError` for an age other than those of `Age`.
    """
    rng = np.random.default_rng([seed, 0])
    drawn = {
        name: float(lo + (hi - lo) * share)
        for (name, (lo, hi)), share in zip(RANGES.items(), rng.random(len(RANGES)), strict=True)
    }
    choice = rng.random(8)
    own = "child" if choice[0] < 0.12 else "old" if choice[0] < 0.3 else "adult"
    if age not in (None, *get_args(Age)):
        raise ValueError(f"unknown age {age!r}; use one of {', '.join(get_args(Age))}")
    styles = get_args(HairStyle)
    person = Likeness(
        seed=seed,
        age=cast(Age, age or own),
        hair_style=styles[int(choice[1] * len(styles))],
        iris=_iris(drawn["tone"], choice[2]),
        shirt=_shirt(*rng.random(4).tolist()),
        **drawn,
    )
    if choice[3] < 0.6:
        person = _east_asian(person, choice[4])
    shape = {"child": _child, "adult": _adult, "old": _old}[person.age]
    return shape(person)


def _shirt(red: float, green: float, blue: float, grey: float) -> Colour:
    """Return a colour of clothes, duller than a random one."""
    tone, mean = 0.25 + 0.75 * grey, (red + green + blue) / 3
    return (
        0.06 + 0.8 * (red + tone * (mean - red)),
        0.06 + 0.8 * (green + tone * (mean - green)),
        0.06 + 0.8 * (blue + tone * (mean - blue)),
    )


def _iris(tone: float, share: float) -> Colour:
    """Return brown for nearly everybody; sometimes hazel, green or blue with light skin."""
    if tone < 0.35 and share > 0.7:
        return ((0.33, 0.42, 0.52), (0.36, 0.42, 0.30), (0.42, 0.32, 0.16))[int(share * 30) % 3]
    return (0.13 + 0.22 * share, 0.08 + 0.12 * share, 0.04 + 0.06 * share)


def _east_asian(person: Likeness, share: float) -> Likeness:
    """Apply traits common in East Asia: a low bridge, a narrow fold, black hair, light to olive skin."""
    return replace(
        person,
        tone=0.04 + 0.46 * person.tone,
        undertone=0.5 + 0.5 * person.undertone,
        fold=person.fold * (0.35 if share < 0.55 else 1.0),
        epicanthus=0.3 + 0.7 * person.epicanthus,
        nose_bridge=0.6 * person.nose_bridge,
        eye_deep=0.7 * person.eye_deep,
        eye_height=0.9 * person.eye_height,
        hair_shade=0.7 * person.hair_shade,
        iris=_iris(1.0, share),
        freckles=0.5 * person.freckles,
    )


def _adult(person: Likeness) -> Likeness:
    """Apply adult traits: no beard and finer brows with long hair styles."""
    if person.hair_style in ("long", "bob", "bun", "fringe"):
        return replace(person, beard=0.0, brow_ridge=0.4 * person.brow_ridge, brow_thick=0.75 * person.brow_thick)
    return person


def _child(person: Likeness) -> Likeness:
    """Apply traits of children: larger eyes and forehead, small nose and jaw, full cheeks, smooth skin."""
    style = "short" if person.hair_style in ("bald", "receding") else person.hair_style
    chin_y = 0.80 * person.chin_y
    return replace(
        person,
        hair_style=style,
        chin_y=chin_y,
        crown=1.08 * person.crown,
        jaw_width=0.92 * person.jaw_width,
        jaw_square=1.0,
        cheek_full=0.05 + 0.6 * person.cheek_full,
        brow_ridge=0.0,
        eye_y=person.eye_y - 0.03,
        eye_height=1.08 * person.eye_height,
        iris_size=1.15 * person.iris_size,
        brow_thick=0.85 * person.brow_thick,
        brow_y=0.95 * person.brow_y,
        nose_y=0.74 * person.nose_y,
        nose_width=0.85 * person.nose_width,
        nose_bridge=0.3 * person.nose_bridge,
        nose_tip=0.72 * person.nose_tip,
        mouth_gap=0.8 * person.mouth_gap,
        mouth_width=0.90 * person.mouth_width,
        neck_width=0.8 * person.neck_width,
        beard=0.0,
        bags=0.0,
        wrinkles=0.0,
        spots=0.0,
        blemishes=0.3 * person.blemishes,
        grey=0.0,
    )


def _old(person: Likeness) -> Likeness:
    """Apply traits of old people: grey hair, wrinkles, sagging."""
    style = "receding" if person.hair_style == "side" else person.hair_style
    beard = 0.0 if style in ("long", "bob", "bun", "fringe") else person.beard
    return replace(
        person,
        hair_style=style,
        beard=beard,
        grey=0.4 + 12 * person.grey,
        wrinkles=0.45 + 2.2 * person.wrinkles,
        spots=0.2 + 8 * person.spots,
        bags=0.4 + person.bags,
        eye_height=0.85 * person.eye_height,
        upper_lip=0.75 * person.upper_lip,
        lower_lip=0.8 * person.lower_lip,
        cheek_full=person.cheek_full - 0.02,
        ear_size=1.12 * person.ear_size,
    )
