"""``footfall profile`` from end to end: real jobs make what is shown."""

import random
import re
from pathlib import Path

import pytest

from footfall import Client
from footfall.client.replies import CustomAttributes, ShoppingIntent
from footfall.errors import InputError, ServiceError
from live_server import Footfall, LiveServer

TASTES = {"sport": ["running shoes", "marathon ticket", "see the park"], "home": ["buy a pan", "buy herbs", "see a cake"]}


@pytest.fixture(scope="module", autouse=True)
def task(server: LiveServer) -> str:
    chance = random.Random(1)
    rows, labels, tall = [], [], []
    for n in range(800):
        taste = "sport" if n % 4 == 0 else "home"
        rows.append(f"{taste}{n}\t{'->'.join(chance.choices(TASTES[taste], k=4))}->see page {n % 9}\n")
        labels.append(f"{taste}{n}\t{int(taste == 'sport')}\n")
        tall.append(f"{taste}{n}\t{int(chance.random() < (0.8 if taste == 'sport' else 0.2))}\n")
    with Client(home=server.home) as client:
        for key, lines in (("p.csv", rows), ("p.tsv", labels), ("tall.tsv", tall)):
            client.put_object("people", key, "".join(lines).encode())
        feature = client.wait(client.features.create("people", "people", "p.csv"), timeout_s=120)
        made = [client.tasks.create(name, feature.id, "people", f"{name}.tsv") for name in ("p", "tall")]
        assert [client.wait(each, timeout_s=120).status for each in made] == ["completed", "completed"]
    return "p"


def test_what_people_have_in_common(footfall: Footfall, tmp_path: Path) -> None:
    done = footfall("profile", "common", "sporty", "--task", "p", "--wait", "--json")
    assert done.code == 0, done.err
    assert (done.json["status"], done.json["line_count"], done.json["task_name"]) == ("completed", 800, "p")
    shown = footfall("profile", "result", "sporty", "--json").json
    behaviors = [row["name"] for row in shown if row["section"] == "behavior"]
    assert set(behaviors[:3]) == set(TASTES["sport"])
    (attribute,) = [row for row in shown if row["section"] == "attribute"]
    assert (attribute["name"], attribute["lift"] > 1.5) == ("tall", True)
    one = footfall("profile", "result", "sporty", "--limit", "1")
    assert one.out.splitlines()[0].split() == ["SECTION", "NAME", "TARGET", "SHARE", "BASE", "SHARE", "LIFT", "USERS"]
    assert len(one.out.splitlines()) == 4  # titles, a rule, one of each section
    first = next(row for row in shown if row["section"] == "behavior")
    target, base, lift = (f"{100 * first['target_share']:.1f} %", f"{100 * first['base_share']:.1f} %", f"{first['lift']:.2f}")
    assert all(each in one.out for each in (target, base, lift))
    saved = footfall("profile", "result", "sporty", "--output", str(tmp_path / "sporty.tsv"), "--json")
    text = (tmp_path / "sporty.tsv").read_bytes()
    assert saved.json["size_bytes"] == len(text) == done.json["disk_usage"]
    assert text.startswith(b"section\tname\ttarget_share\tbase_share\tlift\tusers\n")
    again = footfall("profile", "result", "sporty", "--output", str(tmp_path / "sporty.tsv"))
    assert (again.code, "--force" in again.err) == (2, True)


def test_who_is_like_some_words(footfall: Footfall) -> None:
    words = "Running, marathon, xyzzy"
    done = footfall(
        "profile", "like", "runners", words, "--feature", "people", "--result", "people/runners.tsv", "--wait", "--json"
    )
    assert done.code == 0, done.err
    assert done.json["keyword_set"] == "Running,marathon,xyzzy"
    assert (done.json["unknown_keywords"], done.json["line_count"]) == (["xyzzy"], 800)
    assert "'xyzzy'" in footfall("logs", "profile", "runners").out
    assert re.search(r"^unknown_keywords +xyzzy$", footfall("profile", "show", "runners").out, re.MULTILINE)
    shown = footfall("profile", "result", "runners", "--limit", "30", "--json").json
    assert len(shown) == 30
    assert all(row["user_id"].startswith("sport") for row in shown)
    assert [row["similarity"] for row in shown] == sorted((row["similarity"] for row in shown), reverse=True)
    raw = footfall("profile", "result", "runners", "--output", "-")
    assert (raw.out.count("\n"), raw.out.split("\t")[0]) == (800, "sport0")


