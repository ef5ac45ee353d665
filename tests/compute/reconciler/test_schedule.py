"""The schedule in virtual time: whatever is asked for, nothing is given twice, nobody is forgotten, turns are fair."""

import heapq
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footfall.compute.reconciler.schedule import Decision, Holder, Limits, missing, schedule
from footfall.records import Capacity, Gpu, Image, Run, RunSpec, Workload
from footfall.states import RunState

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MACHINE = Capacity(8, 8000, 4)
GPUS = tuple(Gpu(f"GPU-{n}", "A100" if n < 2 else "H200", 80_000) for n in range(4))
WORKLOAD = Workload("true", Image("host", "host"), "p", "p", "1")


def make_run(number: int, project: str = "p", *, priority: int = 0, is_ours: bool = False, **needs: object) -> Run:
    spec = RunSpec((), **({"memory_mib": 100} | needs), workload=None if is_ours else WORKLOAD)  # type: ignore[arg-type]
    at = BEGIN + timedelta(seconds=number)
    return Run(f"{number:06d}", "acc", project, RunState.REGISTERED, spec, 0, at, priority=priority)


def start(waiting: list[Run], held: list[Holder] | None = None, **more: object) -> list[str]:
    decisions = schedule(waiting, held or [], MACHINE, GPUS, **more)  # type: ignore[arg-type]
    return [decision.run.id for decision in decisions if decision.grant is not None]


def grants(decisions: list[Decision]) -> list[Holder]:
    return [Holder(each.run.project_id, each.grant) for each in decisions if each.grant is not None]


def check_units(held: list[Holder]) -> None:
    cores = [core for holder in held for share in holder.grant.shares for core in share.cores]
    gpus = [gpu for holder in held for share in holder.grant.shares for gpu in share.gpus]
    assert len(cores) == len(set(cores))
    assert set(cores) <= set(range(MACHINE.n_cores))
    assert len(gpus) == len(set(gpus))
    assert set(gpus) <= {gpu.id for gpu in GPUS}
    assert sum(holder.grant.total.memory_mib for holder in held) <= MACHINE.memory_mib


def lacks(run: Run, held: list[Holder]) -> set[str]:
    """What a run cannot be given beside what is held, counted anew."""
    spec = run.spec
    taken = {gpu for holder in held for share in holder.grant.shares for gpu in share.gpus}
    n_gpus = len([gpu for gpu in GPUS if gpu.id not in taken and spec.gpu_model in gpu.model])
    found = set()
    if spec.n_cores * spec.n_nodes > MACHINE.n_cores - sum(holder.grant.total.n_cores for holder in held):
        found.add("cores")
    if spec.memory_mib * spec.n_nodes > MACHINE.memory_mib - sum(holder.grant.total.memory_mib for holder in held):
        found.add("memory")
    if spec.n_gpus * spec.n_nodes > n_gpus:
        found.add(f"gpus {spec.gpu_model}")
    return found


def needs(run: Run) -> set[str]:
    return {"cores", "memory"} | ({"gpus ", f"gpus {run.spec.gpu_model}"} if run.spec.n_gpus else set())


@dataclass
class World:
    """A machine in virtual time, with what happened on it."""

    limits: Limits
    now: float = 0.0
    waiting: dict[str, Run] = field(default_factory=dict)
    running: dict[str, Holder] = field(default_factory=dict)
    ends: list[tuple[float, str]] = field(default_factory=list)
    started: dict[str, float] = field(default_factory=dict)

    def look(self, lasts: dict[str, float]) -> None:
        at = BEGIN + timedelta(seconds=self.now)
        before = list(self.running.values())
        decisions = schedule(list(self.waiting.values()), before, MACHINE, GPUS, self.limits, at)
        assert {each.run.id for each in decisions} == set(self.waiting)
        self.check(decisions, before, at)
        for each in decisions:
            if each.grant is None:
                assert each.message
                if each.is_overtaken and each.run.overtaken_at is None:
                    self.waiting[each.run.id] = replace(each.run, overtaken_at=at)
            else:
                del self.waiting[each.run.id]
                self.running[each.run.id] = Holder(each.run.project_id, each.grant)
                self.started[each.run.id] = self.now
                heapq.heappush(self.ends, (self.now + lasts[each.run.id], each.run.id))

    def check(self, decisions: list[Decision], before: list[Holder], at: datetime) -> None:
        after = before + grants(decisions)
        check_units(after)
        for each in decisions:
            if each.grant is not None:
                assert [len(share.cores) for share in each.grant.shares] == [each.run.spec.n_cores] * each.run.spec.n_nodes
                assert [len(share.gpus) for share in each.grant.shares] == [each.run.spec.n_gpus] * each.run.spec.n_nodes
        for project in {holder.project_id for holder in after}:
            mine = [holder for holder in after if holder.project_id == project]
            assert not self.limits.max_runs or len(mine) <= self.limits.max_runs
            assert not self.limits.max_gpus or sum(h.grant.total.n_gpus for h in mine) <= self.limits.max_gpus
        self.check_overtaking(decisions, before, at)

    def check_overtaking(self, decisions: list[Decision], before: list[Holder], at: datetime) -> None:
        """Nothing that needs a resource it lacks starts before one that has been overtaken for too long."""
        limit = timedelta(seconds=self.limits.overtake_limit_s)
        patient = {each.run.id for each in decisions if each.run.overtaken_at and at - each.run.overtaken_at >= limit}
        for each in decisions:
            if each.grant is None and each.run.id in patient and "project" not in each.message:
                first = [g for g in decisions if g.run.id in patient and g.run.id < each.run.id]
                lacking = lacks(each.run, before + grants(first))
                for other in decisions:
                    if other.grant is not None and other not in first:
                        assert not needs(other.run) & lacking, (each, other)


