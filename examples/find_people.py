"""Find out who the users are: docs/howto/profiles.md as a program.

    python examples/find_people.py SEQUENCES LABELS KEYWORD...

It prints what the users whom a task found have in common, and the ten users who are most like all the keywords. The server is
found as docs/howto/keys.md says.
"""

import sys
from pathlib import Path
from typing import TypeVar

from footfall import Client
from footfall.client.replies import Resource

R = TypeVar("R", bound=Resource)
BUCKET = "people"


def finish(client: Client, resource: R) -> R:
    """Wait for a job; end the program if it failed."""
    ended = client.wait(resource)
    if ended.status != "completed":
        sys.exit(f"{ended.name} failed with {ended.fail_message}: {ended.fail_details}")
    return ended


def main() -> None:
    """Put the files, make feature, task and both profiles, and print what they found."""
    sequences, labels, keywords = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    with Client() as client:
        client.put_object(BUCKET, sequences.name, sequences)
        client.put_object(BUCKET, labels.name, labels)
        feature = finish(client, client.features.create("people", BUCKET, sequences.name))
        task = finish(client, client.tasks.create("people", feature.id, BUCKET, labels.name))

        common = finish(client, client.shopping_intents.create("in common", task.id))
        print(client.shopping_intents.table(common.id).head(10))

        like = client.custom_attributes.create("alike", feature.id, keywords, BUCKET, "alike.tsv")
        like = finish(client, like)
        print(f"unknown: {like.unknown_keywords}")
        print(client.custom_attributes.similarities(like).top_k(10, by="similarity"))


if __name__ == "__main__":
    main()
