"""Fixtures of these tests: imports of the contracts and `hw_tests`, and a bench on a desk."""

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [path for path in (str(Path(__file__).parent), str(TESTS), str(TESTS.parent)) if path not in sys.path]
for module in ("bench", "daemon", "endurance", "hands", "power", "relay", "sight"):
    pytest.register_assert_rewrite(f"contracts.{module}")


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(*parts): what must be on the bench")


@pytest.fixture(scope="session")
def desk():
    """The module of the bench, for tests that create their own."""
    import desk

    return desk


@pytest.fixture
def bench(desk, tmp_path):
    bench = desk.DeskBench(tmp_path)
    yield bench
    bench.close()
