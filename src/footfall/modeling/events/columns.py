"""The columns of an event log: which one is the user, the time, the behavior, a number or a category, and which is not used.

Knows names of columns and what their first values show; nothing of files. What is declared holds; what is not is found by name
and kind: a user id by its name, a time by its name or type, a behavior by its name, every other column of numbers is
numeric and every other column of text a category. Numbers that are ids are categories, and numbers of rows are nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from footfall.errors import DataError
from footfall.modeling.events.names import Names, has_no_name, is_verb, may_name_code, names_code, names_rows, snake
from footfall.modeling.events.notations import Notation
from footfall.modeling.events.options import LogOptions
from footfall.modeling.events.profiles import DIGITS, EMPTY, LISTS, NUMBER, TEXT, TIME, UNREADABLE, Profile

Profiles = Mapping[str, Profile]
MAX_NUMERIC, MAX_CATEGORICAL = 8, 8
"""Columns beyond the first so many are left out, and the run's log lists them."""
_PARTS = ("time", "day")
"""Beside a column called as times are, these may hold a part of them: the hour, the weekday."""
_BETTER = 0.01
"""A column that could be meant, too, is taken if so large a share of values more is there."""
_LARGE, _FLAGS = 1_000, 2


@dataclass(frozen=True)
class Columns:
    """The columns of a log by what they are."""

    user_id: str
    timestamp: str | None
    behavior: tuple[str, ...]
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    ids: frozenset[str] = frozenset()
    """Categories that are ids or codes."""
    notations: Mapping[str, Notation] = field(default_factory=dict)
    """How the numbers of a column are written, if not plainly."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Why a column is not used, or what it was taken for."""
    warnings: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """All of them, once each."""
        time = () if self.timestamp is None else (self.timestamp,)
        return list(dict.fromkeys((self.user_id, *time, *self.behavior, *self.numeric, *self.categorical)))


def find_columns(options: LogOptions, profiles: Profiles, path: str) -> Columns:
    """Return the roles of the columns of a log; ``profiles`` are all of its columns, in order.

    Raises:
        DataError: UNEXPECTED_TXT_FORMAT, naming the columns: a declared one is not there or cannot be used, or no user
            id or behavior is found.
    """
    _check_declared(options, profiles, path)
    found = _Finder(options, profiles, path)
    user = options.user_id or found.user()
    timestamp = options.timestamp or found.time(user)
    behavior = options.behavior or found.behavior({user, timestamp, *(options.numeric or ()), *(options.categorical or ())})
    if not behavior:
        remedy = f"{_NAME.format('behavior')} Or add one with a text of what was done."
        raise refuse(path, profiles, "no column says what the user did", remedy)
    return found.others(user, timestamp, behavior)


