"""SchNet and PaiNN of schnetpack in a plain loop.

schnetpack 2.1.1 pins an older torch; with a newer one it imports where
``torch.utils.data.dataloader.T_co`` is supplied, as is done here. Loss (squared errors,
energies 0.01, forces 0.99), AdamW and width are as published, but for one cycle of the
learning rate.
"""

from __future__ import annotations

import typing
from typing import Any

import numpy as np
import torch
from torch.nn.functional import mse_loss

from qcanvas_sklearn import CompositionRegressor
from qcanvas_sklearn.structures import Molecules

from .cases import Part

__all__ = ["PeerModel", "load_schnetpack"]

CUTOFF, LR, WIDTH = 5.0, 1e-3, 64
Inputs = dict[str, torch.Tensor]


def load_schnetpack() -> Any:
    """The package.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    from torch.utils.data import dataloader

    if not hasattr(dataloader, "T_co"):
        dataloader.T_co = typing.TypeVar("T_co", covariant=True)
    import schnetpack

    return schnetpack


class PeerModel:
    """A network of schnetpack with 64 features and 3 layers.

    Parameters
    ----------
    name : {"SchNet", "PaiNN"}
        Class of the representation.
    batch_size : int
        Rows of a step.
    """

    def __init__(self, name: str, batch_size: int) -> None:
        self.name, self.batch_size = name, batch_size

    def fit(self, part: Part, max_epochs: int) -> PeerModel:
        """Train a new network for some epochs."""
        self.reference = CompositionRegressor().fit(*part)
        self.has_forces = part.X.forces is not None
        rest = part.y.to_numpy() - self.reference.predict(part.X)
        self.net = self._network()
        self._train(part.X, torch.tensor(rest, dtype=torch.float32), max_epochs)
        return self

    def predict(self, X: Molecules) -> tuple[np.ndarray, np.ndarray | None]:
        """Energies, and forces where they were learned."""
        rows = [inputs_of(X[[i]]) for i in range(len(X))]
        self.net.eval()
        found = [self.net(joined(rows[i : i + 50])) for i in range(0, len(rows), 50)]
        energy, forces = (
            np.concatenate([part[key].detach().numpy() for part in found])
            if key in found[0] else None
            for key in ("energy", "forces")
        )  # fmt: skip
        return energy + self.reference.predict(X), forces

    def _network(self) -> torch.nn.Module:
        spk = load_schnetpack()
        torch.manual_seed(0)
        forces = [spk.atomistic.Forces(energy_key="energy", force_key="forces")]
        representation = getattr(spk.representation, self.name)(
            n_atom_basis=WIDTH, n_interactions=3,
            radial_basis=spk.nn.GaussianRBF(n_rbf=20, cutoff=CUTOFF),
            cutoff_fn=spk.nn.CosineCutoff(CUTOFF),
        )  # fmt: skip
        energy = spk.atomistic.Atomwise(n_in=WIDTH, output_key="energy")
        return spk.model.NeuralNetworkPotential(
            representation,
            input_modules=[spk.atomistic.PairwiseDistances()],
            output_modules=[energy, *(forces if self.has_forces else [])],
        )

    def _train(self, X: Molecules, rest: torch.Tensor, n_epochs: int) -> None:
        inputs = [inputs_of(X[[i]]) for i in range(len(X))]
        parts = np.split(X.forces, X.ptr[1:-1]) if X.forces is not None else []
        forces = [torch.tensor(part, dtype=torch.float32) for part in parts]
        n_steps = n_epochs * -(-len(X) // self.batch_size)
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=LR, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, n_steps + 1)
        for _ in range(n_epochs):
            for rows in torch.randperm(len(X)).split(self.batch_size):
                found = self.net(joined([inputs[i] for i in rows]))
                loss = mse_loss(found["energy"], rest[rows])
                if forces:
                    true = torch.cat([forces[i] for i in rows])
                    loss = 0.01 * loss + 0.99 * mse_loss(found["forces"], true)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()


def inputs_of(molecule: Molecules) -> Inputs:
    """What schnetpack takes of one molecule."""
    near = molecule.neighbours(CUTOFF)
    return {
        "_atomic_numbers": torch.tensor(molecule.z),
        "_positions": torch.tensor(molecule.positions, dtype=torch.float32),
        "_idx_i": torch.tensor(near.i), "_idx_j": torch.tensor(near.j),
        "_offsets": torch.zeros(len(near), 3),
    }  # fmt: skip


def joined(rows: list[Inputs]) -> Inputs:
    """A batch of molecules."""
    counts = torch.tensor([len(row["_atomic_numbers"]) for row in rows])
    first = counts.cumsum(0) - counts
    batch = {
        key: torch.cat([
            row[key] + (first[k] if key.startswith("_idx") else 0) for k, row in enumerate(rows)
        ])
        for key in rows[0]
    }  # fmt: skip
    batch["_idx_m"] = torch.arange(len(rows)).repeat_interleave(counts)
    batch["_n_atoms"] = counts
    return batch
