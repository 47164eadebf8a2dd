"""J: what is left of training in a forward pass, and what goes wrong on the way back."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import compared, learned
from layerdiff.compare.catalogue.toys import CONVBN, HEAD

__all__ = ["TRAINING"]

_BY_HAND = "The gradient was derived by hand, and one way in which the input acts was overlooked."

TRAINING: tuple[Cause, ...] = (
    Cause(
        code="J4",
        title="the backward of a batch norm is another",
        meaning=(
            "In training every value of a channel also acts through the mean and the variance. A term of that is "
            "missing on the way back, or divided by another count, or the parameters' gradients are other sums."
        ),
        why=_BY_HAND,
        signature=(
            "Summed over a channel, the right gradient of the input vanishes, and so does its product with the "
            "normalised input. In eval mode nothing shows: there the statistics are constants. In C7 the way there "
            "is wrong already."
        ),
        fix="Subtract both means: dx = gamma/sigma · (g - mean(g) - x_hat · mean(g · x_hat)).",
        sources=("apache/mxnet#1053", "mlpack/mlpack#1923"),
        example=learned(
            "J4",
            CONVBN,
            """\
            class Norm(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x, weight, bias):
                    var = x.var((0, 2, 3), unbiased=False)
                    std = (var + 1e-5).sqrt()[:, None, None]
                    x_hat = (x - x.mean((0, 2, 3))[:, None, None]) / std
                    ctx.save_for_backward(x_hat, weight, std)
                    return x_hat * weight[:, None, None] + bias[:, None, None]

                @staticmethod
                def backward(ctx, g):
                    x_hat, weight, std = ctx.saved_tensors
                    dx = g - g.mean((0, 2, 3))[:, None, None]  # and the variance?
                    sums = (g * x_hat).sum((0, 2, 3)), g.sum((0, 2, 3))
                    return dx * weight[:, None, None] / std, *sums


            class Own(nn.BatchNorm2d):
                def forward(self, x):
                    if not self.training:
                        return super().forward(x)
                    return Norm.apply(x, self.weight, self.bias)


            actual = nn.Sequential(expected[0], Own(8)).eval()
            actual[1].load_state_dict(expected[1].state_dict())
        """,
        ),
    ),
    Cause(
        code="J5",
        title="the backward of a max-pool is another",
        meaning=(
            "The gradient of a window goes to one of its largest values. Here it goes to all of those that tie, or is "
            "shared among them, or where windows overlap the last one overwrites what the others gave."
        ),
        why="A mask of all values equal to the maximum is easy to write; so is `dx[place] = g` instead of `+=`.",
        signature=(
            "The gradients differ only where values tie, or where one value is the largest of several windows. Behind "
            "a ReLU, whose zeros tie all the time, ties do no harm: the gradient is stopped there, and it is a note."
        ),
        fix="Give each window's gradient to the first of its largest values, and add where windows overlap.",
        sources=("Theano/Theano#5404", "FluxML/Flux.jl#1197"),
        example=learned(
            "J5",
            "expected = nn.Sequential(nn.MaxPool2d(3, 2, 1))\n",
            """\
            class Pool(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x):
                    y, places = nn.functional.max_pool2d_with_indices(x, 3, 2, 1)
                    ctx.save_for_backward(places)
                    ctx.shape = x.shape
                    return y

                @staticmethod
                def backward(ctx, g):
                    (places,) = ctx.saved_tensors
                    dx = torch.zeros(ctx.shape, dtype=g.dtype).flatten(2)
                    for i in range(places[0, 0].numel()):
                        place = places.flatten(2)[:, :, i, None]
                        dx.scatter_(2, place, g.flatten(2)[:, :, i, None])  # = for +=
                    return dx.view(ctx.shape)


            class Own(nn.Module):
                def forward(self, x):
                    return Pool.apply(x)


            actual = nn.Sequential(Own())
        """,
        ),
    ),
    Cause(
        code="J6",
        title="the backward of a convolution is another",
        meaning=(
            "The gradient of the input is the transposed convolution of that of the output. Here the kernel is turned "
            "round, rows are left out, or the parameters' gradients are averaged over the pictures."
        ),
        why="Textbooks say that the backward convolution flips the kernel; a transposed convolution flips it already.",
        signature=(
            "With symmetric kernels, no stride and no padding nothing shows. In B3 the kernel is turned on the way "
            "there already."
        ),
        fix="Let each tap add its gradient to the pixel that it read: torch.nn.grad.conv2d_input.",
        sources=("PKUFlyingPig/CMU10-714#6", "tensorflow/tensorflow#11092"),
        example=learned(
            "J6",
            "expected = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False))\n",
            """\
            class Conv(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x, w):
                    ctx.save_for_backward(x, w)
                    return nn.functional.conv2d(x, w)

                @staticmethod
                def backward(ctx, g):
                    x, w = ctx.saved_tensors
                    dx = torch.nn.grad.conv2d_input(x.shape, w.flip(2, 3), g)
                    return dx, torch.nn.grad.conv2d_weight(x, w.shape, g)


            class Own(nn.Conv2d):
                def forward(self, x):
                    return Conv.apply(x, self.weight)


            actual = nn.Sequential(Own(3, 8, 3, bias=False)).eval()
            actual.load_state_dict(expected.state_dict())
        """,
        ),
    ),
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
    Cause(
        code="J8",
        title="the backward of an activation is another",
        meaning="The gradient passes a ReLU where the ReLU gave zero, or with another slope than on the way there.",
        why="The mask was made of the gradient, or forgotten, or made with >= where x is often exactly 0.",
        signature="The gradients agree where x is positive. In E5 the way there is another function already.",
        fix="Multiply the gradient by (x > 0).",
        sources=(),
        example=learned(
            "J8",
            HEAD + "expected.insert(0, nn.ReLU())\n",
            """\
            class Rectify(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x):
                    return x.clamp(min=0)

                @staticmethod
                def backward(ctx, g):
                    return g


            class Own(nn.Module):
                def forward(self, x):
                    return Rectify.apply(x)


            actual[0] = Own()
        """,
            shape="(1, 8, 4, 4)",
            mode="eval",
        ),
    ),
    Cause(
        code="J9",
        title="a gradient is cut off",
        meaning="On the way there all is right. On the way back nothing reaches what lies before: it will never learn.",
        why=(
            "`detach()`, `.data`, `torch.no_grad()`, or a copy made by `torch.tensor(x)` or through NumPy, often left "
            "over from debugging."
        ),
        signature="The layer's own gradient is right, and that of its input or its parameters is not there at all.",
        fix="Take out what cuts it off.",
        sources=(),
        example=learned(
            "J9",
            HEAD,
            """\
            class Cut(nn.Linear):
                def forward(self, x):
                    return super().forward(x.detach())


            actual[2] = Cut(8, 8)
            actual.load_state_dict(expected.state_dict())
        """,
            shape="(1, 8, 4, 4)",
            mode="eval",
        ),
    ),
    Cause(
        code="J10",
        title="a gradient is multiplied by a factor",
        meaning="A layer's gradient is right but for one number: twice as large, or divided by the size of the batch.",
        why="The loss averages over the pictures, and the layer does so again; or a scale of mixed precision is left.",
        signature="One factor explains all values of one gradient. In J7 the factor is there on the way there, too.",
        fix="Leave the factor out.",
        sources=(),
        example=learned(
            "J10",
            HEAD,
            """\
            class Linear(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x, w, b):
                    ctx.save_for_backward(x, w)
                    return x @ w.T + b

                @staticmethod
                def backward(ctx, g):
                    x, w = ctx.saved_tensors
                    return g @ w, g.T @ x / len(x), g.mean(0)  # as the loss did


            class Own(nn.Linear):
                def forward(self, x):
                    return Linear.apply(x, self.weight, self.bias)


            actual[2] = Own(8, 8)
            actual.load_state_dict(expected.state_dict())
        """,
            shape="(4, 8, 4, 4)",
            mode="eval",
        ),
    ),
)
