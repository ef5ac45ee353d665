"""Tables and filters of hashes."""

import numpy as np
import pytest

from footfall.modeling.text.hashes import build_filter, build_table, look_up, may_have


@pytest.mark.parametrize("n_keys", [0, 1, 3, 1_000, 40_000])
def test_a_filter_lets_every_key_pass_and_few_others(n_keys: int) -> None:
    rng = np.random.default_rng(n_keys)
    hash_V = rng.integers(1, 2**64, n_keys, dtype=np.uint64)
    other_M = rng.integers(1, 2**64, 20_000, dtype=np.uint64)
    filter_F, (key_S, value_S) = build_filter(hash_V), build_table(hash_V)
    assert all(may_have(filter_F, h) for h in hash_V)
    assert [look_up(key_S, value_S, h) for h in hash_V] == list(range(n_keys))
    share = np.mean([may_have(filter_F, h) for h in other_M])
    assert share < 0.08
