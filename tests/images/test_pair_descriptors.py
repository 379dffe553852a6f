"""Descriptors of a pair from its elements alone."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from qcanvas_sklearn.datasets import load_pairs
from qcanvas_sklearn.elements import element_properties, property_values
from qcanvas_sklearn.images import PairDescriptorTransformer

PAIRS = np.array([["Ag", "Al"], ["H", "O"], ["Fe", "Fe"], ["Lr", "Xe"]])


def test_values_are_symmetric_functions_of_the_elements():
    out = PairDescriptorTransformer(["covalent_radius_ang", "z"]).fit_transform(PAIRS)
    radius = property_values("covalent_radius_ang")
    a, b = radius[47], radius[13]
    assert_array_equal(
        out[0],
        [a + b, a - b, a * b, min(a, b), max(a, b), 60, 34, 47 * 13, 13, 47],
    )


def test_columns_are_named_after_operation_and_property():
    transformer = PairDescriptorTransformer(["z", "mass_u"], ["max", "sum"]).fit(PAIRS)
    expected = ["max_z", "sum_z", "max_mass_u", "sum_mass_u"]
    assert transformer.get_feature_names_out().tolist() == expected


def test_by_default_all_properties_without_gaps():
    transformer = PairDescriptorTransformer().fit(PAIRS)
    assert "electronegativity_pauling" not in transformer.properties_
    assert set(transformer.properties_) == set(element_properties()) - {
        "electronegativity_pauling"
    }
    out = transformer.transform(PAIRS)
    assert out.shape == (4, 5 * len(transformer.properties_)) and np.isfinite(out).all()


def test_gaps_are_nan_when_asked_for():
    out = PairDescriptorTransformer(["electronegativity_pauling"]).fit_transform(
        [["He", "H"], ["H", "O"]]
    )
    assert np.isnan(out[0]).all() and np.isfinite(out[1]).all()


def test_the_order_of_the_atoms_does_not_matter():
    transformer = PairDescriptorTransformer().fit(PAIRS)
    assert_array_equal(transformer.transform(PAIRS), transformer.transform(PAIRS[:, ::-1]))


def test_bond_lengths_are_allowed_and_not_used():
    with_lengths = np.column_stack([PAIRS.astype(object), [1.0, 2.0, 3.0, 4.0]])
    assert_array_equal(
        PairDescriptorTransformer().fit_transform(with_lengths),
        PairDescriptorTransformer().fit_transform(PAIRS),
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"properties": ["radius"]}, {"properties": "z"}, {"properties": []},
        {"properties": ["z", "z"]}, {"operations": ["mean"]}, {"operations": None},
        {"operations": ()},
    ],
)  # fmt: skip
def test_parameters_are_checked_in_fit(parameters):
    name = next(iter(parameters))
    with pytest.raises(ValueError, match=f"{name} must be"):
        PairDescriptorTransformer(**parameters).fit(PAIRS)


def test_input_is_checked():
    transformer = PairDescriptorTransformer()
    with pytest.raises(NotFittedError):
        transformer.transform(PAIRS)
    with pytest.raises(ValueError, match="row 1: unknown element symbol 'Xx'"):
        transformer.fit([["H", "H"], ["Xx", "H"]])
    with pytest.raises(ValueError, match="expecting 2 features"):
        transformer.fit(PAIRS).transform([["H", "H", 0.7]])


def test_set_output_and_persistence():
    frame = pd.DataFrame(PAIRS, columns=["element_1", "element_2"], index=list("wxyz"))
    transformer = PairDescriptorTransformer().set_output(transform="pandas")
    out = transformer.fit_transform(frame)
    assert list(out.index) == list("wxyz")
    assert list(out.columns) == list(transformer.get_feature_names_out())
    again = pickle.loads(pickle.dumps(transformer))
    pd.testing.assert_frame_equal(again.transform(frame), out)
    assert clone(transformer).get_params() == transformer.get_params()


def test_pipeline_learns_bond_lengths():
    X, y = load_pairs(target="distance_ang", return_X_y=True)
    model = make_pipeline(
        PairDescriptorTransformer(["covalent_radius_ang"], ["sum", "absdiff"]), Ridge()
    )
    assert model.fit(X[::2], y[::2]).score(X[1::2], y[1::2]) > 0.3
