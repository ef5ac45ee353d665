"""Who hears a stop first, and how what people run saves its work then: each at every level of isolation."""

import time
from pathlib import Path
from typing import Any

import pytest

from engine_helpers import eventually, processes_of
from runner_bench import RunnerBench

PYTHON = next((path for path in ("/usr/bin/python3", "/usr/local/bin/python3") if Path(path).exists()), "python3")
TRAINER = """
import multiprocessing as mp, os, signal, sys, time

def load(queue):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        queue.put(1)

def ask(number, frame):
    global asked
    asked = number

asked = 0
signal.signal(getattr(signal, os.environ.get("ASKED_BY", "SIGTERM")), ask)
queue = mp.Queue(4)
workers = [mp.Process(target=load, args=(queue,), daemon=True) for _ in range(2)]
for worker in workers: worker.start()
print("training", flush=True)
while not asked:
    queue.get(timeout=5)
for _ in range(20):  # the step that is under way needs its loaders
    queue.get(timeout=5)
    time.sleep(0.02)
assert all(worker.is_alive() for worker in workers), "a loader was ended first"
with open("saved", "w") as file: file.write("x")
print("saved", flush=True)
sys.exit(int(os.environ.get("CODE", "0")))
"""


def stop(bench: RunnerBench, script: str, **given: Any) -> tuple[dict[str, Any], str, float]:
    (bench.project / "train.py").write_text(TRAINER.replace("python3", PYTHON))
    run_id, handle = bench.submit(script.replace("python3", PYTHON), **{"grace_s": 10.0, **given})
    bench.wait_log(run_id, "training")
    time.sleep(0.1)
    begun = time.monotonic()
    bench.executor.cancel(handle)
    status = bench.wait(run_id)
    taken_s = time.monotonic() - begun
    eventually(lambda: processes_of(run_id) == [], 5)
    return status, bench.log(run_id).replace("Terminated\n", ""), taken_s


@pytest.mark.parametrize(
    "script",
    [
        "python3 train.py",
        "exec python3 train.py",
        "python3 train.py; echo next line",
        "set -e\npython3 train.py\necho next line",
        "(cd . && python3 train.py; echo next line); echo next line",
        "sh -c 'python3 train.py; echo next line'; echo next line",
        "python3 train.py | tee log; echo next line",
        "yes | python3 train.py; echo next line",
        "python3 train.py & wait; echo next line",
        "trap 'echo left >&2' EXIT; python3 train.py; echo next line",
    ],
)
def test_a_program_that_saves_when_it_is_asked_keeps_its_loaders_whatever_shell_is_around_it(
    any_bench: RunnerBench, script: str
) -> None:
    status, log, taken_s = stop(any_bench, script)
    lines = [line for line in log.splitlines() if line != "left"]
    assert lines == ["training", "saved"], log
    assert (any_bench.project / "saved").exists()
    assert status["reason"] == "stopped"
    assert taken_s < 5


@pytest.mark.parametrize(
    "script",
    [
        "trap 'cp saved copied; echo copied' TERM; python3 train.py",
        "trap 'cp saved copied; echo copied; exit 0' TERM; python3 train.py | cat; echo next line",
        "export ASKED_BY=SIGUSR1\n"
        "python3 train.py & pid=$!\ntrap 'kill -USR1 $pid; wait $pid; cp saved copied; echo copied; exit 0' TERM\nwait $pid",
    ],
)
@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_shell_with_a_trap_hears_it_and_finds_what_its_program_saved(any_bench: RunnerBench, script: str, shell: str) -> None:
    (any_bench.project / "run.sh").write_text(script.replace("python3", PYTHON))
    status, log, taken_s = stop(any_bench, f"{shell} run.sh")
    assert log.splitlines() == ["training", "saved", "copied"], log
    assert (any_bench.project / "copied").exists()
    assert status["reason"] == "stopped"
    assert taken_s < 5


def test_what_the_command_did_not_end_itself_is_asked_too(any_bench: RunnerBench) -> None:
    """A background process that catches the signal hears it before the grace is over, though the command never ends."""
    helper = "bash -c 'trap \"echo helper heard\" TERM; echo training; while :; do sleep 0.05; done'"
    script = f"{helper} & exec python3 -c 'import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)'"
    status, log, taken_s = stop(any_bench, script, grace_s=3.0)
    assert "helper heard" in log
    assert status["exit_code"] == -9
    assert 2.5 < taken_s < 6


def test_a_reader_of_a_pipe_that_goes_on_without_its_writer_is_asked_in_the_end(any_bench: RunnerBench) -> None:
    _, log, taken_s = stop(any_bench, "echo training; yes | (sleep 60; echo woke); echo next line")
    assert log == "training\n"
    assert 0.9 < taken_s < 6


def test_a_stop_is_heard_where_the_server_was_started_in_the_background(
    any_bench: RunnerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell without job control has what it starts in the background ignore SIGINT and SIGQUIT, and that is inherited."""
    import signal

    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)}
    try:
        run_id, _ = any_bench.submit("grep SigIgn /proc/self/status")
        any_bench.wait(run_id)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    name, mask = any_bench.log(run_id).split()
    assert (name, int(mask, 16) & 0b111) == ("SigIgn:", 0)
