"""Which mistake a convolution's other stride is, from its place in the network."""

from __future__ import annotations

from layerdiff.compare.hypotheses.roles import block_of, is_bottleneck
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.trace import INPUT

__all__ = ["stride_words"]


def stride_words(site: Site, got: tuple[int, int], want: tuple[int, int]) -> tuple[str, str, str]:
    """The code, the title and the advice for a stride of `got` where `want` is expected.

    In a stage's first block, a stride that stands on the first convolution and belongs on the second, or the other way
    round, is one mistake seen at two layers: both get the same words. One layer does not tell whether the other one has
    the stride instead; where it has not, the stage's stride is lost, which is what A3 says.
    """
    block, last = block_of(site.layer), site.layer.split(".")[-1]
    plain = f"stride is {got}, expected {want}"
    if site.op.inputs == (INPUT,):
        return "A11", f"the stem's {plain}", f"set stride={want}"
    if ".downsample" in site.layer:
        return "A9", f"the shortcut's projection: {plain}", f"give the projection the block's stride, {want}"
    # Only the first block of a stage after the first has a stride to misplace.
    opens_stage = block.endswith(".0") and not block.startswith("layer1.")
    if opens_stage and is_bottleneck(site):
        on_first = last == "conv1" and _larger(got, want)
        off_second = last == "conv2" and _larger(want, got)
        if on_first or off_second:
            return (
                "A1",
                "the block's stride is on the 1×1 convolution (ResNet v1), expected on the 3×3 (v1.5)",
                "give the stride to conv2, the 3×3, and none to conv1",
            )
    if opens_stage and not is_bottleneck(site):
        off_first = last == "conv1" and _larger(want, got)
        on_second = last == "conv2" and _larger(got, want)
        if off_first or on_second:
            return (
                "A2",
                "the block's stride is on the second 3×3 convolution, expected on the first",
                "give the stride to conv1, and none to conv2",
            )
    return "A3", plain, f"set stride={want}"


def _larger(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))
