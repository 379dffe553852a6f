"""The networks: attention against a reference, symmetry, and what they can represent."""

import numpy as np
import pytest
import torch
from torch_geometric.nn import GATv2Conv

from qcanvas_sklearn.nn import (
    DenseGATv2Conv,
    PairGATv2,
    PairMLP,
    QuantumShellNet,
    SwapSymmetric,
)
from qcanvas_sklearn.nn.symmetry import swap_atoms
from qcanvas_sklearn.rendering import AMPLITUDES_OF_CHANNEL, render

SHARED = {"n_elements": 103, "n_atom": 2, "n_pair": 2, "n_hidden": 16}
NETWORKS = {
    "gatv2": (PairGATv2, {**SHARED, "n_layers": 2}, ("vector",)),
    "quantumshellnet": (
        QuantumShellNet, {**SHARED, "n_channels": 3, "n_filters": 8}, ("image",),
    ),
    "pair_mlp": (
        PairMLP, {**SHARED, "descriptors": np.random.RandomState(0).normal(size=(104, 3))},
        ("vector",),
    ),
}  # fmt: skip


def inputs_for(names, n=5):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    every = {
        "z": torch.randint(1, 100, (n, 2), generator=generator),
        "atom": normal(n, 2, 2), "pair": normal(n, 2),
        "vector": normal(n, 3), "image": normal(n, 3, 8, 8),
    }  # fmt: skip
    every["image"][..., 0] = 0  # the column that has no mirror image
    return {name: every[name] for name in ("z", "atom", "pair", *names)}


def build(name, parity):
    torch.manual_seed(0)
    network, params, extra = NETWORKS[name]
    mirrored = [True, False, True] if "image" in extra else []
    params = {**params, "n_outputs": len(parity)}
    model = SwapSymmetric(network, params, parity, mirrored).double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            if not weight.any():  # terms that start at zero take part too
                weight.normal_(std=0.1)
    return model, inputs_for(extra)


def swap_by_hand(inputs, mirrored=(True, False, True)):
    swapped = dict(inputs)
    for name in ("z", "atom"):
        swapped[name] = inputs[name][:, [1, 0]]
    if "image" in inputs:
        image, size = inputs["image"].clone(), inputs["image"].shape[-1]
        for channel in np.flatnonzero(mirrored):
            for column in range(1, size):
                image[:, channel, :, column] = inputs["image"][:, channel, :, size - column]
        swapped["image"] = image
    return swapped


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_even_or_odd_under_exchange_of_the_atoms(name):
    model, inputs = build(name, [1, -1, 1])
    out, swapped = model(**inputs), model(**swap_by_hand(inputs))
    torch.testing.assert_close(swapped, out * torch.tensor([1.0, -1.0, 1.0]))
    assert (out[:, 1].abs() > 1e-6).all()


@pytest.mark.parametrize("name", ["pair_mlp", "gatv2"])
def test_both_orders_at_once_are_those_one_by_one(name):
    model, inputs = build(name, [1, -1])
    both = model.network.both_orders(**inputs)
    for own, order in zip(both, (inputs, swap_by_hand(inputs)), strict=True):
        torch.testing.assert_close(own, model.network(**order), rtol=1e-12, atol=1e-12)


