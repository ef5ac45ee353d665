"""What a command takes of the disk is counted, however it hides it; a disk that is full hurts no runner."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall.config import load_settings
from footfall.runner.serving import disk_watch
from runner_bench import RunnerBench

PYTHON = "python3 -c '{}'"


def test_row_14_files_without_a_name_are_counted(any_bench: RunnerBench) -> None:
    grow = "exec 7> $TMPDIR/hidden; rm $TMPDIR/hidden; while :; do head -c 1000000 /dev/zero >&7; sleep 0.01; done"
    status, _ = any_bench.run(grow, scratch_limit_bytes=30_000_000, timeout_s=15.0)
    assert status["reason"] == "scratch_limit"


def test_row_14_memory_that_no_process_has_mapped_is_counted(bench: RunnerBench) -> None:
    code = 'import os,time; m=os.memfd_create("x"); [(os.write(m, bytes(5_000_000)), time.sleep(0.02)) for _ in range(400)]'
    status, _ = bench.run(f"python -c '{code}'", memory_mib=300, timeout_s=15.0)
    assert status["reason"] == "out_of_memory"


def test_row_14_empty_files_are_counted(bench: RunnerBench) -> None:
    code = 'import itertools; [open(f"f{n}", "w").close() for n in itertools.count()]'
    status, _ = bench.run(f"cd $NSML_OUTPUT_DIR; python -c '{code}'", output_limit_bytes=20_000_000, timeout_s=20.0)
    assert status["reason"] == "output_limit"


def test_files_that_come_and_go_hide_nothing_beside_them(tmp_path: Path) -> None:
    for n in range(200):
        (tmp_path / f"kept-{n}").write_bytes(bytes(8192))
    is_over = threading.Event()

    def churn() -> None:
        while not is_over.is_set():
            for n in range(50):
                (tmp_path / f"brief-{n}").touch()
            for n in range(50):
                (tmp_path / f"brief-{n}").unlink()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        assert min(disk_watch.measure_directories([str(tmp_path)]) for _ in range(200)) >= 200 * 8192
    finally:
        is_over.set()
        thread.join()


def test_what_cannot_be_looked_at_is_beyond_measure(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root looks everywhere")
    (tmp_path / "closed").mkdir(mode=0)
    assert disk_watch.measure_directories([str(tmp_path)]) >= disk_watch.UNMEASURABLE


@pytest.fixture
def small_disk(home: Path) -> Iterator[RunnerBench]:
    """A data directory of 24 MB."""
    data = home / "small"
    data.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", data], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield RunnerBench(load_settings(home / "h", {}, data_directory=str(data)))
    finally:
        subprocess.run(["umount", "-l", data], check=True)


def test_a_command_that_fills_the_disk_at_once_is_served_and_ends_as_it_did(small_disk: RunnerBench) -> None:
    post = (
        "import os, urllib.request as u\n"
        'for _ in range(50): u.urlopen(u.Request(os.environ["NSML_METRIC_API"], b"{\\"loss\\": 1}", method="POST"))'
    )
    script = f"head -c 1G /dev/zero > $HOME/x 2>/dev/null; python -c '{post}' && echo posted; sleep 0.5; exit 3"
    run_id, _ = small_disk.submit(script)
    status = small_disk.wait(run_id)
    assert status["exit_code"] == 3
    assert status["dropped_points"] == 50


def test_a_log_goes_on_when_the_disk_has_room_again_and_says_how_much_was_lost(small_disk: RunnerBench) -> None:
    talk = "for i in $(seq 40); do head -c 9000 /dev/zero | tr '\\0' x; echo; sleep 0.02; done"
    run_id, _ = small_disk.submit(
        f"echo before; read go < $NSML_PRJ_DIR/go; {talk}; echo during; read go < $NSML_PRJ_DIR/go; echo after"
    )
    os.mkfifo(small_disk.project / "go", 0o666)
    small_disk.wait_log(run_id, "before")
    filler = small_disk.settings.data_dir / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4096"], stderr=subprocess.DEVNULL, check=False)
    (small_disk.project / "go").write_text("go\n")
    time.sleep(2.5)
    filler.unlink()
    (small_disk.project / "go").write_text("go\n")
    status = small_disk.wait(run_id)
    log = small_disk.log(run_id)
    assert log.startswith("before\n")
    assert log.endswith("after\n")
    lost = [int(line.split()[1]) for line in log.splitlines() if line.startswith("[footfall: ")]
    told = "".join(line for line in log.splitlines(keepends=True) if not line.startswith("[footfall: "))
    written = len("before\nduring\nafter\n") + 40 * 9001
    assert sum(lost) + len(told) - len(lost) == written, "every byte is in the log or counted as lost"
    assert sum(lost) > 100_000
    assert status["message"] == f"{sum(lost):,} bytes of its log were lost: the disk was full."


def test_what_a_log_lost_at_its_end_is_said_in_its_message(small_disk: RunnerBench) -> None:
    script = "echo before; head -c 1G /dev/zero > $HOME/x 2>/dev/null; echo during; sleep 0.1; rm $HOME/x; sleep 1.2; echo after"
    status, log = small_disk.run(script)
    assert log.endswith("after\n")
    assert "during" in log or "lost here" in log
    full = "head -c 1G /dev/zero > $NSML_OUTPUT_DIR/x 2>/dev/null; head -c 100000 /dev/zero | tr '\\0' x"
    status, log = small_disk.run(full)
    assert "bytes of its log were lost" in status["message"]
    assert status["exit_code"] == 0
