"""Vision transformer on the ten channels."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from torch import nn

from ..inputs import InputSpec
from ..nn.heads.vit import PairViT
from ._base import NetEstimator
from ._classifier import NetClassifier
from ._regressor import NetRegressor

__all__ = ["ViTClassifier", "ViTRegressor"]


@dataclass(eq=False, repr=False)
class ViTFamily(NetEstimator):
    """Vision transformer on ten channels, with tokens for the two atoms.

    The image is cut into patches, each a token with a learned position. Two tokens carry
    the atoms (element, its descriptors, populations less those of the free atom), and one
    the pair: symmetric functions of the atoms, the bond length and other scalars. A
    pre-norm transformer encoder follows; outputs are read from the pair and the atoms.

    Every output also has a term of each atom, linear in its scalars with coefficients of
    its element.

    Parameters
    ----------
    patch_size : int, default=8
        Pixels a side of a patch. Images that it does not divide are filled up with
        zeros.
    n_hidden : int, default=96
        Features of a token.
    n_layers : int, default=2
        Transformer blocks.
    n_heads : int, default=4
        Attention heads; must divide `n_hidden`.
    dropout : float, default=0.0
        Dropout in the blocks and in the head.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    QuantumShellNet{kind} : Convolutions on the ten channels.
    PairTransformer{kind} : Attention between the scalars behind the images.

    Notes
    -----
    {shared_notes}

    A table without an image leaves the tokens of the pair and the atoms.

    References
    ----------
    .. [1] A. Dosovitskiy et al., An Image is Worth 16x16 Words: Transformers for Image
       Recognition at Scale, ICLR 2021, equations 1 to 4, arXiv:2010.11929.
    .. [2] A. Vaswani et al., Attention Is All You Need, NeurIPS 2017, equation 1,
       arXiv:1706.03762.
    .. [3] QuantumCanvas, doi:10.1088/2632-2153/aea5d6 (the ten channels).

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target="{target}", return_X_y=True)
    {>>>} model = {name}(n_hidden=16, n_layers=1, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:64], y[:64]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _network: ClassVar[type[nn.Module]] = PairViT
    _spec: ClassVar[InputSpec] = InputSpec(
        ("z", "atom", "pair", "image"), ("atoms", "image"), relative_populations=True,
        descriptors=True,
    )  # fmt: skip

    patch_size: int = 8
    n_hidden: int = 96
    n_layers: int = 2
    n_heads: int = 4
    dropout: float = 0.0
    _: KW_ONLY
    max_epochs: int = 60
    lr: float = 2e-3
    loss: str = "absolute_error"


