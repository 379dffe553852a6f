"""The terms of the atoms: linear in populations, even or odd, learned by every family."""

import numpy as np
import pytest
import torch
from _models import MODELS
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn

from qcanvas_sklearn import GATv2Regressor, PairImageTransformer, load_pairs
from qcanvas_sklearn.elements import valence_orbital_populations
from qcanvas_sklearn.nn.heads import PairMLP
from qcanvas_sklearn.nn.heads._atom_terms import AtomTerms, ReadOut, with_channel_means
from qcanvas_sklearn.nn.layers import Atoms, atom_features, bare_atoms
from qcanvas_sklearn.training import evaluation_module

N_ATOM = 3


@pytest.fixture(params=MODELS)
def model(request):
    return clone(MODELS[request.param])


def fitted_network(model, few_pairs, targets=("total_energy_ev", "dipole_z_d")):
    """A network with terms that are not zero, and five pairs of two elements each."""
    X, y = few_pairs[0][:40], few_pairs[1][list(targets)][:40]
    unequal = X[X["element_1"] != X["element_2"]][:5]
    model.set_params(max_epochs=1).fit(X, y)
    module = evaluation_module(model.net_, torch.device("cpu"))
    torch.manual_seed(0)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, AtomTerms):
                for weight in part.parameters():
                    nn.init.normal_(weight, std=0.3)
    arrays = model.reader_.read(model, unequal).drawn().arrays
    inputs = {name: torch.as_tensor(array) for name, array in arrays.items()}
    return module, {
        name: value if name == "z" else value.double() for name, value in inputs.items()
    }


def silence(module):
    """Take everything but the terms of the atoms out of the outputs."""
    for part in module.modules():
        if isinstance(part, ReadOut):
            last = [part.interaction[-1]]
        else:
            last = [part.even, part.odd] if isinstance(part, PairMLP) else []
        for weight in (weight for layer in last for weight in layer.parameters()):
            nn.init.zeros_(weight)


def test_every_family_has_terms_of_its_atoms(model, few_pairs):
    module, _ = fitted_network(model, few_pairs)
    terms = [part for part in module.modules() if isinstance(part, AtomTerms)]
    assert len(terms) == 1 and terms[0].n_atom > 0
    # Attention does better on whole populations, every other family on departures.
    assert model._spec.relative_populations is not isinstance(model, GATv2Regressor)


def test_without_the_interaction_outputs_are_linear_in_populations(model, few_pairs):
    module, inputs = fitted_network(model, few_pairs)

    def outputs(factor):
        return module(**{**inputs, "atom": inputs["atom"] * factor})

    def curvature():
        return (outputs(2) - 2 * outputs(1) + outputs(0)).abs().max().item()

    with torch.no_grad():
        assert curvature() > 1e-9
        silence(module)
        slope = outputs(1) - outputs(0)
        assert curvature() < 1e-12 * slope.abs().max()
        assert (slope[:, 0].abs() > 1e-6).all()


def test_a_population_counts_in_the_way_of_its_element(model, few_pairs):
    module, inputs = fitted_network(model, few_pairs)
    silence(module)
    with torch.no_grad():
        slope = module(**inputs) - module(**{**inputs, "atom": inputs["atom"] * 0})
        others = {**inputs, "z": inputs["z"] % 80 + 1}
        other = module(**others) - module(**{**others, "atom": inputs["atom"] * 0})
    assert ((slope - other).abs() > 1e-6).all()


def test_outputs_with_terms_are_even_or_odd_to_the_last_bit(model, few_pairs):
    module, inputs = fitted_network(model, few_pairs)
    swapped = {**inputs, "z": inputs["z"].flip(1), "atom": inputs["atom"].flip(1)}
    if "image" in inputs:
        image = inputs["image"]
        mirror = image.flip(-1).roll(1 - image.shape[-1] % 2, dims=-1)
        swapped["image"] = torch.where(module.mirrored[:, None, None], mirror, image)
    with torch.no_grad():
        out, other = module(**inputs), module(**swapped)
    assert torch.equal(other, out * torch.tensor([1.0, -1.0]))
    assert (out.abs() > 1e-6).all()


