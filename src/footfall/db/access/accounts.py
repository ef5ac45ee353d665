"""Accounts, their users, and the keys by which they are known."""

import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, func, insert, select, update

from footfall.db.engine.encryption import Secrets
from footfall.db.engine.engine import Connection, from_us, now_us
from footfall.db.engine.prepared import Prepared
from footfall.db.engine.rows import check_limit, existing, insert_new
from footfall.db.tables import access_keys, accounts, projects, users
from footfall.errors import InUseError, WrongStateError
from footfall.records import AccessKey, Account, User, new_id

MAX_KEYS_OF_USER = 2
SERVICES = ("nclue", "nsml")
SYSTEM_PROJECT = "_behavior"
"""The name of the project that holds behavior's runs; no project of a user can be called so."""
FIRST_USER_NUMBER = 1_000_001
_BASE_36 = "0123456789abcdefghijklmnopqrstuvwxyz"

_ROLES: dict[tuple[str, str], Mapping[str, str]] = {
    (nclue, nsml): {"nclue": nclue, "nsml": nsml}
    for nclue in ("MANAGER", "VIEWER", "NONE")
    for nsml in ("MANAGER", "VIEWER", "NONE")
}

_SIGNER = Prepared(
    select(access_keys.c.secret, access_keys.c.is_active, users.c.id, users.c.account_id, users.c.role_nclue, users.c.role_nsml)
    .join(users, users.c.id == access_keys.c.user_id)
    .where(access_keys.c.id == bindparam("id"), users.c.deleted_at.is_(None))
)
_SYSTEM_PROJECT = Prepared(
    select(projects.c.id).where(
        projects.c.account_id == bindparam("account_id"), projects.c.is_system.is_(True), projects.c.deleted_at.is_(None)
    )
)


_NEXT_NUMBER = select(func.coalesce(func.max(users.c.number) + 1, FIRST_USER_NUMBER)).scalar_subquery()


