"""How many operations a training step takes: on a GPU each is a kernel to be launched."""

from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from qcanvas_sklearn.nn.heads import PairGATv2, PairGotenNet, PairSchNet

#: What only says where the numbers of another tensor are.
VIEWS = {
    "_unsafe_view", "detach", "expand", "permute", "select", "slice", "split",
    "split_with_sizes", "squeeze", "t", "transpose", "unbind", "unsqueeze", "view",
}  # fmt: skip


class Counting(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.counts[function.__name__.split(".")[0]] += 1
        return function(*args, **(kwargs or {}))

    def total(self):
        return sum(n for name, n in self.counts.items() if name not in VIEWS)


@pytest.mark.parametrize(
    ("network", "most"), [(PairSchNet, 165), (PairGATv2, 195), (PairGotenNet, 435)]
)
def test_a_step_takes_few_operations(network, most):
    net = network(n_elements=103, n_atom=1, n_pair=11, n_outputs=1)
    z, atom, pair = torch.randint(1, 90, (4, 2)), torch.zeros(4, 2, 1), torch.zeros(4, 11)
    vector = torch.tensor([[0.0, 0.0, 2.5]]).expand(4, 3)
    with Counting() as counting:
        net(z, atom, pair, vector).sum().backward()
    assert counting.counts["addmm"] > 5
    assert counting.total() <= most
