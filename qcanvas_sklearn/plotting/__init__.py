"""Displays in scikit-learn's manner: of pairs, of predictions, of training.

Every display is made by a class method ``from_…``, draws itself (again, on other axes) with
``plot`` and keeps what it drew on as ``ax_`` and ``figure_``. Needs matplotlib:
``pip install "qcanvas-sklearn[plot]"``.
"""

from ._calibration import CalibrationDisplay
from ._explorer import PairExplorerDisplay
from ._gap import GeneralizationGapDisplay
from ._hamiltonians import HamiltonianDisplay, LevelDisplay
from ._importance import ChannelImportanceDisplay
from ._orbitals import MolecularOrbitalDisplay
from ._pair_image import PairImageDisplay
from ._pair_matrix import PairMatrixDisplay
from ._parity import ParityDisplay
from ._periodic_table import PeriodicTableDisplay
from ._potential_curve import PotentialCurveDisplay
from ._training import TrainingCurveDisplay

__all__ = [
    "CalibrationDisplay",
    "ChannelImportanceDisplay",
    "GeneralizationGapDisplay",
    "HamiltonianDisplay",
    "LevelDisplay",
    "MolecularOrbitalDisplay",
    "PairExplorerDisplay",
    "PairImageDisplay",
    "PairMatrixDisplay",
    "ParityDisplay",
    "PeriodicTableDisplay",
    "PotentialCurveDisplay",
    "TrainingCurveDisplay",
]
