import json
import os
import pty
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine_helpers import eventually
from footfall import layout
from footfall.cli.exec_client import enter
from footfall.errors import NotFoundError
from runner_bench import RunnerBench

CLIENT = """
import sys
from pathlib import Path
from footfall.cli.exec_client import enter
sys.exit(enter(Path(sys.argv[1]), sys.argv[2:]))
"""


def enter_with_pipes(node: Path, *argv: str, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-c", CLIENT, str(node), *argv]
    return subprocess.run(command, input=given, capture_output=True, timeout=30)


@pytest.fixture
def live(any_bench: RunnerBench):  # type: ignore[no-untyped-def]
    run_id, handle = any_bench.submit("echo up; exec sleep 60", environment={"MINE": "it's", "odd-name": "2"})
    any_bench.wait_log(run_id, "up")
    eventually((any_bench.node(run_id) / "enter.sock").exists)
    yield any_bench, run_id
    any_bench.executor.cancel(handle)
    any_bench.wait(run_id)


def test_a_program_runs_beside_the_command_with_its_user_variables_and_rights(live: tuple[RunnerBench, str]) -> None:
    bench, run_id = live
    done = enter_with_pipes(
        bench.node(run_id),
        "bash",
        "-c",
        "id -u; pwd; env; grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status; cat; exit 7",
        given=b"given",
    )
    said = done.stdout.decode()
    assert done.returncode == 7, done.stderr
    assert done.stderr == b""
    lines = said.splitlines()
    is_plain = bench.executor.isolation.level == "plain"
    assert lines[0] == str(os.geteuid() if is_plain else os.geteuid() or bench.settings.run_uid)
    assert lines[1] == str(bench.project)
    assert {"MINE=it's", "odd-name=2", "NSML_RANK=0"} <= set(lines)
    if not is_plain:
        assert {"CapEff:\t0000000000000000", "NoNewPrivs:\t1"} <= set(lines)
    assert said.endswith("given")


def test_only_the_sandbox_is_seen_from_inside(live: tuple[RunnerBench, str]) -> None:
    bench, run_id = live
    if bench.executor.isolation.level != "bubblewrap":
        pytest.skip("there is no sandbox at this level")
    done = enter_with_pipes(
        bench.node(run_id), "sh", "-c",
        "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; ls /; mount -t tmpfs x /tmp && printf D%s ID; "
        "for d in /tmp /dev/shm $HOME; do echo x > $d/x && echo WROTE; done",
    )  # fmt: skip
    said = done.stdout.decode()
    assert said.count("WROTE\n") == 3, done.stderr
    assert "sleep 60" in said
    assert "pytest" not in said
    assert "DID" not in said
    assert "srv" not in said.split()


def test_a_terminal_is_the_programs_own(live: tuple[RunnerBench, str]) -> None:
    bench, run_id = live
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", CLIENT, str(bench.node(run_id)), "bash", "--norc", "-i"])
    said = b""

    def wait_for(text: bytes) -> None:
        nonlocal said
        deadline = time.monotonic() + 15
        while text not in said:
            assert time.monotonic() < deadline, said
            if select.select([terminal], [], [], 0.2)[0]:
                said += os.read(terminal, 4096)

    wait_for(b"bash-")
    os.write(terminal, b"tty; sleep 50\n")
    wait_for(b"/dev/pts" if bench.executor.isolation.level != "bubblewrap" else b"tty; sleep 50\r\n")
    time.sleep(0.3)
    os.write(terminal, b"\x03")
    os.write(terminal, b"echo $((40 + 2)); exit 3\n")
    wait_for(b"42")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 3


def test_what_was_typed_before_the_shell_was_there_is_for_the_shell(live: tuple[RunnerBench, str]) -> None:
    bench, run_id = live
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", CLIENT, str(bench.node(run_id)), "bash", "--norc", "-i"])
    os.write(terminal, b"echo $((40 + 2)); exit 3\n")
    said = b""
    while select.select([terminal], [], [], 15)[0]:
        try:
            said += os.read(terminal, 4096)
        except OSError:
            break  # the client has ended
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert b"42\r\n" in said
    assert b"cannot access parent directories" not in said
    assert os.waitstatus_to_exitcode(status) == 3


def test_a_client_that_goes_away_takes_its_program_with_it_and_the_run_goes_on(live: tuple[RunnerBench, str]) -> None:
    bench, run_id = live
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(bench.node(run_id)), "sh", "-c", "echo in; exec sleep 43210"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert client.stdout is not None
    assert client.stdout.readline() == b"in\n"
    client.kill()
    client.wait()
    client.stdout.close()
    eventually(lambda: b"43210" not in b"".join(_command_lines()))
    assert not (bench.node(run_id) / "status.json").exists()
    assert enter_with_pipes(bench.node(run_id), "true").returncode == 0


def _command_lines() -> list[bytes]:
    lines = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            lines.append(Path("/proc", pid, "cmdline").read_bytes())
        except OSError:
            continue
    return [line for line in lines if b"footfall.cli.exec_client" not in line]


def test_a_node_that_does_not_run_cannot_be_entered(bench: RunnerBench) -> None:
    run_id, _ = bench.submit("true")
    bench.wait(run_id)
    with pytest.raises(NotFoundError):
        enter(bench.node(run_id), ["true"])
    assert json.loads((bench.node(run_id) / "status.json").read_text())["exit_code"] == 0


def test_a_node_that_ends_while_it_is_asked_is_one_that_does_not_run(tmp_path: Path) -> None:
    (tmp_path / layout.SPEC).touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / layout.EXEC_SOCKET))
        listener.listen()

        def end_unread() -> None:
            connection, _ = listener.accept()
            select.select([connection], [], [], 10)
            connection.close()  # with bytes that nobody has read: the kernel says reset, not end

        thread = threading.Thread(target=end_unread)
        thread.start()
        with pytest.raises(NotFoundError):
            enter(tmp_path, ["true"])
        thread.join()


