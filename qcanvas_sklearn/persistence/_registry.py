"""The classes that a model file may name.

A name in a file is looked up here and nowhere else: what is not listed is refused, whatever
is installed. Names are those of the format, so that a class may move to another module.
"""

from __future__ import annotations

from enum import Enum
from importlib import import_module
from typing import NamedTuple

__all__ = ["Form", "Kind", "kind_named", "kind_of"]


class Form(Enum):
    """How objects of a class are taken apart, and made again."""

    #: Parameters of the constructor, and attributes that were fitted.
    ESTIMATOR = "estimator"
    #: Fields, which are all arguments of the constructor.
    RECORD = "record"
    #: Attributes.
    STATE = "state"
    #: Arguments of the constructor, which :mod:`._codecs` reads off.
    MADE = "made"
    #: The class itself, as an argument of a net.
    NETWORK = "network"
    #: A skorch net.
    NET = "net"


class Kind(NamedTuple):
    """A class that may stand in a file.

    Attributes
    ----------
    name : str
        What files call it.
    module, attribute : str
        Where it is.
    form : Form
        How it is stored.
    """

    name: str
    module: str
    attribute: str
    form: Form

    @property
    def type(self) -> type:
        """The class."""
        return getattr(import_module(self.module), self.attribute)


_ESTIMATORS = {
    "qcanvas_sklearn.estimators": (
        "CompositionRegressor", "HamiltonianRegressor", "TightBindingRegressor",
        *(
            f"{family}{task}"
            for family in (
                "DimeNet", "EGNN", "FAENet", "Fusion", "GATv2", "GotenNet", "PairMLP",
                "PairTransformer", "QCanvas", "QuantumShellNet", "SchNet", "ViT",
            )
            for task in ("Classifier", "Regressor")
        ),
    ),
    "qcanvas_sklearn.descriptors": (
        "MoleculeDescriptorTransformer", "MoleculeKernelTransformer",
        "PairPotentialTransformer",
    ),
    "qcanvas_sklearn.encoders": ("EncoderTransformer",),
    "qcanvas_sklearn.hamiltonians": ("TwoCentreTransformer",),
    "qcanvas_sklearn.images": ("PairDescriptorTransformer", "PairImageTransformer"),
    "sklearn.compose": ("ColumnTransformer", "TransformedTargetRegressor"),
    "sklearn.cross_decomposition": ("PLSRegression",),
    "sklearn.decomposition": ("PCA", "TruncatedSVD"),
    "sklearn.dummy": ("DummyClassifier", "DummyRegressor"),
    "sklearn.feature_selection": ("VarianceThreshold",),
    "sklearn.impute": ("KNNImputer", "MissingIndicator", "SimpleImputer"),
    "sklearn.kernel_approximation": ("Nystroem", "RBFSampler"),
    "sklearn.kernel_ridge": ("KernelRidge",),
    "sklearn.linear_model": (
        "ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "HuberRegressor",
        "Lasso", "LassoCV", "LinearRegression", "LogisticRegression", "MultiTaskElasticNet",
        "MultiTaskLasso", "Ridge", "RidgeCV", "RidgeClassifier", "RidgeClassifierCV",
    ),
    "sklearn.multioutput": ("MultiOutputRegressor", "RegressorChain"),
    "sklearn.pipeline": ("FeatureUnion", "Pipeline"),
    "sklearn.preprocessing": (
        "Binarizer", "FunctionTransformer", "LabelBinarizer", "LabelEncoder", "MaxAbsScaler",
        "MinMaxScaler", "Normalizer", "OneHotEncoder", "OrdinalEncoder", "PolynomialFeatures",
        "PowerTransformer", "QuantileTransformer", "RobustScaler", "StandardScaler",
    ),
    "sklearn.svm": ("LinearSVC", "LinearSVR"),
}  # fmt: skip
_RECORDS = {
    "qcanvas_sklearn.descriptors._kernel": ("Environments",),
    "qcanvas_sklearn.encoders": ("Encoder",),
    "qcanvas_sklearn.estimators._baseline": ("RidgeBaseline",),
    "qcanvas_sklearn.estimators._correction": ("Correction",),
    "qcanvas_sklearn.estimators._overlap_terms": ("OverlapTerms",),
    "qcanvas_sklearn.estimators._targets": ("TargetSpec",),
    "qcanvas_sklearn.hamiltonians": ("Hamiltonians", "TwoCentreTables"),
    "qcanvas_sklearn.hamiltonians._charges": ("ChargeModel",),
    "qcanvas_sklearn.images.layout": ("PairColumns", "PairLayout"),
    "qcanvas_sklearn.inputs": ("InputSpec",),
    "qcanvas_sklearn.structures": ("Molecules", "PairData"),
    "qcanvas_sklearn.training": (
        "CompositionReference", "DenseRows", "ExtrapolationCalibration", "GraphRows",
        "Pictures", "Scaling", "SpreadCalibration", "TargetBlock", "TargetScaler",
        "TrainingData",
    ),
}  # fmt: skip
_STATES = {
    "qcanvas_sklearn.estimators._stream": ("HeldBack",),
    "qcanvas_sklearn.inputs": (
        "HamiltonianReader", "MoleculeReader", "PairReader", "TableReader",
    ),
}  # fmt: skip
_MADE = {
    "qcanvas_sklearn.hamiltonians": ("Basis",),
    "qcanvas_sklearn.hamiltonians._template": ("Template",),
    "numpy.random": ("RandomState",),
    "sklearn.utils": ("Bunch",),
}
_NETWORKS = {
    "qcanvas_sklearn.nn": (
        "EnergyForces", "Ensemble", "HamiltonianGotenNet", "HamiltonianPaiNN",
        "MoleculeDimeNet", "MoleculeEGNN", "MoleculeFAENet", "MoleculeGATv2",
        "MoleculeGotenNet", "MoleculeSchNet",
        "PairDimeNet", "PairEGNN", "PairFAENet", "PairFusion", "PairGATv2", "PairGotenNet",
        "PairMLP", "PairSchNet", "PairTransformer", "PairViT", "QuantumShellNet",
        "SwapSymmetric",
    ),
    "qcanvas_sklearn.nn.cores.tight_binding": ("TightBindingMembers",),
}  # fmt: skip


