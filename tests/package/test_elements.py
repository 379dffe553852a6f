"""The table of the elements."""

import numpy as np
import pytest

from qcanvas_sklearn import elements
from qcanvas_sklearn.datasets._bundled import bundled_pairs
from qcanvas_sklearn.elements import (
    MAX_Z,
    SYMBOLS,
    atomic_numbers,
    element_properties,
    property_values,
    symbols,
    valence_orbital_populations,
)


def test_symbols_and_atomic_numbers_invert_each_other():
    z = np.arange(1, MAX_Z + 1)
    assert MAX_Z == 103
    assert atomic_numbers(symbols(z)).tolist() == z.tolist()
    assert symbols(atomic_numbers(SYMBOLS[1:])).tolist() == list(SYMBOLS[1:])
    assert property_values("z")[1:].tolist() == z.tolist()


@pytest.mark.parametrize("shape", [(), (3,), (2, 2), (0,)])
def test_shapes_are_kept(shape):
    z = np.full(shape, 26)
    assert symbols(z).shape == shape
    assert atomic_numbers(symbols(z)).shape == shape
    assert valence_orbital_populations(z).shape == (*shape, 16)


@pytest.mark.parametrize("value", ["ag", "AG", "Xx", "", " Ag", None, np.nan, 47])
def test_what_is_no_symbol_has_atomic_number_0(value):
    assert atomic_numbers(np.array(["Ag", value], dtype=object)).tolist() == [47, 0]


@pytest.mark.parametrize("function", [symbols, valence_orbital_populations])
@pytest.mark.parametrize("value", [0, -1, 104, 1.5, np.nan, "Ag"])
def test_what_is_no_atomic_number_is_named(function, value):
    with pytest.raises(ValueError, match=f"{value} is not an atomic number from 1 to 103"):
        function([value])


def test_unknown_property_is_named():
    with pytest.raises(ValueError, match="unknown element property 'colour'.*'mass_u'"):
        property_values("colour")


@pytest.mark.parametrize("name", list(element_properties()))
def test_every_property_has_unit_source_and_read_only_values(name):
    info, values = element_properties()[name], property_values(name)
    assert info.name == name
    assert info.unit
    assert len(info.source) > 3
    assert values.shape == (MAX_Z + 1,)
    assert np.isnan(values[0])
    assert np.isnan(values[1:]).any() == (name == "electronegativity_pauling")
    with pytest.raises(ValueError, match="read-only"):
        values[6] = 0


@pytest.mark.parametrize(
    ("name", "values", "tolerance"),
    [
        ("period", {"H": 1, "Fe": 4, "U": 7}, 0),
        ("group", {"H": 1, "Fe": 8, "I": 17, "Gd": 3, "Xe": 18}, 0),
        ("mass_u", {"H": 1.008, "Fe": 55.845, "Au": 196.967, "U": 238.029}, 1e-3),
        ("electronegativity_pauling", {"H": 2.20, "F": 3.98, "Cs": 0.79, "Fe": 1.83}, 0.005),
        ("covalent_radius_ang", {"H": 0.32, "C": 0.75, "Fe": 1.16, "Cs": 2.32}, 1e-9),
        ("ionization_energy_ev", {"H": 13.598, "He": 24.587, "Cs": 3.894, "Au": 9.226}, 1e-3),
        ("electron_affinity_ev", {"H": 0.754, "Cl": 3.613, "Au": 2.309, "N": 0, "He": 0}, 1e-3),
        ("polarizability_au", {"H": 4.507, "He": 1.384, "Cs": 400.9}, 0.05),
        ("pettifor_number", {"He": 1, "C": 95, "F": 102, "H": 103}, 0),
        ("n_valence", {"H": 1, "C": 4, "Fe": 8, "Au": 11, "Hg": 2, "Pb": 4}, 0),
        ("electronegativity_mulliken_ev", {"F": 10.41, "H": 7.18}, 0.01),
    ],
)
def test_values_of_the_literature(name, values, tolerance):
    found = property_values(name)[atomic_numbers(list(values))]
    np.testing.assert_allclose(found, list(values.values()), rtol=0, atol=tolerance)


def test_blocks():
    letters = elements.block_letters()[atomic_numbers(["He", "C", "Fe", "U"])]
    assert letters.tolist() == ["s", "p", "d", "f"]


def test_canonical_order_is_alphabetical():
    rank = elements.alphabetical_rank()
    assert symbols(np.argsort(rank)[1:]).tolist() == sorted(SYMBOLS[1:])


def test_valence_electrons_are_those_of_the_bundled_calculations():
    pairs = bundled_pairs()
    z = np.unique(pairs.z)
    assert len(z) == 75
    homonuclear = pairs[pairs.find(np.stack([z, z], axis=1))]
    per_atom = valence_orbital_populations(z).sum(axis=-1)
    np.testing.assert_allclose(homonuclear.populations.sum(axis=1), 2 * per_atom, atol=1e-6)
    # A positive charge is a loss of electrons, in each atom of every pair.
    neutral = property_values("n_valence")[pairs.z]
    np.testing.assert_allclose(pairs.populations + pairs.charges, neutral, atol=1e-6)
