"""The examples: they run without a warning, print and draw, and look alike."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(FOLDER.glob("plot_*.py"))
# The command in the README runs the quickstart.
SHORT = [path for path in EXAMPLES if path.name != "plot_quickstart.py"]

NEEDED = {
    "plot_sources.py": ["tblite"], "plot_hamiltonians.py": ["tblite"],
    "plot_forces.py": ["ase"],
}  # fmt: skip

# Runs an example as a script, then draws what it would have shown.
RUN = """
import runpy, sys
import matplotlib.pyplot as plt
plt.show = lambda *args, **kwargs: None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
for number in plt.get_fignums():
    plt.figure(number).canvas.draw()
print("figures drawn:", len(plt.get_fignums()))
"""


def name(path):
    return path.stem


def test_there_are_examples():
    assert len(SHORT) >= 9


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_an_example_is_short_and_begins_with_a_title(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    over, title, under, blank = ast.get_docstring(ast.parse(text)).splitlines()[:4]
    assert over == under == "=" * len(title) and blank == ""
    assert len(re.findall(r"^ *# %%$", text, re.MULTILINE)) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("path", SHORT, ids=name)
def test_an_example_runs_prints_and_draws(path, tmp_path):
    pytest.importorskip("matplotlib")
    for library in NEEDED.get(path.name, ()):
        pytest.importorskip(library)
    run = subprocess.run(
        [sys.executable, "-c", RUN, path],
        env={**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"},
        cwd=tmp_path, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "Warning" not in run.stderr
    printed, n_figures = re.fullmatch(
        r"(.*)figures drawn: (\d+)\n", run.stdout, re.DOTALL
    ).groups()
    assert printed.strip() and int(n_figures) >= 1
    if path.name != "plot_sources.py":
        assert not list(tmp_path.iterdir()), "only plot_sources.py writes files"
