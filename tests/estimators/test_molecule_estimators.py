"""Graph families on molecules: as natural as on pairs, in everything that scikit-learn does."""

import subprocess
import sys
from dataclasses import replace

import ase
import joblib
import numpy as np
import pandas as pd
import pytest
from _devices import assert_same
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Freezer

import qcanvas_sklearn as q
from qcanvas_sklearn import MoleculeKFold, load_molecules, load_pairs, load_trajectory
from qcanvas_sklearn.estimators._baseline import RidgeBaseline, Slopes
from qcanvas_sklearn.structures import Molecules

FAMILIES = {
    "SchNet": {},
    "GATv2": {"n_heads": 2},
    "EGNN": {},
    "DimeNet": {"n_spherical": 3, "n_radial": 4},
    "FAENet": {},
    "GotenNet": {"n_heads": 2},
}
SMALL = {"n_hidden": 16, "n_layers": 1, "max_epochs": 3, "cutoff": 3.0, "random_state": 0}
OTHERS = ("PairMLP", "PairTransformer", "QuantumShellNet", "ViT", "Fusion", "QCanvas")
every_family = pytest.mark.parametrize("family", FAMILIES)


def regressor(family, **options):
    return getattr(q, f"{family}Regressor")(**{**SMALL, **FAMILIES[family], **options})


def classifier(family, **options):
    return getattr(q, f"{family}Classifier")(**{**SMALL, **FAMILIES[family], **options})


@pytest.fixture(scope="module")
def bundle():
    return load_molecules()


@pytest.fixture(scope="module")
def molecules(bundle):
    return bundle.data[:60]


@pytest.fixture(scope="module")
def labels(bundle):
    return bundle.target.iloc[:60]


@pytest.fixture(scope="module")
def energies(labels):
    return labels["total_energy_ev"]


@pytest.fixture(scope="module")
def run():
    return load_trajectory("ethanol")


# -------------------------------------------------------------- in scikit-learn


@every_family
def test_one_fit_predicts_whatever_make_of_molecules(family, molecules, energies):
    model = regressor(family).fit(molecules, energies)
    expected = model.predict(molecules)
    assert expected.shape == (60,) and expected.dtype == np.float64
    for other in (molecules.to_ase(), molecules.to_pyg(), list(molecules.to_ase())):
        np.testing.assert_allclose(model.predict(other), expected, rtol=0, atol=1e-9)
    again = clone(model).fit(molecules.to_ase(), energies.to_numpy())
    assert_same(again.predict(molecules), expected)


@every_family
def test_random_state_fixes_every_bit(family, molecules, energies):
    X, y = molecules[:20], energies[:20]
    one, two = (regressor(family).fit(X, y).predict(X) for _ in "ab")
    assert_same(one, two)


@every_family
def test_model_selection_slices_molecules(family, molecules, labels):
    model = regressor(family)
    cv = MoleculeKFold(3, shuffle=True, random_state=0)
    pipe = make_pipeline(FunctionTransformer(), model)
    scores = cross_val_score(
        pipe, molecules, labels[["total_energy_ev", "e_g_ev"]], cv=cv, error_score="raise",
    )  # fmt: skip
    assert np.isfinite(scores).all()


@every_family
@pytest.mark.parametrize("make", [regressor, classifier], ids=["Regressor", "Classifier"])
def test_fit_and_predict_keep_to_themselves(make, family, molecules, energies):
    """As scikit-learn asks of every estimator: what is passed and stated stays as it is."""
    y = (energies > energies.median()).to_numpy() if make is classifier else energies
    X = molecules[:30]
    before = {name: getattr(X, name).copy() for name in ("z", "positions", "ptr", "charge")}
    model = make(family, max_epochs=1)
    params = model.get_params()
    assert model.fit(X, y[:30]) is model and model.get_params() == params
    state = {name: id(value) for name, value in vars(model).items()}
    np.random.seed(1)
    expected = np.random.RandomState(1).random_sample()
    model.predict(X)
    model.score(X, y[:30])
    assert {name: id(value) for name, value in vars(model).items()} == state
    assert np.random.random_sample() == expected
    assert all((getattr(X, name) == value).all() for name, value in before.items())
    with pytest.raises(ValueError, match="30"):
        model.fit(X, y[:29])
    with pytest.raises(ValueError, match="0 sample"):
        model.predict(X[:0])


