"""The processes: the brain, the latch, and the vision worker that the brain starts."""

import asyncio
import logging
import os
import signal
from contextlib import suppress

import click

from gated.cli import Context
from gated.health import logs
from gated.health.notify import Notifier


@click.command()
@click.option("--service", is_flag=True, help="The latch is a service of its own (systemd); never start one.")
@click.option("--once", is_flag=True, help="End after a recording has been shown.")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.pass_obj
def run(context: Context, service: bool, once: bool, verbose: bool) -> None:
    """Be the gate, until SIGTERM or Ctrl-C.

    Finds the latch that serves the pins, or on a desk starts one; starts vision and keeps it alive; decides, opens,
    writes the journal, and keeps in step with the server when there is one.
    """
    from gated import app

    logs.set_up(verbose=verbose)

    async def until_stopped() -> None:
        await app.run(context.own_settings, context.path.resolve(), own_latch=not service, once=once)
        # All is written and closed. A thread may still hang in the kernel (a connect that is never answered), and
        # an orderly end would wait for it longer than a stop may take.
        logging.shutdown()
        os._exit(0)

    asyncio.run(until_stopped())


@click.command()
@click.option("--exit-when-idle", type=float, metavar="SECONDS", help="End when no brain has come for so long.")
@click.option("--secure", is_flag=True, help="Take the power off every lock and end, for a latch that was killed.")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.pass_obj
def latch(context: Context, exit_when_idle: float | None, secure: bool, verbose: bool) -> None:
    """Serve the pins on a Unix socket until SIGTERM; one brain at a time, and the lock only under its lease."""
    from gated.door.latch import serve, take_power_off

    logs.set_up(verbose=verbose)
    settings = context.own_settings
    if secure:
        take_power_off(settings)
        return

    notifier = Notifier()

    async def until_stopped() -> None:
        service = asyncio.ensure_future(serve(settings, notifier.ready, notifier.alive, exit_when_idle))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, service.cancel)
        with suppress(asyncio.CancelledError):
            await service

    asyncio.run(until_stopped())


@click.command(hidden=True)
@click.option("--fd", type=int, required=True, help="The socket to the brain.")
def vision(fd: int) -> None:
    """Look, for the brain that started this."""
    from gated import vision as process

    logs.set_up()
    process.run(fd)
