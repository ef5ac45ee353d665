"""The rules for names, sizes and texts of compute, each refused in one sentence. Pure.

Source: CLOVA NSML's pages on projects and authentication keys; what they leave open is decided in the reference page.
"""

import re

from footfall.errors import InvalidFieldError

MIN_PROJECT_NAME, MAX_PROJECT_NAME = 3, 50
MAX_TITLE = 100
MAX_NOTE = 1000
MIN_NAS_GB, MAX_NAS_GB, NAS_STEP_GB = 500, 5000, 100
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*-?", re.ASCII)


def check_project_name(name: str) -> None:
    """Refuse a name that no project can have.

    Raises:
        InvalidFieldError: rule ``pattern`` or ``too_long``.
    """
    if not MIN_PROJECT_NAME <= len(name) <= MAX_PROJECT_NAME:
        details = f"projectName has {len(name)} characters; use {MIN_PROJECT_NAME} to {MAX_PROJECT_NAME}."
        raise InvalidFieldError("projectName", name, "too_long", details)
    if not _NAME.fullmatch(name) or name.endswith("-"):
        details = (
            "projectName has characters that are not allowed; use English letters, digits and single '-', "
            "a letter first and no '-' last."
        )
        raise InvalidFieldError("projectName", name, "pattern", details)


def check_volume_name(name: str) -> None:
    """Refuse a name that no block storage can have.

    Raises:
        InvalidFieldError: rule ``pattern``.
    """
    if not 1 <= len(name) <= MAX_PROJECT_NAME or not _NAME.fullmatch(name):
        details = (
            f"blockStorageNm is {name[:60]!r}; use 1 to {MAX_PROJECT_NAME} English letters, digits and single '-', "
            "a letter first."
        )
        raise InvalidFieldError("blockStorageNm", name, "pattern", details)


def check_title(title: str) -> None:
    """Refuse what cannot be the title of an SSH key.

    Raises:
        InvalidFieldError: rule ``pattern`` or ``too_long``.
    """
    if not 1 <= len(title) <= MAX_TITLE:
        details = f"title has {len(title)} characters; use 1 to {MAX_TITLE}."
        raise InvalidFieldError("title", title, "too_long", details)
    if not _NAME.fullmatch(title):
        details = (
            "title has characters that are not allowed; use English letters, digits and single '-', a letter first."
        )
        raise InvalidFieldError("title", title, "pattern", details)


def check_note(note: str) -> None:
    """Refuse a description that is too long, or that a database cannot hold.

    Raises:
        InvalidFieldError: rule ``too_long`` or ``pattern``.
    """
    if len(note) > MAX_NOTE:
        raise InvalidFieldError(
            "note", note, "too_long", f"note has {len(note)} characters; use at most {MAX_NOTE} characters."
        )
    refuse_nul(note, "note")


def refuse_nul(value: str, field: str) -> None:
    """Refuse a text with a NUL in it.

    Raises:
        InvalidFieldError: rule ``pattern``.
    """
    if "\0" in value:
        raise InvalidFieldError(field, value, "pattern", f"{field} holds a NUL character; leave it out.")


def check_nas_size(size_gb: int) -> None:
    """Refuse a size that no project storage can have.

    Raises:
        InvalidFieldError: rule ``range``.
    """
    if not MIN_NAS_GB <= size_gb <= MAX_NAS_GB or size_gb % NAS_STEP_GB:
        details = f"nasVolumeSize is {size_gb}; give {MIN_NAS_GB} to {MAX_NAS_GB} GB in steps of {NAS_STEP_GB}."
        raise InvalidFieldError("nasVolumeSize", size_gb, "range", details)
