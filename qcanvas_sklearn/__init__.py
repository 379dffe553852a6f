"""scikit-learn estimators for the quantum interactions between pairs of atoms.

Public names load on first use, so that importing the package costs no torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

_PUBLIC = {
    "datasets": (
        "Molecules", "PairData", "compute_molecules", "fetch_crysmtm", "fetch_md17",
        "fetch_qm9", "fetch_quantumcanvas", "load_molecules", "load_pairs", "load_trajectory",
    ),  # fmt: skip
    "descriptors": (
        "MoleculeDescriptorTransformer", "MoleculeKernelTransformer",
        "PairPotentialTransformer",
    ),  # fmt: skip
    "encoders": ("EncoderTransformer",),
    "estimators": ("CompositionRegressor", "HamiltonianRegressor", "TightBindingRegressor", *(
        f"{family}{task}"
        for family in (
            "DimeNet", "EGNN", "FAENet", "Fusion", "GATv2", "GotenNet", "PairMLP",
            "PairTransformer", "QCanvas", "QuantumShellNet", "SchNet", "ViT",
        )  # fmt: skip
        for task in ("Classifier", "Regressor")
    )),
    "hamiltonians": ("TwoCentreTransformer",),
    "images": ("PairDescriptorTransformer", "PairImageTransformer", "PairLayout"),
    "model_selection": (
        "BondLengthSplit", "CrysMTMSplit", "ElectronegativitySplit", "ElementGroupKFold",
        "ElementPairKFold", "LeaveElementGroupOut", "LeaveElementOut", "MD17Split",
        "MoleculeKFold", "MoleculeSizeSplit", "PairTypeSplit", "PeriodDifferenceSplit",
        "PeriodSplit", "generalization_gap",
    ),
    "persistence": ("load_model", "read_card", "save_model", "trim"),
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}
_MODULES = (
    "datasets", "descriptors", "elements", "encoders", "estimators", "hamiltonians", "images",
    "inspection", "metrics",
    "model_selection", "nn", "persistence", "plotting", "prediction", "rendering", "report",
    "structures", "targets", "training",
)  # fmt: skip

__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
