"""``/data/v1``: objects in buckets, streamed. All ours; another account's bucket answers like one that does not exist.

What NCLUE works on: who views NCLUE reads it, who manages NCLUE writes it.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from hashlib import sha256
from urllib.parse import quote

from footfall.api.http.errors import BAD_PATH, FORBIDDEN, INVALID_REQUEST, PATH_NOT_FOUND, TOO_LARGE, UNAVAILABLE
from footfall.api.http.operations import Operation
from footfall.api.http.responses import Download, Headers, Response, encode_json
from footfall.api.mutations import RequestMemory
from footfall.api.nclue.wire import stamp
from footfall.api.quota import check_space
from footfall.api.request import Mutation, Request
from footfall.behavior import ownership
from footfall.contract.objects import ObjectBody, ObjectGone, ObjectList, ObjectPut
from footfall.contract.queries import ObjectsQuery
from footfall.db.engine.engine import Connection
from footfall.errors import BucketNotFoundError, InvalidFieldError, StoreError
from footfall.stores.names import MAX_KEY_BYTES, check_key
from footfall.stores.store import ObjectInfo, Store


def list_objects(request: Request) -> ObjectList:
    """Return the objects below a prefix, by key."""
    query = request.read_query(ObjectsQuery)
    prefix, after, limit = query.prefix, query.after, query.limit
    if prefix:
        check_key(prefix.rstrip("/"), field="prefix", allow_directory=True)
    if len(after) > MAX_KEY_BYTES:
        raise InvalidFieldError("after", after, "range", f"after has more than {MAX_KEY_BYTES} characters.")
    bucket = request.params["bucket"]
    objects = ownership.open_own(request.context.behavior, request.caller, bucket).store.list(
        prefix, after=after, limit=limit + 1
    )
    page = objects[:limit]
    return ObjectList(bucket, [_body(info) for info in page], page[-1].key if len(objects) > limit else None, objects.n_skipped)


def put_object(request: Request, chunks: Iterator[bytes], memory: RequestMemory) -> Response:
    """Write an object from the body; runs in a transfer thread."""
    context, bucket, key = request.context.behavior, request.params["bucket"], check_key(request.params["key"])
    check_space(request.context.settings)
    own = ownership.open_for_write(context, request.caller, bucket)
    digest, is_usable = sha256(), True
    with ExitStack() as publication:

        def checked() -> Iterator[bytes]:
            nonlocal is_usable
            for chunk in chunks:
                digest.update(chunk)
                yield chunk
            # The store publishes what it has when this iterator ends, so whoever may not publish is refused before.
            publication.enter_context(context.publications.publishing(bucket))
            memory.know_body(digest.digest())
            with context.database.write() as tx:
                memory.mark(tx)
                is_usable = ownership.is_still_usable(context, tx, request.caller.account_id, own.bucket)
            memory.is_kept = True
            if not is_usable:
                raise BucketNotFoundError(bucket)

        try:
            info = own.store.write(key, checked())
        except StoreError as error:
            if is_usable:
                raise
            raise BucketNotFoundError(bucket) from error  # with the bucket its drafts went, which the store misses
    body = ObjectPut(bucket, key, info.size_bytes, info.e_tag, stamp(info.modified_at), digest.hexdigest())
    return Response(encode_json(body))


def get_object(request: Request) -> Download:
    """Return an object's bytes, always as a download."""
    store, info, headers = _found(request)
    return Download(store.read(info.key, info=info), info.size_bytes, headers)


def head_object(request: Request) -> Download:
    """Return an object's size and tag."""
    _, info, headers = _found(request)
    return Download(None, info.size_bytes, headers)


def remove_object(request: Request) -> Mutation:
    """Delete an object; one that is not there is fine."""
    context, bucket, key = request.context.behavior, request.params["bucket"], check_key(request.params["key"])
    own = ownership.open_own(context, request.caller, bucket)
    own.store.check_writable(key)  # what cannot be an object there, such as a directory, is no object that is gone

    def apply(tx: Connection) -> ObjectGone:
        if not ownership.is_still_usable(context, tx, request.caller.account_id, own.bucket):
            raise BucketNotFoundError(bucket)
        return ObjectGone(bucket, key)

    return Mutation(apply, lambda: own.store.delete(key), context.publications.publishing(bucket))


def _found(request: Request) -> tuple[Store, ObjectInfo, Headers]:
    key = check_key(request.params["key"])
    store = ownership.open_own(request.context.behavior, request.caller, request.params["bucket"]).store
    info = store.head(key)
    name = quote(key.rpartition("/")[2], safe="")
    headers: Headers = [
        (b"content-disposition", f"attachment; filename*=UTF-8''{name}".encode("ascii")),
        (b"last-modified", _http_date(info.modified_at)),
    ]
    if info.e_tag is not None:
        headers.append((b"etag", f'"{info.e_tag.strip(chr(34))}"'.encode("latin-1")))
    return store, info, headers


def _body(info: ObjectInfo) -> ObjectBody:
    return ObjectBody(info.key, info.size_bytes, info.e_tag, stamp(info.modified_at))


def _http_date(time: datetime) -> bytes:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT").encode("ascii")


_ONE = "/data/v1/{bucket}/{key...}"
_ERRORS = (FORBIDDEN, PATH_NOT_FOUND, BAD_PATH, UNAVAILABLE)

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "list_objects", "GET", "/data/v1/{bucket}", "List the objects of a bucket, by key.", list_objects, "read", "data",
        response=ObjectList, query=ObjectsQuery, errors=(*_ERRORS, INVALID_REQUEST),
    ),
    Operation(
        "put_object", "PUT", _ONE, "Write an object, whole or not at all. A bucket that is nobody's becomes the caller's.",
        put_object, "upload", "data", response=ObjectPut, errors=(*_ERRORS, INVALID_REQUEST, TOO_LARGE), creates=True,
    ),
    Operation(
        "get_object", "GET", _ONE, "Read an object.", get_object, "download", "data", errors=_ERRORS,
        content_type="application/octet-stream",
    ),
    Operation(
        "head_object", "HEAD", _ONE, "Ask for an object's size and tag.", head_object, "download", "data", errors=_ERRORS,
        content_type="application/octet-stream",
    ),
    Operation(
        "delete_object", "DELETE", _ONE, "Delete an object; one that is not there is fine.", remove_object, "change",
        "data", response=ObjectGone, errors=_ERRORS,
    ),
)  # fmt: skip
