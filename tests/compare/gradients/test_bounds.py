"""The allowances of gradients: right implementations differ by less, wrong ones by far more."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from layerdiff.compare.capture import capture
from layerdiff.compare.gradients.bound import alike
from layerdiff.compare.gradients.bounds import allowed
from layerdiff.compare.trace import Op
from layerdiff.handwritten import numpy_layers as twins
from layerdiff.handwritten.numpy_ops.cross_entropy import cross_entropy_vjp

# One implementation has half of what two may lie apart by, and is to need no more than this of it: see the docstrings
# of `bound` and `bounds_norm` for what was measured.
MARGIN = 1.25
SHARE = 0.5 / MARGIN


def operation(module, x):
    """The last operation of a torch module, captured, and the inputs that it is given."""
    trace = capture(module, x, keep=True)
    op = trace.ops[-1]
    inputs = [x if layer == "input" else trace.values[layer] for layer in op.inputs]
    return op, inputs


def filled(module, seed, scale=1.0):
    """A torch module with parameters drawn from a seed, running variances positive."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, array in module.state_dict().items():
            if array.is_floating_point():
                array.normal_(0, scale, generator=generator)
                if name.endswith("running_var"):
                    array.abs_().add_(0.01)
    return module.requires_grad_(False)


def by_torch(op, inputs, covector):
    """The gradients of torch: of the first input, and by role."""
    pulled = op.pull(inputs, covector)
    roles = {key: role for role, key in op.keys.items()}
    return pulled.inputs[0], {roles[name]: array for name, array in pulled.parameters.items()}


def by_twin(twin, inputs, covector, parameters):
    """The gradients of the handwritten layer, in the dtype of the covector."""
    layer = twin.astype(covector.dtype)
    for name, array in parameters.items():
        layer.arrays[name] = array.astype(covector.dtype)
    gradients, named = layer.vjp(inputs, covector)
    return gradients[0], named


def shares(found, truth, bound):
    """The largest error of any gradient in units of what two implementations are allowed, by gradient."""
    worst = {}
    of_input, of_parameters = found
    pairs = {"input": (of_input, truth[0], bound.inputs[0])}
    pairs |= {role: (of_parameters[role], truth[1][role], bound.parameters[role]) for role in truth[1]}
    for name, (got, want, allowance) in pairs.items():
        limit = np.broadcast_to(allowance, got.shape)
        error = np.abs(got.astype(np.longdouble) - want)
        assert np.isfinite(limit).all()
        assert (error[limit == 0] == 0).all(), f"{name}: not exact where nothing is allowed"
        worst[name] = float(np.max(np.divide(error, limit, out=np.zeros_like(error), where=limit > 0), initial=0))
    return worst


def measured(module, twin, x, dtype, *, seed=0, covector=None):
    """How much of what is allowed torch and the handwritten layer err by, beside the layer in long double."""
    op, inputs = operation(module, x)
    rng = np.random.default_rng(seed)
    # In float64 all the digits of float64.
    inputs = [array.astype(dtype) * dtype(1 + rng.random() / 8) for array in inputs]
    shape = op.run(*inputs).shape
    g = (rng.standard_normal(shape) if covector is None else covector(shape)).astype(dtype)
    bound = allowed(op, inputs, g)
    assert set(bound.parameters) == {"weight", "bias"} & set(op.parameters)
    wide = [array.astype(np.longdouble) for array in inputs]
    truth = by_twin(twin, wide, g.astype(np.longdouble), op.parameters)
    return {
        "torch": shares(by_torch(op, inputs, g), truth, bound),
        "numpy": shares(by_twin(twin, inputs, g, op.parameters), truth, bound),
    }


def fits(found, share=SHARE):
    """Whether every implementation keeps the margin."""
    return all(used <= share for one in found.values() for used in one.values())


def real(shape, seed=0):
    """What leaves a ReLU: about half of it exact zeros."""
    return np.maximum(np.random.default_rng(seed).standard_normal(shape), 0).astype(np.float32)


