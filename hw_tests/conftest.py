"""Runs the hardware tests: selects the tests that this bench can run, locks the bench, and writes the report."""

import contextlib
import os
import platform
import sys
from collections import defaultdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

HW_TESTS = Path(__file__).parent
sys.path[:0] = [path for path in (str(HW_TESTS.parent), str(HW_TESTS.parent / "tests")) if path not in sys.path]
for module in ("bench", "camera", "daemon", "door", "endurance", "hands", "power", "relay", "sight"):
    pytest.register_assert_rewrite(f"contracts.{module}")

from gated.config import GateSettings, Settings, SiteSettings  # noqa: E402
from gated.door.pin_source import pin_factory  # noqa: E402
from gated.errors import BusyError, ConfigError  # noqa: E402
from gated.storage.process_lock import FileLock  # noqa: E402
from hw_tests.bench import CopperBench, Terminal  # noqa: E402
from hw_tests.report import Result, load, promise_of, save  # noqa: E402
from hw_tests.wiring import PHASES, UNARMED, Wiring  # noqa: E402

MODEL = Path("/proc/device-tree/model")


def pytest_addoption(parser):
    group = parser.getgroup("gated", "a gate on the bench")
    group.addoption("--dry", action="store_true", help="list the tests that would run, with their pins; drive nothing")
    group.addoption("--phase", choices=PHASES, default="", help="one half of a power cut")


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(*parts): what must be on the bench")
    try:
        wiring = Wiring.read(os.environ)
        run = Run(config, wiring)
    except (ConfigError, BusyError) as error:
        raise pytest.UsageError(str(error)) from error
    config.pluginmanager.register(run, "gated-bench")


class Run:
    """One run, from the wiring to the report."""

    def __init__(self, config, wiring):
        """Raises `BusyError` while another run uses this bench."""
        self.wiring, self._phase, self._is_dry = wiring, config.getoption("--phase"), config.getoption("--dry")
        self._is_list = config.getoption("collectonly")
        self._plan, self._lacking, self._results = [], defaultdict(list), []
        self._lock = None
        if wiring.armed and not self._is_dry and not self._is_list:
            self._lock = FileLock(wiring.folder / "hw.lock", "a run of the hardware tests")

    def pytest_collection_modifyitems(self, config, items):
        """Deselect tests that cannot run here. A listing keeps all."""
        if self._is_list:
            return
        tried = [item for item in items if not item.path.is_relative_to(HW_TESTS) or self._may(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in tried])
        items[:] = tried

    def pytest_runtest_logreport(self, report):
        """Record the result of a promise. Results of its fixtures count only if they fail."""
        if HW_TESTS.name in report.nodeid and (report.when == "call" or report.failed):
            outcome, why = ("broken", str(report.longrepr)) if report.failed else ("kept", "")
            notes = {name: str(value) for name, value in report.user_properties}
            now = datetime.now(UTC).isoformat(timespec="seconds")
            why = getattr(getattr(report.longrepr, "reprcrash", None), "message", why)
            self._results.append(Result(promise_of(report.nodeid), outcome, now, report.duration, notes, why))

    def pytest_terminal_summary(self, terminalreporter):
        """Print the plan of a dry run, the tests that were skipped with their missing parts, and the report's path."""
        for line in self._plan:
            terminalreporter.write_line(line)
        for lacks, promises in self._lacking.items():
            terminalreporter.section(f"not tried, needs {lacks}", "-")
            for promise in promises:
                terminalreporter.write_line(promise)
        if self._results and self._lock is not None:
            report = load(self.wiring.folder / "report.json", board()).with_results(self._results)
            terminalreporter.write_line(f"report: {save(report, self.wiring.folder)}")

    def pytest_sessionfinish(self, session, exitstatus):
        """Exit with 0 if no test can run here."""
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and (self._plan or self._lacking):
            session.exitstatus = pytest.ExitCode.OK

    def pytest_unconfigure(self):
        if self._lock is not None:
            self._lock.close()

    def _may(self, item):
        """Return whether to run a test. Otherwise add it to the plan, or to the list of missing parts."""
        wants = list(dict.fromkeys(part for mark in item.iter_markers("needs") for part in mark.args))
        promise, lacks = promise_of(item.nodeid), self.wiring.missing(wants, self._phase)
        if self._is_dry and set(lacks) <= {UNARMED}:
            number, deed = len(self._plan) + 1, " ".join((item.obj.__doc__ or "").split())
            self._plan.append(f"{number}. {promise} ({self.wiring.uses(wants)}){deed and f': {deed}'}")
        elif lacks:
            self._lacking[", ".join(lacks)].append(promise)
        return not lacks and not self._is_dry


def board():
    """Return facts about this machine, without any about the site."""
    model = MODEL.read_text().rstrip("\0") if MODEL.exists() else platform.machine()
    return {
        "board": model,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "gated": version("gated"),
    }


@pytest.fixture
def parts(request):
    return request.config.pluginmanager.getplugin("gated-bench").wiring


@pytest.fixture
def factory():
    """The Pi's pins. lgpio changes the working directory on import; this fixture restores it."""
    with contextlib.chdir(Path.cwd()):
        factory = pin_factory(Settings(SiteSettings("bench"), GateSettings("front")))
    yield factory
    factory.close()


@pytest.fixture
def bench(parts, factory, record_property):
    bench = CopperBench(parts, factory, Terminal(), record_property)
    yield bench
    bench.close()
