"""Parameters that labels determine without an eigenproblem, by damped Gauss-Newton.

The repulsive energy fixes the widths and charges of the cores; what total less band less
repulsive energy is fixes hardness and screening, once the populations are known. Both
are least squares of absolute type in a dozen unknowns an element, of which a pair touches
two sets: its Jacobian is one backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from .elements import BOHR_PER_ANGSTROM
from .hamiltonian import PairHamiltonian
from .module import TightBinding

__all__ = ["prefit"]

#: Ridge towards the start, by parameter, in units of the squared residual.
RIDGE = {
    "log_width": 1e-6, "log_core": 1e-3, "log_hardness": 1e-4, "screening": 1e-2,
    "cloud": 1e-3, "third_order": 1e-3, "shell_hardness": 1e-2, "reference_shift": 1e-2,
}  # fmt: skip
#: Ridge of widths on what is known of every element.
WIDTH_RIDGE = 0.1
#: Starts of the share of Slater clouds in γ; the better one is kept.
CLOUD_STARTS = (1.5, -1.5)

_Quantity = Callable[[PairHamiltonian, Tensor, Tensor], Tensor]


class _Part(nn.Module):
    """A quantity of the Hamiltonian as a module, so that its tables can be replaced."""

    def __init__(self, hamiltonian: PairHamiltonian, quantity: _Quantity) -> None:
        super().__init__()
        self.hamiltonian, self.quantity = hamiltonian, quantity

    def forward(self, z: Tensor, rows: Tensor) -> Tensor:
        return self.quantity(self.hamiltonian, z, rows)


def prefit(
    model: TightBinding, z: Tensor, distance: Tensor, labels: Mapping[str, Tensor],
    populations: Tensor | None = None,
) -> dict[str, float]:  # fmt: skip
    """Fit repulsion and Coulomb interaction of a model to labels, in place.

    Parameters
    ----------
    model : TightBinding
        The model.
    z : Tensor of shape (n, 2), int64
        Atomic numbers.
    distance : Tensor of shape (n,)
        Distances in Å.
    labels : mapping of str to Tensor
        ``repulsion`` and ``remainder`` (total less band less repulsive energy) in eV are
        used where there are any; NaN is a missing label.
    populations : Tensor of shape (n, 2, k), optional
        Electrons by shell, needed for ``remainder``.

    Returns
    -------
    dict of str to float
        Mean absolute deviation of each label that was fitted, in eV.
    """
    r = distance.double() * BOHR_PER_ANGSTROM
    fitted = {}

    def repulsion(h: PairHamiltonian, pair: Tensor, rows: Tensor) -> Tensor:
        return h.bare_repulsion(pair[:, 0], pair[:, 1], r[rows])

    def remainder(h: PairHamiltonian, pair: Tensor, rows: Tensor) -> Tensor:
        assert populations is not None
        gamma = h.gamma(pair[:, 0], pair[:, 1], r[rows], torch.zeros_like(r[rows]))
        return h.double_counting(pair, gamma, populations[rows, :, : model.n_shells])

    h = model.hamiltonian
    rows = _known(labels.get("repulsion"))
    if len(rows):
        for names in (("log_width",), ("log_width", "log_core")):
            fit = _GaussNewton(h, repulsion, names, z[rows], rows, labels["repulsion"][rows])
            fitted["repulsion"] = fit.run((1.0, 0.1, 0.01, 0.001))
        _extend_widths(h, fit.elements)
        size = labels["repulsion"][rows].abs().mean().clamp_min(1e-9)
        h.amplitudes[0] = min(0.5, 10 * fitted["repulsion"] / float(size))
    rows = _known(labels.get("remainder"))
    if len(rows) and populations is not None:
        first = ("log_hardness", "screening", "cloud", "third_order")
        outcomes = []
        begin = {name: value.detach().clone() for name, value in h.named_parameters()}
        for start in CLOUD_STARTS:
            h.load_state_dict(begin, strict=False)
            with torch.no_grad():
                h.common[0] = start
            for more in ((), ("shell_hardness", "reference_shift")):
                label = labels["remainder"][rows]
                fit = _GaussNewton(h, remainder, (*first, *more), z[rows], rows, label)
                error = fit.run((10.0, 1.0, 0.1, 0.01))
            outcomes.append((error, {k: v.detach().clone() for k, v in h.named_parameters()}))
        fitted["remainder"], best = min(outcomes, key=lambda outcome: outcome[0])
        h.load_state_dict(best, strict=False)
        h.amplitudes[1] = min(0.5, 20 * fitted["remainder"])
        h.amplitudes[2] = min(1.0, 20 * fitted["remainder"])
    return fitted


@torch.no_grad()
def _extend_widths(h: PairHamiltonian, learned: Tensor) -> None:
    """Widths of cores that no pair has shown, from the radii and numbers of those that have.

    Repulsion rises steeply with them: where a table starts is tens of eV off between heavy
    atoms.
    """
    known = torch.stack([h.radius.clamp_min(0.5).log(), h.core.clamp_min(1.0).log()], dim=1)
    if len(learned) <= known.shape[1]:
        return
    mean = known[learned].mean(0)
    level = h.log_width[learned].mean()
    columns = known[learned] - mean
    normal = columns.mT @ columns + WIDTH_RIDGE * torch.eye(columns.shape[1]).to(columns)
    slope = torch.linalg.solve(normal, columns.mT @ (h.log_width[learned] - level))
    others = torch.ones(len(known), dtype=torch.bool, device=known.device)
    others[learned] = False
    h.log_width[others] = level + (known[others] - mean) @ slope


def _known(label: Tensor | None) -> Tensor:
    if label is None:
        return torch.zeros(0, dtype=torch.int64)
    return torch.nonzero(torch.isfinite(label))[:, 0]


class _GaussNewton:
    """Robust least squares in parameters of elements."""

    def __init__(
        self, hamiltonian: PairHamiltonian, quantity: _Quantity, names: Sequence[str],
        z: Tensor, rows: Tensor, label: Tensor,
    ) -> None:  # fmt: skip
        self.part = _Part(hamiltonian, quantity)
        self.names, self.z, self.rows, self.label = names, z, rows, label.double()
        own = dict(hamiltonian.named_parameters()) | dict(hamiltonian.named_buffers())
        self.tables = {
            name: value for name, value in own.items()
            if len(value) == len(hamiltonian.shells) and not name.startswith("net.")
        }  # fmt: skip
        # Rows of all tables, of which those that are fitted are replaced.
        self.rows_of_tables = {
            f"hamiltonian.{k}": v.detach()[z.flatten()] for k, v in self.tables.items()
        }
        self.elements, self.place = torch.unique(z, return_inverse=True)
        self.start = torch.cat([self._columns(self.tables[name]) for name in names], 1)
        ridge = [
            torch.full((self._columns(self.tables[name]).shape[1],), RIDGE[name])
            for name in names
        ]
        self.ridge = torch.cat(ridge).to(self.start)

    def _columns(self, table: Tensor) -> Tensor:
        return table.detach()[self.elements].reshape(len(self.elements), -1).clone()

    def _residual(self, values: Tensor, jacobian: bool) -> tuple[Tensor, Tensor]:
        """Residuals and, where wanted, their rates by both atoms' unknowns, (n, 2, k)."""
        spread = values[self.place.flatten()].requires_grad_(jacobian)
        tables = dict(self.rows_of_tables)
        at = 0
        for name in self.names:
            shape = self.tables[name].shape[1:]
            width = shape.numel()
            tables[f"hamiltonian.{name}"] = spread[:, at : at + width].reshape(-1, *shape)
            at += width
        own = torch.arange(2 * len(self.z), device=self.z.device).view(-1, 2)
        with torch.set_grad_enabled(jacobian):
            out = torch.func.functional_call(self.part, tables, (own, self.rows))
            if not jacobian:
                return out - self.label, out.new_zeros(0)
            (rate,) = torch.autograd.grad(out.sum(), spread)
        return out.detach() - self.label, rate.view(len(self.z), 2, -1)

    def _loss(self, residual: Tensor, values: Tensor, scale: float) -> Tensor:
        huber = (torch.sqrt(residual**2 + scale**2) - scale).sum() * scale
        return 2 * huber + (self.ridge * (values - self.start) ** 2).sum()

    def run(self, scales: Sequence[float], steps: int = 15) -> float:
        """Descend, with the absolute loss taken up at ever smaller residuals."""
        values, damping = self.start.clone(), 1e-3
        for scale in scales:
            residual, rate = self._residual(values, True)
            loss = self._loss(residual, values, scale)
            for _ in range(steps):
                trial = values + self._step(residual, rate, values, scale, damping)
                new, _ = self._residual(trial, False)
                value = self._loss(new, trial, scale)
                if not torch.isfinite(value) or value >= loss:
                    damping = min(damping * 10, 1e6)
                    continue
                settled = value > loss * (1 - 1e-5)
                values, loss, damping = trial, value, max(damping / 5, 1e-9)
                residual, rate = self._residual(values, True)
                if settled:
                    break
        self._write(values)
        return float(residual.abs().mean())

    def _step(
        self, residual: Tensor, rate: Tensor, values: Tensor, scale: float, damping: float
    ) -> Tensor:
        weight = scale * torch.rsqrt(residual**2 + scale**2)
        n, k = values.shape
        blocks = rate.new_zeros(n, n, k, k)
        slope = rate.new_zeros(n, k)
        for i in (0, 1):
            left, weighted = self.place[:, i], rate[:, i] * weight[:, None]
            # In a fixed order on CUDA, too, unlike `index_add_`.
            slope.index_put_((left,), weighted * residual[:, None], accumulate=True)
            for j in (0, 1):
                product = weighted[:, :, None] * rate[:, j, None]
                blocks.index_put_((left, self.place[:, j]), product, accumulate=True)
        normal = blocks.transpose(1, 2).reshape(n * k, n * k)
        ridge = self.ridge.expand(n, k).flatten()
        gradient = slope.flatten() + ridge * (values - self.start).flatten()
        diagonal = normal.diagonal() + ridge
        normal = normal + torch.diag(ridge + damping * diagonal + 1e-12)
        return -torch.linalg.solve(normal, gradient).view(n, k)

    @torch.no_grad()
    def _write(self, values: Tensor) -> None:
        at = 0
        for name in self.names:
            table = self.tables[name]
            width = table[0].numel()
            part = values[:, at : at + width].reshape(-1, *table.shape[1:])
            table.data[self.elements] = part
            at += width
