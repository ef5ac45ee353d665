"""Images of container engines: unpacked by the engine, once, and run by us. With docker and podman where they work."""

import fcntl
import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine_peer
import hostile_archives
from engine_helpers import eventually, processes_of
from footfall.compute.storage.engine_images import remove_unused_images
from footfall.config import load_settings
from footfall.machine.isolation import find_isolation
from footfall.records import Image, new_id
from runner_bench import RunnerBench

pytestmark = pytest.mark.skipif(
    find_isolation(load_settings("/tmp/footfall-isolation-check", {}, allow_plain=True)).level != "bubblewrap",
    reason="images of engines need bubblewrap, which does not start on this machine",
)
TOOLS = ("bash", "cat", "ls", "id", "env", "sleep", "stat")
NAME = "footfall-test/tiny:1"


def image_tar(path: Path, extra_bytes: int = 0) -> Path:
    """Write a file system with a shell, a setuid program, a device and a directory that nobody may enter."""
    with tarfile.open(path, "w") as tar:
        libraries: set[str] = set()
        programs = {tool: str(shutil.which(tool)) for tool in TOOLS}
        for program in programs.values():
            linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.split()
            libraries |= {word for word in linked if word.startswith("/")}
        parents = {str(each) for inside in libraries for each in Path(inside).parents}
        for parent in sorted({*parents, "/usr", "/usr/bin", "/etc", "/opt", "/srv"} - {"/"}):
            add(tar, parent[1:], kind=tarfile.DIRTYPE, mode=0o755)  # docker lets nobody into those that a tar does not name
        for path_inside in sorted(libraries):
            tar.add(os.path.realpath(path_inside), path_inside[1:])
        for tool, program in programs.items():
            tar.add(os.path.realpath(program), f"usr/bin/{tool}")
        add(tar, "etc/os-release", b"ID=made-on-the-spot\n")
        add(tar, "usr/bin/raised", b"#!/usr/bin/bash\nid -u\n", mode=0o6755)
        add(tar, "opt/closed", kind=tarfile.DIRTYPE, mode=0o000)
        add(tar, "srv/pipe", kind=tarfile.FIFOTYPE)
        add(tar, "opt/large", os.urandom(extra_bytes))
    return path


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.mode = kind, len(content), mode
    tar.addfile(member, io.BytesIO(content))


class Place:
    """An engine that works, on the PATH of this process."""

    def __init__(self, name: str, program: str, state: Path | None = None) -> None:
        self.name, self.program, self.state = name, program, state

    def ask(self, *arguments: str, given: Path | None = None) -> str:
        with (given or Path(os.devnull)).open("rb") as source:
            done = subprocess.run([self.program, *arguments], stdin=source, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def containers(self) -> list[str]:
        if self.state is not None:
            return sorted(path.name for path in self.state.glob("container-*"))
        return self.ask("ps", "--all", "--format", "{{.Names}}").split()


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    state = engine_peer.install(tmp_path / "engines")
    monkeypatch.setenv("PATH", engine_peer.path_with(tmp_path / "engines"))
    return Place("docker", str(tmp_path / "engines" / "docker"), state)


def podman_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    program = shutil.which("podman")
    if program is None:
        pytest.skip("there is no podman on this machine")
    conf = tmp_path / "storage.conf"
    conf.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/graph"\nrunroot = "{tmp_path}/run"\n')
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(conf))
    return Place("podman", program)


@pytest.fixture(scope="module")
def docker_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A daemon of its own, for as long as this module's tests take; another one of this machine is left alone."""
    program = shutil.which("dockerd")
    if program is None or shutil.which("docker") is None or os.geteuid() != 0:
        pytest.skip("there is no dockerd on this machine that could be started")
    directory = tmp_path_factory.mktemp("docker")
    address = f"unix://{directory}/socket"
    log = (directory / "log").open("wb")
    daemon = subprocess.Popen(
        [
            program, f"--host={address}", "--iptables=false", "--bridge=none", "--storage-driver=vfs",
            f"--data-root={directory}/data", f"--exec-root={directory}/exec", f"--pidfile={directory}/pid",
        ],
        stdout=log, stderr=log,
    )  # fmt: skip
    try:
        eventually(lambda: (directory / "socket").exists() or daemon.poll() is not None, 30)
        if daemon.poll() is not None:
            pytest.skip(f"dockerd does not start here: {(directory / 'log').read_text()[-200:]}")
        yield address
    finally:
        daemon.terminate()
        daemon.wait(30)
        log.close()


