"""The directories of a user's command on one node: which there are, and whose. Knows no isolation."""

from __future__ import annotations

import os

from footfall.runner.errors import LaunchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from footfall.contract.nodes import NodeSpec

_PROJECT, _VOLUME = "/mnt/prj", "/mnt/block-storage"


class NodeDirectories:
    """Where a command finds its home, its temporary files and its code, and where it may write.

    Args:
        uid: the user that the command becomes, None for this process's own.
    """

    def __init__(self, spec: NodeSpec, scratch: str, uid: int | None) -> None:
        assert spec["workload"] is not None
        self._work = spec["workload"]
        self._scratch = scratch
        self._uid = uid
        self._output = spec["output_dir"]
        self.home = os.path.join(scratch, "home")
        self.temporary = os.path.join(scratch, "tmp")
        self.code = os.path.join(scratch, "code")

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
            for path in (*own, *filter(None, shared)) if self._uid is not None else ():
                if os.lstat(path).st_uid != self._uid:
                    os.chown(path, self._uid, self._uid, follow_symlinks=False)
        except OSError as error:
            raise LaunchError(f"{error.filename} cannot be laid out for the command: {error.strerror}.") from error

    def writable(self) -> dict[str, str]:
        """Return what the command may write: each directory at its path on the host, storages also below /mnt."""
        places = {self._scratch: self._scratch, self._output: self._output}
        if self._work["project_dir"]:
            places |= {self._work["project_dir"]: self._work["project_dir"], _PROJECT: self._work["project_dir"]}
        volumes = {volume["number"]: volume["path"] for volume in self._work["volumes"]}
        for number, path in volumes.items():
            places[path] = path
            places[_VOLUME if len(volumes) == 1 else f"{_VOLUME}/{number}"] = path
        return places
