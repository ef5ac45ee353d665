"""A place where users' commands really run: the local executor and its runners, without a database."""

import json
from pathlib import Path
from typing import Any

from engine_helpers import eventually
from footfall.config import Settings
from footfall.executor import Launch, Liveness
from footfall.executors.local import LocalExecutor
from footfall.layout import LOG, STATUS, node_dir, output_dir
from footfall.records import Image, MountedVolume, NodeShare, RunSpec, Workload, new_id

HOST = Image("host", "host")
_OF_WORKLOAD = {
    "image", "code", "code_limit_bytes", "output_limit_bytes", "scratch_limit_bytes",
    "max_processes", "log_limit_action", "start_timeout_s",
    "network", "authorized_keys", "volumes",
}  # fmt: skip


class RunnerBench:
    """Starts runs of one project and reads what their runners wrote."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.executor = LocalExecutor(settings)
        self.project = settings.data_dir / "projects" / "p" / "nas"
        self.project.mkdir(parents=True, exist_ok=True)

    def volume(self, number: int) -> MountedVolume:
        path = self.settings.data_dir / "volumes" / str(number)
        path.mkdir(parents=True, exist_ok=True)
        return MountedVolume(number, str(path))

    def submit(
        self,
        script: str | None,
        *,
        run_id: str | None = None,
        secrets: dict[str, str] | None = None,
        shares: tuple[NodeShare, ...] = (),
        port: int = 29500,
        attempt: int = 0,
        **given: Any,
    ) -> tuple[str, str]:
        """Start a run and return its id and handle; arguments that ``Workload`` knows go there, others to ``RunSpec``."""
        work = {"image": HOST, "project_dir": str(self.project)}
        work |= {name: given.pop(name) for name in list(given) if name in _OF_WORKLOAD}
        workload = Workload(script, project_id="p", project_name="vision", run_name="7", **work)  # type: ignore[arg-type]
        spec = RunSpec((), workload=workload, **{"grace_s": 2.0, "memory_mib": 2048, **given})
        run_id = run_id or new_id()
        launch = Launch(run_id, attempt, spec, secrets=secrets or {}, shares=shares, port=port)
        return run_id, self.executor.submit(launch)

    def node(self, run_id: str, rank: int = 0, attempt: int = 0) -> Path:
        return self.settings.runs_root / node_dir(run_id, attempt, rank)

    def output(self, run_id: str, rank: int = 0) -> Path:
        return self.settings.runs_root / output_dir(run_id, rank)

    def wait(self, run_id: str, rank: int = 0, timeout_s: float = 30.0) -> dict[str, Any]:
        """Return the final status of a node once it is there."""
        file = self.node(run_id, rank) / STATUS
        try:
            eventually(file.exists, timeout_s)
        except AssertionError:
            raise AssertionError(f"no end: {self.log(run_id, rank)}") from None
        status: dict[str, Any] = json.loads(file.read_text())
        runner_log = (self.node(run_id, rank) / "runner.log").read_text()
        assert runner_log == "", runner_log
        return status

    def log(self, run_id: str, rank: int = 0) -> str:
        file = self.node(run_id, rank) / LOG
        return file.read_text("utf-8", "surrogateescape") if file.exists() else ""

    def run(self, script: str | None, **given: Any) -> tuple[dict[str, Any], str]:
        """Run a script to its end and return the final status of its first node and the log."""
        run_id, _ = self.submit(script, **given)
        return self.wait(run_id), self.log(run_id)

    def wait_log(self, run_id: str, text: str, rank: int = 0) -> None:
        """Wait until the command has printed ``text``."""
        try:
            eventually(lambda: text in self.log(run_id, rank), 20)
        except AssertionError:
            raise AssertionError(f"{text!r} was never printed: {self.log(run_id, rank)!r}") from None

    def is_gone(self, handle: str) -> bool:
        return self.executor.poll([handle])[handle].liveness == Liveness.GONE
