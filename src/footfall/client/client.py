"""The client: what the command line, notebooks and tests use to talk to a server.

::

    client = footfall.Client()                                   # keys of the server on this machine
    client.put_object("shop", "sequences.csv", Path("sequences.csv"))
    feature = client.features.create("shoppers", "shop", "sequences.csv")
    feature = client.wait(feature, print)

Knows routes and resources; ``transport.py`` sends requests, ``replies.py`` has the types of the answers.
"""

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote

from footfall.client import replies
from footfall.client.administration import Accounts, ApiKeys, Buckets, Keys, Users
from footfall.client.credentials import find_credentials
from footfall.client.frames import read_frame
from footfall.client.profiles import CustomAttributes, Profiles, ShoppingIntents
from footfall.client.projects import Catalogue, Projects, SshKeys, Storage, Volumes
from footfall.client.replies import Encoder, Feature, ObjectSummary, Resource, Task, TaskRun, reply
from footfall.client.resources import PAGE, Resources, object_path
from footfall.client.runs import Runs
from footfall.client.transport import TRIES, Transport
from footfall.client.upload import Source, chunks_of
from footfall.client.waiting import wait_until_final
from footfall.contract import nclue as contract
from footfall.errors import InputError

if TYPE_CHECKING:
    import polars

R = TypeVar("R", bound=Resource)


class Features(Resources[Feature]):
    """Sets of encoded users.

    Example:
        >>> feature = client.features.create("shoppers", "shop", "sequences.csv")
        >>> feature = client.wait(feature)
        >>> feature.status, feature.user_count
        ('completed', 300)
        >>> client.features.find("shoppers").id == feature.id
        True
    """

    def create(
        self,
        name: str,
        source_bucket: str,
        source_file_path: str,
        *,
        encoder: str | None = None,
        format: str | None = None,
        columns: Mapping[str, str | Sequence[str]] | None = None,
        observed_until: datetime | str | None = None,
    ) -> Feature:
        """Create a feature from a sequence file or an event log.

        Args:
            encoder: the one to use, by name or id, or ``new``.
            format: ``sequence``, ``parquet``, ``csv`` or ``jsonl``; found by the content when left out.
            columns: of an event log: ``user_id``, ``timestamp``, ``behavior``, ``numeric``, ``categorical``.
            observed_until: later events are left out; a text is ISO 8601.
        """
        until = observed_until.isoformat() if isinstance(observed_until, datetime) else observed_until
        roles = cast("contract.SourceColumns | None", None if columns is None else dict(columns))  # checked by the server
        request = contract.NewFeature(name, source_bucket, source_file_path, encoder, format, roles, until)
        return self._create(request)


class Tasks(Resources[Task]):
    """Models trained on labels.

    Example:
        >>> shoppers = client.features.find("shoppers")
        >>> task = client.wait(client.tasks.create("buys tea", shoppers.id, "shop", "labels.tsv"))
        >>> task.status, task.auroc > 0.9
        ('completed', True)
        >>> "baselines" in client.tasks.report(task.id)
        True
    """

    def create(
        self,
        name: str,
        train_feature_id: str,
        train_bucket: str,
        train_file_path: str,
        *,
        test_feature_id: str | None = None,
        test_bucket: str | None = None,
        test_file_path: str | None = None,
    ) -> Task:
        """Train a task on a label file; without a test file the service holds out a fifth of the labels."""
        request = contract.NewTask(
            name, train_feature_id, train_bucket, train_file_path, test_feature_id, test_bucket, test_file_path
        )
        return self._create(request)

    def report(self, id: str) -> dict[str, Any]:
        """Return the report of a completed task as it is on the wire; the reference of the API describes its fields."""
        return dict(self._transport.json("GET", self._one(id) + "/report"))


