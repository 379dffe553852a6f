"""Reading the output files of one DFTB+ run.

Blocks are found by their titles and columns by their names, so that the layouts of
different versions read alike: ``Net atomic charges`` became ``Atomic gross charges``,
``Fermi energy`` became ``Fermi level``, the table of orbital populations gained a
``Label`` column and ``band.out`` a column of level numbers.

References
----------
.. [1] B. Hourahine et al., J. Chem. Phys. 152, 124101 (2020).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..elements import atomic_numbers
from ..structures import N_ORBITALS
from ..targets import HARTREE_IN_EV
from ._dftbplus_text import integer, named, number, text_of
from ._labels import charge_statistics

__all__ = ["RUN_FILES", "Compat", "LabelValue", "Run", "is_pair_name", "parse_run"]

Compat = Literal["published"] | None
LabelValue = float | bool | None

#: Files of a run; it may lack the last two.
RUN_FILES = ("detailed.out", "geo_end.xyz", "band.out", "results.tag")

_MAX_L = 3
# Populations and charges are printed with eight decimals, fillings with five.
_POPULATION_TOLERANCE = 1e-5
_FILLING_TOLERANCE = 1e-3
# Thermal tails below this share of a full level do not make a level occupied.
_OCCUPIED = 0.01
# Orbitals with m = 0 point along z: the bond must do so too, to this slope.
_AXIS_TOLERANCE = 1e-3

# No two parts of a pattern side by side match the same characters: a damaged line would
# take a time that grows with the square of its length.
_TABLE_TITLE = re.compile(
    r"(?:Atomic gross|Net atomic) charges \(e\)|(?:Atom|Orbital) populations \([a-z]+\)"
)
_ENERGY = re.compile(r"^ *([A-Z][^:\n]*): +\S+ +H +(\S+) +eV *$", re.MULTILINE)
_TOTAL_CHARGE = re.compile(r"^ *(?:Total|Net) charge: *(\S+) *$", re.MULTILINE)
_DIPOLE = re.compile(r"^ *Dipole moment:(.*) Debye *$", re.MULTILINE)
_STEP = re.compile(r"^ *Geometry optimization step: *([0-9]{1,9})\b", re.MULTILINE)
_SCC = re.compile(r"^ *iSCC [^\n]*\n([^*\n]*)\n", re.MULTILINE)
_BLOCK_OF_LEVELS = re.compile(r"KPT +([0-9]+) +SPIN +([0-9]+)\b")
_TAG = re.compile(r"(\w+) *:\w+:[0-9]:([0-9,]*)")


@dataclass(frozen=True)
class Run:
    """What one DFTB+ run says about a pair, atoms in the order of its files.

    Attributes
    ----------
    name : str
        Name of the directory.
    elements : tuple of str
        The two symbols.
    positions : ndarray of shape (2, 3)
        Å.
    charges, populations : ndarray of shape (2,)
        Gross charges and electrons, in e.
    orbital_populations : ndarray of shape (2, 16)
        Electrons at index l² + l + m, both spins together.
    dipole : ndarray of shape (3,)
        Debye.
    labels : dict of str to float, bool or None
        Labels that stand in the output; those that follow by algebra are left out.
    n_lost : int
        Orbitals left out by the published reading.
    """

    name: str
    elements: tuple[str, str]
    positions: NDArray[np.float64]
    charges: NDArray[np.float64]
    populations: NDArray[np.float64]
    orbital_populations: NDArray[np.float64]
    dipole: NDArray[np.float64]
    labels: dict[str, LabelValue]
    n_lost: int


class _Table(NamedTuple):
    columns: list[str]
    rows: list[list[str]]


class _Populations(NamedTuple):
    atoms: NDArray[np.float64]
    orbitals: NDArray[np.float64]
    n_levels: int
    full_level: float
    n_lost: int


class _Levels(NamedTuple):
    """Energies (eV) and fillings, one row a spin."""

    energies: NDArray[np.float64]
    fillings: NDArray[np.float64]


def parse_run(directory: Path, compat: Compat = None) -> Run:
    """Read the files of one run.

    Parameters
    ----------
    directory : Path
        Directory of the run.
    compat : {"published"} or None, default=None
        ``"published"`` leaves out the orbitals from the first negative population on.

    Returns
    -------
    Run

    Raises
    ------
    ValueError
        If a file or block is missing, damaged, unfinished, not converged, or not that of
        two atoms along z. The message starts with the path of the file.
    """
    detailed, xyz, band, tags = (directory / name for name in RUN_FILES)
    with named(detailed):
        text = _last_step(text_of(detailed))
        labels = _parse_convergence(text) | _parse_energies(text)
        tables = _find_tables(text)
        charges = _parse_charges(tables, text, labels)
        populations = _parse_populations(tables, compat)
        dipole = _parse_dipole(text, labels)
    with named(xyz):
        elements, positions = _parse_geometry(text_of(xyz))
        _check_name(directory.name, elements)
        labels["distance_ang"] = float(np.linalg.norm(positions[1] - positions[0]))
    for path, parse in ((band, _parse_band), (tags, _parse_tags)):
        if path.exists():
            with named(path):
                levels = parse(text_of(path))
                if levels is not None:
                    labels |= _frontier_labels(levels, populations, labels["fermi_level_ev"])
                    break
    return Run(
        directory.name, elements, positions, charges, populations.atoms,
        populations.orbitals, dipole, labels, populations.n_lost,
    )  # fmt: skip


# ------------------------------------------------------------------ detailed.out


def _last_step(text: str) -> str:
    """The last of the steps that an appended ``detailed.out`` lists."""
    return text[max(text.rfind("distribution function"), 0) :]


def _parse_convergence(text: str) -> dict[str, LabelValue]:
    def says(line: str) -> bool:
        return re.search(f"^ *{line} *$", text, re.MULTILINE) is not None

    for what in ("SCC is NOT converged", "Geometry did NOT converge", "terminated abnormally"):
        if what in text:
            raise ValueError(f"the run did not converge ({what!r})")
    step, scc = _STEP.search(text), _SCC.search(text)
    out: dict[str, LabelValue] = {
        "geom_converged": says("Geometry converged") or None,
        "scc_converged": says("SCC converged") or None,
        "geom_opt_step": None if step is None else float(step[1]),
    }
    if step is not None and out["geom_converged"] is None:
        raise ValueError("unfinished: the line 'Geometry converged' is missing")
    if says("Non-SCC calculation"):
        return out
    if out["scc_converged"] is None or scc is None:
        raise ValueError("unfinished: the line 'SCC converged' or the block 'iSCC' is missing")
    row = scc[1].split()
    if len(row) != 4:
        raise ValueError(f"the block 'iSCC' holds {scc[1].strip()!r}, not four columns")
    out["scc_last_iter"] = float(integer(row[0]))
    keys = ("scc_last_total_elec_eh", "scc_last_diff_elec", "scc_last_error")
    return out | {key: number(token) for key, token in zip(keys, row[1:], strict=True)}


def _parse_energies(text: str) -> dict[str, LabelValue]:
    found: dict[str, list[float]] = {}
    for name, value in _ENERGY.findall(text):
        found.setdefault(name.strip(), []).append(number(value))

    def values(*names: str) -> list[float]:
        for name in names:
            if name in found:
                return found[name]
        raise ValueError(f"the line {names[0]!r} is missing or damaged")

    # One line for each spin: energies add up, Fermi levels are averaged.
    fermi, band = values("Fermi level", "Fermi energy"), values("Band energy")
    if len(fermi) != len(band):
        raise ValueError(f"{len(fermi)} lines 'Fermi level', but {len(band)} 'Band energy'")
    return {
        "total_energy_ev": values("Total energy")[0],
        "mermin_free_energy_ev": values("Total Mermin free energy")[0],
        "repulsive_energy_ev": values("Repulsive energy")[0],
        "band_energy_ev": sum(band),
        "fermi_level_ev": sum(fermi) / len(fermi),
    }


def _find_tables(text: str) -> dict[str, _Table]:
    """Tables of charges and populations by title; an empty line ends them."""
    found: dict[str, list[list[str]]] = {}
    rows: list[list[str]] | None = None
    for line in text.split("\n"):
        if _TABLE_TITLE.fullmatch(line.strip()):
            rows = found[line.strip()] = []
        elif not line.strip():
            rows = None
        elif rows is not None:
            rows.append(line.split())
    return {title: _Table(rows[0] if rows else [], rows[1:]) for title, rows in found.items()}


def _columns(table: _Table, title: str, names: tuple[str, ...]) -> Iterator[list[str]]:
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise ValueError(f"the table {title!r} has no column {missing[0]!r}")
    places = [table.columns.index(name) for name in names]
    for row in table.rows:
        if len(row) <= max(places):
            raise ValueError(f"the table {title!r} has the incomplete row {' '.join(row)!r}")
        yield [row[place] for place in places]


def _by_atom(table: _Table, title: str, column: str) -> NDArray[np.float64]:
    values: dict[int, float] = {}
    for atom, value in _columns(table, title, ("Atom", column)):
        values[integer(atom)] = number(value)
    if sorted(values) != [1, 2] or len(table.rows) != 2:
        raise ValueError(f"the table {title!r} lists atoms {sorted(values)}; a pair has two")
    return np.array([values[1], values[2]])


def _parse_charges(
    tables: dict[str, _Table], text: str, labels: dict[str, LabelValue]
) -> NDArray[np.float64]:
    """Gross charges; their statistics go to `labels`."""
    title, column = "Atomic gross charges (e)", "Charge"
    if title not in tables and "Net atomic charges (e)" in tables:
        # Its second column is headed by two words, "Net charge".
        title, column = "Net atomic charges (e)", "Net"
    if title not in tables:
        raise ValueError(f"the table {title!r} is missing")
    charges = _by_atom(tables[title], title, column)
    printed = _TOTAL_CHARGE.search(text)
    total = float(charges.sum()) if printed is None else number(printed[1])
    if abs(charges.sum() - total) > _POPULATION_TOLERANCE:
        raise ValueError(f"the charges {charges.tolist()} do not add up to {total}")
    labels |= {"n_atoms": 2.0, "total_charge": total, **charge_statistics(charges)}
    return charges


def _parse_populations(tables: dict[str, _Table], compat: Compat) -> _Populations:
    """Populations of both spins together.

    A run with spin-orbit coupling lists the total (q) and the magnetisation (x, y, z).
    """
    listed = {title[title.index("(") + 1 : -1] for title in tables}
    spin_orbit = "q" in listed
    spins = ["q"] if spin_orbit else ["up", *(listed & {"down"})]
    atoms, orbitals, n_lost = np.zeros(2), np.zeros((2, N_ORBITALS)), 0
    for spin in spins:
        titles = [f"{what} populations ({spin})" for what in ("Atom", "Orbital")]
        for title in titles:
            if title not in tables:
                raise ValueError(f"the table {title!r} is missing")
        of_spin = _by_atom(tables[titles[0]], titles[0], "Population")
        rows = _orbital_rows(tables[titles[1]], titles[1])
        total = np.bincount([row[0] for row in rows], [row[2] for row in rows], minlength=2)
        if np.abs(total - of_spin).max() > _POPULATION_TOLERANCE:
            raise ValueError(
                f"the orbital populations ({spin}) add up to {total.round(8).tolist()}, not to "
                f"the atom populations {of_spin.tolist()}"
            )
        n_orbitals = len(rows)
        if compat == "published":
            # That pattern knows no minus sign, so that -0.00000000 stops it too.
            negative = (i for i, row in enumerate(rows) if math.copysign(1, row[2]) < 0)
            rows = rows[: next(negative, n_orbitals)]
        for atom, index, value in rows:
            orbitals[atom, index] += value
        atoms += of_spin
        n_lost += n_orbitals - len(rows)
    full_level = 2.0 if spins == ["up"] else 1.0
    return _Populations(atoms, orbitals, n_orbitals * (1 + spin_orbit), full_level, n_lost)


def _orbital_rows(table: _Table, title: str) -> list[tuple[int, int, float]]:
    """Atom (0 or 1), orbital index l² + l + m, and population of every row."""
    rows = []
    shells: dict[tuple[int, int, int], list[int]] = {}
    names = ("Atom", "Sh.", "l", "m", "Population")
    for *numbers, value in _columns(table, title, names):
        atom, shell, l, m = (integer(token) for token in numbers)
        if atom not in (1, 2) or not 0 <= l <= _MAX_L or abs(m) > l:
            raise ValueError(f"the table {title!r} lists atom {atom}, l = {l}, m = {m}")
        shells.setdefault((atom, shell, l), []).append(m)
        rows.append((atom - 1, l * l + l + m, number(value)))
    for (atom, shell, l), ms in shells.items():
        if sorted(ms) != list(range(-l, l + 1)):
            raise ValueError(
                f"the table {title!r} lists m = {sorted(ms)} for shell {shell} (l = {l}) of "
                f"atom {atom}"
            )
    return rows


def _parse_dipole(text: str, labels: dict[str, LabelValue]) -> NDArray[np.float64]:
    matches = _DIPOLE.findall(text)
    if not matches:
        raise ValueError("the line 'Dipole moment' in Debye is missing")
    dipole = np.array([number(token) for token in matches[-1].split()])
    if dipole.shape != (3,):
        raise ValueError(f"the line 'Dipole moment' holds {matches[-1]!r}, not three numbers")
    labels["dipole_mag_d"] = float(np.linalg.norm(dipole))
    return dipole


# ------------------------------------------------------------------- geo_end.xyz


def _parse_geometry(text: str) -> tuple[tuple[str, str], NDArray[np.float64]]:
    """Symbols and positions of the last frame."""
    lines = text.rstrip().split("\n")
    n_atoms = integer(lines[0].strip())
    if n_atoms != 2:
        raise ValueError(f"{n_atoms} atoms; a pair has two")
    frame = [line.split() for line in lines[-4:]]
    # Further columns hold populations and velocities.
    if len(lines) % 4 or frame[0] != ["2"] or not 4 <= len(frame[2]) == len(frame[3]):
        raise ValueError("unfinished or damaged: no two atoms with three coordinates each")
    first, second = frame[2:]
    if (atomic_numbers([first[0], second[0]]) == 0).any():
        raise ValueError(f"unknown element in {first[0]!r}, {second[0]!r}")
    positions = np.array([[number(token) for token in row[1:4]] for row in (first, second)])
    x, y, z = np.abs(positions[1] - positions[0])
    if not math.hypot(x, y) <= _AXIS_TOLERANCE * z or not 0 < z < 1e3:
        raise ValueError(
            f"the second atom lies {[x, y, z]} angstrom from the first; the bond must be "
            "along z, because the orbitals are"
        )
    return (first[0], second[0]), positions


def is_pair_name(name: str) -> bool:
    """Whether a directory is named after two elements, as in Ag_Al."""
    parts = name.split("_")
    return len(parts) == 2 and bool(atomic_numbers(parts).all())


def _check_name(name: str, elements: tuple[str, str]) -> None:
    if is_pair_name(name) and sorted(name.split("_")) != sorted(elements):
        raise ValueError(f"holds {' and '.join(elements)}, but its directory is named {name}")


# ------------------------------------------------------- band.out and results.tag


def _parse_band(text: str) -> _Levels:
    spins: list[list[tuple[float, float]]] = []
    for line in text.split("\n"):
        header = _BLOCK_OF_LEVELS.search(line)
        row = line.split()
        if header is not None:
            if integer(header[1]) != 1 or integer(header[2]) != len(spins) + 1:
                raise ValueError(f"unexpected k-point or spin in {line.strip()!r}")
            spins.append([])
        elif row:
            if not spins or len(row) not in (2, 3):
                raise ValueError(f"unexpected line {line.strip()!r}")
            spins[-1].append((number(row[-2]), number(row[-1])))
            if len(row) == 3 and integer(row[0]) != len(spins[-1]):
                raise ValueError(f"level {row[0]} stands where level {len(spins[-1])} should")
    if not spins or len({len(levels) for levels in spins}) != 1 or not spins[0]:
        raise ValueError("unfinished: there are no levels, or fewer for one spin")
    table = np.array(spins)
    return _Levels(table[..., 0], table[..., 1])


def _parse_tags(text: str) -> _Levels | None:
    """Levels of ``results.tag``, or None where it lists none."""
    found: dict[str, NDArray[np.float64]] = {}
    lines = text.split("\n")
    starts = [i for i, line in enumerate(lines) if ":" in line] + [len(lines)]
    for start, end in zip(starts, starts[1:], strict=False):
        tag = _TAG.fullmatch(lines[start].strip())
        if tag is None or tag[1] not in ("eigenvalues", "filling"):
            continue
        shape = [integer(size) for size in tag[2].split(",")]
        values = [number(token) for line in lines[start + 1 : end] for token in line.split()]
        if len(shape) != 3 or shape[1] != 1 or len(values) != math.prod(shape) or not values:
            raise ValueError(f"{tag[1]!r} holds {len(values)} numbers for the shape {shape}")
        found[tag[1]] = np.array(values).reshape(shape[2], shape[0])
    if not found:
        return None
    if len(found) < 2 or len({array.shape for array in found.values()}) > 1:
        raise ValueError("'eigenvalues' and 'filling' do not belong together")
    return _Levels(found["eigenvalues"] * HARTREE_IN_EV, found["filling"])


def _frontier_labels(
    levels: _Levels, populations: _Populations, fermi: LabelValue
) -> dict[str, LabelValue]:
    """HOMO, LUMO and the counts of levels.

    Where levels are partly filled, the highest occupied one lies at or above the lowest
    with room: both then are the Fermi level, and the gap is zero. A basis without an
    empty level has no LUMO, and by the archive's convention no HOMO either.
    """
    energies, fillings = levels
    n_levels, n_electrons = energies.shape[1], populations.atoms.sum()
    if n_levels != populations.n_levels:
        raise ValueError(f"{n_levels} levels, but detailed.out has {populations.n_levels}")
    if not abs(fillings.sum() - n_electrons) <= _FILLING_TOLERANCE:
        raise ValueError(f"{fillings.sum():.5f} electrons, but detailed.out has {n_electrons}")
    tail = _OCCUPIED * populations.full_level
    occupied, vacant = fillings > tail, fillings < populations.full_level - tail
    homo: LabelValue = None
    lumo: LabelValue = None
    if occupied.any() and vacant.any():
        homo, lumo = float(energies[occupied].max()), float(energies[vacant].min())
        if homo > lumo:
            homo = lumo = fermi
    return {
        "e_homo_ev": homo,
        "e_lumo_ev": lumo,
        "n_levels": float(n_levels),
        "max_occupancy": float(fillings.max()),
        "no_virtual_in_basis": not vacant.any(),
    }
