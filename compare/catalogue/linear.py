"""F: flatten and linear layers."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import compared
from layerdiff.compare.catalogue.toys import FEATURES, FLAT, HEAD

__all__ = ["LINEAR"]

LINEAR: tuple[Cause, ...] = (
    Cause(
        code="F1",
        title="the matrix of a linear layer is transposed",
        meaning="The layer computes x W where x W^T is expected. Only a square matrix lets it pass.",
        why="torch keeps (out, in), Keras and most formulas (in, out).",
        signature="The matrices agree after a transposition. B6 is the same for a convolution.",
        fix="Transpose it when the weights are carried over.",
        sources=("pytorch/pytorch#139598", "huggingface/transformers#4514"),
        example=compared(
            "F1", HEAD, "actual[2].weight.data = actual[2].weight.data.T.contiguous()", shape="(1, 8, 4, 4)"
        ),
    ),
    Cause(
        code="F2",
        title="the map is flattened in another order",
        meaning=(
            "Channels are the fastest index of the flattened vector, where the reference has the columns (or the "
            "other way round), so the linear layer's weights meet other values."
        ),
        why="Frameworks with channels last flatten that way, and weights trained there expect it.",
        signature=(
            "The flattened values are the expected ones in another order. With a 1x1 map there is only one order, and "
            "it is no fault: no ResNet shows it, VGG and AlexNet do. In F3 the map itself is scrambled."
        ),
        fix="Permute to the order of the reference before flattening, or permute the columns of the matrix once.",
        sources=("microsoft/MMdnn#250", "keras-team/keras#9696"),
        example=compared(
            "F2",
            FLAT,
            """\
            class ChannelsLast(nn.Module):
                def forward(self, x):
                    return x.permute(0, 2, 3, 1).flatten(1)


            actual[1] = ChannelsLast()
        """,
            shape="(1, 3, 4, 4)",
        ),
    ),
    Cause(
        code="F3",
        title="a view or reshape stands where axes should be permuted",
        meaning=(
            "The shape is right and the values are in other places: a reshape reads them on in the old order, a "
            "permutation would have moved them."
        ),
        why="Both give the shape that the next layer asks for.",
        signature=(
            "Sorted, the values are equal; the map is scrambled, as if made of small tiles. In F2 only the vector "
            "before the linear layer has another order."
        ),
        fix="permute or transpose; use reshape only to join or split axes that lie side by side.",
        sources=("pytorch/vision#676", "jeya-maria-jose/TransWeather#2"),
        example=compared(
            "F3",
            FLAT,
            """\
            class ThereAndBack(nn.Module):
                def forward(self, x):
                    n, c, h, w = x.shape
                    last = x.reshape(n, h, w, c)  # not: x.permute(0, 2, 3, 1)
                    return last.permute(0, 3, 1, 2).flatten(1)


            actual[1] = ThereAndBack()
        """,
            shape="(1, 3, 4, 4)",
        ),
    ),
    Cause(
        code="F4",
        title="there is a softmax inside the network",
        meaning=(
            "The network gives probabilities where logits are expected. The class with the highest score stays the "
            "same, the loss does not, and a second softmax outside flattens everything."
        ),
        why="Keras puts it there; in torch the loss does it.",
        signature=(
            "The rows sum to 1, and are the softmax of the expected logits, along the classes or along a wrong axis."
        ),
        fix="Take the softmax out, and apply it only where probabilities are shown.",
        sources=("ariecattan/SciCo#2", "tflearn/tflearn#562"),
        example=compared("F4", HEAD, "actual.append(nn.Softmax(1))", shape="(1, 8, 4, 4)"),
    ),
    Cause(
        code="F5",
        title="squeeze takes the batch's axis away",
        meaning="`squeeze()` without an axis removes every axis of size 1; with one picture that is the batch too.",
        why="It is a short way to remove the 1x1 of a pooled map, and works with two pictures.",
        signature=(
            "With one picture the result has an axis less, with two it is right. F6 merges the axis instead of "
            "removing it."
        ),
        fix="torch.flatten(x, 1).",
        sources=("layumi/Person_reID_baseline_pytorch#77", "clovaai/rexnet#20"),
        example=compared(
            "F5",
            HEAD,
            """\
            class Squeeze(nn.Module):
                def forward(self, x):
                    return x.squeeze()


            actual[1] = Squeeze()
        """,
            shape="(1, 8, 4, 4)",
        ),
    ),
    Cause(
        code="F6",
        title="the pictures of a batch are merged into one another",
        meaning=(
            "A flatten or view does not stop at the batch's axis: rows of several pictures become one, or one picture "
            "becomes several rows."
        ),
        why=(
            "`view(-1, 512)` works as long as the map is what the author thought; a batch size is written down as a "
            "number."
        ),
        signature=(
            "The first axis of the result is not the number of pictures. If each picture became one row per pixel, "
            "see M15."
        ),
        fix="torch.flatten(x, 1), or x.view(x.size(0), -1).",
        sources=("uoguelph-mlrg/Cutout#16", "mrdbourke/pytorch-deep-learning#120"),
        example=compared("F6", FEATURES, "actual[1] = nn.Flatten(0)", shape="(2, 8, 4, 4)"),
    ),
    Cause(
        code="F7",
        title="the bias of a linear layer is left out, or added in another way",
        meaning="The bias is not added, added twice, or subtracted.",
        why="The layer was written as a product of matrices; or a bias that was folded in already is added once more.",
        signature=(
            "The difference is the bias, once or twice, the same in every row. In B9 a convolution's bias lies along "
            "another axis."
        ),
        fix="x @ weight.T + bias.",
        sources=(),
        example=compared(
            "F7",
            HEAD,
            """\
            class Product(nn.Linear):
                def forward(self, x):
                    return x @ self.weight.T


            actual[2] = Product(8, 8)
            actual.load_state_dict(expected.state_dict())
        """,
            shape="(1, 8, 4, 4)",
        ),
    ),
)
