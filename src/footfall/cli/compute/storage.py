"""``footfall storage``: files of a project's storage."""

import functools
from pathlib import Path

import click

from footfall.cli import output
from footfall.cli.compute.trees import Remote, fetch_all, files_below
from footfall.cli.context import Group, open_client
from footfall.cli.failures import each
from footfall.cli.files import QUIET_S, fetch, size_text
from footfall.cli.show import done, moment, show_list
from footfall.errors import InputError, ServiceError


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
@click.argument("file", type=click.Path(exists=True, path_type=Path), metavar="FILE|DIR")
@click.argument("where", metavar="PROJECT/PATH")
def put_storage(file: Path, where: str) -> None:
    """Send a file, or the files of a directory, to a project's storage; a PATH that ends in / is a directory.

    What is in a directory goes below PATH.
    """
    name, path = _project_and_path(where)
    if file.is_dir():
        prefix = f"{path.rstrip('/')}/" if path else ""
        plan = [(source, prefix + relative) for source, relative in files_below(file)]
    else:
        plan = [(file, path + file.name if path.endswith("/") or not path else path)]
    with open_client() as client, output.ProgressLine(f"to {where}", delay_s=QUIET_S) as progress:
        id = client.projects.find(name).id

        def put(target: str) -> None:
            source = sources[target]
            total = source.stat().st_size
            client.storage.put(id, target, source, lambda sent: progress.show("sending", sent, total))
            done(f"{source} is at {name}/{target}.", project=name, path=target, size_bytes=total)

        sources = {target: source for source, target in plan}
        each(sources, put)


@storage.command("get")
@click.argument("where", metavar="PROJECT/PATH")
@click.argument("file", required=False, metavar="[FILE|DIR|-]")
@click.option("--force", is_flag=True, help="Overwrite files.")
def get_storage(where: str, file: str | None, force: bool) -> None:
    """Fetch a file of a project's storage into FILE, or - for stdout; or a directory with what is in it."""
    name, path = _project_and_path(where)
    with open_client() as client:
        id = client.projects.find(name).id
        missing: ServiceError | None = None
        if path and not path.endswith("/"):
            try:
                fetch(client.storage.get(id, path), file, where, force=force)
                return
            except ServiceError as error:
                if error.status != 404 or file == "-":
                    raise
                missing = error
        directory = path.rstrip("/")
        prefix = f"{directory}/" if directory else ""
        files = [
            Remote(one.path.removeprefix(prefix), one.size_bytes, functools.partial(client.storage.get, id, one.path))
            for one in client.storage.list(id, directory)
        ]
        if not files:
            raise missing or InputError(f"There are no files at {where}; `footfall storage list {name}` shows all.")
        fetch_all(files, Path(file or directory.rpartition("/")[2] or name), force=force)


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
