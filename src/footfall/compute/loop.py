"""The thread that reconciles while this process holds the lease, and another that keeps house meanwhile."""

import os
import socket
import threading
import time
from collections.abc import Callable

import structlog

from footfall.compute.housekeeping import Housekeeper
from footfall.compute.lease import DeposedError, Lease
from footfall.compute.reconcile import Activity, Reconciler
from footfall.compute.submit import EPOCH_NAME
from footfall.config import Settings
from footfall.db import runs
from footfall.db.engine import Database
from footfall.errors import FootfallError
from footfall.store import Buckets, Store

ACTIVE_S = 0.25
IDLE_S = 1.0
LEAST_PAUSE_S = 0.02
IDLE_SHARE = 9
"""Under a flood of requests the loop rests this many times as long as it computed, and leaves the rest of the time to them."""

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
    ) -> None:
        self._db = database
        self._make = make_reconciler
        self._lease = Lease(settings.data_dir)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconcile", daemon=True)
        self._looked_at: float | None = None
        self._is_holder = False
        self._housekeeper = Housekeeper(settings, database, internal, buckets, lambda: self._is_holder)

    def start(self) -> None:
        """Begin; the lease is taken as soon as nobody else holds it."""
        self._thread.start()
        self._housekeeper.start()

    def wake(self) -> None:
        """Ask the holder of the lease, here or elsewhere, to look now."""
        self._lease.ring()

    def stop(self) -> None:
        """Finish the look that is under way and release the lease; runs go on."""
        self._stop.set()
        self.wake()
        self._thread.join()
        self._housekeeper.stop()

    def health(self) -> dict[str, object]:
        """Say whether this process moves the runs, and how long ago it last looked at them all, in seconds."""
        age = None if self._looked_at is None else round(time.monotonic() - self._looked_at, 3)
        return {"reconciler": "active" if self._is_holder else "standby", "last_look_s": age}

    def _run(self) -> None:
        reconciler: Reconciler | None = None
        try:
            while not self._stop.is_set():
                if not self._lease.acquire():
                    self._stop.wait(IDLE_S)
                    continue
                begun = time.thread_time()
                try:
                    if reconciler is None:
                        reconciler = self._take_over()
                    activity = reconciler.tick()
                    self._looked_at = time.monotonic()
                except DeposedError:
                    log.warning("deposed")
                    reconciler, self._is_holder = None, False
                    self._lease.release()
                    self._stop.wait(IDLE_S)
                    continue
                except FootfallError as error:
                    log.warning("reconcile_failed", error=str(error))
                    activity = Activity.IDLE
                if activity is not Activity.MOVED:
                    # Rings of a burst are answered together.
                    self._stop.wait(max(LEAST_PAUSE_S, IDLE_SHARE * (time.thread_time() - begun)))
                    self._lease.wait(ACTIVE_S if activity is Activity.LIVELY else IDLE_S)
        except Exception:  # the door of the thread: without it a server would live on that moves nothing
            log.exception("reconciler_died")
            os._exit(70)
        finally:
            self._is_holder = False
            self._lease.release()

    def _take_over(self) -> Reconciler:
        with self._db.write() as tx:
            epoch = runs.begin_epoch(tx, EPOCH_NAME, f"{socket.gethostname()}:{os.getpid()}")
        self._is_holder = True
        log.info("lease_taken", epoch=epoch)
        return self._make(epoch)