class _Finder:
    """Finds roles one after the other, and keeps what is to be said of it."""

    def __init__(self, options: LogOptions, profiles: Profiles, path: str) -> None:
        self._options, self._profiles, self._path = options, profiles, path
        self._notes: dict[str, str] = {}
        self._warnings: list[str] = []
        self._left_out = {name: why for name, profile in profiles.items() if (why := _why_no_feature(name, profile))}
        self._names = Names(name for name, profile in profiles.items() if not has_no_name(name) and profile.depth < 2)

    def user(self) -> str:
        """Return the column of the user: the likeliest by its name, unless it is empty or another one is better filled."""
        named = self._names.users()
        usable = [name for name in named if self._profiles[name].kind not in UNREADABLE and not self._profiles[name].is_empty]
        if not usable:
            what = f"the column {named[0]!r} is empty or nested, and no other" if named else "no column"
            raise refuse(self._path, self._profiles, f"{what} column is the user id" if named else "no column is the user id",
                         _suggest_user(self._profiles))  # fmt: skip
        first = named[0]
        return self._prefer(first, self._best_filled(usable), "the user id", leave_out=True)

    def time(self, user: str) -> str | None:
        """Return the column of times; none and another one are refused where one is called as times are and holds no times.

        It would go unnoticed that the right one is not used.
        """
        options, profiles = self._options, self._profiles
        named = [name for name in self._names.times() if name != user]
        by_name = self._filled_time(named)
        if by_name is None:
            by_name = self._filled_time([name for name in self._names.other_times() if name != user])
            before = named
        else:
            before = named[: named.index(by_name)]
        column = by_name or next((name for name, profile in profiles.items() if profile.kind == TIME and name != user), None)
        declared = {*options.behavior, *(options.categorical or ()), *(options.numeric or ())}
        parts = _PARTS if by_name else ()
        before = [name for name in before if snake(name) not in parts and name not in declared and not profiles[name].depth]
        unread = next((n for n in before if profiles[n].kind not in (TIME, NUMBER, DIGITS)
                       and (column is None or not profiles[n].is_empty)), None)  # fmt: skip
        if unread is not None:
            other = "" if column is None else f'name another column, such as {column!r}, as "timestamp" in `columns`; '
            raise DataError(
                "UNEXPECTED_TXT_FORMAT",
                f"the column {unread!r} is called as times are, but most of its first values are none. Write ISO 8601, such as "
                f"2025-03-31T14:05:00Z, or seconds since 1970; {other}or declare it as categorical in `columns` if it holds no "
                "times.",
                path=self._path,
            )
        if column is None and options.observed_until is not None:
            raise refuse(self._path, profiles, "`observed_until` needs times, but no column holds any", _NAME.format("timestamp"))
        return column

    def _filled_time(self, named: list[str]) -> str | None:
        """Return the first that can be read as times, or a better filled one: every event needs a time."""
        usable = [name for name in named if self._profiles[name].kind in (TIME, NUMBER, DIGITS) and not self._is_counter(name)]
        if not usable:
            return None
        return self._prefer(usable[0], self._best_filled(usable), "the time", leave_out=True)

    def _is_counter(self, name: str) -> bool:
        profile = self._profiles[name]
        return profile.kind == NUMBER and profile.counts_rows and profile.median < 1e8

    def _best_filled(self, names: list[str]) -> str:
        best = names[0]
        for name in names[1:]:
            if self._profiles[name].missing < self._profiles[best].missing - _BETTER:
                best = name
        return best

    def _prefer(self, first: str, best: str, what: str, *, leave_out: bool = False) -> str:
        if best != first:
            if leave_out:
                self._left_out.setdefault(first, "")
            share = self._profiles[first].missing
            self._notes[first] = f"{100 * share:.0f} % of its first values are missing; {best} is taken for {what}"
            self._warnings.append(
                f"the column {first!r} could be {what}, but {100 * share:.0f} % of its first values are missing; {best!r}, "
                f"which is better filled, is taken. Declare {first!r} if it is meant."
            )
        return best

    def behavior(self, taken: set[str | None]) -> tuple[str, ...]:
        """Return the columns of what was done; none if there are none."""

        def is_free(name: str) -> bool:
            kind = self._profiles[name].kind
            return kind in (TEXT, DIGITS, NUMBER, EMPTY) and name not in taken and not self._profiles[name].counts_rows

        behaviors = self._free(self._names.behaviors(), is_free)
        if behaviors:
            return (self._mostly_filled(behaviors),)
        verbs, things = self._free(self._names.verbs(), is_free), self._free(self._names.objects(), is_free)
        pair = [self._mostly_filled(names) for names in (verbs, things) if names]
        if pair:
            return tuple(pair)
        texts = (name for name, profile in self._profiles.items() if profile.kind in (TEXT, DIGITS) and is_free(name))
        return tuple(name for name in texts if name not in self._left_out)[:1]

    def _free(self, names: list[str], is_free: Callable[[str], bool]) -> list[str]:
        return [name for name in names if is_free(name)]

    def _mostly_filled(self, names: list[str]) -> str:
        first = names[0]
        if self._profiles[first].missing <= 0.5:
            return first
        return self._prefer(first, self._best_filled(names), "what was done")

    def others(self, user: str, timestamp: str | None, behavior: tuple[str, ...]) -> Columns:
        """Return all roles, with the numbers and categories that are left."""
        options, profiles = self._options, self._profiles
        rest = [name for name in profiles if name not in {user, timestamp, *behavior, *self._left_out}]
        rest.sort(key=lambda name: (profiles[name].is_empty, profiles[name].depth > 0))  # what is empty takes no other's place
        codes = {name for name in profiles if is_code(name, profiles[name])}
        numeric, categorical = options.numeric, options.categorical
        if numeric is None:
            fit = [n for n in rest if profiles[n].kind == NUMBER and n not in {*codes, *(categorical or ())}]
            numeric = tuple(fit[:MAX_NUMERIC])
            self._note_surplus(fit[MAX_NUMERIC:], f"only the first {MAX_NUMERIC} columns of numbers are used")
        if categorical is None:
            others = [n for n in rest if (profiles[n].kind in (TEXT, DIGITS, EMPTY) or n in codes) and n not in numeric]
            others = [n for n in others if profiles[n].kind not in (*UNREADABLE, TIME)]
            # a verb that is part of the behavior distinguishes kinds of events by itself, too
            verbs = [n for n in behavior if len(behavior) > 1 and is_verb(n)]
            fit = [*verbs, *others]
            categorical = tuple(fit[:MAX_CATEGORICAL])
            self._note_surplus(fit[MAX_CATEGORICAL:], f"only the first {MAX_CATEGORICAL} categories are used")
        self._note_the_rest(user, timestamp, behavior, numeric, categorical)
        notations = {n: p.notation for n, p in profiles.items() if p.notation is not None and n in numeric}
        return Columns(
            user, timestamp, behavior, numeric, categorical, frozenset(codes), notations, self._notes, tuple(self._warnings)
        )

    def _note_surplus(self, names: list[str], why: str) -> None:
        self._notes |= dict.fromkeys(names, f"{why}; declare it to have it used")

    def _note_the_rest(
        self, user: str, timestamp: str | None, behavior: tuple[str, ...], numeric: tuple[str, ...], categorical: tuple[str, ...]
    ) -> None:
        used = {user, timestamp, *behavior, *numeric, *categorical}
        for name, profile in self._profiles.items():
            if name in used:
                if profile.notation is not None and name in numeric:
                    self._notes[name] = profile.notation.describe()
                elif profile.doubt and (name in numeric or name in categorical):
                    self._doubt(name, profile, is_number=name in numeric)
                elif profile.kind == DIGITS and name in categorical and not is_code(name, profile):
                    self._notes[name] = "numbers as text; declare it as numeric if they are amounts"
            else:
                self._notes.setdefault(name, self._left_out.get(name) or _why_unused(profile))
        lists = [name for name, profile in self._profiles.items() if profile.kind == LISTS and name not in used]
        if lists:
            self._warnings.append(
                f"lists are not used: {', '.join(lists[:8])}. If they hold the events, write one row for each of their entries."
            )

    def _doubt(self, name: str, profile: Profile, *, is_number: bool) -> None:
        self._notes[name] = profile.doubt
        if is_number:
            self._warnings.append(f"the column {name!r}: {profile.doubt}")
        elif self._options.categorical is None:
            self._warnings.append(
                f"the column {name!r} looks like numbers, but is taken for a category: {profile.doubt}. Write its numbers alike, "
                "such as 1234.5, or declare it as categorical."
            )


