"""Runs a command given by root as the owner of the gate's or the office's folder.

If root wrote in that folder, a link could redirect the write, and root's files would stop the service. A command reads
and writes the files that its caller names through `runtime.named`.
"""

import functools
import os
from pathlib import Path
from typing import Any

import click

from gated.errors import StateError
from gated.storage.owner import Owner, acting_as, owner_of

SERVICE = "a service: its unit names its user"
OWN_FOLDER = "uses a separate folder, not a gate's"
MAKES = "makes users, units and folders; writes in them as their user"

BY_ITSELF = {
    "run": SERVICE,
    "latch": SERVICE,
    "vision": SERVICE,
    "provision": MAKES,
    "office install": MAKES,
    "office host": "restarts the units; writes as the office's user",
    "update": "changes the programs of root's units; acts as the gate's user in the state folder",
    "demo": OWN_FOLDER,
    "replay": OWN_FOLDER,
    "bundle": OWN_FOLDER,
    "config new": "only prints",
    "pass key": "writes a file that the caller names; needs no gate",
    "models pull": "writes as the owner of [models] dir",
    "prompts make": "writes as the owner of the prompts' folder",
    "prompts check": "reads as the owner of the prompts' folder",
}
"""Commands that do not run as the folder's owner, each with the reason. All other commands do."""

MARK = "is_by_holder"


def by_holder(command: click.Command, path: str) -> click.Command:
    """Make the command and all its subcommands run as the owner of the folder, unless `BY_ITSELF` lists them."""
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            by_holder(each, f"{path} {name}")
    is_done = isinstance(command, click.Group) and not command.invoke_without_command
    if command.callback is not None and not (is_done or path in BY_ITSELF or hasattr(command.callback, MARK)):
        command.callback = _by_holder(command.callback)
    return command


def _by_holder(given: Any) -> Any:
    @functools.wraps(given)
    def callback(*arguments: Any, **options: Any) -> Any:
        """Run the command with the rights of the user who owns the folder."""
        doer = _doer(click.get_current_context().obj)
        try:
            with acting_as(doer):
                return given(*arguments, **options)
        except PermissionError as error:
            if doer is None:
                raise
            why = f"the folder's owner, user {doer[0]}, may not use it"
            raise StateError(f"{error.filename}: {why} ({error.strerror}); correct its owner or mode") from error

    setattr(callback, MARK, True)
    return callback


def _doer(obj: Any) -> Owner | None:
    """Return the owner to act as, or None if not root. `obj` is the folder for an office command, else the gate's
    context.
    """
    if os.geteuid() != 0:
        return None
    place = obj if isinstance(obj, Path) else obj.place
    return None if place is None else owner_of(place)
