"""The ten channels against an independent scalar implementation."""

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from qcanvas_sklearn.datasets import PairData
from qcanvas_sklearn.datasets._bundled import bundled_pairs
from qcanvas_sklearn.images import (
    AMPLITUDES_OF_CHANNEL,
    CHANNEL_NAMES,
    pair_amplitudes,
    recover_amplitudes,
    render,
    templates,
)

GOLDEN_PAIRS = [
    ("Ag", "Al"), ("F", "Li"), ("H", "H"), ("H", "Li"), ("He", "Ne"), ("C", "O"),
    ("Fe", "O"), ("Cs", "Xe"), ("O", "Th"), ("La", "O"), ("Na", "Na"),
]  # fmt: skip


@pytest.fixture(scope="module")
def pairs():
    return bundled_pairs()


@pytest.fixture(scope="module")
def amplitudes(pairs):
    return pair_amplitudes(pairs)


def scalar_image(orbitals, charges, dipole_debye, size):
    """One image, pixel by pixel, straight from the definitions of the channels."""
    shell = [0.0] * 4
    radial, angular, electrons = [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]
    for atom in range(2):
        moment = 0.0
        for l in range(4):
            for m in range(-l, l + 1):
                n = orbitals[atom][l * l + l + m]
                shell[l] += n
                electrons[atom] += n
                radial[atom] += n * (l + 1) / 3
                moment += m * n
        angular[atom] = abs(moment)
    mu = math.sqrt(sum(component**2 for component in dipole_debye)) / 2.541746473
    middle = size // 2
    spacing = size // 3
    centres = [middle - 0.5 * spacing, middle + 0.5 * spacing]

    image = np.zeros((10, size, size))
    for row in range(size):
        for column in range(size):
            y = -1 + 2 * row / (size - 1)
            x = -1 + 2 * column / (size - 1)
            r, theta = math.sqrt(x * x + y * y), math.atan2(y, x)
            pixel = [0.0] * 10
            for atom in range(2):
                square = (column - centres[atom]) ** 2 + (row - middle) ** 2
                narrow, wide, medium = (
                    math.exp(-square / (2 * sigma * sigma)) for sigma in (3, 4, 3.5)
                )
                q = charges[atom]
                pixel[0] += radial[atom] * narrow
                pixel[1] += angular[atom] * narrow
                pixel[6] += 10 * abs(q) * wide
                pixel[7] += electrons[atom] * wide
                pixel[8 if q > 0 else 9] += 10 * abs(q) * medium
            pixel[2] = (shell[0] + shell[1]) * math.exp(-r * r / 0.3)
            pixel[3] = (
                (shell[2] + shell[3]) * math.exp(-r * r / 0.5) * (1 + math.cos(4 * theta))
            )
            shifted = r + 1e-6
            pixel[4] = mu * shifted * math.exp(-shifted * shifted / 0.4)
            pixel[5] = (
                abs(charges[0] - charges[1])
                * (3 * math.cos(theta) ** 2 - 1)
                * math.exp(-r * r / 0.4)
            )
            image[:, row, column] = pixel
    return image


def assert_images_close(actual, expected):
    for channel in range(10):
        scale = np.abs(expected[channel]).max()
        assert_allclose(actual[channel], expected[channel], rtol=1e-5, atol=1e-6 * scale)


@pytest.mark.parametrize("pair", GOLDEN_PAIRS, ids="_".join)
def test_images_follow_their_definitions(pairs, pair):
    one = pairs[pairs.find([pair])]
    expected = scalar_image(
        one.orbital_populations[0], one.charges[0], one.dipole[0], size=32
    )
    assert_images_close(render(pair_amplitudes(one))[0], expected)


def test_images_of_negative_populations_follow_their_definitions(pairs):
    most_negative = int(pairs.orbital_populations.min(axis=(1, 2)).argmin())
    one = pairs[most_negative]
    assert one.orbital_populations.min() < -0.1
    expected = scalar_image(
        one.orbital_populations[0], one.charges[0], one.dipole[0], size=32
    )
    assert_images_close(render(pair_amplitudes(one))[0], expected)


@pytest.mark.parametrize("size", [4, 9, 48])
def test_other_sizes_follow_the_same_definitions(pairs, size):
    one = pairs[pairs.find([("Fe", "O")])]
    expected = scalar_image(one.orbital_populations[0], one.charges[0], one.dipole[0], size)
    assert_images_close(render(pair_amplitudes(one), size)[0], expected)


