"""The vector-Jacobian products of convolution, pooling, the linear map and flattening."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional
from vjp_kit import (
    check_against_torch,
    check_finite_differences,
    check_manners,
    gamma,
    gradients_by_torch,
    sums_of_terms,
)

from layerdiff.handwritten.geometry import Window, padding_sides
from layerdiff.handwritten.numpy_ops import (
    _columns,
    adaptive_avg_pool2d,
    avg_pool2d,
    conv2d,
    flatten,
    linear,
    max_pool2d,
    relu,
)
from layerdiff.handwritten.tape import Tape

GRADES = ("loops", "im2col", "gemm", "taps")

small = st.tuples(st.integers(1, 3), st.integers(1, 3))
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


def of_absolute_values(op):
    """`op` of absolute arguments: a bound of its sums of absolute terms, where it sums products of its arguments."""

    def magnitude(*arguments, **options):
        return op(*(np.abs(value) if isinstance(value, np.ndarray) else value for value in arguments), **options)

    return magnitude


@st.composite
def convolutions(draw):
    """Tensors and geometry, the image at least as large as the kernel; its windows need not reach its edge."""
    kernel_size, dilation = draw(small), draw(small)
    padding = draw(st.sampled_from(["same", "valid"]) | st.tuples(st.integers(0, 3), st.integers(0, 2)))
    stride = (1, 1) if padding == "same" else draw(small)
    groups = draw(st.integers(1, 3))
    sides = padding_sides("here", kernel_size, padding, dilation=dilation)
    span = Window(kernel_size, dilation=dilation).span
    h, w = (max(1, span[axis] - sum(sides[axis])) + draw(st.integers(0, 4)) for axis in (0, 1))
    c_in, c_out = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    x = generator.standard_normal((draw(st.integers(1, 3)), groups * c_in, h, w))
    weight = generator.standard_normal((groups * c_out, c_in, *kernel_size))
    bias = (generator.standard_normal(groups * c_out),) if draw(st.booleans()) else ()
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (x, weight, *bias), options


# torch warns that "same" with an even kernel copies the image.
same_may_copy = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")


@same_may_copy
@settings(deadline=None, derandomize=True, max_examples=100)
@given(case=convolutions())
def test_convolution_goes_back_as_torchs(case, assert_within, conv_bound):
    """For every geometry, "same" and "valid" included, the result and all gradients are torch's but for rounding."""
    arguments, options = case
    weight = arguments[1]
    y = conv2d(*arguments, **options)
    bias = arguments[2] if len(arguments) == 3 else None
    expected = functional.conv2d(*(torch.from_numpy(tensor) for tensor in arguments), **options)
    assert_within(y, expected, conv_bound(arguments[0], weight, bias, **options))
    # A pixel's gradient sums over kernels and taps, a tap's and a bias's over images and windows.
    terms = max(len(weight) * weight[0, 0].size, y[:, 0].size)
    bounds = sums_of_terms(functional.conv2d, terms, arguments, options)
    check_against_torch(conv2d, functional.conv2d, arguments, options, bounds=bounds)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(case=convolutions(), grade=st.sampled_from(GRADES))
def test_convolution_has_the_slopes_of_its_product_in_every_grade(case, grade):
    """The way back is right for loops, patches, gemm and taps."""
    arguments, options = case
    check_finite_differences(
        conv2d,
        arguments,
        options | {"grade": grade},
        roundings=arguments[1][0].size + 1,
        magnitude=of_absolute_values(conv2d),
    )


def integers(generator, *shape):
    """Small ones, so that no sum of their products is rounded."""
    return generator.integers(-9, 10, shape).astype(float)


