"""Creates a new office: its folder, keys, authority, broker settings and empty database. Also changes its host name."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

from gated.errors import OfficeError
from gated.office.authority import CA_KEY, Authority
from gated.office.crl import write_crl
from gated.office.mosquitto import OFFICE, Place, write_acl, write_broker
from gated.office.store import Store, check_timezone
from gated.protocol.pairing_code import HOST, NAME
from gated.protocol.recovery_key import RecoveryKey
from gated.sitetime import DEFAULT


def create_office(  # noqa: PLR0917 - everything that defines an office
    folder: Path, site: str, place: Place, wall: datetime, timezone: str = DEFAULT, recovery: RecoveryKey | None = None
) -> None:
    """Create an office for a site, with that recovery key. `wall`: now, timezone-aware.

    Raises `OfficeError` if the folder already has an office, or a name is invalid.
    """
    for fault in problems(folder, site, place, timezone):
        raise fault
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        authority = Authority.make(site, wall)
        authority.save(folder)
        authority.write_server(folder, *place.hosts, wall=wall)
        authority.write_client(folder, "office", OFFICE, wall)
        write_broker(folder, place)
        write_acl(folder, site, [])
        with closing(Store.create(folder, site, timezone)) as store:
            write_crl(folder, store.gate_table)
            if recovery is not None:
                store.handovers.store_first_key(recovery.public)
        place.save(folder)  # written last: an office exists only with this file
    except OSError as error:
        raise OfficeError(f"{folder}: cannot be written ({error.strerror}); name another folder with --dir") from error


def problems(folder: Path, site: str, place: Place, timezone: str = DEFAULT) -> Iterator[OfficeError]:
    """Yield every error that would stop `create_office`. Changes nothing."""
    if not re.fullmatch(NAME, site):
        yield OfficeError(f"{site!r} cannot be the name of a site; use small letters, digits, - and _, as in [site] id")
    for check, value in ((check_host, place.host), (check_timezone, timezone)):
        try:
            check(value)
        except OfficeError as error:
            yield error
    if place.port == place.pairing_port:
        yield OfficeError(f"the broker and pairing cannot both use port {place.port}; name another --pairing-port")
    yield from _folder_problems(folder)


def _folder_problems(folder: Path) -> Iterator[OfficeError]:
    try:
        is_used = folder.exists() and any(folder.iterdir())
    except OSError as error:
        yield OfficeError(f"{folder}: cannot be used ({error.strerror}); name another folder with --dir")
        return
    if is_used and (folder / CA_KEY).exists() and not (folder / "place.json").exists():
        yield OfficeError(f"{folder}: the creation of an office here did not finish; delete the folder by "
                          f"`sudo rm -r {folder}`, and run this again")  # fmt: skip
    elif is_used:
        yield OfficeError(f"{folder}: is not empty; it may contain an office; name another folder with --dir")


def check_host(host: str) -> None:
    """Raise `OfficeError` for a value that is no host name and no address."""
    if not re.fullmatch(HOST, host):
        raise OfficeError(
            f"{host!r} is not a host; give the name or address by which gates reach this machine, in small letters"
        )


def change_host(folder: Path, host: str, wall: datetime) -> Place:
    """Give the office another host name, and return the new place. The former names stay valid for old gates.

    The broker's certificate is new. The authority is the same, so gates still trust it. Raises `OfficeError`.
    """
    check_host(host)
    place = Place.load(folder)
    if host == place.host:
        raise OfficeError(f"{host} is the host of this office already; nothing was changed")
    former = [place.host, *(each for each in place.former if each not in (host, place.host))]
    return _write_place(folder, Place(host, place.port, place.pairing_port, tuple(former)), wall)


def forget_host(folder: Path, host: str, wall: datetime) -> Place:
    """Drop a former host name. Raises `OfficeError` if the office never had it."""
    place = Place.load(folder)
    if host not in place.former:
        known = ", ".join(place.former) or "none"
        raise OfficeError(f"{host} is not a former host of this office (former hosts: {known})")
    former = tuple(each for each in place.former if each != host)
    return _write_place(folder, Place(place.host, place.port, place.pairing_port, former), wall)


def _write_place(folder: Path, place: Place, wall: datetime) -> Place:
    try:
        Authority.load(folder).write_server(folder, *place.hosts, wall=wall)
        with closing(Store.open(folder)) as store:
            write_crl(folder, store.gate_table)
        write_broker(folder, place)
        place.save(folder)
    except OSError as error:
        raise OfficeError(f"{folder}: cannot be written ({error.strerror}); run this as the office's user") from error
    return place
