"""Descriptors of molecules, and kernels between them, in front of any estimator."""

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from qcanvas_sklearn import (
    CompositionRegressor,
    MoleculeDescriptorTransformer,
    MoleculeKernelTransformer,
    Molecules,
    load_molecules,
    load_pairs,
)
from qcanvas_sklearn.descriptors import atom_vectors, coulomb_spectra, local_kernel
from qcanvas_sklearn.descriptors._kernel import Environments

BOHR = 0.529177210903
LIBRARY = {"soap": "dscribe", "fchl19": "qmllib", "coulomb": "numpy"}
SMALL = {"soap": {"n_max": 3, "l_max": 2}, "fchl19": {"nRs2": 6, "nRs3": 4}}

# The others make their own X, a table of numbers.
CHECKS_WITHOUT_DATA = (
    "check_estimator_cloneable", "check_estimator_repr", "check_estimator_tags_renamed",
    "check_no_attributes_set_in_init", "check_parameters_default_constructible",
    "check_valid_tag_types",
)  # fmt: skip
DESCRIPTORS = [
    ("coulomb", {}), ("soap", {"options": SMALL["soap"]}),
    ("soap", {"pooling": "sum", "options": SMALL["soap"]}),
    ("fchl19", {"options": SMALL["fchl19"]}), ("fchl19", {"pooling": "sum"}),
]  # fmt: skip
KERNELS = [
    ("fchl19", {"options": SMALL["fchl19"]}), ("fchl19", {"pooling": "mean"}),
    ("soap", {"options": SMALL["soap"]}),
]  # fmt: skip


def make(cls, kind, parameters):
    pytest.importorskip(LIBRARY[kind])
    return cls(kind, **parameters)


@pytest.fixture(
    params=[(MoleculeDescriptorTransformer, *case) for case in DESCRIPTORS]
    + [(MoleculeKernelTransformer, *case) for case in KERNELS],
    ids=lambda case: f"{case[0].__name__[8:14]}-{case[1]}-{case[2].get('pooling', '')}",
)
def transformer(request):
    """Every kind of either transformer."""
    return make(*request.param)


@pytest.fixture(scope="module")
def molecules():
    return load_molecules().data[::20]


def moved(molecules, rotation, shift=(0.0, 0.0, 0.0)):
    return replace(molecules, positions=molecules.positions @ np.transpose(rotation) + shift)


def crystal():
    cell = 4.0 * np.eye(3)[None]
    return Molecules(
        np.array([11, 17]), np.array([[0.0, 0, 0], [2.0, 2.0, 2.0]]), np.array([0, 2]),
        cell=cell, pbc=np.ones((1, 3), bool),
    )  # fmt: skip


# --------------------------------------------------------------------- values


def test_coulomb_matrix_of_hydrogen():
    distance = 0.74
    record = Molecules.from_lists([["H", "H"]], [[[0, 0, 0], [0, distance, 0]]])
    beside = BOHR / distance
    assert_allclose(coulomb_spectra(record), [[0.5 + beside, 0.5 - beside]], rtol=1e-14)


def test_coulomb_matrix_of_water():
    """The symmetric and the antisymmetric combination of the hydrogens, by hand."""
    water = [[0, 0, 0.119], [0, 0.763, -0.477], [0, -0.763, -0.477]]
    record = Molecules.from_lists([["O", "H", "H"]], [water])
    oh = 8 * BOHR / np.hypot(0.763, 0.596)
    hh = BOHR / 1.526
    a, d = 0.5 * 8**2.4, 0.5 + hh
    middle, half = (a + d) / 2, np.sqrt((a - d) ** 2 / 4 + 2 * oh**2)
    expected = sorted([middle + half, middle - half, 0.5 - hh], key=abs, reverse=True)
    found = coulomb_spectra(record, n_atoms=5)
    assert_allclose(found, [[*expected, 0, 0]], rtol=1e-12)


