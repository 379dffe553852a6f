"""`save_model`, `load_model` and `read_card`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import sklearn
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.validation import check_is_fitted

from .. import __version__
from .._npz import MAX_BYTES
from ._card import card_of
from ._file import FORMAT, Contents, read_file, write_file
from ._registry import kind_named
from ._schema import Reader, Writer
from ._trim import trim as trimmed

__all__ = ["load_model", "read_card", "save_model"]


def save_model(
    estimator: BaseEstimator,
    path: str | os.PathLike[str],
    *,
    card: Mapping[str, Any] | None = None,
    trim: bool = True,
) -> None:
    """Write a fitted model to a file that others can load without trusting it.

    It is one safetensors file without pickles: arrays, and JSON that says what they are.
    A model keeps its predictions to the last bit, whatever trained it, on any machine of the
    same kind. Beside this, `joblib` keeps anything, and runs code when it is loaded.

    Parameters
    ----------
    estimator : estimator
        Any fitted estimator or transformer of this package, or scikit-learn's `Pipeline`,
        `FeatureUnion`, `ColumnTransformer`, `TransformedTargetRegressor`, scalers, encoders,
        imputers, linear models, `KernelRidge`, and others that hold numbers alone, in any
        combination.
    path : path-like
        File to write; it appears under its name only when it is complete.
    card : mapping, default=None
        What is to be said beside what the model knows: data, scores, licence, whom to ask.
        Texts, numbers, arrays, and lists and mappings of them.
    trim : bool, default=True
        Leave out what predictions do not need, see :func:`trim`. With False the fit can be
        continued from the file.

    Raises
    ------
    TypeError
        If the model holds what the file cannot: callbacks, functions, or objects of classes
        that are not on the list, own subclasses among them. The message names the attribute.
    ValueError
        If the card states what the model states itself.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    See Also
    --------
    load_model : The way back.
    read_card : What a file holds.

    Examples
    --------
    >>> import os, tempfile
    >>> from qcanvas_sklearn import PairMLPRegressor, load_model, load_pairs, save_model
    >>> X, y = load_pairs(target="e_g_ev", return_X_y=True)
    >>> model = PairMLPRegressor(n_hidden=16, max_epochs=1, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "gap.safetensors")
    ...     save_model(model, path, card={"scores": {"mae_ev": 0.31}})
    ...     loaded = load_model(path)
    >>> (loaded.predict(X[:5]) == model.predict(X[:5])).all()
    np.True_
    """
    if not isinstance(estimator, BaseEstimator):
        raise TypeError(f"{type(estimator).__name__} is no estimator")
    check_is_fitted(estimator)
    said = card_of(estimator, card) | {"trimmed": bool(trim)}
    writer = Writer()
    root = writer.value(trimmed(estimator) if trim else estimator, type(estimator).__name__)
    model = {"objects": writer.objects, "root": root}
    write_file(path, Contents(said, model, writer.arrays))


def load_model(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> Any:
    """Read a model that :func:`save_model` wrote; no code of the file is run.

    A file names classes out of a list that this package keeps, and says what is in them.
    What is not on the list is refused, as is a file that was damaged. The digest guards
    against accidents: whoever can write the file can write another one, so a model is worth
    as much as whom it comes from.

    Parameters
    ----------
    path : path-like
        The file.
    max_bytes : int, default=1 GiB
        Largest size of the file, and so, about, of what is in it.

    Returns
    -------
    estimator
        On the CPU. Parameters that the version which wrote it did not have are the defaults.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If the file is damaged, of another kind, in a later format, or holds what this version
        does not know; the message says which.

    Warns
    -----
    sklearn.exceptions.InconsistentVersionWarning
        If parts of the model are scikit-learn's, of another version of it than is installed.

    Examples
    --------
    >>> import os, tempfile
    >>> from qcanvas_sklearn import PairImageTransformer, load_model, save_model
    >>> transformer = PairImageTransformer(image_size=8).fit([["Ag", "Al"]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "images.safetensors")
    ...     save_model(transformer, path)
    ...     load_model(path)
    PairImageTransformer(image_size=8)
    """
    try:
        contents = read_file(path, max_bytes)
        reader = Reader(contents.arrays, contents.model["objects"])
        estimator = reader.value(contents.model["root"])
        reader.check_used()
        if not isinstance(estimator, BaseEstimator) or len(contents.model) != 2:
            raise ValueError("it holds no estimator")
    except OSError:
        raise
    except Exception as error:  # whatever a file that was made up may raise
        raise _unreadable(path, error) from error
    _warn_of_versions(contents)
    return estimator


def read_card(
    path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES
) -> dict[str, Any]:
    """What a file says of the model in it, without the model.

    Parameters
    ----------
    path : path-like
        A file of :func:`save_model`.
    max_bytes : int, default=1 GiB
        Largest size of the file.

    Returns
    -------
    dict
        Plain values: ``estimator``, ``parameters``, ``targets``, ``units``, ``elements``,
        ``provenance``, ``versions`` and more, as far as the model knows, ``trimmed``, and what
        the user of :func:`save_model` has stated.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If the file is damaged, of another kind or in a later format.

    Notes
    -----
    Any reader of safetensors finds the same text as ``card`` among the metadata.

    Examples
    --------
    >>> import os, tempfile
    >>> from qcanvas_sklearn import CompositionRegressor, load_molecules, read_card, save_model
    >>> X, y = load_molecules(target="total_energy_ev", return_X_y=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "energy.safetensors")
    ...     save_model(CompositionRegressor().fit(X, y), path, card={"data": "600 molecules"})
    ...     card = read_card(path)
    >>> card["estimator"], card["units"], card["data"]
    ('CompositionRegressor', {'total_energy_ev': 'eV'}, '600 molecules')
    """
    try:
        card = read_file(path, max_bytes).card
        if not isinstance(card, dict):
            raise ValueError("its card is no mapping")
    except OSError:
        raise
    except Exception as error:  # as for load_model
        raise _unreadable(path, error) from error
    return card


def _unreadable(path: str | os.PathLike[str], error: Exception) -> ValueError:
    what = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return ValueError(
        f"{os.fspath(path)!r} is no model that qcanvas_sklearn {__version__} (format {FORMAT}) "
        f"can read: {what:.500}"
    )


def _warn_of_versions(contents: Contents) -> None:
    """Say that scikit-learn's part of a model is of another version of it."""
    then = contents.card.get("versions", {}).get("scikit-learn", "")
    if then.split(".")[:2] == sklearn.__version__.split(".")[:2]:
        return
    names = {entry["is"] for entry in contents.model["objects"]}
    for name in sorted(names):
        if kind_named(name).module.startswith("sklearn."):
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=name, current_sklearn_version=sklearn.__version__,
                    original_sklearn_version=then,
                ),
                stacklevel=3,
            )  # fmt: skip
