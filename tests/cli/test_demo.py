"""The demo, as a stranger runs it: in an empty directory, without a terminal."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from footfall import Client
from live_server import clean_environment, live_server, run_footfall

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def processes_of(directory: Path) -> list[str]:
    """Return the command lines of living processes that name a directory, in arguments or environment."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            line = (process / "cmdline").read_bytes().decode("utf-8", "replace").replace("\0", " ")
            if str(directory) in line:  # a zombie has no command line
                lines.append(line)
    return lines


def shape(printed: str) -> list[str]:
    """Return the lines of a demo before its advice on how to go on, without numbers, ids and widths."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", printed.split("How to go on")[0])
    return [" ".join(line.split()) for line in re.sub(r"[\d,.]*\d", "N", text).splitlines()]


def test_the_demo_shows_what_it_promises_and_stops_what_it_started(tmp_path: Path) -> None:
    began = time.monotonic()
    done = run_footfall("demo", cwd=tmp_path)
    assert done.code == 0, done.err
    assert time.monotonic() - began < 300
    body = json.loads(done.out[done.out.index("{") : done.out.index("}") + 1])
    documented = "run_id run_name task_id task_name feature_id feature_name status created_at completed_at"
    assert list(body)[: len(documented.split())] == documented.split()
    assert (body["status"], body["line_count"], body["fail_message"]) == ("completed", 3370, None)
    auroc = float(done.out.split("AUROC of the task: ")[1].split()[0])
    assert auroc >= 0.73
    assert shape(done.out) == shape(README.split("<!-- demo -->\n```text\n")[1].split("```")[0]), "paste it anew"
    lift = done.out.split("BUYERS REACHED")[1].splitlines()[2:12]
    assert [line.split()[0] for line in lift] == [str(n) for n in range(1, 11)]
    assert lift[-1].rstrip().endswith("100 %")
    assert re.search(r"^  c\d{5}\t0\.\d{6}$", done.out, re.MULTILINE)
    assert "up --home .demo" in done.out
    assert not any(ord(each) < 32 and each not in "\n\t" for each in done.out + done.err)
    for name in ("server.log", "feature.log", "task.log", "task-run.log"):
        assert (tmp_path / ".demo" / "logs" / name).exists()
    assert "The next demo makes .demo anew" in done.out
    assert done.out.splitlines()[-1].endswith(": .demo/report.html"), "the last line says where the report is"
    page = (tmp_path / ".demo" / "report.html").read_text("utf-8")
    shown = re.search(r"<b>(0\.\d{3})</b>", page)
    assert shown is not None
    assert abs(float(shown[1]) - auroc) < 0.001
    assert page.count("<svg") == 8
    assert processes_of(tmp_path) == []
    shown = run_footfall("task-run", "list", "--home", str(tmp_path / ".demo"))
    assert shown.code == 3, "the server is stopped"


def test_a_home_that_footfall_home_names_is_kept(tmp_path: Path) -> None:
    home = tmp_path / "my home"
    with live_server(home), Client(home=home) as client:
        client.put_object("demo", "scores.tsv", b"what an earlier demo left")
        client.wait(client.features.create("online-retail", "demo", "scores.tsv"))
    done = run_footfall("demo", cwd=tmp_path, FOOTFALL_HOME=str(home))
    assert done.code == 0, done.err
    assert "logs task 'online-retail 2: buys again' --home 'my home'" in done.out
    assert "First lines of demo/scores.tsv" not in done.out, "that object was not the demo's to overwrite"
    assert "anew" not in done.out
    assert not (tmp_path / ".demo").exists()


def test_ctrl_c_stops_all_of_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "footfall", "demo"]
    with subprocess.Popen(command, cwd=tmp_path, env=clean_environment(), stdout=-1, stderr=-1, text=True) as demo:
        assert demo.stderr is not None
        while "feature" not in demo.stderr.readline():
            assert demo.poll() is None
        os.kill(demo.pid, signal.SIGINT)
        out, err = demo.communicate(timeout=100)
    assert (demo.returncode, "Interrupted" in err) == (130, True), out + err
    assert processes_of(tmp_path) == []


def test_a_home_in_which_a_server_runs_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / ".demo"
    with live_server(home):
        (home / ".made-by-footfall-demo").touch()
        done = run_footfall("demo", cwd=tmp_path)
        assert done.code == 2
        assert "A server runs" in done.err
        assert (home / "credentials.toml").exists()
        assert "A server runs" in run_footfall("demo", "--home", str(home), cwd=tmp_path).err


def test_a_directory_that_is_not_the_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".demo").mkdir()
    (tmp_path / ".demo" / "thesis.txt").write_text("years of work")
    done = run_footfall("demo", cwd=tmp_path)
    assert done.code == 2
    assert "--home" in done.err
    assert (tmp_path / ".demo" / "thesis.txt").read_text() == "years of work"


def test_a_server_that_does_not_start_is_explained_by_its_log(tmp_path: Path) -> None:
    done = run_footfall("demo", cwd=tmp_path, FOOTFALL_THREADS="none")
    assert done.code == 2
    assert "threads" in done.err
