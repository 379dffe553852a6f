"""Pairs as data sets of torch and torch-geometric."""

import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset, random_split

from qcanvas_sklearn.datasets import TorchPairGraphs, TorchPairs, load_pairs, write_npz
from qcanvas_sklearn.images import pair_amplitudes, render

NAMES = ["e_g_ev", "softness_evinv", "metal_like", "total_energy_ev"]


@pytest.fixture(scope="module")
def pairs():
    """Sixty pairs, of which some lack a gap and many a softness."""
    every = load_pairs().pairs
    rows = np.flatnonzero(every.labels["e_g_ev"].isna())[:4]
    return every[np.concatenate([np.arange(0, 2800, 50), rows])]


@pytest.fixture(scope="module")
def archive(pairs, tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "dataset_combined.npz"
    write_npz(pairs, path)
    return path


#: As QuantumCanvas' README has them, but for the imports and the line that looks at a batch.
LOOPS = """
from torch.utils.data import DataLoader

dataset = TwoBodyDataset('dataset_combined.npz', target_label='e_g_ev')
loader = DataLoader(dataset, batch_size=32, shuffle=True)

for images, targets in loader:
    outputs = model(images)  # images: [32, 10, 32, 32]
    seen.append((images, targets))
""", """
from torch_geometric.loader import DataLoader

dataset = TwoBodyGraphDataset('dataset_combined.npz', target_labels=['e_g_ev'])
loader = DataLoader(dataset, batch_size=32, shuffle=True)

for batch in loader:
    outputs = gnn_model(batch.x, batch.edge_index, batch.edge_attr)
    seen.append((batch.image, batch.y))
"""


@pytest.mark.parametrize("loop", LOOPS, ids=["images", "graphs"])
def test_the_published_loops_run_with_an_import_changed(loop, pairs, archive, monkeypatch):
    pytest.importorskip("torch_geometric")
    monkeypatch.chdir(archive.parent)
    edge = torch.nn.Linear(14, 1)

    def gnn_model(x, edge_index, edge_attr):
        messages = edge(edge_attr) * x[edge_index[0]]
        return torch.zeros_like(x).index_add(0, edge_index[1], messages)

    head = torch.nn.Sequential(torch.nn.Conv2d(10, 1, 8, 8), torch.nn.Flatten())
    names = {
        "TwoBodyDataset": TorchPairs, "TwoBodyGraphDataset": TorchPairGraphs, "model": head,
        "gnn_model": gnn_model, "seen": [],
    }  # fmt: skip
    exec(loop, names)
    images, targets = (torch.cat(parts) for parts in zip(*names["seen"], strict=True))
    known = pairs.labels["e_g_ev"].dropna()
    assert 0 < len(known) < len(pairs)
    assert images.shape == (len(known), 10, 32, 32) and torch.isfinite(images).all()
    assert sorted(targets.flatten().tolist()) == sorted(known.astype(np.float32))


def test_an_item_is_the_image_and_the_label_of_its_pair(pairs):
    data = TorchPairs(pairs, "e_g_ev")
    assert isinstance(data, Dataset) and len(data) == pairs.labels["e_g_ev"].notna().sum()
    assert np.array_equal(data.pairs.names, pairs.names[data.rows])
    for k in (0, 7, -1):
        image, target = data[k]
        row = data.rows[k]
        assert np.array_equal(image, render(pair_amplitudes(pairs))[row])
        assert image.dtype == target.dtype == torch.float32 and target.shape == ()
        assert target.item() == np.float32(pairs.labels["e_g_ev"].iloc[row])
    for outside in (len(data), -len(data) - 1):
        with pytest.raises(IndexError, match=f"pair {outside} is not one of {len(data)}"):
            data[outside]
    assert len(list(data)) == len(data)
    with pytest.raises(TypeError):
        data[0.5]


def test_images_of_a_source_are_handed_on_as_they_are(pairs):
    drawn = replace(pairs, images=3 * render(pair_amplitudes(pairs)))
    image, _ = TorchPairs(drawn)[5]
    assert np.array_equal(image, drawn.images[5])
    image += 1  # the record is read-only, the item is one's own
    assert not np.array_equal(image, drawn.images[5])


def test_many_targets_come_with_masks(pairs):
    data = TorchPairs(pairs, NAMES, masks=True)
    assert len(data) == len(pairs)
    _, targets, masks = next(iter(DataLoader(data, batch_size=len(data))))
    values = pairs.labels[NAMES].to_numpy(dtype=float, na_value=np.nan)
    assert masks.dtype == torch.bool and not masks.all()
    assert np.array_equal(masks, np.isfinite(values))
    assert np.array_equal(targets, np.nan_to_num(values).astype(np.float32))
    complete = TorchPairs(pairs, NAMES)
    assert np.array_equal(complete.rows, np.flatnonzero(masks.all(dim=1)))
    assert len(complete[0]) == 2 and complete[0][1].shape == (4,)
    single = TorchPairs(pairs, "softness_evinv", masks=True)
    assert len(single) == masks[:, 1].sum() and single[0][2].item() is True
    assert len(TorchPairs(pairs, None, masks=True).target_names) == 18


@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_subsets_and_workers_give_the_same_batches(pairs, workers):
    data = pickle.loads(pickle.dumps(TorchPairs(pairs, NAMES, masks=True)))
    first, second = random_split(data, [40, 20], torch.Generator().manual_seed(0))
    loader = DataLoader(Subset(first, range(0, 40, 2)), batch_size=8, num_workers=workers)
    batches = [torch.cat(parts) for parts in zip(*loader, strict=True)]
    rows = np.array(first.indices)[::2]
    for part, k in zip(batches, range(3), strict=True):
        assert torch.equal(part, torch.stack([data[row][k] for row in rows]))
    assert set(first.indices).isdisjoint(second.indices)


def test_graphs_hold_what_is_promised(pairs):
    pytest.importorskip("torch_geometric")
    images = TorchPairs(pairs, NAMES, masks=True)
    graphs = images.to_pyg()
    assert isinstance(graphs, TorchPairGraphs) and len(graphs) == len(images)
    for k in (0, 11, -1):
        graph, (image, target, mask) = graphs[k], images[k]
        one = pairs[[k]]
        assert graph.pair_name == one.names[0] and graph.z.tolist() == one.z[0].tolist()
        assert (graph.x[:, :-1].argmax(dim=1) + 1).tolist() == one.z[0].tolist()
        assert graph.x[:, :-1].sum(dim=1).tolist() == [1, 1]
        np.testing.assert_allclose(graph.x[:, -1], one.populations[0], rtol=1e-6)
        assert graph.edge_index.tolist() == [[0, 1], [1, 0]]
        np.testing.assert_allclose(
            graph.edge_attr[:, :10], [image.mean(dim=(1, 2))] * 2, rtol=1e-5, atol=1e-7
        )
        bond = one.positions[0, 1] - one.positions[0, 0]
        np.testing.assert_allclose(graph.edge_attr[:, 10], one.bond_lengths[0], rtol=1e-6)
        np.testing.assert_allclose(graph.edge_attr[:, 11:], [bond, -bond], rtol=1e-6)
        np.testing.assert_allclose(graph.pos, one.positions[0], rtol=1e-6)
        assert torch.equal(graph.image[0], image)
        assert torch.equal(graph.y[0], target) and torch.equal(graph.y_mask[0], mask)


@pytest.mark.parametrize("workers", [0, 2])
def test_graphs_are_batched(pairs, workers):
    loader = pytest.importorskip("torch_geometric.loader").DataLoader
    graphs = TorchPairGraphs(pairs, "e_g_ev")
    subset = Subset(graphs, range(5, 25))
    first, last = loader(subset, batch_size=12, num_workers=workers)
    assert first.num_graphs == 12 and first.x.shape == (24, 104) and first.y.shape == (12,)
    assert last.image.shape == (8, 10, 32, 32) and last.edge_attr.shape == (16, 14)
    assert first.edge_index[:, -2:].tolist() == [[22, 23], [23, 22]]
    assert last.pair_name == graphs.pairs.names[17:25].tolist()


@pytest.mark.parametrize("make", [TorchPairs, TorchPairGraphs])
def test_what_cannot_be_learned_from_is_refused(make, pairs):
    pytest.importorskip("torch_geometric")
    with pytest.raises(TypeError, match="must be a PairData or a path, got DataFrame"):
        make(pairs.labels)
    with pytest.raises(ValueError, match="unknown target 'gap'"):
        make(pairs, "gap")
    with pytest.raises(ValueError, match=r"labels \['system_id_guess'\] are text"):
        make(pairs, ["e_g_ev", "system_id_guess"])
    without = pairs.labels.assign(e_g_ev=np.nan)
    with pytest.raises(ValueError, match=r"none of 60 pairs has the labels \['e_g_ev'\]"):
        make(replace(pairs, labels=without))
    dipole = pairs.dipole.copy()
    dipole[3] = np.nan
    with pytest.raises(ValueError, match=f"{pairs.names[3]} has a label, but lacks what"):
        make(replace(pairs, dipole=dipole))


def test_graphs_need_a_geometry_and_torch_geometric(pairs, monkeypatch):
    pytest.importorskip("torch_geometric")
    positions = pairs.positions.copy()
    positions[2] = np.nan
    lost = replace(pairs, positions=positions)
    assert len(TorchPairs(lost)) < 60
    with pytest.raises(ValueError, match=f"{pairs.names[2]} has a label, but no geometry"):
        TorchPairGraphs(lost)
    monkeypatch.setitem(sys.modules, "torch_geometric.data", None)
    with pytest.raises(ImportError, match=r'pip install "qcanvas-sklearn\[molecules\]"'):
        TorchPairs(pairs).to_pyg()
