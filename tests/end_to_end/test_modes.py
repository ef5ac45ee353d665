"""What other users of the machine see of a server's files, and that runs see of each other's what they always did."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall import Client
from live_server import live_server

STRANGER = ["setpriv", "--reuid=4321", "--regid=4321", "--clear-groups"]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be a stranger for a moment")


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that others can pass through, as one below /srv is."""
    path = Path(tempfile.mkdtemp(prefix="ff-"))
    path.chmod(0o755)
    yield path
    subprocess.run(["rm", "-rf", str(path)], check=True)


@pytest.mark.parametrize("level", ["bubblewrap", "landlock"])
def test_a_stranger_reads_nothing_of_a_data_directory_that_was_open_and_runs_share_what_is_theirs(home: Path, level: str) -> None:
    data = home / "data"
    (data / "buckets").mkdir(parents=True)
    for path in (data, data / "buckets"):
        path.chmod(0o755)
    before = os.umask(0o022)
    try:
        with live_server(home, environment={"FOOTFALL_ISOLATION": level}) as server, Client(home=home) as client:
            client.put_object("shop", "a.csv", b"u1\ta\n")
            project = client.projects.create("vision").id
            scripts = ("umask; mkdir $NSML_PRJ_DIR/d && echo kept > $NSML_PRJ_DIR/d/f; id -u", "umask; cat $NSML_PRJ_DIR/d/f")
            logs = []
            for script in scripts:
                run = client.runs.wait(client.runs.create(project, script, product=1, image="host"), timeout_s=60)
                logs.append(b"".join(client.runs.log(run)).decode().split())
                assert run.state == "completed", (run, logs)
            assert logs[0] == ["0022", "65534"]
            assert logs[1] == ["0022", "kept"]
            names = ["buckets", "buckets/shop/a.csv", "internal", "runs", "projects"]
            seen = subprocess.run(
                [*STRANGER, "sh", "-c", f"cd {data} && ls {' '.join(names)}; cat footfall.db*"], capture_output=True
            )
            assert seen.stdout == b"", seen.stdout
            assert server.process.poll() is None
    finally:
        os.umask(before)
