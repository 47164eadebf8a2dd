"""The tape: what it writes down, what it does not, and how it reads it backwards."""

from __future__ import annotations

import threading
import weakref

import numpy as np
import pytest

from layerdiff.handwritten.numpy_ops import (
    add,
    batch_norm,
    batch_norm_train,
    cross_entropy,
    drop,
    leaky_relu,
    mse_loss,
    relu,
    softmax,
    tanh,
)
from layerdiff.handwritten.tape import Tape, differentiable


def drawn(shape=(2, 3), seed=0):
    """Random values of a float64 array."""
    return np.random.default_rng(seed).standard_normal(shape)


def names(tape):
    """Of the operations on a tape, in their order."""
    return [record.name for record in tape.records]


@differentiable(lambda grad, y, x, scale, *, offset: (grad * scale, grad * x, grad))
def affine(x, scale, *, offset):
    """A product and a sum of three variables."""
    return x * scale + offset


@differentiable(lambda grad, y, x: (grad,))
def unchanged(x):
    """Its argument itself, as a dropout in eval mode."""
    return x


@differentiable(lambda grad, y, x: (2 * grad,))
def twice_and_thrice(x):
    """Two results, of which only the first is differentiated."""
    return 2 * x, 3 * x


def test_the_gradients_of_a_residual_block_are_added():
    """What goes through the branch and what goes past it, to the bit their sum."""
    x, covector = drawn(), drawn(seed=1)
    with Tape() as tape:
        branch = tanh(x)
        y = add(branch, x)
    (gradient,) = tape.gradients(y, [x], covector)
    np.testing.assert_array_equal(gradient, covector + covector * (1 - branch * branch))


def test_an_array_may_be_used_any_number_of_times():
    """Twice by one operation and again by a later one: every use adds its part."""
    x, covector = drawn(), drawn(seed=1)
    with Tape() as tape:
        y = add(add(x, x), x)
    np.testing.assert_allclose(tape.gradients(y, [x], covector)[0], 3 * covector, rtol=2**-52)


def test_a_tape_that_is_not_kept_gives_back_what_was_computed():
    """The gradients are the same; what an operation gave is gone before those before it are read."""
    x, covector, alive = drawn(), drawn(seed=1), []

    def watch_vjp(grad, y, x):
        alive.append(inside() is not None)
        return (grad,)

    @differentiable(watch_vjp)
    def watch(x):
        return x.copy()

    with Tape() as tape:
        inner = tanh(watch(x))
        y = leaky_relu(inner, 0.5)
    inside = weakref.ref(inner)
    del inner
    expected = tape.gradients(y, [x], covector)
    np.testing.assert_array_equal(tape.gradients(y, [x], covector, keep=False), expected)
    assert alive == [True, False]
    assert tape.records == []


def test_intermediate_arrays_have_gradients_too():
    """Any array on the way, the output itself among them, and each the sum over all that it went to."""
    x, covector = drawn(), drawn(seed=1)
    with Tape() as tape:
        first = tanh(x)
        second = leaky_relu(first, 0.5)
        y = add(second, first)
    of_y, of_second, of_first, of_x = tape.gradients(y, [y, second, first, x], covector)
    np.testing.assert_array_equal(of_y, covector)
    np.testing.assert_array_equal(of_second, covector)
    np.testing.assert_array_equal(of_first, covector + covector * np.where(first > 0, 1, 0.5))
    np.testing.assert_array_equal(of_x, of_first * (1 - first * first))
    np.testing.assert_array_equal(tape.gradients(y, [x], covector)[0], of_x)


def test_a_tape_has_any_number_of_outputs():
    """Each is read back by itself, as often as one likes, and takes nothing from what leads to another."""
    x, other = drawn(), drawn(seed=1)
    with Tape() as tape:
        hidden = tanh(x)
        near, far = mse_loss(hidden, other), mse_loss(hidden, -other, reduction="sum")
    for _ in range(2):
        np.testing.assert_array_equal(tape.gradients(near, [hidden])[0], 2 * (hidden - other) * (1 / 6))
        np.testing.assert_array_equal(tape.gradients(far, [hidden])[0], 2 * (hidden + other))
    np.testing.assert_array_equal(tape.gradients(hidden, [x], other)[0], other * (1 - hidden * hidden))


def test_of_several_results_the_first_is_differentiated():
    """The others are what an optimiser or a layer keeps; they are not on the tape."""
    x, covector = drawn(), drawn(seed=1)
    with Tape() as tape:
        double, triple = twice_and_thrice(x)
    np.testing.assert_array_equal(tape.gradients(double, [x], covector)[0], 2 * covector)
    with pytest.raises(
        ValueError, match=r"^Tape\.gradients: the output is not on the tape, got an array of shape \(2, 3"
    ):
        tape.gradients(triple, [x], covector)


def test_an_operation_within_an_operation_is_not_written_down():
    """Its own product knows of it."""
    x, weight = drawn((4, 3, 2, 2)), np.ones(3)
    with Tape() as tape:
        y, _, _ = batch_norm_train(x, np.zeros(3), np.ones(3), weight)
        batch_norm(y, np.zeros(3), np.ones(3))
        cross_entropy(drawn(), np.array([0, 2]))
    assert names(tape) == ["batch_norm_by_batch", "batch_norm", "cross_entropy"]


