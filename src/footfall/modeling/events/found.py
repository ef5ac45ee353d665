"""What was found in an event log, for people: each column with its role, how full it is and a few values, and warnings.

Knows columns and their profiles; nothing of files. Bounded, because it is kept with the result of a job: many columns and
warnings are cut. Values that may tell who somebody is are never among the examples.
"""

import re
from collections.abc import Mapping, Sequence

from footfall.contract.found import FoundColumn
from footfall.modeling.events.columns import Columns, Profiles, shown_name
from footfall.modeling.events.names import names_person
from footfall.modeling.events.profiles import TIME, Profile
from footfall.personal_data import find_personal_data

MAX_COLUMNS, MAX_WARNINGS = 80, 30
_MAX_NAME, _MAX_NOTE, _MAX_WARNING, _MAX_EXAMPLE = 80, 160, 400, 24
_LONG_NUMBER = re.compile(r"\d{9}")


def find_all(columns: Columns, profiles: Profiles, missing: Mapping[str, float]) -> list[FoundColumn]:
    """Return the columns of a log, those that are used first; ``missing`` are shares of all rows, where they were counted."""
    used = [name for name in columns.names if name in profiles]
    rest = [name for name in profiles if name not in used]
    return [
        FoundColumn(
            name=shorten(shown_name(name, profiles), _MAX_NAME),
            role=_role(name, columns),
            kind=profiles[name].kind,
            missing=round(missing.get(name, profiles[name].missing), 4) if profiles[name].n or name in missing else None,
            examples=_examples(name, columns, profiles[name]),
            note=shorten(columns.notes.get(name, ""), _MAX_NOTE),
        )
        for name in [*used, *rest][:MAX_COLUMNS]
    ]


def cut_warnings(lines: Sequence[str]) -> list[str]:
    """Return the first warnings, the long ones cut."""
    more = len(lines) - MAX_WARNINGS
    cut = [shorten(line, _MAX_WARNING) for line in lines[:MAX_WARNINGS]]
    return cut + ([f"and {more} more, which the log of the job has"] if more > 0 else [])


def _role(name: str, columns: Columns) -> str:
    roles = {
        "user_id": (columns.user_id,), "timestamp": (columns.timestamp,), "behavior": columns.behavior,
        "numeric": columns.numeric, "categorical": columns.categorical,
    }  # fmt: skip
    return ", ".join(role for role, names in roles.items() if name in names) or "not used"


def _examples(name: str, columns: Columns, profile: Profile) -> list[str]:
    if name == columns.user_id or names_person(name):
        return []
    if profile.kind == TIME or name == columns.timestamp:
        return list(profile.examples)
    return [shorten(text, _MAX_EXAMPLE) for text in profile.examples if not _is_private(text)]


def _is_private(text: str) -> bool:
    return "@" in text or _LONG_NUMBER.search(text) is not None or find_personal_data(text, has_user_id=False) is not None


def shorten(text: str, length: int) -> str:
    """Return a text in one line, cut if it is long."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
