"""The arguments of bubblewrap for one node of a user's run.

The sandbox is a file system of its own: an empty root into which only what the image reads and what the run may write is
bound. A server that runs as root starts it without a user namespace and changes to an unprivileged user inside, with
setpriv: else the command would keep the server's rights. That setpriv runs in a clean environment and is the host's own,
never one of the image, because it runs before the rights are gone. For the same reason the command's variables do not pass
through it: the shell behind it reads them from an inherited memory file (``shell.py``).

Source: bwrap(1); the arguments for root were found by trying.
"""

from __future__ import annotations

import os
import stat

from footfall.runner.errors import LaunchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from footfall.contract.nodes import IsolationSpec
    from footfall.runner.image import ImageView

TOOLS = "/run/footfall"
"""Where programs of the host that the sandbox needs are, when the image is a file system of its own."""
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
_ETC = (
    "alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone", "nsswitch.conf", "resolv.conf",
    "host.conf", "gai.conf", "services", "protocols", "mime.types", "ssl", "ca-certificates", "pki", "OpenCL", "vulkan",
    "bash.bashrc", "profile", "profile.d", "terminfo",
)  # fmt: skip
_HARDWARE = ("/sys/devices", "/sys/class", "/sys/bus", "/sys/dev")
_OWN = ("proc", "dev", "sys", "run", "tmp", "mnt")  # directories of / that are never the image's


class Sandbox:
    """What is bound where. ``files`` maps a path inside to the content of a small file; ``size_mib`` bounds /dev/shm."""

    def __init__(
        self,
        image: ImageView,
        *,
        hidden: Sequence[str],
        writable: Mapping[str, str],
        devices: Sequence[str],
        files: Mapping[str, int],
        temporary: str,
        size_mib: int,
    ) -> None:
        self._image = image
        self._hidden = hidden
        self._writable = writable  # path inside → directory of the host
        self._devices = devices
        self._files = files
        self._temporary = temporary
        self._size_mib = size_mib
        self._made: set[str] = {"/"}
        self._covered: list[str] = []
        self._arguments: list[str] = []

    def arguments(self, isolation: IsolationSpec) -> list[str]:
        """Return every argument that builds the file system, in the order in which they take effect.

        Raises:
            LaunchError: the image has a link where something must be made.
        """
        if self._image.root:
            self._bind_root()
        else:
            self._bind_host()
        self._add("--proc", "/proc", "--dev", "/dev")
        # Made by whom starts the sandbox, and used by whom the command runs as.
        self._add("--perms", "1777", "--size", str(self._size_mib << 20), "--tmpfs", "/dev/shm")
        for path in _HARDWARE:
            self._make_parents(path)
            self._add("--ro-bind-try", path, path)
        for device in self._devices:
            self._add("--dev-bind-try", device, device)
        self._add("--bind", self._temporary, "/tmp")
        for path in self._image.reads:
            self._make_parents(path)
            self._add("--ro-bind", path, path)
        # Else a server's own user, whose commands run as itself, could fill the machine's memory in there.
        self._add("--remount-ro", "/dev")
        self._hide()
        for path, source in self._writable.items():
            self._make_parents(path)
            self._add("--bind", source, path)
        for path, file in self._files.items():
            self._make_parents(path)
            self._add("--perms", "0644", "--ro-bind-data", str(file), path)
        if self._image.root and isolation["uid"] is not None:
            self._bind_tools(isolation["tools"])
        for path in (*self._covered, "/"):
            self._add("--remount-ro", path)
        return self._arguments

    def _bind_host(self) -> None:
        for path in _SYSTEM:
            self._bind_entry(path, path)
        self._make("/etc")
        for name in _ETC:
            self._add("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")

    def _bind_root(self) -> None:
        for name in sorted(os.listdir(self._image.root)):
            if name not in _OWN:
                self._bind_below(os.path.join(self._image.root, name), f"/{name}")

    def _bind_below(self, source: str, path: str) -> None:
        """Bind a directory whole, unless something of ours must be made below it: then bind what it holds."""
        needed = [*self._writable, *self._hidden, *self._image.reads]
        below = next((each for each in needed if each.startswith(f"{path}/")), "")
        if os.path.islink(source) and (below or path in needed):
            # What is made behind a link is made wherever that leads, by a program that may still have all rights.
            raise LaunchError(
                f"The image cannot be used: its {path} is a link, and {below or path} is put there for the command. Make it a "
                "directory in the image, or keep the data directory, or what run_data names, somewhere else."
            )
        if not below:
            self._bind_entry(source, path)
            return
        self._make(path)
        for name in sorted(os.listdir(source)):
            self._bind_below(os.path.join(source, name), f"{path}/{name}")

    def _bind_entry(self, source: str, path: str) -> None:
        try:
            mode = os.lstat(source).st_mode
        except OSError:
            return
        if stat.S_ISLNK(mode):
            self._add("--symlink", os.readlink(source), path)
        elif stat.S_ISDIR(mode) or stat.S_ISREG(mode):
            self._make_parents(path)
            self._add("--ro-bind", source, path)
            self._made.add(path)

    def _bind_tools(self, tools: Mapping[str, str]) -> None:
        self._make(TOOLS)
        for name, source in tools.items():
            self._add("--ro-bind", source, f"{TOOLS}/{name}")

    def _hide(self) -> None:
        """Cover what is the server's own wherever a bound directory happens to hold it."""
        bound = (*_SYSTEM, *self._image.reads)
        for path in self._hidden:
            if any(path == each or path.startswith(f"{each}/") for each in bound):
                self._add("--perms", "0755", "--tmpfs", path)
                self._covered.append(path)

    def _make_parents(self, path: str) -> None:
        parent = os.path.dirname(path)
        if parent not in self._made:
            self._make(parent)

    def _make(self, path: str) -> None:
        if path not in self._made:
            self._make_parents(path)
            self._made.add(path)
            # Without its mode a parent could not be entered by the user that the command runs as.
            self._add("--perms", "0755", "--dir", path)

    def _add(self, *arguments: str) -> None:
        self._arguments.extend(arguments)


def namespaces(isolation: IsolationSpec, host: str) -> list[str]:
    """Return the arguments for namespaces and rights."""
    same = ["--die-with-parent", "--new-session", "--hostname", host]
    if isolation["uid"] is None:
        return ["--unshare-all", "--share-net", "--cap-drop", "ALL", *same]
    rights = [word for name in ("SETUID", "SETGID", "SETPCAP") for word in ("--cap-add", f"CAP_{name}")]
    kinds = ["--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup"]
    return [*kinds, "--cap-drop", "ALL", *rights, *same]


def drop_rights(isolation: IsolationSpec, image: ImageView) -> list[str]:
    """Return the command that leaves root for the unprivileged user, or nothing where the server is not root."""
    uid = isolation["uid"]
    if uid is None:
        return []
    words = [
        "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all",
        "--",
    ]  # fmt: skip
    if not image.root:
        return [isolation["setpriv"], *words]
    tools: Iterable[str] = isolation["tools"]
    if "loader" not in tools:
        return [f"{TOOLS}/setpriv", *words]
    return [f"{TOOLS}/loader", "--library-path", TOOLS, f"{TOOLS}/setpriv", *words]
