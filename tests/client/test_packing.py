"""What a run gets of a working directory."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from footfall.client.code.files import choose_files
from footfall.client.code.packing import pack
from footfall.errors import InputError


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def packed(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in choose_files(root).paths]


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
def test_a_link_to_a_file_out_of_the_directory_is_refused(tmp_path: Path, target: str) -> None:
    root = tree(tmp_path / "in", {"x": "", "a/x": ""})
    tree(tmp_path, {"outside": "", "b": ""})
    (root / "link").symlink_to(target)
    with pytest.raises(InputError, match=r"outside of .*nsmlignore"):
        pack(root)
    (root / ".nsmlignore").write_text("link\n")
    with pack(root) as archive:
        assert archive.n_files == 3


def test_too_much_is_refused_with_what_to_do(tmp_path: Path) -> None:
    root = tree(tmp_path, {})
    (root / "big").write_bytes(os.urandom(300_000))
    (root / "after").touch()
    with pytest.raises(InputError, match=r"nsmlignore.*so far: big \(0.3 MB\)"):
        pack(root, max_bytes=100_000)
    (root / "zz").write_bytes(os.urandom(300_000))
    with pytest.raises(InputError, match=r"so far: zz \(0.3 MB\), big \(0.3 MB\)"):
        pack(root, max_bytes=400_000)
    with pytest.raises(InputError, match="no directory"):
        pack(root / "big")


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    command += ["-c", "protocol.file.allow=always", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with rules of all four sources, and files that are tracked against them."""
    tree(tmp_path / "home", {"ignored_by_me": "*.swp\n", "ignored_here": "*.sys\n"})
    (tmp_path / "home/.gitconfig").write_text(f"[core]\n\texcludesFile = {tmp_path}/home/ignored_by_me\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    files = {
        ".gitignore": "data/*\n*.json\n!*_en_us.json\nwandb/\n/top\n",
        "a.json": "",
        "b_en_us.json": "",
        "data/train.bin": "",
    }
    files |= {"conf/tracked.json": "c", "data/README": "k", "src/data/__init__.py": "", "top": "", "s/top": "", "wandb/log": ""}
    root = tree(tmp_path / "repo", files)
    git(root, "init", "-q")
    (root / ".git/info/exclude").write_text("secret.yaml\n")
    git(root, "add", "-A")
    git(root, "add", "-f", "conf/tracked.json", "data/README")
    git(root, "commit", "-qm", "one")
    more = {"secret.yaml": "s", "x.swp": "v", "new.py": "", "train/wandb/w": "", "train/t.py": "", "train/data/loader.py": ""}
    return tree(root, more)


@pytest.mark.parametrize("below", [".", "train", "data", "src"])
def test_in_a_work_tree_the_files_are_gits(repository: Path, below: str) -> None:
    directory = repository / below
    listed = git(directory, "ls-files", "-coz", "--exclude-standard").split("\0")
    assert packed(directory) == sorted(filter(None, listed))
    assert "secret.yaml" not in packed(repository)
    assert {"conf/tracked.json", "data/README", "new.py"} <= set(packed(repository))


def test_neither_an_alias_nor_the_variables_of_a_hook_lead_elsewhere(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, below = packed(repository), packed(repository / "train")
    other = tree(tmp_path / "other", {"a.py": ""})
    git(other, "init", "-q")
    (tmp_path / "alias").symlink_to(repository / "train")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert packed(repository) == expected
    assert packed(tmp_path / "alias") == below


def test_then_nsmlignore_decides(repository: Path) -> None:
    tree(repository, {".nsmlignore": "new.py\n!a.json\n!/wandb/\n", "src/.nsmlignore": "*\n"})
    names = packed(repository)
    assert {"a.json", "wandb/log"} <= set(names)
    assert [name for name in names if name == "new.py" or name.startswith("src/")] == []


def test_a_file_that_is_gone_and_a_link_are_as_git_and_the_disk_have_them(repository: Path) -> None:
    (repository / "b_en_us.json").unlink()
    (repository / "link").symlink_to("conf")
    assert "b_en_us.json" not in packed(repository)
    assert "link" in packed(repository)


def test_submodules_and_repositories_inside_are_asked_for_theirs(repository: Path, tmp_path: Path) -> None:
    library = tree(tmp_path / "lib", {"lib.py": "", ".gitignore": "*.o\n"})
    git(library, "init", "-q")
    git(library, "add", "-A")
    git(library, "commit", "-qm", "lib")
    git(repository, "submodule", "add", "-q", str(library), "third/lib")
    git(repository, "clone", "-q", str(library), "own-clone")
    for inside in ("third/lib", "own-clone"):
        tree(repository, {f"{inside}/x.o": "", f"{inside}/new.py": "", f"{inside}/y.json": ""})
    names = packed(repository)
    for inside in ("third/lib", "own-clone"):
        assert [name for name in names if name.startswith(f"{inside}/")] == [
            f"{inside}/.gitignore", f"{inside}/lib.py", f"{inside}/new.py", f"{inside}/y.json",
        ]  # fmt: skip
    shutil.rmtree(repository / "third/lib")  # as a clone without --recurse-submodules leaves it
    (repository / "third/lib").mkdir()
    assert [name for name in packed(repository) if name.startswith("third")] == []


def test_the_commit_and_whether_the_files_differ_are_known(repository: Path, tmp_path: Path) -> None:
    id = git(repository, "rev-parse", "HEAD").strip()
    with pack(repository) as archive:
        assert archive.commit is not None
        assert (archive.commit.id, archive.commit.is_modified) == (id, True)
        digest = archive.digest
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "two")
    with pack(repository) as archive:
        assert archive.commit is not None
        assert (archive.commit.is_modified, archive.digest) == (False, digest)
    (repository / "new.py").write_text("x")
    with pack(repository) as archive, pack(repository / "src") as below:
        assert archive.commit is not None
        assert below.commit is not None
        assert (archive.commit.is_modified, below.commit.is_modified) == (True, False)
    empty = tree(tmp_path / "empty", {"a": ""})
    git(empty, "init", "-q")
    with pack(empty) as archive:
        assert (archive.commit, archive.n_files) == (None, 1)


