"""Runs as a person makes them: a real server, real commands, real signals."""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall import Client
from footfall.cli import context
from footfall.client import waiting
from live_server import Footfall, LiveServer, clean_environment, live_server, run_footfall

PROJECT = "vision"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("runs") / "home") as server:
        with Client(home=server.home) as client:
            client.projects.create(PROJECT)
        yield server


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A directory with a program, and with what must not be sent."""
    code = tmp_path / "code"
    (code / "lib").mkdir(parents=True)
    (code / "lib/words.py").write_text("HELLO = 'hello'\n")
    (code / "main.py").write_text(
        "import os, sys, pathlib\nfrom lib.words import HELLO\n"
        "print(HELLO, *sys.argv[1:], sorted(p.name for p in pathlib.Path().iterdir()))\n"
        "print('to stderr', file=sys.stderr)\n"
        "pathlib.Path(os.environ['NSML_OUTPUT_DIR'], 'made.txt').write_text('made')\n"
    )
    (code / "secret.env").write_text("x")
    (code / ".nsmlignore").write_text("*.env\n")
    return code


def detached(footfall: Footfall, *command: str) -> str:
    made = footfall("run", "--project", PROJECT, "--no-code", "-d", *command)
    assert made.code == 0, made.err
    return made.out.strip()


def test_run_sends_the_directory_follows_the_log_and_ends_with_the_commands_code(footfall: Footfall, code: Path) -> None:
    done = footfall("run", "--project", PROJECT, "--code", str(code), "--", "python3", "main.py", "it's", "a b")
    assert done.code == 0, done.err
    assert done.out == "hello it's a b ['.nsmlignore', 'lib', 'main.py']\nto stderr\n"
    name = re.search(rf"{PROJECT}/\d+", done.err)
    assert name is not None
    listed = footfall("artifacts", "list", name[0], "--json").json
    assert [(one["node"], one["path"], one["sizeBytes"]) for one in listed] == [(0, "made.txt", 4)]
    assert footfall("artifacts", "get", name[0], "made.txt", "-").out == "made"


def test_the_commit_of_the_code_is_recorded_and_the_code_of_an_old_run_can_be_fetched(footfall: Footfall, code: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(code), "-c", "user.name=t", "-c", "user.email=t@example.invalid", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    id = git("rev-parse", "HEAD")
    (code / "id_rsa").write_text("key")
    options = ("run", "--project", PROJECT, "--code", str(code), "--", "echo $NSML_GIT_COMMIT $NSML_GIT_MODIFIED; ls")
    done = footfall(*options)
    assert (done.code, done.out.split()) == (0, [id, "true", "lib", "main.py"]), done.err
    assert "id_rsa is not sent" in done.err
    listed = footfall("code", "list", str(code))
    assert [line.split()[0] for line in listed.out.splitlines()[2:]] == [".nsmlignore", "lib/words.py", "main.py"]
    assert f"commit {id} (modified)" in listed.err
    (code / "id_rsa").unlink()
    done = footfall(*options)
    assert done.out.split()[1] == "false"
    name = re.search(rf"{PROJECT}/\d+", done.err)
    assert name is not None
    assert footfall("runs", "show", name[0]).out.count(id) == 1
    wire = footfall("runs", "show", name[0], "--json").json
    assert (wire["gitCommit"], wire["gitModified"]) == (id, False)
    again = footfall("runs", "restart", name[0]).out.strip()
    assert footfall("runs", "wait", again).code == 0
    assert footfall("logs", again).out.startswith(id)
    (code / "main.py").write_text("changed since")
    archive = code.parent / "old.tar.gz"
    assert footfall("code", "get", again, str(archive)).code == 0
    with tarfile.open(archive) as tar:
        old = tar.extractfile("main.py")
        assert old is not None
        assert b"from lib.words import HELLO" in old.read()
    bare = footfall("run", "--project", PROJECT, "--no-code", "-d", "--", "true").out.strip()
    assert "was given no code" in footfall("code", "get", bare).err


@pytest.mark.parametrize(("line", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_wait_ends_with_the_runs_code(footfall: Footfall, line: str, code: int) -> None:
    done = footfall("run", "--project", PROJECT, "--no-code", "--wait", "--", line)
    assert (done.code, done.out) == (code, "")


def test_a_time_limit_is_seen_in_the_exit_code_though_the_command_saved_and_ended_with_0(footfall: Footfall) -> None:
    line = "trap 'exit 0' TERM; sleep 60 & wait"
    done = footfall("run", "--project", PROJECT, "--no-code", "--timeout", "1", "--", line)
    assert done.code == 124, done.err
    assert "longer than 1 s" in done.err


def test_our_own_failures_are_125(footfall: Footfall, tmp_path: Path) -> None:
    assert footfall("run", "--project", "nothing-like-it", "--no-code", "--", "true").code == 125
    assert footfall("run", "--project", PROJECT, "--product", "999", "--no-code", "--", "true").code == 125
    away = run_footfall("run", "--project", PROJECT, "--no-code", "--", "true", FOOTFALL_HOME=str(tmp_path))
    assert away.code == 125
    assert "no keys were found" in away.err


def test_ctrl_c_detaches_and_says_how_to_stop_it(server: LiveServer, footfall: Footfall) -> None:
    command = [sys.executable, "-m", "footfall", "--home", str(server.home)]
    command += ["run", "--project", PROJECT, "--no-code", "--", "echo up; sleep 60"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, env=clean_environment())
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=20)
    assert process.returncode == 130
    name = re.search(rf"footfall stop ({PROJECT}/\d+)", printed.decode())
    assert name is not None, printed
    assert footfall("runs", "show", name[1], "--json").json["status"] in ("RUN_STATE_PENDING", "RUN_STATE_IN_PROGRESS")
    assert footfall("stop", name[1], "--wait").code == 0
    assert footfall("runs", "show", name[1], "--json").json["status"] == "RUN_STATE_CANCELLED"


def test_a_progress_bar_of_several_nodes_is_seen_as_it_moves_and_its_last_state_is_its_line(footfall: Footfall) -> None:
    bar = r"""for p in "  0%" " 50%" "100%"; do printf "\r%s" "$p"; sleep 1.2; done; echo; echo end"""
    done = footfall("run", "--project", PROJECT, "--nodes", "2", "--no-code", "--", bar)
    assert done.code == 0, done.err
    for node in (0, 1):
        shown = [line for line in done.out.splitlines() if line.startswith(f"[{node}] ")]
        assert shown[-1] == f"[{node}] end"
        assert f"[{node}]  50%" in shown
        assert len(shown) in (3, 4)
    name = re.search(rf"{PROJECT}/\d+", done.err)
    assert name is not None
    assert footfall("logs", name[0], "--node", "0", "--tail", "2").out == "100%\nend\n"
    assert footfall("logs", name[0], "--node", "0", "--grep", " 50%").out == " 50%\n"


def test_several_nodes_are_shown_line_by_line_with_their_number(footfall: Footfall) -> None:
    line = "for i in 1 2 3; do echo line $i of $NSML_RANK; sleep 0.05; done"
    done = footfall("run", "--project", PROJECT, "--nodes", "2", "--no-code", "--", line)
    assert done.code == 0, done.err
    assert sorted(done.out.splitlines()) == sorted(f"[{n}] line {i} of {n}" for n in (0, 1) for i in (1, 2, 3))
    name = re.search(rf"{PROJECT}/\d+", done.err)
    assert name is not None
    assert footfall("logs", name[0], "--node", "1", "--tail", "1").out == "line 3 of 1\n"
    assert footfall("logs", name[0], "--node", "1", "--grep", "2 of").out == "line 2 of 1\n"
    assert footfall("logs", name[0], "--node", "2").code == 2
    assert footfall("logs", name[0], "--since", "1h", "--node", "0").out.startswith("line 1 of 0\n")
    assert footfall("logs", name[0], "--since", "soon").code == 2


def shorten_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a second of silence, or of absence, what a minute is to users."""
    monkeypatch.setattr(context, "TIMEOUT_S", 1.0)
    monkeypatch.setattr(waiting, "AWAY_TIMEOUT_S", 0.8)


