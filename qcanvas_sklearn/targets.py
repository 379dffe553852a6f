"""The 18 learning targets, the 37 labels of the archive, and the algebra between them.

All energies are in eV, lengths in Å, dipoles in debye, charges in elementary charges.
Which target can be read off which input is stated here once (:attr:`Target.read_off`),
so that nobody mistakes reading for prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DEBYE_PER_E_ANGSTROM",
    "EV_PER",
    "EXTENSIVE_LABELS",
    "GROUPS",
    "HARTREE_IN_EV",
    "IDENTITIES",
    "LABELS",
    "METAL_GAP_EV",
    "MIN_HARDNESS_EV",
    "MOLECULE_LABELS",
    "ODD_LABELS",
    "TARGETS",
    "Identity",
    "Label",
    "Target",
    "consistent_targets",
    "derive_targets",
    "identity_residuals",
    "resolve_targets",
    "target_parity",
    "target_units",
]

#: Dipole moment of one elementary charge displaced by one Å, in debye.
DEBYE_PER_E_ANGSTROM = 4.803204
#: One hartree in eV (CODATA 2018).
HARTREE_IN_EV = 27.211386245988
#: One unit of energy in eV; a kilocalorie is 4,184 joule.
EV_PER = {"eV": 1.0, "hartree": HARTREE_IN_EV, "kcal/mol": 4184 / 96485.33212331002}
#: Largest gap in eV of a pair that counts as metal-like.
METAL_GAP_EV = 0.3


@dataclass(frozen=True)
class Target:
    """One quantity to learn.

    Attributes
    ----------
    key : str
        Column name, as published.
    name : str
        Name in words.
    unit : str
        Unit of the values.
    group : str
        Group it belongs to, see :data:`GROUPS`.
    parity : {1, -1}
        Sign under exchange of the two atoms; -1 for quantities with a direction.
    definition : str
        How it is defined.
    read_off : tuple of str
        Inputs of the images or atom columns that determine it by algebra; empty where
        predicting it is prediction.
    """

    key: str
    name: str
    unit: str
    group: str
    parity: Literal[1, -1]
    definition: str
    read_off: tuple[str, ...] = ()


@dataclass(frozen=True)
class Label:
    """One column of the archive's label table.

    Attributes
    ----------
    key : str
        Column name.
    kind : {"float", "bool", "string"}
        Type of the values.
    unit : str
        Unit, ``"-"`` for pure numbers.
    description : str
        Meaning in words.
    """

    key: str
    kind: Literal["float", "bool", "string"]
    unit: str
    description: str


_CHARGES = ("charge_a and charge_b", "channels 5, 6, 7, 8, 9", "population_a and population_b")

_TARGET_ROWS = (
    Target("e_g_ev", "HOMO-LUMO gap", "eV", "frontier", 1, "E_LUMO - E_HOMO"),
    Target("e_homo_ev", "HOMO energy", "eV", "frontier", 1, "highest occupied level"),
    Target("e_lumo_ev", "LUMO energy", "eV", "frontier", 1, "lowest unoccupied level"),
    Target("band_energy_ev", "band energy", "eV", "energy", 1, "sum of occupied levels"),
    Target("total_energy_ev", "total energy", "eV", "energy", 1,
           "electronic plus repulsive energy"),
    Target("repulsive_energy_ev", "repulsive energy", "eV", "energy", 1,
           "short-range pair potential of DFTB"),
    Target("mermin_free_energy_ev", "Mermin free energy", "eV", "energy", 1,
           "total energy minus T S of the electrons"),
    Target("i_ev", "ionization energy", "eV", "reactivity", 1, "-E_HOMO (Koopmans)"),
    Target("a_ev", "electron affinity", "eV", "reactivity", 1, "-E_LUMO (Koopmans)"),
    Target("chi_ev", "electronegativity", "eV", "reactivity", 1, "(I + A) / 2"),
    Target("mu_ev", "chemical potential", "eV", "reactivity", 1, "-chi"),
    Target("eta_ev", "hardness", "eV", "reactivity", 1, "(I - A) / 2"),
    Target("softness_evinv", "softness", "1/eV", "reactivity", 1,
           "1 / eta; missing where the gap is zero, heavy-tailed"),
    Target("electrophilicity_ev", "electrophilicity index", "eV", "reactivity", 1,
           "mu^2 / (2 eta); missing where the gap is zero, heavy-tailed"),
    Target("dipole_mag_d", "dipole moment", "D", "charge", 1,
           "|mu| = 4.8032 |q| d, the dipole of the Mulliken charges",
           ("dipole_mag", "channel 4", "charges times distance_ang")),
    Target("dipole_z_d", "dipole along the bond", "D", "charge", -1,
           "z component, atom 1 below atom 2",
           ("charges times distance_ang", "channels 4, 8 and 9 together")),
    Target("q_absmean", "mean absolute charge", "e", "charge", 1,
           "mean of |q| over both atoms", _CHARGES),
    Target("distance_ang", "bond length", "angstrom", "geometry", 1,
           "relaxed distance of the two nuclei",
           ("distance_ang", "channel 4 divided by channel 6")),
)

#: The 18 targets by key.
TARGETS: dict[str, Target] = {target.key: target for target in _TARGET_ROWS}

#: Keys of the targets by group.
GROUPS: dict[str, tuple[str, ...]] = {
    group: tuple(t.key for t in _TARGET_ROWS if t.group == group)
    for group in dict.fromkeys(t.group for t in _TARGET_ROWS)
}

_LABEL_ROWS: tuple[tuple[str, Literal["float", "bool", "string"], str, str], ...] = (
    ("system_id_guess", "string", "-", "name of the pair"),
    ("n_atoms", "float", "-", "number of atoms, 2"),
    ("total_energy_ev", "float", "eV", "total energy"),
    ("e_homo_ev", "float", "eV", "energy of the highest occupied level"),
    ("e_lumo_ev", "float", "eV", "energy of the lowest unoccupied level"),
    ("e_g_ev", "float", "eV", "HOMO-LUMO gap"),
    ("band_energy_ev", "float", "eV", "sum of the occupied levels"),
    ("mermin_free_energy_ev", "float", "eV", "total energy minus T S"),
    ("repulsive_energy_ev", "float", "eV", "repulsive pair potential"),
    ("fermi_level_ev", "float", "eV", "Fermi level"),
    ("q_absmean", "float", "e", "mean absolute Mulliken charge"),
    ("q_maxabs", "float", "e", "largest absolute Mulliken charge"),
    ("q_std", "float", "e", "standard deviation of the Mulliken charges"),
    ("total_charge", "float", "e", "sum of the charges"),
    ("i_ev", "float", "eV", "ionization energy, -E_HOMO"),
    ("a_ev", "float", "eV", "electron affinity, -E_LUMO"),
    ("chi_ev", "float", "eV", "electronegativity, (I + A) / 2"),
    ("mu_ev", "float", "eV", "chemical potential, -chi"),
    ("eta_ev", "float", "eV", "hardness, (I - A) / 2"),
    ("n_levels", "float", "-", "number of orbitals"),
    ("max_occupancy", "float", "e", "largest occupation of a level"),
    ("softness_evinv", "float", "1/eV", "softness, 1 / eta"),
    ("electrophilicity_ev", "float", "eV", "electrophilicity index, mu^2 / (2 eta)"),
    ("metal_like", "bool", "-", f"gap not above {METAL_GAP_EV} eV"),
    ("no_virtual_in_basis", "bool", "-", "all orbitals are occupied: no LUMO"),
    ("dipole_mag_d", "float", "D", "dipole moment"),
    ("dipole_x_d", "float", "D", "dipole, x"),
    ("dipole_y_d", "float", "D", "dipole, y"),
    ("dipole_z_d", "float", "D", "dipole, z (along the bond)"),
    ("geom_opt_step", "float", "-", "last step of the geometry optimisation"),
    ("scc_last_iter", "float", "-", "last iteration of the charge self-consistency"),
    ("scc_last_total_elec_eh", "float", "hartree", "electronic energy of that iteration"),
    ("scc_last_diff_elec", "float", "hartree", "its change in that iteration"),
    ("scc_last_error", "float", "e", "charge error of that iteration"),
    ("geom_converged", "bool", "-", "geometry optimisation converged"),
    ("scc_converged", "bool", "-", "charge self-consistency converged"),
    ("distance_ang", "float", "angstrom", "bond length"),
)

#: The 37 labels of the public archive by key.
LABELS: dict[str, Label] = {row[0]: Label(*row) for row in _LABEL_ROWS}

_MOLECULE_LABEL_ROWS = (
    ("polarizability_ang3", "angstrom^3", "isotropic polarizability"),
    ("r2_ang2", "angstrom^2", "electronic spatial extent"),
    ("zpve_ev", "eV", "zero-point vibrational energy"),
    ("u0_ev", "eV", "internal energy at 0 K"),
    ("u_ev", "eV", "internal energy at 298.15 K"),
    ("h_ev", "eV", "enthalpy at 298.15 K"),
    ("g_ev", "eV", "Gibbs free energy at 298.15 K"),
    ("cv_cal_molk", "cal/(mol K)", "heat capacity at 298.15 K"),
    ("rotational_a_ghz", "GHz", "rotational constant A"),
    ("rotational_b_ghz", "GHz", "rotational constant B"),
    ("rotational_c_ghz", "GHz", "rotational constant C"),
    ("charge_mulliken", "e", "Mulliken charge of an atom"),
)

#: Labels of molecules by key, beside those of :data:`LABELS` that hold for them as well.
MOLECULE_LABELS: dict[str, Label] = {
    key: Label(key, "float", unit, description)
    for key, unit, description in _MOLECULE_LABEL_ROWS
}

#: Labels that add up where two systems far apart are taken for one; of all others they are
#: not the sum, and a gap or a level of a molecule does not grow with it.
EXTENSIVE_LABELS: tuple[str, ...] = (
    "total_energy_ev", "band_energy_ev", "mermin_free_energy_ev", "repulsive_energy_ev",
    "n_levels", "polarizability_ang3", "zpve_ev", "u0_ev", "u_ev", "h_ev", "g_ev",
    "cv_cal_molk",
)  # fmt: skip

#: Labels that change their sign when the atoms are exchanged; all others are even.
ODD_LABELS: tuple[str, ...] = ("dipole_x_d", "dipole_y_d", "dipole_z_d")


@dataclass(frozen=True)
class Identity:
    """An exact relation ``target = function(*inputs)`` between labels.

    Attributes
    ----------
    target : str
        Key on the left-hand side.
    inputs : tuple of str
        Keys on the right-hand side.
    function : callable
        Takes the input arrays, returns the target array.
    formula : str
        The relation in words.
    """

    target: str
    inputs: tuple[str, ...]
    function: Callable[..., np.ndarray]
    formula: str


def _reciprocal(x: np.ndarray) -> np.ndarray:
    return np.divide(1.0, x, out=np.full_like(x, np.nan), where=x != 0)


#: Exact relations between the labels, in an order in which they can be applied.
IDENTITIES: tuple[Identity, ...] = (
    Identity("i_ev", ("e_homo_ev",), lambda homo: -homo, "I = -E_HOMO"),
    Identity("a_ev", ("e_lumo_ev",), lambda lumo: -lumo, "A = -E_LUMO"),
    Identity("e_g_ev", ("i_ev", "a_ev"), lambda i, a: i - a, "E_g = I - A"),
    Identity("chi_ev", ("i_ev", "a_ev"), lambda i, a: (i + a) / 2, "chi = (I + A) / 2"),
    Identity("mu_ev", ("chi_ev",), lambda chi: -chi, "mu = -chi"),
    Identity("eta_ev", ("i_ev", "a_ev"), lambda i, a: (i - a) / 2, "eta = (I - A) / 2"),
    Identity("softness_evinv", ("eta_ev",), _reciprocal, "S = 1 / eta"),
    Identity("electrophilicity_ev", ("mu_ev", "eta_ev"),
             lambda mu, eta: mu**2 / 2 * _reciprocal(eta), "omega = mu^2 / (2 eta)"),
    Identity("dipole_mag_d", ("q_absmean", "distance_ang"),
             lambda q, d: DEBYE_PER_E_ANGSTROM * q * d, "|mu| = 4.8032 |q| d"),
)


def resolve_targets(target: str | Sequence[str] | None) -> list[str]:
    """Keys that a target specification stands for.

    Parameters
    ----------
    target : str, sequence of str or None
        One target key, a group name (see :data:`GROUPS`), the key of any other label, a
        sequence of these, or None for all 18 targets.

    Returns
    -------
    list of str
        Keys without repetition, in the order asked for.

    Raises
    ------
    ValueError
        If a name is none of these, or none is given.
    TypeError
        If `target` is neither a name nor a sequence of names.

    Examples
    --------
    >>> from qcanvas_sklearn.targets import resolve_targets
    >>> resolve_targets("frontier")
    ['e_g_ev', 'e_homo_ev', 'e_lumo_ev']
    """
    if target is None:
        return list(TARGETS)
    if not isinstance(target, Iterable):
        raise TypeError(f"target must be a name, a sequence of names or None, got {target!r}")
    keys: list[str] = []
    for name in [target] if isinstance(target, str) else target:
        if not isinstance(name, str) or not (name in LABELS or name in GROUPS):
            raise ValueError(
                f"unknown target {name!r}; targets are {list(TARGETS)}, groups {list(GROUPS)}, "
                f"other labels {[key for key in LABELS if key not in TARGETS]}"
            )
        keys.extend(GROUPS.get(name, (name,)))
    if not keys:
        raise ValueError("target is empty; name at least one target, or pass None for all")
    return list(dict.fromkeys(keys))


def target_parity(key: object) -> int:
    """Sign of a target under exchange of the atoms; 0 where the key is unknown.

    Examples
    --------
    >>> from qcanvas_sklearn.targets import target_parity
    >>> target_parity("e_g_ev"), target_parity("dipole_z_d"), target_parity("my_target")
    (1, -1, 0)
    """
    return TARGETS[key].parity if isinstance(key, str) and key in TARGETS else 0


def target_units(keys: Sequence[str]) -> dict[str, str]:
    """Units by target key; empty text where a key is no label of pairs or molecules.

    Examples
    --------
    >>> from qcanvas_sklearn.targets import target_units
    >>> target_units(["e_g_ev", "my_target"])
    {'e_g_ev': 'eV', 'my_target': ''}
    """
    known = LABELS | MOLECULE_LABELS
    return {key: known[key].unit if key in known else "" for key in keys}


def derive_targets(values: pd.DataFrame) -> pd.DataFrame:
    """Add every target that the given columns determine by algebra.

    Parameters
    ----------
    values : DataFrame of shape (n, k)
        Columns named by label keys.

    Returns
    -------
    DataFrame
        The given columns, unchanged, and the derived ones behind them. Softness and
        electrophilicity are NaN where the hardness is zero.

    Examples
    --------
    >>> import pandas as pd
    >>> from qcanvas_sklearn.targets import derive_targets
    >>> frame = derive_targets(pd.DataFrame({"e_homo_ev": [-6.0], "e_lumo_ev": [-2.0]}))
    >>> frame[["chi_ev", "eta_ev", "softness_evinv"]].iloc[0].tolist()
    [4.0, 2.0, 0.5]
    """
    out = values.copy()
    for identity in IDENTITIES:
        if identity.target not in out and all(key in out for key in identity.inputs):
            columns = [out[key].to_numpy(dtype=float) for key in identity.inputs]
            out[identity.target] = identity.function(*columns)
    return out


#: What each frontier quantity is of (I, A); all are linear.
_FRONTIER = {
    "e_homo_ev": (-1.0, 0.0), "e_lumo_ev": (0.0, -1.0), "i_ev": (1.0, 0.0),
    "a_ev": (0.0, 1.0), "e_g_ev": (1.0, -1.0), "chi_ev": (0.5, 0.5), "mu_ev": (-0.5, -0.5),
    "eta_ev": (0.5, -0.5),
}  # fmt: skip


#: Hardness below which reciprocals of a predicted one mean nothing: about its error. Of the
#: values from 1e-4 to 0.1 this one had the smallest mean error of softness and
#: electrophilicity on the validation tenth of the published protocol (seed 42).
MIN_HARDNESS_EV = 0.03


def _frontier(known: np.ndarray, matrix: np.ndarray) -> pd.DataFrame:
    """What values (n, k) = matrix @ (I, A) say of all frontier quantities; NaN is nothing."""
    import pandas as pd

    energies, is_known = np.empty((len(known), 2)), np.isfinite(known)
    determined = np.empty((len(known), len(_FRONTIER)), dtype=bool)
    forms = np.array(list(_FRONTIER.values()))
    for pattern in np.unique(is_known, axis=0):
        rows, of = (is_known == pattern).all(axis=1), matrix[pattern]
        inverse = np.linalg.pinv(of)
        energies[rows] = known[np.ix_(rows, pattern)] @ inverse.T
        # Those in the span of the known ones do not change with what these leave open.
        determined[rows] = np.isclose(forms @ inverse @ of, forms).all(axis=1)
    out = derive_targets(pd.DataFrame(-energies, columns=["e_homo_ev", "e_lumo_ev"]))
    out = out[list(_FRONTIER)].where(determined)
    hardness = np.maximum(out["eta_ev"], MIN_HARDNESS_EV)
    out["softness_evinv"] = 1 / hardness
    out["electrophilicity_ev"] = out["mu_ev"] ** 2 / (2 * hardness)
    return out


def consistent_targets(values: pd.DataFrame) -> pd.DataFrame:
    r"""Move predictions to where the identities between them hold.

    Ionization energy I and electron affinity A are fitted by least squares to all columns
    that are linear in them (HOMO, LUMO, I, A, gap, chi, mu, eta); these, softness and
    electrophilicity are then computed from I and A, and the dipole moment from charge and
    bond length: that holds for DFTB, and not for xTB, whose dipoles have those of its atoms
    beside (leave one of the three columns out). Columns that no identity binds stay as they
    are. In the reciprocals of softness and electrophilicity a hardness below
    :data:`MIN_HARDNESS_EV` counts as that: a predicted one close to zero, and be it by
    chance, would make them as large as one likes. Of a row with missing
    values (NaN) everything moves, or is filled, that the others determine; the rest stays as
    it is.

    Parameters
    ----------
    values : DataFrame of shape (n, k)
        Columns named by target keys.

    Returns
    -------
    DataFrame
        The same columns.

    Raises
    ------
    ValueError
        If no identity binds the columns: that takes two frontier quantities that fix I
        and A and a third one that follows, or dipole moment, charge and bond length.

    Examples
    --------
    >>> import pandas as pd
    >>> from qcanvas_sklearn.targets import consistent_targets
    >>> frame = pd.DataFrame({"i_ev": [6.1], "a_ev": [2.0], "e_g_ev": [4.0]})
    >>> consistent_targets(frame).round(3).iloc[0].tolist()
    [6.067, 2.033, 4.033]
    """
    out = values.copy()
    linear = [key for key in values if key in _FRONTIER]
    matrix = np.array([_FRONTIER[key] for key in linear]).reshape(-1, 2)
    bound: list[str] = []
    if linear and np.linalg.matrix_rank(matrix) == 2:
        derived = _frontier(values[linear].to_numpy(dtype=float), matrix)
        derived.index = values.index
        bound = [key for key in values if key in derived]
        out[bound] = derived[bound].where(derived[bound].notna(), values[bound])
    dipole = {"dipole_mag_d", "q_absmean", "distance_ang"} <= set(values)
    if dipole:
        product = DEBYE_PER_E_ANGSTROM * out["q_absmean"] * out["distance_ang"]
        out["dipole_mag_d"] = product.where(product.notna(), out["dipole_mag_d"])
    if len(bound) < 3 and not dipole:
        raise ValueError(
            f"no identity binds the targets {list(values)}: that takes two frontier "
            "quantities that fix I and A and a third one that follows, or dipole_mag_d, "
            "q_absmean and distance_ang"
        )
    return out


def identity_residuals(labels: pd.DataFrame) -> pd.Series:
    """Largest absolute violation of each identity, in the unit of its left side.

    Parameters
    ----------
    labels : DataFrame of shape (n, k)
        Label table; identities with absent columns are left out.

    Returns
    -------
    Series
        Largest absolute difference by formula; NaN where no row has all its labels.

    Examples
    --------
    >>> import pandas as pd
    >>> from qcanvas_sklearn.targets import identity_residuals
    >>> identity_residuals(pd.DataFrame({"i_ev": [6.0], "e_homo_ev": [-6.0]})).to_dict()
    {'I = -E_HOMO': 0.0}
    """
    import pandas as pd

    residuals = {}
    for identity in IDENTITIES:
        if identity.target in labels and all(key in labels for key in identity.inputs):
            columns = [labels[key].to_numpy(dtype=float) for key in identity.inputs]
            given = labels[identity.target].to_numpy(dtype=float)
            difference = np.abs(given - identity.function(*columns))
            seen = difference[~np.isnan(difference)]
            residuals[identity.formula] = seen.max() if seen.size else np.nan
    return pd.Series(residuals, dtype=float)
