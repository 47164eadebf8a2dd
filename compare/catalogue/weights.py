"""G: weights and how they are loaded."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import compared
from layerdiff.compare.catalogue.toys import BASIC, BLOCK, CONVBN, TWINS

__all__ = ["WEIGHTS"]

WEIGHTS: tuple[Cause, ...] = (
    Cause(
        code="G1",
        title="little or nothing of the weights was loaded",
        meaning="Most layers have the numbers of a fresh start. The network runs, and gives noise.",
        why=(
            "`strict=False` keeps quiet about names that do not fit, and a prefix such as `module.` makes none of "
            "them fit."
        ),
        signature=(
            "Weights differ from the first layer on, and are spread like a fresh initialisation, the norms' at 1, 0, "
            "0, 1. If they look trained, they are another network's (G6). If only the projections are untouched, G2."
        ),
        fix="Load with strict=True; look at missing_keys and unexpected_keys; take the prefix off.",
        sources=("torchgeo/torchgeo#4036", "XuJiacong/PIDNet#30"),
        example=compared(
            "G1",
            CONVBN,
            """\
            state = {f"module.{k}": t for k, t in expected.state_dict().items()}
            actual = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).eval()
            actual.load_state_dict(state, strict=False)
        """,
        ),
    ),
    Cause(
        code="G2",
        title="the weights of the projections were not loaded",
        meaning="All layers have their weights but the ones on the shortcuts. They are at their random start.",
        why="They are called `downsample` in one code, `shortcut` in the other, and `strict=False` kept quiet.",
        signature=(
            "The first layer at fault is on a shortcut, the branch beside it agrees. If everything is fresh see G1."
        ),
        fix="Rename the keys: downsample.0 to shortcut.0, and so on.",
        sources=("kenshohara/3D-ResNets-PyTorch#110", "MIC-DKFZ/medicaldetectiontoolkit#43"),
        example=compared(
            "G2",
            BASIC,
            """\
            projection = nn.Conv2d(8, 16, 1, 2, bias=False)  # fresh
            actual.layer2[0].downsample[0] = projection
            actual.layer2[0].downsample[1] = nn.BatchNorm2d(16).eval()
        """,
        ),
    ),
    Cause(
        code="G3",
        title="weights are in the place of another layer's",
        meaning=(
            "A layer has exactly the weights of another layer of the reference. Both have the same shape, so nothing "
            "raises."
        ),
        why=(
            "The weights were copied one after the other, and the two networks register or list their layers in "
            "different orders."
        ),
        signature=(
            "A tensor of the candidate is equal to the reference's tensor of another name. In A12 several layers have "
            "the same one."
        ),
        fix="Carry weights over by name or by the place in the data flow, never by position.",
        sources=("tensorflow/tensorflow#33459", "roytseng-tw/Detectron.pytorch#118"),
        example=compared(
            "G3", TWINS, "actual = nn.Sequential(expected[2], expected[1], expected[0])", shape="(1, 8, 8, 8)"
        ),
    ),
    Cause(
        code="G4",
        title="the statistics of the batch norms were not copied",
        meaning="All weights are the expected ones, the running means and variances are not.",
        why=(
            "They are buffers: `parameters()` does not list them, and neither does an average of weights that was "
            "made with it."
        ),
        signature=(
            "Only norms are at fault, and only by their buffers. They are mostly at 0 and 1; in a norm that was "
            "written by hand that is C11. If they have moved from the expected ones, K2."
        ),
        fix="Copy the state dict, or parameters and buffers.",
        sources=("lucidrains/byol-pytorch#73", "facebookresearch/moco#70"),
        example=compared(
            "G4",
            CONVBN,
            """\
            actual = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).eval()
            for own, other in zip(actual.parameters(), expected.parameters()):
                own.data = other.data
        """,
        ),
    ),
    Cause(
        code="G5",
        title="an initialisation ran after the weights were loaded",
        meaning=(
            "Something set weights back after loading: the scale of the last norm of each block is 0, or the head is "
            "new."
        ),
        why=(
            "`init_weights()` is called by a base class or a training loop, and sets the last norm's scale to 0 so "
            "that blocks start as the identity."
        ),
        signature="The scale of the last norm of the blocks is exactly 0 and the rest is as loaded. In G1 nothing is.",
        fix="Initialise first, then load.",
        sources=("open-mmlab/mmdetection#5113",),
        example=compared("G5", BLOCK, "nn.init.zeros_(actual.bn2.weight)", shape="(1, 8, 8, 8)"),
    ),
    Cause(
        code="G6",
        title="the weights are those of another checkpoint",
        meaning=(
            "The graph is the same and all weights look trained, but they are other weights. It is no mistake of the "
            "code."
        ),
        why=(
            "There are several trained sets under one name: V1 and V2, Caffe's and torch's, yours before and after "
            "fine-tuning."
        ),
        signature=(
            "All weights differ from the first layer on, and look unlike the expected ones and unlike a fresh start. "
            "In G1 they look fresh."
        ),
        fix="Load the same file on both sides.",
        sources=("pytorch/vision#7570", "broadinstitute/keras-resnet#57"),
        example=compared(
            "G6",
            CONVBN,
            """\
            for tensor in actual.state_dict().values():  # of another training
                if tensor.is_floating_point():
                    tensor.copy_(tensor * torch.rand_like(tensor).exp() + 0.1)
        """,
        ),
        convention=True,
    ),
    Cause(
        code="G8",
        title="the statistics are those of another replica",
        meaning=(
            "Training on several devices gives each its own running statistics. The weights are shared, the norms "
            "differ a little, depending on which replica was saved."
        ),
        why="Gradients are averaged between replicas, buffers mostly are not.",
        signature=(
            "Weights agree; means and variances differ by little, in no direction. K2 is the same after a pass in "
            "training mode, and no number tells the two apart."
        ),
        fix="Compare with the replica that was saved, or use synchronised norms.",
        sources=("facebookarchive/fbcunn#104", "google/flax#877"),
        example=compared(
            "K2",
            CONVBN,
            """\
            actual[1].running_mean += 0.02 * torch.randn(8)
            actual[1].running_var *= 1 + 0.02 * torch.randn(8)
        """,
        ),
        unseen="two replicas differ just as after a pass in training mode, so it is found as K2",
    ),
    Cause(
        code="G9",
        title="the weights were scaled or shifted",
        meaning=(
            "The weights are the expected ones times a number (one for all or one per output channel), or plus one."
        ),
        why="Something was folded into them, they were quantised and back, or weight decay went on without a gradient.",
        signature=(
            "One factor, or one per output channel, explains all values. If the statistics of a norm have the factor "
            "it is C8; a convolution folded with its norm is C10."
        ),
        fix="Load the weights as they are, or undo the folding.",
        sources=(),
        example=compared("G9", CONVBN, "actual[0].weight.data *= 0.5"),
    ),
    Cause(
        code="G10",
        title="the channels are in another order",
        meaning="The weights are the expected ones with their output or input channels in another order.",
        why="Channels were sorted, pruned and put together again, or split in groups and shuffled.",
        signature=(
            "Sorted by channel the weights are equal. For the three colours of the first layer it is I1, for the "
            "classes of the last one I8; whole layers exchanged are G3."
        ),
        fix="Keep the order, in this layer, in its norm and in the layer behind it.",
        sources=(),
        example=compared(
            "G10", TWINS, "actual[0].weight.data = expected[0].weight.data.roll(1, 0)", shape="(1, 8, 8, 8)"
        ),
    ),
    Cause(
        code="G11",
        title="a few values of a tensor differ",
        meaning="Nearly all values of a weight are the expected ones, a few are not.",
        why="A file was damaged or cut, a tensor was edited by hand, or an index ran one too far when it was written.",
        signature=(
            "A handful of places differ, the rest is equal bit for bit. If most differ by little, it is another "
            "checkpoint (G6)."
        ),
        fix="Load the weights again, and compare the file's hash.",
        sources=(),
        example=compared("G11", CONVBN, "actual[0].weight.data[2, 1, 0, 0] += 0.1"),
    ),
)
