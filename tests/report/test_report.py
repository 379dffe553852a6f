"""The report: what the page says, that it is safe and whole, and its command."""

import base64
import os
import re
import sys
import tomllib
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import jinja2
import joblib
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from sklearn.cluster import KMeans
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.svm import LinearSVC

from qcanvas_sklearn import (
    GATv2Classifier,
    GATv2Regressor,
    PairDescriptorTransformer,
    PairImageTransformer,
    PairMLPRegressor,
    SchNetRegressor,
    load_molecules,
    load_pairs,
)
from qcanvas_sklearn.__main__ import main
from qcanvas_sklearn.metrics import target_report
from qcanvas_sklearn.report import _figures, _page, _report, model_report

VOID = {"img", "meta"}
TINY = {"n_hidden": 16, "max_epochs": 2, "random_state": 0, "unseen_elements": "allow"}
REFUSING = {**TINY, "unseen_elements": "error"}


class Page(HTMLParser):
    """Sections, tables and attributes of a page; fails where tags are not balanced."""

    def __init__(self, text):
        super().__init__()
        self.text, self.open, self.seen, self.attributes = text, [], [], []
        self.sections, self.tables, self.shown, self.alts = {}, [], "", []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)
        if tag == "h2":
            self.title = ""
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
        elif tag == "data" and "table" in self.open:
            self.tables[-1][-1][-1] = float(dict(attributes)["value"])
        elif tag == "img":
            self.alts.append(dict(attributes)["alt"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "h2":
            self.sections[self.title] = len(self.tables)

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.shown += data
        if self.open[-1:] == ["h2"]:
            self.title += data
        if {"td", "th"} & set(self.open) and isinstance(self.tables[-1][-1][-1], str):
            self.tables[-1][-1][-1] += data

    def table(self, section, which=0):
        """Rows of cells of a table of a section; numbers as they are, exactly."""
        return self.tables[self.sections[section] + which]


@pytest.fixture(autouse=True)
def coarse_figures(monkeypatch):
    monkeypatch.setattr(_figures, "_DPI", 20)


@pytest.fixture(scope="module")
def gap_pipe(few_pairs):
    X, y = few_pairs
    pipe = Pipeline(
        [("img", PairImageTransformer(image_size=8)), ("m", GATv2Regressor(**TINY))]
    )
    return pipe.fit(X, y["e_g_ev"])


@pytest.fixture(scope="module")
def gap_page(gap_pipe, few_pairs):
    X, y = few_pairs
    return model_report(gap_pipe, X, y["e_g_ev"], n_repeats=1)


@pytest.fixture(scope="module")
def ridge(few_pairs):
    X, y = few_pairs
    return make_pipeline(PairDescriptorTransformer(), Ridge()).fit(X, y["distance_ang"])


@pytest.fixture(scope="module")
def two_targets(regression_table):
    """A plain table, which is quickly drawn, and two targets with names."""
    X, y = regression_table
    return X, pd.DataFrame({"e_g_ev": y, "chi_ev": X[:, 2] + 0.1 * y})


@pytest.fixture(scope="module")
def metal_like():
    return load_pairs(target="metal_like", return_X_y=True)[1].iloc[::19].reset_index(drop=True)


# ------------------------------------------------------------------------ page


def test_a_network_behind_images_has_every_section_that_applies(gap_page):
    page = Page(gap_page)
    assert list(page.sections) == [
        "Model", "Evaluated rows", "Scores", "Predicted and computed", "Errors by element",
        "What the model looks at", "Training", "Hyperparameters", "Versions",
    ]  # fmt: skip
    assert page.shown.startswith("\nGATv2Regressor: HOMO-LUMO gap")
    assert "HOMO-LUMO gap (eV)" in page.shown and "bundled table: DFTB+" in page.shown
    assert "2 epochs on 149 rows" in page.shown
    parameters = dict(row for table in page.tables for row in table if len(row) == 2)
    assert (parameters["n_hidden"], parameters["image_size"]) == ("16", "8")
    versions = {row[0]: row[1:] for row in page.table("Versions")}
    assert versions["numpy"] == [np.__version__, np.__version__]
    assert versions["qcanvas_sklearn"][0] == versions["qcanvas_sklearn"][1]


def test_the_page_loads_nothing_runs_nothing_and_is_accessible(gap_page):
    page = Page(gap_page)
    assert not {"script", "link", "iframe", "object", "a"} & set(page.seen)
    sources = [value for name, value in page.attributes if name in ("src", "href", "srcset")]
    assert len(sources) == page.seen.count("img") == 5
    for source in sources:
        kind, _, data = source.partition(",")
        assert kind == "data:image/png;base64"
        assert imread(BytesIO(base64.b64decode(data)), format="png").std() > 0
    assert not re.search(r"url\(|@import|https?:", gap_page)
    assert ("lang", "en") in page.attributes and ("charset", "utf-8") in page.attributes
    assert all(len(alt) > 10 for alt in page.alts)
    assert page.seen.count("h1") == 1
    n_headers = sum(name == "scope" for name, _ in page.attributes)
    assert n_headers == page.seen.count("th") > 0


def test_scores_are_exactly_those_of_the_target_report(few_pairs, monkeypatch):
    X, y = few_pairs
    # Eighteen of them take long to draw.
    monkeypatch.setattr(_figures, "errors_by_element", lambda *_: "")
    pipe = make_pipeline(PairImageTransformer(image_size=8), GATv2Regressor(**TINY)).fit(X, y)
    page = Page(model_report(pipe, X, y, n_repeats=1))
    expected = target_report(y, pipe.predict(X))
    head, *rows = page.table("Scores")
    assert len(rows) == 18 and y["softness_evinv"].isna().any()
    for (key, score), row in zip(expected.iterrows(), rows, strict=True):
        shown = dict(zip(head, row, strict=True))
        assert shown["target"].split()[-1] == key and shown["n"] == str(score["n"])
        assert (shown["MAE"], shown["R²"]) == (score["mae"], score["r2"])
        assert shown["MAE/MAD"] == score["mae_over_mad"]
    assert rows[-1][1] == "Å" and "18 targets" in page.shown
    assert [row[0].split()[-1] for row in page.table("What the inputs give away")[1:]] == [
        "dipole_mag_d", "dipole_z_d", "q_absmean", "distance_ang",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.187646, "0.188"), (12.345, "12.3"), (98765.4, "98765"), (-0.5, "−0.500"),
        (3.21e-7, "3.21e−07"), (0.0, "0"), (np.inf, "∞"),
    ],
)  # fmt: skip
def test_numbers_are_short_for_readers_and_exact_for_machines(value, text):
    number = _page.environment().get_template("macros.html").module.number
    assert number(value) == f'<data value="{value!r}">{text}</data>'


