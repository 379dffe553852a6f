"""What a network has learnt about the elements."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from .._validation import check_choice
from ..elements import MAX_Z, atomic_numbers, block_letters, property_values, symbols
from ..nn import MoleculeNetwork, SwapSymmetric
from ..nn.layers import AtomLinear, element_one_hot
from ..training import DenseRows, evaluation_module
from ._model import network_model, taking_tables

__all__ = ["element_embedding"]

_AXES = ("x", "y", "z")
# For the networks that build on a bond length; it does not reach the element vectors.
_BOND_LENGTH = 2.0


@torch.no_grad()
def element_embedding(
    estimator: Any,
    *,
    n_components: int = 2,
    method: str = "pca",
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Map of the elements as a trained network sees them.

    The vector of an element is what the first linear layer that takes the one-hot
    element makes of it (and of its tabulated descriptors, where the network has them).
    The layer is found by probing the network with each element in turn, all other inputs
    being equal: in whatever way these enter the layer, they shift all vectors alike and
    drop out of the map. A network of molecules has a table of such vectors.

    Parameters
    ----------
    estimator : estimator
        Fitted network of this package, on its own or as the last step of a Pipeline.
    n_components : {2, 3}, default=2
        Dimensions of the map.
    method : {"pca", "tsne"}, default="pca"
        Principal components, which keep distances as they are, or t-SNE, which keeps
        neighbours together.
    random_state : int, RandomState instance or None, default=None
        For ``"tsne"``.

    Returns
    -------
    DataFrame
        Indexed by the symbols of the elements that the network was trained on, in order
        of Z: ``x``, ``y`` (and ``z``), ``period``, ``group``, ``block``.

    Raises
    ------
    ValueError
        If the estimator is no network of this package, or has seen no elements, or fewer
        than the map needs.

    Examples
    --------
    >>> from qcanvas_sklearn import PairMLPRegressor, load_pairs
    >>> from qcanvas_sklearn.inspection import element_embedding
    >>> X, y = load_pairs(target="e_homo_ev", return_X_y=True)
    >>> model = PairMLPRegressor(n_hidden=16, max_epochs=1, random_state=0)
    >>> element_embedding(model.fit(X[:80], y[:80])).loc["Ag", ["period", "group", "block"]]
    period     5
    group     11
    block      d
    Name: Ag, dtype: object
    """
    check_choice("method", method, ("pca", "tsne"))
    if n_components not in (2, 3):
        raise ValueError(f"n_components={n_components!r} is not one of [2, 3]")
    check_is_fitted(estimator)
    estimator = getattr(estimator, "best_estimator_", estimator)
    model = network_model(estimator[-1] if isinstance(estimator, Pipeline) else estimator)
    z = np.sort(atomic_numbers(model.elements_))
    if len(z) <= n_components:
        raise ValueError(
            f"{type(model).__name__} was trained on {len(z)} elements; a map of "
            f"{n_components} dimensions needs {n_components + 1} at least"
        )
    vectors = _element_vectors(model, z)
    if method == "pca":
        # The sign of a component is scikit-learn's; with it the map is reproducible.
        points = PCA(n_components, svd_solver="full").fit_transform(vectors)
    else:
        points = TSNE(
            n_components, perplexity=min(30.0, (len(z) - 1) / 3), init="pca",
            random_state=check_random_state(random_state),
        ).fit_transform(vectors)  # fmt: skip
    frame = pd.DataFrame(points, index=symbols(z), columns=list(_AXES[:n_components]))
    frame["period"] = property_values("period")[z].astype(int)
    frame["group"] = property_values("group")[z].astype(int)
    frame["block"] = block_letters()[z]
    return frame


def _element_vectors(model: Any, z: NDArray[np.int64]) -> NDArray[np.float64]:
    """Vectors (n, k) of the elements; those of an ensemble's members side by side."""
    device = torch.device("cpu")
    module = evaluation_module(model.net_, device)
    tables = [part.embed for part in module.modules() if isinstance(part, MoleculeNetwork)]
    if tables:
        return torch.cat([table.weight[z] for table in tables], dim=1).numpy()
    members = [part.network for part in module.modules() if isinstance(part, SwapSymmetric)]
    if not members:
        raise ValueError(
            f"{type(model).__name__} has no network that embeds elements; what it knows of "
            "them is element_parameters_"
        )
    inputs = _probe(model, z).to(device, torch.float64).batch(slice(None))
    vectors = [_first_features(member, inputs) for member in members]
    return torch.cat(vectors, dim=1).numpy()


def _probe(model: Any, z: NDArray[np.int64]) -> DenseRows:
    """Inputs of homonuclear pairs that differ in nothing but their element."""
    model = taking_tables(model)
    columns = model.reader_.columns_
    table = np.zeros((len(z), columns.n_columns))
    places = columns.layout.unpack(columns.positions[None])
    table[:, places["z"][0]] = z[:, None]
    table[:, places["distance_ang"]] = _BOND_LENGTH
    if hasattr(model, "feature_names_in_"):
        table = pd.DataFrame(table, columns=model.feature_names_in_)
    rows = model._read(table)
    arrays = {
        name: array if name == "z" else np.broadcast_to(array[:1], array.shape)
        for name, array in rows.arrays.items()
    }
    return DenseRows(arrays, rows.scaling)


def _first_features(network: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """What the first linear layer that takes one-hot elements makes of atom a."""
    one_hot = element_one_hot(inputs["z"], MAX_Z, torch.float64)
    found: list[Tensor] = []

    def look(layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        if not found and isinstance(layer, AtomLinear):
            found.append(output[:, 0])
        # Atoms come together, or one by one.
        elif not found and torch.equal(args[0][..., :MAX_Z], one_hot):
            found.append(output[:, 0])
        elif not found and torch.equal(args[0][..., :MAX_Z], one_hot[:, 0]):
            found.append(output)

    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_hook(look)
    network(**inputs)
    if not found:
        raise ValueError(f"no linear layer of {type(network).__name__} takes one-hot elements")
    return found[0]
