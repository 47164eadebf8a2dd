"""Batch norms that anybody has written by mistake, each as an ordinary batch norm with other parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import permutations

import numpy as np

from layerdiff.compare.allowance import unit_roundoff
from layerdiff.compare.hypotheses.kit import Step, batch_norm
from layerdiff.compare.trace import Array, Op

__all__ = ["FORMS", "Form", "Norm", "assigned_otherwise", "changes"]

_ROLES = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Norm:
    """y = (x - mean)·gamma/√(var + eps) + beta, all (c,) float64."""

    mean: Array = field(repr=False)
    var: Array = field(repr=False)
    gamma: Array = field(repr=False)
    beta: Array = field(repr=False)
    eps: float

    @classmethod
    def of(cls, op: Op) -> Norm:
        """The batch norm that an operation of this kind is."""
        mean = op.parameters["running_mean"].astype(np.float64)
        gamma = op.parameters.get("weight", np.ones_like(mean)).astype(np.float64)
        beta = op.parameters.get("bias", np.zeros_like(mean)).astype(np.float64)
        eps = op.attributes["eps"]
        assert isinstance(eps, int | float)
        return cls(mean, op.parameters["running_var"].astype(np.float64), gamma, beta, float(eps))

    @property
    def sigma(self) -> Array:
        """√(var + eps)."""
        found: Array = np.sqrt(self.var + self.eps)
        return found

    @property
    def slope(self) -> Array:
        """gamma/√(var + eps)."""
        found: Array = self.gamma / self.sigma
        return found

    @property
    def shift(self) -> Array:
        """The output for an input of zero: beta - mean·slope."""
        found: Array = self.beta - self.mean * self.slope
        return found

    def step(self) -> Step:
        """It as a step of a model."""
        return batch_norm(self.mean, self.var, self.gamma, self.beta, eps=self.eps)

    def affine(self) -> Step:
        """Its gamma and beta alone, as a step of a model."""
        return batch_norm(np.zeros_like(self.mean), np.ones_like(self.mean), self.gamma, self.beta, eps=0.0)

    def first(self, count: int) -> Norm:
        """Its first channels alone."""
        return Norm(self.mean[:count], self.var[:count], self.gamma[:count], self.beta[:count], self.eps)

    def divided_by(self, sigma: Array) -> Norm:
        """The one that divides by `sigma` instead."""
        return replace(self, var=np.square(sigma), eps=0.0)


@dataclass(frozen=True)
class Form:
    """A way to write a batch norm that is not the right one.

    Attributes:
        code: of the cause.
        title: what it does.
        made: takes the right one; gives the ordinary batch norm that computes the same as the wrong one.
        change: what to do about it.
        rank: as a hypothesis has it.
    """

    code: str
    title: str
    made: Callable[[Norm], Norm] = field(repr=False)
    change: str = "compute (x - running_mean) / sqrt(running_var + eps) * weight + bias"
    rank: int = 2


def changes(norm: Norm, other: Norm) -> bool:
    """Whether another form of a batch norm is another function, by more than rounding can explain.

    It is not where its parameters are such that the mistake does nothing, such as a weight of 1 that is left out.
    """
    u = unit_roundoff(np.dtype(np.float64))
    with np.errstate(all="ignore"):
        size = np.abs(norm.slope), np.abs(norm.mean * norm.slope) + np.abs(norm.beta)
        near = [
            np.abs(a - b) <= 64 * u * scale
            for a, b, scale in zip((norm.slope, norm.shift), (other.slope, other.shift), size, strict=True)
        ]
    return not all(one.all() for one in near)


def assigned_otherwise() -> Iterator[Form]:
    """The four parameters, given to each other's places."""
    for order in permutations(range(4)):
        moved = [i for i in range(4) if order[i] != i]
        if not moved:
            continue
        title = (
            f"{_ROLES[moved[0]]} and {_ROLES[moved[1]]} are swapped"
            if len(moved) == 2
            else ", ".join(f"{_ROLES[i]} is used as {_ROLES[order.index(i)]}" for i in moved)
        )
        yield Form(
            "C4", title, _assigner(order), "assign weight, bias, running_mean and running_var by name, not by place",
            1 if len(moved) == 2 else 3,
        )  # fmt: skip


