"""Training: skorch wiring, device-resident batches, masked losses."""

from .calibration import SpreadCalibration
from .engine import (
    TrainingData,
    TrainingPlan,
    build_net,
    history_frame,
    predict,
    resolve_device,
    train,
)
from .losses import LOSSES, MaskedLoss
from .scaling import TargetScaler, feature_scaling

__all__ = [
    "LOSSES",
    "MaskedLoss",
    "SpreadCalibration",
    "TargetScaler",
    "TrainingData",
    "TrainingPlan",
    "build_net",
    "feature_scaling",
    "history_frame",
    "predict",
    "resolve_device",
    "train",
]
