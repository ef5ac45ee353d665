"""The server's own metrics, for Prometheus. Knows no runs, SQL or HTTP; holds no id of anybody."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

RECONCILE_BUCKETS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
QUEUE_WAIT_BUCKETS_S = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0, 10_800.0, 36_000.0, 86_400.0)
REQUEST_BUCKETS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which no chart of ours reads


class ServerMetrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._reconcile = Histogram(
            "footfall_reconcile_seconds", "How long one look at all runs took.", buckets=RECONCILE_BUCKETS_S,
            registry=registry,
        )  # fmt: skip
        self._queue_wait = Histogram(
            "footfall_queue_wait_seconds", "From a run's request to the start of its command.",
            buckets=QUEUE_WAIT_BUCKETS_S, registry=registry,
        )  # fmt: skip
        self._moves = Counter(
            "footfall_run_moves", "Runs that this server moved to a state.", ["state", "reason"], registry=registry
        )
        self._requests = Counter("footfall_requests", "Answers.", ["operation", "status"], registry=registry)
        self._request_seconds = Histogram(
            "footfall_request_seconds", "From a request's head to its answer.", ["operation"],
            buckets=REQUEST_BUCKETS_S, registry=registry,
        )  # fmt: skip
        # Finding a child by its labels takes twice as long as counting in it.
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def observe_reconcile(self, seconds: float) -> None:
        """Count one look at all runs."""
        self._reconcile.observe(seconds)

    def observe_queue_wait(self, seconds: float) -> None:
        """Count a command that started, so long after its run was asked for."""
        self._queue_wait.observe(seconds)

    def count_move(self, state: str, reason: str) -> None:
        """Count a run that this server moved to a state."""
        self._moves.labels(state, reason).inc()

    def observe_request(self, operation: str, status: int, seconds: float) -> None:
        """Count an answer, and how long it took until it was ready to be sent."""
        children = self._children.get((operation, status))
        if children is None:
            children = self._requests.labels(operation, str(status)), self._request_seconds.labels(operation)
            self._children[operation, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def render(self, live_runs: Mapping[str, int], ended_runs: Mapping[str, int], health: Mapping[str, object]) -> bytes:
        """Return the text that Prometheus scrapes.

        Args:
            live_runs: by state, of all owners.
            ended_runs: by state, of users, as long as they are not deleted.
            health: as ``ReconcileLoop.health`` returns it.
        """
        now = CollectorRegistry()
        runs = Gauge("footfall_runs", "Runs that are there; ended ones of users only.", ["state"], registry=now)
        for state, n in {**ended_runs, **live_runs}.items():
            runs.labels(state).set(n)
        is_active = health.get("reconciler") == "active"
        Gauge("footfall_reconciler_active", "Whether this server moves the runs.", registry=now).set(is_active)
        for name, text, key in (
            ("footfall_last_look_age_seconds", "How long ago somebody last looked at all runs.", "last_look_s"),
            ("footfall_oldest_waiting_seconds", "How long the oldest run has waited that waits now.", "oldest_waiting_s"),
        ):
            value = health.get(key)
            Gauge(name, text, registry=now).set(value if isinstance(value, int | float) else 0.0)
        return generate_latest(self._registry) + generate_latest(now)
