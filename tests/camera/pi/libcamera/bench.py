"""The test's control over the stand-in camera."""

import threading

import numpy as np


class Bench:
    """The state of the stand-in camera. `reset` makes it work and idle again, and ends everything that hangs."""

    def __init__(self):
        self.delivering, self.driver_answers, self.is_over = threading.Event(), threading.Event(), threading.Event()
        self.reset()

    def reset(self):
        self.is_over.set()  # for a camera that could not be stopped
        self.is_over = threading.Event()
        self.fitted, self.busy = True, False
        self.only_format = None
        self.stop_fails = self.metadata_fails = False
        self.has_timestamps, self.age_s = True, 0.0
        self.starts = self.releases = self.starved = self.queued = 0
        self.limits_us = (0, 0)
        self.asked = {}
        """The controls that were set at the start, by name."""
        self.has_motor, self.knows_flicker, self.focus = False, True, (2, 0.8)
        """Whether the lens has a motor, whether the software has flicker controls, and the lens state and dioptres."""
        self.delivering.set()
        self.driver_answers.set()


def scene(width, height):
    """Return the picture of the main stream, (height, width, 3) RGB. Every pixel's value depends on its place."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x % 251, y % 241, (x + 2 * y) % 239], -1).astype(np.uint8)


def scene_i420(width, height):
    """Return the picture of the second stream, (height * 3 / 2, width) I420. Every byte depends on its place."""
    return (np.arange(height * 3 // 2 * width) % 233).astype(np.uint8).reshape(-1, width)


bench = Bench()
