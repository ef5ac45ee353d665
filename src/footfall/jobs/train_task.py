"""Train a task from labels and features, and put its artefact where the server finds it.

Source: the contract, 9-7, 9-12, 9-18.
"""

import json
from pathlib import Path
from typing import Any

from footfall.contract.jobs import TaskInput, TrainTask, TrainTaskResult
from footfall.jobs.context import JobContext, run_job
from footfall.jobs.inputs import fetch_artefact, open_sources
from footfall.jobs.outputs import keep_artefact
from footfall.layout import FOUND, REPORT
from footfall.modeling.encoding.encode import Feature, open_feature
from footfall.modeling.learning.labels import Labels, read_labels
from footfall.modeling.learning.task import train_task
from footfall.modeling.report.report import Sources, make_report

SEED = 20251121


def main(context: JobContext[TrainTask]) -> TrainTaskResult:
    """Do the job; return its result."""
    job = context.parameters
    train_feature, train_labels = _read_set(context, job.train)
    test_feature, test_labels = (None, None) if job.test is None else _read_set(context, job.test)
    task = train_task(
        train_feature,
        train_labels,
        test_feature,
        test_labels,
        seed=SEED,
        min_labels_per_class=job.min_labels_per_class,
        progress=context.progress,
    )
    directory = context.scratch / "task"
    task.save(directory)
    context.progress("report", 0, 1)
    sources = Sources(train_feature, train_labels, test_feature, test_labels, **_about_encoder(context))
    report = make_report(task, sources, seed=SEED)
    report["data"] = _read_found(train_feature)
    (directory / REPORT).write_text(json.dumps(report, indent=1, sort_keys=True, allow_nan=False) + "\n")
    for warning in report["warnings"]:
        context.log(f"{warning['code']}: {warning['text']}")
    context.progress("report", 1, 1)
    size_bytes = sum(path.stat().st_size for path in directory.iterdir())
    artefact = keep_artefact(context, job.task_id, directory, size_bytes)
    summary = {**task.summary, "AUROC": f"{task.auroc:.4f}"}
    return TrainTaskResult.from_json(
        {**summary, "disk_usage": size_bytes, "artefact": artefact, "report": REPORT, "warnings": report["warnings"]}
    )


def _read_found(feature: Feature) -> Any:
    """Return what was found in the data set of a feature; None if an earlier release made it."""
    path = Path(feature.directory) / FOUND
    return json.loads(path.read_bytes()) if path.exists() else None


def _about_encoder(context: JobContext[TrainTask]) -> dict[str, Any]:
    """Return what the report needs to know of the train feature's encoder, if that is known."""
    train = context.parameters.train
    if train.encoder_artefact is None:
        return {}
    encoder_dir = fetch_artefact(context.internal, train.encoder_artefact, context.scratch)
    return {"encoder_dir": encoder_dir, "coverage": train.coverage}


def _read_set(context: JobContext[TrainTask], data: TaskInput) -> tuple[Feature, Labels]:
    feature = open_feature(fetch_artefact(context.internal, data.feature_artefact, context.scratch))
    sources = open_sources(context.buckets, data.bucket, data.path, context.scratch, context.log, data.personal_data_allowed)
    labels = read_labels(sources, context.scratch, personal_data=context.parameters.personal_data, progress=context.progress)
    for place in labels.personal_data_lines:
        context.log(f"warning: {place}")
    return feature, labels


if __name__ == "__main__":
    run_job(TrainTask, main)