ASKED = st.lists(
    st.tuples(
        st.integers(0, 30),  # seconds since the one before
        st.sampled_from(["a", "b", "c"]),
        st.integers(-2, 2),
        st.integers(1, 3),  # nodes
        st.integers(1, 3),  # cores
        st.sampled_from([100, 2500]),
        st.sampled_from([(0, ""), (0, ""), (1, ""), (1, "A100"), (2, "H200")]),
        st.integers(1, 200),  # seconds that it lasts
    ),
    min_size=1,
    max_size=40,
)


@given(ASKED, st.sampled_from([Limits(), Limits(2, 0, 60.0), Limits(0, 2, 30.0), Limits(0, 0, 0.0)]))
@settings(max_examples=300, deadline=None)
def test_whatever_is_asked_every_run_that_can_run_does_and_no_rule_is_broken(asked, limits: Limits) -> None:  # type: ignore[no-untyped-def]
    world = World(limits)
    arrivals, lasts, at = [], {}, 0.0
    for n, (gap, project, priority, nodes, cores, memory, (gpus, model), seconds) in enumerate(asked):
        at += gap
        run = make_run(
            n, project, priority=priority, n_nodes=nodes, n_cores=cores, memory_mib=memory, n_gpus=gpus, gpu_model=model
        )
        arrivals.append((at, run))
        lasts[run.id] = float(seconds)
    can_run = {
        run.id
        for _, run in arrivals
        if missing(run.spec, MACHINE, GPUS) is None
        and not (limits.max_gpus and run.spec.n_gpus * run.spec.n_nodes > limits.max_gpus)
    }
    while arrivals or world.ends:
        at = min(time for time in [*(at for at, _ in arrivals[:1]), *(at for at, _ in world.ends[:1])])
        world.now = at
        while arrivals and arrivals[0][0] <= at:
            run = arrivals.pop(0)[1]
            world.waiting[run.id] = run
        while world.ends and world.ends[0][0] <= at:
            del world.running[heapq.heappop(world.ends)[1]]
        world.look(lasts)
    assert set(world.started) == can_run


def test_a_gang_starts_with_all_its_nodes_or_not_at_all() -> None:
    half = grants(schedule([make_run(1, n_cores=5)], [], MACHINE, GPUS))
    assert start([make_run(2, n_cores=2, n_nodes=2)], half) == []
    assert start([make_run(2, n_cores=1, n_nodes=3)], half) == ["000002"]


def test_the_project_with_the_fewest_gpus_then_cores_then_the_older_run_comes_first() -> None:
    held = grants(
        schedule([make_run(1, "gpus", n_gpus=1), make_run(2, "cores", n_cores=2), make_run(3, "few")], [], MACHINE, GPUS)
    )
    waiting = [make_run(n, project, n_cores=1, n_gpus=0) for n, project in ((4, "gpus"), (5, "cores"), (6, "few"), (7, "none"))]
    assert start(waiting, held) == ["000007", "000006", "000005", "000004"]
    assert start([make_run(9, "b"), make_run(8, "a")]) == ["000008", "000009"]


def test_two_projects_with_long_queues_share_the_machine_evenly() -> None:
    waiting = [make_run(n, "early") for n in range(100)] + [make_run(100 + n, "late") for n in range(100)]
    decisions = schedule(waiting, [], MACHINE, GPUS)
    assert sorted(holder.project_id for holder in grants(decisions)) == ["early"] * 4 + ["late"] * 4


def test_priority_orders_the_runs_of_a_project_and_no_others() -> None:
    mine = [make_run(1, "a", n_cores=8), make_run(2, "a", n_cores=8, priority=100), make_run(3, "b", n_cores=8)]
    assert start(mine) == ["000002"]
    theirs = [make_run(1, "a", n_cores=8, priority=-100), make_run(2, "b", n_cores=8, priority=100)]
    assert start(theirs) == ["000001"]


