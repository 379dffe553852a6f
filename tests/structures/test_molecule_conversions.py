"""Molecules as others hold them: ase.Atoms, PyG's Data, files; and what reads them all."""

import subprocess
import sys
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from _molecules import make, random_molecules

from qcanvas_sklearn import load_pairs
from qcanvas_sklearn.structures import Molecules, check_molecules, looks_like_molecules
from qcanvas_sklearn.targets import EV_PER

NOTHING = {"labels": None, "atom_labels": None, "units": None}


def atoms_of(molecules):
    pytest.importorskip("ase")
    return molecules.to_ase()


def data_of(molecules):
    pytest.importorskip("torch_geometric")
    return molecules.to_pyg()


def assert_same(a, b, but=()):
    """Equal fields, columns of tables in any order, cells where there are any."""
    apart = {"labels", "atom_labels", "cell", "units", "provenance", *but}
    for name in {field.name for field in fields(a)} - apart:
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        if x is not None and x.dtype.kind == "f":
            np.testing.assert_allclose(x, y, atol=1e-7, err_msg=name)
        elif x is not None:
            assert np.array_equal(x, y), name
    for name in ("labels", "atom_labels"):
        if name not in but:
            pd.testing.assert_frame_equal(getattr(a, name), getattr(b, name), check_like=True)
    if b.pbc is not None:
        repeats = b.pbc.any(axis=1)
        np.testing.assert_allclose(a.cell[repeats], b.cell[repeats])


# ---------------------------------------------------------------------- ASE


def test_ase_and_back():
    molecules = make()
    back = Molecules.from_ase(atoms_of(molecules))
    assert_same(back, molecules)
    assert back.units["total_energy_ev"] == "eV" and back.units["mine"] == ""
    bare = random_molecules(5)
    assert_same(Molecules.from_ase(atoms_of(bare)), bare, but=("groups",))


def test_what_ase_has_computed_is_read_and_nothing_is_computed():
    molecule = pytest.importorskip("ase.build").molecule
    from ase.calculators.emt import EMT

    computed, moved, never = molecule("N2"), molecule("N2"), molecule("CO")
    for image in (computed, moved, never):
        image.calc = EMT()
    energy, forces = computed.get_potential_energy(), computed.get_forces()
    moved.get_potential_energy()
    moved.positions[0, 2] += 0.01
    read = Molecules.from_ase([computed, moved, never])
    assert read.labels["total_energy_ev"].isna().tolist() == [False, True, True]
    assert read.labels["total_energy_ev"][0] == energy
    assert np.array_equal(read.forces[:2], forces) and np.isnan(read.forces[2:]).all()
    assert never.calc.results == {}


def test_charges_dipoles_and_single_atoms_of_ase():
    ase = pytest.importorskip("ase")
    from ase.calculators.singlepoint import SinglePointCalculator

    ion = ase.Atoms("OH", [[0, 0, 0], [0, 0, 0.96]], charges=[-1.25, 0.25], info={"flag": True})
    ion.calc = SinglePointCalculator(ion, dipole=[0.3, 0, 0.4])
    said = ase.Atoms("He", info={"charge": 2, "temperature": 300, "remark": "hot"})
    read = Molecules.from_ase([ion, said])
    assert read.charge.tolist() == [-1, 2]
    assert Molecules.from_ase([ase.Atoms("He", info={"total_charge": 2})]).charge == [2]
    charges = [-0.36, 0.09, 0.09, 0.09, 0.09]
    methane = ase.Atoms("CH4", [[k, 0, 0] for k in range(5)], charges=charges)
    assert Molecules.from_ase([methane]).charge == [0]  # not a whole number but for 3e-17
    assert read.labels["dipole_mag_d"][0] == pytest.approx(0.5 * 4.803204)
    assert list(read.labels) == ["dipole_mag_d", "temperature"]
    assert read.forces is None and read.cell is None
    said.info[7], said.calc = 1.0, object()  # neither a label nor a calculator of ASE
    assert list(Molecules.from_ase([said]).labels) == ["temperature"]
    with pytest.raises(TypeError, match="structure 1 is no ase.Atoms but str"):
        Molecules.from_ase([ion, "ion"])
    other = Molecules.from_ase([ion, said], charge=[0, 0], groups=[1, 1], provenance="mine")
    assert other.charge.tolist() == [0, 0] and other.provenance == "mine"


