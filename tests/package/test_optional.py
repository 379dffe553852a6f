"""Optional packages: whoever lacks one learns which extra brings it."""

import re
import sys
import tomllib
import warnings
from pathlib import Path

import numpy as np
import pytest

import qcanvas_sklearn
from qcanvas_sklearn import MoleculeDescriptorTransformer, load_molecules
from qcanvas_sklearn._optional import PACKAGES, require
from qcanvas_sklearn._warnings import each_warning_once
from qcanvas_sklearn.cli import _predict
from qcanvas_sklearn.datasets import compute_molecules
from qcanvas_sklearn.hamiltonians import compute_hamiltonians, read_omol
from qcanvas_sklearn.plotting import ParityDisplay
from qcanvas_sklearn.prediction import predict_dask
from qcanvas_sklearn.prediction._sources import open_source
from qcanvas_sklearn.report._page import environment
from qcanvas_sklearn.structures import neighbour_list

PACKAGE = Path(qcanvas_sklearn.__file__).parent
ROOT = Path(__file__).parents[2]
FEW = load_molecules().data[:2]
#: What needs each package.
CALLS = {
    "ase": lambda folder: FEW.to_ase(),
    "dask": lambda folder: predict_dask(None, None),
    "distributed": lambda folder: _predict._cluster("tcp://localhost:1").__enter__(),
    "dscribe": lambda folder: MoleculeDescriptorTransformer("soap").fit(FEW),
    "h5py": lambda folder: read_omol(folder / "some.h5", basis={"H": (0,)}),
    "jinja2": lambda folder: environment(),
    "matplotlib": lambda folder: ParityDisplay.from_predictions([1.0], [1.0]),
    "pyarrow": lambda folder: open_source(folder / "in.parquet"),
    "pyscf": lambda folder: compute_hamiltonians(FEW, method="PBE/def2-SVP"),
    "qmllib": lambda folder: MoleculeDescriptorTransformer("fchl19").fit(FEW),
    "tblite": lambda folder: compute_molecules(FEW),
    "torch_geometric": lambda folder: FEW.to_pyg(),
    "vesin": lambda folder: neighbour_list(
        np.zeros((1, 3)), np.array([0, 1]), 2.0, cell=np.eye(3)[None],
        pbc=np.ones((1, 3), bool),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_an_absent_package_is_named_with_the_extra_that_brings_it(name, tmp_path, monkeypatch):
    for module in [name, *(key for key in sys.modules if key.startswith(f"{name}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "in.parquet").touch()
    package = PACKAGES[name]
    install = re.escape(f'pip install "qcanvas-sklearn[{package.extra}]"')
    with pytest.raises(ImportError, match=f"needs {package.name}, which is not .*: {install}"):
        CALLS[name](tmp_path)


def test_an_extra_brings_what_is_said_of_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for package in PACKAGES.values():
        named = [re.match(r"[\w-]+", line)[0].lower() for line in extras[package.extra]]
        assert package.name.lower() in named
    everything = re.search(r"\[(.*)\]", extras["all"][0])[1].split(",")
    assert {package.extra for package in PACKAGES.values()} < set(everything)


def test_nobody_else_says_that_a_package_is_absent():
    texts = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    raising = [path for path, text in texts.items() if "raise ImportError(" in text]
    assert raising == [PACKAGE / "_optional.py"]


def test_a_package_that_is_broken_is_not_called_absent(tmp_path, monkeypatch):
    (tmp_path / "h5py.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "h5py", raising=False)
    with pytest.raises(ImportError, match=r"cannot be imported \(No module .*no_such_library"):
        require("a file", "h5py")


def test_a_warning_that_comes_a_hundred_times_is_shown_once():
    def work():
        with each_warning_once():
            for i in range(100):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)
                warnings.warn("the CPU is used", UserWarning)
                warnings.warn(f"row {i % 2}", RuntimeWarning)
            raise KeyError("told all the same")

    with pytest.raises(KeyError), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        work()
    assert [str(w.message) for w in caught] == ["the CPU is used", "row 0", "row 1"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="the CPU"):
            work()