@pytest.mark.parametrize("nodes", ["1", "2"])
def test_silence_longer_than_the_timeout_ends_no_following(
    footfall: Footfall, nodes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_patience(monkeypatch)
    made = ("--project", PROJECT, "--no-code", "--nodes", nodes, "--", "echo epoch 1; sleep 3; echo epoch 2; sleep 2; exit 7")
    done = footfall("run", *made)
    assert (done.code, done.out.count("epoch 1\n"), done.out.count("epoch 2\n")) == (7, int(nodes), int(nodes)), done.err
    name = footfall("run", "-d", *made).out.strip()
    followed = footfall("logs", "-f", "--grep", "epoch 2", name)
    assert (followed.code, followed.out.count("epoch 1\n"), followed.out.count("epoch 2\n")) == (0, 0, int(nodes)), followed.err


def test_a_long_wait_in_the_queue_ends_no_following(footfall: Footfall, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_patience(monkeypatch)
    before = [detached(footfall, "--", "sleep 4") for _ in os.sched_getaffinity(0)]
    done = footfall("run", "--project", PROJECT, "--no-code", "--", "echo it began")
    assert (done.code, done.out) == (0, "it began\n"), done.err
    assert "Waits for" in done.err
    assert all(footfall("runs", "wait", name).code == 0 for name in before)


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_a_log_that_is_followed_survives_a_server_that_is_killed_and_started_again(tmp_path: Path, is_elsewhere: bool) -> None:
    home = tmp_path / "home"
    with live_server(home) as first:
        port = first.endpoint.rpartition(":")[2]
        assert run_footfall("project", "create", PROJECT, FOOTFALL_HOME=str(home)).code == 0
        command = ("run", "--project", PROJECT, "--no-code", "-d", "--", "for i in $(seq 60); do echo line $i; sleep 0.1; done")
        name = run_footfall(*command, FOOTFALL_HOME=str(home)).out.strip()
        follow = [sys.executable, "-m", "footfall", "--home", str(home), "logs", "-f", name]
        follower = subprocess.Popen(follow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, env=clean_environment())
        assert follower.stdout is not None
        first_line = follower.stdout.readline()
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
        time.sleep(0.5)
        with live_server(home, "--port", "0" if is_elsewhere else port):
            rest, printed = follower.communicate(timeout=60)
    assert follower.returncode == 0, printed
    assert (first_line + rest).decode() == "".join(f"line {number}\n" for number in range(1, 61))


def test_metrics_are_a_table_with_a_curve(footfall: Footfall, tmp_path: Path) -> None:
    example = (Path(__file__).parents[2] / "examples/train.py").read_text()
    (tmp_path / "train.py").write_text(example)
    done = footfall("run", "--project", PROJECT, "--code", str(tmp_path), "--", "python3 train.py --lr 0.3")
    assert done.code == 0, done.err + done.out
    name = re.search(rf"{PROJECT}/\d+", done.err)
    assert name is not None
    shown = footfall("metrics", name[0]).out
    assert re.search(r"^loss +\S+ +\S+ +\S+ +200 +0 +█▂?", shown, re.MULTILINE), shown
    wire = footfall("metrics", name[0], "--json").json
    assert wire["summary"]["loss"]["count"] == 200
    assert json.loads(footfall("artifacts", "get", name[0], "model.json", "-").out)["slope"] == pytest.approx(3, abs=0.3)


def test_restart_repeats_a_run_and_delete_removes_it(footfall: Footfall, code: Path) -> None:
    done = footfall("run", "--project", PROJECT, "--code", str(code), "--env", "A=1", "--", "echo $A; python3 main.py")
    name = re.search(rf"{PROJECT}/\d+", done.err)
    assert name is not None
    again = footfall("runs", "restart", name[0]).out.strip()
    assert footfall("runs", "wait", again).code == 0
    assert footfall("logs", again).out == done.out
    assert footfall("runs", "delete", name[0]).code == 0
    gone = footfall("runs", "show", name[0])
    assert (gone.code, name[0].rpartition("/")[2] in gone.err) == (2, True)
    listed = footfall("runs", "list", "--project", PROJECT, "--json").json
    assert name[0].rpartition("/")[2] not in [one["runName"] for one in listed]


def test_secrets_of_the_environment_are_not_shown_and_reach_the_command(footfall: Footfall) -> None:
    done = footfall("run", "--project", PROJECT, "--no-code", "--env", "MY_TOKEN=s3cr3t", "--", "echo $MY_TOKEN | rev")
    assert done.out == "t3rc3s\n"
    name = re.search(rf"{PROJECT}/\d+", done.err)
    assert name is not None
    shown = footfall("runs", "show", name[0], "--json")
    assert shown.json["envs"] == {"MY_TOKEN": "****"}
    assert "s3cr3t" not in shown.out


def test_a_run_that_waits_says_for_what(footfall: Footfall) -> None:
    names = [detached(footfall, "--", "sleep 20") for _ in range(len(os.sched_getaffinity(0)) + 1)]
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            message = footfall("runs", "show", names[-1], "--json").json["message"]
            if message and "waits for" in message.lower():
                break
        assert "waits for" in message.lower()
    finally:
        assert footfall("stop", "--wait", *names).code == 0


def test_row_18_a_log_loses_its_escapes_on_a_terminal_only(server: LiveServer, footfall: Footfall) -> None:
    evil = r"printf '\033]52;c;aGk=\007\033[2Jvisible\tx\n'"
    name = detached(footfall, "--", evil)
    assert footfall("runs", "wait", name).code == 0
    assert footfall("logs", name).out == "\x1b]52;c;aGk=\x07\x1b[2Jvisible\tx\n"
    command = [sys.executable, "-m", "footfall", "--home", str(server.home), "logs", name]
    import pty

    main, end = pty.openpty()
    try:
        subprocess.run(command, stdout=end, stderr=end, env=clean_environment(), check=True, timeout=30)
        shown = os.read(main, 65_536)
    finally:
        os.close(main)
        os.close(end)
    assert b"visible" in shown
    assert b"\x1b" not in shown
    assert b"\x07" not in shown


def test_storage_volumes_and_keys(footfall: Footfall, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1,2\n")
    assert footfall("storage", "put", str(tmp_path / "data.csv"), f"{PROJECT}/in/").code == 0
    assert [one["path"] for one in footfall("storage", "list", PROJECT, "--json").json] == ["in/data.csv"]
    done = footfall("run", "--project", PROJECT, "--no-code", "--", "cat in/data.csv; echo more > $NSML_PRJ_DIR/out.txt")
    assert done.out == "1,2\n", done.err
    assert footfall("storage", "get", f"{PROJECT}/out.txt", "-").out == "more\n"
    assert footfall("storage", "delete", f"{PROJECT}/in/data.csv").code == 0

    number = footfall("volume", "create", "cache", "--project", PROJECT).out.strip()
    write = footfall("run", "--project", PROJECT, "--no-code", "--volume", number, "--", "echo kept > $NSML_BLOCK_STORAGE_DIR/x")
    assert write.code == 0, write.err
    read = footfall("run", "--project", PROJECT, "--no-code", "--volume", number, "--", "cat $NSML_BLOCK_STORAGE_DIR/x")
    assert read.out == "kept\n"
    assert footfall("volume", "delete", number).code == 0
    assert footfall("volume", "list", "--json").json == []

    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    assert footfall("ssh-key", "add", "laptop", str(tmp_path / "key.pub")).code == 0
    keys = footfall("run", "--project", PROJECT, "--no-code", "--", 'echo "$NSML_AUTHORIZED_KEYS"').out
    assert keys.split()[:2] == (tmp_path / "key.pub").read_text().split()[:2]
    assert footfall("ssh-key", "delete", "laptop").code == 0


def test_projects_have_a_life(footfall: Footfall) -> None:
    assert footfall("project", "create", "brief", "--note", "n").code == 0
    assert "nominal" in footfall("project", "show", "brief").out
    assert footfall("project", "resize", "brief", "600").code == 0
    assert footfall("project", "resize", "brief", "500").code == 2
    name = footfall("run", "--project", "brief", "--no-code", "-d", "--", "sleep 30").out.strip()
    refused = footfall("project", "delete", "brief")
    assert (refused.code, name.rpartition("/")[2] in refused.err) == (2, True)
    assert footfall("stop", "--wait", name).code == 0
    assert footfall("project", "delete", "brief").code == 0
    assert "brief" not in [one["projectName"] for one in footfall("project", "list", "--json").json if one["status"] == "CREATED"]


def test_exec_enters_a_live_node_and_ends_with_the_commands_code(server: LiveServer, footfall: Footfall) -> None:
    name = detached(footfall, "--env", "COLOUR=green", "--", "echo up; sleep 60")
    home = {"FOOTFALL_HOME": str(server.home)}
    try:
        deadline = time.monotonic() + 20
        while footfall("logs", name).out != "up\n" and time.monotonic() < deadline:
            time.sleep(0.05)
        done = run_footfall("exec", name, "sh", "-c", "echo $COLOUR; cat; exit 3", stdin=b"from here", **home)
        assert (done.code, done.out) == (3, "green\nfrom here"), done.err
        ended = run_footfall("exec", "--node", "7", name, "true", **home)
        assert (ended.code, "Node 7" in ended.err) == (2, True)
    finally:
        assert footfall("stop", "--wait", name).code == 0
    assert run_footfall("exec", name, "true", **home).code == 2


def test_bytes_that_are_no_text_survive_json_and_letters_are_not_cut(footfall: Footfall) -> None:
    name = detached(footfall, "--", r"printf '\353\252%s\377\n' ''; python3 -c 'print(chr(0xAC00) * 700000)'")
    assert footfall("runs", "wait", name).code == 0
    whole = b"\xeb\xaa\xff\n" + "가".encode() * 700_000 + b"\n"
    for option in ((), ("-f",)):
        lines = footfall("--json", "logs", *option, name).out.splitlines()
        text = "".join(json.loads(line)["text"] for line in lines)
        assert text.encode("utf-8", "surrogateescape") == whole


def test_json_of_a_run_is_lines_of_json(footfall: Footfall) -> None:
    done = footfall("--json", "run", "--project", PROJECT, "--no-code", "--", "echo a; exit 3")
    first, *_, last = [json.loads(line) for line in done.out.splitlines()]
    assert (done.code, first["text"], last["exitCode"]) == (3, "a\n", 3)


def test_a_directory_that_is_too_large_is_refused_by_name(footfall: Footfall, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(os.urandom(3_000_000))
    refused = footfall("run", "--project", PROJECT, "--code", str(tmp_path), "--code-limit", "1", "--", "true")
    assert refused.code == 125
    assert ".nsmlignore" in refused.err
