"""Pairing of operations."""

from __future__ import annotations

import numpy as np
import pytest

from layerdiff.compare.align import align
from layerdiff.compare.trace import Namer, Op


def ops(*calls, parameters=None):
    """Operations from `path kind source...`, named as torchvision does; `kind@shape` gives the output a shape."""
    namer = Namer()
    made = []
    for call in calls:
        path, kind, *inputs = call.split()
        kind, _, shape = kind.partition("@")
        size = tuple(int(n) for n in shape.split("x")) if shape else (1, 4, 8, 8)
        own = (parameters or {}).get(path, {})
        keys = {role: f"{path}.{role}" for role in own}
        made.append(Op(namer.name(path), path, kind, tuple(inputs), {}, own, size, "float32", keys=keys))
    return made


def weight(*shape, seed=0):
    """A kernel whose values tell it from every other."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def blamed(alignment):
    """What is missing, wired wrongly or too many."""
    missing = [op.layer for pair in alignment.pairs if not pair.actual for op in pair.expected]
    wrong = [pair.expected[-1].layer for pair in alignment.pairs if pair.problems]
    return missing, wrong, [op.layer for op in alignment.extra]


def groups(alignment):
    """Pairs of more than one operation on a side, as `expected ids / actual ids`."""
    return [
        f"{' '.join(op.layer for op in pair.expected)} / {' '.join(op.layer for op in pair.actual)}"
        for pair in alignment.pairs
        if pair.actual and (len(pair.expected) > 1 or len(pair.actual) > 1)
    ]


BLOCK = ops(
    "conv1 conv2d input",
    "relu relu conv1",
    "conv2 conv2d relu",
    "relu relu conv2",
    "conv3 conv2d relu_1",
    "add add conv3 input",
    "relu relu add",
)


def test_equal_networks_pair_one_to_one():
    """Every operation of a network is paired with itself, and nothing is left over."""
    alignment = align(BLOCK, BLOCK)

    assert [(op.layer, op.layer) for op in BLOCK] == [(p.expected[0].layer, p.actual[0].layer) for p in alignment.pairs]
    assert blamed(alignment) == ([], [], [])


def test_the_call_that_was_left_out_is_the_missing_one():
    """A reused ReLU called twice instead of thrice: the one left out is missing, and nothing else is blamed."""
    actual = ops(
        "conv1 conv2d input", "relu relu conv1", "conv2 conv2d relu", "conv3 conv2d conv2", "add add conv3 input",
        "relu relu add",
    )  # fmt: skip

    alignment = align(BLOCK, actual)

    assert blamed(alignment) == (["relu_1"], [], [])
    assert alignment.pairs[6].actual[0].layer == "relu_1"


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


def test_another_kind_is_missing_and_too_many():
    """A convolution where a batch norm belongs is no partner: one is missing, the other too many."""
    assert blamed(align(ops("a batch_norm input"), ops("a conv2d input"))) == (["a"], [], ["a"])


def test_another_kind_of_the_same_job_is_a_problem():
    """A LeakyReLU where a ReLU belongs is paired with it, and both kinds are named."""
    pair = align(ops("a relu input"), ops("a leaky_relu input")).pairs[0]

    assert pair.problems == ("kind: got leaky_relu, expected relu",)


def test_another_number_of_inputs_is_a_problem():
    """A sum of three where one of two belongs is said."""
    expected, actual = ops("a relu input", "b add a input"), ops("a relu input", "b add a input input")

    assert align(expected, actual).pairs[1].problems == ("inputs: got 3, expected 2",)


BOTTLENECK = ops(
    "conv1 conv2d input", "bn1 batch_norm conv1", "relu relu bn1", "conv2 conv2d relu", "bn2 batch_norm conv2",
    "downsample.0 conv2d input", "downsample.1 batch_norm downsample.0", "add add bn2 downsample.1", "relu relu add",
    parameters={
        "conv1": {"weight": weight(4, 4, 3, 3, seed=1)}, "conv2": {"weight": weight(4, 4, 3, 3, seed=2)},
        "downsample.0": {"weight": weight(4, 4, 1, 1, seed=3)},
    },
)  # fmt: skip


def test_names_and_the_order_of_writing_do_not_matter():
    """Other names, and the shortcut computed before the branch: every operation finds its partner by the data flow."""
    actual = ops(
        "s.0 conv2d input", "s.1 batch_norm s.0", "f.0 conv2d input", "f.1 batch_norm f.0", "act relu f.1",
        "f.3 conv2d act", "f.4 batch_norm f.3", "sum add s.1 f.4", "act relu sum",
        parameters={"s.0": {"weight": weight(4, 4, 1, 1, seed=7)}, "f.0": {"weight": weight(4, 4, 3, 3, seed=8)},
                    "f.3": {"weight": weight(4, 4, 3, 3, seed=9)}},
    )  # fmt: skip

    alignment = align(BOTTLENECK, actual)

    assert blamed(alignment) == ([], [], [])
    assert {pair.expected[0].layer: pair.actual[0].layer for pair in alignment.pairs} == {
        "conv1": "f.0", "bn1": "f.1", "relu": "act", "conv2": "f.3", "bn2": "f.4", "downsample.0": "s.0",
        "downsample.1": "s.1", "add": "sum", "relu_1": "act_1",
    }  # fmt: skip


def test_what_each_is_given_alone_follows_the_data_flow():
    """A sum written the other way round is given each term where it takes it."""
    actual = ops("a conv2d input", "b relu input", "c add b a")
    expected = ops("a conv2d input", "b relu input", "c add a b")

    assert align(expected, actual).pairs[2].feeds == ("b", "a")


HEAD = ops("bn batch_norm input", "avgpool adaptive_avg_pool2d@1x4x1x1 bn", "flatten flatten@1x4 avgpool",
           "fc linear@1x2 flatten")  # fmt: skip


@pytest.mark.parametrize(
    ("written", "group"),
    [
        (["bn batch_norm input", "m mean@1x4 bn", "fc linear@1x2 m"], "avgpool flatten / m"),
        (["bn batch_norm input", "v view@1x4x64 bn", "m mean@1x4 v", "fc linear@1x2 m"], "avgpool flatten / v m"),
        (
            ["bn batch_norm input", "p adaptive_avg_pool2d@1x4x1x1 bn", "s squeeze@1x4x1 p", "s squeeze@1x4 s",
             "fc linear@1x2 s_1"], "flatten / s s_1",
        ),
        (
            ["bn batch_norm input", "i identity bn", "p adaptive_avg_pool2d@1x4x1x1 i", "f reshape@1x4 p",
             "fc linear@1x2 f"], "bn / bn i",
        ),
        (
            ["p pad@1x4x10x10 input", "bn batch_norm p", "avgpool adaptive_avg_pool2d@1x4x1x1 bn",
             "flatten flatten@1x4 avgpool", "fc linear@1x2 flatten"], "bn / p bn",
        ),
    ],
    ids=["mean", "view and mean", "two squeezes", "identity", "padding"],
)  # fmt: skip
def test_other_ways_of_writing_are_one_group(written, group):
    """`mean` for pooling and flatten, two squeezes for one flatten, a filler, a padding of its own: judged together."""
    alignment = align(HEAD, ops(*written))

    assert blamed(alignment) == ([], [], [])
    assert groups(alignment) == [group]


def test_relu_and_max_pooling_in_the_other_order_are_one_group():
    """They commute, so the order in which they stand is no fault by itself; the judge compares both as one."""
    expected = ops("bn batch_norm input", "relu relu bn", "maxpool max_pool2d relu", "conv conv2d maxpool")
    actual = ops("bn batch_norm input", "maxpool max_pool2d bn", "relu relu maxpool", "conv conv2d relu")

    alignment = align(expected, actual)

    assert blamed(alignment) == ([], [], [])
    assert groups(alignment) == ["relu maxpool / maxpool relu"]


def test_what_does_not_commute_stays_a_fault():
    """A batch norm behind the ReLU instead of before it is not taken for another way of writing."""
    expected = ops("conv conv2d input", "bn batch_norm conv", "relu relu bn", "b conv2d relu")
    actual = ops("conv conv2d input", "relu relu conv", "bn batch_norm relu", "b conv2d bn")

    assert blamed(align(expected, actual)) != ([], [], [])


def test_a_batch_norm_written_out_is_one_group():
    """Arithmetic in the place of a batch norm stands for it, whatever it is made of."""
    expected = ops("a conv2d input", "bn batch_norm a", "r relu bn", parameters={"bn": {"weight": weight(4)}})
    actual = ops("a conv2d input", "s sub a", "d div s", "m mul d", "p shift m", "r relu p",
                 parameters={"p": {"bias": weight(4)}})  # fmt: skip

    alignment = align(expected, actual)

    assert blamed(alignment) == ([], [], [])
    assert groups(alignment) == ["bn / s d m p"]


def test_a_bias_added_in_a_step_of_its_own_belongs_to_its_product():
    """`x @ w + b` is one linear layer."""
    expected = ops("fc linear input", parameters={"fc": {"weight": weight(4, 4), "bias": weight(4)}})
    actual = ops("fc linear input", "b shift fc",
                 parameters={"fc": {"weight": weight(4, 4)}, "b": {"bias": weight(4)}})  # fmt: skip

    alignment = align(expected, actual)

    assert (blamed(alignment), groups(alignment)) == (([], [], []), ["fc / fc b"])


def test_a_folded_batch_norm_is_judged_with_its_convolution():
    """A convolution with other weights, a bias and no batch norm stands for both; one without bias lacks it."""
    expected = ops("c conv2d input", "bn batch_norm c", "r relu bn",
                   parameters={"c": {"weight": weight(4, 4, 1, 1)}, "bn": {"weight": weight(4)}})  # fmt: skip
    folded = ops("c conv2d input", "r relu c",
                 parameters={"c": {"weight": weight(4, 4, 1, 1, seed=5), "bias": weight(4)}})  # fmt: skip
    lacking = ops("c conv2d input", "r relu c", parameters={"c": {"weight": weight(4, 4, 1, 1)}})

    assert groups(align(expected, folded)) == ["c bn / c"]
    assert blamed(align(expected, lacking)) == (["bn"], [], [])


def test_a_branch_times_zero_is_too_many():
    """Operations that change no value are still not the expected network's: each of them is left over."""
    expected = ops("a conv2d input", "r relu a")
    actual = ops("a conv2d input", "m mean a", "z mul m", "p add a z", "r relu p")

    assert blamed(align(expected, actual)) == ([], [], ["m", "z", "p"])


