"""The report of a task as one HTML file that needs nothing else: no network, no script, no font.

Knows the report's JSON, of any server. All texts are escaped: behaviors may hold markup.
"""

from html import escape

from footfall.cli.report.charts import Report, draw_charts
from footfall.cli.report.found import FOUND_COLUMNS, found_rows

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; background: #fff; max-width: 980px; margin: 0 auto; padding: 20px; }
h1 { font-size: 26px; margin: 0 0 4px; overflow-wrap: anywhere; } h2 { font-size: 18px; margin: 34px 0 8px; }
p.lead { font-size: 17px; margin: 8px 0 16px; } p.note, figcaption { color: #5a6675; font-size: 13.5px; margin: 4px 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; }
.tile { background: #f3f6fa; border-radius: 8px; padding: 10px 14px; } .tile b { display: block; font-size: 22px; }
.tile span { color: #5a6675; font-size: 13px; }
.warning { border-left: 4px solid #d9731a; background: #fdf4ea; padding: 8px 14px; margin: 10px 0; border-radius: 0 6px 6px 0; }
.warning b { display: block; font-size: 12.5px; color: #a8530c; } .fine { border-color: #2c8a4b; background: #eef8f1; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); gap: 22px; }
figure { margin: 0; break-inside: avoid; } figure b { display: block; } figure svg { width: 100%; height: auto; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: 14px; break-inside: avoid; }
th, td { padding: 4px 8px; border-bottom: 1px solid #e6e9ee; text-align: right; white-space: nowrap; }
th, td:first-child { white-space: normal; } th { color: #5a6675; font-weight: 600; }
th:first-child, td:first-child { text-align: left; } table.texts td:first-child { white-space: normal; overflow-wrap: anywhere;
min-width: 130px; } .wide { grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); }
@media print { body { max-width: none; padding: 0; font-size: 12px; } h2 { break-after: avoid; } }
"""

_CHARTS = (
    ("roc", "ROC curve", "Right order: how many positives are found for the negatives that come along. Dashed: guessing."),
    ("gain", "Cumulative gains", "Whom to ask: of the users with the best scores, how many of all positives are among them?"),
    ("lift", "Lift by decile", "How many times as many positives a tenth of the users holds as a tenth drawn by lot."),
    (
        "calibration",
        "Calibration",
        "Scores as chances: points on the line mean what they say. Of users with .3, three in ten are positive.",
    ),
    ("scores", "Score distribution", "How many users of each label got which score."),
    ("baselines", "Baselines", "Simple models, learned from the same labels and measured on the same users."),
    ("curve", "Learning curve", "What fewer labels would have given. The bar is the 95 % interval."),
    ("views", "Weights of the views", "What each view of the users weighs, and how good it is alone, out of fold."),
)


def make_page(report: Report, names: dict[str, str]) -> str:
    """Return the page of a report; the same for the same report."""
    charts = draw_charts(report, names)
    name = escape(report["task_name"])
    figures = "".join(
        f"<figure><b>{title}</b>{charts[chart]}<figcaption>{text}</figcaption></figure>" for chart, title, text in _CHARTS
    )
    parts = [
        f"<h1>{name}</h1><p class=note>Report of a Footfall task · {escape(report['task_id'])}</p>",
        f"<p class=lead>{escape(report['summary'])}</p>",
        _tiles(report),
        _warnings(report),
        f"<h2>Quality</h2><div class=charts>{figures}</div>",
        _behaviors(report),
        _tables(report, names),
        _checks(report),
        _data(report),
    ]
    head = (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{name}: report</title><style>{_STYLE}</style></head><body>\n"
    )
    return head + "\n".join(parts) + "\n</body></html>\n"


def _data(report: Report) -> str:
    data = report.get("data") or {}
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in found_rows(data.get("columns") or [])
    )
    if not rows:
        return ""
    warnings = "".join(f"<p class=note>{escape(warning)}</p>" for warning in data["warnings"])
    head = "".join(f"<th>{escape(title.lower())}</th>" for title in FOUND_COLUMNS)
    return f"<h2>Columns of the data set</h2>{warnings}<div class=scroll><table class=texts><tr>{head}</tr>{rows}</table></div>"


def _tiles(report: Report) -> str:
    quality, measured = report["quality"], report["labels"]["measured"]
    low, high = quality["AUROC_interval"]
    tiles = (
        (f"{quality['AUROC']:.3f}", f"AUROC, 95 % interval {low:.3f} to {high:.3f}"),
        (f"{quality['average_precision']:.3f}", "average precision"),
        (f"{quality['log_loss']:.3f}", "log loss"),
        (f"{quality['calibration_error']:.3f}", "calibration error"),
        (f"{measured['ones'] + measured['zeros']:,}", f"test users, {measured['ones']:,} of them positive"),
    )
    return f"<div class=tiles>{''.join(f'<div class=tile><b>{big}</b><span>{small}</span></div>' for big, small in tiles)}</div>"


def _warnings(report: Report) -> str:
    if not report["warnings"]:
        return "<p class='warning fine'>The checks found nothing to be careful about.</p>"
    lines = (f"<div class=warning><b>{escape(each['code'])}</b>{escape(each['text'])}</div>" for each in report["warnings"])
    return f"<h2>Warnings</h2>{''.join(lines)}"


def _behaviors(report: Report) -> str:
    if not any(report["behaviors"].values()):
        return ""
    train = report["labels"]["train"]
    parts: list[str] = []
    for side, title in (("for", "For label 1"), ("against", "Against label 1")):
        rows = [
            [each["text"], f"{each['weight']:+.2f}", f"{each['users']:,}", _percent(each["ones_share"])]
            for each in report["behaviors"][side]
        ]
        parts.append(_table([title, "weight", "users", "positive rate"], rows, kind="texts"))
    return (
        "<h2>Contributions of behaviors</h2><p class=note>The positive rate of all users learned from is "
        f"{_percent(train['ones'] / (train['ones'] + train['zeros']))}. The weight is what a behavior and its words add to the "
        "log-odds of the view <i>bag</i>, in the mean of those who have it; the list is ordered by weight times users. "
        "A weight is no cause, and other views contribute too.</p>"
        f"<div class='charts wide'>{''.join(parts)}</div>"
    )


def _tables(report: Report, names: dict[str, str]) -> str:
    deciles = [
        [str(d["decile"]), f"{d['users']:,}", _number(d["least_score"]), _percent(d["ones_share"]),
         _number(d["lift"], 2), _percent(d["gain"])]
        for d in report["quality"]["deciles"]
    ]  # fmt: skip
    bins = [
        [f"{b['from']:.2f} to {b['to']:.2f}", f"{b['users']:,}", _number(b["mean_score"]), _number(b["ones_share"])]
        for b in report["quality"]["calibration"]
    ]
    models = [[names.get(b["name"], b["name"]), _number(b["AUROC"]), _number(b["log_loss"])] for b in report["baselines"]]
    views = [
        [
            f"{names[v['name']]} ({v['name']})" if v["name"] in names else v["name"],
            _percent(v["share"]),
            _number(v["AUROC_out_of_fold"]),
        ]
        for v in report["views"]
    ]
    return (
        "<h2>Tables</h2><div class='charts wide'>"
        + _table(["decile", "users", "lowest score", "positive rate", "lift", "cumulative gain"], deciles)
        + _table(["score", "users", "mean score", "positive rate"], bins)
        + _table(["model", "AUROC", "log loss"], models)
        + _table(["view", "share of the weight", "AUROC out of fold"], views)
        + "</div>"
    )


def _checks(report: Report) -> str:
    labels, drift, leaks = report["labels"], report["drift"], report["leaks"]["found"]
    leaks_text = ", ".join(f"{leak['name'] or leak['kind']} ({leak['AUROC']:.3f})" for leak in leaks)
    test_set = "given" if labels["test"] == "given" else "a fifth of the labels, held out"
    rows = [
        ["Learned from", count_classes(labels["train"])],
        ["Measured on", count_classes(labels["measured"])],
        ["Test set", test_set],
        ["Labels without a match in the feature", f"{labels['unmatched_train']:,} train, {labels['unmatched_test']:,} test"],
        [f"Leakage: what gives the label away (AUROC above {report['leaks']['limit']:g})", leaks_text or "none"],
        ["Test users who were also learned from", f"{report['leaks']['test_users_in_train']:,}"],
        ["Drift: AUROC of labelled against other users", "too few users" if drift is None else _number(drift["AUROC"])],
        ["Coverage: behaviors that the encoder knows", _percent(report["coverage"])],
        ["Scores calibrated by an isotonic curve", "yes" if report["calibrated"] else "no"],
    ]  # fmt: skip
    return f"<h2>Labels and checks</h2>{_table(['check', 'result'], rows, kind='texts')}"


def count_classes(counts: dict[str, int]) -> str:
    """Return the sizes of both classes as text."""
    return f"{counts['ones']:,} positives, {counts['zeros']:,} negatives"


def _table(titles: list[str], rows: list[list[str]], kind: str = "numbers") -> str:
    def line(cells: list[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<div class=scroll><table class={kind}><thead>{line(titles, 'th')}</thead><tbody>{body}</tbody></table></div>"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
