"""Training and prediction of every family on one device, in one table.

For each family, with default settings on pairs: milliseconds of an epoch (batches of 64)
whose steps are asked for one operation at a time, of one whose steps are recorded once and
replayed (on CUDA; elsewhere the two are the same), of recording them, of one replayed step,
and of a forward pass of one batch; pairs a second of ``predict`` end to end from element
symbols, and of the network alone in single precision. Above the table stand the name of the
device and what it allows at best: the time of launching the smallest operation, and the rate
at which it copies memory.

With ``--tight-binding``, in place of the table: milliseconds of an epoch of
`TightBindingRegressor` on all targets, asked for and replayed, and of recording its steps;
then the seconds of ``QCanvasRegressor.fit`` on all targets with default settings, and its
errors on pairs that were set aside.

The device is waited for before and after everything that is timed. It runs with
``--device cpu`` too.

    python benchmarks/bench_gpu.py [--device auto] [--pairs 2280] [--models GATv2 PairMLP]
    python benchmarks/bench_gpu.py --tight-binding [--max-epochs 3]
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

import qcanvas_sklearn
from qcanvas_sklearn import QCanvasRegressor, TightBindingRegressor, load_pairs
from qcanvas_sklearn.training import resolve_device

MODELS = (
    "SchNet", "GATv2", "EGNN", "DimeNet", "FAENet", "GotenNet", "QuantumShellNet", "ViT",
    "Fusion", "PairMLP", "PairTransformer",
)  # fmt: skip
BATCH_SIZE = 64
COPIED_BYTES = 2**28
LAUNCHES = 1000
#: Targets whose errors tell whether a fit went as it should.
SHOWN = ("e_g_ev", "e_homo_ev", "e_lumo_ev", "total_energy_ev")


def waited(device: torch.device) -> None:
    """Return when the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(function: Callable[[], Any], device: torch.device, repeats: int = 3) -> float:
    """Median seconds of a call, behind one that is not counted."""
    function()
    taken = []
    for _ in range(repeats):
        waited(device)
        start = time.perf_counter()
        function()
        waited(device)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def floors(device: torch.device) -> tuple[float, float]:
    """Microseconds of launching an operation, and GB/s of copying memory."""
    one = torch.zeros(1, device=device)

    def launch() -> None:
        for _ in range(LAUNCHES):
            one.add_(1)

    source = torch.zeros(COPIED_BYTES // 4, device=device)
    target = torch.empty_like(source)
    copying = seconds(lambda: target.copy_(source), device)
    # Every byte is read and written.
    return seconds(launch, device) / LAUNCHES * 1e6, 2 * COPIED_BYTES / copying / 1e9


def device_name(device: torch.device) -> str:
    """What the device is called."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


class Listener(Callback):
    """Any callback of a user's own makes a training ask for every operation by itself."""


def measured(
    name: str, pairs: Any, y: Any, device: torch.device, epochs: int, rows_alone: int,
    predicted: int,
) -> list[float]:  # fmt: skip
    """One line of the table."""
    model = getattr(qcanvas_sklearn, f"{name}Regressor")(
        max_epochs=epochs, batch_size=BATCH_SIZE, device=str(device), random_state=0
    )
    model.set_params(callbacks=[Listener()]).fit(pairs, y)
    eager = float(model.history_["seconds"].iloc[1:].median())
    model.set_params(callbacks=None).fit(pairs, y)
    epoch = float(model.history_["seconds"].iloc[1:].median())
    recording = float(model.history_["seconds"].iloc[0]) - epoch
    rows = model.reader_.read(model, pairs)
    network = model.net_.module_.to(device).eval()
    inputs = rows.to(device)
    with torch.inference_mode():
        batch = inputs.batch(slice(0, BATCH_SIZE))
        forward = seconds(lambda: network(**batch), device)
        many = inputs.batch(torch.arange(rows_alone, device=device) % len(rows))
        alone = seconds(lambda: network(**many), device)
    network.to("cpu")
    asked = np.resize(pairs, (predicted, 2))
    end_to_end = seconds(lambda: model.predict(asked), device)
    steps = -(-len(pairs) // BATCH_SIZE)
    return [
        eager * 1e3, epoch * 1e3, recording * 1e3, epoch / steps * 1e3, forward * 1e3,
        predicted / end_to_end, rows_alone / alone,
    ]  # fmt: skip


def epochs_of(model: Any, pairs: Any, y: Any) -> tuple[float, float]:
    """Seconds of an epoch of a fit, and of what the fit does besides such epochs."""
    start = time.perf_counter()
    history = model.fit(pairs, y).history_
    taken = time.perf_counter() - start
    epoch = float(history["seconds"].iloc[1:].median())
    return epoch, taken - len(history) * epoch


def tight_binding(
    device: torch.device, n_pairs: int, epochs: int, max_epochs: int | None
) -> None:
    """Tight binding alone, step by step and replayed, and a whole fit of QCanvas."""
    X, y = load_pairs(return_X_y=True)
    order = np.random.default_rng(42).permutation(len(X))
    learned, tested = order[:n_pairs], order[n_pairs : n_pairs + len(X) // 10]
    pairs, labels = X.iloc[learned], y.iloc[learned]
    shared = {"device": str(device), "random_state": 0}
    model = TightBindingRegressor(max_epochs=epochs, **shared)
    in_training = (1 - model.validation_fraction) * len(pairs)
    steps = -(-int(in_training) // model.batch_size)
    model.set_params(callbacks=[Listener()])
    epochs_of(model, pairs, labels)  # in which libraries are loaded
    eager, around = epochs_of(model, pairs, labels)
    epoch, recording = epochs_of(model.set_params(callbacks=None), pairs, labels)
    print(f"tight binding, {len(pairs)} pairs in batches of {model.batch_size}: an epoch takes "
          f"{eager * 1e3:.0f} ms eager and {epoch * 1e3:.0f} ms replayed, a step "
          f"{epoch / steps * 1e3:.2f} ms; recording {(recording - around) * 1e3:.0f} ms, what "
          f"else a fit does {around * 1e3:.0f} ms", flush=True)  # fmt: skip
    shorter = {} if max_epochs is None else {"max_epochs": max_epochs}
    whole = QCanvasRegressor(
        tight_binding=TightBindingRegressor(**shorter), **shared, **shorter
    )
    waited(device)
    start = time.perf_counter()
    whole.fit(pairs, labels)
    waited(device)
    taken = time.perf_counter() - start
    both = whole.tight_binding_.history_, whole.history_
    in_epochs = [float(history["seconds"].sum()) for history in both]
    print(f"QCanvas, all {y.shape[1]} targets: fit {taken:.1f} s, of which epochs of tight "
          f"binding {in_epochs[0]:.1f}, of networks {in_epochs[1]:.1f}")  # fmt: skip
    error = np.abs(whole.predict(X.iloc[tested]) - y.iloc[tested].to_numpy())
    each = dict(zip(y.columns, np.nanmean(error, axis=0), strict=True))
    print(f"mean absolute error on {len(tested)} other pairs: "
          + ", ".join(f"{name} {each[name]:.4f}" for name in SHOWN))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--pairs", type=int, default=2280)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rows-alone", type=int, default=None,
                        help="rows of the network alone; 65,536 on CUDA, else 256")  # fmt: skip
    parser.add_argument("--predicted", type=int, default=2280,
                        help="rows of a prediction; a hundred times as many show its speed "
                             "where the device waits for the host")  # fmt: skip
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--tight-binding", action="store_true",
                        help="tight binding and QCanvas in place of the table")  # fmt: skip
    parser.add_argument("--max-epochs", type=int, default=None,
                        help="of the fit of QCanvas; by default its own")  # fmt: skip
    args = parser.parse_args()
    device = resolve_device(args.device)
    rows_alone = args.rows_alone or (65536 if device.type == "cuda" else 256)
    X, y = load_pairs(target="total_energy_ev", return_X_y=True)
    pairs, y = X.to_numpy()[: args.pairs], y.to_numpy()[: args.pairs]
    launch, bandwidth = floors(device)
    print(f"{device_name(device)}, torch {torch.__version__}; an operation takes "
          f"{launch:.1f} us at least, memory is copied at {bandwidth:,.0f} GB/s")  # fmt: skip
    if args.tight_binding:
        tight_binding(device, args.pairs, args.epochs, args.max_epochs)
        return
    print(f"{len(pairs)} pairs in batches of {BATCH_SIZE}")
    heads = ("eager, ms", "epoch, ms", "record, ms", "step, ms", "forward, ms", "predict, /s",
             "alone, /s")  # fmt: skip
    print(f"{'':18s}" + "".join(f"{head:>13s}" for head in heads))
    for name in args.models:
        line = measured(name, pairs, y, device, args.epochs, rows_alone, args.predicted)
        print(f"{name:18s}{line[0]:13.0f}{line[1]:13.1f}{line[2]:13.0f}{line[3]:13.2f}"
              f"{line[4]:13.2f}{line[5]:13,.0f}{line[6]:13,.0f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
