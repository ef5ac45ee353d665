"""``footfall data put | get | ls | rm``: objects in buckets."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from footfall.cli import output
from footfall.cli.compute.trees import files_below
from footfall.cli.context import Group, bucket_and_key, choices, open_client
from footfall.cli.files import QUIET_S, fetch, free_path, size_text
from footfall.cli.show import moment, show_list
from footfall.errors import InputError, ServiceError
from footfall.stores.names import check_bucket_name, check_key

if TYPE_CHECKING:
    from footfall.client import Client
    from footfall.client.replies import ObjectSummary

CHUNK_BYTES = 1 << 20


@click.group(cls=Group)
def data() -> None:
    """Data: files in and out of buckets."""


@data.command()
@click.argument("file", metavar="FILE|DIR|-")
@click.argument("target", metavar="BUCKET/KEY")
def put(file: str, target: str) -> None:
    """Copy a file, the files of a directory or the standard input to BUCKET/KEY; the bucket is created if needed.

    A KEY that is empty or ends in '/' gets the file's name behind it.
    """
    bucket, key = bucket_and_key(target)
    plan = list(_plan_upload(file, key))
    _check_names(bucket, plan)
    with open_client() as client:
        done = [_put_one(client, source, bucket, source_key) for source, source_key in plan]
    if choices().json:
        objects = [{"bucket": bucket, "key": item.key, "size_bytes": item.size_bytes} for item in done]
        output.json_value(objects if Path(file).is_dir() else objects[0])
        return
    for item in done:
        output.line(f"{bucket}/{item.key}  {size_text(item.size_bytes)}")


def _plan_upload(file: str, key: str) -> Iterator[tuple[Path | None, str]]:
    if file == "-":
        if not key or key.endswith("/"):
            raise InputError("The standard input has no name; give the whole key, like BUCKET/KEY.")
        yield None, key
        return
    path = Path(file)
    if path.is_dir():
        prefix = key if not key or key.endswith("/") else key + "/"
        for source, relative in files_below(path):
            yield source, prefix + relative
        return
    if not path.is_file():
        raise InputError(f"There is no file {file}; check the path, it is taken from {Path.cwd()}.")
    yield path, key + path.name if not key or key.endswith("/") else key


def _check_names(bucket: str, plan: Iterable[tuple[Path | None, str]]) -> None:
    """Refuse what the service would refuse, before the first byte is sent."""
    check_bucket_name(bucket)
    for source, key in plan:
        check_key(key, field=f"{source or 'the standard input'} (as {bucket}/{key})")


def _put_one(client: "Client", source: Path | None, bucket: str, key: str) -> "ObjectSummary":
    total = source.stat().st_size if source is not None else None
    with output.ProgressLine(f"{bucket}/{key}", delay_s=QUIET_S) as progress:

        def show(sent: int) -> None:
            progress.show("sent", sent, total, size_text(sent))

        try:
            return client.put_object(bucket, key, source or _standard_input(sys.stdin.buffer), show)
        except PermissionError as error:
            raise InputError(f"{source} may not be read by this user; check its permissions.") from error
        except ServiceError as error:
            details = f"{source or 'The standard input'} is not at {bucket}/{key}: {error}"
            raise ServiceError(error.status, error.error_code, error.symbol, details, error.trace_id) from error


def _standard_input(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


@data.command()
@click.argument("source", metavar="BUCKET/KEY")
@click.argument("file", metavar="[FILE|-]", required=False)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def get(source: str, file: str | None, force: bool) -> None:
    """Copy an object to a file (its own name by default) or to the standard output."""
    bucket, key = bucket_and_key(source)
    if not key or key.endswith("/"):
        raise InputError(f"{source!r} names no object; `footfall data ls {source}` lists them.")
    if file != "-":
        free_path(file, key, force=force)  # checked before the object is requested
    with open_client() as client:
        total, chunks = client.open_object(bucket, key)
        fetch(chunks, file, source, total, force=force, facts={"bucket": bucket, "key": key})


@data.command("ls")
@click.argument("where", metavar="[BUCKET[/PREFIX]]", default="")
def list_objects(where: str) -> None:
    """List the objects of a bucket, or the buckets."""
    with open_client() as client:
        if not where:
            buckets = client.buckets.list()
            show_list(
                buckets, ["BUCKET"], [[item.name] for item in buckets], empty="There are no buckets; `data put` creates one."
            )
            return
        bucket, prefix = bucket_and_key(where)
        objects = list(client.list_objects(bucket, prefix, on_skipped=_note_skipped))
    rows = [[item.key, item.size_bytes, moment(item.created_at)] for item in objects]
    show_list(objects, ["KEY", "BYTES", "MODIFIED (UTC)"], rows, numbers=[1], empty=f"Nothing is at {where}.")


@data.command("rm")
@click.argument("targets", metavar="BUCKET/KEY...", nargs=-1, required=True)
@click.option("--recursive", "-r", is_flag=True, help="Remove everything whose key begins with KEY.")
def remove(targets: tuple[str, ...], recursive: bool) -> None:
    """Remove objects; if one of them is not there, none is removed."""
    with open_client() as client:
        matches = dict.fromkeys(
            (bucket_and_key(target)[0], key) for target in targets for key in _keys_at(client, target, recursive)
        )
        removed = []
        try:
            for bucket, key in matches:
                client.delete_object(bucket, key)
                removed.append(f"{bucket}/{key}")
        finally:
            _report_removed(removed)


def _report_removed(removed: list[str]) -> None:
    if choices().json:
        output.json_value({"removed": removed})
    else:
        for name in removed:
            output.line(f"removed {name}")


def _note_skipped(count: int) -> None:
    output.note(
        f"{count:,} keys are passed over: they are no paths, as a//b or a name with a control character; rename them there."
    )


def _keys_at(client: "Client", target: str, recursive: bool) -> list[str]:
    bucket, key = bucket_and_key(target)
    if recursive:
        keys = [item.key for item in client.list_objects(bucket, key)]
        if not keys:
            raise InputError(f"There is nothing at {target}; `footfall data ls {bucket}` lists what is there.")
        return keys
    if not key or key.endswith("/"):
        raise InputError(f"{target!r} names no object; add -r to remove everything below it.")
    # Sorted by key: everything else that begins with this key comes after it.
    first = next(client.list_objects(bucket, key), None)
    if first is None or first.key != key:
        raise InputError(f"There is no object {target}; `footfall data ls {bucket}` lists what is there.")
    return [key]
