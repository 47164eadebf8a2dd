"""What is wrong with a convolution is read from what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from layerdiff.compare.check import compare_networks
from layerdiff.compare.hypotheses.convolution.convs import hypotheses
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.site import Sample, Site
from layerdiff.compare.hypotheses.trial import tried
from layerdiff.compare.trace import Op

Wrong = Callable[[Tensor, Tensor], Tensor]

BOTTLENECK = {f"layer2.0.conv{i}": {} for i in (1, 2, 3)}
BASIC = {f"layer2.0.conv{i}": {} for i in (1, 2)}


def conv_site(
    wrong: Wrong,
    *,
    k: int = 3,
    stride: int | tuple[int, int] = 1,
    padding: int | None = None,
    groups: int = 1,
    dilation: int = 1,
    channels: tuple[int, int] = (6, 9),
    size: tuple[int, int] = (11, 8),
    batch: int = 2,
    dtype: torch.dtype = torch.float64,
    layer: str = "layer2.1.conv1",
    weights: dict[str, dict] | None = None,
    seen: dict[str, object] | None = None,
    own: dict[str, np.ndarray] | None = None,
) -> Site:
    """What is seen of a convolution that computes `wrong` from x and its weight."""
    rng = np.random.default_rng(5)
    c, o = channels
    weight = rng.normal(0, 0.3, (o, c // groups, k, k)).astype(np.float32)
    padding = k // 2 if padding is None else padding
    pair = (stride, stride) if isinstance(stride, int) else stride
    attributes = {"kernel_size": (k, k), "stride": pair, "padding": (padding, padding),
                  "dilation": (dilation, dilation), "groups": groups}  # fmt: skip
    op = Op(layer, layer, "conv2d", ("before",), attributes, {"weight": weight}, (), "")
    w = torch.from_numpy(weight).to(dtype)
    samples = []
    for both_signs in (False, True):
        x = torch.from_numpy(rng.normal(0, 1, (batch, c, *size))).to(dtype)
        x = x if both_signs else F.relu(x)
        want = F.conv2d(x, w, None, pair, padding, dilation, groups)
        samples.append(Sample((x.numpy(),), want.numpy(), wrong(x, w).contiguous().numpy()))
    other = replace(op, layer="mine", attributes=seen or {}, parameters=own or {})
    return Site(op, (other,), *samples, weights=weights or {})


def explaining(site: Site) -> list[Hypothesis]:
    """The hypotheses that explain a site."""
    results = [tried(one, site) for one in hypotheses(site)]
    return [one for one in results if one.residual is not None and one.residual <= 1]


def tf_same(x: Tensor, k: int, s: int) -> Tensor:
    """Padded as TensorFlow does: the odd one below and right."""
    for axis, size in ((3, x.shape[3]), (2, x.shape[2])):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        sides = [total // 2, total - total // 2]
        x = F.pad(x, [*sides, 0, 0] if axis == 3 else [0, 0, *sides])
    return x


def without_last(y: Tensor, *, rows: int = 0, columns: int = 0) -> Tensor:
    """Rows and columns at the end left at zero."""
    y = y.clone()
    y[:, :, y.shape[2] - rows :] = 0
    y[:, :, :, y.shape[3] - columns :] = 0
    return y


def repeated_last_row(y: Tensor) -> Tensor:
    """The last row is the one before it."""
    y = y.clone()
    y[:, :, -1] = y[:, :, -2]
    return y


def masked(w: Tensor, *taps: tuple[int, int]) -> Tensor:
    """Some places of the kernel not summed."""
    w = w.clone()
    for i, j in taps:
        w[:, :, i, j] = 0
    return w


def plain(x: Tensor, w: Tensor, **settings: object) -> Tensor:
    """A 3×3 convolution of padding 1, but for what is said."""
    return F.conv2d(x, w, None, **{"padding": 1, **settings})


def with_taps_at(x: Tensor, w: Tensor, moved: dict[tuple[int, int], tuple[int, int]], stride: int = 1) -> Tensor:
    """Summed place by place, some of which read rows and columns further on; padded by half the kernel."""
    k, h, v = w.shape[2], x.shape[2], x.shape[3]
    p = k // 2
    rows, columns = ((n + 2 * p - k) // stride + 1 for n in (h, v))
    wide, total = F.pad(x, [p + 1 + stride] * 4), torch.zeros(())
    for i in range(k):
        for j in range(k):
            y, z = (1 + stride + a + b for a, b in zip((i, j), moved.get((i, j), (0, 0)), strict=True))
            view = wide[:, :, y : y + stride * (rows - 1) + 1 : stride, z : z + stride * (columns - 1) + 1 : stride]
            total = total + F.conv2d(view, w[:, :, i : i + 1, j : j + 1])
    return total


def unread(x: Tensor, top: int = 0, bottom: int = 0, left: int = 0, right: int = 0) -> Tensor:
    """Rows and columns at the ends taken for zero."""
    kept = x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]
    return F.pad(kept, [left, right, top, bottom])


def read_as(x: Tensor, *axes: int) -> Tensor:
    """Viewed as if it lay in memory in that order of axes."""
    return x.reshape([x.shape[axis] for axis in axes]).permute([axes.index(axis) for axis in range(4)])


V = torch.linspace(-1, 1, 9)
WRONG: dict[str, tuple[Wrong, dict, str, str]] = {
    # Padding.
    "no padding": (F.conv2d, {}, "B2", "padding is (0, 0), expected (1, 1)"),
    "padding 2": (lambda x, w: plain(x, w, padding=2), {}, "B2", "padding is (2, 2), expected (1, 1)"),
    "padding of a 1×1": (plain, {"k": 1}, "B2", "padding is (1, 1), expected (0, 0)"),
    "padding 2 of a 7×7": (
        lambda x, w: plain(x, w, padding=2, stride=2),
        {"k": 7, "stride": 2},
        "B2",
        "padding is (2, 2)",
    ),
    "one axis": (lambda x, w: plain(x, w, padding=(1, 0)), {}, "B2", "padding is (1, 0), expected (1, 1)"),
    "reflect": (lambda x, w: F.conv2d(F.pad(x, [1] * 4, mode="reflect"), w), {}, "B2", "(reflect)"),
    "replicate": (
        lambda x, w: F.conv2d(F.pad(x, [3] * 4, mode="replicate"), w, None, 2),
        {"k": 7, "stride": 2},
        "B2",
        "(replicate)",
    ),
    "circular": (
        lambda x, w: F.conv2d(F.pad(x, [1] * 4, mode="circular"), w, None, 2),
        {"stride": 2},
        "B2",
        "(circular)",
    ),
    "border of 1": (lambda x, w: F.conv2d(F.pad(x, [1] * 4, value=1.0), w), {}, "B2", "pads with 1, expected 0"),
    "border of -0.35": (
        lambda x, w: F.conv2d(F.pad(x, [1] * 4, value=-0.35), w),
        {},
        "B2",
        "pads with -0.35, expected 0",
    ),
    "SAME, even": (lambda x, w: F.conv2d(tf_same(x, 3, 2), w, None, 2), {"stride": 2, "size": (12, 8)}, "B1", "SAME"),
    "SAME, odd rows": (
        lambda x, w: F.conv2d(tf_same(x, 3, 2), w, None, 2),
        {"stride": 2, "size": (11, 8)},
        "B1",
        "SAME",
    ),
    "SAME, odd columns": (
        lambda x, w: F.conv2d(tf_same(x, 3, 2), w, None, 2),
        {"stride": 2, "size": (8, 11)},
        "B1",
        "SAME",
    ),
    "SAME of a 7×7": (
        lambda x, w: F.conv2d(tf_same(x, 7, 2), w, None, 2),
        {"k": 7, "stride": 2, "size": (16, 14)},
        "B1",
        "SAME",
    ),
    "below and right only": (
        lambda x, w: F.conv2d(F.pad(x, [0, 2, 0, 2]), w),
        {},
        "B10",
        "begin 1 rows and 1 columns further on",
    ),
    "above only": (
        lambda x, w: F.conv2d(F.pad(x, [1, 1, 2, 0]), w),
        {},
        "B10",
        "begin -1 rows and 0 columns further on",
    ),
    # Stride and dilation.
    "stride 1 for 2": (plain, {"stride": 2}, "A3", "stride is (1, 1), expected (2, 2)"),
    "stride 2 for 1": (lambda x, w: plain(x, w, stride=2), {}, "A3", "stride is (2, 2), expected (1, 1)"),
    "stride 3 of a 1×1": (lambda x, w: F.conv2d(x, w, None, 3), {"k": 1, "stride": 2}, "A3", "stride is (3, 3)"),
    "stride and padding": (
        lambda x, w: F.conv2d(x, w, None, 2),
        {},
        "A3",
        "expected (1, 1), and padding is (0, 0), expected (1, 1)",
    ),
    "one axis's stride": (
        lambda x, w: plain(x, w, stride=(2, 1)),
        {"stride": 2},
        "A3",
        "stride is (2, 1), expected (2, 2)",
    ),
    "strides swapped": (
        lambda x, w: plain(x, w, stride=(1, 2)),
        {"stride": (2, 1)},
        "B10",
        "strides of rows and columns are swapped",
    ),
    "dilation 2": (lambda x, w: plain(x, w, dilation=2, padding=2), {}, "A16", "dilation is (2, 2), expected (1, 1)"),
    "dilation 1 for 2": (
        plain,
        {"dilation": 2, "padding": 2},
        "A16",
        "dilation is (1, 1), expected (2, 2)",
    ),
    "dilation 4, stride 2": (
        lambda x, w: plain(x, w, dilation=4, padding=4, stride=2),
        {"stride": 2, "size": (15, 16)},
        "A16",
        "(4, 4)",
    ),
    # Bias and ReLU.
    "bias": (lambda x, w: plain(x, w) + V.to(x)[:, None, None], {}, "B8", "a bias is added, expected none"),
    "bias by columns": (lambda x, w: plain(x, w) + V.to(x), {"size": (11, 9)}, "B9", "along the columns"),
    "bias by rows": (lambda x, w: plain(x, w) + V.to(x)[:, None], {"size": (9, 11)}, "B9", "along the rows"),
    "relu after": (lambda x, w: F.relu(plain(x, w)), {}, "E4", "a ReLU follows the convolution"),
    "relu before": (lambda x, w: plain(F.relu(x), w), {}, "E6", "takes relu(x)"),
    # Groups.
    "groups 3": (
        lambda x, w: plain(x, torch.cat([w[3 * g : 3 * g + 3, 2 * g : 2 * g + 2] for g in range(3)]), groups=3),
        {},
        "B7",
        "groups is 3, expected 1",
    ),
    "groups 3, first channels": (lambda x, w: plain(x, w[:, :2], groups=3), {}, "B7", "groups is 3, expected 1"),
    "groups shuffled": (
        lambda x, w: plain(x, w, groups=3).reshape(2, 3, 3, 11, 8).transpose(1, 2).reshape(2, 9, 11, 8),
        {"groups": 3},
        "B7",
        "interleaved",
    ),
    "groups spread": (
        lambda x, w: plain(x[:, [0, 3, 1, 4, 2, 5]], w, groups=3),
        {"groups": 3},
        "B7",
        "every so many-th",
    ),
    "first group's input": (
        lambda x, w: plain(x[:, [0, 1, 0, 1, 0, 1]], w, groups=3),
        {"groups": 3},
        "B7",
        "first group's input",
    ),
    "groups reversed": (
        lambda x, w: plain(x[:, [4, 5, 2, 3, 0, 1]], w, groups=3),
        {"groups": 3},
        "B7",
        "input channels in reverse",
    ),
    "filters repeated": (lambda x, w: plain(x, w.repeat(1, 3, 1, 1)), {"groups": 3}, "B7", "groups is 1"),
    # The sum.
    "divided by the taps": (lambda x, w: plain(x, w) / 9, {}, "B10", "divided by the number of taps"),
    "divided by the terms": (lambda x, w: plain(x, w) / 54, {}, "B10", "divided by the number of terms"),
    "divided by the channels": (lambda x, w: plain(x, w) / 6, {}, "B10", "divided by the number of input channels"),
    "tap missing": (
        lambda x, w: plain(x, masked(w, (2, 1))),
        {},
        "B10",
        "1 of 9 places of the kernel are counted wrongly: (2, 1) is not",
    ),
    "row of taps missing": (lambda x, w: plain(x, masked(w, (2, 0), (2, 1), (2, 2))), {}, "B10", "3 of 9 places"),
    "tap twice": (lambda x, w: 2 * plain(x, w) - plain(x, masked(w, (0, 2))), {}, "B10", "(0, 2) 2 times"),
    "last channel missing": (lambda x, w: plain(x[:, :5], w[:, :5]), {}, "B10", "the last input channel is not summed"),
    "first channels only": (lambda x, w: plain(x[:, :2], w[:, :2]), {}, "B10", "only the first 2 of 6 input channels"),
    "one channel missing": (
        lambda x, w: plain(x[:, [0, 1, 2, 4, 5]], w[:, [0, 1, 2, 4, 5]]),
        {},
        "B10",
        "input channel 3 is not",
    ),
    # Places that are read.
    "last tap a column off": (
        lambda x, w: with_taps_at(x, w, {(2, 2): (0, -1)}),
        {},
        "B10",
        "1 of 9 places of the kernel reads elsewhere: (2, 2) one column to the left",
    ),
    "first tap a row off, stride 2": (
        lambda x, w: with_taps_at(x, w, {(0, 0): (1, 0)}, 2),
        {"stride": 2},
        "B10",
        "(0, 0) one row below",
    ),
    "one tap of a 7×7": (
        lambda x, w: with_taps_at(x, w, {(3, 6): (0, 1)}, 2),
        {"k": 7, "stride": 2, "size": (16, 14), "channels": (3, 32)},
        "B10",
        "1 of 49 places of the kernel reads elsewhere: (3, 6) one column to the right",
    ),
    "two taps exchanged": (
        lambda x, w: with_taps_at(x, w, {(0, 1): (1, -1), (1, 0): (-1, 1)}),
        {},
        "B10",
        "2 of 9 places of the kernel read elsewhere: (0, 1) at place (1, 0), (1, 0) at place (0, 1)",
    ),
    "one tap on a map of 2×2": (
        lambda x, w: with_taps_at(x, w, {(2, 2): (0, -1)}),
        {"size": (2, 2), "channels": (40, 160)},
        "B10",
        "(2, 2) one column to the left",
    ),
    "last column not read": (
        lambda x, w: plain(unread(x, right=1), w),
        {},
        "B10",
        "the last column of the input is never read, and counts as zero",
    ),
    "last rows and first column not read": (
        lambda x, w: plain(unread(x, bottom=2, left=1), w, stride=2),
        {"stride": 2},
        "B10",
        "the last 2 rows and the first column of the input are never read, and count as zero",
    ),
    "last column not read by a 1×1": (
        lambda x, w: F.conv2d(unread(x, right=1), w, None, 2),
        {"k": 1, "stride": 2, "size": (11, 9)},
        "B10",
        "the last column stays zero",
    ),
    "last column of a small map": (
        lambda x, w: plain(unread(x, right=1), w),
        {"size": (3, 4)},
        "B10",
        "the last column of the input is never read",
    ),
    "cut off on the right": (
        lambda x, w: plain(x[:, :, :, :-1], w),
        {},
        "B10",
        "the last column of the input is cut off before it is padded",
    ),
    "cut off above and left": (
        lambda x, w: plain(x[:, :, 1:, 1:], w),
        {},
        "B10",
        "the first row and the first column of the input are cut off",
    ),
    "input viewed as NHWC": (
        lambda x, w: plain(read_as(x, 0, 2, 3, 1), w),
        {},
        "F3",
        "the input is read as NHWC without being moved",
    ),
    "input viewed as NWHC by a 1×1": (
        lambda x, w: F.conv2d(read_as(x, 0, 3, 2, 1), w, None, 2),
        {"k": 1, "stride": 2},
        "F3",
        "the input is read as NWHC",
    ),
    "input permuted and reshaped": (
        lambda x, w: plain(x.permute(0, 2, 3, 1).reshape(x.shape), w),
        {},
        "F3",
        "the input is laid in memory as NHWC and read as NCHW",
    ),
    "width and height exchanged by a view": (
        lambda x, w: plain(x.transpose(2, 3).reshape(x.shape), w, groups=3),
        {"groups": 3},
        "F3",
        "laid in memory as NCWH and read as NCHW",
    ),
    # Indices.
    "last row": (lambda x, w: without_last(plain(x, w), rows=1), {}, "B10", "the last row stays zero"),
    "last of both": (
        lambda x, w: without_last(plain(x, w, stride=2), rows=1, columns=1),
        {"stride": 2},
        "B10",
        "the last row and the last column stay zero",
    ),
    "height for width": (lambda x, w: without_last(plain(x, w), rows=3), {}, "B10", "the last 3 rows stay zero"),
    "row repeated": (lambda x, w: repeated_last_row(plain(x, w)), {}, "B10", "the last row repeats the one before"),
    "last windows dropped": (
        lambda x, w: plain(x, w)[:, :, :-1, :-1],
        {},
        "B10",
        "the last row of windows is left out and the last column",
    ),
    "output transposed": (
        lambda x, w: plain(x, w).transpose(2, 3),
        {},
        "B10",
        "rows and columns of the output are swapped",
    ),
    "input transposed": (
        lambda x, w: plain(x.transpose(2, 3), w),
        {},
        "B10",
        "rows and columns of the input are swapped",
    ),
    "input upside down": (lambda x, w: plain(x.flip(2), w), {}, "B10", "the input is turned upside down"),
    "output backwards": (
        lambda x, w: plain(x, w, stride=2).flip(3),
        {"stride": 2},
        "B10",
        "the output's columns run backwards",
    ),
    "NHWC read as NCHW": (
        lambda x, w: plain(x, w).permute(0, 2, 3, 1).reshape(2, 9, 11, 8),
        {},
        "B10",
        "laid in memory as NHWC and read as NCHW",
    ),
    "batch and channels mixed": (lambda x, w: plain(x, w).transpose(0, 1).reshape(2, 9, 11, 8), {}, "B10", "CNHW"),
    "shape of rows and columns": (
        lambda x, w: plain(x, w).reshape(2, 9, 8, 11),
        {},
        "B10",
        "the shape is (2, 9, 8, 11), expected (2, 9, 11, 8)",
    ),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", WRONG, ids=str)
def test_each_mistake_is_explained_by_its_own_cause_alone(name: str, dtype: torch.dtype) -> None:
    """A convolution with one mistake is explained by that mistake, with its values, and by no other code."""
    wrong, settings, code, title = WRONG[name]
    found = explaining(conv_site(wrong, dtype=dtype, **settings))
    assert [one.code for one in found] == [code] * len(found)
    assert any(title in one.title for one in found), [one.title for one in found]


@pytest.mark.parametrize("name", WRONG, ids=str)
def test_the_settings_for_each_mistake_are_right_without_it(name: str) -> None:
    """A convolution that is right is explained by no cause."""
    _, settings, _, _ = WRONG[name]
    site = conv_site(lambda x, w: x, **settings)
    right = replace(site, real=replace(site.real, got=site.real.want), dense=replace(site.dense, got=site.dense.want))
    assert explaining(right) == []


@pytest.mark.parametrize(
    ("layer", "weights", "got", "want", "code"),
    [
        ("layer2.0.conv1", BOTTLENECK, 2, 1, "A1"),
        ("layer2.0.conv2", BOTTLENECK, 1, 2, "A1"),
        ("layer2.0.conv3", BOTTLENECK, 2, 1, "A3"),
        ("layer2.0.conv1", BASIC, 1, 2, "A2"),
        ("layer2.0.conv2", BASIC, 2, 1, "A2"),
        ("layer2.0.downsample.0", BASIC, 1, 2, "A9"),
        ("layer1.0.conv1", {}, 2, 1, "A3"),
        ("layer2.1.conv2", {}, 2, 1, "A3"),
        ("conv1", {}, 1, 2, "A11"),
    ],
    ids=lambda value: str(value) if not isinstance(value, dict) else f"{len(value)} convs",
)
@pytest.mark.parametrize("k", [1, 3], ids=["1×1", "3×3"])
def test_a_stride_is_named_by_where_the_layer_stands(
    layer: str, weights: dict, got: int, want: int, code: str, k: int
) -> None:
    """Which mistake another stride is depends on the layer's place in its block; both layers of A1 say the same."""
    site = conv_site(lambda x, w: F.conv2d(x, w, None, got, k // 2), k=k, stride=want, layer=layer, weights=weights)
    if code == "A11":
        # The stem is what takes the picture, whatever it is called.
        site = replace(site, op=replace(site.op, inputs=("input",)))
    found = explaining(site)
    assert [one.code for one in found] == [code]
    assert found[0].attributes == {"stride": (want, want)}
    assert layer not in found[0].title


def test_attributes_are_believed_first_where_they_explain_it() -> None:
    """What the candidate's own attributes say comes with rank 0, and is undone by setting them."""
    seen = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    found = explaining(conv_site(F.conv2d, seen=seen))
    assert [(one.code, one.rank) for one in found] == [("B2", 0), ("B2", 1)]
    assert found[0].attributes == {"padding": (1, 1)}


def test_attributes_that_lie_explain_nothing() -> None:
    """Where attributes say one thing and the values another, the values win."""
    seen = {"stride": (2, 2), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    found = explaining(conv_site(F.conv2d, seen=seen))
    assert [(one.code, one.rank) for one in found] == [("B2", 1)]


def test_padding_mode_is_read_from_the_attributes() -> None:
    """A padding mode that the attributes show is named with rank 0."""
    seen = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1, "padding_mode": "circular"}
    found = explaining(conv_site(lambda x, w: F.conv2d(F.pad(x, [1] * 4, mode="circular"), w), seen=seen))
    assert [(one.code, one.rank) for one in found] == [("B2", 0), ("B2", 1)]
    assert found[0].attributes == {"padding_mode": "zeros"}


def test_groups_with_a_weight_of_another_shape_use_that_weight() -> None:
    """Groups left at 1 need a larger weight: the candidate's own predicts what it gives."""
    own = np.random.default_rng(9).normal(0, 0.3, (9, 6, 3, 3)).astype(np.float32)
    seen = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    wrong: Wrong = lambda x, w: plain(x, torch.from_numpy(own).to(x))  # noqa: E731
    found = explaining(conv_site(wrong, groups=3, seen=seen, own={"weight": own}))
    assert [(one.code, one.title) for one in found] == [("B7", "groups is 1, expected 3")]


def test_the_candidates_own_bias_is_known_and_set_to_zero() -> None:
    """A bias among the candidate's parameters is used as it is, and undone by giving it the expected one: zeros."""
    own = V.numpy().astype(np.float32)
    (found,) = explaining(conv_site(lambda x, w: plain(x, w) + V.to(x)[:, None, None], own={"bias": own}))
    assert found.code == "B8"
    assert not found.parameters["bias"].any()
    (step,) = found.model
    assert np.array_equal(step.parameters["bias"], own)


def test_a_bias_and_another_padding_are_two_findings() -> None:
    """A convolution with a bias and TensorFlow's padding has two causes: what one hides is found without it."""
    torch.manual_seed(3)
    expected = nn.Sequential(nn.Conv2d(6, 9, 3, 2, 1, bias=False), nn.BatchNorm2d(9), nn.ReLU()).eval()
    biased = nn.Conv2d(6, 9, 3, 2)
    biased.weight = expected[0].weight
    actual = nn.Sequential(nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), biased), *expected[1:]).eval()
    x = np.random.default_rng(1).standard_normal((1, 6, 12, 10)).astype(np.float32)
    report = compare_networks(expected, actual, x)
    assert sorted((one.code, one.confirmed) for one in report.findings) == [("B1", True), ("B8", True)]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (2, 3)], ids=str)
