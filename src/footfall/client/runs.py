"""The client's operations on runs: create, follow, stop; and on their logs, metrics and artifacts.

A log that is followed is requested again from its byte offset whenever the connection breaks, so that nothing is lost or
repeated, also when the server restarts meanwhile.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from footfall.client.code.packing import Archive, pack
from footfall.client.nsml_replies import Artifact, Artifacts, Metrics, Node, Run
from footfall.client.projects import NSML, Projects, pages, project_path
from footfall.client.replies import reply
from footfall.client.resources import LOG_CHUNK_BYTES
from footfall.client.transport import CHUNK_BYTES, SilentStreamError, Transport
from footfall.client.upload import chunks_of
from footfall.client.waiting import FIRST_PAUSE_S, Patience, wait_until_final
from footfall.contract.runs import ImageType, NewRun, RunChanges
from footfall.errors import InputError, ServiceError
from footfall.lines import LinePicker

STOOD_S = 1.0
"""A stream that broke off after standing for longer was no failure to connect, though it was silent."""


class Runs:
    r"""Commands on nodes.

    Example:
        >>> vision = client.projects.find("vision")
        >>> image = client.catalogue.images()[0]
        >>> run = client.runs.create(vision.id, "echo hello; exit 3", product=1, image=image.path)
        >>> run = client.runs.wait(run)
        >>> run.state, run.exit_code
        ('failed', 3)
        >>> b"".join(client.runs.log(run))
        b'hello\n'
        >>> client.runs.delete(run)
    """

    def __init__(self, transport: Transport, projects: Projects) -> None:
        self._transport, self._projects = transport, projects

    def create(
        self,
        project_id: str,
        command: str | None,
        *,
        product: int,
        image: str,
        image_type: str = "BASE",
        nodes: int = 1,
        environment: Mapping[str, str | int | float | bool] | None = None,
        volumes: Sequence[int] = (),
        note: str | None = None,
        code_digest: str | None = None,
        git_commit: str | None = None,
        git_modified: bool | None = None,
        priority: int | None = None,
        timeout_s: int | None = None,
        secrets: Sequence[str] = (),
    ) -> Run:
        """Create a run of a shell command.

        Args:
            command: None for a product of type DEV, whose nodes are held until the run is stopped.
            product: its code.
            code_digest: of an archive that ``upload_code`` sent.
            git_commit: of that code, and ``git_modified`` whether it differs; ``pack`` finds both.
            priority: -100 to 100, among the runs of the project.
            timeout_s: its wall-clock limit, in seconds.
            secrets: variables whose values are kept encrypted and never shown, besides those whose names sound secret.
        """
        request = NewRun(
            gpu_svr_code=product,
            image_path=image,
            image_type=cast("ImageType", image_type),  # another one is the server's to refuse
            node_count=nodes,
            command=command,
            envs=dict(environment or {}),
            block_storage_no_list=list(volumes),
            note=note,
            code_digest=code_digest,
            git_commit=git_commit,
            git_modified=git_modified,
            priority=priority,
            timeout_seconds=timeout_s,
            secret_envs=list(secrets) or None,
        )
        return reply(Run, self._transport.json("POST", project_path(project_id, "runs"), body=request))

    def upload_code(self, project_id: str, code: Path | Archive, callback: Callable[[int, int], None] | None = None) -> str:
        """Send a directory, or an archive that ``pack`` made, and return its digest.

        Args:
            callback: called with the bytes sent so far and in all.
        """
        with code if isinstance(code, Archive) else pack(code) as archive:

            def body() -> Iterator[bytes]:
                archive.file.seek(0)
                chunks = iter(lambda: archive.file.read(CHUNK_BYTES), b"")
                return chunks_of(chunks, None if callback is None else lambda sent: callback(sent, archive.size_bytes))

            target = project_path(project_id, "code", archive.digest)
            headers = {"content-type": "application/gzip", "content-length": str(archive.size_bytes)}
            self._transport.read(self._transport.call("PUT", target, body=body, headers=headers))
            return archive.digest

    def get_code(self, run: Run) -> Iterator[bytes]:
        """Yield the code archive that a run was given, a tar.gz.

        Raises:
            InputError: it was given none.
        """
        digest = run.code_digest or self.get(run.project_id, run.number).code_digest
        if digest is None:
            raise InputError(f"{run.name} was given no code.")
        return self._transport.stream(self._transport.call("GET", project_path(run.project_id, "code", digest)))

    def list(
        self,
        project_id: str | None = None,
        *,
        status: str | None = None,
        run_type: str | None = None,
        command: str | None = None,
        note: str | None = None,
        product: int | None = None,
        creator: str | None = None,
        reason: str | None = None,
        min_s: int | None = None,
        max_s: int | None = None,
        limit: int | None = None,
    ) -> Iterator[Run]:
        """Yield the runs of a project, or of the account, newest first; each argument that is given leaves out the others.

        Args:
            status: one of the six words, such as ``in_progress``.
            command: a text that their command holds; ``note`` likewise.
            product: its code.
            reason: why they failed, one word.
            min_s: how long they took since they started, at least; ``max_s`` at most; in seconds.
        """
        path = f"{NSML}/projects/runs" if project_id is None else project_path(project_id, "runs")
        query: dict[str, Any] = {"status": None if status is None else f"RUN_STATE_{status.upper()}", "runType": run_type}
        query |= {"command": command, "note": note, "gpuSvrCode": product, "creator": creator, "reason": reason}
        query |= {"minSeconds": min_s, "maxSeconds": max_s, "details": "true"}
        seen: set[tuple[str, str]] = set()
        for item in pages(self._transport, path, "runList", query):
            if limit is not None and len(seen) >= limit:
                return
            run = reply(Run, item)
            if (run.project_id, run.number) not in seen:  # one that was made meanwhile pushed it to this page
                seen.add((run.project_id, run.number))
                yield run

    def get(self, project_id: str, number: str | int) -> Run:
        """Return a run as it is now."""
        return reply(Run, self._transport.json("GET", self._path(project_id, number)))

    def find(self, name: str) -> Run:
        """Return the run that ``project/number`` names; the project by name or id.

        Raises:
            InputError: there is none, or the text reads differently.
        """
        project, _, number = name.rpartition("/")
        if not project or not (number.isascii() and number.isdigit()):
            raise InputError(f"{name!r} should read PROJECT/NUMBER, as `footfall runs list` shows it.")
        project_ = self._projects.find(project)
        try:
            return self.get(project_.id, number)
        except ServiceError as error:
            if error.status != 404:
                raise
            raise InputError(f"The project {project_.name} has no run {number}; `footfall runs list` shows all.") from error

    def stop(self, run: Run) -> Run:
        """Stop a run; it is ``cancelled`` when none of its processes is left."""
        return reply(Run, self._transport.json("POST", self._path(run.project_id, run.number) + "/stop"))

    def restart(self, run: Run, changes: RunChanges | None = None) -> Run:
        """Create a new run of the same specification and code, but for the changes: ``footfall.contract.runs.RunChanges``."""
        return reply(Run, self._transport.json("POST", self._path(run.project_id, run.number) + "/restart", body=changes))

    def delete(self, run: Run) -> None:
        """Delete a run that has ended, with its log, metrics and artifacts."""
        self._transport.json("DELETE", self._path(run.project_id, run.number))

    def nodes(self, run: Run) -> Sequence[Node]:
        """Return the nodes of a run, by rank."""
        nodes = [reply(Node, item) for item in pages(self._transport, self._path(run.project_id, run.number) + "/nodes", "nodes")]
        return sorted(nodes, key=lambda node: node.rank)

    def wait(self, run: Run, callback: Callable[[Run], None] | None = None, timeout_s: float | None = None) -> Run:
        """Poll a run until it has ended, and return it; a server that is unreachable for up to a minute does not end the waiting.

        Raises:
            TimeoutError: it has not ended after ``timeout_s``; it goes on.
        """
        id, number = run.project_id, run.number
        return wait_until_final(
            run, lambda: self.get(id, number), lambda now: f"{now.name} is still {now.state}", callback, timeout_s
        )

    def log(
        self,
        run: Run,
        *,
        node: int = 0,
        offset: int | None = None,
        tail: int | None = None,
        since: datetime | None = None,
        grep: str | None = None,
        follow: bool = False,
    ) -> Iterator[bytes]:
        """Yield the log of a node in chunks.

        Args:
            offset: the first byte; else ``tail`` gives how many of the last lines, ``since`` a time.
            grep: only lines that hold this text.
            follow: go on until the run has ended.
        """
        begin = {"offset": offset, "tail": tail, "since": None if since is None else since.isoformat()}
        query: dict[str, Any] = {"node": node, "grep": grep, "limit": LOG_CHUNK_BYTES, **begin}
        while not follow:
            answer = self._transport.call("GET", self._path(run.project_id, run.number) + "/logs", query)
            chunk = self._transport.read(answer)
            yield chunk
            query |= {"tail": None, "since": None, "offset": int(answer.headers["x-next-offset"])}
            if answer.headers.get("x-log-end") == "true":
                return
        yield from self._follow(run, query)

    def _follow(self, run: Run, query: dict[str, Any]) -> Iterator[bytes]:
        """Follow by offset; lines are filtered here, since the bytes of a filtered stream do not give the offset."""
        grep = query.pop("grep")
        lines = LinePicker(grep.encode()) if grep else None
        path = self._path(run.project_id, run.number) + "/logs"
        patience = Patience()
        while True:
            began_at = None
            try:
                answer = self._transport.call("GET", path, query | {"follow": "true", "limit": None})
                began_at = time.monotonic()
                offset = int(answer.headers["x-start-offset"])
                query |= {"tail": None, "since": None, "offset": offset}
                for chunk in self._transport.stream(answer):
                    offset += len(chunk)
                    query["offset"] = offset
                    patience.reset()
                    yield lines.take(chunk) if lines else chunk
                if lines:
                    yield lines.rest()
                return
            except SilentStreamError:
                patience.reset()  # the service took the request; whether it is still there shows when we come back
            except ServiceError as error:
                if began_at is not None and time.monotonic() - began_at > STOOD_S:
                    patience.reset()
                patience.bear(error)
                time.sleep(FIRST_PAUSE_S * 3)

    def metrics(self, run: Run, *, keys: Sequence[str] = (), max_points: int = 1000) -> Metrics:
        """Return the curves of a run, each downsampled to about ``max_points`` that keep its minima and maxima."""
        escaped = (key.replace("\\", "\\\\").replace(",", "\\,") for key in keys)
        query = {"keys": ",".join(escaped) or None, "maxPoints": max_points}
        return reply(Metrics, self._transport.json("GET", self._path(run.project_id, run.number) + "/metrics", query))

    def artifacts(self, run: Run) -> Sequence[Artifact]:
        """Return the files that the run's nodes left in their output directories; at most 10,000 are listed."""
        return self.list_artifacts(run).files

    def list_artifacts(self, run: Run) -> Artifacts:
        """Return those files, and what else is there: links that lead out, names that no URL can hold."""
        answer = self._transport.json("GET", self._path(run.project_id, run.number) + "/artifacts")
        found = reply(Artifacts, answer)
        found.files = [reply(Artifact, item) for item in answer["artifacts"]]
        return found

    def get_artifact(self, run: Run, path: str, node: int = 0) -> Iterator[bytes]:
        """Yield the bytes of an artifact; a broken transfer is an error, not a short file."""
        target = f"{self._path(run.project_id, run.number)}/artifacts/{node}/{quote(path, safe='/')}"
        return self._transport.stream(self._transport.call("GET", target))

    def _path(self, project_id: str, number: str | int) -> str:
        return project_path(project_id, "runs", str(number))