@pytest.mark.parametrize("shown", ["nothing", "another file", "only a path"])
def test_row_14_who_cannot_read_the_nodes_files_is_not_let_in(bench: RunnerBench, tmp_path: Path, shown: str) -> None:
    """A confined command of another run may have the server's user and find the socket, when the server is not root."""
    run_id, handle = bench.submit("echo up; sleep 60")
    bench.wait_log(run_id, "up")
    node = bench.node(run_id)
    eventually((node / "enter.sock").exists)
    (tmp_path / "other").touch()
    proof = {
        "nothing": os.open(os.devnull, os.O_RDONLY),
        "another file": os.open(tmp_path / "other", os.O_RDONLY),
        "only a path": os.open(node / "spec.json", os.O_PATH),
    }[shown]
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(node / "enter.sock"))
        asked = {"argv": ["env"], "rows": 1, "columns": 1, "term": ""}
        socket.send_fds(line, [json.dumps(asked).encode()], [] if shown == "nothing" else [proof])
        answer, handed, _, _ = socket.recv_fds(line, 1 << 16, 4)
    os.close(proof)
    assert b"may read" in answer
    assert handed == []
    assert enter_with_pipes(node, "echo", "in").stdout == b"in\n"
    bench.executor.cancel(handle)
    bench.wait(run_id)


@pytest.mark.parametrize("asked", ['{"argv": [], "rows": 100000, "columns": 1, "term": ""}', "[" * 60_000, "no JSON"])
def test_whatever_a_client_asks_for_the_run_goes_on(live: tuple[RunnerBench, str], asked: str) -> None:
    bench, run_id = live
    node = bench.node(run_id)
    proof = os.open(node / "spec.json", os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(node / "enter.sock"))
        socket.send_fds(line, [asked.encode()], [proof])
        assert "error" in json.loads(line.recv(1 << 16))
    os.close(proof)
    assert enter_with_pipes(node, "echo", "in").stdout == b"in\n"


def test_clients_that_say_nothing_hold_up_nobody(live: tuple[RunnerBench, str]) -> None:
    bench, run_id = live
    node = bench.node(run_id)
    silent = [socket.socket(socket.AF_UNIX) for _ in range(40)]
    for line in silent:
        line.connect(str(node / "enter.sock"))
    before = time.monotonic()
    assert enter_with_pipes(node, "echo", "in").stdout == b"in\n"
    assert time.monotonic() - before < 8
    for line in silent:
        line.close()
    assert enter_with_pipes(node, "echo", "in").stdout == b"in\n"
