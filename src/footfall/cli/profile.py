"""``footfall profile``: what the users whom a task found have in common, and who is like some keywords."""

import heapq
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from footfall.cli import output
from footfall.cli.context import Group, bucket_and_key, choices, open_client
from footfall.cli.files import fetch
from footfall.cli.verbs import add_verbs, show_or_wait, timeout_option, wait_option
from footfall.client.replies import ShoppingIntent
from footfall.errors import InputError

if TYPE_CHECKING:
    from footfall.client import Client
    from footfall.client.profiles import Profile


@click.group(cls=Group)
def profile() -> None:
    """Profiles: what users have in common, and who is like some keywords."""


@profile.command("common")
@click.argument("name")
@click.option("--task", "task_", metavar="TASK", required=True, help="Name or id of the task that finds the users.")
@wait_option
@timeout_option
def common(name: str, task_: str, wait: bool, timeout_s: float | None) -> None:
    """Find what the users whom a task finds have in common (a shopping intent).

    The tenth of the users with the highest scores is compared with all of them: behaviors that are more frequent among them,
    and how many of them the other tasks of the same feature find. `footfall profile result NAME` shows it.
    """
    with open_client() as client:
        made = client.shopping_intents.create(name, client.tasks.find(task_).id)
        show_or_wait(client, "profile", made, wait, timeout_s)


@profile.command("like")
@click.argument("name")
@click.argument("keywords")
@click.option("--feature", "feature_", metavar="FEATURE", required=True, help="Name or id of the feature of the users.")
@click.option("--result", metavar="BUCKET/PATH", required=True, help="Where it goes; a directory ends in '/'.")
@wait_option
@timeout_option
def like(name: str, keywords: str, feature_: str, result: str, wait: bool, timeout_s: float | None) -> None:
    """Find who is like KEYWORDS, as "running, marathon" (custom attributes).

    Commas stand between keywords; all of them are wanted. Every user gets a similarity from 0 to 1.
    `footfall profile result NAME` shows who is most alike.
    """
    bucket, path = bucket_and_key(result, what="BUCKET/PATH")
    words = [word.strip() for word in re.split(r"[,\n]", keywords) if word.strip()]
    with open_client() as client:
        feature_id = client.features.find(feature_).id
        made = client.custom_attributes.create(name, feature_id, words, bucket, path)
        show_or_wait(client, "profile", made, wait, timeout_s)


@profile.command("result")
@click.argument("which", metavar="ID|NAME")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="Only the first N rows.")
@click.option("--output", "file", metavar="FILE|-", help="Write all of it to FILE as TSV instead.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def result(which: str, limit: int, file: str | None, force: bool) -> None:
    """Show what a profile found: what users have in common, or who is most alike."""
    with open_client() as client:
        profile_ = client.profiles.find(which)
        if profile_.status == "failed":
            why = f"{profile_.fail_message}: {profile_.fail_details}" if profile_.fail_details else str(profile_.fail_message)
            raise InputError(f"The profile {profile_.name!r} has failed, so it has no result. {why}")
        if profile_.status != "completed":
            raise InputError(f"The profile {profile_.name!r} is {profile_.status}; `footfall profile wait {profile_.id}` waits.")
        if file is not None:
            fetch(_tsv(client, profile_), file, f"{profile_.id}.tsv", force=force, facts={"id": profile_.id})
            return
        names, rows = _rows(client, profile_, limit)
    if choices().json:
        output.json_value([dict(zip(names, row, strict=True)) for row in rows])
        return
    numbers = [index for index, name in enumerate(names) if name not in ("section", "name", "user_id")]
    titles = [name.upper().replace("_", " ") for name in names]
    shown = [[_shown(name, value) for name, value in zip(names, row, strict=True)] for row in rows]
    output.table(titles, shown, numbers=numbers, empty="Nothing sets these users apart from all.")


def _shown(name: str, value: Any) -> Any:
    """Return a value as one reads it."""
    if not isinstance(value, float):
        return value
    return f"{100 * value:.1f} %" if name.endswith("_share") else f"{value:.2f}" if name == "lift" else f"{value:.6f}"


def _tsv(client: "Client", profile_: "Profile") -> Iterator[bytes]:
    if isinstance(profile_, ShoppingIntent):
        return iter([client.shopping_intents.download(profile_.id)])
    return client.get_object(profile_.result_bucket, profile_.result_file_path)


def _rows(client: "Client", profile_: "Profile", limit: int) -> tuple[list[str], list[list[Any]]]:
    """Return the columns and the first rows of a result; an intent's attributes count by themselves."""
    from footfall.client.profiles import INTENT_COLUMNS, SIMILARITY_COLUMNS

    lines = b"".join(_tsv(client, profile_)).decode().rstrip("\n").split("\n")
    if isinstance(profile_, ShoppingIntent):
        rows = _read(lines[1:], INTENT_COLUMNS)
        return list(INTENT_COLUMNS), [
            row
            for section in ("behavior", "attribute")
            for row in itertools.islice((row for row in rows if row[0] == section), limit)
        ]
    rows = _read(lines, SIMILARITY_COLUMNS)
    return list(SIMILARITY_COLUMNS), heapq.nsmallest(limit, rows, key=lambda row: (-row[1], row[0]))


def _read(lines: list[str], columns: Mapping[str, str]) -> list[list[Any]]:
    kinds = [_KINDS[kind] for kind in columns.values()]
    return [[kind(cell) for kind, cell in zip(kinds, line.split("\t"), strict=True)] for line in lines if line]


_KINDS: dict[str, Callable[[str], Any]] = {"String": str, "Float64": float, "Int64": int}


add_verbs(profile, "profile")
