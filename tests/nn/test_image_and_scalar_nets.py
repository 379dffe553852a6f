"""ViT, PairMLP and PairTransformer: symmetry, what the tokens mean, any table."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from torch import nn

from qcanvas_sklearn import (
    PairDescriptorTransformer,
    PairImageTransformer,
    PairMLPRegressor,
    PairTransformerRegressor,
    ViTRegressor,
)
from qcanvas_sklearn.inputs import InputSpec, PairReader
from qcanvas_sklearn.inputs._elements import standard_descriptors
from qcanvas_sklearn.nn import SwapSymmetric
from qcanvas_sklearn.nn.heads.pair_mlp import PairMLP, symmetric_pool
from qcanvas_sklearn.nn.heads.pair_transformer import (
    EncoderBlock,
    PairTransformer,
    ScalarTokens,
)
from qcanvas_sklearn.nn.heads.vit import PairViT, PatchEmbedding

SHARED = {"n_elements": 103, "descriptors": standard_descriptors(), "n_atom": 3,
          "n_pair": 3, "n_hidden": 16}  # fmt: skip
NETWORKS = {
    "vit": (PairViT, {**SHARED, "n_channels": 3, "patch_size": 4}, ("image",)),
    "pair_mlp": (PairMLP, SHARED, ("vector",)),
    "pair_transformer": (PairTransformer, SHARED, ()),
}
TINY = {"n_hidden": 16, "max_epochs": 2, "random_state": 0}
MODELS = {
    "vit": ViTRegressor(n_layers=1, **TINY),
    "pair_mlp": PairMLPRegressor(n_blocks=1, **TINY),
    "pair_transformer": PairTransformerRegressor(n_layers=1, **TINY),
}


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def inputs_for(names, n=5):
    z = torch.randint(1, 100, (n, 2), generator=torch.Generator().manual_seed(0))
    every = {"z": z, "atom": normal(n, 2, 3), "pair": normal(n, 3, seed=1),
             "vector": normal(n, 3, seed=2), "image": normal(n, 3, 8, 8, seed=3)}  # fmt: skip
    every["image"][..., 0] = 0  # the column that has no mirror image
    return {name: every[name] for name in ("z", "atom", "pair", *names)}


def randomize(module):
    """Weights that are drawn, so that terms which start at zero take part."""
    torch.manual_seed(0)
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.2)
    return module.double().eval()


def build(name, parity):
    network, params, extra = NETWORKS[name]
    mirrored = [True, False, True] if "image" in extra else []
    model = SwapSymmetric(network, {**params, "n_outputs": len(parity)}, parity, mirrored)
    return randomize(model), inputs_for(extra)


def swap_by_hand(inputs, mirrored=(0, 2)):
    swapped = {**inputs, "z": inputs["z"][:, [1, 0]], "atom": inputs["atom"][:, [1, 0]]}
    if "image" in inputs:
        image, columns = inputs["image"].clone(), list(range(1, 8))
        for channel in mirrored:
            image[:, channel, :, 1:] = inputs["image"][:, channel, :, columns[::-1]]
        swapped["image"] = image
    return swapped


# Symmetry -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_even_or_odd_under_exchange_of_the_atoms(name):
    model, inputs = build(name, [1, -1, 1])
    out, swapped = model(**inputs), model(**swap_by_hand(inputs))
    torch.testing.assert_close(swapped, out * torch.tensor([1.0, -1.0, 1.0]))
    assert (out.abs() > 1e-6).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_an_odd_output_vanishes_for_a_homonuclear_pair(name):
    model, inputs = build(name, [-1])
    inputs["z"][:, 1] = inputs["z"][:, 0]
    inputs["atom"][:, 1] = inputs["atom"][:, 0]
    if "image" in inputs:
        inputs["image"] = (inputs["image"] + swap_by_hand(inputs)["image"]) / 2
    torch.testing.assert_close(model(**inputs), torch.zeros(5, 1, dtype=torch.float64))


@pytest.mark.parametrize("name", NETWORKS)
def test_unknown_parity_tells_the_atoms_apart(name):
    model, inputs = build(name, [0])
    torch.testing.assert_close(model(**inputs), model.network(**inputs))
    assert not torch.allclose(model(**swap_by_hand(inputs)), model(**inputs))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_row_does_not_depend_on_its_neighbours(name):
    model, inputs = build(name, [1])
    alone = torch.cat([model(**{k: v[i : i + 1] for k, v in inputs.items()}) for i in range(5)])
    torch.testing.assert_close(model(**inputs), alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_input_and_every_weight_matters(name):
    model, inputs = build(name, [0])
    for tensor in (tensor for key, tensor in inputs.items() if key != "z"):
        tensor.requires_grad_()
    model(**inputs).sum().backward()
    for key, tensor in inputs.items():
        assert key == "z" or (tensor.grad != 0).any(), key
    for key, weight in model.named_parameters():
        assert (weight.grad != 0).any(), key


def test_pooling_is_symmetric_and_still_tells_pairs_apart():
    a, b = normal(4, 6), normal(4, 6, seed=1)
    pooled = symmetric_pool(a, b)
    assert pooled.shape == (4, 24)
    torch.testing.assert_close(symmetric_pool(b, a), pooled)
    # Exchanging one feature alone is another pair with the same sum and difference.
    c, d = a.clone(), b.clone()
    c[:, 0], d[:, 0] = b[:, 0], a[:, 0]
    torch.testing.assert_close(symmetric_pool(c, d), pooled)
    assert not torch.allclose(symmetric_pool(a, a + b), pooled)


def test_the_parts_of_the_pair_mlp_are_even_and_odd():
    model, inputs = build("pair_mlp", [0])
    network, swapped = model.network, swap_by_hand(inputs)
    with torch.no_grad():
        network.own.additive.weight.zero_()
        network.own.response.weight.zero_()
        network.odd.weight.zero_()
        torch.testing.assert_close(network(**swapped), network(**inputs))
        nn.init.normal_(network.odd.weight)
        network.even.weight.zero_()
        network.even.bias.zero_()
        torch.testing.assert_close(network(**swapped), -network(**inputs))


def test_the_pair_mlp_sees_only_the_length_of_the_bond():
    model, inputs = build("pair_mlp", [0])
    out = model(**inputs)
    turned = {**inputs, "vector": inputs["vector"][:, [1, 2, 0]]}
    longer = {**inputs, "vector": 1.1 * inputs["vector"]}
    torch.testing.assert_close(model(**turned), out)
    assert not torch.allclose(model(**longer), out)


# Tokens ---------------------------------------------------------------------------------


def test_encoder_block_equals_that_of_torch():
    theirs = nn.TransformerEncoderLayer(
        12, 3, 24, dropout=0.0, activation="gelu", norm_first=True, batch_first=True
    ).double()
    ours = EncoderBlock(12, 3).double()
    attention = theirs.self_attn
    pairs = [
        (ours.norm_attention, theirs.norm1), (ours.project, attention.out_proj),
        (ours.norm_update, theirs.norm2), (ours.update[0], theirs.linear1),
        (ours.update[2], theirs.linear2),
    ]  # fmt: skip
    with torch.no_grad():
        for mine, other in pairs:
            mine.load_state_dict(other.state_dict())
        ours.query_key_value.weight.copy_(attention.in_proj_weight)
        ours.query_key_value.bias.copy_(attention.in_proj_bias)
    x = normal(4, 7, 12)
    torch.testing.assert_close(ours(x), theirs(x))
    ours.n_read = 2
    torch.testing.assert_close(ours(x), theirs(x)[:, :2])


def test_patches_may_be_permuted_together_with_their_positions():
    model, inputs = build("vit", [0])
    out, embedding = model(**inputs), model.network.patches
    top, bottom = inputs["image"].split(4, dim=2)
    flipped = {**inputs, "image": torch.cat([bottom, top], dim=2)}
    assert not torch.allclose(model(**flipped), out)
    with torch.no_grad():
        embedding.row[:2] = embedding.row[[1, 0]]
    torch.testing.assert_close(model(**flipped), out)


@pytest.mark.parametrize("size, n_patches", [(8, 4), (9, 9), (3, 1), (12, 9)])
def test_an_image_is_cut_into_patches_of_its_own(size, n_patches):
    embedding = randomize(PatchEmbedding(2, 4, 16))
    image = normal(1, 2, size, size)
    tokens = embedding(image)
    assert tokens.shape == (1, n_patches, 16)
    image[..., size - 1, size - 1] += 1  # the last pixel belongs to the last patch alone
    changed = (embedding(image) != tokens).any(dim=-1)[0]
    assert changed.tolist() == [False] * (n_patches - 1) + [True]


def test_too_many_patches_are_refused():
    with pytest.raises(ValueError, match="patch_size=1 cuts images of 65 pixels into 65"):
        PatchEmbedding(1, 1, 4)(torch.zeros(1, 1, 65, 65))


@pytest.mark.parametrize("n_scalars, n_tokens", [(0, 0), (1, 1), (4, 4), (5, 3), (8, 4)])
def test_scalars_share_tokens_where_there_are_many(n_scalars, n_tokens):
    tokens = randomize(ScalarTokens(n_scalars, 6, 4))
    x = normal(2, n_scalars)
    out = tokens(x)
    assert out.shape == (2, n_tokens, 6)
    if n_scalars:
        x[:, -1] += 1
        changed = (tokens(x) != out).any(dim=-1)
        assert changed[:, -1].all() and not changed[:, :-1].any()


def test_an_amplitude_token_holds_its_values_on_both_atoms():
    model, inputs = build("pair_transformer", [0])
    seen = []
    model.network.amplitudes.register_forward_hook(lambda *args: seen.append(args[2]))
    model(**inputs)
    inputs["atom"][:, 1, 2] += 1
    model(**inputs)
    changed = (seen[0] != seen[1]).any(dim=-1)
    assert changed.tolist() == [[False, False, True]] * 5


# Estimators -----------------------------------------------------------------------------


@pytest.fixture(params=MODELS)
def model(request):
    return clone(MODELS[request.param])


@pytest.mark.parametrize(
    "params",
    [{"image_size": 32}, {"image_size": 7}, {"image_size": 8, "channels": [0, 5]},
     {"include": ["atoms"]}, {"include": ["atoms", "orbitals", "charges"]},
     {"include": ["image"], "image_size": 5}],
)  # fmt: skip
def test_any_image_and_any_blocks(model, params, few_pairs):
    table = PairImageTransformer(**params).fit_transform(few_pairs[0])
    y = few_pairs[1]["e_g_ev"]
    assert np.isfinite(model.fit(table, y).predict(table)).all()


def test_plain_tables(model, few_pairs):
    table = PairDescriptorTransformer().fit_transform(few_pairs[0])
    y = few_pairs[1]["e_g_ev"]
    assert np.isfinite(model.fit(table, y).predict(table)).all()
    narrow = table[:, :1]
    assert np.isfinite(model.fit(narrow, y).predict(narrow)).all()


def test_all_targets_with_a_direction_among_them(model, few_pairs):
    X, y = few_pairs
    model.fit(X, y)
    predictions = pd.DataFrame(model.predict(X), columns=y.columns)
    homonuclear = X["element_1"] == X["element_2"]
    assert np.isfinite(predictions).all(axis=None)
    assert predictions.loc[homonuclear, "dipole_z_d"].abs().max() < 0.05 * (
        predictions["dipole_z_d"].abs().max()
    )


@pytest.mark.parametrize("name", ["pair_mlp", "pair_transformer"])
def test_pairs_are_read_with_their_orbitals_and_without_images(name, few_pairs):
    X, y = few_pairs[0], few_pairs[1]["e_g_ev"]
    table = PairImageTransformer(include=("atoms", "orbitals")).fit_transform(X)
    model = clone(MODELS[name])
    from_pairs = model.fit(X, y).predict(X)
    assert model.reader_.layout_.include == ("atoms", "orbitals")
    assert np.array_equal(model.fit(table, y).predict(table), from_pairs)


def test_populations_are_those_less_the_free_atoms(few_pairs):
    X = few_pairs[0]
    blocks = ("atoms", "orbitals", "charges")
    transformer = PairImageTransformer(include=blocks, dtype="float64")
    table = transformer.fit_transform(X)
    views = transformer.unpack(table)
    before = table.copy()
    model = clone(MODELS["pair_mlp"])
    spec = InputSpec(("z", "atom"), ("atoms", "orbitals"), relative_populations=True)
    inputs = PairReader(spec).fit(model, table).arrays
    population, charge, shells = np.split(inputs["atom"][..., :6], [1, 2], axis=-1)
    # A neutral atom has the free atom's electrons; a charge is what it has lost.
    np.testing.assert_allclose(population, -charge, atol=1e-5)
    np.testing.assert_allclose(shells.sum(axis=-1, keepdims=True), population, atol=1e-5)
    assert np.array_equal(charge[..., 0], views["charge"]) and np.array_equal(table, before)


@pytest.mark.parametrize(
    "name, params, message",
    [
        ("vit", {"patch_size": 0}, "patch_size"),
        ("vit", {"n_heads": 3}, "n_heads=3 does not divide"),
        ("pair_transformer", {"n_heads": 5}, "n_heads=5 does not divide"),
        ("pair_mlp", {"n_blocks": 0}, "n_blocks"),
        ("pair_mlp", {"dropout": 1.0}, "dropout"),
    ],
)
def test_bad_parameters_are_named(name, params, message, regression_table):
    with pytest.raises(ValueError, match=message):
        clone(MODELS[name]).set_params(**params).fit(*regression_table)


def test_descriptors_are_standardised_and_complete():
    table = standard_descriptors()
    assert table.shape[0] == 104 and table.shape[1] > 8 and np.isfinite(table).all()
    assert (table[0] == 0).all()
    np.testing.assert_allclose(table[1:, :-1].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(table[1:, :-1].std(axis=0), 1, atol=1e-5)


def test_the_last_descriptor_tells_open_shells():
    # H, He, Li, C, N, Fe, Cu, Lu
    parity = standard_descriptors()[[1, 2, 3, 6, 7, 26, 29, 71], -1]
    assert parity.tolist() == [-1, 1, -1, 1, -1, 1, -1, -1]


def test_atoms_respond_to_their_scalars_each_in_the_way_of_its_element():
    model, inputs = build("pair_mlp", [0])
    network = model.network
    with torch.no_grad():
        nn.init.normal_(network.own.response.weight)
        network.own.additive.weight.zero_()
        network.log_gain.fill_(-torch.inf)
        rows = torch.arange(len(inputs["z"]))
        own = network(**inputs)
        doubled = network(**{**inputs, "atom": inputs["atom"] * 2})
        zero = network(**{**inputs, "atom": inputs["atom"] * 0})
        torch.testing.assert_close(doubled - own, own - zero)
        moved = {**inputs, "pair": inputs["pair"] + 1, "vector": inputs["vector"] * 2}
        torch.testing.assert_close(network(**moved), own)
        other = network(**{**inputs, "z": inputs["z"][rows.flip(0)]})
        assert not torch.allclose(other, own)


@pytest.mark.parametrize("kind", [ViTRegressor, PairMLPRegressor, PairTransformerRegressor])
def test_networks_of_default_size(kind, few_pairs):
    model = kind(max_epochs=1).fit(few_pairs[0][:20], few_pairs[1][:20])
    assert 2e5 < model.n_parameters_ < 5e5
