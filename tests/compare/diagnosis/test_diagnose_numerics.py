"""A shorter number format, and a flatten in another order, are read from what an operation gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from layerdiff.compare.hypotheses import flattens, numerics
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import chain
from layerdiff.compare.hypotheses.site import Sample, Site
from layerdiff.compare.hypotheses.trial import tried
from layerdiff.compare.playback import play
from layerdiff.compare.trace import Op

Conv = Callable[[Tensor, Tensor], Tensor]


def conv_site(
    wrong: Conv,
    *,
    dtype: torch.dtype = torch.float64,
    problems: tuple[str, ...] = (),
    channels: tuple[int, int] = (16, 6),
    size: tuple[int, int] = (9, 8),
) -> Site:
    """What is seen of a 3×3 convolution that computes `wrong`."""
    rng = np.random.default_rng(8)
    weight = rng.normal(0, 0.1, (*channels[::-1], 3, 3)).astype(np.float32)
    attributes = {"kernel_size": (3, 3), "stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    op = Op("conv1", "conv1", "conv2d", ("input",), attributes, {"weight": weight}, (), "")
    w = torch.from_numpy(weight).to(dtype)
    samples = []
    for _ in range(2):
        x = torch.from_numpy(rng.normal(0, 1, (1, channels[0], *size)).astype(np.float32)).to(dtype)
        want = F.conv2d(x, w, None, 1, 1)
        samples.append(Sample((x.numpy(),), want.numpy(), wrong(x, w).to(dtype).numpy()))
    return Site(op, (op,), *samples, problems=problems)


def explaining(site: Site) -> list[Hypothesis]:
    """The hypotheses that explain a site."""
    results = [tried(one, site) for one in numerics.hypotheses(site)]
    return [one for one in results if one.residual is not None and one.residual <= 1]


def as_type(x: Tensor, short: torch.dtype) -> Tensor:
    """Rounded to a shorter type, in its own again."""
    return x.to(short).to(x.dtype)


def tf32_away(x: Tensor) -> Tensor:
    """Rounded to ten bits behind the point, ties away from zero."""
    mantissa, exponent = np.frexp(x.numpy())
    return torch.from_numpy(np.ldexp(np.sign(mantissa) * np.floor(np.abs(mantissa) * 2**11 + 0.5) / 2**11, exponent))


def tf32(x: Tensor) -> Tensor:
    """Rounded to ten bits behind the point, with NumPy."""
    mantissa, exponent = np.frexp(x.numpy())
    return torch.from_numpy(np.ldexp(np.round(mantissa * 2**11) / 2**11, exponent)).to(x.dtype)


def split(x: Tensor) -> Tensor:
    """Eleven bits of a float32, by Dekker's splitting: what lies in the middle goes either way."""
    x32 = x.float()
    factor = 2.0**13 + 1
    return (x32 * factor - (x32 * factor - x32)).to(x.dtype)


def cut(x: Tensor, bits: int) -> Tensor:
    """A float32 without its last bits."""
    return (x.float().view(torch.int32) >> bits << bits).view(torch.float32).to(x.dtype)


