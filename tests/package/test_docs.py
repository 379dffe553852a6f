"""The pages in docs: their links, the names in their reference, the code that they show."""

import ast
import doctest
import inspect
import re
import shlex
import subprocess
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import qcanvas_sklearn
from qcanvas_sklearn import cli, estimators
from qcanvas_sklearn.cli import _main
from qcanvas_sklearn.datasets import _bundled, _bundled_molecules
from qcanvas_sklearn.datasets._bundled import bundled_pairs

PACKAGE = Path(qcanvas_sklearn.__file__).parent
ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *(DOCS / "guide").glob("*.md")])
#: Pages that are made in a build.
MADE = ("gallery/index", "reference/index")
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def title(page):
    return page.relative_to(DOCS).with_suffix("").as_posix()


def text_of(page):
    return page.read_text(encoding="utf-8")


def blocks(page):
    """Blocks of Python of a page: language, code, and whether they can be run here."""
    pattern = r"(<!-- not run: [^\n]+-->\n)?^```(pycon|python)\n(.*?)^```$"
    for note, language, code in re.findall(pattern, text_of(page), re.DOTALL | re.MULTILINE):
        yield language, code, not note


def sources(page):
    """The code of each block, without prompts and outputs."""
    parse = doctest.DocTestParser().get_examples
    for language, code, runs in blocks(page):
        if language == "pycon":
            code = "".join(example.source for example in parse(code))
        yield code, runs


WITH_CODE = [page for page in PAGES if any(blocks(page))]
WITH_OUTPUT = [page for page in PAGES if "```pycon" in text_of(page)]


# ----------------------------------------------------------------------- links


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_what_a_page_points_to_is_there(page):
    text = text_of(page)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    targets += re.findall(r"^```\{(?:literal)?include\} (\S+)$", text, re.MULTILINE)
    targets += re.findall(r"^:file: (\S+)$", text, re.MULTILINE)
    for target in targets:
        if not re.match(r"https?://", target):
            path, _, anchor = target.partition("#")
            place = (page.parent / path).resolve() if path else page
            assert place.exists(), target
            if anchor:
                headings = re.findall(r"^#+ (.+)$", text_of(place), re.MULTILINE)
                assert anchor in map(slug, headings), target
    for example in re.findall(r"\{doc\}`/gallery/(\w+)`", text):
        assert (ROOT / "examples" / f"{example}.py").exists(), example
    for name in re.findall(r"(?:examples|benchmarks|tests)/[\w./]+\w", text):
        assert (ROOT / name).exists(), name


def test_every_page_is_in_the_contents():
    listed = {"index"}
    for page in PAGES:
        for body in re.findall(r"^```\{toctree\}\n(.*?)^```$", text_of(page), re.S | re.M):
            entries = [line for line in body.split("\n") if re.match(r"[a-z]", line)]
            folder = page.parent.relative_to(DOCS)
            listed |= {(folder / entry).as_posix() for entry in entries}
    assert listed == {*map(title, PAGES), *MADE}


def test_every_result_is_shown():
    shown = text_of(DOCS / "benchmarks.md")
    results = [*(ROOT / "benchmarks" / "results").glob("*.*"), Path("table/table.md")]
    assert len(results) >= 6
    assert [path.name for path in results if f"/{path.name}\n" not in shown] == []


# ------------------------------------------------------------------- reference


def public_modules():
    """Packages without an underscore, and modules that their package names."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        parts = parts[:-1] if is_package else parts
        if parts and not any(part.startswith("_") for part in parts):
            parent = import_module(".".join(["qcanvas_sklearn", *parts[:-1]]))
            if is_package or (
                parts[-1] in getattr(parent, "__all__", ())
                and inspect.ismodule(getattr(parent, parts[-1]))
            ):
                yield ".".join(parts)


def test_every_public_name_is_in_the_reference():
    spec = spec_from_file_location("write_reference", DOCS / "write_reference.py")
    reference = module_from_spec(spec)
    spec.loader.exec_module(reference)
    pages = reference.pages()
    modules = list(public_modules())
    assert {"estimators", "hamiltonians.metrics", "nn.cores"} <= set(modules)
    absent = [
        f"{path}.{name}"
        for path in modules
        for name in getattr(import_module(f"qcanvas_sklearn.{path}"), "__all__", ())
        if not re.search(rf"\b{name}\b", pages.get(path, ""))
        and f"{path}.{name}" not in modules
    ]
    assert absent == []
    for name in qcanvas_sklearn.__all__:
        assert re.search(rf"\b{name}\b", pages["index"]), name


# ------------------------------------------------------------------------ code


def imported(tree):
    """What the imports of a page bring, as far as it is of this package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("qcanvas_sklearn"):
            module = import_module(node.module)
            for alias in node.names:
                yield alias.asname or alias.name, getattr(module, alias.name)


def called(function, names):
    """The public object that an expression calls; None where it is something else."""
    path = []
    while isinstance(function, ast.Attribute):
        path.insert(0, function.attr)
        function = function.value
    if not isinstance(function, ast.Name) or function.id not in names:
        return None
    item = names[function.id]
    for name in path:
        item = getattr(item, name)
    return item if str(item.__module__).startswith("qcanvas_sklearn") else None


@pytest.mark.parametrize("page", WITH_CODE, ids=title)
def test_code_parses_and_passes_what_is_accepted(page):
    tree = ast.parse("\n".join(code for code, _ in sources(page)))
    names = dict(imported(tree))
    assert names
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (item := called(node.func, names)) is not None:
            given = [part for part in node.args if not isinstance(part, ast.Starred)]
            inspect.signature(item).bind_partial(*given, **{k.arg: 0 for k in node.keywords})


