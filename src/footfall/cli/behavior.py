"""``footfall feature | task | task-run | encoder``."""

from typing import TYPE_CHECKING, Any

import click

from footfall.cli import output
from footfall.cli.context import Group, RunFailed, bucket_and_key, choices, open_client

if TYPE_CHECKING:
    from footfall.client import Client, Resources
    from footfall.replies import Resource

KINDS = {"feature": "features", "task": "tasks", "task-run": "task_runs"}
COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    "feature": (("USERS", "user_count"), ("TOKENS", "token_count"), ("BYTES", "disk_usage"), ("ENCODER", "encoder")),
    "task": (("AUROC", "AUROC"), ("USERS", "line_count"), ("FEATURE", "train_feature_name")),
    "task-run": (("USERS", "line_count"), ("TASK", "task_name"), ("FEATURE", "feature_name")),
}
_NUMBERS = {"USERS", "TOKENS", "BYTES", "AUROC"}

wait_option = click.option("--wait", is_flag=True, help="Wait until it has ended, with a progress bar.")
timeout_option = click.option(
    "--timeout", "timeout_s", type=float, metavar="S", help="Give up waiting after S seconds."
)


@click.group(cls=Group)
def feature() -> None:
    """Features: sets of encoded users."""


@click.group(cls=Group)
def task() -> None:
    """Tasks: models learned from labelled users."""


@click.group(cls=Group, name="task-run")
def task_run() -> None:
    """Task runs: tasks applied to features."""


@click.group(cls=Group)
def encoder() -> None:
    """Encoders: what was fitted once and encodes users."""


@feature.command("create")
@click.argument("name")
@click.argument("source", metavar="BUCKET/PATH")
@click.option(
    "--encoder", "encoder_name", metavar="NAME", help="Use this encoder; `new` fits one. Else the service chooses."
)
@wait_option
@timeout_option
def create_feature(name: str, source: str, encoder_name: str | None, wait: bool, timeout_s: float | None) -> None:
    """Make the feature NAME from the sequence file (or directory of files) at BUCKET/PATH."""
    bucket, path = bucket_and_key(source, what="BUCKET/PATH")
    with open_client() as client:
        made = client.features.create(name, bucket, path, encoder=encoder_name)
        _show_made(client, "feature", made, wait, timeout_s)


@task.command("create")
@click.argument("name")
@click.option("--feature", "feature_", metavar="FEATURE", required=True, help="Name or id of the feature of the users.")
@click.option("--train", metavar="BUCKET/PATH", required=True, help="Label file to learn from.")
@click.option("--test", metavar="BUCKET/PATH", help="Label file to measure on; without it a fifth is held back.")
@click.option("--test-feature", metavar="FEATURE", help="Feature of the test users, when it is another one.")
@wait_option
@timeout_option
def create_task(
    name: str,
    feature_: str,
    train: str,
    test: str | None,
    test_feature: str | None,
    wait: bool,
    timeout_s: float | None,
) -> None:
    """Learn the task NAME from labels."""
    if test_feature and not test:
        raise click.UsageError("--test-feature needs --test: the label file of those users.")
    train_bucket, train_path = bucket_and_key(train, what="BUCKET/PATH")
    with open_client() as client:
        train_id = client.features.find(feature_).id
        given: dict[str, str] = {}
        if test:
            bucket, path = bucket_and_key(test, what="BUCKET/PATH")
            test_id = client.features.find(test_feature).id if test_feature else train_id
            given = {"test_feature_id": test_id, "test_bucket": bucket, "test_file_path": path}
        made = client.tasks.create(name, train_id, train_bucket, train_path, **given)
        _show_made(client, "task", made, wait, timeout_s)


@task_run.command("create")
@click.argument("name")
@click.option("--task", "task_", metavar="TASK", required=True, help="Name or id of the task to apply.")
@click.option("--feature", "feature_", metavar="FEATURE", required=True, help="Name or id of the feature to score.")
@click.option("--result", metavar="BUCKET/PATH", required=True, help="Where the scores go; a directory ends in '/'.")
@wait_option
@timeout_option
def create_task_run(name: str, task_: str, feature_: str, result: str, wait: bool, timeout_s: float | None) -> None:
    """Score every user of a feature with a task, into a TSV object."""
    bucket, path = bucket_and_key(result, what="BUCKET/PATH")
    with open_client() as client:
        task_id, feature_id = client.tasks.find(task_).id, client.features.find(feature_).id
        made = client.task_runs.create(name, task_id, feature_id, bucket, path)
        _show_made(client, "task-run", made, wait, timeout_s)


