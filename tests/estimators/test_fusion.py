"""Fusion of a graph network and an image network."""

import itertools

import joblib
import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from qcanvas_sklearn import load_pairs
from qcanvas_sklearn.estimators._fusion import FusionClassifier, FusionRegressor
from qcanvas_sklearn.inputs._elements import standard_descriptors
from qcanvas_sklearn.nn import SwapSymmetric
from qcanvas_sklearn.nn.heads.fusion import (
    FUSIONS,
    GRAPHS,
    IMAGES,
    CrossAttention,
    FiLM,
    GatedFusion,
    LateFusion,
    PairFusion,
)
from qcanvas_sklearn.nn.symmetry import swap_atoms

PARAMS = {
    "n_elements": 103, "descriptors": standard_descriptors(), "n_atom": 3,
    "n_pair": 3, "n_channels": 3, "n_outputs": 1, "n_hidden": 16,
    "n_layers": 1,
}  # fmt: skip
MIRRORED = [True, False, True]
TINY = {"n_hidden": 16, "n_layers": 1, "max_epochs": 1, "random_state": 0}
COMBINATIONS = list(itertools.product(GRAPHS, IMAGES, FUSIONS))
IMAGE_AND_FUSION = list(itertools.product(IMAGES, FUSIONS))
#: Not their product, but every branch and every rule.
EACH = [("schnet", *rest) for rest in IMAGE_AND_FUSION]
EACH += [(graph, "cnn", "late") for graph in GRAPHS if graph != "schnet"]


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def inputs_for(n=5):
    z = torch.randint(1, 100, (n, 2), generator=torch.Generator().manual_seed(0))
    image = normal(n, 3, 8, 8, seed=3)
    image[..., 0] = 0  # the column that has no mirror image
    return {"z": z, "atom": normal(n, 2, 3), "pair": normal(n, 3, seed=1),
            "vector": normal(n, 3, seed=2), "image": image}  # fmt: skip


def build(seed=0, **params):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return PairFusion(**{**PARAMS, **params}).double().eval()


# Branches -------------------------------------------------------------------------------


@pytest.mark.parametrize("graph, image, fusion", COMBINATIONS)
def test_gradients_reach_every_weight_of_both_branches(graph, image, fusion):
    model, inputs = build(graph=graph, image=image, fusion=fusion, n_layers=2), inputs_for()
    out = model.train()(**inputs)
    out.square().sum().backward()
    assert out.shape == (5, 1) and out.dtype == torch.float64
    for name, weight in model.named_parameters():
        assert weight.grad is not None and torch.isfinite(weight.grad).all(), name
    for branch in (model.graph, model.image):
        assert all((weight.grad != 0).any() for weight in branch.parameters())


@pytest.mark.parametrize("image, fusion", IMAGE_AND_FUSION)
def test_the_content_of_the_image_matters(image, fusion):
    model, inputs = build(image=image, fusion=fusion), inputs_for()
    out = model(**inputs)
    # The same pixels in another place: pooled channels alone would not tell.
    rolled = model(**{**inputs, "image": inputs["image"].roll(3, dims=-1)})
    assert ((rolled - out).abs() > 1e-7).all()
    assert not torch.allclose(model(**{**inputs, "vector": 1.1 * inputs["vector"]}), out)


@pytest.mark.parametrize("image, fusion", IMAGE_AND_FUSION)
def test_the_direction_of_the_bond_does_not_matter(image, fusion):
    model, inputs = build(graph="egnn", image=image, fusion=fusion), inputs_for()
    rotation = torch.linalg.qr(normal(3, 3))[0]
    turned = {**inputs, "vector": inputs["vector"] @ rotation.T}
    torch.testing.assert_close(model(**turned), model(**inputs), rtol=0, atol=1e-10)


