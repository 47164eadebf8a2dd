"""B: convolution."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import compared
from layerdiff.compare.catalogue.toys import BIASED, CONV, EIGHT, GROUPED

__all__ = ["CONVOLUTION"]

CONVOLUTION: tuple[Cause, ...] = (
    Cause(
        code="B1",
        title="SAME padding puts the odd row at the bottom and right",
        meaning=(
            "At stride 2 and an even size, TensorFlow, Keras and Flax pad one row more at the bottom and one column "
            "more at the right. PyTorch pads the same on all sides. The windows then sit one pixel further."
        ),
        why='The word SAME sounds like "padding 1". At stride 1 and at odd sizes it is.',
        signature=(
            "Every strided convolution of a kernel larger than 1 differs at even sizes, the others agree. The "
            "candidate's values are those of a stride-1 convolution at the odd places. In B3 stride-1 layers differ "
            "too; D4 is the same for max-pooling."
        ),
        fix=(
            "Pad by hand on all sides before a VALID convolution, or, if the weights were trained with SAME, make the "
            "reference do the same."
        ),
        sources=("keras-team/keras#16363", "google/flax#963"),
        example=compared(
            "B1",
            CONV,
            """\
            actual[0].padding = (0, 0)
            actual.insert(0, nn.ZeroPad2d((0, 1, 0, 1)))
        """,
        ),
        convention=True,
    ),
    Cause(
        code="B2",
        title="a convolution has another amount of padding",
        meaning=(
            "The padding is missing or too large. The map is smaller or larger by some rows, or has the right size "
            "and another border."
        ),
        why=(
            'The default of most layers is no padding, and "padding = kernel // 2" is easily forgotten, or computed '
            "for another kernel."
        ),
        signature=(
            "The padding differs, the inner part of the map agrees when it is shifted, the border does not. B1 agrees "
            "nowhere at stride 2."
        ),
        fix="Set the padding to the reference's; for an odd kernel it is dilation * (kernel - 1) / 2.",
        sources=("facebookresearch/eb_jepa#16", "PaddlePaddle/models#1987"),
        example=compared("B2", CONV, "actual[0].padding = (0, 0)"),
    ),
    Cause(
        code="B3",
        title="the kernel is turned by 180 degrees (a true convolution)",
        meaning=(
            "Deep learning libraries slide the kernel as it is; mathematics, MATLAB and scipy's `convolve` turn it "
            "around first. The candidate has it turned."
        ),
        why=(
            "The operation was taken from a library that really convolves, or the kernels were flipped when they were "
            "converted."
        ),
        signature=(
            "The kernels agree after a flip of both spatial axes. 1x1 convolutions agree anyway, and so do symmetric "
            "kernels. B5 swaps the two axes instead of turning them."
        ),
        fix="Flip the kernels along both spatial axes, or use cross-correlation.",
        sources=("keras-team/keras#3015", "tensorflow/tensorflow#11864"),
        example=compared("B3", CONV, "actual[0].weight.data = actual[0].weight.data.flip(2, 3)"),
    ),
    Cause(
        code="B4",
        title="the kernel was reshaped where it should be transposed",
        meaning=(
            "The numbers of the kernel are all there, in the order of another layout, read into the right shape. It "
            "has the same size, so nothing raises."
        ),
        why=(
            "Going from (height, width, in, out) to (out, in, height, width) needs a transposition. A reshape gives "
            "the same shape and is quicker to write."
        ),
        signature=(
            "The flattened kernels are equal when one of both is read in the other layout; the layer's output is "
            "unlike what is expected. B5 and B6 swap two axes only."
        ),
        fix="`kernel.transpose(3, 2, 0, 1)` instead of `kernel.reshape(...)`.",
        sources=("tensorflow/tensorflow#30044", "microsoft/MMdnn#595"),
        example=compared(
            "B4",
            CONV,
            """\
            hwio = actual[0].weight.data.permute(2, 3, 1, 0).contiguous()
            actual[0].weight.data = hwio.reshape(8, 3, 3, 3)
        """,
        ),
    ),
    Cause(
        code="B5",
        title="height and width of the kernel are swapped",
        meaning="Each kernel is mirrored at its diagonal. For square kernels no shape tells.",
        why=(
            "`np.transpose` without axes reverses all of them: it does bring the channels where they belong, and "
            "swaps height and width too."
        ),
        signature=(
            "The kernels agree after a swap of their last two axes. 1x1 kernels and symmetric ones agree anyway. B3 "
            "turns both axes around."
        ),
        fix="Name the axes: `transpose(3, 2, 0, 1)`.",
        sources=("tgyg-jegli/tf_texture_net#1",),
        example=compared("B5", CONV, "actual[0].weight.data = actual[0].weight.data.transpose(2, 3)"),
    ),
    Cause(
        code="B6",
        title="input and output channels of the kernel are swapped",
        meaning=(
            "The kernel of output i and input j is used for output j and input i. Layers with as many inputs as "
            "outputs take it silently, others raise."
        ),
        why="Layouts name the channel axes in different orders: OIHW, IOHW, HWIO, HWOI.",
        signature=(
            "The kernels agree after a swap of their first two axes, and only layers with equal channels are hit. F1 "
            "is the same for a linear layer."
        ),
        fix="Transpose the first two axes when the weights are carried over.",
        sources=("apache/tvm#9336",),
        example=compared(
            "B6", EIGHT, "actual[0].weight.data = actual[0].weight.data.transpose(0, 1)", shape="(1, 8, 8, 8)"
        ),
    ),
    Cause(
        code="B7",
        title="a convolution has another number of groups",
        meaning=(
            "The channels are split into another number of groups than expected; mostly into one, an ordinary "
            "convolution. The output has the right shape."
        ),
        why=(
            "The argument was forgotten, or was passed by position and landed somewhere else, or ResNeXt's "
            "cardinality and width were swapped."
        ),
        signature=(
            "The groups differ, and with them the second axis of the kernel: channels / groups. A grouped layer "
            "written as a dense one with zeros between the groups is right."
        ),
        fix="Pass groups by name, and check that the kernel has in_channels / groups there.",
        sources=("adobe/antialiased-cnns#40", "miraclewkf/ResNeXt-PyTorch#3"),
        example=compared("B7", GROUPED, "actual[0] = nn.Conv2d(8, 16, 3, padding=1, bias=False)", shape="(1, 8, 8, 8)"),
    ),
    Cause(
        code="B8",
        title="a convolution has a bias that the reference has not",
        meaning=(
            "The convolution adds a constant per channel. Before a batch norm it serves no purpose in training; in "
            "eval mode it shifts the result."
        ),
        why="`bias=True` is the default, the checkpoint has none, and so it keeps its random start.",
        signature=(
            "The difference is one constant per channel, the same at all places. C10 shifts in the same way where "
            "norm and convolution have been folded; in B9 the constant changes along another axis."
        ),
        fix="`bias=False` for every convolution that a batch norm follows, or set the bias to zero.",
        sources=("calmiLovesAI/TensorFlow2.0_ResNet#7", "hkchengrex/STCN#70"),
        example=compared("B8", CONV, "actual[0].bias = nn.Parameter(torch.randn(8))"),
    ),
    Cause(
        code="B9",
        title="a bias or scale is spread along the wrong axis",
        meaning=(
            "A vector of one number per channel is added along the width. If there are as many columns as channels "
            "nothing raises."
        ),
        why="NumPy and torch align shapes from the right, so a bare (C,) meets the last axis.",
        signature=(
            "The difference is constant down each column and changes from column to column. Another width makes it "
            "raise. In B8 it is constant over the whole map."
        ),
        fix="Reshape it to (1, C, 1, 1) first.",
        sources=("alibaba/heterogeneity-aware-lowering-and-optimization#155", "sonots/cumo#443"),
        example=compared(
            "B9",
            BIASED,
            """\
            class OwnConv(nn.Conv2d):
                def forward(self, x):
                    out = nn.functional.conv2d(x, self.weight, padding=1)
                    return out + self.bias  # (8,) meets the width


            actual[0] = OwnConv(3, 8, 3, padding=1)
            actual.load_state_dict(expected.state_dict())
        """,
            shape="(1, 3, 8, 8)",
        ),
    ),
    Cause(
        code="B10",
        title="a hand-written convolution slips at an index",
        meaning=(
            "Most values are right, and some fixed places are not: the last row or column, or one pixel in each "
            "channel. Or only maps that are not square are wrong."
        ),
        why="Loops end one too early, or the height is used where the width belongs.",
        signature=(
            "The wrong places are the same in every channel and few, or all come from the border. B2 has the whole "
            "border wrong, on each side."
        ),
        fix="Test the layer by itself on a small map that is not square, with stride 2 and padding 1.",
        sources=("Tencent/ncnn#1283", "renmengye/np-conv2d#2"),
        example=compared(
            "B10",
            CONV,
            """\
            class OwnConv(nn.Conv2d):
                def forward(self, x):
                    out = super().forward(x)  # the loop ends too early:
                    return nn.functional.pad(out[..., :-1], (0, 1))


            actual[0] = OwnConv(3, 8, 3, 2, 1, bias=False)
            actual.load_state_dict(expected.state_dict())
        """,
        ),
    ),
)
