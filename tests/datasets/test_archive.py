"""Reading and writing the archive's layout, and files that mean harm."""

from __future__ import annotations

import functools
import io
import os
import pickle
import subprocess
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from qcanvas_sklearn.datasets import PairData, load_pairs
from qcanvas_sklearn.datasets._archive import read_npz, write_npz
from qcanvas_sklearn.images import pair_amplitudes, render
from qcanvas_sklearn.targets import LABELS

NAMES = [
    "Ag_Al", "Ag_Ag", "Al_Re", "C_O", "Cl_Na", "F_H", "Fe_O", "H_H", "He_Ne", "Na_Na",
    "O_Th", "Ti_Zr",
]  # fmt: skip
N = len(NAMES)
MEMBERS = ("images", "geometries", "elements", "labels", "metadata", "pair_names")
ADDED = ("orbital_populations", "quality", "valence_electrons")
PICKLED = ("elements", "labels", "metadata", "pair_names")


@pytest.fixture(scope="module")
def pairs():
    bundled = load_pairs().pairs
    chosen = bundled[bundled.find([name.split("_") for name in NAMES])]
    return replace(chosen, images=render(pair_amplitudes(chosen)))


@pytest.fixture(scope="module")
def written(pairs, tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "written.npz"
    write_npz(pairs, path)
    return path


@pytest.fixture(scope="module")
def members(written):
    """Bytes of the members of a sound file."""
    with zipfile.ZipFile(written) as archive:
        return {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.npz"


def pack(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)


def numbers(array):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
    return stream.getvalue()


def npy(descr, shape, data=b""):
    """A member whose header may say other things than its data."""
    stream = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + data


def objects(items, protocol=4):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return npy("|O", array.shape, pickle.dumps(array, protocol))


def published_labels(pairs):
    """Labels as the public builder writes them: no booleans, None where missing."""
    return [
        {
            # Keys are written anew in each row, as text that is made at run time.
            "".join(key): None if pd.isna(value) else value if key == "system_id_guess"
            else float(value)
            for key, value in row.items()
        }
        for row in pairs.labels.astype(object).to_dict("records")
    ]  # fmt: skip


def published_members(pairs, protocol=3):
    geometries = np.concatenate([pairs.positions, pairs.populations[..., None]], axis=-1)
    metadata = [
        {"pair_name": str(name), "bond_length": length, "dipole_moment": (0.0, 0.0, 1.0)}
        for name, length in zip(pairs.names, pairs.bond_lengths, strict=True)
    ]
    return {
        "images": numbers(pairs.images),
        "geometries": numbers(geometries.astype(np.float32)),
        "elements": numbers(pairs.elements),
        "labels": objects(published_labels(pairs), protocol),
        "metadata": objects(metadata, protocol),
        "pair_names": numbers(pairs.names),
    }


def test_round_trip(pairs, written):
    read = read_npz(written)
    pd.testing.assert_frame_equal(read.labels, pairs.labels)
    np.testing.assert_array_equal(read.elements, pairs.elements)
    np.testing.assert_array_equal(read.positions, pairs.positions)
    np.testing.assert_array_equal(read.populations, pairs.populations)
    np.testing.assert_allclose(read.charges, pairs.charges, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(read.dipole, pairs.dipole)
    np.testing.assert_array_equal(read.images.view("u4"), pairs.images.view("u4"))
    np.testing.assert_array_equal(read.orbital_populations, pairs.orbital_populations)
    assert read.provenance == pairs.provenance
    np.testing.assert_array_equal(read.quality, pairs.quality)


def test_what_the_published_layout_lacks_is_kept_in_arrays_of_its_own(pairs, path, members):
    flagged = replace(pairs, quality=["doubtful", *["ok"] * (len(pairs) - 1)])
    write_npz(flagged, path)
    np.testing.assert_array_equal(read_npz(path).quality, flagged.quality)
    pack(path, {name: data for name, data in members.items() if name not in ADDED})
    bare = read_npz(path)
    assert np.isnan(bare.orbital_populations).all() and set(bare.quality) == {"ok"}
    assert len(bare) == len(pairs)


def test_charges_follow_from_the_populations_of_every_element(path):
    bundled = load_pairs().pairs
    some = bundled[(bundled.z[:, 0] == bundled.z[:, 1]) | (np.arange(len(bundled)) % 20 == 0)]
    assert len(np.unique(some.z)) == 75
    blank = np.zeros((len(some), 10, 32, 32), dtype=np.float32)
    pack(path, published_members(replace(some, images=blank)))
    read = read_npz(path)
    np.testing.assert_allclose(read.charges, some.charges, rtol=0, atol=2e-6)
    assert set(read.quality) == {"ok"}  # not "charges-unknown"


def test_images_are_rendered_where_there_are_none(pairs, path):
    write_npz(replace(pairs, images=None), path)
    np.testing.assert_array_equal(read_npz(path).images, pairs.images)


def test_published_loaders_read_what_is_written(pairs, written):
    with np.load(written, allow_pickle=True) as file:
        arrays = {name: file[name] for name in file.files}
    assert set(arrays) == {*MEMBERS, *ADDED}
    assert arrays["images"].dtype == np.float32 and arrays["images"].shape == (N, 10, 32, 32)
    assert arrays["geometries"].dtype == np.float64
    np.testing.assert_array_equal(arrays["geometries"][:, :, :3], pairs.positions)
    assert arrays["elements"][0].tolist() == ["Ag", "Al"]
    assert arrays["pair_names"].tolist() == NAMES
    for i, row in enumerate(arrays["labels"]):
        assert list(row) == list(LABELS)
        assert {type(value) for value in row.values()} <= {float, bool, str}
        for key in ("e_g_ev", "softness_evinv"):
            assert np.isfinite(row[key]) == pairs.labels[key].notna()[i]
    assert arrays["metadata"][0]["bond_length"] == pytest.approx(pairs.bond_lengths[0])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_reads_what_the_public_builder_writes(pairs, path, protocol):
    pack(path, published_members(pairs, protocol))
    read = read_npz(path)
    pd.testing.assert_frame_equal(read.labels, pairs.labels)
    assert read.labels["metal_like"].dtype == pairs.labels["metal_like"].dtype
    np.testing.assert_allclose(read.charges, pairs.charges, rtol=0, atol=2e-6)
    assert "10.5281/zenodo.20631934" in read.provenance


def test_reads_pickles_of_the_first_numpy(pairs, path):
    members = published_members(pairs)
    for name in ("labels", "metadata"):
        members[name] = members[name].replace(b"numpy._core.", b"numpy.core.")
        assert b"numpy.core.multiarray" in members[name]
    pack(path, members)
    assert len(read_npz(path)) == N


def test_text_may_be_pickled(pairs, path, members):
    texts = {
        "elements": npy("|O", (N, 2), pickle.dumps(pairs.elements.astype(object))),
        "pair_names": objects(list(pairs.names)),
    }
    pack(path, members | texts)
    assert read_npz(path).names.tolist() == NAMES


def test_order_and_company_of_members_do_not_matter(pairs, path, members):
    images = numbers(np.asfortranarray(pairs.images.astype(">f4")))
    shuffled = dict(reversed(members.items())) | {"more": b"anything", "images": images}
    pack(path, shuffled)
    read = read_npz(path)
    assert read.names.tolist() == NAMES
    np.testing.assert_array_equal(read.images, pairs.images)


def test_missing_labels(pairs, path, members):
    nothing = [{}, {key: None for key in LABELS}, {key: np.nan for key in LABELS}]
    rows = {"labels": objects(nothing * 4), "metadata": objects([None] * N)}
    pack(path, members | rows)
    read = read_npz(path)
    assert read.labels.isna().all(axis=None)
    assert np.isnan(read.dipole).all()
    np.testing.assert_allclose(read.charges, pairs.charges, rtol=0, atol=1e-6)


def test_unknown_labels_are_left_out_with_one_warning(pairs, path, members):
    rows = [row | {"spin": 0.0, "note": [1, 2]} for row in published_labels(pairs)]
    pack(path, members | {"labels": objects(rows)})
    with pytest.warns(UserWarning, match=r"\['note', 'spin'\]") as caught:
        read = read_npz(path)
    assert len(caught) == 1 and caught[0].filename == __file__
    pd.testing.assert_frame_equal(read.labels, pairs.labels)


def test_atoms_in_reverse_order_are_exchanged_with_their_images(pairs, path, members):
    amplitudes = pair_amplitudes(replace(pairs, images=None))
    turned = amplitudes.copy()
    for first in (0, 2, 8, 10, 12, 14):
        turned[:, [first, first + 1]] = amplitudes[:, [first + 1, first]]
    labels = published_labels(pairs)
    for row in labels:
        row["dipole_z_d"] *= -1
    geometries = np.concatenate([pairs.positions, pairs.populations[..., None]], axis=-1)
    pack(
        path,
        members
        | {
            "images": numbers(render(turned)),
            "geometries": numbers(geometries[:, ::-1] * [1, -1, -1, 1]),
            "orbital_populations": numbers(pairs.orbital_populations[:, ::-1]),
            "valence_electrons": numbers((pairs.populations + pairs.charges)[:, ::-1]),
            "elements": numbers(pairs.elements[:, ::-1]),
            "labels": objects(labels),
            "pair_names": numbers(["_".join(row) for row in pairs.elements[:, ::-1]]),
        },
    )
    read = read_npz(path)
    hetero = pairs.elements[:, 0] != pairs.elements[:, 1]
    assert read.names.tolist() == NAMES
    np.testing.assert_array_equal(read.positions[hetero], pairs.positions[hetero])
    np.testing.assert_allclose(read.charges[hetero], pairs.charges[hetero], atol=1e-6)
    orbitals = read.orbital_populations[hetero]
    np.testing.assert_array_equal(orbitals, pairs.orbital_populations[hetero])
    np.testing.assert_array_equal(read.dipole[hetero], pairs.dipole[hetero])
    np.testing.assert_allclose(read.images[hetero], pairs.images[hetero], atol=2e-5)


@pytest.mark.parametrize("order", [1, -1])
def test_pairs_upside_down_are_turned_with_their_dipoles(pairs, path, order):
    hetero = pairs[pairs.elements[:, 0] != pairs.elements[:, 1]]
    amplitudes = pair_amplitudes(replace(hetero, images=None))
    labels = published_labels(hetero)
    geometries = np.concatenate([hetero.positions, hetero.populations[..., None]], axis=-1)
    if order == 1:  # the second atom below the first
        geometries *= [1, -1, -1, 1]
        for row in labels:
            row["dipole_z_d"] *= -1
    else:  # so they are once the atoms are exchanged
        for k in (0, 2, 8, 10, 12, 14):
            amplitudes[:, [k, k + 1]] = amplitudes[:, [k + 1, k]]
    pack(
        path,
        published_members(hetero)
        | {
            "images": numbers(render(amplitudes)),
            "geometries": numbers(geometries[:, ::order]),
            "elements": numbers(hetero.elements[:, ::order]),
            "labels": objects(labels),
        },
    )
    read = read_npz(path)
    np.testing.assert_array_equal(read.positions, hetero.positions)
    np.testing.assert_array_equal(read.dipole, hetero.dipole)
    np.testing.assert_array_equal(read.labels["dipole_z_d"], hetero.labels["dipole_z_d"])
    np.testing.assert_allclose(read.charges, hetero.charges, atol=1e-6)


def test_foreign_images_of_atoms_in_reverse_order_are_an_error(pairs, path, members):
    noise = np.random.default_rng(0).random(pairs.images.shape, dtype=np.float32)
    turned = {"elements": numbers(pairs.elements[:, ::-1]), "images": numbers(noise)}
    pack(path, members | turned)
    with pytest.raises(ValueError, match="reverse order"):
        read_npz(path)


def test_charges_of_a_method_with_other_valence_electrons_come_back(pairs, path):
    # As of xTB, which counts no d electrons of zinc.
    fewer = pairs.populations - [0, 10]
    other = replace(pairs, populations=fewer)
    write_npz(other, path)
    read = read_npz(path)
    np.testing.assert_allclose(read.charges, pairs.charges, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(read.populations, fewer)
    np.testing.assert_array_equal(read.quality, pairs.quality)


def test_populations_that_do_not_add_up_give_no_charges(pairs, path, members):
    geometries = np.concatenate([pairs.positions, pairs.populations[..., None]], axis=-1)
    geometries[3, 1, 3] += 1
    pack(path, members | {"geometries": numbers(geometries)})
    read = read_npz(path)
    assert np.isnan(read.charges).all(axis=1).nonzero()[0].tolist() == [3]
    assert read.quality[3] == "charges-unknown" and read.quality[2] == pairs.quality[2]


def _relabelled(key, value):
    return lambda pairs, rows: {"labels": [*rows[:4], rows[4] | {key: value}, *rows[5:]]}


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("row 0: .*no name of", lambda p, rows: {"elements": np.roll(p.elements, 1, axis=0)}),
        ("row 0: unknown element", lambda p, rows: {"elements": np.full((N, 2), "Hx")}),
        ("row 4: label 'e_g_ev' is 'high', expected a float", _relabelled("e_g_ev", "high")),
        ("row 4: label 'metal_like' is 0.5, expected a bool", _relabelled("metal_like", 0.5)),
        ("row 4: label 'system_id_guess' is 3", _relabelled("system_id_guess", 3)),
        ("row 4: label 'e_g_ev' is {'a': 1}", _relabelled("e_g_ev", {"a": 1})),
        ("row 4: label 'e_g_ev' is \\[1.0\\]", _relabelled("e_g_ev", [1.0])),
        ("row 1: labels are None", lambda p, rows: {"labels": [rows[0]] + [None] * (N - 1)}),
        (r"labels has shape \(11,\), expected \(12,\)", lambda p, rows: {"labels": rows[:11]}),
        ("geometries has shape", lambda p, rows: {"geometries": np.zeros((N, 8))}),
        ("data type int64", lambda p, rows: {"geometries": np.zeros((N, 2, 4), dtype=int)}),
        ("images has shape", lambda p, rows: {"images": p.images[:, :9]}),
        ("geometries has shape", lambda p, rows: {"images": p.images[:1]}),
        ("infinite", lambda p, rows: {"images": np.full_like(p.images, np.inf)}),
        ("pair_names has shape", lambda p, rows: {"pair_names": p.names[:, None]}),
        ("no array 'labels'", lambda p, rows: {"labels": None}),
        ("metadata has shape", lambda p, rows: {"metadata": pickle.dumps(np.full(3, None))}),
    ],
)
def test_files_that_contradict_themselves_are_refused(pairs, path, members, message, change):
    for name, content in change(pairs, published_labels(pairs)).items():
        if content is None:
            members = {key: data for key, data in members.items() if key != name}
        else:
            kinds = {list: objects, bytes: lambda data: npy("|O", (N,), data)}
            members = members | {name: kinds.get(type(content), numbers)(content)}
    pack(path, members)
    with pytest.raises(ValueError, match=message) as caught:
        read_npz(path)
    assert str(path) in str(caught.value)


def test_other_files_are_named(path):
    with pytest.raises(FileNotFoundError):
        read_npz(path)
    with pytest.raises(IsADirectoryError):
        read_npz(path.parent)
    for content in (b"", b"not a zip file", pickle.dumps([1, 2])):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read as a QuantumCanvas archive"):
            read_npz(path)


def test_size_limit(written):
    with pytest.raises(ValueError, match="more than max_bytes=1000"):
        read_npz(written, max_bytes=1000)


class _Call:
    """Pickles as the call of a function, or of what `__reduce__` may return besides."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


class _Harmful(np.ndarray):
    """An array type of one's own, which is restored by its own method."""

    def __setstate__(self, state):
        os.system(state[0])


_RECONSTRUCT = np.empty(0).__reduce__()[0]


def payloads(sentinel):
    touch, code = f"touch {sentinel}", f"open({str(sentinel)!r}, 'w').close()"
    return {
        f"{os.name}.system": _Call(os.system, (touch,)),
        "builtins.eval": _Call(eval, (code,)),
        "builtins.exec": _Call(exec, (code,)),
        "builtins.getattr": _Call(getattr, ("", "join")),
        f"{open.__module__}.open": _Call(open, (str(sentinel), "w")),
        "subprocess.Popen": _Call(subprocess.Popen, (("touch", str(sentinel)),)),
        "functools.partial": _Call(functools.partial, (os.system, touch)),
        "numpy.load": _Call(np.load, (str(sentinel),)),
        "numpy.save": _Call(np.save, (str(sentinel), 1)),
        "numpy.ones": _Call(np.ones, (10**12,)),
        "_pickle.loads": _Call(pickle.loads, (pickle.dumps(_Call(os.system, (touch,))),)),
        "test_archive._Harmful": _Call(_RECONSTRUCT, (_Harmful, (0,), b"b"), (touch,)),
    }


PAYLOADS = list(payloads(""))


def test_payloads_are_live(tmp_path, path, members):
    sentinel = tmp_path / "sentinel"
    rows = [payloads(sentinel)[f"{os.name}.system"]] * N
    pack(path, members | {"labels": objects(rows)})
    with np.load(path, allow_pickle=True) as file:
        assert len(file["labels"]) == N
    assert sentinel.exists()


@pytest.mark.parametrize("name", PAYLOADS)
@pytest.mark.parametrize("member", PICKLED)
def test_functions_are_refused_by_name(tmp_path, path, members, member, name):
    sentinel = tmp_path / "sentinel"
    harm = payloads(sentinel)[name]
    array = np.full((N, 2) if member == "elements" else N, "H", dtype=object)
    hidden = (harm, {"e_g_ev": harm}, [{"a": {"b": (1, [harm])}}], {"x": [harm]})
    pickles = [pickle.dumps(harm)]
    for protocol, nested in zip((2, 3, 4, 5), hidden, strict=True):
        array.flat[-1] = nested
        pickles.append(pickle.dumps(array, protocol, fix_imports=False))
    for data in pickles:
        pack(path, members | {member: npy("|O", array.shape, data)})
        with pytest.raises(ValueError, match=f"{member}: refused to run '{name}'") as caught:
            read_npz(path)
        assert str(path) in str(caught.value)
    assert os.listdir(tmp_path) == ["file.npz"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"descr": "<f4", "shape": (10**9, 10, 32, 32)}, "1000000000 rows"),
        ({"descr": "<f4", "shape": (-1, 10, 32, 32)}, "-1 rows"),
        ({"descr": "<f4", "shape": (10**6, 10, 32, 32)}, "do not fit its shape"),
        ({"descr": "<U0", "shape": (10**6, 10, 32, 32)}, "data type <U0"),
        ({"descr": [("a", "|O")], "shape": (N, 10, 32, 32)}, "data type"),
    ],
)
def test_sizes_are_checked_before_memory_is_taken(path, members, header, message):
    n = header["shape"][0]
    bare = {
        "images": npy(header["descr"], header["shape"]),
        "geometries": npy("<f8", (n, 2, 4)),
        "elements": npy("|O", (n, 2)),
        **{name: npy("|O", (n,)) for name in ("labels", "metadata", "pair_names")},
    }
    pack(path, bare)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            read_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_pickles_beyond_what_rows_can_need_are_refused(path, members):
    pack(path, members | {"metadata": objects([{"note": "x" * 2 * 2**20}] + [{}] * (N - 1))})
    with pytest.raises(ValueError, match="bytes of pickled data, more than"):
        read_npz(path)


