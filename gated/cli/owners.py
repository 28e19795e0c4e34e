"""Root's commands about the office are done by whose folder it is: a file of root's in it would stop the service."""

import functools
from typing import Any

import click

from gated.update.owner import acting_as, owner_of

ROOTS = ("install", "host")
"""What only root can do: these see to it themselves."""
MARK = "is_by_owner"


class OwnersGroup(click.Group):
    """A group whose `obj` is a folder, and whose commands are done by the folder's owner when root gives them.

    Options are read before, as root: a file that is named may lie where the owner may not look. A command that reads or
    writes such a file does so within `being_oneself`.
    """

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, done by the owner."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and cmd_name not in ROOTS:
            _by_owner(command)
        return command


def _by_owner(command: click.Command) -> None:
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _by_owner(each)
    if command.callback is not None and not hasattr(command.callback, MARK):
        given = command.callback

        @functools.wraps(given)
        def callback(*args: Any, **options: Any) -> Any:
            with acting_as(owner_of(click.get_current_context().obj)):  # as the owner already: None, nothing changes
                return given(*args, **options)

        setattr(callback, MARK, True)
        command.callback = callback
