"""What a command line says and how it is read: options of ours and words of others, several names, defaults."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_helpers import eventually
from footfall import Client
from footfall.errors import ServiceError
from live_server import Footfall, LiveServer, live_server, run_footfall

PROJECT = "vision"
SAY = "import os, sys; print('old', *sys.argv[1:], os.environ['A'], os.environ['MY_TOKEN'], os.environ.get('B'))"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("lines") / "home") as server:
        with Client(home=server.home) as client:
            client.projects.create(PROJECT)
        yield server


def n_runs(server: LiveServer) -> int:
    with Client(home=server.home) as client:
        return len(list(client.runs.list()))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--node", "2", "--", "true"], "--nodes"),
        (["--detatch", "--", "true"], "--detach"),
        (["--timout=5", "true"], "--timeout"),
        (["--gpus", "1", "--", "true"], "--product CODE"),
        (["--name", "exp1", "--", "true"], "--note TEXT"),
        (["-n", "2", "true"], "--nodes"),
        (["-p", "2", "true"], "--project"),
        (["--git", "HEAD", "--", "true"], "No such option"),
        (["--", "--version"], "no program"),
    ],
)
def test_a_mistyped_option_is_refused_and_no_run_is_made(
    server: LiveServer, footfall: Footfall, typed: list[str], said: str
) -> None:
    before = n_runs(server)
    done = footfall("run", "--project", PROJECT, "--no-code", *typed)
    assert (done.code, said in done.err) == (2, True), done.err
    assert n_runs(server) == before


def test_what_stands_behind_the_first_word_is_the_commands(footfall: Footfall) -> None:
    for typed in (["echo", "--node", "2", "--json", "--", "-d"], ["--", "echo", "--node", "2", "--json", "--", "-d"]):
        done = footfall("run", "--project", PROJECT, "--no-code", *typed)
        assert (done.code, done.out) == (0, "--node 2 --json -- -d\n"), done.err


@pytest.mark.parametrize("command", ["-x", "  --version --json", "-"])
def test_the_api_takes_no_command_that_begins_with_an_option(server: LiveServer, command: str) -> None:
    with Client(home=server.home) as client:
        id = client.projects.find(PROJECT).id
        before = n_runs(server)
        with pytest.raises(ServiceError, match="is an option and no program") as caught:
            client.runs.create(id, command, product=1, image=client.catalogue.images()[0].path)
        assert caught.value.status == 400
        made = client.runs.create(id, "echo -x", product=1, image=client.catalogue.images()[0].path)
        assert client.runs.wait(made).state == "completed"
    assert n_runs(server) == before + 1


def test_shared_options_may_stand_anywhere_before_the_command(server: LiveServer, footfall: Footfall) -> None:
    home = str(server.home)
    name = footfall("run", "--project", PROJECT, "--no-code", "-d", "--", "echo up; sleep 60").out.strip()
    elsewhere = {"FOOTFALL_HOME": "/nowhere"}
    try:
        eventually(lambda: footfall("logs", name).out == "up\n", 20)
        for line in (
            ["exec", name, "--home", home, "--", "sh", "-c", "exit 3"],
            ["exec", name, "--home", home, "sh", "-c", "exit 3"],
            ["--home", home, "exec", "--", name, "sh", "-c", "exit 3"],
        ):
            done = run_footfall(*line, **elsewhere)
            assert done.code == 3, (line, done.err)
        assert footfall("runs", "--home", home, "list", **elsewhere).code == 0
        refused = footfall("exec", name, "--nod", "1", "--", "id")
        assert (refused.code, "--node" in refused.err) == (2, True)
    finally:
        assert footfall("stop", name, "--wait").code == 0


def test_a_group_without_a_command_shows_its_help(footfall: Footfall) -> None:
    done = footfall("runs")
    assert done.code == 2
    assert done.err.startswith("Usage: footfall runs"), done.err
    assert "Did you mean" in footfall("stpo").err


def test_variables_of_the_caller_and_of_files(footfall: Footfall, tmp_path: Path) -> None:
    file = tmp_path / "some.env"
    file.write_text("# of the team\nexport A=1\nB='two words'\nC=x=y # z\n\nMINE\nA_TOKEN=\"s3cr3t\"\n")
    line = ("--", "echo $A $B $C $MINE $A_TOKEN $TOO")
    options = ("--env-file", str(file), "--env", "TOO", "--env", "A=2")
    done = footfall("run", "--project", PROJECT, "--no-code", *options, *line, MINE="mine", TOO="too")
    assert (done.code, done.out) == (0, "2 two words x=y # z mine s3cr3t too\n"), done.err
    unset = footfall("run", "--project", PROJECT, "--no-code", "--env", "NOT_SET_HERE", *line)
    assert (unset.code, "NOT_SET_HERE is not set" in unset.err) == (125, True)
    for bad, said in (("A=1\nB='open\n", "line 2: a quote is not closed"), ("two words\n", "line 1: should read NAME=VALUE")):
        file.write_text(bad)
        assert said in footfall("run", "--project", PROJECT, "--no-code", "--env-file", str(file), *line).err


def test_a_default_project(footfall: Footfall) -> None:
    made = footfall("run", "--no-code", "-d", "--", "echo default", FOOTFALL_PROJECT=PROJECT)
    number = made.out.strip().removeprefix(f"{PROJECT}/")
    assert footfall("runs", "wait", number, FOOTFALL_PROJECT=PROJECT).code == 0
    assert footfall("logs", number, FOOTFALL_PROJECT=PROJECT).out == "default\n"
    assert "FOOTFALL_PROJECT" in footfall("run", "--no-code", "--", "true").err


def test_of_several_names_each_is_tried_and_each_is_reported(footfall: Footfall) -> None:
    ended, *live = (
        footfall("run", "--project", PROJECT, "--no-code", "-d", "--", line).out.strip()
        for line in ("true", "sleep 60", "sleep 60")
    )
    assert footfall("runs", "wait", ended).code == 0
    done = footfall("stop", "--wait", ended, *live, f"{PROJECT}/99999")
    assert done.code == 2
    assert f"{ended}: The run has ended already: it is completed." in done.err
    assert f"{PROJECT}/99999: " in done.err
    assert done.out.splitlines() == [f"{name} is cancelled." for name in live]
    gone = footfall("runs", "delete", "nonsense", ended, *live)
    assert (gone.code, gone.out.count("is deleted.")) == (2, 3), gone.err
    assert "nonsense: " in gone.err


def test_stop_chooses_by_project_status_or_all(footfall: Footfall, server: LiveServer) -> None:
    def live() -> set[str]:
        with Client(home=server.home) as client:
            return {run.name for run in client.runs.list() if not run.is_final}

    footfall("project", "create", "other-one")
    line = ("--no-code", "-d", "--priority", "5", "--", "sleep 60")
    mine = {footfall("run", "--project", PROJECT, *line).out.strip() for _ in range(2)}
    other = {footfall("run", "--project", "other-one", *line).out.strip() for _ in range(2)}
    for wrong in ([], ["--status", "pending"], ["x/1", "--all"], ["x/1", "--status", "pending"]):
        assert footfall("stop", *wrong).code == 2
    assert live() == mine | other
    done = footfall("stop", "--project", PROJECT, "--wait")
    assert (done.code, live()) == (0, other), done.err
    assert done.out.count("is cancelled.") == 2
    for status in ("registered", "pending", "in_progress"):
        assert footfall("stop", "--all", "--wait", "--status", status).code == 0
    assert footfall("stop", "--all", "--wait").code == 0
    assert live() == set()
    assert "no such runs" in footfall("stop", "--all").err


def test_several_resources_are_cancelled_and_deleted_at_once(footfall: Footfall) -> None:
    footfall("project", "create", "first-one")
    footfall("project", "create", "second-one")
    done = footfall("project", "delete", "first-one", "no-such-one", "second-one")
    assert (done.code, done.out.count("is being deleted")) == (2, 2)
    assert "no-such-one: " in done.err
    assert "none-a: " in footfall("feature", "delete", "none-a", "none-b").err


def test_runs_are_listed_with_what_they_are_and_found_by_it(footfall: Footfall, server: LiveServer) -> None:
    line = ("run", "--project", PROJECT, "--no-code", "-d")
    good = footfall(*line, "--note", "a baseline", "--", "echo find me").out.strip()
    bad = footfall(*line, "--", "echo find me too; exit 3").out.strip()
    assert [footfall("runs", "wait", name).code for name in (good, bad)] == [0, 3]
    listed = footfall("runs", "list", "--command", "find me").out
    for words in ("a baseline", "echo find me too; exit 3", "command_failed", "ncp-user-1", "vCPU"):
        assert words in listed
    assert [one["runName"] for one in footfall("runs", "list", "--command", "find me", "--json").json] == [
        name.partition("/")[2] for name in (bad, good)
    ]
    for options, found in (
        (["--note", "baseline"], [good]), (["--reason", "command_failed", "--command", "find"], [bad]),
        (["--command", "find me", "--longer-than", "1h"], []), (["--product", "1002", "--command", "find me"], []),
        (["--command", "find me", "--shorter-than", "1h", "--creator", "ncp-user-1000001"], [bad, good]),
    ):  # fmt: skip
        out = footfall("runs", "list", *options).out
        assert [line.split()[0] for line in out.splitlines()[2:]] == found, options
    with Client(home=server.home) as client:
        first = next(client.runs.list(note="a baseline"))
        assert (first.command, first.exit_code, first.product_code) == ("echo find me", 0, 1)
        assert first.took_s is not None
        assert 0 <= first.took_s < 60
    assert footfall("runs", "list", "--longer-than", "soon").code == 2


def test_secrets_of_files_and_of_the_caller_stand_in_no_argument(footfall: Footfall, tmp_path: Path) -> None:
    file = tmp_path / "some.secrets"
    file.write_text("HERE='from a file'\nBOTH=file\nURL=postgresql://me:from-url@db/shop\n")
    options = ("--secret-file", str(file), "--secret", "BOTH", "--secret", "MINE", "--secret", "SAID=@said", "-d")
    line = ("--", "test \"$HERE $BOTH $MINE $SAID $URL\" = 'from a file caller mine @said postgresql://me:from-url@db/shop'")
    done = footfall("run", "--project", PROJECT, "--no-code", *options, *line, BOTH="caller", MINE="mine")
    assert done.code == 0, done.err
    assert footfall("runs", "wait", done.out.strip()).code == 0
    again = footfall("runs", "restart", done.out.strip())
    assert footfall("runs", "wait", again.out.strip()).code == 0
    for name in (done.out.strip(), again.out.strip()):
        shown = footfall("runs", "show", name, "--json").json["envs"]
        assert shown == dict.fromkeys(("HERE", "BOTH", "MINE", "SAID", "URL"), "****")


def test_a_run_is_repeated_with_changes(footfall: Footfall, tmp_path: Path) -> None:
    (tmp_path / "say.py").write_text(SAY)
    line = (
        "run",
        "--project",
        PROJECT,
        "--code",
        str(tmp_path),
        "--env",
        "A=1",
        "--secret",
        "MY_TOKEN=s3cr3t",
        "--note",
        "first",
        "-d",
    )
    first = footfall(*line, "--", "python3", "say.py", "--lr", "0.1").out.strip()
    options = ("--env", "B=2", "--priority", "7", "--note", "second", "--timeout", "99", "--", "python3", "say.py", "--lr", "0.2")
    made = footfall("runs", "restart", first, *options)
    assert made.code == 0, made.err
    second = made.out.strip()
    third = footfall("runs", "restart", second, "--env", "A=3").out.strip()
    (tmp_path / "say.py").write_text("print('new code')")
    fourth = footfall("runs", "restart", third, "--code", str(tmp_path)).out.strip()
    for name, said in {
        first: "old --lr 0.1 1 s3cr3t None", second: "old --lr 0.2 1 s3cr3t 2", third: "old --lr 0.2 3 s3cr3t 2",
        fourth: "new code",
    }.items():  # fmt: skip
        assert footfall("runs", "wait", name).code == 0
        assert footfall("logs", name).out == f"{said}\n"
    wire = footfall("runs", "show", third, "--json").json
    assert (wire["note"], wire["priority"], wire["timeoutSeconds"]) == ("second", 7, 99)
    assert wire["envs"] == {"A": "3", "B": "2", "MY_TOKEN": "****"}
    refused = footfall("runs", "restart", first, "--product", "999")
    assert (refused.code, "There is no server product 999" in refused.err) == (2, True)
    assert "--nodes" in footfall("runs", "restart", first, "--node", "2").err


def test_logs_and_metrics_of_several_runs_are_shown_together(footfall: Footfall) -> None:
    post = 'curl -s -d \'{"loss": %d}\' $NSML_METRIC_API || python3 -c "%s"'
    call = "import os, urllib.request as u; u.urlopen(u.Request(os.environ['NSML_METRIC_API'], b'{\\\"loss\\\": %d}'))"
    names = [
        footfall("run", "--project", PROJECT, "--no-code", "-d", "--", f"echo line of {n}; {post % (n, call % n)}").out.strip()
        for n in (1, 2)
    ]
    both = footfall("logs", "-f", *names)
    assert sorted(both.out.splitlines()) == [f"[{name}] line of {n}" for n, name in enumerate(names, 1)]
    shown = footfall("metrics", *names).out.splitlines()[2:]
    assert [line.split()[:3] for line in shown] == [["loss", name, str(n)] for n, name in enumerate(names, 1)]
    assert {name: one["summary"]["loss"]["last"] for name, one in footfall("metrics", *names, "--json").json.items()} == {
        names[0]: 1.0, names[1]: 2.0,
    }  # fmt: skip
    assert footfall("metrics", names[0]).out.splitlines()[2].split()[:2] == ["loss", "1"]
