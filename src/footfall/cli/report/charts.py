"""The charts of a task's report as SVG, drawn by matplotlib.

Knows the report's JSON. matplotlib is imported when a chart is drawn, so that no other command waits for it. Texts are
drawn as paths: a chart looks the same wherever it is opened, and nothing of a user's text is ever markup.
"""

import io
import re
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Report: TypeAlias = dict[str, Any]
"""A report as it is on the wire."""

BLUE, GREY = "#1f5fbf", "#8a94a3"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e9ee",
    "svg.fonttype": "path",
    "svg.hashsalt": "footfall",
}


def draw_charts(report: Report, names: dict[str, str]) -> dict[str, str]:
    """Return the charts by name as ``<svg>`` elements, the same for the same report."""
    import matplotlib
    from matplotlib.figure import Figure

    drawn = {}
    with matplotlib.rc_context(_STYLE):
        for name, draw in (
            ("roc", _draw_roc),
            ("lift", _draw_lift),
            ("gain", _draw_gain),
            ("calibration", _draw_calibration),
            ("scores", _draw_scores),
            ("curve", _draw_curve),
            ("views", partial(_draw_views, names=names)),
            ("baselines", partial(_draw_baselines, names=names)),
        ):
            figure = Figure(figsize=(3.9, 2.85), layout="constrained")
            draw(figure.add_subplot(), report)
            drawn[name] = _to_svg(figure, name)
    return drawn


def _to_svg(figure: "Figure", name: str) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = out.getvalue()[out.getvalue().index("<svg") :]
    before, _, rest = svg.partition("<metadata>")
    svg = before + rest.partition("</metadata>")[2]
    # several charts stand in one page, where each id may come once
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    return re.sub(r'(url\(|href=")#', rf"\1#{name}-", svg)


def _draw_roc(axes: "Axes", report: Report) -> None:
    false_rates, true_rates = zip(*report["quality"]["roc"], strict=True)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    axes.plot(false_rates, true_rates, color=BLUE, linewidth=2)
    axes.fill_between(false_rates, true_rates, color=BLUE, alpha=0.08)
    axes.text(0.6, 0.12, f"AUROC {report['quality']['AUROC']:.3f}", color=BLUE, fontsize=11)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.02))


def _draw_lift(axes: "Axes", report: Report) -> None:
    deciles = report["quality"]["deciles"]
    lifts = [line["lift"] or 0.0 for line in deciles]
    bars = axes.bar([line["decile"] for line in deciles], lifts, color=BLUE, width=0.75)
    axes.bar_label(bars, [f"{lift:.1f}" for lift in lifts], fontsize=8)
    axes.axhline(1, color=GREY, linestyle="--", linewidth=1)
    axes.set_xticks(range(1, 11))
    axes.set(xlabel="decile, best scores first", ylabel="lift")
    axes.grid(axis="x", visible=False)


def _draw_gain(axes: "Axes", report: Report) -> None:
    gains = [0.0, *(100 * line["gain"] for line in report["quality"]["deciles"])]
    axes.plot([0, 100], [0, 100], color=GREY, linestyle="--", linewidth=1)
    axes.plot(range(0, 101, 10), gains, color=BLUE, linewidth=2, marker="o", markersize=4)
    axes.set(xlabel="% of users, best scores first", ylabel="% of positives found", xlim=(0, 101), ylim=(0, 103))


def _draw_calibration(axes: "Axes", report: Report) -> None:
    bins = [each for each in report["quality"]["calibration"] if each["users"]]
    max_users = max(each["users"] for each in bins)
    sizes = [12 + 90 * each["users"] / max_users for each in bins]
    x, y = [each["mean_score"] for each in bins], [each["ones_share"] for each in bins]
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    axes.scatter(x, y, s=sizes, color=BLUE, alpha=0.85, zorder=3)
    axes.set(xlabel="mean score", ylabel="positive rate", xlim=(-0.02, 1.02), ylim=(-0.04, 1.04))


def _draw_scores(axes: "Axes", report: Report) -> None:
    counts = report["quality"]["score_histogram"]
    n = len(counts["ones"])
    left = [i / n for i in range(n)]
    axes.bar(left, counts["zeros"], width=1 / n, align="edge", color=GREY, alpha=0.55, label="label 0")
    axes.bar(left, counts["ones"], width=1 / n, align="edge", color=BLUE, alpha=0.6, label="label 1")
    axes.legend(frameon=False, fontsize=8)
    axes.set(xlabel="score", ylabel="users", xlim=(0, 1))


def _draw_curve(axes: "Axes", report: Report) -> None:
    points = report["learning_curve"]
    labels, aurocs = [point["labels"] for point in points], [point["AUROC"] for point in points]
    axes.plot(labels, aurocs, color=BLUE, linewidth=2, marker="o", markersize=4)
    low, high = report["quality"]["AUROC_interval"]
    axes.errorbar(labels[-1], aurocs[-1], [[aurocs[-1] - low], [high - aurocs[-1]]], color=BLUE, capsize=3, linewidth=1)
    axes.set_xscale("log")
    axes.set_xticks(labels, [f"{n:,}" for n in labels])
    axes.minorticks_off()
    axes.set(xlabel="training labels", ylabel="AUROC")


def _draw_views(axes: "Axes", report: Report, names: dict[str, str]) -> None:
    views = report["views"][::-1]
    labels = [f"{view['name']}\n{names[view['name']]}" if view["name"] in names else view["name"] for view in views]
    bars = axes.barh(labels, [100 * view["share"] for view in views], color=BLUE, height=0.65)
    axes.bar_label(bars, [f"AUROC {view['AUROC_out_of_fold']:.3f}" for view in views], fontsize=8, padding=3)
    axes.set(xlabel="% of the weight", xlim=(0, 1.45 * max([100 * view["share"] for view in views], default=1)))
    axes.grid(axis="y", visible=False)


def _draw_baselines(axes: "Axes", report: Report, names: dict[str, str]) -> None:
    models: list[dict[str, Any]] = report["baselines"][::-1]
    labels = [names.get(model["name"], model["name"]).replace(" and ", "\nand ") for model in models]
    colours = [BLUE if model["name"] == "footfall" else GREY for model in models]
    bars = axes.barh(labels, [model["AUROC"] for model in models], color=colours, height=0.65)
    axes.bar_label(bars, [f"{model['AUROC']:.3f}" for model in models], fontsize=8, padding=3)
    x_min = min(0.5, *(model["AUROC"] for model in models)) - 0.03
    axes.set(xlabel="AUROC", xlim=(x_min, 0.06 + max(model["AUROC"] for model in models)))
    axes.grid(axis="y", visible=False)
