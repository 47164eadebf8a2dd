"""E: activation."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import compared
from layerdiff.compare.catalogue.toys import BLOCK, CONV, PREACT, STEM

__all__ = ["ACTIVATION"]

ACTIVATION: tuple[Cause, ...] = (
    Cause(
        code="E1",
        title="a ReLU is missing",
        meaning="Behind a norm there is no ReLU, in the stem or inside a block. Values that should be 0 are negative.",
        why=(
            "The forward pass was written twice, once for features, once for logits, and one of them lost a line. The "
            "accuracy of a trained network hardly tells."
        ),
        signature=(
            "The candidate has negative values, and a ReLU on them gives the expected ones. A ReLU that moved behind "
            "the max-pool changes nothing and is no fault. Behind an addition it is E2."
        ),
        fix="Put the ReLU back.",
        sources=("google/flax#343", "michuanhaohao/reid-strong-baseline#4"),
        example=compared("E1", STEM, "actual[2] = nn.Identity()", shape="(1, 3, 32, 32)"),
    ),
    Cause(
        code="E2",
        title="the ReLU after the addition is missing",
        meaning="The block gives the bare sum of branch and shortcut. The next block gets negative values.",
        why="The blocks end in a norm, and the last ReLU belongs to no branch of the picture.",
        signature=(
            "The block's output has negative values, and a ReLU on it gives the expected ones. In A10 the order of "
            "the whole block differs."
        ),
        fix="Apply a ReLU to the sum.",
        sources=("ajbrock/BoilerPlate#2", "D-X-Y/AutoDL-Projects#65"),
        example=compared(
            "E2",
            BLOCK,
            """\
            class Bare(BasicBlock):
                def forward(self, x):
                    out = self.relu(self.bn1(self.conv1(x)))
                    return self.bn2(self.conv2(out)) + x


            actual = Bare(8, 8).eval()
            actual.load_state_dict(expected.state_dict())
        """,
            shape="(1, 8, 8, 8)",
        ),
    ),
    Cause(
        code="E3",
        title="there is a ReLU before the addition",
        meaning="The branch ends in a ReLU before the shortcut is added, so it can only ever add, never take away.",
        why='A helper "conv, norm, ReLU" is used for every convolution of the block, the last one included.',
        signature=(
            "The sum is nowhere below the expected one, and equal where the branch is positive. D2 has the same sign "
            "behind a pooling."
        ),
        fix="Leave the ReLU out of the last layer of the branch.",
        sources=("kuangliu/pytorch-cifar#4", "arunpatala/residual.mnist#8"),
        example=compared(
            "E3",
            BLOCK,
            """\
            class TooMany(BasicBlock):
                def forward(self, x):
                    out = self.relu(self.bn1(self.conv1(x)))
                    out = self.relu(self.bn2(self.conv2(out)))
                    return self.relu(out + x)


            actual = TooMany(8, 8).eval()
            actual.load_state_dict(expected.state_dict())
        """,
            shape="(1, 8, 8, 8)",
        ),
    ),
    Cause(
        code="E4",
        title="batch norm and ReLU are swapped",
        meaning="The ReLU comes before the norm: convolution, ReLU, norm.",
        why="The order was discussed for years, and both train.",
        signature=(
            "The candidate's output is the norm of the ReLU of the convolution, and its least value per channel is "
            "shift - mean * scale / deviation. A10 moves both before the convolution."
        ),
        fix="convolution, norm, ReLU. Running means below zero prove that the weights were trained that way.",
        sources=("ageron/handson-ml2#77", "Lasagne/Recipes#78"),
        example=compared("E4", CONV, "actual = nn.Sequential(expected[0], expected[2], expected[1])"),
    ),
    Cause(
        code="E5",
        title="the activation is another function",
        meaning=(
            "Instead of a ReLU there is a leaky ReLU of some slope, a ReLU6, or a smooth function such as SiLU or "
            "GELU; or the slope is another one."
        ),
        why="Defaults of the slope differ: 0.01, 0.1, 0.2, 0.3. Mobile networks clip at 6.",
        signature=(
            "Plotted over its input, the output is a straight line of another slope below 0, or is cut at 6. A "
            "missing one (E1) has slope 1."
        ),
        fix="Use the reference's function and slope.",
        sources=("jinyu121/DW2TF#2", "Dobiasd/frugally-deep#446"),
        example=compared("E5", CONV, "actual[2] = nn.LeakyReLU(0.1)"),
    ),
    Cause(
        code="E6",
        title="a ReLU in place changes the saved shortcut",
        meaning=(
            "A ReLU that works in place overwrites the tensor that is to be added later. The shortcut is then ReLU(x) "
            "instead of x."
        ),
        why="`inplace=True` saves memory, and the saved variable is another name for the same memory.",
        signature=(
            "The sum has ReLU(x) where x is expected. It can only be seen where the block's input has negative "
            "values: in pre-activation blocks. In A6 another tensor was taken, with nothing overwritten."
        ),
        fix="Use a ReLU that is not in place there, or clone the shortcut.",
        sources=("rosinality/vq-vae-2-pytorch#60", "iduta/iresnet#2"),
        example=compared(
            "E6",
            PREACT,
            """\
            actual = copy.deepcopy(expected)
            actual.relu.inplace = True
        """,
            shape="(1, 3, 8, 8)",
        ),
    ),
)