def test_structures_without_a_group_leave_those_of_others_alone():
    images = atoms_of(random_molecules(5))
    for image, group in zip(images, ["a", None, "a", 7, None], strict=True):
        image.info.pop("group", None)
        if group is not None:
            image.info["group"] = group
    images.append(images[1])
    read = Molecules.from_ase(images)
    assert read.group_ids.tolist() == [0, 1, 0, 2, 3, 1]
    assert read.groups[[0, 2, 3]].tolist() == ["a", "a", "7"]
    assert Molecules.from_ase(images, groups=None).groups is None


@pytest.mark.parametrize(
    "info, partial, charge",
    [
        ({"charge": -1}, [0, 0, 0], -1), ({"total_charge": 2.0}, [0.5, 0.3, 0.2], 2),
        ({}, [-0.6667, 0.3333, 0.3333], 0), ({}, [0.1, 0.2, -0.3], 0),
        ({}, [0.334, 0.333, 0.333], 1), ({}, [0.5, -1.0, 0.0], -0.5),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ending", [None, "xyz"])
def test_the_charge_is_what_is_said_or_what_partial_charges_add_up_to(
    info, partial, charge, ending, tmp_path
):
    ase, io = pytest.importorskip("ase"), pytest.importorskip("ase.io")
    water = ase.Atoms("OH2", [[0, 0, 0.1], [0, 0.8, -0.5], [0, -0.8, -0.5]], info=info)
    water.set_initial_charges(partial)
    read = Molecules.from_ase([water])
    if ending:
        io.write(tmp_path / "water.xyz", water)
        read = Molecules.read(tmp_path / "water.xyz")
    assert read.charge.tolist() == [charge] and not len(read.labels.columns)


@pytest.mark.parametrize("name", ["charges", "energies", "magmoms", "mine"])
@pytest.mark.parametrize("ending", [None, "xyz", "db"])
def test_numbers_of_atoms_keep_their_names(name, ending, tmp_path):
    """Some are those of results, which readers of files hand to a calculator."""
    pytest.importorskip("ase")
    table = pd.DataFrame({name: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]})
    molecules = make(atom_labels=table, units={name: "e"})
    if ending is None:
        read = Molecules.from_ase(atoms_of(molecules))
    else:
        molecules.write(tmp_path / f"m.{ending}")
        read = Molecules.read(tmp_path / f"m.{ending}")
    pd.testing.assert_frame_equal(read.atom_labels, table)


@pytest.mark.parametrize("name", ["energy", "free_energy", "magmom"])
def test_labels_that_would_be_read_as_results_are_not_written(name, tmp_path):
    pytest.importorskip("ase")
    molecules = make(labels=pd.DataFrame({name: [1.0, 2.0, 3.0]}), units={name: "kcal/mol"})
    with pytest.raises(ValueError, match=f"labels .'{name}'. have names that ASE keeps"):
        molecules.write(tmp_path / "m.xyz")
    assert not list(tmp_path.iterdir())
    molecules.write(tmp_path / "m.traj")
    assert Molecules.read(tmp_path / "m.traj").labels.equals(molecules.labels)


def test_slabs_get_a_cell_with_volume():
    build = pytest.importorskip("ase.build")
    slab = build.graphene()
    assert slab.pbc.tolist() == [True, True, False] and slab.cell.volume == 0
    read = Molecules.from_ase([slab])
    assert np.linalg.det(read.cell[0]) > 1
    assert len(read.neighbours(1.5)) == 6


def test_molecules_beside_crystals_get_no_cell():
    build = pytest.importorskip("ase.build")
    water, copper = build.molecule("H2O"), build.bulk("Cu")
    read = Molecules.from_ase([water, copper])
    assert not read.cell[0].any() and read.cell[1].any()
    assert_same(Molecules.from_ase(read.to_ase()), read)


# -------------------------------------------------------------------- files


@pytest.mark.parametrize("ending", ["xyz", "extxyz", "db", "json"])
def test_files_of_ase_and_back(tmp_path, ending):
    pytest.importorskip("ase")
    molecules, path = make(), tmp_path / f"m.{ending}"
    molecules.write(path)
    molecules.write(path)  # in place of the old one, not behind it
    assert_same(Molecules.read(path), molecules)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_patterns_and_groups_of_files(tmp_path):
    pytest.importorskip("ase")
    a, b = random_molecules(3, 1), random_molecules(2, 2)
    for name, part in (("b", b), ("a", a)):
        atoms = part.to_ase()
        for image in atoms:
            image.info.clear()
        import ase.io

        ase.io.write(tmp_path / f"{name}.xyz", atoms)
    (tmp_path / "[x].xyz").write_text("1\n\nHe 0 0 0\n")
    both = Molecules.read(str(tmp_path / "?.xyz"))
    assert both.names.tolist() == ["a:0", "a:1", "a:2", "b:0", "b:1"] and both.groups is None
    by_file = Molecules.read([tmp_path / "a.xyz", tmp_path / "b.xyz"], groups="file")
    assert by_file.group_ids.tolist() == [0, 0, 0, 1, 1]
    by_formula = Molecules.read(tmp_path / "*.xyz", groups="formula")
    assert by_formula.groups.tolist() == by_formula.formulas.tolist()
    assert Molecules.read(tmp_path / "[x].xyz").names.tolist() == ["[x]"]
    assert len(Molecules.read(tmp_path / "a.xyz", index="1:")) == 2
    with pytest.raises(ValueError, match="groups='files' is not one of"):
        Molecules.read(tmp_path / "a.xyz", groups="files")


def test_cif_files_hold_crystals(tmp_path):
    build = pytest.importorskip("ase.build")
    build.bulk("NaCl", "rocksalt", a=5.64, cubic=True).write(tmp_path / "salt.cif")
    salt = Molecules.read(tmp_path / "*.cif")
    assert (salt.formulas.tolist(), salt.names.tolist()) == (["Cl4Na4"], ["salt"])
    assert salt.pbc.all() and np.allclose(salt.cell[0], 5.64 * np.eye(3))


def test_files_that_cannot_be_read_are_named(tmp_path):
    pytest.importorskip("ase")
    with pytest.raises(FileNotFoundError, match="no file matches '.*none.*xyz'"):
        Molecules.read(tmp_path / "none*.xyz")
    with pytest.raises(FileNotFoundError, match="no file '.*none.xyz'"):
        Molecules.read(tmp_path / "none.xyz")
    (tmp_path / "bad.xyz").write_text("2\n\nH 0 0 0\n")
    with pytest.raises(ValueError, match="'.*bad.xyz' is not a file that ASE reads"):
        Molecules.read(tmp_path / "bad.xyz")
    (tmp_path / "twice.xyz").write_text("2\n\nH 0 0 0\nH 0 0 0\n")
    with pytest.raises(ValueError, match="structure 0 .'twice'.: atoms 0 and 1"):
        Molecules.read(tmp_path / "twice.xyz")


def test_interrupted_writing_leaves_things_as_they_were(tmp_path, monkeypatch):
    io = pytest.importorskip("ase.io")
    path = tmp_path / "m.xyz"
    path.write_bytes(b"old")

    def half(file, images, **options):
        file.write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(io, "write", half)
    with pytest.raises(KeyboardInterrupt):
        make().write(path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


# ---------------------------------------------------------------------- PyG


def test_pyg_and_back():
    molecules = make()
    back = Molecules.from_pyg(data_of(molecules), energy_unit="eV")
    assert_same(back, molecules, but=("labels", "atom_labels", "groups", "quality"))
    energy = molecules.labels["total_energy_ev"]
    assert back.labels["total_energy_ev"].equals(energy) and list(back.labels) == [energy.name]
    assert data_of(molecules)[1].charge_mulliken.shape == (2,)


@pytest.mark.parametrize("unit", [None, *EV_PER])
def test_energies_of_pyg_have_the_unit_that_is_said(unit):
    data = data_of(make())
    read = Molecules.from_pyg(data, energy_unit=unit)
    if unit is None:
        assert read.forces is None and not len(read.labels.columns)
    else:
        factor = {"eV": 1.0, "kcal/mol": 0.0433641, "hartree": 27.211386}[unit]
        np.testing.assert_allclose(read.forces, make().forces * factor, rtol=1e-6)
        assert read.labels["total_energy_ev"][2] == pytest.approx(2 * factor)
    with pytest.raises(ValueError, match="energy_unit='kJ' is not one of"):
        Molecules.from_pyg(data, energy_unit="kJ")


def test_batches_sets_and_other_names_of_pyg():
    data = data_of(make())
    import torch
    from torch_geometric.data import Batch, Data, Dataset, InMemoryDataset

    class InMemory(InMemoryDataset):
        """As QM9 and MD17 of PyG are."""

        def __init__(self):
            super().__init__()
            self.data, self.slices = self.collate(data)

    class Frames(Dataset):
        def len(self):
            return 3

        def get(self, index):
            return data[index]

    listed = check_molecules(data)
    assert check_molecules(Batch.from_data_list(data)) == listed
    assert check_molecules(Frames()) == listed
    assert check_molecules(Frames()[[2, 0]]) == listed[[2, 0]]
    assert check_molecules(InMemory()) == listed
    assert check_molecules(InMemory()[1:]) == listed[1:]
    assert Molecules.from_pyg(data[1]) == listed[1]
    other = Data(atomic_numbers=torch.tensor([6.0, 8.0]).long(), pos=torch.eye(3)[:2])
    assert check_molecules([other]).formulas.tolist() == ["CO"]
    other.charge = torch.tensor([0.3, -0.3])
    assert check_molecules([other]).charge.tolist() == [0]
    with pytest.raises(ValueError, match="structure 1 has no 'pos'"):
        check_molecules([other, Data(z=torch.tensor([1]))])
    with pytest.raises(ValueError, match="structure 0 has no 'z' or 'atomic_numbers'"):
        check_molecules([Data(pos=torch.eye(3))])


# ------------------------------------------------------------------- readers


MAKES = {
    "record": lambda m: m, "list of records": list, "array": np.asarray,
    "atoms": atoms_of, "tuple of atoms": lambda m: tuple(atoms_of(m)),
    "series of atoms": lambda m: pd.Series(atoms_of(m)), "data": data_of,
}  # fmt: skip


@pytest.mark.parametrize("kind", MAKES)
def test_molecules_of_every_make_are_read_alike(kind):
    molecules = make(**NOTHING)
    X = MAKES[kind](molecules)
    assert looks_like_molecules(X)
    assert_same(check_molecules(X), molecules, but=("forces", "groups", "quality"))


def test_arrays_of_atoms_are_read():
    """Which numpy would take apart into their atoms."""
    atoms = atoms_of(random_molecules(4))
    array = np.empty(4, dtype=object)
    array[:] = atoms
    assert_same(check_molecules(array), check_molecules(atoms))


def test_pairs_are_read_as_molecules_but_do_not_look_like_them():
    pairs = load_pairs().pairs[:3]
    assert check_molecules(pairs) == pairs.to_molecules()
    assert not looks_like_molecules(pairs)


@pytest.mark.parametrize("X, message", [
    ([["Ag", "Al"]], "structure 0 is of type list; accepted are a Molecules"),
    (np.zeros((3, 4)), "X holds no molecules, got ndarray"), (None, "got NoneType"),
    ("frames.xyz", "X holds no molecules, got str"),
    (pd.DataFrame({"a": [1]}), "X holds no molecules, got DataFrame"),
    ([make(), "water"], "X holds a str among Molecules"),
])  # fmt: skip
def test_what_is_no_molecule_is_refused(X, message):
    with pytest.raises(TypeError, match=message):
        check_molecules(X)
    assert not looks_like_molecules(X)


@pytest.mark.parametrize("form", [atoms_of, data_of])
def test_a_single_structure_is_not_taken_for_a_list(form):
    single = form(make())[0]
    with pytest.raises(TypeError, match=r"X is a single \w+; pass a list of them, \[X\]"):
        check_molecules(single)
    assert looks_like_molecules(single)
    with pytest.raises(TypeError, match="X holds a str among"):
        check_molecules([single, "x"])


@pytest.mark.parametrize("X", [[], np.empty(0, object), make()[[]]])
def test_no_molecules_are_refused(X):
    with pytest.raises(ValueError, match="0 sample"):
        check_molecules(X)


@pytest.mark.parametrize("library, call", [
    ("ase", lambda m: m.to_ase()), ("ase", lambda m: m.write("m.xyz")),
    ("ase", lambda m: Molecules.read("m.xyz")), ("torch_geometric.data", lambda m: m.to_pyg()),
])  # fmt: skip
def test_missing_libraries_are_explained(monkeypatch, library, call):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r'pip install "qcanvas-sklearn\[molecules\]"'):
        call(make())


def test_records_need_no_other_library():
    code = (
        "import sys; from qcanvas_sklearn.structures import Molecules, check_molecules; "
        "m = Molecules.from_lists([['H', 'F']], [[[0, 0, 0], [0, 0, 1]]]); "
        "check_molecules([m]).neighbours(2.0); "
        "print(sorted({'torch', 'ase', 'vesin', 'torch_geometric'} & sys.modules.keys()))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (out.stdout.strip(), out.stderr) == ("[]", "")


def test_labels_that_mace_writes_are_read_behind_those_of_calculators(tmp_path):
    ase = pytest.importorskip("ase")
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    def frame(results=(), **info):
        image = ase.Atoms("OH", [[0, 0, 0], [0, 0, 1]], info=info)
        image.set_array("REF_forces", np.full((2, 3), 2.0))
        if results:
            image.calc = SinglePointCalculator(image, **dict(results))
        return image

    frames = [
        frame(REF_energy=-3.0), frame(REF_energy=-3.0, total_energy_ev=-4.0),
        frame([("energy", -5.0)], REF_energy=-3.0),
        frame([("forces", np.ones((2, 3)))], REF_energy=-3.0),
    ]  # fmt: skip
    write(tmp_path / "frames.extxyz", frames)
    for found in (Molecules.from_ase(frames), Molecules.read(tmp_path / "frames.extxyz")):
        assert found.labels["total_energy_ev"].tolist() == [-3.0, -4.0, -5.0, -3.0]
        assert found.labels["REF_energy"].tolist() == [-3.0] * 4
        assert found.forces[:, 0].tolist() == [2.0] * 6 + [1.0] * 2
    bare = ase.Atoms("OH", [[0, 0, 0], [0, 0, 1]])
    mixed = Molecules.from_ase([bare, frames[0]])
    assert np.isnan(mixed.forces[:2]).all() and mixed.forces[2:].tolist() == [[2.0] * 3] * 2
    assert np.isnan(mixed.labels["total_energy_ev"][0])
    frames[0].arrays.pop("REF_forces")
    frames[0].set_array("REF_forces", np.ones(2))  # no vectors: a label of atoms
    assert Molecules.from_ase(frames[:1]).forces is None