def test_grid_search_in_two_processes(molecules, energies):
    search = GridSearchCV(
        regressor("SchNet"), {"cutoff": [2.0, 3.0]}, cv=GroupKFold(2), n_jobs=2,
        error_score="raise", scoring="neg_mean_absolute_error",
    )  # fmt: skip
    search.fit(molecules, energies, groups=molecules.groups)
    assert search.best_params_["cutoff"] in (2.0, 3.0)
    train, test = train_test_split(molecules.to_ase(), random_state=0)
    assert search.predict(test).shape == (15,)


def test_a_fresh_process_predicts_the_same(molecules, energies, tmp_path):
    models = [regressor(family).fit(molecules, energies) for family in FAMILIES]
    joblib.dump((models, molecules[:5]), tmp_path / "m.joblib")
    code = (
        "import joblib, numpy as np\n"
        f"models, X = joblib.load({str(tmp_path / 'm.joblib')!r})\n"
        f"np.save({str(tmp_path / 'p.npy')!r}, [model.predict(X) for model in models])\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    expected = [model.predict(molecules[:5]) for model in models]
    assert (np.load(tmp_path / "p.npy") == expected).all()


@every_family
def test_classes_of_molecules(family, molecules, labels):
    y = np.where(labels["e_g_ev"] > 6, "wide", "narrow")
    model = classifier(family, max_epochs=2).fit(molecules, y)
    p = model.predict_proba(molecules)
    assert p.shape == (60, 2) and set(model.predict(molecules)) <= set(model.classes_)
    np.testing.assert_allclose(p.sum(axis=1), 1)


@pytest.mark.parametrize("family", ["SchNet", "GotenNet"])
def test_a_network_can_learn_by_heart(family, bundle):
    X, y = bundle.data[:12], bundle.target["e_g_ev"][:12]
    model = regressor(
        family, n_hidden=32, max_epochs=150, batch_size=4, lr=5e-3, weight_decay=0.0
    ).fit(X, y)
    # Of one molecule it may be ten times the mean: round-off alone decides which, and how far.
    assert np.abs(model.predict(X) - y).mean() < 0.1 * y.std()


# --------------------------------------------------------------- what is physics


@every_family
def test_rigid_motions_order_and_company_change_nothing(family, molecules, energies):
    model = regressor(family).fit(molecules, energies)
    expected = model.predict(molecules)
    rng = np.random.default_rng(0)
    turned = []
    for atoms in molecules.to_ase():
        rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        atoms.positions = atoms.positions @ rotation + 100 * rng.normal(size=3)
        turned.append(atoms[rng.permutation(len(atoms))])
    np.testing.assert_allclose(model.predict(turned), expected, rtol=0, atol=1e-8)
    alone = [model.predict(molecules[[i]])[0] for i in (3, 50)]
    np.testing.assert_allclose(alone, expected[[3, 50]], rtol=0, atol=1e-9)


@every_family
def test_forces_are_the_slope_of_what_is_predicted(family, molecules, energies):
    model = regressor(family).fit(molecules, energies)
    row = molecules[20:22]
    y, forces = model.predict(row, return_forces=True)
    np.testing.assert_allclose(y, model.predict(row), rtol=0, atol=1e-9)
    step = 1e-4
    for atom, axis in ((0, 0), (1, 2), (len(row.z) - 1, 1)):
        ends = []
        for sign in (1, -1):
            positions = row.positions.copy()
            positions[atom, axis] += sign * step
            moved = Molecules(row.z, positions, row.ptr)
            ends.append(model.predict(moved).sum())
        slope = (ends[0] - ends[1]) / (2 * step)
        assert forces[atom, axis] == pytest.approx(-slope, abs=1e-5)
    for first, last in zip(row.ptr[:-1], row.ptr[1:], strict=True):
        assert np.abs(forces[first:last].sum(axis=0)).max() < 1e-8
        torque = np.cross(row.positions[first:last], forces[first:last]).sum(axis=0)
        assert np.abs(torque).max() < 1e-7


def test_what_elements_add_is_taken_off_before_and_added_behind(molecules, energies):
    """A constant for each element changes predictions by itself and nothing else."""
    counts = np.stack([np.bincount(m.z, minlength=10) for m in molecules])
    shift = counts @ np.linspace(-3000, 50, 10)
    plain = regressor("SchNet").fit(molecules[:50], energies[:50])
    moved = regressor("SchNet").fit(molecules[:50], (energies + shift)[:50])
    difference = moved.predict(molecules[50:]) - plain.predict(molecules[50:])
    np.testing.assert_allclose(difference, shift[50:], rtol=0, atol=1e-3)


def test_charge_is_an_input(molecules, energies):
    charged = [atoms.copy() for atoms in molecules[:30].to_ase()]
    for atoms in charged[::2]:
        atoms.info["charge"] = 1
    model = regressor("SchNet").fit(charged, energies[:30])
    neutral = model.predict(molecules[:1])[0]
    assert abs(model.predict(charged[:1])[0] - neutral) > 1e-6


def test_cells_repeat(molecules):
    rng = np.random.default_rng(0)
    crystals = []
    for _ in range(10):
        atoms = ase.Atoms("NaCl", [[0, 0, 0], 2 * np.ones(3) + rng.normal(0, 0.1, 3)],
                          cell=4 * np.eye(3), pbc=True)  # fmt: skip
        crystals.append(atoms)
    y = pd.Series(rng.normal(size=10), name="total_energy_ev")
    model = regressor("SchNet", cutoff=4.5).fit(crystals, y)
    doubled = [atoms.repeat((2, 1, 1)) for atoms in crystals]
    expected = 2 * model.predict(crystals)
    np.testing.assert_allclose(model.predict(doubled), expected, atol=1e-8)
    forces = model.predict(crystals, return_forces=True)[1].reshape(10, 2, 3)
    assert np.abs(forces).max() > 1e-6 and np.abs(forces.sum(axis=1)).max() < 1e-9


def test_read_outs_follow_the_names_of_the_targets(molecules, labels):
    model = regressor("SchNet").fit(molecules, labels)
    module = model.net_.module_.network
    assert module.readout.attended == [1, 2, 3] and module.readout.dipoles == [4]
    assert (model.predict(molecules)[:, 4] >= 0).all()
    assert (model.reference_.coefficients[:, 1:] == 0).all()
    unnamed = regressor("SchNet").fit(molecules, labels.to_numpy()[:, 0])
    assert (unnamed.reference_.coefficients != 0).any()
    stated = regressor("SchNet", readout="mean").fit(molecules, labels["total_energy_ev"])
    assert (stated.reference_.coefficients == 0).all()


# ------------------------------------------------------- labels that are missing


def test_missing_labels_teach_nothing(molecules, labels):
    y = labels[["total_energy_ev", "e_g_ev"]].copy()
    y.iloc[::2, 1] = np.nan
    y.iloc[7] = np.nan
    model = regressor("SchNet").fit(molecules, y)
    without = np.delete(np.arange(60), 7)
    same = regressor("SchNet").fit(molecules[without], y.iloc[without])
    assert_same(model.predict(molecules), same.predict(molecules))


@pytest.mark.parametrize("with_forces", [False, True])
def test_rows_of_weight_zero_are_left_out(run, with_forces):
    X, y = run.data[:20], run.target[:20]
    weight = np.arange(20) % 3 > 0
    options = {"force_weight": 1.0} if with_forces else {}
    weighted = regressor("SchNet", **options).fit(X, y, sample_weight=weight)
    fewer = regressor("SchNet", **options).fit(X[weight], y[weight])
    assert_same(weighted.predict(X), fewer.predict(X))


# -------------------------------------------------------------------- forces


def test_forces_are_learned_beside_energies(run):
    train, test = run.data[:60], run.data[250:300]
    # First-order in nothing but forces: energies alone leave them as they are.
    options = {"max_epochs": 40, "batch_size": 10, "n_hidden": 32, "lr": 5e-3}
    alone = regressor("SchNet", **options).fit(train, run.target[:60])
    both = regressor("SchNet", **options).fit(train, run.target[:60], forces=train.forces)
    size = np.abs(test.forces).mean()
    error = np.abs(both.predict(test, return_forces=True)[1] - test.forces).mean()
    assert error < 0.5 * size
    assert both.score_forces(test) > max(alone.score_forces(test), 0.5)


def test_forces_of_validation_rows_are_compared(run):
    X, y = run.data[:12], run.target[:12]
    model = regressor("SchNet", n_members=2, force_weight=10.0)
    with_forces = clone(model).fit(X, y, X_val=X[:6], y_val=y[:6])
    bare = replace(X[:6], forces=None)
    without = clone(model).fit(X, y, X_val=bare, y_val=y[:6])
    losses = [fit.history_["valid_loss"].iloc[0] for fit in (with_forces, without)]
    assert losses[0] > losses[1]
    assert with_forces.force_calibration_ is not None
    assert without.force_calibration_ is None


def test_forces_may_be_passed_or_carried_in_any_form(run):
    X, y = run.data[:12], run.target[:12]
    bare = Molecules(X.z, X.positions, X.ptr)
    ways = [
        (bare, X.forces), (bare, list(X.forces.reshape(12, 9, 3))),
        (bare, X.forces.reshape(12, 9, 3)), (X, X.forces),
    ]  # fmt: skip
    fits = [regressor("SchNet").fit(m, y, forces=f).predict(X) for m, f in ways]
    carried = regressor("SchNet", force_weight=10.0).fit(X, y).predict(X)
    for fit in fits:
        assert_same(fit, carried)
    assert (regressor("SchNet").fit(X, y).predict(X) != carried).any()


def test_missing_forces_teach_nothing(run):
    X, y = run.data[:12], run.target[:12]
    forces = X.forces.copy()
    forces[9:18] = np.nan
    model = regressor("SchNet").fit(X, y, forces=forces)
    assert np.isfinite(model.predict(X, return_forces=True)[1]).all()


def test_cross_validation_with_forces(run):
    X, y = run.data[:40], run.target[:40]
    lists = list(X.forces.reshape(40, 9, 3))
    scores = cross_val_score(
        regressor("SchNet"), X, y, cv=2, params={"forces": lists}, error_score="raise"
    )
    assert np.isfinite(scores).all()


def test_frozen_weights_stay_to_the_last_bit_with_forces(run):
    X, y = run.data[:12], run.target[:12]
    model = regressor("SchNet", warm_start=True, weight_decay=0.1).fit(X, y, forces=X.forces)
    before = {k: v.clone() for k, v in model.net_.module_.state_dict().items()}
    # Epochs of a continued fit are counted from its own first one.
    freezer = Freezer("network.core.*", at=1)
    model.set_params(callbacks=[freezer]).fit(X, y, forces=X.forces)
    changed = {k for k, v in model.net_.module_.state_dict().items() if (v != before[k]).any()}
    assert changed and not any(name.startswith("network.core.") for name in changed)


@pytest.mark.parametrize(
    ("forces", "options", "message"),
    [
        (np.zeros((5, 3)), {}, r"forces have shape \(5, 3\), expected \(54, 3\)"),
        ([np.zeros((9, 3))] * 4, {}, "forces of 4 molecules, X holds 6"),
        ([np.zeros((9, 3))] * 5 + [np.zeros((8, 3))], {}, "forces of molecule 5"),
        (None, {"force_weight": 1.0}, "X carries no forces"),
        (None, {"force_weight": -1.0}, "force_weight"),
        (None, {"force_weight": np.inf}, "force_weight=inf is not finite"),
        (np.full((54, 3), np.nan), {}, "no forces are known"),
    ],
)
def test_forces_that_cannot_be_are_refused(run, forces, options, message):
    X = Molecules(run.data.z[:54], run.data.positions[:54], run.data.ptr[:7])
    with pytest.raises(ValueError, match=message):
        regressor("SchNet", **options).fit(X, run.target[:6], forces=forces)


def test_no_forces_of_what_is_no_energy(molecules, labels):
    model = regressor("SchNet").fit(molecules, labels["e_g_ev"])
    with pytest.raises(ValueError, match="there is no energy"):
        model.predict(molecules, return_forces=True)
    with pytest.raises(ValueError, match="there is no energy"):
        model.as_calculator()
    with pytest.raises(ValueError, match="slope of an energy"):
        regressor("SchNet").fit(
            molecules, labels["e_g_ev"], forces=np.zeros(molecules.positions.shape)
        )


# ------------------------------------------------------------------ baselines


class Told(TransformerMixin, BaseEstimator):
    """Features that hold the gap of the bundled molecules, or nothing of it."""

    def __init__(self, truth=True):
        self.truth = truth

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        data = load_molecules()
        gap = dict(zip(data.data.names, data.target["e_g_ev"], strict=True))
        known = np.array([gap[name] for name in X.names])
        noise = np.random.default_rng(len(X)).normal(size=(len(X), 2))
        return np.column_stack([3 * known - 7, noise]) if self.truth else noise


@every_family
def test_what_a_baseline_knows_need_not_be_learned(family, molecules, labels):
    y = labels["e_g_ev"]
    model = regressor(family, max_epochs=1, baseline=Told(), weight_decay=0.0)
    model.fit(molecules[:40], y[:40])
    assert np.abs(model.predict(molecules[40:]) - y[40:]).max() < 0.05 * y.std()
    told = model.baseline_.predict(model.reader_.describer_.transform(molecules[40:]))
    assert np.abs(told[:, 0] - y[40:]).max() < 1e-3 * y.std()


def test_a_baseline_that_knows_nothing_shrinks_to_nothing(molecules, labels):
    y = labels["e_g_ev"]
    fitted = regressor("SchNet", baseline=Told(truth=False)).fit(molecules, y)
    told = fitted.baseline_.predict(fitted.reader_.describer_.transform(molecules))
    assert told.std() < 0.35 * y.std()


def test_two_centre_levels_are_worth_more_than_labels(bundle):
    """Fifty gaps with what pairs tell beat four hundred without."""
    order = np.random.RandomState(0).permutation(len(bundle.data))
    X, y = bundle.data[order], bundle.target["e_g_ev"].to_numpy()[order]
    options = {"max_epochs": 5, "n_hidden": 32, "cutoff": 4.0}
    scratch = regressor("SchNet", **options).fit(X[:400], y[:400])
    told = regressor("SchNet", baseline="two-centre", **options).fit(X[:50], y[:50])
    errors = [np.abs(model.predict(X[400:]) - y[400:]).mean() for model in (told, scratch)]
    assert errors[0] < 0.15 < errors[1]


@pytest.fixture(scope="module")
def on_two_centres(run):
    """Energies and forces, of which pairs of atoms tell most."""
    model = regressor("SchNet", baseline="two-centre", n_members=2, max_epochs=4, cutoff=4.0)
    X, y = run.data[:24], run.target[:24]
    return model.fit(X, y, forces=X.forces)


def test_forces_of_two_centres_need_few_labels(on_two_centres, run):
    new = run.data[30:36]
    energies, forces = on_two_centres.predict(new, return_forces=True)
    spread = np.abs(new.forces).mean()
    assert np.abs(forces - new.forces).mean() < 0.15 * spread
    assert np.abs(energies - run.target[30:36]).max() < 0.15
    assert on_two_centres.score_forces(new) > 0.95
    one, step = new[:1], 1e-3
    for place in ((0, 0), (4, 2)):
        around = []
        for sign in (1, -1):
            moved = one.positions.copy()
            moved[place] += sign * step
            around.append(float(on_two_centres.predict(replace(one, positions=moved))[0]))
        slope = (around[0] - around[1]) / (2 * step)
        np.testing.assert_allclose(forces[place], -slope, atol=2e-3)


def test_forces_of_two_centres_in_all_that_predicts(on_two_centres, run, tmp_path):
    new = run.data[30:32]
    *_, forces, std = on_two_centres.predict(new, return_std=True, return_forces=True)
    assert (std > 0).all()
    q.save_model(on_two_centres, tmp_path / "model.safetensors")
    again = q.load_model(tmp_path / "model.safetensors").predict(new, return_forces=True)[1]
    np.testing.assert_array_equal(again, forces)
    atoms = new.to_ase()[1]
    atoms.calc = on_two_centres.as_calculator()
    np.testing.assert_allclose(atoms.get_forces(), forces[9:], atol=1e-6)
    # Fitted on energies alone it has more features, and no forces.
    alone = regressor("SchNet", baseline="two-centre", max_epochs=1, warm_start=True)
    alone.fit(run.data[:12], run.target[:12])
    with pytest.raises(ValueError, match="there is no energy"):
        alone.predict(new, return_forces=True)
    with pytest.raises(ValueError, match="forces"):
        alone.fit(run.data[:12], run.target[:12], forces=run.data[:12].forces)


@pytest.mark.parametrize("factor", [3.0, 1e-9])
def test_a_common_factor_of_weights_changes_no_baseline(factor):
    rng = np.random.default_rng(0)
    X, slopes = rng.normal(size=(20, 4)), rng.normal(size=(60, 3, 4))
    weight = rng.uniform(1, 2, 20)
    y, forces = X.sum(axis=1)[:, None] + rng.normal(size=(20, 1)), slopes.sum(axis=2)
    one, other = (
        RidgeBaseline.fit(
            X, y, 0 * y, f * weight, Slopes(0, slopes, forces, np.repeat(f * weight, 3))
        )
        for f in (1.0, factor)
    )
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-9)
    one, other = (RidgeBaseline.fit(X, y, 0 * y, f * weight).predict(X) for f in (1.0, factor))
    np.testing.assert_allclose(one, other, rtol=1e-9)


