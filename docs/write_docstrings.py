"""Write the docstrings of the estimators: ``python docs/write_docstrings.py [--check]``.

What they share is stated here, once. What is particular to a family is the docstring of its
private ``...Family`` class: a template, in which marks in braces say where the rest goes.
With ``--check`` nothing is written: stale docstrings are named, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import indent
from typing import NamedTuple

if __name__ == "__main__":
    # The package beside this file is meant, whichever is installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from qcanvas_sklearn import estimators
from qcanvas_sklearn._files import written_whole
from qcanvas_sklearn.estimators._graph import GraphFamily
from qcanvas_sklearn.estimators._molecules import MoleculeRegressor

_SHARED_PARAMETERS = """\
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
    Members of a deep ensemble, which train together.
    {members}
early_stopping : bool, default=False
    Stop when the loss on validation rows has not improved for `n_iter_no_change` epochs,
    and restore the weights of the best epoch.
validation_fraction : float, default={validation_fraction}
    Part of the training rows that is set aside for {validation},
    unless `X_val` is passed to ``fit``. Rows are set aside by pair: all those of one pair,
    in either order and at any distance, stay together (of a plain table, equal rows).
    {held}
n_iter_no_change : int, default=20
    Epochs without improvement before stopping.
parity : {parity_type}, default="auto"
    {parity_text}
unseen_elements : {{"error", "allow"}}, default="error"
    What ``predict`` does with an element that was not among the training pairs:
    refuse it by name, or extrapolate with an embedding that was never trained.
    Set it to "allow" to score element-disjoint splits{unseen}
device : str, default="auto"
    Device to train and predict on, as torch names it; "auto" is CUDA where present.
    Training is in single precision, prediction on the CPU and on CUDA in double precision
    (but for convolutions). After ``fit`` the weights lie on the CPU, whatever trained them.
random_state : int, RandomState instance or None, default=None
    Fixes initial weights, batches and validation rows; on the CPU to the last bit.
    Global random states are never touched.
verbose : int, default=0
    1 shows a progress bar, 2 a line for every epoch. With either, Ctrl-C ends the training
    with a warning in place of the error; the model is usable as it is then.
warm_start : bool, default=False
    Go on from the weights of the previous ``fit`` (on a table of the same columns and
    targets) in place of new ones. Random numbers go on too, rows stay set aside. Another
    architecture is refused: parameters of the network, `n_members` and `parity` stay.
callbacks : list of skorch callbacks or None, default=None
    Further callbacks; they are copied before use."""

_SHARED_ATTRIBUTES = """\
net_ : skorch.NeuralNet
    The trained net, on the CPU.
reader_ : PairReader or TableReader
    What turns X into rows of the network: the one for pairs, or the one for plain tables.
history_ : DataFrame
    One row an epoch: ``epoch, train_loss, valid_loss, lr, seconds``.
n_iter_ : int
    Number of epochs trained, those before a continued fit included.
n_parameters_ : int
    Number of weights.
target_names_ : list of str or None
    Names of the targets, where y had any.
elements_ : list of str
    Elements of the training pairs; empty for a plain table.
provenance_ : dict
    Package versions, targets with their units, elements and number of training rows,
    and the source of the pair data where the estimator rendered it itself.
n_features_in_ : int
    Number of columns seen in ``fit``.
feature_names_in_ : ndarray of str
    Names of the columns, where X had them."""

_SHARED_NOTES = """\
X may be

- element pairs, which a `PairImageTransformer` of the bundled table turns into the columns
  that the network takes;
- a table with the columns of a `PairImageTransformer`, recognised by their names (in any
  order, with a prefix) or by the layout that the array carries
  (:class:`qcanvas_sklearn.images.PairTable`); further columns become scalars of the pair;
- any other numeric table, whose columns all become scalars, without atoms or an image."""


_GRAPH_PARAMETERS = """
pretrained : str, path-like, Encoder or None, default=None
    Encoder to start from: a name in :func:`qcanvas_sklearn.encoders.list`, a file of
    :meth:`save_encoder`, or an :class:`~qcanvas_sklearn.encoders.Encoder`; of this family
    and these hyperparameters, of pairs or molecules as X is, and trained on the elements of
    X unless ``unseen_elements="allow"``. The read-out is new, and zero at first.
freeze : bool or int, default=False
    Keep the encoder of `pretrained` as it is, or do so for this number of epochs; layer by
    layer joins in then, the last one first, one an epoch.