def test_words_that_nobody_uses_fail_by_name(footfall: Footfall) -> None:
    done = footfall("profile", "like", "nobody", "xyzzy, plugh", "--feature", "people", "--result", "people/nobody.tsv", "--wait")
    assert done.code == 1
    assert "UNKNOWN_KEYWORD" in done.err
    assert "'xyzzy' or 'plugh'" in done.err
    shown = footfall("profile", "result", "nobody")
    assert (shown.code, "has failed" in shown.err, "'xyzzy' or 'plugh'" in shown.err) == (2, True, True)
    empty = footfall("profile", "like", "empty", " , ", "--feature", "people", "--result", "people/empty.tsv")
    assert (empty.code, "keyword_set" in empty.err) == (2, True)


def test_both_kinds_are_listed_found_and_deleted(footfall: Footfall, server: LiveServer) -> None:
    with Client(home=server.home) as client:
        task, feature = client.tasks.find("p"), client.features.find("people")
        intent = client.wait(client.shopping_intents.create("twin", task.id), timeout_s=60)
        place = ("people", "twin.tsv")
        attributes = client.wait(client.custom_attributes.create("twin", feature.id, ["herbs"], *place), timeout_s=60)
        assert (type(intent), type(attributes)) == (ShoppingIntent, CustomAttributes)
        newest = list(client.profiles.list(2))
        assert [profile.id for profile in newest] == [attributes.id, intent.id]
        assert [client.profiles.get(each.id) for each in newest] == newest
        assert {each["profile_id"] for each in footfall("profile", "list", "--limit", "2", "--json").json} == {
            intent.id,
            attributes.id,
        }
        rows = footfall("profile", "list").out.splitlines()
        assert "shopping intent" in rows[-1] or "custom attributes" in rows[-1]
        both = footfall("profile", "show", "twin")
        assert (both.code, intent.id in both.err, attributes.id in both.err) == (2, True, True)
        assert footfall("profile", "show", intent.id, "--json").json["task_name"] == "p"
        similarities = client.custom_attributes.similarities(attributes)
        assert (similarities.height, similarities.columns) == (800, ["user_id", "similarity"])
        assert client.shopping_intents.table(intent.id).columns[0] == "section"
        for each in (intent, attributes):
            assert footfall("profile", "cancel", each.id).code == 2  # it has ended
            assert footfall("profile", "delete", each.id).code == 0
        with pytest.raises(InputError, match="no profile"):
            client.profiles.find("twin")
        with pytest.raises(ServiceError):
            client.profiles.get(intent.id)


def test_a_list_shows_the_beginning_of_long_keywords(footfall: Footfall, server: LiveServer) -> None:
    words = ["herbs", *(f"unheard of {n}" for n in range(40))]
    with Client(home=server.home) as client:
        feature = client.features.find("people")
        made = client.custom_attributes.create("wordy", feature.id, words, "people", "wordy.tsv")
        [row] = [line for line in footfall("profile", "list").out.splitlines() if made.id in line]
        assert "herbs,unheard of 0,unheard" in row
        assert len(row) < 200 < len(made.subject)
        assert made.subject in footfall("profile", "show", "wordy").out
        client.wait(made, timeout_s=60)


def test_one_text_for_a_list_of_keywords_is_noticed(server: LiveServer) -> None:
    with Client(home=server.home) as client, pytest.raises(InputError, match="give a list"):
        client.custom_attributes.create("x", "y", "running", "people", "x.tsv")
