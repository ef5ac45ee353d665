"""Open a store by its location, or a bucket by its name."""

from urllib.parse import urlsplit

from footfall.errors import BucketNotFoundError, StoreError
from footfall.stores.directory import DirectoryStore
from footfall.stores.names import StoreLocation, check_bucket_name
from footfall.stores.s3 import S3Store
from footfall.stores.store import Store

_BACKENDS: dict[str, type[DirectoryStore] | type[S3Store]] = {"file": DirectoryStore, "s3": S3Store}


def open_store(location: StoreLocation) -> Store:
    """Return the store at a location.

    Raises:
        StoreError: its URL is neither ``file://`` nor ``s3://``.
    """
    return _backend(location)(location)


class Buckets:
    """A location with named stores in it."""

    def __init__(self, location: StoreLocation) -> None:
        self.location = location
        self._backend = _backend(location)
        self._open: dict[str, Store] = {}

    def open(self, name: str) -> Store:
        """Return the store of a bucket.

        Raises:
            BucketNotFoundError: there is no such bucket.
        """
        check_bucket_name(name)
        if not self._backend.has_bucket(self.location, name):
            raise BucketNotFoundError(name)
        if name not in self._open:
            self._open[name] = self._backend(self._backend.bucket_location(self.location, name))
        return self._open[name]

    def create(self, name: str) -> None:
        """Make a bucket; one that is there and can be used with our keys is fine.

        Raises:
            StoreDeniedError: the name is taken by somebody else at the S3 service.
        """
        self._backend.create_bucket(self.location, check_bucket_name(name))

    def is_empty(self, name: str) -> bool:
        """Whether no object is in a bucket."""
        return self.open(name).is_empty()

    def delete(self, name: str) -> None:
        """Remove an empty bucket of a directory; with S3 the bucket itself stays with its operator.

        Raises:
            StoreDeniedError: files that are no objects, such as links, lie in it.
        """
        self._open.pop(name, None)
        self._backend.delete_bucket(self.location, name)

    def sweep_drafts(self, older_than_s: float) -> int:
        """As ``Store.sweep_drafts``, over every bucket."""
        return 0 if self._backend is S3Store else open_store(self.location).sweep_drafts(older_than_s)


def _backend(location: StoreLocation) -> type[DirectoryStore] | type[S3Store]:
    backend = _BACKENDS.get(urlsplit(location.url).scheme)
    if backend is None:
        raise StoreError(f"{location.url}: only file:// and s3:// are known", operation="read")
    return backend
