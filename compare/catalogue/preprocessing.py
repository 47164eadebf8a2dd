"""I: what is done to the picture before the first layer, and to the labels."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import compared, inputs
from layerdiff.compare.catalogue.toys import HEAD

__all__ = ["PREPROCESSING"]

PREPROCESSING: tuple[Cause, ...] = (
    Cause(
        code="I1",
        title="red and blue are swapped",
        meaning=(
            "The colours come in the order blue, green, red. The network sees an oddly coloured world: it is less "
            "sure, and mostly still right."
        ),
        why="OpenCV reads BGR, Pillow RGB, and Caffe's networks were trained on BGR.",
        signature=(
            "The input is the expected one with its channels reversed. If mean and deviation were swapped along, "
            "compare before normalising; with I2 the channels are in order and their scale is not."
        ),
        fix=(
            "image[..., ::-1] once, between the reader and the normalisation, or swap the first convolution's input "
            "channels."
        ),
        sources=("qubvel/classification_models#4", "tensorpack/tensorpack#176"),
        example=inputs("I1", "actual = normalised(pixels()[..., ::-1])"),
    ),
    Cause(
        code="I2",
        title="mean or standard deviation is another one",
        meaning=(
            "Each channel is shifted or scaled in another way than expected: another data set's mean, the mean of BGR "
            "on RGB, a deviation left out or divided by 255 twice, or no normalising at all."
        ),
        why=(
            "Every model zoo has its own numbers, and the order of the steps (divide by 255, subtract, divide) is "
            "easily changed."
        ),
        signature=(
            "For each channel the input is a straight line of the expected one; slope and intercept give back the "
            "mean and the deviation that were used. If the slope is 255 or 1/255 in all channels, see I3."
        ),
        fix=(
            "(image / 255 - mean) / std with mean 0.485, 0.456, 0.406 and std 0.229, 0.224, 0.225 for torchvision's "
            "weights."
        ),
        sources=("lucasjinreal/keras_frcnn#5", "yu-changqian/TorchSeg#8"),
        example=inputs("I2", "actual = normalised(pixels(), mean=0.5, std=0.5)"),
    ),
    Cause(
        code="I3",
        title="the division by 255 is missing, or there twice",
        meaning="The values lie in 0..255 where 0..1 is expected, or in 0..0.004.",
        why="ToTensor divides by 255 already; so do some networks inside, and some readers.",
        signature=(
            "The slope from the expected to the candidate's values is 255 or 1/255 in all channels. Trained so, "
            "running variances become tiny and eps (C1) begins to matter."
        ),
        fix="Divide once; look at the smallest and the greatest value.",
        sources=("4uiiurz1/pytorch-nested-unet#62", "alankbi/detecto#16"),
        example=inputs("I3", "actual = normalised(pixels(), by=1)"),
    ),
    Cause(
        code="I4",
        title="the picture was resized by another filter",
        meaning=(
            "The size is right and the pixels in between are computed differently: without antialiasing, with nearest "
            "neighbours, or with another idea of where a pixel's centre is."
        ),
        why='"Bilinear" means one thing in Pillow, another in OpenCV, TensorFlow and torch; some defaults are nearest.',
        signature=(
            "The difference has mean 0 and lies at the edges of things; blurred, both pictures agree. In I5 things "
            "are in other places; in I7 the difference is a few levels at most."
        ),
        fix="Resize with Pillow, or with antialias=True.",
        sources=("pytorch/vision#2950", "NVIDIA/DALI#1111"),
        example=inputs("I4", "actual = normalised(pixels(by=Image.Resampling.NEAREST))"),
    ),
    Cause(
        code="I5",
        title="the picture was resized or cropped to another frame",
        meaning=(
            "The network sees another part of the picture or sees it stretched: squashed to a square, cropped before "
            "resizing, or resized to 232 or 224 instead of 256 first."
        ),
        why="The protocol is a line in a paper and differs from one set of weights to the next.",
        signature="A shift and a scale bring both pictures onto each other. In I4 they lie on each other already.",
        fix="Use the protocol of the weights: for torchvision's V1 the shorter side to 256, then the middle 224x224.",
        sources=("keras-team/keras-applications#88", "pytorch/vision#4811"),
        example=inputs("I5", "actual = normalised(pixels(size=(48, 48)))  # squashed"),
    ),
    Cause(
        code="I6",
        title="eight-bit values wrapped around",
        meaning="Arithmetic in uint8 goes on from 255 to 0: bright spots become dark, negative differences bright.",
        why="NumPy keeps the type of the picture, and no warning is given.",
        signature=(
            "The values differ by a multiple of 256 (before normalising) in some places and agree in all others. I7 "
            "differs by a few levels."
        ),
        fix="Convert to float before any arithmetic.",
        sources=("LCAV/LenslessPiCam#173", "numpy/numpy#21237"),
        example=inputs(
            "I6",
            """\
            less = pixels() - np.uint8([124, 116, 104])  # 0 - 1 is 255
            actual = normalised(less, mean=0)
        """,
        ),
    ),
    Cause(
        code="I7",
        title="the JPEG was decoded otherwise",
        meaning="Two decoders give slightly different pixels of one file.",
        why="The standard leaves the rounding open, and fast decoders use a rougher transform.",
        signature=(
            "Differences of a few levels of 255 at most, arranged in blocks of 8x8. In I4 they are larger and lie at "
            "edges."
        ),
        fix="Decode with the library of the reference, or feed both the same array.",
        sources=("tensorflow/tensorflow#11623", "serizba/cppflow#62"),
        example=inputs(
            "I7",
            """\
            other = pixels() + np.random.default_rng(1).integers(-2, 3, (32, 32, 3))
            actual = normalised(other)  # as if another decoder had read it
        """,
        ),
    ),
    Cause(
        code="I8",
        title="the classes are counted from elsewhere",
        meaning=(
            "The scores are right and stand under other labels: shifted by one (a background class at 0), or in "
            "another order."
        ),
        why="TensorFlow's networks have 1001 classes; folders are sorted by name, or not.",
        signature=(
            "The logits are the expected ones, moved by one place or permuted; the weights of the last layer are, "
            "too. In G1 and G6 they are other numbers."
        ),
        fix="Take the labels from the same source as the weights, or drop the background class.",
        sources=("mlcommons/inference#550", "ageron/handson-ml#61"),
        example=compared(
            "I8",
            HEAD,
            """\
            actual[2].weight.data = expected[2].weight.data.roll(1, 0)
            actual[2].bias.data = expected[2].bias.data.roll(1, 0)
        """,
            shape="(1, 8, 4, 4)",
        ),
    ),
)
