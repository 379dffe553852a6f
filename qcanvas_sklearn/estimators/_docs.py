"""Documentation of what all network estimators share, written once."""

from __future__ import annotations

from inspect import signature
from typing import TypeVar

__all__ = ["document"]

T = TypeVar("T", bound=type)

_PARAMETERS = """\
    max_epochs : int, default={max_epochs}
        Passes over the training rows.
    batch_size : int, default={batch_size}
        Rows a gradient step.
    lr : float, default={lr}
        Learning rate of AdamW; the peak of the schedule.
    lr_schedule : {{"one_cycle", "constant"}}, default="one_cycle"
        How the learning rate runs over `max_epochs`.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW.
    loss : {{"smooth_l1", "absolute_error", "squared_error"}}, default="{loss}"
        Loss on targets that are centred by their median and divided by their mean
        absolute deviation over the training rows. Missing labels do not count.
    early_stopping : bool, default=False
        Stop when the loss on validation rows has not improved for `n_iter_no_change`
        epochs, and restore the weights of the best epoch.
    validation_fraction : float, default=0.1
        Part of the training rows that is set aside for early stopping, unless `X_val`
        is passed to ``fit``.
    n_iter_no_change : int, default=20
        Epochs without improvement before stopping.
    unseen_elements : {{"error", "allow"}}, default="error"
        What ``predict`` does with an element that was not among the training pairs:
        refuse it by name, or extrapolate with an embedding that was never trained.
        Set it to "allow" to score element-disjoint splits.
    device : str, default="auto"
        Device to train and predict on, as torch names it; "auto" is CUDA where present.
        After ``fit`` the weights lie on the CPU, whatever trained them.
    random_state : int, RandomState instance or None, default=None
        Fixes initial weights, batches and validation rows; on the CPU to the last bit.
        Global random states are never touched.
    verbose : int, default=0
        1 shows a progress bar, 2 a line for every epoch.
    warm_start : bool, default=False
        Go on from the weights of the previous ``fit`` (on a table of the same columns and
        targets) in place of new ones.
    callbacks : list of skorch callbacks or None, default=None
        Further callbacks; they are copied before use."""

_ATTRIBUTES = """\
    net_ : skorch.NeuralNet
        The trained net, on the CPU.
    history_ : DataFrame
        One row an epoch: ``epoch, train_loss, valid_loss, lr, seconds``.
    n_iter_ : int
        Number of epochs trained.
    n_parameters_ : int
        Number of weights.
    target_names_ : list of str or None
        Names of the targets where y was a Series or DataFrame.
    elements_ : list of str
        Elements of the training pairs; empty for a plain table.
    provenance_ : dict
        Package versions, targets with their units, elements and number of training rows,
        and the source of the pair data where the estimator rendered it itself.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Names of the columns, where X had them."""

_NOTES = """\
    X may be element pairs (a `PairImageTransformer` of the bundled table turns them into
    the columns that the network takes), the output of a `PairImageTransformer`, which is
    recognised by its columns, or any other numeric table, whose columns all become scalars
    of the pair.

    Targets with a name that :data:`qcanvas_sklearn.targets.TARGETS` knows are learned with
    their parity: predictions are exactly even (for ``dipole_z_d`` odd) under exchange of
    the atoms inside the network. Unnamed targets are learned in the canonical order of the
    pair, without that constraint."""


def document(cls: T) -> T:
    """Fill the shared parameters, attributes and notes into a class's docstring."""
    parameters = signature(cls).parameters
    names = ("max_epochs", "batch_size", "lr", "loss")
    defaults = {name: parameters[name].default for name in names}
    doc = cls.__doc__ or ""
    for mark, text in (
        ("{shared_parameters}", _PARAMETERS.format(**defaults)),
        ("{shared_attributes}", _ATTRIBUTES),
        ("{shared_notes}", _NOTES),
    ):
        doc = doc.replace("    " + mark, text)
    cls.__doc__ = doc
    return cls
