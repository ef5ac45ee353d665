"""What training programs need of the system for their worker processes: semaphores, shared memory, sockets, pools."""

import os
import signal
from pathlib import Path

from engine_helpers import eventually
from footfall.compute.reconciler.nodes import remove_scratch
from footfall.config import load_settings
from runner_bench import RunnerBench

PYTHON = next((path for path in ("/usr/bin/python3", "/usr/local/bin/python3") if Path(path).exists()), "python3")
PROGRAM = """
import multiprocessing as mp, os, socket, tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import shared_memory

def square(x): return x * x

def send_pipe(connections):
    # What torch does with tensors: a descriptor goes through a socket of a listener in the temporary directory.
    from multiprocessing.reduction import DupFd
    connections.put(DupFd(os.open("/dev/null", os.O_RDONLY)))

def pool(kind):
    with mp.get_context(kind).Pool(2) as workers: return workers.map(square, range(3))

def block():
    memory = shared_memory.SharedMemory(create=True, size=8 << 20)
    memory.buf[-1] = 7
    value = memory.buf[-1]
    memory.close(); memory.unlink()
    return value

def listener():
    from multiprocessing.connection import Listener
    with Listener(family="AF_UNIX") as own: return os.path.exists(own.address)

def manager():
    with mp.get_context("spawn").Manager() as made: return list(made.list([1]))

def forkserver(): return pool("forkserver")

def executor():
    with ProcessPoolExecutor(2) as workers: return list(workers.map(square, range(3)))

def home_socket():
    # editors, ssh and gpg keep theirs some directories below the home
    path = os.path.expanduser("~/.vscode-server/cli/servers/d")
    os.makedirs(path)
    with socket.socket(socket.AF_UNIX) as own: own.bind(os.path.join(path, "s" * 20))
    return True

if __name__ == "__main__":
    mp.get_context("spawn").Lock()
    print("pools", pool("spawn"), pool("fork"), forkserver(), executor())
    print("memory", block())
    print("listener", listener(), manager())
    print("home", home_socket())
"""
EXPECTED = "pools [0, 1, 4] [0, 1, 4] [0, 1, 4] [0, 1, 4]\nmemory 7\nlistener True [1]\nhome True\n"


def check(bench: RunnerBench) -> None:
    (bench.project / "program.py").write_text(PROGRAM)
    status, log = bench.run(f"{PYTHON} program.py", timeout_s=60.0)
    assert (status["exit_code"], log) == (0, EXPECTED)


def test_workers_pools_locks_and_sockets_work_at_every_level(any_bench: RunnerBench) -> None:
    check(any_bench)


def test_the_same_where_the_data_directory_lies_deep(home: Path) -> None:
    deep = home / "a" / "very" / "long" / "way" / "down" / ("to-the-data-of-the-server" * 3)
    deep.mkdir(parents=True)
    check(RunnerBench(load_settings(home / "h", {}, isolation="plain", allow_plain=True, data_directory=str(deep))))


def test_the_short_path_goes_with_the_run_also_when_its_runner_is_killed(home: Path) -> None:
    bench = RunnerBench(load_settings(home, {}, isolation="plain", allow_plain=True))
    run_id, _ = bench.submit("dirname $TMPDIR; echo x > $TMPDIR/file; cat $HOME/../tmp/file")
    bench.wait(run_id)
    path, content = bench.log(run_id).split()
    assert (content, len(path) < 20) == ("x", True)
    eventually(lambda: not os.path.lexists(path))
    run_id, handle = bench.submit("dirname $TMPDIR; sleep 60")
    bench.wait_log(run_id, "/tmp/ff-")
    path = bench.log(run_id).strip()
    os.kill(int((bench.node(run_id) / "start").read_text()), signal.SIGKILL)
    eventually(lambda: bench.is_gone(handle))
    assert os.path.lexists(path)
    remove_scratch(bench.settings.runs_root, run_id, 0, 1)
    assert not os.path.lexists(path)
    assert not (bench.node(run_id) / "short-path").exists()
