"""The commands that every kind of resource has: list, show, wait, cancel, delete."""

from typing import TYPE_CHECKING, Any

import click

from footfall.cli import output
from footfall.cli.context import Group, RunFailed, choices, open_client
from footfall.cli.failures import each
from footfall.cli.report.found import show_found, show_warnings
from footfall.cli.show import done, moment, show_list, show_made, show_record

if TYPE_CHECKING:
    from footfall.client import Client
    from footfall.client.replies import Resource
    from footfall.client.resources import Resources

KINDS = {"feature": "features", "task": "tasks", "task-run": "task_runs", "profile": "profiles"}
COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    "feature": (("USERS", "user_count"), ("TOKENS", "token_count"), ("BYTES", "disk_usage"), ("ENCODER", "encoder")),
    "task": (("AUROC", "AUROC"), ("USERS", "line_count"), ("FEATURE", "train_feature_name")),
    "task-run": (("USERS", "line_count"), ("TASK", "task_name"), ("FEATURE", "feature_name")),
    "profile": (("KIND", "kind"), ("USERS", "line_count"), ("TASK OR KEYWORDS", "subject")),
}
_SUBJECT_LETTERS = 60
_NUMBERS = {"USERS", "TOKENS", "BYTES", "AUROC"}

wait_option = click.option("--wait", is_flag=True, help="Wait until it has ended, with a progress bar.")
timeout_option = click.option("--timeout", "timeout_s", type=float, metavar="S", help="Give up waiting after S seconds.")


def add_verbs(group: Group, kind: str) -> None:
    """Add to a group the commands of every kind: list, show, wait, cancel, delete."""
    words = kind.replace("-", " ")

    @group.command("list", help=f"List the {words}s, newest first.")
    @click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the newest N.")
    def list_(limit: int | None) -> None:
        with open_client() as client:
            items = list(resources(client, kind).list(limit))
        extra = COLUMNS[kind]
        names = ["NAME", "STATUS", "CREATED (UTC)", *(title for title, _ in extra), "ID"]
        rows = [
            [item.name, item.status, moment(item.created_at), *(_brief(item, field) for _, field in extra), item.id]
            for item in items
        ]
        numbers = [index for index, name in enumerate(names) if name in _NUMBERS]
        show_list(items, names, rows, numbers=numbers, empty=f"There are no {words}s yet; `footfall {kind} create` creates one.")

    @group.command("show", help=f"Show a {words} by its id or name.")
    @click.argument("which", metavar="ID|NAME")
    def show(which: str) -> None:
        with open_client() as client:
            _show(resources(client, kind).find(which))

    @group.command("wait", help=f"Wait until a {words} has ended; exit code 1 if it failed.")
    @click.argument("which", metavar="ID|NAME")
    @timeout_option
    def wait(which: str, timeout_s: float | None) -> None:
        with open_client() as client:
            _wait_and_show(client, kind, resources(client, kind).find(which), timeout_s)

    _add_change(group, kind, "cancel", f"Stop {words}s that have not ended.", "being stopped")
    _add_change(group, kind, "delete", f"Delete {words}s.", "deleted")


def _add_change(group: Group, kind: str, verb: str, help: str, state: str) -> None:
    @group.command(verb, help=help)
    @click.argument("which", metavar="ID|NAME...", nargs=-1, required=True)
    def change(which: tuple[str, ...]) -> None:
        words = kind.replace("-", " ")
        with open_client() as client:
            verbs = resources(client, kind)

            def change_one(name: str) -> None:
                item = verbs.find(name)
                getattr(verbs, verb)(item.id)
                done(f"The {words} {item.name} is {state}.", kind=kind, id=item.id, name=item.name, action=verb)

            each(which, change_one)


def _brief(item: "Resource", field: str) -> Any:
    """Return a field for a list, cut short if it is long, as keywords may be."""
    value = getattr(item, field)
    is_long = field == "subject" and len(value) > _SUBJECT_LETTERS
    return f"{value[: _SUBJECT_LETTERS - 1].rstrip(', ')}…" if is_long else value


def resources(client: "Client", kind: str) -> "Resources[Any]":
    """Return the client's operations on a kind."""
    verbs: Resources[Any] = getattr(client, KINDS[kind])
    return verbs


def show_or_wait(client: "Client", kind: str, made: "Resource", wait: bool, timeout_s: float | None) -> None:
    """Show a new resource; with ``wait``, when it has ended.

    Raises:
        RunFailed: it ended as failed.
    """
    if wait:
        _wait_and_show(client, kind, made, timeout_s)
        return
    hint = f"Created the {kind.replace('-', ' ')} {made.name}; `footfall {kind} wait {made.id}` waits for it."
    show_made(made.wire, made.id, hint)


def _wait_and_show(client: "Client", kind: str, item: "Resource", timeout_s: float | None) -> None:
    try:
        with output.watching(item.name) as callback:
            ended = client.wait(item, callback, timeout_s)
    except KeyboardInterrupt:
        output.note(f"Stopped waiting; it goes on. `footfall {kind} wait {item.id}` waits again.")
        raise
    _show(ended)
    if ended.status == "failed":
        details = f": {ended.fail_details}" if ended.fail_details else ""
        raise RunFailed(f"{ended.fail_message or 'COMMON_ERROR'}{details} The log: `footfall logs {kind} {ended.id}`.")


def _show(item: "Resource") -> None:
    fields = dict(item.wire)
    if (now := item.progress) is None:
        fields.pop("progress", None)
    else:
        share = f" {100 * now.done / now.total:.0f} %" if now.total else ""
        fields["progress"] = f"{now.stage}{share}"
    found, warnings = fields.pop("found", None), fields.pop("warnings", None) or []
    if found:
        fields |= {"format": fields.get("format") or found["format"], "columns": fields.get("columns") or "see below"}
        fields["observed_until"] = fields.get("observed_until") or found.get("observed_until")
    show_record(item.wire, fields)
    if not choices().json:
        show_warnings(f"{warning['code']}: {warning['text']}" for warning in warnings)
        show_found(found)
