"""Unpacked images go when nothing has used them for a while, and never while something does."""

import fcntl
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from footfall.compute.storage.engine_images import remove_unused_images

DAY_S = 86_400.0


@pytest.fixture
def images(tmp_path: Path) -> Path:
    directory = tmp_path / "engine-images"
    directory.mkdir()
    return directory


def put(images: Path, id: str, age_s: float) -> Path:
    """Make an unpacked image that was last used so long ago, and return its lock file."""
    (images / id / "root" / "bin").mkdir(parents=True)
    (images / id / "config.json").write_text("{}")
    lock = images / f"{id}.lock"
    lock.touch()
    os.utime(lock, (time.time() - age_s,) * 2)
    return lock


def test_what_nothing_has_used_goes_whole(images: Path) -> None:
    put(images, "old", 10 * DAY_S)
    put(images, "new", DAY_S)
    (images / "old.draft" / "root").mkdir(parents=True)
    assert remove_unused_images(images.parent, time.time() - 5 * DAY_S) == ["old"]
    assert sorted(path.name for path in images.iterdir()) == ["new", "new.lock"]
    assert remove_unused_images(images.parent, time.time() - 5 * DAY_S) == []


def test_what_is_in_use_stays_however_old_it_is(images: Path) -> None:
    path = put(images, "old", 10 * DAY_S)
    lock = os.open(path, os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_SH)
    assert remove_unused_images(images.parent, time.time()) == []
    assert (images / "old" / "config.json").exists()
    os.close(lock)
    assert remove_unused_images(images.parent, time.time()) == ["old"]


def test_servers_that_clean_up_at_once_do_not_stumble_over_each_other(images: Path) -> None:
    ids = {f"i{number}" for number in range(100)}
    for id in ids:
        put(images, id, DAY_S)
    with ThreadPoolExecutor(8) as pool:
        removed = list(pool.map(remove_unused_images, [images.parent] * 8, [time.time()] * 8))
    assert sorted(id for some in removed for id in some) == sorted(ids)
    assert list(images.iterdir()) == []


def test_where_no_image_was_ever_unpacked_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert remove_unused_images(tmp_path, time.time()) == []
