"""QCanvas: the estimator to reach for first."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from ._classifier import NetClassifier
from ._pair_mlp import PairMLPFamily

__all__ = ["QCanvasClassifier", "QCanvasFamily"]


@dataclass(eq=False, repr=False)
class QCanvasFamily(PairMLPFamily):
    """Deep ensemble on the scalars behind the images: the one to reach for first.

    An ensemble of the networks of :class:`PairMLP{kind}`.

    Parameters
    ----------
    n_hidden : int, default=256
        Width of the residual network; the atoms have half as many features.
    n_blocks : int, default=2
        Residual blocks.
    dropout : float, default=0.0
        Dropout in the residual blocks.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    PairMLP{kind} : A single one of its networks.
    GATv2{kind} : Graph attention on the two-atom graph.

    Notes
    -----
    {shared_notes}

    Element pairs are read with the blocks "atoms" and "orbitals" of the transformer and
    without images: the populations and the bond length are those of the calculated pair.

    References
    ----------
    .. [1] M. Zaheer et al., Deep Sets, NeurIPS 2017, theorem 2, arXiv:1703.06114
       (symmetric pooling).
    .. [2] B. Lakshminarayanan, A. Pritzel, C. Blundell, Simple and Scalable Predictive
       Uncertainty Estimation using Deep Ensembles, NeurIPS 2017, arXiv:1612.01474.

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target="{target}", return_X_y=True)
    {>>>} model = {name}(n_hidden=16, n_members=2, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _: KW_ONLY
    max_epochs: int = 200
    weight_decay: float = 0.05
    n_members: int = 5
    validation_fraction: float = 0.05


@dataclass(eq=False, repr=False)
class QCanvasClassifier(NetClassifier, QCanvasFamily):
    """Deep ensemble on the scalars behind the images: the one to reach for first.

    An ensemble of the networks of :class:`PairMLPClassifier`.

    Parameters
    ----------
    n_hidden : int, default=256
        Width of the residual network; the atoms have half as many features.
    n_blocks : int, default=2
        Residual blocks.
    dropout : float, default=0.0
        Dropout in the residual blocks.
    max_epochs : int, default=200
        Passes over the training rows.
    batch_size : int, default=64
        Rows a gradient step.
    lr : float, default=0.006
        Learning rate of AdamW; the peak of the schedule.
    lr_schedule : {"one_cycle", "constant"}, default="one_cycle"
        How the learning rate runs over `max_epochs`.
    weight_decay : float, default=0.05
        Decoupled weight decay of AdamW.
    loss : {"log_loss"}, default="log_loss"
        Cross-entropy of the classes. Missing labels do not count.
    n_members : int, default=5
        Members of a deep ensemble, which train together.
        Their probabilities are averaged.
    early_stopping : bool, default=False
        Stop when the loss on validation rows has not improved for `n_iter_no_change` epochs,
        and restore the weights of the best epoch.
    validation_fraction : float, default=0.05
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
    PairMLPClassifier : A single one of its networks.
    GATv2Classifier : Graph attention on the two-atom graph.

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

    Element pairs are read with the blocks "atoms" and "orbitals" of the transformer and
    without images: the populations and the bond length are those of the calculated pair.

    References
    ----------
    .. [1] M. Zaheer et al., Deep Sets, NeurIPS 2017, theorem 2, arXiv:1703.06114
       (symmetric pooling).
    .. [2] B. Lakshminarayanan, A. Pritzel, C. Blundell, Simple and Scalable Predictive
       Uncertainty Estimation using Deep Ensembles, NeurIPS 2017, arXiv:1612.01474.

    Examples
    --------
    >>> from qcanvas_sklearn import QCanvasClassifier, load_pairs
    >>> X, y = load_pairs(target="metal_like", return_X_y=True)
    >>> model = QCanvasClassifier(n_hidden=16, n_members=2, max_epochs=2, random_state=0)
    >>> model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """
