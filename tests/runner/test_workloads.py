import base64
import contextlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from engine_helpers import eventually, processes_of
from footfall.config import load_settings
from footfall.records import Image, NodeShare
from runner_bench import RunnerBench


def variables(log: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in log.splitlines() if "=" in line)


def make_archive(path: Path, **files: str) -> str:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name.replace("__", "/").replace("_py", ".py"))
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return str(path)


def test_a_script_sees_every_variable_of_the_contract_at_every_level(any_bench: RunnerBench) -> None:
    bench = any_bench
    run_id, _ = bench.submit(
        "env", n_cores=2, n_gpus=2, shares=(NodeShare((0, 1), ("GPU-a", "GPU-b")),), authorized_keys="ssh-ed25519 AAAA",
        volumes=(bench.volume(7),), environment={"MASTER_PORT": "12355", "NSML_RANK": "9", "CUDA_VISIBLE_DEVICES": "0"},
    )  # fmt: skip
    assert bench.wait(run_id)["exit_code"] == 0
    seen = variables(bench.log(run_id))
    assert {name: seen.get(name) for name in seen if name.startswith("NSML_") and "API" not in name} == {
        "NSML_PROJECT": "vision", "NSML_STUDY": "default", "NSML_RUN": "7", "NSML_RUN_NAME": "vision/default/7",
        "NSML_SESSION": "0", "NSML_WORLD_SIZE": "1", "NSML_RANK": "0", "NSML_HOST_RANK0": "127.0.0.1",
        "NSML_GPU_COUNT": "2", "NSML_PRJ_DIR": str(bench.project), "NSML_OUTPUT_DIR": str(bench.output(run_id)),
        "NSML_BLOCK_STORAGE_DIR": bench.volume(7).path, "NSML_AUTHORIZED_KEYS": "ssh-ed25519 AAAA",
        "NSML_RUN_SECRET": seen["NSML_RUN_SECRET"],
    }  # fmt: skip
    launchers = {"MASTER_ADDR": "127.0.0.1", "NODE_RANK": "0", "NNODES": "1", "NPROC_PER_NODE": "2"}
    assert {name: seen[name] for name in launchers} == launchers
    assert {name: seen[f"PET_{name}"] for name in launchers} == launchers
    assert (seen["MASTER_PORT"], seen["PET_MASTER_PORT"]) == ("12355", "29500"), "the user's variables win"
    assert (seen["CUDA_VISIBLE_DEVICES"], seen["NVIDIA_VISIBLE_DEVICES"]) == ("GPU-a,GPU-b",) * 2
    assert seen["NSML_METRIC_API"].startswith("http://127.0.0.1:")
    assert seen["NSML_RUN_METADATA_API"].startswith("http://127.0.0.1:")
    assert not {"RANK", "WORLD_SIZE", "LOCAL_RANK"} & set(seen)


def test_names_that_no_shell_can_hold_and_any_text_as_value_reach_the_program(any_bench: RunnerBench) -> None:
    values = {"weight-decay": "0.01", "TEXT": 'it\'s "quoted" $HOME `x`\nsecond line \\ 한국어 \x1b[0m', "EMPTY": ""}
    show = "env -0 | base64 -w0"
    status, log = any_bench.run(show, environment=values)
    pairs = base64.b64decode(log).decode().split("\0")
    seen = dict(pair.split("=", 1) for pair in pairs if pair)
    assert {name: seen[name] for name in values} == values
    assert status["message"] is None


def test_secrets_are_variables_and_nowhere_on_the_disk_or_in_an_argument(any_bench: RunnerBench) -> None:
    bench = any_bench
    run_id, _ = bench.submit("echo is ${#API_TOKEN}; sleep 60", secrets={"API_TOKEN": "s3cr3t-of-the-user"}, grace_s=0.1)
    bench.wait_log(run_id, "is 18")
    lines = b""
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it ended meanwhile
            lines += Path("/proc", pid, "cmdline").read_bytes()
    assert b"s3cr3t-of-the-user" not in lines
    bench.executor.cancel(bench.submit("x", run_id=run_id)[1])
    bench.wait(run_id)
    for path in bench.settings.data_dir.rglob("*"):
        assert not path.is_file() or b"s3cr3t-of-the-user" not in path.read_bytes(), path


