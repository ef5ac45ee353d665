"""The behaviors that contribute most to label 1, and most against it, as texts.

Knows the bag view's head and an encoder's texts. The weight of a behavior is what it and its words add to the log-odds of
the bag view, in the mean of the labelled users who have it. Behaviors are ranked by that, times how many these are. They
are reported when the plain count agrees: where busy users have one label, a linear head gives a negative weight to things that
most users of that label have, which is right for the head and nonsense to a reader.

Shapes: N users, U behaviors, V tokens.
"""

from typing import Any

import numpy as np

from footfall.modeling.dtypes import F64, U8
from footfall.modeling.learning.stack import Stack
from footfall.modeling.report.names import Names
from footfall.modeling.view import Users

N_BEHAVIORS = 12
MIN_USERS = 3


def find_contributing_behaviors(stack: Stack, users: Users, label_N: U8, names: Names) -> dict[str, list[dict[str, Any]]]:
    """Return the behaviors that contribute most ``for`` label 1 and ``against`` it; none if there is no bag view.

    Each is {text, weight, users (labelled users who have it), ones_share (of them, on the weight's side of all users')}.
    """
    if "bag" not in stack.names:
        return {"for": [], "against": []}
    token_V = np.asarray(stack.views[stack.names.index("bag")].arrays()["token_V"], np.float64)
    n = names.n_behaviors
    behaviors_NU = users.text_NV[:, :n]
    users_U = np.bincount(behaviors_NU.indices, minlength=n)
    ones_U = np.bincount(behaviors_NU[label_N == 1].indices, minlength=n)
    # a weight of the bag is a count's logarithm, times idf, over the norm; the head's arrays hold the idf already
    idf_U = np.maximum(users.encoding.idf_V[:n].astype(np.float64), 1e-9)
    sum_U = np.asarray(behaviors_NU.sum(axis=0), np.float64).ravel() / idf_U
    contribution_U = (token_V[:n] + _sum_words(token_V, names)) * sum_U
    is_consistent_U = contribution_U * (ones_U - label_N.mean() * users_U) > 0
    contribution_U = np.where((users_U >= MIN_USERS) & is_consistent_U, contribution_U, 0.0)

    def describe(chosen: list[int]) -> list[dict[str, Any]]:
        return [
            {
                "text": names.behavior(u),
                "weight": float(contribution_U[u] / users_U[u]),
                "users": int(users_U[u]),
                "ones_share": float(ones_U[u] / users_U[u]),
            }
            for u in chosen
        ]

    order_U = np.argsort(-contribution_U, kind="stable")
    most = [u for u in order_U[:N_BEHAVIORS].tolist() if contribution_U[u] > 0]
    least = [u for u in order_U[::-1][:N_BEHAVIORS].tolist() if contribution_U[u] < 0]
    return {"for": describe(most), "against": describe(least)}


def _sum_words(token_V: F64, names: Names) -> F64:
    before_T = np.concatenate([np.zeros(1), np.cumsum(token_V[names.text_token_T])])
    sums: F64 = before_T[names.text_offset_U1[1:]] - before_T[names.text_offset_U1[:-1]]
    return sums
