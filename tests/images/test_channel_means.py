"""Means of the channels: read off the amplitudes, not off pixels."""

from dataclasses import replace

import numpy as np
import pytest
from _models import MODELS
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from qcanvas_sklearn.datasets._bundled import bundled_pairs
from qcanvas_sklearn.elements import property_values
from qcanvas_sklearn.images import (
    PairImageTransformer,
    PairLayout,
    channel_means,
    pair_amplitudes,
    render,
)
from qcanvas_sklearn.images.layout import find_columns
from qcanvas_sklearn.structures import PairData

PAIRS = np.array([["Ag", "Al"], ["O", "H"], ["Fe", "Fe"], ["Li", "F"]])
MEANS = ("atoms", "channel_means")
#: Families that look at no pixels.
SCALAR_ONLY = [name for name, model in MODELS.items() if "image" not in model._spec.names]


def computed_elsewhere():
    """A PairData like one of another method: other numbers, shifted charges."""
    some = bundled_pairs()[:60]
    return PairData(
        some.elements, some.positions, some.orbital_populations * 0.97,
        charges=-some.charges, dipole=some.dipole + 0.1, provenance="another method",
    )  # fmt: skip


def drawn_before():
    """A PairData that holds images and no orbital populations."""
    some = bundled_pairs()[:60]
    unknown = np.full_like(some.orbital_populations, np.nan)
    images = render(pair_amplitudes(some))
    return replace(some, orbital_populations=unknown, images=images)


SOURCES = {
    "bundled": (lambda: "bundled", PAIRS), "free-atom": (lambda: "free-atom", PAIRS),
    "computed": (computed_elsewhere, bundled_pairs()[:60].elements),
    "drawn": (drawn_before, bundled_pairs()[:60].elements),
}  # fmt: skip


@pytest.mark.parametrize("size, channels", [(32, None), (8, ["com_charge", 0, 5]), (5, [9])])
@pytest.mark.parametrize("source", SOURCES)
def test_they_are_those_of_the_rendered_images(source, size, channels):
    make, pairs = SOURCES[source]
    include = ("atoms", "channel_means", "image")
    transformer = PairImageTransformer(make(), size, channels, include, dtype="float64")
    views = transformer.unpack(transformer.fit_transform(pairs))
    expected = views["image"].mean(axis=(2, 3))
    # Images that were drawn before are of single precision.
    tolerance = 1e-6 if source == "drawn" else 1e-13
    assert_allclose(views["channel_means"], expected, rtol=tolerance, atol=tolerance)
    assert (expected != 0).any(axis=0).sum() >= (len(expected.T) > 1)


def test_a_mean_does_not_depend_on_the_rows_beside_it():
    amplitudes = pair_amplitudes(bundled_pairs()[:9])
    together = channel_means(amplitudes)
    assert together.shape == (9, 10)
    for row in range(9):
        assert_array_equal(channel_means(amplitudes[row : row + 1])[0], together[row])
    with pytest.raises(ValueError, match=r"shape \(n, 16\), got \(9, 3\)"):
        channel_means(amplitudes[:, :3])


def test_both_orders_of_a_pair_have_the_same():
    transformer = PairImageTransformer(include=["channel_means"]).fit(PAIRS)
    assert_array_equal(transformer.transform(PAIRS), transformer.transform(PAIRS[:, ::-1]))


def test_images_that_cannot_be_are_refused_though_none_is_drawn():
    with pytest.raises(ValueError, match="image_size must be an integer of at least 4"):
        PairImageTransformer(image_size=3, include=MEANS).fit(PAIRS)


def test_what_a_source_lacks_is_named():
    lacking = bundled_pairs()[:3]
    lacking = replace(lacking, dipole=np.full_like(lacking.dipole, np.nan))
    transformer = PairImageTransformer(lacking, include=MEANS)
    with pytest.raises(ValueError, match="the source has no channel means for 3"):
        transformer.fit_transform(lacking.elements)