@pytest.mark.parametrize("patch_values", [1, 800, 2**19])
@pytest.mark.parametrize("groups", [1, 2])
def test_images_are_taken_in_any_number_at_a_time(patch_values, groups, monkeypatch):
    """However many images' patches are held at once, result and gradients are the same: for integers exactly torch's.

    An image's patches here are 24*15 values, so the cases are one image at a time, two with one left over, and all.
    """
    monkeypatch.setattr(_columns, "PATCH_VALUES", patch_values)
    generator = np.random.default_rng(0)
    x, weight, bias = integers(generator, 7, 4, 5, 6), integers(generator, 6, 4 // groups, 3, 2), integers(generator, 6)
    options = {"stride": (2, 1), "padding": (1, 0), "groups": groups}
    with Tape() as tape:
        y = conv2d(x, weight, bias, **options)
    grad = integers(generator, *y.shape)
    tensors = [torch.from_numpy(array).requires_grad_() for array in (x, weight, bias)]
    expected = functional.conv2d(*tensors, **options)
    np.testing.assert_array_equal(y, expected.detach())
    gradients = torch.autograd.grad(expected, tensors, torch.from_numpy(grad))
    for ours, theirs in zip(tape.gradients(y, [x, weight, bias], grad), gradients, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_how_many_images_are_taken_at_a_time():
    """As many as fit, at least one; none is left out or taken twice."""
    fits = _columns.PATCH_VALUES
    assert [(run.start, run.stop) for run in _columns.batches(3, 2 * fits)] == [(0, 1), (1, 2), (2, 3)]
    assert [(run.start, run.stop) for run in _columns.batches(5, fits // 2)] == [(0, 2), (2, 4), (4, 5)]
    assert [(run.start, run.stop) for run in _columns.batches(5, 1)] == [(0, 5)]
    assert list(_columns.batches(0, 1)) == []


def test_a_convolution_of_no_images_goes_back_to_no_images():
    """An empty batch: no gradient for the image, zeros for weight and bias."""
    x, weight, bias = np.zeros((0, 2, 5, 5)), np.ones((4, 2, 3, 3)), np.ones(4)
    with Tape() as tape:
        y = conv2d(x, weight, bias)
    grad_x, grad_weight, grad_bias = tape.gradients(y, [x, weight, bias], np.zeros_like(y))
    assert grad_x.shape == x.shape
    assert not grad_weight.any()
    assert not grad_bias.any()


@st.composite
def poolings(draw, *, dilated):
    """A pooling's options and the shape of an image at least as large as its window."""
    kernel_size, stride = draw(pairs), draw(st.none() | pairs)
    dilation = draw(small) if dilated else (1, 1)
    span = Window(kernel_size, dilation=dilation).span
    padding = tuple(draw(st.integers(0, size // 2)) for size in kernel_size)
    shape = 2, 2, *(max(1, span[axis] - 2 * padding[axis]) + draw(st.integers(0, 5)) for axis in (0, 1))
    options = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "ceil_mode": draw(st.booleans())}
    return options | ({"dilation": dilation} if dilated else {}), shape


def one_gives_to_each(x, options):
    """A bound for max pooling: a pixel's gradient is a sum of at most one number for each tap, no products."""
    terms = np.prod(options["kernel_size"])

    def bounds(covector):
        (sums,) = gradients_by_torch(functional.max_pool2d, (x,), options, np.abs(covector))
        return [2 * gamma(terms + 1) * sums]

    return bounds


def every_window_sees_the_image(options, shape):
    """A dilated window may see nothing but padding: there torch writes its gradient to a place outside the image."""
    return np.isfinite(max_pool2d(np.zeros(shape), **options)).all()


@settings(deadline=None, derandomize=True, max_examples=100)
@given(case=poolings(dilated=True), seed=st.integers(0, 99))
def test_max_pool_gives_to_the_largest(case, seed):
    """Overlap, padding, dilation and ceil mode: values all apart, so that a step changes no maximum."""
    options, shape = case
    x = (np.random.default_rng(seed).permutation(np.prod(shape)) / 8).reshape(shape)
    assume(every_window_sees_the_image(options, shape))
    check_finite_differences(max_pool2d, (x,), options, roundings=0)
    check_against_torch(max_pool2d, functional.max_pool2d, (x,), options, bounds=one_gives_to_each(x, options))


@settings(deadline=None, derandomize=True, max_examples=150)
@given(
    case=poolings(dilated=True),
    seed=st.integers(0, 99),
    values=st.sampled_from([(0,), (0, 0, 1, 2), (0, 1, np.nan), (-np.inf, 0), (-np.inf,), (np.nan,), (np.inf, np.nan)]),
)
def test_equal_largest_values_nan_and_infinities_are_resolved_as_torch_resolves_them(case, seed, values):
    """The first of equal values takes the gradient, the last of several NaN, and never the padding."""
    options, shape = case
    x = np.random.default_rng(seed).choice(np.array(values, dtype=float), shape)
    assume(every_window_sees_the_image(options, shape))
    check_against_torch(max_pool2d, functional.max_pool2d, (x,), options, bounds=one_gives_to_each(x, options))


def test_a_window_of_nothing_but_padding_gives_to_no_pixel():
    """Two taps three rows apart over two rows, padded by one on either side: the first window lies outside."""
    x = np.zeros((1, 1, 2, 4))
    with Tape() as tape:
        y = max_pool2d(x, (2, 1), 1, (1, 0), (3, 1))
    assert np.isneginf(y).all()
    (gradient,) = tape.gradients(y, [x], np.ones_like(y))
    assert not gradient.any()


def test_convolution_rectifier_and_max_pool_in_a_row_are_torchs():
    """Zeros behind a rectifier tie in most windows; for integers the gradients are exactly torch's all the way back."""
    generator = np.random.default_rng(0)
    x, weight, bias = integers(generator, 3, 2, 9, 7), integers(generator, 4, 2, 3, 3), integers(generator, 4) - 150
    with Tape() as tape:
        y = max_pool2d(relu(conv2d(x, weight, bias, padding="same")), 3, 2, 1)
    assert (y == 0).mean() > 0.1
    assert (y > 0).mean() > 0.1
    grad = integers(generator, *y.shape)
    tensors = [torch.from_numpy(array).requires_grad_() for array in (x, weight, bias)]
    expected = functional.max_pool2d(functional.relu(functional.conv2d(*tensors, padding="same")), 3, 2, 1)
    gradients = torch.autograd.grad(expected, tensors, torch.from_numpy(grad))
    for ours, theirs in zip(tape.gradients(y, [x, weight, bias], grad), gradients, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(case=poolings(dilated=False), count_include_pad=st.booleans(), divisor=st.sampled_from([None, 1, 3, -2]))
def test_avg_pool_gives_shares(case, count_include_pad, divisor):
    """Padding counted or not, windows over the edge, a divisor of one's own: every pixel gets what it contributed."""
    options, shape = case
    options |= {"count_include_pad": count_include_pad, "divisor_override": divisor}
    arguments = (np.random.default_rng(0).standard_normal(shape),)
    terms = np.prod(options["kernel_size"])
    check_finite_differences(
        avg_pool2d, arguments, options, roundings=terms + 1, magnitude=of_absolute_values(avg_pool2d)
    )
    bounds = sums_of_terms(functional.avg_pool2d, terms, arguments, options)
    check_against_torch(avg_pool2d, functional.avg_pool2d, arguments, options, bounds=bounds)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(size=st.tuples(*[st.integers(1, 9)] * 2), output_size=st.integers(1, 5) | st.tuples(*[st.integers(1, 12)] * 2))
def test_adaptive_avg_pool_gives_shares(size, output_size):
    """Any size to any size, up and down, with windows that overlap."""
    arguments, options = (np.random.default_rng(0).standard_normal((2, 2, *size)),), {"output_size": output_size}
    magnitude = of_absolute_values(adaptive_avg_pool2d)
    # A value is a mean of means: all additions of a window's rows and columns, and two divisions.
    check_finite_differences(adaptive_avg_pool2d, arguments, options, roundings=sum(size) + 2, magnitude=magnitude)
    # A pixel adds the shares of all windows at most, or of all columns of windows and then of all rows, divided twice.
    windows = np.broadcast_to(output_size, 2)
    terms = windows.prod() + windows.sum() + 1
    bounds = sums_of_terms(functional.adaptive_avg_pool2d, terms, arguments, options)
    check_against_torch(adaptive_avg_pool2d, functional.adaptive_avg_pool2d, arguments, options, bounds=bounds)


@pytest.mark.parametrize("leading", [(), (4,), (2, 3), (2, 1, 3), (0,)], ids=str)
@pytest.mark.parametrize("biased", [False, True])
def test_linear_goes_back_over_any_leading_axes(leading, biased):
    """One vector, a batch, a batch of sequences, nothing: every gradient is torch's and the slope of its product."""
    generator = np.random.default_rng(0)
    arguments = [generator.standard_normal(shape) for shape in ((*leading, 5), (3, 5), (3,))][: 2 + biased]
    magnitude = of_absolute_values(linear)
    check_finite_differences(linear, arguments, roundings=5 + 1, magnitude=magnitude)
    # A row's gradient sums over 3 features, a weight's and a bias's over all rows.
    bounds = sums_of_terms(functional.linear, max(3, np.prod(leading)), arguments)
    check_against_torch(linear, functional.linear, arguments, bounds=bounds)


@pytest.mark.parametrize("axes", [(), (0,), (-2,), (1, 2), (2, 2)], ids=str)
def test_flatten_goes_back_to_the_shape_it_came_from(axes):
    """Nothing is computed, so the gradients are equal to torch's, bit for bit."""
    arguments = (np.random.default_rng(0).standard_normal((2, 3, 4, 5)), *axes)

    def from_the_channels(x, start_dim=1, end_dim=-1):
        return torch.flatten(x, start_dim, end_dim)

    check_against_torch(flatten, from_the_channels, arguments, bounds=lambda covector: [0])


@pytest.mark.parametrize(
    ("op", "arguments", "options"),
    [
        pytest.param(conv2d, [(2, 4, 7, 5), (6, 2, 3, 2), (6,)], {"stride": 2, "padding": 1, "groups": 2}, id="conv2d"),
        pytest.param(conv2d, [(2, 4, 7, 5), (6, 4, 1, 1)], {}, id="conv2d 1x1"),
        pytest.param(conv2d, [(2, 4, 7, 5), (6, 4, 3, 2), (6,)], {"grade": "loops"}, id="conv2d loops"),
        pytest.param(max_pool2d, [(2, 4, 7, 5)], {"kernel_size": 3, "stride": 2, "padding": 1}, id="max_pool2d"),
        pytest.param(avg_pool2d, [(2, 4, 7, 5)], {"kernel_size": 3, "stride": 2, "padding": 1}, id="avg_pool2d"),
        pytest.param(avg_pool2d, [(2, 4, 7, 5)], {"kernel_size": 2, "divisor_override": 3}, id="avg_pool2d divisor"),
        pytest.param(adaptive_avg_pool2d, [(2, 4, 7, 5)], {"output_size": 2}, id="adaptive_avg_pool2d"),
        pytest.param(linear, [(2, 4, 5), (3, 5), (3,)], {}, id="linear"),
        pytest.param(flatten, [(2, 4, 7, 5)], {}, id="flatten"),
    ],
)
def test_going_back_keeps_the_dtype_and_its_arguments(op, arguments, options):
    """In float32 nothing is widened, and nothing that was given is written to."""
    generator = np.random.default_rng(0)
    check_manners(op, [generator.standard_normal(shape) for shape in arguments], options)


def test_a_gradient_of_any_strides_goes_back():
    """A gradient that is a transposed view gives what its contiguous copy gives."""
    generator = np.random.default_rng(0)
    x, weight = integers(generator, 2, 3, 6, 5), integers(generator, 4, 3, 3, 2)
    rows, matrix = integers(generator, 2, 4, 3), integers(generator, 5, 3)
    cases = (
        (conv2d, (x, weight), {"padding": 1}),
        (max_pool2d, (x,), {"kernel_size": 2}),
        (avg_pool2d, (x,), {"kernel_size": 2}),
        (adaptive_avg_pool2d, (x,), {"output_size": 2}),
        (linear, (rows, matrix), {}),
        (flatten, (x,), {"start_dim": 2}),
    )
    for op, arguments, options in cases:
        with Tape() as tape:
            y = op(*arguments, **options)
        grad = integers(generator, *y.shape[::-1]).transpose()
        views = tape.gradients(y, arguments, grad)
        copies = tape.gradients(y, arguments, np.ascontiguousarray(grad))
        for view, copy in zip(views, copies, strict=True):
            np.testing.assert_array_equal(view, copy)