def _add_verbs(group: Group, kind: str) -> None:
    """Give a group what all three kinds can do."""
    words = kind.replace("-", " ")

    @group.command("list", help=f"List the {words}s, newest first.")
    @click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the newest N.")
    def list_(limit: int | None) -> None:
        with open_client() as client:
            found = list(resources(client, kind).list(limit))
        if choices().json:
            output.json_value([item.wire for item in found])
            return
        extra = COLUMNS[kind]
        names = ["NAME", "STATUS", "CREATED (UTC)", *(title for title, _ in extra), "ID"]
        rows = [
            [item.name, item.status, _moment(item.created_at), *(getattr(item, field) for _, field in extra), item.id]
            for item in found
        ]
        numbers = [index for index, name in enumerate(names) if name in _NUMBERS]
        output.table(
            names, rows, numbers=numbers, empty=f"There are no {words}s yet; `footfall {kind} create` makes one."
        )

    @group.command("show", help=f"Show a {words} by its id or name.")
    @click.argument("which", metavar="ID|NAME")
    def show(which: str) -> None:
        with open_client() as client:
            _show(resources(client, kind).find(which))

    @group.command("wait", help=f"Wait until a {words} has ended; exit code 1 if it failed.")
    @click.argument("which", metavar="ID|NAME")
    @timeout_option
    def wait(which: str, timeout_s: float | None) -> None:
        with open_client() as client:
            _wait_and_show(client, kind, resources(client, kind).find(which), timeout_s)

    @group.command("cancel", help=f"Stop a {words} that has not ended.")
    @click.argument("which", metavar="ID|NAME")
    def cancel(which: str) -> None:
        with open_client() as client:
            found = resources(client, kind).find(which)
            resources(client, kind).cancel(found.id)
        _done(kind, found, "cancel", f"The {words} {found.name} is being stopped.")

    @group.command("delete", help=f"Delete a {words}.")
    @click.argument("which", metavar="ID|NAME")
    def delete(which: str) -> None:
        with open_client() as client:
            found = resources(client, kind).find(which)
            resources(client, kind).delete(found.id)
        _done(kind, found, "delete", f"The {words} {found.name} is deleted.")


for _group, _kind in ((feature, "feature"), (task, "task"), (task_run, "task-run")):
    _add_verbs(_group, _kind)


@encoder.command("list")
def list_encoders() -> None:
    """List the encoders, newest first."""
    with open_client() as client:
        found = client.encoders()
    if choices().json:
        output.json_value([item.wire for item in found])
        return
    rows = [[item.name, item.n_users, item.n_features, _moment(item.created_at), item.id] for item in found]
    output.table(
        ["NAME", "FITTED ON USERS", "USED BY FEATURES", "CREATED (UTC)", "ID"],
        rows,
        numbers=[1, 2],
        empty="There are no encoders yet; the first feature fits one.",
    )


@encoder.command("show")
@click.argument("which", metavar="ID|NAME")
def show_encoder(which: str) -> None:
    """Show an encoder by its id or name."""
    with open_client() as client:
        named = [item.id for item in client.encoders() if item.name == which]
        found = client.encoder(named[0] if named else which)
    if choices().json:
        output.json_value(found.wire)
    else:
        output.record({**found.wire, "created_at": _moment(found.created_at)})


def resources(client: "Client", kind: str) -> "Resources[Any]":
    """Return the verbs of a kind."""
    found: Resources[Any] = getattr(client, KINDS[kind])
    return found


def _show_made(client: "Client", kind: str, made: "Resource", wait: bool, timeout_s: float | None) -> None:
    if wait:
        _wait_and_show(client, kind, made, timeout_s)
    elif choices().json:
        output.json_value(made.wire)
    else:
        output.line(f"{made.id}")
        output.note(f"Made the {kind.replace('-', ' ')} {made.name}; `footfall {kind} wait {made.id}` waits for it.")


def _wait_and_show(client: "Client", kind: str, found: "Resource", timeout_s: float | None) -> None:
    try:
        with output.watching(found.name) as callback:
            ended = client.wait(found, callback, timeout_s)
    except KeyboardInterrupt:
        output.note(f"Stopped waiting; it goes on. `footfall {kind} wait {found.id}` waits again.")
        raise
    _show(ended)
    if ended.status == "failed":
        details = f": {ended.fail_details}" if ended.fail_details else ""
        raise RunFailed(f"{ended.fail_message or 'COMMON_ERROR'}{details} The log: `footfall logs {kind} {ended.id}`.")


def _show(found: "Resource") -> None:
    if choices().json:
        output.json_value(found.wire)
        return
    fields = dict(found.wire)
    now = found.progress
    if now is not None:
        share = f" {100 * now.done / now.total:.0f} %" if now.total else ""
        fields["progress"] = f"{now.stage}{share}"
    else:
        fields.pop("progress", None)
    output.record(fields)


def _done(kind: str, found: "Resource", verb: str, sentence: str) -> None:
    if choices().json:
        output.json_value({"kind": kind, "id": found.id, "name": found.name, "action": verb})
    else:
        output.line(sentence)


def _moment(at: Any) -> str:
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
