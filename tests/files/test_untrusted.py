"""Nothing leads out of a directory in which somebody else writes."""

import os
import threading
import time
from pathlib import Path

import pytest

from footfall.errors import NotFoundError
from footfall.files.untrusted import PassedOver, find_files, open_file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").write_text("inside")
    return root


def read(root: Path, path: str) -> str:
    file = open_file(root, path)
    with os.fdopen(file) as text:
        return text.read()


def test_files_are_found_and_read(root: Path) -> None:
    assert [(one.path, one.size_bytes) for one in find_files(root, limit=10)] == [("a/b/file", 6)]
    assert [one.path for one in find_files(root, "a/b", limit=10)] == ["a/b/file"]
    assert read(root, "a/b/file") == "inside"


@pytest.mark.parametrize(
    "path",
    [
        "nothing", "a/b", "a/b/file/x", "../secret", "a/../../secret", "/etc/passwd", "a//b/file", "./a/b/file", "", "a/b/",
        "\0", "x" * 300,
    ],
)  # fmt: skip
def test_what_is_no_file_below_is_not_there(root: Path, path: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(NotFoundError):
        read(root, path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_row_12_links_devices_and_second_names_are_not_followed_opened_or_listed(root: Path) -> None:
    (root / "link").symlink_to("../secret")
    (root / "inner").symlink_to("a/b/file")
    (root / "dir").symlink_to("..")
    (root / "loop").symlink_to("loop")
    os.link(root.parent / "secret", root / "hard")
    os.mkfifo(root / "pipe")
    for path in ("link", "inner", "dir/secret", "loop", "hard", "pipe"):
        with pytest.raises(NotFoundError):
            read(root, path)
    assert [one.path for one in find_files(root, limit=10)] == ["a/b/file"]
    assert list(find_files(root, "dir", limit=10)) == []


def test_links_that_stay_below_are_followed_where_it_is_asked_for(root: Path) -> None:
    (root / "real").mkdir()
    (root / "real/deep").symlink_to("../a/b/file")
    for name, target in {
        "last": "a/b/file", "best": "real", "absolute": f"{root}/a/b/file", "named": "/mnt/out/a/b/file",
        "round": "a/../a/./b/file", "chain": "last", "through": "best/deep", "out": "../secret", "etc": "/etc/passwd",
        "gone": "nothing", "loop": "loop", "up": "..", "self": ".", "sly": "a/../../root/a/b/file", "a/above": "../a", "x": "y",
        "y": "x", "near": f"{root}-else/file",
    }.items():  # fmt: skip
        (root / name).symlink_to(target)
    (root / "new\nline").touch()
    os.mkfifo(root / "pipe")
    os.link(root / "a/b/file", root / "hard")
    (root / "hard").rename(root / "second")
    os.unlink(root / "second")
    known_as = ("/mnt/out",)
    passed_over: list[PassedOver] = []
    found = [one.path for one in find_files(root, limit=100, known_as=known_as, passed_over=passed_over)]
    inside = ["a/b/file", "absolute", "best/deep", "chain", "last", "named", "real/deep", "round", "through"]
    assert found == inside
    for path in inside:
        with os.fdopen(open_file(root, path, known_as=known_as)) as text:
            assert text.read() == "inside"
    reasons = {one.path: one.reason for one in passed_over}
    assert {path: reasons[path].rpartition(" ")[2] for path in ("out", "etc", "sly", "near", "up", "gone")} == {
        "out": "directory", "etc": "directory", "sly": "directory", "near": "directory", "up": "directory", "gone": "nothing",
    }  # fmt: skip
    assert {path for path, reason in reasons.items() if "circle" in reason} == {"loop", "self", "a/above", "x", "y"}
    assert reasons["new\\nline"] == "its name is not UTF-8 or has control characters"
    assert reasons["pipe"] == "no regular file"
    for path in ("out", "etc", "up/secret", "self/../../secret", "sly", "gone", "loop", "best/../a/b/file", "near", "pipe"):
        with pytest.raises(NotFoundError):
            open_file(root, path, known_as=known_as)
    assert [one.path for one in find_files(root, "best", limit=9, known_as=known_as)] == ["best/deep"]
    assert [one.path for one in find_files(root, after="chain", limit=2, known_as=known_as)] == ["last", "named"]


def test_links_that_multiply_end_in_time(root: Path) -> None:
    for number in range(12):
        (root / f"d{number}").mkdir()
        for other in range(12):
            (root / f"d{number}" / f"to{other}").symlink_to(f"../d{other}")
    began = time.monotonic()
    assert [one.path for one in find_files(root, limit=10_000, known_as=())] == ["a/b/file"]
    assert time.monotonic() - began < 30
    (root / "e").touch()
    assert [one.path for one in find_files(root, limit=10_000, known_as=())] == ["a/b/file", "e"]


def test_row_12_a_directory_that_becomes_a_link_while_it_is_read_leads_nowhere(root: Path) -> None:
    (root / "a/b/secret").write_text("inside")
    (root / "evil").symlink_to("../..")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            os.rename(root / "a/b", root / "a/c")
            os.symlink("../..", root / "a/b")
            os.unlink(root / "a/b")
            os.rename(root / "a/c", root / "a/b")

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        for _ in range(2000):
            try:
                seen.add(read(root, "a/b/secret"))
            except NotFoundError:
                seen.add("")
            try:
                with os.fdopen(open_file(root, "evil/a/b/secret", known_as=())) as text:
                    seen.add(text.read())
            except NotFoundError:
                seen.add("")
            assert {one.path for one in find_files(root, limit=10)} <= {
                "a/b/file", "a/c/file", "a/b/secret", "a/c/secret",
            }  # fmt: skip
    finally:
        over.set()
        thread.join()
    assert "secret" not in seen
    assert "inside" in seen


def test_a_list_is_bounded(root: Path) -> None:
    for number in range(20):
        (root / f"f{number}").touch()
    assert len(list(find_files(root, limit=7))) == 7
