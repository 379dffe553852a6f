"""Descriptors of molecules, and kernels between them, for any scikit-learn estimator."""

from ._atoms import atom_vectors
from ._coulomb import coulomb_spectra
from ._descriptor import MoleculeDescriptorTransformer
from ._kernel import MoleculeKernelTransformer, local_kernel
from ._pair_potential import PairPotentialTransformer

__all__ = [
    "MoleculeDescriptorTransformer",
    "MoleculeKernelTransformer",
    "PairPotentialTransformer",
    "atom_vectors",
    "coulomb_spectra",
    "local_kernel",
]
