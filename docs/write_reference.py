"""Write the reference: one page for each public module, with every name of its ``__all__``.

``conf.py`` calls `write` before a build; nothing of it is kept in the repository.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType

import qcanvas_sklearn

PACKAGE = Path(qcanvas_sklearn.__file__).parent

#: Public modules, those that users reach for first. An object that several of them name is
#: described under the first.
MODULES = (
    "datasets",
    "images",
    "estimators",
    "model_selection",
    "metrics",
    "inspection",
    "plotting",
    "report",
    "hamiltonians",
    "hamiltonians.metrics",
    "descriptors",
    "targets",
    "elements",
    "structures",
    "rendering",
    "inputs",
    "training",
    "nn",
    "nn.cores",
    "nn.cores.tight_binding",
    "nn.heads",
)


def quickstart_first(name: str) -> tuple[bool, str]:
    """Order of the examples."""
    return ("quickstart" not in name, name)


@cache
def public_modules() -> tuple[str, ...]:
    """The modules of `MODULES`, and packages that have joined since."""
    packages = (
        info.name.removeprefix("qcanvas_sklearn.")
        for info in walk_packages(qcanvas_sklearn.__path__, "qcanvas_sklearn.")
        if info.ispkg and "._" not in info.name
    )
    return tuple(dict.fromkeys([*MODULES, *qcanvas_sklearn._MODULES, *packages]))


@cache
def places() -> dict[str, str]:
    """Where classes and functions are described, by what the guide calls them."""
    found: dict[str, str] = {}
    for path in public_modules():
        module = import_module(f"qcanvas_sklearn.{path}")
        for name in module.__all__:
            home = _homes().get(id(getattr(module, name)))
            if home is not None:
                found[f"{path}.{name}"] = home
                found.setdefault(name, home)
    return found


@cache
def _homes() -> dict[int, str]:
    """Where each class or function is described, by its identity."""
    homes: dict[int, str] = {}
    for path in public_modules():
        module = import_module(f"qcanvas_sklearn.{path}")
        for name in module.__all__:
            item = getattr(module, name)
            if inspect.isclass(item) or inspect.isroutine(item):
                homes.setdefault(id(item), f"qcanvas_sklearn.{path}.{name}")
    return homes


@cache
def _comments() -> dict[str, str]:
    """What ``#:`` comments say of the constants of the package, by name."""
    found: dict[str, str] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.parse(text).body:
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            target = node.target if isinstance(node, ast.AnnAssign) else target
            if isinstance(target, ast.Name):
                start = node.lineno - 1
                while start and lines[start - 1].startswith("#:"):
                    start -= 1
                said = " ".join(line[2:].strip() for line in lines[start : node.lineno - 1])
                if said:
                    found.setdefault(target.id, said)
    return found


def _kind(item: object) -> str:
    if inspect.isclass(item):
        return "Classes"
    return "Functions" if inspect.isroutine(item) else "Constants"


def _heading(text: str, line: str) -> list[str]:
    return [text, line * len(text), ""]


def _table(entries: list[str]) -> list[str]:
    options = [".. autosummary::", "   :toctree: generated", ""]
    return [*options, *(f"   {entry}" for entry in entries), ""]


def _constants(path: str, module: ModuleType, names: list[str]) -> list[str]:
    lines: list[str] = []
    for name in names:
        value = getattr(module, name)
        short = [f"   :value: {value!r}"] if len(repr(value)) <= 60 else []
        said = _comments().get(name, f"See {type(value).__name__}.")
        lines += [f".. py:data:: {name}", *short, "", f"   {said}", ""]
    return lines


def page(path: str) -> str:
    """The page of one module, as reStructuredText."""
    module = import_module(f"qcanvas_sklearn.{path}")
    lines = _heading(path, "=")
    lines += [
        f".. module:: qcanvas_sklearn.{path}", "",
        f"``qcanvas_sklearn.{path}``", "",
        inspect.getdoc(module) or "", "",
    ]  # fmt: skip
    named: dict[str, list[str]] = {}
    for name in sorted(module.__all__, key=str.lower):
        item = getattr(module, name)
        if inspect.ismodule(item):
            continue
        home = _homes().get(id(item))
        elsewhere = home is not None and home != f"qcanvas_sklearn.{path}.{name}"
        named.setdefault("elsewhere" if elsewhere else _kind(item), []).append(name)
    for kind in ("Classes", "Functions"):
        if kind in named:
            lines += _heading(kind, "-") + _table(named[kind])
    if "Constants" in named:
        lines += _heading("Constants", "-") + _constants(path, module, named["Constants"])
    if "elsewhere" in named:
        also = (f":obj:`{name} <{_homes()[id(getattr(module, name))]}>`"
                for name in named["elsewhere"])  # fmt: skip
        lines += ["Also here: " + ", ".join(also) + ".", ""]
    return "\n".join(lines)


def _summaries() -> Iterator[str]:
    """A list of the modules, each with the first sentence of its docstring."""
    for path in public_modules():
        doc = inspect.getdoc(import_module(f"qcanvas_sklearn.{path}")) or ""
        sentence = " ".join(doc.split("\n\n")[0].split())
        yield from (f":doc:`{path}`", f"   {sentence}", "")


def index() -> str:
    """The first page: the short names, and the list of modules."""
    lines = [
        *_heading("Reference", "="),
        "Everything public, by module.", "",
        ".. toctree::", "   :hidden:", "",
        *(f"   {path}" for path in public_modules()), "",
        *_summaries(), "",
        *_heading("Names at the top", "-"),
        "These can be imported from ``qcanvas_sklearn`` itself; torch is loaded when the first "
        "of them that needs it is used.", "",
    ]  # fmt: skip
    for home, names in qcanvas_sklearn._PUBLIC.items():
        links = ", ".join(
            f":obj:`{name} <{_homes()[id(getattr(qcanvas_sklearn, name))]}>`"
            for name in sorted(names, key=str.lower)
        )
        lines += [f":doc:`{home}`", f"   {links}", ""]
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """Every page by its name, without a suffix."""
    return {"index": index(), **{path: page(path) for path in public_modules()}}


def write(folder: Path) -> list[str]:
    """Write all pages, and name their files.

    Those that have not changed keep their time, and are not built anew.
    """
    folder.mkdir(exist_ok=True)
    paths = []
    for name, text in pages().items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
        paths.append(str(path))
    return paths