@dataclass(eq=False, repr=False)
class ViTRegressor(NetRegressor, ViTFamily):
    """Vision transformer on ten channels, with tokens for the two atoms.

    The image is cut into patches, each a token with a learned position. Two tokens carry
    the atoms (element, its descriptors, populations less those of the free atom), and one
    the pair: symmetric functions of the atoms, the bond length and other scalars. A
    pre-norm transformer encoder follows; outputs are read from the pair and the atoms.

    Every output also has a term of each atom, linear in its scalars with coefficients of
    its element.

    Parameters
    ----------
    patch_size : int, default=8
        Pixels a side of a patch. Images that it does not divide are filled up with
        zeros.
    n_hidden : int, default=96
        Features of a token.
    n_layers : int, default=2
        Transformer blocks.
    n_heads : int, default=4
        Attention heads; must divide `n_hidden`.
    dropout : float, default=0.0
        Dropout in the blocks and in the head.
    max_epochs : int, default=60
        Passes over the training rows.
    batch_size : int, default=64
        Rows a gradient step.
    lr : float, default=0.002
        Learning rate of AdamW; the peak of the schedule.
    lr_schedule : {"one_cycle", "constant"}, default="one_cycle"
        How the learning rate runs over `max_epochs`.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW.
    loss : {"smooth_l1", "huber", "absolute_error", "squared_error"}, default="absolute_error"
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
    derive : bool, default=False
        Move predictions to where the identities between the targets hold
        (:func:`qcanvas_sklearn.targets.consistent_targets`): I = -HOMO, the gap is I - A,
        softness the reciprocal of the hardness (of
        :data:`~qcanvas_sklearn.targets.MIN_HARDNESS_EV` at least), and so on. An ensemble's
        mean is moved as a whole, and member by member for standard deviations. Needs targets
        with names.

    Attributes
    ----------
    scaler_ : TargetScaler
        How targets are scaled for the network.
    calibration_ : SpreadCalibration or None
        What makes standard deviations of an ensemble's spread; None for a single net.
    extrapolation_ : ExtrapolationCalibration or None
        What makes standard deviations where elements were not seen; None for a single net,
        with ``unseen_elements="error"``, or where there are not two elements.
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
        Names of the columns, where X had them.

    See Also
    --------
    QuantumShellNetRegressor : Convolutions on the ten channels.
    PairTransformerRegressor : Attention between the scalars behind the images.

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

    A table without an image leaves the tokens of the pair and the atoms.

    References
    ----------
    .. [1] A. Dosovitskiy et al., An Image is Worth 16x16 Words: Transformers for Image
       Recognition at Scale, ICLR 2021, equations 1 to 4, arXiv:2010.11929.
    .. [2] A. Vaswani et al., Attention Is All You Need, NeurIPS 2017, equation 1,
       arXiv:1706.03762.
    .. [3] QuantumCanvas, doi:10.1088/2632-2153/aea5d6 (the ten channels).

    Examples
    --------
    >>> from qcanvas_sklearn import ViTRegressor, load_pairs
    >>> X, y = load_pairs(target="distance_ang", return_X_y=True)
    >>> model = ViTRegressor(n_hidden=16, n_layers=1, max_epochs=2, random_state=0)
    >>> model.fit(X[:64], y[:64]).predict([["Al", "Ag"]]).shape
    (1,)
    """


@dataclass(eq=False, repr=False)
class ViTClassifier(NetClassifier, ViTFamily):
    """Vision transformer on ten channels, with tokens for the two atoms.

    The image is cut into patches, each a token with a learned position. Two tokens carry
    the atoms (element, its descriptors, populations less those of the free atom), and one
    the pair: symmetric functions of the atoms, the bond length and other scalars. A
    pre-norm transformer encoder follows; outputs are read from the pair and the atoms.

    Every output also has a term of each atom, linear in its scalars with coefficients of
    its element.

    Parameters
    ----------
    patch_size : int, default=8
        Pixels a side of a patch. Images that it does not divide are filled up with
        zeros.
    n_hidden : int, default=96
        Features of a token.
    n_layers : int, default=2
        Transformer blocks.
    n_heads : int, default=4
        Attention heads; must divide `n_hidden`.
    dropout : float, default=0.0
        Dropout in the blocks and in the head.
    max_epochs : int, default=60
        Passes over the training rows.
    batch_size : int, default=64
        Rows a gradient step.
    lr : float, default=0.002
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
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes; "balanced" gives each class the same weight in all.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
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
        Names of the columns, where X had them.

    See Also
    --------
    QuantumShellNetClassifier : Convolutions on the ten channels.
    PairTransformerClassifier : Attention between the scalars behind the images.

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

    A table without an image leaves the tokens of the pair and the atoms.

    References
    ----------
    .. [1] A. Dosovitskiy et al., An Image is Worth 16x16 Words: Transformers for Image
       Recognition at Scale, ICLR 2021, equations 1 to 4, arXiv:2010.11929.
    .. [2] A. Vaswani et al., Attention Is All You Need, NeurIPS 2017, equation 1,
       arXiv:1706.03762.
    .. [3] QuantumCanvas, doi:10.1088/2632-2153/aea5d6 (the ten channels).

    Examples
    --------
    >>> from qcanvas_sklearn import ViTClassifier, load_pairs
    >>> X, y = load_pairs(target="metal_like", return_X_y=True)
    >>> model = ViTClassifier(n_hidden=16, n_layers=1, max_epochs=2, random_state=0)
    >>> model.fit(X[:64], y[:64]).predict([["Al", "Ag"]]).shape
    (1,)
    """
