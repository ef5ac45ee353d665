"""What the image of a user's command is made of: which directories it reads, where its programs and its shell are.

Kinds: ``host`` is the platform's own Python environment, ``venv`` another one of this host, ``rootfs`` a whole file system in
a directory, ``oci`` a name that a container engine resolves first. Knows no isolation.
"""

from __future__ import annotations

import os

from footfall.runner.errors import LaunchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from footfall.contract.nodes import ImageSpec, IsolationSpec

_SHELLS = ("usr/bin/bash", "bin/bash", "usr/local/bin/bash", "usr/bin/sh", "bin/sh")


class ImageView:
    """What an image is made of. ``root`` is the directory that becomes /, or an empty text where that is the host's own.

    ``variables``: what an engine's image sets for its programs, None where it is of no engine.
    """

    def __init__(
        self,
        kind: str,
        *,
        root: str = "",
        path: str = "",
        reads: tuple[str, ...] = (),
        shell: str,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self.root = root
        self.path = path
        self.reads = reads
        self.shell = shell
        self.is_from_engine = variables is not None
        self.variables = variables or {}

    @property
    def has_bash(self) -> bool:
        """Whether its shell keeps variables whose names no shell can hold."""
        return self.shell.endswith("/bash")


def inspect_image(image: ImageSpec, isolation: IsolationSpec, variables: Mapping[str, str] | None = None) -> ImageView:
    """Return what an image is made of.

    Args:
        variables: what an engine's image sets, once it is a file system in a directory.

    Raises:
        LaunchError: its directory is not there, or there is no shell in it.
    """
    kind, name, path = image["kind"], image["name"], image["path"]
    own = (isolation["prefix"], isolation["base_prefix"])
    data = tuple(isolation.get("data", ()))
    if kind == "host":
        return ImageView(kind, path=os.path.join(own[0], "bin"), reads=(*own, *data), shell=_find_shell("/", name))
    if kind == "oci":
        return ImageView(kind, shell="/bin/sh")
    if not os.path.isdir(path):
        raise LaunchError(f"The image {name!r} cannot be used: there is no directory {path} on this host.")
    if kind == "venv":
        reads = (path, *_homes_of_venv(path), *data)
        return ImageView(kind, path=os.path.join(path, "bin"), reads=reads, shell=_find_shell("/", name))
    for part in ("etc", "etc/ld.so.preload"):
        if os.path.islink(os.path.join(path, part)):
            raise LaunchError(f"The image {name!r} cannot be used: its /{part} is a link.")
    programs = (variables or {}).get("PATH", "")
    return ImageView(
        kind, root=os.path.realpath(path), path=programs, reads=data, shell=_find_shell(path, name), variables=variables
    )


def generated_files(image: ImageView, hosts: Sequence[str], uid: int | None, home: str, nameserver: str = "") -> dict[str, str]:
    """Return the files that are put over an image's own, by path: the names of the run's nodes, and of the command's user.

    Args:
        hosts: the address of each node, by rank.
        uid: the user; None for the one that this process is.
        nameserver: who resolves names in the run's network, empty where that is the host's.
    """
    names = "".join(f"{host} node{rank}\n" for rank, host in enumerate(hosts))
    if image.root:
        # The loader reads the second one, for the program of ours that still has rights, and would load what it names.
        files = {"/etc/hosts": f"{names}127.0.0.1 localhost\n", "/etc/ld.so.preload": ""}
        if image.is_from_engine or nameserver:
            files["/etc/resolv.conf"] = _resolver(nameserver)
        return {path: text for path, text in files.items() if _is_plain_file(image.root + path)}
    user, group = (os.geteuid(), os.getegid()) if uid is None else (uid, uid)
    resolver = {"/etc/resolv.conf": _resolver(nameserver)} if nameserver else {}
    return resolver | {
        # Ours first: the first name of an address is what a program takes for the node's own.
        "/etc/hosts": f"{names}{_read_text('/etc/hosts')}\n127.0.0.1 localhost\n",
        "/etc/passwd": f"root:x:0:0:root:/root:/bin/sh\nuser:x:{user}:{group}:user:{home}:/bin/sh\n",
        "/etc/group": f"root:x:0:\nuser:x:{group}:\n",
    }


def _resolver(nameserver: str) -> str:
    lines = _read_text("/etc/resolv.conf").splitlines(keepends=True)
    if not nameserver:
        return "".join(lines)
    return f"nameserver {nameserver}\n{''.join(line for line in lines if line.startswith(('search ', 'domain ', 'options ')))}"


def _is_plain_file(path: str) -> bool:
    return os.path.isfile(path) and not os.path.islink(path)


def _read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def _find_shell(root: str, name: str) -> str:
    for shell in _SHELLS:
        if os.path.lexists(os.path.join(root, shell)):
            return f"/{shell}"
    raise LaunchError(f"The image {name!r} cannot be used: it has neither bash nor /bin/sh.")


def _homes_of_venv(path: str) -> tuple[str, ...]:
    """Return where the interpreter of a virtual environment lives, which must be readable too."""
    python = os.path.realpath(os.path.join(path, "bin", "python"))
    home = os.path.dirname(os.path.dirname(python))
    return (home,) if home not in ("/", "/usr") else ()