class TaskRuns(Resources[TaskRun]):
    """Tasks applied to features.

    Example:
        >>> task = client.tasks.find("buys tea")
        >>> run = client.task_runs.create("today", task.id, task.train_feature_id, "shop", "scores.tsv")
        >>> run = client.wait(run)
        >>> run.status
        'completed'
        >>> client.scores(run).columns
        ['user_id', 'score']
    """

    def create(self, name: str, task_id: str, feature_id: str, result_bucket: str, result_file_path: str) -> TaskRun:
        """Score every user of a feature into a TSV object."""
        return self._create(contract.NewTaskRun(name, task_id, feature_id, result_bucket, result_file_path))


class Client:
    """A connection to one server with one pair of keys; safe to share between threads.

    Example:
        >>> client = footfall.Client()
        >>> client.health()["status"]
        'ok'
        >>> client.put_object("shop", "notes/hello.txt", b"hello").size_bytes
        5
        >>> [item.key for item in client.list_objects("shop", "notes/")]
        ['notes/hello.txt']
        >>> b"".join(client.get_object("shop", "notes/hello.txt"))
        b'hello'
        >>> client.delete_object("shop", "notes/hello.txt")
    """

    def __init__(
        self,
        endpoint: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        api_key: str | None = None,
        home: str | os.PathLike[str] | None = None,
        *,
        ca_file: str | os.PathLike[str] | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        """Find the keys, and find them again when the server cannot be reached or refuses them; no request is sent yet.

        Arguments left out are taken from ``FOOTFALL_ENDPOINT``, ``FOOTFALL_ACCESS_KEY``, ``FOOTFALL_SECRET_KEY``
        and ``FOOTFALL_API_KEY``, then in ``credentials.toml`` of the home directory, then ``NCLOUD_ACCESS_KEY`` and
        ``NCLOUD_SECRET_KEY``. A ``home`` passed here takes precedence over variables.

        Args:
            ca_file: PEM file of the authority that signed the server's certificate, where the system's do not know it.
            timeout_s: longest wait for the server within one request; a log that is followed may be silent for longer.
        """
        find = functools.partial(find_credentials, endpoint, access_key, secret_key, api_key, home)
        self.transport = Transport(find(), ca_file, timeout_s, find)
        self.features = Features(self.transport, Feature, "/api/v1/features", "features")
        self.tasks = Tasks(self.transport, Task, "/api/v1/tasks", "tasks")
        self.task_runs = TaskRuns(self.transport, TaskRun, "/api/v1/task-runs", "runs")
        self.shopping_intents = ShoppingIntents(self.transport)
        self.custom_attributes = CustomAttributes(self.transport)
        self.profiles = Profiles(self.shopping_intents, self.custom_attributes)
        self.accounts = Accounts(self.transport)
        self.users = Users(self.transport)
        self.keys = Keys(self.transport)
        self.api_keys = ApiKeys(self.transport)
        self.buckets = Buckets(self.transport)
        self.projects = Projects(self.transport)
        self.runs = Runs(self.transport, self.projects)
        self.storage = Storage(self.transport)
        self.catalogue = Catalogue(self.transport)
        self.volumes = Volumes(self.transport)
        self.ssh_keys = SshKeys(self.transport)

    @property
    def endpoint(self) -> str:
        """Where the server is."""
        return self.transport.credentials.endpoint

    def health(self) -> dict[str, Any]:
        """Return the answer of ``/healthz``: one unsigned request, without retries."""
        answer = self.transport.call("GET", "/healthz", signed=False, tries=1)
        return dict(self.transport.decode(answer))

    def wait(self, resource: R, callback: Callable[[R], None] | None = None, timeout_s: float | None = None) -> R:
        """Poll a feature, task, task run or profile until it has ended, and return it; its ``status`` tells how it ended.

        A server that is unreachable for up to a minute, as during a restart, does not end the waiting: its runs go on.

        Args:
            callback: called with the resource after every poll.

        Raises:
            TimeoutError: it has not ended after ``timeout_s``; it goes on.
        """
        kind: Resources[Any] = self._kind_of(resource)
        id = resource.id
        return wait_until_final(
            resource, lambda: kind.get(id), lambda now: f"{now.name!r} is still {now.status}", callback, timeout_s
        )

    def log(self, resource: Resource, *, follow: bool = False) -> Iterator[bytes]:
        """Yield the log of the job that makes a resource."""
        return self._kind_of(resource).log(resource.id, follow=follow)

    def encoders(self) -> list[Encoder]:
        """Return the encoders of the account, newest first."""
        encoders: list[Encoder] = []
        while True:
            page = self.transport.json("GET", "/api/v1/encoders", {"index": len(encoders), "limit": PAGE})
            encoders += [reply(Encoder, item) for item in page["encoders"]]
            if not page["encoders"] or len(encoders) >= page["total"]:
                return encoders

    def encoder(self, id: str) -> Encoder:
        """Return one encoder."""
        return reply(Encoder, self.transport.json("GET", f"/api/v1/encoders/{quote(id, safe='')}"))

    def put_object(self, bucket: str, key: str, source: Source, callback: Callable[[int], None] | None = None) -> ObjectSummary:
        """Send bytes, a file or an iterable of bytes to ``bucket/key``; it appears there whole or not at all.

        Args:
            callback: called with the number of bytes sent so far.
        """
        headers = {"content-type": "application/octet-stream"}
        if isinstance(source, bytes):
            headers["content-length"] = str(len(source))
        elif isinstance(source, str | os.PathLike):
            headers["content-length"] = str(Path(source).stat().st_size)
        repeatable = isinstance(source, bytes | str | os.PathLike)
        answer = self.transport.call(
            "PUT",
            object_path(bucket, key),
            body=lambda: chunks_of(source, callback),
            headers=headers,
            tries=TRIES if repeatable else 1,
        )
        return reply(ObjectSummary, self.transport.decode(answer))

    def get_object(self, bucket: str, key: str) -> Iterator[bytes]:
        """Yield an object's bytes; an object that breaks off is an error, not a short one."""
        return self.open_object(bucket, key)[1]

    def open_object(self, bucket: str, key: str) -> tuple[int, Iterator[bytes]]:
        """Return the size of an object in bytes, and its bytes as ``get_object`` yields them."""
        answer = self.transport.call("GET", object_path(bucket, key))
        return int(answer.headers.get("content-length", 0)), self.transport.stream(answer)

    def list_objects(
        self, bucket: str, prefix: str = "", *, on_skipped: Callable[[int], object] | None = None
    ) -> Iterator[ObjectSummary]:
        """Yield what is in a bucket, by key, requesting more pages as they are needed.

        Args:
            on_skipped: called with a number of keys that are left out: another client put what is no path, such as ``a//b``.
        """
        after: str | None = None
        while True:
            query: Mapping[str, Any] = {"prefix": prefix or None, "after": after, "limit": 1000}
            page = self.transport.json("GET", f"/data/v1/{quote(bucket, safe='')}", query)
            for item in page["objects"]:
                yield reply(ObjectSummary, item)
            if on_skipped and page.get("n_skipped"):
                on_skipped(page["n_skipped"])
            after = page.get("next_after")
            if not after:
                return

    def delete_object(self, bucket: str, key: str) -> None:
        """Remove an object."""
        self.transport.read(self.transport.call("DELETE", object_path(bucket, key)))

    def scores(self, task_run: TaskRun) -> "polars.DataFrame":
        """Return the result of a completed task run: ``user_id`` (text) and ``score`` (0 to 1), in the feature's order.

        Raises:
            InputError: the task run is not completed, or polars (the extra ``frames``) is not installed.
        """
        if task_run.status != "completed":
            raise InputError(f"The task run {task_run.name!r} is {task_run.status}; wait() until it is completed.")
        content = b"".join(self.get_object(task_run.result_bucket, task_run.result_file_path))
        return read_frame(content, {"user_id": "String", "score": "Float64"})

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _kind_of(self, resource: Resource) -> Resources[Any]:
        kinds: dict[type[Resource], Resources[Any]] = {
            Feature: self.features,
            Task: self.tasks,
            TaskRun: self.task_runs,
            replies.ShoppingIntent: self.shopping_intents,
            replies.CustomAttributes: self.custom_attributes,
        }
        return kinds[type(resource)]
