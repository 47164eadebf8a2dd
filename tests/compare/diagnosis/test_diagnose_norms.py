"""What is wrong with a batch norm is read from what it gives, with the values that it was given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from layerdiff.compare.allowance import RULES, Call
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.norm.norms import hypotheses
from layerdiff.compare.hypotheses.site import Sample, Site
from layerdiff.compare.hypotheses.trial import tried
from layerdiff.compare.trace import Array, Op

EPS = 1e-5


@dataclass(frozen=True)
class Known:
    """The parameters of the expected batch norm, (1, c, 1, 1) each."""

    m: Tensor
    v: Tensor
    g: Tensor
    b: Tensor

    def of(self, x: Tensor) -> Tensor:
        """What the expected batch norm gives."""
        return (x - self.m) / torch.sqrt(self.v + EPS) * self.g + self.b


Wrong = Callable[[Tensor, Known], Tensor]


def known(channels: int = 12, seed: int = 0, *, least: float = 1e-3) -> dict[str, Array]:
    """Parameters far from their defaults, with variances from `least` to 8, and a fifth of the weights negative."""
    rng = np.random.default_rng(seed)
    gamma = rng.uniform(0.4, 1.3, channels) * np.where(np.arange(channels) % 5 == 0, -1, 1)
    drawn = {
        "weight": gamma,
        "bias": rng.uniform(-0.4, 0.6, channels),
        "running_mean": rng.uniform(-1, 1, channels),
        "running_var": np.geomspace(least, 8, channels),
    }
    return {role: array.astype(np.float32) for role, array in drawn.items()}


def site_of(
    wrong: Wrong,
    *,
    parameters: dict[str, Array] | None = None,
    shapes: tuple[tuple[int, ...], ...] = ((2, 12, 5, 7), (2, 12, 6, 5)),
    layer: str = "layer1.0.bn1",
    eps: float = EPS,
    dtype: torch.dtype = torch.float64,
) -> Site:
    """What is seen of a batch norm that computes `wrong`: on activations and on a dense input."""
    parameters = parameters or known(shapes[0][1])
    tensors = {role: torch.from_numpy(a).to(dtype).reshape(1, -1, 1, 1) for role, a in parameters.items()}
    p = Known(tensors["running_mean"], tensors["running_var"], tensors["weight"], tensors["bias"])
    one = Op(
        layer, layer, "batch_norm", ("conv",), {"eps": eps, "momentum": 0.1, "training": False}, parameters, (), ""
    )
    samples = []
    for i, shape in enumerate(shapes):
        x = torch.from_numpy(np.random.default_rng(i).normal(0.3, 2, shape)).to(dtype)
        want = (x - p.m) / torch.sqrt(p.v + eps) * p.g + p.b
        samples.append(Sample((x.numpy(),), want.numpy(), wrong(x, p).numpy()))
    other = replace(one, layer="norm", path="norm", attributes={}, parameters={})
    return Site(one, (other,), samples[0], samples[1] if len(samples) > 1 else None)


def explaining(site: Site) -> list[Hypothesis]:
    """The hypotheses that explain a site."""
    results = [tried(one, site) for one in hypotheses(site)]
    return [one for one in results if one.residual is not None and one.residual <= 1]


def own(x: Tensor, p: Known, dims: tuple[int, ...], *, correction: int = 0) -> Tensor:
    """The batch norm with statistics of its own input over `dims`."""
    mean = x.mean(dims, keepdim=True)
    variance = torch.square(x - mean).sum(dims, keepdim=True)
    n = x.numel() // mean.numel()
    return (x - mean) / torch.sqrt(variance / (n - correction) + EPS) * p.g + p.b


SLIPS: dict[str, tuple[Wrong, str, str]] = {
    "eps 1e-3": (lambda x, p: (x - p.m) / torch.sqrt(p.v + 1e-3) * p.g + p.b, "C1", "eps is 0.001, expected 1e-05"),
    "eps of Keras' DenseNet": (
        lambda x, p: (x - p.m) / torch.sqrt(p.v + 1.001e-5) * p.g + p.b, "C1", "eps is 1.001e-05, expected 1e-05"),
    "eps 0.0007": (lambda x, p: (x - p.m) / torch.sqrt(p.v + 7e-4) * p.g + p.b, "C1", "eps is 0.0007, expected 1e-05"),
    "no eps": (lambda x, p: (x - p.m) / torch.sqrt(p.v) * p.g + p.b, "C1", "eps is 0, expected 1e-05"),
    "var for its root": (lambda x, p: (x - p.m) / (p.v + EPS) * p.g + p.b, "C7", "divides by running_var + eps"),
    "var alone for its root": (lambda x, p: (x - p.m) / p.v * p.g + p.b, "C7", "divides by running_var,"),
    "squared for root": (lambda x, p: (x - p.m) / (p.v + EPS) ** 2 * p.g + p.b, "C7", "squared"),
    "eps outside": (lambda x, p: (x - p.m) / (torch.sqrt(p.v) + EPS) * p.g + p.b, "C7", "outside the root"),
    "eps after": (lambda x, p: ((x - p.m) / torch.sqrt(p.v) + EPS) * p.g + p.b, "C7", "after the division"),
    "times the root": (lambda x, p: (x - p.m) * torch.sqrt(p.v + EPS) * p.g + p.b, "C7", "multiplies by √"),
    "not divided": (lambda x, p: (x - p.m) * p.g + p.b, "C7", "does not divide"),
    "mean not subtracted": (lambda x, p: x / torch.sqrt(p.v + EPS) * p.g + p.b, "C7", "mean is not subtracted"),
    "mean added": (lambda x, p: (x + p.m) / torch.sqrt(p.v + EPS) * p.g + p.b, "C7", "running_mean is added"),
    "mean after scaling": (lambda x, p: x / torch.sqrt(p.v + EPS) * p.g - p.m + p.b, "C7", "scaled by weight"),
    "mean after division": (lambda x, p: (x / torch.sqrt(p.v + EPS) - p.m) * p.g + p.b, "C7", "divided by √"),
    "bias subtracted": (lambda x, p: (x - p.m) / torch.sqrt(p.v + EPS) * p.g - p.b, "C7", "bias is subtracted"),
    "bias before weight": (lambda x, p: ((x - p.m) / torch.sqrt(p.v + EPS) + p.b) * p.g, "C7", "before the product"),
    "mean and var swapped": (
        lambda x, p: (x - p.v) / torch.sqrt(p.m + EPS) * p.g + p.b, "C4", "running_mean and running_var are swapped"),
    "weight and bias swapped": (
        lambda x, p: (x - p.m) / torch.sqrt(p.v + EPS) * p.b + p.g, "C4", "weight and bias are swapped"),
    "bias, mean and weight in a ring": (
        lambda x, p: (x - p.b) / torch.sqrt(p.v + EPS) * p.m + p.g, "C4", "running_mean is used as weight"),
    "Caffe's factor": (
        lambda x, p: (x - 998.7 * p.m) / torch.sqrt(998.7 * p.v + EPS) * p.g + p.b, "C8", "are 998.7 times"),
    "Caffe's factor, other way": (
        lambda x, p: (x - 0.0125 * p.m) / torch.sqrt(0.0125 * p.v + EPS) * p.g + p.b, "C8", "are 0.0125 times"),
    "mean times k": (lambda x, p: (x - 3.25 * p.m) / torch.sqrt(p.v + EPS) * p.g + p.b, "C8", "mean is 3.25 times"),
    "var times k": (lambda x, p: (x - p.m) / torch.sqrt(255 * p.v + EPS) * p.g + p.b, "C8", "var is 255 times"),
    "var is std": (lambda x, p: (x - p.m) / torch.sqrt(p.v.sqrt() + EPS) * p.g + p.b, "C8", "standard deviation"),
    "var is 1/std": (
        lambda x, p: (x - p.m) / torch.sqrt(1 / torch.sqrt(p.v + EPS) + EPS) * p.g + p.b, "C8", "reciprocal"),
    "std squared": (lambda x, p: (x - p.m) / torch.sqrt(p.v**2 + EPS) * p.g + p.b, "C8", "must be squared"),
    "unbiased": (
        lambda x, p: (x - p.m) / torch.sqrt(p.v * (98 / 97) + EPS) * p.g + p.b, "C3", "unbiased variance of 98 "),
    "biased": (
        lambda x, p: (x - p.m) / torch.sqrt(p.v * (12543 / 12544) + EPS) * p.g + p.b, "C3", "biased variance of 12544"),
    "no weight": (lambda x, p: (x - p.m) / torch.sqrt(p.v + EPS) + p.b, "C9", "weight is left out"),
    "no bias": (lambda x, p: (x - p.m) / torch.sqrt(p.v + EPS) * p.g, "C9", "bias is left out"),
    "neither": (lambda x, p: (x - p.m) / torch.sqrt(p.v + EPS), "C9", "weight and bias are left out"),
    "weight's magnitude": (lambda x, p: (x - p.m) / torch.sqrt(p.v + EPS) * p.g.abs() + p.b, "C9", "magnitude"),
    "one plus weight": (lambda x, p: (x - p.m) / torch.sqrt(p.v + EPS) * (1 + p.g) + p.b, "C9", "1 + weight"),
    "initial statistics": (lambda x, p: x / (1 + EPS) ** 0.5 * p.g + p.b, "C11", "0 and 1"),
    "initial variance": (lambda x, p: (x - p.m) / (1 + EPS) ** 0.5 * p.g + p.b, "C11", "running_var is at its initial"),
    "nothing": (lambda x, p: x.clone(), "A14", "does nothing"),
    "training mode": (lambda x, p: own(x, p, (0, 2, 3)), "K1", "the batch's own statistics, as in training mode"),
    "training mode, unbiased": (lambda x, p: own(x, p, (0, 2, 3), correction=1), "K1", "unbiased"),
    "instance norm": (lambda x, p: own(x, p, (2, 3)), "C6", "instance norm"),
    "over the batch alone": (lambda x, p: own(x, p, (0,)), "C6", "over the batch alone"),
    "layer norm": (lambda x, p: own(x, p, (1, 2, 3)), "C6", "layer norm"),
    "over channels": (lambda x, p: own(x, p, (1,)), "C6", "over the channels of each place"),
}  # fmt: skip


@pytest.mark.parametrize("name", SLIPS, ids=str)
def test_each_slip_is_explained_by_its_own_cause_alone(name: str) -> None:
    """Each mistake is explained by exactly one hypothesis: its code, with its values in the title."""
    wrong, code, title = SLIPS[name]
    (found,) = explaining(site_of(wrong))
    assert found.code == code
    assert title in found.title


@pytest.mark.parametrize(
    "name", ["eps 1e-3", "eps of Keras' DenseNet", "Caffe's factor", "var for its root", "no bias"]
)
def test_float32_is_enough(name: str) -> None:
    """Where the candidate runs in float32 alone, the same cause is found, as far as float32 can tell it from others."""
    wrong, code, title = SLIPS[name]
    found = explaining(site_of(wrong, parameters=known(least=1e-4), dtype=torch.float32))
    assert [one.code for one in found] == [code]
    assert title in found[0].title


def test_a_right_batch_norm_has_no_cause() -> None:
    """Nothing explains a batch norm that is right: no hypothesis is the expected one in other words."""
    assert explaining(site_of(lambda x, p: p.of(x))) == []


def test_a_batch_norm_that_nobody_knows_has_the_two_nearest() -> None:
    """What no hypothesis explains has at least two that were tried, none of which explains it."""
    site = site_of(lambda x, p: p.of(x) * 1.37 + x.sin())
    assert len(list(hypotheses(site))) >= 2
    assert explaining(site) == []


@pytest.mark.parametrize("seed", range(20))
def test_any_eps_is_recovered(seed: int) -> None:
    """Whatever the parameters, an eps from 1e-6 to 1e-1 is solved for exactly."""
    rng = np.random.default_rng(seed)
    eps = float(f"{10 ** rng.uniform(-6, -1):.2e}")
    parameters = known(16, seed, least=10 ** rng.uniform(-5, -1))

    def wrong(x: Tensor, p: Known) -> Tensor:
        flat = [a.flatten() for a in (p.m, p.v, p.g, p.b)]
        return functional.batch_norm(x, *flat, eps=eps)

    (found,) = explaining(site_of(wrong, parameters=parameters, shapes=((1, 16, 4, 3), (1, 16, 5, 5))))
    assert found.code == "C1"
    assert found.title == f"eps is {eps:.12g}, expected 1e-05"
    assert found.attributes == {"eps": EPS}


@pytest.mark.parametrize("seed", range(10))
def test_any_scale_factor_is_recovered(seed: int) -> None:
    """Whatever the parameters, the factor by which both statistics were multiplied is solved for exactly."""
    k = float(f"{10 ** np.random.default_rng(seed).uniform(-3, 4):.4g}")
    site = site_of(lambda x, p: (x - k * p.m) / torch.sqrt(k * p.v + EPS) * p.g + p.b, parameters=known(12, seed))
    assert [one.title for one in explaining(site)] == [
        f"running_mean and running_var are {k:.12g} times the right ones"
    ]


@pytest.mark.parametrize(("axis", "shape"), [(3, (2, 6, 5, 6)), (2, (2, 6, 6, 5))], ids=["width", "height"])
def test_parameters_along_another_axis(axis: int, shape: tuple[int, ...]) -> None:
    """Parameters along the rows or the columns are told from each other, and statistics from weight and bias."""

    def along(t: Tensor) -> Tensor:
        return t.transpose(1, axis)

    name = {3: "width", 2: "height"}[axis]
    cases: list[tuple[Wrong, str, str]] = [
        (
            lambda x, p: (x - along(p.m)) / torch.sqrt(along(p.v) + EPS) * along(p.g) + along(p.b),
            "C5",
            "all parameters",
        ),
        (lambda x, p: (x - along(p.m)) / torch.sqrt(along(p.v) + EPS) * p.g + p.b, "C5", "mean and variance"),
        (lambda x, p: (x - p.m) / torch.sqrt(p.v + EPS) * along(p.g) + along(p.b), "B9", "weight and bias"),
    ]
    for wrong, code, what in cases:
        (found,) = explaining(site_of(wrong, shapes=(shape, shape)))
        assert (found.code, what in found.title, name in found.title) == (code, True, True)


def test_of_one_picture_batch_and_instance_statistics_are_the_same() -> None:
    """With one picture nothing tells a batch norm in training mode from an instance norm: both are named, K1 first."""
    site = site_of(lambda x, p: own(x, p, (0, 2, 3)), shapes=((1, 12, 5, 7), (1, 12, 6, 5)))
    assert [(one.code, one.rank) for one in explaining(site)] == [("K1", 1), ("C6", 3)]


def test_a_candidate_that_says_so_is_believed_first() -> None:
    """A candidate whose own settings say what was solved for has the smallest rank."""
    site = site_of(SLIPS["eps 1e-3"][0])
    other = replace(site.others[0], kind="batch_norm", attributes={"eps": 1e-3})
    (found,) = explaining(replace(site, others=(other,)))
    assert found.rank == 0


@pytest.mark.parametrize(
    ("parameters", "code"),
    [({"running_mean": np.zeros(12), "running_var": np.ones(12)}, "K1"), ({"weight": np.ones(12)}, "K5")],
    ids=["has running statistics", "has none"],
)
def test_training_mode_is_told_from_having_no_statistics(parameters: dict[str, Array], code: str) -> None:
    """A batch norm that has running statistics is in training mode; one that has none cannot be otherwise."""
    site = site_of(SLIPS["training mode"][0])
    other = replace(site.others[0], kind="batch_norm", attributes={"training": True}, parameters=parameters)
    (found,) = explaining(replace(site, others=(other,)))
    assert (found.code, found.rank, found.attributes) == (code, 0, {"training": False})


def test_on_a_shortcut_a_batch_norm_that_does_nothing_is_the_known_mistake() -> None:
    """Doing nothing on the projection shortcut is A7."""
    (found,) = explaining(site_of(SLIPS["nothing"][0], layer="layer2.0.downsample.1"))
    assert found.code == "A7"


def test_a_mistake_that_does_nothing_is_not_named() -> None:
    """With a mean of 0 nobody can see that it is not subtracted, and beside another mistake it is not named."""
    parameters = {**known(), "running_mean": np.zeros(12, np.float32)}
    found = explaining(site_of(SLIPS["eps 1e-3"][0], parameters=parameters))
    assert [one.code for one in found] == ["C1"]
    assert explaining(site_of(SLIPS["mean not subtracted"][0], parameters=parameters)) == []


def test_another_shape_is_not_for_a_batch_norm() -> None:
    """Where the candidate gives another shape, no batch norm can be the cause."""
    assert list(hypotheses(site_of(lambda x, p: p.of(x)[:, :, 1:]))) == []


@pytest.mark.parametrize(
    ("k", "places", "code"), [(0.9, 70, "C8"), (0.9, 10, "C3"), (2.0, 70, "C8"), (2.0, 2, "C3")], ids=str
)
def test_a_round_factor_is_a_correction_only_for_as_many_places(k: float, places: int, code: str) -> None:
    """A variance of 0.9 may be (n - 1)/n for n = 10, and is only called so where there are ten places."""
    shape = (1, 12, places, 1)
    site = site_of(lambda x, p: (x - p.m) / torch.sqrt(k * p.v + EPS) * p.g + p.b, shapes=(shape, shape))
    assert [one.code for one in explaining(site)] == [code]


def test_sums_in_any_order_are_within_the_allowance_of_own_statistics() -> None:
    """Means of many elements, added up one by one in float32, move more than a batch norm may."""

    def one_by_one(x: Tensor) -> Tensor:
        flat = x.transpose(0, 1).flatten(1).numpy()
        return torch.from_numpy(np.cumsum(flat, axis=1)[:, -1] / np.float32(flat.shape[1])).reshape(1, -1, 1, 1)

    def wrong(x: Tensor, p: Known) -> Tensor:
        mean = one_by_one(x)
        return (x - mean) / torch.sqrt(one_by_one(x * x) - mean * mean + EPS) * p.g + p.b

    site = site_of(wrong, shapes=((4, 12, 90, 90),), dtype=torch.float32)
    found = next(one for one in explaining(site) if one.code == "K1")
    (step,) = found.model
    assert step.run is not None
    x, exact = site.real.inputs[0], step.run(*site.real.inputs)
    apart = np.abs(exact.astype(np.float64) - site.real.got)
    norm = {"running_mean": x.mean((0, 2, 3)), "running_var": x.var((0, 2, 3)), **step.parameters}
    allowed = RULES["batch_norm"].allowance(Call({"eps": EPS}, norm, (x,), exact))
    assert allowed is not None
    assert (apart > allowed).any()


def test_with_one_picture_what_is_written_decides() -> None:
    """Code that takes its mean over height and width is an instance norm, though one picture cannot show it."""
    site = site_of(lambda x, p: own(x, p, (0, 2, 3)), shapes=((1, 12, 5, 7), (1, 12, 6, 5)))
    step = replace(site.others[0], kind="mean", attributes={"dim": (-2, -1), "keepdim": True})
    written = [
        replace(site.others[0], kind="batch_norm", attributes={"training": True}, inner=(step,)),
        replace(site.others[0], kind="instance_norm"),
    ]
    for other in written:
        found = sorted(explaining(replace(site, others=(other,))), key=lambda one: one.rank)
        assert [(one.code, one.rank) for one in found] == [("C6", 0), ("K1" if other.inner == () else "K5", 3)]
