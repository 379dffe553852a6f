"""Standard deviations of the Hamiltonians that ensembles predict."""

import numpy as np
import pytest

from qcanvas_sklearn import HamiltonianRegressor, load_molecules
from qcanvas_sklearn.hamiltonians import TwoCentreTables

SMALL = {
    "n_hidden": 16, "n_layers": 1, "n_heads": 2, "n_radial": 8, "n_channels": 4,
    "max_epochs": 2, "batch_size": 4, "random_state": 0, "n_members": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def molecules():
    return load_molecules().data[::7]


@pytest.fixture(scope="module")
def labels(molecules):
    return TwoCentreTables.load().self_consistent(molecules)


def regressor(**options):
    return HamiltonianRegressor("two-centre", **{**SMALL, **options})


def test_deviations_cover_the_errors_of_molecules_that_were_not_seen(molecules, labels):
    learn = np.arange(len(molecules)) % 2 == 0
    model = regressor(validation_fraction=0.3).fit(molecules[learn], labels[learn])
    found, std = model.predict(molecules[~learn], return_std=True)
    inside = np.abs(found.values - labels[~learn].values) < 1.645 * std
    assert inside.mean() == pytest.approx(0.9, abs=0.04)
    on_site = np.unique(
        np.concatenate([b.index.ravel() for b in found.blocks.on_site.values()])
    )
    assert inside[on_site].mean() == pytest.approx(0.9, abs=0.06)
    for name in ("on_site", "off_site"):
        scale = model.calibration_.scale[name]
        np.testing.assert_array_equal(scale, scale.T)
        assert (scale > 1).all()  # members are closer to each other than to the truth


def test_ensembles_learn_by_portions(molecules, labels):
    model = regressor(validation_fraction=0.3)
    for part in (slice(0, 12), slice(12, 24)):
        model.partial_fit(molecules[part], labels[part])
    _, std = model.predict(molecules[:2], return_std=True)
    assert (std > 0).all()


def test_nothing_to_calibrate_on_is_said(molecules, labels):
    with pytest.warns(UserWarning, match="no row is set aside .* they are NaN"):
        model = regressor().partial_fit(molecules[:2], labels[:2])
    _, std = model.predict(molecules[:2], return_std=True)
    assert np.isnan(std).all()
