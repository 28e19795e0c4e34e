"""A fake of the brain's latch client: it records what a lock would do."""

from types import SimpleNamespace

from gated.errors import LatchError


class RecordingDoor:
    """A lock that only records releases and lockdowns. While `is_gone`, a release raises `LatchError`."""

    def __init__(self):
        self.released, self.locked_down, self.is_gone = [], [], False

    def release(self, visit, lease_s, decided_at, door="main", cause="grant", holder=""):
        if self.is_gone:
            raise LatchError("no latch answers")
        self.released.append(SimpleNamespace(visit=visit, lease_s=lease_s, door=door, cause=cause))

    def lockdown(self, on):
        self.locked_down.append(on)
