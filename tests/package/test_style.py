"""What the linter and the type checker say, where they are installed as they are pinned."""

import importlib.util
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def check(tool, *arguments):
    """Run a tool over the repository; of another release other findings are to be expected."""
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed")
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = re.search(rf"^{tool}==(.+)$", constraints, re.M)[1]
    if version(tool) != pinned:
        pytest.skip(f"{tool} is {version(tool)}, not {pinned}")
    run = subprocess.run(
        [sys.executable, "-m", tool, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_ruff_has_nothing_to_say():
    check("ruff", "check", "--no-cache", ".")


@pytest.mark.slow
def test_mypy_has_nothing_to_say():
    """In half a second with its cache, in half a minute without."""
    check("mypy")
