"""Small data shared by the tests."""

import os

# Before torch is loaded, here and in child processes: for nets this small, and two tests at a
# time, more threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

from qcanvas_sklearn import PairImageTransformer, load_pairs


def pytest_collection_modifyitems(config, items):
    """Begin with what takes longest where tests are shared out among processes.

    They take consecutive tests in pieces, which get smaller towards the end: examples in one
    of the later pieces leave the other process without work for minutes.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def regression_table():
    """A plain numeric table (60, 4) and a target that depends on it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    return X, X[:, 0] - 2 * X[:, 1] + 0.1 * rng.normal(size=60)


@pytest.fixture(scope="session")
def few_pairs():
    """Every 19th bundled pair (150) as symbols, and all 18 targets."""
    X, y = load_pairs(return_X_y=True)
    return X.iloc[::19].reset_index(drop=True), y.iloc[::19].reset_index(drop=True)


@pytest.fixture(scope="session")
def few_images(few_pairs):
    """The transformer's output for `few_pairs`, at 8 pixels a side."""
    return PairImageTransformer(image_size=8).fit_transform(few_pairs[0])
