"""Titanium dioxide clusters, which have d orbitals, from the engine to the metrics."""

import numpy as np
import pytest

from qcanvas_sklearn import HamiltonianRegressor
from qcanvas_sklearn.hamiltonians import TwoCentreTables, compute_hamiltonians, metrics
from qcanvas_sklearn.structures import Molecules

pytest.importorskip("tblite")

ONE = (["Ti", "O", "O"], [[0, 0, 0], [1.37, 0, 0.92], [-1.37, 0, 0.92]])
TWO = (
    ["Ti", "Ti", "O", "O", "O", "O"],
    [[1.36, 0, 0], [-1.36, 0, 0], [0, 1.24, 0], [0, -1.24, 0], [2.85, 0, 0.62],
     [-2.85, 0, -0.62]],
)  # fmt: skip


@pytest.fixture(scope="module")
def clusters():
    """Six of each size, shaken; every third one is to be predicted."""
    rng = np.random.default_rng(0)
    drawn = [(ONE, TWO)[k % 2] for k in range(12)]
    places = [np.array(x) + rng.normal(0, 0.06, (len(x), 3)) for _, x in drawn]
    molecules = Molecules.from_lists([names for names, _ in drawn], places)
    computed = compute_hamiltonians(molecules, cache=False)
    assert (computed.molecules.quality == "ok").all()
    return computed


def test_clusters_of_titanium_dioxide_are_learned(clusters):
    assert clusters.basis["Ti"] == (2, 0, 1)
    aside = np.arange(12) % 3 == 2
    train, test = clusters[~aside], clusters[aside]
    model = HamiltonianRegressor(
        n_hidden=16, n_layers=1, n_heads=2, n_radial=8, n_channels=4, max_epochs=30,
        batch_size=4, random_state=0,
    )  # fmt: skip
    predicted = model.fit(train.molecules, train).predict(test.molecules)
    np.testing.assert_allclose(predicted.overlap_values, test.overlap_values, atol=1e-6)
    known = TwoCentreTables.load().self_consistent(test.molecules)
    report, alone = (metrics.hamiltonian_report(test, x)["value"] for x in (predicted, known))
    assert report["matrix_mae"] < 0.5 * alone["matrix_mae"]
    assert report["level_mae_occupied"] < 0.8 * alone["level_mae_occupied"]
    assert report["subspace_overlap"] > 0.999 and report["intruder_rate"] == 0
