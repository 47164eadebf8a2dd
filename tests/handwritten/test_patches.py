"""The patch matrix: its shape, its layout, its transpose, and the convolution that it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from vjp_kit import check_against_torch, check_finite_differences, check_manners

from layerdiff.handwritten.geometry import padding_sides
from layerdiff.handwritten.numpy_ops import column_to_image, conv2d, determine_padding, image_to_column, patch_indices

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def cases(draw):
    """Small integers as images, and a geometry: kernel_size, stride, padding, dilation."""
    kernel_size, dilation = draw(pairs), draw(pairs)
    numbers = st.tuples(st.integers(0, 3), st.integers(0, 3))
    padding = draw(st.sampled_from(["same", "valid"]) | numbers)
    stride = (1, 1) if padding == "same" else draw(pairs)
    (top, bottom), (left, right) = padding_sides("here", kernel_size, padding, stride=stride, dilation=dilation)
    span = [d * (k - 1) + 1 for d, k in zip(dilation, kernel_size, strict=True)]
    h = max(1, span[0] - top - bottom) + draw(st.integers(0, 5))
    w = max(1, span[1] - left - right) + draw(st.integers(0, 5))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    x = generator.integers(-9, 10, (draw(st.integers(1, 3)), draw(st.integers(1, 3)), h, w)).astype(float)
    return x, (kernel_size, stride, padding, dilation)


@pytest.mark.parametrize(
    ("kernel_size", "padding", "more", "sides"),
    [
        pytest.param((3, 3), "same", {}, ((1, 1), (1, 1)), id="odd"),
        pytest.param((2, 4), "same", {}, ((0, 1), (1, 2)), id="even: the last row and column go after the image"),
        pytest.param(3, "same", {"dilation": (2, 3)}, ((2, 2), (3, 3)), id="dilated"),
        pytest.param(2, "same", {"dilation": (2, 3)}, ((1, 1), (1, 2)), id="dilated and even"),
        pytest.param(1, "same", {}, ((0, 0), (0, 0)), id="one tap"),
        pytest.param((3, 5), "valid", {"stride": 2}, ((0, 0), (0, 0)), id="valid"),
        pytest.param((3, 5), (2, 1), {"stride": 2}, ((2, 2), (1, 1)), id="a pair"),
        pytest.param((3, 5), 3, {}, ((3, 3), (3, 3)), id="a number"),
    ],
)
def test_padding_on_each_side(kernel_size, padding, more, sides):
    """The rows above and below, then the columns left and right."""
    assert determine_padding(kernel_size, padding, **more) == sides


@pytest.mark.parametrize(
    ("padding", "stride", "patches", "result"),
    [("same", 1, (27, 1024), (32, 32)), ("valid", 1, (27, 900), (30, 30)), ("valid", 2, (27, 225), (15, 15))],
)
def test_the_published_shapes(padding, stride, patches, result):
    """A (1, 3, 32, 32) image through sixteen 3x3 filters: its patches, its result, and 448 parameters with a bias."""
    x, weight, bias = np.zeros((1, 3, 32, 32)), np.zeros((16, 3, 3, 3)), np.zeros(16)
    assert image_to_column(x, 3, stride, padding).shape == patches
    assert conv2d(x, weight, bias, stride=stride, padding=padding).shape == (1, 16, *result)
    assert weight.size + bias.size == 448


def test_the_published_products():
    """[[0, 1], [2, 3]] over 0...8 gives 19, 25, 37, 43, and over 1...9 gives 25, 31, 43, 49: one product each."""
    kernel = np.array([[0.0, 1, 2, 3]])
    for first, expected in ((0, [19, 25, 37, 43]), (1, [25, 31, 43, 49])):
        x = np.arange(first, first + 9, dtype=float).reshape(1, 1, 3, 3)
        assert (kernel @ image_to_column(x, 2)).tolist() == [expected]


def test_rows_are_taps_and_columns_are_windows():
    """Column 0 is the first window in the order of a kernel's values; image 1's columns follow those of image 0."""
    x = np.arange(2 * 2 * 3 * 3, dtype=float).reshape(2, 2, 3, 3)
    columns = image_to_column(x, 2)
    assert columns.shape == (8, 8)
    assert columns[:, 0].tolist() == [0, 1, 3, 4, 9, 10, 12, 13]
    assert columns[:, 3].tolist() == [4, 5, 7, 8, 13, 14, 16, 17]
    assert columns[:, 4].tolist() == [18, 19, 21, 22, 27, 28, 30, 31]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(case=cases())
def test_the_index_arrays_pick_the_patch_matrix(case):
    """`padded[k, i, j]` is the patch matrix of one image; the columns of a batch are those of its images in turn."""
    x, geometry = case
    kernel_size, stride, padding, dilation = geometry
    sides = determine_padding(kernel_size, padding, stride=stride, dilation=dilation)
    k, i, j = patch_indices(x.shape, *geometry)
    columns = image_to_column(x, *geometry)
    assert k.shape == (len(columns), 1)
    assert i.shape == j.shape == (len(columns), columns.shape[1] // len(x))
    picked = [np.pad(image, ((0, 0), *sides))[k, i, j] for image in x]
    np.testing.assert_array_equal(columns, np.concatenate(picked, axis=1))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(case=cases())
def test_the_way_back_is_the_transpose(case):
    """<column_to_image(c), x> = <c, image_to_column(x)> for integers, exactly."""
    x, geometry = case
    columns = image_to_column(x, *geometry)
    probe = np.random.default_rng(0).integers(-9, 10, columns.shape).astype(float)
    image = column_to_image(probe, x.shape, *geometry)
    assert image.shape == x.shape
    assert (image * x).sum() == (probe * columns).sum()


@settings(deadline=None, derandomize=True, max_examples=60)
@given(case=cases())
def test_both_ways_are_torchs(case):
    """Exactly torch's unfold and fold, once the images are moved to the front."""
    x, (kernel_size, stride, padding, dilation) = case
    (top, bottom), (left, right) = determine_padding(kernel_size, padding, stride=stride, dilation=dilation)
    padded = functional.pad(torch.from_numpy(x), (left, right, top, bottom))
    geometry = {"kernel_size": kernel_size, "dilation": dilation, "stride": stride}
    expected = functional.unfold(padded, **geometry)
    columns = image_to_column(x, kernel_size, stride, padding, dilation)
    np.testing.assert_array_equal(columns, expected.permute(1, 0, 2).flatten(1))
    folded = functional.fold(expected, padded.shape[2:], **geometry)[..., top : top + x.shape[2], left:]
    image = column_to_image(columns, x.shape, kernel_size, stride, padding, dilation)
    np.testing.assert_array_equal(image, folded[..., : x.shape[3]])


