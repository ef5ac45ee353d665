"""What a command is kept from, and what it must be able to do, each as an attempt that it makes itself.

The probe has a command run this file at each level, and believes no level whose attempts end otherwise than the table says;
the page on isolation shows that table. It is a program of its own: it imports nothing of ours, for a command may not read it.
"""

import ctypes
import os
import resource
import socket
import sys
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

REFUSED, WORKS, UNTRIED = "refused", "works", "untried"
_EPERM, _EAFNOSUPPORT = 1, 97
_SERVER = "the server's process"
_libc = ctypes.CDLL(None, use_errno=True)
_CALLS = {  # io_uring_setup, then bpf userfaultfd add_key perf_event_open fanotify_init name_to_handle_at
    "x86_64": (425, 321, 323, 248, 298, 300, 303),
    "aarch64": (425, 280, 282, 217, 241, 262, 264),
}
_NEWNS, _NEWUSER, _PTRACE_SEIZE = 0x00020000, 0x10000000, 0x4206


def _victim() -> int:
    return int(os.environ["PROBE_PID"])


def _read_file() -> None:
    with open(os.environ["PROBE_SECRET"], encoding="utf-8") as file:
        file.read()


def _write_file() -> None:
    os.close(os.open(os.environ["PROBE_SECRET"], os.O_WRONLY))


def _write_system() -> None:
    for directory in ("/usr", "/etc", "/"):
        try:
            os.rmdir(tempfile.mkdtemp(dir=directory))
        except OSError:
            continue
        return
    open("/proc/sys/kernel/core_pattern", "a", encoding="utf-8").close()


def _signal() -> None:
    os.kill(_victim(), 0)


def _read_environment() -> None:
    with open(f"/proc/{_victim()}/environ", "rb") as file:
        file.read()


def _trace() -> None:
    _check(_libc.ptrace(_PTRACE_SEIZE, _victim(), None, None))


def _set_limits() -> None:
    resource.prlimit(_victim(), resource.RLIMIT_CORE, resource.prlimit(_victim(), resource.RLIMIT_CORE))


def _set_scheduling() -> None:
    pid = _victim()
    changes: tuple[Callable[[], None], ...] = (
        lambda: os.sched_setaffinity(pid, os.sched_getaffinity(pid)),
        lambda: os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid)),
        lambda: os.sched_setscheduler(pid, os.sched_getscheduler(pid), os.sched_param(0)),
    )
    if WORKS not in [_make(change) for change in changes]:
        raise PermissionError


def _find_process() -> None:
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if b"--probe" in file.read().split(b"\0"):
                    return
        except OSError:
            continue
    raise FileNotFoundError


def _take_queue() -> None:
    _check(_libc.shmget(ctypes.c_int(int(os.environ["PROBE_KEY"])), ctypes.c_size_t(0), 0))


def _take_shared_memory() -> None:
    with open(os.environ["PROBE_SHARED"], "rb"):
        pass


def _connect_path() -> None:
    with socket.socket(socket.AF_UNIX) as own:
        own.connect(os.environ["PROBE_SOCKET"])


def _connect_abstract() -> None:
    with socket.socket(socket.AF_UNIX) as own:
        own.connect("\0" + os.environ["PROBE_ABSTRACT"])


def _make_namespace() -> None:
    for flags in (_NEWUSER, _NEWNS):
        if _libc.unshare(flags) == 0:
            return
    _check(_libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))


def _use_calls() -> str:
    numbers = _CALLS.get(os.uname().machine)
    if numbers is None:
        return UNTRIED
    for number in numbers:
        result = _libc.syscall(ctypes.c_long(number), 0, 0, 0, 0, 0)
        if result >= 0 or ctypes.get_errno() != _EPERM:
            return WORKS
    return REFUSED


def _open_families() -> str:
    if os.uname().machine not in _CALLS:
        return UNTRIED
    for family in (socket.AF_ALG, socket.AF_VSOCK, socket.AF_PACKET):
        try:
            socket.socket(family, socket.SOCK_RAW).close()
        except OSError as error:
            if error.errno == _EAFNOSUPPORT:
                continue
        return WORKS
    return REFUSED


def _use_own() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    os.sched_setaffinity(0, os.sched_getaffinity(0))
    os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0))
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 7:
        raise ChildProcessError


def _share_memory() -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        file.write(b"\0" * 4096)


def _open_sockets() -> None:
    for each in socket.socketpair():
        each.close()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        pass


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_BOTH = (REFUSED, REFUSED)
ATTEMPTS: tuple[tuple[str, tuple[str, str], "Callable[[], str | None]"], ...] = (
    # What is tried; how it ends at bubblewrap and at landlock, an empty text where that is not promised
    ("read a file of the server's, though everybody may read it", _BOTH, _read_file),
    ("write into it", _BOTH, _write_file),
    ("make a file in the system, or change a setting of the kernel", _BOTH, _write_system),
    (f"signal {_SERVER}", _BOTH, _signal),
    (f"read the environment of {_SERVER}", _BOTH, _read_environment),
    (f"trace {_SERVER}", _BOTH, _trace),
    (f"set limits of {_SERVER}", _BOTH, _set_limits),
    (f"set the scheduling of {_SERVER}", _BOTH, _set_scheduling),
    (f"see {_SERVER} and its arguments", (REFUSED, ""), _find_process),
    ("find shared memory of System V that another process made", _BOTH, _take_queue),
    ("open a file that another process has in `/dev/shm`", (REFUSED, ""), _take_shared_memory),
    ("connect to a socket that the server's user has in the file system", _BOTH, _connect_path),
    ("connect to an abstract socket of another process", ("", REFUSED), _connect_abstract),
    ("make a namespace, or mount", _BOTH, _make_namespace),
    ("use `io_uring`, `bpf`, `userfaultfd`, key rings, `perf_event_open`, `fanotify`, file handles", _BOTH, _use_calls),
    ("open sockets of the families ALG, VSOCK and PACKET", _BOTH, _open_families),
    ("start processes, set its own limits and scheduling", (WORKS, WORKS), _use_own),
    ("use shared memory of its own in `/dev/shm`", (WORKS, WORKS), _share_memory),
    ("make pairs of sockets, and connect by TCP to itself", (WORKS, WORKS), _open_sockets),
)
LEVELS = ("bubblewrap", "landlock")


def _make(attempt: "Callable[[], str | None]") -> str:
    """Make one attempt and return how it ended."""
    try:
        return attempt() or WORKS
    except OSError:
        return REFUSED


if __name__ == "__main__":
    for number, (*_, each) in enumerate(ATTEMPTS):
        sys.stdout.write(f"Attempt {number}: {_make(each)}\n")
