"""The rules by which weights are drawn, each with the distribution that it gives a tensor of some fans."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from layerdiff.compare.initial.laws import CUT, Family, Law

__all__ = ["Fans", "Part", "Rule", "call_of", "fans_of", "rules_of"]

Part = Literal["kernel", "bias", "norm"]
"""What a tensor is: a kernel or matrix, the bias of one, or anything of a norm."""


@dataclass(frozen=True)
class Fans:
    """How many values meet in one output, and in how many one input takes part, of a weight (out, in/groups, kh, kw).

    Attributes:
        channels_in: of one group.
        channels_out: of all.
        taps: kh * kw, 1 for a matrix.
    """

    channels_in: int
    channels_out: int
    taps: int

    @property
    def fan_in(self) -> int:
        """As torch.nn.init counts it."""
        return self.channels_in * self.taps

    @property
    def fan_out(self) -> int:
        """As torch.nn.init counts it: neither groups nor stride count."""
        return self.channels_out * self.taps


def fans_of(shape: tuple[int, ...]) -> Fans | None:
    """The fans of a weight of this shape; None where it has none.

    Source: torch.nn.init, `_calculate_fan_in_and_fan_out`.
    """
    return Fans(shape[1], shape[0], math.prod(shape[2:])) if len(shape) >= 2 and 0 not in shape else None


@dataclass(frozen=True)
class Rule:
    """One way to draw a tensor.

    Attributes:
        name: as people say it.
        call: how torch does it.
        law: of a tensor of these fans; those of the layer's weight for a bias.
    """

    name: str
    call: str
    law: Callable[[Fans], Law]


def rules_of(part: Part, *, of_matrices: bool = False) -> tuple[Rule, ...]:
    """The rules by which such a tensor may have been drawn, the usual ones first.

    Args:
        part: what it is.
        of_matrices: whether no kernel has more than one tap, which nobody can leave out then.
    """
    rules = {"kernel": _KERNEL, "bias": _BIAS, "norm": _NORM}[part]
    return tuple(rule for rule in rules if not of_matrices or rule not in _MISCOUNTED)


def call_of(name: str) -> str:
    """How torch does what the rule of this name does; the name itself where there is no such rule."""
    return next((rule.call for rule in (*_KERNEL, *_BIAS, *_NORM) if rule.name == name), name)


def _scaled(family: Family, variance: Callable[[Fans], float]) -> Callable[[Fans], Law]:
    return lambda fans: Law(family, math.sqrt(variance(fans)))


def _fixed(family: Family, std: float, mean: float = 0.0) -> Callable[[Fans], Law]:
    return lambda _: Law(family, std, mean)


def _within(low: float, high: float) -> Callable[[Fans], Law]:
    return _fixed("uniform", (high - low) / math.sqrt(12), (low + high) / 2)


_DEFAULT = Rule(
    "kaiming_uniform(a=√5), torch's default",
    "nn.init.kaiming_uniform_(weight, a=5**0.5)",
    # sqrt(5) makes the gain sqrt(1/3), and the bound 1/sqrt(fan_in).
    _scaled("uniform", lambda fans: 1 / 3 / fans.fan_in),
)

# He et al., "Delving Deep into Rectifiers", 2015; Glorot & Bengio, "Understanding the difficulty of training deep
# feedforward neural networks", 2010; LeCun et al., "Efficient BackProp", 1998. Keras and flax cut their normal ones
# off at two standard deviations, and make up for what is lost; timm's does not make up for it.
_KAIMING = (
    Rule("kaiming_normal(fan_in)", 'nn.init.kaiming_normal_(weight, mode="fan_in")',
         _scaled("normal", lambda fans: 2 / fans.fan_in)),
    Rule("kaiming_normal(fan_out)", 'nn.init.kaiming_normal_(weight, mode="fan_out")',
         _scaled("normal", lambda fans: 2 / fans.fan_out)),
    Rule("kaiming_uniform(fan_in)", 'nn.init.kaiming_uniform_(weight, mode="fan_in")',
         _scaled("uniform", lambda fans: 2 / fans.fan_in)),
    Rule("kaiming_uniform(fan_out)", 'nn.init.kaiming_uniform_(weight, mode="fan_out")',
         _scaled("uniform", lambda fans: 2 / fans.fan_out)),
    Rule("kaiming_normal(fan_in) of gain 1, LeCun's", 'nn.init.kaiming_normal_(weight, nonlinearity="linear")',
         _scaled("normal", lambda fans: 1 / fans.fan_in)),
    Rule("kaiming_normal(fan_out) of gain 1",
         'nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="linear")',
         _scaled("normal", lambda fans: 1 / fans.fan_out)),
    Rule("kaiming_uniform(fan_in) of gain 1, LeCun's", 'nn.init.kaiming_uniform_(weight, nonlinearity="linear")',
         _scaled("uniform", lambda fans: 1 / fans.fan_in)),
    Rule("kaiming_uniform(fan_out) of gain 1",
         'nn.init.kaiming_uniform_(weight, mode="fan_out", nonlinearity="linear")',
         _scaled("uniform", lambda fans: 1 / fans.fan_out)),
    Rule("kaiming_uniform(fan_out, a=√5)", 'nn.init.kaiming_uniform_(weight, a=5**0.5, mode="fan_out")',
         _scaled("uniform", lambda fans: 1 / 3 / fans.fan_out)),
    Rule("kaiming_normal(fan_in, a=√5)", "nn.init.kaiming_normal_(weight, a=5**0.5)",
         _scaled("normal", lambda fans: 1 / 3 / fans.fan_in)),
    Rule("kaiming_normal(fan_out, a=√5)", 'nn.init.kaiming_normal_(weight, a=5**0.5, mode="fan_out")',
         _scaled("normal", lambda fans: 1 / 3 / fans.fan_out)),
)  # fmt: skip

_XAVIER = (
    Rule("xavier_normal", "nn.init.xavier_normal_(weight)",
         _scaled("normal", lambda fans: 2 / (fans.fan_in + fans.fan_out))),
    Rule("xavier_uniform", "nn.init.xavier_uniform_(weight)",
         _scaled("uniform", lambda fans: 2 / (fans.fan_in + fans.fan_out))),
    Rule("xavier_normal of gain √2", "nn.init.xavier_normal_(weight, 2**0.5)",
         _scaled("normal", lambda fans: 4 / (fans.fan_in + fans.fan_out))),
    Rule("xavier_uniform of gain √2", "nn.init.xavier_uniform_(weight, 2**0.5)",
         _scaled("uniform", lambda fans: 4 / (fans.fan_in + fans.fan_out))),
)  # fmt: skip

_CUT = tuple(
    Rule(f"{name}, cut off at two standard deviations",
         "nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std) with "
         f"std = sqrt({words}) / {CUT:.4f}",
         _scaled("truncated", variance))
    for name, words, variance in (
        ("kaiming_normal(fan_in)", "2 / fan_in", lambda fans: 2 / fans.fan_in),
        ("kaiming_normal(fan_out)", "2 / fan_out", lambda fans: 2 / fans.fan_out),
        ("kaiming_normal(fan_in) of gain 1", "1 / fan_in", lambda fans: 1 / fans.fan_in),
        ("xavier_normal", "2 / (fan_in + fan_out)", lambda fans: 2 / (fans.fan_in + fans.fan_out)),
    )
)  # fmt: skip

_MISCOUNTED = (
    Rule("kaiming_normal with a fan_in that leaves out the kernel's taps",
         "nn.init.normal_(weight, std=(2 / in_channels) ** 0.5)",
         _scaled("normal", lambda fans: 2 / fans.channels_in)),
    Rule("kaiming_normal with a fan_out that leaves out the kernel's taps",
         "nn.init.normal_(weight, std=(2 / out_channels) ** 0.5)",
         _scaled("normal", lambda fans: 2 / fans.channels_out)),
)  # fmt: skip

_ORTHOGONAL = tuple(
    Rule(f"orthogonal{words}", f"nn.init.orthogonal_(weight{argument})",
         _scaled("orthogonal", variance))
    for words, argument, variance in (
        ("", "", lambda fans: 1 / max(fans.channels_out, fans.fan_in)),
        (" of gain √2", ", 2**0.5", lambda fans: 2 / max(fans.channels_out, fans.fan_in)),
    )
)  # fmt: skip

_PLAIN = (
    *(Rule(f"normal(std={std:g})", f"nn.init.normal_(weight, std={std:g})", _fixed("normal", std))
      for std in (0.001, 0.01, 0.02, 0.05, 0.1, 1)),
    *(Rule(f"normal(std={std:g}), cut off at two standard deviations",
           f"nn.init.trunc_normal_(weight, std={std:g}, a={-2 * std:g}, b={2 * std:g})",
           _fixed("truncated", std * CUT)) for std in (0.01, 0.02, 0.05, 0.1, 1)),
    *(Rule(f"uniform({low:g}, {high:g})", f"nn.init.uniform_(weight, {low:g}, {high:g})", _within(low, high))
      for low, high in ((0, 1), (-1, 1), (-0.1, 0.1), (-0.05, 0.05), (-0.01, 0.01))),
)  # fmt: skip

_KERNEL = (*_KAIMING[:4], _DEFAULT, *_KAIMING[4:], *_XAVIER, *_CUT, *_ORTHOGONAL, *_MISCOUNTED, *_PLAIN)
_BIAS = (
    Rule("torch's default, uniform within 1/√fan_in", "nn.init.uniform_(bias, -(fan_in**-0.5), fan_in**-0.5)",
         _DEFAULT.law),
    *_PLAIN,
)  # fmt: skip
_NORM = (
    Rule("normal(1, std=0.02), DCGAN's", "nn.init.normal_(weight, 1, 0.02)", _fixed("normal", 0.02, 1.0)),
    *_PLAIN,
)  # fmt: skip
