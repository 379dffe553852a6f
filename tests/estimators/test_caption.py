"""What a notebook shows of a fitted model."""

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone

from qcanvas_sklearn import CompositionRegressor, PairMLPClassifier, PairMLPRegressor

TINY = {"n_hidden": 16, "n_blocks": 1, "max_epochs": 1, "random_state": 0}


def caption(model):
    """The paragraph above the diagram; None where there is none."""
    told = set()
    for html in (model._repr_mimebundle_()["text/html"], model._repr_html_()):
        assert 'class="sk-top-container' in html
        told.add(html[3 : html.index("</p>")] if html.startswith("<p>") else None)
    (only,) = told
    return only


@pytest.fixture(scope="module")
def fitted(few_images, few_pairs):
    y = few_pairs[1][["e_g_ev", "softness_evinv", "dipole_mag_d"]]
    return PairMLPRegressor(**TINY).fit(few_images, y)


def test_targets_and_units_are_named(fitted, few_images):
    n = len(fitted.elements_)
    assert caption(fitted) == (
        "PairMLPRegressor has learned 3 targets: HOMO-LUMO gap e_g_ev (eV), "
        f"softness softness_evinv (1/eV), dipole moment dipole_mag_d (D), of {n} elements."
    )
    energy = pd.Series(np.arange(150.0), name="total_energy_ev")
    pairs = [["H", "H"]] * 150
    assert caption(CompositionRegressor().fit(pairs, energy)) == (
        "CompositionRegressor has learned total energy total_energy_ev (eV), of 1 element."
    )


def test_classes_are_named(few_images):
    X = few_images[:30]
    kinds = pd.Series(["<a>", "b"] * 15, name="kind")
    model = PairMLPClassifier(**TINY).fit(X, kinds)
    n = len(model.elements_)
    assert caption(model) == (
        f"PairMLPClassifier has learned kind, classes: &lt;a&gt;, b, of {n} elements."
    )


def test_who_was_told_nothing_has_no_caption(fitted, regression_table):
    assert caption(clone(fitted)) is None
    assert caption(PairMLPRegressor(**TINY).fit(*regression_table)) is None


def test_text_stays_text(fitted):
    with config_context(display="text"):
        assert list(fitted._repr_mimebundle_()) == ["text/plain"]
        assert not hasattr(fitted, "_repr_html_")
