"""Sources from bytes, the shipped data set, and a small made-up one in which tastes decide."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import footfall
from footfall.modeling.reading.source import Source

SHIPPED = Path(footfall.__file__).parent / "data" / "online-retail"


def make_source(data: bytes, name: str = "bucket/file.csv", chunk: int = 1 << 16) -> Source:
    def read() -> Iterator[bytes]:
        for i in range(0, len(data), chunk):
            yield data[i : i + chunk]

    return Source(name, read, len(data))


def file_source(path: Path) -> Source:
    return make_source(path.read_bytes(), path.name)


def make_rows(n_users: int, seed: int = 0, *, separable: bool = True) -> tuple[str, str]:
    """Return (sequences, labels): users with label 1 see red things more often, when separable."""
    rng = np.random.default_rng(seed)
    lines, labels = [], []
    for n in range(n_users):
        label = int(rng.random() < 0.4)
        red = (0.7 if label else 0.3) if separable else 0.5
        acts = [f"see {'red' if rng.random() < red else 'blue'} thing {rng.integers(20)}" for _ in range(1 + n % 25)]
        lines.append(f"u{n}\t{'->'.join(acts)}\n")
        labels.append(f"u{n}\t{label}\n")
    return "".join(lines), "".join(labels)
