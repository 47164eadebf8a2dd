"""J: what is left of training in a forward pass."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import compared
from layerdiff.compare.catalogue.toys import HEAD

__all__ = ["TRAINING"]

TRAINING: tuple[Cause, ...] = (
    Cause(
        code="J7",
        title="a dropout leaves a factor behind",
        meaning=(
            "What a layer takes or gives is multiplied by a number such as 0.5 or 2: the scale of a dropout that "
            "drops nothing any more."
        ),
        why=(
            "A dropout must make up for what it drops, either while it drops (by 1 / (1 - p), as torch does) or at "
            "test time (by 1 - p). Doing both, neither, or with p for 1 - p leaves a factor."
        ),
        signature=(
            "One factor explains all values of the layer. In K4 values are dropped, and differ from pass to pass."
        ),
        fix="Scale by 1 / (1 - p) in training, and do nothing in eval mode.",
        sources=("kaldi-asr/kaldi#2814", "clab/dynet#186"),
        example=compared(
            "J7",
            HEAD,
            """\
            class Kept(nn.Linear):
                def forward(self, x):
                    return super().forward(0.5 * x)  # "half of them are kept"


            actual[2] = Kept(8, 8)
            actual.load_state_dict(expected.state_dict())
        """,
            shape="(1, 8, 4, 4)",
        ),
    ),
)
