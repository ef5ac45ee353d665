"""Artifacts: the files in the output directories of nodes, kept through all attempts; links within them are followed."""

from dataclasses import dataclass
from pathlib import Path

from footfall import layout
from footfall.contract.runs import MAX_ARTIFACTS
from footfall.files.untrusted import FoundFile, PassedOver, find_files, open_file


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file and the node that left it."""

    node: int
    file: FoundFile


@dataclass(slots=True)
class Artifacts:
    """What the nodes of a run left, ``MAX_ARTIFACTS`` files at most, and by node what is not listed."""

    files: list[Artifact]
    left_out: list[tuple[int, PassedOver]]


def find_artifacts(runs_root: Path, run_id: str, n_nodes: int) -> Artifacts:
    """Return the artifacts of a run by node and path."""
    found = Artifacts([], [])
    for node in range(n_nodes):
        root, left_out = runs_root / layout.output_dir(run_id, node), list[PassedOver]()
        left = MAX_ARTIFACTS - len(found.files)
        found.files += [Artifact(node, file) for file in find_files(root, limit=left, known_as=(), passed_over=left_out)]
        found.left_out += [(node, each) for each in left_out]
    return found


def open_artifact(runs_root: Path, run_id: str, node: int, path: str) -> int:
    """Return a descriptor of an artifact; whoever gets it closes it.

    Raises:
        NotFoundError: the node left no such file.
    """
    return open_file(runs_root / layout.output_dir(run_id, node), path, "artifact", known_as=())
