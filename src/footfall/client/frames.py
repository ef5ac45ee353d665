"""Tables of results as data frames of polars, which is installed as the extra ``frames``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from footfall.errors import InputError

if TYPE_CHECKING:
    import polars


def read_frame(content: bytes, columns: Mapping[str, str], *, has_header: bool = False) -> "polars.DataFrame":
    """Return a TSV as a data frame.

    Args:
        columns: the name of each column and of its type in polars.

    Raises:
        InputError: polars is not installed.
    """
    try:
        import polars
    except ModuleNotFoundError as error:
        raise InputError("Data frames need polars, which is not installed: pip install 'footfall[frames]'.") from error
    schema = {name: getattr(polars, kind) for name, kind in columns.items()}
    if not content:
        return polars.DataFrame(schema=schema)
    return polars.read_csv(content, separator="\t", has_header=has_header, quote_char=None, schema=schema)
