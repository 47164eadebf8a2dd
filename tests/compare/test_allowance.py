"""The allowances: every formula against float64, and tight enough to tell."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from layerdiff.compare.allowance import RULES, Call, unit_roundoff
from layerdiff.compare.capture import capture


def judged(module, *inputs):
    """The error of torch's float32 kernel against float64, in units of the rule's scale, and the scale itself."""
    trace = capture(module.eval().requires_grad_(False), inputs[0])
    op = trace.ops[0]
    output = op.run(*inputs)
    truth = op.run(*(array.astype(np.float64) for array in inputs))
    scale = RULES[op.kind].scale(Call(op.attributes, op.parameters, inputs, output))
    return np.abs(output - truth), np.broadcast_to(scale, output.shape), RULES[op.kind], op


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    c_group=st.integers(1, 24),
    groups=st.sampled_from([1, 2, 3]),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.integers(1, 3),
    padding=st.sampled_from([(0, 0), (1, 2), "valid", "same"]),
    dilation=st.integers(1, 2),
    bias=st.booleans(),
    positive=st.booleans(),
)
def test_no_convolution_errs_by_more_than_half_its_allowance(
    seed, c_group, groups, kernel, stride, padding, dilation, bias, positive
):
    """Torch's float32 convolution is within half the allowance of float64, whatever its shape.

    Half, since two implementations may err in opposite directions.
    """
    rng = np.random.default_rng(seed)
    if padding == "same":
        # torch takes it with stride 1 only, and warns of a copy where a kernel is even.
        stride, kernel = 1, tuple(size | 1 for size in kernel)
    module = nn.Conv2d(
        c_group * groups,
        4 * groups,
        kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bias,
    )
    with torch.no_grad():
        for parameter in module.parameters():
            values = rng.standard_normal(parameter.shape) * 10.0 ** rng.integers(-3, 3)
            parameter.copy_(torch.from_numpy(np.abs(values) if positive else values))
    x = rng.standard_normal((2, c_group * groups, 13, 11)).astype(np.float32)
    x = np.abs(x) if positive else x

    error, scale, rule, _ = judged(module, x)

    assert (error <= scale * rule.constant / 2).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 3000), bias=st.booleans())
def test_no_linear_layer_errs_by_more_than_half_its_allowance(seed, n, bias):
    """Torch's float32 linear layer is within half the allowance of float64."""
    rng = np.random.default_rng(seed)
    module = nn.Sequential(nn.Flatten(), nn.Linear(n, 5, bias=bias)).eval().requires_grad_(False)
    x = rng.standard_normal((3, n, 1, 1)).astype(np.float32)
    op = capture(module, x).ops[1]
    row = x.reshape(3, n)

    output, truth = op.run(row), op.run(row.astype(np.float64))

    scale = RULES["linear"].scale(Call(op.attributes, op.parameters, (row,), output))
    assert (np.abs(output - truth) <= scale * RULES["linear"].constant / 2).all()


@pytest.mark.parametrize(
    "module",
    [
        nn.AvgPool2d(3, 2, 1),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.AvgPool2d((2, 3), divisor_override=5),
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveAvgPool2d((5, 3)),
    ],
)
def test_no_average_errs_by_more_than_half_its_allowance(module):
    """Torch's float32 averages are within half the allowance of float64."""
    x = np.random.default_rng(0).standard_normal((2, 6, 23, 17)).astype(np.float32) + 3

    error, scale, rule, _ = judged(module, x)

    assert error.shape == scale.shape
    assert (error <= scale * rule.constant / 2).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), affine=st.booleans(), smallest=st.sampled_from([1e-12, 1e-5, 1.0]))
def test_no_batch_norm_errs_by_more_than_seven_roundings(seed, affine, smallest):
    """Torch's float32 batch norm is within the seven roundings that were counted for one implementation."""
    rng = np.random.default_rng(seed)
    module = nn.BatchNorm2d(16, affine=affine)
    module.running_mean.copy_(torch.from_numpy(rng.standard_normal(16) * 10.0 ** rng.integers(-3, 3)))
    module.running_var.copy_(torch.from_numpy(smallest * 10 ** rng.uniform(0, 3, 16)))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.from_numpy(rng.standard_normal(16)))
    x = (rng.standard_normal((2, 16, 7, 5)) * 10.0 ** rng.integers(-3, 3)).astype(np.float32)

    error, scale, rule, _ = judged(module, x)

    assert (error <= scale * rule.constant / 2).all()


@pytest.mark.parametrize("module", [nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Flatten(1), nn.Dropout(0.5)])
def test_what_only_selects_is_allowed_nothing(module):
    """ReLU, max-pool, flatten and dropout in eval mode have an allowance of zero, and need none."""
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 8)).astype(np.float32)

    error, scale, rule, _ = judged(module, x)

    assert rule.constant == 0
    assert not scale.any()
    assert not error.any()


