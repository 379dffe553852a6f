"""`PairData`: one frozen record of a set of diatomics."""

import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from qcanvas_sklearn.datasets import PairData, load_pairs
from qcanvas_sklearn.images import PairImageTransformer
from qcanvas_sklearn.targets import LABELS

ARRAYS = (
    "elements", "z", "positions", "orbital_populations", "charges", "dipole", "populations",
    "quality", "images",
)  # fmt: skip


def make(**changes):
    """Three pairs, with images and missing labels of each kind."""
    rng = np.random.default_rng(0)
    fields = {
        "elements": np.array([["Ag", "Al"], ["C", "O"], ["H", "H"]]),
        "positions": rng.normal(size=(3, 2, 3)),
        "orbital_populations": rng.normal(size=(3, 2, 16)),
        "charges": rng.normal(size=(3, 2)),
        "dipole": rng.normal(size=(3, 3)),
        "labels": pd.DataFrame(
            {
                "system_id_guess": ["Ag_Al", None, "H_H"],
                "e_g_ev": [0.1, 1 / 3, np.nan],
                "metal_like": pd.array([True, None, False], dtype="boolean"),
            }
        ),
        "provenance": "made up",
        "images": rng.normal(size=(3, 10, 32, 32)).astype(np.float32),
        "quality": ["ok", "smeared-1000K", "ok"],
        "skipped": (("C_N", "no file"), ("B_N", "not converged")),
    }
    return PairData(**fields | changes)


def assert_equal(a, b):
    for name in ARRAYS:
        x, y = getattr(a, name), getattr(b, name)
        if x is None or y is None:
            assert x is y
            continue
        assert x.dtype == y.dtype
        assert x.tobytes() == y.tobytes()
        assert not y.flags.writeable
    pd.testing.assert_frame_equal(a.labels, b.labels)
    assert (a.provenance, a.skipped) == (b.provenance, b.skipped)


@pytest.fixture
def pairs():
    return make()


@pytest.fixture(scope="module")
def bundled():
    return load_pairs().pairs


# -------------------------------------------------------------------- frozen


@pytest.mark.parametrize("name", ARRAYS)
def test_nothing_can_be_overwritten(pairs, name):
    with pytest.raises(ValueError, match="read-only"):
        getattr(pairs, name)[:] = getattr(pairs, name)[::-1]
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        setattr(pairs, name, None)


def test_what_was_passed_in_belongs_to_the_caller_still():
    elements, charges = np.array([["C", "O"]] * 3), np.zeros((3, 2))
    frame = pd.DataFrame({"e_g_ev": [1.0, 2.0, 3.0]})
    pairs = make(elements=elements, charges=charges, labels=frame)
    view = np.zeros((3, 3))[:]
    view.flags.writeable = False
    moved = make(dipole=view)
    elements[0], charges[0], frame.loc[0, "e_g_ev"] = "H", 1, 9
    view.base[:] = 1
    assert pairs.names.tolist() == ["C_O"] * 3
    assert pairs.charges[0].tolist() == [0, 0]
    assert pairs.labels["e_g_ev"].tolist() == [1, 2, 3]
    assert moved.dipole.sum() == 0


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, copy.copy, lambda pairs: pickle.loads(pickle.dumps(pairs))]
)
def test_copies_are_equal_and_frozen_too(pairs, duplicate):
    assert_equal(pairs, duplicate(pairs))


def test_cloning_an_estimator_does_not_copy_its_data(pairs):
    transformer = PairImageTransformer(source=pairs)
    assert clone(pairs) is pairs
    assert clone(transformer).source is pairs


def test_changing_one_field_shares_the_arrays(bundled):
    other = replace(bundled, provenance="mine")
    assert other.provenance == "mine"
    assert np.shares_memory(other.orbital_populations, bundled.orbital_populations)


# ------------------------------------------------------------------- derived


