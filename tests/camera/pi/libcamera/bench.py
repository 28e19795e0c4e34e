"""The world outside the camera, for tests to arrange and to ask."""

import threading

import numpy as np


class Bench:
    """One of these, `bench`; `reset` makes it a sound, idle camera again and lets go of whatever hangs."""

    def __init__(self):
        self.delivering, self.driver_answers, self.is_over = threading.Event(), threading.Event(), threading.Event()
        self.reset()

    def reset(self):
        self.is_over.set()  # for a camera that somebody could not stop
        self.is_over = threading.Event()
        self.fitted, self.busy = True, False
        self.only_format = None
        self.stop_fails = self.metadata_fails = False
        self.has_timestamps, self.age_s = True, 0.0
        self.starts = self.releases = self.starved = self.queued = 0
        self.limits_us = (0, 0)
        self.delivering.set()
        self.driver_answers.set()


def scene(width, height):
    """What the main stream sees, (height, width, 3) RGB: every pixel says where it belongs."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x % 251, y % 241, (x + 2 * y) % 239], -1).astype(np.uint8)


def scene_i420(width, height):
    """What the second stream sees, (height * 3 / 2, width) I420: every byte says where it belongs."""
    return (np.arange(height * 3 // 2 * width) % 233).astype(np.uint8).reshape(-1, width)


bench = Bench()