def test_tiny_maps_raise_nothing(size: tuple[int, int]) -> None:
    """Maps of a single window, as small pictures have them in the last stage, are looked at without an error."""
    site = conv_site(lambda x, w: F.conv2d(F.pad(x, [1] * 4, mode="replicate"), w), size=size)
    assert {one.code for one in explaining(site)} >= {"B2"}


def test_noise_is_explained_by_nothing() -> None:
    """An output without any structure has no cause here."""
    noise = torch.from_numpy(np.random.default_rng(2).normal(0, 1, (2, 9, 11, 8)))
    assert explaining(conv_site(lambda x, w: plain(x, w) + 0.01 * noise)) == []


def test_a_map_of_one_pixel_is_looked_at():
    """Where the output is one pixel there is one window to read the weights from, and the cause is named from it."""

    class Scaled(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return 1.001 * super().forward(x)

    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 16, 5, bias=False), nn.Flatten(), nn.Linear(16, 4)]
    expected = nn.Sequential(*layers).eval()
    actual = nn.Sequential(*expected)
    actual[2] = Scaled(8, 16, 5, bias=False)
    actual[2].load_state_dict(expected[2].state_dict())
    x = np.random.default_rng(0).standard_normal((1, 3, 5, 5)).astype(np.float32)

    report = compare_networks(expected, actual.eval(), x)

    (found,) = report.findings
    assert (found.code, found.layers, found.confirmed) == ("G9", ("2",), True)
