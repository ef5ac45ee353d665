"""What training programs need of the system for their worker processes: semaphores, shared memory, sockets, pools."""

from pathlib import Path

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

if __name__ == "__main__":
    mp.get_context("spawn").Lock()
    print("pools", pool("spawn"), pool("fork"), forkserver(), executor())
    print("memory", block())
    print("listener", listener(), manager())
"""
EXPECTED = "pools [0, 1, 4] [0, 1, 4] [0, 1, 4] [0, 1, 4]\nmemory 7\nlistener True [1]\n"


def check(bench: RunnerBench) -> None:
    (bench.project / "program.py").write_text(PROGRAM)
    status, log = bench.run(f"{PYTHON} program.py", timeout_s=60.0)
    assert (status["exit_code"], log) == (0, EXPECTED)


def test_workers_pools_locks_and_sockets_work(bench: RunnerBench) -> None:
    check(bench)
