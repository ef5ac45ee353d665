"""What the dense columns of an encoder mean, in words that a reader of a report knows.

Knows their names alone.
"""

_VALUES = {
    "days_since_last": "days since the last event", "days_since_first": "days since the first event",
    "days_between": "days between the first and the last event", "visits": "number of visits",
    "active_days": "number of days with an event", "events_per_visit": "events per visit",
    "largest_visit": "events of the largest visit", "last_visit": "events of the last visit",
    "gap_mean": "mean time between visits", "gap_spread": "spread of the times between visits",
    "gap_longest": "longest time between visits", "gap_last": "time between the last two visits",
    "gap_regularity": "how regular the visits are", "overdue": "time since the last visit, in mean times between visits",
    "last_over_first": "how recent the last event is: time since it, over the time since the first",
    "recent_half": "share of events in the later half of the time", "visit_trend": "whether visits become more or fewer",
    "visits_decayed_30": "visits, recent ones counting more", "visits_decayed_90": "visits, recent ones counting more",
    "visits_per_day": "visits per day", "visit_minutes": "minutes of visits", "hours": "how many hours of the day have events",
    "weekdays": "how many weekdays have events",
}  # fmt: skip
_ENDINGS = {
    "_30_days_sum": "sum of {} in the last 30 days", "_90_days_sum": "sum of {} in the last 90 days",
    "_last_visit_sum": "sum of {} in the last visit", "_visit_mean": "mean sum of {} a visit",
    "_visit_most": "largest sum of {} of a visit", "_negative_share": "share of negative values of {}",
    "_sum": "sum of {}", "_mean": "mean of {}", "_spread": "spread of {}", "_least": "smallest value of {}",
    "_most": "largest value of {}", "_last": "last value of {}", "_trend": "whether {} becomes more or less",
    "_distinct": "number of different values of {}", "_entropy": "how evenly the values of {} are spread",
    "_top_share": "share of the most frequent value of {}", "_switches": "how often {} changes",
}  # fmt: skip


def explain_column(name: str) -> str:
    """Return what a column means, in brackets behind a blank; nothing if its name says it or nothing is known of it."""
    if name in _VALUES:
        return f" ({_VALUES[name]})"
    if name.startswith("latent_"):
        return " (a pattern of behaviors that occur together)"
    if name.startswith(("behavior_", "value_", "group_", "words_", "idf_", "number_", "tail_")):
        return ""
    for ending, words in _ENDINGS.items():
        if name.endswith(ending) and len(name) > len(ending):
            return f" ({words.format(name.removesuffix(ending))})"
    return ""