def test_an_allowance_is_not_larger_than_a_worst_case_bound():
    """For 4,608 products the allowance is a small part of n·u·Σ|w||x|, the bound that cannot fail."""
    rng = np.random.default_rng(0)
    module = nn.Conv2d(512, 4, 3, bias=False)
    x = rng.standard_normal((1, 512, 3, 3)).astype(np.float32)

    _, scale, rule, op = judged(module, x)

    weight = op.parameters["weight"]
    worst_case = weight[0].size * unit_roundoff(x.dtype) * (np.abs(weight) * np.abs(x)).sum(axis=(1, 2, 3))
    assert (rule.constant * scale.ravel() < 0.1 * worst_case).all()


def test_double_precision_is_allowed_two_to_the_29_less():
    """The allowance shrinks with the unit roundoff, and by nothing else."""
    module = nn.Conv2d(8, 4, 3)
    x = np.random.default_rng(0).standard_normal((1, 8, 9, 9)).astype(np.float32)
    op = capture(module.eval().requires_grad_(False), x).ops[0]

    single, double = (
        RULES["conv2d"].scale(Call(op.attributes, op.parameters, (x.astype(dtype),), op.run(x.astype(dtype))))
        for dtype in (np.float32, np.float64)
    )

    np.testing.assert_allclose(single / double, 2.0**29, rtol=1e-6)


def call(kind, function, *inputs, attributes=None, parameters=None):
    """What a rule sees of a function of arrays, computed in float32 and in float64, and how far apart these are."""
    output, truth = function(*inputs), function(*(array.astype(np.float64) for array in inputs))
    given = Call(attributes or {}, parameters or {}, inputs, output)
    return RULES[kind], given, np.abs(output.astype(np.float64) - truth)


MAP = (np.random.default_rng(1).standard_normal((2, 6, 23, 17)) * 5 + 3).astype(np.float32)
# The same number in both precisions, so that only the operation rounds.
SHORT = 1229 / 4096
OTHER = np.random.default_rng(2).standard_normal((2, 6, 23, 17)).astype(np.float32)


@pytest.mark.parametrize(
    ("dim", "keepdim"),
    [((2, 3), False), ([-1, -2], True), (1, False), (None, False), ((), False), ((0, 1, 2, 3), True)],
    ids=["map", "list", "channels", "none", "empty", "all"],
)
def test_no_mean_errs_by_more_than_half_its_allowance(dim, keepdim):
    """A mean over any dims, in float32, is within half the allowance of float64."""
    rule, given, error = call(
        "mean",
        lambda x: torch.mean(torch.from_numpy(x), dim, keepdim).numpy(),
        MAP,
        attributes={"dim": dim, "keepdim": keepdim},
    )  # fmt: skip

    assert rule.applies(given)
    assert rule.scale(given).shape == error.shape
    assert (error <= rule.allowance(given) / 2).all()
    assert rule.allowance(given).max() < 1e-4


@pytest.mark.parametrize(
    ("kind", "function", "inputs"),
    [
        ("mul", np.multiply, (MAP, OTHER)),
        ("mul", lambda x: x * x.dtype.type(SHORT), (MAP,)),
        ("div", lambda x: x * (1 / x.dtype.type(7)), (MAP,)),
        ("sub", np.subtract, (MAP, OTHER)),
        ("sub", lambda x: x - x.dtype.type(9 + SHORT), (MAP,)),
        ("add", lambda x: x + x.dtype.type(-9 - SHORT), (MAP,)),
        ("leaky_relu", lambda x: np.where(x > 0, x, x * x.dtype.type(SHORT)), (OTHER,)),
    ],
    ids=["product", "factor", "reciprocal", "difference", "less", "plus", "slope"],
)
def test_no_arithmetic_errs_by_more_than_half_its_allowance(kind, function, inputs):
    """Products, quotients, differences and slopes in float32 are within half their allowance of float64."""
    rule, given, error = call(kind, function, *inputs)

    assert rule.applies(given)
    assert (error <= rule.allowance(given) / 2).all()
    assert (rule.allowance(given) <= 1e-4).all()


@pytest.mark.parametrize(
    "kind",
    ["relu6", "hardtanh", "clamp", "view", "reshape", "squeeze", "unsqueeze", "permute", "transpose", "contiguous",
     "clone", "detach", "to", "getitem", "pad", "cat", "chunk"],
)  # fmt: skip
def test_what_only_moves_is_allowed_nothing(kind):
    """Movements and cuts give some of their inputs, or numbers of the code: not a bit may differ."""
    assert not RULES[kind].allowance(Call({}, {}, (MAP,), MAP)).any()