@dataclass(frozen=True, slots=True)
class Signer:
    """What the server must know of an access key to check a signature. ``secret`` is sealed."""

    secret: bytes
    is_active: bool
    user_id: str
    account_id: str
    roles: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account that was just made, with its first user, and their key with its secret."""

    account: Account
    user: User
    key: AccessKey


def find_signer(connection: Connection, access_key: str) -> Signer | None:
    """Return whose access key this is, or None."""
    row = _SIGNER.one(connection, id=access_key)
    return None if row is None else Signer(row[0], bool(row[1]), row[2], row[3], _ROLES[row[4], row[5]])


def system_project(connection: Connection, account_id: str) -> str:
    """Return the project in which the behavior wing runs for an account; it is made with the account."""
    return str(existing(_SYSTEM_PROJECT.one(connection, account_id=account_id), "system project of account", account_id)[0])


def count_accounts(connection: Connection) -> int:
    """Return how many accounts there are."""
    return connection.execute(select(func.count()).select_from(accounts)).scalar_one()


def create_account(tx: Connection, secrets: Secrets, *, name: str, user_name: str, is_operator: bool = False) -> NewAccount:
    """Make an account with its system project, and a first user who manages every service and has a key.

    Raises:
        AlreadyExistsError: the name is taken.
    """
    now = now_us()
    account = Account(new_id(), name, is_operator, from_us(now))
    new = insert(accounts).values(id=account.id, name=name, is_operator=is_operator, created_at=now)
    insert_new(tx, new, "account", name)
    project_id = "".join(random.choice(_BASE_36) for _ in range(20))
    tx.execute(insert(projects).values(id=project_id, account_id=account.id, name=SYSTEM_PROJECT, is_system=True, created_at=now))
    user = create_user(tx, account.id, name=user_name, roles=dict.fromkeys(SERVICES, "MANAGER"))
    return NewAccount(account, user, create_key(tx, secrets, account.id, user.id))


def list_accounts(connection: Connection) -> list[Account]:
    """Return every account, oldest first."""
    rows = connection.execute(select(accounts).order_by(accounts.c.created_at, accounts.c.id)).all()
    return [_account(row) for row in rows]


def get_account(connection: Connection, id: str) -> Account:
    """Return an account.

    Raises:
        NotFoundError: there is none.
    """
    return _account(existing(connection.execute(select(accounts).where(accounts.c.id == id)).first(), "account", id))


def find_account(connection: Connection, name_or_id: str) -> Account:
    """Return the account with this id, or else with this name.

    Raises:
        NotFoundError: there is none.
    """
    query = select(accounts).where((accounts.c.id == name_or_id) | (accounts.c.name == name_or_id))
    first = connection.execute(query.order_by(accounts.c.id != name_or_id)).first()
    return _account(existing(first, "account", name_or_id))


def create_user(tx: Connection, account_id: str, *, name: str, roles: Mapping[str, str]) -> User:
    """Make a user of an account; a service that ``roles`` does not name is ``NONE``.

    Raises:
        AlreadyExistsError: the account has a user of that name.
    """
    now = now_us()
    user = User(new_id(), account_id, name, _ROLES[roles.get("nclue", "NONE"), roles.get("nsml", "NONE")], from_us(now))
    roles_by_column = {f"role_{service}": role for service, role in user.roles.items()}
    new = insert(users).values(
        id=user.id, account_id=account_id, name=name, created_at=now, number=_NEXT_NUMBER, **roles_by_column
    )
    insert_new(tx, new, "user", name)
    return user


def list_users(connection: Connection, account_id: str) -> list[User]:
    """Return the users of an account, oldest first."""
    query = select(users).where(users.c.account_id == account_id, users.c.deleted_at.is_(None))
    return [_user(row) for row in connection.execute(query.order_by(users.c.created_at, users.c.id))]


def get_user(connection: Connection, account_id: str, id: str) -> User:
    """Return a user of an account.

    Raises:
        NotFoundError: there is none.
    """
    query = select(users).where(users.c.id == id, users.c.account_id == account_id, users.c.deleted_at.is_(None))
    return _user(existing(connection.execute(query).first(), "user", id))


def set_roles(tx: Connection, account_id: str, id: str, roles: Mapping[str, str]) -> User:
    """Give a user the roles that are named; the others stay.

    Raises:
        NotFoundError: no such user.
        InUseError: nobody would be left to manage the account.
    """
    get_user(tx, account_id, id)
    changes = {f"role_{service}": role for service, role in roles.items()}
    if changes:
        tx.execute(update(users).where(users.c.id == id).values(changes))
    _keep_a_manager(tx, account_id, "user", id)
    return get_user(tx, account_id, id)


def delete_user(tx: Connection, account_id: str, id: str) -> None:
    """Remove a user and the user's keys.

    Raises:
        NotFoundError: no such user.
        InUseError: nobody would be left to manage the account.
    """
    get_user(tx, account_id, id)
    tx.execute(delete(access_keys).where(access_keys.c.user_id == id))
    tx.execute(update(users).where(users.c.id == id).values(deleted_at=now_us()))
    _keep_a_manager(tx, account_id, "user", id)


def create_key(tx: Connection, secrets: Secrets, account_id: str, user_id: str) -> AccessKey:
    """Make a key pair of a user; the answer is the only place where the secret is seen.

    Raises:
        NotFoundError: no such user.
        QuotaExceededError: the user has two already.
    """
    get_user(tx, account_id, user_id)
    tx.execute(select(users.c.id).where(users.c.id == user_id).with_for_update())
    check_limit(tx, access_keys.c.user_id == user_id, MAX_KEYS_OF_USER, "access keys of a user")
    return _insert_key(tx, secrets, user_id)


def _insert_key(tx: Connection, secrets: Secrets, user_id: str) -> AccessKey:
    id, secret, now = "ff" + random.token_hex(9).upper(), random.token_urlsafe(30), now_us()
    sealed = secrets.seal(secret.encode(), id)
    tx.execute(insert(access_keys).values(id=id, user_id=user_id, secret=sealed, is_active=True, created_at=now))
    return AccessKey(id, user_id, True, from_us(now), secret)


def list_keys(connection: Connection, account_id: str, user_id: str | None = None) -> list[AccessKey]:
    """Return the access keys of an account's users, or of one, oldest first, without their secrets."""
    query = _keys_of(account_id).order_by(access_keys.c.created_at, access_keys.c.id)
    if user_id is not None:
        query = query.where(users.c.id == user_id)
    return [_key(row) for row in connection.execute(query)]


