"""``/accounts/v1``: accounts, users, keys, API keys and buckets. All ours.

Who is MANAGER of every service manages the account; everybody with a role in it may see it and look after keys of their
own. Buckets go with NCLUE, whose data they hold. Only the operator's account makes others.
"""

from collections.abc import Callable
from typing import Any

from footfall.api.accounts import wire
from footfall.api.http.errors import (
    DUPLICATE_NAME,
    FORBIDDEN,
    IN_USE,
    INVALID_JSON,
    INVALID_REQUEST,
    LIMIT_REACHED,
    NAME_TOO_LONG,
    NO_SUCH,
    UNAVAILABLE,
    GatewayError,
)
from footfall.api.http.operations import Kind, Operation, Permission
from footfall.api.request import Mutation, Request
from footfall.behavior import ownership
from footfall.behavior.fields import check_name_length, normalize_name
from footfall.contract import accounts as shapes
from footfall.db.access import accounts, api_keys, buckets
from footfall.db.engine.engine import Connection
from footfall.stores.names import check_bucket_name

MAX_API_KEY_NAME = 20


def is_manager(request: Request) -> bool:
    """Whether the caller manages the account."""
    return set(request.caller.roles.values()) == {"MANAGER"}


def list_accounts(request: Request) -> shapes.AccountList:
    """Return every account to an operator, to others their own."""
    with request.context.database.read() as connection:
        mine = accounts.get_account(connection, request.caller.account_id)
        shown = accounts.list_accounts(connection) if mine.is_operator and is_manager(request) else [mine]
    return shapes.AccountList([wire.account_body(account) for account in shown])


def post_account(request: Request) -> Mutation:
    """Make an account with a first user and a key."""
    with request.context.database.read() as connection:
        if not accounts.get_account(connection, request.caller.account_id).is_operator:
            raise GatewayError(FORBIDDEN, "Only a manager of the operator's account makes accounts.")
    name = _name(request.fields.name)
    secrets = request.context.secrets
    return Mutation(lambda tx: wire.account_made(accounts.create_account(tx, secrets, name=name, user_name="admin")))


def list_users(request: Request) -> shapes.UserList:
    """Return the users of the account."""
    with request.context.database.read() as connection:
        users = accounts.list_users(connection, request.caller.account_id)
    return shapes.UserList([wire.user_body(user) for user in users])


def post_user(request: Request) -> Mutation:
    """Make a user."""
    new: shapes.NewUser = request.fields
    name, account_id = _name(new.name), request.caller.account_id
    return Mutation(lambda tx: wire.user_body(accounts.create_user(tx, account_id, name=name, roles=new.roles.given())))


def put_roles(request: Request) -> Mutation:
    """Set roles of a user."""
    new: shapes.Roles = request.fields
    account_id, id = request.caller.account_id, request.params["user_id"]
    return Mutation(lambda tx: wire.user_body(accounts.set_roles(tx, account_id, id, new.given())))


def remove_user(request: Request) -> Mutation:
    """Delete a user and the user's keys."""
    return _removal(request, request.params["user_id"], accounts.delete_user, shapes.UserId)


def list_keys(request: Request) -> shapes.KeyList:
    """Return access keys: the account's to a manager, to others their own."""
    only = None if is_manager(request) else request.caller.user_id
    with request.context.database.read() as connection:
        keys = accounts.list_keys(connection, request.caller.account_id, only)
    return shapes.KeyList([wire.key_body(key) for key in keys])


def post_key(request: Request) -> Mutation:
    """Make an access key."""
    caller, secrets = request.caller, request.context.secrets
    user_id = request.fields.user_id or caller.user_id
    if user_id != caller.user_id:
        _need_manager(request)
    return Mutation(lambda tx: wire.key_made(accounts.create_key(tx, secrets, caller.account_id, user_id)))


def _key_switch(is_active: bool) -> Callable[[Request], Mutation]:
    def switch(request: Request) -> Mutation:
        id = _own_key(request)
        account_id = request.caller.account_id
        return Mutation(lambda tx: wire.key_body(accounts.set_key_active(tx, account_id, id, is_active)))

    return switch


def remove_key(request: Request) -> Mutation:
    """Delete a stopped access key."""
    return _removal(request, _own_key(request), accounts.delete_key, shapes.KeyId)


def list_api_keys(request: Request) -> shapes.ApiKeyList:
    """Return the API keys of the account."""
    with request.context.database.read() as connection:
        keys = api_keys.list_api_keys(connection, request.caller.account_id)
    return shapes.ApiKeyList([wire.api_key_body(key) for key in keys])


