"""Retention: remove files of old and deleted runs, closed projects, unused code and images, expired request marks.

In a thread of its own beside the reconciler, for a project's storage may take long to remove and runs must not wait for
that. Each step begins where the last one was broken off, so that a server may stop at any point. Files go first and what the
database knows of them last, but for code: an upload of the same archive must not be lost.
"""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from footfall import layout
from footfall.compute.storage import usage
from footfall.compute.storage.engine_images import remove_unused_images
from footfall.config import Settings
from footfall.db import projects, retention, run_inputs, runs, volumes
from footfall.db.access import requests
from footfall.db.engine.engine import Database, now_us, to_us
from footfall.files.remove import remove_tree
from footfall.records import utc_now
from footfall.stores.buckets import Buckets
from footfall.stores.store import Store

HOUSEKEEPING_S = 30.0
BATCH = 500
SWEEP_DRAFTS_S = 3600.0
DRAFT_S = 21_600.0
"""An upload that has not grown for so long was killed."""
PROJECT_KEPT = timedelta(days=30)
"""The row of a deleted project, and those of its runs, stay so long."""
STOP_S = 5.0

log = structlog.get_logger()


class Housekeeper:
    """Keeps house while it is told to."""

    def __init__(
        self, settings: Settings, database: Database, internal: Store, buckets: Buckets, is_wanted: Callable[[], bool]
    ) -> None:
        self._settings = settings
        self._root: Path = settings.runs_root
        self._db = database
        self._internal = internal
        self._buckets = buckets
        self._is_wanted = is_wanted
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self._drafts_swept_at = -SWEEP_DRAFTS_S
        self._kept_at: float | None = None

    @property
    def last_round_s(self) -> float | None:
        """How long ago, in seconds, a round was last done to its end; None before the first."""
        return None if self._kept_at is None else time.monotonic() - self._kept_at

    def start(self) -> None:
        """Begin; the first round comes after a while, so that a start is not slowed down."""
        self._thread.start()

    def stop(self) -> None:
        """Break off; what takes too long ends with the process."""
        self._stop.set()
        self._thread.join(STOP_S)

    def keep(self) -> None:
        """Do one round. A step that fails leaves the others their turn, and is tried again in the next one."""
        for step in (
            self._forget_requests,
            self._sweep_drafts,
            self._sweep_artefacts,
            self._remove_files_of_runs,
            self._remove_code,
            self._remove_engine_images,
            self._finish_projects,
            self._forget_projects,
        ):
            if self._stop.is_set():
                return
            self._try(step)
        self._kept_at = time.monotonic()

    def _try(self, step: Callable[..., bool | None], *arguments: Any) -> bool:
        """The door of every step, and of each thing within one: what goes wrong is logged and stops nothing else."""
        try:
            return step(*arguments) is not False
        except Exception:
            log.exception("housekeeping_failed", step=step.__name__, arguments=[str(each) for each in arguments])
            return False

    def _run(self) -> None:
        while not self._stop.wait(HOUSEKEEPING_S):
            if self._is_wanted():
                self.keep()

    def _forget_requests(self) -> None:
        with self._db.write() as tx:
            requests.forget_expired(tx, now_us(), BATCH)

    def _sweep_drafts(self) -> None:
        if time.monotonic() - self._drafts_swept_at >= SWEEP_DRAFTS_S:
            self._drafts_swept_at = time.monotonic()
            self._buckets.sweep_drafts(DRAFT_S)
            self._internal.sweep_drafts(DRAFT_S)

    def _sweep_artefacts(self) -> None:
        with self._db.read() as connection:
            prefixes = retention.find_tombstones(connection, BATCH)
        for prefix in prefixes:
            self._try(self._sweep_prefix, prefix)

    def _sweep_prefix(self, prefix: str) -> None:
        self._internal.delete_prefix(prefix)
        with self._db.write() as tx:
            retention.remove_tombstone(tx, prefix)

    def _remove_files_of_runs(self) -> None:
        before = utc_now() - timedelta(days=self._settings.run_retention_days)
        with self._db.read() as connection:
            old = retention.find_removable(connection, before, BATCH)
        self._remove_runs(old)

    def _remove_runs(self, run_ids: list[str]) -> None:
        directories = [(id, self._root / layout.run_dir(id)) for id in run_ids]
        gone = [id for id, directory in directories if not self._stop.is_set() and self._try(remove_tree, directory)]
        if gone:
            with self._db.write() as tx:
                retention.note_removed(tx, gone)

    def _remove_code(self) -> None:
        # As long as what its runs left, so that the code of a run that is shown can be fetched.
        before = to_us(utc_now() - timedelta(days=self._settings.run_retention_days))
        with self._db.read() as connection:
            unused = run_inputs.find_unused_code(connection, before, BATCH)
        for project_id, digest in unused:
            self._try(self._remove_archive, project_id, digest, before)

    def _remove_archive(self, project_id: str, digest: str, before: int) -> None:
        with self._db.write() as tx:
            # In the transaction: an upload of the same archive puts its file there in one, too.
            if run_inputs.forget_code(tx, project_id, digest, before):
                (self._root / layout.code_path(project_id, digest)).unlink(missing_ok=True)

    def _remove_engine_images(self) -> None:
        removed = remove_unused_images(self._root, time.time() - self._settings.run_retention_days * 86_400)
        if removed:
            log.info("engine_images_removed", ids=removed)

    def _finish_projects(self) -> None:
        with self._db.read() as connection:
            closing = projects.find_closing(connection, BATCH)
        for project_id in closing:
            self._try(self._finish_project, project_id)

    def _finish_project(self, project_id: str) -> None:
        if self._remove_project(project_id):
            with self._db.write() as tx:
                volumes.delete_of_project(tx, project_id)
                retention.forget_code_of(tx, project_id)
                projects.finish_delete(tx, project_id)
            log.info("project_deleted", project_id=project_id)

    def _remove_project(self, project_id: str) -> bool:
        """Remove all files of a closed project and hide its runs; False when that was broken off or not all could go."""
        while True:
            with self._db.read() as connection:
                shown = retention.find_shown_runs(connection, project_id, BATCH)
            if not shown:
                break
            if self._stop.is_set():
                return False
            for run_id in shown:
                with self._db.write() as tx:
                    if not runs.hide(tx, run_id):
                        return False  # it has not ended: somebody made it while the project was being closed
            self._remove_runs(shown)
        with self._db.read() as connection:
            numbers = retention.find_volumes_of(connection, project_id)
            left = retention.find_unswept_runs(connection, project_id, BATCH)
        for number in numbers:
            usage.discard_volume(self._settings, number)
        self._remove_runs(left)
        return len(left) < BATCH and self._try(remove_tree, self._root / layout.project_dir(project_id))

    def _forget_projects(self) -> None:
        before = utc_now() - PROJECT_KEPT
        with self._db.read() as connection:
            expired = retention.find_expired_projects(connection, before, BATCH)
        for project_id in expired:
            self._try(self._forget_project, project_id)

    def _forget_project(self, project_id: str) -> None:
        is_done = False
        while not is_done and not self._stop.is_set():
            with self._db.write() as tx:
                is_done = retention.forget_project(tx, project_id, BATCH)
