"""Threads: results keep their order, and a map within a map shares the cores."""

import threading

import pytest

from footfall.modeling.threads import count_threads, map_ordered


def test_results_come_in_the_order_of_the_items() -> None:
    later = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert later.wait(5)  # the first ends last
        else:
            later.set()
        return item

    assert list(map_ordered(work, range(50), n_threads=2)) == list(range(50))


@pytest.mark.parametrize(("cores", "threads", "share"), [("1", 1, 1), ("2", 1, 2), ("2", 2, 1), ("2", 3, 1)])
def test_threads_of_a_map_share_the_cores(monkeypatch: pytest.MonkeyPatch, cores: str, threads: int, share: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setenv("FOOTFALL_THREADS", cores)
    assert list(map_ordered(lambda _: count_threads(), range(4), n_threads=threads)) == [share] * 4
    assert count_threads() == int(cores)


def test_what_breaks_in_a_thread_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_ordered(lambda item: 1 // item, [1, 0, 1]))
