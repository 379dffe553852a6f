"""How charges and moments of atoms shift and mix levels: parameters, and what they do.

Each shell has a charge; the first s and the first p shell of an atom have a dipole and a
quadrupole between them besides. They meet by γ(R) = 1/√(R² + a²) [1]_ [2]_ and by its
derivatives, as charge clouds do, and each moment has a stiffness of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..elements import SYMBOLS
from ._basis import Orbitals

__all__ = [
    "AXES",
    "COULOMB",
    "MOMENT_NAMES",
    "SHELL_NAMES",
    "TRACELESS",
    "ChargeModel",
    "Moments",
    "Response",
    "free_moments",
]

#: e²/(4πε₀) in eV Å.
COULOMB = 14.399645
#: Columns of the parameters of shells and of moments.
SHELL_NAMES = ("hardness", "cubic", "shift")
MOMENT_NAMES = ("length", "dipole stiffness", "area", "quadrupole stiffness")
#: Of y, z, x: the order of a p shell.
AXES = [1, 2, 0]


def _traceless() -> NDArray[np.float64]:
    """Five symmetric matrices of trace 0 and norm 1, orthogonal to each other."""
    out = np.zeros((5, 3, 3))
    for k, (a, b) in enumerate(((0, 1), (1, 2), (0, 2))):
        out[k, a, b] = out[k, b, a] = np.sqrt(0.5)
    out[3] = np.diag([1.0, 0.0, -1.0]) / np.sqrt(2.0)
    out[4] = np.diag([-1.0, 2.0, -1.0]) / np.sqrt(6.0)
    return out


TRACELESS = _traceless()


class Moments(NamedTuple):
    """Elements of the matrices whose expectations are charges, dipoles and quadrupoles.

    Attributes
    ----------
    moment, row, column : ndarray of int, shape (e,)
        Of each element: which moment it belongs to, and the two orbitals, of one atom.
    weight : ndarray of shape (e,)
        Its value.
    shell_atom : ndarray of int, shape (s,)
        Atom of each shell; the charges of shells come first among the moments.
    shell_of : ndarray of int, shape (n_orbitals,)
        Shell of each orbital.
    sites : ndarray of int, shape (t,)
        Shells, p ones, at which dipoles (3 each, after the charges) and quadrupoles (5
        each, after the dipoles) are.
    """

    moment: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    weight: NDArray[np.float64]
    shell_atom: NDArray[np.int64]
    shell_of: NDArray[np.int64]
    sites: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.shell_atom) + 8 * len(self.sites)

    @classmethod
    def of(cls, orbitals: Orbitals) -> Moments:
        """Those of one molecule."""
        atom, l, m = orbitals.atom, orbitals.l, orbitals.m
        shell_of = np.cumsum(m == -l) - 1
        starts = np.flatnonzero(m == -l)
        s_of, p_of = (_first_shells(orbitals, momentum) for momentum in (0, 1))
        atoms = np.flatnonzero((s_of >= 0) & (p_of >= 0))
        s, p = starts[s_of[atoms]], starts[p_of[atoms]]
        n_shells, n_sites = len(starts), len(atoms)
        k = np.arange(n_sites)
        number = np.arange(len(atom))
        charges = (shell_of, number, number, np.ones(len(atom)))
        dipole = n_shells + 3 * k[:, None] + np.arange(3)
        mixed = (s[:, None] + np.zeros(3, dtype=np.int64), p[:, None] + np.arange(3))
        both = [mixed, mixed[::-1]]
        parts = [charges, *((dipole, a, b, np.ones(dipole.shape)) for a, b in both)]
        q, a, b = np.nonzero(TRACELESS)
        quadrupole = n_shells + 3 * n_sites + 5 * k[:, None] + q
        parts.append((
            quadrupole, p[:, None] + a, p[:, None] + b,
            np.broadcast_to(TRACELESS[q, a, b], quadrupole.shape),
        ))  # fmt: skip
        moment, row, column, weight = (
            np.concatenate([part[c].ravel() for part in parts]) for c in range(4)
        )
        return cls(moment, row, column, weight, atom[starts], shell_of, p_of[atoms])

    def expectations(self, density: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of each moment, for the symmetric part of density times overlap."""
        values = self.weight * density[self.row, self.column]
        return np.asarray(np.bincount(self.moment, values, len(self)), np.float64)

    def operator(self, potentials: NDArray[np.float64], n: int) -> NDArray[np.float64]:
        """Sum of the matrices, (n, n), each times its potential."""
        place = self.row * n + self.column
        values = self.weight * potentials[self.moment]
        return np.asarray(np.bincount(place, values, n * n).reshape(n, n), np.float64)


