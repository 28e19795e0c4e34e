"""Tests of the comparison of lock edges with the journal, which the rehearsal of a virtual Pi relies on."""

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "pi" / "edge_log.py"
LOCK, REX, FIRE = 17, 23, 24


@pytest.fixture(scope="module")
def log():
    spec = importlib.util.spec_from_file_location("edge_log", SOURCE)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["edge_log"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["edge_log"]


def released(at):
    return {"kind": "door_released", "at": datetime.fromtimestamp(at, UTC).isoformat()}


def edge(log, at, line, level, cause="output"):
    return log.Edge(at, line, level, cause)


def compare(log, edges, events=()):
    return log.compare(edges, events, LOCK, REX, FIRE)


class TestTheConsole:
    def test_edges_are_read_among_other_lines_and_in_order(self, log):
        text = "systemd\n[ 1.0] pi-header edge 5 2000000000 17 1 output\nx\npi-header edge 6 3500000000 17 0 free\n"
        assert log.read_console(text) == [log.Edge(2.0, 17, 1, "output"), log.Edge(3.5, 17, 0, "free")]

    def test_a_start_of_the_machine_gives_the_levels_of_its_lines(self, log):
        assert log.read_console("pi-header start 1000000000 17 0") == [log.Edge(1.0, 17, 0, "start")]

    def test_an_incomplete_line_of_a_power_cut_is_dropped(self, log):
        assert log.read_console("pi-header edge 5 20000") == []

    def test_the_last_mark_of_a_name_counts(self, log):
        text = "pi-header mark 1000000000 begins\npi-header mark 2000000000 begins\n"
        assert log.read_marks(text) == {"begins": 2.0}


class TestTheComparison:
    def test_a_release_beside_its_event_has_a_cause(self, log):
        found = compare(log, [edge(log, 100.0, LOCK, 1), edge(log, 103.0, LOCK, 0)], [released(100.01)])
        assert (found.releases, found.explained, found.strange) == (1, 1, ())
        assert found.longest_s == pytest.approx(3.0)

    def test_a_release_without_an_event_or_a_button_is_strange(self, log):
        pulse = edge(log, 100.0, LOCK, 1)
        found = compare(log, [pulse, edge(log, 100.001, LOCK, 0)], [released(90.0)])
        assert found.strange == (pulse,)

    def test_the_exit_button_explains_a_release_whose_event_is_lost_with_the_brain(self, log):
        assert not compare(log, [edge(log, 99.9, REX, 0, "hand"), edge(log, 100.0, LOCK, 1)]).strange

    def test_letting_the_button_go_or_a_pull_on_its_line_explains_nothing(self, log):
        for noise in (
            edge(log, 99.9, REX, 1, "hand"),
            edge(log, 99.9, REX, 0, "pull"),
            edge(log, 99.9, FIRE, 0, "hand"),
        ):
            assert compare(log, [noise, edge(log, 100.0, LOCK, 1)]).strange

    def test_a_button_after_the_release_explains_nothing(self, log):
        assert compare(log, [edge(log, 100.0, LOCK, 1), edge(log, 100.1, REX, 0, "hand")]).strange

    def test_the_fire_input_explains_a_release(self, log):
        assert not compare(log, [edge(log, 99.9, FIRE, 1, "hand"), edge(log, 100.0, LOCK, 1)]).strange

    def test_a_release_longer_than_a_lease_is_reported_unless_it_was_renewed(self, log):
        edges = [edge(log, 100.0, LOCK, 1), edge(log, 140.0, LOCK, 0)]
        assert compare(log, edges, [released(100.0)]).too_long == (edges[0],)
        assert not compare(log, edges, [released(100.0), released(115.0)]).too_long

    def test_other_lines_are_no_releases(self, log):
        assert compare(log, [edge(log, 100.0, REX, 1), edge(log, 100.0, 22, 1)]).releases == 0