def describe_columns(columns: Columns, options: LogOptions, profiles: Profiles) -> list[str]:
    """Return log lines with the roles of the columns, and warnings about doubtful ones."""
    shown = [
        f"{shown_name(name, profiles)} ({columns.notes.get(name, 'not used')})" for name in profiles if name not in columns.names
    ]
    parts = [
        f"user_id: {columns.user_id}", f"timestamp: {columns.timestamp or 'none'}", f"behavior: {' + '.join(columns.behavior)}",
        f"numeric: {', '.join(columns.numeric) or 'none'}", f"categorical: {', '.join(columns.categorical) or 'none'}",
    ]  # fmt: skip
    lines = ["columns: " + "; ".join(parts) + (f"; not used: {', '.join(shown)}" if shown else "")]
    lines += [f"warning: {warning}" for warning in columns.warnings]
    clock = next((n for n in columns.categorical if snake(n) == "time" and profiles[n].kind == TEXT), None)
    if clock is not None and columns.timestamp is not None and options.timestamp is None:
        lines.append(
            f"warning: the times are those of {columns.timestamp!r} alone; if {clock!r} holds hours, write both in one column"
        )
    lines += [
        f"warning: the column {name!r} is empty as far as was looked, and taken for a category. Declare it in `columns` if it "
        "is something else."
        for name in columns.categorical
        if profiles[name].kind == EMPTY and profiles[name].is_empty and not options.categorical
    ]
    return lines