@pytest.mark.parametrize(
    ("kind", "attributes", "parameters", "inputs", "output"),
    [
        ("batch_norm", {}, {"running_mean": np.ones(6), "running_var": np.ones(6)}, (MAP,), MAP),
        ("batch_norm", {"eps": None}, {"running_mean": np.ones(6), "running_var": np.ones(6)}, (MAP,), MAP),
        ("batch_norm", {"eps": 1e-5}, {"running_mean": np.ones(6)}, (MAP,), MAP),
        ("batch_norm", {"eps": 1e-5}, {"running_mean": np.ones(5), "running_var": np.ones(5)}, (MAP,), MAP),
        ("conv2d", {}, {"weight": np.ones((6, 6, 1, 1))}, (MAP,), MAP),
        ("conv2d", {"groups": 1, "stride": 1, "padding": 0, "dilation": 1},
         {"weight": np.ones((6, 6, 1, 1))}, (MAP,), MAP),
        ("conv2d", {"groups": 1, "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}, {}, (MAP,), MAP),
        ("conv2d", {"groups": 1, "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "padding_mode": "reflect"},
         {"weight": np.ones((6, 6, 1, 1))}, (MAP,), MAP),
        ("conv2d", {"groups": 1, "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)},
         {"weight": np.ones((1, 1, 6, 6))}, (MAP,), MAP),
        ("linear", {}, {}, (MAP,), MAP),
        ("linear", {}, {"weight": np.ones((17, 16))}, (MAP,), MAP),
        ("linear", {}, {"weight": np.ones((17, 17)), "bias": np.ones(3)}, (MAP,), MAP),
        ("avg_pool2d", {}, {}, (MAP,), MAP),
        ("avg_pool2d", {"kernel_size": (1, 1), "stride": (1, 1), "padding": (0, 0), "divisor_override": 0},
         {}, (MAP,), MAP),
        ("adaptive_avg_pool2d", {}, {}, (MAP[0],), MAP[0]),
        ("mean", {}, {}, (MAP,), MAP[0]),
        ("mean", {"dim": 4}, {}, (MAP,), MAP[0]),
        ("mean", {"dim": (2, -2)}, {}, (MAP,), MAP[:, :, 0]),
        ("mean", {"dim": "h"}, {}, (MAP,), MAP[0]),
        ("mean", {"dim": 1}, {}, (MAP,), MAP),
        ("add", {}, {}, (MAP, MAP, MAP), MAP),
        ("mul", {}, {}, (), MAP),
        ("dropout", {"training": True}, {}, (MAP,), MAP),
    ],
)  # fmt: skip
def test_a_rule_that_lacks_something_says_nothing(kind, attributes, parameters, inputs, output):
    """Somebody's own layer without an eps, a weight or a stride in the form we know is unjudged, and no error."""
    assert RULES[kind].allowance(Call(attributes, parameters, inputs, output)) is None


_FOUR = np.random.default_rng(0).standard_normal((2, 6, 40, 41)).astype(np.float32)
_SIX = {name: 0.1 + np.random.default_rng(1).random(6) for name in ("weight", "bias", "running_mean", "running_var")}
_LARGE = {"weight": np.random.default_rng(2).standard_normal((6, 3, 1, 1)), "bias": np.arange(6.0)}


@pytest.mark.parametrize(
    ("kind", "attributes", "parameters", "inputs"),
    [
        ("conv2d", {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 2}, _LARGE, (_FOUR,)),
        ("batch_norm", {"eps": 1e-5}, _SIX, (_FOUR,)),
        ("add", {}, {}, (_FOUR, _FOUR[:, :1])),
        ("add", {}, {}, (_FOUR,)),
        ("mul", {}, {}, (_FOUR,)),
    ],
)
def test_an_allowance_is_a_constant_number_of_roundings(kind, attributes, parameters, inputs):
    """Whether a rule multiplies what is small by its constant or its whole scale, the allowance is their product."""
    call = Call(attributes, parameters, inputs, _FOUR)
    rule = RULES[kind]

    scale = np.broadcast_to(rule.scale(call), _FOUR.shape)

    assert rule.allowance(call) == pytest.approx(rule.constant * scale, rel=1e-14)
    if kind == "batch_norm":
        gain = _SIX["weight"] / np.sqrt(_SIX["running_var"] + 1e-5)
        size = (np.abs(_FOUR) + _SIX["running_mean"][:, None, None]) * gain[:, None, None]
        assert scale == pytest.approx((size + _SIX["bias"][:, None, None]) * 2.0**-24, rel=1e-6)
    if kind == "conv2d":
        windows = np.linalg.norm(_FOUR.reshape(2, 2, 3, 40, 41), axis=2).repeat(3, axis=1)
        norms = np.linalg.norm(_LARGE["weight"].reshape(6, 3), axis=1)[:, None, None]
        assert scale == pytest.approx((norms * windows + np.arange(6.0)[:, None, None]) * 2 * 2.0**-24, rel=1e-6)
