"""Training: skorch wiring, device-resident batches, target blocks, masked losses."""

from .calibration import ExtrapolationCalibration, SpreadCalibration, element_distance
from .composition import CompositionReference, count_elements
from .data import TrainingData
from .devices import precision, repeatable, resolve_device
from .engine import (
    Predictor,
    Rate,
    TrainingPlan,
    build_net,
    evaluation_module,
    history_frame,
    predict,
    train,
)
from .graph_rows import GraphRows
from .losses import LOSSES, MaskedLoss
from .pictures import Pictures
from .progress import Progress, progress_part, with_progress
from .rows import DenseRows, Rows, Scaling
from .scaling import TargetScaler, feature_scaling, picture_scaling
from .targets import TargetBlock

__all__ = [
    "CompositionReference",
    "DenseRows",
    "ExtrapolationCalibration",
    "GraphRows",
    "LOSSES",
    "MaskedLoss",
    "Pictures",
    "Predictor",
    "Progress",
    "Rate",
    "Rows",
    "Scaling",
    "SpreadCalibration",
    "TargetBlock",
    "TargetScaler",
    "TrainingData",
    "TrainingPlan",
    "build_net",
    "count_elements",
    "element_distance",
    "evaluation_module",
    "feature_scaling",
    "history_frame",
    "picture_scaling",
    "precision",
    "predict",
    "progress_part",
    "repeatable",
    "resolve_device",
    "train",
    "with_progress",
]