WRONG: dict[str, tuple[Conv, str, str]] = {
    "weights in float16": (
        lambda x, w: F.conv2d(x, as_type(w, torch.half), None, 1, 1),
        "H2",
        "weights are rounded to float16",
    ),
    "inputs in bfloat16": (
        lambda x, w: F.conv2d(as_type(x, torch.bfloat16), w, None, 1, 1),
        "H2",
        "inputs are rounded to bfloat16",
    ),
    "both in float16": (
        lambda x, w: F.conv2d(as_type(x, torch.half), as_type(w, torch.half), None, 1, 1),
        "H2",
        "inputs and weights are rounded to float16",
    ),
    "TF32": (
        lambda x, w: F.conv2d(tf32(x).float(), tf32(w).float(), None, 1, 1),
        "H1",
        "inputs and weights are rounded to TF32",
    ),
    "output in float16": (
        lambda x, w: as_type(F.conv2d(as_type(x, torch.half), as_type(w, torch.half), None, 1, 1), torch.half),
        "H2",
        "computes in float16",
    ),
    "TF32 by splitting": (
        lambda x, w: F.conv2d(split(x), split(w), None, 1, 1),
        "H1",
        "inputs and weights are rounded to TF32",
    ),
    "TF32 cut off": (
        lambda x, w: F.conv2d(cut(x, 13), cut(w, 13), None, 1, 1),
        "H1",
        "inputs and weights are rounded to TF32, downwards",
    ),
    "weights cut to bfloat16": (
        lambda x, w: F.conv2d(x, cut(w, 16), None, 1, 1),
        "H2",
        "weights are rounded to bfloat16, downwards",
    ),
    "the output alone in bfloat16": (
        lambda x, w: as_type(F.conv2d(x, w, None, 1, 1), torch.bfloat16),
        "H2",
        "the output alone is rounded to bfloat16",
    ),
    "all in bfloat16": (lambda x, w: F.conv2d(x.bfloat16(), w.bfloat16(), None, 1, 1), "H2", "computes in bfloat16"),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", WRONG, ids=str)
def test_each_shorter_format_is_recognised(name: str, dtype: torch.dtype) -> None:
    """The format is told by one hypothesis, but for TF32 and float16, which round operands alike."""
    wrong, code, title = WRONG[name]
    found = explaining(conv_site(wrong, dtype=dtype))
    # TF32 and float16 keep equally many bits: operands of ordinary size are rounded by both to the same numbers. TF32
    # sums in float32, and allows for it.
    twins = [one for one in found if (one.code, code) in {("H1", "H2"), ("H2", "H1")}]
    assert all("inputs and weights are rounded" in one.title for one in twins)
    (found,) = [one for one in found if one not in twins]
    assert found.code == code
    assert title in found.title


def test_ties_tell_tf32_from_float16() -> None:
    """Numbers in the middle of two are rounded otherwise by TF32 than by float16, and so are small ones."""
    tie = 2.0**-12 + 2.0**-13
    tied: Conv = lambda x, w: F.conv2d(tf32_away(x), tf32_away(w), None, 1, 1)  # noqa: E731
    site = conv_site(tied)
    inputs = tuple(np.where(np.arange(one.size).reshape(one.shape) % 3, one, 1 + tie * 2) for one in site.real.inputs)
    x, w = torch.from_numpy(inputs[0]), torch.from_numpy(site.op.parameters["weight"]).double()
    sample = Sample(inputs, F.conv2d(x, w, None, 1, 1).numpy(), tied(x, w).numpy())
    found = explaining(replace(site, real=sample, dense=None))
    assert [one.code for one in found] == ["H1"]


@pytest.mark.parametrize("kind", ["relu", "max_pool2d"])
def test_an_operation_without_weights_is_told_by_the_grid(kind: str) -> None:
    """A ReLU or a max-pool in half precision is half precision, and nothing else."""
    rng = np.random.default_rng(4)
    attributes = {"kernel_size": (3, 3), "stride": (2, 2), "padding": (1, 1)} if kind == "max_pool2d" else {}
    op = Op(kind, kind, kind, ("before",), attributes, {}, (), "")
    x = torch.from_numpy(rng.normal(0, 1, (1, 3, 8, 8)))
    right = F.relu if kind == "relu" else lambda t: F.max_pool2d(t, 3, 2, 1)
    sample = Sample((x.numpy(),), right(x).numpy(), as_type(right(as_type(x, torch.half)), torch.half).numpy())
    (found,) = explaining(Site(op, (op,), sample))
    assert (found.code, found.title) == ("H2", "computes in float16")


def test_sums_in_float16_are_told_by_the_grid_alone() -> None:
    """Where the sums themselves are made in float16 no model can foretell them: the grid is evidence, unconfirmed."""

    def halves(x: Tensor, w: Tensor) -> Tensor:
        total = torch.zeros(1, 6, 9, 8, dtype=torch.half)
        for c in range(16):
            total += F.conv2d(x[:, c : c + 1], w[:, c : c + 1], None, 1, 1).half()
        return total

    site = conv_site(halves)
    (found,) = list(numerics.hypotheses(site))
    assert found.code == "H2"
    assert "every output is a float16 number" in found.evidence


def test_float32_inside_is_named_only_where_the_judge_saw_a_dtype() -> None:
    """Float32 in float64's place is a cause only where the judge says that the type is wrong."""
    wrong: Conv = lambda x, w: F.conv2d(x.float(), w.float(), None, 1, 1)  # noqa: E731
    assert explaining(conv_site(wrong)) == []
    said = "dtype: got float32 for inputs of float64, expected float64"
    (found,) = explaining(conv_site(wrong, problems=(said,)))
    assert found.code == "H3"


def test_a_right_operation_and_a_wrong_one_are_explained_by_no_format() -> None:
    """What is right, what is grossly wrong and what is a little wrong has no shorter format."""
    assert explaining(conv_site(lambda x, w: F.conv2d(x, w, None, 1, 1))) == []
    assert explaining(conv_site(lambda x, w: F.conv2d(x, w.flip(3), None, 1, 1))) == []
    assert explaining(conv_site(lambda x, w: 1.0003 * F.conv2d(x, w, None, 1, 1))) == []


def test_a_small_mistake_in_a_long_sum_is_not_taken_for_tf32() -> None:
    """What a float32 sum is allowed would cover it in float64; it is no nearer to TF32 than to what is expected."""
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.normal(0, 1e-3, (1, 4, 3, 3)))
    site = conv_site(lambda x, w: F.conv2d(x, w, None, 1, 1) + noise, channels=(512, 4), size=(3, 3))
    assert list(numerics.hypotheses(site)) == []


