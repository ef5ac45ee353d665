"""``footfall project | products | image | volume | ssh-key``: what runs need."""

from pathlib import Path
from typing import Any

import click

from footfall.cli import output
from footfall.cli.context import PROJECT_VARIABLE, Command, Group, choices, open_client
from footfall.cli.failures import each
from footfall.cli.files import size_text
from footfall.cli.show import done, moment, show_list, show_made, show_record
from footfall.errors import InputError


@click.group(cls=Group)
def project() -> None:
    """Projects: sets of runs, each with one storage."""


@click.group(cls=Group)
def image() -> None:
    """Images: the environments of runs' commands."""


@click.group(cls=Group)
def volume() -> None:
    """Block storages: directories that one run at a time may hold."""


@click.group(cls=Group, name="ssh-key")
def ssh_key() -> None:
    """SSH public keys, which runs get in $NSML_AUTHORIZED_KEYS."""


@project.command("create")
@click.argument("name")
@click.option("--nas", "nas_gb", type=int, default=500, show_default=True, metavar="GB", help="500 to 5000, by hundreds.")
@click.option("--note", metavar="TEXT", help="A description.")
def create_project(name: str, nas_gb: int, note: str | None) -> None:
    """Create the project NAME."""
    with open_client() as client:
        made = client.projects.create(name, nas_gb=nas_gb, note=note)
    hint = f"Created the project {made.name}; `footfall run --project {made.name} -- COMMAND` runs something in it."
    show_made(made.wire, made.id, hint)


@project.command("list")
def list_projects() -> None:
    """List the projects, newest first."""
    with open_client() as client:
        projects = list(client.projects.list())
    show_list(
        projects,
        ["NAME", "STATUS", "RUNS", "NODES", "CREATED (UTC)", "ID"],
        [[one.name, one.status, one.run_count, one.node_count, moment(one.created_at), one.id] for one in projects],
        numbers=[2, 3],
        whole=[5],
        empty="There are no projects yet; `footfall project create NAME` creates one.",
    )


@project.command("show")
@click.argument("which", metavar="ID|NAME")
def show_project(which: str) -> None:
    """Show a project and its storage."""
    with open_client() as client:
        project_ = client.projects.get(client.projects.find(which).id)
        nas = client.projects.nas(project_.id)
    used = "-" if nas.get("usedSize") is None else size_text(nas["usedSize"])
    show_record(
        {**project_.wire, "nas": nas},
        {
            "name": project_.name,
            "id": project_.id,
            "status": project_.status,
            "note": project_.note or "",
            "runs": project_.run_count,
            "created (UTC)": moment(project_.created_at),
            "storage": f"{project_.nas_gb} GB nominal, {used} used at {nas.get('nasPath')}",
        },
    )


@project.command("resize")
@click.argument("which", metavar="ID|NAME")
@click.argument("nas_gb", type=int, metavar="GB")
def resize_project(which: str, nas_gb: int) -> None:
    """Raise the nominal size of a project's storage."""
    with open_client() as client:
        project_ = client.projects.find(which)
        client.projects.resize_nas(project_.id, nas_gb)
    done(f"The storage of {project_.name} has a nominal size of {nas_gb} GB.", kind="project", id=project_.id, action="resize")


@project.command("delete")
@click.argument("which", metavar="ID|NAME...", nargs=-1, required=True)
def delete_project(which: tuple[str, ...]) -> None:
    """Delete projects whose runs have ended, with everything in them."""
    with open_client() as client:

        def delete(name: str) -> None:
            project_ = client.projects.find(name)
            client.projects.delete(project_.id)
            done(f"The project {project_.name} is being deleted.", kind="project", id=project_.id, action="delete")

        each(which, delete)


@click.command(cls=Command)
def products() -> None:
    """List the server products: what one node of a run gets."""
    with open_client() as client:
        products_ = client.catalogue.products()
    show_list(
        products_,
        ["CODE", "TYPE", "NODES", "NAME"],
        [[str(one.code), one.use_type, ", ".join(map(str, one.node_counts)), one.name] for one in products_],
        numbers=[0],
        empty="This server offers no products; its settings name some, or its machine has no core to give.",
    )


@image.command("list")
def list_images() -> None:
    """List the images that a run may ask for."""
    with open_client() as client:
        images = client.catalogue.images()
    if choices().json:
        output.json_value([{**one.wire, "imageType": one.type} for one in images])
        return
    output.table(["TYPE", "PATH"], [[one.type, one.path] for one in images], empty="This server offers no images.")


@image.command("import")
@click.argument("name")
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
def import_image(name: str, path: Path) -> None:
    """Offer the directory PATH as the custom image NAME.

    A Python environment (venv or conda), or a root file system. It stays where it is. For the operator, on the server's machine.
    """
    from footfall.config import load_settings
    from footfall.offline import import_image as import_here

    imported = import_here(load_settings(choices().home), name, path)
    sentence = f"{name} is a custom image now: a {imported.kind} at {imported.path}."
    done(sentence, name=name, kind=imported.kind, path=imported.path)