def test_an_ensemble_has_a_calibration(two_targets):
    X, y = two_targets
    model = PairMLPRegressor(n_members=2, **TINY).fit(X, y)
    page = Page(model_report(model, X, y))
    pred, std = model.predict(X, return_std=True)
    expected = target_report(y, pred, y_std=std)[["nll", "coverage_90", "calibration_error"]]
    shown = [row[1:] for row in page.table("Uncertainty")[1:]]
    assert shown == expected.to_numpy().tolist()
    assert "in 2 networks of an ensemble" in page.shown
    # It sees orbitals in place of images.
    assert "What the model looks at" not in page.sections


def test_targets_without_usable_standard_deviations_have_no_calibration(two_targets):
    X, y = two_targets
    model = PairMLPRegressor(n_members=2, **TINY).fit(X, y)
    model.calibration_.scale[0] = np.nan
    page = Page(model_report(model, X, y))
    assert [row[0].split()[-1] for row in page.table("Uncertainty")[1:]] == ["chi_ev"]
    assert len(page.table("Scores")) == 3


def test_any_regressor_with_standard_deviations_has_a_calibration(regression_table):
    X, y = regression_table
    model = GaussianProcessRegressor(alpha=0.1).fit(X[:40], y[:40])
    page = Page(model_report(model, X[40:], y[40:]))
    assert list(page.sections) == [
        "Model", "Evaluated rows", "Scores", "Predicted and computed", "Uncertainty",
        "Hyperparameters", "Versions",
    ]  # fmt: skip
    assert page.table("Scores")[1][0].strip() == "target"


def test_a_plain_model_of_elements_has_nothing_to_give_away(ridge, few_pairs):
    X, y = few_pairs
    page = Page(model_report(ridge, X, y["distance_ang"]))
    missing = {"What the inputs give away", "What the model looks at", "Training"}
    assert not missing & set(page.sections)
    assert "Errors by element" in page.sections


