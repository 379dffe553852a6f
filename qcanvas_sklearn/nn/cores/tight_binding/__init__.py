"""A pair's own Hamiltonian, learned: two-centre tight binding as a differentiable layer."""

from .bond_length import bond_length
from .elements import shells_of
from .gaussians import GaussianBasis, integral_list
from .losses import LOSS_TERMS, tight_binding_loss
from .module import State, TightBinding
from .prefit import prefit
from .recipe import PRIOR_WEIGHT, parameter_groups, smearing
from .residual import ResidualNet, state_features
from .targets import state_targets

__all__ = [
    "LOSS_TERMS",
    "PRIOR_WEIGHT",
    "GaussianBasis",
    "ResidualNet",
    "State",
    "TightBinding",
    "bond_length",
    "integral_list",
    "parameter_groups",
    "prefit",
    "shells_of",
    "smearing",
    "state_features",
    "state_targets",
    "tight_binding_loss",
]
