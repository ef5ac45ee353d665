"""A filter of system calls that no program of a run needs and that reach beyond it, or that past holes of kernels lay behind.

It makes ``mount``, new namespaces, io_uring, bpf, the kernel's key rings and the like fail with EPERM, and sockets of unusual
families with EAFNOSUPPORT, on every level that isolates. ``clone3`` fails with ENOSYS, for its flags lie in memory that a
filter cannot read; the C library then takes ``clone``.

Among the host's own processes more is refused, for what Landlock does not cover reaches whatever has the same user, the
server too: limits and scheduling of a process that is named by its pid, and the queues, semaphores and memory of System V.
A filter does not know a process's own pid, so there a program may name itself by 0 alone.

Source: seccomp(2), linux/bpf_common.h, asm/unistd.h; the choice follows the default profile of container engines.
"""

from __future__ import annotations

import os

_ALLOW, _EPERM, _ENOSYS, _EAFNOSUPPORT = 0x7FFF0000, 0x00050001, 0x00050026, 0x00050061
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _ARGUMENT_BYTES = 0, 4, 16, 8
_ALLOWED, _REFUSED = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _EPERM)
_NEW_NAMESPACES = 0x7E020000
_CLONE3, _PROCESS_MADVISE, _MEMFD_SECRET = 435, 440, 447  # from 424 on numbers are the same everywhere
_EVERYWHERE = (425, 426, 427, 428, 429, 430, 431, 432, 433, 442, _MEMFD_SECRET)  # io_uring_*, open_tree … fspick, mount_setattr
_UNIX, _FAMILIES = 1, (2, 10, 16)  # AF_INET, AF_INET6, AF_NETLINK
_NO_PERSONALITY, _HARMLESS_PERSONALITY = 0xFFFFFFFF, 0x0060008  # a query; ADDR_NO_RANDOMIZE, UNAME26, PER_LINUX32
_PRIO_USER, _IOPRIO_WHO_USER = 2, 3
_MACHINES: dict[str, tuple[int, dict[str, int], tuple[int, ...], tuple[int, ...]]] = {
    # The audit architecture; calls whose arguments decide; refused ones: mount umount2 pivot_root add_key request_key keyctl bpf
    # userfaultfd perf_event_open fanotify_init modify_ldt name_to_handle_at open_by_handle_at syslog; those that reach System V's
    # and POSIX's queues: shmget shmat shmctl semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink
    "x86_64": (
        0xC000003E,
        {
            "clone": 56, "unshare": 272, "setns": 308, "personality": 135, "socket": 41, "socketpair": 53,
            "prlimit64": 302, "sched_setparam": 142, "sched_setscheduler": 144, "sched_setaffinity": 203, "sched_setattr": 314,
            "setpriority": 141, "ioprio_set": 251,
        },
        (165, 166, 155, 248, 249, 250, 321, 323, 298, 300, 154, 303, 304, 103),
        (29, 30, 31, 64, 65, 66, 220, 68, 69, 70, 71, 240, 241),
    ),
    "aarch64": (
        0xC00000B7,
        {
            "clone": 220, "unshare": 97, "setns": 268, "personality": 92, "socket": 198, "socketpair": 199,
            "prlimit64": 261, "sched_setparam": 118, "sched_setscheduler": 119, "sched_setaffinity": 122, "sched_setattr": 274,
            "setpriority": 140, "ioprio_set": 30,
        },
        (40, 39, 41, 217, 218, 219, 280, 282, 241, 262, 264, 265, 116),
        (194, 196, 195, 190, 193, 191, 192, 186, 189, 188, 187, 180, 181),
    ),
}  # fmt: skip
_Line = tuple[int, int, int, int]


def build_filter(*, may_join: bool = False, is_among_host: bool = False, has_path_sockets: bool = True) -> bytes | None:
    """Return the program, or None on a machine whose numbers are not known here.

    Args:
        may_join: leave ``setns`` out, for a program that enters the sandbox from outside.
        is_among_host: the command has no pid and no ipc namespace of its own.
        has_path_sockets: it may make Unix sockets that have an address; pairs of them it may always make.
    """
    known = _MACHINES.get(os.uname().machine)
    if known is None:
        return None
    architecture, numbers, refused, queues = known
    lines: list[_Line] = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), _REFUSED, (_LOAD, 0, 0, _NUMBER)]
    if architecture == _MACHINES["x86_64"][0]:
        lines += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _ENOSYS)]  # the x32 numbers of the same calls
    rules = {number: [_REFUSED] for number in (*refused, *_EVERYWHERE)} | {_CLONE3: [(_RETURN, 0, 0, _ENOSYS)]}
    if not may_join:
        rules[numbers["setns"]] = [_REFUSED]
    for call in ("clone", "unshare"):
        rules[numbers[call]] = [_load(0), (_ANY_BIT, 0, 1, _NEW_NAMESPACES), _REFUSED, _ALLOWED]
    rules[numbers["personality"]] = [
        _load(0), (_EQUAL, 1, 0, _NO_PERSONALITY), (_ANY_BIT, 1, 0, ~_HARMLESS_PERSONALITY & 0xFFFFFFFF), _ALLOWED, _REFUSED,
    ]  # fmt: skip
    rules[numbers["socket"]] = _of_families((_UNIX, *_FAMILIES) if has_path_sockets else _FAMILIES, is_unix=not has_path_sockets)
    rules[numbers["socketpair"]] = _of_families((_UNIX,))
    if is_among_host:
        rules |= {number: [_REFUSED] for number in (*queues, _PROCESS_MADVISE)}
        for call in ("sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr"):
            rules[numbers[call]] = [_load(0), (_EQUAL, 0, 1, 0), _ALLOWED, _REFUSED]
        for call, by_user in (("setpriority", _PRIO_USER), ("ioprio_set", _IOPRIO_WHO_USER)):
            rules[numbers[call]] = [
                _load(0), (_EQUAL, 3, 0, by_user), _load(1), (_EQUAL, 0, 1, 0), _ALLOWED, _REFUSED,
            ]  # fmt: skip
        rules[numbers["prlimit64"]] = [  # to read the limits of another one, without new ones, harms nobody
            _load(2), (_EQUAL, 0, 2, 0), _load(2, upper=True), (_EQUAL, 2, 0, 0), _load(0), (_EQUAL, 0, 1, 0), _ALLOWED, _REFUSED,
        ]  # fmt: skip
    for number, rule in rules.items():
        lines += [(_EQUAL, 0, len(rule), number), *rule]
    lines.append(_ALLOWED)
    return b"".join(
        code.to_bytes(2, "little") + bytes((is_true, is_false)) + value.to_bytes(4, "little")
        for code, is_true, is_false, value in lines
    )


def _load(argument: int, *, upper: bool = False) -> _Line:
    """Load the lower half of an argument, which is all of one that is an int; or the upper half."""
    return (_LOAD, 0, 0, _FIRST_ARGUMENT + argument * _ARGUMENT_BYTES + 4 * upper)


def _of_families(families: tuple[int, ...], *, is_unix: bool = False) -> list[_Line]:
    """Allow sockets of these families; with ``is_unix`` one of the family UNIX is forbidden, and not unknown."""
    checks: list[_Line] = [(_EQUAL, len(families) - i + 2 * is_unix, 0, family) for i, family in enumerate(families)]
    unix: list[_Line] = [(_EQUAL, 0, 1, _UNIX), _REFUSED] if is_unix else []
    return [_load(0), *checks, *unix, (_RETURN, 0, 0, _EAFNOSUPPORT), _ALLOWED]
