"""Serves the gate's metrics for Prometheus, on this machine only. They hold no name, person, household or score.

A separate thread serves them. The module is imported only if a port is set, because it costs memory.
"""

import math
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, start_http_server

from gated.errors import StateError
from gated.events import AccessDenied, AccessGranted, CredentialDenied, CredentialGranted, Degraded, DoorReleased, Event
from gated.journal.journal import Journal
from gated.runtime.tasks import until_cancelled
from gated.service.version import own_version

ADDRESS = "127.0.0.1"
"""The local address that serves the metrics."""
SECONDS = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 3.0)
"""Bounds of the histogram's buckets, in seconds. Half a second is the promise."""
MOST_S = 5.0
"""Largest time from grant to release that counts as latency, in seconds.

A latch refuses any request older than one second, so a larger gap means that the clock was set.
"""


class Metrics:
    """Counters of what has happened since the start, by kind of fact."""

    def __init__(self, version: str, models: str) -> None:
        self.registry = CollectorRegistry()
        Info("gated", "The version of gated.", registry=self.registry).info({"version": version, "models": models})
        self._facts = Counter("gated_facts", "Facts of the journal, by kind.", ["kind"], registry=self.registry)
        self._decisions = Counter(
            "gated_decisions",
            "Decisions by credential kind, result and reason.",
            ["way", "outcome"],
            registry=self.registry,
        )
        self._latency_s = Histogram(
            "gated_decision_seconds", "From the exposure of the deciding frame to the decision.", buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._relay_s = Histogram(
            "gated_relay_seconds", "From the exposure of the deciding frame to the release of the lock.",
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self._observations = Counter(
            "gated_looks",
            "Looks at faces, by the reason why a look did not count.",
            ["problem"],
            registry=self.registry,
        )
        self._granted: tuple[str, datetime, float] | None = None
        self._lost = Gauge("gated_lost", "1 while a part is lost.", ["part"], registry=self.registry)
        self._parts: set[str] = set()

    def gauge(self, name: str, text: str, ask: Callable[[], float]) -> None:
        """Add a metric that calls `ask` whenever it is read. `ask` is called on another thread."""
        Gauge(name, text, registry=self.registry).set_function(ask)

    def certificates(self, ends: Callable[[str], datetime | None]) -> None:
        """Add a metric of the days until each certificate of the link ends. `ends` is called on another thread.

        NaN: unknown.
        """
        gauge = Gauge("gated_certificate_days", "Days until a certificate ends.", ["of"], registry=self.registry)

        def days_to_end(of: str) -> float:
            """Return the days until a certificate ends, or NaN if the end is unknown."""
            end = ends(of)
            return math.nan if end is None else (end - datetime.now(UTC)) / timedelta(days=1)

        for of in ("gate", "authority", "broker"):
            gauge.labels(of).set_function(partial(days_to_end, of))

    def count_observation(self, problem: str | None) -> None:
        """Count one look at a face. `problem`: as in `Observation`."""
        self._observations.labels(problem or "none").inc()

    def fact(self, event: Event, at: datetime) -> None:
        """Count one fact. `at`: when it happened. The latch reports a release after the grant."""
        kind = type(event).__struct_config__.tag
        self._facts.labels(str(kind)).inc()
        match event:
            case AccessGranted():
                self._decided("face", "granted", event.latency_s)
                self._granted = event.visit, at, event.latency_s
            case DoorReleased():
                self._released(event, at)
            case AccessDenied():
                self._decided("face", str(event.reason), event.latency_s)
            case CredentialGranted():
                self._decisions.labels(event.way, "granted").inc()
            case CredentialDenied():
                self._decisions.labels(event.way, str(event.reason)).inc()
            case Degraded():
                self._show(set(event.lost))

    async def serve(self, port: int, works: Callable[[], None]) -> None:
        """Serve the metrics on a port until cancelled. Raises `StateError` if the port is in use."""
        try:
            server, thread = start_http_server(port, ADDRESS, self.registry)
        except OSError as error:
            advice = "choose another health.metrics_port"
            raise StateError(f"port {port}: the metrics cannot be served ({error.strerror}); {advice}") from error
        works()
        try:
            await until_cancelled()
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _decided(self, kind: str, outcome: str, latency_s: float) -> None:
        self._decisions.labels(kind, outcome).inc()
        self._latency_s.observe(latency_s)

    def _released(self, event: DoorReleased, at: datetime) -> None:
        """Measure the time from frame to release, if the release belongs to the last grant.

        Skips gaps from a clock that was set.
        """
        if self._granted is None or event.visit != self._granted[0]:
            return
        _, granted_at, latency_s = self._granted
        self._granted = None
        if abs((at - granted_at).total_seconds()) < MOST_S:
            self._relay_s.observe(latency_s + (at - granted_at).total_seconds())

    def _show(self, lost: set[str]) -> None:
        self._parts |= lost
        for part in self._parts:
            self._lost.labels(part).set(part in lost)


def gate_metrics(models: str, template_count: Callable[[], int], open_journal: Callable[[], Journal]) -> Metrics:
    """Return the metrics of a gate with the model set `models`.

    `template_count` and `open_journal` are called on another thread whenever a metric is read.
    """

    def waiting() -> float:
        """Return the number of journal rows that the office has not acknowledged."""
        with closing(open_journal()) as journal:
            position = journal.position()
        return position.head - position.acked

    metrics = Metrics(own_version(), models)
    metrics.gauge("gated_templates", "Number of templates in the search.", template_count)
    metrics.gauge("gated_events_waiting", "Journal rows that the office has not acknowledged.", waiting)
    return metrics
