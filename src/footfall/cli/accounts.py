"""``footfall bucket | account | user | key``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from footfall.cli import output
from footfall.cli.context import Group, choices, open_client
from footfall.cli.show import day, done, show_list, show_record
from footfall.errors import InputError

if TYPE_CHECKING:
    from footfall.client import Client

ROLES = ["MANAGER", "VIEWER", "NONE"]
SERVICES = ("nclue", "nsml")


@click.group(cls=Group)
def bucket() -> None:
    """Buckets: containers of objects, and who may use them."""


@click.group(cls=Group)
def account() -> None:
    """Accounts: owners of features, tasks and buckets."""


@click.group(cls=Group)
def user() -> None:
    """Users: people and programs of an account, with a role."""


@click.group(cls=Group)
def key() -> None:
    """Keys: access keys of users, and the account's API keys."""


def _add_verb(group: click.Group, noun: str, names: tuple[str, str], verb: str, help: str, state: str) -> None:
    """Add a command that calls a verb of the client for one thing, which is in a state then.

    Args:
        names: of the argument, and of the field of the ``--json`` output that repeats it.
    """
    argument, field = names
    collection = f"{noun.lower().replace(' ', '_')}s"

    @group.command(verb, help=help)
    @click.argument(argument)
    def change(**values: str) -> None:
        id = values[argument]
        with open_client() as client:
            getattr(getattr(client, collection), verb)(id)
        done(f"The {noun} {id} is {state}.", **{field: id}, action=verb)


@bucket.command("create")
@click.argument("name")
def create_bucket(name: str) -> None:
    """Create the bucket NAME."""
    with open_client() as client:
        made = client.buckets.create(name)
    done(f"The bucket {name} is created.", **made.wire)


@bucket.command("list")
def list_buckets() -> None:
    """List the buckets that this account may use."""
    with open_client() as client:
        buckets = client.buckets.list()
    rows = [[one.name, day(one.created_at), ", ".join(one.granted_to) or None] for one in buckets]
    show_list(buckets, ["NAME", "CREATED", "GRANTED TO"], rows, empty="There are no buckets; `footfall data put` creates one.")


_add_verb(bucket, "bucket", ("name", "bucket"), "delete", "Delete the empty bucket NAME.", "deleted")


@bucket.command("grant")
@click.argument("name")
@click.argument("account_id", metavar="ACCOUNT")
def grant_bucket(name: str, account_id: str) -> None:
    """Let another account use the bucket NAME."""
    with open_client() as client:
        client.buckets.grant(name, account_id)
    done(f"The account {account_id} may use the bucket {name}.", bucket=name, granted_to=account_id)


@bucket.command("revoke")
@click.argument("name")
@click.argument("account_id", metavar="ACCOUNT")
def revoke_bucket(name: str, account_id: str) -> None:
    """Revoke a grant of the bucket NAME."""
    with open_client() as client:
        client.buckets.revoke(name, account_id)
    done(f"The account {account_id} may no longer use the bucket {name}.", bucket=name, revoked_from=account_id)


@account.command("create")
@click.argument("name")
def create_account(name: str) -> None:
    """Create the account NAME with a first user and its keys, shown this once."""
    with open_client() as client:
        made = client.accounts.create(name)
    _say_secret(made.wire)


@account.command("list")
def list_accounts() -> None:
    """List the accounts that this user may see."""
    with open_client() as client:
        accounts = client.accounts.list()
    show_list(accounts, ["NAME", "CREATED", "ID"], [[one.name, day(one.created_at), one.id] for one in accounts], empty="")


_service_option = click.option(
    "--service", type=click.Choice(SERVICES), help="Only of this service: nclue is features and tasks, nsml is runs."
)


@user.command("create")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="MANAGER", show_default=True, help="What it may do.")
@_service_option
def create_user(name: str, role: str, service: str | None) -> None:
    """Create the user NAME; `footfall key create --user NAME` gives it a key."""
    with open_client() as client:
        made = client.users.create(name, _roles(role, service))
    done(f"The user {made.name} is created: {made.id}", **made.wire)


@user.command("list")
def list_users() -> None:
    """List the users of this account."""
    with open_client() as client:
        users = client.users.list()
    rows = [[user_.name, *(user_.roles.get(one) for one in SERVICES), day(user_.created_at), user_.id] for user_ in users]
    show_list(users, ["NAME", *(service.upper() for service in SERVICES), "CREATED", "ID"], rows, empty="")


@user.command("role")
@click.argument("which", metavar="ID|NAME")
@click.argument("role", type=click.Choice(ROLES))
@_service_option
def set_role(which: str, role: str, service: str | None) -> None:
    """Give a user another role, for every service unless one is named."""
    with open_client() as client:
        changed = client.users.set_roles(_user_id(client, which), _roles(role, service))
    of_service = f" of {service}" if service else ""
    done(f"The user {changed.name} is {role}{of_service} now.", **changed.wire)


