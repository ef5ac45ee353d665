"""Memory of a run is what it really holds: pages that several processes share count once, and what is its own counts whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from footfall.runner.process.memory import MemoryWatch, held_mib, resident_mib
from runner_bench import RunnerBench

# System Python: this suite's own may lie where another user cannot read.
PYTHON = next((path for path in ("/usr/bin/python3", "/usr/local/bin/python3") if Path(path).exists()), "python3")

FORKED_READERS = f"""{PYTHON} -c '
import os, time
block = bytearray(200_000_000)
children = []
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        sum(block[i] for i in range(0, len(block), 4096))
        time.sleep(1.5)
        os._exit(0)
    children.append(pid)
for pid in children: os.waitpid(pid, 0)
print("ok")'"""

SHARED_MAPPING = f"""{PYTHON} -c '
import mmap, os, time
block = mmap.mmap(-1, 200_000_000)
for i in range(0, len(block), 4096): block[i] = 1
for _ in range(3):
    if os.fork() == 0:
        sum(block[i] for i in range(0, len(block), 4096))
        time.sleep(1.5)
        os._exit(0)
for _ in range(3): os.wait()
print("ok")'"""

FORKED_WRITERS = f"""{PYTHON} -c '
import os, time
block = bytearray(200_000_000)
for _ in range(4):
    if os.fork() == 0:
        for i in range(0, len(block), 4096): block[i] = 1
        time.sleep(20)
        os._exit(0)
for _ in range(4): os.wait()'"""


@pytest.mark.parametrize("program", [FORKED_READERS, SHARED_MAPPING])
def test_pages_that_forked_children_share_count_once(any_bench: RunnerBench, program: str) -> None:
    status, log = any_bench.run(program, memory_mib=400)
    assert (status["reason"], status["exit_code"], log) == (None, 0, "ok\n")


def test_pages_that_forked_children_have_written_count_for_each(any_bench: RunnerBench) -> None:
    status, _ = any_bench.run(FORKED_WRITERS, memory_mib=400)
    assert status["reason"] == "out_of_memory"


def test_where_the_kernel_does_not_say_what_is_shared_each_process_counts_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    holder = subprocess.Popen([sys.executable, "-c", "b = bytearray(50_000_000); print(len(b), flush=True); input()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        assert 45 < held_mib([holder.pid]) <= resident_mib([holder.pid])
        whole = resident_mib([holder.pid])
        monkeypatch.setattr("footfall.runner.process.memory._ROLLUP", "/proc/{}/no-such-file")
        assert held_mib([holder.pid]) == whole
    finally:
        holder.communicate()
    assert (held_mib([holder.pid]), resident_mib([holder.pid])) == (0, 0)


def test_the_dear_measurement_is_made_near_the_limit_alone_and_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[float] = []
    cheap = [90]
    clock = [0.0]

    def hold(pids: list[int]) -> int:
        measured.append(clock[0])
        clock[0] += 0.1
        return 40

    monkeypatch.setattr("footfall.runner.process.memory.resident_mib", lambda pids: cheap[0])
    monkeypatch.setattr("footfall.runner.process.memory.held_mib", hold)
    monkeypatch.setattr("footfall.runner.process.memory.time.monotonic", lambda: clock[0])
    watch = MemoryWatch(100)
    assert not watch.is_over([os.getpid()])
    assert measured == []
    cheap[0] = 150
    for _ in range(8):
        assert not watch.is_over([os.getpid()])
        clock[0] += 0.25
    assert len(measured) == 1, "a walk over page tables of 100 ms is not made four times a second"
    cheap[0] = 230  # more than was free at the last measurement has come since
    watch.is_over([os.getpid()])
    assert len(measured) == 2
