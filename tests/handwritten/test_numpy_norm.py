"""The NumPy batch norm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from layerdiff.handwritten.numpy_layers import BatchNorm2d
from layerdiff.handwritten.numpy_ops import batch_norm, batch_norm_train


def twins(channels, **arguments):
    """Our layer and torch's module in float64 with the same random tensors, none at its default."""
    ours, theirs = BatchNorm2d(channels, **arguments), nn.BatchNorm2d(channels, **arguments).double()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in theirs.state_dict().items():
        if name == "running_var":
            tensor.uniform_(1e-4, 2, generator=generator)
        elif name != "num_batches_tracked":
            tensor.normal_(generator=generator)
    ours.load_state_dict({name: tensor.numpy() for name, tensor in theirs.state_dict().items()})
    return ours, theirs


def test_eval_mode_is_torchs(assert_within, norm_bound):
    """With scales of both signs and variances near eps, to within counted roundings."""
    ours, theirs = twins(7, eps=1e-3)
    x = np.random.default_rng(1).standard_normal((2, 7, 5, 3))
    expected = theirs.eval()(torch.from_numpy(x)).detach()
    bound = norm_bound(x, ours.running_mean, ours.running_var, ours.weight, ours.bias, 1e-3)
    assert_within(ours(x), expected, bound)


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
    """Outputs and running statistics stay torch's over several batches, down to two values per channel."""
    ours, theirs = twins(3, momentum=momentum, affine=affine, track_running_stats=tracked)
    ours.train()
    generator = np.random.default_rng(2)
    for n, h, w in shapes:
        x = generator.standard_normal((n, 3, h, w)) + offset
        # Normalising two near values amplifies rounding by 1/sqrt(var + eps) <= 316; a wrong statistic shows at 1e-3.
        np.testing.assert_allclose(ours(x), theirs(torch.from_numpy(x)).detach(), rtol=1e-10, atol=1e-10)
    for name, array in ours.state_dict().items():
        np.testing.assert_allclose(array, theirs.state_dict()[name], rtol=1e-12, atol=1e-12)


def test_training_returns_new_estimates_and_changes_nothing():
    """The arrays that were passed in stay as they were: the state is the caller's."""
    arrays = [np.full(2, value) for value in (0.5, 2.0, 3.0, 4.0)]
    x = np.random.default_rng(0).standard_normal((2, 2, 3, 3))
    before = [array.copy() for array in (x, *arrays)]
    _, new_mean, new_var = batch_norm_train(x, *arrays)
    for array, copy in zip((x, *arrays), before, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert (new_mean != 0.5).all()
    assert (new_var != 2).all()


def test_the_running_variance_is_unbiased():
    """Of the values 0 and 2 the running variance takes 2, though the biased variance that normalises is 1."""
    x = np.array([0.0, 2.0]).reshape(1, 1, 1, 2)
    y, mean, var = batch_norm_train(x, np.zeros(1), np.ones(1), momentum=1.0, eps=0.0)
    assert (y.ravel().tolist(), mean.tolist(), var.tolist()) == ([-1, 1], [1], [2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keeps_the_dtype(dtype):
    """All three results, in both modes."""
    arrays = [np.ones(2, dtype=dtype) for _ in range(4)]
    x = np.random.default_rng(0).standard_normal((2, 2, 3, 3)).astype(dtype)
    assert batch_norm(x, *arrays).dtype == dtype
    assert [array.dtype for array in batch_norm_train(x, *arrays)] == [dtype] * 3


X, C = np.zeros((2, 3, 4, 4)), np.ones(3)


@pytest.mark.parametrize("function", [batch_norm, batch_norm_train])
@pytest.mark.parametrize(
    ("x", "arrays", "message"),
    [
        (X[0], (C, C), r"not a batch of images, got shape \(3, 4, 4\), expected \(n, c, h, w\)"),
        (X[:, :1], (C, C), r"wrong shape, got (running_)?mean \(3,\), (running_)?var \(3,\), expected \(1,\)"),
        (X, (C, C, np.ones(2)), r"wrong shape, got weight \(2,\), expected \(3,\)"),
        (X.astype(int), (C, C), "not a floating dtype, got int64"),
    ],
)
def test_what_does_not_fit_is_refused(function, x, arrays, message):
    """Rather than broadcast or widened."""
    with pytest.raises(ValueError, match=f"^{function.__name__}: {message}"):
        function(x, *arrays)


def test_mixed_dtypes_are_refused():
    """A float32 image and float64 statistics would quietly make float64."""
    with pytest.raises(ValueError, match="mixed dtypes, got mean float64, var float64, expected float32 as x"):
        batch_norm(X.astype(np.float32), C, C)


def test_one_value_per_channel_cannot_be_trained_on():
    """It has no variance; torch refuses it too."""
    with pytest.raises(
        ValueError, match=r"^batch_norm_train: one value has no variance, got 1 per channel, expected at"
    ):
        batch_norm_train(X[:1, :, :1, :1], C, C)
