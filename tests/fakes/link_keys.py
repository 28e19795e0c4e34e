"""The two ends of the link in tests: site, gate, keys and TLS certificates."""

import asyncio
import functools
import time

import trustme

from gated.protocol.envelope import Peer
from gated.protocol.jose import Identity
from gated.protocol.topics import Topics

SITE, GATE = "market-south", "gate-2"
TOPICS = Topics(SITE, GATE)
PATIENCE_S = 60.0
IDENTITY, OFFICE = Identity.make(), Identity.make()
GATE_PEER = Peer(IDENTITY, OFFICE.party, SITE, GATE)
OFFICE_PEER = Peer(OFFICE, IDENTITY.party, SITE, GATE)


async def until(claim, what):
    """Wait until `claim()` holds; fail with `what` in the message after `PATIENCE_S` seconds."""
    end = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < end, f"waited {PATIENCE_S:.0f} s in vain: {what}"
        await asyncio.sleep(0.02)


authority = functools.cache(trustme.CA)


@functools.cache
def issue(ca, host, name):
    return ca.issue_cert(host, common_name=name)
