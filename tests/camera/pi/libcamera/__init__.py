"""A stand-in for libcamera's Python bindings (src/py/libcamera), for the parts that picamera2 0.3.38 uses.

It follows the rules of the real bindings: the allowed order of calls, and the errors otherwise. With `bench` a test
sets whether a camera is fitted, in use or hanging, and reads how the camera was used.
"""

from . import _libcamera as _libcamera
from ._libcamera import *  # noqa: F403
from ._libcamera import controls as controls
from ._libcamera import properties as properties