def shown_name(name: str, profiles: Profiles) -> str:
    """Return the name of a column for display; one without a name is called by its place."""
    return name if name.strip() else f"(column {list(profiles).index(name) + 1})"


def is_code(name: str, profile: Profile) -> bool:
    """Return whether the numbers of a column are only names: by what it is called, and by what it holds."""
    if profile.notation is not None or (profile.kind == NUMBER and not profile.is_whole and profile.n_distinct):
        return False
    if names_code(name) or (profile.kind == NUMBER and profile.looks_like_ids and not _is_time_like(profile)):
        return True
    ending = may_name_code(name) if profile.n_distinct > _FLAGS or profile.kind != NUMBER else ""
    return ending == "id" or (ending == "number" and profile.median >= _LARGE)


def _is_time_like(profile: Profile) -> bool:
    return any(1e9 * scale <= profile.median < 2.1e9 * scale for scale in (1, 1e3, 1e6, 1e9))


def _why_no_feature(name: str, profile: Profile) -> str:
    if has_no_name(name):
        return "it has no name, as the numbers of rows have none"
    if profile.kind == NUMBER and profile.counts_rows:
        return "it numbers the rows of the file"
    if profile.kind == NUMBER and names_rows(name) and profile.may_count_rows:
        return "it is called as numbers of rows are, and another one stands in each row"
    return "" if profile.depth < 2 else "it is nested deeper than one level; declare it to have it used"


def _why_unused(profile: Profile) -> str:
    if profile.kind == TIME:
        return "dates beside the time are not used"
    if profile.kind == LISTS:
        return "lists are not used; write one row for each of its entries"
    if profile.kind in UNREADABLE:
        return "it is nested, or of a type that cannot be read"
    return "others are declared"


def _may_be_user(name: str, profile: Profile) -> bool:
    if profile.kind in UNREADABLE or profile.is_empty or profile.counts_rows or has_no_name(name):
        return False
    return is_code(name, profile) or snake(name) == "session"


def _suggest_user(profiles: Profiles) -> str:
    remedy = _NAME.format("user_id")
    would_do = [name for name, profile in profiles.items() if _may_be_user(name, profile)]
    if would_do:
        remedy += f" {would_do[0]!r} would do, if that is whom you want scored."
    lists = next((name for name, p in profiles.items() if p.kind == LISTS), None)
    if lists is not None:
        remedy += (
            f" The column {lists!r} holds lists: if these are the events, write one line for each of them with its user, as "
            f"`jq -c '. as $all | .{lists}[] + ($all | del(.{lists}))'` does."
        )
    return remedy


def _check_declared(options: LogOptions, profiles: Profiles, path: str) -> None:
    declared = {
        "user_id": (options.user_id,), "timestamp": (options.timestamp,), "behavior": options.behavior,
        "numeric": options.numeric or (), "categorical": options.categorical or (),
    }  # fmt: skip
    for role, names in declared.items():
        for name in names:
            if name is None:
                continue
            if name not in profiles:
                what = f"there is no column {name!r}, which `columns` declares"
                raise refuse(path, profiles, what, _NAME.format(role))
            if profiles[name].kind in UNREADABLE:
                what = f"the column {name!r} is nested or of a type that cannot be read"
                raise refuse(path, profiles, what, "Write its values as columns of numbers or texts, or declare another.")
    for role, limit in (("numeric", MAX_NUMERIC), ("categorical", MAX_CATEGORICAL)):
        if len(declared[role]) > limit:
            what = f"{len(declared[role])} {role} columns are declared"
            raise refuse(path, profiles, what, f"Declare at most {limit}.")


_NAME = 'Name the right one as "{}" in `columns`, or rename it.'


def refuse(path: str, profiles: Profiles, what: str, remedy: str) -> DataError:
    """Return the error about the columns of a log, which it lists."""
    shown = ", ".join(f"{shown_name(name, profiles)} ({p.kind})" for name, p in list(profiles.items())[:40]) or "none"
    return DataError("UNEXPECTED_TXT_FORMAT", f"{what}. The columns are: {shown}. {remedy}", path=path)
