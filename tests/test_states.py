import itertools

import pytest

from footfall.errors import WrongStateError
from footfall.states import FINAL_STATES, LIVE_STATES, TRANSITIONS, FailureReason, RunState, check_transition

PAIRS = list(itertools.product(RunState, RunState))


@pytest.mark.parametrize(("from_", "to"), PAIRS)
def test_exactly_the_transitions_of_the_table_are_allowed(from_: RunState, to: RunState) -> None:
    if (from_, to) in TRANSITIONS:
        check_transition("r", from_, to)
    else:
        with pytest.raises(WrongStateError):
            check_transition("r", from_, to)


def test_nothing_leaves_a_final_state() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] in FINAL_STATES]


def test_every_live_state_can_end_and_be_reached() -> None:
    for state in LIVE_STATES:
        assert any((state, final) in TRANSITIONS for final in FINAL_STATES)
        assert state == RunState.REGISTERED or any(to == state for _, to in TRANSITIONS)


def test_every_reason_has_a_sentence() -> None:
    for reason in FailureReason:
        assert reason.message().endswith(".")
        assert len(reason) <= 20  # the column's width