@settings(deadline=None, derandomize=True, max_examples=60)
@given(case=cases(), c_out=st.integers(1, 3))
def test_convolution_is_the_kernel_matrix_times_the_patch_matrix(case, c_out):
    """For integers exactly, in every grade."""
    x, geometry = case
    kernel_size, stride, padding, dilation = geometry
    weight = np.random.default_rng(0).integers(-9, 10, (c_out, x.shape[1], *kernel_size)).astype(float)
    product = weight.reshape(c_out, -1) @ image_to_column(x, *geometry)
    for grade in ("loops", "im2col", "gemm"):
        y = conv2d(x, weight, stride=stride, padding=padding, dilation=dilation, grade=grade)
        np.testing.assert_array_equal(product.reshape(c_out, len(x), *y.shape[2:]).swapaxes(0, 1), y)


def unfolded(x, kernel_size, stride, padding, dilation):
    """Torch's patch matrix in the layout of ours."""
    return functional.unfold(x, kernel_size, dilation, padding, stride).permute(1, 0, 2).flatten(1)


def test_both_ways_are_differentiable():
    """Either is linear, and the other is its vector-Jacobian product."""
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 7))
    geometry = ((3, 2), (1, 2), (1, 0), (2, 1))
    columns = np.random.default_rng(1).standard_normal(image_to_column(x, *geometry).shape)
    # A pixel's gradient is a sum of at most 3*2 numbers; so is a pixel itself, when columns are added up.
    check_finite_differences(image_to_column, (x, *geometry), roundings=0)
    check_against_torch(image_to_column, unfolded, (x, *geometry), bounds=lambda grad: [2 * 6 * 2.0**-53 * 6])
    check_manners(image_to_column, (x, *geometry))

    def magnitude(columns, *rest):
        return column_to_image(np.abs(columns), *rest)

    check_finite_differences(column_to_image, (columns, x.shape, *geometry), roundings=6, magnitude=magnitude)
    check_manners(column_to_image, (columns, x.shape, *geometry))


