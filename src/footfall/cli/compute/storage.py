"""``footfall storage``: files of a project's storage."""

from pathlib import Path

import click

from footfall.cli import output
from footfall.cli.context import Group, open_client
from footfall.cli.failures import each
from footfall.cli.files import QUIET_S, fetch, size_text
from footfall.cli.show import done, moment, show_list
from footfall.errors import InputError


@click.group(cls=Group)
def storage() -> None:
    """Files of a project's storage, which its runs see at $NSML_PRJ_DIR."""


@storage.command("list")
@click.argument("where", metavar="PROJECT[/DIRECTORY]")
def list_storage(where: str) -> None:
    """List the files of a project's storage."""
    name, _, directory = where.partition("/")
    with open_client() as client:
        files = list(client.storage.list(client.projects.find(name).id, directory))
    show_list(
        files,
        ["PATH", "SIZE", "MODIFIED (UTC)"],
        [[one.path, size_text(one.size_bytes), moment(one.modified_at)] for one in files],
        numbers=[1],
        empty="There are no files there.",
    )


@storage.command("put")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("where", metavar="PROJECT/PATH")
def put_storage(file: Path, where: str) -> None:
    """Send a file to a project's storage; a PATH that ends in / is a directory."""
    name, path = _project_and_path(where)
    path = path + file.name if path.endswith("/") or not path else path
    total = file.stat().st_size
    with open_client() as client, output.ProgressLine(f"to {where}", delay_s=QUIET_S) as progress:
        id = client.projects.find(name).id
        client.storage.put(id, path, file, lambda sent: progress.show("sending", sent, total))
    done(f"{file} is at {name}/{path}.", project=name, path=path, size_bytes=total)


@storage.command("get")
@click.argument("where", metavar="PROJECT/PATH")
@click.argument("file", required=False, metavar="[FILE]")
def get_storage(where: str, file: str | None) -> None:
    """Fetch a file of a project's storage into FILE, or - for stdout."""
    name, path = _project_and_path(where)
    with open_client() as client:
        fetch(client.storage.get(client.projects.find(name).id, path), file, where)


@storage.command("delete")
@click.argument("where", metavar="PROJECT/PATH...", nargs=-1, required=True)
def delete_storage(where: tuple[str, ...]) -> None:
    """Remove files of a project's storage."""
    with open_client() as client:

        def delete(file: str) -> None:
            name, path = _project_and_path(file)
            client.storage.delete(client.projects.find(name).id, path)
            done(f"{file} is removed.", project=name, path=path, action="delete")

        each(where, delete)


def _project_and_path(text: str) -> tuple[str, str]:
    name, slash, path = text.partition("/")
    if not name or not slash:
        raise InputError(f"{text!r} should read PROJECT/PATH: a project, a slash, and a path in its storage.")
    return name, path
