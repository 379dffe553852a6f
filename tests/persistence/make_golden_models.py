"""Write the models in ``tests/data/models`` anew, and what they predict.

To be run where a network or the format has changed on purpose:
``PYTHONPATH=.:tests python tests/persistence/make_golden_models.py``. What did not change
comes out as it was, to the last byte, on the machine that wrote it. With names as arguments
only these are written, as for a family that has joined ``NAMES``, and the others stay the
files of the version that wrote them.
"""

import gzip
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _persisted import cases

from qcanvas_sklearn import load_model, save_model
from qcanvas_sklearn.persistence._trim import networks_in

FOLDER = Path(__file__).parents[1] / "data" / "models"
#: One model of each family, on pairs and on molecules, and one of each other kind.
NAMES = (
    *(f"{family}-pairs" for family in (
        "dimenet", "egnn", "faenet", "fusion", "gatv2", "gotennet", "pair_mlp",
        "pair_transformer", "qcanvas", "quantumshellnet", "schnet", "vit",
    )),
    *(f"{family}-molecules" for family in (
        "dimenet", "egnn", "faenet", "gatv2", "gotennet", "schnet",
    )),
    "schnet-classes", "schnet-forces", "qcanvas-states", "tight_binding", "hamiltonian",
    "composition", "image", "pair-descriptor", "molecule-descriptor", "molecule-kernel",
    "union", "scaled-target", "columns",
)  # fmt: skip


def main(names: tuple[str, ...]) -> None:
    """Fit, save, and write down what the files say."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = {*NAMES} - {*names}
    for old in FOLDER.glob("*.safetensors.gz"):
        if old.name.partition(".")[0] not in kept:
            old.unlink()
    answers = {}
    if kept:
        with np.load(FOLDER / "answers.npz") as written:
            answers = {key: written[key] for key in written if key.split()[0] in kept}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        for name in names:
            case = cases()[name]
            for model in networks_in(case.model):
                model.history_["seconds"] = 0.0  # no two fits take the same
            save_model(case.model, path)
            packed = gzip.compress(path.read_bytes(), mtime=0)
            (FOLDER / f"{name}.safetensors.gz").write_bytes(packed)
            for what, answer in case.answers(load_model(path)).items():
                answers[f"{name} {what}"] = answer
    np.savez_compressed(FOLDER / "answers.npz", **answers)
    size = sum(path.stat().st_size for path in FOLDER.iterdir())
    print(f"{len(names)} models written; {size / 1000:.0f} kB in all")


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or NAMES)
