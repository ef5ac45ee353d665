"""Whatever a run left goes, and nothing else."""

import gc
import os
import resource
import sys
import threading
from pathlib import Path

import pytest

from footfall.files.remove import remove_tree


def nest(directory: Path, depth: int, name: str = "x" * 40) -> None:
    """Make directories in each other, deeper than paths may be long."""
    here = os.open(directory, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        with open(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here), "w") as file:
            file.write("x")
        inside = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inside
    os.close(here)


def test_a_tree_deeper_than_recursion_paths_and_open_files_allow_is_removed(tmp_path: Path) -> None:
    depth = max(1_500, sys.getrecursionlimit() + 500)
    root = tmp_path / "root"
    (root / "beside").mkdir(parents=True)
    nest(root, depth)
    assert depth * 41 > os.pathconf(tmp_path, "PC_PATH_MAX")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    gc.collect()  # what other tests left open is not closed in between
    before = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + 50, hard))
    try:
        remove_tree(root)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not root.exists()
    assert len(os.listdir("/proc/self/fd")) == before


def test_row_12_links_go_and_what_they_name_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("kept")
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a/dir").symlink_to(outside)
    (root / "a/file").symlink_to(outside / "keep")
    os.mkfifo(root / "pipe")
    remove_tree(root)
    assert not root.exists()
    (tmp_path / "link").symlink_to(outside)
    remove_tree(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (outside / "keep").read_text() == "kept"


def test_row_12_a_directory_that_becomes_a_link_meanwhile_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("kept")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            try:
                os.rename(tmp_path / "root/a", tmp_path / "root/b")
                os.symlink(outside, tmp_path / "root/a")
                os.unlink(tmp_path / "root/a")
                os.rename(tmp_path / "root/b", tmp_path / "root/a")
            except OSError:
                continue

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(100):
            try:
                (tmp_path / "root/a/c").mkdir(parents=True, exist_ok=True)
                remove_tree(tmp_path / "root")
            except OSError:
                continue
    finally:
        over.set()
        swapper.join()
    assert (outside / "keep").read_text() == "kept"


def test_a_directory_that_was_moved_away_takes_nobody_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root/a/b").mkdir(parents=True)
    (tmp_path / "else/keep").mkdir(parents=True)
    rmdir = os.rmdir

    def move_first(name: str, **where: int) -> None:
        if name == "b":
            os.rename(tmp_path / "root/a", tmp_path / "else/a")
        rmdir(name, **where)

    monkeypatch.setattr(os, "rmdir", move_first)
    with pytest.raises(OSError, match="moved"):
        remove_tree(tmp_path / "root")
    assert (tmp_path / "else/keep").is_dir()


def test_what_would_not_go_is_said_and_the_rest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / "root" / name).mkdir(parents=True)
        (tmp_path / "root" / name / "file").write_text("x")
    rmdir = os.rmdir

    def refuse(name: str, **where: int) -> None:
        if name == "b":
            raise PermissionError("not this one")
        rmdir(name, **where)

    monkeypatch.setattr(os, "rmdir", refuse)
    with pytest.raises(PermissionError, match="not this one"):
        remove_tree(tmp_path / "root")
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["b"]


def test_what_has_no_rights_goes_and_what_is_not_there_is_fine(tmp_path: Path) -> None:
    (tmp_path / "root/a/b").mkdir(parents=True)
    (tmp_path / "root/a").chmod(0)
    remove_tree(tmp_path / "root")
    remove_tree(tmp_path / "root")
    remove_tree(tmp_path / "never/was")
    assert list(tmp_path.iterdir()) == []
