"""A visitor pass as guests show it: a QR code on a phone, held out to the camera."""

import numpy as np

from gated.access.qr import squares
from gated.simulator.attack import Sheet, held_up
from gated.simulator.composition import FACE_M
from gated.simulator.render import Sprite
from gated.simulator.script import GATE_M

CODE_M = 0.06
"""Width of the code with its border: nearly that of a phone's screen."""
REACH_M = 0.4
"""Distance of the phone before the face, with the arm bent."""
SQUARE_PX = 6
BORDER = 4
"""Light border around the code, in modules (ISO/IEC 18004, 5.3.8)."""


def code_on_phone(text: str, rng: np.random.Generator, tilt: float = 10.0) -> Sprite:
    """Return the phone in a hand. It has no landmarks. Its `box` is that of the face at the gate, behind and above it.

    `tilt`: largest angle of the phone, in degrees.
    """
    dark = np.pad(np.array([list(row) for row in squares(text)], np.float32), BORDER)
    code = np.kron(1 - dark, np.ones((SQUARE_PX, SQUARE_PX), np.float32))
    side = code.shape[0]
    edge, end = side // 25, side // 4
    phone = np.ones((2 * side, side + 2 * edge, 4), np.float32)
    phone[..., :3] = 0.06
    phone[edge:-edge, edge:-edge, :3] = 0.93
    phone[end : end + side, edge : edge + side, :3] = 0.05 + 0.88 * code[..., None]
    face = side * FACE_M / CODE_M * (GATE_M - REACH_M) / GATE_M
    box = edge + side / 2 - 0.4 * face, end + side / 2 - 1.45 * face, 0.8 * face, face
    return held_up(Sheet(phone, np.empty((0, 2), np.float32), box), rng, tilt, 0.0, grip=0.2)
