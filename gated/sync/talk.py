"""An order that is being carried out, and the operator at the office who waits for it. On the event loop."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from gated.errors import WithdrawnError
from gated.sync.confirm import Question
from gated.sync.messages import Ask, Command, Message, Progress, StillWanted

LONGEST = 200


class Talk:
    """What is said about one order while it is carried out."""

    def __init__(
        self, command: Command, say: Callable[[Message], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`say` sends a message to the office, and waits for nothing."""
        self._site, self._gate, self._order = command.site, command.gate, command.id
        self._say, self._monotonic = say, monotonic
        self._question = Question(command.id)
        self._heard = asyncio.Event()
        self._told = ""
        self.withdrawn = asyncio.Event()
        """Set when the office has said that nobody waits for this order any more."""

    def hear(self, answer: StillWanted) -> None:
        """The office said something about this order."""
        self._question.hear(answer, self._monotonic())
        if self._question.refusal is not None:
            self.withdrawn.set()
        self._heard.set()

    def tell(self, says: str) -> None:
        """Let the operator know what goes on, if it is news; about nobody."""
        if says != self._told:
            self._told = says
            self._say(Progress(site=self._site, gate=self._gate, order=self._order, says=says[:LONGEST]))

    async def confirm(self, says: str) -> float:
        """Ask until the office has said that its operator waits and wants this; until when (monotonic) that counts.

        Raises `WithdrawnError` where it does not want it, or does not answer.
        """
        while not self._question.is_wanted(self._monotonic()):
            self._heard.clear()
            self._ask(says)
            if self._question.refusal is not None:
                raise WithdrawnError(f"{self._question.refusal}; nothing was done")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._question.again_at - self._monotonic()):
                    await self._heard.wait()
        return self._question.good_until or 0.0

    def _ask(self, says: str) -> None:
        """Ask, if it is time to."""
        nonce = self._question.ask(self._monotonic())
        if nonce is not None:
            site, gate, order = self._site, self._gate, self._order
            self._say(Ask(site=site, gate=gate, order=order, nonce=nonce, step="commit", says=says[:LONGEST]))
