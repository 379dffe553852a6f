"""Each family with a tiny net: what tests over all of them are run on."""

import qcanvas_sklearn
from qcanvas_sklearn import (
    DimeNetRegressor,
    EGNNRegressor,
    FAENetRegressor,
    FusionRegressor,
    GATv2Regressor,
    GotenNetRegressor,
    PairMLPRegressor,
    PairTransformerRegressor,
    QCanvasRegressor,
    QuantumShellNetRegressor,
    SchNetRegressor,
    ViTRegressor,
)

TINY = {"n_hidden": 16, "max_epochs": 3, "random_state": 0}
MODELS = {
    "gatv2": GATv2Regressor(n_layers=1, **TINY),
    "quantumshellnet": QuantumShellNetRegressor(n_filters=8, n_stages=1, **TINY),
    "schnet": SchNetRegressor(n_layers=1, **TINY),
    "egnn": EGNNRegressor(n_layers=1, **TINY),
    "dimenet": DimeNetRegressor(n_layers=1, **TINY),
    "faenet": FAENetRegressor(n_layers=1, **TINY),
    "gotennet": GotenNetRegressor(n_layers=1, lr=3e-3, **TINY),
    "fusion": FusionRegressor(n_layers=1, **TINY),
    "pair_mlp": PairMLPRegressor(n_blocks=1, **TINY),
    "qcanvas": QCanvasRegressor(
        n_blocks=1, n_members=1, batch_size=64, lr=6e-3, dropout=0.0, tight_binding=None, **TINY
    ),  # with tight binding: test_tight_binding_regressor.py
    "pair_transformer": PairTransformerRegressor(n_layers=1, **TINY),
    "vit": ViTRegressor(patch_size=16, n_layers=1, **TINY),
}  # fmt: skip

#: The classifier of each family, with the parameters of its tiny regressor.
CLASSIFIERS = {}
for name, regressor in MODELS.items():
    kind = type(regressor).__name__.replace("Regressor", "Classifier")
    classifier = getattr(qcanvas_sklearn, kind)()
    shared = classifier.get_params().keys() - {"loss"}
    parameters = {k: v for k, v in regressor.get_params(deep=False).items() if k in shared}
    CLASSIFIERS[name] = classifier.set_params(**parameters)