@pytest.fixture(params=["peer", "podman", "docker"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "podman":
        return podman_here(tmp_path, monkeypatch)
    if request.param == "docker":
        monkeypatch.setenv("DOCKER_HOST", request.getfixturevalue("docker_socket"))
        return Place("docker", str(shutil.which("docker")))
    place: Place = request.getfixturevalue("peer")
    return place


@pytest.fixture
def bench(home: Path) -> RunnerBench:
    return RunnerBench(load_settings(home, {}))


def unpacked(bench: RunnerBench) -> list[Path]:
    return sorted(path for path in (bench.settings.runs_root / "engine-images").iterdir() if path.is_dir())


def test_a_command_runs_in_what_an_engine_unpacked(engine: Place, bench: RunnerBench, tmp_path: Path) -> None:
    given = [f"--change=ENV {name}" for name in ("PATH=/opt/tools:/usr/bin", "A=image", "B=image")]
    engine.ask("import", *given, "-", NAME, given=image_tar(tmp_path / "i.tar"))
    status, log = bench.run(
        "cat /etc/os-release; id -u; ls /; raised; echo x > /etc/x; echo $PATH; echo $A-$B; cat /etc/hosts",
        image=Image("tiny", "oci", NAME), environment={"B": "mine"},
    )  # fmt: skip
    assert status["exit_code"] == 0, (status, log)
    lines = log.splitlines()
    user = str(os.geteuid() or bench.settings.run_uid)
    assert lines[:2] == ["ID=made-on-the-spot", user]
    assert "boot" not in lines
    assert lines.count(user) == 2, "a setuid program gives no rights"
    assert any("node0" in line for line in lines)
    assert any(line.startswith("/opt/tools:/usr/bin") for line in lines)
    assert "image-mine" in lines
    [directory] = unpacked(bench)
    assert not (directory / "root" / "etc" / "x").exists()
    assert not (directory / "root" / "usr" / "bin" / "raised").stat().st_mode & 0o7000
    assert not (directory / "root" / "srv" / "pipe").exists()
    assert engine.containers() == []
    said = json.loads(next(bench.settings.runs_root.glob("runs/*/0/nodes/0/isolation.json")).read_text())
    assert (said["image"]["engine"], said["image"]["id"]) == (engine.name, directory.name)


def test_an_image_that_is_not_there_is_refused_and_nothing_is_fetched(engine: Place, bench: RunnerBench) -> None:
    status, _ = bench.run("true", image=Image("far", "oci", "footfall-test/nowhere:1"))
    assert status["reason"] == "rejected"
    assert f"{engine.name} pull footfall-test/nowhere:1" in status["details"]
    if engine.state is not None:
        assert not [line for line in (engine.state / "asked").read_text().splitlines() if line.startswith("pull")]


@pytest.mark.parametrize("what", [what for what in hostile_archives.TAR_ARCHIVES if what not in hostile_archives.FINE_IN_IMAGES])
def test_security_row_24_an_image_made_to_cost_is_refused_and_leaves_nothing(
    what: str, peer: Place, bench: RunnerBench, tmp_path: Path
) -> None:
    make, _ = hostile_archives.TAR_ARCHIVES[what]
    (tmp_path / "i.tar").write_bytes(make() + bytes(1024))
    peer.ask("import", "-", NAME, given=tmp_path / "i.tar")
    status, _ = bench.run("true", image=Image("tiny", "oci", NAME), scratch_limit_bytes=10_000_000)
    assert (status["reason"], "is not unpacked" in status["details"]) == ("rejected", True), status
    assert unpacked(bench) == []
    assert peer.containers() == []


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
def test_security_row_24_long_and_korean_names_of_an_image_are_unpacked(
    form: int, peer: Place, bench: RunnerBench, tmp_path: Path
) -> None:
    with gzip.open(hostile_archives.good(tmp_path / "good", form)) as file:
        end = file.read().rstrip(b"\0")
    system = image_tar(tmp_path / "i.tar").read_bytes().rstrip(b"\0")
    (tmp_path / "both.tar").write_bytes(system + bytes(-len(system) % 512) + end + bytes(-len(end) % 512) + bytes(1024))
    peer.ask("import", "-", NAME, given=tmp_path / "both.tar")
    status, _ = bench.run("true", image=Image("tiny", "oci", NAME))
    assert status["exit_code"] == 0, status
    [directory] = unpacked(bench)
    assert (directory / "root/데이터/모델_설정_파일.yaml").read_text("utf-8") == "이름: 값\n"
    assert (directory / "root/twin.py").stat().st_nlink == 2
    assert len(list((directory / "root/long").rglob("x*"))) == 1
    assert (directory / "root" / "/".join("abcdefghijklmnopqrstuvwxyz" * 2) / "deep").read_bytes() == b"deep"


def test_two_runs_wait_for_one_unpacking(peer: Place, bench: RunnerBench, tmp_path: Path) -> None:
    peer.ask("import", "-", NAME, given=image_tar(tmp_path / "i.tar"))
    assert peer.state is not None
    bench.executor.isolation.engines.troubles()  # tried before, for that exports too
    (peer.state / "asked").unlink()
    (peer.state / "slow").touch()
    ids = [bench.submit("echo ran", image=Image("tiny", "oci", NAME))[0] for _ in range(3)]
    eventually((peer.state / "exporting").exists, 20)
    time.sleep(0.3)
    (peer.state / "slow").unlink()
    assert [bench.wait(id)["exit_code"] for id in ids] == [0, 0, 0]
    asked = (peer.state / "asked").read_text().splitlines()
    assert len([line for line in asked if line.startswith("export")]) == 1
    [directory] = unpacked(bench)
    assert directory.name.isalnum()


def test_who_waited_for_an_unpacking_does_not_wait_for_the_runs_that_use_it(
    peer: Place, bench: RunnerBench, tmp_path: Path
) -> None:
    peer.ask("import", "-", NAME, given=image_tar(tmp_path / "i.tar"))
    assert bench.run("true", image=Image("tiny", "oci", NAME))[0]["exit_code"] == 0
    [whole] = unpacked(bench)
    aside = whole.rename(whole.with_suffix(".aside"))
    lock = os.open(whole.with_suffix(".lock"), os.O_RDWR | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)  # as who unpacks it
    assert peer.state is not None
    (peer.state / "asked").unlink()
    run_id = bench.submit("echo ran", image=Image("tiny", "oci", NAME), run_id=new_id())[0]
    eventually(lambda: (peer.state / "asked").exists(), 20)  # it has found the image, and goes on to the lock
    time.sleep(0.5)
    aside.rename(whole)
    fcntl.flock(lock, fcntl.LOCK_SH)  # as a run that uses it
    try:
        assert bench.wait(run_id)["exit_code"] == 0
    finally:
        os.close(lock)


def test_a_stop_ends_an_unpacking_and_leaves_nothing(peer: Place, bench: RunnerBench, tmp_path: Path) -> None:
    run_id, handle = begin_slowly(peer, bench, tmp_path)
    bench.executor.cancel(handle)
    assert bench.wait(run_id)["reason"] == "stopped"
    assert (unpacked(bench), peer.containers()) == ([], [])
    eventually(lambda: processes_of(run_id) == [])


def test_what_a_killed_runner_was_unpacking_is_not_taken_for_whole(peer: Place, bench: RunnerBench, tmp_path: Path) -> None:
    run_id, handle = begin_slowly(peer, bench, tmp_path)
    [draft] = unpacked(bench)
    assert draft.name.endswith(".draft")
    os.kill(int((bench.node(run_id) / "start").read_text()), signal.SIGKILL)
    eventually(lambda: bench.is_gone(handle))
    assert processes_of(run_id) == []
    assert peer.state is not None
    (peer.state / "slow").unlink()
    status, log = bench.run("cat /etc/os-release", image=Image("tiny", "oci", NAME))
    assert (status["exit_code"], log) == (0, "ID=made-on-the-spot\n")
    [directory] = unpacked(bench)
    assert directory.name == draft.name.removesuffix(".draft")
    assert peer.containers() == []


def begin_slowly(peer: Place, bench: RunnerBench, tmp_path: Path) -> tuple[str, str]:
    """Start a run whose image is now half unpacked."""
    peer.ask("import", "-", NAME, given=image_tar(tmp_path / "i.tar"))
    assert peer.state is not None
    bench.executor.isolation.engines.troubles()
    (peer.state / "slow").touch()
    started = bench.submit("cat /etc/os-release", image=Image("tiny", "oci", NAME))
    eventually((peer.state / "exporting").exists, 20)
    return started


@pytest.mark.parametrize("real", ["peer", "podman"])
def test_a_full_disk_is_refused_and_leaves_nothing_half_done(
    real: str, request: pytest.FixtureRequest, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = podman_here(tmp_path, monkeypatch) if real == "podman" else request.getfixturevalue("peer")
    place.ask("import", "-", NAME, given=image_tar(tmp_path / "i.tar", extra_bytes=24 << 20))
    small = tmp_path / "small"
    small.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(small)]).returncode:
        pytest.skip("no small file system can be made here")
    try:
        bench = RunnerBench(load_settings(home, {}, data_directory=str(small / "data")))
        status, _ = bench.run("true", image=Image("tiny", "oci", NAME))
        assert status["reason"] == "rejected"
        assert "No space left" in status["details"]
        assert "Free some space" in status["details"]
        assert unpacked(bench) == []
        assert place.containers() == []
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def test_a_file_of_apptainer_is_unpacked_by_it(bench: RunnerBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "engines"
    programs.mkdir()
    # A peer that obeys ``build [--force] [--sandbox] TARGET SOURCE`` with tars for images.
    (programs / "apptainer").write_text(
        "#!/bin/bash\nset -e\n[ $1 = build ]; shift\n[ $1 = --force ] && shift\n"
        'if [ $1 = --sandbox ]; then mkdir -p "$2"; exec tar -xf "$3" -C "$2"; fi\nexec tar -cf "$1" -C "$2" .\n'
    )
    (programs / "apptainer").chmod(0o755)
    monkeypatch.setenv("PATH", engine_peer.path_with(programs))
    assert bench.executor.isolation.engines.troubles()["apptainer"] == ""
    status, log = bench.run("cat /etc/os-release", image=Image("sif", "oci", str(image_tar(tmp_path / "image.sif"))))
    assert (status["exit_code"], log) == (0, "ID=made-on-the-spot\n"), status
    status, _ = bench.run("true", image=Image("sif", "oci", "/no/such.sif"))
    assert (status["reason"], "/no/such.sif" in status["details"]) == ("rejected", True)


def test_an_image_needs_no_pull_again_and_no_engine_time_once_it_is_unpacked(
    peer: Place, bench: RunnerBench, tmp_path: Path
) -> None:
    peer.ask("import", "-", NAME, given=image_tar(tmp_path / "i.tar"))
    for _ in range(2):
        status, _ = bench.run("true", image=Image("tiny", "oci", NAME), run_id=new_id())
        assert status["exit_code"] == 0
    assert peer.state is not None
    exports = [line for line in (peer.state / "asked").read_text().splitlines() if line.startswith("export footfall-")]
    assert len([line for line in exports if "probe" not in line]) == 1


def test_an_image_is_held_while_a_run_uses_it(peer: Place, bench: RunnerBench, tmp_path: Path) -> None:
    peer.ask("import", "-", NAME, given=image_tar(tmp_path / "i.tar"))
    run_id, handle = bench.submit("echo up; sleep 60", image=Image("tiny", "oci", NAME))
    bench.wait_log(run_id, "up")
    assert remove_unused_images(bench.settings.runs_root, time.time() + 60) == []
    bench.executor.cancel(handle)
    bench.wait(run_id)
    eventually(lambda: bench.is_gone(handle))
    assert len(remove_unused_images(bench.settings.runs_root, time.time() + 60)) == 1
    assert unpacked(bench) == []