def test_free_atoms_give_nothing_away(few_pairs):
    X, y = few_pairs
    for source, n_sections in (("free-atom", 0), ("bundled", 1)):
        images = PairImageTransformer(source, include=["atoms"])
        model = make_pipeline(images, PairMLPRegressor(**TINY)).fit(X, y["distance_ang"])
        page = Page(model_report(model))
        assert ("What the inputs give away" in page.sections) == n_sections


def test_without_rows_there_are_no_scores(gap_pipe):
    page = Page(model_report(gap_pipe))
    assert list(page.sections) == ["Model", "Training", "Hyperparameters", "Versions"]
    assert "HOMO-LUMO gap (eV)" in page.shown


def test_a_search_reports_the_model_that_it_chose(few_pairs):
    X, y = few_pairs
    pipe = make_pipeline(PairDescriptorTransformer(), TransformedTargetRegressor(Ridge()))
    grid = {"transformedtargetregressor__regressor__alpha": [0.25]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X, y["distance_ang"])
    page = Page(model_report(search, X, y["distance_ang"]))
    assert "Chosen by" in page.shown and "GridSearchCV" in page.shown
    parameters = dict(row for table in page.tables for row in table if len(row) == 2)
    assert parameters["regressor__alpha"] == "0.25"


def test_a_network_inside_a_target_transformer_shows_its_training(few_pairs, few_images):
    y = few_pairs[1]["distance_ang"]
    model = TransformedTargetRegressor(
        PairMLPRegressor(**TINY), func=np.log, inverse_func=np.exp
    )
    page = Page(model_report(model.fit(few_images, y), few_images, y))
    assert {"Training", "Errors by element"} <= set(page.sections)


# ------------------------------------------------------------------ classifiers


def test_a_classifier_is_scored_over_its_labels(few_pairs, metal_like):
    X, _ = few_pairs
    y = metal_like.copy()
    y.iloc[:5] = pd.NA
    pipe = make_pipeline(PairImageTransformer(image_size=8), GATv2Classifier(**TINY)).fit(X, y)
    page = Page(model_report(pipe, X, y, n_repeats=1))
    labelled = y.notna().to_numpy()
    true, pred = y[labelled].to_numpy(dtype=bool), pipe.predict(X)[labelled]
    head, scores = page.table("Scores")
    assert dict(zip(head, scores, strict=True)) == {
        "label": "metal_like ",
        "n": str(labelled.sum()),
        "accuracy": accuracy_score(true, pred),
        "balanced accuracy": pytest.approx(balanced_accuracy_score(true, pred)),
        "ROC AUC": roc_auc_score(true, pipe.predict_proba(X)[labelled, 1]),
        "most frequent class": max(true.mean(), 1 - true.mean()),
    }
    confusion = page.table("Scores", 1)
    assert confusion[2] == ["True", str((true & ~pred).sum()), str((true & pred).sum())]
    assert "Predicted and computed" not in page.sections
    assert {"Errors by element", "What the model looks at", "Training"} <= set(page.sections)


@pytest.mark.parametrize("model", [GaussianNB(), LinearSVC()])
def test_classes_with_names_and_models_without_probabilities(few_pairs, model):
    X, y = few_pairs
    kind = pd.Series(pd.cut(y["distance_ang"], [0, 2, 3, 9], labels=["<s>", "m", "l"]))
    kind = kind.astype(object).rename("kind & length")
    pipe = make_pipeline(PairDescriptorTransformer(), model).fit(X, kind)
    text = model_report(pipe, X, kind)
    page = Page(text)
    assert ("ROC AUC" in page.table("Scores")[0]) == hasattr(model, "predict_proba")
    assert [row[0] for row in page.table("Scores", 1)[1:]] == ["<s>", "l", "m"]
    assert "s" not in page.seen and "kind &amp; length" in text


def test_classes_that_the_model_does_not_know_are_named(few_pairs, metal_like):
    X, _ = few_pairs
    model = make_pipeline(PairDescriptorTransformer(), GaussianNB())
    model.fit(X, metal_like.fillna(True).astype(bool))
    with pytest.raises(
        ValueError, match=r"holds the classes \['no'\], the model knows \[False"
    ):
        model_report(model, X, np.where(np.arange(len(X)), "no", None))