def test_derived_quantities(pairs):
    assert len(pairs) == 3
    assert repr(pairs) == "PairData(3 pairs, provenance='made up')"
    assert pairs.names.tolist() == ["Ag_Al", "C_O", "H_H"]
    assert pairs.z.tolist() == [[47, 13], [6, 8], [1, 1]]
    orbitals = pairs.orbital_populations
    np.testing.assert_allclose(pairs.populations, orbitals.sum(axis=-1))
    shells = [orbitals[..., l * l : (l + 1) ** 2].sum(axis=-1) for l in range(4)]
    np.testing.assert_allclose(pairs.shell_populations, np.stack(shells, axis=-1))
    bond = pairs.positions[:, 1] - pairs.positions[:, 0]
    np.testing.assert_allclose(pairs.bond_lengths**2, (bond**2).sum(axis=1))
    np.testing.assert_allclose(pairs.dipole_magnitudes**2, (pairs.dipole**2).sum(axis=1))


def test_only_arrays_of_the_structure_are_needed():
    n = 2
    pairs = PairData(
        [["C", "O"]] * n, np.zeros((n, 2, 3)), np.ones((n, 2, 16)), np.zeros((n, 2)),
        np.zeros((n, 3)),
    )  # fmt: skip
    assert pairs.labels.columns.tolist() == list(LABELS)
    assert pairs.labels.isna().all(axis=None)
    assert pairs.quality.tolist() == ["ok", "ok"]
    assert pairs.populations.tolist() == [[16, 16]] * n
    assert (pairs.images, pairs.provenance, pairs.skipped) == (None, "", ())


@pytest.mark.parametrize("dtype", [object, "U20"])
def test_symbols_are_kept_as_two_characters(pairs, dtype):
    assert_equal(pairs, replace(pairs, elements=pairs.elements.astype(dtype)))


def test_labels_get_all_columns_and_one_type_each(pairs):
    labels = pairs.labels
    kinds = {"float": "float64", "bool": "boolean", "string": "object"}
    assert {key: str(labels[key].dtype) for key in labels} == {
        key: kinds[label.kind] for key, label in LABELS.items()
    }
    assert labels["metal_like"].tolist() == [True, pd.NA, False]
    assert labels["system_id_guess"].tolist() == ["Ag_Al", None, "H_H"]
    assert labels["e_homo_ev"].isna().all()


def test_to_frame(pairs, bundled):
    frame = pairs.to_frame()
    assert frame.shape == (3, 54)
    assert frame.columns[:3].tolist() == ["element_1", "element_2", "quality"]
    assert frame["element_1"].tolist() == ["Ag", "C", "H"]
    np.testing.assert_array_equal(frame["charge_2"], pairs.charges[:, 1])
    np.testing.assert_array_equal(frame["d_population_1"], pairs.shell_populations[:, 0, 2])
    pd.testing.assert_frame_equal(frame[list(LABELS)], pairs.labels)
    length = bundled.to_frame().eval("z_ang_2 - z_ang_1")
    np.testing.assert_allclose(length, bundled.bond_lengths)


# ----------------------------------------------------------- rows and stacks


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (1, [1]),
        (-1, [2]),
        (np.int64(0), [0]),
        (slice(None, None, -1), [2, 1, 0]),
        (slice(5, 9), []),
        ([2, 0, 0], [2, 0, 0]),
        (np.array([1, -1]), [1, 2]),
        ([True, False, True], [0, 2]),
        (np.array([False, True, False]), [1]),
        (pd.Series([True, False, True], index=[7, 8, 9]), [0, 2]),
        (pd.Series([True, None, False], dtype="boolean"), [0]),
        ([], []),
        (np.zeros(3, dtype=bool), []),
    ],
)
def test_rows(pairs, index, rows):
    part = pairs[index]
    assert len(part) == len(rows)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(part, name), getattr(pairs, name)[rows])
        assert not getattr(part, name).flags.writeable
    pd.testing.assert_frame_equal(part.labels, pairs.labels.iloc[rows].reset_index(drop=True))
    assert (part.provenance, part.skipped) == (pairs.provenance, pairs.skipped)


@pytest.mark.parametrize("index", [3, -4, [0, 3], [True, False], "Ag_Al", [0.5], None, (0, 1)])
def test_rows_that_are_not_there(pairs, index):
    with pytest.raises((IndexError, ValueError)):
        pairs[index]


