"""Documentation of what all network estimators share, written once."""

from __future__ import annotations

from inspect import signature
from typing import NamedTuple, TypeVar

from ._classifier import NetClassifier

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
    weight_decay : float, default={weight_decay}
        Decoupled weight decay of AdamW.
    loss : {{{choices}}}, default="{loss}"
        {loss_text}
    n_members : int, default={n_members}
        Members of a deep ensemble, which train together as one stacked network.
        {members}
    early_stopping : bool, default=False
        Stop when the loss on validation rows has not improved for `n_iter_no_change`
        epochs, and restore the weights of the best epoch.
    validation_fraction : float, default={validation_fraction}
        Part of the training rows that is set aside for early stopping and calibration,
        unless `X_val` is passed to ``fit``.
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
    of the pair."""


class _Task(NamedTuple):
    """What differs between the docstrings of regressors and classifiers."""

    kind: str
    example_target: str
    loss: str
    members: str
    parameters: str
    attributes: str
    notes: str


_REGRESSOR = _Task(
    kind="Regressor",
    example_target="distance_ang",
    loss="Loss on targets that are centred by their median and divided by their mean\n"
    "        absolute deviation over the training rows. Missing labels do not count.",
    members="It predicts the mean of the members and, with\n"
    "        ``return_std=True``, calibrated standard deviations, for which\n"
    "        `validation_fraction` of the rows is set aside unless `X_val` is passed. They\n"
    "        hold for pairs of elements that were seen in training: with others, errors\n"
    "        grow and the deviations hardly do.",
    parameters="""
    derive : bool, default=False
        Move predictions to where every identity between the targets holds
        (:func:`qcanvas_sklearn.targets.consistent_targets`): I = -HOMO, the gap is I - A,
        softness the reciprocal of the hardness, and so on. Needs targets with names.""",
    attributes="""\
    calibration_ : SpreadCalibration or None
        What makes standard deviations of an ensemble's spread; None for a single net.
""",
    notes="""\
    Targets with a name that :data:`qcanvas_sklearn.targets.TARGETS` knows are learned with
    their parity: predictions are exactly even (for ``dipole_z_d`` odd) under exchange of
    the atoms inside the network. Unnamed targets are learned in the canonical order of the
    pair, without that constraint.

""",
)
_CLASSIFIER = _Task(
    kind="Classifier",
    example_target="metal_like",
    loss="Cross-entropy of the classes. Missing labels do not count.",
    members="Their probabilities are averaged.",
    parameters="""
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes; "balanced" gives each class the same weight in all.""",
    attributes="""\
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
""",
    notes="""\
    A label with a name that :data:`qcanvas_sklearn.targets.LABELS` knows is learned as what
    it is, a property of the pair: probabilities are exactly the same for both orders of the
    atoms inside the network.

""",
)


def document(cls: T) -> T:
    """Write a public estimator's docstring: its family's, with what is shared filled in."""
    task = _CLASSIFIER if issubclass(cls, NetClassifier) else _REGRESSOR
    parameters = signature(cls).parameters
    names = (
        "max_epochs", "batch_size", "lr", "weight_decay", "loss", "n_members",
        "validation_fraction",
    )  # fmt: skip
    shared = (_PARAMETERS + task.parameters).format(
        choices=", ".join(f'"{loss}"' for loss in getattr(cls, "_losses", ())),
        loss_text=task.loss,
        members=task.members,
        **{name: parameters[name].default for name in names},
    )
    fill = {
        "    {shared_parameters}": shared,
        "    {shared_attributes}": task.attributes + _ATTRIBUTES,
        "    {shared_notes}": task.notes + _NOTES,
        "{kind}": task.kind,
        "{name}": cls.__name__,
        "{target}": task.example_target,
        "{>>>}": ">>>",
    }
    template = next(
        base.__doc__ for base in cls.__mro__ if "{shared_parameters}" in (base.__doc__ or "")
    )
    doc = template or ""
    for mark, text in fill.items():
        doc = doc.replace(mark, text)
    cls.__doc__ = doc
    return cls
