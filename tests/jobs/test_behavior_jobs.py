"""The three jobs on real directory stores: what they read, what they put where, what they refuse, what they report."""

import errno
import json
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pytest

from footfall.contract.jobs import Job, MakeCustomAttributes, MakeFeature, MakeShoppingIntent, ScoreTaskRun, TrainTask
from footfall.contract.nodes import JobFile, JobReport
from footfall.errors import DataError, ObjectNotFoundError, StoreFullError
from footfall.jobs import make_custom_attributes, make_feature, make_shopping_intent, score_task_run, train_task
from footfall.jobs.context import JobContext, ResultExistsError, explain
from footfall.jobs.inputs import fetch_artefact, open_sources
from footfall.stores.buckets import Buckets, open_store
from footfall.stores.names import StoreLocation
from footfall.stores.store import ObjectChangedError

P = TypeVar("P", bound=Job)


class World:
    """Buckets, an internal store, and jobs run in this process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.locations = {name: StoreLocation(url=f"file://{root}/{name}") for name in ("buckets", "internal")}
        (root / "buckets").mkdir()
        self.buckets, self.internal = Buckets(self.locations["buckets"]), open_store(self.locations["internal"])
        self.buckets.create("shop")
        self.reports: list[JobReport] = []
        self.n_jobs = 0

    def put(self, key: str, text: str) -> None:
        self.buckets.open("shop").write(key, text.encode())

    def context(self, kind: type[P], job: dict[str, Any], attempt: int = 0) -> JobContext[P]:
        self.n_jobs += 1
        scratch = self.root / f"scratch-{self.n_jobs}"
        scratch.mkdir()
        places = {name: place.to_json() for name, place in self.locations.items()}
        file = JobFile(job=job, attempt=attempt, buckets=places["buckets"], internal=places["internal"])
        return JobContext(kind, file, self.reports.append, scratch)

    def feature(self, path: str, **given: Any) -> dict[str, Any]:
        job = {
            "feature_id": f"f{self.n_jobs}", "account_id": "a", "name": f"feature {self.n_jobs}", "bucket": "shop",
            "path": path, "encoder": None, "encoders": [], "max_tokens_per_user": 0, "personal_data": "refuse",
            "quota_left_bytes": None,
        }  # fmt: skip
        return make_feature.main(self.context(MakeFeature, {**job, **given})).to_json()

    def task(self, feature: dict[str, Any], path: str, **given: Any) -> dict[str, Any]:
        train = {"feature_artefact": feature["artefact"], "encoder_id": "e", "bucket": "shop", "path": path}
        job = {
            "task_id": f"t{self.n_jobs}", "train": train, "test": None, "min_labels_per_class": 100,
            "personal_data": "refuse", "quota_left_bytes": None,
        }  # fmt: skip
        return train_task.main(self.context(TrainTask, {**job, **given})).to_json()

    def score(self, task: dict[str, Any], feature: dict[str, Any], path: str, attempt: int = 0) -> dict[str, Any]:
        job = {
            "run_id": "r1", "task_artefact": task["artefact"], "feature_artefact": feature["artefact"],
            "bucket": "shop", "path": path,
        }  # fmt: skip
        return score_task_run.main(self.context(ScoreTaskRun, job, attempt)).to_json()

    def attributes(self, feature: dict[str, Any], keywords: list[str], path: str = "out.tsv", attempt: int = 0) -> dict[str, Any]:
        job = {
            "profile_id": "p1", "encoder_artefact": feature["encoder"]["artefact"], "keywords": keywords,
            "feature_artefact": feature["artefact"], "bucket": "shop", "path": path,
        }  # fmt: skip
        return make_custom_attributes.main(self.context(MakeCustomAttributes, job, attempt)).to_json()

    def intent(self, task: dict[str, Any], feature: dict[str, Any], **given: Any) -> dict[str, Any]:
        job = {
            "profile_id": f"p{self.n_jobs}", "task_artefact": task["artefact"], "others": [], "quota_left_bytes": None,
            "feature_artefact": feature["artefact"], "encoder_artefact": feature["encoder"]["artefact"],
        }  # fmt: skip
        return make_shopping_intent.main(self.context(MakeShoppingIntent, {**job, **given})).to_json()


def sequences(n_users: int, word: str = "thing", seed: int = 0) -> tuple[str, str]:
    rng = np.random.default_rng(seed)
    lines, labels = [], []
    for n in range(n_users):
        label = int(rng.random() < 0.5)
        colour = ["red" if rng.random() < 0.3 + 0.4 * label else "blue" for _ in range(8)]
        lines.append(f"u{n}\t{'->'.join(f'see {c} {word} {rng.integers(9)}' for c in colour)}\n")
        labels.append(f"u{n}\t{label}\n")
    return "".join(lines), "".join(labels)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_features_tasks_and_scores_go_hand_in_hand(world: World) -> None:
    text, answers = sequences(600)
    lines = text.splitlines(keepends=True)
    world.put("in/part-1.tsv", "".join(lines[300:]))
    world.put("in/part-0.tsv", "".join(lines[:300]))
    world.put("in/_SUCCESS", "")
    world.put("in/.part-0.tsv.crc", "not a sequence")
    world.put("labels.tsv", answers)
    feature = world.feature("in")
    task = world.task(feature, "labels.tsv")
    run = world.score(task, feature, "out/scores.tsv")
    scored = world.buckets.open("shop").read_bytes("out/scores.tsv").decode()
    assert [line.split("\t")[0] for line in scored.splitlines()] == [line.split("\t")[0] for line in lines]
    assert (feature["user_count"], run["line_count"]) == (600, 600)
    assert feature["encoder"]["fitted"]
    assert feature["coverage"] == 1.0
    assert feature["disk_usage"] == sum(info.size_bytes for info in world.internal.list(feature["artefact"] + "/"))
    assert float(task["AUROC"]) > 0.75
    assert len(task["AUROC"]) == 6
    stages = [report["progress"]["stage"] for report in world.reports]
    assert list(dict.fromkeys(stages))[:2] == ["sample", "fit vocabulary"]
    assert {"encode", "train", "score", "publish"} <= set(stages)
    json.dumps([feature, task, run])


def test_the_newest_fitting_encoder_is_taken_again(world: World) -> None:
    world.put("a.tsv", sequences(300)[0])
    world.put("b.tsv", sequences(300, seed=1)[0])
    world.put("other.tsv", sequences(300, "gadget")[0].replace("see", "use").replace("red", "old"))
    first = world.feature("a.tsv")["encoder"]
    stranger = world.feature("other.tsv")["encoder"]
    again = world.feature("b.tsv", encoders=[stranger, first])
    assert (again["encoder"]["id"], again["encoder"]["fitted"]) == (first["id"], False)
    assert again["coverage"] > 0.8
    assert world.feature("b.tsv", encoders=[stranger])["encoder"]["fitted"]
    assert world.feature("b.tsv", encoders=[{**first, "n_users": 29}])["encoder"]["fitted"]
    assert world.feature("b.tsv", encoders=[first], encoder="new")["encoder"]["fitted"]
    forced = world.feature("b.tsv", encoder=stranger)
    assert forced["encoder"]["id"] == stranger["id"]
    assert forced["coverage"] < 0.8


def test_scores_of_another_attempt_are_known_and_other_content_is_left_alone(world: World) -> None:
    text, answers = sequences(400)
    world.put("in.tsv", text)
    world.put("labels.tsv", answers)
    feature = world.feature("in.tsv")
    task = world.task(feature, "labels.tsv")
    first = world.score(task, feature, "out.tsv")
    assert world.score(task, feature, "out.tsv", attempt=1) == first
    world.put("out.tsv", "somebody else's\n")
    with pytest.raises(ResultExistsError):
        world.score(task, feature, "out.tsv", attempt=2)
    assert world.buckets.open("shop").read_bytes("out.tsv") == b"somebody else's\n"


def test_custom_attributes_are_published_once_and_name_what_nobody_knows(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    text, _ = sequences(300)
    world.put("in.tsv", text)
    feature = world.feature("in.tsv")
    found = world.attributes(feature, ["red", "flibber"])
    lines = world.buckets.open("shop").read_bytes("out.tsv").decode().splitlines()
    similarity = {user: float(value) for user, value in (line.split("\t") for line in lines)}
    red = {line.split("\t")[0]: line.count("red") for line in text.splitlines()}
    assert (found["line_count"], found["unknown_keywords"], found["object"]) == (300, ["flibber"], "shop/out.tsv")
    assert "'flibber'" in capsys.readouterr().out
    assert min(similarity[u] for u in red if red[u] >= 6) > max(similarity[u] for u in red if red[u] == 0)
    assert world.attributes(feature, ["red", "flibber"], attempt=1) == found
    world.put("out.tsv", "somebody else's\n")
    with pytest.raises(ResultExistsError):
        world.attributes(feature, ["red"], attempt=2)
    assert world.buckets.open("shop").read_bytes("out.tsv") == b"somebody else's\n"


def test_a_full_disk_is_named_with_a_remedy() -> None:
    refusal = explain(OSError(errno.ENOSPC, "Error writing bytes to file"))
    assert refusal["reason"] == "no_space"
    assert "Error writing bytes" in refusal["details"]
    assert refusal["details"].endswith("Free some and try again.")


def test_what_arrow_cannot_hold_is_the_fault_of_the_data_wherever_it_is_met() -> None:
    for kind in (pa.ArrowInvalid, pa.ArrowCapacityError):
        refusal = explain(kind("array cannot contain more than 2147483646 bytes"))
        assert (refusal["reason"], refusal["name"]) == ("bad_input", "UNEXPECTED_TXT_FORMAT")
        assert "shorten them" in refusal["details"]


def test_keywords_that_nobody_knows_fail_by_name_and_publish_nothing(world: World) -> None:
    world.put("in.tsv", sequences(300)[0])
    with pytest.raises(DataError) as caught:
        world.attributes(world.feature("in.tsv"), ["flibber", "gabble"])
    refusal = explain(caught.value)
    assert (refusal["reason"], refusal["name"]) == ("bad_input", "UNKNOWN_KEYWORD")
    assert "'flibber' or 'gabble'" in refusal["details"]
    assert not world.buckets.open("shop").exists("out.tsv")


def test_a_shopping_intent_tells_what_a_target_has_in_common(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    text, answers = sequences(900)
    world.put("in.tsv", text)
    world.put("labels.tsv", answers)
    feature = world.feature("in.tsv")
    task, other = (world.task(feature, "labels.tsv") for _ in range(2))
    others = [{"name": "twin", "artefact": other["artefact"]}, {"name": "gone", "artefact": "tasks/gone/0"}]
    found = world.intent(task, feature, others=others)
    table = world.internal.read_bytes(f"{found['artefact']}/profile.tsv")
    rows = [line.split("\t") for line in table.decode().splitlines()]
    assert rows[0] == ["section", "name", "target_share", "base_share", "lift", "users"]
    assert all("red" in row[1] for row in rows[1:-1])
    assert rows[-1][:2] == ["attribute", "twin"]
    assert float(rows[-1][4]) > 1.3
    assert (found["line_count"], found["disk_usage"]) == (900, len(table))
    assert "'gone' was deleted meanwhile" in capsys.readouterr().out
    with pytest.raises(StoreFullError, match="quota"):
        world.intent(task, feature, quota_left_bytes=10)


def test_a_given_test_set_is_used(world: World) -> None:
    text, answers = sequences(600)
    lines = answers.splitlines(keepends=True)
    world.put("in.tsv", text)
    world.put("train.tsv", "".join(lines[:400]))
    world.put("test.tsv", "".join(lines[400:]))
    feature = world.feature("in.tsv")
    test = {"feature_artefact": feature["artefact"], "encoder_id": "e", "bucket": "shop", "path": "test.tsv"}
    assert world.task(feature, "train.tsv", test=test)["test"] == "given"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "NOT_EXIST_FILE"),
        ("a b\n", "UNEXPECTED_TXT_FORMAT"),
        ("a\tx\na\ty\n", "DUPLICATE_USERID"),
        ("a\tcall 010-1234-5678\n", "PERSONAL_DATA_NOT_ALLOWED"),
    ],
)
def test_bad_input_puts_nothing(world: World, text: str, name: str) -> None:
    world.put("in.tsv", text)
    with pytest.raises(DataError) as caught:
        world.feature("in.tsv")
    assert explain(caught.value)["name"] == name
    assert "shop/in.tsv" in str(caught.value)
    assert world.internal.list() == []


def test_labels_for_unknown_users_only_are_not_enough(world: World) -> None:
    text, answers = sequences(300)
    world.put("in.tsv", text)
    world.put("labels.tsv", answers.replace("u", "x"))
    with pytest.raises(DataError) as caught:
        world.task(world.feature("in.tsv"), "labels.tsv")
    assert caught.value.name == "NUM_OF_LABEL_INSUFFICIENT"


def test_a_quota_that_is_used_up_refuses_the_feature(world: World) -> None:
    world.put("in.tsv", sequences(50)[0])
    with pytest.raises(StoreFullError, match="quota"):
        world.feature("in.tsv", quota_left_bytes=10)


def test_an_object_that_changes_between_two_readings_is_noticed(world: World) -> None:
    world.put("in.tsv", "a\tx\n")
    source = open_sources(world.buckets, "shop", "in.tsv", world.root, print)[0]
    assert b"".join(source.open()) == b"a\tx\n"
    world.put("in.tsv", "a\tother\n")
    with pytest.raises(ObjectChangedError):
        b"".join(source.open())


def test_nothing_at_the_path_is_said_so(world: World) -> None:
    world.put("in/_SUCCESS", "")
    for path in ("in", "in/", "nowhere"):
        with pytest.raises(ObjectNotFoundError):
            open_sources(world.buckets, "shop", path, world.root, print)
    with pytest.raises(ObjectNotFoundError):
        fetch_artefact(world.internal, "features/none/0", world.root)


def test_warnings_of_personal_data_reach_the_log(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.put("in.tsv", "a\tx\nb\tcall 010-1234-5678\n")
    result = world.feature("in.tsv", personal_data="warn")
    assert result["personal_data"] == {"a mobile phone number": 1}
    out = capsys.readouterr().out
    assert "line 2: a mobile phone number" in out
    assert "1234" not in out
    rows = [f"u{n},call 010-1234-{5000 + n % 15}" for n in range(30)]
    world.put("in.csv", "\n".join(["user_id,behavior", "me@example.com,x", *rows, "b,y"]))
    result = world.feature("in.csv", personal_data="warn")
    assert result["personal_data"] == {"a mobile phone number": 15, "an e-mail address": 1}
    out = capsys.readouterr().out
    assert out.count("warning: ") == 10
    assert "line 2: an e-mail address" in out
    assert "line 11: a mobile phone number" in out
    assert not any(secret in out for secret in ("1234", "me@"))


def test_a_kind_that_is_allowed_in_a_bucket_is_no_reason_to_refuse(world: World) -> None:
    world.put("in.tsv", "a\tx\nb\tcall 010-1234-5678\n")
    with pytest.raises(DataError, match="line 2: the line holds what looks like a mobile phone number"):
        world.feature("in.tsv")
    assert world.feature("in.tsv", personal_data_allowed=["a mobile phone number"])["user_count"] == 2
    world.put("in.csv", "user_id,behavior\na,x\nb,call 010-1234-5678\n")
    assert world.feature("in.csv", personal_data_allowed=["a mobile phone number"])["user_count"] == 2


def event_rows(n_users: int, *, dear: bool = False) -> str:
    rng = np.random.default_rng(7)
    lines = ["user_id,timestamp,behavior,amount"]
    for n in range(n_users):
        for day in rng.integers(1, 28, 6).tolist():
            lines.append(f"u{n},2025-03-{day:02}T10:00:00Z,see thing {rng.integers(9)},{rng.gamma(2, 9) * (1 + dear):.2f}")
    return "\n".join(lines) + "\n"


def test_an_event_log_becomes_a_feature_whose_encoder_a_later_log_takes(world: World) -> None:
    world.put("march.csv", event_rows(300))
    world.put("april.csv", event_rows(300, dear=True))
    options = {"columns": {"numeric": ["amount"]}, "observed_until": "2025-03-20T00:00:00+00:00"}
    march = world.feature("march.csv", source_options=options)
    assert march["user_count"] <= 300
    known = {key: march["encoder"][key] for key in ("id", "name", "artefact", "n_users")}
    april = world.feature("april.csv", encoders=[known])
    assert (april["encoder"]["id"], april["encoder"]["fitted"]) == (known["id"], False)
    assert april["user_count"] == 300


def test_a_sequence_file_does_not_take_the_encoder_of_a_log_unless_it_is_asked_to(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.put("log.csv", event_rows(300))
    world.put("text.csv", "".join(f"u{n}\t{'->'.join(f'see thing {k}' for k in range(9))}\n" for n in range(300)))
    log = world.feature("log.csv")
    known = {key: log["encoder"][key] for key in ("id", "name", "artefact", "n_users")}
    assert world.feature("text.csv", encoders=[known])["encoder"]["fitted"]
    asked = world.feature("text.csv", encoder=known)
    assert asked["encoder"]["id"] == known["id"]
    assert "the encoder knows times, amount of events, which this data set does not have" in capsys.readouterr().out
    text = world.feature("text.csv", encoders=[])["encoder"]
    world.feature("log.csv", encoder={key: text[key] for key in ("id", "name", "artefact", "n_users")})
    assert "the encoder knows nothing of times, amount; what the data set says of them is not used" in capsys.readouterr().out


def test_an_encoder_that_knows_few_values_of_a_category_is_not_taken_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = event_rows(300).splitlines()
    for name, places in (("old.csv", ("north", "south")), ("same.csv", ("south", "north")), ("new.csv", ("yes", "no"))):
        lines = [f"{row},{places[i % 2]}" for i, row in enumerate(rows[1:])]
        world.put(name, "\n".join([rows[0] + ",place", *lines]) + "\n")
    old = world.feature("old.csv")
    known = {key: old["encoder"][key] for key in ("id", "name", "artefact", "n_users")}
    assert not world.feature("same.csv", encoders=[known])["encoder"]["fitted"]
    assert world.feature("new.csv", encoders=[known])["encoder"]["fitted"]
    assert "knows few of the values of place" in capsys.readouterr().out


def test_an_encoder_of_numbers_of_another_size_is_not_taken_again(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    rows = event_rows(300).splitlines()
    world.put("cents.csv", "\n".join([rows[0], *(f"{row}e3" for row in rows[1:]), ""]))
    world.put("euros.csv", "\n".join([*rows, ""]))
    first = world.feature("euros.csv")
    known = {key: first["encoder"][key] for key in ("id", "name", "artefact", "n_users")}
    assert not world.feature("euros.csv", encoders=[known])["encoder"]["fitted"]
    assert world.feature("cents.csv", encoders=[known])["encoder"]["fitted"]
    assert "was fitted on numbers of another size of amount" in capsys.readouterr().out


def test_a_bad_event_ends_the_job_with_its_line(world: World) -> None:
    world.put("log.csv", event_rows(20) + "u1,soon,see,1\n")
    with pytest.raises(DataError, match="line 122: 'soon' in the column 'timestamp' is no time") as caught:
        world.feature("log.csv")
    assert explain(caught.value)["name"] == "UNEXPECTED_TXT_FORMAT"


def test_an_encoder_of_another_release_is_passed_over(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.put("a.csv", sequences(200)[0])
    first = world.feature("a.csv")
    known = {key: first["encoder"][key] for key in ("id", "name", "artefact", "n_users")}
    assert not world.feature("a.csv", encoders=[known])["encoder"]["fitted"]
    header = world.root / "internal" / first["encoder"]["artefact"] / "encoder.json"
    header.write_text(json.dumps({**json.loads(header.read_text()), "format": 1}))
    assert world.feature("a.csv", encoders=[known])["encoder"]["fitted"]
    assert "is passed over: the encoder has format 1" in capsys.readouterr().out
    with pytest.raises(DataError, match="format 1"):
        world.feature("a.csv", encoder=known)
