"""Images of runs: base images from the configuration, custom ones that were imported.

With none configured, the images that working container engines have are base images too, as long as there is one account.
Knows no HTTP and starts nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from footfall.compute.catalogue.products import Machine
from footfall.config import Settings
from footfall.db import images
from footfall.db.engine.engine import Connection
from footfall.errors import ConfigError, InvalidFieldError, ShortageError
from footfall.machine.engines import Engines
from footfall.records import Image

HOST = "host"
MAX_NAME = 200
_SHOWN = 8


class _ImageTable(msgspec.Struct, forbid_unknown_fields=True):
    """One ``[[images]]`` of the configuration."""

    name: str
    kind: Literal["host", "venv", "rootfs", "oci", "alias"]
    target: str = ""


class Images:
    """The base images of a server, in the order in which they are listed."""

    def __init__(self, settings: Settings, machine: Machine) -> None:
        self._machine = machine
        self._base = _configured(settings.images) if settings.images else {HOST: Image(HOST, "host")}
        self._engine_images = "none" if settings.images else settings.engine_images

    def base(self, n_accounts: int) -> list[str]:
        """Return the names of the base images on a server of so many accounts; those of engines are at most a minute old."""
        engines = self._engines if self._offers_all(n_accounts) else None
        return [*self._base, *(name for name in (engines.images() if engines else ()) if name not in self._base)]

    def resolve(self, connection: Connection, image_type: str, name: str, n_accounts: int) -> Image:
        """Return what the name of an image means on a server of so many accounts, if it can be run here.

        Raises:
            ShortageError: there is no such image, or nothing here can run it.
        """
        image = self._find_base(name, n_accounts) if image_type == "BASE" else self._find_custom(connection, name)
        if image is None:
            known = self.base(n_accounts) if image_type == "BASE" else [image.name for image in images.list_imported(connection)]
            shown = ", ".join(known[:_SHOWN]) + (" and more" if len(known) > _SHOWN else "") if known else "none"
            details = f"There is no {image_type} image {name[:MAX_NAME]!r} that could be run here. There are: {shown}."
            raise ShortageError(f"{details}{self._tried() if self._offers_all(n_accounts) else self._withheld()}")
        self._check_runnable(image)
        return image

    @property
    def _engines(self) -> Engines | None:
        return None if self._machine.isolation is None else self._machine.isolation.engines

    def _offers_all(self, n_accounts: int) -> bool:
        """Whether what container engines have is everybody's: with several accounts it may be one's private image."""
        return self._engine_images == "all" or (self._engine_images == "auto" and n_accounts <= 1)

    def _withheld(self) -> str:
        if self._engine_images != "auto":
            return ""
        return (
            " What docker and podman have on this machine is offered to several accounts only if the operator names it in "
            'images, or sets engine_images = "all".'
        )

    def _find_base(self, name: str, n_accounts: int) -> Image | None:
        engines = self._engines if self._offers_all(n_accounts) and name not in self._base else None
        if engines is not None and engines.has_image(name):
            return Image(name, "oci", name)
        return self._base.get(name)

    def _find_custom(self, connection: Connection, name: str) -> Image | None:
        if not name.isprintable() or len(name) > MAX_NAME:
            return None
        return images.find_imported(connection, name)

    def _check_runnable(self, image: Image) -> None:
        if image.kind in ("venv", "rootfs") and not Path(image.path).is_dir():
            raise ShortageError(f"The directory of the image {image.name!r} is not there; ask the operator.")
        isolation = self._machine.isolation
        if isolation is None:
            return
        if image.kind == "rootfs" and isolation.level != "bubblewrap":
            details = f"The image {image.name!r} is a root file system, which needs isolation by bubblewrap; here it is "
            raise ShortageError(f"{details}{isolation.level}. {isolation.why}".rstrip())
        needed = ("apptainer",) if image.path.startswith("/") else ("docker", "podman")
        if image.kind == "oci" and not set(needed) & set(isolation.engines.programs()):
            raise ShortageError(f"No container engine can run the image {image.name!r} here.{self._tried()}")

    def _tried(self) -> str:
        engines = {} if self._engines is None else self._engines.troubles()
        tried = "; ".join(f"{engine}: {why.rstrip('.') or 'works'}" for engine, why in engines.items())
        return f" Engines tried: {tried or 'none'}."


def import_image(tx: Connection, name: str, path: Path) -> Image:
    """Make a directory of this machine known as a custom image; it stays where it is.

    Raises:
        InvalidFieldError: it is neither an environment of Python (venv, conda) nor a root file system.
        AlreadyExistsError: the name is taken.
    """
    if not name or len(name) > MAX_NAME or not name.isprintable() or name != name.strip():
        details = f"The name of an image has 1 to {MAX_NAME} visible characters; {name!r} has not."
        raise InvalidFieldError("name", name, "name", details)
    directory = path.resolve()
    is_conda = (directory / "conda-meta").is_dir() and (directory / "bin/python").exists()
    if (directory / "pyvenv.cfg").is_file() or is_conda:
        kind = "venv"
    elif (directory / "bin").is_dir() and any((directory / each).is_dir() for each in ("usr", "lib", "etc")):
        kind = "rootfs"
    else:
        details = (
            f"{directory} is no environment of Python (pyvenv.cfg, conda-meta) and no root file system (bin, usr, lib, etc)."
        )
        raise InvalidFieldError("path", str(path), "path", details)
    image = Image(name, kind, str(directory))
    images.insert_imported(tx, image)
    return image


def _configured(tables: Sequence[Mapping[str, Any]]) -> dict[str, Image]:
    tables_by_name: dict[str, _ImageTable] = {}
    for table in tables:
        try:
            one = msgspec.convert(table, _ImageTable)
        except msgspec.ValidationError as error:
            raise ConfigError("images", f"{dict(table)}: {error}") from error
        if one.name in tables_by_name or not one.name or not one.name.isprintable():
            raise ConfigError("images", f"{one.name!r}: a name is visible text that no other image has")
        tables_by_name[one.name] = one
    return {name: _image(name, tables_by_name) for name in tables_by_name}


def _image(name: str, tables_by_name: Mapping[str, _ImageTable]) -> Image:
    seen = [name]
    one = tables_by_name[name]
    while one.kind == "alias":
        if one.target not in tables_by_name or one.target in seen:
            raise ConfigError("images", f"{name!r} is an alias of {one.target!r}, which is no image of its own")
        seen.append(one.target)
        one = tables_by_name[one.target]
    if one.kind in ("venv", "rootfs") and not one.target.startswith("/"):
        raise ConfigError("images", f"{one.name!r} needs target, the absolute path of a directory")
    if one.kind == "oci" and (one.target or one.name).startswith("-"):
        raise ConfigError("images", f"{one.name!r} needs target, the name of an image or the path of a file; none begins with -")
    return Image(name, one.kind, one.target or (one.name if one.kind == "oci" else ""))