def post_api_key(request: Request) -> Mutation:
    """Make an API key."""
    name = normalize_name(request.fields.name)
    check_name_length(name, limit=MAX_API_KEY_NAME)
    return Mutation(lambda tx: wire.api_key_made(api_keys.create_api_key(tx, request.caller.account_id, name)))


def reissue_api_key(request: Request) -> Mutation:
    """Make one of the two values of an API key anew."""
    account_id, id, which = request.caller.account_id, request.params["api_key_id"], request.fields.which
    return Mutation(lambda tx: wire.api_key_made(api_keys.reissue(tx, account_id, id, which=which)))


def _api_key_switch(is_enabled: bool) -> Callable[[Request], Mutation]:
    def switch(request: Request) -> Mutation:
        account_id, id = request.caller.account_id, request.params["api_key_id"]
        return Mutation(lambda tx: wire.api_key_body(api_keys.set_enabled(tx, account_id, id, is_enabled)))

    return switch


def remove_api_key(request: Request) -> Mutation:
    """Delete an API key."""
    return _removal(request, request.params["api_key_id"], api_keys.delete_api_key, shapes.ApiKeyId)


def list_buckets(request: Request) -> shapes.BucketList:
    """Return the buckets that the account may use."""
    with request.context.database.read() as connection:
        rows = buckets.list_buckets(connection, request.caller.account_id)
    settings = request.context.settings
    return shapes.BucketList([wire.bucket_body(b) for b in rows if not ownership.is_internal(settings, b.name)])


def post_bucket(request: Request) -> Mutation:
    """Make a bucket."""
    name = check_bucket_name(request.fields.name)
    ownership.prepare_bucket(request.context.behavior, request.caller, name)
    return Mutation(lambda tx: wire.bucket_body(buckets.insert_bucket(tx, request.caller.account_id, name)))


def remove_bucket(request: Request) -> Mutation:
    """Delete an empty bucket."""
    name = request.params["name"]
    removal = ownership.BucketRemoval(request.context.behavior, request.caller, name)

    def apply(tx: Connection) -> shapes.BucketName:
        removal.apply(tx)
        return shapes.BucketName(name)

    return Mutation(apply, within=removal.emptied())


def post_grant(request: Request) -> Mutation:
    """Let another account read and write a bucket."""
    return _grant(request, request.fields.account_id, buckets.grant)


def remove_grant(request: Request) -> Mutation:
    """End a grant."""
    return _grant(request, request.params["account_id"], buckets.revoke)


def _grant(request: Request, account: str, change: Callable[[Connection, str, str], None]) -> Mutation:
    name, account_id, context = request.params["name"], request.caller.account_id, request.context.behavior

    def apply(tx: Connection) -> shapes.BucketBody:
        ownership.get_owned(context, tx, account_id, name)
        change(tx, name, accounts.find_account(tx, account).id)
        return wire.bucket_body(buckets.get_bucket(tx, account_id, name))

    return Mutation(apply)


def _removal(request: Request, id: str, delete: Callable[[Connection, str, str], None], shape: Callable[[str], Any]) -> Mutation:
    account_id = request.caller.account_id

    def apply(tx: Connection) -> Any:
        delete(tx, account_id, id)
        return shape(id)

    return Mutation(apply)


def _need_manager(request: Request) -> None:
    if not is_manager(request):
        raise GatewayError(FORBIDDEN, "Only a user who is MANAGER of every service manages the account; ask one.")


def _own_key(request: Request) -> str:
    """Return the key of the path if the caller may change it; another's key is as good as none."""
    id = request.params["access_key"]
    with request.context.database.read() as connection:
        key = accounts.get_key(connection, request.caller.account_id, id)
    if key.user_id != request.caller.user_id:
        _need_manager(request)
    return id


def _name(name: str) -> str:
    normal = normalize_name(name)
    check_name_length(normal)
    return normal


_BODY = (INVALID_JSON, INVALID_REQUEST)
_ROOT = "/accounts/v1"


def _operation(
    id: str, requires: Permission, method: str, path: str, summary: str, handler: Any, response: type, **more: Any
) -> Operation:
    errors = (FORBIDDEN, *more.pop("errors", ()))
    kind: Kind = "read" if method == "GET" else "change"
    return Operation(
        id, method, _ROOT + path, summary, handler, kind, "accounts", requires, response=response, errors=errors, **more
    )


OPERATIONS: tuple[Operation, ...] = (
    _operation("list_accounts", "member", "GET", "/accounts", "List accounts.", list_accounts, shapes.AccountList),
    _operation(
        "create_account", "owner", "POST", "/accounts", "Create an account with its first user and key.", post_account,
        shapes.AccountMade, request=shapes.NewName, errors=(*_BODY, NAME_TOO_LONG, DUPLICATE_NAME),
    ),
    _operation("list_users", "member", "GET", "/users", "List the users of the account.", list_users, shapes.UserList),
    _operation(
        "create_user", "owner", "POST", "/users", "Create a user.", post_user, shapes.UserBody,
        request=shapes.NewUser, errors=(*_BODY, NAME_TOO_LONG, DUPLICATE_NAME),
    ),
    _operation(
        "set_roles", "owner", "PUT", "/users/{user_id}/roles", "Set the roles of a user.", put_roles, shapes.UserBody,
        request=shapes.Roles, errors=(*_BODY, NO_SUCH, IN_USE),
    ),
    _operation(
        "delete_user", "owner", "DELETE", "/users/{user_id}", "Delete a user and the user's keys.", remove_user, shapes.UserId,
        errors=(NO_SUCH, IN_USE),
    ),
    _operation("list_keys", "key", "GET", "/keys", "List access keys.", list_keys, shapes.KeyList),
    _operation(
        "create_key", "member", "POST", "/keys", "Create an access key; its secret is shown this once.", post_key, shapes.KeyMade,
        request=shapes.NewKey, errors=(*_BODY, NO_SUCH, LIMIT_REACHED),
    ),
    _operation(
        "stop_key", "member", "POST", "/keys/{access_key}/stop", "Stop an access key.", _key_switch(False), shapes.KeyBody,
        errors=(NO_SUCH, IN_USE),
    ),
    _operation(
        "start_key", "member", "POST", "/keys/{access_key}/start", "Start a stopped access key.", _key_switch(True),
        shapes.KeyBody, errors=(NO_SUCH,),
    ),
    _operation(
        "delete_key", "member", "DELETE", "/keys/{access_key}", "Delete a stopped access key.", remove_key, shapes.KeyId,
        errors=(NO_SUCH, IN_USE),
    ),
    _operation("list_api_keys", "member", "GET", "/api-keys", "List API keys.", list_api_keys, shapes.ApiKeyList),
    _operation(
        "create_api_key", "owner", "POST", "/api-keys", "Create an API key; its values are shown this once.", post_api_key,
        shapes.ApiKeyMade, request=shapes.NewApiKey, errors=(*_BODY, NAME_TOO_LONG, LIMIT_REACHED),
    ),
    _operation(
        "reissue_api_key", "owner", "POST", "/api-keys/{api_key_id}/reissue", "Make one value of an API key anew.",
        reissue_api_key, shapes.ApiKeyMade, request=shapes.Reissue, errors=(*_BODY, NO_SUCH),
    ),
    _operation(
        "enable_api_key", "owner", "POST", "/api-keys/{api_key_id}/enable", "Enable an API key.", _api_key_switch(True),
        shapes.ApiKeyBody, errors=(NO_SUCH,),
    ),
    _operation(
        "disable_api_key", "owner", "POST", "/api-keys/{api_key_id}/disable", "Disable an API key.", _api_key_switch(False),
        shapes.ApiKeyBody, errors=(NO_SUCH,),
    ),
    _operation(
        "delete_api_key", "owner", "DELETE", "/api-keys/{api_key_id}", "Delete an API key.", remove_api_key, shapes.ApiKeyId,
        errors=(NO_SUCH,),
    ),
    _operation("list_buckets", "viewer", "GET", "/buckets", "List buckets.", list_buckets, shapes.BucketList),
    _operation(
        "create_bucket", "manager", "POST", "/buckets", "Create a bucket.", post_bucket, shapes.BucketBody,
        request=shapes.NewBucket, errors=(*_BODY, DUPLICATE_NAME, UNAVAILABLE), creates=True,
    ),
    _operation(
        "delete_bucket", "manager", "DELETE", "/buckets/{name}", "Delete an empty bucket.", remove_bucket, shapes.BucketName,
        errors=(NO_SUCH, IN_USE, UNAVAILABLE),
    ),
    _operation(
        "grant_bucket", "owner", "POST", "/buckets/{name}/grants", "Let another account read and write a bucket.", post_grant,
        shapes.BucketBody, request=shapes.NewGrant, errors=(*_BODY, NO_SUCH),
    ),
    _operation(
        "revoke_bucket", "owner", "DELETE", "/buckets/{name}/grants/{account_id}", "End a grant.", remove_grant,
        shapes.BucketBody, errors=(NO_SUCH,),
    ),
)  # fmt: skip
