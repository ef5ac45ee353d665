"""What the tests of modeling share: a made-up data set and its encoder."""

import pytest
from modeling_data import make_rows, make_source

from footfall.modeling.encoding.encoder import Encoder, fit_encoder


@pytest.fixture(scope="session")
def rows() -> tuple[str, str]:
    return make_rows(1200)


@pytest.fixture(scope="session")
def encoder(rows: tuple[str, str]) -> Encoder:
    return fit_encoder([make_source(rows[0].encode())], seed=1)
