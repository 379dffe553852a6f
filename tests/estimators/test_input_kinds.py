"""What X is: pairs, columns of pairs wherever they stand in a table, or a plain table."""

import warnings

import numpy as np
import pandas as pd
import pytest
from _models import MODELS
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import VarianceThreshold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from qcanvas_sklearn import (
    ElementPairKFold,
    PairDescriptorTransformer,
    PairImageTransformer,
    PairMLPRegressor,
)
from qcanvas_sklearn.hamiltonians import Basis, Hamiltonians
from qcanvas_sklearn.images import PairLayout
from qcanvas_sklearn.inputs import PairReader, TableReader
from qcanvas_sklearn.inputs._base import InputSpec
from qcanvas_sklearn.inputs.hamiltonians import HamiltonianReader, Structures
from qcanvas_sklearn.structures import Molecules

TINY = {"n_hidden": 16, "n_blocks": 1, "max_epochs": 2, "random_state": 0}


@pytest.fixture(params=MODELS)
def model(request):
    return clone(MODELS[request.param]).set_params(max_epochs=1)


@pytest.fixture
def y(few_pairs):
    return few_pairs[1]["total_energy_ev"].to_numpy()


@pytest.fixture
def frame(few_pairs):
    transformer = PairImageTransformer(image_size=8).set_output(transform="pandas")
    return transformer.fit_transform(few_pairs[0])


def permuted(frame):
    return frame.iloc[:, np.random.default_rng(0).permutation(frame.shape[1])]


ARRANGEMENTS = {
    "as drawn": lambda frame: frame,
    "permuted": permuted,
    "prefixed": lambda frame: frame.add_prefix("img__"),
    "twice prefixed": lambda frame: frame.add_prefix("union__img__"),
    "permuted and prefixed": lambda frame: permuted(frame).add_prefix("img__"),
}


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_columns_of_pairs_are_found_by_their_names(model, frame, y, name):
    table = ARRANGEMENTS[name](frame)
    expected = clone(model).fit(frame, y).predict(frame)
    found = model.fit(table, y).predict(table)
    assert isinstance(model.reader_, PairReader)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert model.elements_ == clone(model).fit(frame, y).elements_


def test_further_columns_are_scalars_of_the_pair(model, frame, y):
    """They can be learned from: the target is one of them."""
    more = frame.assign(temperature=np.linspace(0, 1, 150), T2=np.linspace(5, 1, 150) ** 2)
    n_before = clone(model).fit(frame, y).reader_.fit(model, frame).arrays["pair"].shape[1]
    model.fit(more, y)
    assert model.reader_.read(model, more).arrays["pair"].shape[1] == n_before + 2
    learner = PairMLPRegressor(n_hidden=32, max_epochs=30, random_state=0)
    assert learner.fit(more, more["temperature"]).score(more, more["temperature"]) > 0.95


WITHOUT_NAMES = {
    "union": lambda t: FeatureUnion([("d", PairDescriptorTransformer()), ("img", t)]),
    "columns": lambda t: ColumnTransformer(
        [("img", t, ["element_1", "element_2"])], remainder="passthrough"
    ),
    "function": lambda t: make_pipeline(t, FunctionTransformer()),
}


@pytest.mark.parametrize("name", WITHOUT_NAMES)
@pytest.mark.parametrize("output", ["default", "pandas"])
def test_composed_steps_pass_the_layout_on(few_pairs, y, name, output):
    X = few_pairs[0].copy()
    if name == "columns":
        X["T"] = 1.0
    step = WITHOUT_NAMES[name](PairImageTransformer(image_size=8))
    pipe = make_pipeline(step.set_output(transform=output), PairMLPRegressor(**TINY))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        pipe.fit(X, y)
    reader = pipe[-1].reader_
    assert isinstance(reader, PairReader) and reader.layout_.image_size == 8
    assert len(pipe[-1].elements_) > 50
    with pytest.raises(ValueError, match="not among the training rows"):
        clone(pipe).fit(X[:20], y[:20]).predict(X)


@pytest.mark.parametrize("step", [StandardScaler(), VarianceThreshold(1e-12)])
def test_a_step_that_loses_the_layout_is_not_passed_over_in_silence(model, few_pairs, y, step):
    pipe = make_pipeline(PairImageTransformer(image_size=8), step, model)
    with pytest.warns(UserWarning, match=r'plain table.*set_output\(transform="pandas"\)'):
        pipe.fit(few_pairs[0], y)
    assert isinstance(model.reader_, TableReader)


def test_scaled_elements_are_no_elements(model, few_pairs, y):
    pipe = make_pipeline(PairImageTransformer(image_size=8), StandardScaler(), model)
    with pytest.raises(ValueError, match="not an atomic number .* was the column scaled"):
        pipe.set_output(transform="pandas").fit(few_pairs[0], y)


def test_a_part_of_a_block_is_refused(model, few_pairs, frame, y):
    pipe = make_pipeline(PairImageTransformer(image_size=8), VarianceThreshold(1e-12), model)
    with pytest.raises(ValueError, match="has a part of the columns of a pair"):
        pipe.set_output(transform="pandas").fit(few_pairs[0], y)
    with pytest.raises(ValueError, match=r"not \['z_b'\]"):
        model.fit(frame.drop(columns="z_b"), y)


