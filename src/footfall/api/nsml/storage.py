"""``/nsml/v1``: block storages, the files of a project's storage, and code archives."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from footfall.api.http.errors import NSML_NOT_FOUND, TOO_LARGE, UNAVAILABLE, GatewayError
from footfall.api.http.operations import Operation
from footfall.api.http.responses import Download, Response, encode_json
from footfall.api.mutations import RequestMemory
from footfall.api.nsml.operations import ROOT, created, id_number, operation, page_of, stamp
from footfall.api.nsml.outputs import file_download
from footfall.api.nsml.run_wire import node_id
from footfall.api.quota import check_space
from footfall.api.request import Mutation, Request
from footfall.compute import projects, rules
from footfall.compute.storage import uploads, usage
from footfall.contract import nsml as shapes
from footfall.contract.nsml import CodeBody, FileBody, FileGone, FileList, FilePut
from footfall.contract.queries import FilesQuery, Page
from footfall.db import code_archives, volumes
from footfall.db.engine.engine import Connection
from footfall.db.volumes import Volume
from footfall.errors import InvalidFieldError, NotFoundError
from footfall.files import place
from footfall.files.untrusted import find_files, open_file
from footfall.layout import code_path, nas_dir
from footfall.states import ProjectStatus

MAX_VOLUME_GB = 100_000
STORAGE_NAMES = ("/mnt/prj",)
"""What runs call the storage of their project, besides its path on the machine."""


def post_volume(request: Request) -> Mutation:
    """Make a block storage."""
    new: shapes.NewVolume = request.fields
    caller, context = request.caller, request.context
    rules.check_volume_name(new.block_storage_nm)
    if not 1 <= new.size <= MAX_VOLUME_GB:
        raise InvalidFieldError("size", new.size, "range", f"size is {new.size}; give 1 to {MAX_VOLUME_GB} GB.")

    def apply(tx: Connection) -> Any:
        project = projects.get_open(tx, caller, new.project_id)
        volume = volumes.insert(
            tx,
            account_id=caller.account_id,
            project_id=project.id,
            name=new.block_storage_nm,
            size_gb=new.size,
            limit=context.settings.max_resources,
        )
        return created(_volume_body(volume), f"{ROOT}/blk-storages/{volume.number}")

    return Mutation(apply)


def list_volumes(request: Request) -> shapes.VolumeList:
    """Return a page of the block storages of the account."""
    page, page_size = page_of(request.read_query(Page))
    with request.context.database.read() as connection:
        rows = volumes.page(connection, request.caller.account_id, page, page_size)
    return shapes.VolumeList(page, page_size, rows.total, [_volume_body(volume) for volume in rows.items])


def remove_volume(request: Request) -> Mutation:
    """Delete a block storage and what is in it."""
    number = id_number(request.params["blockStorageNo"], "block storage")
    settings, account_id = request.context.settings, request.caller.account_id

    def apply(tx: Connection) -> shapes.VolumeBody:
        return _volume_body(volumes.delete(tx, account_id, number), is_deleted=True)

    return Mutation(apply, lambda: usage.discard_volume(settings, number))


def put_code(request: Request, chunks: Iterator[bytes], memory: RequestMemory) -> Response:
    """Keep a code archive; runs in a transfer thread."""
    context, settings = request.context, request.context.settings
    digest = rules.check_digest(request.params["sha256"], "sha256")
    project_id = _open_project(request)
    check_space(settings)
    with uploads.receive(settings, project_id, _limited(chunks, settings.max_code_bytes)) as upload:
        uploads.check_code(upload, digest)
        memory.know_body(bytes.fromhex(upload.digest))
        with context.database.write() as tx:
            memory.mark(tx)
            projects.get_open(tx, request.caller, project_id)
            code_archives.keep(tx, project_id, digest, upload.size_bytes)
            # In the transaction, so that housekeeping, which forgets archives in one, never removes a fresh file.
            uploads.place_code(settings, project_id, upload)
        memory.is_kept = True
        return Response(encode_json(CodeBody(project_id, digest, upload.size_bytes)))


def get_code(request: Request) -> Download:
    """Return a code archive of a project."""
    digest, project_id = request.params["sha256"], _present_project(request)
    try:
        path = request.context.settings.data_dir / code_path(project_id, rules.check_digest(digest, "sha256"))
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (InvalidFieldError, FileNotFoundError) as error:
        details = f"There is no code archive {digest[:80]} in this project (any more): it goes when no run has used it for long."
        raise NotFoundError("code archive", digest, details) from error
    return file_download(file, f"{digest}.tar.gz")


def list_files(request: Request) -> FileList:
    """Return files of a project's storage."""
    query = request.read_query(FilesQuery)
    path, after, limit = query.path.rstrip("/"), query.after, query.limit
    for field, value in (("path", path), ("after", after)):
        if value:
            place.check_path(value, field)
    project_id = _present_project(request)
    files = list(find_files(_root(request, project_id), path, after=after, limit=limit + 1, known_as=STORAGE_NAMES))
    shown = [FileBody(info.path, info.size_bytes, stamp(info.modified_at)) for info in files[:limit]]
    return FileList(project_id, shown, shown[-1].path if len(files) > limit else None)


