"""Score users from a sequence file and a label file: docs/howto/own-data.md as a program.

    python examples/score_users.py SEQUENCES LABELS [BUCKET]

It prints the AUROC and the ten users with the highest scores. The server is found as docs/howto/keys.md says.
"""

import sys
from pathlib import Path

from footfall import Client
from footfall.client.replies import Resource


def show(resource: Resource) -> None:
    """Say how far a job is."""
    now = resource.progress
    share = f"{100 * now.done / now.total:.0f} %" if now and now.total else ""
    print(f"\r{resource.name}: {resource.status} {now.stage if now else ''} {share:<20}", end="", file=sys.stderr)
    if resource.is_final:
        print(file=sys.stderr)


def check(resource: Resource) -> None:
    """End the program if a job failed."""
    if resource.status != "completed":
        sys.exit(f"{resource.name} failed with {resource.fail_message}: {resource.fail_details}")


def main() -> None:
    """Put the files, make feature, task and task run, and print what came out."""
    sequences, labels = Path(sys.argv[1]), Path(sys.argv[2])
    bucket = sys.argv[3] if len(sys.argv) > 3 else "example"
    with Client() as client:
        client.put_object(bucket, sequences.name, sequences)
        client.put_object(bucket, labels.name, labels)

        feature = client.wait(client.features.create("example users", bucket, sequences.name), show)
        check(feature)
        task = client.wait(client.tasks.create("example task", feature.id, bucket, labels.name), show)
        check(task)
        run = client.task_runs.create("example scores", task.id, feature.id, bucket, "scores.tsv")
        run = client.wait(run, show)
        check(run)

        print(f"AUROC {task.AUROC}")
        print(client.scores(run).sort("score", descending=True).head(10))


if __name__ == "__main__":
    main()
