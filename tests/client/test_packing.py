"""What a run gets of a working directory."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from footfall.client.packing import find_files, pack
from footfall.errors import InputError


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def packed(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in find_files(root)]


def test_ignore_files_leave_out_what_they_name_and_a_deeper_one_wins(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            ".gitignore": "*.ckpt\n/data/\n__pycache__\n",
            ".nsmlignore": "notes.md\n!best.ckpt\n",
            ".git/config": "x",
            "train.py": "x",
            "notes.md": "x",
            "a.ckpt": "x",
            "best.ckpt": "x",
            "data/big.csv": "x",
            "lib/data/small.csv": "x",
            "lib/__pycache__/a.pyc": "x",
            "lib/.gitignore": "!a.ckpt\n*.tmp\n",
            "lib/a.ckpt": "x",
            "lib/x.tmp": "x",
        },
    )
    assert packed(root) == [
        ".gitignore", ".nsmlignore", "best.ckpt", "lib/.gitignore", "lib/a.ckpt", "lib/data/small.csv", "train.py",
    ]  # fmt: skip


def test_git_agrees_on_what_is_ignored(tmp_path: Path) -> None:
    files = {".gitignore": "*.log\n!keep.log\nbuild/\n/top\nsub/*.bin\n**/deep/x\n", "keep.log": "", "a.log": "", "top": ""}
    files |= {"s/top": "", "build/out": "", "s/build/out": "", "sub/a.bin": "", "sub/b/a.bin": "", "q/deep/x": "", "a b": ""}
    root = tree(tmp_path, files)
    git = ["git", "-C", str(root)]
    subprocess.run([*git, "init", "-q"], check=True)
    listed = subprocess.run([*git, "ls-files", "-coz", "--exclude-standard"], check=True, capture_output=True, text=True)
    assert packed(root) == sorted(filter(None, listed.stdout.split("\0")))


def test_the_same_files_give_the_same_digest_and_another_byte_another(tmp_path: Path) -> None:
    one = tree(tmp_path / "one", {"a.py": "1", "b/c.py": "2"})
    two = tree(tmp_path / "two", {"b/c.py": "2", "a.py": "1"})
    os.utime(two / "a.py", (1, 1))
    with pack(one) as first, pack(two) as second:
        assert first.digest == second.digest
    (two / "a.py").write_text("3")
    with pack(two) as third:
        assert third.digest != first.digest
    assert (first.n_files, first.unpacked_bytes) == (2, 2)


def test_the_archive_unpacks_to_what_was_there(tmp_path: Path) -> None:
    root = tree(tmp_path / "in", {"run.sh": "#!/bin/sh\n", "ü/日本.txt": "x"})
    (root / "run.sh").chmod(0o755)
    (root / "empty").mkdir()
    (root / "link").symlink_to("ü/日本.txt")
    with pack(root) as archive, tarfile.open(fileobj=archive.file) as tar:
        tar.extractall(tmp_path / "out")
    out = tmp_path / "out"
    assert os.access(out / "run.sh", os.X_OK)
    assert (out / "link").read_text() == "x"
    assert (out / "empty").is_dir()


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "a/../../b"])
def test_a_link_out_of_the_directory_is_refused(tmp_path: Path, target: str) -> None:
    root = tree(tmp_path / "in", {"x": ""})
    (root / "link").symlink_to(target)
    with pytest.raises(InputError, match=r"outside of .*nsmlignore"):
        pack(root)
    (root / ".nsmlignore").write_text("link\n")
    with pack(root) as archive:
        assert archive.n_files == 2


def test_too_much_is_refused_with_what_to_do(tmp_path: Path) -> None:
    root = tree(tmp_path, {})
    (root / "big").write_bytes(os.urandom(300_000))
    (root / "after").touch()
    with pytest.raises(InputError, match="nsmlignore"):
        pack(root, max_bytes=100_000)
    (root / "zz").write_bytes(os.urandom(300_000))
    with pytest.raises(InputError, match=r"big \(0 MB\)"):
        pack(root, max_bytes=400_000)
    with pytest.raises(InputError, match="no directory"):
        pack(root / "big")