@pytest.mark.parametrize("page", WITH_OUTPUT, ids=title)
def test_code_with_output_prints_it(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=FLAGS)
    code = "\n".join(code for language, code, _ in blocks(page) if language == "pycon")
    runner.run(parser.get_doctest(code, {}, title(page), str(page), 0))
    assert runner.failures == 0 and runner.tries > 0


COMMANDS = [
    words[words.index(program) + 1 :]
    for page in PAGES
    for block in re.findall(r"^```bash\n(.*?)^```$", text_of(page), re.DOTALL | re.MULTILINE)
    for words in map(shlex.split, block.splitlines())
    for program in ("qcanvas", "qcanvas_sklearn")
    if program in words
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_commands_have_the_options_that_are_shown(words):
    command = next(command for command in cli.COMMANDS if command.name == words[0])
    _main._command_parser(command).parse_args(words[1:])


def test_there_are_commands():
    assert {words[0] for words in COMMANDS} == {command.name for command in cli.COMMANDS}


@pytest.fixture
def little_to_learn(monkeypatch, tmp_path):
    """The data with few rows, and estimators that train for one epoch unless told otherwise."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    monkeypatch.setenv("QCANVAS_DATA", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    elements = ["Ag", "Al", "B", "C", "Cl", "F", "H", "Li", "Mg", "N", "Na", "O"]
    pairs = bundled_pairs()
    some = pairs[np.isin(pairs.elements, elements).all(axis=1)]
    whole = _bundled_molecules._bundled
    step = {"molecules": 15, "ethanol": 40, "aspirin": 40}
    monkeypatch.setattr(_bundled, "bundled_pairs", lambda: some)
    monkeypatch.setattr(_bundled_molecules, "_bundled", lambda name: whole(name)[:: step[name]])
    for name in estimators.__all__:
        defaults = getattr(estimators, name).__init__.__kwdefaults__ or {}
        few = {"max_epochs": 1, "n_members": min(defaults.get("n_members", 1), 2)}
        for key in few.keys() & defaults.keys():
            monkeypatch.setitem(defaults, key, few[key])


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=title)
def test_code_runs_in_order(page, little_to_learn):
    pytest.importorskip("matplotlib")
    if "compute_" in text_of(page):
        pytest.importorskip("tblite")
    names = {}
    for code, runs in sources(page):
        if runs:
            exec(compile(code, str(page), "exec"), names)


# ----------------------------------------------------------------------- build


@pytest.mark.slow
def test_the_pages_build_without_a_warning(tmp_path):
    for library in ("sphinx", "numpydoc", "myst_parser", "sphinx_gallery", "sphinx_design",
                    "sphinx-mathjax-offline", "pydata_sphinx_theme"):  # fmt: skip
        pytest.importorskip(library)
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html",
               "-d", tmp_path / "doctrees", DOCS, tmp_path / "html"]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "html" / "reference" / "estimators.html").exists()


def model_of(shown):
    """Name in the table of a model as the pages write it."""
    if shown == "gradient boosting, elements alone":
        return "boosting"
    pattern = r"`(\w+)Regressor(?:\(\w+=\"?(\w+)\"?\))?`(, elements alone)?"
    family, setting, alone = re.fullmatch(pattern, shown).groups()
    name = re.sub("(?<=Pair)|(?<=Tight)", "_", family).lower()
    return "_".join(filter(None, [name, setting, "elements" if alone else ""]))


def weights_of(count):
    if np.isnan(count):
        return "–"
    return f"{count / 1e6:.1f} M" if count > 1e6 else f"{count / 1000:.0f} k"


@pytest.mark.parametrize("page", [DOCS / "guide" / "estimators.md", ROOT / "README.md"])
def test_figures_of_estimators_are_those_of_the_results(page):
    """Of every row: weights, pairs a second, and errors as they are rounded."""
    results = ROOT / "benchmarks" / "results"
    table = pd.read_csv(results / "table" / "table.csv").set_index(["model", "target"])
    published = pd.read_csv(results / "published_mae.csv").groupby("target")["test_mae"].min()
    first, states, *_ = text_of(results / "predict.txt").split("\n\n")
    speeds = {model_of(f"`{family}Regressor`"): speed
              for family, speed in re.findall(r"(?m)^(\w+) +([\d,]+) ", first)}  # fmt: skip
    for family, given, speed in re.findall(r"(?m)^(\w+) +(\w+) +([\d,]+)$", states):
        setting = "" if given == "populations" else f'(given="{given}")'
        speeds[model_of(f"`{family}Regressor{setting}`")] = speed
    targets = {"gap": "e_g_ev", "HOMO": "e_homo_ev", "total energy": "total_energy_ev",
               "repulsive": "repulsive_energy_ev"}  # fmt: skip
    rows = text_of(page).partition("| defaults, MAE in eV ")[2].partition("\n\n")[0]
    header, _, *lines = rows.splitlines()
    names = ["model", *(name.strip() for name in header.split("|")[1:-1])]
    shown = set()
    for line in lines:
        stripped = [cell.strip(" *") for cell in line.split("|")[1:-1]]
        cells = dict(zip(names, stripped, strict=True))
        if "max_epochs" in cells["model"]:
            continue  # of an earlier run with these settings
        if cells["model"] == "best published":
            errors = published
        else:
            model = model_of(cells["model"])
            shown.add(model)
            errors = table.loc[model, "mae"]
            assert cells["weights"] == weights_of(table.loc[model, "n_parameters"].iloc[0])
            assert cells["pairs/s"].strip("–") == speeds.get(model, ""), model
        for name, target in targets.items():
            decimals = len(cells[name].partition(".")[2])
            off = abs(float(cells[name]) - errors[target])
            assert off <= 0.5001 * 10**-decimals, (cells["model"], name)
    assert shown >= speeds.keys() - {"qcanvas_distance"}
