"""The commands that run the processes: the brain, the latch, and the brain's vision worker."""

import asyncio
import logging
import os
import signal
from contextlib import suppress
from pathlib import Path

import click

from gated.cli import Context, show_json
from gated.runtime import garbage
from gated.service import logs
from gated.service.systemd_notify import Notifier

VISION = "/run/gated-vision/vision.sock"
"""Socket path of gated-vision.socket."""


@click.command()
@click.option("--service", is_flag=True, help="The latch is a systemd service; do not start one.")
@click.option("--vision-socket", type=click.Path(path_type=Path), default=VISION, hidden=True,
              help="With --service: the socket of the vision service.")  # fmt: skip
@click.option("--once", is_flag=True, help="End after a recording was played.")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.pass_obj
def run(context: Context, service: bool, vision_socket: Path, once: bool, verbose: bool) -> None:
    """Run the gate, until SIGTERM or Ctrl-C.

    Connects to the latch that serves the pins, or starts one on a desk. Starts vision and restarts it after a failure.
    Decides, opens, writes the journal, and synchronises with the office if there is one.
    """
    garbage.rest()  # collects again once the brain is on duty
    from gated import app

    logs.set_up(verbose=verbose, timezone=context.own_settings.site.timezone)

    async def until_stopped() -> None:
        """Run the brain until it is stopped, then end the process without waiting for a hanging thread."""
        socket = vision_socket if service else None
        await app.run(context.own_settings, context.path.resolve(), own_latch=not service, once=once, vision=socket)
        # All files are written and closed. A thread may still hang in the kernel, for example in a connect without an
        # answer. A normal interpreter exit would wait for it longer than a stop may take.
        logging.shutdown()
        os._exit(0)

    asyncio.run(until_stopped())


@click.command()
@click.option("--exit-when-idle", type=float, metavar="SECONDS", help="End when no brain connects for this long.")
@click.option(
    "--secure", is_flag=True, help="Turn off the power of every lock, and exit. For use after a latch was killed."
)
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.pass_obj
def latch(context: Context, exit_when_idle: float | None, secure: bool, verbose: bool) -> None:
    """Serve the pins on a Unix socket until SIGTERM, for one brain at a time. Locks open only under its lease."""
    garbage.rest()  # until it is loaded
    from gated.door.latch_server import serve_latch
    from gated.door.power import switch_off

    garbage.watch()
    settings = context.own_settings
    logs.set_up(verbose=verbose, timezone=settings.site.timezone)
    if secure:
        switch_off(settings)
        return

    notifier = Notifier()

    async def until_stopped() -> None:
        """Run the latch until SIGTERM or SIGINT."""
        service = asyncio.ensure_future(serve_latch(settings, notifier.ready, notifier.alive, exit_when_idle))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, service.cancel)
        with suppress(asyncio.CancelledError):
            await service

    asyncio.run(until_stopped())


@click.command(hidden=True)
@click.option("--fd", type=int, help="The socket to the brain.")
@click.option("--service", is_flag=True, help="Accept the brain at the socket from systemd.")
@click.option("--try", "is_trial", is_flag=True, help="Confine this process, and print what could not be confined.")
def vision(fd: int | None, service: bool, is_trial: bool) -> None:
    """Run the camera and the models for the brain that started this process or connected to it."""
    if (fd is not None) + service + is_trial != 1:
        raise click.UsageError("give exactly one of --fd, --service and --try")
    garbage.rest()  # collects again once vision sees
    from gated import vision as process

    if is_trial:
        show_json(process.try_confinement())
        return

    logs.set_up()
    if fd is None:
        process.run_service()
    else:
        process.run(fd)
