"""What the columns of an encoder are called in sentences."""

import pytest

from footfall.modeling.encoding.timing import NAMES
from footfall.modeling.report.meanings import explain_column


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("last_over_first", " (how recent the last event is: time since it, over the time since the first)"),
        ("amount_30_days_sum", " (sum of amount in the last 30 days)"),
        ("place_distinct", " (number of different values of place)"),
        ("latent_1", " (a pattern of behaviors that occur together)"),
        ("behavior_3_sum (tea)", ""),
        ("tail_distinct", ""),
    ],
)
def test_a_column_is_explained_unless_its_name_says_it(name: str, words: str) -> None:
    assert explain_column(name) == words


def test_columns_of_times_that_are_no_plain_counts_are_explained() -> None:
    plain = ("events_7", "events_30", "events_90", "visits_7", "visits_30", "visits_90", "hour_", "weekday_")
    assert [name for name in NAMES if not explain_column(name) and not name.startswith(plain)] == []
