"""What a hostile command tries, at the level that this machine offers."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from engine_helpers import eventually, processes_of
from footfall.config import load_settings
from footfall.errors import ConfigError
from footfall.machine.engines import Engines
from footfall.machine.isolation import Isolation, find_isolation
from footfall.records import Image
from runner_bench import RunnerBench

pytestmark = pytest.mark.skipif(
    find_isolation(load_settings("/tmp/footfall-isolation-check", {}, allow_plain=True)).level != "bubblewrap",
    reason="bubblewrap does not start on this machine",
)


def test_row_14_the_key_file_the_database_and_other_files_of_the_server_cannot_be_read(bench: RunnerBench) -> None:
    key = bench.settings.key_file
    key.parent.mkdir(parents=True)
    key.write_text("the key")
    database = bench.settings.data_dir / "footfall.db"
    database.write_text("the database")
    other = bench.node("other-run")
    other.mkdir(parents=True)
    (other / "log.txt").write_text("another's log")
    own = bench.project / "own"
    own.write_text("its own\n")
    paths = f"{key} {database} {other}/log.txt {bench.settings.home} /etc/shadow {own} /etc/passwd"
    _, log = bench.run(f"for f in {paths}; do cat $f && echo READ $f; done; ls -R {bench.settings.home} /root 2>/dev/null; ls /")
    assert [line for line in log.splitlines() if line.startswith("READ")] == [f"READ {own}", "READ /etc/passwd"]
    assert not {"the key", "the database", "another's log", "footfall.db"} & set(log.splitlines())
    assert {"srv", "var", "boot"} & set(log.splitlines()) == set()


def test_row_14_another_runs_environment_and_process_1_cannot_be_read(bench: RunnerBench) -> None:
    other, handle = bench.submit("echo up; sleep 60", secrets={"TOKEN": "of-the-other-run"})
    bench.wait_log(other, "up")
    _, log = bench.run(
        "tr '\\0' '\\n' < /proc/1/environ; cat /proc/1/mem; for p in /proc/[0-9]*; do cat $p/environ; echo; cat $p/cmdline; done"
        " | tr '\\0' ' '; ls /proc | grep -c '^[0-9]'",
        secrets={"TOKEN": "of-this-run"},
    )
    assert "TOKEN=of-this-run" in log, "its own environment can be read"
    assert "of-the-other-run" not in log
    assert other not in log
    assert "runner" not in log.replace("footfall-runner", "")
    bench.executor.cancel(handle)
    bench.wait(other)


def test_row_14_the_service_answers_an_unsigned_request_with_401(bench: RunnerBench) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    seen = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("x-ncp-apigw-signature-v2"))
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        code = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{server.server_port}/nsml/v1/projects')"
        _, log = bench.run(f'python -c "{code}"')
    assert "HTTP Error 401" in log
    assert seen == [None], "nothing in a run can sign"


BOMB = "(for i in $(seq 400); do sleep 60 & done; bomb() { bomb | bomb & }; bomb) 2>/dev/null & exec sleep 60"


def test_row_14_a_fork_bomb_is_bounded_and_ends_with_the_run(bench: RunnerBench) -> None:
    check_bomb(bench)


def test_row_14_a_fork_bomb_is_bounded_where_no_control_group_counts(any_bench: RunnerBench) -> None:
    level = any_bench.executor.isolation.level
    any_bench.executor.isolation.details["pids_cgroup"] = ""  # type: ignore[index]
    if level == "plain" and os.geteuid() == 0:
        run_id, _ = any_bench.submit("true")
        assert "processes" in str(any_bench.wait(run_id)["message"]), "nothing bounds root, and it is said"
        return
    check_bomb(any_bench)


def check_bomb(bench: RunnerBench) -> None:
    run_id, handle = bench.submit(BOMB, max_processes=60)
    time.sleep(1.5)
    assert 10 < len(processes_of(run_id)) < 80
    bench.executor.cancel(handle)
    bench.wait(run_id)
    eventually(lambda: processes_of(run_id) == [])


def test_a_run_goes_on_and_ends_as_it_should_when_the_process_above_its_runner_is_killed(home: Path) -> None:
    bench = RunnerBench(load_settings(home, {}, isolation="plain", allow_plain=True))
    run_id, handle = bench.submit("setsid sleep 76543 & echo up; sleep 60", grace_s=1.0)
    bench.wait_log(run_id, "up")
    runner = int((bench.node(run_id) / "start").read_text())
    [reaper] = [
        pid
        for pid in processes_of(run_id)
        if pid != runner and b"__main__.py" in Path(f"/proc/{pid}/cmdline").read_bytes() and is_parent(pid, runner)
    ]
    os.kill(reaper, signal.SIGKILL)
    assert not bench.is_gone(handle)
    bench.executor.cancel(handle)
    assert bench.wait(run_id)["reason"] == "stopped"
    assert sleepers("76543") == []
    eventually(lambda: bench.is_gone(handle))


def is_parent(pid: int, child: int) -> bool:
    return f"PPid:\t{pid}\n" in Path(f"/proc/{child}/status").read_text()


def test_row_14_a_daemon_that_left_its_session_and_forgot_its_environment_is_gone_after_a_stop(bench: RunnerBench) -> None:
    run_id, handle = bench.submit("env -i setsid sh -c 'sleep 98765 & setsid sleep 98765 &' & sleep 0.2; echo up; sleep 60")
    bench.wait_log(run_id, "up")
    eventually(lambda: len(sleepers("98765")) == 2)
    bench.executor.cancel(handle)
    bench.wait(run_id)
    assert sleepers("98765") == []


def sleepers(argument: str) -> list[int]:
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if Path("/proc", pid, "cmdline").read_bytes().split(b"\0")[:2] == [b"sleep", argument.encode()]:
                found.append(int(pid))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("where", ["$NSML_OUTPUT_DIR", "/tmp", "$HOME"])
def test_row_14_filling_the_disk_is_bounded(bench: RunnerBench, where: str) -> None:
    name = "output_limit" if "OUTPUT" in where else "scratch_limit"
    run_id, _ = bench.submit(
        f"while :; do head -c 1000000 /dev/zero >> {where}/fill; sleep 0.001; done", **{f"{name}_bytes": 30_000_000}
    )
    status = bench.wait(run_id)
    assert status["reason"] == name
    assert "30,000,000 bytes" in status["details"]


def test_the_output_limit_counts_the_output_directory_alone(bench: RunnerBench) -> None:
    fill = "head -c 40M /dev/zero > $HOME/model; head -c 40M /dev/zero > /tmp/x; head -c 20M /dev/zero > $NSML_OUTPUT_DIR/kept"
    status, _ = bench.run(f"{fill}; sleep 2.5", output_limit_bytes=30_000_000, scratch_limit_bytes=100_000_000)
    assert (status["reason"], status["exit_code"]) == (None, 0)


def test_row_14_files_that_are_nested_too_deep_to_be_named_do_not_hide(bench: RunnerBench) -> None:
    run_id, _ = bench.submit(
        "cd $NSML_OUTPUT_DIR; n=$(printf 'd%.0s' $(seq 200)); for i in $(seq 40); do mkdir $n && cd -P $n || break; done; "
        "while :; do head -c 1000000 /dev/zero >> fill; sleep 0.01; done",
        output_limit_bytes=30_000_000,
    )
    assert bench.wait(run_id)["reason"] == "output_limit"


def test_row_14_ten_gigabytes_end_the_run_before_they_end_the_machine(any_bench: RunnerBench) -> None:
    grow = "python3 -c 'b=[bytearray(50_000_000) for _ in range(200)]'"
    if any_bench.executor.isolation.level == "landlock":
        grow = "head -c 10G /dev/zero | tail -n 1 > /dev/null"  # this environment's Python is not readable by everybody
    status, _ = any_bench.run(grow, memory_mib=300)
    assert status["reason"] == "out_of_memory"
    assert "300 MiB" in status["details"]


def test_row_14_shared_memory_is_bounded_too(bench: RunnerBench) -> None:
    status, log = bench.run("head -c 1G /dev/zero > /dev/shm/x; stat -c %s /dev/shm/x", memory_mib=100)
    assert status["exit_code"] == 0
    assert "No space left on device" in log
    assert int(log.split()[-1]) == 100 << 20, "all that it was given can be written before it is full"


def test_row_14_nothing_of_the_system_can_be_written(bench: RunnerBench) -> None:
    paths = "/usr/x /etc/x /x /bin/x /proc/sys/kernel/core_pattern /sys/x /dev/x /etc/passwd $(dirname $(which python))/x"
    own = ("$NSML_OUTPUT_DIR/x", "$NSML_PRJ_DIR/x", "$HOME/x", "$TMPDIR/x", "/tmp/y", "/dev/shm/x", "/dev/null")
    _, log = bench.run(
        f"for f in {paths} {' '.join(own)}; do echo x > $f && echo WROTE; done 2>/dev/null; ls /dev/shm; echo done"
    )
    assert log == "WROTE\n" * len(own) + "x\ndone\n"


def test_row_14_mounts_and_namespaces_are_refused(bench: RunnerBench) -> None:
    _, log = bench.run(
        "mount -t tmpfs x /tmp && echo DID; unshare -Ur id && echo DID; unshare -m true && echo DID; "
        "python -c 'import ctypes; print(ctypes.CDLL(None).unshare(0x10000000))'; chroot / true && echo DID; "
        "umount /proc && echo DID; nsenter -t 1 -m true && echo DID; unshare --version; nsenter --version; mount | head -1; "
        "command -v umount chroot"
    )
    assert "DID" not in log
    assert "-1" in log.split()
    assert {"unshare", "nsenter"} <= set(log.split()), "the programs run, and were refused"
    assert {"umount", "chroot"} <= {word.rpartition("/")[2] for word in log.split()[-2:]}


def test_row_15_a_command_has_no_rights_and_cannot_get_any(bench: RunnerBench) -> None:
    _, log = bench.run("grep -E '^(Cap|NoNewPrivs|Seccomp:|Uid|Gid|Groups)' /proc/self/status; su -c id; sudo id; id -u")
    facts = dict(line.split(":\t") for line in log.splitlines() if ":\t" in line)
    assert {facts[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    expected = os.geteuid() or bench.settings.run_uid
    assert set(facts["Uid"].split()) == set(facts["Gid"].split()) == {str(expected)}
    assert "uid=0" not in log
    assert log.split()[-1] == str(expected)


def test_row_15_a_setuid_file_cannot_be_planted(bench: RunnerBench) -> None:
    run_id, _ = bench.submit(
        "cp /usr/bin/id $NSML_PRJ_DIR/id; chmod 4755 $NSML_PRJ_DIR/id; chown 0 $NSML_PRJ_DIR/id; $NSML_PRJ_DIR/id -u"
    )
    bench.wait(run_id)
    expected = os.geteuid() or bench.settings.run_uid
    assert (bench.project / "id").stat().st_uid == expected
    assert bench.log(run_id).split()[-1] == str(expected)


@pytest.mark.skipif(os.geteuid() != 0, reason="only a server that runs as root starts programs that have rights")
def test_row_15_no_variable_of_the_user_reaches_a_program_that_still_has_rights(bench: RunnerBench) -> None:
    source = bench.settings.data_dir / "evil.c"
    source.write_text(
        "#include <stdio.h>\n#include <unistd.h>\n"
        '__attribute__((constructor)) static void run(void) { fprintf(stderr, "loaded as %d\\n", (int) getuid()); }\n'
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(bench.project / "evil.so"), str(source)], check=True)
    _, log = bench.run("id -u", environment={"LD_PRELOAD": "/mnt/prj/evil.so", "BASH_ENV": "/mnt/prj/evil.sh"})
    assert f"loaded as {bench.settings.run_uid}" in log
    assert "loaded as 0" not in log


def test_a_file_system_is_an_image(bench: RunnerBench, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("bin", "etc", "home/user", "usr/lib"):
        (root / name).mkdir(parents=True)
    for tool in ("bash", "cat", "ls", "id", "env"):
        copy_program(f"/usr/bin/{tool}", root)
    (root / "usr" / "bin").mkdir()
    (root / "usr" / "bin" / "env").symlink_to("/bin/env")
    (root / "etc" / "os-release").write_text("ID=made-on-the-spot\n")
    (root / "etc" / "hosts").write_text("")
    status, log = bench.run(
        "cat /etc/os-release; id -u; ls /; echo x > /etc/x; echo $weight; echo made > /mnt/prj/made; cat $NSML_PRJ_DIR/made",
        image=Image("mine", "rootfs", str(root)), environment={"weight": "0.1", "weight-decay": "0.2"},
    )  # fmt: skip
    assert status["exit_code"] == 0, log
    lines = log.splitlines()
    assert lines[0] == "ID=made-on-the-spot"
    assert lines[1] == str(os.geteuid() or bench.settings.run_uid)
    assert "srv" not in lines
    assert lines[-2:] == ["0.1", "made"]
    assert not (root / "etc" / "x").exists()
    assert (bench.project / "made").read_text() == "made\n"


def copy_program(path: str, root: Path) -> None:
    import shutil

    shutil.copy(path, root / "bin")
    for word in subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout.split():
        if word.startswith("/"):
            (root / word[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(word, root / word[1:])


def make_root(root: Path) -> Path:
    """Return a file system that can start a shell and nothing else."""
    (root / "bin").mkdir(parents=True)
    (root / "lib").mkdir()
    for tool in ("bash", "ls"):
        copy_program(f"/usr/bin/{tool}", root)
    return root


@pytest.mark.parametrize("depth", range(5))
def test_row_14_an_image_with_a_link_on_the_way_to_what_is_made_in_it_is_refused(home: Path, tmp_path: Path, depth: int) -> None:
    data = Path(tempfile.mkdtemp(prefix="ff-", dir="/var/tmp"), "sets", "all")
    data.mkdir(parents=True)
    (data / "set.csv").write_text("a set\n")
    try:
        bench = RunnerBench(load_settings(home / "h", {}, run_data=(str(data),)))
        root = make_root(tmp_path / "root")
        image = Image("mine", "rootfs", str(root))
        way = [*reversed(data.parents[:-1]), data]
        for directory in way[:depth]:
            (root / str(directory)[1:]).mkdir()
        link = root / str(way[depth])[1:]
        link.symlink_to("/etc")
        status, _ = bench.run("true", image=image)
        assert (status["reason"], f"its {way[depth]} is a link" in status["details"]) == ("rejected", True), status
        link.unlink()
        status, log = bench.run(f"ls {data}", image=image)
        assert (status["exit_code"], log) == (0, "set.csv\n"), status
    finally:
        subprocess.run(["rm", "-rf", str(data.parents[1])], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only a server that runs as root starts programs that have rights")
def test_row_15_an_image_loads_nothing_into_a_program_that_still_has_rights(bench: RunnerBench, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("bin", "etc", "lib"):
        (root / name).mkdir(parents=True)
    for tool in ("bash", "id"):
        copy_program(f"/usr/bin/{tool}", root)
    source = tmp_path / "evil.c"
    source.write_text(
        "#include <stdio.h>\n#include <unistd.h>\n"
        '__attribute__((constructor)) static void run(void) { fprintf(stderr, "loaded as %d\\n", (int) getuid()); }\n'
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(root / "lib" / "evil.so"), str(source)], check=True)
    (root / "etc" / "ld.so.preload").write_text("/lib/evil.so\n")
    status, log = bench.run("id -u", image=Image("evil", "rootfs", str(root)))
    assert (status["exit_code"], log) == (0, f"{bench.settings.run_uid}\n")
    (root / "etc" / "ld.so.preload").unlink()
    (root / "etc" / "ld.so.preload").symlink_to("/lib/list")
    status, _ = bench.run("id -u", image=Image("evil", "rootfs", str(root)))
    assert (status["reason"], "is a link" in status["details"]) == ("rejected", True)


def test_an_image_without_bash_drops_odd_names_and_says_so(bench: RunnerBench, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    copy_program("/usr/bin/dash", root)
    (root / "bin" / "dash").rename(root / "bin" / "sh")
    status, log = bench.run("echo $A", image=Image("m", "rootfs", str(root)), environment={"A": "it's", "weight-decay": "1"})
    assert (status["exit_code"], log) == (0, "it's\n")
    assert "weight-decay" in status["message"]


def test_a_server_that_is_not_root_keeps_commands_apart_too(home: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("this suite already runs as somebody else")
    (home / "h").mkdir()
    os.chown(home / "h", 1234, 1234)
    program = f"""
