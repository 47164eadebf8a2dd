"""What stands in the place of a ReLU is read from what it gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from layerdiff.compare.hypotheses.activations import hypotheses
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.site import Sample, Site
from layerdiff.compare.hypotheses.trial import residual, tried
from layerdiff.compare.trace import Op

Wrong = Callable[[Tensor], Tensor]


def relu_site(
    wrong: Wrong,
    *,
    takes: str = "layer1.0.bn1",
    shape: tuple[int, ...] = (2, 5, 7, 6),
    dtype: torch.dtype = torch.float64,
) -> Site:
    """What is seen of an activation that computes `wrong`."""
    rng = np.random.default_rng(3)
    op = Op("layer1.0.relu", "layer1.0.relu", "relu", (takes,), {}, {}, (), "")
    samples = []
    for size in (1.5, 20.0):
        x = torch.from_numpy(rng.normal(0, size, shape)).to(dtype)
        samples.append(Sample((x.numpy(),), F.relu(x).numpy(), wrong(x).numpy()))
    return Site(op, (op,), *samples)


def explaining(site: Site) -> list[Hypothesis]:
    """The hypotheses that explain a site."""
    results = [tried(one, site) for one in hypotheses(site)]
    return [one for one in results if one.residual is not None and one.residual <= 1]


SLOPES = torch.tensor([0.25, 0.1, -0.2, 0.0, 1.5])

WRONG: dict[str, tuple[Wrong, str, str]] = {
    "missing": (lambda x: x.clone(), "E1", "the ReLU after the batch norm is missing"),
    "leaky 0.01": (lambda x: F.leaky_relu(x, 0.01), "E5", "a leaky ReLU of slope 0.01 stands"),
    "leaky 0.2": (lambda x: F.leaky_relu(x, 0.2), "E5", "a leaky ReLU of slope 0.2 stands"),
    "leaky as a maximum": (lambda x: torch.maximum(x, 0.1 * x), "E5", "a leaky ReLU of slope 0.1 stands"),
    "leaky 1/3": (lambda x: F.leaky_relu(x, 1 / 3), "E5", "a leaky ReLU of slope "),
    "leaky -0.1": (lambda x: F.leaky_relu(x, -0.1), "E5", "a leaky ReLU of slope -0.1"),
    "prelu": (lambda x: F.prelu(x, SLOPES.to(x)), "E5", "a PReLU with a slope for each channel"),
    "scaled": (lambda x: 2 * F.relu(x), "E5", "2·x above zero and 0·x below"),
    "crelu": (lambda x: torch.where(x > 0, 1.5 * x, 0.5 * x), "E5", "1.5·x above zero and 0.5·x below"),
    "relu6": (F.relu6, "E5", "ReLU6"),
    "clipped at 20": (lambda x: x.clamp(0, 20), "E5", "cut off at 0 below and 20 above"),
    "hardtanh": (F.hardtanh, "E5", "cut off at -1 below and 1 above"),
    "never below -0.5": (lambda x: x.clamp(min=-0.5), "E5", "cut off at -0.5 below stands"),
    "threshold": (lambda x: F.threshold(x, 0.5, 0.0), "E5", "a threshold at 0.5 stands"),
    "threshold, value": (lambda x: F.threshold(x, 1.0, -3.0), "E5", "a threshold at 1 with -3 below it"),
    "shifted": (lambda x: F.relu(x - 0.25), "E5", "a ReLU of x - 0.25"),
    "elu": (F.elu, "E5", "ELU stands"),
    "elu of 0.3": (lambda x: F.elu(x, 0.3), "E5", "an ELU of alpha 0.3"),
    "selu": (F.selu, "E5", "SELU"),
    "gelu": (F.gelu, "E5", "GELU stands"),
    "gelu, tanh": (lambda x: F.gelu(x, approximate="tanh"), "E5", "GELU in its tanh form"),
    "silu": (F.silu, "E5", "SiLU"),
    "mish": (F.mish, "E5", "Mish"),
    "hardswish": (F.hardswish, "E5", "Hardswish"),
    "hard sigmoid": (F.hardsigmoid, "E5", "a hard sigmoid"),
    "sigmoid": (torch.sigmoid, "E5", "a sigmoid"),
    "sigmoid by hand": (lambda x: 1 / (1 + torch.exp(-x)), "E5", "a sigmoid"),
    "tanh": (torch.tanh, "E5", "tanh"),
    "softsign": (F.softsign, "E5", "Softsign"),
    "softplus": (F.softplus, "E5", "Softplus"),
    "softplus by hand": (lambda x: torch.logaddexp(x, torch.zeros_like(x)), "E5", "Softplus"),
    "square": (torch.square, "E5", "the square stands"),
    "squared relu": (lambda x: F.relu(x) ** 2, "E5", "the square of a ReLU"),
    "absolute": (torch.abs, "E5", "the absolute value"),
    "minimum": (lambda x: x.clamp(max=0), "E5", "cut off at 0 above"),
    "softmax": (lambda x: x.softmax(1), "E5", "softmax over the channels"),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", WRONG, ids=str)
def test_each_other_function_is_recognised_with_its_values(name: str, dtype: torch.dtype) -> None:
    """Exactly one hypothesis explains each function, and says its slope, bound or alpha as it was written."""
    wrong, code, title = WRONG[name]
    (found,) = explaining(relu_site(wrong, dtype=dtype))
    assert found.code == code
    assert title in found.title


def test_a_relu_missing_after_the_addition_is_another_cause() -> None:
    """After the addition a missing ReLU is E2, before it E1; both are undone by one after the operation."""
    (found,) = explaining(relu_site(lambda x: x.clone(), takes="layer1.0.add"))
    assert (found.code, found.title) == ("E2", "the ReLU behind the addition is missing")
    assert [op.kind for op in found.after] == ["relu"]


@pytest.mark.parametrize(
    "wrong",
    [
        F.relu,
        lambda x: F.relu_(x.clone()),
        lambda x: x.clamp(min=0),
        lambda x: x * (x > 0),
        lambda x: (x + x.abs()) / 2,
    ],
    ids=["relu", "in place", "clamp", "mask", "halves"],
)
def test_a_relu_written_otherwise_is_no_other_function(wrong: Wrong) -> None:
    """What is a ReLU is explained by nothing."""
    assert explaining(relu_site(wrong)) == []


def test_a_slope_of_float32_is_not_rounded_further_than_it_explains() -> None:
    """A slope that was stored in float32 differs from the decimal in float64, and stays as it is."""
    slope = float(np.float32(0.1))
    site = relu_site(lambda x: torch.where(x > 0, x, slope * x))
    (found,) = explaining(site)
    assert residual(found.model, site) <= 1
    assert "slope 0.1 " not in found.title


def test_noise_is_explained_by_nothing() -> None:
    """Numbers without any rule have no cause here."""
    assert explaining(relu_site(lambda x: torch.from_numpy(np.random.default_rng(1).normal(0, 1, x.shape)))) == []


def test_a_vector_is_looked_at_too() -> None:
    """An activation behind a linear layer has two axes."""
    (found,) = explaining(relu_site(F.silu, shape=(3, 40)))
    assert "SiLU" in found.title
