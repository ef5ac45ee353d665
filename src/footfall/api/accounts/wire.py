"""From our records to the shapes of ``/accounts/v1``. The only place that knows both."""

from footfall.api.nclue.wire import stamp
from footfall.contract.accounts import AccountBody, AccountMade, ApiKeyBody, ApiKeyMade, BucketBody, KeyBody, KeyMade, UserBody
from footfall.db.access.accounts import NewAccount
from footfall.db.access.api_keys import ApiKey
from footfall.records import AccessKey, Account, Bucket, User


def account_body(account: Account) -> AccountBody:
    """Return what is shown of an account."""
    return AccountBody(account.id, account.name, account.is_operator, stamp(account.created_at))


def account_made(new: NewAccount) -> AccountMade:
    """Return what is shown once of a new account."""
    account, user, key = new.account, new.user, new.key
    return AccountMade(
        account.id, account.name, account.is_operator, stamp(account.created_at), user.id, user.name, key.id, key.secret_key or ""
    )


def user_body(user: User) -> UserBody:
    """Return what is shown of a user."""
    return UserBody(user.id, user.name, user.account_id, dict(user.roles), stamp(user.created_at))


def key_body(key: AccessKey) -> KeyBody:
    """Return what is shown of an access key."""
    return KeyBody(key.id, key.user_id, key.is_active, stamp(key.created_at))


def key_made(key: AccessKey) -> KeyMade:
    """Return what is shown once of a new access key."""
    return KeyMade(key.id, key.user_id, key.is_active, stamp(key.created_at), key.secret_key or "")


def api_key_body(key: ApiKey) -> ApiKeyBody:
    """Return what is shown of an API key."""
    return ApiKeyBody(key.id, key.name, key.is_enabled, stamp(key.created_at))


def api_key_made(key: ApiKey) -> ApiKeyMade:
    """Return what is shown once of an API key's values."""
    return ApiKeyMade(key.id, key.name, key.is_enabled, stamp(key.created_at), key.primary, key.secondary)


def bucket_body(bucket: Bucket) -> BucketBody:
    """Return what is shown of a bucket."""
    return BucketBody(bucket.name, bucket.account_id, stamp(bucket.created_at), list(bucket.granted_to))
