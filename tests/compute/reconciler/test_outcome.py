"""What the ends of nodes mean for their run, as a table."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from footfall.compute.reconciler.outcome import judge
from footfall.records import Image, Run, RunSpec, Workload
from footfall.states import FailureReason, RunState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKLOAD = Workload("true", Image("host", "host"), "p", "p", "1")


def make_run(n_nodes: int = 1, attempt: int = 0, *, is_cancelled: bool = False) -> Run:
    spec = RunSpec((), n_nodes=n_nodes, workload=WORKLOAD)
    asked = NOW if is_cancelled else None
    return Run("r", "a", "p", RunState.IN_PROGRESS, spec, attempt, NOW, number=1, cancel_requested_at=asked)


def ended(exit_code: int | None = 0, reason: str | None = None, at: float = 1.0, **more: Any) -> dict[str, Any]:
    if reason is None and exit_code:
        reason = "command_failed" if exit_code > 0 else "signalled"
    return {"exit_code": exit_code, "reason": reason, "name": None, "details": None, "started_at": 0.0, "ended_at": at} | more


@pytest.mark.parametrize(
    ("finals", "exit_code"),
    [
        ([ended()], 0),
        ([ended(3)], 3),
        ([ended(-9)], 137),
        ([ended(), ended(4)], 4),
        ([ended(5, at=3.0), ended(4, at=2.0)], 4),
        ([ended(-15, "stopped", at=1.0), ended(7, at=2.0)], 7),
        ([ended(None, "lost"), ended()], 0),
        ([ended(None, "rejected")], None),
    ],
)
def test_a_runs_exit_code_is_the_first_that_is_not_0_in_time(finals: list[dict[str, Any]], exit_code: int | None) -> None:
    assert judge(make_run(len(finals)), finals).exit_code == exit_code


@pytest.mark.parametrize("reason", ["start_timeout", "log_limit", "output_limit", "timed_out", "out_of_memory"])
@pytest.mark.parametrize("rescheduled", [True, False])
def test_a_limit_ends_a_users_run_for_its_reason_also_when_it_asked_for_another_attempt(reason: str, rescheduled: bool) -> None:
    outcome = judge(make_run(), [ended(-15, reason, rescheduled=rescheduled)])
    assert (outcome.state, outcome.reason) == (RunState.FAILED, FailureReason(reason))


@pytest.mark.parametrize("final", [ended(3), ended(-9), ended(None, "lost")])
@pytest.mark.parametrize("asked", [True, False])
def test_a_users_run_that_did_not_complete_is_attempted_again_only_if_it_asked_for_it(final: dict[str, Any], asked: bool) -> None:
    outcome = judge(make_run(2), [ended(), final | {"rescheduled": asked}])
    assert (outcome.state is RunState.REGISTERED) == asked
    by_other_node = judge(make_run(2), [ended(rescheduled=asked), final])
    assert (by_other_node.state is RunState.REGISTERED) == asked


def test_success_is_not_repeated_whatever_the_command_asked_for_on_its_way() -> None:
    assert judge(make_run(2), [ended(rescheduled=True), ended(rescheduled=True)]).state is RunState.COMPLETED


def test_a_users_run_has_at_most_ten_attempts() -> None:
    assert judge(make_run(attempt=8), [ended(1, rescheduled=True)]).state is RunState.REGISTERED
    last = judge(make_run(attempt=9), [ended(1, rescheduled=True)])
    assert (last.state, last.reason, last.exit_code) == (RunState.FAILED, FailureReason.COMMAND_FAILED, 1)
    assert judge(make_run(attempt=9), [ended(0, rescheduled=True)]).state is RunState.COMPLETED


def test_a_stop_is_never_followed_by_another_attempt() -> None:
    run = make_run(is_cancelled=True)
    assert judge(run, [ended(-15, "stopped", rescheduled=True)]).state is RunState.CANCELLED
    assert judge(run, [ended(0, rescheduled=True)]).state is RunState.COMPLETED


def test_the_node_that_failed_first_is_named_and_the_one_stopped_for_it_is_not() -> None:
    outcome = judge(make_run(2), [ended(-15, "stopped", at=1.0), ended(3, details="It ended with exit code 3.", at=2.0)])
    assert outcome.details == "Node 1: It ended with exit code 3."
    assert outcome.reason is FailureReason.COMMAND_FAILED


def test_what_the_nodes_want_people_to_know_is_said_once() -> None:
    outcome = judge(make_run(2), [ended(message="No cgroup."), ended(message="No cgroup.")])
    assert outcome.message == "No cgroup."


def test_a_lost_node_is_not_tried_again_for_a_user_but_is_for_ours() -> None:
    run = make_run()
    assert judge(run, [ended(None, "lost")]).state is RunState.FAILED
    ours = replace(run, spec=RunSpec(("true",), max_attempts=2))
    assert judge(ours, [ended(None, "lost")]).state is RunState.REGISTERED
