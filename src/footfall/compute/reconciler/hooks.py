"""What is added to users' runs at three moments of their life, and who adds it to which kind of run.

The reconciler calls hooks and knows neither commands of users nor behavior's jobs.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from footfall import layout
from footfall.compute.outputs.metrics import read_summary
from footfall.compute.storage import usage
from footfall.config import Settings
from footfall.db import run_inputs
from footfall.db.engine.encryption import Secrets, SecretUnreadableError
from footfall.db.engine.engine import Connection
from footfall.errors import SubmitRejectedError
from footfall.records import MountedVolume, Run, RunSpec


class RunHooks(Protocol):
    """What the owner of a kind of run adds to it."""

    def complete_spec(self, tx: Connection, run: Run) -> RunSpec:
        """Return the run's spec with what can only be known now that its turn has come.

        Raises:
            DataError: the run must not start any more, with the name and the sentence that its owner shows.
        """

    def run_ended(self, tx: Connection, run: Run) -> None:
        """Act on the end of a run, in the transaction that ends it."""


class CommandHooks:
    """The hooks of users' commands."""

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self._settings = settings
        self._secrets = secrets

    def complete_spec(self, tx: Connection, run: Run) -> RunSpec:
        """Return the spec with the host's paths of what the command finds around it, and the keys that may log in.

        Raises:
            SubmitRejectedError: the code archive is gone.
        """
        workload = run.spec.workload
        if workload is None:
            return run.spec
        code = ""
        if workload.code_digest:
            code = str(self._settings.data_dir / layout.code_path(run.project_id, workload.code_digest))
            if not run_inputs.touch_code(tx, run.project_id, workload.code_digest):
                digest = workload.code_digest
                raise SubmitRejectedError(f"The code archive {digest} is gone; send the code again with `footfall run`.")
        return replace(
            run.spec,
            workload=replace(
                workload,
                project_dir=str(usage.make_nas(self._settings, run.project_id)),
                volumes=tuple(
                    MountedVolume(volume.number, str(usage.make_volume(self._settings, volume.number)))
                    for volume in workload.volumes
                ),
                code=code,
                authorized_keys="\n".join(run_inputs.find_authorized_keys(tx, run.account_id)),
            ),
        )

    def open_secrets(self, connection: Connection, run: Run) -> Mapping[str, str]:
        """Return the secret values of a run's environment.

        Raises:
            SubmitRejectedError: they cannot be opened with the keys of this home.
        """
        sealed = run_inputs.find_sealed(connection, run.id)
        if sealed is None:
            return {}
        try:
            opened: dict[str, str] = json.loads(self._secrets.open(sealed, run.id))
        except SecretUnreadableError as error:
            raise SubmitRejectedError(f"The secret values of the run's environment cannot be read: {error}") from error
        return opened

    def sum_up(self, run: Run) -> dict[str, Any]:
        """Return what an ended run leaves in its row beside its state: the summary of its metrics."""
        summaries, _ = read_summary(self._settings.runs_root, run.id, run.attempt + 1, run.spec.n_nodes)
        shown = {key: summary.to_wire() for key, summary in summaries.items() if _is_text(key)}
        return {"metrics": json.dumps(shown)} if shown else {}

    def run_ended(self, tx: Connection, run: Run) -> None:
        """Nothing: what the run held is released by the statement that ends it."""


def _is_text(key: str) -> bool:
    """Whether a key can be written as UTF-8: a command may post half a surrogate pair, which JSON can hold."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


class HooksByKind:
    """Users' commands go to their hooks, all other kinds to those of the wing above."""

    def __init__(self, command: CommandHooks, others: RunHooks) -> None:
        self._command = command
        self._others = others

    def complete_spec(self, tx: Connection, run: Run) -> RunSpec:
        """See ``RunHooks``."""
        return self._of(run).complete_spec(tx, run)

    def run_ended(self, tx: Connection, run: Run) -> None:
        """See ``RunHooks``."""
        self._of(run).run_ended(tx, run)

    def open_secrets(self, connection: Connection, run: Run) -> Mapping[str, str]:
        """Return the secret values of the environment of a user's command; other runs have none."""
        return self._command.open_secrets(connection, run) if run.spec.workload is not None else {}

    def sum_up(self, run: Run) -> dict[str, Any]:
        """Return further columns of a user's run that has ended; other runs have none."""
        return self._command.sum_up(run) if run.spec.workload is not None else {}

    def _of(self, run: Run) -> RunHooks:
        return self._command if run.spec.workload is not None else self._others
