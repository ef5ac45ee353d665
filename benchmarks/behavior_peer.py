"""What a user would write instead: pandas, scikit-learn and LightGBM. The peer of ``behavior.py``, in a process of its own.

``learn`` reads the sequence file and the labels, makes a tf-idf matrix and a few counts, fits a logistic regression and
LightGBM, and keeps matrix and models on disk; ``score`` loads them, scores every user and writes the TSV. The environment with
pandas is made once, under ``build/`` of the project, and is no part of Footfall.
"""

import subprocess
import sys
import time
from pathlib import Path

import behavior_data as data

ENVIRONMENT = Path(__file__).parent.parent / "build" / "pandas-peer"
PACKAGES = ("pandas==2.3.3", "scikit-learn==1.9.0", "lightgbm==4.7.0", "scipy", "pyarrow")

LEARN = """
import sys, joblib, numpy as np, pandas as pd, scipy.sparse as sp
from lightgbm import LGBMClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

home = sys.argv[1]
users = pd.read_csv(f"{home}/sequences.tsv", sep="\\t", names=["user_id", "text"], dtype=str, quoting=3)
acts = users["text"].str.split("->")
dense = pd.DataFrame({"n": acts.str.len(), "distinct": acts.map(lambda a: len(set(a)))})
dense["repeat"] = 1 - dense["distinct"] / dense["n"]
vectorizer = TfidfVectorizer(analyzer=lambda text: text.split("->"), min_df=5, sublinear_tf=True, dtype=np.float32)
matrix = vectorizer.fit_transform(users["text"])
labels = pd.read_csv(f"{home}/labels.tsv", sep="\\t", names=["user_id", "label"], dtype={"user_id": str})
rows = pd.Series(np.arange(len(users)), index=users["user_id"])[labels["user_id"]].to_numpy()
y = labels["label"].to_numpy()
top = np.asarray(matrix[rows].sum(axis=0)).ravel().argsort()[::-1][:100]
wide = np.hstack([dense.to_numpy(np.float32), matrix[:, top].toarray()])
linear = LogisticRegression(max_iter=200).fit(matrix[rows], y)
trees = LGBMClassifier(n_estimators=200, num_leaves=31, verbose=-1).fit(wide[rows], y)
sp.save_npz(f"{home}/matrix.npz", matrix, compressed=False)
np.save(f"{home}/wide.npy", wide)
users[["user_id"]].to_parquet(f"{home}/users.parquet")
joblib.dump((linear, trees), f"{home}/models.joblib")
"""

SCORE = """
import sys, joblib, numpy as np, pandas as pd, scipy.sparse as sp

home = sys.argv[1]
matrix, wide = sp.load_npz(f"{home}/matrix.npz"), np.load(f"{home}/wide.npy", mmap_mode="r")
users = pd.read_parquet(f"{home}/users.parquet")
linear, trees = joblib.load(f"{home}/models.joblib")
users["score"] = (linear.predict_proba(matrix)[:, 1] + trees.predict_proba(wide)[:, 1]) / 2
users.to_csv(f"{home}/scores.tsv", sep="\\t", header=False, index=False, float_format="%.6f")
"""


def _python() -> Path:
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        print(f"installing {', '.join(PACKAGES)} into {ENVIRONMENT}, once")
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return python


def _seconds(script: str, home: Path) -> float:
    started = time.monotonic()
    subprocess.run([str(_python()), "-W", "ignore", "-c", script, str(home)], check=True)
    return time.monotonic() - started


def score_times(directory: Path, n_users: int, times: int) -> list[float]:
    """Return how many seconds the peer's scoring takes, process and all, page cache warm."""
    home = directory / "peer"
    home.mkdir()
    data.write_sequences(home / "sequences.tsv", n_users)
    (home / "labels.tsv").symlink_to(directory / "labels.tsv")
    print(f"the peer learned in {_seconds(LEARN, home):.0f} s", flush=True)
    _seconds(SCORE, home)
    return [_seconds(SCORE, home) for _ in range(times)]
