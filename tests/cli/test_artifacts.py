"""What runs leave, fetched: files, links, directories, odd names; and trees into and out of a project's storage."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall import Client
from live_server import Footfall, LiveServer, live_server

PROJECT = "vision"
LEAVES = r"""
import os
out = os.environ["NSML_OUTPUT_DIR"]
os.chdir(out)
for step in ("10", "20"):
    os.makedirs(f"checkpoint-{step}/deep")
    for name in ("config.json", "deep/model.bin"):
        open(f"checkpoint-{step}/{name}", "w").write(f"{step} {name} {os.environ['NSML_RANK']}")
os.symlink("checkpoint-20", "checkpoint-best")
open("epoch=3.ckpt", "w").write("w")
os.symlink("epoch=3.ckpt", "last.ckpt")
os.symlink(os.path.join(out, "epoch=3.ckpt"), "abs.ckpt")
os.symlink("/etc/passwd", "passwd")
for name in ("a b.txt", "한글.txt", "x#1.txt", "50%.txt", "q?.txt", "-lead.txt", ".hidden", 
             "back\\slash", "a:b", "no\u00a0break", "new\nline"):
    open(name, "w").write(name)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("artifacts") / "home") as server:
        with Client(home=server.home) as client:
            client.projects.create(PROJECT)
        yield server


@pytest.fixture(scope="module")
def names(server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A run of one node and one of two that left the same."""
    code = tmp_path_factory.mktemp("code")
    (code / "leave.py").write_text(LEAVES)
    with Client(home=server.home) as client:
        id = client.projects.find(PROJECT).id
        image = client.catalogue.images()[0].path
        digest = client.runs.upload_code(id, code)
        runs = [client.runs.create(id, "python3 leave.py", product=1, image=image, code_digest=digest, nodes=n) for n in (1, 2)]
        assert [client.runs.wait(run).state for run in runs] == ["completed", "completed"]
        return [run.name for run in runs]


def files_of(directory: Path) -> dict[str, str]:
    return {path.relative_to(directory).as_posix(): path.read_text() for path in directory.rglob("*") if path.is_file()}


def test_links_within_are_files_and_others_are_named_as_left_out(footfall: Footfall, names: list[str]) -> None:
    listed = footfall("artifacts", "list", names[0])
    assert {line.split(None, 1)[1].split("  ")[0] for line in listed.out.splitlines()[2:]} >= {
        "last.ckpt", "abs.ckpt", "checkpoint-best/config.json", "checkpoint-best/deep/model.bin", "a b.txt",
    }  # fmt: skip
    assert "passwd of node 0 is left out: a link that leads out of the directory." in listed.err
    assert "new\\nline of node 0 is left out" in listed.err
    for path, content in {"last.ckpt": "w", "abs.ckpt": "w", "checkpoint-best/config.json": "20 config.json 0"}.items():
        assert footfall("artifacts", "get", names[0], path, "-").out == content
    assert footfall("artifacts", "get", names[0], "passwd", "-").code == 2


@pytest.mark.parametrize(
    "name", ["a b.txt", "한글.txt", "x#1.txt", "50%.txt", "q?.txt", ".hidden", "back\\slash", "a:b", "no\u00a0break"]
)
def test_odd_names_are_names(footfall: Footfall, names: list[str], name: str) -> None:
    assert footfall("artifacts", "get", names[0], name, "-").out == name


def test_what_no_url_holds_is_refused_as_a_name(footfall: Footfall, names: list[str]) -> None:
    for name in ("new\nline", "a//b"):
        refused = footfall("artifacts", "get", names[0], name)
        assert refused.code == 2
        assert "is no name" in refused.err
        assert "URL not found" not in refused.err


@pytest.mark.parametrize("path", ["checkpoint-best", "checkpoint-best/"])
def test_a_directory_is_fetched_at_once(footfall: Footfall, names: list[str], path: str, tmp_path: Path) -> None:
    assert footfall("artifacts", "get", names[0], path, cwd=tmp_path).code == 0
    there = {"config.json": "20 config.json 0", "deep/model.bin": "20 deep/model.bin 0"}
    assert files_of(tmp_path / "checkpoint-best") == there
    again = footfall("artifacts", "get", names[0], path, cwd=tmp_path)
    assert (again.code, "--force" in again.err) == (2, True)
    assert footfall("artifacts", "get", names[1], path, "else", "--node", "1", cwd=tmp_path).code == 0
    assert files_of(tmp_path / "else")["config.json"] == "20 config.json 1"
    missing = footfall("artifacts", "get", names[0], "no-such/" if path.endswith("/") else "no-such", cwd=tmp_path)
    assert (missing.code, "no-such" in missing.err) == (2, True)


def test_all_artifacts_are_fetched_at_once(footfall: Footfall, names: list[str], tmp_path: Path) -> None:
    assert footfall("artifacts", "get", names[0], "--all", cwd=tmp_path).code == 0
    here = tmp_path / names[0].replace("/", "-")
    assert len(files_of(here)) == 19
    fetched = footfall("artifacts", "get", names[1], "--all", "both", "--json", cwd=tmp_path).json
    assert len(fetched) == 38
    assert files_of(tmp_path / "both")["1/checkpoint-10/config.json"] == "10 config.json 1"
    assert footfall("artifacts", "get", names[0], cwd=tmp_path).code == 2


def test_directories_go_into_the_storage_and_out_of_it(footfall: Footfall, tmp_path: Path) -> None:
    (tmp_path / "ds/sub").mkdir(parents=True)
    (tmp_path / "ds/a").write_text("1")
    (tmp_path / "ds/sub/b c").write_text("2")
    assert footfall("storage", "put", "ds", f"{PROJECT}/ds/", cwd=tmp_path).code == 0
    link = "ln -s a ds/link; ln -s $NSML_PRJ_DIR/ds $NSML_PRJ_DIR/other"
    assert footfall("run", "--project", PROJECT, "--no-code", "--", f"cd $NSML_PRJ_DIR; {link}").code == 0
    assert [one["path"] for one in footfall("storage", "list", PROJECT, "--json").json] == [
        "ds/a", "ds/link", "ds/sub/b c", "other/a", "other/link", "other/sub/b c",
    ]  # fmt: skip
    for where in ("ds", "ds/", "other"):
        assert footfall("storage", "get", f"{PROJECT}/{where}", "back", "--force", cwd=tmp_path).code == 0
        assert files_of(tmp_path / "back") == {"a": "1", "link": "1", "sub/b c": "2"}
    assert footfall("storage", "get", f"{PROJECT}/ds/a", "-").out == "1"
    assert "no-such" in footfall("storage", "get", f"{PROJECT}/no-such").err