def get_file(request: Request) -> Download:
    """Return a file of a project's storage, always as a download."""
    root = _root(request, _present_project(request))
    return file_download(open_file(root, request.params["path"], known_as=STORAGE_NAMES), request.params["path"])


def put_file(request: Request, chunks: Iterator[bytes], memory: RequestMemory) -> Response:
    """Write a file into a project's storage; runs in a transfer thread."""
    context, path = request.context, request.params["path"]
    place.check_path(path)
    project_id = _open_project(request)
    check_space(context.settings)
    with uploads.receive(context.settings, project_id, chunks) as upload:
        memory.know_body(bytes.fromhex(upload.digest))
        with context.database.write() as tx:
            memory.mark(tx)
            projects.get_open(tx, request.caller, project_id)
        memory.is_kept = True
        uploads.place_file(context.settings, project_id, path, upload)
        return Response(encode_json(FilePut(project_id, path, upload.size_bytes, upload.digest)))


def remove_file(request: Request) -> Mutation:
    """Remove a file, or an empty directory, of a project's storage."""
    path, project_id = request.params["path"], request.params["projectId"]
    place.check_path(path)

    def apply(tx: Connection) -> FileGone:
        projects.get_open(tx, request.caller, project_id)
        return FileGone(project_id, path)

    return Mutation(apply, lambda: place.remove(_root(request, project_id), path))


def _root(request: Request, project_id: str) -> Path:
    # Not made here: who reads must not bring back what is being removed.
    return request.context.settings.data_dir / nas_dir(project_id)


def _open_project(request: Request) -> str:
    with request.context.database.read() as connection:
        return projects.get_open(connection, request.caller, request.params["projectId"]).id


def _present_project(request: Request) -> str:
    with request.context.database.read() as connection:
        project = projects.get_present(connection, request.caller, request.params["projectId"])
    if project.status != ProjectStatus.CREATED:
        raise NotFoundError("storage of the project", project.id)  # it is being removed right now
    return project.id


def _limited(chunks: Iterator[bytes], limit_bytes: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit_bytes:
            raise GatewayError(TOO_LARGE, f"A code archive may have at most {limit_bytes} bytes; leave data out of it.")
        yield chunk


def _volume_body(volume: Volume, *, is_deleted: bool = False) -> shapes.VolumeBody:
    run = volume.run_number
    return shapes.VolumeBody(
        block_storage_no=volume.number,
        block_storage_nm=volume.name,
        project_id=volume.project_id,
        status="DELETED" if is_deleted else "DETACHED" if run is None else "USED",
        node_id=None if run is None else node_id(volume.project_id, run, 0),
        create_time=stamp(volume.created_at),
        update_time=stamp(volume.updated_at),
        size=volume.size_gb,
    )


_FILES = "/projects/{projectId}/files"
_FILE = f"{_FILES}/{{path...}}"
_STORED = (UNAVAILABLE, NSML_NOT_FOUND)

OPERATIONS: tuple[Operation, ...] = (
    operation(
        "list_volumes", "GET", "/blk-storages", "List block storages, newest first.", list_volumes,
        response=shapes.VolumeList, query=Page, is_documented=True,
    ),
    operation(
        "create_volume", "POST", "/blk-storages", "Create a block storage.", post_volume, request=shapes.NewVolume,
        response=shapes.VolumeBody, errors=(NSML_NOT_FOUND,), status=201, creates=True,
    ),
    operation(
        "delete_volume", "DELETE", "/blk-storages/{blockStorageNo}", "Delete a block storage that no run has.",
        remove_volume, response=shapes.VolumeBody,
    ),
    operation(
        "put_code", "PUT", "/projects/{projectId}/code/{sha256}", "Send a code archive, tar.gz.", put_code, kind="upload",
        response=CodeBody, errors=(*_STORED, TOO_LARGE), creates=True,
    ),
    operation(
        "get_code", "GET", "/projects/{projectId}/code/{sha256}", "Get a code archive.", get_code, kind="download",
        errors=_STORED, content_type="application/octet-stream",
    ),
    operation(
        "list_files", "GET", _FILES, "List files of a project's storage, by path.", list_files, response=FileList,
        query=FilesQuery, errors=_STORED,
    ),
    operation(
        "get_file", "GET", _FILE, "Read a file of a project's storage.", get_file, kind="download", errors=_STORED,
        content_type="application/octet-stream",
    ),
    operation(
        "put_file", "PUT", _FILE, "Write a file of a project's storage, whole or not at all.", put_file, kind="upload",
        response=FilePut, errors=(*_STORED, TOO_LARGE), creates=True,
    ),
    operation(
        "delete_file", "DELETE", _FILE, "Remove a file, or an empty directory, of a project's storage.", remove_file,
        response=FileGone, errors=_STORED,
    ),
)  # fmt: skip