def test_without_the_program_git_its_files_of_rules_decide_up_to_the_top(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    chosen = choose_files(repository / "train")
    assert [path.name for path in chosen.paths] == ["loader.py", "t.py"]
    assert "no program git" in chosen.notes[0]


def test_a_directory_that_git_ignores_is_sent_as_it_is_when_it_is_named(repository: Path) -> None:
    assert packed(repository / "wandb") == ["log"]


def test_keys_homes_and_environments_are_not_sent_unasked(tmp_path: Path) -> None:
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----\n"
    files = {
        "id_ed25519": key, "id_ed25519.pub": "ssh-ed25519 A", "server.pem": key, "ca.pem": "-----BEGIN CERTIFICATE-----",
        "my-deploy.key": key, ".netrc": "x", "cloud-service-account.json": '{"private_key": "-----BEGIN"}', 
        ".env": "export WANDB_API_KEY=0123456789abcdef\n", "web/.env.local": "PORT=80\nDEBUG=true\n", "train.py": "",
        "credentials.json": '{\n  "client_secret": "abcdefghijkl"\n}', "tokenizer.json": '{"unk_token": "<unk>"}',
        "secrets.py": "token = 'abcdefghijkl'", ".venv/pyvenv.cfg": "home = /usr/bin", ".venv/lib/a.py": "",
        ".demo/credentials.toml": "secret_key = 'x'", ".demo/secret/key": "k", ".demo/data/footfall.db": "", "env/a.py": "",
        ".env.example": "API_KEY=\n", "envs/py/pyvenv.cfg": "", "envs/py/bin/x": "",
    }  # fmt: skip
    root = tree(tmp_path / "code", files)
    chosen = choose_files(root)
    assert packed(root) == [
        ".env.example", "ca.pem", "env/a.py", "id_ed25519.pub", "secrets.py", "tokenizer.json", "train.py", "web/.env.local",
    ]  # fmt: skip
    left = {note.split(" is not sent")[0] for note in chosen.notes}
    assert left == {
        "id_ed25519", "server.pem", "my-deploy.key", ".netrc", "cloud-service-account.json", ".env", "credentials.json",
        ".venv/", ".demo/", "envs/py/",
    }  # fmt: skip
    tree(root, {".nsmlignore": "".join(f"!/{name}\n" for name in sorted(left))})
    assert set(packed(root)) == {*files, ".nsmlignore"}


def test_what_git_tracks_is_sent_be_it_a_key(repository: Path) -> None:
    tree(repository, {"tests/key.pem": "-----BEGIN PRIVATE KEY-----", "other.pem": "-----BEGIN PRIVATE KEY-----"})
    git(repository, "add", "tests/key.pem")
    assert {"tests/key.pem", "other.pem"} & set(packed(repository)) == {"tests/key.pem"}


def test_the_home_of_a_server_is_refused(tmp_path: Path) -> None:
    root = tree(tmp_path, {"credentials.toml": "", "secret/key": ""})
    with pytest.raises(InputError, match=r"home of a Footfall server.*--code"):
        pack(root)


def test_links_inside_lead_where_they_led_however_they_are_written(tmp_path: Path) -> None:
    root = tree(tmp_path / "real/in", {"a/b/file": "content", "top": "t"})
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    for name, target in {
        "absolute": root / "a/b/file", "a/b/up": "../../top", "a/around": "../../in/top", "a/aliased": tmp_path / "alias/in/a/b",
        "dangling": "nothing/here", "whole": root, "first/link": tmp_path / "alias/in/top",
    }.items():  # fmt: skip
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).symlink_to(target)
    for given in (root, tmp_path / "alias/in"):
        with pack(given) as archive, tarfile.open(fileobj=archive.file) as tar:
            assert archive.notes == ()
            links = {member.name: member.linkname for member in tar if member.issym()}
        assert links == {
            "absolute": "a/b/file", "a/b/up": "../../top", "a/around": "../top", "a/aliased": "b", "dangling": "nothing/here",
            "whole": ".", "first/link": "../top",
        }  # fmt: skip


@pytest.mark.parametrize("written", ["../outside", "{root}/../outside", "{root}/a/../../outside", "a/../../outside"])
def test_a_link_to_a_directory_outside_is_sent_as_one_and_said(tmp_path: Path, written: str) -> None:
    root = tree(tmp_path / "in", {"t.py": ""})
    tree(tmp_path / "outside", {"x.csv": "1"})
    (root / "a").mkdir()
    (root / "data").symlink_to(written.format(root=root))
    with pack(root) as archive, tarfile.open(fileobj=archive.file) as tar:
        assert tar.getmember("data").linkname == str(tmp_path / "outside")
        assert archive.n_files == 1
        assert f"data is a link to {tmp_path / 'outside'}, outside of {root}" in archive.notes[0]