# --------------------------------------------------------------- what it rests on


@pytest.mark.parametrize(
    ("split", "warned"),
    [
        (None, True), ("training rows", True), ("held-out: fold 0 of 5", False),
        ("Held out: every fifth pair", False),
    ],
)  # fmt: skip
def test_the_page_warns_unless_the_rows_are_said_to_be_held_out(
    regression_table, split, warned
):
    X, y = regression_table
    page = Page(model_report(Ridge().fit(X, y), X, y, split=split))
    assert ("These scores may not be generalisation errors." in page.shown) == warned
    assert split is None or split in page.shown
    assert "does not hold its training rows" in page.shown


def test_rows_that_the_model_refuses_are_left_out_and_counted(few_pairs):
    X, y = few_pairs[0], few_pairs[1]["distance_ang"]
    with_gold = (X == "Au").any(axis=1)
    model = PairMLPRegressor(**REFUSING)
    model.fit(X[~with_gold], y[~with_gold])
    page = Page(model_report(model, X, y))
    assert page.table("Scores")[1][2] == str((~with_gold).sum()) and with_gold.sum() > 0
    assert f"{with_gold.sum()} rows with elements that the model has not seen" in page.shown
    assert "What the model looks at" not in page.sections  # it sees no image
    with pytest.raises(ValueError, match="every row holds an element that the model refuses"):
        model_report(model, X[with_gold], y[with_gold])
    page = Page(model_report(model.set_params(unseen_elements="allow"), X, y))
    assert page.table("Scores")[1][2] == str(len(X)) and "Never seen" in page.shown


def test_targets_are_matched_by_name(two_targets):
    X, y = two_targets
    model = PairMLPRegressor(**TINY).fit(X, y)
    scores = [
        Page(model_report(model, X, given)).table("Scores")
        for given in (y, y[["chi_ev", "e_g_ev"]], y.to_numpy())
    ]
    assert scores[0] == scores[1] == scores[2] and len(scores[0]) == 3
    with pytest.raises(ValueError, match=r"targets \['e_g_ev', 'mu_ev'\], expected \['e_g_ev"):
        model_report(model, X, y.set_axis(["e_g_ev", "mu_ev"], axis=1))
    with pytest.raises(ValueError, match="y has 1 targets, expected 2"):
        model_report(model, X, y["e_g_ev"].to_numpy())


def test_a_target_without_labels_is_named_and_not_scored(two_targets):
    X, y = two_targets
    model = PairMLPRegressor(**TINY).fit(X, y)
    page = Page(model_report(model, X, y.assign(e_g_ev=np.nan)))
    gap, chi = page.table("Scores")[1:]
    assert gap[2:5] == ["0", "–", "–"] and chi[2] == "60" and chi[3] > 0
    with pytest.raises(ValueError, match="y has no observed label"):
        model_report(model, X, y * np.nan)


def test_whatever_a_user_writes_is_shown_and_not_run(few_pairs):
    X, y = few_pairs
    evil = "<script>alert('1')</script>\"&"
    y = y[["distance_ang", "q_absmean"]].set_axis([evil, "<b>"], axis=1)
    images = PairImageTransformer(load_pairs().pairs, include=["atoms"])
    object.__setattr__(images.source, "provenance", "<i>x</i>")
    model = make_pipeline(images, Ridge(solver="svd")).fit(X, y)
    page = Page(model_report(model, X, y, title=evil, data=evil, split=evil))
    assert not {"script", "b", "i"} & set(page.seen)
    assert any(evil in alt for alt in page.alts)
    assert page.shown.count(evil) >= 5 and "a data set of 2850 pairs: <i>x</i>" in page.shown


def marked(place):
    return f"<b title='{place}'>\"&{place}"


