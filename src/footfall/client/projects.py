"""The client's operations on what runs need: projects and their storage, products, images, block storages, SSH keys.

Routes below ``/nsml/v1``: documented ones, and ours for files and block storages.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from footfall.client.nsml_replies import Artifact, Image, Product, Project, Registry, SshKey, Volume
from footfall.client.replies import reply
from footfall.client.transport import Operations, Transport
from footfall.client.upload import chunks_of
from footfall.contract import nsml as contract
from footfall.errors import InputError, ServiceError

NSML = "/nsml/v1"
PAGE = 100
_ID_LENGTH = 20


class Projects(Operations):
    """Sets of runs, each with one storage.

    Example:
        >>> project = client.projects.create("vision", note="first trials")
        >>> client.projects.find("vision").id == project.id
        True
        >>> client.projects.resize_nas(project.id, 600)
    """

    def create(self, name: str, *, nas_gb: int = 500, note: str | None = None) -> Project:
        """Create a project; ``nas_gb`` is the nominal size of its storage, 500 to 5,000 in steps of 100."""
        return reply(Project, self._transport.json("POST", f"{NSML}/projects", body=contract.NewProject(name, nas_gb, note)))

    def list(self) -> Iterator[Project]:
        """Yield the account's projects, newest first."""
        for item in pages(self._transport, f"{NSML}/projects", "projects"):
            yield reply(Project, item)

    def get(self, id: str) -> Project:
        """Return a project by its id."""
        return reply(Project, self._transport.json("GET", project_path(id)))

    def find(self, name_or_id: str) -> Project:
        """Return the project with this id, or else with this name.

        Raises:
            InputError: there is none.
        """
        if len(name_or_id) == _ID_LENGTH and name_or_id[:1].isdigit():
            try:
                return self.get(name_or_id)
            except ServiceError as error:
                if error.status != 404:
                    raise
        for project in self.list():
            if project.name == name_or_id:
                return project
        raise InputError(
            f"There is no project with the id or name {name_or_id!r}; `footfall project list` shows which there are, "
            "`footfall project create NAME` makes one."
        )

    def delete(self, id: str) -> None:
        """Delete a project whose runs have all ended, with everything in it."""
        self._transport.json("DELETE", project_path(id))

    def nas(self, id: str) -> dict[str, Any]:
        """Return what is known of a project's storage, as the wire has it; ``usedSize`` is in bytes."""
        return dict(self._transport.json("GET", project_path(id, "nas")))

    def resize_nas(self, id: str, nas_gb: int) -> None:
        """Raise the nominal size of a project's storage."""
        self._transport.json("PATCH", project_path(id, "nas"), body=contract.NewNasSize(nas_gb))


class Storage(Operations):
    """The files of a project's storage, which its runs see at ``$NSML_PRJ_DIR``.

    Example:
        >>> vision = client.projects.find("vision")
        >>> client.storage.put(vision.id, "data/words.txt", b"one two")
        >>> [(file.path, file.size_bytes) for file in client.storage.list(vision.id)]
        [('data/words.txt', 7)]
        >>> b"".join(client.storage.get(vision.id, "data/words.txt"))
        b'one two'
        >>> client.storage.delete(vision.id, "data/words.txt")
    """

    def list(self, project_id: str, directory: str = "") -> Iterator[Artifact]:
        """Yield the files below a directory of the storage, by path, requesting more pages as they are needed."""
        after: str | None = None
        while True:
            query = {"path": directory.strip("/") or None, "after": after}
            page = self._transport.json("GET", project_path(project_id, "files"), query)
            for item in page["files"]:
                yield reply(Artifact, item)
            after = page["nextAfter"]
            if not after:
                return

    def put(self, project_id: str, path: str, source: bytes | Path, callback: Callable[[int], None] | None = None) -> None:
        """Send bytes or a file to the storage; it appears there whole or not at all."""
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        headers = {"content-type": "application/octet-stream", "content-length": str(size)}
        answer = self._transport.call(
            "PUT", _file_path(project_id, path), body=lambda: chunks_of(source, callback), headers=headers
        )
        self._transport.read(answer)

    def get(self, project_id: str, path: str) -> Iterator[bytes]:
        """Yield the bytes of a file of the storage."""
        return self._transport.stream(self._transport.call("GET", _file_path(project_id, path)))

    def delete(self, project_id: str, path: str) -> None:
        """Remove a file of the storage."""
        self._transport.json("DELETE", _file_path(project_id, path))