def test_the_local_kernel_is_the_sum_over_like_atoms(molecules):
    rng = np.random.default_rng(0)
    left, right = (
        Environments(rng.normal(size=(len(m.z), 4)), m.z, m.ptr)
        for m in (molecules[:5], molecules[3:12])
    )
    expected = np.zeros((5, 9))
    for i in range(5):
        for j in range(9):
            for a in range(*left.ptr[i : i + 2]):
                for b in range(*right.ptr[j : j + 2]):
                    if left.z[a] == right.z[b]:
                        square = ((left.vectors[a] - right.vectors[b]) ** 2).sum()
                        expected[i, j] += np.exp(-square / (2 * 1.5**2))
    assert_allclose(local_kernel(left, right, 1.5), expected, rtol=1e-12)


@pytest.mark.parametrize("block", [1, 300, 10_000])
def test_blocks_of_the_kernel_change_nothing(molecules, monkeypatch, block):
    rng = np.random.default_rng(0)
    some = Environments(rng.normal(size=(len(molecules.z), 4)), molecules.z, molecules.ptr)
    expected = local_kernel(some, some, 1.0)
    monkeypatch.setattr("qcanvas_sklearn.descriptors._kernel._BLOCK", block)
    assert_allclose(local_kernel(some, some, 1.0), expected, rtol=1e-12)


def test_the_kernel_is_that_of_qmllib(molecules):
    qmllib = pytest.importorskip("qmllib.kernels")
    representations = pytest.importorskip("qmllib.representations")
    elements = molecules.elements.tolist()
    padded, numbers = [], []
    for i in range(len(molecules)):
        one = molecules[i]
        padded.append(representations.generate_fchl19(
            one.z.astype(np.int32), one.positions, elements=elements, pad=23
        ))  # fmt: skip
        numbers.append(one.z.tolist())
    model = MoleculeKernelTransformer(length_scale=1.3)
    found = model.fit_transform(molecules)
    stacked = np.array(padded)
    expected = qmllib.get_local_kernel(
        stacked, stacked, numbers, numbers, model.length_scale_
    )
    assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("kind", ["soap", "fchl19"])
def test_pooling_is_over_the_atoms(kind, molecules):
    pytest.importorskip(LIBRARY[kind])
    vectors = atom_vectors(kind, molecules, options=SMALL[kind])
    total, mean = (
        MoleculeDescriptorTransformer(kind, pooling=p, options=SMALL[kind]).fit_transform(
            molecules
        )
        for p in ("sum", "mean")
    )
    assert_allclose(total, mean * molecules.n_atoms[:, None], rtol=1e-12)
    if kind == "soap":
        assert_allclose(total[3], vectors[molecules.rows == 3].sum(axis=0), rtol=1e-12)
    else:
        blocks = total.reshape(len(molecules), len(molecules.elements), -1)
        for k, z in enumerate(molecules.elements):
            atoms = (molecules.rows == 3) & (molecules.z == z)
            assert_allclose(blocks[3, k], vectors[atoms].sum(axis=0), atol=1e-12)


# ----------------------------------------------------------------- symmetries


def test_moving_and_turning_changes_nothing(transformer, molecules):
    expected = transformer.fit(molecules).transform(molecules)
    rng = np.random.default_rng(1)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    size = np.abs(expected).max()
    for turn in (rotation, -rotation):
        found = transformer.transform(moved(molecules, turn, [3.0, -20.0, 7.0]))
        assert_allclose(found, expected, atol=1e-10 * size)


def test_the_order_of_the_atoms_changes_nothing(transformer, molecules):
    expected = transformer.fit(molecules).transform(molecules)
    rng = np.random.default_rng(2)
    shuffled = []
    for i in range(len(molecules)):
        order = rng.permutation(molecules.n_atoms[i])
        shuffled.append((molecules[i].z[order], molecules[i].positions[order]))
    record = Molecules.from_lists(*zip(*shuffled, strict=True))
    size = np.abs(expected).max()
    assert_allclose(transformer.transform(record), expected, atol=1e-10 * size)


def test_geometry_changes_something(transformer, molecules):
    expected = transformer.fit(molecules).transform(molecules)
    stretched = moved(molecules, 1.02 * np.eye(3))
    change = np.abs(transformer.transform(stretched) - expected).max(axis=1)
    assert (change > 1e-4 * np.abs(expected).max(axis=1)).all()


