"""Tests the metrics for a district's monitoring: they count real events and name no person."""

import asyncio
import socket
import subprocess
import sys
import threading
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from gated.errors import StateError
from gated.events import (
    AccessDenied,
    AccessGranted,
    CredentialDenied,
    CredentialGranted,
    Degraded,
    DoorOpened,
    DoorReleased,
)
from gated.service.metrics import Metrics
from gated.simulator.network import free_port

NOW = datetime(2026, 12, 24, 8, 0, tzinfo=UTC)
GRANTED = AccessGranted("visit-7", "5ub7ec7000000001", 0.61, 0.4, 9, 0.9, 3, "ab" * 32, 0.31)
DENIED = AccessDenied("visit-8", "unknown", 0.4, 9, 3, 0.2)


def read(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return answer.read().decode()


@pytest.fixture
def served():
    """Yield metrics served by their own event loop, as in the brain."""
    metrics, port, up, loop = Metrics("0.1.0", "site"), free_port(), threading.Event(), asyncio.new_event_loop()
    task = loop.create_task(metrics.serve(port, up.set))
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.wait([task])))
    thread.start()
    assert up.wait(20)
    yield metrics, port
    loop.call_soon_threadsafe(task.cancel)
    thread.join()
    loop.close()


def test_every_event_is_counted_by_kind_credential_and_outcome(served):
    metrics, port = served
    for fact in (
        GRANTED,
        GRANTED,
        DENIED,
        CredentialGranted("card", "v", "c"),
        CredentialDenied("pin", "wrong"),
        DoorOpened("grant"),
    ):
        metrics.fact(fact, NOW)
    text = read(port)
    assert 'gated_decisions_total{outcome="granted",way="face"} 2.0' in text
    assert 'gated_decisions_total{outcome="unknown",way="face"} 1.0' in text
    assert 'gated_decisions_total{outcome="granted",way="card"} 1.0' in text
    assert 'gated_decisions_total{outcome="wrong",way="pin"} 1.0' in text
    assert 'gated_facts_total{kind="door_opened"} 1.0' in text
    assert "gated_decision_seconds_count 3.0" in text
    assert 'gated_info{models="site",version="0.1.0"} 1.0' in text


def test_the_way_from_the_frame_to_the_relay_is_that_of_the_last_grant_alone(served):
    metrics, port = served
    metrics.fact(DoorReleased("rex", 8.0), NOW)
    metrics.fact(GRANTED, NOW)
    metrics.fact(DoorReleased("grant", 8.0, "visit-6"), NOW)
    assert "gated_relay_seconds_count 0.0" in read(port)
    metrics.fact(DoorReleased("grant", 8.0, "visit-7"), NOW + timedelta(milliseconds=5))
    metrics.fact(DoorReleased("grant", 8.0, "visit-7"), NOW + timedelta(seconds=1))  # the same fact twice
    text = read(port)
    assert "gated_relay_seconds_count 1.0" in text
    assert float(next(line for line in text.splitlines() if "relay_seconds_sum" in line).split()[1]) == pytest.approx(
        GRANTED.latency_s + 0.005
    )


def test_a_clock_that_was_set_in_between_is_no_latency(served):
    metrics, port = served
    metrics.fact(GRANTED, NOW)
    metrics.fact(DoorReleased("grant", 8.0, "visit-7"), NOW + timedelta(days=400))
    assert "gated_relay_seconds_count 0.0" in read(port)


def test_looks_are_counted_by_what_kept_them_from_counting(served):
    metrics, port = served
    for problem in (None, None, "blurred"):
        metrics.count_observation(problem)
    text = read(port)
    assert 'gated_looks_total{problem="none"} 2.0' in text
    assert 'gated_looks_total{problem="blurred"} 1.0' in text


def test_a_gate_that_was_not_asked_for_figures_does_not_carry_them():
    code = "import sys, gated.brain; print('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_metrics_contain_nothing_about_a_person(served):
    metrics, port = served
    metrics.fact(GRANTED, NOW)
    metrics.fact(CredentialGranted("card", "visit-9", "cred-1", "5ub7ec7000000001"), NOW)
    text = read(port)
    for word in ("5ub7ec7000000001", "visit-7", "visit-9", "cred-1", "0.61"):
        assert word not in text


def test_a_part_that_is_back_is_no_more_lost(served):
    metrics, port = served
    metrics.fact(Degraded(["network", "vision"]), NOW)
    assert 'gated_lost{part="vision"} 1.0' in read(port)
    metrics.fact(Degraded(["network"]), NOW)
    assert 'gated_lost{part="vision"} 0.0' in read(port)
    assert 'gated_lost{part="network"} 1.0' in read(port)


def test_a_gauge_is_asked_whenever_somebody_reads(served):
    metrics, port = served
    values = iter([1.0, 2.0])
    metrics.gauge("gated_events_waiting", "x", lambda: next(values))
    assert "gated_events_waiting 1.0" in read(port)
    assert "gated_events_waiting 2.0" in read(port)


def test_only_this_machine_may_ask(served):
    _, port = served
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), 2):  # noqa: PT011 - refused, whatever the word
        pass


def test_an_occupied_port_is_reported(served):
    _, port = served
    with pytest.raises(StateError, match=r"choose another health\.metrics_port"):
        asyncio.run(Metrics("0.1.0", "site").serve(port, lambda: None))


def test_a_gate_that_runs_serves_them_and_one_whose_port_is_taken_runs_all_the_same(gate, wait_for):
    (gate.folder / "frames").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gate.write(models={"dir": "nowhere"}, health={"metrics_port": taken.getsockname()[1]})
        first = gate.start("run")
        wait_for(lambda: "on duty" in gate.log())
        assert "the metrics cannot be served" in gate.log()
        first.terminate()
        first.wait(20)
    port = free_port()
    gate.write(health={"metrics_port": port})
    gate.start("run")
    wait_for(lambda: gate.log().count("on duty") == 2)
    text = wait_for(lambda: "gated_events_waiting" in (text := read(port)) and text)
    assert 'gated_lost{part="vision"} 1.0' in text
    assert "gated_templates 0.0" in text


def test_days_of_certificates_are_exported_and_unknown_ones_are_nan(served):
    metrics, port = served
    ends = {"gate": datetime.now(UTC) + timedelta(days=12, hours=1), "authority": datetime.now(UTC) - timedelta(days=2)}
    metrics.certificates(ends.get)
    lines = dict(line.rsplit(" ", 1) for line in read(port).splitlines() if line.startswith("gated_certificate_days{"))
    left = {key.split('"')[1]: float(value) for key, value in lines.items()}
    assert int(left["gate"]) == 12
    assert left["authority"] < -1.9
    assert left["broker"] != left["broker"]
