"""A new office: its folder with its keys, its authority, its broker's settings and an empty store."""

import re
from datetime import datetime
from pathlib import Path

from gated.errors import OfficeError
from gated.office.broker import OFFICE, Place, write_acl, write_broker
from gated.office.certificates import Authority
from gated.office.store import Store
from gated.sync.code import HOST, NAME

LOCAL = ("localhost", "127.0.0.1")
"""By these the office itself reaches its broker."""


def found(folder: Path, site: str, place: Place, wall: datetime) -> None:
    """Make an office for a site. Raises `OfficeError` where there is one already, or a name will not do."""
    if not re.fullmatch(NAME, site):
        raise OfficeError(f"{site!r} is no name of a site; use small letters, digits, - and _, as in [site] id")
    if not re.fullmatch(HOST, place.host):
        raise OfficeError(f"{place.host!r} is no host; name what gates reach this machine by, in small letters")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OfficeError(f"{folder}: is not empty; an office is there already, or name another folder with --dir")
        folder.chmod(0o700)
        authority = Authority.make(site, wall)
        authority.save(folder)
        authority.write_server(folder, *dict.fromkeys((place.host, *LOCAL)), wall=wall)
        authority.write_client(folder, "office", OFFICE, wall)
        write_broker(folder, place)
        write_acl(folder, site, [])
        Store.create(folder, site).close()
        place.save(folder)  # the last: without it there is no office yet
    except OSError as error:
        raise OfficeError(f"{folder}: cannot be written ({error.strerror}); name another folder with --dir") from error