encoder_lr : float, default=1.0
    Factor of the learning rate at the embedding of `pretrained`, which rises from layer to
    layer to 1 at the read-out.
readout : str or sequence of str, default="auto"
    How the atoms of a molecule make a target, one for all targets or one for each: "sum" of
    their contributions, "mean", "attention" (a mean with learned weights), or "dipole" (the
    length of a dipole made of their charges). "auto" {readout_text}. Pairs have
    read-outs of their own."""

_GRAPH_ATTRIBUTES = """\
pretrained_report_ : dict or None
    Of the encoder of `pretrained` the parameters that were ``loaded`` and ``skipped``, its
    ``name``, ``sha256`` and ``elements``; parameters that are ``new``. None without.
"""

_GRAPH_NOTES = """

Or X may be molecules of any size: a `Molecules`, a list of ``ase.Atoms``, or of
torch-geometric's ``Data``. Atoms nearer than `cutoff` are neighbours, across the borders of
a cell too; the network sees elements, distances and directions, and the total charge. Rows
are set aside by the groups of the record, and where all are of one group (the frames of one
trajectory), by frame."""

_MOLECULE_REGRESSOR_PARAMETERS = """
force_weight : float or None, default=None
    Weight of the forces beside the targets in the loss, both in units of the mean absolute
    component of the force: forces that are passed to ``fit`` or that the molecules carry
    are learned with it. None is 10 where forces are passed, and 0 elsewhere.
baseline : transformer, "two-centre" or None, default=None
    What is known of molecules beforehand: a ridge regression on the features of this
    transformer, fitted on the training rows, is taken off the targets, and the network
    learns what is left. Features that tell nothing are shrunk to nothing. "two-centre" is a
    :class:`~qcanvas_sklearn.hamiltonians.TwoCentreTransformer`: levels, charges and bonds
    from what pairs of atoms do to each other; beside forces, energies and the composition
    alone. Forces can be learned beside it and a
    :class:`~qcanvas_sklearn.descriptors.PairPotentialTransformer`, or whatever has their
    method ``force_features``. Not for pairs."""

_MOLECULE_REGRESSOR_ATTRIBUTES = """\
reference_ : CompositionReference or None
    What the elements of a molecule say of the targets that are sums over atoms, from the
    training rows; the network learns what is left. None for pairs and tables.
baseline_ : RidgeBaseline or None
    What the features of `baseline` say of the targets; None without.
force_calibration_ : SpreadCalibration or None
    What makes standard deviations of the spread of an ensemble's forces.
"""

_MOLECULE_REGRESSOR_NOTES = """

Energies of molecules are learned as the difference from a number for each element, fitted
in double precision. Forces are the negative gradient of the energy that the network
predicts, whose second derivative is continuous where atoms pass the cutoff."""

#: What is said of readers, and what is said of those of graph networks.
_READERS = (
    ("PairReader or TableReader", "PairReader, MoleculeReader or TableReader"),
    ("the one for pairs, or the one for plain tables", "for pairs, molecules or tables"),
    ("Elements of the training pairs;", "Elements of the training rows;"),
)
#: What "auto" reads out, for regressors and for classifiers.
_READOUT_TEXT = (
    """\
goes by the target's name: sums for
    :data:`qcanvas_sklearn.targets.EXTENSIVE_LABELS` and names that mean nothing to the
    package, a dipole for ``dipole_mag_d``, attention for the other labels""",
    "is attention",
)


class _Task(NamedTuple):
    """What differs between the docstrings of regressors and classifiers."""

    kind: str
    example_target: str
    fill: Mapping[str, str]
    parameters: str
    attributes: str
    notes: str


_REGRESSOR = _Task(
    kind="Regressor",
    example_target="distance_ang",
    fill={
        "loss_text": """\
Loss on targets that are centred by their median (odd ones by 0) and divided by their
    mean absolute deviation over the training rows. "smooth_l1" is quadratic for errors up
    to one such deviation, "huber" up to a tenth of it, and both are linear beyond. Missing
    labels do not count.""",
        "members": """\
It predicts the mean of the members and, with ``return_std=True``, calibrated standard
    deviations, for which `validation_fraction` of the rows is set aside unless `X_val` is
    passed. For pairs with unseen elements they are made of what extrapolation costs, see
    `unseen_elements`.""",
        "unseen": """.
    With an ensemble five further single nets are trained then, each for half the epochs
    and without a fifth of the elements, which takes a third of the time of five members.
    Their errors at these elements are what standard deviations of pairs with unseen
    elements come from (:meth:`count_unseen_elements` flags such pairs). A continued fit
    keeps these errors, and ``partial_fit`` measures none; without them the deviations are
    as large as those of the labels, with a warning.""",
        "validation": "early stopping and calibration",
        "held": "An element that occurs in one pair only is learned from.",
        "parity_type": '{"auto"}, int, sequence of int, or dict of str to int',
        "parity_text": """\