def test_baselines_in_a_grid_of_their_own(molecules, labels):
    model = regressor("SchNet", baseline=q.MoleculeDescriptorTransformer("coulomb"))
    search = GridSearchCV(model, {"baseline__n_atoms": [10, 12]}, cv=2, error_score="raise")
    search.fit(molecules, labels[["total_energy_ev", "e_g_ev"]])
    assert search.predict(molecules[:3]).shape == (3, 2)


def test_baselines_that_cannot_be_are_refused(molecules, energies, run):
    with pytest.raises(TypeError, match="baseline='ridge' is neither"):
        regressor("SchNet", baseline="ridge").fit(molecules, energies)
    with pytest.raises(ValueError, match="has no forces: set baseline=None"):
        regressor("SchNet", baseline=Told()).fit(
            run.data, run.target, forces=run.data.forces
        )
    pairs, gaps = load_pairs(target="e_g_ev", return_X_y=True)
    with pytest.raises(ValueError, match="is for molecules"):
        regressor("SchNet", baseline=Told()).fit(pairs, gaps)
    model = regressor("SchNet", baseline=Told(), warm_start=True).fit(molecules, energies)
    with pytest.raises(ValueError, match="baseline="):
        model.predict(molecules, return_forces=True)
    with pytest.raises(ValueError, match="cannot be continued with other"):
        model.set_params(baseline=None).fit(molecules, energies)


