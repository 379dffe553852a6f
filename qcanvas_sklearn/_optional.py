"""Packages that are not installed with this one: each is brought by an extra."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import NamedTuple

__all__ = ["PACKAGES", "Package", "require"]


class Package(NamedTuple):
    """What is installed in place of a module that is absent.

    Attributes
    ----------
    name : str
        The package, as it is written.
    extra : str
        Extra of this package that brings it.
    note : str, default=""
        Where it cannot be had like that.
    """

    name: str
    extra: str
    note: str = ""


#: Optional packages by the first part of their modules' names.
PACKAGES = {
    "ase": Package("ASE", "molecules"),
    "dask": Package("dask", "dask"),
    "distributed": Package("distributed", "dask"),
    "dscribe": Package(
        "dscribe", "descriptors", "wheels exist for Linux x86_64, macOS and Windows"
    ),
    "h5py": Package("h5py", "hdf5"),
    "jinja2": Package("Jinja2", "plot"),
    "matplotlib": Package("matplotlib", "plot"),
    "pyarrow": Package("pyarrow", "parquet"),
    "pyscf": Package("PySCF", "dft", "wheels exist for Linux and macOS"),
    "qmllib": Package("qmllib", "descriptors", "wheels exist for Linux x86_64 and macOS"),
    "tblite": Package(
        "tblite",
        "xtb",
        "wheels exist for Linux x86_64 and macOS; elsewhere, conda-forge has it",
    ),
    "torch_geometric": Package("torch-geometric", "molecules"),
    "vesin": Package("vesin", "molecules"),
}


def require(what: str, *modules: str) -> ModuleType:
    """Import modules of an optional package.

    Parameters
    ----------
    what : str
        What needs it, as the subject of the sentence that says so.
    *modules : str
        Their names; submodules are to be named each.

    Returns
    -------
    module
        The first of them.

    Raises
    ------
    ImportError
        If the package is not installed, or cannot be imported; the message says which extra
        brings it.
    """
    package = PACKAGES[modules[0].partition(".")[0]]
    try:
        return [import_module(module) for module in modules][0]
    except ImportError as error:
        absent = str(error.name).partition(".")[0] == modules[0].partition(".")[0]
        state = "is not installed" if absent else f"cannot be imported ({error})"
        note = f" ({package.note})" if package.note else ""
        raise ImportError(
            f"{what} needs {package.name}, which {state}: "
            f'pip install "qcanvas-sklearn[{package.extra}]"{note}',
            name=error.name,
        ) from error