def test_a_molecule_is_the_same_alone_and_among_others(transformer, molecules):
    together = transformer.fit(molecules).transform(molecules)
    alone = np.concatenate([transformer.transform(molecules[[i]]) for i in range(30)])
    assert_allclose(alone, together, rtol=1e-11, atol=1e-12 * np.abs(together).max())
    assert together.dtype == np.float64 and np.isfinite(together).all()


def test_fit_transform_is_fit_and_transform(transformer, molecules):
    at_once = transformer.fit_transform(molecules)
    assert_allclose(transformer.transform(molecules), at_once, rtol=1e-12)


@pytest.mark.parametrize("kind, parameters", KERNELS)
def test_kernels_are_symmetric_and_positive(kind, parameters, molecules):
    kernel = make(MoleculeKernelTransformer, kind, parameters).fit_transform(molecules)
    assert_allclose(kernel, kernel.T, rtol=1e-12)
    assert np.linalg.eigvalsh(kernel)[0] > -1e-10 * len(kernel)


# --------------------------------------------------------------- what has room


def test_unseen_elements_are_refused(transformer, molecules):
    has_fluorine = molecules.composition[:, -1] > 0
    assert 0 < has_fluorine.sum() < len(molecules)
    transformer.fit(molecules[~has_fluorine])
    with pytest.raises(ValueError, match=r"elements \['F'\] were not among .* elements="):
        transformer.transform(molecules)
    roomy = clone(transformer).set_params(elements=["C", "H", "F", "O", "N"])
    roomy.fit(molecules[~has_fluorine])
    assert roomy.elements_ == ["H", "C", "N", "O", "F"]
    assert np.isfinite(roomy.transform(molecules)).all()
    with pytest.raises(ValueError, match=r"elements \['N', 'O', 'F'\]"):
        clone(transformer).set_params(elements=["C", "H"]).fit(molecules)


def test_larger_molecules_are_refused_where_size_matters(molecules):
    order = np.argsort(molecules.n_atoms, kind="stable")
    small, large = molecules[order[:20]], molecules[order[-1:]]
    fitted = MoleculeDescriptorTransformer().fit(small)
    assert fitted.n_atoms_ == small.n_atoms.max()
    with pytest.raises(ValueError, match=r"structure 0 \(.+\) has \d+ atoms.* set n_atoms"):
        fitted.transform(large)
    roomy = MoleculeDescriptorTransformer(n_atoms=40).fit(small)
    assert roomy.transform(large).shape == (1, 40)
    assert_array_equal(roomy.transform(small)[:, : fitted.n_atoms_], fitted.transform(small))
    with pytest.raises(ValueError, match="there is room for 3"):
        MoleculeDescriptorTransformer(n_atoms=3).fit(small)


@pytest.mark.parametrize("cls", [MoleculeDescriptorTransformer, MoleculeKernelTransformer])
def test_crystals_are_of_soap_alone(cls):
    pytest.importorskip("dscribe")
    pytest.importorskip("qmllib")
    record = crystal()
    for kind in ("coulomb", "fchl19"):
        if (cls, kind) != (MoleculeKernelTransformer, "coulomb"):
            with pytest.raises(ValueError, match=r"structure 0 \(ClNa\) is periodic"):
                cls(kind).fit(record)
    twice = Molecules(
        np.tile(record.z, 2), np.concatenate([record.positions, record.positions + [4, 0, 0]]),
        np.array([0, 4]), cell=record.cell * [[[2], [1], [1]]], pbc=record.pbc,
    )  # fmt: skip
    model = cls("soap", pooling="mean", options=SMALL["soap"]).fit(record)
    assert_allclose(model.transform(twice), model.transform(record), rtol=1e-8, atol=1e-12)
    free = Molecules(record.z, record.positions, record.ptr)
    assert np.abs(model.transform(free) - model.transform(record)).max() > 1e-3


# ------------------------------------------------------------------ parameters