def _listed() -> dict[str, Kind]:
    kinds = [
        Kind(name, module, name, form)
        for form, homes in (
            (Form.ESTIMATOR, _ESTIMATORS), (Form.RECORD, _RECORDS), (Form.STATE, _STATES),
            (Form.MADE, _MADE), (Form.NETWORK, _NETWORKS),
        )
        for module, names in homes.items()
        for name in names
    ]  # fmt: skip
    kinds += [
        # Its name is also that of the tables which PairImageTransformer makes.
        Kind(
            "TwoCentrePair", "qcanvas_sklearn.hamiltonians._pair_table", "PairTable",
            Form.RECORD,
        ),
        Kind("NeuralNet", "skorch", "NeuralNet", Form.NET),
    ]  # fmt: skip
    return {kind.name: kind for kind in kinds}


_KINDS = _listed()
_BY_CLASS_NAME = {kind.attribute: kind for kind in _KINDS.values()}


def kind_named(name: object) -> Kind:
    """The kind that a file names.

    Raises
    ------
    ValueError
        If no file may name it.
    """
    if not isinstance(name, str) or name not in _KINDS:
        raise ValueError(f"it holds {name!r:.80}, which is no class that model files may hold")
    return _KINDS[name]


def kind_of(cls: type) -> Kind | None:
    """The kind that a class is, itself and no subclass; None where it is none."""
    kind = _BY_CLASS_NAME.get(cls.__name__)
    return kind if kind is not None and kind.type is cls else None
