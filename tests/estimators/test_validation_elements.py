"""Validation rows of elements that no training row has: refused by name, unless allowed."""

import warnings

import numpy as np
import pytest
from _models import CLASSIFIERS, MODELS
from sklearn.base import clone

from qcanvas_sklearn import (
    HamiltonianRegressor,
    QCanvasRegressor,
    SchNetRegressor,
    TightBindingRegressor,
    load_molecules,
    load_pairs,
)
from qcanvas_sklearn.hamiltonians import TwoCentreTables
from qcanvas_sklearn.structures import Molecules

SHORT = {"max_epochs": 1, "random_state": 0}
BINDING = TightBindingRegressor(n_members=2, **SHORT)
ON_PAIRS = {
    **MODELS, "tight_binding": BINDING,
    "qcanvas_on_states": QCanvasRegressor(tight_binding=BINDING, n_members=2, **SHORT),
}  # fmt: skip


@pytest.fixture(scope="module")
def pairs():
    """Pairs of four elements to learn from, and of one more to validate on."""
    X, y = load_pairs(target="e_g_ev", return_X_y=True)
    known = X.isin(["C", "N", "O", "Si"]).all(axis=1)
    new = X.isin(["C", "Ag"]).all(axis=1) & X.isin(["Ag"]).any(axis=1)
    return X[known], y[known], X[new], y[new]


def refused(model, X, y, X_val, y_val, named):
    with pytest.raises(ValueError, match=rf"elements \['{named}'\] of X_val were not among"):
        model.fit(X, y, X_val=X_val, y_val=y_val)
    assert not hasattr(model, "net_") and not hasattr(model, "elements_")


@pytest.mark.parametrize("name", ON_PAIRS)
def test_elements_of_validation_pairs_have_to_be_seen(name, pairs):
    refused(clone(ON_PAIRS[name]), *pairs, "Ag")


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_elements_that_classifiers_validate_on_have_to_be_seen(name, pairs):
    X, y, X_val, y_val = pairs
    refused(clone(CLASSIFIERS[name]), X, y > y.median(), X_val, y_val > y.median(), "Ag")


def test_elements_are_allowed_or_known_from_before(pairs):
    X, y, X_val, y_val = pairs
    model = clone(MODELS["pair_mlp"]).set_params(unseen_elements="allow", **SHORT)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.history_["valid_loss"].notna().all()
    assert model.elements_ == ["C", "N", "O", "Si"]
    model.set_params(unseen_elements="error", warm_start=True).fit(X_val, y_val)
    assert model.elements_ == ["Ag", "C", "N", "O", "Si"]
    model.fit(X, y, X_val=X_val, y_val=y_val)  # silver was seen in the fit before


def test_tight_binding_warns_of_elements_behind_its_first_rows(pairs):
    X, y, X_new, y_new = pairs
    model = clone(ON_PAIRS["qcanvas_on_states"]).partial_fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(X, y)
    with pytest.warns(UserWarning, match=r"elements \['Ag'\] were not among the rows of"):
        model.partial_fit(X_new, y_new)
    assert "Ag" in model.elements_ and "Ag" not in model.tight_binding_.elements_


def test_rows_that_teach_nothing_show_no_elements(pairs):
    X, y, X_val, y_val = pairs
    unlabelled = np.r_[y, np.full(len(y_val), np.nan)]
    both = np.r_[X.to_numpy(), X_val.to_numpy()]
    refused(clone(MODELS["pair_mlp"]), both, unlabelled, X_val.to_numpy(), y_val, "Ag")


def test_elements_of_validation_molecules_have_to_be_seen():
    data = load_molecules()
    y = data.target["total_energy_ev"].to_numpy()
    has = data.data.composition[:, -1] > 0
    learn, valid = np.flatnonzero(~has)[:20], np.flatnonzero(has)[:4]
    model = SchNetRegressor(n_hidden=8, n_layers=1, **SHORT)
    rows = data.data[learn], y[learn], data.data[valid], y[valid]
    refused(model, *rows, "F")
    model.set_params(unseen_elements="allow")
    assert model.fit(*rows[:2], X_val=rows[2], y_val=rows[3]).history_.notna().all(axis=None)


def test_elements_of_validation_hamiltonians_have_to_be_seen():
    X = Molecules.from_lists(
        [["O", "H", "H"]] * 3 + [["O", "H", "F"]],
        [[[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48 - 0.01 * k]] for k in range(3)]
        + [[[0, 0, 0.1], [0, 0.9, -0.4], [0, -1.4, -0.3]]],
    )
    y = TwoCentreTables.load().self_consistent(X)
    model = HamiltonianRegressor(
        n_hidden=8, n_layers=1, n_heads=2, n_radial=4, n_channels=2, **SHORT
    )
    refused(model, X[:3], y[:3], X[3:], y[3:], "F")
