"""One image with the channels last, against the same image as a batch with the channels first."""

from __future__ import annotations

import numpy as np
import pytest

from layerdiff.handwritten import numpy_hwc, numpy_resnet
from layerdiff.handwritten import numpy_ops as ops

GENERATOR = np.random.default_rng(0)
IMAGE = GENERATOR.standard_normal((7, 5, 3))
BATCH = IMAGE.transpose(2, 0, 1)[None]


def test_convolution_is_the_batch_convolution_seen_otherwise():
    """Image and kernels have their channels last; the numbers are the same."""
    weight, bias = GENERATOR.standard_normal((4, 3, 2, 3)), GENERATOR.standard_normal(4)
    actual = numpy_hwc.conv2d_hwc(IMAGE, weight, bias, stride=(2, 1), padding=(1, 0))
    expected = ops.conv2d(BATCH, weight.transpose(0, 3, 1, 2), bias, stride=(2, 1), padding=(1, 0))
    np.testing.assert_array_equal(actual, expected[0].transpose(1, 2, 0))


def test_convolution_is_the_definition():
    """One output value, written out: a kernel laid out (kh, kw, c) lies on the image as it is."""
    weight = GENERATOR.standard_normal((1, 3, 2, 3))
    y = numpy_hwc.conv2d_hwc(IMAGE, weight)
    assert y.shape == (5, 4, 1)
    assert y[1, 2, 0] == pytest.approx((IMAGE[1:4, 2:4] * weight[0]).sum(), rel=1e-12)


def test_batch_norm_is_the_batch_version_seen_otherwise():
    """With statistics that differ from channel to channel."""
    arrays = [GENERATOR.uniform(0.5, 2, 3) for _ in range(4)]
    actual = numpy_hwc.batch_norm_hwc(IMAGE, *arrays, eps=1e-3)
    np.testing.assert_array_equal(actual, ops.batch_norm(BATCH, *arrays, eps=1e-3)[0].transpose(1, 2, 0))


def test_max_pool_is_the_batch_version_seen_otherwise():
    """Rows and columns are not exchanged."""
    actual = numpy_hwc.max_pool2d_hwc(IMAGE, (3, 2), (2, 1), (1, 0))
    np.testing.assert_array_equal(actual, ops.max_pool2d(BATCH, (3, 2), (2, 1), (1, 0))[0].transpose(1, 2, 0))


def test_a_network_classifies_an_image_as_it_is_read():
    """(h, w, 3) in, (classes,) out, the logits of the batch of one."""
    network = numpy_resnet.build("resnet18")
    image = GENERATOR.standard_normal((40, 33, 3)).astype(np.float32)
    logits = numpy_hwc.classify_hwc(network, image)
    assert logits.shape == (1000,)
    np.testing.assert_array_equal(logits, network(image.transpose(2, 0, 1)[None])[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: numpy_hwc.max_pool2d_hwc(BATCH, 2),
            r"max_pool2d_hwc: not one image, got shape \(1, 3, 7, 5\), expected \(h",
        ),
        (
            lambda: numpy_hwc.conv2d_hwc(IMAGE, IMAGE),
            r"conv2d_hwc: unusable weight, got shape \(7, 5, 3\), expected \(c_ou",
        ),
        (lambda: numpy_hwc.batch_norm_hwc(BATCH, *[np.ones(3)] * 2), "batch_norm_hwc: not one image"),
        (lambda: numpy_hwc.classify_hwc(numpy_resnet.build("resnet18"), BATCH), "classify_hwc: not one image"),
    ],
)
def test_what_is_not_one_image_is_refused(call, message):
    """A batch, or kernels that lack an axis; the shape expected is the channels-last one."""
    with pytest.raises(ValueError, match=f"^{message}"):
        call()