@pytest.mark.parametrize(
    "parameters, match",
    [
        ({"kind": "cm"}, "kind='cm' is not one of"), ({"pooling": "max"}, "pooling='max'"),
        ({"n_atoms": 0}, "n_atoms"), ({"elements": "C"}, "elements='C' is not a sequence"),
        ({"elements": ["C", "Xx"]}, "no symbol"), ({"elements": []}, "no symbol"),
        ({"cutoff": 3.0}, "cutoff=3.0 says nothing of kind='coulomb'"),
        ({"options": {"n_max": 3}}, "options=.* says nothing"),
        ({"kind": "soap", "n_atoms": 5}, "n_atoms=5 says nothing of kind='soap'"),
        ({"kind": "soap", "cutoff": -1.0}, "cutoff=-1.0 is not a positive length"),
        ({"kind": "soap", "cutoff": "5"}, "cutoff='5'"),
        ({"kind": "soap", "options": {"nmax": 3}}, "'n_max'"),
        ({"kind": "soap", "options": {"species": ["H"]}}, "is not a mapping with keys"),
        ({"kind": "fchl19", "options": ["eta2"]}, "is not a mapping with keys"),
    ],
)  # fmt: skip
def test_parameters_of_the_descriptor_are_checked(parameters, match, molecules):
    pytest.importorskip(LIBRARY.get(parameters.get("kind"), "numpy"))
    with pytest.raises(ValueError, match=match):
        MoleculeDescriptorTransformer(**parameters).fit(molecules)


@pytest.mark.parametrize(
    "parameters, match",
    [
        ({"kind": "coulomb"}, "kind='coulomb' is not one of"), ({"pooling": 1}, "pooling=1"),
        ({"length_scale": 0.0}, "length_scale"), ({"length_scale": np.nan}, "length_scale"),
        ({"length_scale": np.inf}, "length_scale"), ({"elements": 6}, "elements=6"),
        ({"cutoff": np.inf}, "cutoff=inf"), ({"options": {"rcut": 3}}, "options="),
    ],
)  # fmt: skip
def test_parameters_of_the_kernel_are_checked(parameters, match, molecules):
    pytest.importorskip("qmllib")
    with pytest.raises(ValueError, match=match):
        MoleculeKernelTransformer(**parameters).fit(molecules)


@pytest.mark.parametrize("kind", ["soap", "fchl19"])
@pytest.mark.parametrize("cls", [MoleculeDescriptorTransformer, MoleculeKernelTransformer])
def test_an_absent_library_is_named(cls, kind, molecules, monkeypatch):
    module = {"soap": "dscribe.descriptors", "fchl19": "qmllib.representations"}[kind]
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"needs {LIBRARY[kind]}.*\[descriptors\]"):
        cls(kind).fit(molecules)


def test_input_is_checked(transformer, molecules):
    with pytest.raises(NotFittedError):
        transformer.transform(molecules)
    with pytest.raises(TypeError, match="element pairs, which have no positions"):
        transformer.fit([["H", "F"]])
    with pytest.raises(TypeError, match="holds no molecules"):
        transformer.fit(np.ones((3, 4)))
    with pytest.raises(ValueError, match="0 sample"):
        transformer.fit(molecules[:0])


# ------------------------------------------------------------ with scikit-learn


@pytest.mark.parametrize("check", CHECKS_WITHOUT_DATA)
@pytest.mark.parametrize("cls", [MoleculeDescriptorTransformer, MoleculeKernelTransformer])
def test_scikit_learn_check(cls, check):
    getattr(estimator_checks, check)(cls.__name__, cls())


def test_fit_keeps_parameters_and_transform_keeps_the_model(transformer, molecules):
    parameters = dict(vars(transformer))
    assert transformer.fit(molecules) is transformer
    assert {name: vars(transformer)[name] for name in parameters} == parameters
    before, expected = joblib.hash(vars(transformer)), transformer.transform(molecules)
    assert joblib.hash(vars(transformer)) == before
    transformer.fit(molecules[:3]).fit(molecules)  # nothing of an earlier fit is left
    assert joblib.hash(vars(transformer)) == before
    assert_array_equal(transformer.transform(molecules), expected)