# ------------------------------------------------------ ensembles, continued fits


@pytest.mark.parametrize("family", ["SchNet", "GotenNet"])
def test_ensembles_know_what_they_do_not_know(family, run):
    X, y = run.data[:60], run.target[:60]
    model = regressor(family, n_members=3, max_epochs=4).fit(X, y, forces=X.forces)
    found = model.predict(run.data[250:300], return_std=True, return_forces=True)
    mean, std, forces, forces_std = found
    assert mean.shape == std.shape == (50,) and (std > 0).all()
    assert forces.shape == forces_std.shape == (450, 3) and (forces_std > 0).all()
    inside = np.abs(forces - run.data[250:300].forces) < 1.645 * forces_std
    assert 0.8 < inside.mean() < 0.97
    np.testing.assert_allclose(model.predict(run.data[250:300]), mean, atol=1e-9)


def test_continued_fits_go_on(run):
    X, y = run.data[:40], run.target[:40]
    model = regressor("SchNet", warm_start=True, max_epochs=2).fit(X, y, forces=X.forces)
    before = model.score_forces(X)
    reference = model.reference_
    model.set_params(max_epochs=30).fit(X, y, forces=X.forces)
    assert model.n_iter_ == 32 and model.score_forces(X) > before
    assert model.reference_ is reference
    model.partial_fit(X, y, forces=X.forces)
    assert model.n_iter_ == 33


