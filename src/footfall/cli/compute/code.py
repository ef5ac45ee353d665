"""``footfall code``: what a directory would send, and what a run was given."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from footfall.cli import output
from footfall.cli.context import Group, choices, find_run, open_client
from footfall.cli.files import QUIET_S, fetch, size_text
from footfall.errors import InputError

if TYPE_CHECKING:
    from footfall.client import Client
    from footfall.client.code.git import Commit

N_NOTES = 10


@click.group(cls=Group)
def code() -> None:
    """Code: the files that runs are given."""


@code.command("list")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(), metavar="[DIR]")
def list_code(directory: Path) -> None:
    """List the files that `footfall run` would send of a directory, this one by default."""
    from footfall.client.code.files import choose_files

    root = directory.absolute()
    chosen = choose_files(root)
    sizes = {path.relative_to(root).as_posix(): path.lstat().st_size for path in chosen.paths}
    if choices().json:
        files = [{"path": path, "sizeBytes": size} for path, size in sizes.items()]
        commit = {"gitCommit": chosen.commit.id, "gitModified": chosen.commit.is_modified} if chosen.commit else {}
        output.json_value({"files": files, "notes": chosen.notes, **commit})
        return
    output.table(["PATH", "SIZE"], [[path, size_text(size)] for path, size in sizes.items()], numbers=[1])
    show_notes(chosen.notes)
    commit_text = f", commit {describe(chosen.commit.id, chosen.commit.is_modified)}" if chosen.commit else ""
    output.note(f"{len(sizes):,} files, {size_text(sum(sizes.values()))}{commit_text}.")


@code.command("get")
@click.argument("which", metavar="PROJECT/NUMBER")
@click.argument("file", metavar="[FILE|-]", required=False)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def get_code(which: str, file: str | None, force: bool) -> None:
    """Fetch the code that a run was given, as a tar.gz.

    Into a directory: footfall code get vision/3 - | tar xz -C DIRECTORY
    """
    with open_client() as client:
        run = find_run(client, which)
        fetch(client.runs.get_code(run), file, f"{run.name.replace('/', '-')}-code.tar.gz", force=force)


def send_code(client: "Client", project_id: str, directory: Path, max_bytes: int) -> tuple[str, "Commit | None"]:
    """Pack and send a directory, and say what was left out; return the digest and the commit of its files."""
    from footfall.client.code.packing import pack

    if not directory.is_dir():
        raise InputError(f"{directory} is no directory; name the one that holds your code with --code.")
    with output.ProgressLine("code", delay_s=QUIET_S) as progress:
        progress.show("packing")
        with pack(directory, max_bytes=max_bytes) as archive:
            size = size_text(archive.size_bytes)
            digest = client.runs.upload_code(project_id, archive, lambda sent, total: progress.show("sending", sent, total, size))
    show_notes(archive.notes)
    return digest, archive.commit


def show_notes(notes: "list[str] | tuple[str, ...]") -> None:
    """Print what somebody should know of the files that were chosen."""
    for text in notes[:N_NOTES]:
        output.note(text)
    if len(notes) > N_NOTES:
        output.note(f"… and {len(notes) - N_NOTES:,} more such lines; `footfall code list --json` has all.")


def describe(commit: str, is_modified: bool | None) -> str:
    """Return a commit as people read it."""
    return f"{commit} (modified)" if is_modified else commit
