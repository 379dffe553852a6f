"""Graph networks that start from an encoder: what they take of it, keep and refuse."""

from dataclasses import replace

import joblib
import numpy as np
import pytest
import torch
from _devices import assert_same
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, Freezer

import qcanvas_sklearn as q
from qcanvas_sklearn import load_molecules, load_trajectory
from qcanvas_sklearn.encoders import Encoder
from qcanvas_sklearn.estimators import _pretrained
from qcanvas_sklearn.hamiltonians import TwoCentreTables
from qcanvas_sklearn.nn import HamiltonianGotenNet, MoleculeGotenNet
from qcanvas_sklearn.structures import Molecules

FAMILIES = {
    "SchNet": {}, "GATv2": {"n_heads": 2}, "EGNN": {},
    "DimeNet": {"n_spherical": 3, "n_radial": 4}, "FAENet": {}, "GotenNet": {"n_heads": 2},
}  # fmt: skip
SMALL = {"n_hidden": 8, "n_layers": 2, "cutoff": 3.0, "max_epochs": 2, "random_state": 0}


def make(family, task="Regressor", **options):
    return getattr(q, family + task)(**{**SMALL, **FAMILIES[family], **options})


def encoder_of(model):
    """Weights of each member's encoder."""
    return [
        {
            name: weight.detach().numpy().copy() for name, weight in network.named_parameters()
            if not name.startswith("readout.")
        }
        for network in model._networks(model.net_)
    ]  # fmt: skip


def same(weights, others):
    """Names of the weights that are equal to the last bit."""
    return [name for name in weights if (weights[name] == others[name]).all()]


@pytest.fixture(scope="module")
def molecules():
    return load_molecules().data[:30]


@pytest.fixture(scope="module")
def inputs(molecules, few_images, few_pairs):
    """X and labels by kind."""
    labels = few_pairs[1].iloc[:40]
    return {"molecules": (molecules, molecules.labels), "pairs": (few_images[:40], labels)}


@pytest.fixture(scope="module")
def path(molecules, tmp_path_factory):
    path = tmp_path_factory.mktemp("encoders") / "gaps.safetensors"
    make("SchNet").fit(molecules, molecules.labels["e_g_ev"]).save_encoder(path)
    return path


@pytest.fixture(scope="module")
def energies(molecules):
    return molecules.labels["total_energy_ev"]


# ------------------------------------------------------------- all the families


