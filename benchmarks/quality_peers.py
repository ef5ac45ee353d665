"""What one would write instead: two short scripts with Polars, scikit-learn and LightGBM, as a careful person writes them.

Both read the event log, or the sequence file when there is no log, and return a score for every user.
"""

import functools
import gzip
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegressionCV

Labels = dict[str, str]
N_VALUES = 50
"""Values of each category with columns of their own."""


def methods(path: Path, meta: dict[str, Any], users: list[str]) -> dict[str, Callable[[Labels], dict[str, float]]]:
    """Return the peers by name."""
    user_ids = tuple(sorted(set(users)))
    peers: dict[str, Callable[[Labels], dict[str, float]]] = {
        "majority": lambda labels: dict.fromkeys(user_ids, 0.5),
        "tf-idf + LR": lambda labels: score_bags(*weigh_bags(path, user_ids), labels),
    }
    if (path / "events.parquet").exists():
        settings = (tuple(meta["cats"]), tuple(meta["nums"]), meta["time"], meta["text"], meta.get("observed_until"))
        peers["aggregates + LightGBM"] = lambda labels: score_trees(*aggregate(path, settings, user_ids), labels)
    return peers


@functools.lru_cache(2)
def weigh_bags(path: Path, users: tuple[str, ...]) -> tuple[tuple[str, ...], Any]:
    file = next(p for p in (path / "sequences_nclue.csv.gz", path / "sequences.csv.gz") if p.exists())
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        texts = dict(line.rstrip("\n").split("\t") for line in lines)
    weigher = TfidfVectorizer(analyzer=lambda text: text.split("->"), sublinear_tf=True, min_df=2, dtype=np.float32)
    return users, weigher.fit(texts.values()).transform([texts[user] for user in users])


def score_bags(users: tuple[str, ...], x: Any, labels: Labels) -> dict[str, float]:
    rows = [n for n, user in enumerate(users) if user in labels]
    y = np.array([labels[users[n]] == "1" for n in rows])
    model = LogisticRegressionCV(
        Cs=[0.1, 0.3, 1, 3, 10], cv=3, scoring="neg_log_loss", max_iter=300, l1_ratios=[0.0], use_legacy_attributes=False
    )
    return dict(zip(users, model.fit(x[rows], y).predict_proba(x)[:, 1].tolist(), strict=True))


@functools.lru_cache(2)
def aggregate(path: Path, settings: tuple[Any, ...], users: tuple[str, ...]) -> tuple[tuple[str, ...], Any]:
    categories, numbers, time, text, until = settings
    events = pl.read_parquet(path / "events.parquet")
    columns = [pl.len().alias("n"), pl.col(text).n_unique().alias("distinct")]
    for name in numbers:
        columns += [
            getattr(pl.col(name), what)().alias(f"{name} {what}") for what in ("sum", "mean", "std", "min", "max", "median")
        ]
    if time is not None:
        end = datetime.fromisoformat(until) if until else events[time].max()
        age = (pl.lit(end) - pl.col(time)).dt.total_seconds() / 86_400
        days = pl.col(time).dt.truncate("1d").n_unique()
        columns += [age.min().alias("recency"), age.max().alias("tenure"), days.alias("days"), age.std().alias("age spread")]
        columns += [(age < d).sum().alias(f"last {d}") for d in (7, 30, 90)]
        columns += [pl.col(name).filter(age < d).sum().alias(f"{name} last {d}") for name in numbers for d in (30, 90)]
        columns += [pl.col(time).dt.hour().mean().alias("hour"), pl.col(time).dt.weekday().mean().alias("weekday")]
    for name in categories:
        columns.append(pl.col(name).n_unique().alias(f"{name} distinct"))
        for value in events[name].value_counts(sort=True)[name][:N_VALUES].to_list():
            columns.append((pl.col(name) == value).sum().alias(f"{name}={value}"))
            if numbers:
                columns.append(pl.col(numbers[-1]).filter(pl.col(name) == value).sum().alias(f"{name}={value} {numbers[-1]}"))
    table = events.group_by("user_id").agg(columns)
    table = pl.DataFrame({"user_id": list(users)}).join(table, on="user_id", how="left", maintain_order="left")
    return users, table.drop("user_id").to_numpy().astype(np.float32)


def score_trees(users: tuple[str, ...], x: Any, labels: Labels) -> dict[str, float]:
    rows = np.array([n for n, user in enumerate(users) if user in labels])
    y = np.array([labels[users[n]] == "1" for n in rows]).astype(int)
    settings = {"objective": "binary", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 20, "verbosity": -1,
                "feature_fraction": 0.5, "bagging_fraction": 0.8, "bagging_freq": 1, "seed": 1}  # fmt: skip
    data = lightgbm.Dataset(x[rows], y, free_raw_data=False)
    history = lightgbm.cv(settings, data, 600, nfold=3, seed=1, callbacks=[lightgbm.early_stopping(30, verbose=False)])
    model = lightgbm.train(settings, data, len(history["valid binary_logloss-mean"]))
    return dict(zip(users, np.asarray(model.predict(x)).tolist(), strict=True))