def test_a_result_that_is_dropped_is_not_used():
    """`F.relu(x)` without an assignment: the expected ReLU is missing, what follows is not blamed."""
    expected = ops("a conv2d input", "r relu a", "b conv2d r")
    actual = ops("a conv2d input", "r relu a", "b conv2d a")

    alignment = align(expected, actual, expected_output="b", actual_output="b")

    assert blamed(alignment) == (["r"], [], [])


def test_a_dropout_at_work_is_no_filler():
    """Dropout in eval mode is a filler; one that is at work all the same is too many."""
    actual = ops("a conv2d input", "d dropout a", "r relu d")
    actual[1].attributes.update(p=0.5, training=True)

    assert blamed(align(ops("a conv2d input", "r relu a"), actual)) == ([], [], ["d"])


def test_a_part_may_be_followed_by_more():
    """When only a part is asked for, what the candidate runs after it is not too many; what it runs within it is."""
    expected = ops("a conv2d input", "r relu a")
    actual = ops("a conv2d input", "t tanh a", "r relu t", "b conv2d r", "c linear b")

    assert blamed(align(expected, actual, partial=True)) == ([], [], ["t"])


def test_every_operation_is_accounted_for():
    """Whatever the networks are, every expected operation is in one pair, every one of the candidate's somewhere."""
    generator = np.random.default_rng(0)
    kinds = ["conv2d", "batch_norm", "relu", "add", "pad", "mean", "mul", "view", "identity", "max_pool2d"]
    for _ in range(200):
        sides = []
        for _ in range(2):
            calls = []
            for i in range(int(generator.integers(0, 12))):
                sources = ["input", *(f"n{k}" for k in range(i))]
                taken = generator.choice(sources, size=int(generator.integers(1, 3)))
                calls.append(f"n{i} {generator.choice(kinds)} {' '.join(taken)}")
            sides.append(ops(*calls))
        alignment = align(*sides)

        assert sorted(op.layer for p in alignment.pairs for op in p.expected) == sorted(op.layer for op in sides[0])
        placed = {op.layer for p in alignment.pairs for op in p.actual} | {op.layer for op in alignment.extra}
        assert placed == {op.layer for op in sides[1]}
