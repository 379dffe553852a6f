"""The command line for data, models and predictions: fit, predict, evaluate, compute, info."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.preprocessing import StandardScaler

from qcanvas_sklearn import (
    CompositionRegressor,
    PairMLPRegressor,
    cli,
    load_molecules,
    load_pairs,
    load_trajectory,
    save_model,
)
from qcanvas_sklearn.cli import COMMANDS, main
from qcanvas_sklearn.metrics import target_report
from qcanvas_sklearn.structures import Molecules, PairData

DATA = Path(__file__).parents[1] / "data"
TINY = ["-p", "n_hidden=16", "-p", "max_epochs=2"]


def run(*words):
    return main([*map(str, words)])


@pytest.fixture(scope="module")
def pairs():
    """60 bundled pairs of eleven elements, as a table with a name and a gap for some."""
    bundle = load_pairs(target=["e_g_ev", "distance_ang", "metal_like"])
    few = ["H", "C", "N", "O", "F", "Li", "Na", "K", "Cl", "S", "P"]
    rows = bundle.data.isin(few).all(axis=1).to_numpy().nonzero()[0][:60]
    table = bundle.data.iloc[rows].join(bundle.target.iloc[rows]).reset_index(drop=True)
    table.insert(0, "id", [f'pair "{i}", of {len(table)}' for i in range(len(table))])
    table.loc[3, "e_g_ev"] = np.nan
    return table


@pytest.fixture(scope="module")
def folder(pairs, tmp_path_factory):
    """A table, a model of it, and a table of the same pairs without labels."""
    folder = tmp_path_factory.mktemp("cli")
    pairs[["id", "element_1", "element_2", "e_g_ev"]].to_csv(folder / "in.csv", index=False)
    words = ["-t", "e_g_ev", "-m", "PairMLP", *TINY, "-p", "n_members=2"]
    assert run("fit", folder / "in.csv", "-o", folder / "gap.joblib", *words) == 0
    return folder


@pytest.fixture(scope="module")
def molecules(tmp_path_factory):
    """60 molecules with energies, and a model of these."""
    folder = tmp_path_factory.mktemp("molecules")
    load_molecules().data[:60].write(folder / "in.extxyz")
    words = ["-t", "total_energy_ev", "-m", "schnet", "-p", "n_layers=1", *TINY]
    assert run("fit", folder / "in.extxyz", "-o", folder / "energy.joblib", *words) == 0
    return folder


# ---------------------------------------------------------------- fit, evaluate


def test_a_table_of_pairs_goes_into_a_model_and_scores(folder, pairs, capsys):
    model = joblib.load(folder / "gap.joblib")
    assert isinstance(model, PairMLPRegressor)
    assert model.get_params()["n_hidden"] == 16 and model.random_state == 0
    assert run("evaluate", folder / "gap.joblib", folder / "in.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    labelled = pairs.drop(index=3)
    predicted = model.predict(labelled[["element_1", "element_2"]])
    expected = target_report(labelled["e_g_ev"], predicted).loc["e_g_ev"]
    scores = found["targets"]["e_g_ev"]
    assert found["rows"] == 59 and scores["unit"] == "eV"
    assert scores["mae"] == pytest.approx(expected["mae"], rel=1e-12)
    assert scores["mae_mean"] == pytest.approx(expected["mad"], rel=1e-12)
    assert 0 < scores["mae_composition"] and 0 <= scores["coverage_90"] <= 1


def test_cross_validation_shows_errors_of_unseen_pairs_with_units(folder, capsys, pairs):
    words = ["--target", "e_g_ev,metal", "--model", "composition", "--cv", "3"]
    table = pairs.assign(metal=1.0)[["element_1", "element_2", "e_g_ev", "metal"]]
    # Each pair in both orders: what is the same pair may not be on both sides.
    both = [table, table.rename(columns={"element_1": "element_2", "element_2": "element_1"})]
    pd.concat(both).to_csv(folder / "both.csv", index=False)
    assert run("fit", folder / "both.csv", "-o", folder / "c.joblib", *words) == 0
    lines = capsys.readouterr().out.splitlines()
    header = next(line for line in lines if "mae_composition" in line).split()
    cells = next(line for line in lines if line.startswith("e_g_ev ")).split()
    row = dict(zip(["target", *header], cells, strict=True))
    assert row["unit"] == "eV" and row["n"] == "118"
    # The model is the baseline itself, so both have to say the same.
    assert row["mae"] == row["mae_composition"]
    fitted = joblib.load(folder / "c.joblib").predict(table[["element_1", "element_2"]])
    within = np.nanmean(np.abs(fitted[:, 0] - table["e_g_ev"]))
    assert float(row["mae"]) > 1.05 * within


def test_own_runs_become_a_model_and_a_page(tmp_path, capsys):
    raw, archive, page = DATA / "dftbplus", tmp_path / "own.npz", tmp_path / "own.html"
    assert run("build", raw, archive) == 0
    words = ["-t", "e_g_ev", "-m", "pair_mlp", "-p", "unseen_elements=allow", *TINY]
    assert run("fit", archive, "-o", tmp_path / "own.qcm", *words) == 0
    assert run("report", tmp_path / "own.qcm", "--out", page) == 0
    assert capsys.readouterr().err == ""
    # What the model learned from is what it is compared with, and not the bundled table.
    assert "the data that the model draws from, 12 pairs" in page.read_text(encoding="utf-8")
    assert run("fit", raw, "-o", tmp_path / "x.qcm", "-t", "e_g_ev") == 2
    assert "is a directory; 'qcanvas build" in capsys.readouterr().err


def test_a_report_takes_the_labels_of_a_table(folder, pairs, capsys):
    pairs[["element_1", "element_2", "e_g_ev"]][:20].to_csv(folder / "few.csv", index=False)
    page, words = folder / "few.html", ["--data", folder / "few.csv"]
    assert run("report", folder / "gap.joblib", "--out", page, *words) == 0
    assert "report on 19 pairs written" in capsys.readouterr().out
    assert "table few.csv, 20 pairs" in page.read_text(encoding="utf-8")
    assert run("report", folder / "gap.joblib", "--out", page, *words, "--rows", page) == 2
    assert "--rows chooses pairs of a record" in capsys.readouterr().err


def test_distances_are_inputs_unless_they_are_targets(pairs, tmp_path):
    table = pairs[["element_1", "element_2", "distance_ang", "e_g_ev"]].drop(index=3)
    table.to_csv(tmp_path / "in.csv", index=False)
    start = ["fit", tmp_path / "in.csv", "-o", tmp_path / "m.joblib", *TINY]
    assert run(*start, "-t", "e_g_ev") == 0
    model = joblib.load(tmp_path / "m.joblib")
    assert model.feature_names_in_.tolist() == ["element_1", "element_2", "distance_ang"]
    assert model[0].source == "free-atom" and isinstance(model[-1], PairMLPRegressor)
    near = model.predict(table[["element_1", "element_2", "distance_ang"]])
    assert run("predict", tmp_path / "m.joblib", tmp_path / "in.csv", tmp_path / "o.csv") == 0
    np.testing.assert_allclose(pd.read_csv(tmp_path / "o.csv")["e_g_ev_pred"], near, rtol=1e-9)
    for words in (["-t", "distance_ang"], ["-t", "e_g_ev", "--no-distance"]):
        assert run(*start, *words, "-m", "pairmlp") == 0
        model = joblib.load(tmp_path / "m.joblib")
        assert model.feature_names_in_.tolist() == ["element_1", "element_2"]


def test_a_record_brings_its_own_electronic_structure(tmp_path):
    own = load_pairs().pairs[:40]
    own.save(tmp_path / "own.npz")
    words = ["-t", "frontier", "-m", "pair_mlp", *TINY]
    out = tmp_path / "m.joblib"
    assert run("fit", tmp_path / "own.npz", "-o", out, *words) == 0
    model = joblib.load(out)
    assert isinstance(model[0].source, PairData)
    assert model[-1].target_names_ == ["e_g_ev", "e_homo_ev", "e_lumo_ev"]
    assert run("predict", out, tmp_path / "own.npz", tmp_path / "o.csv") == 0
    assert len(pd.read_csv(tmp_path / "o.csv")) == 40


def test_classes_have_their_own_scores(folder, pairs, capsys):
    pairs[["element_1", "element_2", "metal_like"]].to_csv(folder / "c.csv", index=False)
    out = folder / "class.joblib"
    words = ["-t", "metal_like", "-m", "PairMLPClassifier", *TINY, "--cv", "2"]
    assert run("fit", folder / "c.csv", "-o", out, *words) == 0
    assert "balanced_accuracy" in capsys.readouterr().out
    assert run("predict", out, folder / "c.csv", folder / "p.csv", "--keep", "none") == 0
    found = pd.read_csv(folder / "p.csv")
    proba = found[["metal_like_proba_False", "metal_like_proba_True"]]
    assert found.columns[0] == "metal_like_pred" and np.allclose(proba.sum(axis=1), 1)
    assert run("evaluate", out, folder / "c.csv", "--json") == 0
    scores = json.loads(capsys.readouterr().out.partition("\n")[2])["targets"]["metal_like"]
    expected = (found["metal_like_pred"] == pairs["metal_like"]).mean()
    assert scores["accuracy"] == pytest.approx(expected)


def test_classes_are_the_same_in_whichever_way_a_file_writes_them(tmp_path, pairs, capsys):
    """Whole numbers beside missing ones are floats; a table of text has neither."""
    table = pairs[["element_1", "element_2"]].assign(wide=(pairs["e_g_ev"] > 1) * 1.0)
    table.loc[5, "wide"] = np.nan
    table.to_csv(tmp_path / "floats.csv", index=False)
    table.dropna().astype({"wide": int}).to_csv(tmp_path / "integers.csv", index=False)
    words = ["-t", "wide", "-m", "PairMLPClassifier", *TINY]
    assert run("fit", tmp_path / "floats.csv", "-o", tmp_path / "m.qcm", *words) == 0
    capsys.readouterr()
    scores = []
    for name in ("floats.csv", "integers.csv"):
        assert run("evaluate", tmp_path / "m.qcm", tmp_path / name, "--json") == 0
        scores.append(json.loads(capsys.readouterr().out)["targets"]["wide"])
    assert scores[0] == scores[1] and scores[0]["accuracy"] > 0


@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_rows_are_named_by_their_number_in_the_file(command, folder, tmp_path, capsys):
    """Those without labels, which are left out, count too."""
    (tmp_path / "in.csv").write_text("element_1,element_2,e_g_ev\nH,O,\nH,N,1\nH,Xx,2\n")
    words = {
        "fit": ["-o", tmp_path / "m.joblib", "-t", "e_g_ev", "--cv", "2"],
        "evaluate": [],
    }[command]
    model = [folder / "gap.joblib"] if command == "evaluate" else []
    assert run(command, *model, tmp_path / "in.csv", *words) == 2
    assert "row 2: unknown element symbol" in capsys.readouterr().err


@pytest.mark.parametrize("wrap", [
    lambda model: TransformedTargetRegressor(model, transformer=StandardScaler()),
    lambda model: CompositionRegressor(residual=model),
], ids=["scaled target", "residual"])
def test_options_of_a_prediction_reach_models_within(wrap, folder, tmp_path):
    X, y = load_pairs(target="e_g_ev", return_X_y=True)
    model = wrap(PairMLPRegressor(n_hidden=8, max_epochs=1)).fit(X[:9], y[:9])
    save_model(model, tmp_path / "m.qcm")
    words = ["predict", tmp_path / "m.qcm", folder / "in.csv", tmp_path / "o.csv"]
    score = ["evaluate", tmp_path / "m.qcm", folder / "in.csv", "-t", "e_g_ev"]
    for command in (words, score):
        assert run(*command) == 2
        assert run(*command, "--unseen-elements", "error") == 2
        assert run(*command, "--unseen-elements", "allow", "--device", "cpu") == 0


def test_targets_without_deviations_are_scored_all_the_same(pairs, tmp_path, capsys):
    """No row to validate on has a label of the second one."""
    X, y = pairs[["element_1", "element_2"]], pairs[["distance_ang", "e_g_ev"]].copy()
    y.iloc[4:, 1] = np.nan
    model = PairMLPRegressor(n_hidden=8, n_members=2, max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match="have no label among the validation rows"):
        save_model(model.fit(X, y, X_val=X[5:9], y_val=y[5:9]), tmp_path / "m.qcm")
    X.join(y).to_csv(tmp_path / "in.csv", index=False)
    assert run("evaluate", tmp_path / "m.qcm", tmp_path / "in.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)["targets"]
    assert found["e_g_ev"]["coverage_90"] is None and found["e_g_ev"]["mae"] > 0
    assert found["distance_ang"]["coverage_90"] > 0


def test_molecules_are_fitted_predicted_and_scored(molecules, capsys):
    model, data = molecules / "energy.joblib", molecules / "in.extxyz"
    assert run("predict", model, data, molecules / "out.extxyz", "--forces",
               "--block-size", 25) == 0  # fmt: skip
    written = Molecules.read(molecules / "out.extxyz")
    y, forces = joblib.load(model).predict(Molecules.read(data), return_forces=True)
    np.testing.assert_allclose(written.labels["total_energy_ev_pred"], y, rtol=1e-12)
    import ase.io

    frames = ase.io.read(molecules / "out.extxyz", ":")
    found = np.concatenate([frame.arrays["forces_pred"] for frame in frames])
    np.testing.assert_allclose(found, forces, atol=1e-7)
    capsys.readouterr()
    assert run("evaluate", model, data) == 0
    shown = capsys.readouterr().out
    assert "total_energy_ev" in shown and " eV " in shown and "mae_composition" in shown


def test_forces_are_learned_and_scored(tmp_path, capsys):
    frames = load_trajectory("ethanol").data[:20]
    frames.save(tmp_path / "in.npz")
    words = ["-t", "total_energy_ev", "-m", "schnet", "-p", "n_layers=1", *TINY, "--forces"]
    assert run("fit", tmp_path / "in.npz", "-o", tmp_path / "m.joblib", *words) == 0
    capsys.readouterr()
    assert run("evaluate", tmp_path / "m.joblib", tmp_path / "in.npz", "--json") == 0
    scores = json.loads(capsys.readouterr().out)["targets"]["forces"]
    found = joblib.load(tmp_path / "m.joblib").predict(frames, return_forces=True)[1]
    assert scores["mae"] == pytest.approx(np.abs(found - frames.forces).mean(), rel=1e-9)
    assert scores["unit"] == "eV/angstrom" and scores["n"] == frames.forces.size


def test_a_seed_repeats_a_fit_to_the_last_bit(folder):
    predicted = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = folder / f"{name}.joblib"
        words = ["-t", "e_g_ev", "-m", "pairmlp", *TINY, "--seed", seed]
        assert run("fit", folder / "in.csv", "-o", out, *words) == 0
        predicted.append(joblib.load(out).predict([["H", "O"], ["C", "N"]]).tolist())
    assert predicted[0] == predicted[1] != predicted[2]


# --------------------------------------------------------------------- predict


def test_predictions_stand_behind_the_columns_of_the_input(folder, pairs):
    out = folder / "out.csv"
    words = ["--return-std", "--block-size", 7]
    assert run("predict", folder / "gap.joblib", folder / "in.csv", out, *words) == 0
    found = pd.read_csv(out)
    assert found["id"].tolist() == pairs["id"].tolist()
    mean, std = joblib.load(folder / "gap.joblib").predict(
        pairs[["element_1", "element_2"]], return_std=True
    )
    np.testing.assert_allclose(found["e_g_ev_pred"], mean, rtol=1e-9)
    np.testing.assert_allclose(found["e_g_ev_std"], std, rtol=1e-9)
    assert sorted(p.name for p in folder.glob("out.csv*")) == ["out.csv"]
    assert run("predict", folder / "gap.joblib", folder / "in.csv", out, "--keep", "id") == 0
    assert pd.read_csv(out).columns.tolist() == ["id", "e_g_ev_pred"]


KILLED = """
import os, signal, sys
from qcanvas_sklearn.cli import main
from qcanvas_sklearn.prediction._journal import Journal
append = Journal.append
def and_die(self, file, data, offset, rows):
    if self.progress.rows >= 30:
        file.write(data[: len(data) // 2])
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    append(self, file, data, offset, rows)
Journal.append = and_die
main(sys.argv[1:])
"""


@pytest.mark.skipif(os.name == "nt", reason="needs the signals of POSIX")
def test_a_killed_prediction_goes_on_to_the_same_bytes(folder, tmp_path, capsys):
    shutil.copy(folder / "in.csv", tmp_path / "in.csv")
    model = [folder / "gap.joblib", tmp_path / "in.csv"]
    words = ["predict", *model, tmp_path / "out.csv", "--block-size", "10"]
    done = subprocess.run([sys.executable, "-c", KILLED, *map(str, words)], timeout=300)
    assert done.returncode == -signal.SIGKILL
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == ["in.csv", "out.csv.journal", "out.csv.part"]
    journal = json.loads((tmp_path / "out.csv.journal").read_text())
    assert journal["progress"]["rows"] == 30
    half_a_block = (tmp_path / "out.csv.part").stat().st_size - journal["progress"]["size"]
    assert half_a_block > 0
    # Not with other rows, and not in another way.
    assert run(*words, "--keep", "none") == 2
    assert "was begun with another options; begin anew" in capsys.readouterr().err
    with open(tmp_path / "in.csv", "a") as file:
        file.write("new,H,H,1.0\n")
    assert run(*words) == 2
    assert "was begun with another input; begin anew" in capsys.readouterr().err
    shutil.copy(folder / "in.csv", tmp_path / "in.csv")
    assert run(*words) == 0
    assert run("predict", *model, tmp_path / "whole.csv", "--block-size", 10) == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "out.csv", "whole.csv"]


def test_rows_are_in_order_whoever_predicts_them(folder, tmp_path):
    words = [folder / "gap.joblib", folder / "in.csv"]
    assert run("predict", *words, tmp_path / "one.csv", "--block-size", 4) == 0
    # The threads of one process, which finish in any order, and import nothing.
    with joblib.parallel_config(backend="threading"):
        more = ["--block-size", 4, "--n-jobs", 2]
        assert run("predict", *words, tmp_path / "two.csv", *more) == 0
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("element_1,element_2\nH,O\nH,Xx\n", "row 1: unknown element symbol 'Xx'"),
        ("element_1,element_2\nH,O\nH,\n", "row 1: unknown element symbol ''"),
        ("element_1,other\nH,O\n", "of which ['element_2'] are absent"),
        ("element_1,element_2\nH,O,1.0\n", "Length of header or names does not match"),
        ("element_1,element_2\nH,O\nH,O,1.0\n", "Expected 2 fields in line 3, saw 3"),
        ("element_1,element_2\nH,O\nH,Ag\n", "elements ['Ag'] were not among the training"),
        ("element_1,element_2\n", "there are no rows"),
        ("", "has no line with the names of its columns"),
        ("element_1,element_2,e_g_ev_pred\nH,O,1\n", "has columns ['e_g_ev_pred'] itself"),
    ],
)
def test_rows_that_cannot_be_predicted_are_named(folder, tmp_path, capsys, text, message):
    (tmp_path / "in.csv").write_text(text)
    words = ["predict", folder / "gap.joblib", tmp_path / "in.csv", tmp_path / "out.csv"]
    assert run(*words, "--block-size", 1 if "row 1" in message else 10) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and not captured.out
    assert not (tmp_path / "out.csv").exists()
    assert run(*words, "--unseen-elements", "allow") == (0 if "training" in message else 2)


@pytest.mark.parametrize(
    ("source", "out", "words", "message"),
    [
        ("none.csv", "out.csv", [], "none.csv: No such file or directory"),
        ("in.csv", "no/out.csv", [], "no directory"),
        ("in.csv", "out.txt", [], "which is none of"),
        ("in.csv", "out.extxyz", [], "the input is of pairs"),
        ("in.csv", "out.csv", ["--keep", "nothing"], "there are no columns ['nothing']"),
        ("in.csv", "out.csv", ["--block-size", "0"], "block_size == 0, must be >= 1"),
        ("in.csv", "out.csv", ["--forces"], "has no predict(return_forces=True)"),
    ],
)
def test_bad_calls_are_one_line_and_leave_nothing(folder, tmp_path, capsys, source, out, words,
                                                  message):  # fmt: skip
    assert run("predict", folder / "gap.joblib", folder / source, tmp_path / out, *words) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-t", "other"], "has no columns ['other']; it has id, e_g_ev"),
        (["-t", "id"], "is no number"),
        (["-t", "e_g_ev", "-m", "forest"], "there is no model 'forest'; known are"),
        (["-t", "e_g_ev", "-p", "width=3"], "has no parameters ['width']"),
        (["-t", "e_g_ev", "--source", "own"], "has no electronic structure of its own"),
        (["-t", "e_g_ev", "--forces"], "forces are of molecules"),
        (["-t", "e_g_ev", "--cv", "1"], "n_splits == 1, must be >= 2"),
        ([], "name what to learn by --target"),
    ],
)
def test_fits_that_cannot_be_are_explained(folder, tmp_path, capsys, words, message):
    out = tmp_path / "m.joblib"
    assert run("fit", folder / "in.csv", "-o", out, *words) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_a_model_file_has_a_suffix_that_says_what_it_is(folder, tmp_path, capsys):
    words = ["fit", folder / "in.csv", "-t", "e_g_ev", "-o", tmp_path / "model.pkl"]
    assert run(*words) == 2
    assert "models are files .qcm, .safetensors, .joblib" in capsys.readouterr().err


def test_a_file_without_code_is_as_good_and_tells_its_scores(folder, tmp_path, capsys):
    out = tmp_path / "gap.qcm"
    words = ["-t", "e_g_ev", "-m", "pairmlp", *TINY, "-p", "n_members=2", "--cv", "2"]
    assert run("fit", folder / "in.csv", "-o", out, *words) == 0
    shown = capsys.readouterr().out
    assert run("info", out) == 0
    told = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if line.startswith("e_g_ev "))
    assert row in told and "2 folds by pair" in told and "table in.csv, 60 pairs" in told
    for model in (out, folder / "gap.joblib"):
        assert run("predict", model, folder / "in.csv", tmp_path / f"{model.suffix}.csv") == 0
    written = [(tmp_path / name).read_bytes() for name in (".qcm.csv", ".joblib.csv")]
    assert written[0] == written[1]
    assert run("evaluate", out, folder / "in.csv") == 0
    out.write_bytes(out.read_bytes()[:-1])
    capsys.readouterr()
    assert run("info", out) == 2
    assert capsys.readouterr().err.count("\n") == 1


# ------------------------------------------------------------------- the others


def test_info_tells_what_models_and_data_are(folder, molecules, capsys):
    assert run("info", folder / "gap.joblib") == 0
    shown = capsys.readouterr().out
    assert "PairMLPRegressor" in shown and "e_g_ev (eV)" in shown and "n_hidden=16" in shown
    assert run("info", folder / "in.csv") == 0
    shown = capsys.readouterr().out
    assert "rows:        60" in shown and "e_g_ev (eV) 59" in shown
    assert run("info", molecules / "in.extxyz") == 0
    shown = capsys.readouterr().out
    assert "structures:  60" in shown and "total_energy_ev (eV) 60" in shown


def test_pairs_and_molecules_are_computed(tmp_path, molecules, capsys):
    pytest.importorskip("tblite")
    (tmp_path / "in.csv").write_text("element_1,element_2\nH,F\nH,H\n")
    words = ["--distance", "0.8,1.0", "--no-cache"]
    assert run("compute", tmp_path / "in.csv", tmp_path / "out.npz", *words) == 0
    assert "4 rows written, 0 of them without values" in capsys.readouterr().out
    computed = PairData.load(tmp_path / "out.npz")
    assert computed.names.tolist() == ["F_H", "F_H", "H_H", "H_H"]
    np.testing.assert_allclose(computed.bond_lengths, [0.8, 1.0, 0.8, 1.0])
    few = Molecules.read(molecules / "in.extxyz")[:2]
    few.save(tmp_path / "m.npz")
    assert run("compute", tmp_path / "m.npz", tmp_path / "m.extxyz", "--no-cache") == 0
    again = Molecules.read(tmp_path / "m.extxyz")
    np.testing.assert_allclose(
        again.labels["total_energy_ev"], few.labels["total_energy_ev"], atol=1e-4
    )
    assert run("compute", tmp_path / "m.npz", tmp_path / "m.csv", "--distance", "1") == 2
    assert "--distance is for pairs" in capsys.readouterr().err


# --------------------------------------------------------------- configuration


def test_a_file_gives_defaults_that_options_override(folder, tmp_path):
    (tmp_path / "fit.toml").write_text(
        'target = ["e_g_ev"]\nmodel = "PairMLP"\nseed = 3\nquiet = true\n'
        f'out = "{tmp_path}/m.joblib"\n[param]\nn_hidden = 8\nmax_epochs = 1\n'
        'lr_schedule = "constant"\n'
    )
    words = ["fit", folder / "in.csv", "--config", tmp_path / "fit.toml", "--seed", "4"]
    assert run(*words, "-p", "n_hidden=16") == 0
    params = joblib.load(tmp_path / "m.joblib").get_params()
    found = {key: params[key] for key in ("n_hidden", "max_epochs", "random_state")}
    assert found == {"n_hidden": 16, "max_epochs": 1, "random_state": 4}
    assert params["lr_schedule"] == "constant"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("targets = 'e_g_ev'", "unknown key 'targets'; known are cv, device, forces"),
        ("config = 'x'", "unknown key 'config'"),
        ("cv = [3]", "[3] is not a value of --cv"),
        ("quiet = 1", "quiet must be true or false, got 1"),
        ("param = 3", "param must be a table of names and values, got 3"),
        ("cv = ", "is not TOML"),
    ],
)
def test_configurations_that_mean_nothing_are_refused(folder, tmp_path, capsys, text, message):
    (tmp_path / "fit.toml").write_text(text)
    words = ["-o", tmp_path / "m.joblib", "--config", tmp_path / "fit.toml"]
    assert run("fit", folder / "in.csv", *words) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1


def test_values_of_a_configuration_are_checked_as_options_are(folder, tmp_path, capsys):
    (tmp_path / "fit.toml").write_text('source = "somewhere"')
    with pytest.raises(SystemExit) as stop:
        run("fit", folder / "in.csv", "-o", "m.joblib", "--config", tmp_path / "fit.toml")
    assert stop.value.code == 2 and "invalid choice: 'somewhere'" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_each_command_helps_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command.name, "--help"])
    shown = capsys.readouterr().out
    assert stop.value.code == 0
    assert f"example:\n  qcanvas {command.name} " in shown and "exit status:" in shown


def test_the_console_script_is_this_program():
    project = Path(__file__).parents[2] / "pyproject.toml"
    scripts = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts == {"qcanvas": "qcanvas_sklearn.cli:main"} and main is cli.main


def test_ctrl_c_is_a_status_of_its_own(monkeypatch, folder, capsys):
    def broken_off(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(PairMLPRegressor, "fit", broken_off)
    out = folder / "broken.joblib"
    words = ["-t", "e_g_ev", "-m", "pairmlp"]
    assert run("fit", folder / "in.csv", "-o", out, *words) == 130
    assert "fit: broken off" in capsys.readouterr().err and not out.exists()
