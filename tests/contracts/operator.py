"""An operator at the office who waits for an order, or does not; stands in for `gated.sync.operator_dialog.Talk`."""

import asyncio
import time

from gated.errors import WithdrawnError


class Operator:
    """Says yes at once, unless told otherwise."""

    def __init__(self, *, waits=True):
        self.waits, self.told, self.asked = waits, [], []
        self.withdrawn = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.good_s = 5.0

    def gives_up(self):
        self.waits = False
        self.withdrawn.set()
        self.may_answer.set()

    def show_progress(self, text):
        self.told.append(text)

    async def confirm(self, text):
        self.asked.append(text)
        await self.may_answer.wait()
        if not self.waits:
            raise WithdrawnError("nobody waits any more; nothing was done")
        return time.monotonic() + self.good_s
