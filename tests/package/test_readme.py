"""What the README promises: its commands, its example, its output."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language):
    return re.search(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE).group(1)


def test_the_first_block_holds_the_two_commands():
    commands = block("bash").strip().splitlines()
    assert len(commands) == 2
    assert commands[0].endswith("python examples/plot_quickstart.py")
    assert commands[1].endswith("python -m pytest -n 2")


def test_every_file_that_is_named_exists():
    for name in re.findall(r"(?:examples|benchmarks)/[\w./]+\w", TEXT):
        assert (ROOT / name).exists(), name


@pytest.mark.slow
def test_the_example_prints_what_the_readme_says(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", block("python")],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "Warning" not in run.stderr
    found, promised = (
        [float(n) for n in re.findall(r"-?\d+\.\d*", text)]
        for text in (run.stdout, block("text"))
    )
    # Other processors round differently; the last digit may move.
    assert found[0] == pytest.approx(promised[0], rel=0.15)
    assert found[1] == found[2] and found[1:] == pytest.approx(promised[1:], abs=0.2)
