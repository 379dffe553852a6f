"""How a fit shows how far it is: one bar, whatever it trains."""

import subprocess
import sys

import pytest

from qcanvas_sklearn import (
    PairMLPRegressor,
    QCanvasRegressor,
    TightBindingRegressor,
    load_pairs,
)
from qcanvas_sklearn.training import progress

TINY = {"n_hidden": 16, "n_blocks": 1, "random_state": 0}


@pytest.fixture
def bars(monkeypatch):
    """Every bar that is made, with (description, done, total) of each of its updates."""
    made = []

    class Recorded(progress.tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.seen = [(self.desc, self.n, self.total)]
            made.append(self)

        def update(self, n=1):
            drawn = super().update(n)
            self.seen.append((self.desc, self.n, self.total))
            return drawn

    monkeypatch.setattr(progress, "tqdm", Recorded)
    return made


def fit_verbosely(table, verbose, **parameters):
    model = PairMLPRegressor(**TINY, **{"max_epochs": 3} | parameters, verbose=verbose)
    return model.fit(*table)


def test_nothing_is_printed_unless_asked_for(regression_table, capfd):
    fit_verbosely(regression_table, 0, early_stopping=True)
    assert capfd.readouterr() == ("", "")


def test_a_bar_shows_epochs_losses_and_the_time_that_is_left(regression_table, capfd):
    model = fit_verbosely(regression_table, 1, early_stopping=True)
    out, err = capfd.readouterr()
    last = model.history_.iloc[-1]
    losses = f"loss={last['train_loss']:.4f}, validation={last['valid_loss']:.4f}"
    final = err.strip().split("\r")[-1]
    assert out == "" and final.startswith("training, epoch 3/3: 100%") and "<00:00" in final
    assert losses in final and err.strip().count("\n") == 0


def test_lines_of_epochs_take_the_place_of_a_bar(regression_table, capfd, bars):
    fit_verbosely(regression_table, 2)
    out, err = capfd.readouterr()
    assert "train_loss" in out and err == "" and bars == []


def test_nobody_waits_for_epochs_that_early_stopping_spares(regression_table, bars):
    model = fit_verbosely(
        regression_table, 1, early_stopping=True, n_iter_no_change=2, lr=0.5, max_epochs=20
    )
    (bar,) = bars
    assert bar.seen[1][2] == 20 and bar.n == bar.total == model.n_iter_ < 20


def test_nets_for_unseen_elements_are_waited_for_from_the_start(few_images, few_pairs, bars):
    table = few_images[:60], few_pairs[1]["total_energy_ev"][:60]
    fit_verbosely(table, 1, n_members=2, unseen_elements="allow", max_epochs=2)
    (bar,) = bars
    names = [text.split(",")[0] for text, *_ in bar.seen[1:]]
    assert names == 2 * ["training"] + 5 * ["unseen elements"]
    # Five single nets take one epoch each, which is half of one of two members.
    assert {total for *_, total in bar.seen} == {4.5} and bar.n == bar.total == 4.5


def test_tight_binding_and_networks_share_a_bar(bars):
    X, y = load_pairs(target=["e_g_ev", "e_homo_ev"], return_X_y=True)
    light = X.isin(["C", "N", "O", "F", "H"]).all(axis=1)
    states = TightBindingRegressor(n_members=2, max_epochs=2)
    model = QCanvasRegressor(**TINY, n_members=2, max_epochs=3, tight_binding=states, verbose=1)
    model.fit(X[light], y[light])
    (bar,) = bars
    seen = [(text, round(n), round(total)) for text, n, total in bar.seen[1:]]
    assert seen == [
        *((f"tight binding, epoch {k}/2", k, 5) for k in (1, 2)),
        *((f"training, epoch {k}/3", 2 + k, 5) for k in (1, 2, 3)),
    ]
    assert not hasattr(model, "progress") and model.tight_binding_.verbose == 1


def test_what_is_no_pair_leaves_tight_binding_out_of_the_bar(regression_table, bars):
    model = QCanvasRegressor(**TINY, n_members=1, max_epochs=2, verbose=1)
    model.fit(*regression_table)
    (bar,) = bars
    assert {total for *_, total in bar.seen} == {2}


def test_a_notebook_without_widgets_is_not_warned():
    notebook = (
        "import sys, types\n"
        "class Shell: config = {'IPKernelApp': {}}\n"
        "sys.modules['IPython'] = types.SimpleNamespace(get_ipython=Shell)\n"
        "sys.modules['ipykernel.zmqshell'] = types.ModuleType('zmqshell')\n"
        "sys.modules['ipywidgets'] = sys.modules['IPython.html.widgets'] = None\n"
    )
    for module, warned in [("tqdm.auto", True), ("qcanvas_sklearn._progress", False)]:
        code = f"{notebook}from {module} import tqdm\nprint(tqdm.__module__)"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True)
        assert ("IProgress not found" in done.stderr) == bool(done.stderr) == warned
        assert done.stdout.startswith("tqdm.")  # a bar of text
