"""A network of a run's own with a way out: what it reaches, what it does not, and how long it stays."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_helpers import eventually
from footfall.config import load_settings
from footfall.errors import ConfigError
from footfall.machine.engines import Engines
from footfall.machine.isolation import Isolation, find_isolation
from footfall.runner.errors import LaunchError
from footfall.runner.sandbox import way_out
from runner_bench import RunnerBench

REACH = """
import socket, sys
for target in sys.argv[1:]:
    host, _, port = target.rpartition(":")
    try:
        print(host, socket.create_connection((host, int(port)), 5).recv(9).decode())
    except OSError as error:
        print(host, error.strerror or error)
"""


@pytest.fixture
def nat(home: Path) -> RunnerBench:
    """Runs whose network has a way out; loopback's other addresses are not this machine's own, so the tests have an outside."""
    try:
        bench = RunnerBench(load_settings(home / "h", {}, run_network="nat"))
        assert bench.executor.isolation.level == "bubblewrap"
    except ConfigError as error:
        pytest.skip(f"no way out can be made: {error}")
    (bench.project / "reach.py").write_text(REACH)
    return bench


def reach(bench: RunnerBench, *targets: str, **given: object) -> list[str]:
    status, log = bench.run(f"python reach.py {' '.join(targets)}", network="nat", **given)
    assert status["exit_code"] == 0, log
    return log.splitlines()


@pytest.fixture
def greeting() -> Iterator[int]:
    """The port of a server on every address of this machine that greets whoever connects."""
    with socket.create_server(("0.0.0.0", 0)) as listener:

        def greet() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.sendall(b"hello")

        threading.Thread(target=greet, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


GREET = """
import socket
listener = socket.create_server(("0.0.0.0", 0))
print(listener.getsockname()[1], flush=True)
while True: listener.accept()[0].sendall(b"hello")
"""


@pytest.fixture
def outside() -> Iterator[str]:
    """The address and the port of a server in a network of its own, to which a cable leads from this machine."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("only root can lay a cable, by the program ip (Debian: iproute2)")
    cable, first = f"ff{os.getpid()}", os.getpid() % 60 * 4
    stay = [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(600)"]
    with subprocess.Popen(["unshare", "-n", *stay], stdout=-1) as other:
        assert other.stdout is not None
        other.stdout.readline()
        inside = ["nsenter", "-t", str(other.pid), "-n"]
        for words in (
            f"ip link add {cable} type veth peer name inside netns {other.pid}",
            f"ip addr add 198.51.100.{first + 1}/30 dev {cable}",
            f"ip link set {cable} up",
            f"{' '.join(inside)} ip addr add 198.51.100.{first + 2}/30 dev inside",
            f"{' '.join(inside)} ip link set inside up",
        ):
            subprocess.run(words.split(), check=True)
        with subprocess.Popen([*inside, sys.executable, "-c", GREET], stdout=-1, text=True) as server:
            assert server.stdout is not None
            yield f"198.51.100.{first + 2}:{server.stdout.readline().strip()}"
            server.kill()
        subprocess.run(["ip", "link", "del", cable], check=True)
        other.kill()


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        any_socket.connect(("198.51.100.1", 9))
        return str(any_socket.getsockname()[0])


def test_row_14_a_run_with_a_way_out_reaches_strangers_but_neither_this_machine_nor_its_neighbours(
    nat: RunnerBench, greeting: int, outside: str
) -> None:
    hosts = ["127.0.0.1", "240.0.2.2", own_address(), "169.254.169.254", "10.1.2.3", "172.16.9.9", "192.168.1.1", "100.64.0.1"]
    found = dict(line.split(" ", 1) for line in reach(nat, outside, *(f"{host}:{greeting}" for host in hosts)))
    assert found.pop(outside.partition(":")[0]) == "hello"
    assert found.pop("127.0.0.1") == "Connection refused", "its own loopback"
    assert found.pop("240.0.2.2") in ("Network is unreachable", "Connection refused")
    assert set(found.values()) == {"Permission denied"}, found


def test_what_is_allowed_within_what_is_denied_is_reached(home: Path, outside: str) -> None:
    host = outside.partition(":")[0]
    for allowed, end in (((), "Permission denied"), ((f"{host}/32",), "hello")):
        settings = load_settings(home / f"h{end}", {}, run_network_denied=("198.51.0.0/16",), run_network_allowed=allowed)
        bench = RunnerBench(settings)
        if bench.executor.isolation.no_way_out:
            pytest.skip(bench.executor.isolation.no_way_out)
        (bench.project / "reach.py").write_text(REACH)
        assert reach(bench, outside) == [f"{host} {end}"]


def test_row_14_a_command_cannot_change_its_routes(nat: RunnerBench) -> None:
    status, log = nat.run(
        "ip route del prohibit 10.0.0.0/8 && echo DID; ip link set tap0 down && echo DID; ip route show type prohibit | wc -l; "
        "cat /etc/resolv.conf | grep nameserver",
        network="nat",
    )
    assert status["exit_code"] == 0
    assert "DID" not in log
    lines = log.splitlines()
    assert int(lines[-2]) >= 5
    assert lines[-1] == "nameserver 240.0.2.3"


def test_nodes_meet_and_the_way_stays_open_as_long_as_one_of_them_lives(nat: RunnerBench, outside: str) -> None:
    script = (
        "if [ $NSML_RANK = 0 ]; then "
        "exec python -c \"import socket; s = socket.create_server(('node0', 4000)); s.accept()\"; fi; "
        "until python -c \"import socket; socket.create_connection(('node0', 4000))\" 2>/dev/null; do sleep 0.05; done; "
        f"while [ ! -e $NSML_PRJ_DIR/go ]; do sleep 0.05; done; python $NSML_PRJ_DIR/reach.py {outside}"
    )
    before = slirps()
    run_id, handle = nat.submit(script, n_nodes=2, network="nat")
    assert nat.wait(run_id, 0)["exit_code"] == 0, nat.log(run_id, 0)
    assert len(slirps() - before) == 1
    (nat.project / "go").touch()
    assert nat.wait(run_id, 1)["exit_code"] == 0, nat.log(run_id, 1)
    assert nat.log(run_id, 1).splitlines()[-1] == f"{outside.partition(':')[0]} hello"
    eventually(lambda: slirps() <= before)
    eventually(lambda: nat.is_gone(handle))


@pytest.mark.parametrize("how", ["cancel", "kill"])
def test_a_run_that_is_ended_takes_its_way_out_along(nat: RunnerBench, how: str) -> None:
    before = slirps()
    run_id, handle = nat.submit("echo up; sleep 60", network="nat")
    nat.wait_log(run_id, "up")
    assert len(slirps() - before) == 1
    getattr(nat.executor, how)(handle)
    eventually(lambda: nat.is_gone(handle))
    eventually(lambda: slirps() <= before)


def slirps() -> set[int]:
    found = set()
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if Path("/proc", pid, "cmdline").read_bytes().startswith(b"slirp4netns\0"):
                found.add(int(pid))
        except OSError:
            continue
    return found


def test_with_several_accounts_runs_get_a_network_with_a_way_out_where_that_works() -> None:
    def found(no_way_out: str) -> Isolation:
        return Isolation("bubblewrap", "", 65_534, Engines({}, []), True, False, no_way_out=no_way_out)

    works, lacks = found(""), found("there is no program slirp4netns.")
    assert [works.network("auto", n) for n in (1, 2)] == ["host", "nat"]
    assert [lacks.network("auto", n) for n in (1, 2)] == ["host", "host"]
    assert [works.network(wanted, 2) for wanted in ("host", "run", "nat")] == ["host", "run", "nat"]


def test_a_way_out_that_cannot_be_made_is_a_setting_that_is_wrong(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "footfall.machine.isolation.shutil.which", lambda name: None if name == "slirp4netns" else f"/usr/bin/{name}"
    )
    with pytest.raises(ConfigError, match="there is no program slirp4netns"):
        find_isolation(load_settings(home, {}, run_network="nat"))


def test_a_node_that_comes_when_the_way_out_is_gone_is_refused_and_says_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for pipe in (tmp_path / "pipe", tmp_path / "none"):
        with pytest.raises(LaunchError, match="way out of the run's network is gone"):
            way_out.hold(str(pipe))
