"""Labels of people and pairs, and the differences between groups (ISO/IEC 19795-10).

A person who knows the pictures writes the labels. Only the report uses them. Nothing is inferred from a face. The
evaluation of pairs and of folders uses it.
"""

import csv
from collections.abc import Collection, Iterable
from itertools import chain
from pathlib import Path

import msgspec

from gated.config.handwritten import HandwritingError, read_text
from gated.errors import ConfigError
from gated.evaluation.confidence import Rate

COMPARED = ("FNMR", "FMR", "FNIR", "FPIR")
"""The rates that are compared between groups."""

Groups = frozenset[str]


def labels(cell: str) -> Groups:
    """Return the labels in a cell, separated by ";"."""
    return frozenset(label for part in cell.split(";") if (label := part.strip()))


def read_rows(path: Path) -> list[list[str]]:
    """Return the cells of a CSV file, without blanks around them. Raises `ConfigError`."""
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(read_text(path).splitlines())]
    except HandwritingError as error:
        raise ConfigError(str(path), [str(error)]) from error
    except csv.Error as error:
        raise ConfigError(str(path), [f"cannot be read as CSV ({error})"]) from error


def read_groups(path: Path, names: Collection[str]) -> dict[str, Groups]:
    """Read the groups of people from a CSV file: NAME and labels, separated by ";". A header is optional.

    A person may have several lines. `names`: everybody with pictures. Raises `ConfigError` with every wrong line.
    """
    found: dict[str, Groups] = {}
    problems = []
    for number, row in enumerate(read_rows(path), 1):
        if len(row) == 2 and row[0] in names:
            found[row[0]] = found.get(row[0], frozenset()) | labels(row[1])
        elif any(row) and number > 1:
            problem = (
                f"no person with pictures has the name {row[0]!r}" if len(row) == 2 else "expected NAME,group;group"
            )
            problems.append(f"line {number}: {problem}")
    if problems or not found:
        raise ConfigError(
            str(path), problems or ["has no name of a person with pictures: each line is NAME,group;group"]
        )
    return found


def all_of(each: Iterable[Groups]) -> list[str]:
    """Return every label, sorted."""
    return sorted(set(chain.from_iterable(each)))


class Differential(msgspec.Struct, frozen=True):
    """The difference of one rate between the group with most errors and the group with fewest."""

    name: str
    """Of the rate."""
    worst: str
    worst_rate: Rate
    best: str
    best_rate: Rate
    ratio: float | None
    """Worst over best. None if the best group has no error."""
    at_least: float
    """The ratio at the near ends of both 95 % intervals. Below 1, the counts prove no difference."""

    def __str__(self) -> str:
        """Return both groups and the ratio, as text."""
        ratio = "unknown, the best has no error" if self.ratio is None else f"{self.ratio:.1f}"
        return (
            f"{self.worst} {self.worst_rate}; {self.best} {self.best_rate}; ratio {ratio}, at least {self.at_least:.1f}"
        )


def differential(name: str, rates: dict[str, Rate]) -> Differential | None:
    """Return the difference between the groups of `rates`. None with fewer than two groups that were measured.

    If groups have the same rate, the group with more trials counts.
    """
    known = [(rate.value, rate.n, group) for group, rate in sorted(rates.items()) if rate.value is not None]
    if len(known) < 2:
        return None
    worst = max(known)[2]
    best = min(((value, -n, group) for value, n, group in known if group != worst))[2]
    high, low = rates[worst], rates[best]
    ratio = high.value / low.value if high.value is not None and low.value else None
    return Differential(name, worst, high, best, low, ratio, high.low / low.high)