@pytest.fixture(scope="module")
def marked_pages(few_pairs):
    """Pages on which everything that a user names is markup; text without style."""
    X, y = few_pairs
    images = PairImageTransformer(load_pairs().pairs, include=["atoms"])
    object.__setattr__(images.source, "provenance", marked("provenance"))
    own = type(marked("class of the estimator"), (Ridge,), {"__doc__": marked("docstring")})
    model = Pipeline([(marked("step"), images), ("ridge", own())])
    y = y[["distance_ang", "q_absmean"]].set_axis([marked("target"), marked("other")], axis=1)
    said = {name: marked(name) for name in ("title", "data", "split")}
    numbers = model_report(model.fit(X, y), X, y, **said)

    # Names of pairs that are no elements enter the page with the parameters alone.
    columns = [marked("column"), "b"]
    X = pd.DataFrame([[marked("pair"), "x"], ["Na", "y"]] * 4, columns=columns, dtype=object)
    kinds = pd.Series([marked("class"), "m"] * 4, name=marked("label"), dtype=object)
    categories = [["Na", marked("pair")], ["x", "y"]]
    model = make_pipeline(OrdinalEncoder(categories=categories), GaussianNB())
    classes = model_report(model.fit(X, kinds), X, kinds)
    return numbers, classes


@pytest.mark.parametrize(
    "place",
    [
        "title", "data", "split", "target", "other", "provenance", "docstring", "step",
        "class of the estimator", "class", "label", "pair",
    ],
)  # fmt: skip
def test_every_value_of_a_user_is_escaped(marked_pages, place):
    pages = [Page(text) for text in marked_pages]
    for page, text in zip(pages, marked_pages, strict=True):
        assert "b" not in page.seen and "title" not in dict(page.attributes)
        assert "<b " not in text and f"title='{place}'" not in text
    shown = " ".join(page.shown.replace("\\", "") for page in pages)
    assert marked(place) in shown


INJECTED = "\"'></p></td></style><script onclick=\"x\">&amp;"


