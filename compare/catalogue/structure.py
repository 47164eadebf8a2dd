"""A: blocks and how they are wired."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import compared
from layerdiff.compare.catalogue.toys import (
    BASIC,
    BLOCK,
    BLOCKS,
    BOTTLENECK,
    CONV,
    CONVS,
    DILATED,
    FUNCTIONAL,
    NET,
    STEM,
)

__all__ = ["STRUCTURE"]

STRUCTURE: tuple[Cause, ...] = (
    Cause(
        code="A1",
        title="the stride of a Bottleneck sits on its 1x1 convolution",
        meaning=(
            "The first block of a stage halves the map. The candidate lets the first 1x1 convolution do it (ResNet "
            "v1), the reference the 3x3 convolution (v1.5). Weights, names and the block's output shape are the same, "
            "the values are not."
        ),
        why=(
            "The paper's network and Caffe's have it on the 1x1; torchvision and most newer code moved it. A port "
            "follows one text and takes its weights from the other."
        ),
        signature=(
            "conv1 gives a map of half the size, conv2 one of the right size, and conv1's values are every second row "
            "and column of what is expected. In A2 the same happens between two 3x3 convolutions; in A3 the map at "
            "the block's end has another size too."
        ),
        fix=(
            "Give the 1x1 convolution stride 1 and the 3x3 the stride of the block, or take weights that were trained "
            "for v1."
        ),
        sources=("pytorch/vision#1266", "FluxML/Metalhead.jl#114"),
        example=compared(
            "A1",
            BOTTLENECK,
            """\
            block = actual.layer2[0]
            block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)
        """,
        ),
        convention=True,
    ),
    Cause(
        code="A2",
        title="the stride of a BasicBlock sits on its second convolution",
        meaning=(
            "The block halves the map in its second 3x3 convolution; the reference does it in the first. All shapes "
            "of weights and of the block's output agree, so nothing complains."
        ),
        why=(
            "Both places look equally good when the block is written from a picture. Some libraries did choose the "
            "second."
        ),
        signature=(
            "conv1's map is twice too large, and every second row and column of it are the expected values; the "
            "block's output has the right shape. A1 is the same between a 1x1 and a 3x3."
        ),
        fix="Move the stride to the first convolution of the block.",
        sources=("google-deepmind/dm-haiku#85",),
        example=compared(
            "A2",
            BASIC,
            """\
            block = actual.layer2[0]
            block.conv1.stride, block.conv2.stride = (1, 1), (2, 2)
        """,
        ),
        convention=True,
    ),
    Cause(
        code="A3",
        title="the stride of a stage is missing, or in another block",
        meaning=(
            "Where the reference halves the map, the candidate does not, or it does so one block earlier or later. "
            "Global pooling at the end hides it: the network runs and gives logits."
        ),
        why=(
            "The stride is passed to all blocks or to none, or a loop hands it to the last block of the stage. "
            "Reading another library's code may mislead: some put it at the end of the stage before."
        ),
        signature=(
            "The sizes of the maps differ from some block on: 28, 28 where 28, 14 is expected. A1 and A2 leave the "
            "block's output size alone; A11 differs from the stem on."
        ),
        fix="Give the stride to the first block of the stage, to its convolution and to its projection.",
        sources=("labmlai/annotated_deep_learning_paper_implementations#83", "mrharicot/monodepth#81"),
        example=compared(
            "A3",
            BASIC,
            """\
            block = actual.layer2[0]
            block.conv1.stride = block.downsample[0].stride = (1, 1)
        """,
        ),
    ),
    Cause(
        code="A4",
        title="a stage has another number of blocks",
        meaning=(
            "A stage has a block more or less than the reference, or a whole stage is absent. Everything before it "
            "agrees."
        ),
        why=(
            'A loop that makes "the other blocks" starts at 0 instead of 1, or the depths of two architectures were '
            "mixed up: 3, 4, 6, 3 and 3, 4, 23, 3."
        ),
        signature=(
            "Operations of whole blocks are missing or too many, and the number of parameters differs by that of a "
            "block. With A12 the block is there and shares its weights."
        ),
        fix="Compare the list of blocks per stage with the reference's, and count the first block of the stage once.",
        sources=("leimao/LibTorch-ResNet-CIFAR#5", "flyyufelix/cnn_finetune#16"),
        example=compared("A4", BLOCKS, "actual = expected[:2]  # a loop that ends one too early", shape="(1, 8, 8, 8)"),
    ),
    Cause(
        code="A5",
        title="the shortcut of a block is forgotten",
        meaning=(
            "The block gives its branch alone; its input is not added. The network still trains and still gives "
            "plausible numbers."
        ),
        why=(
            "The addition is a line of code and no module, so it does not appear where layers are listed, and is lost "
            "when a block is rewritten as a Sequential."
        ),
        signature=(
            "The addition is missing, and what the candidate gives is what the reference has before it. With A7 and "
            "A8 there is an addition, of another shortcut."
        ),
        fix="Keep the block's input (or its projection) and add it before the last ReLU.",
        sources=("delira-dev/delira#91",),
        example=compared(
            "A5",
            BLOCK,
            """\
            class Forgetful(BasicBlock):
                def forward(self, x):
                    x = self.relu(self.bn1(self.conv1(x)))
                    return self.relu(self.bn2(self.conv2(x)))


            actual = Forgetful(8, 8).eval()
            actual.load_state_dict(expected.state_dict())
        """,
            shape="(1, 8, 8, 8)",
        ),
    ),
    Cause(
        code="A6",
        title="the shortcut is added twice, or made of another tensor",
        meaning=(
            "The sum at the end of the block has the right shape and another shortcut in it: twice the input, the "
            "projection of the branch, or a tensor that was saved too late."
        ),
        why=(
            "Both a helper and the block add it, or a variable was overwritten between the place where the input is "
            "saved and the place where it is used."
        ),
        signature=(
            "The sum differs from the expected one by the shortcut itself, or its terms come from other operations "
            "than the reference's. A5 lacks the term; in E6 an operation in place has changed it."
        ),
        fix="Save the block's input under a name of its own in the first line, project that, and add it once.",
        sources=("yakhyo/darknet-pytorch#2",),
        example=compared(
            "A6",
            BLOCK,
            """\
            class Late(BasicBlock):
                def forward(self, x):
                    x = self.relu(self.bn1(self.conv1(x)))
                    return self.relu(self.bn2(self.conv2(x)) + x)


            actual = Late(8, 8).eval()
            actual.load_state_dict(expected.state_dict())
        """,
            shape="(1, 8, 8, 8)",
        ),
    ),
    Cause(
        code="A7",
        title="the projection on the shortcut has no batch norm",
        meaning=(
            "The 1x1 convolution on the shortcut is there, the batch norm behind it is not. Its output is added as it "
            "comes."
        ),
        why=(
            'The picture in the paper shows one arrow with "1x1 conv" on it. Some published weights really lack the '
            "norm."
        ),
        signature=(
            "A batch norm is missing on the shortcut, and the reference's shortcut is the candidate's, scaled and "
            "shifted per channel. In C9 the norm is there without scale and shift."
        ),
        fix="Put a batch norm behind the projection and load its four tensors.",
        sources=("dalgu90/resnet-18-tensorflow#9", "facebookarchive/fb.resnet.torch#191"),
        example=compared("A7", BASIC, "actual.layer2[0].downsample[1] = nn.Identity()"),
    ),
    Cause(
        code="A8",
        title="a block's shortcut is of another type",
        meaning=(
            "Where the reference projects the shortcut with a 1x1 convolution, the candidate takes every second pixel "
            "and fills the new channels with zeros (option A), or projects where nothing needs to be, or does not "
            "where it should. Option A is a convention, used for CIFAR; the others are mistakes."
        ),
        why=(
            "The paper offers both. The condition for a projection is easy to get wrong: Bottlenecks need one in the "
            "first stage too, where only the channels change."
        ),
        signature=(
            "The projection is missing or too many. Under option A the upper channels of the shortcut are exactly "
            "zero and the rest is the block's input, thinned. A projection whose norm alone is missing is A7."
        ),
        fix=(
            "Project with a 1x1 convolution and a batch norm where the stride is not 1 or the number of channels "
            "changes, and nowhere else."
        ),
        sources=("kenshohara/3D-ResNets-PyTorch#110", "akamaster/pytorch_resnet_cifar10#24"),
        example=compared(
            "A8",
            BASIC,
            """\
            class OptionA(BasicBlock):
                def forward(self, x):
                    out = self.relu(self.bn1(self.conv1(x)))
                    out = self.bn2(self.conv2(out))
                    zeros = (0, 0, 0, 0, 0, 8)  # eight channels more
                    return self.relu(out + nn.functional.pad(x[:, :, ::2, ::2], zeros))


            actual.layer2[0] = OptionA(8, 16, stride=2).eval()
            actual.load_state_dict(expected.state_dict(), strict=False)
        """,
        ),
        convention=True,
    ),
    Cause(
        code="A9",
        title="the projection on the shortcut forgets the stride",
        meaning=(
            "The block halves the map and its projection does not. Mostly the addition then raises (M8); where one of "
            "both maps is a single pixel, broadcasting hides it."
        ),
        why="The block was first used with stride 1 only, where nobody can tell.",
        signature=(
            "The projection's stride differs from the block's, and its map is too large. In A3 the whole block has "
            "lost its stride."
        ),
        fix="Pass the block's stride to the projection.",
        sources=("Podidiving/lgsc-for-fas-pytorch#2",),
        example=compared("A9", BASIC, "actual.layer2[0].downsample[0].stride = (1, 1)"),
    ),
    Cause(
        code="A10",
        title="norm and ReLU come before the convolutions (v2), or behind (v1)",
        meaning=(
            "The candidate is a pre-activation ResNet (v2): norm, ReLU, convolution, and nothing after the addition. "
            "The reference is post-activation (v1), or the other way round."
        ),
        why='Both are called ResNet-50, and some libraries\' "ResNet" is V2 by default.',
        signature=(
            "The order of operations in each block differs, the block's output has negative values, and norms have "
            "the number of channels of the layer before. E2 lacks only the last ReLU; E4 swaps norm and ReLU behind "
            "the same convolution."
        ),
        fix=(
            "Compare with the other variant, or put each norm and ReLU behind its convolution and a ReLU behind the "
            "addition."
        ),
        sources=("raghakot/keras-resnet#48", "keras-team/keras#18810"),
        example=compared(
            "A10",
            BLOCK,
            """\
            class PreActivation(BasicBlock):
                def forward(self, x):
                    out = self.conv1(self.relu(self.bn1(x)))
                    return x + self.conv2(self.relu(self.bn2(out)))


            actual = PreActivation(8, 8).eval()
            actual.load_state_dict(expected.state_dict())
        """,
            shape="(1, 8, 8, 8)",
        ),
    ),
    Cause(
        code="A11",
        title="the stem is another variant",
        meaning=(
            "The first layers are those of another ResNet: one 3x3 convolution without max-pool (CIFAR), three small "
            "convolutions (deep stem), or an average pool on the shortcut (ResNet-D)."
        ),
        why="Code for small images is taken for large ones, or weights of a variant are loaded under the plain name.",
        signature=(
            "The first kernel has another size, and the first stage sees a map of another size than a quarter of the "
            "image. In D3 only the pooling's padding is missing."
        ),
        fix=(
            "Build the stem of the network the weights belong to: 7x7 with stride 2 and a 3x3 max-pool with stride 2 "
            "for ImageNet."
        ),
        sources=("tensorflow/models#2072", "yassouali/pytorch-segmentation#91"),
        example=compared(
            "A11",
            STEM,
            """\
            small = nn.Conv2d(3, 8, 3, padding=1, bias=False)  # as for CIFAR
            actual = nn.Sequential(small, *expected[1:3]).eval()
        """,
            shape="(1, 3, 32, 32)",
        ),
    ),
    Cause(
        code="A12",
        title="several layers share one set of weights",
        meaning=(
            "One block object stands in the network several times. All its places have the same weights, those that "
            "were loaded last."
        ),
        why=(
            "`n * [Block()]` makes n references to one block, not n blocks. A layer that is defined once and called "
            "in a loop does the same."
        ),
        signature=(
            "Layers of different names hold the same memory, and all but one of the repeated layers differ from the "
            "reference. With G3 the weights are in other places, but each is there once."
        ),
        fix="Make each block anew: `[Block() for _ in range(n)]`.",
        sources=("deep-learning-with-pytorch/dlwpt-code#89", "SSinyu/RED-CNN#8"),
        example=compared("A12", BLOCKS, "actual = nn.Sequential(*3 * [expected[2]])", shape="(1, 8, 8, 8)"),
    ),
    Cause(
        code="A13",
        title="layers in a plain list are not registered",
        meaning=(
            "The forward pass uses layers that the module does not know. They are not in the state dict, so loading "
            "leaves them at their random start, and `eval()` and `to()` pass them by."
        ),
        why="A Python list or dict of layers works in the forward pass, and no error points at it.",
        signature=(
            "An operation runs with parameters that no name in the state dict stands for, and they are not the "
            "expected ones. In G1 the names are there and nothing was loaded into them."
        ),
        fix="Use nn.ModuleList or nn.ModuleDict.",
        sources=("pytorch/pytorch#59925", "dotnet/TorchSharp#532"),
        example=compared(
            "A13",
            CONVS,
            """\
            class Hidden(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = [nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)]

                def forward(self, x):
                    for layer in self.layers:
                        x = layer(x)
                    return x


            actual = Hidden()
            actual.load_state_dict(expected.state_dict(), strict=False)
        """,
            shape="(1, 3, 8, 8)",
        ),
    ),
    Cause(
        code="A14",
        title="a layer is declared and never called",
        meaning=(
            "The module holds a layer, with weights, that its forward pass does not use. It looks right in every "
            "printout and in the state dict."
        ),
        why="A line was lost in the forward pass, or the same layer is called twice by a slip of a digit.",
        signature=(
            "An expected operation is missing, and the candidate has a module of that kind that never ran. A15 loses "
            "operations that are no modules."
        ),
        fix="Call it in the forward pass, in the place where the reference does.",
        sources=("udlbook/udlbook#138",),
        example=compared(
            "A14",
            NET,
            """\
            class Skips(Net):
                def forward(self, x):
                    return self.relu(self.conv(x))  # and the norm?


            actual = Skips().eval()
            actual.load_state_dict(expected.state_dict())
        """,
            shape="(1, 3, 8, 8)",
        ),
    ),
    Cause(
        code="A15",
        title="a Sequential of the children lost the functions between them",
        meaning=(
            "The network was taken apart with `children()` and put together again. What its forward pass did with "
            "functions, such as a ReLU or a flatten, is no child and is gone."
        ),
        why="It is a common way to cut the head off a network.",
        signature=(
            "Operations without parameters are missing that the reference has no module for; for a ResNet it is the "
            "flatten, and the linear layer raises (M1). In A14 a module is there and not called."
        ),
        fix=(
            "Keep the network and replace its head by nn.Identity(), or put modules for those functions into the "
            "Sequential."
        ),
        sources=("pytorch/pytorch#15129", "pytorch/vision#4083"),
        example=compared("A15", FUNCTIONAL, "actual = nn.Sequential(*expected.children())", shape="(1, 8, 4, 4)"),
    ),
    Cause(
        code="A16",
        title="the first block of a dilated stage has the new dilation",
        meaning=(
            "Where a stage's stride is replaced by dilation, its first block still uses the dilation of the stage "
            "before. The candidate uses the new one there already. All shapes agree."
        ),
        why="The stage is made in a loop with one dilation for all blocks.",
        signature=(
            "The 3x3 convolution of the stage's first block has another dilation (and padding), and no shape differs. "
            "B2 changes the padding alone."
        ),
        fix="Build the first block with the previous dilation, the others with the new one.",
        sources=("facebookresearch/detectron2#2598", "donnyyou/torchcv#139"),
        example=compared("A16", DILATED, "actual[0].dilation = actual[0].padding = (2, 2)", shape="(1, 8, 12, 12)"),
    ),
    Cause(
        code="A17",
        title="the candidate has an operation that the reference has not",
        meaning=(
            "Something runs that has no counterpart, and changes the values: a second norm, a scaling, a pooling. It "
            "is none of the additions that have a code of their own."
        ),
        why="A line was left in from an experiment, or a helper does more than its name says.",
        signature=(
            "One or several operations in a row are too many, and without them all agrees. A ReLU too many is E3, a "
            "softmax F4, a dropout K4, a whole block A4."
        ),
        fix="Take it out, or find out what it is for: it may be half of something that is missing elsewhere.",
        sources=(),
        example=compared(
            "A17",
            BLOCK,
            """\
            class Scaled(BasicBlock):
                def forward(self, x):
                    out = self.relu(self.bn1(self.conv1(x)))
                    out = self.bn2(self.conv2(out)) * 0.2  # from an experiment
                    return self.relu(out + x)


            actual = Scaled(8, 8).eval()
            actual.load_state_dict(expected.state_dict())
        """,
            shape="(1, 8, 8, 8)",
        ),
    ),
    Cause(
        code="A18",
        title="an operation of the reference is missing",
        meaning="Something does not run that the reference has, and the candidate has no module for it either.",
        why="It was overlooked when the network was written down, most easily where it stands between two named parts.",
        signature=(
            "One or several operations in a row are missing, and with them all agrees. With a module that is never "
            "called it is A14; a ReLU is E1 or E2, a shortcut A5, a norm on the shortcut A7, a flatten or other "
            "function A15."
        ),
        fix="Put it in, with the reference's weights if it has any.",
        sources=("labmlai/annotated_deep_learning_paper_implementations#205",),
        example=compared("A18", CONV, "actual = nn.Sequential(expected[0], expected[2])"),
    ),
)
