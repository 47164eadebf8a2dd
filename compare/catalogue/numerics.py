"""H: arithmetic."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import alike, compared
from layerdiff.compare.catalogue.toys import CONV, CONVBN

__all__ = ["NUMERICS"]

NUMERICS: tuple[Cause, ...] = (
    Cause(
        code="H1",
        title="products are rounded to TF32",
        meaning=(
            "The GPU rounds the factors of convolutions and matrix products to 10 bits of mantissa. Errors are a "
            "thousand times larger than float32's."
        ),
        why="It is switched on by default for convolutions on newer cards, because it is much faster.",
        signature=(
            "Errors of about 1e-3, relative, without pattern, in every convolution; in float64 all agree. H2 rounds "
            "the results too."
        ),
        fix=(
            "torch.backends.cudnn.allow_tf32 = False and torch.backends.cuda.matmul.allow_tf32 = False for the "
            "comparison."
        ),
        sources=("pytorch/pytorch#107514", "sonots/cumo#501"),
        example=compared(
            "H1",
            CONV,
            """\
            class TF32(nn.Conv2d):
                def forward(self, x):
                    x, w = (rounded(t.detach().clone()) for t in (x, self.weight))
                    return nn.functional.conv2d(x, w, stride=2, padding=1)


            def rounded(t):  # as a GPU does it, to ten bits
                bits = (t.float().view(torch.int32) + 4096) & -8192
                return bits.view(torch.float32).to(t.dtype)


            expected[0].weight.data *= 1e-4  # too small for float16
            actual[0] = TF32(3, 8, 3, 2, 1, bias=False)
            actual.eval().load_state_dict(expected.state_dict())
        """,
        ),
    ),
    Cause(
        code="H2",
        title="the network computes in half precision",
        meaning="float16 or bfloat16 is used inside, and the result is cast back to float32.",
        why="autocast, `.half()` in a helper, or an engine that was built for it.",
        signature=(
            "All values lie on the coarse grid of the half type: casting there and back changes nothing. In H1 the "
            "results do not."
        ),
        fix="Compare in float32, or accept that a half-precision network is not the same.",
        sources=("ROCm/AMDMIGraphX#1746", "NVIDIA-AI-IOT/torch2trt#879"),
        example=compared(
            "H2",
            CONV,
            """\
            class Half(nn.Conv2d):
                def forward(self, x):
                    half = x.half(), self.weight.half()
                    y = nn.functional.conv2d(*half, stride=2, padding=1)
                    return y.to(x.dtype)


            actual[0] = Half(3, 8, 3, 2, 1, bias=False)
            actual.eval().load_state_dict(expected.state_dict())
        """,
        ),
    ),
    Cause(
        code="H3",
        title="float64 and float32 are mixed",
        meaning=(
            "A part of the network computes in double, and so does all that follows; or torch refuses to mix them "
            "(M16)."
        ),
        why="NumPy makes float64 unless told otherwise, and a float64 constant makes everything it touches float64.",
        signature=(
            "The dtype of a layer's output differs. The values are then closer to the truth than the reference's."
        ),
        fix="Cast the input and the constants to float32 once, at the door.",
        sources=("pytorch/pytorch#2552", "timeseriesAI/tsai#468"),
        example=compared(
            "H3",
            CONVBN,
            """\
            class Double(nn.Sequential):
                def forward(self, x):
                    return super().forward(x.double())


            actual = Double(*copy.deepcopy(expected)).double()
        """,
        ),
    ),
    Cause(
        code="H4",
        title="another kernel adds in another order",
        meaning=(
            "The same code gives results that differ in the last bits, with another number of threads, another batch "
            "size, or just another time."
        ),
        why="Libraries choose among several kernels, and floating-point sums depend on the order.",
        signature=(
            "Differences of 1e-7 to 1e-6, relative, that vanish in float64. layerdiff's allowance is made for it, so "
            "it is never a finding."
        ),
        fix="Nothing: it is not a fault. Fix threads and batch size if you need the same bits.",
        sources=("pytorch/pytorch#116501", "tensorflow/tensorflow#8670"),
        example=alike(
            CONVBN,
            """\
            class OtherOrder(nn.Conv2d):
                def forward(self, x):
                    w = self.weight.flip(1)
                    return nn.functional.conv2d(x.flip(1), w, self.bias)


            actual[0] = OtherOrder(3, 8, 3)
            actual.eval().load_state_dict(expected.state_dict())
        """,
        ),
        unseen="rounding is within the allowance of every layer, so the verdict is `same`",
    ),
    Cause(
        code="H5",
        title="an operation misreads memory that is not contiguous",
        meaning=(
            "The values are right, and their place in memory is not what the operation takes for granted: it reads a "
            "channels-last or sliced tensor as if it were contiguous."
        ),
        why="Kernels are written and tested with contiguous tensors. Some backends have had such bugs as well.",
        signature=(
            "A copy made by `.contiguous()` before the operation makes it agree. F3 moves the values whatever the "
            "memory."
        ),
        fix="Call .contiguous() before it, and report it to whoever wrote the kernel.",
        sources=("pytorch/pytorch#174345", "pytorch/pytorch#84962"),
        example=compared(
            "U1",
            CONVBN,
            """\
            class RawReLU(nn.ReLU):
                def forward(self, x):
                    x = x.to(memory_format=torch.channels_last)
                    n, c, h, w = x.shape  # reads the memory as NCHW
                    return x.as_strided(x.shape, (c * h * w, h * w, w, 1)).relu()


            expected.append(nn.ReLU())
            actual = nn.Sequential(*expected[:2], RawReLU())
        """,
        ),
        unseen="no cause predicts what another reading of the memory gives, so it is found as U1",
    ),
)
