"""M: shape errors."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import loading, raising, whole
from layerdiff.compare.catalogue.toys import BASIC, CONVBN, CONVS, ONEVALUE, POOLHEAD

__all__ = ["SHAPES"]

SHAPES: tuple[Cause, ...] = (
    Cause(
        code="M1",
        title="a flatten is missing before the linear layer",
        meaning=(
            "The linear layer gets a map instead of a vector: it multiplies the map's last axis, which has another "
            "size."
        ),
        why=(
            "The flatten was a function and is lost when the network is rebuilt (A15), or the pooling was thought to "
            "remove its axes."
        ),
        signature=(
            '"mat1 and mat2 shapes cannot be multiplied (2048x1 and 2048x1000)": the first number ends in x1. M2 has '
            "flattened, too much."
        ),
        fix="torch.flatten(x, 1) before it.",
        sources=("pytorch/vision#155", "pytorch/pytorch#15129"),
        example=raising("M1", POOLHEAD, "actual = nn.Sequential(*(m for m in expected if type(m) is not nn.Flatten))"),
    ),
    Cause(
        code="M2",
        title="the map is not pooled to 1x1 before the linear layer",
        meaning=(
            "A pooling with a fixed window leaves more than one pixel when the image is larger; flattened, each "
            "channel counts several times."
        ),
        why="AvgPool2d(7) was the global pooling of 224x224 images.",
        signature=(
            "The number that came is the expected one times a square: 8192 = 2048 x 2 x 2. In M3 it is the ratio of "
            "two backbones."
        ),
        fix="nn.AdaptiveAvgPool2d(1).",
        sources=("pytorch/vision#633",),
        example=raising(
            "M2",
            POOLHEAD,
            """\
            actual = nn.Sequential(*expected)
            actual[1] = nn.AvgPool2d(8)  # the map is 16x16
        """,
        ),
    ),
    Cause(
        code="M3",
        title="the head was made for another backbone",
        meaning=(
            "The linear layer takes 512 features and 2048 come, or the reverse: the width of the last stage differs "
            "from what the head was made for."
        ),
        why="ResNet-18 and -34 end in 512 channels, the deeper ones in 2048 (512 times the Bottleneck's expansion).",
        signature="Both numbers are widths of known backbones, mostly 4 apart. In M2 the ratio is a leftover map.",
        fix="Make the head with the number of features of this backbone.",
        sources=("ekosman/AnomalyDetectionCVPR2018-Pytorch#230", "ZhengyuZhao/Adi-Red-Scene#9"),
        example=raising("M3", POOLHEAD, "actual = nn.Sequential(*expected[:3], nn.Linear(2, 10))"),
    ),
    Cause(
        code="M4",
        title="the channels are not carried to the next layer",
        meaning="A convolution is made for other channels than the layer before it gives.",
        why=(
            "After the first Bottleneck of a stage there are four times as many channels (the expansion), and the "
            "next block is made for the plain number."
        ),
        signature=(
            '"expected input to have 64 channels, but got 256"; mostly a ratio of 4. If the image itself has other '
            "channels, see M5 and M6."
        ),
        fix="Keep the running number of channels and multiply it by the expansion after each stage's first block.",
        sources=("liuch37/pan-pytorch#5", "pytorch/vision#5709"),
        example=raising("M4", CONVS, "actual = nn.Sequential(expected[0], nn.Conv2d(2, 8, 3))"),
    ),
    Cause(
        code="M5",
        title="the image comes with its channels last",
        meaning="The array is (n, h, w, 3); torch wants (n, 3, h, w), and takes the height for the channels.",
        why="Images are read with channels last, and TensorFlow keeps them there.",
        signature='"to have 3 channels, but got 224 channels". M6 has a real number of channels there.',
        fix="x.permute(0, 3, 1, 2).",
        sources=("LeeJunHyun/Image_Segmentation#29",),
        example=raising("M5", CONVS, "actual = expected", given="(1, 16, 16, 3)"),
    ),
    Cause(
        code="M6",
        title="the image has another number of channels",
        meaning=(
            "It is grey (1) or has an alpha channel (4), and the first convolution takes 3; or the network was made "
            "for grey images."
        ),
        why="PNG files may have an alpha channel, and some photos in a colour data set are grey.",
        signature='"to have 3 channels, but got 1" or 4. M5 has the height there.',
        fix='image.convert("RGB") when it is read.',
        sources=("lancedb/yoloexplorer#43", "Beckschen/TransUNet#100"),
        example=raising("M6", CONVS, "actual = expected", given="(1, 1, 16, 16)"),
    ),
    Cause(
        code="M7",
        title="the shortcut's channels do not fit: a projection is missing",
        meaning=(
            "The addition at the end of a block gets two maps with different channels, because the shortcut is not "
            "projected, or to another width."
        ),
        why="The condition for the projection looks at the stride alone, or the block was made with downsample=None.",
        signature=(
            '"The size of tensor a (512) must match the size of tensor b (256) at non-singleton dimension 1". At '
            "dimension 2 or 3 it is M8."
        ),
        fix="A 1x1 convolution with the block's stride and a batch norm on the shortcut.",
        sources=("GengDavid/pytorch-cpn#45", "taki0112/ResNet-Tensorflow#2"),
        example=raising("M7", BASIC, "actual = nn.Sequential(expected.conv1, BasicBlock(8, 16, stride=2))"),
    ),
    Cause(
        code="M8",
        title="branch and shortcut have maps of different size",
        meaning="The addition gets maps that differ by one row, or by a factor of two.",
        why=(
            "One of them pads or rounds otherwise; or one has lost its stride, or got it in the place of another "
            "argument."
        ),
        signature=(
            '"must match ... at non-singleton dimension 2". Off by one points to padding and rounding, a power of two '
            "to a stride. Channels are M7."
        ),
        fix="Make stride and padding of both ways fit; the sum in the report names the layer.",
        sources=("moskomule/senet.pytorch#64", "adobe/antialiased-cnns#33"),
        example=raising(
            "M8",
            BASIC,
            """\
            actual = copy.deepcopy(expected)
            actual.layer2[0].downsample[0].stride = (1, 1)
        """,
        ),
    ),
    Cause(
        code="M9",
        title="the head was replaced before the weights were loaded",
        meaning="The checkpoint has 1000 classes, the network another number; the last layer cannot be loaded.",
        why="The head is replaced for one's own classes, and the weights are loaded after that.",
        signature=(
            '"size mismatch for fc.weight", and nothing else. strict=False does not help: it forgives names, not '
            "sizes. Other layers too: M10."
        ),
        fix="Load first, then replace the head; or take its two tensors out of what is loaded.",
        sources=("Helias/Car-Model-Recognition#2", "WisconsinAIVision/yolact_edge#139"),
        example=loading(
            "M9",
            """\
            expected, actual = ResNet(BasicBlock, [1] * 4), ResNet(BasicBlock, [1] * 4)
            actual.fc = nn.Linear(512, 3)
        """,
        ),
    ),
    Cause(
        code="M10",
        title="the checkpoint is of another kind of block, or of other widths",
        meaning=(
            "The names are the same and the shapes are not: BasicBlocks are loaded into Bottlenecks, or a layer has "
            "another width."
        ),
        why="Weights of ResNet-18 or -34 go into a network of the 50 family, or the width was changed.",
        signature='"size mismatch for layer1.0.conv1.weight": 3x3 against 1x1. Only the head: M9. Other names: M14.',
        fix="Build the network that the checkpoint is of.",
        sources=("dbolya/yolact#400", "kenshohara/3D-ResNets-PyTorch#111"),
        example=loading("M10", "expected, actual = ResNet(BasicBlock, [1] * 4), ResNet(Bottleneck, [1] * 4)"),
    ),
    Cause(
        code="M11",
        title="a batch norm is made for another number of channels",
        meaning=(
            "num_features is not the number of channels that come; or a squeeze has taken away axes that the norm "
            "needs."
        ),
        why="The norm was made with the block's inner width, where the outer one (times the expansion) comes.",
        signature='"running_mean should contain 256 elements not 64".',
        fix="num_features is the out_channels of the convolution before it.",
        sources=("pytorch/pytorch#9076", "fanfeiyi/FewShotBP#1"),
        example=raising("M11", CONVBN, "actual = nn.Sequential(expected[0], nn.BatchNorm2d(4)).eval()"),
    ),
    Cause(
        code="M12",
        title="a batch norm in training mode has one value per channel",
        meaning=(
            "With one picture and a 1x1 map there is one number per channel, and it has no variance. torch refuses."
        ),
        why="The last batch of an epoch has one picture left; or eval() was forgotten (K1).",
        signature='"Expected more than 1 value per channel when training".',
        fix="eval() for inference; drop_last=True for training.",
        sources=("pytorch/pytorch#4534", "fastai/fastai#1352"),
        example=raising("M12", ONEVALUE, "actual = copy.deepcopy(expected).train()"),
    ),
    Cause(
        code="M13",
        title="a window does not fit on what is left of the map",
        meaning="The map has become smaller than the kernel or the pooling window.",
        why="A stem for 224x224 images, which divides the size by 32, is given 32x32 ones.",
        signature='"Kernel size can\'t be greater than actual input size", or "Output size is too small".',
        fix="Larger images, the stem for small ones (A11), or AdaptiveAvgPool2d(1).",
        sources=("he-y/soft-filter-pruning#17", "azavea/raster-vision#808"),
        example=raising(
            "M13",
            POOLHEAD,
            """\
            actual = nn.Sequential(*expected)
            actual[1] = nn.AvgPool2d(17)  # the map is 16x16
        """,
        ),
    ),
    Cause(
        code="M14",
        title="the names of the weights do not fit",
        meaning=(
            "Keys are missing and others unexpected: the same tensors under other names, a prefix, counters that one "
            "side has not, or a network of another depth."
        ),
        why=(
            "DataParallel puts `module.` before every name, codes call things differently (downsample, shortcut), and "
            "deep stems have conv1.0."
        ),
        signature=(
            '"Missing key(s) in state_dict ... Unexpected key(s)". If sizes differ too, see M9 and M10. With '
            "strict=False it is silent: G1, G2."
        ),
        fix="Rename the keys; the report says which word stands for which.",
        sources=("pytorch/pytorch#8430", "wasidennis/AdaptSegNet#52"),
        example=loading(
            "M14",
            """\
            expected, actual = ResNet(BasicBlock, [1] * 4), ResNet(BasicBlock, [1] * 4)
            actual = nn.DataParallel(actual)
        """,
        ),
    ),
    Cause(
        code="M15",
        title="a view made rows of the pixels",
        meaning="view(-1, C) makes one row for each pixel of a map that was not pooled; the batch seems to have grown.",
        why="The -1 takes whatever is left; it was written for a pooled map.",
        signature=(
            '"Expected input batch_size (128) to match target batch_size (32)", from the loss. The network itself '
            "does not raise. F6 merges whole pictures."
        ),
        fix="Pool to 1x1, then torch.flatten(x, 1).",
        sources=("uoguelph-mlrg/Cutout#16",),
        example=whole("""\
            import torch
            from torch import nn

            from layerdiff.compare.align import align
            from layerdiff.compare.shape_errors import explain_difference
            from layerdiff.compare.structure import structure_of


            class Rows(nn.Module):
                def forward(self, x):
                    return x.view(-1, 8)


            pool = nn.AdaptiveAvgPool2d(1), nn.Flatten()
            expected = nn.Sequential(nn.Conv2d(3, 8, 3), *pool, nn.Linear(8, 10))
            actual = nn.Sequential(expected[0], Rows(), expected[3])
            want = structure_of(expected, (4, 3, 16, 16))
            got = structure_of(actual, (4, 3, 16, 16))
            found = explain_difference(want, got, align(want.ops, got.ops))
            assert found.code == "M15", found
            print(found.title)
        """),
    ),
    Cause(
        code="M16",
        title="float64 meets float32",
        meaning="torch does not mix the two in a convolution or a matrix product, and raises.",
        why="An array from NumPy is float64 unless told otherwise, or a network was made .double().",
        signature='"expected scalar type Double but found Float". Where an operation does mix them, it is silent: H3.',
        fix="x.float(), or torch.set_default_dtype for all of it.",
        sources=("pytorch/pytorch#2138", "timeseriesAI/tsai#468"),
        example=raising("M16", CONVS, "actual = copy.deepcopy(expected).double()"),
    ),
    Cause(
        code="M17",
        title="an operation in place destroys what the backward pass needs",
        meaning=(
            "`out += identity` or an in-place ReLU overwrites a value that another operation keeps for its "
            "derivative. The forward pass is right, the backward pass raises."
        ),
        why="In place saves memory, and mostly it does no harm.",
        signature=(
            '"one of the variables needed for gradient computation has been modified by an inplace operation". E6 is '
            "when it changes the forward result."
        ),
        fix="out = out + identity, or inplace=False there.",
        sources=("iMED-Lab/ER-Net#3", "j-sripad/mulitresunet-pytorch#3"),
        example=whole("""\
            import torch
            from torch import nn

            from layerdiff.compare.shape_errors import explain_in_place
            from layerdiff.compare.structure import structure_of


            class Block(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.conv, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()

                def forward(self, x):
                    out = self.relu(self.conv(x))
                    out += x  # actual(x).sum().backward() raises
                    return out


            actual = Block()
            found = explain_in_place(structure_of(actual, (1, 3, 8, 8)))
            assert found.code == "M17", found
            print(found.title)
        """),
    ),
)
