"""``footfall task report`` from end to end: real jobs make what is shown."""

import random

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
        client.tasks.create("without users", feature.id, "reports", "r.csv")
    return "with report"


def test_a_report_is_shown_and_is_the_one_of_the_api(footfall: Footfall, server: LiveServer) -> None:
    shown = footfall("task", "report", "with report")
    assert shown.code == 0, shown.err
    for part in ("95 % interval", "tf-idf and logistic regression", "TENTH", "SPEAKS FOR", "<b>red</b> & co"):
        assert part in shown.out
    with Client(home=server.home) as client:
        found = client.tasks.find("with report")
        report = client.tasks.report(found.id)
    assert footfall("task", "report", "with report", "--json").json == report
    assert (report["task_id"], report["task_name"]) == (found.id, "with report")
    assert f"{report['quality']['AUROC']:.4f}" == found.AUROC
    assert report["coverage"] == 1.0


def test_a_task_that_failed_has_none_and_the_answer_says_so(footfall: Footfall, server: LiveServer) -> None:
    assert footfall("task", "wait", "without users").code == 1
    shown = footfall("task", "report", "without users")
    assert (shown.code, "it has a report when it is completed" in shown.err) == (2, True)
    with Client(home=server.home) as client, pytest.raises(ServiceError) as caught:
        client.tasks.report(client.tasks.find("without users").id)
    assert (caught.value.status, caught.value.error_code) == (409, "10207")
