"""What is wrong with a pooling is read from what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from layerdiff.compare.check import compare_networks
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.poolings import hypotheses
from layerdiff.compare.hypotheses.site import Sample, Site
from layerdiff.compare.hypotheses.trial import tried
from layerdiff.compare.trace import Op

Wrong = Callable[[Tensor], Tensor]


def pool_site(
    wrong: Wrong,
    kind: str = "max_pool2d",
    *,
    k: int = 3,
    s: int = 2,
    p: int = 1,
    size: tuple[int, int] = (12, 10),
    include: bool = True,
    dtype: torch.dtype = torch.float64,
    seen: dict[str, object] | None = None,
) -> Site:
    """What is seen of a pooling that computes `wrong`; kinds as the expected network has them."""
    rng = np.random.default_rng(6)
    attributes: dict[str, object] = {"kernel_size": (k, k), "stride": (s, s), "padding": (p, p), "ceil_mode": False}
    if kind == "max_pool2d":
        attributes["dilation"] = (1, 1)
        right: Wrong = lambda x: F.max_pool2d(x, k, s, p)  # noqa: E731
    elif kind == "avg_pool2d":
        attributes |= {"count_include_pad": include, "divisor_override": None}
        right = lambda x: F.avg_pool2d(x, k, s, p, count_include_pad=include)  # noqa: E731
    else:
        attributes = {"output_size": (1, 1)}
        right = lambda x: F.adaptive_avg_pool2d(x, 1)  # noqa: E731
    op = Op("pool", "pool", kind, ("relu",), attributes, {}, (), "")
    samples = []
    for both_signs in (False, True):
        x = torch.from_numpy(rng.normal(-1, 2, (2, 7, *size))).to(dtype)
        x = x if both_signs else F.relu(x)
        samples.append(Sample((x.numpy(),), right(x).numpy(), wrong(x).contiguous().numpy()))
    return Site(op, (replace(op, attributes=seen or {}),), *samples)


def explaining(site: Site) -> list[Hypothesis]:
    """The hypotheses that explain a site."""
    results = [tried(one, site) for one in hypotheses(site)]
    return [one for one in results if one.residual is not None and one.residual <= 1]


def below_right(x: Tensor, value: float) -> Tensor:
    """One row below and one column to the right."""
    return F.pad(x, [0, 1, 0, 1], value=value)


AVG = {"kind": "avg_pool2d"}
ODD = {"size": (11, 13)}
INF = float("inf")

WRONG: dict[str, tuple[Wrong, dict, str, str]] = {
    "zero padding": (lambda x: F.max_pool2d(F.pad(x, [1] * 4), 3, 2), {}, "D1", "pads with 0, expected -inf"),
    "padding of -0.5": (lambda x: F.max_pool2d(F.pad(x, [1] * 4, value=-0.5), 3, 2), ODD, "D1", "pads with -0.5,"),
    "begins with 0": (lambda x: F.max_pool2d(x, 3, 2, 1).clamp(min=0), {}, "D2", "begins with 0, expected -inf"),
    "begins with -1": (lambda x: F.max_pool2d(x, 3, 2, 1).clamp(min=-1), ODD, "D2", "begins with -1, expected -inf"),
    "no padding": (lambda x: F.max_pool2d(x, 3, 2), {}, "D3", "padding is (0, 0), expected (1, 1)"),
    "no padding, odd": (lambda x: F.max_pool2d(x, 3, 2), ODD, "D3", "padding is (0, 0), expected (1, 1)"),
    "SAME": (lambda x: F.max_pool2d(below_right(x, -INF), 3, 2), {}, "D4", "TensorFlow's SAME"),
    "SAME with zeros": (lambda x: F.max_pool2d(below_right(x, 0), 3, 2), {}, "D4", "TensorFlow's SAME"),
    "ceil": (lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), {}, "D5", "rounded up (ceil_mode), expected down"),
    "last dropped": (lambda x: F.max_pool2d(x, 3, 2, 1)[:, :, :-1], {}, "D5", "rounded down further than expected"),
    "2×2": (lambda x: F.max_pool2d(x, 2, 2), {}, "D8", "kernel_size is (2, 2), expected (3, 3)"),
    "5×5": (lambda x: F.max_pool2d(x, 5, 2, 2), {}, "D8", "kernel_size is (5, 5), expected (3, 3)"),
    "stride 1": (lambda x: F.max_pool2d(x, 3, 1, 1), {}, "D8", "stride is (1, 1), expected (2, 2)"),
    "stride 3": (lambda x: F.max_pool2d(x, 3, 3, 1), ODD, "D8", "stride is (3, 3), expected (2, 2)"),
    "average": (lambda x: F.avg_pool2d(x, 3, 2, 1), {}, "D9", "the average of each window is taken"),
    "average without the border": (
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        {},
        "D9",
        "the average of each window is taken",
    ),
    "minimum": (lambda x: -F.max_pool2d(-x, 3, 2, 1), {}, "D9", "the minimum of each window"),
    "root of squares": (
        lambda x: F.lp_pool2d(F.pad(x, [1] * 4), 2.0, 3, 2),
        {},
        "D9",
        "the root of the sum of squares",
    ),
    "exclusive": (
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        AVG,
        "D6",
        "taken without the padding, expected with",
    ),
    "inclusive": (
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        {**AVG, "include": False},
        "D6",
        "taken with the padding, expected without",
    ),
    "sum": (lambda x: F.avg_pool2d(x, 2, 2, divisor_override=1), {**AVG, "k": 2, "p": 0}, "D6", "the sum is taken"),
    "divisor 3": (lambda x: F.avg_pool2d(x, 3, 2, 1, divisor_override=3), AVG, "D6", "divides by 3, expected 9"),
    "avg, no padding": (lambda x: F.avg_pool2d(x, 3, 2), AVG, "D3", "padding is (0, 0), expected (1, 1)"),
    "avg, SAME": (lambda x: F.avg_pool2d(below_right(x, 0), 3, 2), AVG, "D4", "TensorFlow's SAME"),
    "avg 2×2": (lambda x: F.avg_pool2d(x, 2, 2), AVG, "D8", "kernel_size is (2, 2), expected (3, 3)"),
    "maximum": (lambda x: F.max_pool2d(x, 3, 2, 1), AVG, "D9", "the maximum of each window is taken"),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", WRONG, ids=str)
def test_each_mistake_is_explained_by_its_own_cause_alone(name: str, dtype: torch.dtype) -> None:
    """A pooling with one mistake is explained by that mistake, with its values, and by no other."""
    wrong, settings, code, title = WRONG[name]
    found = explaining(pool_site(wrong, dtype=dtype, **settings))
    assert [one.code for one in found] == [code]
    assert title in found[0].title


@pytest.mark.parametrize("kind", ["max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"])
@pytest.mark.parametrize("size", [(12, 10), (11, 13), (7, 7)], ids=str)
def test_a_right_pooling_is_explained_by_nothing(kind: str, size: tuple[int, int]) -> None:
    """What is as expected has no cause."""
    site = pool_site(lambda x: x, kind, size=size)
    right = replace(site, real=replace(site.real, got=site.real.want), dense=replace(site.dense, got=site.dense.want))
    assert explaining(right) == []


MEAN = {"kind": "adaptive_avg_pool2d", "size": (7, 9)}
SQUARE = {"kind": "adaptive_avg_pool2d", "size": (7, 7)}

GLOBAL: dict[str, tuple[Wrong, dict, str]] = {
    "sum": (lambda x: x.sum((2, 3), keepdim=True), MEAN, "the sum is taken, expected the mean"),
    "divides by rows": (lambda x: x.sum((2, 3), keepdim=True) / 7, MEAN, "divides by 7, expected 63"),
    "divides by 49": (lambda x: x.sum((2, 3), keepdim=True) / 49, MEAN, "divides by 49, expected 63"),
    "maximum": (lambda x: x.amax((2, 3), keepdim=True), MEAN, "the maximum is taken, expected the mean"),
    "first number": (lambda x: x[:, :, :1, :1], MEAN, "the first number of each map"),
    "corner": (lambda x: x[:, :, :7, :7].mean((2, 3), keepdim=True), MEAN, "first 7 rows and the first 7 columns only"),
    "other corner": (lambda x: x[:, :, 1:, 2:].mean((2, 3), keepdim=True), MEAN, "last 6 rows and the last 7 columns"),
    "channels": (lambda x: x.mean((1, 2)).reshape(2, 7, 1, 1), SQUARE, "over C and H, expected H and W"),
    "rows and channels": (lambda x: x.mean((1, 3)).reshape(2, 7, 1, 1), SQUARE, "over C and W, expected H and W"),
    "over the channels alone": (lambda x: x[:, :, 0].mean(1).reshape(2, 7), SQUARE, ""),
    "windows of 7": (lambda x: F.avg_pool2d(x, 7, 7), {**MEAN, "size": (14, 15)}, "a fixed window of 7×7"),
    "windows of 7, stride 1": (lambda x: F.avg_pool2d(x, 7, 1), {**MEAN, "size": (8, 9)}, "a fixed window of 7×7"),
    "one window of 7": (
        lambda x: F.avg_pool2d(x, 7),
        {**MEAN, "size": (8, 12)},
        "first 7 rows and the first 7 columns",
    ),
    "read as NHWC": (lambda x: x.reshape(2, 7, 9, 7).mean((1, 2)).reshape(2, 7, 1, 1), MEAN, "read as NHWC"),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", [name for name, (_, _, title) in GLOBAL.items() if title], ids=str)
def test_each_other_global_pooling_is_recognised(name: str, dtype: torch.dtype) -> None:
    """Wrong axes, fixed windows and what is no mean are told apart, all of them D7."""
    wrong, settings, title = GLOBAL[name]
    (found,) = explaining(pool_site(wrong, dtype=dtype, **settings))
    assert found.code == "D7"
    assert title in found.title


def test_a_global_pooling_without_known_cause_is_explained_by_nothing() -> None:
    """What none of the forms gives has no cause here."""
    wrong, settings, _ = GLOBAL["over the channels alone"]
    assert explaining(pool_site(wrong, **settings)) == []


@pytest.mark.parametrize(
    ("wrong", "changed", "code"),
    [
        (lambda x: F.max_pool2d(x, 3, 2), {"padding": (0, 0)}, "D3"),
        (lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), {"ceil_mode": True}, "D5"),
        (lambda x: F.max_pool2d(x, 2, 2), {"kernel_size": (2, 2), "padding": (0, 0)}, "D8"),
        (lambda x: F.max_pool2d(x, 3, 2, 1, dilation=2), {"dilation": (2, 2)}, "D8"),
    ],
    ids=["padding", "ceil_mode", "kernel and padding", "dilation"],
)
def test_attributes_are_believed_first_where_they_explain_it(wrong: Wrong, changed: dict, code: str) -> None:
    """What the candidate's own attributes say comes with rank 0, and is undone by setting them."""
    expected = {"kernel_size": (3, 3), "stride": (2, 2), "padding": (1, 1), "dilation": (1, 1), "ceil_mode": False}
    found = explaining(pool_site(wrong, size=(12, 10), seen={**expected, **changed}))
    first = found[0]
    assert (first.code, first.rank) == (code, 0)
    assert first.attributes == {name: expected[name] for name in changed}
    assert {one.code for one in found} == {code}


