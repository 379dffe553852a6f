"""Names under which networks return what is not the output of one block alone."""

from __future__ import annotations

__all__ = ["FORCES", "OFF_SITE", "ON_SITE", "OUTPUT", "PENALTY", "SHARE"]

#: The block of what an estimator predicts; networks of this block alone return a tensor.
OUTPUT = "y"
#: Forces on the atoms, the negative slopes of one output with the positions.
FORCES = "forces"
#: What a network adds to the loss of a batch as it is: a penalty on its parameters.
PENALTY = "penalty"
#: Shares (b, m) of the rows in what the members of an ensemble learn; they count all alike
#: where a network says nothing.
SHARE = "share"
#: Blocks of a Hamiltonian between the orbitals of one atom, and of two.
ON_SITE = "on_site"
OFF_SITE = "off_site"
