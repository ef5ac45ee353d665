"""Full disks, for real: the data directory lies on a small file system of its own."""

import contextlib
import os
import random
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall import Client
from footfall.errors import ServiceError
from live_server import live_server


@contextlib.contextmanager
def small_disk(path: Path, size_mib: int) -> Iterator[Path]:
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(path)], capture_output=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill(disk: Path, leave_bytes: int) -> Path:
    """Take all but this much of what is free."""
    hog = disk / "hog"
    with open(hog, "ab") as file:
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        if free > leave_bytes:
            os.posix_fallocate(file.fileno(), file.tell(), free - leave_bytes)
    return hog


def put_sequences(client: Client, users: int) -> None:
    maker = random.Random(0)
    lines = (f"u{n}\t" + "->".join(f"do thing {maker.randint(0, 5000)}" for _ in range(20)) + "\n" for n in range(users))
    client.buckets.create("data")
    client.put_object("data", "s.csv", "".join(lines).encode())


def test_row_28_a_full_disk_refuses_new_work_and_harms_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 256) as disk, contextlib.ExitStack() as stack:
        stack.enter_context(live_server(disk / "home"))
        client = stack.enter_context(Client(home=disk / "home"))
        put_sequences(client, 100)
        hog = fill(disk, 8 << 20)
        for ask in (
            lambda: client.features.create("refused", "data", "s.csv"),
            lambda: client.put_object("data", "big.csv", b"x" * (16 << 20)),
        ):
            with pytest.raises(ServiceError) as caught:
                ask()
            assert (caught.value.status, caught.value.error_code) == (503, "500")
        assert [item.key for item in client.list_objects("data")] == ["s.csv"]
        assert list(client.features.list()) == []
        hog.unlink()
        feature = client.wait(client.features.create("accepted", "data", "s.csv"), timeout_s=60)
        assert feature.status == "completed", feature.fail_details


@pytest.mark.parametrize("leave", [0, 256 << 10])
def test_row_28_a_disk_that_fills_while_a_job_runs_fails_it_truly_and_the_database_stays_whole(
    tmp_path: Path, leave: int
) -> None:
    with small_disk(tmp_path / "disk", 64) as disk, contextlib.ExitStack() as stack:
        environment = {"FOOTFALL_MIN_FREE_MIB": "0"}
        stack.enter_context(live_server(disk / "home", environment=environment))
        client = stack.enter_context(Client(home=disk / "home"))
        put_sequences(client, 8_000)
        feature = client.features.create("too late", "data", "s.csv")
        deadline = time.monotonic() + 30
        while client.features.get(feature.id).status != "in_progress" and time.monotonic() < deadline:
            time.sleep(0.02)
        hog = fill(disk, leave)
        status = disk / "home/data/runs"
        while not list(status.glob("*/*/nodes/0/status.json")) and time.monotonic() < deadline + 60:
            time.sleep(0.05)
        assert list(status.glob("*/*/nodes/0/status.json")), "the runner could not say how its command ended"
        hog.unlink()
        feature = client.wait(feature, timeout_s=60)
        assert (feature.status, feature.fail_message) == ("failed", "DISK_SPACE_SHORTAGE"), feature.fail_details
        with contextlib.closing(sqlite3.connect(disk / "home/data/footfall.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        again = client.wait(client.features.create("again", "data", "s.csv"), timeout_s=60)
        assert again.status == "completed", again.fail_details