def test_parts_stack_to_the_whole(pairs):
    assert_equal(replace(pairs, skipped=()), PairData.concat(
        [replace(pairs, skipped=())[:1], replace(pairs, skipped=())[1:]]
    ))  # fmt: skip
    assert len(PairData.concat([pairs[[]], pairs])) == 3


def test_stacking_joins_provenance_and_what_was_skipped(pairs):
    other = make(provenance="xtb", skipped=(("N_N", "no file"),), quality=["ok"] * 3)
    nameless = replace(pairs, provenance="", skipped=())
    stacked = PairData.concat(part for part in (pairs, other, nameless, pairs))
    assert stacked.provenance == "made up + xtb"
    assert len(stacked) == len(stacked.labels) == 12
    assert stacked.quality[[1, 4]].tolist() == ["smeared-1000K", "ok"]
    assert stacked.skipped == pairs.skipped + other.skipped + pairs.skipped


def test_stacks_that_are_refused(pairs):
    with pytest.raises(ValueError, match="at least one"):
        PairData.concat([])
    with pytest.raises(ValueError, match="images"):
        PairData.concat([pairs, make(images=None)])


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        ([["O", "C"], ["C", "O"], ["Al", "Ag"]], [1, 1, 0]),
        ([[8, 6], [1, 1], [13, 47]], [1, 2, 0]),
        (np.array([["H", "H"], ["H", "Xx"], ["N", "N"]], dtype=object), [2, -1, -1]),
        ([[0, 0], [104, 1], [-8, 6], [-55, 1], [10**6, 2]], [-1] * 5),
        (pd.DataFrame({"element_1": ["O"], "element_2": ["C"]}), [1]),
        (np.empty((0, 2), dtype=int), []),
        (np.array([[8.0, 6.0], [8.5, 6.0], [np.nan, 1.0], [104.0, 1.0]]), [1, -1, -1, -1]),
        (np.array([[8, 6], [13, 47.0]], dtype=object), [1, 0]),
    ],
)
def test_pairs_are_found_in_either_order(pairs, wanted, rows):
    assert pairs.find(wanted).tolist() == rows


def test_the_first_of_repeated_pairs_is_found(pairs):
    assert PairData.concat([pairs, pairs]).find(pairs.elements).tolist() == [0, 1, 2]


@pytest.mark.parametrize("wanted", [["C", "O"], "C_O", [["C", "O", 1.1]], []])
def test_find_refuses_what_is_not_a_list_of_pairs(pairs, wanted):
    with pytest.raises(ValueError, match=r"shape \(m, 2\), got"):
        pairs.find(wanted)


def test_every_bundled_pair_is_found(bundled):
    rows = np.arange(len(bundled))
    np.testing.assert_array_equal(bundled.find(bundled.elements[:, ::-1]), rows)
    np.testing.assert_array_equal(bundled.find(bundled.z), rows)


# --------------------------------------------------------------------- files


@pytest.mark.parametrize("part", [slice(None), slice(0, 0), [1]])
@pytest.mark.parametrize("with_images", [True, False])
def test_what_is_saved_comes_back_to_the_last_bit(tmp_path, part, with_images):
    pairs = make() if with_images else make(images=None, skipped=())
    pairs[part].save(tmp_path / "a.npz")
    assert_equal(pairs[part], PairData.load(str(tmp_path / "a.npz")))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_the_bundled_table_survives_a_round_trip(bundled, tmp_path):
    bundled.save(tmp_path / "pairs")
    assert_equal(bundled, PairData.load(tmp_path / "pairs"))


