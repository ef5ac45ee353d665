"""What only S3 services need: the options of a connection, and making a bucket. Knows no keys or objects."""

from datetime import timedelta
from typing import Any

from footfall.errors import StoreDeniedError, StoreUnavailableError
from footfall.stores.names import Place


def s3_options(place: Place) -> dict[str, Any]:
    """Return what obstore's S3Store is opened with."""
    options: dict[str, Any] = {
        "region": place.region,
        "virtual_hosted_style_request": not place.path_style,
        "disable_bulk_delete": True,  # some stores answer bulk deletes in ways nobody can read
        "client_options": {
            "timeout": timedelta(seconds=place.timeout_s),
            "connect_timeout": timedelta(seconds=min(5.0, place.timeout_s)),
            "allow_http": place.endpoint.startswith("http://"),
        },
        "retry_config": {"max_retries": 3, "retry_timeout": timedelta(seconds=2 * place.timeout_s)},
    }
    if place.endpoint:
        options["endpoint"] = place.endpoint
    if place.access_key:
        options |= {"access_key_id": place.access_key, "secret_access_key": place.secret_key}
    return options


def create_bucket(place: Place, name: str) -> None:
    """Make a bucket; one that is there already is fine here, and the caller finds out whether it is ours.

    Raises:
        StoreDeniedError: the service refuses.
        StoreUnavailableError: it does not answer.
    """
    # obstore cannot make buckets; botocore is slow to import, so only this rare call pays for it.
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if place.path_style else "virtual"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=5,
        read_timeout=place.timeout_s,
        retries={"max_attempts": 2},
    )
    client = botocore.session.get_session().create_client(
        "s3",
        region_name=place.region,
        endpoint_url=place.endpoint or None,
        aws_access_key_id=place.access_key or None,
        aws_secret_access_key=place.secret_key or None,
        config=config,
    )
    location = (
        {} if place.region in ("", "us-east-1") else {"CreateBucketConfiguration": {"LocationConstraint": place.region}}
    )
    try:
        client.create_bucket(Bucket=name, **location)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise StoreDeniedError(
                f"the S3 service does not make the bucket {name}: {error}", operation="write"
            ) from error
    except BotoCoreError as error:
        raise StoreUnavailableError(f"the S3 service does not answer: {error}", operation="write") from error
