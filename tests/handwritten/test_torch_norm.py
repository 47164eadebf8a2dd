"""The handwritten torch batch norm."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from layerdiff.handwritten.torch_norm import BatchNorm2d


def twins(channels, **arguments):
    """Ours and torch's batch norm in float64 with the same random tensors, none at its default."""
    ours, theirs = BatchNorm2d(channels, **arguments).double(), nn.BatchNorm2d(channels, **arguments).double()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in theirs.state_dict().items():
        if name == "running_var":
            tensor.uniform_(1e-4, 2, generator=generator)
        elif name != "num_batches_tracked":
            tensor.normal_(generator=generator)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def test_eval_mode_normalises_by_the_running_statistics(assert_within, norm_bound):
    """With scales of both signs and variances near eps, eval mode is torch's to within counted roundings."""
    ours, theirs = (module.eval() for module in twins(7, eps=1e-3))
    x = torch.randn(2, 7, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    tensors = [theirs.state_dict()[name].numpy() for name in ("running_mean", "running_var", "weight", "bias")]
    assert_within(ours(x).detach(), theirs(x).detach(), norm_bound(x.numpy(), *tensors, 1e-3))
    assert torch.equal(ours.running_mean, theirs.running_mean)


@pytest.mark.parametrize("training", [True, False])
def test_the_input_stays_what_a_hook_saw(training):
    """The steps are taken in an array of the layer's own."""
    x = torch.randn(2, 7, 5, 3)
    before = x.clone()
    twins(7)[0].float().train(training)(x)
    assert torch.equal(x, before)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    shapes=st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)).filter(lambda s: s[0] * s[1] * s[2] > 1),
        min_size=1,
        max_size=5,
    ),
    momentum=st.sampled_from([0.1, 0.9, 1.0, 0.0, None]),
    affine=st.booleans(),
    tracked=st.booleans(),
    offset=st.sampled_from([0.0, 10.0]),
)
def test_training_follows_torch_batch_by_batch(shapes, momentum, affine, tracked, offset):
    """Outputs, gradients and running statistics stay torch's over several batches, down to two values per channel."""
    ours, theirs = twins(3, momentum=momentum, affine=affine, track_running_stats=tracked)
    generator = torch.Generator().manual_seed(2)
    for n, h, w in shapes:
        x = torch.randn(n, 3, h, w, dtype=torch.float64, generator=generator) + offset
        x.requires_grad_()
        probe = torch.randn(x.shape, dtype=torch.float64, generator=generator)
        actual, expected = ours(x), theirs(x)
        gradients = [torch.autograd.grad(y, x, probe)[0] for y in (actual, expected)]
        # The batch's mean cancels at most `offset` of 1e1: rounding is below 1e-13, a wrong statistic above 1e-3.
        # Normalising two near values amplifies it by 1/sqrt(var + eps) <= 316, in the gradient by its cube.
        torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-6, atol=1e-6)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-12, atol=1e-12)


def test_the_running_variance_is_unbiased():
    """Of the values 0 and 2 the running variance takes 2, though the biased variance that normalises is 1."""
    norm = BatchNorm2d(1, momentum=1.0)
    y = norm(torch.tensor([0.0, 2.0]).reshape(1, 1, 1, 2))
    assert norm.running_var.tolist() == [2.0]
    assert y.detach().flatten().tolist() == pytest.approx([-1, 1], abs=1e-5)


def test_eval_mode_changes_nothing():
    """Inference leaves every tensor as it was, the counter included."""
    norm = BatchNorm2d(2).eval()
    before = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    norm(torch.randn(2, 2, 3, 3))
    assert all(torch.equal(tensor, before[name]) for name, tensor in norm.state_dict().items())


def test_running_statistics_do_not_hold_the_graph():
    """The estimates are remembered without the batches they came from."""
    norm = BatchNorm2d(2)
    norm(torch.randn(2, 2, 3, 3, requires_grad=True))
    assert norm.running_mean.grad_fn is None


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
def test_tensors_have_torchs_names(affine, tracked):
    """State dicts are exchanged with torch's module in every configuration, dtypes included."""
    arguments = {"affine": affine, "track_running_stats": tracked}
    ours, theirs = BatchNorm2d(3, **arguments), nn.BatchNorm2d(3, **arguments)
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    assert {name: t.dtype for name, t in ours.state_dict().items()} == {
        name: t.dtype for name, t in theirs.state_dict().items()
    }


def test_old_files_without_a_counter_load_and_new_ones_must_have_it():
    """As in torch: a plain dict is an old file; a state dict of version 2 that lacks the counter is broken."""
    plain = {name: t for name, t in nn.BatchNorm2d(3).state_dict().items() if name != "num_batches_tracked"}
    BatchNorm2d(3).load_state_dict(plain)
    broken = nn.BatchNorm2d(3).state_dict()
    del broken["num_batches_tracked"]
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        BatchNorm2d(3).load_state_dict(broken)


def test_one_value_per_channel_cannot_be_trained_on():
    """Torch raises a ValueError here too; the help names both ways out."""
    with pytest.raises(
        ValueError, match=r"^BatchNorm2d: one value has no variance, got 1 per channel, expected at leas"
    ):
        BatchNorm2d(3)(torch.zeros(1, 3, 1, 1))


def test_other_channels_are_refused():
    """Rather than broadcast."""
    with pytest.raises(ValueError, match=r"^BatchNorm2d: wrong number of channels, got 1, expected 3\n"):
        BatchNorm2d(3)(torch.zeros(2, 1, 4, 4))


def test_a_single_image_is_refused():
    """Three axes are not taken for a batch."""
    with pytest.raises(ValueError, match=r"^BatchNorm2d: not a batch of images, got shape \(3, 4, 4\)"):
        BatchNorm2d(3)(torch.zeros(3, 4, 4))
