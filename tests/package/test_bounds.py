"""The bounds of what the package depends on, and the versions that they were tested with."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = ("hdf5", "plot", "parquet", "dask", "xtb", "dft", "molecules", "descriptors", "test")


def pinned(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def bounds():
    """(name, lower bound) of every requirement of the package and of its extras."""
    extras = [line for extra in EXTRAS for line in PROJECT["optional-dependencies"][extra]]
    for line in [*PROJECT["dependencies"], *extras]:
        yield re.fullmatch(r"([\w.-]+)(?:\[\w+\])?>=([\d.]+)(?:;.*)?", line).groups()


def release(text):
    """Numbers of a version, without zeros at its end: 3.1 and 3.1.0 are one."""
    numbers = [int(part) for part in text.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers


@pytest.mark.parametrize("name, bound", sorted(set(bounds())))
def test_a_bound_is_the_version_that_was_tested(name, bound):
    if name == "ruff":  # other releases have other rules; test_style skips them
        return
    assert release(pinned("constraints-min.txt")[name]) == release(bound)
    assert release(pinned("constraints.txt")[name]) >= release(bound)


def test_the_pythons_are_those_that_are_named():
    first = re.fullmatch(r">=3\.(\d+)", PROJECT["requires-python"])[1]
    named = re.findall(r"Python :: 3\.(\d+)", " ".join(PROJECT["classifiers"]))
    assert named == [str(minor) for minor in range(int(first), 15)]
