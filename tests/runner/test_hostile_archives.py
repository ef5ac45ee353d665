"""Code archives that cost more than they may are refused, and those that people send are not."""

import os
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

import hostile_archives
from footfall.runner.code_archive import unpack_aside
from footfall.runner.errors import LaunchError

LIMIT_BYTES = 10_000_000


def unpack(archive: Path, directory: Path, *, limit_bytes: int = LIMIT_BYTES, timeout_s: float = 20) -> tuple[str, bool]:
    directory.mkdir()
    limits = {"limit_bytes": limit_bytes, "memory_bytes": 64 << 20, "timeout_s": timeout_s}
    try:
        unpack_aside(str(archive), str(directory), None, **limits, wait=time.sleep)  # type: ignore[arg-type]
    except LaunchError as refusal:
        return str(refusal), False
    return "", True


def n_made(directory: Path) -> int:
    return sum(len(directories) + len(files) for _, directories, files, _ in os.fwalk(directory))


@pytest.mark.parametrize("what", hostile_archives.TAR_ARCHIVES)
def test_security_row_24_an_archive_made_to_cost_is_refused_and_makes_little(what: str, tmp_path: Path) -> None:
    make, sentence = hostile_archives.TAR_ARCHIVES[what]
    said, is_done = unpack(hostile_archives.write(tmp_path / "archive", make()), tmp_path / "code")
    assert not is_done
    assert sentence in said
    assert n_made(tmp_path / "code") <= LIMIT_BYTES // 4096


def test_security_row_23_a_gzip_bomb_of_code_is_stopped_within_its_bound(tmp_path: Path) -> None:
    one = hostile_archives.write(tmp_path / "one", b"").read_bytes()
    bomb = tmp_path / "bomb"
    hostile_archives.write(bomb, hostile_archives.member("a", content=b"x"))
    with bomb.open("ab") as file:
        for _ in range(200_000):
            file.write(one)  # members that hold a little each, behind each other
    said, is_done = unpack(bomb, tmp_path / "code")
    assert is_done, said  # what stands behind the end of a tar is not read
    said, is_done = unpack(
        hostile_archives.write(tmp_path / "zeros", hostile_archives.member("a", content=bytes(1 << 28))), tmp_path / "more"
    )
    assert "larger than allowed" in said
    assert n_made(tmp_path / "more") == 0


def test_security_row_24_unpacking_ends_with_the_time_it_may_take(tmp_path: Path) -> None:
    archive = hostile_archives.write(tmp_path / "archive", hostile_archives.costly(100_000))
    said, is_done = unpack(archive, tmp_path / "code", limit_bytes=1 << 30, timeout_s=1)
    assert not is_done
    assert "not unpacked within 1 s" in said
    assert 0 < n_made(tmp_path / "code") < 100_000


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
def test_security_row_24_what_people_send_is_unpacked(form: int, tmp_path: Path) -> None:
    code = tmp_path / "code"
    assert unpack(hostile_archives.good(tmp_path / "good", form), code) == ("", True)
    assert (code / "데이터/모델_설정_파일.yaml").read_text("utf-8") == "이름: 값\n"
    assert (code / "링크").read_bytes() == (code / "twin.py").read_bytes() == b"print(1)\n"
    assert (code / "twin.py").stat().st_nlink == 2
    assert next((code / "long").rglob("x*")).read_bytes() == b"long"
    assert (code / "/".join("abcdefghijklmnopqrstuvwxyz" * 2) / "deep").read_bytes() == b"deep"


def test_security_row_24_an_archive_of_git_is_unpacked(tmp_path: Path) -> None:
    work = tmp_path / "work"
    deep = work / ("a-directory-with-a-long-name/" * 6) / ("f" * 120 + ".py")
    deep.parent.mkdir(parents=True)
    deep.write_text("1")
    (work / "한국어.txt").write_text("2")
    git = ["git", "-C", str(work), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["commit", "-q", "-m", "x"],
        ["archive", "-o", str(tmp_path / "a.tar.gz"), "HEAD"],
    ):
        subprocess.run([*git, *command], check=True)
    assert unpack(tmp_path / "a.tar.gz", tmp_path / "code") == ("", True)
    assert (tmp_path / "code" / deep.relative_to(work)).read_text() == "1"
    assert (tmp_path / "code" / "한국어.txt").read_text() == "2"
