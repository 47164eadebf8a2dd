"""C: normalisation."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import compared, stepped, whole
from layerdiff.compare.catalogue.toys import CONV, WIDE

__all__ = ["NORMALISATION"]

NORMALISATION: tuple[Cause, ...] = (
    Cause(
        code="C1",
        title="a batch norm has another eps",
        meaning=(
            "The small number added to the variance is another one. It hardly matters in channels of large variance, "
            "and matters much where the variance is small."
        ),
        why=(
            "Frameworks have different defaults: 1e-3 in Keras and TensorFlow, 1e-5 in torch and Caffe, 1e-6 in "
            "darknet. A config default wins over what the weights were trained with."
        ),
        signature=(
            "Without the shift, the ratio of both outputs is constant per channel and is worst where the variance is "
            "least; a single eps explains all channels. In C8 one factor scales all channels' statistics; in C7 the "
            "ratio follows another power of the variance."
        ),
        fix="Set eps to what the weights were trained with.",
        sources=("gzuidhof/nn-transfer#3", "ceccocats/tkDNN#167"),
        example=compared("C1", CONV, "actual[1].eps = 1e-3"),
    ),
    Cause(
        code="C2",
        title="the momentum of a batch norm means the opposite",
        meaning=(
            "torch's momentum is the share of the new batch, Keras' the share of the old value: 0.1 there is 0.9 "
            "here. The running statistics follow too fast, or hardly at all."
        ),
        why="Both call it momentum.",
        signature=(
            "A forward pass in eval mode shows nothing; a step of training moves the statistics by another part of the "
            "way (`layerdiff run --steps 1`). If the statistics themselves differ, that is G4, K2 or C11."
        ),
        fix="torch's momentum is 1 minus Keras'.",
        sources=("kazuto1011/deeplab-pytorch#79", "huggingface/transformers#19454"),
        example=stepped("C2", "actual[1].momentum = 0.99  # Keras' number", optimizer="sgd:lr=0.1"),
    ),
    Cause(
        code="C3",
        title="the running variance is the biased one",
        meaning=(
            "The variance of a batch of n values is divided by n for normalising and by n - 1 for the running "
            "average. The candidate's statistics were averaged without that, so its variances are too small by (n - "
            "1) / n."
        ),
        why="Nearly every textbook formula has one variance. The difference shows only in small batches on small maps.",
        signature=(
            "All running variances have the same ratio to the expected ones, a little below 1, and the means agree. "
            "In C8 the means have that ratio too; in G4 and C11 there is no common ratio."
        ),
        fix="Update the running variance with n / (n - 1) times the batch's.",
        sources=("pytorch/pytorch#62399", "tinygrad/tinygrad#807"),
        example=compared(
            "C3",
            CONV,
            """\
            n = 2 * 8 * 8  # a batch of two 8x8 maps
            actual[1].running_var *= (n - 1) / n
        """,
        ),
    ),
    Cause(
        code="C4",
        title="mean and variance, or scale and shift, are swapped",
        meaning=(
            "Two of the four vectors of a batch norm are in each other's place. They have the same length, so nothing "
            "raises."
        ),
        why="Frameworks list them in different orders, and weights that are set by position follow the list.",
        signature=(
            "The candidate's mean is the expected variance, and the other way round. A variance with negative "
            "numbers, or NaN in the output, gives it away. In G3 whole layers are swapped."
        ),
        fix="Carry them over by name: weight, bias, running_mean, running_var.",
        sources=("gmalivenko/pytorch2keras#120",),
        example=compared(
            "C4",
            CONV,
            """\
            norm = actual[1]
            norm.running_mean, norm.running_var = norm.running_var, norm.running_mean
        """,
        ),
    ),
    Cause(
        code="C5",
        title="a batch norm works along another axis than the channels",
        meaning=(
            "The statistics are used along the width (or height), not along the channels. It passes where both have "
            "the same size."
        ),
        why=(
            "Channels are the last axis in Keras and the second in torch; the default axis stays when the layout "
            "changes."
        ),
        signature=(
            "The candidate is the same batch norm with two axes of the map swapped. Another width makes it raise. B9 "
            "is the same slip with a bias."
        ),
        fix="Set the axis to that of the channels: 1 for NCHW, -1 for NHWC.",
        sources=("keras-team/keras#1921", "TeamSAIDA/DefogGAN#1"),
        example=compared(
            "C5",
            WIDE,
            """\
            class OnWidth(nn.BatchNorm2d):
                def forward(self, x):
                    return super().forward(x.transpose(1, 3)).transpose(1, 3)


            actual[1] = OnWidth(8)
            actual.eval().load_state_dict(expected.state_dict())
        """,
            shape="(1, 3, 8, 8)",
        ),
    ),
    Cause(
        code="C6",
        title="the statistics are taken over the wrong axes",
        meaning=(
            "Mean and variance are computed from the input, over another set of axes than a batch norm's: per "
            "picture, or per activation."
        ),
        why=(
            "A mean over axis 0 is right for vectors and was kept for maps; or an instance norm stands where a batch "
            "norm is expected."
        ),
        signature=(
            "Along the axes that were used, the output (less shift, over scale) has mean 0 and variance 1. K1 takes "
            "batch, height and width; with one picture both look the same, so compare with two."
        ),
        fix="In eval mode use the running statistics; in training average over (0, 2, 3).",
        sources=("parasdahal/deepnet#11",),
        example=compared(
            "C6",
            CONV,
            """\
            norm = nn.InstanceNorm2d(8, affine=True)
            norm.weight, norm.bias = actual[1].weight, actual[1].bias
            actual[1] = norm
        """,
            shape="(2, 3, 16, 16)",
        ),
    ),
    Cause(
        code="C7",
        title="the formula of a batch norm is another one",
        meaning=(
            "The input is divided by something else than the root of variance plus eps: by the variance itself, by "
            "its square, or with eps outside the root."
        ),
        why="It is written from memory, or from a text with a misprint.",
        signature=(
            "The ratio of both outputs, less the shift, follows a power of the variance: the exponent is -1/2 when "
            "right, -1 without the root, -2 for the square. In C1 one eps explains it."
        ),
        fix="(x - mean) / sqrt(var + eps) * weight + bias.",
        sources=("jax-ml/jax#442", "pytorch/pytorch#1804"),
        example=compared(
            "C7",
            CONV,
            """\
            class NoRoot(nn.BatchNorm2d):
                def forward(self, x):
                    state = self.weight, self.bias, self.running_mean, self.running_var
                    w, b, m, v = (vector[:, None, None] for vector in state)
                    return (x - m) / (v + self.eps) * w + b


            actual[1] = NoRoot(8)
            actual.eval().load_state_dict(expected.state_dict())
        """,
        ),
    ),
    Cause(
        code="C8",
        title="the statistics are off by one common factor",
        meaning=(
            "All means and variances are the expected ones times the same number. Caffe keeps sums and a third tensor "
            "to divide them by; the candidate did not divide."
        ),
        why="The third blob looks like a counter, and is easily left out.",
        signature=(
            "Mean and variance of every channel have one and the same ratio to the expected ones. In C3 only the "
            "variance has it, and it is close to 1; in C1 the statistics agree."
        ),
        fix="Divide both by the stored factor when the weights are carried over.",
        sources=("BVLC/caffe#4885", "cvjena/cnn-models#10"),
        example=compared(
            "C8",
            CONV,
            """\
            actual[1].running_mean *= 999.98  # Caffe's scale factor, not applied
            actual[1].running_var *= 999.98
        """,
        ),
    ),
    Cause(
        code="C9",
        title="a batch norm has no scale and shift",
        meaning="The input is normalised and left at that: the learned scale and shift are not used.",
        why="`affine=False`, `scale=False`, or a default of the library that leaves the scale out.",
        signature=(
            "The expected output is the candidate's times the scale plus the shift. In A7 the norm as a whole is "
            "missing."
        ),
        fix="Make the norm affine and load its weight and bias.",
        sources=("tensorflow/models#6721", "LevinJ/SSD_tensorflow_VOC#24"),
        example=compared(
            "C9",
            CONV,
            """\
            actual[1] = nn.BatchNorm2d(8, affine=False)
            actual.eval().load_state_dict(expected.state_dict(), strict=False)
        """,
        ),
    ),
    Cause(
        code="C10",
        title="convolution and batch norm were folded wrongly",
        meaning=(
            "One convolution stands for convolution and norm, and its bias is not right: it is missing, or a bias "
            "that was there has not been scaled."
        ),
        why="Folding changes a kernel and makes a bias; a convolution with `bias=False` has no place to put it.",
        signature=(
            "Behind the pair the difference is constant per channel: shift - mean * scale / deviation where the bias "
            "was dropped. B8 has the constant before the norm."
        ),
        fix="Give the folded convolution bias = (old bias - mean) * scale / sqrt(var + eps) + shift.",
        sources=("Tencent/ncnn#1339", "XiaoMi/mace#262"),
        example=compared(
            "C10",
            CONV,
            """\
            norm = actual.pop(1)
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            actual[0].weight.data *= scale.data[:, None, None, None]
        """,
        ),
    ),
    Cause(
        code="C11",
        title="the running statistics are still at their start",
        meaning="Mean 0 and variance 1, or a counter of 0 batches: the norm does nothing but scale and shift.",
        why="Nothing ever updated them (TensorFlow 1 had to be told to), or they were not in what was loaded.",
        signature=(
            "All means are exactly 0 and all variances exactly 1. Where a batch norm of the library has them so, and "
            "weights that were loaded, it is G4."
        ),
        fix="Load running_mean and running_var too, or train with the update switched on.",
        sources=("tensorflow/tensorflow#11965", "YunYang1994/tensorflow-yolov3#23"),
        example=compared(
            "C11",
            CONV,
            """\
            class OwnNorm(nn.BatchNorm2d):
                def forward(self, x):
                    mean, var = 0, 1  # which nothing ever updates
                    x = (x - mean) / (var + self.eps) ** 0.5
                    return x * self.weight[:, None, None] + self.bias[:, None, None]


            actual[1] = OwnNorm(8)
            actual.eval().load_state_dict(expected.state_dict())
        """,
        ),
    ),
    Cause(
        code="C12",
        title="the variance loses its digits: E[x^2] - E[x]^2",
        meaning=(
            "The variance is computed as the difference of two large numbers. In float32 little or nothing of it is "
            "left where the mean is large, and it may even come out negative."
        ),
        why="It needs one pass over the data only.",
        signature=(
            "float64 agrees and float32 does not, and the error grows with mean squared over variance. C7 is wrong in "
            "float64 too."
        ),
        fix="Subtract the mean first, or use Welford's way.",
        sources=("google/flax#1491", "BVLC/caffe#3963"),
        example=whole("""\
            import numpy as np

            x = 1000 + 0.01 * np.random.default_rng(0).standard_normal(401_408)
            x = x.astype(np.float32)
            one_pass = np.mean(x * x) - np.mean(x) ** 2
            two_passes = np.mean((x - np.mean(x)) ** 2)
            assert 0.9e-4 < two_passes < 1.1e-4
            assert abs(one_pass - two_passes) > 0.5e-4
            print("in one pass half of the variance or more is lost")
        """),
        unseen=(
            "in eval mode a batch norm computes no variance; it shows where the statistics of a batch are used, in "
            "training"
        ),
    ),
)