Sign of each target under exchange of the atoms: 1, -1, or 0 where it is not known; one
    for all targets, one for each, or by name (of the rest, what their names tell). "auto"
    takes it from the target's name (:data:`qcanvas_sklearn.targets.TARGETS`) and leaves it
    out, with a warning, where the labels contradict it: those of an odd target all have
    one sign, or do not vanish for two equal atoms (where a stated -1 is refused). A plain
    table knows no exchange.""",
    },
    parameters="""
derive : bool, default=False
    Move predictions to where the identities between the targets hold
    (:func:`qcanvas_sklearn.targets.consistent_targets`): I = -HOMO, the gap is I - A,
    softness the reciprocal of the hardness (of
    :data:`~qcanvas_sklearn.targets.MIN_HARDNESS_EV` at least), and so on. An ensemble's
    mean is moved as a whole, and member by member for standard deviations. Needs targets
    with names.""",
    attributes="""\
scaler_ : TargetScaler
    How targets are scaled for the network.
calibration_ : SpreadCalibration or None
    What makes standard deviations of an ensemble's spread; None for a single net.
extrapolation_ : ExtrapolationCalibration or None
    What makes standard deviations where elements were not seen; None for a single net,
    with ``unseen_elements="error"``, or where there are not two elements.
""",
    notes="""\
Predictions of a target whose parity is known are exactly even (of ``dipole_z_d`` odd) under
exchange of the atoms inside the network. Others are learned in the canonical order of the
pair, without that constraint.

""",
)
_CLASSIFIER = _Task(
    kind="Classifier",
    example_target="metal_like",
    fill={
        "loss_text": "Cross-entropy of the classes. Missing labels do not count.",
        "members": "Their probabilities are averaged.",
        "unseen": """;
    :meth:`count_unseen_elements` flags such pairs.""",
        "validation": "early stopping",
        "held": """\
Of each class the same part is set aside; an element or class that occurs in one pair
    only is learned from.""",
        "parity_type": '{"auto"}, int, sequence of int, or dict of str to int',
        "parity_text": """\
Sign of the classes' logits under exchange of the atoms: 1, -1, or 0 where it is not
    known; one for all classes, or one for each. "auto" is 1 where the name of y is that of
    a label of the pair that is even (:data:`qcanvas_sklearn.targets.LABELS`, but for
    :data:`~qcanvas_sklearn.targets.ODD_LABELS`), and 0 otherwise. A plain table knows no
    exchange.""",
    },
    parameters="""
class_weight : dict, "balanced" or None, default=None
    Weights of the classes; "balanced" gives each class the same weight in all.""",
    attributes="""\
classes_ : ndarray of shape (n_classes,)
    The classes, sorted.
""",
    notes="""\
Probabilities of a label whose parity is 1 are exactly the same for both orders of the atoms
inside the network. Others are learned in the canonical order of the pair, without that
constraint.

""",
)


#: What some estimators mean by a shared parameter, attribute or note, in place of the rest.
_OWN_FILL: dict[str, dict[str, str]] = {
    "TightBindingRegressor": {
        "loss_text": """\
Weighted sum of absolute deviations, squares below a scale of each quantity (0.01 eV for
    HOMO and LUMO), over everything that y says of a state, the populations of the training
    pairs, and the force, which vanishes at the bond length. Missing labels do not count.""",
        "members": """\
Each starts from other orbitals and never learns from a part of the pairs, so that
    something of the model is new to each of its training pairs. It predicts the median of
    their levels and the mean of all else and, with ``return_std=True``, calibrated standard
    deviations, for which `validation_fraction` of the rows is set aside unless `X_val` is
    passed. They hold for pairs of elements that were seen in training.""",
        "parity_text": """\
Checked as elsewhere. It changes nothing: what is odd and what is even follows from the
    Hamiltonian.""",
    },
    "QCanvasRegressor": {
        "loss_text": """\
Loss of the network, on what tight binding leaves, divided by its mean absolute
    deviation. Missing labels do not count.""",
        "members": """\
