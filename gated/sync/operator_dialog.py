"""A command in progress, and the exchange about it with the operator at the office. Runs on the event loop."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from msgspec.structs import replace

from gated.errors import WithdrawnError
from gated.protocol.command_messages import Command, Confirmation, ConfirmationRequest, Progress
from gated.protocol.confirmation import Question
from gated.protocol.wire_types import Message

LONGEST_TEXT = 200
"""Longest text in a progress message or a question, in characters."""


class OperatorDialog:
    """The exchange with the office about one command while it is carried out."""

    def __init__(
        self, command: Command, send: Callable[[Message], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`send` queues a message to the office and returns at once."""
        self._site, self._gate, self._command_id = command.site, command.gate, command.id
        self._send, self._monotonic = send, monotonic
        self._question = Question(command.id)
        self._answered = asyncio.Event()
        self._last = ""
        self.withdrawn = asyncio.Event()
        """Set when the office has answered that no operator waits for this command any more."""

    def handle_confirmation(self, answer: Confirmation) -> None:
        """Take the office's answer about this command."""
        self._question.handle_answer(answer, self._monotonic())
        if self._question.refusal is not None:
            self.withdrawn.set()
        self._answered.set()

    def show_progress(self, text: str) -> None:
        """Send the progress to the operator if the text has changed. The text must name no person."""
        if text != self._last:
            self._last = text
            self._send(Progress(site=self._site, gate=self._gate, command=self._command_id, says=text[:LONGEST_TEXT]))

    async def confirm(self, text: str) -> float:
        """Ask until the office confirms that its operator waits and wants this command.

        Return when the confirmation ends. The result is monotonic seconds. Raises `WithdrawnError` if the office
        refuses or does not answer.
        """
        while not self._question.is_wanted(self._monotonic()):
            self._answered.clear()
            self._ask(text)
            if self._question.refusal is not None:
                raise WithdrawnError(f"{self._question.refusal}; nothing was done")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._question.again_at - self._monotonic()):
                    await self._answered.wait()
        return self._question.good_until or 0.0

    def _ask(self, text: str) -> None:
        """Send the question if it is time to."""
        nonce = self._question.ask(self._monotonic())
        if nonce is not None:
            about = ConfirmationRequest(site=self._site, gate=self._gate, command=self._command_id, nonce=nonce)
            self._send(replace(about, step="commit", says=text[:LONGEST_TEXT]))
