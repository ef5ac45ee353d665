"""The filter of system calls: what it refuses, and beside each refusal that what programs use goes on."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine_helpers import processes_of
from footfall.config import load_settings
from runner_bench import RunnerBench

SOURCE = Path(__file__).parents[3] / "src"
PROGRAM = """
import ctypes, json, os, sys
sys.path.insert(0, sys.argv[1])
from footfall.runner.process import kernel
from footfall.runner.sandbox.seccomp import build_filter
calls, options = json.load(sys.stdin)
kernel.gain_no_privileges()
kernel.filter_calls(build_filter(**options))
libc = ctypes.CDLL(None, use_errno=True)
values = {"MINE": os.getpid(), "PARENT": os.getppid(), "BUFFER": ctypes.create_string_buffer(b"\\0" * 64)}
found = []
for call, *arguments in calls:
    words = [values[each] if isinstance(each, str) else ctypes.c_long(each) for each in arguments]
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(call), *words)
    found.append(ctypes.get_errno() if result == -1 else 0)
print(json.dumps(found))
"""
X86 = {
    "personality": 135, "socket": 41, "socketpair": 53, "prlimit64": 302, "setpriority": 141, "ioprio_set": 251, "shmget": 29,
    "shmat": 30, "shmctl": 31, "semget": 64, "semop": 65, "msgget": 68, "msgrcv": 70, "mq_open": 240, "perf_event_open": 298,
    "fanotify_init": 300, "modify_ldt": 154, "name_to_handle_at": 303, "open_by_handle_at": 304, "memfd_secret": 447,
    "memfd_create": 319, "sched_setaffinity": 203, "sched_getaffinity": 204, "sched_setscheduler": 144, "sched_setparam": 142,
    "sched_setattr": 314, "process_madvise": 440, "syslog": 103, "getpid": 39, "inotify_init1": 294,
}  # fmt: skip
AMONG_HOST = {"is_among_host": True}
NO_SOCKETS = {"is_among_host": True, "has_path_sockets": False}
QUERY, ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, MMAP_PAGE_ZERO = 0xFFFFFFFF, 0x0040000, 0x0400000, 0x0100000
IDLE, BEST_EFFORT_4 = 3 << 13, 2 << 13 | 4


def outcomes(options: dict[str, bool], *calls: tuple[object, ...]) -> list[str]:
    """Make system calls in a process behind the filter and return what became of each."""
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers of the calls are those of x86_64")
    numbered = [(X86[str(name)], *arguments) for name, *arguments in calls]
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(SOURCE)]
    done = subprocess.run(command, input=json.dumps([numbered, options]), capture_output=True, text=True, check=True)
    return [errno.errorcode[number] if number else "ok" for number in json.loads(done.stdout)]


@pytest.mark.parametrize(
    "call",
    [
        ("perf_event_open", "BUFFER", 0, -1, -1, 0), ("fanotify_init", 0, 0), ("modify_ldt", 0, "BUFFER", 8),
        ("name_to_handle_at", -100, "BUFFER", "BUFFER", "BUFFER", 0), ("open_by_handle_at", -100, "BUFFER", 0),
        ("memfd_secret", 0), ("syslog", 10, 0, 0), ("personality", READ_IMPLIES_EXEC), ("personality", MMAP_PAGE_ZERO),
    ],
    ids=lambda call: str(call[0]),
)  # fmt: skip
def test_row_14_calls_that_holes_of_kernels_were_reached_through_are_refused(call: tuple[object, ...]) -> None:
    assert outcomes({}, call) == ["EPERM"]


def test_what_programs_use_of_the_same_kind_goes_on() -> None:
    debugger = [("personality", QUERY), ("personality", ADDR_NO_RANDOMIZE), ("personality", 8), ("personality", 0)]
    others = [("memfd_create", "BUFFER", 0), ("inotify_init1", 0), ("getpid",)]
    assert set(outcomes({}, *debugger, *others)) == {"ok"}


@pytest.mark.parametrize("family", [38, 40, 9, 3, 31], ids=["ALG", "VSOCK", "X25", "AX25", "BLUETOOTH"])
def test_row_14_sockets_of_unusual_families_are_unknown(family: int) -> None:
    assert outcomes({}, ("socket", family, 2, 0), ("socketpair", 30, 1, 0, "BUFFER")) == ["EAFNOSUPPORT"] * 2


def test_sockets_that_programs_use_can_be_made() -> None:
    usual = [("socket", family, 2, 0) for family in (1, 2, 16)]
    assert set(outcomes({}, *usual, ("socketpair", 1, 1, 0, "BUFFER"))) == {"ok"}
    assert set(outcomes(AMONG_HOST, *usual, ("socketpair", 1, 1, 0, "BUFFER"))) == {"ok"}
    assert outcomes({}, ("socket", 10, 2, 0))[0] in ("ok", "EAFNOSUPPORT"), "the machine may have no IPv6"


def test_row_14_without_the_right_for_path_sockets_only_pairs_can_be_made() -> None:
    calls = [("socket", 1, 1, 0), ("socket", 2, 1, 0), ("socket", 40, 1, 0), ("socketpair", 1, 1, 0, "BUFFER")]
    assert outcomes(NO_SOCKETS, *calls) == ["EPERM", "ok", "EAFNOSUPPORT", "ok"]


def test_row_14_among_the_hosts_processes_limits_and_scheduling_of_others_cannot_be_set() -> None:
    calls = [
        ("prlimit64", "PARENT", 7, "BUFFER", 0), ("sched_setaffinity", "PARENT", 8, "BUFFER"),
        ("sched_setscheduler", "PARENT", 5, "BUFFER"),
        ("sched_setparam", "PARENT", "BUFFER"), ("sched_setattr", "PARENT", "BUFFER", 0), ("setpriority", 0, "PARENT", 5),
        ("setpriority", 1, "PARENT", 5), ("setpriority", 2, 0, 5), ("ioprio_set", 1, "PARENT", IDLE), ("ioprio_set", 3, 0, IDLE),
        ("process_madvise", 0, "BUFFER", 1, 21, 0),
    ]  # fmt: skip
    assert outcomes(AMONG_HOST, *calls) == ["EPERM"] * len(calls)


def test_a_process_sets_its_own_limits_and_scheduling_by_0_and_reads_those_of_others() -> None:
    calls = [
        ("sched_setscheduler", 0, 5, "BUFFER"), ("prlimit64", 0, 4, "BUFFER", 0), ("prlimit64", "PARENT", 7, 0, "BUFFER"),
        ("sched_getaffinity", "PARENT", 64, "BUFFER"),
        ("sched_setaffinity", 0, 64, "BUFFER"), ("setpriority", 0, 0, 15), ("setpriority", 1, 0, 16),
        ("ioprio_set", 1, 0, BEST_EFFORT_4),
    ]  # fmt: skip
    assert outcomes(AMONG_HOST, *calls) == ["ok"] * len(calls)
    own = [("sched_setaffinity", "MINE", 64, "BUFFER"), ("setpriority", 0, "MINE", 15), ("setpriority", 1, 0, 16)]
    reading = [("sched_getaffinity", 0, 64, "BUFFER")]
    assert set(outcomes({}, *reading, *own)) == {"ok"}, "in a sandbox of its own a program names itself as it likes"


def test_row_14_system_v_and_posix_queues_are_refused_where_all_of_the_host_share_them() -> None:
    queues = [
        ("shmget", 77, 4096, 0o1600), ("shmat", 0, 0, 0), ("shmctl", 0, 2, "BUFFER"), ("semget", 77, 1, 0o1600),
        ("semop", 0, "BUFFER", 1),
        ("msgget", 77, 0o1600), ("msgrcv", 0, "BUFFER", 8, 0, 0), ("mq_open", "BUFFER", 0, 0, 0),
    ]  # fmt: skip
    assert outcomes(AMONG_HOST, *queues) == ["EPERM"] * len(queues)


def test_row_14_at_landlock_another_runs_process_keeps_its_limits_and_its_shared_memory(home: Path) -> None:
    """Both runs have one user, as runs of a server that is not root have its own."""
    bench = RunnerBench(load_settings(home, {}, isolation="landlock", data_directory=str(home / "d")))
    (home / "d").chmod(0o711)
    other, handle = bench.submit("ulimit -n; echo up; sleep 60")
    bench.wait_log(other, "up")
    victim = next(pid for pid in processes_of(other) if b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes())
    before = Path(f"/proc/{victim}/limits").read_text(), os.sched_getaffinity(victim), os.getpriority(os.PRIO_PROCESS, victim)
    _, log = bench.run(
        f"prlimit --pid {victim} --nofile=12 && echo DID; renice 9 -p {victim} && echo DID; taskset -p 1 {victim} && echo DID; "
        f"chrt -i -p 0 {victim} && echo DID; ionice -c 3 -p {victim} && echo DID; ipcmk -M 4096 && echo DID; "
        "prlimit --nofile=99 bash -c 'ulimit -n'; nice -n 19 nice; taskset 1 echo pinned; chrt -b 0 echo batch; "
        "ionice -c 3 echo idle; ulimit -n 64; ulimit -n"
    )
    assert "DID" not in log
    assert [line for line in log.splitlines() if line in ("99", "19", "pinned", "batch", "idle", "64")] == [
        "99", "19", "pinned", "batch", "idle", "64",
    ]  # fmt: skip
    after = Path(f"/proc/{victim}/limits").read_text(), os.sched_getaffinity(victim), os.getpriority(os.PRIO_PROCESS, victim)
    assert after == before
    bench.executor.cancel(handle)
    bench.wait(other)


PROGRAMS = {  # a script, and the last line that it prints
    "git": (
        "cd $TMPDIR; git init -q r; cd r; git -c user.name=a -c user.email=a@b commit -qm x --allow-empty && git log --format=%s",
        "x",
    ),
    "node": ("node -e 'require(\"child_process\").execSync(\"true\"); setTimeout(() => console.log(6 * 7), 1)'", "42"),
    "gdb": ("gdb -q -nx -batch -ex run -ex 'print 6*7' /bin/true 2>&1 | grep -o '= 42'", "= 42"),
    "bash": ("set -m; sleep 5 & kill -STOP %1; kill %1; kill -CONT %1; wait %1; trap 'echo bye' EXIT; time true", "bye"),
    "python3": (
        "/usr/bin/python3 -c 'import os, resource as r; os.nice(1); r.setrlimit(r.RLIMIT_NOFILE, (9, 9)); print(r.getrlimit(7))'",
        "(9, 9)",
    ),
    "setarch": ("setarch -R echo same", "same"),
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_people_run_goes_on_behind_the_filter(any_bench: RunnerBench, program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program} here")
    script, last = PROGRAMS[program]
    status, log = any_bench.run(script)
    assert log.splitlines()[-1:] == [last], log
    assert status["exit_code"] == 0
