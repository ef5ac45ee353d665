"""What obstore cannot do at an S3 service: make a bucket, and list keys that are no paths. By botocore, the extra ``s3``.

botocore is slow to import, so only these rare calls pay for it; each raises ModuleNotFoundError without it.
"""

from typing import Any
from urllib.parse import urlsplit

from footfall.errors import StoreDeniedError, StoreUnavailableError
from footfall.stores.names import StoreLocation
from footfall.stores.store import ObjectInfo, info_of, is_path


def list_objects(location: StoreLocation, prefix: str, after: str, limit: int | None) -> tuple[list[ObjectInfo], int]:
    """Return the objects behind ``after``, at least ``limit`` if there are as many, and the number of keys that are no paths.

    Args:
        location: a bucket, with a prefix below which all keys are.
    """
    url = urlsplit(location.url)
    root = f"{url.path.strip('/')}/" if url.path.strip("/") else ""
    request = {"Bucket": url.netloc, "Prefix": root + prefix, **({"StartAfter": root + after} if after else {})}
    infos: list[ObjectInfo] = []
    n_skipped = 0
    for page in _client(location).get_paginator("list_objects_v2").paginate(**request):
        for item in page.get("Contents", []):
            key = item["Key"].removeprefix(root)
            if not is_path(key):
                n_skipped += 1
            elif not key.endswith("/"):  # which marks a directory
                meta = {"path": key, "size": item["Size"], "e_tag": item.get("ETag"), "last_modified": item["LastModified"]}
                infos.append(info_of(meta))
        if limit is not None and len(infos) >= limit:
            break
    return infos, n_skipped


def create_bucket(location: StoreLocation, name: str) -> None:
    """Make a bucket; one that is there already is fine here, and the caller checks whether it is ours.

    Raises:
        StoreDeniedError: the service refuses.
        StoreUnavailableError: it does not answer.
    """
    client = _client(location)
    from botocore.exceptions import BotoCoreError, ClientError

    constraint = (
        {} if location.region in ("", "us-east-1") else {"CreateBucketConfiguration": {"LocationConstraint": location.region}}
    )
    try:
        client.create_bucket(Bucket=name, **constraint)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise StoreDeniedError(f"the S3 service does not make the bucket {name}: {error}", operation="write") from error
    except BotoCoreError as error:
        raise StoreUnavailableError(f"the S3 service does not answer: {error}", operation="write") from error


def _client(location: StoreLocation) -> Any:
    import botocore.session
    from botocore.config import Config

    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if location.path_style else "virtual"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=5,
        read_timeout=location.timeout_s,
        retries={"max_attempts": 2},
    )
    return botocore.session.get_session().create_client(
        "s3",
        region_name=location.region,
        endpoint_url=location.endpoint or None,
        aws_access_key_id=location.access_key or None,
        aws_secret_access_key=location.secret_key or None,
        config=config,
    )
