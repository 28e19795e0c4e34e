"""Tests `gated bench --sync`: every figure comes from a real run, here a small one."""

import json

import pytest
from click.testing import CliRunner

from gated.cli import bench_sync, main
from gated.simulator import load

pytestmark = pytest.mark.slow


@pytest.fixture
def bench_output(monkeypatch):
    """Return the command's JSON output for few people, few events and short windows."""
    small = {"PEOPLE": 20, "TEMPLATES": 2, "BACKLOG": 1000, "REVOKED": 3, "WINDOW_S": 1.0, "ROUNDS": 1, "STEADY_S": 1.5}
    for name, value in small.items():
        monkeypatch.setattr(bench_sync, name, value)
    monkeypatch.setattr(load, "STABLE_S", 0.5)
    done = CliRunner().invoke(main, ["bench", "--sync", "--gates", "1", "--gates", "2", "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_every_figure_comes_from_a_real_gate_office_and_broker(bench_output):
    assert (bench_output["fill"]["people"], bench_output["fill"]["templates of each"]) == (20, 2)
    assert 0 < bench_output["fill"]["s to an empty gate"] < load.PATIENCE_S
    assert bench_output["revoke"]["n"] == 3
    assert 0 < bench_output["revoke"]["median s"] <= bench_output["revoke"]["p95 s"]
    assert bench_output["drain"]["events a s"] > 0
    assert bench_output["junk"]["n"] > 0
    assert bench_output["junk"]["messages a s"] > 100
    assert [(cost["gates"], cost["part"]) for cost in bench_output["costs"]] == [
        (gates, part) for gates in (1, 2) for part in ("broker", "office", "gates")
    ]
    assert all(cost["memory_mb"] > 1 for cost in bench_output["costs"])


def test_without_a_broker_the_error_names_the_package_to_install(monkeypatch):
    monkeypatch.setattr(bench_sync, "find_mosquitto", lambda: None)
    done = CliRunner().invoke(main, ["bench", "--sync"])
    assert done.exit_code == 3
    assert "apt-get install mosquitto" in done.stderr