def free_moments(
    moments: Moments, orbitals: Orbitals, free: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Moments of free atoms: the populations of their shells, and nothing else."""
    out = np.zeros(len(moments))
    populations = [free[SYMBOLS[z]] for z in orbitals.z.tolist()]
    out[: len(moments.shell_atom)] = np.concatenate(populations)
    return out


def _first_shells(orbitals: Orbitals, momentum: int) -> NDArray[np.int64]:
    """First shell of each atom with an angular momentum, counted through; -1 for none."""
    starts = np.flatnonzero(orbitals.m == -orbitals.l)
    found = np.full(len(orbitals.z), -1)
    of = np.flatnonzero(orbitals.l[starts] == momentum)[::-1]  # so that the first one stays
    found[orbitals.atom[starts[of]]] = of
    return found


class Response(NamedTuple):
    """Potentials (eV) of the moments of a molecule, A x - G x² + δ.

    `x` are the electrons that a shell has more than the free atom, and the dipoles and
    quadrupoles of the populations.
    """

    matrix: NDArray[np.float64]
    cubic: NDArray[np.float64]
    shift: NDArray[np.float64]

    def potentials(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Potentials at some moments."""
        return self.matrix @ x - self.cubic * x**2 + self.shift

    def energy(self, x: NDArray[np.float64]) -> float:
        """Energy of some moments in eV, whose derivatives the potentials are."""
        return float(x @ self.matrix @ x / 2 - self.cubic @ x**3 / 3 + self.shift @ x)


@dataclass(frozen=True, eq=False)
class ChargeModel:
    """Parameters of the charges and moments of some elements.

    Attributes
    ----------
    shells : mapping of str to ndarray of shape (n_shells, 3)
        Of each element's shells: hardness U (eV/e), whose inverse is the length a of γ;
        cubic term G (eV/e²); shift δ of the level (eV).
    moments : mapping of str to ndarray of shape (4,)
        Of each element: how far a dipole of one electron reaches (Å), its stiffness (eV),
        the area of the quadrupole (Å²), and its stiffness (eV).
    reach : mapping of str to float
        Of each element: how far a dipole of one electron reaches (Å) when it is seen from
        afar, where nothing screens it.
    provenance : str
        What they were fitted to.

    References
    ----------
    .. [1] K. Ohno, Theor. Chim. Acta 2, 219 (1964), doi:10.1007/BF00528281.
    .. [2] G. Klopman, J. Am. Chem. Soc. 86, 4550 (1964), doi:10.1021/ja01075a008.
    """

    shells: Mapping[str, NDArray[np.float64]]
    moments: Mapping[str, NDArray[np.float64]]
    reach: Mapping[str, float]
    provenance: str = ""

    def describe(self) -> str:
        """A text on the parameters.

        Returns
        -------
        str
        """
        lines = [f"charges: {self.provenance}"]
        for symbol, shells in self.shells.items():
            values = "; ".join(", ".join(f"{v:.2f}" for v in shell) for shell in shells)
            extra = ", ".join(f"{v:.3f}" for v in self.moments[symbol])
            extra += f"; reach {self.reach[symbol]:.3f}"
            lines.append(f"{symbol}: U, G, δ by shell {values}; dipole, quadrupole {extra}")
        return "\n".join(lines)

    def dipole(
        self,
        z: NDArray[np.int64],
        positions: NDArray[np.float64],
        moments: Moments,
        found: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Dipole moment (e Å) of one molecule about the mean of its atoms.

        Parameters
        ----------
        z : ndarray of int, shape (n_atoms,)
            Atomic numbers.
        positions : ndarray of shape (n_atoms, 3)
            In Å.
        moments : Moments
            Those of the molecule.
        found : ndarray of shape (n_moments,)
            Their values, see :class:`qcanvas_sklearn.hamiltonians._scc.State`.
        """
        n, atom = len(moments.shell_atom), moments.shell_atom
        about = positions - positions.mean(axis=0)
        dipole = -found[:n] @ about[atom]
        of_sites = found[n : n + 3 * len(moments.sites)].reshape(-1, 3)
        names = [SYMBOLS[number] for number in z[atom[moments.sites]].tolist()]
        reach = np.array([self.reach[name] for name in names])
        dipole[AXES] -= reach @ of_sites
        return dipole

    def response(
        self, orbitals: Orbitals, moments: Moments, positions: NDArray[np.float64]
    ) -> Response:
        """What the moments of one molecule do, at positions in Å."""
        atoms = orbitals.z.tolist()
        of_shells = np.concatenate([self.shells[SYMBOLS[z]] for z in atoms])
        hardness, cubic, shift = of_shells.T
        site_atoms = moments.shell_atom[moments.sites]
        names = [SYMBOLS[z] for z in orbitals.z[site_atoms].tolist()]
        of_sites = np.array([self.moments[name] for name in names]).reshape(-1, 4)
        xyz = positions[:, AXES]
        matrix = _interactions(xyz, moments, hardness, of_sites)
        n = 8 * len(moments.sites)
        return Response(
            matrix, np.concatenate([cubic, np.zeros(n)]), np.concatenate([shift, np.zeros(n)])
        )


def _interactions(
    xyz: NDArray[np.float64],
    moments: Moments,
    hardness: NDArray[np.float64],
    of_sites: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The symmetric matrix A of :class:`Response`."""
    atom, sites = moments.shell_atom, moments.sites
    length, stiffness, area, quadrupole_stiffness = of_sites.T
    vectors = xyz[atom][None, :] - xyz[atom[sites]][:, None]
    radius = 2 * COULOMB / (hardness[:, None] + hardness)
    squared = ((xyz[atom][None, :] - xyz[atom][:, None]) ** 2).sum(-1) + radius**2
    gamma = COULOMB / np.sqrt(squared)
    # Derivatives by the place of the site, (t, s, ...).
    cubed = (gamma / squared)[sites]
    first = cubed[..., None] * vectors
    outer = 3 * vectors[..., :, None] * vectors[..., None, :] / squared[sites][..., None, None]
    second = cubed[..., None, None] * (outer - np.eye(3))
    dipole = np.einsum("t,tsa->tas", length, first).reshape(3 * len(sites), len(atom))
    quadrupole = np.einsum("t,tsab,kab->tks", area, second, TRACELESS)
    quadrupole = quadrupole.reshape(5 * len(sites), len(atom))
    other = atom[sites][:, None] != atom[sites]
    pair = -second[:, sites] * (length[:, None] * length * other)[..., None, None]
    dipoles = pair.transpose(0, 2, 1, 3).reshape(3 * len(sites), 3 * len(sites))
    dipoles = dipoles + np.diag(np.repeat(stiffness, 3))
    quadrupoles = np.diag(np.repeat(quadrupole_stiffness, 5))
    nothing = np.zeros((len(dipoles), len(quadrupoles)))
    return np.block([
        [gamma, dipole.T, quadrupole.T],
        [dipole, dipoles, nothing],
        [quadrupole, nothing.T, quadrupoles],
    ])  # fmt: skip
