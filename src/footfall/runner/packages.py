"""Where pip installs in a run whose image is a Python environment of the host, which nobody may write: below the run's home.

A small virtual environment that sees the image's packages and takes the new ones. The command's Python stays the image's: it
finds what was installed by PYTHONPATH, and so do programs such as torchrun that begin with the image's interpreter. Only pip is
run with the other interpreter, for else it would remove the image's copy of what it replaces. A virtual environment that the
command makes itself is left alone.

Source: the documentation of ``site`` and of pip's ``--python`` (22.3 and newer).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from footfall.runner.image import ImageView

NAME = ".packages"
_CUSTOMIZE = """import os, site, sys
if sys.prefix == {prefix!r}:
    _here = os.path.dirname(os.path.abspath(__file__))
    _before = list(sys.path)
    site.addsitedir(_here)  # what was installed editable goes before the image's
    _added = [_path for _path in sys.path if _path not in _before]
    _at = _before.index(_here) + 1 if _here in _before else 0
    sys.path[:] = _before[:_at] + _added + _before[_at:]
    _words = getattr(sys, "orig_argv", [])[1:3]
    if _words[:2] == ["-m", "pip"] or _words[:1] and os.path.basename(_words[0]).startswith("pip"):
        os.environ.setdefault("PIP_PYTHON", {python!r})
"""


def make_packages(image: ImageView, home: str, shown_home: str, uid: int | None) -> dict[str, str]:
    """Make the environment below a home; return the variables by which it is found, none where the image has no Python.

    Args:
        home: on the host; ``shown_home`` is what the command calls it.
        uid: whose it is; None for this process's own.

    Raises:
        OSError: it cannot be made.
    """
    prefix = os.path.dirname(image.path)
    libraries = sorted(name for name in _names(os.path.join(prefix, "lib")) if name.startswith("python3."))
    python = os.path.join(image.path, "python3")
    if not libraries or not os.path.exists(python):
        return {}
    library = os.path.join("lib", libraries[-1], "site-packages")
    shown = os.path.join(shown_home, NAME)
    interpreter = os.path.realpath(python)
    root = os.path.join(home, NAME)
    paths = [os.path.join(root, name) for name in ("", "bin", "lib", os.path.dirname(library), library)]
    for path in paths:
        os.mkdir(path, 0o755)
    os.symlink(interpreter, os.path.join(root, "bin", "python"))
    files = {
        "pyvenv.cfg": f"home = {os.path.dirname(interpreter)}\n",
        os.path.join(library, "image.pth"): f"import site; site.addsitedir({os.path.join(prefix, library)!r})\n",
        os.path.join(library, "sitecustomize.py"): _CUSTOMIZE.format(prefix=prefix, python=os.path.join(shown, "bin", "python")),
    }
    for name, text in files.items():
        handle = os.open(os.path.join(root, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)
    if uid is not None:
        for path in (*paths, *(os.path.join(root, name) for name in files)):
            os.chown(path, uid, uid)
    return {"PYTHONPATH": os.path.join(shown, library), "PATH": os.path.join(shown, "bin")}


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []
