"""The shapes of ``/accounts/v1``, all ours. Secrets stand only in the answers that made them."""

from typing import Annotated, Literal

import msgspec

from footfall.contract.nclue import Name, Stamp

Role = Literal["MANAGER", "VIEWER", "NONE"]


ApiKeyName = Annotated[str, msgspec.Meta(description="1 to 20 characters.", extra_json_schema={"minLength": 1, "maxLength": 20})]


class Roles(msgspec.Struct):
    """A role for each service; what is not given is NONE for a new user, and stays for another."""

    nclue: Role | None = None
    nsml: Role | None = None

    def given(self) -> dict[str, str]:
        """Return the roles that were given, by service."""
        return {service: role for service, role in msgspec.structs.asdict(self).items() if role is not None}


class NewName(msgspec.Struct):
    """A name for something new."""

    name: Name


class NewUser(msgspec.Struct):
    """What POST /users takes."""

    name: Name
    roles: Roles = msgspec.field(default_factory=Roles)


class NewKey(msgspec.Struct):
    """What POST /keys takes; without ``user_id`` the key is the caller's own."""

    user_id: str | None = None


class NewApiKey(msgspec.Struct):
    """What POST /api-keys takes."""

    name: ApiKeyName


class Reissue(msgspec.Struct):
    """Which of the two values is made anew."""

    which: Literal["primary", "secondary"] = "primary"


class NewBucket(msgspec.Struct):
    """What POST /buckets takes."""

    name: Annotated[str, msgspec.Meta(description="3 to 63 of a-z, 0-9, '.' and '-'.")]


class NewGrant(msgspec.Struct):
    """What POST /buckets/{name}/grants takes; ``account_id`` may be an account's name too."""

    account_id: str


class AccountBody(msgspec.Struct):
    """An account."""

    account_id: str
    account_name: str
    is_operator: bool
    created_at: Stamp


class AccountMade(AccountBody):
    """A new account, its first user and that user's key."""

    user_id: str
    user_name: str
    access_key: str
    secret_key: str


class UserBody(msgspec.Struct):
    """A user of the account."""

    user_id: str
    user_name: str
    account_id: str
    roles: dict[str, str]
    created_at: Stamp


class KeyBody(msgspec.Struct):
    """An access key."""

    access_key: str
    user_id: str
    is_active: bool
    created_at: Stamp


class KeyMade(KeyBody):
    """A new access key and its secret, which is shown this once."""

    secret_key: str


class ApiKeyBody(msgspec.Struct):
    """An API key."""

    api_key_id: str
    name: str
    is_enabled: bool
    created_at: Stamp


class ApiKeyMade(ApiKeyBody):
    """An API key and the values that were just made, which are shown this once."""

    primary_key: str | None
    secondary_key: str | None


class BucketBody(msgspec.Struct):
    """A bucket, whose it is, and, for its owner, which accounts may use it too."""

    name: str
    account_id: str
    created_at: Stamp
    granted_to: list[str]


class AccountList(msgspec.Struct):
    """Accounts, oldest first: every one for an operator, else the caller's own."""

    accounts: list[AccountBody]


class UserList(msgspec.Struct):
    """The users of the account, oldest first."""

    users: list[UserBody]


class KeyList(msgspec.Struct):
    """The access keys of the account's users, oldest first; only the caller's own for one who does not manage it."""

    keys: list[KeyBody]


class ApiKeyList(msgspec.Struct):
    """The API keys of the account, oldest first."""

    api_keys: list[ApiKeyBody]


class BucketList(msgspec.Struct):
    """The buckets that the account may use, by name."""

    buckets: list[BucketBody]


class UserId(msgspec.Struct):
    """Which user it was."""

    user_id: str


class KeyId(msgspec.Struct):
    """Which access key it was."""

    access_key: str


class ApiKeyId(msgspec.Struct):
    """Which API key it was."""

    api_key_id: str


class BucketName(msgspec.Struct):
    """Which bucket it was."""

    name: str