import os, sys
os.setgroups([]); os.setgid(1234); os.setuid(1234)
sys.path[:0] = {[str(Path(__file__).parents[2]), *sys.path]!r}
from runner_bench import RunnerBench
from footfall.config import load_settings
bench = RunnerBench(load_settings({str(home / "h")!r}, {{}}))
print(bench.executor.isolation.level)
if bench.executor.isolation.level == "bubblewrap":
    (bench.settings.data_dir / "secret").write_text("seen")
    status, log = bench.run(f"id -u; cat {{bench.settings.data_dir}}/secret; grep CapEff /proc/self/status; echo x > /x")
    print(status["exit_code"], log)
"""
    python = "/usr/bin/python3"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=60, env={"PATH": os.defpath})
    if "ModuleNotFoundError" in done.stderr or not Path(python).exists():
        pytest.skip("no Python here that another user can run")
    assert "seen" not in done.stdout, done.stderr


def test_landlock_keeps_files_processes_and_signals_apart(home: Path) -> None:
    bench = RunnerBench(load_settings(home, {}, isolation="landlock", data_directory=str(home / "d")))
    (home / "d").chmod(0o711)
    secret = home / "d" / "secret"
    secret.write_text("the secret")
    secret.chmod(0o644)
    other, handle = bench.submit("echo up; sleep 60", secrets={"TOKEN": "of-the-other-run"})
    bench.wait_log(other, "up")
    victim = next(pid for pid in processes_of(other) if b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes())
    status, log = bench.run(
        f"cat {secret}; cat /proc/{victim}/environ; kill -9 {victim}; echo x > /tmp/x && echo WROTE; "
        'for d in "$TMPDIR" "$HOME" "$NSML_OUTPUT_DIR" "$NSML_PRJ_DIR" /dev/shm; do '
        'f=$(mktemp -p "$d") && rm "$f" && echo own; done; '
        "cat /proc/self/environ | tr '\\0' '\\n' | grep TOKEN; sleep 60 & kill $! && echo ended its own; id -u",
        secrets={"TOKEN": "of-this-run"},
    )
    assert status["exit_code"] == 0
    assert log.count("own\n") == 6, log
    assert "TOKEN=of-this-run" in log
    assert "the secret" not in log
    assert "of-the-other-run" not in log
    assert "WROTE" not in log
    assert victim in processes_of(other)
    bench.executor.cancel(handle)
    bench.wait(other)


@pytest.mark.skipif(os.geteuid() != 0, reason="only commands of a server that is root are another user's")
def test_landlock_works_on_a_fresh_home_and_keeps_it_closed_to_everybody_else(home: Path) -> None:
    home = home / "fresh"
    home.mkdir(mode=0o700)
    (home / "data").mkdir(mode=0o700)
    bench = RunnerBench(load_settings(home, {}, isolation="landlock"))
    status, log = bench.run("echo x > $NSML_PRJ_DIR/x && echo x > $NSML_OUTPUT_DIR/x && id -u")
    assert (status["exit_code"], log) == (0, f"{bench.settings.run_uid}\n")
    stranger = ["setpriv", "--reuid=4321", "--regid=4321", "--clear-groups", "ls", str(home / "data" / "runs")]
    assert subprocess.run(stranger, capture_output=True, check=False).returncode != 0
    closed = home.parent / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ConfigError, match=f"chmod o[+]x {closed}"):
        find_isolation(load_settings(closed / "home" / "deep", {}, isolation="landlock"))


def test_plain_is_refused_as_root_or_with_several_accounts_unless_it_is_wanted(home: Path) -> None:
    def found(**given: object) -> Isolation:
        return Isolation(
            "plain", "bubblewrap: no.", 0, Engines({}, []), **{"refuses_as_root": False, "allows_plain": False, **given}
        )

    assert found().refusal() is None
    assert "the other's" in (found().refusal(2) or "")
    assert "root" in (found(refuses_as_root=True).refusal() or "")
    assert found(refuses_as_root=True, allows_plain=True).refusal(5) is None
    if os.geteuid() == 0:
        status, _ = RunnerBench(load_settings(home, {}, isolation="plain")).run("echo ran")
        assert (status["reason"], "allow_plain" in status["details"]) == ("rejected", True)


def test_landlock_is_refused_with_several_accounts_unless_it_is_wanted() -> None:
    def refusal(n_accounts: int, **given: bool) -> str | None:
        return Isolation(
            "landlock", "bubblewrap: no.", 65_534, Engines({}, []), True, **{"allows_plain": False, **given}
        ).refusal(n_accounts)

    assert refusal(1) is None
    assert "set allow_landlock" in (refusal(2) or "")
    assert refusal(2, allows_landlock=True) is refusal(2, allows_plain=True) is None


def test_a_level_that_does_not_work_here_is_a_setting_that_is_wrong(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("footfall.machine.isolation._find_bubblewraps", list)
    with pytest.raises(ConfigError, match="no program bwrap"):
        find_isolation(load_settings(home, {}, isolation="bubblewrap"))


def test_how_a_node_is_kept_apart_is_written_down(bench: RunnerBench) -> None:
    run_id, _ = bench.submit("true")
    bench.wait(run_id)
    said = json.loads((bench.node(run_id) / "isolation.json").read_text())
    assert said["level"] == "bubblewrap"
    assert said["user"] == (os.geteuid() or bench.settings.run_uid)
    assert said["not_enforced"] == []


def test_a_killed_runner_leaves_nothing_not_even_what_forgot_its_environment(any_bench: RunnerBench) -> None:
    bench = any_bench
    bench.executor.isolation.details["pids_cgroup"] = ""  # type: ignore[index]  # as on a machine without
    run_id, handle = bench.submit("env -i setsid sh -c 'sleep 87654 & setsid sleep 87654 &' & sleep 0.2; echo up; sleep 60")
    bench.wait_log(run_id, "up")
    eventually(lambda: len(sleepers("87654")) == 2)
    os.kill(int((bench.node(run_id) / "start").read_text()), signal.SIGKILL)
    eventually(lambda: bench.is_gone(handle))
    assert sleepers("87654") == []
    assert processes_of(run_id) == []
