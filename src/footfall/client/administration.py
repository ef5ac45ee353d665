"""The client's operations on accounts, users, access keys, API keys and buckets.

Routes below ``/accounts/v1``, which are ours; a manager of an account sees its own, an operator every account.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from footfall.client.replies import AccessKey, Account, ApiKey, Bucket, User, reply
from footfall.client.transport import Operations
from footfall.contract import accounts as contract

_ROOT = "/accounts/v1"


class _Collection(Operations):
    """One kind of thing below ``/accounts/v1``."""

    noun = ""
    array = ""

    def _request(self, method: str, *steps: str, body: Mapping[str, Any] | msgspec.Struct | None = None) -> Any:
        path = "/".join((_ROOT, self.noun, *(quote(step, safe="") for step in steps)))
        return self._transport.json(method, path, body=body)

    def _items(self) -> list[Any]:
        return list(self._request("GET")[self.array or self.noun])


class Accounts(_Collection):
    """Owners of features, tasks and buckets.

    Example:
        >>> partner = client.accounts.create("partner")
        >>> [account.name for account in client.accounts.list()][1:]
        ['partner']
        >>> colleague = footfall.Client(client.endpoint, partner.access_key, partner.secret_key)
        >>> list(colleague.features.list())
        []
    """

    noun = "accounts"

    def create(self, name: str) -> Account:
        """Create an account with its first user and keys; the answer alone has the secrets."""
        return reply(Account, self._request("POST", body=contract.NewName(name)))

    def list(self) -> list[Account]:
        """Return the accounts that the caller may see."""
        return [reply(Account, item) for item in self._items()]


class Users(_Collection):
    """People and programs of the account.

    Example:
        >>> analyst = client.users.create("analyst", {"nclue": "VIEWER", "nsml": "NONE"})
        >>> client.users.set_roles(analyst.id, {"nclue": "MANAGER"}).roles
        {'nclue': 'MANAGER', 'nsml': 'NONE'}
        >>> client.users.delete(analyst.id)
    """

    noun = "users"

    def create(self, name: str, roles: Mapping[str, str] | None = None) -> User:
        """Create a user; ``roles`` gives MANAGER, VIEWER or NONE for ``nclue`` and ``nsml``, MANAGER of both by default."""
        granted = {"nclue": "MANAGER", "nsml": "MANAGER"} if roles is None else roles
        return reply(User, self._request("POST", body={"name": name, "roles": dict(granted)}))

    def list(self) -> list[User]:
        """Return the users of the account."""
        return [reply(User, item) for item in self._items()]

    def set_roles(self, id: str, roles: Mapping[str, str]) -> User:
        """Give a user other roles; a service that is not named keeps its role."""
        return reply(User, self._request("PUT", id, "roles", body=dict(roles)))

    def delete(self, id: str) -> None:
        """Delete a user and its keys."""
        self._request("DELETE", id)


class Keys(_Collection):
    """Access keys of users, at most two each. A key is stopped before it is deleted.

    Example:
        >>> key = client.keys.create()
        >>> second = footfall.Client(client.endpoint, key.id, key.secret_key)
        >>> second.health()["status"]
        'ok'
        >>> client.keys.stop(key.id)
        >>> client.keys.delete(key.id)
    """

    noun = "keys"

    def create(self, user_id: str | None = None) -> AccessKey:
        """Create a key for a user (the caller by default); the answer alone has its secret."""
        return reply(AccessKey, self._request("POST", body=contract.NewKey(user_id)))

    def list(self) -> list[AccessKey]:
        """Return the keys of the account's users, without secrets."""
        return [reply(AccessKey, item) for item in self._items()]

    def stop(self, id: str) -> None:
        """Make a key invalid until it is started again."""
        self._request("POST", id, "stop")

    def start(self, id: str) -> None:
        """Make a stopped key valid again."""
        self._request("POST", id, "start")

    def delete(self, id: str) -> None:
        """Delete a stopped key."""
        self._request("DELETE", id)


class ApiKeys(_Collection):
    """API keys of the account: two values each, both valid, each of which can be reissued.

    Example:
        >>> key = client.api_keys.create("gateway")
        >>> client.api_keys.reissue(key.id, "secondary").secondary_key == key.secondary_key
        False
        >>> client.api_keys.disable(key.id)
        >>> client.api_keys.delete(key.id)
    """

    noun = "api-keys"
    array = "api_keys"

    def create(self, name: str) -> ApiKey:
        """Create an API key; the answer alone has its two values."""
        return reply(ApiKey, self._request("POST", body=contract.NewApiKey(name)))

    def list(self) -> list[ApiKey]:
        """Return the API keys of the account, without their values."""
        return [reply(ApiKey, item) for item in self._items()]

    def reissue(self, id: str, which: str = "primary") -> ApiKey:
        """Replace the ``primary`` or the ``secondary`` value."""
        return reply(ApiKey, self._request("POST", id, "reissue", body={"which": which}))

    def enable(self, id: str) -> None:
        """Make both values valid."""
        self._request("POST", id, "enable")

    def disable(self, id: str) -> None:
        """Make both values invalid."""
        self._request("POST", id, "disable")

    def delete(self, id: str) -> None:
        """Delete an API key."""
        self._request("DELETE", id)


class Buckets(_Collection):
    """Buckets of the account and those granted to it.

    Example:
        >>> client.buckets.create("archive").name
        'archive'
        >>> [bucket.name for bucket in client.buckets.list()]
        ['archive', 'shop']
        >>> client.buckets.delete("archive")
    """

    noun = "buckets"

    def create(self, name: str) -> Bucket:
        """Create a bucket."""
        return reply(Bucket, self._request("POST", body=contract.NewBucket(name)))

    def list(self) -> list[Bucket]:
        """Return the buckets that the account may use."""
        return [reply(Bucket, item) for item in self._items()]

    def delete(self, name: str) -> None:
        """Delete an empty bucket."""
        self._request("DELETE", name)

    def grant(self, name: str, account_id: str) -> None:
        """Let another account read and write a bucket."""
        self._request("POST", name, "grants", body=contract.NewGrant(account_id))

    def revoke(self, name: str, account_id: str) -> None:
        """Revoke such a grant."""
        self._request("DELETE", name, "grants", account_id)
