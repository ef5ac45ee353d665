"""What the shell of a user's command is given to read: its variables, its limits and its script, as a text of its own.

Nothing of it is an argument of another program, where every user of the host could read it, and no variable of the user
reaches a program that still has rights. Knows no isolation.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCRIPT_FD = 3
READ_SCRIPT = f". /proc/self/fd/{SCRIPT_FD}"
HOLD = "while :; do sleep 3600; done"
"""The script of a node that is held until it is stopped."""
_SHELL_VARIABLES = frozenset(
    {"SHELLOPTS", "BASHOPTS", "UID", "EUID", "PPID", "GROUPS", "POSIXLY_CORRECT", "SHLVL", "_", "OLDPWD", "IFS", "OPTIND"}
)


def unexportable_names(environment: Mapping[str, str]) -> list[str]:
    """Return the names of variables that no shell can hold, such as ``weight-decay``."""
    return [name for name in environment if not (name.isascii() and name.isidentifier())]


def write_script(
    environment: Mapping[str, str], argv: Sequence[str], directory: str, *, has_bash: bool, max_processes: int | None
) -> bytes:
    """Return the text that goes to the directory, sets the variables and becomes ``argv``.

    What the shell will not hold is given to ``env``; where the shell is not bash that would be in vain.
    """
    lines = [f"exec {SCRIPT_FD}<&-"]
    if max_processes is not None:
        lines.append(f"ulimit -{'u' if has_bash else 'p'} {max_processes} 2>/dev/null || :")
    lines.append(f"cd {_quote(directory)} || exit 126")
    late: list[str] = []
    for name, value in environment.items():
        if not (name.isascii() and name.isidentifier()):
            late += [_quote(f"{name}={value}")] if has_bash else []
        elif name in _SHELL_VARIABLES or name.startswith("BASH_"):
            late.append(_quote(f"{name}={value}"))
        else:
            lines.append(f"export {name}={_quote(value)}")
    words = " ".join(map(_quote, argv))
    lines.append(f"exec /usr/bin/env {' '.join(late)} {words}" if late else f"exec {words}")
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def memory_file(name: str, content: bytes) -> int:
    """Return the descriptor of a file in memory that holds ``content``, to be inherited and read from its start."""
    handle = os.memfd_create(name, os.MFD_CLOEXEC)
    view = memoryview(content)
    offset = 0
    while offset < len(view):
        offset += os.pwrite(handle, view[offset:], offset)
    return handle


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
