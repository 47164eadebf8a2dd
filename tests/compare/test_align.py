"""Pairing of operations."""

from __future__ import annotations

from layerdiff.compare.align import align
from layerdiff.compare.trace import Namer, Op


def ops(*calls):
    """Operations from `path kind source...`, named as torchvision does."""
    namer = Namer()
    made = []
    for call in calls:
        path, kind, *inputs = call.split()
        made.append(Op(namer.name(path), path, kind, tuple(inputs), {}, {}, (1,), "float32"))
    return made


BLOCK = ops(
    "conv1 conv2d input",
    "relu relu conv1",
    "conv2 conv2d relu",
    "relu relu conv2",
    "conv3 conv2d relu_1",
    "add add conv3 input",
    "relu relu add",
)


def blamed(alignment):
    """What is missing, wired wrongly or too many."""
    missing = [pair.expected[-1].layer for pair in alignment.pairs if not pair.actual]
    wrong = [pair.expected[-1].layer for pair in alignment.pairs if pair.problems]
    return missing, wrong, [op.layer for op in alignment.extra]


def test_equal_networks_pair_one_to_one():
    """Every operation of a network is paired with itself, and nothing is left over."""
    alignment = align(BLOCK, BLOCK)

    assert [(op.layer, op.layer) for op in BLOCK] == [
        (p.expected[-1].layer, p.actual[-1].layer) for p in alignment.pairs
    ]
    assert blamed(alignment) == ([], [], [])


def test_the_call_that_was_left_out_is_the_missing_one():
    """A reused ReLU called twice instead of thrice: the one left out is missing, and nothing else is blamed."""
    actual = ops(
        "conv1 conv2d input", "relu relu conv1", "conv2 conv2d relu", "conv3 conv2d conv2", "add add conv3 input",
        "relu relu add",
    )  # fmt: skip

    alignment = align(BLOCK, actual)

    assert blamed(alignment) == (["relu_1"], [], [])
    assert alignment.pairs[6].actual[-1].layer == "relu_1"


def test_the_call_that_is_too_many_is_the_extra_one():
    """A ReLU before the addition is the one too many, and neither the addition nor the last ReLU is blamed."""
    actual = ops(
        "conv1 conv2d input", "relu relu conv1", "conv2 conv2d relu", "relu relu conv2", "conv3 conv2d relu_1",
        "relu relu conv3", "add add relu_2 input", "relu relu add",
    )  # fmt: skip

    assert blamed(align(BLOCK, actual)) == ([], [], ["relu_2"])


def test_a_forgotten_shortcut_is_a_missing_addition():
    """Without the shortcut the addition is missing, and what follows it is not blamed."""
    actual = ops(
        "conv1 conv2d input", "relu relu conv1", "conv2 conv2d relu", "relu relu conv2", "conv3 conv2d relu_1",
        "relu relu conv3",
    )  # fmt: skip

    assert blamed(align(BLOCK, actual)) == (["add"], [], [])


def test_wrong_wiring_is_blamed_where_it_is():
    """An addition that takes the branch's middle instead of the block's input is blamed, with both sources named."""
    actual = [*BLOCK[:5], *ops("add add conv3 relu"), BLOCK[6]]

    alignment = align(BLOCK, actual)

    assert blamed(alignment) == ([], ["add"], [])
    assert alignment.pairs[5].problems == ("wiring: takes conv3 and relu, expected conv3 and input",)


def test_a_sum_does_not_mind_the_order_of_its_terms():
    """`identity + out` is as good as `out + identity`."""
    actual = [*BLOCK[:5], *ops("add add input conv3"), BLOCK[6]]

    assert blamed(align(BLOCK, actual)) == ([], [], [])


def test_another_kind_or_number_of_inputs_is_a_problem():
    """A convolution where a batch norm belongs is said, and so is a sum of three."""
    expected, actual = ops("a batch_norm input", "b add a input"), ops("a conv2d input", "b add a input input")

    problems = [pair.problems for pair in align(expected, actual).pairs]

    assert problems == [("kind: got conv2d, expected batch_norm",), ("inputs: got 3, expected 2",)]
