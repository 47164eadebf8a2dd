"""Where tensors are: what goes to the candidate and back again is what it was, in any layout, under any name."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from steps_kit import by, judge, small
from torch import nn
from torch.optim import Adam

from layerdiff.compare.steps.homes import homes_of
from layerdiff.compare.transfer import Carried

KERNEL = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)


@pytest.mark.parametrize("axes", [None, (2, 3, 1, 0), (0, 2, 3, 1), (3, 0, 2, 1)], ids=str)
@pytest.mark.parametrize("flat", [False, True])
def test_there_and_back_is_nothing(axes, flat):
    """For tensors and for what an optimiser remembers of them, also where the candidate holds kernels flat."""
    shape = tuple(KERNEL.shape[axis] for axis in axes or range(4))
    own = {"stem/kernel": np.zeros((shape[0], KERNEL.size // shape[0]) if flat and axes else shape)}
    homes = homes_of([Carried("conv1.weight", "stem/kernel", axes)], {})

    there = homes.there({"conv1.weight": KERNEL}, own)
    kept = homes.buffers_there({"conv1.weight.exp_avg": -KERNEL}, own)

    assert there["stem/kernel"].shape == own["stem/kernel"].shape
    assert axes is None or not np.array_equal(there["stem/kernel"].ravel(), KERNEL.ravel())
    assert np.array_equal(homes.back(there, {"conv1.weight": KERNEL})["conv1.weight"], KERNEL)
    assert np.array_equal(kept["stem/kernel.exp_avg"], -there["stem/kernel"])
    back = homes.buffers_back(kept, {"conv1.weight.exp_avg": KERNEL})
    assert np.array_equal(back["conv1.weight.exp_avg"], -KERNEL)


class _Turned(nn.Module):
    """A convolution whose kernel lies as TensorFlow's do."""

    def __init__(self, own):
        super().__init__()
        self.kernel = nn.Parameter(own.weight.detach().permute(2, 3, 1, 0).contiguous())

    def forward(self, x):
        return nn.functional.conv2d(x, self.kernel.permute(3, 2, 0, 1))


def test_training_is_compared_across_layouts():
    """The same network with a kernel in another layout is same; with another learning rate it is not."""
    actual = copy.deepcopy(small())
    actual[3] = _Turned(actual[3])
    carried = [
        Carried(name, name.replace("3.weight", "3.kernel"), (2, 3, 1, 0) if name == "3.weight" else None)
        for name, tensor in small().state_dict().items() if tensor.is_floating_point()
    ]  # fmt: skip

    right = judge(spec="adam:lr=0.01", actual=actual, carried=carried)
    wrong = judge(by(lambda p: Adam(p, lr=0.02)), spec="adam:lr=0.01", actual=actual, carried=carried)

    assert right.verdict == "same", right.wrong
    assert "3.weight" in wrong.wrong
    assert wrong.findings["J11"].title == "lr is 0.02, expected 0.01"
