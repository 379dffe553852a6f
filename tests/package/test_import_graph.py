"""The rooms of the package: who imports whom, at the head of a module or inside a function."""

import ast
from functools import cache
from pathlib import Path

import pytest

import qcanvas_sklearn

PACKAGE = Path(qcanvas_sklearn.__file__).parent

#: Rooms by floor; imports go to lower floors (earlier lines) alone.
FLOORS = (
    ("_files", "_fitting", "_npz", "_optional", "_progress", "_validation", "_warnings",
     "elements", "targets", "rendering", "nn"),
    ("structures", "training"),
    ("datasets",),
    ("hamiltonians",),
    ("descriptors", "images"),
    ("inputs", "metrics"),
    ("encoders", "model_selection"),
    ("estimators", "inspection"),
    ("plotting", "prediction"),
    ("persistence", "report"),
    ("cli",),
    ("__main__",),
)
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}


def room_of(path):
    """First part of a module's path below the package; None for the package itself."""
    first = path.relative_to(PACKAGE).parts[0]
    return None if first == "__init__.py" else first.removesuffix(".py")


def imported_rooms(path):
    """Rooms of this package that a module imports, wherever in it."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    package = parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = list(package[: len(package) - node.level + 1])
            base += node.module.split(".") if node.module else []
            names = [["qcanvas_sklearn", *base, alias.name] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [[*node.module.split("."), alias.name] for alias in node.names]
        else:
            continue
        for name in names:
            if name[0] == "qcanvas_sklearn" and len(name) > 1 and name[1] in FLOOR:
                yield name[1]


@cache
def edges():
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = room_of(path)
        for other in imported_rooms(path):
            if room is not None and other != room:
                found.setdefault((room, other), str(path.relative_to(PACKAGE)))
    return found


def test_every_room_has_its_floor():
    rooms = {room_of(path) for path in PACKAGE.rglob("*.py")} - {None}
    assert rooms == set(FLOOR)


def test_imports_go_downwards():
    upwards = {
        edge: where for edge, where in edges().items() if FLOOR[edge[1]] > FLOOR[edge[0]]
    }
    assert upwards == {}


def test_no_two_rooms_import_each_other():
    """Nor over a third: what a room rests on never rests on it."""
    graph = {room: {b for a, b in edges() if a == room} for room in FLOOR}
    for room in graph:
        seen, waiting = set(), list(graph[room])
        while waiting:
            other = waiting.pop()
            assert other != room, f"{room} imports itself over {sorted(seen)}"
            if other not in seen:
                seen.add(other)
                waiting += graph[other]


def test_networks_know_no_scikit_learn_and_the_data_no_torch():
    banned = {
        "nn": {"sklearn", "skorch", "pandas"}, "rendering": {"torch", "sklearn", "pandas"},
        "structures": {"torch", "skorch"}, "datasets": {"torch", "skorch"},
        "hamiltonians": {"torch", "skorch"}, "images": {"torch", "skorch"},
        "descriptors": {"torch", "skorch"}, "metrics": {"torch", "skorch"},
        "model_selection": {"torch", "skorch"},
    }  # fmt: skip
    # Whoever asks for tensors has torch; test_package has these be imported late.
    allowed = {
        PACKAGE / "structures" / "_pyg.py": {"torch"},
        PACKAGE / "datasets" / "_torch_pairs.py": {"torch"},
        PACKAGE / "hamiltonians" / "_torch_assembly.py": {"torch"},
        PACKAGE / "hamiltonians" / "_torch_states.py": {"torch"},
    }
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            else:
                continue
            refused = banned.get(room_of(path), set()) - allowed.get(path, set())
            wrong = {n.split(".")[0] for n in names} & refused
            assert not wrong, f"{path} imports {wrong}"


@pytest.mark.parametrize(
    "line, rooms",
    [
        ("from ..nn.heads import PairMLP", ["nn"]), ("from .. import _files", ["_files"]),
        ("import qcanvas_sklearn.datasets._xtb", ["datasets"]),
        ("from . import _base", ["images"]),
        ("def f():\n    from ..report import model_report", ["report"]), ("import numpy", []),
        ("from qcanvas_sklearn import targets, estimators", ["targets", "estimators"]),
    ],
)  # fmt: skip
def test_imports_are_found(line, rooms, tmp_path, monkeypatch):
    monkeypatch.setattr("test_import_graph.PACKAGE", tmp_path)
    path = tmp_path / "images" / "some.py"
    path.parent.mkdir()
    path.write_text(line)
    assert list(imported_rooms(path)) == rooms
