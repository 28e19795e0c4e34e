"""A stand-in for libcamera's Python bindings (src/py/libcamera), as far as picamera2 0.3.38 touches them.

It knows the rules of the real ones: who may do what when, and what is raised otherwise. `bench` is the world outside:
whether a camera is fitted, held by another program, hung, and what it has been made to do.
"""

from . import _libcamera as _libcamera
from ._libcamera import *  # noqa: F403
from ._libcamera import controls as controls
from ._libcamera import properties as properties