class TermsAlone(Callback):
    """Let nothing but the terms of the atoms learn."""

    def on_train_begin(self, net, **kwargs):
        silence(net.module_)
        for name, weight in net.module_.named_parameters():
            weight.requires_grad_(".own." in name)


def test_the_terms_learn_what_elements_and_their_electrons_are_worth(model):
    X = load_pairs(return_X_y=True)[0].iloc[::3]
    transformer = PairImageTransformer(image_size=8).set_output(transform="pandas")
    table = transformer.fit_transform(X)
    worth, price = np.random.default_rng(0).normal(size=(2, 104))
    y = 0
    for atom in "ab":
        z = table[f"z_{atom}"].to_numpy(int)
        free = valence_orbital_populations(z).sum(axis=-1)
        y = y + worth[z] + price[z] * (table[f"population_{atom}"].to_numpy() - free)
    fit, test = np.arange(len(X)) % 5 > 0, np.arange(len(X)) % 5 == 0
    model.set_params(max_epochs=60, lr=0.1, batch_size=128, callbacks=[TermsAlone()])
    model.set_params(parity=1, unseen_elements="allow").fit(table[fit], y[fit])
    assert model.score(table[test], y[test]) > 0.97


def test_a_plain_table_has_no_atoms_whose_scalars_could_count(model, regression_table):
    X, y = regression_table
    model.set_params(max_epochs=40, lr=0.01)
    assert model.fit(X, y).score(X, y) > 0.7
    terms = [p for p in model.net_.module_.modules() if isinstance(p, AtomTerms)]
    assert [part.n_atom for part in terms] == [0]
    assert not hasattr(terms[0], "response")


def test_terms_equal_their_formula():
    torch.manual_seed(0)
    terms = AtomTerms(3, 2, 3, 5, 6, n_descriptors=1).double()
    for weight in terms.parameters():
        nn.init.normal_(weight)
    z, described = torch.randint(0, 4, (7, 2)), torch.randn(7, 2, 1).double()
    scalars, pair = torch.randn(7, 2, 2).double(), torch.randn(7, 3).double()
    element = atom_features(z, described, 3)
    features = torch.cat([element, scalars], dim=-1)
    found = terms(Atoms(z, described, scalars, features), pair)
    additive, response = terms.additive.weight, terms.response.weight
    expected = pair @ additive[:, 12:].T
    for k in range(2):
        own = torch.cat([element[:, k], scalars[:, k]], dim=-1)
        expected = expected + own @ additive[:, 6 * k : 6 * k + 6].T
        coefficients = element[:, k] @ terms.coefficients.weight.T + terms.coefficients.bias
        products = coefficients * (scalars[:, k] @ terms.scalars.weight.T)
        expected = expected + products @ response[:, 6 * k : 6 * k + 6].T
    torch.testing.assert_close(found, expected)


def test_terms_are_zero_at_first_and_are_added_to_the_dense_network():
    torch.manual_seed(0)
    readout = ReadOut([8, 6, 2], 4, 2, 3)
    read, pair = torch.randn(7, 8), torch.randn(7, 3)
    atoms = bare_atoms(torch.randint(0, 5, (7, 2)), torch.randn(7, 2, 2), 4)
    assert torch.equal(readout(read, atoms, pair), readout.interaction(read))
    nn.init.normal_(readout.own.additive.weight)
    torch.testing.assert_close(
        readout(read, atoms, pair) - readout.interaction(read), readout.own(atoms, pair)
    )


def test_means_of_channels_stand_behind_the_scalars_of_the_pair():
    pair, image = torch.randn(4, 2), torch.randn(4, 3, 5, 5)
    both = with_channel_means(pair, image)
    assert torch.equal(both[:, :2], pair)
    torch.testing.assert_close(both[:, 2:], image.mean(dim=(-1, -2)))
    assert with_channel_means(pair, None) is pair
