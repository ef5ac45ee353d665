"""The times of an event log while it is read: their unit, the last one, and warnings about outliers.

Knows times and where a row stands; nothing of files or users. Outliers are found by counts in bins
of 25 days, which costs a few thousandths of the reading: no row is kept or read twice.

Shapes: N rows, T bins.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import I64
from footfall.modeling.events.arrays import UNITS, read_times
from footfall.modeling.events.formats.location import Location

_BIN_BITS = 41
_HALF_BINS = 1 << 17
"""From 1970 as far as numbers and texts of times go, to either side."""
_GAP_BINS = 15
"""A year and some days."""
_MIN_EVENTS = 100
_FEW = 0.001
_YEAR_1980 = int(np.datetime64("1980-01-01", "us").astype(np.int64))


class Times:
    """The times of one log, batch by batch."""

    def __init__(self, column: str | None, rivals: Sequence[str] = ()) -> None:
        """``rivals`` are other columns of dates, if none is declared to be the time."""
        self._column, self._rivals = column, rivals
        self._unit_us = 0.0
        self._count_T = np.zeros(2 * _HALF_BINS, np.int64)
        self.last_us = int(np.iinfo(np.int64).min)

    def read(self, columns: dict[str, pa.Array], location: Location, n_rows: int) -> I64:
        """Return the times of a batch, (N,) microseconds since 1970; zeros without a column of them.

        Raises:
            DataError: a row without a time, or values that are none.
        """
        if self._column is None:
            return np.zeros(n_rows, np.int64)
        is_new = self._unit_us == 0
        time_N, self._unit_us = read_times(columns[self._column], self._column, location, self._unit_us)
        if is_new and self._unit_us and self._rivals and time_N.size and time_N.max() < _YEAR_1980:
            raise location.error(
                0,
                f"the numbers of the column {self._column!r} are no times: as {UNITS[self._unit_us]} since 1970 all lie before "
                f'1980. The column {self._rivals[0]!r} holds dates. Name the right one as "timestamp" in `columns`.',
            )
        return time_N

    def count(self, time_N: I64) -> None:
        """Count the times of events that are kept."""
        if time_N.size == 0:
            return
        time_N = time_N.view()
        time_N.setflags(write=False)  # one type, so that it is compiled for once
        self.last_us = max(self.last_us, _count(time_N, self._count_T))

    def describe(self, until_us: int, *, is_until_given: bool) -> list[str]:
        """Return log lines: what the times were taken for, when observation ends, and warnings."""
        unit = UNITS.get(self._unit_us)
        lines = [f"times are {unit} since 1970" if unit else "times are dates"]
        lines.append(f"observed until {_shown(until_us)}" + ("" if is_until_given else ", the last event"))
        if until_us < _YEAR_1980 and unit:
            lines.append(
                f"warning: taken for {unit} since 1970, the last event lies before 1980; if the numbers count something else, "
                "such as hours or days, only the order of the events is right. Write ISO 8601, or seconds since 1970."
            )
        elif until_us < _YEAR_1980:
            lines.append("warning: the last event lies before 1980; are the times really what they are taken for?")
        if not is_until_given:
            lines += self._describe_late(until_us)
        return lines + self._describe_early()

    def _describe_late(self, until_us: int) -> list[str]:
        lines = []
        if until_us > int(np.datetime64("now", "us").astype(np.int64)):
            lines.append("warning: the last event lies in the future; `observed_until` leaves such events out")
        n_far, end_us = self._find_far(-1)
        if n_far:
            lines.append(
                f"warning: {_events_lie(n_far)} more than a year after all others, the last at {_shown(until_us)}, and so moves "
                f"the end of observation. If the time is wrong, correct it, or leave such events out by `observed_until`, such "
                f"as {_shown(end_us)[:10]}."
            )
        return lines

    def _describe_early(self) -> list[str]:
        n_far, start_us = self._find_far(1)
        if not n_far:
            return []
        first_us = (int(np.flatnonzero(self._count_T)[0]) - _HALF_BINS) << _BIN_BITS
        around = ", about 1970 as the number 0 does" if abs(first_us) < 2 << _BIN_BITS else ""
        return [
            f"warning: {_events_lie(n_far)} more than a year before all others{around}; the others begin about "
            f"{_shown(start_us)[:10]}. If the time is wrong or stands for none, correct it or leave such events out."
        ]

    def _find_far(self, step: int) -> tuple[int, int]:
        """Return (how many events lie more than a year beyond nearly all, where the others end); (0, 0) if none do.

        ``step``: 1 to look from the first one on, -1 from the last one back.
        """
        n_events, n_beyond, last = int(self._count_T.sum()), 0, 0
        at_T = np.flatnonzero(self._count_T)
        far = (0, 0)
        for at in at_T[::step].tolist():
            if n_beyond and abs(last - at) > _GAP_BINS:
                far = (n_beyond, (at + (step < 0) - _HALF_BINS) << _BIN_BITS)
            n_beyond, last = n_beyond + int(self._count_T[at]), at
            if n_beyond > max(1.0, _FEW * n_events):
                break
        return far if n_events >= _MIN_EVENTS else (0, 0)


def _events_lie(n: int) -> str:
    return "1 event lies" if n == 1 else f"{n:,} events lie"


@njit(cache=True, nogil=True)
def _count(time_N: I64, count_T: I64) -> int:
    """Add the times to the counts of their bins, and return the last one."""
    last = time_N[0]
    for n in range(time_N.size):
        last = max(last, time_N[n])
        count_T[min(max((time_N[n] >> _BIN_BITS) + _HALF_BINS, 0), count_T.size - 1)] += 1
    return int(last)


def _shown(time_us: int) -> str:
    return f"{str(np.datetime64(time_us, 'us'))[:19]} UTC"
