"""D: pooling."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import compared
from layerdiff.compare.catalogue.toys import AVERAGED, GLOBAL, POOLED, STEM

__all__ = ["POOLING"]

POOLING: tuple[Cause, ...] = (
    Cause(
        code="D1",
        title="a max-pool pads with zeros",
        meaning=(
            "The border of the map is filled up with zeros instead of minus infinity. Where all real values of a "
            "border window are negative, the zero wins."
        ),
        why="Padding with zeros is what convolutions do, and a separate padding step does the same by default.",
        signature=(
            "Only windows at the border differ, only those whose maximum is negative, and they give exactly 0. Behind "
            "a ReLU there are no such windows, and it is no fault. In D2 inner windows differ too."
        ),
        fix="Pad with -inf.",
        sources=("pytorch/pytorch#41294", "AxisCommunications/onnx-to-keras#31"),
        example=compared("D1", POOLED, "actual[1] = nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3, 2))"),
    ),
    Cause(
        code="D2",
        title="the running maximum of a max-pool starts at 0",
        meaning="Every window has a zero in it: negative maxima come out as 0.",
        why="The accumulator is initialised with 0, or with the smallest positive float, which C calls FLT_MIN.",
        signature=(
            "The candidate is max(expected, 0) everywhere, not at the border alone (D1). Behind a ReLU it cannot be "
            "told. As an operation of its own, a ReLU too many has the same values."
        ),
        fix="Start with -inf, or with the first value of the window.",
        sources=("uxlfoundation/oneDNN#1677", "tensorflow/tfjs#4854"),
        example=compared(
            "D2",
            POOLED,
            """\
            class OwnPool(nn.MaxPool2d):
                def forward(self, x):
                    return torch.maximum(super().forward(x), x.new_zeros(()))


            actual[1] = OwnPool(3, 2, 1)
        """,
        ),
    ),
    Cause(
        code="D3",
        title="the max-pool of the stem lacks its padding",
        meaning=(
            "The 3x3 max-pool with stride 2 has no padding: 112 becomes 55 instead of 56, and the windows begin a "
            "pixel later. Later stages round to the expected sizes again."
        ),
        why='The paper\'s table says "3x3 max pool, stride 2" and nothing of padding.',
        signature=(
            "The map behind the pooling is one smaller and made of other windows; two stages later all sizes agree. "
            "In D5 it is one larger."
        ),
        fix="padding=1.",
        sources=("tensorflow/benchmarks#134", "google/trax#260"),
        example=compared("D3", STEM, "actual[3].padding = 0", shape="(1, 3, 32, 32)"),
    ),
    Cause(
        code="D4",
        title="a SAME max-pool pads at the bottom and right only",
        meaning=(
            "TensorFlow's SAME gives a 3x3 window with stride 2 on an even map one row at the bottom and one column "
            "at the right. The windows begin one pixel later than with padding 1."
        ),
        why="Both give a map of the same size.",
        signature=(
            "The candidate's windows are those at the odd places of a stride-1 pooling. At odd sizes both agree. B1 "
            "is the same for convolutions, and often comes with it."
        ),
        fix="Pad by one on all sides with -inf, then pool without padding.",
        sources=("google-research/simclr#26", "onnx/onnx-tensorflow#167"),
        example=compared(
            "D4",
            STEM,
            """\
            actual[3].padding = 0
            actual.insert(3, nn.ConstantPad2d((0, 1, 0, 1), -torch.inf))
        """,
            shape="(1, 3, 32, 32)",
        ),
        convention=True,
    ),
    Cause(
        code="D5",
        title="a pooling rounds its output size up",
        meaning=(
            "A last window that hangs over the edge is kept (ceil), where the reference drops it (floor). The map is "
            "one larger, its inner part the same."
        ),
        why="Caffe rounds up, torch and most others down. Converters carry the flag over, or not.",
        signature="The output has one row and one column more; without them it agrees. In D3 it is one smaller.",
        fix="ceil_mode=False.",
        sources=("MTLab/onnx2caffe#3", "onnx/onnx#5741"),
        example=compared("D5", STEM, "actual[3].ceil_mode = True", shape="(1, 3, 32, 32)"),
        convention=True,
    ),
    Cause(
        code="D6",
        title="an average pool counts its padding otherwise",
        meaning=(
            "At the border, the sum is divided by the number of real pixels where the reference divides by the size "
            "of the window, or the other way round."
        ),
        why="Frameworks have different defaults: `count_include_pad`, `exclusive`.",
        signature=(
            "Inner values agree; at the edges the ratio of both is 6/9, in the corners 4/9 (for 3x3). D1 is the same "
            "place with a maximum."
        ),
        fix="Set count_include_pad to the reference's.",
        sources=("apache/tvm#1144", "microsoft/onnxruntime#16203"),
        example=compared("D6", AVERAGED, "actual[1].count_include_pad = False"),
        convention=True,
    ),
    Cause(
        code="D7",
        title="the global pooling averages something else",
        meaning=(
            "The map is averaged over other axes than height and width, or by a window of fixed size that fits one "
            "size of image only."
        ),
        why="In NHWC the axes are 1 and 2, in NCHW 2 and 3. A 7x7 window was the global pooling of 224x224 images.",
        signature=(
            "The candidate is the mean over other axes, or its pooled map is larger than 1x1 for other image sizes "
            "(then the linear layer raises, M2)."
        ),
        fix="AdaptiveAvgPool2d(1), or a mean over the last two axes.",
        sources=("pytorch/vision#633", "onnx/onnx#3478"),
        example=compared(
            "D7",
            GLOBAL,
            """\
            class OwnPool(nn.Module):
                def forward(self, x):
                    return x.mean((1, 2), keepdim=True).transpose(1, 3)


            actual[1] = OwnPool()  # 8 channels, 8 columns
        """,
            shape="(1, 3, 8, 8)",
        ),
    ),
    Cause(
        code="D8",
        title="a pooling has another window, stride or dilation",
        meaning="The pooling looks at another number of pixels, or moves by another step, than the reference's.",
        why="A 2x2 pooling with stride 2 is the habit in many networks; a ResNet's stem has a 3x3 window.",
        signature=(
            "An attribute of the pooling differs, or the values are those of another window. With the padding alone "
            "it is D3, with the rounding D5."
        ),
        fix="Set window and stride to the reference's.",
        sources=(),
        example=compared("D8", STEM, "actual[3] = nn.MaxPool2d(2, 2)", shape="(1, 3, 32, 32)"),
    ),
    Cause(
        code="D9",
        title="a pooling takes something else of each window",
        meaning=(
            "Each window gives its average where its maximum is expected, or the other way round; or its minimum, or "
            "a norm."
        ),
        why="Both kinds of pooling have the same arguments and give the same shapes.",
        signature="The values are that other function of just these windows. If the windows are others, it is D8.",
        fix="Use the reference's kind of pooling.",
        sources=(),
        example=compared("D9", STEM, "actual[3] = nn.AvgPool2d(3, 2, 1)", shape="(1, 3, 32, 32)"),
    ),
)
