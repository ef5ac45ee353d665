"""``footfall task report`` from end to end: real jobs make what is shown."""

import random
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from footfall import Client
from footfall.errors import ServiceError
from live_server import Footfall, LiveServer


@pytest.fixture(scope="module", autouse=True)
def task(server: LiveServer) -> str:
    chance = random.Random(1)
    rows, labels = [], []
    for n in range(700):
        label = int(chance.random() < 0.4)
        acts = ["<b>red</b> & co" if chance.random() < 0.2 + 0.5 * label else "blue" for _ in range(6)]
        rows.append(f"r{n}\t{'->'.join(acts)}->see page {n % 9}\n")
        labels.append(f"r{n}\t{label}\n")
    with Client(home=server.home) as client:
        for key, lines in (("r.csv", rows), ("r.tsv", labels)):
            client.put_object("reports", key, "".join(lines).encode())
        feature = client.wait(client.features.create("for reports", "reports", "r.csv"), timeout_s=120)
        made = client.wait(client.tasks.create("with report", feature.id, "reports", "r.tsv"), timeout_s=120)
        assert made.status == "completed"
        client.put_object("reports", "others.tsv", b"".join(b"other%d\t%d\n" % (n, n % 2) for n in range(300)))
        client.tasks.create("without users", feature.id, "reports", "others.tsv")
    return "with report"


def test_a_report_is_shown_and_is_the_one_of_the_api(footfall: Footfall, server: LiveServer) -> None:
    shown = footfall("task", "report", "with report")
    assert shown.code == 0, shown.err
    for part in (
        "95 % interval",
        "tf-idf and logistic regression",
        "DECILE",
        "POSITIVE RATE",
        "BEHAVIORS FOR LABEL 1",
        "<b>red</b> & co",
    ):
        assert part in shown.out
    with Client(home=server.home) as client:
        task = client.tasks.find("with report")
        report = client.tasks.report(task.id)
    assert footfall("task", "report", "with report", "--json").json == report
    assert (report["task_id"], report["task_name"]) == (task.id, "with report")
    assert f"{report['quality']['AUROC']:.4f}" == task.AUROC
    assert report["coverage"] == 1.0


def test_a_task_that_failed_has_none_and_the_answer_says_so(footfall: Footfall, server: LiveServer) -> None:
    assert footfall("task", "wait", "without users").code == 1
    shown = footfall("task", "report", "without users")
    assert (shown.code, "it has a report when it is completed" in shown.err) == (2, True)
    with Client(home=server.home) as client, pytest.raises(ServiceError) as caught:
        client.tasks.report(client.tasks.find("without users").id)
    assert (caught.value.status, caught.value.error_code) == (409, "10207")


class Page(HTMLParser):
    """What a page holds: its text, its tags, and every address in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.tags, self.ids, self.addresses = "", [], [], []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_by_itself_and_the_same_again(footfall: Footfall, tmp_path: Path) -> None:
    paths = [tmp_path / "a.html", tmp_path / "b.html"]
    for path in paths:
        done = footfall("task", "report", "with report", "--html", str(path))
        assert (done.code, str(path) in done.out) == (0, True), done.err
    text = paths[0].read_text("utf-8")
    assert text == paths[1].read_text("utf-8")
    page = Page(text)
    assert page.tags.count("svg") == 8
    assert len(page.ids) == len(set(page.ids))
    assert {"script", "link", "img", "iframe"} & set(page.tags) == set()
    assert all(address.startswith("#") and address[1:] in page.ids for address in page.addresses)
    assert all(url[1:] in page.ids for url in re.findall(r"url\((.*?)\)", text))
    assert all(title in page.text for title in ("ROC curve", "Lift by decile", "Calibration", "Learning curve", "For label 1"))
    again = footfall("task", "report", "with report", "--html", str(paths[0]))
    assert (again.code, "--force" in again.err) == (2, True)
    assert footfall("task", "report", "with report", "--html", str(paths[0]), "--force").code == 0


def test_markup_in_behaviors_is_text_in_the_page(footfall: Footfall) -> None:
    text = footfall("task", "report", "with report", "--html", "-").out
    assert "<b>red</b> & co" in Page(text).text
    assert "<b>red</b>" not in text


def test_a_task_that_cannot_tell_anything_has_a_page_too(footfall: Footfall, server: LiveServer) -> None:
    with Client(home=server.home) as client:
        client.put_object("reports", "same.csv", b"".join(b"s%d\tsame\n" % n for n in range(300)))
        client.put_object("reports", "same.tsv", b"".join(b"s%d\t%d\n" % (n, n % 2) for n in range(300)))
        feature = client.wait(client.features.create("all alike", "reports", "same.csv"), timeout_s=120)
        client.wait(client.tasks.create("all alike", feature.id, "reports", "same.tsv"), timeout_s=120)
    assert "CONSTANT_SCORES" in footfall("task", "report", "all alike").out
    assert "All users get the same score" in Page(footfall("task", "report", "all alike", "--html", "-").out).text


def test_no_other_command_waits_for_the_charts() -> None:
    code = "import footfall.cli.main, sys; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
