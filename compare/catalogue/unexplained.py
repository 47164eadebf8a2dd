"""U: what has no known cause."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import compared
from layerdiff.compare.catalogue.toys import CONV

__all__ = ["UNEXPLAINED_CAUSE"]

UNEXPLAINED_CAUSE: tuple[Cause, ...] = (
    Cause(
        code="U1",
        title="different at a layer, and no cause was found",
        meaning=(
            "The layer does something else than expected, by itself and on the reference's own input, and none of the "
            "known causes gives what it gives. The finding names the place and the nearest two guesses, with how far "
            "they are off."
        ),
        why="It is a mistake that the catalogue does not have, or two mistakes in one layer at once.",
        signature=(
            "No cause predicts the candidate's values to within what rounding allows, or undoing it did not help. A "
            "cause is never named because it is near."
        ),
        fix=(
            "Read the line that the finding names. Feed the layer alone with a tiny input, and compare number by "
            "number."
        ),
        sources=("tensorflow/tensorflow#7624",),
        example=compared(
            "U1",
            CONV,
            """\
            class Odd(nn.ReLU):
                def forward(self, x):
                    return super().forward(x) + 0.01 * torch.sin(3 * x)


            actual[2] = Odd()
        """,
        ),
    ),
)