def test_the_command_runs_in_the_project_storage_or_in_its_code(any_bench: RunnerBench, tmp_path: Path) -> None:
    bench = any_bench
    (bench.project / "here").touch()
    assert bench.run("ls; touch made")[1] == "here\n"
    assert (bench.project / "made").exists()
    code = make_archive(tmp_path / "code.tar.gz", a_sh="echo hello from code", sub__b="x")
    status, log = bench.run("ls; sh a_sh; touch new; cat sub/b", code=code)
    assert (status["exit_code"], log) == (0, "a_sh\nsub\nhello from code\nx"), log


def test_what_is_not_kept_is_told(any_bench: RunnerBench, tmp_path: Path) -> None:
    code = make_archive(tmp_path / "code.tar.gz", a_py="x", lib__b="x", lib__c="x")
    write = "mkdir -p outputs/now __pycache__ .cache; touch outputs/now/log __pycache__/a.pyc .cache/x model.pt; echo y > lib/b; "
    status, _ = any_bench.run(f"sleep 0.1; {write} touch ~/seen ~/.hidden; touch $NSML_OUTPUT_DIR/kept", code=code)
    assert status["message"] == (
        "Not kept, for it was written into its copy of the code and not below $NSML_OUTPUT_DIR: lib/, model.pt, outputs/. "
        "Not kept, for it was written into its home and not below $NSML_OUTPUT_DIR: seen."
    )
    assert any_bench.run("sleep 0.1; cat a_py lib/b; touch $NSML_OUTPUT_DIR/kept", code=code)[0]["message"] is None
    many = "for i in 1 2 3 4 5 6 7; do touch f$i; done"
    assert "f1, f2, f3, f4, f5 and 2 more" in any_bench.run(f"sleep 0.1; {many}", code=code)[0]["message"]


def test_code_that_is_no_archive_leads_outside_or_is_too_large_is_refused(bench: RunnerBench, tmp_path: Path) -> None:
    def refused(path: str, **given: object) -> str:
        status, log = bench.run("echo ran", code=path, **given)
        assert (status["exit_code"], status["reason"], log) == (None, "rejected", "")
        return str(status["details"])

    broken = tmp_path / "broken"
    broken.write_bytes(b"no archive")
    assert "not a tar.gz" in refused(str(broken))
    assert "cannot be read" in refused(str(tmp_path / "nowhere"))
    outside = make_archive(tmp_path / "outside", **{"..__escaped": "x"})
    assert "outside" in refused(outside)
    with tarfile.open(tmp_path / "link", "w:gz") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "../etc"
        tar.addfile(link)
    assert "not a tar.gz that can be unpacked" in refused(str(tmp_path / "link"))
    large = make_archive(tmp_path / "large", big="x" * 3_000_000)
    assert "larger than allowed" in refused(large, code_limit_bytes=1_000_000)
    assert bench.run("echo ran", code=large)[1] == "ran\n"


def make_odd_archive(path: Path, *members: tuple[str, bytes, str]) -> str:
    """Members of (name, type, target of the link or content of the file)."""
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, value in members:
            member = tarfile.TarInfo(name)
            member.type, is_file = kind, kind == tarfile.REGTYPE
            member.linkname, member.size = ("", len(value)) if is_file else (value, 0)
            tar.addfile(member, io.BytesIO(value.encode()) if is_file else None)
    return str(path)


