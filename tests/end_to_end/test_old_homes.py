"""A home that an earlier version made opens and works: ``tests/homes`` has one of each, made by that version's own commands.

In it: a bucket, two features (of sequences and of an event log), a task, a task run, two profiles, a project with a volume, one
run that completed with a secret, a metric and an artifact, and one that failed.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall import Client
from live_server import live_server

HOMES = sorted((Path(__file__).parent.parent / "homes").glob("*.tar.gz"))


@pytest.fixture(params=HOMES, ids=lambda path: path.name)
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    home = tmp_path / "home"
    home.mkdir()
    subprocess.run(["tar", "-xzf", request.param, "-C", home], check=True)
    with live_server(home), Client(home=home) as client:
        yield client


def test_what_was_made_is_shown_as_before(client: Client) -> None:
    features = {each.name: each for each in client.features.list()}
    assert {name: (each.status, each.user_count, each.coverage) for name, each in features.items()} == {
        "shoppers": ("completed", 200, 1.0), "log": ("completed", 200, 1.0),
    }  # fmt: skip
    task = client.tasks.find("buys shoes")
    assert (task.status, task.line_count) == ("completed", 200)
    assert float(task.AUROC or 0) > 0.9
    assert client.tasks.report(task.id)["task_name"] == "buys shoes"
    assert client.task_runs.find("scores").line_count == 200
    assert len(b"".join(client.get_object("shop", "scores.tsv")).splitlines()) == 200
    assert {each.name for each in client.profiles.list()} == {"what they share", "shoe people"}
    project = client.projects.get(client.projects.find("vision").id)
    assert (project.note, project.run_count) == ("a note", 2)
    assert [each.name for each in client.volumes.list()] == ["disk"]
    assert {each.name for each in client.users.list()} == {"admin", "viewer"}


def test_runs_are_read_and_restarted_as_before(client: Client) -> None:
    failed, completed = client.runs.find("vision/2"), client.runs.find("vision/1")
    assert (failed.state, failed.exit_code, failed.reason) == ("failed", 3, "command_failed")
    assert (completed.state, completed.note) == ("completed", "first")
    assert completed.wire["envs"] == {"MODE": "fast", "API_TOKEN": "****"}
    assert b"".join(client.runs.log(completed)).startswith(b"trained")
    assert b"".join(client.runs.get_artifact(completed, "model.txt")) == b"weights"
    metrics = client.runs.metrics(completed)
    assert metrics.summary["loss"].count == 5
    assert [point[1] for point in metrics.curves[0].points] == [1.0, 0.5, pytest.approx(1 / 3), 0.25, 0.2]
    again = client.runs.wait(client.runs.restart(completed), timeout_s=60)
    assert (again.state, again.wire["envs"]) == ("completed", completed.wire["envs"])


def test_old_artefacts_are_worked_on(client: Client) -> None:
    feature, task = client.features.find("shoppers"), client.tasks.find("buys shoes")
    scores = client.task_runs.create("again", task.id, feature.id, "shop", "again.tsv")
    assert client.wait(scores, timeout_s=120).status == "completed"
    assert b"".join(client.get_object("shop", "again.tsv")) == b"".join(client.get_object("shop", "scores.tsv"))
    learned = client.wait(client.tasks.create("anew", feature.id, "shop", "labels.tsv"), timeout_s=180)
    assert (learned.status, learned.AUROC) == ("completed", task.AUROC)