def test_the_innermost_tape_writes():
    """And the outer one goes on behind it; one that is entered again goes on where it was."""
    x = drawn()
    with Tape() as outer:
        tanh(x)
        with Tape() as inner:
            relu(x)
            with outer:
                softmax(x)
        leaky_relu(x)
    with outer:
        add(x, x)
    assert names(outer) == ["tanh", "softmax", "leaky_relu", "add"]
    assert names(inner) == ["relu"]


def test_nothing_is_written_down_without_a_tape():
    """Before and behind its `with`; the results are the same."""
    x = drawn()
    before = tanh(x)
    with Tape() as tape:
        within = tanh(x)
    relu(x)
    np.testing.assert_array_equal(before, within)
    assert [record.output is within for record in tape.records] == [True]


def test_a_tape_belongs_to_its_thread():
    """What another thread does meanwhile is not written down."""
    x = drawn()
    with Tape() as tape:
        thread = threading.Thread(target=tanh, args=(x,))
        thread.start()
        thread.join()
    assert tape.records == []


def test_an_error_leaves_the_tape_in_order():
    """An operation that is refused is not on it, the next one is, and behind the `with` nothing is written."""
    x = drawn()
    tape = Tape()

    def fails():
        with tape:
            with pytest.raises(ValueError, match=r"^softmax: "):
                softmax(x, axis=5)
            tanh(x)
            add(x, x[:1])

    with pytest.raises(ValueError, match=r"^add: "):
        fails()
    relu(x)
    assert names(tape) == ["tanh"]


def test_going_back_is_not_written_down():
    """Even within the `with`, and by a product that calls an operation."""
    logits, labels = drawn(), np.array([0, 2])
    with Tape() as tape:
        loss = cross_entropy(logits, labels)
        tape.gradients(loss, [logits])
        assert names(tape) == ["cross_entropy"]


def test_what_is_handed_through_is_the_same_variable():
    """It is not written down, and its gradient is there once, not twice."""
    x, covector = drawn(), drawn(seed=1)
    with Tape() as tape:
        hidden = unchanged(tanh(x))
        y = unchanged(add(hidden, unchanged(x)))
    assert names(tape) == ["tanh", "add"]
    of_hidden, of_x = tape.gradients(y, [hidden, x], covector)
    np.testing.assert_array_equal(of_hidden, covector)
    np.testing.assert_array_equal(of_x, covector + covector * (1 - hidden * hidden))


def test_integers_and_masks_are_no_variables():
    """Labels, masks and numbers pass by."""
    x, kept, labels = drawn(), np.array([[True, False, True]] * 2), np.array([0, 2])
    with Tape() as tape:
        cross_entropy(drop(x, kept, 0.5), labels)
    assert [len(record.inputs) for record in tape.records] == [1, 1]


@pytest.mark.parametrize("keywords", [False, True])
def test_gradients_find_their_arguments(keywords):
    """By the order of the signature, whatever order they were given in."""
    x, scale, offset, covector = (drawn(seed=seed) for seed in range(4))
    with Tape() as tape:
        y = affine(offset=offset, scale=scale, x=x) if keywords else affine(x, scale, offset=offset)
    gradients = tape.gradients(y, [offset, x, scale], covector)
    for gradient, expected in zip(gradients, [covector, covector * scale, covector * x], strict=True):
        np.testing.assert_array_equal(gradient, expected)


def test_a_product_may_give_no_gradient():
    """None: the argument counts as not leading to the output."""

    @differentiable(lambda grad, y, x, aside: (grad, None))
    def first_of(x, aside):
        return x + 0 * aside

    x, aside, covector = (drawn(seed=seed) for seed in range(3))
    with Tape() as tape:
        y = first_of(x, aside)
    np.testing.assert_array_equal(tape.gradients(y, [x], covector)[0], covector)
    with pytest.raises(ValueError, match=r"leads to the output, got of\[0\] \(2, 3\), expected"):
        tape.gradients(y, [aside], covector)


def test_going_back_changes_no_array():
    """Neither a variable, nor a result, nor the covector: a gradient is never added to in place."""
    x, covector = drawn(), drawn(seed=1)
    with Tape() as tape:
        hidden = tanh(x)
        y = add(add(hidden, x), add(hidden, x))
    arrays = [x, hidden, y, covector]
    before = [array.copy() for array in arrays]
    tape.gradients(y, [x, hidden], covector)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_loss_needs_no_covector():
    """A single number's is 1, in its own dtype; any other covector may be given."""
    x, target = drawn().astype(np.float32), np.zeros((2, 3), dtype=np.float32)
    with Tape() as tape:
        loss = mse_loss(x, target, reduction="sum")
    (plain,) = tape.gradients(loss, [x])
    (halved,) = tape.gradients(loss, [x], np.array(0.5, dtype=np.float32))
    assert plain.dtype == np.float32
    np.testing.assert_array_equal(plain, 2 * x)
    np.testing.assert_array_equal(halved, x)
