"""Which ideas make the fused network fast: each can be switched off, to measure what it is worth."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

__all__ = ["PLAIN", "Tricks"]


@dataclass(frozen=True)
class Tricks:
    """The ideas in use. None changes what is computed, all change how, so the last bits differ.

    Attributes:
        pointwise: a 1x1 convolution is one product on the pixels as they lie, and not on a copy of them.
        blocked: products are cut into blocks that the BLAS multiplies without packing. "auto" does so where the BLAS
            says that it has kernels for that, see `blas.has_small_kernels`. Measuring instead would choose differently,
            and so give other last bits, from one run to the next.
        winograd: 3x3 convolutions of stride 1 by fewer multiplications, see `winograd`.
        shifted: a rectifier is one pass, max(raw, -bias), and the bias is added further on, see `shifting`.
        interleaved: what follows on the same rows is done while they are in the cache, see `interleaving`.
    """

    pointwise: bool = True
    blocked: Literal["auto", "always", "never"] = "auto"
    winograd: bool = True
    shifted: bool = True
    interleaved: bool = True

    def names(self) -> tuple[str, ...]:
        """The ideas in use, by the names of the attributes; `blocked` counts unless it is "never"."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) not in {False, "never"})


PLAIN = Tricks(pointwise=False, blocked="never", winograd=False, shifted=False, interleaved=False)
"""None of them: patches, products as they come, one pass for each operation."""