def test_partial_fit_of_an_ensemble_calibrates(run):
    model = regressor("SchNet", n_members=2)
    for start in range(0, 120, 40):
        part = run.data[start : start + 40]
        model.partial_fit(part, run.target[start : start + 40], forces=part.forces)
    std = model.predict(run.data[:5], return_std=True)[1]
    assert np.isfinite(std).all() and (std > 0).all()


def test_frames_of_one_trajectory_can_be_set_aside(run):
    """Where all rows are of one group there is nothing else to validate on."""
    X, y = run.data[:50], run.target[:50]
    assert len(set(X.groups)) == 1
    model = regressor("SchNet", early_stopping=True).fit(X, y)
    assert model.history_["valid_loss"].notna().all()


def test_groups_are_set_aside_as_a_whole(bundle):
    X, y = bundle.data[:60], bundle.target["total_energy_ev"][:60]
    seen = []

    class Spy(q.SchNetRegressor):
        def _split(self, rows, *args):
            learn, aside = super()._split(rows, *args)
            groups = self.reader_.groups(rows)
            seen.append((set(groups[learn]), set(groups[aside])))
            return learn, aside

    Spy(**SMALL, early_stopping=True).fit(X, y)
    learned, aside = seen[0]
    assert aside and not learned & aside


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize("family", OTHERS)
def test_networks_of_pairs_refuse_molecules(family, molecules, energies):
    with pytest.raises(TypeError, match="holds molecules, and this estimator takes pairs"):
        getattr(q, f"{family}Regressor")().fit(molecules, energies)


