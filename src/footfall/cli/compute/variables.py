"""The variables of a command, as options and files name them: ``NAME=VALUE``, or ``NAME`` alone for the caller's value."""

import os
from collections.abc import Iterable
from pathlib import Path

from footfall.errors import InputError

QUOTES = "\"'"


def read_variables(texts: Iterable[str]) -> dict[str, str]:
    """Return the variables that options name.

    Raises:
        InputError: one has no name, or is to be taken from here and is not set.
    """
    return dict(_variable(text, repr(text)) for text in texts)


def read_variable_files(files: Iterable[Path]) -> dict[str, str]:
    """Return the variables of files, a line each; the last one of a name counts.

    Blank lines and those that begin with ``#`` are passed over, and so is the word ``export`` before a name; quotes around a
    whole value are taken away.

    Raises:
        InputError: a line reads differently, with its number; or a file is no text.
    """
    found: dict[str, str] = {}
    for file in files:
        try:
            lines = file.read_text("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise InputError(f"{file} is no text in UTF-8.") from error
        for number, line in enumerate(lines, 1):
            text = line.strip().removeprefix("export ").strip()
            if text and not text.startswith("#"):
                name, value = _variable(text, f"{file}, line {number}:")
                found[name] = _unquoted(value, f"{file}, line {number}") if "=" in text else value
    return found


def _variable(text: str, where: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    name = name.strip() if equals else name
    if not name or any(letter.isspace() for letter in name):
        raise InputError(f"{where} should read NAME=VALUE, or NAME alone to take the value from here.")
    if not equals:
        if name not in os.environ:
            raise InputError(f"{where} takes the value from here, where {name} is not set; write {name}=VALUE.")
        value = os.environ[name]
    return name, value


def _unquoted(value: str, where: str) -> str:
    value = value.strip()
    if value[:1] in QUOTES and value:
        if len(value) < 2 or value[-1] != value[0]:
            raise InputError(f"{where}: a quote is not closed; a value has one line.")
        return value[1:-1]
    return value