def poisoned(value):
    """The same facts, with markup behind every string."""
    if isinstance(value, str):
        return value + INJECTED
    if isinstance(value, dict):
        return {key: poisoned(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(poisoned, value))
    if is_dataclass(value):
        parts = {f.name: poisoned(getattr(value, f.name)) for f in fields(value)}
        return replace(value, **parts)
    return value


@pytest.mark.parametrize(
    ("estimator", "key", "n_sections"),
    [
        (PairMLPRegressor(n_members=2, **REFUSING), "distance_ang", 11),
        (GATv2Classifier(**REFUSING), "metal_like", 8),
    ],
)
def test_no_text_at_all_becomes_markup(monkeypatch, estimator, key, n_sections):
    X, y = (part.iloc[::19] for part in load_pairs(target=key, return_X_y=True))
    y = y.dropna()
    X = X.loc[y.index]
    rare = (X == "Au").any(axis=1)
    model = make_pipeline(PairImageTransformer(image_size=8), estimator).fit(X[~rare], y[~rare])
    kept = {}
    with monkeypatch.context() as patch:
        patch.setattr(jinja2.Template, "render", lambda _, **facts: kept.update(facts) or "")
        model_report(model, X, y, data="somewhere", split="somehow", n_repeats=1)
    template = _page.environment().get_template("report.html")
    page = Page(template.render(**kept))
    text = template.render(**poisoned(kept))
    assert len(page.sections) == n_sections and "Left out" in page.shown
    again = Page(text)
    assert set(again.seen) <= set(page.seen) and "<script" not in text
    assert dict(again.attributes).keys() == dict(page.attributes).keys()
    assert again.shown.count(INJECTED) > 100


def test_the_same_call_gives_the_same_page(gap_pipe, gap_page, few_pairs, monkeypatch):
    X, y = few_pairs
    monkeypatch.undo()  # the first page has fine figures
    with plt.rc_context({"axes.facecolor": "red"}):
        again = model_report(gap_pipe, X, y["e_g_ev"], n_repeats=1)
    made = re.compile(r"<time.*?</time>")
    assert made.sub("", again) == made.sub("", gap_page)


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize("thing", [{"a": 1}, Ridge, PairImageTransformer(), KMeans(), None])
def test_what_is_no_estimator_is_a_type_error(thing):
    with pytest.raises(TypeError, match="estimator must be|got estimator class|is a class"):
        model_report(thing)


def test_arguments_that_do_not_match(ridge, few_pairs):
    X, y = few_pairs
    with pytest.raises(NotFittedError, match="not fitted"):
        model_report(make_pipeline(PairDescriptorTransformer(), Ridge()))
    with pytest.raises(ValueError, match="X and y must be passed together"):
        model_report(ridge, X)
    with pytest.raises(ValueError, match="inconsistent numbers .* X has 150 rows, y has 149"):
        model_report(ridge, X, y["distance_ang"][:-1])
    with pytest.raises(ValueError, match="y has 2 targets, the model predicts 1"):
        model_report(ridge, X, y[["distance_ang", "chi_ev"]])


def test_a_page_is_one_line_at_a_prompt_and_a_frame_in_a_notebook(gap_page):
    assert len(repr(gap_page)) < 100 and repr(gap_page).startswith("<report 'GATv2Regressor: ")
    frame = Page(gap_page._repr_html_())
    assert frame.seen == ["iframe"] and dict(frame.attributes)["srcdoc"] == gap_page


def test_without_matplotlib_the_error_says_what_to_install(ridge, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "qcanvas-sklearn\[plot\]"'):
        model_report(ridge)


def test_without_jinja_the_error_says_what_to_install(ridge, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r'Jinja2.*pip install "qcanvas-sklearn\[plot\]"'):
        model_report(ridge)


def test_every_file_that_is_no_code_is_packaged():
    root = Path(__file__).parents[2]
    packaging = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    package, globs = packaging["tool"]["setuptools"]["package-data"].popitem()
    packed = {path for glob in globs for path in (root / package).glob(glob)}
    files = {path for path in (root / package).rglob("*") if path.is_file()}
    assert {path for path in files if path.suffix not in (".py", ".pyc")} == packed
    assert len([path for path in packed if path.parent.name == "templates"]) == 4


def test_a_failure_leaves_the_old_page_and_no_figure(regression_table, tmp_path, monkeypatch):
    X, y = regression_table
    model = Ridge().fit(X, y)
    out = tmp_path / "page.html"
    others = plt.get_fignums()
    mine, _ = plt.subplots()
    text = model_report(model, X, y, out=out)
    assert out.read_text(encoding="utf-8") == text

    def fail(*args, **options):
        raise RuntimeError("disk is full")

    for module, name in ((os, "replace"), (matplotlib.figure.Figure, "savefig")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, fail)
            with pytest.raises(RuntimeError, match="disk is full"):
                model_report(model, X, y, out=out, title="new")
        assert out.read_text(encoding="utf-8") == text and os.listdir(tmp_path) == [out.name]
    assert plt.get_fignums() == [*others, mine.number] and plt.gcf() is mine
    plt.close(mine)


def test_a_place_that_cannot_be_written_is_refused_before_any_work(
    ridge, tmp_path, monkeypatch
):
    monkeypatch.setattr(_report, "Anatomy", None)
    with pytest.raises(FileNotFoundError, match="no directory"):
        model_report(ridge, out=tmp_path / "no" / "page.html")
    with pytest.raises(IsADirectoryError):
        model_report(ridge, out=tmp_path)


# --------------------------------------------------------------------- command


@pytest.fixture(scope="module")
def saved(gap_pipe, ridge, few_images, few_pairs, tmp_path_factory):
    """Models in files, and a folder."""
    folder = tmp_path_factory.mktemp("models")
    models = {
        "gap": gap_pipe,
        "ridge": ridge,
        "table": PairMLPRegressor(**TINY).fit(few_images, few_pairs[1]["e_g_ev"]),
        "unfitted": make_pipeline(PairDescriptorTransformer(), Ridge()),
        "dict": {"a": 1},
    }
    for name, model in models.items():
        joblib.dump(model, folder / f"{name}.joblib")
    (folder / "broken.joblib").write_bytes(b"no pickle")
    return folder


def test_the_command_reports_on_listed_pairs(saved, tmp_path, capsys, gap_pipe):
    rows, out = tmp_path / "test <1>.csv", tmp_path / "page.html"
    rows.write_text("element_1,element_2\n# a comment\nAl,Ag\n\nH O\nNa_Cl\nNa-K\n")
    note = "held-out: four pairs"
    arguments = ["--out", str(out), "--rows", str(rows), "--split-note", note, "--title", "T&T"]
    assert main(["report", str(saved / "gap.joblib"), *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{out}: report on 4 pairs written\n" and captured.err == ""
    page = Page(out.read_text(encoding="utf-8"))
    X, y = load_pairs(target="e_g_ev", return_X_y=True)
    names = ["Ag_Al", "H_O", "Cl_Na", "K_Na"]
    chosen = [(X.element_1 + "_" + X.element_2).tolist().index(name) for name in names]
    expected = np.abs(gap_pipe.predict(X.iloc[chosen]) - y.iloc[chosen]).mean()
    assert page.table("Scores")[1][3] == pytest.approx(expected, rel=1e-12)
    assert "pairs listed in test <1>.csv, out of bundled table, 2850 pairs" in page.shown
    assert note in page.shown and page.shown.startswith("\nT&T")


def test_the_command_reads_other_labels_and_names_of_targets(saved, tmp_path, capsys):
    pairs = load_pairs().pairs[::60]
    pairs.save(tmp_path / "own.npz")
    out = tmp_path / "page.html"
    arguments = [str(saved / "ridge.joblib"), "--out", str(out), "--data"]
    assert main(["report", *arguments, str(tmp_path / "own.npz")]) == 2
    assert "Ridge does not hold the names of its targets" in capsys.readouterr().err
    assert not out.exists()
    arguments += [str(tmp_path / "own.npz"), "--target", "distance_ang"]
    assert main(["report", *arguments]) == 0
    page = Page(out.read_text(encoding="utf-8"))
    assert "PairData own.npz, 48 pairs: DFTB+" in page.shown
    assert page.table("Scores")[1][:3] == ["bond length distance_ang", "Å", "48"]
    assert "These scores may not be generalisation errors." in page.shown


@pytest.mark.parametrize("columns", [None, ["distance_ang", "element_1", "element_2"]])
def test_the_command_gives_pairs_as_the_model_knows_them(few_pairs, tmp_path, capsys, columns):
    X, y = few_pairs
    X = X.assign(distance_ang=y["distance_ang"])
    X = X.to_numpy() if columns is None else X[columns]
    images = PairImageTransformer("free-atom", include=["atoms"])
    model = make_pipeline(images, PairMLPRegressor(**TINY)).fit(X, y[["distance_ang"]])
    joblib.dump(model, tmp_path / "model.joblib")
    out = tmp_path / "page.html"
    assert main(["report", str(tmp_path / "model.joblib"), "--out", str(out)]) == 0
    assert capsys.readouterr().err == ""
    # The bond length is given, so that it can be read off.
    page = Page(out.read_text(encoding="utf-8"))
    assert page.table("What the inputs give away")[1][2].startswith("distance_ang")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("absent", "absent.joblib: No such file or directory"),
        ("broken", "broken.joblib' cannot be loaded by joblib"),
        ("dict", "got dict"),
        ("unfitted", "not fitted yet"),
        ("table", "the model takes a table of 645 columns, not element pairs"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(saved, tmp_path, capsys, model, message):
    out = tmp_path / "page.html"
    assert main(["report", str(saved / f"{model}.joblib"), "--out", str(out)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ("H,O\nH,Xx\n", r"line 2: 'H,Xx' is not two elements"),
        ("H,O,N\n", r"line 1: 'H,O,N' is not two elements"),
        ("# nothing\n", "lists no pairs"),
        ("H,O\nU,H\n", "are not in the data: U_H"),
    ],
)
def test_a_list_of_pairs_that_cannot_be_used(saved, tmp_path, capsys, listed, message):
    (tmp_path / "rows.txt").write_text(listed)
    arguments = ["--out", str(tmp_path / "page.html"), "--rows", str(tmp_path / "rows.txt")]
    assert main(["report", str(saved / "gap.joblib"), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_command_refuses_a_folder_that_is_not_there(tmp_path, capsys):
    # Before the model, which may take long to load, is opened.
    out = tmp_path / "no" / "page.html"
    assert main(["report", "absent.joblib", "--out", str(out)]) == 2
    assert f"no directory '{tmp_path}/no' for 'page.html'" in capsys.readouterr().err


def test_the_help_warns_of_files_that_run_code(capsys):
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "Loading it runs code: open only files that you trust" in shown


def test_a_page_about_molecules_leaves_out_what_is_refused():
    bundle = load_molecules()
    is_known = bundle.data.composition[:, -1] == 0  # without fluorine
    train = np.flatnonzero(is_known)[:60]
    model = SchNetRegressor(n_hidden=8, n_layers=1, max_epochs=1, cutoff=2.0, random_state=0)
    y = bundle.target[["total_energy_ev"]]
    model.fit(bundle.data[train], y.iloc[train])
    page = model_report(model, bundle.data[:150], y[:150])
    n_refused = int((~is_known[:150]).sum())
    assert n_refused and f"{n_refused}" in page and "the composition" in page