def test_tight_binding_refuses_molecules(molecules, energies):
    with pytest.raises(TypeError, match="holds molecules"):
        q.TightBindingRegressor().fit(molecules, energies)


@pytest.mark.parametrize("family", ["SchNet", "PairMLP"])
def test_a_record_of_pairs_is_refused_at_once(family):
    pairs = load_pairs().pairs
    with pytest.raises(TypeError, match="X is a PairData; pass its elements"):
        getattr(q, f"{family}Regressor")().fit(pairs, np.zeros(len(pairs)))


def test_models_stay_with_their_kind(molecules, energies):
    pairs, gaps = load_pairs(target="e_g_ev", return_X_y=True)
    on_molecules = regressor("SchNet").fit(molecules, energies)
    with pytest.raises(TypeError, match="was fitted on molecules, got DataFrame"):
        on_molecules.predict(pairs[:5])
    on_pairs = regressor("SchNet").fit(pairs[:100], gaps[:100])
    with pytest.raises(ValueError, match="was fitted on element pairs; got Molecules"):
        on_pairs.predict(molecules)
    with pytest.raises(ValueError, match="fitted on pairs or a table"):
        on_pairs.predict(pairs[:5], return_forces=True)
    table = regressor("SchNet").fit(np.random.default_rng(0).normal(size=(20, 3)), gaps[:20])
    with pytest.raises(TypeError, match="fitted on a numeric table, got molecules"):
        table.predict(molecules)
    refitted = table.fit(molecules, energies)
    assert not hasattr(refitted, "n_features_in_")