def test_a_right_mean_in_another_shape_is_no_other_mean() -> None:
    """With one picture the mean over the batch too is the same number: no axis is named that cannot be told."""
    site = pool_site(lambda x: x.mean((2, 3)), **MEAN)
    first = [replace(one, inputs=(one.inputs[0][:1],), want=one.want[:1], got=one.got[:1]) for one in site.samples]
    assert explaining(replace(site, real=first[0], dense=first[1])) == []


FIXED = {"kernel_size": (7, 7), "stride": (7, 7), "padding": (0, 0), "ceil_mode": False, "count_include_pad": True,
         "divisor_override": None}  # fmt: skip


def fixed_window(size: tuple[int, int], attributes: dict[str, object], wrong: Wrong) -> Hypothesis:
    """The one hypothesis that the attributes of an average pooling in the place of a global one give, tried."""
    site = pool_site(wrong, "adaptive_avg_pool2d", size=size)
    site = replace(site, others=(replace(site.others[0], kind="avg_pool2d", attributes=attributes),))
    (found,) = [tried(one, site) for one in hypotheses(site) if one.rank == 0]
    return found


def test_a_fixed_window_is_read_from_the_attributes() -> None:
    """An average pooling that shows its window is asked for the whole map, and its window explains what it gives."""
    found = fixed_window((8, 9), FIXED, lambda x: F.avg_pool2d(x, 7))
    assert (found.code, found.title) == ("D7", "a fixed window of 7×7, expected the whole map")
    assert found.attributes == {"kernel_size": (8, 9), "stride": (8, 9)}
    assert found.residual is not None
    assert found.residual <= 1