def test_row_12_links_in_code_are_kept_and_nothing_is_written_through_one(bench: RunnerBench, tmp_path: Path) -> None:
    link, same, file = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.REGTYPE
    good = make_odd_archive(
        tmp_path / "good", ("data/a", file, "content"), ("latest", link, "data/a"), ("twin", same, "latest"),
        ("hard", same, "data/a"), ("latest", link, "data"), ("deep/er/link", link, "../../data/a"),
        ("machine", link, "/dev/null"),
    )  # fmt: skip
    status, log = bench.run("cat latest/a twin hard deep/er/link machine; readlink twin", code=good)
    assert (status["exit_code"], log) == (0, "content" * 4 + "data/a\n")
    through = make_odd_archive(tmp_path / "through", ("to", link, "real"), ("to/file", file, "x"), ("real/b", file, "y"))
    assert bench.run("true", code=through)[0]["reason"] == "rejected"
    below = make_odd_archive(tmp_path / "below", ("to", link, "real"), ("to/link", link, "x"), ("real/b", file, "y"))
    assert bench.run("true", code=below)[0]["reason"] == "rejected"


def test_row_12_a_chain_of_links_too_long_to_resolve_leads_nowhere(home: Path) -> None:
    """What CVE-2025-4517 is about; the code is unpacked by the server's own user here."""
    long, names = "d" * 247, "abcdefghijklmnop"
    members, base = [], ""
    for letter in names:
        members += [(base + long, tarfile.DIRTYPE, ""), (base + letter, tarfile.SYMTYPE, long)]
        base += f"{long}/"
    chain = "/".join(names)
    members += [
        (f"{chain}/{'l' * 254}", tarfile.SYMTYPE, "../" * len(names)),
        ("escape", tarfile.SYMTYPE, f"{chain}/{'l' * 254}/../../../../escaped"),
        ("escape", tarfile.REGTYPE, "written outside"),
    ]
    archive = make_odd_archive(home / "evil", *members)
    settings = load_settings(home / "h", {}, isolation="plain", allow_plain=True)
    RunnerBench(settings).run("true", code=archive)
    assert list(home.rglob("escaped")) == []


def test_an_archive_of_one_endless_header_takes_no_memory(bench: RunnerBench, tmp_path: Path) -> None:
    import gzip

    bomb = tarfile.TarInfo("bomb")
    bomb.type, bomb.size = tarfile.XHDTYPE, 900_000_000
    with gzip.open(tmp_path / "bomb", "wb", compresslevel=1) as file:
        file.write(bomb.tobuf(tarfile.USTAR_FORMAT))
        file.write(bytes(20_000_000))
    status, _ = bench.run("true", code=str(tmp_path / "bomb"))
    assert status["reason"] == "rejected"
    assert "too long" in status["details"]


def test_a_node_without_a_script_is_held_until_it_is_stopped(any_bench: RunnerBench) -> None:
    run_id, handle = any_bench.submit(None)
    eventually((any_bench.node(run_id) / "started.json").exists)
    any_bench.executor.cancel(handle)
    status = any_bench.wait(run_id)
    assert status["reason"] == "stopped"
    assert status["ended_at"] - status["started_at"] < 3
    eventually(lambda: any_bench.is_gone(handle))
    assert processes_of(run_id) == []


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -9), ("no-such-program", 127)])
def test_the_exit_code_is_the_commands(any_bench: RunnerBench, script: str, code: int) -> None:
    status, _ = any_bench.run(script)
    assert status["exit_code"] == code
    assert status["reason"] == {0: None, -9: "signalled"}.get(code, "command_failed")


def test_the_node_keeps_to_the_cores_of_its_share(any_bench: RunnerBench) -> None:
    core = sorted(os.sched_getaffinity(0))[-1]
    index = len(os.sched_getaffinity(0)) - 1
    _, log = any_bench.run("grep Cpus_allowed_list /proc/self/status", shares=(NodeShare((index,)),))
    assert log.split() == ["Cpus_allowed_list:", str(core)]


def test_an_image_that_is_not_there_is_refused_with_its_path(bench: RunnerBench) -> None:
    status, _ = bench.run("true", image=Image("mine", "venv", "/no/such/place"))
    assert (status["reason"], status["exit_code"]) == ("rejected", None)
    assert "/no/such/place" in status["details"]


def test_a_virtual_environment_is_an_image(bench: RunnerBench, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    status, log = bench.run("python -c 'import sys; print(sys.prefix)'", image=Image("v", "venv", str(venv)))
    assert (status["exit_code"], log.strip()) == (0, str(venv))
