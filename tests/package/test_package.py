"""The package as a whole: what importing it costs, its names, its documentation."""

import ast
import inspect
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator

import qcanvas_sklearn

PACKAGE = Path(qcanvas_sklearn.__file__).parent
MODULES = [
    "qcanvas_sklearn",
    *(f"qcanvas_sklearn.{name}" for name in qcanvas_sklearn._MODULES),
]


def public_objects():
    """Public classes and functions, each once, by qualified name."""
    found = {}
    for module in map(import_module, MODULES):
        for name in module.__all__:
            item = getattr(module, name)
            if inspect.isclass(item) or inspect.isroutine(item):
                found[f"{item.__module__}.{name}"] = item
    return found


def public_methods(cls):
    """Methods and properties that a class of this package defines itself."""
    for name, item in vars(cls).items():
        item = getattr(item, "__func__", getattr(item, "func", item))
        if not name.startswith("_") and (inspect.isroutine(item) or isinstance(item, property)):
            yield name, item


def documented_parameters(doc):
    """Names in the numpydoc section "Parameters"; None where there is none."""
    section = re.search(
        r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n---|\Z)", inspect.cleandoc(doc), re.M | re.S
    )
    if section is None:
        return None
    heads = re.findall(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: :.*)?$", section[1], re.M)
    return [name.lstrip("*") for head in heads for name in head.split(", ")]


def documented_defaults(doc):
    """Defaults by parameter, as a docstring states them."""
    heads = re.findall(r"^(\w+) : .*\bdefault=(.+)$", inspect.cleandoc(doc), re.M)
    return {name: ast.literal_eval(value) for name, value in heads}


def accepted_parameters(item):
    names = list(inspect.signature(item).parameters)
    return [name for name in names if name not in ("self", "cls")]


# -------------------------------------------------------------------- import


def test_importing_costs_no_torch_pandas_or_matplotlib():
    code = (
        "import sys, qcanvas_sklearn; dir(qcanvas_sklearn); "
        "print(sorted({'torch', 'matplotlib', 'skorch', 'pandas', 'sklearn', 'scipy'} "
        "& sys.modules.keys()))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (out.stdout.strip(), out.stderr) == ("[]", "")


def test_data_and_images_need_no_torch():
    code = (
        "import sys; from qcanvas_sklearn import datasets, descriptors, elements, images, "
        "model_selection, metrics, targets; "
        "print(sorted({'torch', 'matplotlib', 'skorch'} & sys.modules.keys()))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (out.stdout.strip(), out.stderr) == ("[]", "")


def test_public_names():
    assert set(qcanvas_sklearn.__all__) == set(dir(qcanvas_sklearn))
    assert len(set(qcanvas_sklearn.__all__)) == len(qcanvas_sklearn.__all__)
    for module in map(import_module, MODULES):
        for name in module.__all__:
            assert getattr(module, name) is not None


@pytest.mark.parametrize("name", ["load_pears", "_home", "torch"])
def test_a_wrong_name_is_an_attribute_error(name):
    with pytest.raises(AttributeError, match=f"'qcanvas_sklearn' has no attribute '{name}'"):
        getattr(qcanvas_sklearn, name)


def test_version_and_type_marker():
    assert version("qcanvas-sklearn") == qcanvas_sklearn.__version__
    citation = Path(__file__).parents[2] / "CITATION.cff"
    stated = re.search(r"^version: (.+)$", citation.read_text(encoding="utf-8"), re.M)
    assert stated[1] == qcanvas_sklearn.__version__
    assert files("qcanvas_sklearn").joinpath("py.typed").is_file()


# ------------------------------------------------------------- documentation


def test_everything_public_is_documented():
    bare = [module for module in MODULES if not import_module(module).__doc__]
    for name, item in public_objects().items():
        doc = item.__doc__ or ""
        # A dataclass or named tuple without a docstring gets its signature as one.
        if not doc or doc.startswith(f"{item.__name__}("):
            bare.append(name)
        if inspect.isclass(item):
            methods = public_methods(item)
            bare += [f"{name}.{method}" for method, m in methods if not inspect.getdoc(m)]
    assert bare == []


def test_estimators_document_exactly_their_parameters():
    estimators = {
        name: item
        for name, item in public_objects().items()
        if inspect.isclass(item) and issubclass(item, BaseEstimator)
    }
    assert len(estimators) >= 4
    for name, item in estimators.items():
        documented = documented_parameters(item.__doc__) or []
        assert documented == accepted_parameters(item), name


def test_estimators_document_the_defaults_that_they_have():
    wrong = {}
    for name, item in public_objects().items():
        if inspect.isclass(item) and issubclass(item, BaseEstimator):
            parameters = inspect.signature(item).parameters.values()
            defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
            stated = documented_defaults(item.__doc__)
            if stated != defaults:
                wrong[name] = (stated, defaults)
    assert wrong == {}


def test_documented_parameters_are_those_of_the_signature():
    wrong = {}
    for name, item in public_objects().items():
        callables = {name: item}
        if inspect.isclass(item):
            callables |= {f"{name}.{method}": m for method, m in public_methods(item)}
        for path, function in callables.items():
            documented = documented_parameters(function.__doc__ or "")
            if documented is not None and callable(function):
                accepted = accepted_parameters(function)
                if documented != accepted:
                    wrong[path] = (documented, accepted)
    assert wrong == {}


# -------------------------------------------------------------------- source


def body_lines(function):
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_files_and_functions_are_short():
    long = {}
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        place = str(path.relative_to(PACKAGE))
        if len(text.splitlines()) > 500:
            long[place] = len(text.splitlines())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                if body_lines(node) > 60:
                    long[f"{place}:{node.name}"] = body_lines(node)
    assert long == {}
