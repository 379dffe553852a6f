"""What may be asked of two fits or predictions on the device that the tests run on."""

import numpy as np
import torch


def assert_same(one, other):
    """Equal to the last bit; on CUDA, where neighbours are summed in any order, nearly so."""
    if torch.cuda.is_available():
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)
    else:
        np.testing.assert_array_equal(one, other)
