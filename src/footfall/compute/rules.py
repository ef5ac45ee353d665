"""The rules for names, sizes and texts of compute, each refused in one sentence. Pure.

Source: CLOVA NSML's pages on projects and authentication keys; what they leave open is decided in the reference page.
"""

import re

from footfall.contract.runs import GIT_COMMIT, NewRun
from footfall.errors import InvalidFieldError
from footfall.records import Product

MIN_PROJECT_NAME, MAX_PROJECT_NAME = 3, 50
MAX_TITLE = 100
MAX_NOTE = 1000
MAX_COMMAND_CHARACTERS, MAX_COMMAND_BYTES = 32_768, 100_000
MAX_PRIORITY = 100
MAX_TIMEOUT_S = 10 * 366 * 86_400
MIN_NAS_GB, MAX_NAS_GB, NAS_STEP_GB = 500, 5000, 100
_DIGEST = re.compile(r"[0-9a-f]{64}")
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
        details = "title has characters that are not allowed; use English letters, digits and single '-', a letter first."
        raise InvalidFieldError("title", title, "pattern", details)


def check_note(note: str) -> None:
    """Refuse a description that is too long, or that a database cannot hold.

    Raises:
        InvalidFieldError: rule ``too_long`` or ``pattern``.
    """
    if len(note) > MAX_NOTE:
        raise InvalidFieldError("note", note, "too_long", f"note has {len(note)} characters; use at most {MAX_NOTE} characters.")
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


def check_digest(digest: str, field: str) -> str:
    """Return a digest that reads like SHA-256 in lower-case hexadecimal.

    Raises:
        InvalidFieldError: rule ``pattern``.
    """
    if not _DIGEST.fullmatch(digest):
        details = f"{field} is {digest[:80]!r}; give the SHA-256 of the archive, 64 digits of 0-9 and a-f."
        raise InvalidFieldError(field, digest, "pattern", details)
    return digest


def check_run(new: NewRun, product: Product) -> None:
    """Refuse what no run of a product can be; what its variables, image and machine allow is checked elsewhere.

    Raises:
        InvalidFieldError: a field breaks a rule.
    """
    if new.env is not None and new.envs is not None:
        details = "env and envs are two names of one field; give one of them."
        raise InvalidFieldError("env", None, "choice", details)
    if new.node_count not in product.node_counts:
        allowed = ", ".join(str(count) for count in product.node_counts)
        details = f"nodeCount is {new.node_count}; the product {product.code} takes: {allowed}."
        raise InvalidFieldError("nodeCount", new.node_count, "choice", details)
    _check_command(new.command or "", product)
    check_note(new.note or "")
    _check_numbers(new)
    if new.code_digest:
        check_digest(new.code_digest, "codeDigest")
    if new.git_commit and not re.fullmatch(GIT_COMMIT, new.git_commit):
        details = f"gitCommit is {new.git_commit[:80]!r}; give the whole id of a commit, 40 or 64 digits of 0-9 and a-f."
        raise InvalidFieldError("gitCommit", new.git_commit, "pattern", details)


def _check_command(command: str, product: Product) -> None:
    if product.use_type == "DEV":
        if command:
            details = f"The product {product.code} is a notebook, which takes no command; leave it out."
            raise InvalidFieldError("command", command, "choice", details)
        return
    if not command.strip():
        details = f"command is missing; the product {product.code} is for training and needs one."
        raise InvalidFieldError("command", command, "missing", details)
    word = command.split(maxsplit=1)[0]
    if word.startswith("-"):
        details = f"command begins with {word[:80]!r}, which is an option and no program; give the program first."
        raise InvalidFieldError("command", command, "pattern", details)
    if len(command) > MAX_COMMAND_CHARACTERS or len(command.encode()) > MAX_COMMAND_BYTES:
        details = (
            f"command has {len(command)} characters; at most {MAX_COMMAND_CHARACTERS}, and {MAX_COMMAND_BYTES} bytes, "
            "are allowed. Put it into a file and send that as code."
        )
        raise InvalidFieldError("command", None, "too_long", details)
    refuse_nul(command, "command")


def _check_numbers(new: NewRun) -> None:
    if new.priority is not None and not -MAX_PRIORITY <= new.priority <= MAX_PRIORITY:
        details = f"priority is {new.priority}; give a whole number from {-MAX_PRIORITY} to {MAX_PRIORITY}."
        raise InvalidFieldError("priority", new.priority, "range", details)
    if new.timeout_seconds is not None and not 1 <= new.timeout_seconds <= MAX_TIMEOUT_S:
        details = f"timeoutSeconds is {new.timeout_seconds}; give a whole number from 1 to {MAX_TIMEOUT_S}."
        raise InvalidFieldError("timeoutSeconds", new.timeout_seconds, "range", details)
    for field, value in (("outputLimitBytes", new.output_limit_bytes), ("logLimitBytes", new.log_limit_bytes)):
        if value is not None and value < 1:
            raise InvalidFieldError(field, value, "range", f"{field} is {value}; give at least 1.")
    numbers = new.block_storage_no_list or []
    if len(set(numbers)) < len(numbers):
        details = "blockStorageNoList has a number twice; name each once."
        raise InvalidFieldError("blockStorageNoList", None, "choice", details)