def test_even_outputs_are_the_mean_of_both_orders():
    model, inputs = build("pair_mlp", [1, 1])
    expected = sum(model.network.both_orders(**inputs)) / 2
    assert (model.network.both_orders(**inputs)[0] - expected).abs().max() > 1e-6
    torch.testing.assert_close(model(**inputs), expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(model(**swap_by_hand(inputs)), model(**inputs))


@pytest.mark.parametrize("name", NETWORKS)
def test_an_odd_output_vanishes_for_a_homonuclear_pair(name):
    model, inputs = build(name, [-1])
    inputs["z"][:, 1] = inputs["z"][:, 0]
    inputs["atom"][:, 1] = inputs["atom"][:, 0]
    if "image" in inputs:
        inputs["image"] = (inputs["image"] + swap_by_hand(inputs)["image"]) / 2
    torch.testing.assert_close(model(**inputs), torch.zeros(5, 1, dtype=torch.float64))


@pytest.mark.parametrize("name", NETWORKS)
def test_unknown_parity_leaves_an_output_alone_and_no_other(name):
    model, inputs = build(name, [0, 1])
    out, swapped = model(**inputs), model(**swap_by_hand(inputs))
    torch.testing.assert_close(out[:, 0], model.network(**inputs)[:, 0])
    assert not torch.allclose(swapped[:, 0], out[:, 0])
    torch.testing.assert_close(swapped[:, 1], out[:, 1])
    torch.testing.assert_close(model.train()(**inputs), out)  # nothing is drawn


@pytest.mark.parametrize("size", [8, 9, 31, 32, 33])
def test_the_mirror_of_an_image_is_the_image_of_the_exchanged_pair(size):
    """For every size but for column 0 of an even one, which has no counterpart."""
    amplitudes = np.random.default_rng(0).uniform(1, 5, size=(4, 16))
    exchanged = amplitudes.copy()
    for columns in AMPLITUDES_OF_CHANNEL:
        exchanged[:, columns] = amplitudes[:, columns][:, ::-1]
    mirrored = [columns.stop - columns.start == 2 for columns in AMPLITUDES_OF_CHANNEL]
    inputs = {
        "z": torch.ones(4, 2, dtype=torch.int64), "atom": torch.ones(4, 2, 1),
        "image": torch.tensor(render(amplitudes, size)),
    }  # fmt: skip
    image = swap_atoms(inputs, torch.tensor(mirrored))["image"]
    first = 1 - size % 2
    expected = torch.tensor(render(exchanged, size))
    torch.testing.assert_close(image[..., first:], expected[..., first:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_training_draws_one_orientation_a_row(name):
    model, inputs = build(name, [-1])
    both = [model.network(**inputs), -model.network(**swap_by_hand(inputs))]
    torch.manual_seed(1)
    drawn = torch.stack([model.train()(**inputs) for _ in range(8)])
    distances = torch.stack([(drawn - one).abs() for one in both])
    assert (distances.min(dim=0).values < 1e-12).all()
    assert ((distances < 1e-12).any(dim=1)).all(), "both orientations occur"


@pytest.mark.parametrize("name", NETWORKS)
def test_a_row_does_not_depend_on_its_neighbours(name):
    model, inputs = build(name, [1])
    alone = torch.cat([model(**{k: v[i : i + 1] for k, v in inputs.items()}) for i in range(5)])
    # Convolutions stay in single precision, and round by the size of the batch.
    tolerance = 1e-6 if "image" in inputs else 1e-12
    torch.testing.assert_close(model(**inputs), alone, rtol=tolerance, atol=tolerance)


def test_dense_attention_equals_torch_geometric():
    torch.manual_seed(0)
    dense = DenseGATv2Conv(6, 4, 2, 3).double()
    sparse = GATv2Conv(
        6, 4, heads=2, edge_dim=3, add_self_loops=True, fill_value="mean"
    ).double()
    with torch.no_grad():
        for ours, theirs in ((dense.source, sparse.lin_l), (dense.target, sparse.lin_r)):
            theirs.weight.copy_(ours.weight), theirs.bias.copy_(ours.bias)
        sparse.lin_edge.weight.copy_(dense.edge.weight)
        sparse.att.copy_(dense.attention[None])
        sparse.bias.copy_(dense.bias)
    x = torch.randn(2, 6, dtype=torch.float64)
    forth, back = torch.randn(2, 3, dtype=torch.float64)  # edges 1 -> 0 and 0 -> 1
    # A self-loop carries the mean of the edges that arrive, here the only one.
    edge = torch.stack([torch.stack([forth, forth]), torch.stack([back, back])])
    out, attention = dense(x[None], edge[None])
    expected = sparse(x, torch.tensor([[1, 0], [0, 1]]), torch.stack([forth, back]))
    torch.testing.assert_close(out[0], expected)
    torch.testing.assert_close(attention.sum(dim=2), torch.ones_like(attention[:, :, 0]))


def test_the_bond_vector_has_opposite_signs_in_the_two_directions():
    model, inputs = build("gatv2", [0])
    edges = model.network.edges(inputs["pair"], inputs["vector"])
    assert edges.shape == (5, 2, 2, 5)
    torch.testing.assert_close(edges[:, 0, :, 2:], -edges[:, 1, :, 2:])
    torch.testing.assert_close(edges[:, 0, :, :2], edges[:, 1, :, :2])


def test_no_element_is_no_embedding():
    model, inputs = build("gatv2", [0])
    inputs["z"][:] = 0
    with torch.no_grad():
        before = model(**inputs)
        model.network.embed.weight[:, :103] += 1.0
    torch.testing.assert_close(model(**inputs), before)
