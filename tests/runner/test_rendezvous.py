import json
import time
from pathlib import Path

import pytest

from engine_helpers import eventually
from footfall.config import load_settings
from footfall.layout import START_MARKER
from runner_bench import RunnerBench

ALL_REDUCE = """
import os, torch, torch.distributed as dist
dist.init_process_group("gloo")
value = torch.tensor([float(dist.get_rank() + 1)])
dist.all_reduce(value)
print("sum", value.item(), "of", dist.get_world_size(), flush=True)
dist.destroy_process_group()
"""
TORCHRUN = (
    "exec python -m torch.distributed.run --nnodes $NNODES --node_rank $NODE_RANK --nproc_per_node 1 "
    "--master_addr $MASTER_ADDR --master_port $MASTER_PORT all_reduce.py"
)


@pytest.mark.parametrize("network", ["host", "run"])
def test_torchrun_reduces_between_two_nodes(bench: RunnerBench, network: str) -> None:
    (bench.project / "all_reduce.py").write_text(ALL_REDUCE)
    environment = {"PYTHONWARNINGS": "ignore", "GLOO_SOCKET_IFNAME": "lo"}
    run_id, _ = bench.submit(TORCHRUN, n_nodes=2, port=29611, network=network, environment=environment)
    for rank in range(2):
        assert bench.wait(run_id, rank, timeout_s=90)["exit_code"] == 0, bench.log(run_id, rank)
        assert "sum 3.0 of 2" in bench.log(run_id, rank)


C10D = (
    "exec python -m torch.distributed.run --nnodes $NNODES --nproc_per_node 1 --rdzv_id 77 --rdzv_backend c10d "
    "--rdzv_endpoint $MASTER_ADDR:$MASTER_PORT all_reduce.py"
)


@pytest.mark.parametrize("level", ["bubblewrap", "plain"])
@pytest.mark.parametrize("network", ["host", "run"])
def test_torchrun_finds_two_nodes_by_its_own_rendezvous(home: Path, level: str, network: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed here")
    bench = RunnerBench(load_settings(home / "h", {}, isolation=level, allow_plain=True))
    (bench.project / "all_reduce.py").write_text(ALL_REDUCE)
    environment = {"PYTHONWARNINGS": "ignore"}
    run_id, _ = bench.submit(C10D, n_nodes=2, port=29613, network=network, environment=environment)
    for rank in range(2):
        assert bench.wait(run_id, rank, timeout_s=90)["exit_code"] == 0, bench.log(run_id, rank)
        assert "sum 3.0 of 2" in bench.log(run_id, rank)


def test_nodes_differ_in_all_by_which_programs_tell_them_apart(bench: RunnerBench) -> None:
    show = "import socket; print(socket.gethostname(), socket.getfqdn(), socket.gethostbyname(socket.gethostname()))"
    run_id, _ = bench.submit(f"python -c '{show}'; echo $PET_LOCAL_ADDR", n_nodes=2)
    for rank in range(2):
        assert bench.wait(run_id, rank)["exit_code"] == 0, bench.log(run_id, rank)
        address = f"127.0.1.{rank + 1}"
        assert bench.log(run_id, rank).split() == [f"node{rank}", f"node{rank}", address, address]


def test_each_node_knows_its_rank_and_every_address(bench: RunnerBench) -> None:
    script = "echo $NSML_RANK of $NSML_WORLD_SIZE $NODE_RANK/$NNODES $NSML_HOST_RANK0 $NSML_HOST_RANK2 $MASTER_PORT; "
    script += "hostname; getent hosts node1"
    run_id, _ = bench.submit(script, n_nodes=3, port=29700)
    for rank in range(3):
        assert bench.wait(run_id, rank)["exit_code"] == 0
        first, name, found = bench.log(run_id, rank).splitlines()
        assert first == f"{rank} of 3 {rank}/3 127.0.1.1 127.0.1.3 29700"
        assert (name, found.split()) == (f"node{rank}", ["127.0.1.2", "node1"])
        assert json.loads((bench.node(run_id, rank) / "address.json").read_text())["port"] == 29700


def keep_from_starting(bench: RunnerBench, rank: int) -> str:
    """Submit a run of two nodes one of which never comes up, and return its id."""
    from footfall.records import new_id

    run_id = new_id()
    node = bench.node(run_id, rank)
    node.mkdir(parents=True)
    (node / START_MARKER).touch()
    return run_id


def test_no_command_starts_before_every_node_is_there(bench: RunnerBench) -> None:
    run_id = keep_from_starting(bench, 1)
    bench.submit("echo ran", run_id=run_id, n_nodes=2, start_timeout_s=0.7)
    status = bench.wait(run_id)
    assert (status["exit_code"], status["reason"]) == (None, "start_timeout")
    assert "Node 1 of 2 did not come up within 0.7 s" in status["details"]
    assert bench.log(run_id) == ""


def test_a_run_can_be_stopped_while_its_nodes_wait_for_each_other(bench: RunnerBench) -> None:
    run_id = keep_from_starting(bench, 1)
    _, handle = bench.submit("echo ran", run_id=run_id, n_nodes=2)
    eventually((bench.node(run_id) / "address.json").exists)
    begun = time.monotonic()
    bench.executor.cancel(handle)
    status = bench.wait(run_id)
    assert (status["exit_code"], status["reason"], status["started_at"]) == (None, "stopped", None)
    assert time.monotonic() - begun < 1
    assert bench.log(run_id) == ""


def test_a_node_that_cannot_be_laid_out_keeps_the_others_from_starting(bench: RunnerBench) -> None:
    run_id, handle = bench.submit("echo ran", n_nodes=2, code="/no/such/archive")
    assert {bench.wait(run_id, rank)["reason"] for rank in range(2)} == {"rejected"}
    eventually(lambda: bench.is_gone(handle))


def test_nodes_with_a_network_of_their_own_reach_each_other_and_nothing_of_the_host(bench: RunnerBench) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as host:
        port = host.getsockname()[1]
        (bench.project / "try.py").write_text(
            f"""
import os, socket, time, urllib.request
if os.environ["NSML_RANK"] == "0":
    with socket.create_server(("node0", 4000)) as server:
        server.settimeout(20)
        print("received", server.accept()[0].recv(5).decode())
else:
    while True:
        try:
            socket.create_connection(("node0", 4000)).send(b"hello")
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
try:
    socket.create_connection(("127.0.0.1", {port}))
    print("reached the host")
except ConnectionRefusedError:
    print("refused")
request = urllib.request.Request(os.environ["NSML_METRIC_API"], b'{{"loss": 1}}', method="POST")
print(urllib.request.urlopen(request).status)
"""
        )
        run_id, _ = bench.submit("exec python try.py", n_nodes=2, network="run")
        for rank in range(2):
            assert bench.wait(run_id, rank)["exit_code"] == 0, bench.log(run_id, rank)
    assert bench.log(run_id, 0).split() == ["received", "hello", "refused", "204"]
    assert bench.log(run_id, 1).split() == ["refused", "204"]
