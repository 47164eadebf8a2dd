"""What a hypothesis may look at: a pair at fault, what both sides take and give, and everything known of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from layerdiff.compare.trace import Array, Op

__all__ = ["Sample", "Site"]


@dataclass(frozen=True)
class Sample:
    """Both sides of a pair, run by themselves on the same inputs.

    Attributes:
        inputs: what the expected operation takes, in its order, all in one precision (float64, or float32 where the
            candidate cannot run in float64).
        want: what the expected operation gives.
        got: what the candidate's operations give; it may have another shape.
    """

    inputs: tuple[Array, ...] = field(repr=False)
    want: Array = field(repr=False)
    got: Array = field(repr=False)


@dataclass(frozen=True)
class Site:
    """A pair at fault.

    Attributes:
        op: the expected operation; its `kind`, `attributes`, `parameters` and `inputs` are what should be.
        others: the candidate's operations that stand for it, in order; one, nearly always.
        real: on the network's own activations.
        dense: on the dense probe (both signs, no zeros); None where the candidate does not run on it.
        weights: all parameters of the expected network, by layer id and role.
        problems: what the judge says is wrong before any value.
        whole: the expected operations, where several are judged as one; `op` is then the last of them, with what all of
            them take from outside as its inputs.
    """

    op: Op
    others: tuple[Op, ...]
    real: Sample
    dense: Sample | None = None
    weights: Mapping[str, Mapping[str, Array]] = field(default_factory=dict, repr=False)
    problems: tuple[str, ...] = ()
    whole: tuple[Op, ...] = ()

    @property
    def layer(self) -> str:
        """The expected operation's id."""
        return self.op.layer

    @property
    def other(self) -> Op | None:
        """The candidate's operation, where it is a single one."""
        return self.others[0] if len(self.others) == 1 else None

    @property
    def samples(self) -> tuple[Sample, ...]:
        """Both samples, or the one there is."""
        return (self.real,) if self.dense is None else (self.real, self.dense)

    @property
    def clear(self) -> Sample:
        """The sample to solve for a value on: the dense one, where no element is zero, if there is one."""
        return self.real if self.dense is None else self.dense

    def own(self, role: str) -> Array | None:
        """The candidate's parameter, where a single operation of it has one of that role."""
        found = [op.parameters[role] for op in self.others if role in op.parameters]
        return found[0] if len(found) == 1 else None