def get_key(connection: Connection, account_id: str, id: str) -> AccessKey:
    """Return an access key of an account's users, without its secret.

    Raises:
        NotFoundError: no such key.
    """
    row = connection.execute(_keys_of(account_id).where(access_keys.c.id == id)).first()
    return _key(existing(row, "access key", id))


def set_key_active(tx: Connection, account_id: str, id: str, is_active: bool) -> AccessKey:
    """Start or stop a key; a stopped one signs nothing.

    Raises:
        NotFoundError: no such key.
        InUseError: nobody would be left to manage the account.
    """
    get_key(tx, account_id, id)
    tx.execute(update(access_keys).where(access_keys.c.id == id).values(is_active=is_active))
    if not is_active:
        _keep_a_manager(tx, account_id, "access key", id)
    return get_key(tx, account_id, id)


def delete_key(tx: Connection, account_id: str, id: str) -> None:
    """Remove a key for good.

    Raises:
        NotFoundError: no such key.
        WrongStateError: it is active; stop it first.
    """
    if get_key(tx, account_id, id).is_active:
        raise WrongStateError("access key", id, "active", ("stopped",), f"The access key {id} is active; stop it first.")
    tx.execute(delete(access_keys).where(access_keys.c.id == id, access_keys.c.is_active.is_(False)))


def make_manager_key(tx: Connection, secrets: Secrets, account_name: str | None = None) -> AccessKey:
    """Make a key for who manages an account first, for somebody who has the server's files and no key that works.

    The oldest stopped key goes if the user has two. Active ones stay, so there may be three until one is deleted.

    Args:
        account_name: its name or id; None means the operator's.

    Raises:
        NotFoundError: no such account, or nobody manages it.
    """
    if account_name is not None:
        account = find_account(tx, account_name)
    else:
        account = existing(next((each for each in list_accounts(tx) if each.is_operator), None), "account", "of the operator")
    query = select(users.c.id).where(*_manages(account.id)).order_by(users.c.created_at, users.c.id)
    user_id = existing(tx.execute(query).scalars().first(), "manager of the account", account.name)
    keys = list_keys(tx, account.id, user_id)
    stopped = [key for key in keys if not key.is_active]
    if len(keys) >= MAX_KEYS_OF_USER and stopped:
        delete_key(tx, account.id, stopped[0].id)
    return _insert_key(tx, secrets, user_id)


def _keys_of(account_id: str) -> Select[*tuple[Any, ...]]:
    return (
        select(access_keys.c.id, access_keys.c.user_id, access_keys.c.is_active, access_keys.c.created_at)
        .join(users, users.c.id == access_keys.c.user_id)
        .where(users.c.account_id == account_id, users.c.deleted_at.is_(None))
    )


def _keep_a_manager(tx: Connection, account_id: str, kind: str, changed_id: str) -> None:
    managers = (
        select(func.count())
        .select_from(users.join(access_keys, access_keys.c.user_id == users.c.id))
        .where(*_manages(account_id), access_keys.c.is_active.is_(True))
    )
    if not tx.execute(managers).scalar_one():
        need = "the account itself: it needs a user who is MANAGER of every service and has an active key"
        raise InUseError(kind, changed_id, [need], "Give another user these roles and a key first.")


def _manages(account_id: str) -> tuple[ColumnElement[bool], ...]:
    return (
        users.c.account_id == account_id,
        users.c.deleted_at.is_(None),
        *(users.c[f"role_{service}"] == "MANAGER" for service in SERVICES),
    )


def _account(row: Row[Any]) -> Account:
    return Account(row.id, row.name, row.is_operator, from_us(row.created_at))


def _key(row: Row[Any]) -> AccessKey:
    return AccessKey(row.id, row.user_id, row.is_active, from_us(row.created_at))


def _user(row: Row[Any]) -> User:
    return User(row.id, row.account_id, row.name, _ROLES[row.role_nclue, row.role_nsml], from_us(row.created_at))