def test_elements_that_were_not_seen_are_refused(molecules, energies):
    model = regressor("SchNet").fit(molecules, energies)
    salt = [ase.Atoms("NaH", [[0, 0, 0], [0, 0, 1.9]])]
    with pytest.raises(ValueError, match=r"\['Na'\] were not among the training"):
        model.predict(salt)
    assert model.count_unseen_elements(salt).tolist() == [1]
    bold = regressor("SchNet", unseen_elements="allow", n_members=2).fit(molecules, energies)
    with pytest.warns(UserWarning, match="unseen elements"):
        std = bold.predict(salt, return_std=True)[1]
    assert std[0] > np.abs(energies - energies.median()).mean() * 0.5


def test_components_of_vectors_are_refused(molecules, labels):
    y = labels[["e_g_ev"]].rename(columns={"e_g_ev": "dipole_x_d"})
    with pytest.raises(ValueError, match="turn with the molecule"):
        regressor("SchNet").fit(molecules, y)


@pytest.mark.parametrize("readout", ["max", ["sum", "best"], ["sum"]])
def test_read_outs_that_are_none_are_refused(molecules, labels, readout):
    with pytest.raises(ValueError, match="readout="):
        regressor("SchNet", readout=readout).fit(molecules, labels)


def test_a_failed_fit_leaves_the_model_as_it_was(molecules, energies):
    model = regressor("SchNet").fit(molecules, energies)
    before = model.predict(molecules)
    wrong = energies.copy()
    wrong[:] = np.nan
    with pytest.raises(ValueError, match="label"):
        model.fit(molecules[:5], wrong[:5])
    assert (model.predict(molecules) == before).all()


