"""What is wrong with a linear layer is read from what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from layerdiff.compare.allowance import Call
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.linears import hypotheses
from layerdiff.compare.hypotheses.rules import KIT_RULES
from layerdiff.compare.hypotheses.site import Sample, Site
from layerdiff.compare.hypotheses.trial import tried
from layerdiff.compare.trace import Array, Op

Wrong = Callable[[Tensor, Tensor, Tensor], Tensor]


def linear_site(
    wrong: Wrong,
    *,
    shape: tuple[int, int] = (9, 9),
    batch: int = 3,
    dtype: torch.dtype = torch.float64,
    size: float = 0.4,
) -> Site:
    """What is seen of a linear layer that computes `wrong` from x, W and b."""
    rng = np.random.default_rng(1)
    parameters: dict[str, Array] = {
        "weight": rng.normal(0, size, shape).astype(np.float32),
        "bias": rng.uniform(-1, 1, shape[0]).astype(np.float32),
    }
    op = Op("fc", "fc", "linear", ("flatten",), {}, parameters, (), "")
    w, b = (torch.from_numpy(parameters[role]).to(dtype) for role in ("weight", "bias"))
    samples = []
    for _ in range(2):
        x = torch.from_numpy(rng.normal(0.2, 1.5, (batch, shape[1]))).to(dtype)
        samples.append(Sample((x.numpy(),), (x @ w.T + b).numpy(), wrong(x, w, b).numpy()))
    return Site(op, (replace(op, layer="head", parameters={}),), *samples)


def explaining(site: Site) -> list[Hypothesis]:
    """The hypotheses that explain a site."""
    results = [tried(one, site) for one in hypotheses(site)]
    return [one for one in results if one.residual is not None and one.residual <= 1]


MISTAKES: dict[str, tuple[Wrong, str, str]] = {
    "transposed": (lambda x, w, b: x @ w + b, "F1", "not transposed"),
    "no bias": (lambda x, w, b: x @ w.T, "F7", "not added"),
    "bias twice": (lambda x, w, b: x @ w.T + b + b, "F7", "twice"),
    "bias subtracted": (lambda x, w, b: x @ w.T - b, "F7", "subtracted"),
    "dropout of 0.2 scaled": (
        lambda x, w, b: (x * 1.25) @ w.T + b, "J7", "by 1.25: 1/(1 - p) of a dropout with p = 0.2"),
    "dropout of 0.2 before": (lambda x, w, b: (x * 0.8) @ w.T + b, "J7", "by 0.8: 1 - p of a dropout with p = 0.2"),
    "scaled after": (lambda x, w, b: 0.0725 * (x @ w.T + b), "J7", "the output of the linear layer is multiplied"),
    "softmax": (lambda x, w, b: (x @ w.T + b).softmax(-1), "F4", "a softmax is applied to the logits"),
    "log-softmax": (lambda x, w, b: (x @ w.T + b).log_softmax(-1), "F4", "log-softmax"),
    "sigmoid": (lambda x, w, b: (x @ w.T + b).sigmoid(), "F4", "sigmoid"),
    "softmax twice": (lambda x, w, b: (x @ w.T + b).softmax(-1).softmax(-1), "F4", "twice"),
    "softmax and its logarithm": (lambda x, w, b: (x @ w.T + b).softmax(-1).log_softmax(-1), "F4", "and then"),
    "over the batch": (lambda x, w, b: (x @ w.T + b).softmax(0), "F4", "a softmax is applied to the logits, over"),
    "log over the batch": (lambda x, w, b: (x @ w.T + b).log_softmax(0), "F4", "over the batch"),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", MISTAKES, ids=str)
def test_each_mistake_is_explained_by_its_own_cause_alone(name: str, dtype: torch.dtype) -> None:
    """Each mistake is explained by exactly one hypothesis, with its values in the title, in either precision."""
    wrong, code, title = MISTAKES[name]
    (found,) = explaining(linear_site(wrong, dtype=dtype))
    assert found.code == code
    assert title in found.title


@pytest.mark.parametrize(
    "wrong",
    [lambda x, w, b: x @ w.T + b, lambda x, w, b: x.sin() @ w.T + b, lambda x, w, b: (x @ w.T + b).softmax(-1) * 1.01],
    ids=["right", "unknown", "nearly a softmax"],
)
def test_what_no_hypothesis_explains(wrong: Wrong) -> None:
    """A layer that is right, or wrong in a way nobody knows, is explained by nothing."""
    assert explaining(linear_site(wrong)) == []


@pytest.mark.parametrize("seed", range(10))
def test_any_factor_is_recovered(seed: int) -> None:
    """Whatever the factor on the input, it is solved for exactly."""
    k = float(f"{10 ** np.random.default_rng(seed).uniform(-3, 3):.3g}")
    (found,) = explaining(linear_site(lambda x, w, b: (k * x) @ w.T + b, shape=(7, 12)))
    assert found.title.startswith(f"the input of the linear layer is multiplied by {k:.12g}")


def test_another_shape_is_not_for_a_linear_layer() -> None:
    """Where the candidate gives another shape there is no hypothesis here."""
    assert list(hypotheses(linear_site(lambda x, w, b: (x @ w.T + b)[:, 1:]))) == []


@pytest.mark.parametrize("name", ["softmax", "log-softmax", "sigmoid"])
def test_logits_that_cancel_move_what_is_behind_them(name: str) -> None:
    """In float32 the logits of many features err by more than a softmax does: its allowance carries that through."""
    wrong, code, title = MISTAKES[name]

    def backwards(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return wrong(x.flip(1), w.flip(1), b)

    site = linear_site(backwards, shape=(5, 6000), dtype=torch.float32, size=0.02)
    (found,) = explaining(site)
    assert found.code == code
    assert title in found.title
    (step,) = found.model
    assert step.run is not None
    exact = step.run(*site.real.inputs)
    assert (np.abs(exact - site.real.got) > 16 * 2.0**-24 * np.abs(exact)).any()
    call = Call(step.attributes, step.parameters, site.real.inputs, exact)
    of_logits = KIT_RULES["linear"].allowance(replace(call, output=site.real.want))
    allowed = KIT_RULES["linear_head"].allowance(call)
    assert of_logits is not None
    assert allowed is not None
    slope = {"softmax": exact, "log-softmax": 1.0, "sigmoid": exact * (1 - exact)}[name]
    assert (allowed >= slope * of_logits).all()
