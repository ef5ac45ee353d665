"""Artifacts: the files in the output directories of nodes, kept through all attempts, links left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from footfall import layout
from footfall.contract.runs import MAX_ARTIFACTS
from footfall.files.untrusted import FoundFile, find_files, open_file


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file and the node that left it."""

    node: int
    file: FoundFile


def find_artifacts(runs_root: Path, run_id: str, n_nodes: int, unlisted: list[str]) -> Iterator[Artifact]:
    """Yield the artifacts of a run by node and path, ``MAX_ARTIFACTS`` at most; ``unlisted`` gets names that nothing can show."""
    left = MAX_ARTIFACTS
    for node in range(n_nodes):
        for file in find_files(runs_root / layout.output_dir(run_id, node), limit=left, unlisted=unlisted):
            left -= 1
            yield Artifact(node, file)


def open_artifact(runs_root: Path, run_id: str, node: int, path: str) -> int:
    """Return a descriptor of an artifact; whoever gets it closes it.

    Raises:
        NotFoundError: the node left no such file.
    """
    return open_file(runs_root / layout.output_dir(run_id, node), path, "artifact")
