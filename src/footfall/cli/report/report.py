"""``footfall task report``: the quality of a task, as text or as an HTML page."""

from collections.abc import Iterator
from typing import Any

import click

from footfall.cli import output
from footfall.cli.context import Command, choices, open_client
from footfall.cli.files import fetch
from footfall.cli.report.charts import Report
from footfall.cli.report.found import show_found
from footfall.cli.report.page import count_classes, make_page

NAMES = {
    "footfall": "Footfall",
    "majority": "majority class",
    "tfidf_logistic": "tf-idf and logistic regression",
    "aggregates_trees": "aggregates and boosted trees",
    "bag": "what they did",
    "order": "in which order",
    "amounts": "how much, of which kind",
    "aggregates": "habits",
    "trees": "all of it, combined",
    "latent": "tastes",
}
"""Labels of the baselines and the views."""


@click.command("report", cls=Command)
@click.argument("which", metavar="ID|NAME")
@click.option("--html", "file", metavar="FILE|-", help="Write it to FILE as one page with charts instead.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def report(which: str, file: str | None, force: bool) -> None:
    """Show the quality of a task, what it rests on, and what to be careful about.

    The page of --html needs no network and no other file.
    """
    with open_client() as client:
        task_report = client.tasks.report(client.tasks.find(which).id)
    if file is not None:
        id = task_report["task_id"]
        fetch(_page(task_report), file, f"{id}.html", force=force, facts={"id": id})
    elif choices().json:
        output.json_value(task_report)
    else:
        _print_report(task_report)


def _page(report: Report) -> Iterator[bytes]:
    """Yield the page in one piece, drawn when it is known that it can be written."""
    yield make_page(report, NAMES).encode()


def _print_report(report: Report) -> None:
    output.line(report["summary"])
    for warning in report["warnings"]:
        output.line(f"\n{warning['code']}: {warning['text']}")
    quality, labels = report["quality"], report["labels"]
    low, high = quality["AUROC_interval"]
    output.line()
    output.record(
        {
            "task": report["task_name"],
            "AUROC": f"{quality['AUROC']:.4f} (95 % interval {low:.4f} to {high:.4f})",
            "average precision": f"{quality['average_precision']:.4f}",
            "log loss": f"{quality['log_loss']:.4f}",
            "calibration error": f"{quality['calibration_error']:.4f}",
            "measured on": f"{count_classes(labels['measured'])} ({labels['test']})",
            "learned from": count_classes(labels["train"]),
            "labels without a match": f"{labels['unmatched_train']:,} train, {labels['unmatched_test']:,} test",
        }
    )
    _table(
        ["MODEL", "AUROC", "LOG LOSS"],
        [[NAMES.get(b["name"], b["name"]), b["AUROC"], b["log_loss"]] for b in report["baselines"]],
    )
    _table(["LABELS", "AUROC"], [[f"{p['labels']:,}", p["AUROC"]] for p in report["learning_curve"]], first=0)
    _table(
        ["DECILE", "USERS", "POSITIVE RATE", "LIFT", "CUMULATIVE GAIN"],
        [[d["decile"], d["users"], d["ones_share"], d["lift"], d["gain"]] for d in quality["deciles"]],
        first=0,
    )
    _table(
        ["VIEW", "SHARE OF WEIGHT", "AUROC OUT OF FOLD"],
        [[f"{v['name']}: {NAMES.get(v['name'], '')}", v["share"], v["AUROC_out_of_fold"]] for v in report["views"]],
    )
    for side in ("for", "against"):
        _table(
            [f"BEHAVIORS {side.upper()} LABEL 1", "WEIGHT", "USERS", "POSITIVE RATE"],
            [[b["text"], b["weight"], b["users"], b["ones_share"]] for b in report["behaviors"][side]],
        )
    show_found(report.get("data"))


def _table(titles: list[str], rows: list[list[Any]], first: int = 1) -> None:
    """Print a table; ``first`` is its first column of numbers."""
    if not rows:
        return
    output.line()
    cells = [[f"{value:.4f}" if isinstance(value, float) else value for value in row] for row in rows]
    output.table(titles, cells, numbers=list(range(first, len(titles))), empty="")