def test_names_and_frames(transformer, molecules):
    out = transformer.set_output(transform="pandas").fit_transform(molecules)
    names = transformer.get_feature_names_out()
    assert isinstance(out, pd.DataFrame) and list(out.columns) == list(names)
    assert len(set(names)) == len(names) == transformer.n_features_out_
    assert all(name.startswith(transformer.kind) for name in names)
    assert transformer.transform(molecules[:2]).shape == (2, len(names))


def test_names_of_fchl19_tell_the_element(molecules):
    pytest.importorskip("qmllib")
    model = MoleculeDescriptorTransformer("fchl19", elements=["H", "C", "N", "O", "F", "S"])
    out = model.set_output(transform="pandas").fit(molecules).transform(molecules)
    assert (out.filter(regex="^fchl19_S_") == 0).all(axis=None)
    assert (out.filter(regex="^fchl19_C_").abs().sum(axis=1) > 0).sum() > 20


def test_records_lists_and_pairs_are_read(molecules):
    pytest.importorskip("ase")
    model = MoleculeDescriptorTransformer().fit(molecules)
    assert_array_equal(model.transform(molecules.to_ase()), model.transform(molecules))
    pairs = load_pairs().pairs[:10]
    out = MoleculeDescriptorTransformer().fit_transform(pairs)
    assert out.shape == (10, 2) and np.isfinite(out).all()


def test_persistence_in_another_process(molecules, tmp_path):
    available = [MoleculeDescriptorTransformer()]
    for kind in ("soap", "fchl19"):
        if find_spec(LIBRARY[kind]):
            available.append(MoleculeDescriptorTransformer(kind, options=SMALL[kind]))
            available.append(MoleculeKernelTransformer(kind, options=SMALL[kind]))
    fitted = [transformer.fit(molecules) for transformer in available]
    code = (
        "import sys, joblib; models, X = joblib.load(sys.argv[1]); "
        "joblib.dump([model.transform(X) for model in models], sys.argv[2]); "
        "assert 'torch' not in sys.modules"
    )
    paths = [str(tmp_path / "models.joblib"), str(tmp_path / "out.joblib")]
    joblib.dump((fitted, molecules[:5]), paths[0])
    subprocess.run([sys.executable, "-c", code, *paths], check=True)
    for model, found in zip(fitted, joblib.load(paths[1]), strict=True):
        assert_allclose(found, model.transform(molecules[:5]), rtol=1e-12)


def test_a_pipeline_is_cross_validated():
    X, y = load_molecules(target="e_g_ev", return_X_y=True)
    model = make_pipeline(
        MoleculeDescriptorTransformer(n_atoms=23), StandardScaler(),
        KernelRidge(kernel="laplacian", gamma=0.05, alpha=0.1),
    )  # fmt: skip
    folds = KFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(model, X, y, cv=folds, error_score="raise")
    assert (scores > 0.2).all()


def test_fchl19_and_kernel_ridge_learn_energies():
    pytest.importorskip("qmllib")
    X, y = load_molecules(target="total_energy_ev", return_X_y=True)
    kernel_ridge = make_pipeline(
        MoleculeKernelTransformer(), KernelRidge(kernel="precomputed", alpha=1e-6)
    )
    folds = KFold(2, shuffle=True, random_state=0)
    errors = [
        -cross_val_score(
            CompositionRegressor(residual=residual), X[::2], y[::2], cv=folds,
            scoring="neg_mean_absolute_error", error_score="raise",
        ).mean()
        for residual in (None, kernel_ridge)
    ]  # fmt: skip
    assert errors[1] < 0.35 * errors[0] and errors[1] < 0.25


def test_settings_of_a_pipeline_can_be_searched(molecules):
    pytest.importorskip("qmllib")
    y = molecules.labels["total_energy_ev"] / molecules.n_atoms
    pipeline = make_pipeline(
        MoleculeKernelTransformer(pooling="mean", elements=["H", "C", "N", "O", "F"]),
        KernelRidge(kernel="precomputed", alpha=1e-6),
    )
    grid = {"moleculekerneltransformer__length_scale": [1e-3, 2.0]}
    search = GridSearchCV(pipeline, grid, cv=KFold(3, shuffle=True, random_state=0))
    assert search.fit(molecules, y).best_params_ == {next(iter(grid)): 2.0}
