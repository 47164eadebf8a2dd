"""The handwritten networks as a run gets them: with the subject's weights, and memory of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from layerdiff.subject import handwritten_network, load_subject


@pytest.fixture(scope="module")
def subject():
    """ResNet-18 with synthetic weights."""
    return load_subject("torchvision:resnet18", "synthetic", (), (64, 64), None)


def arrays(network):
    """A network's tensors as NumPy arrays that share its memory, without the batch counters."""
    return {
        name: tensor.numpy() if isinstance(tensor, torch.Tensor) else tensor
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


@pytest.mark.parametrize("kind", ["torch", "numpy"])
def test_a_network_has_the_subjects_weights_in_memory_of_its_own(kind, subject):
    """Every tensor is there, and none lies where the subject's, or another network's, does."""
    first, second = (arrays(handwritten_network(kind, subject)[0]) for _ in range(2))
    assert list(first) == list(subject.weights.state)
    for name, expected in subject.weights.state.items():
        np.testing.assert_array_equal(first[name], expected)
        assert not np.shares_memory(first[name], expected)
        assert not np.shares_memory(first[name], second[name])
        assert first[name].flags.writeable


def test_the_torch_network_is_ready_and_draws_nothing(subject):
    """Eval mode, no gradients asked for, counters at zero, all of it on the processor; torch's generator as it was."""
    before = torch.get_rng_state()
    network, _ = handwritten_network("torch", subject)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module.training for module in network.modules())
    assert not any(tensor.requires_grad for tensor in network.parameters())
    assert {tensor.device.type for tensor in network.state_dict().values()} == {"cpu"}
    assert {int(tensor) for name, tensor in network.state_dict().items() if name.endswith("num_batches_tracked")} == {0}