@pytest.mark.parametrize("image, fusion", IMAGE_AND_FUSION)
def test_outputs_are_even_or_odd_under_exchange_of_the_atoms(image, fusion):
    params = {**PARAMS, "n_outputs": 2, "image": image, "fusion": fusion}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SwapSymmetric(PairFusion, params, [1, -1], MIRRORED).double().eval()
    inputs = inputs_for()
    out = model(**inputs)
    swapped = model(**swap_atoms(inputs, torch.tensor(MIRRORED)))
    torch.testing.assert_close(swapped, out * torch.tensor([1.0, -1.0]))
    assert (out[:, 1].abs() > 1e-6).all()
    inputs["z"], inputs["atom"] = (inputs[name][:, [0, 0]] for name in ("z", "atom"))
    swapped = swap_atoms(inputs, torch.tensor(MIRRORED))["image"]
    inputs["image"] = (inputs["image"] + swapped) / 2
    homonuclear = model(**inputs)[:, 1]
    torch.testing.assert_close(homonuclear, torch.zeros_like(homonuclear))


@pytest.mark.parametrize("image, fusion", IMAGE_AND_FUSION)
def test_a_row_does_not_depend_on_its_neighbours(image, fusion):
    model, inputs = build(image=image, fusion=fusion), inputs_for()
    alone = torch.cat([model(**{k: v[i : i + 1] for k, v in inputs.items()}) for i in range(5)])
    # Convolutions stay in single precision, and round by the size of the batch.
    torch.testing.assert_close(model(**inputs), alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("graph", GRAPHS)
def test_without_an_image_the_graph_network_is_left(graph):
    model, inputs = build(graph=graph, n_channels=0), inputs_for()
    del inputs["image"]
    names = ("n_elements", "n_atom", "n_pair", "n_outputs", "n_hidden", "n_layers")
    lone = GRAPHS[graph](**{name: PARAMS[name] for name in names}).double().eval()
    lone.load_state_dict({**model.graph.state_dict(), **{
        f"readout.{name}": weight for name, weight in model.readout.state_dict().items()
    }})  # fmt: skip
    torch.testing.assert_close(model(**inputs), lone(**inputs))


@pytest.mark.parametrize("graph, image, fusion", EACH)
@pytest.mark.filterwarnings("error:There is a performance drop:UserWarning")
def test_stacked_members_equal_a_loop(graph, image, fusion):
    members = [build(seed, graph=graph, image=image, fusion=fusion) for seed in range(2)]
    inputs = inputs_for()
    weights, buffers = stack_module_state(members)

    def member(weights, buffers):
        return functional_call(members[0], (weights, buffers), kwargs=inputs)

    stacked = vmap(member)(weights, buffers)
    expected = torch.stack([model(**inputs) for model in members])
    torch.testing.assert_close(stacked, expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(expected[0], expected[1])


# Rules ----------------------------------------------------------------------------------

ATOMS, FEATURES, TOKENS = normal(4, 2, 8), normal(4, 6, seed=1), normal(4, 5, 12, seed=2)


def test_late_fusion_lays_both_side_by_side():
    out = LateFusion(8, 6)(ATOMS, FEATURES, TOKENS)
    expected = torch.cat([ATOMS[:, 0], ATOMS[:, 1], FEATURES], dim=1)
    assert torch.equal(out, expected)


def test_film_scales_and_shifts_the_features_of_both_atoms():
    film = FiLM(8, 6).double()
    out = film(ATOMS, FEATURES, TOKENS).view(4, 2, 8)
    weight, bias = film.modulation.weight, film.modulation.bias
    for row, atom in itertools.product(range(4), range(2)):
        gamma_beta = weight @ FEATURES[row] + bias
        expected = ATOMS[row, atom] * (1 + gamma_beta[:8]) + gamma_beta[8:]
        torch.testing.assert_close(out[row, atom], expected)
    with torch.no_grad():
        weight.zero_(), bias.zero_()
    assert torch.equal(film(ATOMS, FEATURES, TOKENS), ATOMS.flatten(1))


def attend(model, atoms, tokens):
    """Cross-attention of one atom, head by head."""
    attention, n_heads = model.attention, model.attention.num_heads
    query, key, value = attention.in_proj_bias.chunk(3)
    query = attention.q_proj_weight @ model.norm_atoms(atoms) + query
    key = tokens @ attention.k_proj_weight.T + key
    value = tokens @ attention.v_proj_weight.T + value
    heads = []
    for q, k, v in zip(*(x.chunk(n_heads, dim=-1) for x in (query, key, value)), strict=True):
        weight = torch.softmax(k @ q / len(q) ** 0.5, dim=0)
        heads.append(weight @ v)
    return atoms + attention.out_proj(torch.cat(heads))


def test_atoms_attend_to_every_token():
    model = CrossAttention(8, 6, 12, n_heads=2).double()
    nn.init.normal_(model.attention.in_proj_bias)
    atoms, features = model(ATOMS, FEATURES, TOKENS).split([16, 6], dim=1)
    assert torch.equal(features, FEATURES)
    for row, atom in itertools.product(range(4), range(2)):
        expected = attend(model, ATOMS[row, atom], model.norm_tokens(TOKENS[row]))
        torch.testing.assert_close(atoms.view(4, 2, 8)[row, atom], expected)


def test_tokens_that_are_all_alike_leave_attention_no_choice():
    model = CrossAttention(8, 6, 12, n_heads=2).double()
    token = normal(4, 1, 12)
    outs = [model(ATOMS, FEATURES, token.expand(-1, n, -1)) for n in (1, 7)]
    torch.testing.assert_close(outs[1], outs[0])
    # What is added is the value alone, whichever atom asks.
    added = (outs[0][:, :16] - ATOMS.flatten(1)).view(4, 2, 8)
    torch.testing.assert_close(added[:, 0], added[:, 1])
    other = model(ATOMS, FEATURES, normal(4, 1, 12, seed=3))
    assert not torch.allclose(other, outs[0])


def test_the_order_of_tokens_does_not_matter_to_cross_attention():
    model = CrossAttention(8, 6, 12, n_heads=2).double()
    out = model(ATOMS, FEATURES, TOKENS)
    torch.testing.assert_close(model(ATOMS, FEATURES, TOKENS.flip(1)), out)


def test_attention_without_an_update_is_late_fusion():
    model = CrossAttention(8, 6, 12, n_heads=2).double()
    nn.init.zeros_(model.attention.out_proj.weight)
    late = LateFusion(8, 6)(ATOMS, FEATURES, TOKENS)
    assert torch.equal(model(ATOMS, FEATURES, TOKENS), late)


@pytest.mark.parametrize("bias, source", [(1e4, "graph"), (-1e4, "image")])
def test_a_saturated_gate_lets_one_branch_through(bias, source):
    model = GatedFusion(8, 6).double()
    nn.init.constant_(model.gate.bias, bias)
    layer = {"graph": model.graph, "image": model.image}[source]
    inputs = {"graph": ATOMS.flatten(1), "image": FEATURES}[source]
    expected = torch.tanh(inputs @ layer.weight.T + layer.bias)
    torch.testing.assert_close(model(ATOMS, FEATURES, TOKENS), expected)


def test_an_open_gate_mixes_both_in_equal_parts():
    model = GatedFusion(8, 6).double()
    nn.init.zeros_(model.gate.weight), nn.init.zeros_(model.gate.bias)
    graph, image = model.graph(ATOMS.flatten(1)).tanh(), model.image(FEATURES).tanh()
    torch.testing.assert_close(model(ATOMS, FEATURES, TOKENS), (graph + image) / 2)
    nn.init.normal_(model.gate.weight)
    gate = torch.sigmoid(torch.cat([ATOMS.flatten(1), FEATURES], dim=1) @ model.gate.weight.T)
    torch.testing.assert_close(model(ATOMS, FEATURES, TOKENS), image + gate * (graph - image))


# Regressor ------------------------------------------------------------------------------


@pytest.mark.parametrize("image, fusion", IMAGE_AND_FUSION)
def test_images_pairs_and_plain_tables_are_learned_from(
    image, fusion, few_images, few_pairs, regression_table
):
    model = FusionRegressor(image=image, fusion=fusion, **TINY)
    X, y = few_images[:64], few_pairs[1]["total_energy_ev"][:64]
    tables = [(X, y), (X[:, :5], y), regression_table]
    for X, target in tables:
        assert np.isfinite(model.fit(X, target).predict(X)).all()
    assert model.predict(X).shape == (60,)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"graph": "gcn"}, r"graph='gcn' is not one of \['dimenet', 'egnn', 'faenet', 'gat"),
        ({"image": None}, r"image=None is not one of \['cnn', 'vit'\]"),
        ({"fusion": "early"}, "fusion='early' is not one of .*'cross_attention', 'film', 'g"),
        ({"n_heads": 3}, "n_heads=3 does not divide n_hidden=16"),
        ({"n_layers": 0}, "n_layers"),
    ],
)
def test_bad_parameters_are_named(params, message, regression_table):
    with pytest.raises(ValueError, match=message):
        FusionRegressor(**TINY).set_params(**params).fit(*regression_table)