def test_a_fixed_window_that_does_not_fit_is_proposed_to_be_the_map() -> None:
    """On a map that is smaller than the window nothing can be predicted; the candidate's own code can still run."""
    found = fixed_window((2, 3), {**FIXED, "padding": (1, 1)}, lambda x: F.adaptive_avg_pool2d(x, 1))
    assert found.attributes == {"kernel_size": (2, 3), "stride": (2, 3), "padding": (0, 0)}
    assert found.residual == INF


def test_a_window_of_the_size_of_the_map_is_no_mistake() -> None:
    """A fixed window that is as large as the map pools globally."""
    site = pool_site(lambda x: F.avg_pool2d(x, 7), "adaptive_avg_pool2d", size=(7, 7))
    site = replace(site, others=(replace(site.others[0], kind="avg_pool2d", attributes=FIXED),))
    assert list(hypotheses(site)) == []


def test_noise_is_explained_by_nothing() -> None:
    """Numbers without any rule have no cause here."""
    noise = torch.from_numpy(np.random.default_rng(1).normal(0, 1, (2, 7, 6, 5)))
    assert explaining(pool_site(lambda x: noise)) == []
    assert explaining(pool_site(lambda x: noise, "avg_pool2d")) == []
    assert explaining(pool_site(lambda x: noise[:, :, :1, :1], "adaptive_avg_pool2d")) == []


def test_padding_around_the_whole_map_is_named_as_such():
    """A window as large as the map, with padding, is no window of another size: the padding is what is wrong."""
    torch.manual_seed(0)
    first = (nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
    expected = nn.Sequential(*first, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    actual = nn.Sequential(*first, nn.AvgPool2d(4, padding=2), nn.Flatten()).eval()

    report = compare_networks(expected, actual, np.random.default_rng(0).standard_normal((1, 3, 4, 4), np.float32))

    (found,) = report.findings
    assert (found.code, found.layers, found.confirmed) == ("D7", ("2",), True)
    assert found.title == "the map is padded by 2×2 before it is averaged, expected no padding"
