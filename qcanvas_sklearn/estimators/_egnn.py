"""EGNN: equivariant message passing on graphs of atoms."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from torch import nn

from ..inputs import InputSpec
from ..nn import MoleculeEGNN
from ..nn.heads.pair_graph import PairEGNN
from ._classifier import NetClassifier
from ._graph import GraphFamily
from ._molecules import MoleculeRegressor

__all__ = ["EGNNClassifier", "EGNNRegressor"]


@dataclass(eq=False, repr=False)
class EGNNFamily(GraphFamily):
    """Equivariant graph network (EGNN) on pairs and molecules.

    On the two atoms of a pair: messages see both atoms, the squared distance and the pair's
    scalars (the ten mean-pooled image channels, the bond length); they update the features
    of the atoms and move their positions along the bond. Nodes carry a one-hot element and
    the electron population, less that of the free atom.

    Every output of a pair also has a term of each atom, linear in its scalars with
    coefficients of its element.

    On molecules messages see the distance in Gaussians and move the atoms along their
    edges; they end smoothly at the cutoff.

    Parameters
    ----------
    n_hidden : int, default=128
        Features of a node and of a message.
    n_layers : int, default=3
        Number of layers; all but the last move the atoms.
    n_radial : int, default=32
        Gaussians in which distances in molecules are expanded. Pairs have none.
    cutoff : float or None, default=None
        Distance at which interactions end in molecules, Å; None is 5. Pairs have none.
    dropout : float, default=0.0
        Dropout in the read-out.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    GATv2{kind} : Graph attention on the same graph.
    SchNet{kind} : Convolutions with filters of the distance.

    Notes
    -----
    {shared_notes}

    References
    ----------
    .. [1] V. G. Satorras, E. Hoogeboom, M. Welling, E(n) Equivariant Graph Neural
       Networks, ICML 2021, arXiv:2102.09844.

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target="{target}", return_X_y=True)
    {>>>} model = {name}(n_hidden=16, n_layers=1, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _network: ClassVar[type[nn.Module]] = PairEGNN
    _molecule_network: ClassVar[type[nn.Module]] = MoleculeEGNN
    _spec: ClassVar[InputSpec] = InputSpec(
        ("z", "atom", "pair", "vector"), relative_populations=True
    )

    n_hidden: int = 128
    n_layers: int = 3
    n_radial: int = 32
    cutoff: float | None = None
    dropout: float = 0.0
    _: KW_ONLY
    loss: str = "huber"


@dataclass(eq=False, repr=False)
class EGNNRegressor(MoleculeRegressor, EGNNFamily):
    """Equivariant graph network (EGNN) on pairs and molecules.

    On the two atoms of a pair: messages see both atoms, the squared distance and the pair's
    scalars (the ten mean-pooled image channels, the bond length); they update the features
    of the atoms and move their positions along the bond. Nodes carry a one-hot element and
    the electron population, less that of the free atom.

    Every output of a pair also has a term of each atom, linear in its scalars with
    coefficients of its element.

    On molecules messages see the distance in Gaussians and move the atoms along their
    edges; they end smoothly at the cutoff.

    Parameters
    ----------
    n_hidden : int, default=128
        Features of a node and of a message.
    n_layers : int, default=3
        Number of layers; all but the last move the atoms.
    n_radial : int, default=32
        Gaussians in which distances in molecules are expanded. Pairs have none.
    cutoff : float or None, default=None
        Distance at which interactions end in molecules, Å; None is 5. Pairs have none.
    dropout : float, default=0.0
        Dropout in the read-out.
    max_epochs : int, default=100
        Passes over the training rows.
    batch_size : int, default=64
        Rows a gradient step.
    lr : float, default=0.003
        Learning rate of AdamW; the peak of the schedule.
    lr_schedule : {"one_cycle", "constant"}, default="one_cycle"
        How the learning rate runs over `max_epochs`.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW.
    loss : {"smooth_l1", "huber", "absolute_error", "squared_error"}, default="huber"
        Loss on targets that are centred by their median (odd ones by 0) and divided by their
        mean absolute deviation over the training rows. "smooth_l1" is quadratic for errors up
        to one such deviation, "huber" up to a tenth of it, and both are linear beyond. Missing
        labels do not count.
    n_members : int, default=1
        Members of a deep ensemble, which train together.
        It predicts the mean of the members and, with ``return_std=True``, calibrated standard
        deviations, for which `validation_fraction` of the rows is set aside unless `X_val` is
        passed. For pairs with unseen elements they are made of what extrapolation costs, see
        `unseen_elements`.
    early_stopping : bool, default=False
        Stop when the loss on validation rows has not improved for `n_iter_no_change` epochs,
        and restore the weights of the best epoch.
    validation_fraction : float, default=0.1
        Part of the training rows that is set aside for early stopping and calibration,
        unless `X_val` is passed to ``fit``. Rows are set aside by pair: all those of one pair,
        in either order and at any distance, stay together (of a plain table, equal rows).
        An element that occurs in one pair only is learned from.
    n_iter_no_change : int, default=20
        Epochs without improvement before stopping.
    parity : {"auto"}, int, sequence of int, or dict of str to int, default="auto"
        Sign of each target under exchange of the atoms: 1, -1, or 0 where it is not known; one
        for all targets, one for each, or by name (of the rest, what their names tell). "auto"
        takes it from the target's name (:data:`qcanvas_sklearn.targets.TARGETS`) and leaves it
        out, with a warning, where the labels contradict it: those of an odd target all have
        one sign, or do not vanish for two equal atoms (where a stated -1 is refused). A plain
        table knows no exchange.
    unseen_elements : {"error", "allow"}, default="error"
        What ``predict`` does with an element that was not among the training pairs:
        refuse it by name, or extrapolate with an embedding that was never trained.
        Set it to "allow" to score element-disjoint splits.
        With an ensemble five further single nets are trained then, each for half the epochs
        and without a fifth of the elements, which takes a third of the time of five members.
        Their errors at these elements are what standard deviations of pairs with unseen
        elements come from (:meth:`count_unseen_elements` flags such pairs). A continued fit
        keeps these errors, and ``partial_fit`` measures none; without them the deviations are
        as large as those of the labels, with a warning.
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
        Further callbacks; they are copied before use.
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
        length of a dipole made of their charges). "auto" goes by the target's name: sums for
        :data:`qcanvas_sklearn.targets.EXTENSIVE_LABELS` and names that mean nothing to the
        package, a dipole for ``dipole_mag_d``, attention for the other labels. Pairs have
        read-outs of their own.
    derive : bool, default=False
        Move predictions to where the identities between the targets hold
        (:func:`qcanvas_sklearn.targets.consistent_targets`): I = -HOMO, the gap is I - A,
        softness the reciprocal of the hardness (of
        :data:`~qcanvas_sklearn.targets.MIN_HARDNESS_EV` at least), and so on. An ensemble's
        mean is moved as a whole, and member by member for standard deviations. Needs targets
        with names.
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
        method ``force_features``. Not for pairs.

    Attributes
    ----------
    reference_ : CompositionReference or None
        What the elements of a molecule say of the targets that are sums over atoms, from the
        training rows; the network learns what is left. None for pairs and tables.
    baseline_ : RidgeBaseline or None
        What the features of `baseline` say of the targets; None without.
    force_calibration_ : SpreadCalibration or None
        What makes standard deviations of the spread of an ensemble's forces.
    pretrained_report_ : dict or None
        Of the encoder of `pretrained` the parameters that were ``loaded`` and ``skipped``, its
        ``name``, ``sha256`` and ``elements``; parameters that are ``new``. None without.
    scaler_ : TargetScaler
        How targets are scaled for the network.
    calibration_ : SpreadCalibration or None
        What makes standard deviations of an ensemble's spread; None for a single net.
    extrapolation_ : ExtrapolationCalibration or None
        What makes standard deviations where elements were not seen; None for a single net,
        with ``unseen_elements="error"``, or where there are not two elements.
    net_ : skorch.NeuralNet
        The trained net, on the CPU.
    reader_ : PairReader, MoleculeReader or TableReader
        What turns X into rows of the network: for pairs, molecules or tables.
    history_ : DataFrame
        One row an epoch: ``epoch, train_loss, valid_loss, lr, seconds``.
    n_iter_ : int
        Number of epochs trained, those before a continued fit included.
    n_parameters_ : int
        Number of weights.
    target_names_ : list of str or None
        Names of the targets, where y had any.
    elements_ : list of str
        Elements of the training rows; empty for a plain table.
    provenance_ : dict
        Package versions, targets with their units, elements and number of training rows,
        and the source of the pair data where the estimator rendered it itself.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Names of the columns, where X had them.

    See Also
    --------
    GATv2Regressor : Graph attention on the same graph.
    SchNetRegressor : Convolutions with filters of the distance.

    Notes
    -----
    Predictions of a target whose parity is known are exactly even (of ``dipole_z_d`` odd) under
    exchange of the atoms inside the network. Others are learned in the canonical order of the
    pair, without that constraint.

    X may be

    - element pairs, which a `PairImageTransformer` of the bundled table turns into the columns
      that the network takes;
    - a table with the columns of a `PairImageTransformer`, recognised by their names (in any
      order, with a prefix) or by the layout that the array carries
      (:class:`qcanvas_sklearn.images.PairTable`); further columns become scalars of the pair;
    - any other numeric table, whose columns all become scalars, without atoms or an image.

    Or X may be molecules of any size: a `Molecules`, a list of ``ase.Atoms``, or of
    torch-geometric's ``Data``. Atoms nearer than `cutoff` are neighbours, across the borders of
    a cell too; the network sees elements, distances and directions, and the total charge. Rows
    are set aside by the groups of the record, and where all are of one group (the frames of one
    trajectory), by frame.

    Energies of molecules are learned as the difference from a number for each element, fitted
    in double precision. Forces are the negative gradient of the energy that the network
    predicts, whose second derivative is continuous where atoms pass the cutoff.

    References
    ----------
    .. [1] V. G. Satorras, E. Hoogeboom, M. Welling, E(n) Equivariant Graph Neural
       Networks, ICML 2021, arXiv:2102.09844.

    Examples
    --------
    >>> from qcanvas_sklearn import EGNNRegressor, load_pairs
    >>> X, y = load_pairs(target="distance_ang", return_X_y=True)
    >>> model = EGNNRegressor(n_hidden=16, n_layers=1, max_epochs=2, random_state=0)
    >>> model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """


@dataclass(eq=False, repr=False)
class EGNNClassifier(NetClassifier, EGNNFamily):
    """Equivariant graph network (EGNN) on pairs and molecules.

    On the two atoms of a pair: messages see both atoms, the squared distance and the pair's
    scalars (the ten mean-pooled image channels, the bond length); they update the features
    of the atoms and move their positions along the bond. Nodes carry a one-hot element and
    the electron population, less that of the free atom.

    Every output of a pair also has a term of each atom, linear in its scalars with
    coefficients of its element.

    On molecules messages see the distance in Gaussians and move the atoms along their
    edges; they end smoothly at the cutoff.

    Parameters
    ----------
    n_hidden : int, default=128
        Features of a node and of a message.
    n_layers : int, default=3
        Number of layers; all but the last move the atoms.
    n_radial : int, default=32
        Gaussians in which distances in molecules are expanded. Pairs have none.
    cutoff : float or None, default=None
        Distance at which interactions end in molecules, Å; None is 5. Pairs have none.
    dropout : float, default=0.0
        Dropout in the read-out.
    max_epochs : int, default=100
        Passes over the training rows.
    batch_size : int, default=64
        Rows a gradient step.
    lr : float, default=0.003
        Learning rate of AdamW; the peak of the schedule.
    lr_schedule : {"one_cycle", "constant"}, default="one_cycle"
        How the learning rate runs over `max_epochs`.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW.
    loss : {"log_loss"}, default="log_loss"
        Cross-entropy of the classes. Missing labels do not count.
    n_members : int, default=1
        Members of a deep ensemble, which train together.
        Their probabilities are averaged.
    early_stopping : bool, default=False
        Stop when the loss on validation rows has not improved for `n_iter_no_change` epochs,
        and restore the weights of the best epoch.
    validation_fraction : float, default=0.1
        Part of the training rows that is set aside for early stopping,
        unless `X_val` is passed to ``fit``. Rows are set aside by pair: all those of one pair,
        in either order and at any distance, stay together (of a plain table, equal rows).
        Of each class the same part is set aside; an element or class that occurs in one pair
        only is learned from.
    n_iter_no_change : int, default=20
        Epochs without improvement before stopping.
    parity : {"auto"}, int, sequence of int, or dict of str to int, default="auto"
        Sign of the classes' logits under exchange of the atoms: 1, -1, or 0 where it is not
        known; one for all classes, or one for each. "auto" is 1 where the name of y is that of
        a label of the pair that is even (:data:`qcanvas_sklearn.targets.LABELS`, but for
        :data:`~qcanvas_sklearn.targets.ODD_LABELS`), and 0 otherwise. A plain table knows no
        exchange.
    unseen_elements : {"error", "allow"}, default="error"
        What ``predict`` does with an element that was not among the training pairs:
        refuse it by name, or extrapolate with an embedding that was never trained.
        Set it to "allow" to score element-disjoint splits;
        :meth:`count_unseen_elements` flags such pairs.
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
        Further callbacks; they are copied before use.
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
        length of a dipole made of their charges). "auto" is attention. Pairs have
        read-outs of their own.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes; "balanced" gives each class the same weight in all.

    Attributes
    ----------
    pretrained_report_ : dict or None
        Of the encoder of `pretrained` the parameters that were ``loaded`` and ``skipped``, its
        ``name``, ``sha256`` and ``elements``; parameters that are ``new``. None without.
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
    net_ : skorch.NeuralNet
        The trained net, on the CPU.
    reader_ : PairReader, MoleculeReader or TableReader
        What turns X into rows of the network: for pairs, molecules or tables.
    history_ : DataFrame
        One row an epoch: ``epoch, train_loss, valid_loss, lr, seconds``.
    n_iter_ : int
        Number of epochs trained, those before a continued fit included.
    n_parameters_ : int
        Number of weights.
    target_names_ : list of str or None
        Names of the targets, where y had any.
    elements_ : list of str
        Elements of the training rows; empty for a plain table.
    provenance_ : dict
        Package versions, targets with their units, elements and number of training rows,
        and the source of the pair data where the estimator rendered it itself.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Names of the columns, where X had them.

    See Also
    --------
    GATv2Classifier : Graph attention on the same graph.
    SchNetClassifier : Convolutions with filters of the distance.

    Notes
    -----
    Probabilities of a label whose parity is 1 are exactly the same for both orders of the atoms
    inside the network. Others are learned in the canonical order of the pair, without that
    constraint.

    X may be

    - element pairs, which a `PairImageTransformer` of the bundled table turns into the columns
      that the network takes;
    - a table with the columns of a `PairImageTransformer`, recognised by their names (in any
      order, with a prefix) or by the layout that the array carries
      (:class:`qcanvas_sklearn.images.PairTable`); further columns become scalars of the pair;
    - any other numeric table, whose columns all become scalars, without atoms or an image.

    Or X may be molecules of any size: a `Molecules`, a list of ``ase.Atoms``, or of
    torch-geometric's ``Data``. Atoms nearer than `cutoff` are neighbours, across the borders of
    a cell too; the network sees elements, distances and directions, and the total charge. Rows
    are set aside by the groups of the record, and where all are of one group (the frames of one
    trajectory), by frame.

    References
    ----------
    .. [1] V. G. Satorras, E. Hoogeboom, M. Welling, E(n) Equivariant Graph Neural
       Networks, ICML 2021, arXiv:2102.09844.

    Examples
    --------
    >>> from qcanvas_sklearn import EGNNClassifier, load_pairs
    >>> X, y = load_pairs(target="metal_like", return_X_y=True)
    >>> model = EGNNClassifier(n_hidden=16, n_layers=1, max_epochs=2, random_state=0)
    >>> model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """
