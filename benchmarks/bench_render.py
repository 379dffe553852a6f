"""Time and memory of rendering pair images, against a builder of one image at a time.

    python benchmarks/bench_render.py [--pairs 2850] [--image-size 32] [--repeats 5]
"""

from __future__ import annotations

import argparse
import tracemalloc
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcanvas_sklearn.datasets import PairData
from qcanvas_sklearn.datasets._bundled import bundled_pairs
from qcanvas_sklearn.images import PairImageTransformer, PairLayout, pair_amplitudes, render
from qcanvas_sklearn.rendering import DEBYE_PER_ATOMIC_UNIT

L = np.repeat(np.arange(4), [1, 3, 5, 7])
M = np.concatenate([np.arange(-l, l + 1) for l in range(4)])


def build_one(
    orbitals: NDArray, charges: NDArray, dipole: NDArray, size: int
) -> NDArray[np.float32]:
    """One image from the definitions, vectorised over its pixels."""
    columns, rows = np.meshgrid(np.arange(size), np.arange(size))
    x, y = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    r, theta = np.sqrt(x**2 + y**2), np.arctan2(y, x)
    image = np.zeros((10, size, size), dtype=np.float32)
    for k in range(2):
        centre = size // 2 + (k - 0.5) * (size // 3)
        square = (columns - centre) ** 2 + (rows - size // 2) ** 2
        gaussian = {sigma: np.exp(-square / (2 * sigma**2)) for sigma in (3, 3.5, 4)}
        image[0] += (orbitals[k] * (L + 1) / 3).sum() * gaussian[3]
        image[1] += abs((orbitals[k] * M).sum()) * gaussian[3]
        image[6] += 10 * abs(charges[k]) * gaussian[4]
        image[7] += orbitals[k].sum() * gaussian[4]
        image[8 if charges[k] > 0 else 9] += 10 * abs(charges[k]) * gaussian[3.5]
    image[2] = orbitals[:, L <= 1].sum() * np.exp(-(r**2) / 0.3)
    image[3] = orbitals[:, L >= 2].sum() * np.exp(-(r**2) / 0.5) * (1 + np.cos(4 * theta))
    moment = np.linalg.norm(dipole) / DEBYE_PER_ATOMIC_UNIT
    image[4] = moment * (r + 1e-6) * np.exp(-((r + 1e-6) ** 2) / 0.4)
    anisotropy = (3 * np.cos(theta) ** 2 - 1) * np.exp(-(r**2) / 0.4)
    image[5] = abs(charges[0] - charges[1]) * anisotropy
    return image


def build_all(pairs: PairData, size: int) -> NDArray[np.float32]:
    """Images of all pairs, one after another."""
    records = zip(pairs.orbital_populations, pairs.charges, pairs.dipole, strict=True)
    return np.array([build_one(*record, size) for record in records])


def best_time(function: Callable[[], Any], repeats: int) -> float:
    """Shortest of several runs in seconds; the first one warms up."""
    function()
    times = []
    for _ in range(repeats):
        start = perf_counter()
        function()
        times.append(perf_counter() - start)
    return min(times)


def peak_over_result(function: Callable[[], NDArray]) -> float:
    """Peak of allocated memory as a multiple of the result's size."""
    tracemalloc.start()
    result = function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / result.nbytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=2850, help="number of pairs")
    parser.add_argument("--image-size", type=int, default=32, help="pixels a side")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs; the best counts")
    arguments = parser.parse_args()
    size, repeats = arguments.image_size, arguments.repeats
    table = bundled_pairs()
    pairs = table[np.resize(np.arange(len(table)), arguments.pairs)]
    transformer = PairImageTransformer(image_size=size).fit(pairs.elements)

    def fast() -> NDArray:
        return render(pair_amplitudes(pairs), size)

    def transform() -> NDArray:
        return transformer.transform(pairs.elements)

    X, slow = transform(), build_all(pairs, size)
    difference = np.abs(fast() - slow).max() / np.abs(slow).max()
    one_by_one = best_time(lambda: build_all(pairs, size), 1)
    rendering = best_time(fast, repeats)
    print(f"{len(pairs)} images, 10 x {size} x {size}, float32, {slow.nbytes / 2**20:.0f} MiB")
    print(f"one image at a time         {one_by_one * 1e3:8.1f} ms")
    print(f"pair_amplitudes + render    {rendering * 1e3:8.1f} ms")
    print(f"ratio                       {one_by_one / rendering:8.1f}")
    print(f"largest relative difference {difference:8.1e}")
    transforming = best_time(transform, repeats)
    print(f"PairImageTransformer        {transforming * 1e3:8.1f} ms")
    inferring = best_time(lambda: PairLayout.infer(X), repeats)
    print(f"PairLayout.infer            {inferring * 1e3:8.2f} ms")
    print(f"peak memory / result, render      {peak_over_result(fast):.3f}")
    print(f"peak memory / result, transformer {peak_over_result(transform):.3f}")


if __name__ == "__main__":
    main()