def _assigner(order: tuple[int, ...]) -> Callable[[Norm], Norm]:
    def made(norm: Norm) -> Norm:
        four = (norm.gamma, norm.beta, norm.mean, norm.var)
        gamma, beta, mean, var = (four[i] for i in order)
        return Norm(mean, var, gamma, beta, norm.eps)

    return made


_USE = "multiply by weight and add bias behind the normalisation"
_STATISTICS = "load running_mean and running_var, and let the batch norm use them"

FORMS = (
    Form("C7", "it divides by running_var + eps, not by its root", lambda n: n.divided_by(n.var + n.eps)),
    Form("C7", "it divides by (running_var + eps) squared", lambda n: n.divided_by(np.square(n.var + n.eps))),
    Form("C7", "it divides by running_var, not by its root", lambda n: n.divided_by(n.var)),
    Form("C7", "eps is added outside the root", lambda n: n.divided_by(np.sqrt(n.var) + n.eps)),
    Form("C7", "eps is added after the division",
         lambda n: replace(n.divided_by(np.sqrt(n.var)), mean=n.mean - n.eps * np.sqrt(n.var))),
    Form("C7", "it multiplies by √(running_var + eps)", lambda n: n.divided_by(1 / n.sigma)),
    Form("C7", "it multiplies by running_var + eps", lambda n: n.divided_by(1 / (n.var + n.eps))),
    Form("C7", "it does not divide by the standard deviation", lambda n: n.divided_by(np.ones_like(n.var))),
    Form("C7", "running_mean is not subtracted", lambda n: replace(n, mean=np.zeros_like(n.mean))),
    Form("C7", "running_mean is added", lambda n: replace(n, mean=-n.mean)),
    Form("C7", "running_mean is subtracted after x was scaled by weight/√(running_var + eps)",
         lambda n: replace(n, mean=n.mean / n.slope)),
    Form("C7", "running_mean is subtracted after x was divided by √(running_var + eps)",
         lambda n: replace(n, mean=n.mean * n.sigma)),
    Form("C7", "bias is subtracted", lambda n: replace(n, beta=-n.beta)),
    Form("C7", "bias is added before the product with weight", lambda n: replace(n, beta=n.beta * n.gamma)),
    Form("C7", "it divides by weight", lambda n: replace(n, gamma=1 / n.gamma)),
    Form("C8", "running_var is taken for a standard deviation that must be squared",
         lambda n: replace(n, var=np.square(n.var)), "give the variance as it is"),
    Form("C8", "running_var holds the standard deviation", lambda n: replace(n, var=np.sqrt(n.var)),
         "give the variance: square the standard deviation"),
    Form("C8", "running_var holds √(running_var + eps), the standard deviation", lambda n: replace(n, var=n.sigma),
         "give the variance: square the standard deviation"),
    Form("C8", "running_var holds the reciprocal of the variance", lambda n: replace(n, var=1 / n.var),
         "give the variance, not its reciprocal"),
    Form("C8", "running_var holds 1/√(running_var + eps), the reciprocal of the standard deviation",
         lambda n: replace(n, var=1 / n.sigma), "give the variance, not what x is multiplied by"),
    Form("C9", "weight is left out, or held at 1", lambda n: replace(n, gamma=np.ones_like(n.gamma)), _USE),
    Form("C9", "bias is left out", lambda n: replace(n, beta=np.zeros_like(n.beta)), _USE),
    Form("C9", "weight and bias are left out",
         lambda n: replace(n, gamma=np.ones_like(n.gamma), beta=np.zeros_like(n.beta)), _USE),
    Form("C9", "the magnitude of weight is used", lambda n: replace(n, gamma=np.abs(n.gamma)), "keep weight's sign"),
    Form("C9", "1 + weight is used for weight", lambda n: replace(n, gamma=1 + n.gamma), "multiply by weight itself"),
    Form("C11", "running_mean and running_var are at their initial values, 0 and 1",
         lambda n: replace(n, mean=np.zeros_like(n.mean), var=np.ones_like(n.var)), _STATISTICS),
    Form("C11", "running_var is at its initial value, 1", lambda n: replace(n, var=np.ones_like(n.var)), _STATISTICS),
)  # fmt: skip
"""Formula slips, and parameters that are missing, at their initial values, or not what they are taken for."""