def test_what_does_not_fit_is_overtaken_until_its_time_is_up_and_then_only_by_what_it_does_not_lack() -> None:
    held = grants(schedule([make_run(1, "x", n_gpus=3)], [], MACHINE, GPUS))
    large = make_run(2, "a", n_gpus=2)
    small, other = make_run(3, "b", n_gpus=1), make_run(4, "c")
    limits = Limits(overtake_limit_s=600)
    decisions = schedule([large, small, other], held, MACHINE, GPUS, limits, BEGIN)
    assert [(each.run.id, each.is_overtaken) for each in decisions if each.grant is None] == [("000002", True)]
    for waited_s, starts in ((599, ["000004", "000003"]), (600, ["000004"])):
        waiting = [replace(large, overtaken_at=BEGIN), small, other]
        now = BEGIN + timedelta(seconds=waited_s)
        assert sorted(start(waiting, held, limits=limits, now=now)) == sorted(starts)


def test_a_clock_that_was_set_back_makes_nobody_wait_longer() -> None:
    held = grants(schedule([make_run(1, "x", n_gpus=3)], [], MACHINE, GPUS))
    waiting = [replace(make_run(2, "a", n_gpus=2), overtaken_at=BEGIN), make_run(3, "b", n_gpus=1)]
    assert start(waiting, held, now=BEGIN - timedelta(hours=1)) == []


def test_what_can_never_run_says_so_and_holds_nobody_back() -> None:
    never = replace(make_run(1, "a", n_cores=9), overtaken_at=BEGIN)
    decisions = schedule([never, make_run(2, "a")], [], MACHINE, GPUS, now=BEGIN + timedelta(days=1))
    assert [each.message for each in decisions if each.grant is None] == [
        "Needs more than this system has: 9 cores (there are 8)."
    ]
    assert len(grants(decisions)) == 1


def test_the_limits_of_a_project_hold_back_its_own_runs_alone() -> None:
    limits = Limits(max_runs=1)
    decisions = schedule([make_run(1, "a"), make_run(2, "a"), make_run(3, "b")], [], MACHINE, GPUS, limits)
    assert [each.message for each in decisions if each.grant is None] == [
        "Waits for a run of its project to end: 1 may run at once."
    ]
    assert not any(each.is_overtaken for each in decisions)
    limits = Limits(max_gpus=1)
    decisions = schedule([make_run(1, "a", n_gpus=1), make_run(2, "a", n_gpus=1), make_run(3, "a")], [], MACHINE, GPUS, limits)
    assert sorted(each.run.id for each in decisions if each.grant is not None) == ["000001", "000003"]


def test_a_run_that_its_projects_limit_never_allows_says_so_and_holds_nobody_back() -> None:
    limits = Limits(max_gpus=2)
    wide, narrow = make_run(1, "a", n_gpus=1, n_nodes=4), make_run(2, "a", n_gpus=2)
    decisions = schedule([wide, narrow], [], MACHINE, GPUS, limits)
    assert {each.run.id: (each.grant is not None, each.message) for each in decisions} == {
        wide.id: (
            False,
            "Can never start while the limit is what it is: it needs 4 GPUs (project_max_gpus lets a project have 2 at once).",
        ),
        narrow.id: (True, ""),
    }


def test_a_waiting_run_says_for_what() -> None:
    held = grants(schedule([make_run(1, n_cores=7, n_gpus=1, gpu_model="A100")], [], MACHINE, GPUS))
    [decision] = schedule([make_run(2, n_cores=2, n_gpus=2, gpu_model="A100")], held, MACHINE, GPUS)
    assert decision.message == "Waits for 2 of 8 cores and 2 of 2 A100 GPUs."


@pytest.mark.parametrize(
    ("wants", "says"),
    [
        ({"n_cores": 8}, None),
        ({"n_cores": 4, "n_nodes": 3}, "12 cores (there are 8)"),
        ({"memory_mib": 9000}, "9000 MiB of memory (there are 8000)"),
        ({"n_gpus": 3, "gpu_model": "h200"}, "3 h200 GPUs (there are 2)"),
        ({"n_gpus": 5, "n_cores": 9}, "9 cores (there are 8) and 5 GPUs (there are 4)"),
    ],
)
def test_missing_names_what_an_idle_system_is_short_of(wants: dict[str, int], says: str | None) -> None:
    assert missing(make_run(1, **wants).spec, MACHINE, GPUS) == says
    assert missing(make_run(1, **wants).spec, None) is None


def test_fake_gpus_stand_for_any_model() -> None:
    fake = [Gpu("GPU-fake-0", "Fake GPU", 1000, is_fake=True)]
    assert missing(make_run(1, n_gpus=1, gpu_model="H200").spec, Capacity(1, 1000, 1), fake) is None


def test_a_run_of_ours_is_cut_to_what_there_is() -> None:
    [decision] = schedule([make_run(1, is_ours=True, n_cores=100, memory_mib=10**6)], [], MACHINE, GPUS)
    assert decision.grant is not None
    assert (decision.grant.total.n_cores, decision.grant.total.memory_mib) == (8, 8000)


def test_an_engine_that_queues_for_itself_gets_every_run_at_once() -> None:
    assert len(grants(schedule([make_run(n, n_cores=100) for n in range(50)], [], None))) == 50
