"""Which behaviors speak for a label and which against it, as texts.

Knows the bag view's head and an encoder's texts. The weight of a behavior is what it and its words add to the log-odds of
the bag view, in the mean of the labelled users who have it. Behaviors are ranked by that, times how many these are.

Shapes: N users, U behaviors, V tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from footfall.modeling.arrays import map_arrays
from footfall.modeling.stack import Stack
from footfall.modeling.view import U8, Users

N_BEHAVIORS = 12
MIN_USERS = 3
MAX_TEXT = 200

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Texts:
    """The behaviors of an encoder: their texts, and which words are in them."""

    text: Callable[[int], str]
    offset_U1: npt.NDArray[np.int64]
    token_T: npt.NDArray[np.int32]

    @property
    def n_behaviors(self) -> int:
        """U."""
        return self.offset_U1.size - 1


def open_texts(encoder_dir: Path) -> Texts:
    """Open the texts of a stored encoder; they are mapped, not read."""
    arrays = map_arrays(encoder_dir / "encoder.safetensors")
    text_B, end_U = arrays["text_B"], arrays["text_end_U"]

    def text(u: int) -> str:
        raw = text_B[int(end_U[u - 1]) if u else 0 : int(end_U[u])].tobytes()
        found = " ".join(raw.decode("utf-8", "replace").split())
        return found if len(found) <= MAX_TEXT else found[: MAX_TEXT - 1] + "…"

    return Texts(text, arrays["text_offset_U1"], arrays["text_token_T"])


def find_telling_behaviors(stack: Stack, users: Users, label_N: U8, texts: Texts) -> dict[str, list[dict[str, Any]]]:
    """Return the behaviors that speak most ``for`` a 1 and ``against`` it; none if there is no bag view.

    Each is {text, weight, users (labelled users who have it), ones_share (of them)}.
    """
    if "bag" not in stack.names:
        return {"for": [], "against": []}
    token_V = np.asarray(stack.views[stack.names.index("bag")].arrays()["token_V"], np.float64)
    n = texts.n_behaviors
    behaviors_NU = users.text_NV[:, :n]
    users_U = np.bincount(behaviors_NU.indices, minlength=n)
    ones_U = np.bincount(behaviors_NU[label_N == 1].indices, minlength=n)
    # a weight of the bag is a count's logarithm, times idf, over the norm; the head's arrays hold the idf already
    idf_U = np.maximum(users.encoding.idf_V[:n].astype(np.float64), 1e-9)
    sum_U = np.asarray(behaviors_NU.sum(axis=0), np.float64).ravel() / idf_U
    pull_U = np.where(users_U >= MIN_USERS, (token_V[:n] + _sum_words(token_V, texts)) * sum_U, 0.0)

    def describe(chosen: list[int]) -> list[dict[str, Any]]:
        return [
            {
                "text": texts.text(u),
                "weight": float(pull_U[u] / users_U[u]),
                "users": int(users_U[u]),
                "ones_share": float(ones_U[u] / users_U[u]),
            }
            for u in chosen
        ]

    order_U = np.argsort(-pull_U, kind="stable")
    most = [u for u in order_U[:N_BEHAVIORS].tolist() if pull_U[u] > 0]
    least = [u for u in order_U[::-1][:N_BEHAVIORS].tolist() if pull_U[u] < 0]
    return {"for": describe(most), "against": describe(least)}


def _sum_words(token_V: F64, texts: Texts) -> F64:
    before_T = np.concatenate([np.zeros(1), np.cumsum(token_V[texts.token_T])])
    sums: F64 = before_T[texts.offset_U1[1:]] - before_T[texts.offset_U1[:-1]]
    return sums