def test_infinite_outputs_beside_the_grid_mean_float16() -> None:
    """What leaves float16's range, the rest lying on its grid, is named without a model."""
    site = conv_site(lambda x, w: (3e5 * F.conv2d(x, w, None, 1, 1)).half())
    (found,) = list(numerics.hypotheses(site))
    assert (found.code, found.model) == ("H2", ())


def flatten_site(wrong: Callable[[Tensor], Tensor], shape: tuple[int, ...] = (2, 3, 4, 5)) -> Site:
    """What is seen of a flatten that computes `wrong`."""
    rng = np.random.default_rng(2)
    op = Op("flatten", "flatten", "flatten", ("avgpool",), {"start_dim": 1, "end_dim": -1}, {}, (), "")
    samples = []
    for _ in range(2):
        x = torch.from_numpy(rng.normal(0, 1, shape))
        samples.append(Sample((x.numpy(),), x.flatten(1).numpy(), wrong(x).contiguous().numpy()))
    return Site(op, (op,), *samples)


FLATTENS: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...], str, str]] = {
    "NHWC": (lambda x: x.permute(0, 2, 3, 1).flatten(1), (2, 3, 4, 5), "F2", "laid in a row as NHWC, expected NCHW"),
    "Fortran": (
        lambda x: torch.from_numpy(x.numpy().reshape(len(x), -1, order="F")),
        (1, 3, 4, 5),
        "F2",
        "as order 'F' does",
    ),
    "NCWH": (lambda x: x.transpose(2, 3).flatten(1), (2, 3, 4, 4), "F2", "as NCWH, expected NCHW"),
    "batch in the middle": (lambda x: x.transpose(0, 1).reshape(2, -1), (2, 3, 4, 5), "F3", "as CNHW"),
    "view for permute": (
        lambda x: x.reshape(2, 4, 5, 3).permute(0, 3, 1, 2).flatten(1),
        (2, 3, 4, 5),
        "F3",
        "read as NHWC",
    ),
    "squeezed": (lambda x: x.flatten(), (1, 3, 4, 5), "F5", "the batch axis is dropped"),
    "merged": (lambda x: x.reshape(-1, 3), (2, 3, 4, 5), "F6", "the shape is (40, 3), expected (2, 60)"),
    "from axis 2": (lambda x: x.flatten(2), (2, 3, 4, 5), "F6", "the shape is (2, 3, 20), expected (2, 60)"),
}


@pytest.mark.parametrize("name", FLATTENS, ids=str)
def test_each_other_flatten_is_recognised_and_undone(name: str) -> None:
    """Exactly one order or shape explains each flatten, and what undoes it gives the expected numbers."""
    wrong, shape, code, title = FLATTENS[name]
    site = flatten_site(wrong, shape)
    found = [one for one in (tried(h, site) for h in flattens.hypotheses(site)) if (one.residual or 0) <= 1]
    assert [one.code for one in found] == [code]
    assert title in found[0].title
    played, _ = play(found[0].after, {"flatten": site.real.got})
    assert np.array_equal(played[-1].output, site.real.want)


def test_a_right_flatten_and_other_numbers_are_explained_by_nothing() -> None:
    """What is right, or has other numbers, has no other order; with maps of one number every order is right."""
    assert list(flattens.hypotheses(flatten_site(lambda x: x.flatten(1)))) == []
    assert list(flattens.hypotheses(flatten_site(lambda x: 2 * x.flatten(1)))) == []
    one = flatten_site(lambda x: x.permute(0, 2, 3, 1).flatten(1), (2, 6, 1, 1))
    assert list(flattens.hypotheses(one)) == []


def test_an_empty_chain_is_no_model() -> None:
    """A hypothesis without a model is never within its allowance."""
    assert chain(("x",)) == ()
    site = conv_site(lambda x, w: (3e5 * F.conv2d(x, w, None, 1, 1)).half())
    assert explaining(site) == []
