"""Container engines: tried for real, once somebody asks, and asked for their images."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import engine_peer
from engine_helpers import eventually
from footfall.machine import engines as module
from footfall.machine.engines import Engine, Engines


@pytest.fixture
def peer(tmp_path: Path) -> Path:
    """Where an engine that works, called docker, keeps its state."""
    return engine_peer.install(tmp_path / "engines")


def make_engines(peer: Path) -> Engines:
    """Return the engines of a machine that has no other one."""
    (peer.parent / "tar").symlink_to(str(shutil.which("tar")))
    return Engines({"PATH": str(peer.parent), "HOME": str(peer)})


def add_image(peer: Path, name: str) -> None:
    (peer / f"image-{name.replace('/', '-')}.json").write_text(f'{{"Id": "{name}", "name": "{name}"}}')


def calls(peer: Path) -> list[str]:
    file = peer / "asked"
    return file.read_text().splitlines() if file.exists() else []


def test_nothing_is_tried_before_somebody_asks_and_then_once(peer: Path) -> None:
    engines = make_engines(peer)
    assert engines.known is None
    assert calls(peer) == []
    assert engines.troubles()["docker"] == ""
    assert engines.programs()["docker"] == str(peer.parent / "docker")
    assert "docker" in (engines.known or [])
    n_calls = len(calls(peer))
    assert [line.split()[0] for line in calls(peer)] == ["import", "create", "export", "rm", "rmi", "image"]
    engines.troubles()
    engines.images()
    assert len(calls(peer)) == n_calls
    left = [path.name for path in peer.iterdir() if path.name != "asked"]
    assert left == [], "the image and the container of the trial are gone"


def test_an_engine_works_only_when_what_goes_in_comes_out(peer: Path) -> None:
    empty = "import tarfile; tarfile.open(fileobj=sys.stdout.buffer, mode='w|').close(); sys.exit(0)"
    program = peer.parent / "docker"
    program.write_text(program.read_text().replace('elif verb == "export":', f'elif verb == "export":\n    {empty}'))
    engines = make_engines(peer)
    assert "did not come out of it" in engines.troubles()["docker"]
    assert "docker" not in engines.programs()


def test_an_engine_without_its_daemon_says_so_and_one_that_is_not_there_too(peer: Path) -> None:
    (peer / "broken").touch()
    engines = make_engines(peer)
    assert engines.troubles()["docker"].endswith("import says: Error: the daemon is not there")
    assert engines.troubles()["apptainer"] == "there is no program apptainer"
    assert engines.images() == []
    assert engines.has_image("any:1") is False


def test_without_tar_no_image_could_be_unpacked(peer: Path) -> None:
    engines = Engines({"PATH": str(peer.parent)})
    assert "there is no program tar" in engines.troubles()["docker"]


def test_an_engine_that_hangs_is_waited_for_until_its_time_is_over(peer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMAND_TIMEOUT_S", 0.3)
    (peer.parent / "docker").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    before = time.monotonic()
    assert "took longer than" in make_engines(peer).troubles()["docker"]
    assert time.monotonic() - before < 10


def test_images_are_listed_with_their_tags_without_those_of_trials(peer: Path) -> None:
    for name in ("b:2", "a:1", "<none>:<none>", "footfall-probe-1:1"):
        add_image(peer, name)
    engines = make_engines(peer)
    assert [name for name in engines.images() if name in ("a:1", "b:2") or "probe" in name or "none" in name] == ["a:1", "b:2"]


def test_an_image_that_was_just_pulled_is_found_at_once_and_listed_in_a_while(
    peer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MISS_TTL_S", 0.0)
    engines = make_engines(peer)
    assert not engines.has_image("new:1")
    add_image(peer, "new:1")
    assert engines.has_image("new:1")
    assert "new:1" in engines.images()


def test_many_who_miss_an_image_at_once_wait_for_one_look(peer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engines = make_engines(peer)
    assert not engines.has_image("far:1")
    time.sleep(module._MISS_TTL_S + 0.1)
    n_calls = len(calls(peer))
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(engines.has_image, ["far:1"] * 8))
    assert len(calls(peer)) == n_calls + 1


def test_an_engine_that_comes_up_later_is_found_without_making_anybody_wait(peer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (peer / "broken").touch()
    engines = make_engines(peer)
    assert engines.images() == []
    (peer / "broken").unlink()
    add_image(peer, "a:1")
    assert engines.images() == [], "it is fresh"
    monkeypatch.setattr(module, "TTL_S", 0.0)
    eventually(lambda: "a:1" in engines.images(), 10)
    assert engines.troubles()["docker"] == ""


def test_an_engine_that_goes_down_leaves_the_list_whole(peer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_image(peer, "a:1")
    engines = make_engines(peer)
    assert "a:1" in engines.images()
    (peer / "broken").touch()
    monkeypatch.setattr(module, "TTL_S", 0.0)
    eventually(lambda: "works no more" in engines.troubles()["docker"], 10)
    assert engines.images() == []


def test_what_is_fixed_is_never_tried(peer: Path) -> None:
    engines = Engines({"PATH": str(peer.parent)}, [Engine("docker", "", "not here")])
    assert engines.troubles() == {"docker": "not here"}
    assert engines.has_image("a:1") is False
    assert calls(peer) == []


def test_servers_that_try_at_once_share_nothing(peer: Path) -> None:
    first = make_engines(peer)
    second = Engines(first.environment)
    threads = [threading.Thread(target=engines.troubles) for engines in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert first.troubles()["docker"] == second.troubles()["docker"] == ""
    imported = [line for line in calls(peer) if line.startswith("import")]
    assert len(set(imported)) == 2
    assert [path.name for path in peer.iterdir() if path.name != "asked"] == []


def test_a_list_that_fails_once_is_asked_for_again(peer: Path) -> None:
    add_image(peer, "a:1")
    (peer / "fails-once").touch()
    engines = make_engines(peer)
    assert engines.images() == ["a:1"]
    assert engines.troubles()["docker"] == ""
