"""A pair's own Hamiltonian, learned: two-centre tight binding as a differentiable layer."""

from .blocks import Pencil
from .bond_length import bond_length
from .eigen import generalized_eigh
from .elements import BOHR_PER_ANGSTROM, shells_of
from .features import state_features
from .gaussians import GaussianBasis, integral_list
from .hamiltonian import ABSENT_EV
from .labels import state_labels
from .members import QUANTITIES, MemberState, TightBindingMembers, in_order, quantities_of
from .module import State, TightBinding
from .prefit import prefit
from .supervision import TERMS, Term, compared, computed_columns, population_columns
from .targets import state_targets

__all__ = [
    "ABSENT_EV",
    "BOHR_PER_ANGSTROM",
    "QUANTITIES",
    "TERMS",
    "GaussianBasis",
    "MemberState",
    "Pencil",
    "State",
    "Term",
    "TightBinding",
    "TightBindingMembers",
    "bond_length",
    "compared",
    "computed_columns",
    "generalized_eigh",
    "in_order",
    "integral_list",
    "population_columns",
    "prefit",
    "quantities_of",
    "shells_of",
    "state_features",
    "state_labels",
    "state_targets",
]