# ------------------------------------------------------------------------- ASE


def test_the_calculator_gives_what_predict_does(run):
    X, y = run.data[:40], run.target[:40]
    model = regressor("SchNet", n_members=2).fit(X, y, forces=X.forces)
    atoms = X[:1].to_ase()[0]
    atoms.calc = model.as_calculator()
    mean, std, forces, forces_std = model.predict(X[:1], return_std=True, return_forces=True)
    assert atoms.get_potential_energy() == pytest.approx(mean[0], abs=1e-9)
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-9)
    assert atoms.calc.results["energy_std"] == pytest.approx(std[0])
    np.testing.assert_allclose(atoms.calc.results["forces_std"], forces_std, atol=1e-9)
    strange = ase.Atoms("NaH", [[0, 0, 0], [0, 0, 1.9]], calculator=model.as_calculator())
    with pytest.raises(ValueError, match="were not among the training"):
        strange.get_potential_energy()


def test_the_calculator_sees_the_charge_change(run):
    X, y = run.data[:12], run.target[:12]
    model = regressor("SchNet", max_epochs=1).fit(X, y, forces=X.forces)
    atoms = X[:1].to_ase()[0]
    atoms.calc = model.as_calculator()
    energies = [atoms.get_potential_energy()]
    for change in ({"charge": 1}, {"charge": -1}, {}):
        atoms.info = change
        expected = model.predict(replace(X[:1], charge=[change.get("charge", 0)]))[0]
        energies.append(atoms.get_potential_energy())
        assert energies[-1] == pytest.approx(expected, abs=1e-9)
    assert energies[3] == energies[0] and len(set(energies)) == 3
    atoms.set_initial_charges(np.full(len(atoms), 1 / len(atoms)))
    assert atoms.get_potential_energy() == pytest.approx(energies[1], abs=1e-9)


def test_dynamics_conserve_energy(run):
    from ase import units
    from ase.md.verlet import VelocityVerlet

    X, y = run.data[:40], run.target[:40]
    model = regressor("SchNet", max_epochs=60, batch_size=10, lr=5e-3)
    atoms = X[:1].to_ase()[0]
    atoms.calc = model.fit(X, y, forces=X.forces).as_calculator()
    widths = np.sqrt(atoms.get_masses() * units.kB * 100)[:, None]
    atoms.set_momenta(np.random.default_rng(0).normal(size=(9, 3)) * widths)
    totals = []
    dynamics = VelocityVerlet(atoms, 0.2 * units.fs)
    dynamics.attach(lambda: totals.append(atoms.get_total_energy()))
    dynamics.run(200)
    kinetic = 1.5 * len(atoms) * units.kB * 100
    assert np.ptp(totals) < 0.02 * kinetic