Tight binding has members of its own. It predicts the mean of both and, with
    ``return_std=True``, calibrated standard deviations from the spread of both, for which
    `validation_fraction` of the rows is set aside unless `X_val` is passed. They hold for
    pairs of elements that were seen in training.""",
    },
}


def docstring(cls: type) -> str:
    """A public estimator's docstring: its family's, with what is shared filled in."""
    is_classifier = cls.__name__.endswith(_CLASSIFIER.kind)
    task = _CLASSIFIER if is_classifier else _REGRESSOR
    defaults = {name: p.default for name, p in inspect.signature(cls).parameters.items()}
    losses = ", ".join(f'"{loss}"' for loss in cls._losses)
    said = {**task.fill, **_OWN_FILL.get(cls.__name__, {})}
    parameters = _SHARED_PARAMETERS.format(choices=losses, **said, **defaults)
    attributes, notes = task.attributes + _SHARED_ATTRIBUTES, task.notes + _SHARED_NOTES
    if issubclass(cls, GraphFamily):
        parameters += _GRAPH_PARAMETERS.format(readout_text=_READOUT_TEXT[is_classifier])
        for text, of_graphs in _READERS:
            attributes = attributes.replace(text, of_graphs)
        attributes = _GRAPH_ATTRIBUTES + attributes
        notes += _GRAPH_NOTES
    parameters += task.parameters
    if issubclass(cls, MoleculeRegressor):
        parameters += _MOLECULE_REGRESSOR_PARAMETERS
        attributes = _MOLECULE_REGRESSOR_ATTRIBUTES + attributes
        notes += _MOLECULE_REGRESSOR_NOTES
    fill = {
        "{shared_parameters}": parameters,
        "{shared_attributes}": attributes,
        "{shared_notes}": notes,
        "{kind}": task.kind,
        "{name}": cls.__name__,
        "{target}": task.example_target,
        "{>>>}": ">>>",  # the template itself is no doctest
    }
    text = _template(cls)
    for mark, replacement in fill.items():
        text = text.replace(mark, replacement)
    return text


def _template(cls: type) -> str:
    """The docstring of a class's family; empty where it has none."""
    docs = (inspect.cleandoc(base.__doc__ or "") for base in cls.__mro__)
    return next((doc for doc in docs if "{shared_parameters}" in doc), "")


def current_docstrings() -> dict[Path, dict[str, str]]:
    """What the docstrings should be: by file, by class."""
    found: dict[Path, dict[str, str]] = {}
    for cls in (getattr(estimators, name) for name in estimators.__all__):
        if _template(cls):
            found.setdefault(Path(inspect.getfile(cls)), {})[cls.__name__] = docstring(cls)
    return found


def stale(source: str, docstrings: Mapping[str, str]) -> list[str]:
    """Names of the classes in a file whose docstring is another one."""
    classes = _classes(source)
    return [
        name for name, text in docstrings.items() if ast.get_docstring(classes[name]) != text
    ]


def rewritten(source: str, docstrings: Mapping[str, str]) -> str:
    """The text of a file with the docstrings of some of its classes replaced.

    Raises
    ------
    ValueError
        If a class begins with something else than a docstring or ``pass``.
    """
    lines = source.splitlines(keepends=True)
    classes = _classes(source)
    for name in sorted(docstrings, key=lambda name: -classes[name].lineno):
        first = classes[name].body[0]
        if not isinstance(first, ast.Pass) and ast.get_docstring(classes[name]) is None:
            raise ValueError(f"class {name} has no docstring, and no pass in its place")
        literal = indent(f'"""{docstrings[name]}\n"""\n', "    ")
        lines[first.lineno - 1 : first.end_lineno] = [literal]
    return "".join(lines)


def _classes(source: str) -> dict[str, ast.ClassDef]:
    nodes = ast.parse(source).body
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


def main(argv: list[str] | None = None) -> int:
    """Write or check, and return the exit status."""
    parser = argparse.ArgumentParser(description="Write the docstrings of the estimators.")
    parser.add_argument("--check", action="store_true", help="name stale ones, write nothing")
    check = parser.parse_args(argv).check
    any_stale = False
    for path, docstrings in current_docstrings().items():
        source = path.read_text(encoding="utf-8")
        names = stale(source, docstrings)
        any_stale |= bool(names)
        for name in names:
            print(f"{name} in {path.name} {'is stale' if check else 'written'}")
        if names and not check:
            with written_whole(path) as file:
                file.write(rewritten(source, docstrings).encode())
    return int(check and any_stale)


if __name__ == "__main__":
    sys.exit(main())