def test_a_grid_search_chooses_the_fusion(few_images, few_pairs):
    model = FusionRegressor(unseen_elements="allow", **TINY)
    grid = {"fusion": ["late", "gated"]}
    search = GridSearchCV(model, grid, cv=2, scoring="neg_mean_absolute_error")
    search.fit(few_images[:40], few_pairs[1]["total_energy_ev"][:40])
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all() and scores[0] != scores[1]


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_saved_model_predicts_the_same(fusion, few_images, few_pairs, tmp_path):
    X, y = few_images[:64], few_pairs[1][:64]
    model = FusionRegressor(image="vit", fusion=fusion, **TINY).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    assert np.array_equal(joblib.load(tmp_path / "model.joblib").predict(X), model.predict(X))


def test_classes_are_learned_too(few_images, few_pairs):
    X, y = few_images[:64], few_pairs[1]["total_energy_ev"][:64]
    model = FusionClassifier(fusion="gated", **TINY).fit(X, y > y.median())
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)


def test_members_of_an_ensemble_are_fused_alike(few_images, few_pairs):
    X, y = few_images[:64], few_pairs[1]["total_energy_ev"][:64]
    model = FusionRegressor(fusion="cross_attention", n_members=2, dropout=0.1, **TINY)
    model.set_params(unseen_elements="allow").fit(X, y)
    assert np.isfinite(model.predict(X)).all()


def test_atoms_in_either_order_get_the_same_prediction(few_pairs):
    X, y = few_pairs[0].to_numpy()[:40], few_pairs[1]["total_energy_ev"][:40]
    model = FusionRegressor(fusion="cross_attention", **TINY).fit(X, y)
    assert np.array_equal(model.predict(X), model.predict(X[:, ::-1]))


def test_the_default_network_has_the_size_that_it_is_known_for(few_pairs):
    X, y = few_pairs[0][:40], few_pairs[1]["total_energy_ev"][:40]
    assert 0.3e6 < FusionRegressor(max_epochs=1).fit(X, y).n_parameters_ < 0.5e6


def test_32_pairs_can_be_learned_by_heart():
    X, y = load_pairs(target="e_homo_ev", return_X_y=True)
    X, y = X.iloc[::89][:32], y.iloc[::89][:32]
    model = FusionRegressor(fusion="gated", max_epochs=100, weight_decay=0, random_state=0)
    error = np.abs(model.fit(X, y).predict(X) - y).mean()
    assert error < 0.05 * y.std()
