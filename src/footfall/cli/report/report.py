"""``footfall task report``: how good a task is, as text or as a page."""

from collections.abc import Iterator
from typing import Any

import click

from footfall.cli import output
from footfall.cli.context import Command, choices, open_client
from footfall.cli.files import fetch
from footfall.cli.report.charts import Report
from footfall.cli.report.page import make_page

NAMES = {
    "footfall": "Footfall",
    "majority": "everybody alike",
    "tfidf_logistic": "tf-idf and logistic regression",
    "aggregates_trees": "aggregates and boosted trees",
    "bag": "what they did",
    "order": "in which order",
    "amounts": "how much, of which kind",
    "aggregates": "habits",
    "trees": "all of it, combined",
    "latent": "tastes",
}
"""What the models that are compared, and the views, are called in front of people."""


@click.command("report", cls=Command)
@click.argument("which", metavar="ID|NAME")
@click.option("--html", "file", metavar="FILE|-", help="Write it to FILE as one page with charts instead.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def report(which: str, file: str | None, force: bool) -> None:
    """Show how good a task is, why, and what to be careful about.

    The page of --html needs no network and no other file.
    """
    with open_client() as client:
        found = client.tasks.report(client.tasks.find(which).id)
    if file is not None:
        fetch(_page(found), file, f"{found['task_id']}.html", force=force, facts={"id": found["task_id"]})
    elif choices().json:
        output.json_value(found)
    else:
        _show(found)


def _page(found: Report) -> Iterator[bytes]:
    """Yield the page in one piece, drawn when it is known that it can be written."""
    yield make_page(found, NAMES).encode()


def _show(found: Report) -> None:
    output.line(found["summary"])
    for warning in found["warnings"]:
        output.line(f"\n{warning['code']}: {warning['text']}")
    quality, labels = found["quality"], found["labels"]
    low, high = quality["AUROC_interval"]
    output.line()
    output.record(
        {
            "task": found["task_name"],
            "AUROC": f"{quality['AUROC']:.4f} (95 % interval {low:.4f} to {high:.4f})",
            "average precision": f"{quality['average_precision']:.4f}",
            "log loss": f"{quality['log_loss']:.4f}",
            "calibration error": f"{quality['calibration_error']:.4f}",
            "measured on": f"{labels['measured']['ones']:,} ones, {labels['measured']['zeros']:,} zeros ({labels['test']})",
            "learned from": f"{labels['train']['ones']:,} ones, {labels['train']['zeros']:,} zeros",
            "labels without a match": f"{labels['unmatched_train']:,} train, {labels['unmatched_test']:,} test",
        }
    )
    _table(
        ["MODEL", "AUROC", "LOG LOSS"],
        [[NAMES.get(b["name"], b["name"]), b["AUROC"], b["log_loss"]] for b in found["baselines"]],
    )
    _table(["LABELS", "AUROC"], [[f"{p['labels']:,}", p["AUROC"]] for p in found["learning_curve"]], first=0)
    _table(
        ["TENTH", "USERS", "ONES SHARE", "LIFT", "GAIN"],
        [[d["decile"], d["users"], d["ones_share"], d["lift"], d["gain"]] for d in quality["deciles"]],
        first=0,
    )
    _table(
        ["VIEW", "PART OF WEIGHT", "AUROC OUT OF FOLD"],
        [[f"{v['name']}: {NAMES.get(v['name'], '')}", v["share"], v["AUROC_out_of_fold"]] for v in found["views"]],
    )
    for side in ("for", "against"):
        _table(
            [f"SPEAKS {side.upper()}", "WEIGHT", "USERS", "ONES SHARE"],
            [[b["text"], b["weight"], b["users"], b["ones_share"]] for b in found["behaviors"][side]],
        )


def _table(titles: list[str], rows: list[list[Any]], first: int = 1) -> None:
    """Print a table; ``first`` is its first column of numbers."""
    if not rows:
        return
    output.line()
    shown = [[f"{value:.4f}" if isinstance(value, float) else value for value in row] for row in rows]
    output.table(titles, shown, numbers=list(range(first, len(titles))), empty="")
