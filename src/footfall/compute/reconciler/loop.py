"""The thread that reconciles while this process holds the lease, and another for housekeeping."""

import os
import socket
import threading
import time
from collections.abc import Callable

import structlog

from footfall.compute.reconciler.lease import DeposedError, Lease
from footfall.compute.reconciler.reconcile import Activity, Reconciler
from footfall.compute.reconciler.submit import EPOCH_NAME
from footfall.compute.storage.housekeeping import Housekeeper
from footfall.config import Settings
from footfall.db import leases, queue_stats
from footfall.db.engine.engine import Database, now_us
from footfall.errors import DatabaseUnavailableError, FootfallError
from footfall.prometheus import ServerMetrics
from footfall.records import id_time
from footfall.stores.buckets import Buckets
from footfall.stores.store import Store

ACTIVE_S = 0.25
IDLE_S = 1.0
MIN_PAUSE_S = 0.02
IDLE_SHARE = 9
"""Under a flood of requests the loop rests this many times as long as it computed, and leaves the rest of the time to them."""

HEARTBEAT_INTERVAL_S = 10.0
"""How often the holder of the lease records for other servers that it reconciles."""
WARNING_INTERVAL_S = 60.0
STUCK_S = 60.0
QUEUE_TTL_S = 5.0

log = structlog.get_logger()


class ReconcileLoop:
    """Runs a reconciler in a thread of its own."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        internal: Store,
        buckets: Buckets,
        make_reconciler: Callable[[int], Reconciler],
        metrics: ServerMetrics | None = None,
    ) -> None:
        self._db = database
        self._make = make_reconciler
        self._lease = Lease(settings.data_dir)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconcile", daemon=True)
        self._metrics = metrics or ServerMetrics()
        self._started_at = time.monotonic()
        self._heartbeat_at = -HEARTBEAT_INTERVAL_S
        self._warned_at = -WARNING_INTERVAL_S
        self._epoch = 0
        self._queue_known: tuple[str | None, int | None] = (None, None)
        self._queue_read_at = -QUEUE_TTL_S
        self._ticked_at: float | None = None
        self._is_holder = False
        self._housekeeper = Housekeeper(settings, database, internal, buckets, lambda: self._is_holder)

    def start(self) -> None:
        """Start; the lease is taken as soon as nobody else holds it."""
        self._thread.start()
        self._housekeeper.start()

    def wake(self) -> None:
        """Wake the holder of the lease, here or elsewhere."""
        self._lease.notify()

    def stop(self) -> None:
        """Finish the current tick and release the lease; runs go on."""
        self._stop.set()
        self.wake()
        self._thread.join()
        self._housekeeper.stop()

    def health(self) -> dict[str, object]:
        """Return whether the queue moves: who reconciles runs, how long ago, and how long the oldest one has waited.

        Times are in seconds; ``last_housekeeping_s``: since this server last finished housekeeping, None before. ``queue`` is
        ``stuck`` when no server has reconciled runs for ``STUCK_S``.
        """
        oldest, heartbeat = self._queue()
        age: float | None = None
        if self._is_holder and self._ticked_at is not None:
            age = time.monotonic() - self._ticked_at
        elif heartbeat is not None:
            age = max(0.0, time.time() - heartbeat / 1e6)
        kept_s = self._housekeeper.last_round_s
        is_new = time.monotonic() - self._started_at < STUCK_S
        is_stuck = not is_new and (age is None or age > STUCK_S)
        return {
            "reconciler": "active" if self._is_holder else "standby",
            "queue": "stuck" if is_stuck else "moving",
            "last_look_s": None if age is None else round(age, 3),
            "oldest_waiting_s": None if oldest is None else round(max(0.0, time.time() - id_time(oldest)), 1),
            "last_housekeeping_s": None if kept_s is None else round(kept_s, 1),
        }

    def _queue(self) -> tuple[str | None, int | None]:
        # Cached: a probe may ask often, and 100,000 waiting runs are 100,000 ids to read.
        if time.monotonic() - self._queue_read_at >= QUEUE_TTL_S:
            try:
                with self._db.read() as connection:
                    self._queue_known = (
                        queue_stats.find_oldest_waiting(connection), leases.last_beat(connection, EPOCH_NAME)
                    )  # fmt: skip
                self._queue_read_at = time.monotonic()
            except DatabaseUnavailableError:
                pass  # health reports that by other means
        return self._queue_known

    def _run(self) -> None:
        reconciler: Reconciler | None = None
        try:
            while not self._stop.is_set():
                if not self._has_lease():
                    self._stop.wait(IDLE_S)
                    continue
                cpu_started, started_at = time.thread_time(), time.monotonic()
                try:
                    if reconciler is None:
                        reconciler = self._take_over()
                    activity = reconciler.tick()
                    self._record_tick(started_at)
                except DeposedError:
                    log.warning("deposed")
                    reconciler, self._is_holder = None, False
                    self._lease.release()
                    self._stop.wait(IDLE_S)
                    continue
                except (FootfallError, OSError) as error:  # a full disk or table of descriptors may have room again
                    self._warn(error)
                    activity = Activity.IDLE
                if activity is not Activity.MOVED:
                    # Notifications of a burst are handled together.
                    self._stop.wait(max(MIN_PAUSE_S, IDLE_SHARE * (time.thread_time() - cpu_started)))
                    self._lease.wait(ACTIVE_S if activity is Activity.LIVE else IDLE_S)
        except Exception:  # else a server would live on that moves nothing
            log.exception("reconciler_died")
            os._exit(70)
        finally:
            self._is_holder = False
            self._lease.release()

    def _has_lease(self) -> bool:
        try:
            return self._lease.acquire()
        except OSError as error:
            self._warn(error)
            return False

    def _warn(self, error: Exception) -> None:
        if time.monotonic() - self._warned_at >= WARNING_INTERVAL_S:
            self._warned_at = time.monotonic()
            log.warning("reconcile_failed", error=str(error))

    def _take_over(self) -> Reconciler:
        with self._db.write() as tx:
            epoch = leases.begin_epoch(tx, EPOCH_NAME, f"{socket.gethostname()}:{os.getpid()}")
        self._is_holder = True
        self._epoch = epoch
        log.info("lease_taken", epoch=epoch)
        return self._make(epoch)

    def _record_tick(self, started_at: float) -> None:
        now = self._ticked_at = time.monotonic()
        self._metrics.observe_reconcile(now - started_at)
        if now - self._heartbeat_at >= HEARTBEAT_INTERVAL_S:
            self._heartbeat_at = now
            with self._db.write() as tx:
                leases.beat(tx, EPOCH_NAME, self._epoch, now_us())