class Catalogue(Operations):
    """What a run may use: server products and images.

    Example:
        >>> product = client.catalogue.products()[0]
        >>> product.code, product.use_type, 1 in product.node_counts
        (1, 'TRAIN', True)
        >>> client.catalogue.images()[0].type
        'BASE'
    """

    def products(self) -> list[Product]:
        """Return the server products."""
        answer = self._transport.json("GET", f"{NSML}/server-products")
        return [reply(Product, item) for item in answer["serverProductList"]]

    def images(self) -> list[Image]:
        """Return the base images, then the custom ones."""
        images = []
        for kind, path in (("BASE", "images/base"), ("CUSTOM", "images/custom")):
            for item in self._transport.json("GET", f"{NSML}/{path}")["imageList"]:
                image = reply(Image, item)
                image.type = kind
                images.append(image)
        return images

    def registries(self) -> list[Registry]:
        """Return the stored logins of image repositories."""
        answer = self._transport.json("GET", f"{NSML}/images/secret")
        return [reply(Registry, item) for item in answer["dockerCredentials"]]

    def add_registry(self, endpoint: str, access_key: str, secret_key: str) -> Registry:
        """Store the login of an image repository."""
        request = contract.NewRegistry(endpoint, access_key, secret_key)
        return reply(Registry, self._transport.json("POST", f"{NSML}/images/secret", body=request))

    def remove_registry(self, endpoint: str) -> None:
        """Delete the login of an image repository."""
        self._transport.json("DELETE", f"{NSML}/images/secret", {"privateEp": endpoint})


class Volumes(Operations):
    """Block storages: directories that one run at a time may hold.

    Example:
        >>> vision = client.projects.find("vision")
        >>> volume = client.volumes.create("scratch", vision.id, 100)
        >>> [(volume.name, volume.size_gb) for volume in client.volumes.list()]
        [('scratch', 100)]
        >>> client.volumes.delete(volume.number)
    """

    def create(self, name: str, project_id: str, size_gb: int) -> Volume:
        """Create a block storage for the runs of a project."""
        request = contract.NewVolume(name, project_id, size_gb)
        return reply(Volume, self._transport.json("POST", f"{NSML}/blk-storages", body=request))

    def list(self) -> Iterator[Volume]:
        """Yield the account's block storages, newest first."""
        for item in pages(self._transport, f"{NSML}/blk-storages", "blockStorageMgmtList"):
            yield reply(Volume, item)

    def delete(self, number: int) -> None:
        """Delete a block storage that no run holds, with what is in it."""
        self._transport.json("DELETE", f"{NSML}/blk-storages/{number}")


class SshKeys(Operations):
    """Public keys with which their owner logs in to nodes.

    Example:
        >>> line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0gGr0RPx3cZ2e9nLQb7h6mUlmmUHbzrMHqJ5NpGzTq ann@laptop"
        >>> key = client.ssh_keys.create("laptop", line)
        >>> [key.title for key in client.ssh_keys.list()]
        ['laptop']
        >>> client.ssh_keys.delete(key.title, key.name)
    """

    def create(self, title: str, key: str) -> SshKey:
        """Store a public key, as a line of ``id_ed25519.pub`` has it."""
        request = contract.NewSshKey(title, key.strip())
        return reply(SshKey, self._transport.json("POST", f"{NSML}/auth-keys", body=request))

    def list(self) -> list[SshKey]:
        """Return the account's keys."""
        return [reply(SshKey, item) for item in self._transport.json("GET", f"{NSML}/auth-keys")["keyList"]]

    def delete(self, title: str, name: str) -> None:
        """Delete a key."""
        self._transport.json("DELETE", f"{NSML}/auth-keys/title/{quote(title, safe='')}/name/{quote(name, safe='')}")


def project_path(id: str, *steps: str) -> str:
    """Return the route of a project, or of something in it."""
    return "/".join((f"{NSML}/projects", *(quote(step, safe="") for step in (id, *steps))))


def _file_path(project_id: str, path: str) -> str:
    return f"{project_path(project_id, 'files')}/{quote(path, safe='/')}"


def pages(transport: Transport, path: str, array: str, query: dict[str, Any] | None = None) -> Iterator[Any]:
    """Yield the items of a paged list, requesting more pages as they are needed."""
    number = seen = 0
    while True:
        number += 1
        answer = transport.json("GET", path, {**(query or {}), "page": number, "pageSize": PAGE})
        items = answer[array]
        yield from items
        seen += len(items)
        if not items or seen >= answer["totalCount"]:
            return