def test_angular_channel_and_sideways_dipoles_are_drawn():
    rng = np.random.default_rng(0)
    orbitals = rng.uniform(-0.2, 2, size=(1, 2, 16))
    charges, dipole = rng.normal(size=(1, 2)), rng.normal(size=(1, 3))
    one = PairData([["Fe", "O"]], np.zeros((1, 2, 3)), orbitals, charges, dipole)
    expected = scalar_image(orbitals[0], charges[0], dipole[0], size=32)
    assert expected[1].max() > 0.1
    assert_images_close(render(pair_amplitudes(one))[0], expected)


@pytest.mark.parametrize(
    ("channels", "numbers"),
    [([3], [3]), (["com_charge", 0], [0, 6]), (range(10), range(10)), ((9, 2, 4), (2, 4, 9))],
)
def test_channels_are_a_selection_in_increasing_order(amplitudes, channels, numbers):
    everything = render(amplitudes[:5], 8)
    assert_array_equal(render(amplitudes[:5], 8, channels), everything[:, list(numbers)])


@pytest.mark.parametrize(
    "channels", [[], [10], [-1], [1, 1], ["omap"], "omap_radial", 3, [True]]
)
def test_channels_that_do_not_exist_are_refused(amplitudes, channels):
    with pytest.raises(ValueError, match="channel"):
        render(amplitudes[:1], 8, channels)


@pytest.mark.parametrize("size", [3, 0, -32, 32.0, "32", None, True])
def test_image_sizes_that_do_not_work_are_refused(amplitudes, size):
    with pytest.raises(ValueError, match="image_size"):
        render(amplitudes[:1], size)


def test_render_writes_into_views(amplitudes):
    table = np.full((7, 3 + 2 * 64), -1.0, dtype=np.float64)
    view = table[:, 3:].reshape(7, 2, 8, 8)
    assert render(amplitudes[:7], 8, [0, 4], out=view) is view
    assert_allclose(view, render(amplitudes[:7], 8, [0, 4]), rtol=1e-5, atol=1e-12)
    assert (table[:, :3] == -1).all()


@pytest.mark.parametrize(
    "out", [np.empty((7, 2, 8, 9), np.float32), np.empty((7, 2, 8, 8), np.int32)]
)
def test_render_refuses_unsuitable_outputs(amplitudes, out):
    with pytest.raises(ValueError, match=r"out must be"):
        render(amplitudes[:7], 8, [0, 4], out=out)


def test_render_refuses_other_amplitudes(amplitudes):
    with pytest.raises(ValueError, match=r"\(n, 16\), got \(3, 15\)"):
        render(amplitudes[:3, :15])


def test_an_image_has_the_same_bits_whatever_is_rendered_beside_it(amplitudes):
    everything = render(amplitudes[:200])
    for rows in (slice(17, 18), slice(60, 70), slice(None, None, -1)):
        assert_array_equal(render(amplitudes[:200][rows]), everything[rows])


def test_templates_are_shared_and_read_only():
    assert templates(16) is templates(16)
    assert templates(16).shape == (16, 16, 16) and templates(16).dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        templates(16)[0] = 0


def test_every_amplitude_belongs_to_one_channel():
    owners = np.zeros(16, dtype=int)
    for columns in AMPLITUDES_OF_CHANNEL:
        owners[columns] += 1
    assert (owners == 1).all()
    assert len(CHANNEL_NAMES) == len(set(CHANNEL_NAMES)) == len(AMPLITUDES_OF_CHANNEL) == 10


@pytest.mark.parametrize("size", [4, 7, 32, 50])
def test_amplitudes_come_back_from_images(amplitudes, size):
    expected = amplitudes[::25]
    recovered = recover_amplitudes(render(expected, size))
    assert_allclose(recovered, expected, rtol=1e-5, atol=2e-5)


def test_amplitudes_of_pairs_that_hold_images_only(pairs, amplitudes):
    some = pairs[:20]
    unknown = np.full_like(some.orbital_populations, np.nan)
    images_only = replace(
        some, orbital_populations=unknown, images=render(amplitudes[:20])
    )
    assert_allclose(pair_amplitudes(images_only), amplitudes[:20], rtol=1e-6, atol=2e-6)


def test_pictures_that_no_pair_has_are_refused(amplitudes):
    images = render(amplitudes[:30])
    images[21, 4, 3, 3] += 1
    with pytest.raises(ValueError, match=r"row 21: channel 4 \(rip_mtf_dipole\)"):
        recover_amplitudes(images)
    images[21, 4, 3, 3] = np.nan
    with pytest.raises(ValueError, match="row 21"):
        recover_amplitudes(images)
    with pytest.raises(ValueError, match="shape"):
        recover_amplitudes(images[:, :9])


def test_rendering_needs_no_memory_beside_the_result(amplitudes):
    templates(32)
    tracemalloc.start()
    images = render(amplitudes[:1000])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 1.1 * images.nbytes
