"""The board of the demo: the state of the gate on a terminal, or plain lines in a pipe."""

from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gated.cli.consoles import Console
from gated.printable import line
from gated.simulator.desk import JournalFact
from gated.simulator.director import Now, StepOutcome
from gated.sitetime import DEFAULT

SHOWN = 6
"""Number of recent decisions on the board."""
NARROW = 34
WIDE = 150
"""Width of a line in a pipe, in characters."""


class DemoBoard:
    """The display of the demo. Each colour also has a word."""

    def __init__(self, heading: str, steps: int) -> None:
        self._heading, self._steps = heading, steps
        console = Console(highlight=False)
        self._console = console if console.is_terminal else Console(highlight=False, width=max(WIDE, console.width))
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._title, self._printed = "", 0
        self._network = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._console.print(self._heading)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, now: Now) -> None:
        """Show the current state of the gate."""
        if self._console.is_terminal:
            self._live.update(self._picture(now), refresh=True)
        else:
            self._lines(now)

    def write(self, sentence: str) -> None:
        """Print a line that stays."""
        self._console.print(Text(line(sentence)))

    def _lines(self, now: Now) -> None:
        """Print each change on a separate line."""
        if now.network != self._network:
            self._network = now.network
            self.write(f"  network: {now.network}, {now.waiting} events wait, {now.acknowledged} acknowledged")
        if now.title != self._title:
            self._title = now.title
            self.write(f"{len(now.outcomes) + 1}/{self._steps} {now.title}" if now.vision != "starting" else now.title)
        for fact, name in now.facts[self._printed :]:
            self.write(f"  {decision(fact, name)}")
        self._printed = len(now.facts)

    def _picture(self, now: Now) -> RenderableType:
        decisions = [Text(decision(fact, name), _style(fact)) for fact, name in now.facts[-SHOWN:]]
        padding = [Text("") for _ in range(SHOWN - len(decisions))]
        step = f"{min(len(now.outcomes) + 1, self._steps)} of {self._steps}: {now.title}"
        return Group(
            Text(self._heading, "bold"),
            Text(f"{'▮' * len(now.outcomes)}{'▯' * (self._steps - len(now.outcomes))}  {step}"),
            Columns(
                [
                    _panel("the camera sees", Text(now.in_view)),
                    _panel("the gate says", Text(now.result, _colour(now.result))),
                    _panel("the lock", Text(now.door.upper(), "green" if now.door == "released" else "")),
                ],
                equal=True,
            ),
            Text(f"vision {now.vision}   ·   network {now.network}   ·   events waiting {now.waiting}, acknowledged "
                 f"{now.acknowledged}   ·   people {now.people}"),
            Panel(Group(*decisions, *padding), title="last decisions", title_align="left", box=box.ROUNDED),
        )  # fmt: skip

    def table(self, outcomes: list[StepOutcome]) -> None:
        """Print the expected and the actual outcomes."""
        table = Table("what", "expected", "happened", "as expected", box=box.SIMPLE_HEAD, pad_edge=False)
        for outcome in outcomes:
            verdict = ("yes" if outcome.is_right else "NO") if outcome.is_judged else "not judged for this model set"
            happened = claim(outcome.let_in, outcome.also)
            table.add_row(outcome.step.title, claim(outcome.step.let_in, outcome.step.also), happened, verdict)
        if self._console.is_terminal:
            self._console.print(self._heading, style="bold")
        self._console.print(table)


ZONE = ZoneInfo(DEFAULT)
"""Time zone of the simulated courtyard: the default, because its settings name none."""


def claim(let_in: tuple[str, ...], also: str) -> str:
    """Return an expectation or an outcome in words."""
    opened = f"open for {', '.join(sorted(let_in))}" if let_in else ""
    return "; ".join(part for part in (opened, also) if part) or "nothing"


def decision(fact: JournalFact, name: str) -> str:
    """Return one decision as a line."""
    body, at = fact.body, fact.at.astimezone(ZONE).strftime("%H:%M:%S")
    score = f"score {body.get('score') or 0:.2f} of {body['threshold']:.2f}"
    why = f"{score}, PAD {body.get('pad_score') or 0:.2f}, {body['latency_s'] * 1000:.0f} ms after the frame"
    if fact.kind == "access_granted":
        return f"{at}  OPEN    {name:<12} {why}"
    return f"{at}  closed  {body['reason']:<12} {why}"


def _panel(title: str, content: Text) -> Panel:
    return Panel(content, title=title, title_align="left", width=NARROW, height=4, box=box.ROUNDED)


def _style(fact: JournalFact) -> str:
    return "green" if fact.kind == "access_granted" else "red"


def _colour(text: str) -> str:
    return "bold green" if text.startswith("OPEN") else "bold red" if text.startswith("closed") else ""
