"""``footfall feature | task | task-run | encoder``."""

from collections.abc import Callable
from typing import Any

import click

from footfall.cli.context import Group, bucket_and_key, open_client
from footfall.cli.show import moment, show_list, show_record
from footfall.cli.verbs import add_verbs, show_or_wait, timeout_option, wait_option


def log_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how an event log is read."""
    options = (
        click.option("--format", type=click.Choice(["sequence", "parquet", "csv", "jsonl"]), help="Else found by the content."),
        click.option(
            "--user-id", metavar="COLUMN", help="Column of the user id of an event log. Else found by name, as all are."
        ),
        click.option("--timestamp", metavar="COLUMN", help="Column of the time."),
        click.option("--behavior", metavar="COLUMN", multiple=True, help="Column of what was done; several are joined."),
        click.option("--numeric", metavar="COLUMN", multiple=True, help="Column of numbers; may come several times."),
        click.option("--categorical", metavar="COLUMN", multiple=True, help="Column of categories; may come several times."),
        click.option(
            "--observed-until", metavar="TIME", help="Leave later events out (ISO 8601, UTC). Else the last is the end."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=Group)
def feature() -> None:
    """Features: sets of encoded users."""


@click.group(cls=Group)
def task() -> None:
    """Tasks: models trained on labelled users."""


@click.group(cls=Group, name="task-run")
def task_run() -> None:
    """Task runs: tasks applied to features."""


@click.group(cls=Group)
def encoder() -> None:
    """Encoders: fitted once, they encode users."""


@feature.command("create")
@click.argument("name")
@click.argument("source", metavar="BUCKET/PATH")
@click.option("--encoder", "encoder_name", metavar="NAME", help="Use this encoder; `new` fits one. Else the service chooses.")
@log_options
@wait_option
@timeout_option
def create_feature(name: str, source: str, encoder_name: str | None, wait: bool, timeout_s: float | None, **reading: Any) -> None:
    """Create the feature NAME from the sequence file or event log (or a directory of files) at BUCKET/PATH."""
    _create_feature(name, source, encoder_name, wait, timeout_s, reading)


def _create_feature(
    name: str, source: str, encoder_name: str | None, wait: bool, timeout_s: float | None, reading: dict[str, Any]
) -> None:
    bucket, path = bucket_and_key(source, what="BUCKET/PATH")
    columns = {role: reading[role] for role in ("user_id", "timestamp") if reading[role]}
    columns |= {role: list(reading[role]) for role in ("behavior", "numeric", "categorical") if reading[role]}
    with open_client() as client:
        made = client.features.create(
            name, bucket, path, encoder=encoder_name, format=reading["format"], columns=columns or None,
            observed_until=reading["observed_until"],
        )  # fmt: skip
        show_or_wait(client, "feature", made, wait, timeout_s)


@task.command("create")
@click.argument("name")
@click.option("--feature", "feature_", metavar="FEATURE", required=True, help="Name or id of the feature of the users.")
@click.option("--train", metavar="BUCKET/PATH", required=True, help="Label file to train on.")
@click.option("--test", metavar="BUCKET/PATH", help="Label file to test on; without it a fifth is held out.")
@click.option("--test-feature", metavar="FEATURE", help="Feature of the test users, when it is another one.")
@wait_option
@timeout_option
def create_task(
    name: str, feature_: str, train: str, test: str | None, test_feature: str | None, wait: bool, timeout_s: float | None
) -> None:
    """Train the task NAME on labels."""
    if test_feature and not test:
        raise click.UsageError("--test-feature needs --test: the label file of those users.")
    train_bucket, train_path = bucket_and_key(train, what="BUCKET/PATH")
    with open_client() as client:
        train_id = client.features.find(feature_).id
        test_data: dict[str, str] = {}
        if test:
            bucket, path = bucket_and_key(test, what="BUCKET/PATH")
            test_id = client.features.find(test_feature).id if test_feature else train_id
            test_data = {"test_feature_id": test_id, "test_bucket": bucket, "test_file_path": path}
        made = client.tasks.create(name, train_id, train_bucket, train_path, **test_data)
        show_or_wait(client, "task", made, wait, timeout_s)


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
        show_or_wait(client, "task-run", made, wait, timeout_s)


for _group, _kind in ((feature, "feature"), (task, "task"), (task_run, "task-run")):
    add_verbs(_group, _kind)


@encoder.command("list")
def list_encoders() -> None:
    """List the encoders, newest first."""
    with open_client() as client:
        encoders = client.encoders()
    show_list(
        encoders,
        ["NAME", "FITTED ON USERS", "USED BY FEATURES", "CREATED (UTC)", "ID"],
        [[item.name, item.n_users, item.n_features, moment(item.created_at), item.id] for item in encoders],
        numbers=[1, 2],
        empty="There are no encoders yet; the first feature fits one.",
    )


@encoder.command("fit")
@click.argument("name")
@click.argument("source", metavar="BUCKET/PATH")
@log_options
@wait_option
@timeout_option
def fit_encoder(name: str, source: str, wait: bool, timeout_s: float | None, **reading: Any) -> None:
    """Fit the encoder NAME on the users at BUCKET/PATH; they become the feature NAME, the first that it encodes."""
    _create_feature(name, source, "new", wait, timeout_s, reading)


@encoder.command("show")
@click.argument("which", metavar="ID|NAME")
def show_encoder(which: str) -> None:
    """Show an encoder by its id or name."""
    with open_client() as client:
        named = [item.id for item in client.encoders() if item.name == which]
        found = client.encoder(named[0] if named else which)
    show_record(found.wire, {**found.wire, "created_at": moment(found.created_at)})