def dense(shape, seed=0):
    """No zero anywhere."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


PROBES = pytest.mark.parametrize("probe", [real, dense])
PRECISIONS = pytest.mark.parametrize("dtype", [np.float32, np.float64])

CONVOLUTIONS = [
    ((3, 8, 7), {"stride": 2, "padding": 3}, (2, 19, 17)),
    ((6, 4, 3), {"padding": 1}, (3, 9, 8)),
    ((6, 4, 3), {"padding": "valid", "dilation": 2, "stride": (2, 3)}, (2, 13, 12)),
    ((4, 6, (3, 5)), {"padding": "same", "groups": 2}, (2, 7, 9)),
    ((4, 4, 3), {"padding": "same", "dilation": 2, "groups": 4}, (2, 9, 9)),
    ((16, 12, 1), {"stride": 2, "bias": False}, (2, 8, 8)),
    ((1, 1, 1), {}, (1, 1, 1)),
    ((4, 5, (2, 4)), {"padding": "same"}, (1, 6, 7)),
]


@PROBES
@PRECISIONS
@pytest.mark.parametrize(("sizes", "settings", "map_size"), CONVOLUTIONS, ids=range(len(CONVOLUTIONS)))
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_no_convolution_gradient_errs_by_more_than_its_half(sizes, settings, map_size, dtype, probe):
    """Torch's and the handwritten gradients of a convolution keep the margin, with exact zeros and without."""
    n, h, w = map_size
    module = filled(nn.Conv2d(*sizes, **settings), 1)

    assert fits(measured(module, twins.Conv2d(*sizes, **settings), probe((n, sizes[0], h, w)), dtype))


@PROBES
@PRECISIONS
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 30, 11), (64, 300, 2), (2, 5, 700)], ids=str)
def test_no_linear_gradient_errs_by_more_than_its_half(shape, dtype, probe):
    """Torch's and the handwritten gradients of a linear layer keep the margin."""
    rows, features, outputs = shape
    module = nn.Sequential(nn.Flatten(), filled(nn.Linear(features, outputs), 2))

    assert fits(measured(module, twins.Linear(features, outputs), probe((rows, features, 1, 1)), dtype))


@PRECISIONS
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("centre", [0, 300])
@pytest.mark.parametrize("spread", [0.01, 1, 100])
def test_no_eval_batch_norm_gradient_errs_by_more_than_its_half(spread, centre, affine, dtype):
    """Torch's and the handwritten gradients of a batch norm in eval mode keep the margin."""
    module = filled(nn.BatchNorm2d(5, affine=affine), 3).eval()
    module.running_mean += centre
    module.running_var *= spread**2

    assert fits(measured(module, twins.BatchNorm2d(5, affine=affine), dense((3, 5, 9, 7)) + centre, dtype))