@pytest.mark.parametrize("existing", [True, False])
def test_a_failed_write_leaves_everything_as_it_was(pairs, tmp_path, monkeypatch, existing):
    path = tmp_path / "a.npz"
    if existing:
        pairs.save(path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def disk_full(file, **arrays):
        file.write(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez_compressed", disk_full)
    with pytest.raises(OSError, match="No space left"):
        pairs[:1].save(path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def truncated(path):
    path.write_bytes(path.read_bytes()[:-200])


def damaged(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def emptied(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("element_1,element_2\nAg,Al\n")


def plain_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def without_a_label(path):
    content = dict(np.load(path))
    del content["label_e_g_ev"]
    np.savez(path, **content)


def with_wrong_shape(path):
    np.savez(path, **dict(np.load(path)) | {"charges": np.zeros((2, 2))})


@pytest.mark.parametrize(
    "spoil",
    [
        truncated,
        damaged,
        emptied,
        text,
        plain_array,
        without_a_label,
        with_wrong_shape,
    ],
)
def test_spoilt_and_foreign_files_are_refused_by_name(pairs, tmp_path, spoil):
    path = tmp_path / "a.npz"
    pairs.save(path)
    spoil(path)
    with pytest.raises(ValueError, match="a.npz' is not a complete PairData file"):
        PairData.load(path)


def test_a_pickle_in_a_file_is_not_run(pairs, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").touch, ()

    pairs.save(tmp_path / "a.npz")
    content = dict(np.load(tmp_path / "a.npz"))
    np.savez(tmp_path / "a.npz", **content | {"charges": np.array([Trap()], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        PairData.load(tmp_path / "a.npz")
    assert not (tmp_path / "sprung").exists()


def test_an_absent_file_and_a_folder_are_called_so(tmp_path, pairs):
    with pytest.raises(FileNotFoundError, match="none.npz"):
        PairData.load(tmp_path / "none.npz")
    with pytest.raises(IsADirectoryError):
        PairData.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        pairs.save(tmp_path / "no folder" / "a.npz")


# ----------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"elements": ["Ag", "Al"]}, r"elements has shape \(2,\), expected \(2, 2\)"),
        ({"elements": None}, r"elements has shape \(\)"),
        ({"elements": [["Ag", "Al"]]}, r"positions has shape .*, expected \(1, 2, 3\)"),
        ({"positions": np.zeros((3, 6))}, "positions has shape"),
        ({"orbital_populations": np.zeros((3, 2, 9))}, r"expected \(3, 2, 16\)"),
        ({"charges": np.zeros((2, 2))}, "charges has shape"),
        ({"dipole": np.zeros(3)}, "dipole has shape"),
        ({"populations": np.zeros(3)}, "populations has shape"),
        ({"images": np.zeros((3, 10, 16, 16))}, r"images has shape .*\(3, 10, 32, 32\)"),
        ({"quality": ["ok"]}, "quality has shape"),
        ({"charges": np.full((3, 2), np.inf)}, "charges holds infinite values"),
        ({"images": np.full((3, 10, 32, 32), -np.inf)}, "images holds infinite values"),
        ({"elements": [["C", "O"], ["Ag", "X"], ["H", "H"]]}, r"row 1: unknown .*'X'"),
        ({"elements": [["C", "O"], ["H", "H"], ["Agx", "Al"]]}, r"row 2: unknown .*'Agx'"),
        ({"elements": [["C", None]] * 3}, "row 0: unknown element"),
        ({"elements": np.full((3, 2), 6)}, "row 0: unknown element"),
        ({"elements": [["C", "O"], ["O", "C"], ["H", "H"]]}, r"row 1: \['O', 'C'\] .*order"),
        ({"labels": pd.DataFrame({"gap": [1, 2, 3]})}, r"unknown label columns \['gap'\]"),
        ({"labels": pd.DataFrame({"e_g_ev": [1, 2]})}, "labels has 2 rows, expected 3"),
        ({"labels": pd.DataFrame({"e_g_ev": ["a"] * 3})}, "'e_g_ev' .* kind 'float': .*'a'"),
        ({"labels": pd.DataFrame({"metal_like": [2, 0, 1]})}, "'metal_like' .* kind 'bool'"),
    ],
)
def test_bad_parts_are_named(changes, match):
    with pytest.raises(ValueError, match=match):
        make(**changes)


def test_labels_must_be_a_table():
    with pytest.raises(TypeError, match="labels must be a DataFrame, got dict"):
        make(labels={"e_g_ev": [1, 2, 3]})


def test_missing_numbers_are_kept():
    assert np.isnan(make(orbital_populations=np.full((3, 2, 16), np.nan)).populations).all()
