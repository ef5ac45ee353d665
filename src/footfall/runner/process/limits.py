"""What a helper child may take that reads something which somebody sent. Loaded in such children only. Knows no runs."""

from __future__ import annotations

import os
import resource
import signal


def limit_process(memory_bytes: int, cpu_s: float, file_bytes: int) -> None:
    """Limit this process and all below it: memory beyond what it has now, seconds on a core, and the size of a file.

    A write beyond the last fails with EFBIG; who exceeds the second is killed.
    """
    with open("/proc/self/statm", "rb") as file:
        held = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for which, wanted in (
        (resource.RLIMIT_AS, held + memory_bytes),
        (resource.RLIMIT_CPU, max(1, int(cpu_s))),
        (resource.RLIMIT_FSIZE, file_bytes),
    ):
        hard = resource.getrlimit(which)[1]
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(which, (limit, limit))