def _flip_bits(data, rng):
    flipped = bytearray(data)
    for at in rng.integers(len(data), size=rng.integers(1, 9)):
        flipped[at] ^= 1 << rng.integers(8)
    return bytes(flipped)


def _flip_in_file(path, written, members, rng):
    path.write_bytes(_flip_bits(written.read_bytes(), rng))


def _truncate_file(path, written, members, rng):
    data = written.read_bytes()
    path.write_bytes(data[: rng.integers(len(data))])


# Below, the file's own sums are right: the reader alone stands guard.


def _flip_in_pickle(path, written, members, rng):
    name = ("labels", "metadata")[rng.integers(2)]
    head, data, rest = np.split(np.frombuffer(members[name], "u1"), [128, 728])
    parts = head.tobytes(), _flip_bits(data.tobytes(), rng), rest.tobytes()
    pack(path, members | {name: b"".join(parts)})


def _cut_in_pickle(path, written, members, rng):
    name = ("labels", "metadata")[rng.integers(2)]
    start, stop = np.sort(rng.integers(128, len(members[name]), size=2))
    pack(path, members | {name: members[name][:start] + members[name][stop:]})


def _flip_in_header(path, written, members, rng):
    name = MEMBERS[rng.integers(len(MEMBERS))]
    pack(path, members | {name: _flip_bits(members[name][:80], rng) + members[name][80:]})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("damage", "n_refused_at_least"),
    [
        (_flip_in_file, 150),
        (_truncate_file, 200),
        (_flip_in_pickle, 100),
        (_cut_in_pickle, 190),
        (_flip_in_header, 150),
    ],
)
def test_damaged_files_are_refused_or_read_whole(
    tmp_path, path, pairs, written, members, damage, n_refused_at_least
):
    rng = np.random.default_rng(0)
    n_refused = 0
    for _ in range(200):
        damage(path, written, members, rng)
        try:
            read = read_npz(path)
        except ValueError as error:
            assert str(path) in str(error)
            n_refused += 1
        else:
            assert isinstance(read, PairData) and len(read) == len(read.labels) == N
            np.testing.assert_array_equal(read.images, pairs.images)
    assert n_refused >= n_refused_at_least
    assert os.listdir(tmp_path) == ["file.npz"]


def test_write_says_what_it_cannot_write(pairs, path):
    with pytest.raises(TypeError, match="must be a PairData, got ndarray"):
        write_npz(pairs.elements, path)
    empty = np.full_like(pairs.orbital_populations, np.nan)
    with pytest.raises(ValueError, match="row 0: Ag_Al lacks"):
        write_npz(replace(pairs, images=None, orbital_populations=empty), path)
    assert os.listdir(path.parent) == []


def test_empty_archive(pairs, path):
    write_npz(pairs[:0], path)
    assert len(read_npz(path)) == 0
