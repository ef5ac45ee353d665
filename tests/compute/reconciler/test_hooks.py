"""What an ended run leaves in its row beside its state."""

import json
from pathlib import Path
from typing import Any

from engine_helpers import Engine
from footfall import layout
from footfall.config import load_settings
from footfall.db import run_pages
from footfall.states import RunState

SUMMARY = {"last": 0.5, "min": 0.25, "max": 1.0, "count": 3, "nonFinite": 1, "lastNonFiniteStep": 2.0}
ENDED = (RunState.PENDING, RunState.IN_PROGRESS, RunState.COMPLETED)


def publish(engine: Engine, run_id: str, keys: dict[str, Any]) -> None:
    node = engine.settings.runs_root / layout.node_dir(run_id, 0, 0)
    node.mkdir(parents=True)
    published = {"keys": keys, "droppedPoints": 2, "resetAt": None}
    (node / layout.METRIC_SUMMARY).write_text(json.dumps(published))


def test_the_summary_of_an_ended_run_is_by_key_and_has_only_keys_that_can_be_shown(tmp_path: Path) -> None:
    still = Engine(load_settings(tmp_path / "home", {}))
    run = still.create_command()
    publish(still, run.id, {"loss": SUMMARY, "\ud800": SUMMARY, "ü": SUMMARY})
    columns = still.all_hooks.sum_up(still.get(run.id))
    assert json.loads(columns["metrics"]) == {"loss": SUMMARY, "ü": SUMMARY}
    still.move(run.id, *ENDED, **columns)
    with still.db.read() as connection:
        assert run_pages.get(connection, "acc", "own", 1).metrics == {"loss": SUMMARY, "ü": SUMMARY}


def test_a_run_without_keys_that_can_be_shown_has_no_summary(tmp_path: Path) -> None:
    still = Engine(load_settings(tmp_path / "home", {}))
    run = still.create_command()
    assert still.all_hooks.sum_up(still.get(run.id)) == {}
    publish(still, run.id, {"\udfff": SUMMARY})
    assert still.all_hooks.sum_up(still.get(run.id)) == {}