@PRECISIONS
@pytest.mark.parametrize(
    ("layer", "settings"),
    [
        ("MaxPool2d", {"kernel_size": 2}),
        ("MaxPool2d", {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("MaxPool2d", {"kernel_size": 3, "stride": 1, "ceil_mode": True}),
        ("MaxPool2d", {"kernel_size": 2, "stride": 1, "dilation": 2}),
        ("AvgPool2d", {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("AvgPool2d", {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": False}),
        ("AvgPool2d", {"kernel_size": (2, 3), "stride": 2, "ceil_mode": True}),
        ("AvgPool2d", {"kernel_size": 3, "divisor_override": -5}),
        ("AdaptiveAvgPool2d", {"output_size": 1}),
        ("AdaptiveAvgPool2d", {"output_size": (5, 3)}),
        ("AdaptiveAvgPool2d", {"output_size": (17, 20)}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(f"{one}" for one in value.values()),
)
@PROBES
def test_no_pooling_gradient_errs_by_more_than_its_half(layer, settings, dtype, probe):
    """Torch's and the handwritten gradients of a pooling keep the margin; a maximum's are exact without overlap."""
    module, twin = getattr(nn, layer)(**settings), getattr(twins, layer)(**settings)

    assert fits(measured(module, twin, probe((2, 3, 14, 11)), dtype))


@PRECISIONS
@pytest.mark.parametrize(
    ("layer", "settings"),
    [
        ("ReLU", {}),
        ("LeakyReLU", {"negative_slope": 0.3}),
        ("ELU", {"alpha": 0.7}),
        ("SELU", {}),
        ("Sigmoid", {}),
        ("Tanh", {}),
        ("Softmax", {"dim": 1}),
        ("LogSoftmax", {"dim": 1}),
        ("Flatten", {}),
    ],
)
@pytest.mark.parametrize("scale", [1, 30])
def test_no_activation_gradient_errs_by_more_than_its_half(layer, settings, scale, dtype):
    """Torch's and the handwritten gradients of the activations are within half the allowance, also saturated.

    Their roundings are counted: a bound that needs no margin.
    """
    module, twin = getattr(nn, layer)(**settings), getattr(twins, layer)(**settings)

    assert fits(measured(module, twin, dense((3, 70, 5, 4)) * np.float32(scale), dtype), 0.5)


def six_equations(x, gamma, eps, g):
    """The gradients of x and weight of a batch norm, by the chain rule as it is printed; sums one after the other."""
    n = np.asarray(x.size // x.shape[1], x.dtype)

    def total(array):
        return np.add.accumulate(array.swapaxes(0, 1).reshape(x.shape[1], -1), axis=1)[:, -1].reshape(1, -1, 1, 1)

    centred = x - total(x) / n
    var = total(centred * centred) / n
    deviation = np.sqrt(var + x.dtype.type(eps))
    hat = centred / deviation
    of_hat = g * gamma.reshape(1, -1, 1, 1)
    of_var = total(of_hat * centred) * x.dtype.type(-0.5) / (deviation * deviation * deviation)
    of_mean = total(of_hat * -(1 / deviation)) + of_var * total(-2 * centred) / n
    return of_hat / deviation + of_var * 2 * centred / n + of_mean / n, {"weight": total(g * hat).reshape(-1)}


def by_composition(x, gamma, eps, g):
    """The same by torch's autograd through a batch norm written in means and variances."""
    leaf, weight = (torch.from_numpy(array.copy()).requires_grad_() for array in (x, gamma))
    mean, var = leaf.mean((0, 2, 3), keepdim=True), leaf.var((0, 2, 3), unbiased=False, keepdim=True)
    y = (leaf - mean) / torch.sqrt(var + eps) * weight.view(1, -1, 1, 1)
    gradients = torch.autograd.grad(y, (leaf, weight), torch.from_numpy(g))
    return gradients[0].numpy(), {"weight": gradients[1].numpy()}


def normalised(shape, centre, dtype, *, scale=1.0, seed=0):
    """What four implementations of a batch norm by the batch's own statistics err by, as `measured`."""
    module = filled(nn.BatchNorm2d(shape[1]), seed).train()
    x = (dense(shape, seed) * np.float32(scale) + np.float32(centre)).astype(np.float32)
    op, _ = operation(module, x)
    rng = np.random.default_rng(seed + 1)
    x = x.astype(dtype) + (rng.standard_normal(shape) * scale / 8).astype(dtype)
    g = rng.standard_normal(shape).astype(dtype)
    twin = twins.BatchNorm2d(shape[1])
    twin.training = True
    bound = allowed(op, [x], g)
    truth = by_twin(twin, [x.astype(np.longdouble)], g.astype(np.longdouble), op.parameters)
    without_bias = truth[0], {"weight": truth[1]["weight"]}
    gamma = op.parameters["weight"].astype(dtype)
    return {
        "torch": shares(by_torch(op, [x], g), truth, bound),
        "numpy": shares(by_twin(twin, [x], g, op.parameters), truth, bound),
        "six": shares(six_equations(x, gamma, 1e-5, g), without_bias, bound),
        "composed": shares(by_composition(x, gamma, 1e-5, g), without_bias, bound),
    }


@PRECISIONS
@pytest.mark.parametrize("centre", [0, 3, 100, 10_000])
@pytest.mark.parametrize("shape", [(2, 40, 1, 1), (1, 40, 3, 1), (4, 8, 5, 7), (16, 2, 28, 28)], ids=str)
def test_no_batch_norm_gradient_in_training_errs_by_more_than_its_half(shape, centre, dtype):
    """Four right implementations keep the margin, from two values in a channel to thousands, badly centred or not."""
    assert fits(normalised(shape, centre, dtype))


@PRECISIONS
@pytest.mark.parametrize("spread", [1e-3, 100])
def test_a_batch_norm_in_training_fits_whatever_its_deviation(spread, dtype):
    """With a deviation below the root of eps, and with a large one, four right implementations keep the margin."""
    assert fits(normalised((4, 8, 5, 7), spread, dtype, scale=spread))


def test_the_largest_maps_fit_in_single_precision():
    """A batch norm over 16 maps of 56x56, whose mean is a thousand deviations away, keeps the margin in float32."""
    assert fits(normalised((16, 1, 56, 56), 1000, np.float32))


def test_a_constant_channel_is_allowed_what_its_mean_may_err_by():
    """Where the variance is zero, eps keeps the allowance finite, and the four implementations are within it."""
    assert fits(normalised((4, 3, 5, 5), 0.1, np.float32, scale=0.0))


def equal(shape):
    """A covector of one value, which no binary fraction is."""
    return np.full(shape, 0.1)


@PRECISIONS
@pytest.mark.parametrize(
    ("module", "twin", "shape"),
    [
        (nn.Conv2d(1, 1, 1), twins.Conv2d(1, 1, 1), (16, 1, 56, 56)),
        (nn.Sequential(nn.Flatten(), nn.Linear(3, 2)), twins.Linear(3, 2), (20_000, 3, 1, 1)),
        (nn.BatchNorm2d(1).eval(), twins.BatchNorm2d(1), (16, 1, 56, 56)),
    ],
    ids=["conv2d", "linear", "batch_norm"],
)
def test_equal_terms_that_are_all_rounded_the_same_way_fit(module, twin, shape, dtype):
    """A covector whose values are all equal, as behind an average pooling, keeps the margin in tens of thousands."""
    assert fits(measured(filled(module, 1), twin, dense(shape), dtype, covector=equal))


def test_most_frequent_values_are_counted_by_channel_and_without_zeros():
    """`alike` counts the most frequent value but zero of each channel."""
    one = [[0.0, 0.0, 0.0, 2.0, 2.0], [1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 0.0, 0.0, 0.0, 0.0]]
    other = [[2.0, 3.0, 3.0, -2.0, 0.0], [5.0, 5.0, 5.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0]]

    np.testing.assert_array_equal(alike(np.array([one, other])), [3, 4, 1])


def loss(reduction, smoothing):
    """A cross-entropy as an operation."""
    attributes = {"reduction": reduction, "label_smoothing": smoothing}
    return made("cross_entropy", attributes)


def made(kind, attributes=None, parameters=None):
    """An operation of which only what `allowed` looks at is there."""
    return Op("layer", "layer", kind, ("input",), attributes or {}, parameters or {}, (), "float64")


@PRECISIONS
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("scale", [1, 30])
def test_no_cross_entropy_gradient_errs_by_more_than_its_half(scale, smoothing, reduction, dtype):
    """Torch's and the handwritten gradients of the logits are within half the allowance; labels have none."""
    rng = np.random.default_rng(0)
    logits, labels = (rng.standard_normal((40, 70)) * scale).astype(dtype), rng.integers(0, 70, 40)
    settings = {"reduction": reduction, "label_smoothing": smoothing}
    g = np.asarray(rng.standard_normal(40 if reduction == "none" else ()), dtype)
    bound = allowed(loss(reduction, smoothing), [logits, labels], g)

    leaf = torch.tensor(logits, requires_grad=True)
    value = functional.cross_entropy(leaf, torch.from_numpy(labels), **settings)
    (by_torch_,) = torch.autograd.grad(value, leaf, torch.from_numpy(g))
    wide = g.astype(np.longdouble), None, logits.astype(np.longdouble), labels
    (truth,) = cross_entropy_vjp(*wide, **settings)

    assert bound.inputs[1] is None
    assert (np.abs(by_torch_.numpy() - truth) <= bound.inputs[0] / 2).all()
    assert (np.abs(cross_entropy_vjp(g, None, logits, labels, **settings)[0] - truth) <= bound.inputs[0] / 2).all()
    assert bound.inputs[0].max() < 1e4 * np.finfo(dtype).eps * max(1, np.abs(g).max())


@PRECISIONS
def test_no_sum_or_product_of_broadcast_inputs_errs_by_more_than_its_half(dtype):
    """Where an input is broadcast its gradient is a sum; torch's is within the margin, and else exact."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((3, 5, 40)).astype(dtype), rng.standard_normal((5, 1)).astype(dtype)
    g = rng.standard_normal((3, 5, 40)).astype(dtype)
    for kind, function in (("add", torch.add), ("sub", torch.sub), ("mul", torch.mul)):
        bound = allowed(made(kind), [a, b], g)
        leaves = [torch.tensor(array, requires_grad=True) for array in (a, b)]
        wide = [torch.tensor(array.astype(np.float64), requires_grad=True) for array in (a, b)]
        found = torch.autograd.grad(function(*leaves), leaves, torch.from_numpy(g))
        if dtype == np.float32:
            truth = torch.autograd.grad(function(*wide), wide, torch.from_numpy(g.astype(np.float64)))
            for got, want, limit in zip(found, truth, bound.inputs, strict=True):
                assert (np.abs(got.numpy() - want.numpy()) <= SHARE * limit).all()
        assert (bound.inputs[0].max() == 0) == (kind != "mul")
        assert bound.inputs[1].shape == b.shape
        assert 0 < bound.inputs[1].max() < 1e5 * np.finfo(dtype).eps


@pytest.mark.parametrize("dim", [1, (2, 3), None, [-1]], ids=str)
@pytest.mark.parametrize("keepdim", [True, False])
def test_no_mean_gradient_errs_by_more_than_its_half(dim, keepdim):
    """A mean's gradient in float32, by torch, is within the margin of the quotient in float64."""
    x = dense((2, 3, 7, 11))
    leaf = torch.tensor(x, requires_grad=True)
    y = leaf.mean(dim, keepdim=keepdim)
    g = dense(tuple(y.shape), 1)
    (found,) = torch.autograd.grad(y, leaf, torch.from_numpy(g))
    apart = torch.from_numpy(x).mean(dim, keepdim=True).shape

    (limit,) = allowed(made("mean", {"dim": dim, "keepdim": keepdim}), [x], g).inputs

    truth = g.astype(np.float64).reshape(apart) / (x.size / g.size)
    assert (np.abs(found.numpy() - truth) <= SHARE * np.broadcast_to(limit, x.shape)).all()
    assert limit.max() < 1e-6


def excess(found, truth, limit):
    """By how many times the largest difference is beyond what is allowed; infinite where nothing is."""
    error = np.abs(found - truth)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nanmax(error / np.broadcast_to(limit, error.shape))


def test_one_term_of_a_sum_that_is_off_by_a_thousandth_is_far_beyond():
    """In float64 a thousandth of one of 36 products is a million times what is allowed, in every gradient."""
    module = filled(nn.Conv2d(4, 4, 3, padding=1), 1)
    x = dense((2, 4, 6, 5))
    op, _ = operation(module, x)
    x, g = x.astype(np.float64), np.random.default_rng(1).standard_normal((2, 4, 6, 5))
    bound = allowed(op, [x], g)
    twin = twins.Conv2d(4, 4, 3, padding=1)
    truth = by_twin(twin, [x], g, op.parameters)

    weight, pixel = op.parameters["weight"].astype(np.float64), x.copy()
    weight[0, 0, 0, 0] *= 1.001
    pixel[0, 0, 3, 3] *= 1.001
    of_input = by_twin(twin, [x], g, {**op.parameters, "weight": weight})[0]
    of_weight = by_twin(twin, [pixel], g, op.parameters)[1]["weight"]
    of_bias = truth[1]["bias"] + 0.001 * g[0, :, 0, 0]

    assert excess(of_input, truth[0], bound.inputs[0]) > 1e6
    assert excess(of_weight, truth[1]["weight"], bound.parameters["weight"]) > 1e6
    assert excess(of_bias, truth[1]["bias"], bound.parameters["bias"]) > 1e6


@pytest.mark.parametrize(("sizes", "settings", "map_size"), CONVOLUTIONS, ids=range(len(CONVOLUTIONS)))
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_a_pixel_to_which_nothing_flows_is_allowed_nothing(sizes, settings, map_size):
    """Where no product reaches a pixel or a tap its gradient is zero, and only underflow is allowed: no crop is off."""
    n, h, w = map_size
    x = dense((n, sizes[0], h, w))
    op, _ = operation(filled(nn.Conv2d(*sizes, **settings), 1), x)
    x, g = x.astype(np.float64), np.zeros(op.shape)
    g[0, 0, 0, -1] = 1
    bound, truth = allowed(op, [x], g), by_torch(op, [x], g)

    np.testing.assert_array_equal(bound.inputs[0] > 1e-200, truth[0] != 0)
    np.testing.assert_array_equal(bound.parameters["weight"] > 1e-200, truth[1]["weight"] != 0)


def wrong_batch_norm(x, gamma, eps, g, *, slip):
    """The gradient of x of a batch norm by the batch, with one thing wrong, or nothing."""
    axes, n = (0, 2, 3), x.size // x.shape[1]
    centred = x - x.mean(axes, keepdims=True)
    var = (centred * centred).sum(axes, keepdims=True) / (n - 1 if slip == "unbiased variance" else n)
    inverse = 1 / np.sqrt(var + eps)
    hat = centred * inverse
    average = 0 if slip == "no mean of g" else g.mean(axes, keepdims=True)
    along = 0 if slip == "no mean of g·x̂" else (g * hat).mean(axes, keepdims=True)
    return gamma.reshape(1, -1, 1, 1) * inverse * (g - average - hat * along)


@pytest.mark.parametrize("centre", [0, 1000])
@pytest.mark.parametrize("slip", ["no mean of g", "no mean of g·x̂", "unbiased variance"])
@pytest.mark.parametrize("shape", [(2, 3, 2, 1), (8, 3, 14, 14)], ids=str)
def test_a_slip_in_the_backward_of_a_batch_norm_is_far_beyond(shape, slip, centre):
    """A lost mean or an unbiased variance is ten thousand times what is allowed, in float64, badly centred too."""
    module = filled(nn.BatchNorm2d(3), 1).train()
    x = dense(shape) + np.float32(centre)
    op, _ = operation(module, x)
    x, g = x.astype(np.float64), np.random.default_rng(2).standard_normal(shape)
    gamma = op.parameters["weight"].astype(np.float64)
    truth, _ = by_torch(op, [x], g)
    (limit,) = allowed(op, [x], g).inputs

    assert excess(wrong_batch_norm(x, gamma, 1e-5, g, slip=""), truth, limit) < 1
    assert excess(wrong_batch_norm(x, gamma, 1e-5, g, slip=slip), truth, limit) > 1e4


def test_a_variance_of_squares_is_not_explained_where_the_mean_is_far_off():
    """The variance as mean(x²) - mean(x)² loses the square of |mean|/std, the allowance grows with the first power."""
    rng = np.random.default_rng(0)
    module = filled(nn.BatchNorm2d(2), 1).train()
    limits = {}
    for centre in (1e3, 1e4, 1e6):
        x = rng.standard_normal((4, 2, 7, 7)) + centre
        op, _ = operation(module, x.astype(np.float32))
        g = rng.standard_normal(x.shape)
        limits[centre] = np.median(allowed(op, [x], g).inputs[0])
        mean = x.mean((0, 2, 3), keepdims=True)
        var = (x * x).mean((0, 2, 3), keepdims=True) - mean**2
        wrong = op.parameters["weight"].reshape(1, -1, 1, 1) / np.sqrt(np.maximum(var, 0) + 1e-5)
        hat = (x - mean) / np.sqrt(np.maximum(var, 0) + 1e-5)
        wrong = wrong * (g - g.mean((0, 2, 3), keepdims=True) - hat * (g * hat).mean((0, 2, 3), keepdims=True))
        if centre == 1e6:
            assert excess(wrong, by_torch(op, [x], g)[0], allowed(op, [x], g).inputs[0]) > 10

    assert 5 < limits[1e4] / limits[1e3] < 20


def test_ties_of_a_maximum_that_go_to_the_last_are_beyond():
    """Behind a ReLU windows have equal zeros: the gradient given to the last of them is allowed nothing (J5)."""
    settings = {"kernel_size": 3, "stride": 2, "padding": 1}
    x = np.maximum(dense((2, 3, 13, 13)) - 1, 0)
    op, _ = operation(nn.MaxPool2d(**settings), x)
    x, g = x.astype(np.float64), np.random.default_rng(1).standard_normal((2, 3, 7, 7))
    turned = np.ascontiguousarray(x[:, :, ::-1, ::-1]), np.ascontiguousarray(g[:, :, ::-1, ::-1])

    truth, (limit,) = by_torch(op, [x], g)[0], allowed(op, [x], g).inputs
    last = by_twin(twins.MaxPool2d(**settings), [turned[0]], turned[1], {})[0][:, :, ::-1, ::-1]

    assert excess(by_twin(twins.MaxPool2d(**settings), [x], g, {})[0], truth, limit) < 1
    assert ((np.abs(last - truth) > 0) & (limit == 0)).sum() > 100


def test_a_crop_by_one_row_is_far_beyond():
    """The gradient of a strided, padded convolution's input, cut out one row too high, is far beyond (J6)."""
    x = dense((1, 3, 10, 9))
    op, _ = operation(filled(nn.Conv2d(3, 4, 3, stride=2, padding=1), 1), x)
    x, g = x.astype(np.float64), np.random.default_rng(1).standard_normal((1, 4, 5, 5))
    truth, (limit,) = by_torch(op, [x], g)[0], allowed(op, [x], g).inputs
    weight = torch.from_numpy(op.parameters["weight"].astype(np.float64))
    padded = torch.nn.grad.conv2d_input((1, 3, 12, 11), weight, torch.from_numpy(g), stride=2).numpy()

    assert excess(padded[:, :, 1:-1, 1:-1], truth, limit) < 1
    assert excess(padded[:, :, :-2, 1:-1], truth, limit) > 1e10


def test_a_long_sum_is_allowed_a_small_part_of_its_worst_case():
    """For 4,096 products the allowance is less than a tenth of two errors of n·u·Σ|t|, the bound that cannot fail."""
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((4096, 3)), rng.standard_normal((4096, 2))
    bound = allowed(made("linear", {}, {"weight": rng.standard_normal((2, 3))}), [x], g)

    worst = 2 * 4096 * 2.0**-53 * (np.abs(g).T @ np.abs(x))
    assert (bound.parameters["weight"] < 0.1 * worst).all()


MAP = dense((2, 3, 6, 5)).astype(np.float64)


@pytest.mark.parametrize(
    "kind",
    ["relu", "relu6", "hardtanh", "clamp", "dropout", "identity", "flatten", "view", "reshape", "squeeze", "unsqueeze",
     "permute", "transpose", "contiguous", "clone", "to", "cat", "chunk"],
)  # fmt: skip
def test_what_only_moves_or_cuts_is_allowed_nothing(kind):
    """The gradients of what only moves or cuts are some of those given: not a bit may differ."""
    bound = allowed(made(kind), [MAP, MAP[:, 0]], MAP)

    assert [limit.ndim for limit in bound.inputs] == [4, 3]
    assert not any(limit.any() for limit in bound.inputs)


STEPS = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
FILTERS = {"weight": np.ones((3, 3, 1, 1))}
POOL = {"kernel_size": (1, 1), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}


@pytest.mark.parametrize(
    ("kind", "attributes", "parameters", "inputs"),
    [
        ("something", {}, {}, [MAP]),
        ("conv2d", STEPS, {}, [MAP]),
        ("conv2d", STEPS, FILTERS, [MAP, MAP]),
        ("conv2d", STEPS, FILTERS, [MAP[:, :2]]),
        ("conv2d", {**STEPS, "stride": 1}, FILTERS, [MAP]),
        ("conv2d", {**STEPS, "padding": "full"}, FILTERS, [MAP]),
        ("conv2d", {**STEPS, "padding_mode": "reflect"}, FILTERS, [MAP]),
        ("conv2d", {}, FILTERS, [MAP]),
        ("linear", {}, {}, [MAP]),
        ("linear", {}, {"weight": np.ones((4, 5))}, [MAP]),
        ("batch_norm", {}, {}, [MAP]),
        ("batch_norm", {"eps": 1e-5}, {"running_mean": np.ones(3)}, [MAP]),
        ("batch_norm", {"eps": 1e-5}, {"weight": np.ones(4)}, [MAP]),
        ("batch_norm", {"eps": 1e-5}, {}, [MAP[:1]]),
        ("max_pool2d", {}, {}, [MAP]),
        ("max_pool2d", POOL, {}, [MAP[0]]),
        ("avg_pool2d", {}, {}, [MAP]),
        ("avg_pool2d", {**POOL, "divisor_override": 0}, {}, [MAP]),
        ("adaptive_avg_pool2d", {}, {}, [MAP[0]]),
        ("mean", {}, {}, [MAP]),
        ("mean", {"dim": 4}, {}, [MAP]),
        ("mean", {"dim": 1}, {}, [MAP]),
        ("add", {"alpha": 2}, {}, [MAP, MAP]),
        ("add", {}, {}, [MAP, MAP, MAP]),
        ("mul", {}, {}, [MAP]),
        ("dropout", {"training": True}, {}, [MAP]),
        ("leaky_relu", {}, {}, [MAP]),
        ("elu", {}, {}, [MAP]),
        ("tanh", {}, {}, [MAP[:1]]),
        ("softmax", {}, {}, [MAP]),
        ("log_softmax", {"dim": 4}, {}, [MAP]),
        ("cross_entropy", {"reduction": "none"}, {}, [MAP, MAP]),
        ("cross_entropy", {}, {}, [MAP[0, 0], np.zeros(6, int)]),
    ],
)
def test_a_form_that_is_not_known_has_no_allowance(kind, attributes, parameters, inputs):
    """What lacks an attribute, a parameter or a shape that its formula needs is not judged, and raises nothing."""
    assert allowed(made(kind, attributes, parameters), inputs, MAP) is None


def test_labels_out_of_range_have_no_allowance():
    """A cross-entropy with a label that is no class, as those that are to be ignored, is not judged."""
    logits = np.ones((2, 3))

    assert allowed(loss("sum", 0.0), [logits, np.array([0, -100])], np.array(1.0)) is None
    assert allowed(loss("sum", 0.0), [logits, np.array([0, 3])], np.array(1.0)) is None
    assert allowed(loss("sum", 0.0), [logits, np.array([0, 2])], np.array(1.0)) is not None


def test_a_batch_norm_without_running_estimates_goes_by_the_batch():
    """In eval mode as well: its allowance is that of training."""
    g = dense((2, 3, 6, 5), 1).astype(np.float64)
    apart = {"training": False, "eps": 1e-5}

    without, training = (allowed(made("batch_norm", one), [MAP], g) for one in (apart, {**apart, "training": True}))

    np.testing.assert_array_equal(without.inputs[0], training.inputs[0])


def test_gradients_may_be_switched_off_around_it():
    """Under `torch.no_grad` the allowances are the same."""
    g = dense((2, 3, 6, 5), 1).astype(np.float64)
    with torch.no_grad():
        (limit,) = allowed(made("max_pool2d", {**POOL, "kernel_size": (1, 1)}), [MAP], g).inputs

    assert not limit.any()