@pytest.mark.parametrize("kernel_size", [1, 2])
def test_no_images_have_no_patches(kernel_size):
    """An empty batch has a matrix without columns, and comes back as it was."""
    columns = image_to_column(np.zeros((0, 2, 4, 4)), kernel_size)
    assert columns.shape == (2 * kernel_size**2, 0)
    assert column_to_image(columns, (0, 2, 4, 4), kernel_size).shape == (0, 2, 4, 4)


X = np.zeros((1, 3, 8, 8))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(
            lambda: determine_padding(3, "same", stride=(1, 2)),
            r"determine_padding: padding 'same' with a stride, got stride \(1, 2\), expected \(1, 1\)",
            id="same with a stride",
        ),
        pytest.param(
            lambda: determine_padding(3, "full"),
            "determine_padding: unknown padding, got 'full', expected 'valid', 'same', an int or a pair of ints",
            id="a word",
        ),
        pytest.param(
            lambda: determine_padding((3, 0), "same"),
            r"determine_padding: unusable kernel_size, got \(3, 0\), expected an int or a pair of ints, at least 1",
            id="no taps",
        ),
        pytest.param(
            lambda: determine_padding(3, -1),
            "determine_padding: unusable padding, got -1, expected an int or a pair of ints, at least 0",
            id="negative",
        ),
        pytest.param(
            lambda: conv2d(X, np.zeros((2, 3, 3, 3)), stride=2, padding="same"),
            r"conv2d: padding 'same' with a stride, got stride \(2, 2\), expected \(1, 1\)",
            id="convolution, same with a stride",
        ),
        pytest.param(
            lambda: conv2d(X, np.zeros((2, 3, 3, 3)), padding="SAME"),
            "conv2d: unknown padding, got 'SAME', expected 'valid', 'same', an int or a pair of ints",
            id="convolution, a word",
        ),
        pytest.param(
            lambda: image_to_column(X[0], 3),
            r"image_to_column: not a batch of images, got shape \(3, 8, 8\), expected \(n, c, h, w\)",
            id="one image",
        ),
        pytest.param(
            lambda: image_to_column(X.astype(int), 3),
            "image_to_column: not a floating dtype, got int64, expected float32 or float64",
            id="integers",
        ),
        pytest.param(
            lambda: image_to_column(X, 9),
            "image_to_column: the padded image is smaller than the kernel, got 8x8, expected at least 9x9",
            id="small",
        ),
        pytest.param(
            lambda: patch_indices((3, 8, 8), 3),
            r"patch_indices: not a batch of images, got shape \(3, 8, 8\), expected \(n, c, h, w\)",
            id="indices, one image",
        ),
        pytest.param(
            lambda: patch_indices((1, 3, 8, 8), 3, 0),
            "patch_indices: unusable stride, got 0, expected an int or a pair of ints, at least 1",
            id="indices, no step",
        ),
        pytest.param(
            lambda: column_to_image(np.zeros((27, 36)), (3, 8, 8), 3),
            r"column_to_image: not a batch of images, got shape \(3, 8, 8\), expected \(n, c, h, w\)",
            id="back, one image",
        ),
        pytest.param(
            lambda: column_to_image(np.zeros((36, 27)), (1, 3, 8, 8), 3),
            r"column_to_image: wrong shape, got columns \(36, 27\), expected \(27, 36\)",
            id="back, transposed",
        ),
        pytest.param(
            lambda: column_to_image(np.zeros((27, 36), dtype=int), (1, 3, 8, 8), 3),
            "column_to_image: not a floating dtype, got int64, expected float32 or float64",
            id="back, integers",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    """One line says what is wrong, what was given and what is needed; a second one helps."""
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        call()
    assert [note[:6] for note in caught.value.__notes__] == ["help: "]
