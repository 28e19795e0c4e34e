"""Warnings of the office's commands about gates that are too old for a mark or for a rule with two credential kinds."""

from collections.abc import Collection

from gated.cli import streams
from gated.office.old_gates import too_old
from gated.office.store import Store


def warn_of_ignored_mark(store: Store) -> None:
    """Name the gates at which a marked face still opens alone."""
    for gate, version in _too_old(store):
        streams.echo(f"warning: {gate} has gated {version}, which ignores marks: there the face still opens alone. "
                     "Update that gate first", err=True)  # fmt: skip


def warn_of_unknown_rule(store: Store, among: Collection[str]) -> None:
    """Name the gates that admit no person by a rule with two kinds. `among`: the gates of the rule, or nothing."""
    for gate, version in _too_old(store, among):
        streams.echo(f"warning: {gate} has gated {version}, which does not know this rule: it lets nobody pass by it. "
                     "Update that gate first", err=True)  # fmt: skip


def _too_old(store: Store, among: Collection[str] = ()) -> list[tuple[str, str]]:
    """Return the name and the version of each gate that is too old."""
    return [(gate.gate, gate.status.version) for gate in too_old(store.gates(), among) if gate.status is not None]
