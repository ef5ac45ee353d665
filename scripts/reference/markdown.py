"""What the pages of the reference have in common."""

import inspect


def first_sentence(kind: object) -> str:
    """Return the first sentence of a docstring, as Markdown."""
    return " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split()).replace("``", "`")


def page_head(title: str, source: str) -> str:
    """Return how a generated page begins."""
    return f"# {title}\n\nMade from {source} by `make docs`; do not edit.\n\n"
