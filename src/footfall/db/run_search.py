"""Find users' runs by what they are: command, note, product, creator, reason, time taken. Reads every run of its scope."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from footfall.contract.runs import RunRequest
from footfall.db.engine.engine import Connection, now_us
from footfall.db.engine.prepared import Prepared
from footfall.states import FailureReason

_decode = msgspec.json.Decoder(RunRequest).decode


@dataclass(frozen=True, slots=True)
class Wanted:
    """What runs must be, each if it is given; ``command`` and ``note`` are texts that these hold."""

    command: str = ""
    note: str = ""
    product_code: int | None = None
    user_number: int | None = None
    reason: FailureReason | None = None
    min_s: int | None = None
    max_s: int | None = None

    def conditions(self) -> dict[str, int | str]:
        """Return the values of the SQL conditions that count."""
        given = {
            "product": self.product_code,
            "user": self.user_number,
            "reason": self.reason and self.reason.value,
            "min_us": None if self.min_s is None else self.min_s * 1_000_000,
            "max_us": None if self.max_s is None else self.max_s * 1_000_000,
            "command": _pattern(self.command),
            "note": _pattern(self.note),
        }
        return {name: value for name, value in given.items() if value is not None}


def find_places(
    connection: Connection,
    column: str,
    shown: str,
    owner: str,
    scope: str,
    kinds: tuple[Sequence[str], Sequence[str]],
    wanted: Wanted,
) -> list[int]:
    """Return the numbers or serials of the runs that are wanted, highest first.

    Args:
        column: ``number`` of a project, or ``serial`` of an account, whose id is ``scope``.
        kinds: their states and types.
    """
    conditions = wanted.conditions()
    states, run_types = kinds
    statement = _statement(column, shown, owner, tuple(sorted(conditions)), len(states), len(run_types))
    values: dict[str, int | str] = {"scope": scope, **conditions}
    if {"min_us", "max_us"} & conditions.keys():
        values["now"] = now_us()
    values |= {f"state{n}": each for n, each in enumerate(states)} | {f"run_type{n}": each for n, each in enumerate(run_types)}
    rows = statement.all(connection, **values)
    if not wanted.command and not wanted.note:
        return [int(row[0]) for row in rows]
    # LIKE takes some letters for others, and looks at the whole request.
    requests = ((int(row[0]), _decode(row[1])) for row in rows)
    return [place for place, request in requests if wanted.command in request.command and wanted.note in request.note]


def _pattern(text: str) -> str | None:
    """Return the LIKE pattern of a text within JSON."""
    if not text:
        return None
    written = msgspec.json.encode(text).decode()[1:-1]
    for letter in "!%_":
        written = written.replace(letter, f"!{letter}")
    return f"%{written}%"


_TAKEN = "COALESCE(runs.ended_at, :now) - runs.started_at"
_CONDITIONS = {
    "product": "runs.product_code = :product",
    "user": "COALESCE(users.number, 0) = :user",
    "reason": "runs.reason = :reason",
    "min_us": f"{_TAKEN} >= :min_us",
    "max_us": f"{_TAKEN} <= :max_us",
    "command": "runs.request LIKE :command ESCAPE '!'",
    "note": "runs.request LIKE :note ESCAPE '!'",
}


@functools.cache
def _statement(column: str, shown: str, owner: str, names: tuple[str, ...], n_states: int, n_run_types: int) -> Prepared:
    text = ", runs.request" if {"command", "note"} & set(names) else ""
    users = "LEFT JOIN users ON users.id = runs.user_id " if "user" in names else ""
    states = ", ".join(f":state{n}" for n in range(n_states))
    run_types = ", ".join(f":run_type{n}" for n in range(n_run_types))
    conditions = "".join(f" AND {_CONDITIONS[name]}" for name in names)
    return Prepared(
        f"SELECT runs.{column}{text} FROM runs {users}WHERE runs.{owner} = :scope AND {shown} AND runs.state IN ({states}) "
        f"AND runs.run_type IN ({run_types}){conditions} ORDER BY runs.{column} DESC"
    )