def test_the_layout_knows_their_columns():
    layout = PairLayout(MEANS, ["com_charge", "rip_mtf_dipole"])
    assert layout.feature_names[5:] == ("ch4_mean", "ch6_mean")
    assert layout.channel_names == ("rip_mtf_dipole", "com_charge")
    assert layout.image_size == 0 and layout.n_columns == 7
    assert layout == PairLayout(MEANS, [4, 6], image_size=8)


@pytest.mark.parametrize("include, size", [(MEANS, 32), ((*MEANS, "image"), 4)])
def test_a_frame_is_known_by_its_names(include, size):
    transformer = PairImageTransformer(include=include, channels=[1, 7], image_size=size)
    frame = transformer.set_output(transform="pandas").fit_transform(PAIRS)
    assert PairLayout.infer(frame) == transformer.layout_
    turned = find_columns(frame[frame.columns[::-1]].assign(price=1.0))
    assert turned.layout == transformer.layout_ and turned.n_others == 1
    lost = "ch7_mean" if "image" in include else "z_b"
    with pytest.raises(ValueError, match=f"but not \\['{lost}'\\]"):
        find_columns(frame.drop(columns=lost))


@pytest.mark.parametrize("name", SCALAR_ONLY)
def test_no_pixel_is_drawn_for_those_who_look_at_none(name, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("pixels are drawn")

    model = clone(MODELS[name]).set_params(max_epochs=1)
    monkeypatch.setattr("qcanvas_sklearn.images._drawing.render", refuse)
    pairs = bundled_pairs()[:12].elements
    model.fit(pairs, np.arange(12.0)).predict(pairs)
    assert "image" not in model.reader_.layout_.include


@pytest.mark.parametrize("name", ["gatv2", "schnet"])
def test_a_pipeline_of_means_serves_as_one_of_images(name):
    pairs, y = bundled_pairs()[:40].elements, np.arange(40.0)
    blocks = ("atoms", "orbitals", "charges")
    few, full = (
        make_pipeline(PairImageTransformer(include=(*blocks, last)), clone(MODELS[name]))
        for last in ("channel_means", "image")
    )
    predicted = few.fit(pairs, y).predict(pairs)
    assert_allclose(predicted, full.fit(pairs, y).predict(pairs), rtol=1e-3, atol=1e-3)
    rows = [
        pipe[1].reader_.read(pipe[1], pipe[0].transform(pairs)) for pipe in (few, full)
    ]
    scale = rows[0].scaling["pair"].scale
    of = [r.arrays["pair"] / scale for r in rows]
    assert of[0].shape[1] == 12
    assert_allclose(*of, rtol=1e-6, atol=1e-5)


def test_a_network_of_images_takes_means_where_it_has_no_pixels():
    pairs = bundled_pairs()[:12].elements
    model = clone(MODELS["vit"]).set_params(max_epochs=1)
    table = PairImageTransformer(include=MEANS).fit_transform(pairs)
    rows = model.fit(table, np.arange(12.0)).reader_.read(model, table)
    assert rows.arrays["pair"].shape == (12, 11)
    both = PairImageTransformer(include=(*MEANS, "image")).fit_transform(pairs)
    rows = model.fit(both, np.arange(12.0)).reader_.read(model, both)
    assert rows.arrays["pair"].shape == (12, 1), "the network takes the means by itself"


def test_free_atoms_far_apart_have_the_means_of_free_atoms():
    pairs = np.column_stack([PAIRS.astype(object), [9.0, 9.5, 10.0, 11.0]])
    transformer = PairImageTransformer("free-atom", include=MEANS).fit(pairs)
    views = transformer.unpack(transformer.transform(pairs))
    near = PairImageTransformer("free-atom", include=MEANS).fit_transform(PAIRS)
    assert_array_equal(views["channel_means"], transformer.unpack(near)["channel_means"])
    radii = property_values("covalent_radius_ang")
    assert (views["distance_ang"] > 2 * np.nanmax(radii)).all()
