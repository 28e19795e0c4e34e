"""Runs the office: the exchange with its gates, the renewal of certificates, and pairing."""

import asyncio
import logging
import re
import signal
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from gated.errors import OfficeError
from gated.journal.entry import stamp
from gated.office.alarm_meanings import WEAK
from gated.office.authority import Authority, is_issued
from gated.office.broker_link import run_link
from gated.office.crl import write_crl
from gated.office.exchange import Exchange
from gated.office.handovers import OFFICE
from gated.office.mosquitto import MOST_SHARES, Place, name_of, reload_broker, tls_context, update_broker_settings
from gated.office.pairing_endpoint import serve_pairing
from gated.office.pin_issuing import guessable
from gated.office.registrar import Registrar
from gated.office.renewals import Renewals, keep_renewed
from gated.office.running_processes import is_waiting, mark_serving, owner_check
from gated.office.store import Store
from gated.runtime.secrecy import keep_memory_secret
from gated.storage.process_lock import FileLock

log = logging.getLogger(__name__)

LOCALHOST = "localhost"


def share_of(text: str) -> tuple[int, int]:
    """Parse a share such as 2/4: its index, from 0, and the number of shares. Raises `OfficeError`."""
    found = re.fullmatch(r"([0-9]{1,2})/([0-9]{1,2})", text)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count <= MOST_SHARES:
        raise OfficeError(
            f"{text!r} is not a share; write 2/4 for the second of four processes ({MOST_SHARES} at most)"
        )
    return number - 1, count


async def serve(folder: Path, number: int = 0, count: int = 1) -> None:
    """Run the office, or one of its processes, until SIGTERM or SIGINT. The first process serves pairing.

    Raises `OfficeError`, `StateError`, and `BusyError` if this share is already running.
    """
    keep_memory_secret()
    with (
        closing(FileLock(folder / f"serve-{number + 1}-{count}.lock", "this office")),
        closing(Store.open(folder)) as store,
        closing(Registrar(folder, store)) as registrar,
        closing(mark_serving(folder, number, count)),
    ):
        renewals, place, name = Renewals(folder, store), Place.load(folder), name_of(number)
        side = Exchange(
            store,
            owner_check(number, count),
            lambda command_id: is_waiting(folder, command_id),
            renewals,
            place.pairing_port,
        )
        _prepare_broker(folder, number, store)
        if found := await asyncio.to_thread(_remove_readable_pins, folder):
            log.warning("removed %d readable PINs from the database of this office; the PINs still work", found)
        async with asyncio.TaskGroup() as group:
            contexts = {name.lower(): tls_context(folder, number)}
            parts = [
                run_link(side, LOCALHOST, place.port, contexts[name.lower()], _client_id(store, name)),
                keep_renewed(renewals, folder, contexts, number == 0),
            ]
            if number == 0:
                parts.append(serve_pairing(registrar, lambda context: contexts.update(server=context)))
            tasks = [group.create_task(part) for part in parts]
            for signal_ in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(signal_, lambda: [task.cancel() for task in tasks])
            if left_out := store.left_out():
                log.error("%s", left_out)
            log.info("the office of %s serves %d gates", store.site, len(store.gates()))


def _prepare_broker(folder: Path, number: int, store: Store) -> None:
    """Update the broker's files (in the first process), or issue a client certificate (in other processes).

    Raises `OfficeError`.
    """
    name = name_of(number)
    if number == 0:
        store.handovers.check_recovery_key(stamp(datetime.now(UTC)))
    try:
        if number == 0:
            if write_crl(folder, store.gate_table):
                reload_broker(folder)
            update_broker_settings(folder, store.site, (gate.gate for gate in store.gates()))
        elif not is_issued(folder, name.lower()):
            Authority.load(folder).write_client(folder, name.lower(), name, datetime.now(UTC))
    except OSError as error:
        why = error.strerror or error
        raise OfficeError(f"{folder}: cannot be written ({why}); run this as the office's user") from error


def _remove_readable_pins(folder: Path) -> int:
    """Remove readable PINs once after an update, and return their number. Opens an alarm for each weak PIN.

    Every process tries; the first one does the work.
    """
    with closing(Store.open(folder)) as store:
        if store.has_no_readable_pins:
            return 0
        if weak := guessable(store):
            ids = ", ".join(weak)
            log.warning(
                "%d people have a weak PIN that strangers try first; give these people new PINs: %s", len(weak), ids
            )
            for subject in weak:
                store.alarms.open(OFFICE, WEAK, subject, stamp(datetime.now(UTC)))
        return store.convert_readable_pins()


def _client_id(store: Store, name: str) -> str:
    """Return the client id for the broker. It cannot be guessed, like a gate's (`Peer.client_id`)."""
    known = f"gated-{store.site}-{name}"
    return f"{known}-{store.identity.secret_name(known)}"
