"""What was found in the data set of a feature: made by its job, kept with its result, shown by the API and in reports."""

from typing import Annotated

import msgspec


class FoundColumn(msgspec.Struct):
    """A column of an event log: what it was taken for, and what it holds."""

    name: str
    role: Annotated[
        str,
        msgspec.Meta(description="`user_id`, `timestamp`, `behavior`, `numeric`, `categorical`, several of them, or `not used`."),
    ]
    kind: Annotated[str, msgspec.Meta(description="`number`, `time`, `text`, `numbers as text`, `empty`, `list` or nested.")]
    missing: Annotated[
        float | None, msgspec.Meta(description="Share of the rows without a value; of the first ones where it is not used.")
    ] = None
    examples: Annotated[
        list[str], msgspec.Meta(description="A few values, shortened; none of columns that may say who somebody is.")
    ] = []
    note: Annotated[str, msgspec.Meta(description="Why it is not used, or how it was read.")] = ""


class FoundData(msgspec.Struct):
    """What was found in the data set of a feature."""

    format: Annotated[str, msgspec.Meta(description="`sequence`, `parquet`, `csv` or `jsonl`.")]
    columns: list[FoundColumn] = []
    warnings: Annotated[list[str], msgspec.Meta(description="What to be careful about.")] = []
    events: int | None = None
    observed_until: Annotated[str | None, msgspec.Meta(description="End of observation, UTC.")] = None
