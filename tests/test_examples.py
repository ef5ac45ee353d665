"""Every file of examples/ runs."""

import os
import random
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall import Client
from live_server import LiveServer, clean_environment, live_server

EXAMPLES = Path(__file__).parent.parent / "examples"
HOWTOS = EXAMPLES.parent / "docs" / "howto"
COVERED = {
    "own-data.md": "score_users.py",
    "profiles.md": "find_people.py",
    "curl.md": "curl_openssl.sh",
    "keys.md": "rotate_keys.py",
    "s3.md": "use_s3.py",
    "proxy-tls.md": "serve_tls.sh",
    "back-up.md": "back_up.sh",
    "run-commands.md": "run_commands.sh",
    "several-nodes.md": "two_nodes.py",
    "nsml-clients.md": "nsml_client.py",
    "offer-machines.md": "offer_machines.py",
}
PROGRAMS = {"train.py"}  # what an example runs


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("examples") / "home") as server:
        yield server


def run(*command: str | Path, **environment: str) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(command, env=clean_environment(PATH=path, **environment), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def variables(server: LiveServer) -> dict[str, str]:
    written = tomllib.loads((server.home / "credentials.toml").read_text())
    return {f"FOOTFALL_{name.upper()}": value for name, value in written.items()}


def test_every_example_has_a_test() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == set(COVERED.values()) | PROGRAMS


def test_every_howto_has_its_example_and_each_names_the_other() -> None:
    assert {path.name for path in HOWTOS.iterdir()} == set(COVERED)
    for page, example in COVERED.items():
        assert f"examples/{example}" in (HOWTOS / page).read_text("utf-8")
        assert f"docs/howto/{page}" in (EXAMPLES / example).read_text("utf-8")


def test_curl_with_openssl_signs_what_the_service_accepts(server: LiveServer) -> None:
    script = EXAMPLES / "curl_openssl.sh"
    result = run(script, "GET", "/api/v1/features?index=0&limit=5", **variables(server))
    assert '"features":[' in result
    bucket = run(script, "POST", "/accounts/v1/buckets", '{"name": "by-curl"}', **variables(server))
    assert '"by-curl"' in bucket


def test_the_page_on_curl_works_as_it_is_written(tmp_path: Path) -> None:
    blocks = re.findall(r"^```console\n(.*?)^```", (HOWTOS / "curl.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in re.findall(r"^\$ (.*)$", block.replace("\\\n", " "), re.MULTILINE)]
    (tmp_path / "examples").symlink_to(EXAMPLES)
    with live_server(tmp_path / ".footfall"):
        script = "\n".join(["set -euo pipefail", f"cd {tmp_path}", *lines])
        result = run("bash", "-c", script, HOME=str(tmp_path))
    assert '"status":"ok"' in result
    assert '"features":[]' in result, "the request signed by hand"
    assert '"feature_name":"by curl"' in result


def test_back_up_copies_a_home_whose_server_runs(tmp_path: Path) -> None:
    home, copy = tmp_path / "home", tmp_path / "copy"
    with live_server(home), Client(home=home) as client:
        client.put_object("kept", "a.txt", b"hello")
        run(EXAMPLES / "back_up.sh", home, copy)
        client.put_object("kept", "b.txt", b"after the copy")
    home.rename(tmp_path / "lost")
    copy.rename(home)
    assert home.stat().st_mode & 0o777 == 0o700
    with live_server(home), Client(home=home) as client:
        assert [each.key for each in client.list_objects("kept")] == ["a.txt"]
        assert b"".join(client.get_object("kept", "a.txt")) == b"hello"


def test_score_users(server: LiveServer, tmp_path: Path) -> None:
    chance = random.Random(5)
    with (tmp_path / "s.csv").open("w") as sequences, (tmp_path / "l.tsv").open("w") as labels:
        for n in range(500):
            tea = chance.random() < 0.5
            sequences.write(f"u{n}\t" + "->".join(chance.choices(["buy bread", "buy milk"], k=5)) + "->buy tea" * tea + "\n")
            labels.write(f"u{n}\t{int(tea)}\n")
    result = run(sys.executable, EXAMPLES / "score_users.py", tmp_path / "s.csv", tmp_path / "l.tsv", **variables(server))
    assert result.startswith("AUROC 1.0") or result.startswith("AUROC 0.9")
    assert "user_id" in result


def test_find_people(server: LiveServer, tmp_path: Path) -> None:
    chance = random.Random(6)
    with (tmp_path / "s.csv").open("w") as sequences, (tmp_path / "l.tsv").open("w") as labels:
        for n in range(600):
            runs = n % 6 == 0
            acts = chance.choices(["buy bread", "buy milk", "see news"], k=5)
            acts += chance.choices(["running shoes", "marathon ticket"], k=3) if runs else ["sit down"]
            sequences.write(f"{'runner' if runs else 'u'}{n}\t{'->'.join(acts)}\n")
            labels.write(f"{'runner' if runs else 'u'}{n}\t{int(runs)}\n")
    files = (tmp_path / "s.csv", tmp_path / "l.tsv")
    result = run(sys.executable, EXAMPLES / "find_people.py", *files, "running", "marathon", "xyzzy", **variables(server))
    assert "running shoes" in result
    assert "marathon ticket" in result
    assert "unknown: ['xyzzy']" in result
    assert result.partition("unknown")[2].count("runner") == 10


def test_the_page_on_profiles_works_as_it_is_written(server: LiveServer) -> None:
    page = (HOWTOS / "profiles.md").read_text("utf-8")
    lines = re.findall(r"^\$ (.*)$", page, re.MULTILINE)
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    acts = ("running shoes->marathon ticket", "buy bread->buy milk")
    with Client(home=server.home) as client:
        rows = [f"u{n}\t{acts[n % 4 > 0]}->see page {n % 7}\n" for n in range(600)]
        client.put_object("shop", "march.csv", "".join(rows).encode())
        client.put_object("shop", "again.tsv", "".join(f"u{n}\t{int(n % 4 == 0)}\n" for n in range(600)).encode())
        feature = client.wait(client.features.create("march", "shop", "march.csv"), timeout_s=120)
        client.wait(client.tasks.create("will buy again", feature.id, "shop", "again.tsv"), timeout_s=120)
    result = run("bash", "-ec", "\n".join(lines), FOOTFALL_HOME=str(server.home))
    assert re.search(r"^behavior +running shoes +100\.0 % ", result, re.MULTILINE), result
    assert re.search(r"^u\d+ +0\.\d+$", result, re.MULTILINE), result
    assert "similarity" in run(sys.executable, "-c", code, FOOTFALL_HOME=str(server.home))


def test_rotate_keys(tmp_path: Path) -> None:
    with live_server(tmp_path / "home") as own:
        file = own.home / "credentials.toml"
        before = tomllib.loads(file.read_text())
        result = run(sys.executable, EXAMPLES / "rotate_keys.py", file)
        after = tomllib.loads(file.read_text())
        assert f"{before['access_key']} is deleted" in result
        assert after["access_key"] != before["access_key"]
        assert file.stat().st_mode & 0o777 == 0o600
        assert run(sys.executable, "-m", "footfall", "key", "list", "--home", own.home)


def test_serve_tls(tmp_path: Path) -> None:
    result = run(EXAMPLES / "serve_tls.sh", tmp_path / "home")
    assert "Footfall is ready at https://127.0.0.1:" in result
    assert "healthy at https://" in result
    assert result.rstrip().endswith("[]")


@pytest.fixture
def s3_endpoint(tmp_path: Path) -> Iterator[str]:
    code = (
        "from moto.server import ThreadedMotoServer\n"
        "server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)\nserver.start()\n"
        "print(server.get_host_and_port()[1], flush=True)\nimport time\ntime.sleep(600)"
    )
    with (tmp_path / "moto.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_use_s3(tmp_path: Path, s3_endpoint: str) -> None:
    result = run(
        sys.executable,
        EXAMPLES / "use_s3.py",
        tmp_path / "home",
        S3_ENDPOINT=s3_endpoint,
        S3_ACCESS_KEY="testing",
        S3_SECRET_KEY="testing",
    )
    assert "hello from S3" in result


def test_a_command_runs_leaves_what_it_made_and_is_repeated(server: LiveServer) -> None:
    result = run(EXAMPLES / "run_commands.sh", "example", FOOTFALL_HOME=str(server.home))
    assert re.search(r"^y = [23]\.\d+ x \+ \d\.\d+$", result, re.MULTILINE), result
    assert re.search(r"^loss .* 200 ", result, re.MULTILINE), result
    assert '{"slope": ' in result
    assert "example/2   completed" in result
    assert "The project example is being deleted." in result


def test_two_nodes_meet(server: LiveServer) -> None:
    with Client(home=server.home) as client:
        project = client.projects.create("meeting")
        made = client.runs.create(
            project.id,
            "python3 two_nodes.py",
            product=1,
            nodes=2,
            image=client.catalogue.images()[0].path,
            code_digest=client.runs.upload_code(project.id, EXAMPLES),
        )
        ended = client.runs.wait(made, timeout_s=60)
        logs = [b"".join(client.runs.log(ended, node=node)).decode() for node in (0, 1)]
    assert ended.state == "completed", (ended.message, logs)
    assert logs == ["node 0 of 2: the sum is 3\n", "node 1 of 2: the sum is 3\n"]


def test_a_client_of_the_documentation_works_with_an_alias(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    page = (HOWTOS / "nsml-clients.md").read_text()
    (home / "footfall.toml").write_text(page.partition("```toml\n")[2].partition("```")[0])
    with live_server(home) as server:
        result = run(sys.executable, EXAMPLES / "nsml_client.py", **variables(server))
        with Client(home=home) as client:
            assert [one.path for one in client.catalogue.images()] == ["host", "nvcr.io/nvidia/tensorflow:21.02-tf1-py3"]
    assert '"status": "RUN_STATE_COMPLETED"' in result
    assert '"weight-decay": 0.001' in result
    assert "exit codes of its nodes: [0]" in result


def test_machines_are_offered_as_the_settings_say(tmp_path: Path) -> None:
    result = run(sys.executable, EXAMPLES / "offer_machines.py", tmp_path / "home")
    assert "product 1: [Train] 1vCPU, 2GB Mem, nodes [1, 2]" in result
    assert "product 20: [Train] 2 x GPU (fake), 1vCPU, 2GB Mem" in result
    assert "image tools" in result