def test_integers_are_not_taken_for_atoms(model, regression_table):
    """A plain table of two integers, a length and two numbers looks like atom columns."""
    rng = np.random.default_rng(0)
    X = np.column_stack([np.sort(rng.integers(1, 90, (60, 2))), rng.uniform(1, 3, (60, 3))])
    model.fit(X, regression_table[1])
    assert isinstance(model.reader_, TableReader) and model.elements_ == []
    model.predict(X + 0.5)


def test_an_array_is_labelled_by_its_user(few_images, y):
    layout = PairLayout.infer(few_images)
    plain = np.asarray(few_images)
    model = PairMLPRegressor(**TINY)
    expected = clone(model).fit(few_images, y).predict(few_images)
    assert np.array_equal(model.fit(layout.label(plain), y).predict(plain), expected)


def test_another_layout_of_the_same_width_is_refused(few_pairs, y):
    def drawn(channels):
        return PairImageTransformer(image_size=8, channels=channels).fit_transform(few_pairs[0])

    model = PairMLPRegressor(**TINY).fit(drawn([0, 2]), y)
    with pytest.raises(ValueError, match="was fitted on those of"):
        model.predict(drawn([0, 3]))


# Atomic numbers -------------------------------------------------------------------------------


@pytest.fixture
def numbers(few_images):
    return np.asarray(few_images)[:, :2].astype(int)


def test_atomic_numbers_in_named_columns_are_pairs(model, few_pairs, numbers, y):
    named = pd.DataFrame(numbers, columns=["element_1", "element_2"])
    expected = clone(model).fit(few_pairs[0], y).predict(few_pairs[0])
    assert np.array_equal(model.fit(named, y).predict(named), expected)
    assert np.array_equal(model.predict(few_pairs[0]), expected)


def test_unnamed_atomic_numbers_are_asked_about(model, numbers, y):
    with pytest.warns(UserWarning, match="not for atomic numbers; pass element symbols"):
        model.fit(numbers, y)
    assert isinstance(model.reader_, TableReader)


def test_a_model_of_pairs_refuses_what_is_none(few_pairs, numbers, few_images, y):
    model = PairMLPRegressor(**TINY).fit(few_pairs[0], y)
    for X in (few_images, np.ones((3, 2)), np.ones((3, 4))):
        with pytest.raises(ValueError, match="was fitted on element pairs"):
            model.predict(X)
    with pytest.raises(ValueError, match="was fitted on a numeric table"):
        PairMLPRegressor(**TINY).fit(few_images, y).predict(few_pairs[0])


def test_splitters_read_pairs_wherever_they_stand(few_pairs, frame, few_images, numbers):
    expected = [test.tolist() for _, test in ElementPairKFold(3).split(few_pairs[0])]
    for X in (frame, permuted(frame).add_prefix("img__"), few_images,
              np.hstack([np.ones((150, 2)), few_images])):  # fmt: skip
        assert [test.tolist() for _, test in ElementPairKFold(3).split(X)] == expected
    with pytest.raises(ValueError, match="plain table"):
        next(ElementPairKFold(3).split(np.asarray(few_images)))


@pytest.mark.parametrize(
    "elements, n_electrons, other, n_other",
    [
        (["C", "H", "H", "H", "I"], 34, ["I", "I"], 50),
        (["Ti", "O", "O"], 28, ["Ti", "O"], 20),
        (["I", "Ti", "I"], 62, ["Ti", "I", "I"], 62),  # the core of neither can be told
    ],
)
def test_electrons_of_a_core_are_counted_from_molecules_of_one_formula(
    elements, n_electrons, other, n_other
):
    basis = Basis({
        "H": (0, 0, 1), "C": (0, 0, 0, 1, 1, 2), "O": (0, 0, 0, 1, 1, 2),
        "Ti": (0, 0, 0, 1, 1, 2, 2), "I": (0, 0, 0, 1, 1, 1, 2, 2),
    })  # fmt: skip
    molecules, others = (
        Molecules.from_lists([names], [2.0 * np.arange(len(names))[:, None] * [1, 0, 0]])
        for names in (elements, other)
    )
    ones = np.eye(len(basis.orbitals(molecules.z)))
    labels = Hamiltonians.from_matrices(
        molecules, [ones], [ones], basis=basis, n_electrons=[n_electrons]
    )
    reader = HamiltonianReader(InputSpec(("z",), cutoff=5.0), labels, None, None)
    for record, expected in ((molecules, n_electrons), (others, n_other)):
        read = reader.read(None, Structures(record)).features
        assert read.n_electrons.tolist() == [expected]


def test_columns_that_an_array_carries_are_found_wherever_they_are(few_images, y):
    """Not where they were in the table of the fit."""
    more = np.linspace(-1, 1, len(y))[:, np.newaxis]
    model = PairMLPRegressor(**TINY).fit(np.hstack([few_images, more]), y)
    before = model.predict(np.hstack([few_images, more]))
    assert np.array_equal(model.predict(np.hstack([more, few_images])), before)
