"""The directories of a user's command on one node: which there are, whose, and by which path the command knows them.

Programs make sockets below their home and in the directory for temporary files, and the path of one may have 107 bytes. A
sandbox has short paths of its own for both; among the host's own files a link in /tmp leads to them.
"""

from __future__ import annotations

import os

from footfall import layout
from footfall.runner.errors import LaunchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from footfall.contract.nodes import NodeSpec
    from footfall.runner.image import ImageView

_PROJECT, _VOLUME = "/mnt/prj", "/mnt/block-storage"
SANDBOX_HOME = "/run/home"
_TOUCH_INTERVAL_S = 3600.0


class NodeDirectories:
    """Where a command finds its home, its temporary files and its code, and where it may write.

    ``home`` and ``temporary`` are on the host, ``shown_home`` and ``shown_temporary`` what the command is told.

    Args:
        node: the node's own directory.
        uid: the user that the command becomes, None for this process's own.
        is_sandboxed: the command has a file system of its own.
    """

    def __init__(self, spec: NodeSpec, node: str, uid: int | None, *, is_sandboxed: bool) -> None:
        assert spec["workload"] is not None
        self._work = spec["workload"]
        self._uid = uid
        self._is_sandboxed = is_sandboxed
        self._output = spec["output_dir"]
        self._note = os.path.join(node, layout.SHORT_PATH)
        self._short: str | None = None
        self._touch_at = 0.0
        self._scratch = scratch = os.path.join(node, layout.SCRATCH)
        self.home = os.path.join(scratch, "home")
        self.temporary = os.path.join(scratch, "tmp")
        self.code = os.path.join(scratch, "code")
        self.shown_home, self.shown_temporary = (SANDBOX_HOME, "/tmp") if is_sandboxed else (self.home, self.temporary)

    def make(self) -> None:
        """Make those that are the run's own, and give what the command may write to its user.

        Raises:
            LaunchError: one cannot be made.
        """
        own = (self._scratch, self.home, self.temporary, self.code, self._output)
        shared = (self._work["project_dir"], *(volume["path"] for volume in self._work["volumes"]))
        try:
            for path in own[1:]:
                os.makedirs(path, mode=0o700, exist_ok=True)
            if self._uid is not None:
                for path in (*own, *filter(None, shared)):
                    if os.lstat(path).st_uid != self._uid:
                        os.chown(path, self._uid, self._uid, follow_symlinks=False)
        except OSError as error:
            raise LaunchError(f"{error.filename} cannot be laid out for the command: {error.strerror}.") from error
        if not self._is_sandboxed:
            self._shorten()

    def _shorten(self) -> None:
        from footfall.files.short_path import make_short_path

        self._short = make_short_path(self._note, self._scratch, self._uid)
        if self._short is not None:
            self.shown_home = os.path.join(self._short, "home")
            self.shown_temporary = os.path.join(self._short, "tmp")

    def make_packages(self, image: ImageView) -> dict[str, str]:
        """Make where pip installs; return the variables by which it is found. Raises LaunchError."""
        from footfall.runner.packages import make_packages

        try:
            return make_packages(image, self.home, self.shown_home, self._uid)
        except OSError as error:
            raise LaunchError(f"{error.filename} cannot be laid out for the command: {error.strerror}.") from error

    def describe_left(self, since: float) -> list[str]:
        """Return a sentence for each directory that goes with the run into which the command has written since."""
        from footfall.runner.left_files import describe_left

        places = (("its copy of the code", self.code), ("its home", self.home))
        left = [(place, names) for place, path in places if (names := describe_left(path, since)) is not None]
        return [f"Not kept, for it was written into {place} and not below $NSML_OUTPUT_DIR: {names}." for place, names in left]

    def keep(self, now: float) -> None:
        """Keep the short path from looking unused; ``now`` is a monotonic time."""
        if self._short is not None and now >= self._touch_at:
            from footfall.files.short_path import touch_short_path

            touch_short_path(self._short)
            self._touch_at = now + _TOUCH_INTERVAL_S

    def release(self) -> None:
        """Remove the short path."""
        if self._short is not None:
            from footfall.files.short_path import remove_short_path

            remove_short_path(self._note, self._scratch)

    def writable(self) -> dict[str, str]:
        """Return what the command may write: each directory at its path on the host, storages also below /mnt."""
        places = {self._scratch: self._scratch, self._output: self._output}
        places |= {SANDBOX_HOME: self.home} if self._is_sandboxed else {}
        if self._work["project_dir"]:
            places |= {self._work["project_dir"]: self._work["project_dir"], _PROJECT: self._work["project_dir"]}
        volumes = {volume["number"]: volume["path"] for volume in self._work["volumes"]}
        for number, path in volumes.items():
            places[path] = path
            places[_VOLUME if len(volumes) == 1 else f"{_VOLUME}/{number}"] = path
        return places
