"""The examples in the docstrings of the client run, in the order in which a newcomer would try them."""

import doctest
from collections.abc import Iterator
from pathlib import Path

import pytest

import footfall
from footfall import Client
from footfall.client import administration, client, profiles, projects, runs
from live_server import live_server

ROOMS = (
    client.Client, client.Features, client.Tasks, client.TaskRuns,
    profiles.ShoppingIntents, profiles.CustomAttributes, profiles.Profiles,
    administration.Accounts, administration.Users, administration.Keys, administration.ApiKeys, administration.Buckets,
    projects.Projects, projects.Storage, projects.Catalogue, projects.Volumes, projects.SshKeys, runs.Runs,
)  # fmt: skip


@pytest.fixture
def connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of a server with a bucket ``shop`` that holds sequences of 300 users and their labels."""
    users = [("buy tea" if number % 3 else "buy shoes", f"user-{number}") for number in range(300)]
    sequences = "".join(f"{user}\t{first}->look at bread\n" for first, user in users)
    labels = "".join(f"{user}\t{int(first == 'buy tea')}\n" for first, user in users)
    with live_server(tmp_path / "home") as server, Client(home=server.home) as client:
        client.put_object("shop", "sequences.csv", sequences.encode())
        client.put_object("shop", "labels.tsv", labels.encode())
        monkeypatch.setenv("FOOTFALL_HOME", str(server.home))
        yield client


def test_every_example_of_the_client_is_right(connected: Client) -> None:
    assert {type(room) for room in vars(connected).values()} - set(ROOMS) <= {type(connected.transport)}
    report: list[str] = []
    for room in ROOMS:
        (example,) = doctest.DocTestFinder(recurse=False).find(
            room, room.__name__, globs={"footfall": footfall, "client": connected}
        )
        assert example.examples, f"{room.__name__} has no example"
        doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert not report, "".join(report)