def _roles(role: str, service: str | None) -> dict[str, str]:
    return dict.fromkeys(SERVICES if service is None else (service,), role)


@user.command("delete")
@click.argument("which", metavar="ID|NAME")
def delete_user(which: str) -> None:
    """Delete a user and its keys."""
    with open_client() as client:
        user_id = _user_id(client, which)
        client.users.delete(user_id)
    done(f"The user {which} is deleted.", user_id=user_id, action="delete")


@key.command("create")
@click.option("--user", "which", metavar="ID|NAME", help="Whose key; yours by default.")
def create_key(which: str | None) -> None:
    """Create an access key; its secret is shown this once."""
    with open_client() as client:
        made = client.keys.create(_user_id(client, which) if which else None)
    _say_secret(made.wire)


@key.command("list")
def list_keys() -> None:
    """List the access keys of this account, without secrets."""
    with open_client() as client:
        keys = client.keys.list()
        names = {each.id: each.name for each in client.users.list()}
    rows = [
        [each.id, names.get(each.user_id, each.user_id), "active" if each.is_active else "stopped", day(each.created_at)]
        for each in keys
    ]
    show_list(keys, ["ACCESS KEY", "USER", "STATE", "CREATED"], rows, empty="")


for _verb, _help, _state in (
    ("stop", "Make a key invalid until it is started again.", "stopped"),
    ("start", "Make a stopped key valid again.", "valid"),
    ("delete", "Delete a stopped key.", "deleted"),
):
    _add_verb(key, "key", ("access_key", "access_key"), _verb, _help, _state)


@key.command("rotate-master")
def rotate_master() -> None:
    """Seal every stored secret with a new master key.

    Works on the files of --home, on the server's own machine; a server that runs there goes on.
    """
    from footfall.config import load_settings
    from footfall.offline import rotate_master_key

    resealed = rotate_master_key(load_settings(choices().home))
    n_keys = resealed.n_access_keys
    sealed = "1 secret is" if n_keys == 1 else f"{n_keys} secrets are"
    done(f"{sealed} sealed with a new master key.", access_keys=n_keys, unreadable=list(resealed.unreadable))
    if resealed.unreadable:
        raise InputError(
            f"{len(resealed.unreadable)} secrets do not open and were left as they are: {', '.join(resealed.unreadable[:8])}. "
            "They open with a key that is not in the key file; restore it from a backup, or make these keys and logins anew."
        )


@key.command("recover")
def recover_key() -> None:
    """Create a new key for the operator and write credentials.toml.

    For when that file or its keys are lost. Works on the files of --home, on the server's own machine; a server that runs
    there goes on, and the old keys stay valid until they are stopped.
    """
    from footfall.config import load_settings
    from footfall.offline import recover_key as recover

    settings = load_settings(choices().home)
    made = recover(settings)
    file = settings.credentials_file
    id = made["access_key"]
    sentence = f"The key {id} is created and written to {file}; `footfall key list` shows those before it."
    done(sentence, access_key=id, credentials=str(file))


@key.group("api", cls=Group)
def api() -> None:
    """API keys of the account, which some services require besides the signature."""


@api.command("create")
@click.argument("name")
def create_api_key(name: str) -> None:
    """Create the API key NAME; its two values are shown this once."""
    with open_client() as client:
        made = client.api_keys.create(name)
    _say_secret(made.wire)


@api.command("list")
def list_api_keys() -> None:
    """List the API keys."""
    with open_client() as client:
        api_keys = client.api_keys.list()
    rows = [[each.name, "enabled" if each.is_enabled else "disabled", day(each.created_at), each.id] for each in api_keys]
    show_list(api_keys, ["NAME", "STATE", "CREATED", "ID"], rows, empty="There are no API keys.")


@api.command("reissue")
@click.argument("id")
@click.option("--secondary", is_flag=True, help="Replace the secondary value, not the primary.")
def reissue_api_key(id: str, secondary: bool) -> None:
    """Replace one value of an API key; the other stays valid."""
    with open_client() as client:
        made = client.api_keys.reissue(id, "secondary" if secondary else "primary")
    _say_secret(made.wire)


for _verb, _help, _state in (
    ("enable", "Make an API key valid.", "valid"),
    ("disable", "Make an API key invalid.", "invalid"),
    ("delete", "Delete an API key.", "deleted"),
):
    _add_verb(api, "API key", ("id", "api_key_id"), _verb, _help, _state)


def _user_id(client: "Client", which: str) -> str:
    for each in client.users.list():
        if which in (each.id, each.name):
            return each.id
    raise InputError(f"There is no user with the id or name {which!r}; `footfall user list` lists them.")


def _say_secret(wire: Mapping[str, object]) -> None:
    show_record(wire)
    if not choices().json:
        output.note("Keep the secrets now: they are not shown again.")
