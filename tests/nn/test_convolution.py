"""Convolutions by products of matrices: torch's, in both directions, of one net and of many."""

import copy

import pytest
import torch
from torch import nn

from qcanvas_sklearn.nn.convolution import by_columns


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


class ByColumns(nn.Module):
    def __init__(self, conv):
        super().__init__()
        self.conv = copy.deepcopy(conv)

    def forward(self, x):
        return by_columns(self.conv, x)


def images(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(("stride", "size"), [(1, 8), (2, 8), (2, 9)])
def test_a_convolution_is_the_one_of_torch_with_its_slopes(stride, size):
    conv = nn.Conv2d(3, 5, 3, stride=stride, padding=1).double()
    x = images(4, 3, size, size)
    expected, found = conv(x), by_columns(conv, x)
    torch.testing.assert_close(found, expected)
    inputs, slope = [x, *conv.parameters()], torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, slope), torch.autograd.grad(expected, inputs, slope)
    )


def test_members_of_an_ensemble_have_their_own():
    convs = [nn.Conv2d(3, 4, 3, padding=1).double() for _ in range(3)]
    members = [ByColumns(conv) for conv in convs]
    weights, _ = torch.func.stack_module_state(members)
    x = images(3, 2, 3, 6, 6)
    found = torch.vmap(lambda own, x: torch.func.functional_call(members[0], own, (x,)))(
        weights, x
    )
    expected = torch.stack([conv(own) for conv, own in zip(convs, x, strict=True)])
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), x),
        torch.autograd.grad(expected.square().sum(), x),
    )
