"""The docstrings of the estimators, which a script writes into their files."""

import inspect
import re
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import qcanvas_sklearn
from qcanvas_sklearn import estimators

SCRIPT = Path(__file__).parents[2] / "docs" / "write_docstrings.py"


@pytest.fixture(scope="module")
def script():
    spec = spec_from_file_location("write_docstrings", SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_written_docstrings_are_current(script, capsys):
    assert (script.main(["--check"]), capsys.readouterr().out) == (0, "")


def test_the_script_knows_all_networks(script):
    public = {name: getattr(estimators, name) for name in estimators.__all__}
    networks = [name for name, cls in public.items() if hasattr(cls, "_network")]
    written = [name for texts in script.current_docstrings().values() for name in texts]
    assert len(written) >= 24
    assert sorted(written) == sorted(networks)


def test_no_mark_of_a_template_is_left(script):
    for texts in script.current_docstrings().values():
        for name, text in texts.items():
            assert re.findall(r"\{[\w>]+\}", text) == []
            assert f"\n>>> from qcanvas_sklearn import {name}" in text


@pytest.fixture
def copy_of_egnn(script, tmp_path, monkeypatch):
    """A copy of a file of the package, as the only one that the script knows."""
    source = Path(inspect.getfile(estimators.EGNNRegressor))
    copy = Path(shutil.copy(source, tmp_path))
    texts = script.current_docstrings()[source]
    monkeypatch.setattr(script, "current_docstrings", lambda: {copy: texts})
    return copy


def test_a_stale_docstring_is_named_and_written_anew(script, copy_of_egnn, capsys):
    current = copy_of_egnn.read_text(encoding="utf-8")
    changed = current.replace("Rows a gradient step.", "Rows at once.", 1)
    assert changed != current
    copy_of_egnn.write_text(changed, encoding="utf-8")

    assert script.main(["--check"]) == 1
    assert capsys.readouterr().out == "EGNNRegressor in _egnn.py is stale\n"
    assert copy_of_egnn.read_text(encoding="utf-8") == changed

    assert script.main([]) == 0
    assert capsys.readouterr().out == "EGNNRegressor in _egnn.py written\n"
    assert copy_of_egnn.read_text(encoding="utf-8") == current
    assert script.main(["--check"]) == 0


def test_a_new_class_gets_its_docstring_in_place_of_pass(script):
    source = "class A:\n    pass\n\n\nclass B:\n    \"\"\"Old.\"\"\"\n\n    x = 1\n"
    new = script.rewritten(source, {"A": "First.\n\nMore.", "B": "Second."})
    assert new == (
        'class A:\n    """First.\n\n    More.\n    """\n\n\n'
        'class B:\n    """Second.\n    """\n\n    x = 1\n'
    )
    assert script.stale(new, {"A": "First.\n\nMore.", "B": "Third."}) == ["B"]
    with pytest.raises(ValueError, match="class C has no docstring, and no pass in its place"):
        script.rewritten("class C:\n    x = 1\n", {"C": "Text."})


def test_shapes_that_end_in_an_underscore_are_quoted():
    """Outside of backticks a name that ends in one is a link, to nothing."""
    shape = re.compile(r"\bof shape \([^)]*\w_[.,)]|\bof shape \([^)]*\w_\.\w+")
    found = [
        f"{path.name}: {line.strip()}"
        for path in Path(qcanvas_sklearn.__file__).parent.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines() if shape.search(line)
    ]  # fmt: skip
    assert found == []
    assert shape.search("ndarray of shape (n, n_features_out_)")
    assert shape.search("PairTable of shape (n, layout_.n_columns)")
