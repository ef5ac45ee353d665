"""What a server counts of itself, in the form that Prometheus reads. Knows no runs, SQL or HTTP; holds no id of anybody.

Each number has one writer, the thread whose work it counts, so that nothing is locked; a reader may see a count a moment
before its sum. The library that knows the text form is loaded when somebody first asks for it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric

LOOK_BUCKETS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
WAIT_BUCKETS_S = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0, 10_800.0, 36_000.0, 86_400.0)
REQUEST_BUCKETS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Histogram:
    """How many values there were up to each bound, and their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return (bound, how many values up to it), the last for all of them."""
        found, total = [], 0
        for bound, n in zip([*map(str, self._bounds), "+Inf"], self._counts, strict=True):
            total += n
            found.append((bound, float(total)))
        return found


@dataclass(slots=True)
class Measures:
    """The numbers of one server."""

    looks: Histogram = field(default_factory=lambda: Histogram(LOOK_BUCKETS_S))
    queue_waits: Histogram = field(default_factory=lambda: Histogram(WAIT_BUCKETS_S))
    moves: dict[tuple[str, str], int] = field(default_factory=dict)
    requests: dict[tuple[str, str], int] = field(default_factory=dict)
    request_times: dict[str, Histogram] = field(default_factory=dict)

    def note_move(self, state: str, reason: str) -> None:
        """Count a run that this server moved to a state."""
        self.moves[state, reason] = self.moves.get((state, reason), 0) + 1

    def note_request(self, operation: str, status: int, seconds: float) -> None:
        """Count an answer, and how long it took until it was ready to be sent."""
        key = (operation, str(status))
        self.requests[key] = self.requests.get(key, 0) + 1
        times = self.request_times.get(operation)
        if times is None:
            times = self.request_times[operation] = Histogram(REQUEST_BUCKETS_S)
        times.add(seconds)

    def render(
        self, live_runs: Mapping[str, int], ended_runs: Mapping[str, int], health: Mapping[str, object]
    ) -> bytes:
        """Return the text that Prometheus scrapes.

        Args:
            live_runs: by state, of all owners.
            ended_runs: by state, of users, as long as they are not deleted.
            health: as ``ReconcileLoop.health`` returns it.
        """
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(_Once([*self._metrics(), *_states(live_runs, ended_runs, health)]))
        return generate_latest(registry)

    def _metrics(self) -> "Iterable[Metric]":
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        for name, text, histogram in (
            ("footfall_reconcile_seconds", "How long one look at all runs took.", self.looks),
            ("footfall_queue_wait_seconds", "From a run's request to the start of its command.", self.queue_waits),
        ):
            family = HistogramMetricFamily(name, text)
            family.add_metric([], histogram.buckets(), histogram.sum)
            yield family
        moves = CounterMetricFamily(
            "footfall_run_moves", "Runs that this server moved to a state.", labels=["state", "reason"]
        )
        for labels, n in list(self.moves.items()):
            moves.add_metric(labels, n)
        yield moves
        requests = CounterMetricFamily("footfall_requests", "Answers.", labels=["operation", "status"])
        for labels, n in list(self.requests.items()):
            requests.add_metric(labels, n)
        yield requests
        times = HistogramMetricFamily(
            "footfall_request_seconds", "From a request's head to its answer.", labels=["operation"]
        )
        for operation, histogram in list(self.request_times.items()):
            times.add_metric([operation], histogram.buckets(), histogram.sum)
        yield times


class _Once:
    """A collector of what was counted already."""

    def __init__(self, metrics: "Iterable[Metric]") -> None:
        self._metrics = metrics

    def collect(self) -> "Iterable[Metric]":
        return self._metrics


def _states(
    live_runs: Mapping[str, int], ended_runs: Mapping[str, int], health: Mapping[str, object]
) -> "Iterable[Metric]":
    from prometheus_client.core import GaugeMetricFamily

    runs = GaugeMetricFamily("footfall_runs", "Runs that are there; ended ones of users only.", labels=["state"])
    for state, n in {**ended_runs, **live_runs}.items():
        runs.add_metric([state], n)
    yield runs
    active = 1 if health.get("reconciler") == "active" else 0
    yield GaugeMetricFamily("footfall_reconciler_active", "Whether this server moves the runs.", value=active)
    for name, text, key in (
        ("footfall_last_look_age_seconds", "How long ago somebody last looked at all runs.", "last_look_s"),
        ("footfall_oldest_waiting_seconds", "How long the oldest run has waited that waits now.", "oldest_waiting_s"),
    ):
        value = health.get(key)
        yield GaugeMetricFamily(name, text, value=value if isinstance(value, int | float) else 0.0)
