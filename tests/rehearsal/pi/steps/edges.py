"""Every edge of the lock's line since the first start, compared with the journal: no release without its cause."""

from edge_log import compare, read_marks
from rig import FIRE, LOCK, REX, Rig


def run(rig: Rig) -> None:
    """Compare, and print the figures. The time of hw_tests has brains of its own and is compared by them."""
    text = rig.machine.console.read_text("utf-8", "replace")
    edges, marks = rig.edges(), read_marks(text)
    begin, end = marks.get("hardware begins", 0.0), marks.get("hardware ends", 0.0)
    outside = [edge for edge in edges if not begin <= edge.at <= end]
    found = compare(outside, rig.events(), LOCK, REX, FIRE)
    rig.check(
        "no lock edge without its grant, exit or fire",
        not found.strange,
        f"{found.releases} releases, {found.explained} with a cause",
    )
    rig.check("no release is longer than a lease", not found.too_long, f"the longest lasted {found.longest_s:.1f} s")
    at_starts = [edge for edge in edges if edge.line == LOCK and edge.cause == "start" and edge.level]
    rig.check("the line is low at every start of the machine", not at_starts, f"{rig.machine.starts} starts")