@image.command("login")
@click.argument("endpoint", metavar="HOST")
@click.option("--access-key", required=True, help="User name at the registry.")
@click.option("--secret-key-file", type=click.File("r"), help="File with the password; else it is asked for.")
def login(endpoint: str, access_key: str, secret_key_file: Any) -> None:
    """Store the login of an image repository."""
    secret = secret_key_file.read().strip() if secret_key_file else click.prompt("Secret key", hide_input=True, err=True)
    with open_client() as client:
        made = client.catalogue.add_registry(endpoint, access_key, secret)
    done(f"The login of {made.endpoint} is stored.", endpoint=made.endpoint, action="login")


@image.command("logins")
def logins() -> None:
    """List the stored logins of image repositories."""
    with open_client() as client:
        registries = client.catalogue.registries()
    show_list(
        registries,
        ["HOST", "ACCESS KEY", "SECRET KEY", "CREATED (UTC)"],
        [[one.endpoint, one.access_key, one.secret_key, moment(one.created_at)] for one in registries],
        empty="No logins are stored; `footfall image login HOST` stores one.",
    )


@image.command("logout")
@click.argument("endpoint", metavar="HOST")
def logout(endpoint: str) -> None:
    """Delete the login of an image repository."""
    with open_client() as client:
        client.catalogue.remove_registry(endpoint)
    done(f"The login of {endpoint} is deleted.", endpoint=endpoint, action="logout")


@volume.command("create")
@click.argument("name")
@click.option("--project", "project_", required=True, envvar=PROJECT_VARIABLE, metavar="ID|NAME", help="Whose runs may hold it.")
@click.option("--size", "size_gb", type=int, default=100, show_default=True, metavar="GB", help="Nominal size.")
def create_volume(name: str, project_: str, size_gb: int) -> None:
    """Create the block storage NAME."""
    with open_client() as client:
        made = client.volumes.create(name, client.projects.find(project_).id, size_gb)
    hint = f"Created the block storage {made.name}; `footfall run --volume {made.number} …` gives it to a run."
    show_made(made.wire, str(made.number), hint)


@volume.command("list")
def list_volumes() -> None:
    """List the block storages, newest first."""
    with open_client() as client:
        volumes = list(client.volumes.list())
    show_list(
        volumes,
        ["NUMBER", "NAME", "STATUS", "GB", "PROJECT ID", "CREATED (UTC)"],
        [[str(one.number), one.name, one.status, one.size_gb, one.project_id, moment(one.created_at)] for one in volumes],
        numbers=[0, 3],
        empty="There are no block storages yet; `footfall volume create NAME --project PROJECT` creates one.",
    )


@volume.command("delete")
@click.argument("numbers", type=int, metavar="NUMBER...", nargs=-1, required=True)
def delete_volume(numbers: tuple[int, ...]) -> None:
    """Delete block storages that no run holds, with what is in them."""
    with open_client() as client:

        def delete(number: str) -> None:
            client.volumes.delete(int(number))
            done(f"The block storage {number} is deleted.", number=int(number), action="delete")

        each(map(str, numbers), delete)


@ssh_key.command("add")
@click.argument("title")
@click.argument("file", type=click.File("r"), metavar="FILE")
def add_ssh_key(title: str, file: Any) -> None:
    """Store the public key in FILE (such as ~/.ssh/id_ed25519.pub) under TITLE."""
    with open_client() as client:
        made = client.ssh_keys.create(title, file.read())
    show_made(made.wire, made.name, f"Stored the key {made.title}: {made.fingerprint_sha256 or made.fingerprint}")


@ssh_key.command("list")
def list_ssh_keys() -> None:
    """List the SSH public keys."""
    with open_client() as client:
        keys = client.ssh_keys.list()
    show_list(
        keys,
        ["TITLE", "NAME", "FINGERPRINT", "CREATED (UTC)"],
        [[one.title, one.name, one.fingerprint_sha256 or one.fingerprint, moment(one.created_at)] for one in keys],
        empty="No keys are stored; `footfall ssh-key add TITLE FILE` stores one.",
    )


@ssh_key.command("delete")
@click.argument("title")
@click.option("--name", metavar="NAME", help="Its name, where several have the same title.")
def delete_ssh_key(title: str, name: str | None) -> None:
    """Delete an SSH public key."""
    with open_client() as client:
        if name is None:
            named = [one.name for one in client.ssh_keys.list() if one.title == title]
            if len(named) != 1:
                known = f"there are {len(named)}; name one with --name" if named else "there is none"
                raise InputError(f"Which key {title!r}? {known.capitalize()}. `footfall ssh-key list` shows all.")
            name = named[0]
        client.ssh_keys.delete(title, name)
    done(f"The key {title} is deleted.", title=title, name=name, action="delete")
