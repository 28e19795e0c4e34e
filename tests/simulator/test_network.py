"""A network that goes and comes back, with the real broker, a gate's own link and the demo's server."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from functools import partial

import pytest

from gated.config import SyncSettings
from gated.events import DoorReleased
from gated.journal.journal import Journal
from gated.simulator.network import Network, NetworkError, answer_to, find_mosquitto
from gated.sync.link import run_link
from gated.sync.messages import EventBatch, StatusMessage, WireEvent, encode
from gated.sync.topics import Topics

SITE, GATE = "courtyard-2", "front"
PATIENCE_S = 30.0


@pytest.fixture
def network(tmp_path):
    program = find_mosquitto()
    assert program, "mosquitto is not installed: these tests need the real broker (apt install mosquitto)"
    with contextlib.closing(Network(tmp_path / "network", SITE, GATE, program)) as network:
        network.start()
        yield network


async def acknowledged(journal, count):
    give_up_at = time.monotonic() + PATIENCE_S
    while journal.position().acked < count:
        assert time.monotonic() < give_up_at, f"{journal.position().acked} of {count} acknowledged"
        await asyncio.sleep(0.05)


async def test_events_arrive_wait_while_it_is_cut_and_arrive_when_it_is_back(network, tmp_path):
    opener = partial(Journal.open, tmp_path / "state", SITE, GATE)
    journal, wake = opener(), asyncio.Event()
    status = StatusMessage(site=SITE, gate=GATE, version="0")
    settings = SyncSettings(**network.settings(GATE))
    link = asyncio.create_task(run_link(settings, Topics(SITE, GATE), opener, lambda: status, wake))
    journal.append(DoorReleased("rex", 3.0), datetime.now(UTC))
    wake.set()
    await acknowledged(journal, 1)
    network.cut()
    journal.append(DoorReleased("rex", 3.0), datetime.now(UTC))
    wake.set()
    await asyncio.sleep(1.0)
    assert journal.position().acked == 1
    network.restore()
    await acknowledged(journal, 2)
    link.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await link
    journal.close()


def test_a_broker_that_does_not_start_is_an_error_that_says_so(tmp_path):
    network = Network(tmp_path / "network", SITE, GATE, "/bin/false")
    with pytest.raises(NetworkError, match="does not listen"):
        network.start()
    network.close()


def test_cutting_twice_and_closing_twice_is_no_matter(network):
    network.cut()
    network.cut()
    network.close()


def test_the_server_holds_what_a_batch_says_and_answers_nothing_to_garbage():
    event = WireEvent(3, "2027-01-15T08:00:00.000000Z", "stopped", "{}", "ab" * 32)
    batch = EventBatch(site=SITE, gate=GATE, journal="j", after=2, first=3, last=3, prev="", events=[event])
    answer = answer_to(encode(batch))
    assert (answer.seq, answer.hash) == (3, "ab" * 32)
    assert answer_to(b"") is None
    assert answer_to(b"{}") is None