@pytest.mark.parametrize("kind", ["molecules", "pairs"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_starts_from_its_encoder(family, kind, inputs, tmp_path):
    X, y = inputs[kind]
    options = {"max_epochs": 1}
    first = make(family, **options).fit(X, y["total_energy_ev"])
    encoder = first.save_encoder(tmp_path / "e.safetensors", name="mine")
    assert (encoder.family, encoder.kind) == (family.lower(), kind)
    frozen = make(
        family, "Classifier", **options, pretrained=tmp_path / "e.safetensors", freeze=True,
        weight_decay=0.5,
    )  # fmt: skip
    frozen.fit(X[:20], y["e_homo_ev"][:20] > y["e_homo_ev"][:20].median())
    (weights,) = encoder_of(frozen)
    assert same(weights, encoder.weights) == list(weights)
    report = frozen.pretrained_report_
    assert report["name"] == "mine" and report["sha256"] == encoder.sha256
    assert set(report["loaded"]) == set(weights) and report["skipped"] == []
    assert all(name.startswith("readout.") for name in report["new"])
    names = {n.rpartition("network.")[2] for n, _ in frozen.net_.module_.named_parameters()}
    assert names == {*report["loaded"], *report["new"]}
    assert all(weight.requires_grad for weight in frozen.net_.module_.parameters())
    if kind == "pairs":
        assert encoder.input_scaling.keys() == {"atom", "pair"}
        for name, scaling in encoder.input_scaling.items():
            assert (frozen.reader_.scaling_[name].mean == scaling.mean).all()
    tuned = make(family, **options, pretrained=encoder).fit(X[:20], y["e_homo_ev"][:20])
    assert len(same(encoder_of(tuned)[0], encoder.weights)) < len(weights) / 2


# ---------------------------------------------------------------- the beginning


def test_the_first_prediction_is_what_is_known_without_a_network(path, molecules, energies):
    still = {"pretrained": path, "lr": 1e-30, "max_epochs": 1, "weight_decay": 0.0}
    model = make("SchNet", **still).fit(molecules, energies)
    known = model.reference_.predict(molecules.z, molecules.ptr)[:, 0]
    np.testing.assert_allclose(model.predict(molecules), known, rtol=0, atol=1e-9)
    levels = make("SchNet", **still).fit(molecules, molecules.labels["e_homo_ev"])
    np.testing.assert_allclose(
        levels.predict(molecules), molecules.labels["e_homo_ev"].median(), atol=1e-9
    )
    # The size of a dipole has no slope at zero: a read-out that starts there stays.
    dipole = make("SchNet", **still).fit(molecules, molecules.labels["dipole_mag_d"])
    assert 0 < dipole.predict(molecules).max() < molecules.labels["dipole_mag_d"].max()
    assert np.ptp(dipole.predict(molecules)) > 0


def test_layers_learn_the_faster_the_higher_they_lie(path, molecules, energies):
    model = make("SchNet", pretrained=path, encoder_lr=0.1).fit(molecules, energies)
    groups = model.net_.optimizer_.param_groups
    names = {id(p): name for name, p in model.net_.module_.named_parameters()}
    factors = {names[id(p)]: group["lr_factor"] for group in groups for p in group["params"]}
    assert len(factors) == len(names) and all(g["weight_decay"] == 0.01 for g in groups)
    of = [
        factors[f"network.{name}"]
        for name in ("embed.weight", "core.interactions.0.source.weight",
                     "core.interactions.1.source.weight", "readout.atomwise.0.weight")
    ]  # fmt: skip
    np.testing.assert_allclose(of, [0.1, 0.1 ** (2 / 3), 0.1 ** (1 / 3), 1.0])
    assert model.history_["lr"].max() > 0.5 * model.lr
    alike = make("SchNet", pretrained=path, encoder_lr=1.0).fit(molecules, energies)
    assert len(alike.net_.optimizer_.param_groups) == 1


def test_nothing_changes_without_an_encoder(molecules, energies):
    plain = make("SchNet").fit(molecules, energies)
    other = make("SchNet", freeze=True, encoder_lr=0.01).fit(molecules, energies)
    assert plain.pretrained_report_ is None is other.pretrained_report_
    assert_same(plain.predict(molecules), other.predict(molecules))


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    "family, options, message",
    [
        ("SchNet", {"n_hidden": 16}, "n_hidden=8, not 16"),
        ("SchNet", {"n_layers": 1}, "n_layers=2, not 1"),
        ("SchNet", {"cutoff": None}, "cutoff=3.0, not 5.0"),
        ("SchNet", {"cutoff": 4.0, "n_radial": 8}, "cutoff=3.0, not 4.0, n_radial=32, not 8"),
        ("EGNN", {}, "of the family 'schnet', the network is of 'egnn'"),
        ("SchNet", {"freeze": -1}, "freeze"),
        ("SchNet", {"encoder_lr": 0.0}, "encoder_lr"),
        ("SchNet", {"encoder_lr": np.inf}, "encoder_lr=inf"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(family, options, message, path, molecules, energies):
    model = make(family, pretrained=path, **options)
    with pytest.raises(ValueError, match=message):
        model.fit(molecules, energies)
    assert not hasattr(model, "net_") and "_encoder" not in vars(model)


def test_kinds_do_not_mix(path, inputs, molecules, energies):
    X, y = inputs["pairs"]
    with pytest.raises(ValueError, match="trained on molecules, X holds pairs"):
        make("SchNet", pretrained=path).fit(X, y["e_g_ev"])
    with pytest.raises(ValueError, match="X holds none"):
        make("SchNet", pretrained=path).fit(np.eye(9), np.arange(9.0))
    with pytest.raises(TypeError, match="pretrained=3"):
        make("SchNet", pretrained=3).fit(molecules, energies)
    with pytest.raises(ValueError, match="X holds none"):
        make("SchNet").fit(np.eye(9), np.arange(9.0)).save_encoder(path.with_name("no"))
    encoder = Encoder.load(path)
    weights = {name: w for name, w in encoder.weights.items() if ".1." not in name}
    lacking = replace(encoder, weights=weights)
    with pytest.raises(ValueError, match=r"core.interactions.1\S* of shape None"):
        make("SchNet", pretrained=lacking).fit(molecules, energies)


def test_elements_that_the_encoder_does_not_know(path, molecules, energies):
    silane = Molecules.from_lists([["Si", "H"]] * 3, [[[0, 0, 0], [0, 0, 1.5]]] * 3)
    model = make("SchNet", pretrained=path)
    with pytest.raises(ValueError, match=r"not trained on the elements \['Si'\].*allow"):
        model.fit(silane, [1.0, 2.0, 3.0])
    model.set_params(unseen_elements="allow").fit(silane, [1.0, 2.0, 3.0])
    assert model.elements_ == ["H", "Si"]
    # Rows without a label teach nothing.
    both = Molecules.concat([molecules, silane])
    model = make("SchNet", pretrained=path).fit(both, [*energies, np.nan, np.nan, np.nan])
    with pytest.raises(ValueError, match=r"\['Si'\]"):
        model.partial_fit(silane, [1.0, 2.0, 3.0])
    again = model.save_encoder(path.with_name("again.safetensors"))
    assert again.elements == Encoder.load(path).elements
    assert again.provenance["pretrained"]["name"] == "gaps"


# -------------------------------------------------------------- freeze and thaw


class Record(Callback):
    """Weights behind each epoch."""

    seen = []

    def on_epoch_end(self, net, **kwargs):
        weights = net.module_.named_parameters()
        self.seen.append({name: weight.detach().cpu().clone() for name, weight in weights})


@pytest.mark.parametrize("splits", [[6], [1, 5], [2, 1, 3]])
def test_layers_thaw_one_an_epoch_from_epoch_k_on(splits, path, molecules, energies):
    """Counted from the first epoch of all, however many fits these are spread over."""
    Record.seen = []
    model = make("SchNet", pretrained=path, freeze=2, callbacks=[Record()], warm_start=True,
                 lr_schedule="constant")  # fmt: skip
    start = {f"network.{k}": torch.tensor(w) for k, w in Encoder.load(path).weights.items()}
    for n in splits:
        model.set_params(max_epochs=n).fit(molecules, energies)
    first = {}
    for epoch, weights in enumerate(Record.seen):
        for name in start:
            if name not in first and (weights[name] != start[name]).any():
                first[name] = epoch
    assert first["network.core.interactions.1.source.weight"] == 2
    assert first["network.core.interactions.0.source.weight"] == 3
    assert first["network.embed.weight"] == 4


def test_what_a_user_freezes_stays_frozen(path, molecules, energies):
    Record.seen = []
    callbacks = [Freezer("*readout.*", at=2), Record()]
    model = make("SchNet", pretrained=path, freeze=1, max_epochs=4, callbacks=callbacks)
    model.fit(molecules, energies)
    first, *later = Record.seen
    for weights in later:
        for name, weight in weights.items():
            assert "readout" not in name or (weight == first[name]).all(), name
    assert (later[-1]["network.embed.weight"] != first["network.embed.weight"]).any()


def test_a_frozen_encoder_learns_forces_with_its_head(path, tmp_path):
    run = load_trajectory("ethanol")
    X, y = run.data[:6], run.target[:6]
    encoder = replace(Encoder.load(path), elements=["C", "H", "O"])
    model = make("SchNet", pretrained=encoder, freeze=True)
    model.fit(X, y, forces=X.forces)
    assert set(same(encoder_of(model)[0], encoder.weights)) == set(encoder.weights)
    energy, forces = model.predict(X, return_forces=True)
    assert np.isfinite(forces).all() and np.abs(forces).max() > 0
    # Thawed: all of it learns from slopes, too.
    model.set_params(warm_start=True, freeze=False).fit(X, y, forces=X.forces)
    assert len(same(encoder_of(model)[0], encoder.weights)) < 3


# ----------------------------------------------------------------- afterwards


def test_fits_go_on_from_their_own_weights(path, molecules, energies, tmp_path):
    file = tmp_path / "mine.safetensors"
    file.write_bytes(path.read_bytes())
    model = make("SchNet", pretrained=file, warm_start=True).fit(molecules, energies)
    before = encoder_of(model)[0]
    file.unlink()
    expected = model.predict(molecules)
    joblib.dump(model, tmp_path / "model")
    loaded = joblib.load(tmp_path / "model")
    assert (loaded.predict(molecules) == expected).all()
    for go_on in (loaded.fit, loaded.partial_fit):
        go_on(molecules, energies)
        assert len(loaded.pretrained_report_["loaded"]) == len(before)
    assert loaded.n_iter_ == 5
    loaded.set_params(freeze=True).fit(molecules, energies)
    frozen = encoder_of(loaded)[0]
    loaded.partial_fit(molecules, energies)
    assert same(encoder_of(loaded)[0], frozen) == list(frozen)
    with pytest.raises(ValueError, match="pretrained=.*was"):
        loaded.set_params(pretrained=path).fit(molecules, energies)
    with pytest.raises(FileNotFoundError, match="mine.safetensors"):
        model.set_params(warm_start=False).fit(molecules, energies)
    assert (model.predict(molecules) == expected).all()


def test_members_share_an_encoder_and_no_head(path, molecules, monkeypatch, tmp_path):
    starts = []
    start_from = _pretrained._start_from
    monkeypatch.setattr(
        _pretrained, "_start_from", lambda *args: starts.append(1) or start_from(*args)
    )
    model = make("SchNet", pretrained=path, freeze=True, n_members=2, unseen_elements="allow")
    model.fit(molecules, molecules.labels["e_homo_ev"])
    encoder = Encoder.load(path)
    for weights in encoder_of(model):
        assert same(weights, encoder.weights) == list(weights)
    heads = [n.readout.atomwise[-1].weight for n in model._networks(model.net_)]
    assert (heads[0] != heads[1]).any()
    # Members, and the nets that measure what unseen elements cost.
    assert model.extrapolation_ is not None and len(starts) > 2
    saved = model.save_encoder(tmp_path / "e.safetensors")
    assert saved.provenance["member"] == "1 of 2"


def test_pretrained_is_a_parameter_as_others_are(path, molecules, energies):
    encoder = Encoder.load(path)
    model = make("SchNet", pretrained=encoder, max_epochs=1)
    assert model.get_params()["pretrained"] is encoder
    assert clone(model).pretrained.sha256 == encoder.sha256 and "gaps" in repr(model)
    grid = {"pretrained": [None, str(path)], "freeze": [True, 1]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(molecules, energies)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# ------------------------------------------------------------------ Hamiltonians


def test_an_encoder_of_hamiltonians_starts_a_network_of_molecules(molecules, tmp_path):
    X = molecules[:6]
    y = TwoCentreTables.load().hamiltonians(X)
    options = {"n_hidden": 8, "n_layers": 1, "n_heads": 2, "cutoff": 3.0, "random_state": 0}
    model = q.HamiltonianRegressor("overlap", n_channels=2, max_epochs=1, **options)
    model.set_params(n_members=2).fit(X, y)
    encoder = model.save_encoder(tmp_path / "h.safetensors", card={"by": "me"})
    assert encoder.targets == {"hamiltonian": "eV"} and encoder.kind == "molecules"
    gaps = q.GotenNetRegressor(**options, max_epochs=1, pretrained=encoder, freeze=True)
    gaps.fit(X, X.labels["e_g_ev"])
    assert gaps.pretrained_report_["skipped"] == []
    first = model.net_.module_.members[0]
    for name, weight in encoder_of(gaps)[0].items():
        assert (weight == first.get_parameter(name).detach().numpy()).all(), name
    with pytest.raises(ValueError, match="n_degrees=2, not 1"):
        gaps.set_params(n_degrees=1).fit(X, X.labels["e_g_ev"])


def test_what_molecules_do_not_have_is_skipped_and_said():
    """With descriptions of zero the features of both networks are equal."""
    torch.manual_seed(0)
    shared = {"n_hidden": 8, "n_layers": 2, "n_heads": 2}
    one = torch.ones(2, 2)
    source = HamiltonianGotenNet(
        10, [0, 1], one, one, 1.0, [1.0, 2.0], [0.5], n_channels=2, **shared
    )  # fmt: skip
    found = {}
    features = source.core.features

    def listening(*args):
        found["x"], steerable = features(*args)
        return found["x"], steerable

    source.core.features = listening
    weights = {k: v.numpy() for k, v in source.molecule_encoder().items()}
    encoder = Encoder("h", "gotennet", "molecules", {}, ["H", "O"], weights)
    target = MoleculeGotenNet(10, 1, ["sum"], **shared)
    report = _pretrained._start_from(target, encoder)
    pairs = {f"core.{n}.weight.pair" for n in ("neighbour_filter", "embed_edge")}
    described = {f"describe.{i}.{n}" for i in (0, 2) for n in ("weight", "bias")}
    assert set(report["skipped"]) == pairs | described
    batch = {
        "z": torch.tensor([8, 1, 1]), "graph": torch.zeros(3, dtype=torch.int64),
        "positions": torch.tensor([[0.0, 0, 0.1], [0, 0.8, -0.5], [0, -0.8, -0.5]]),
        "charge": torch.tensor([1.0]),
        "edge_index": torch.tensor([[0, 0, 1, 1, 2, 2], [1, 2, 2, 0, 0, 1]]),
    }  # fmt: skip
    source(**batch, atom=torch.zeros(3, 2), pair=torch.zeros(3, 1))
    torch.testing.assert_close(target.encode(**batch), found["x"])
