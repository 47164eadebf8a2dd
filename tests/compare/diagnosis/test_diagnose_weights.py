"""What is wrong with parameters: those that a candidate holds, and those it computes with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.site import Sample, Site
from layerdiff.compare.hypotheses.trial import tried
from layerdiff.compare.hypotheses.weights.initial_values import initial_values
from layerdiff.compare.hypotheses.weights.relations import relation
from layerdiff.compare.hypotheses.weights.tensor_pool import Pool, fingerprint
from layerdiff.compare.hypotheses.weights.weights import hypotheses
from layerdiff.compare.trace import Array, Op

RNG = np.random.default_rng(5)
KERNEL = RNG.normal(0, 0.3, (8, 8, 3, 3)).astype(np.float32)
OTHER_KERNEL = RNG.normal(0, 0.3, (8, 8, 3, 3)).astype(np.float32)
MATRIX = RNG.normal(0, 0.3, (24, 24)).astype(np.float32)
CLASSES = RNG.uniform(-1, 1, 24).astype(np.float32)


def norm_parameters(seed: int, channels: int = 8) -> dict[str, Array]:
    """A batch norm's, far from their initial values."""
    rng = np.random.default_rng(seed)
    drawn = {
        "weight": rng.uniform(0.4, 1.3, channels),
        "bias": rng.uniform(-0.4, 0.6, channels),
        "running_mean": rng.uniform(-1, 1, channels),
        "running_var": rng.uniform(0.01, 4, channels),
    }
    return {role: array.astype(np.float32) for role, array in drawn.items()}


NORM, OTHER_NORM = norm_parameters(1), norm_parameters(2)
WEIGHTS: Mapping[str, Mapping[str, Array]] = {
    "conv": {"weight": KERNEL}, "layer3.0.conv2": {"weight": OTHER_KERNEL}, "fc": {"weight": MATRIX, "bias": CLASSES},
    "bn": NORM, "layer3.0.bn2": OTHER_NORM,
}  # fmt: skip
SETTINGS: Mapping[str, dict[str, object]] = {
    "conv2d": {"kernel_size": (3, 3), "stride": (2, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1},
    "batch_norm": {"eps": 1e-5, "momentum": 0.1, "training": False},
    "linear": {},
}


def computed(kind: str, x: Tensor, p: Mapping[str, Tensor], groups: int) -> Tensor:
    """What torch's own operation of a kind gives."""
    if kind == "conv2d":
        return functional.conv2d(x, p["weight"], p.get("bias"), (2, 1), (1, 1), (1, 1), groups)
    if kind == "linear":
        return functional.linear(x, p["weight"], p.get("bias"))
    return functional.batch_norm(x, p["running_mean"], p["running_var"], p["weight"], p["bias"])


def site_of(
    kind: str,
    layer: str,
    used: Mapping[str, Array],
    *,
    shown: Mapping[str, Array] | None = None,
    expected: Mapping[str, Array] | None = None,
    groups: int = 1,
) -> Site:
    """What is seen of an operation that computes with `used` and shows `shown` (for None: what it computes with)."""
    shown = used if shown is None else shown
    expected = expected or WEIGHTS.get(layer) or WEIGHTS[{"conv2d": "conv", "batch_norm": "bn", "linear": "fc"}[kind]]
    attributes = {**SETTINGS[kind], **({"groups": groups} if kind == "conv2d" else {})}
    op = Op(layer, layer, kind, ("before",), attributes, expected, (), "")
    samples = []
    for i in range(2):
        channels = expected["weight"].shape[1] * groups if kind != "batch_norm" else len(expected["running_mean"])
        shape = (2, channels) if kind == "linear" else (2, channels, 7, 9 - i)
        x = torch.from_numpy(np.random.default_rng(i).normal(0.2, 1.5, shape))
        want, got = (
            computed(kind, x, {role: torch.from_numpy(a.astype(np.float64)) for role, a in p.items()}, groups).numpy()
            for p in (expected, used)
        )
        samples.append(Sample((x.numpy(),), want, got))
    return Site(op, (replace(op, layer="other", parameters=shown),), *samples, weights=WEIGHTS)


def explaining(site: Site) -> list[Hypothesis]:
    """The hypotheses that explain a site."""
    results = [tried(one, site) for one in hypotheses(site)]
    return [one for one in results if one.residual is not None and one.residual <= 1]


def fresh(shape: tuple[int, ...], seed: int = 0) -> Array:
    """A weight as torch's default initialisation draws it."""
    torch.manual_seed(seed)
    weight = nn.init.kaiming_uniform_(torch.empty(shape), a=5**0.5)
    found: Array = weight.numpy()
    return found


def contiguous(array: Array) -> Array:
    """The array, lying as it is indexed."""
    return np.ascontiguousarray(array)


HELD_KERNELS: dict[str, tuple[Array, str, str]] = {
    "rotated": (KERNEL[:, :, ::-1, ::-1], "B3", "rotated by 180°"),
    "upside down": (KERNEL[:, :, ::-1], "B3", "upside down"),
    "reshaped from HWIO": (contiguous(KERNEL.transpose(2, 3, 1, 0)).reshape(KERNEL.shape), "B4", "HWIO"),
    "reshaped to HWIO": (KERNEL.reshape(3, 3, 8, 8).transpose(3, 2, 0, 1), "B4", "reshaped"),
    "height and width": (KERNEL.transpose(0, 1, 3, 2), "B5", "height and width are swapped"),
    "all axes reversed": (KERNEL.transpose(1, 0, 3, 2), "B5", "order in, out, width, height"),
    "in and out": (KERNEL.transpose(1, 0, 2, 3), "B6", "input and output channels"),
    "input channels reversed": (KERNEL[:, ::-1], "G10", "input channels are in reverse order"),
    "output channels in another order": (KERNEL[[3, 1, 0, 2, 7, 6, 4, 5]], "G10", "output channels"),
    "input channels in another order": (KERNEL[:, [3, 1, 0, 2, 7, 6, 4, 5]], "G10", "input channels"),
    "another layer's": (OTHER_KERNEL, "G3", "another layer's"),
    "never loaded": (fresh(KERNEL.shape), "G1", "nothing was loaded"),
    "another checkpoint": (RNG.standard_t(5, KERNEL.shape).astype(np.float32), "G6", "of another checkpoint"),
    "trained on": (KERNEL + RNG.normal(0, 0.03, KERNEL.shape).astype(np.float32), "G6", "near the reference's"),
    "twice as large": (KERNEL * np.float32(2), "G9", "2 times"),
    "a third": (KERNEL * np.float32(0.3), "G9", "0.3 times"),
    "negated": (-KERNEL, "G9", "sign"),
    "each filter scaled": (
        KERNEL * RNG.uniform(0.5, 2, (8, 1, 1, 1)).astype(np.float32), "G9", "by a factor of its own"),
    "shifted": (KERNEL + np.float32(0.125), "G9", "0.125 is added"),
    "half": (KERNEL.astype(np.float16).astype(np.float32), "H2", "float16"),
    "bfloat16": (torch.from_numpy(KERNEL).bfloat16().float().numpy(), "H2", "bfloat16"),
    "one value": (np.where(np.arange(KERNEL.size).reshape(KERNEL.shape) == 77, 3, KERNEL), "G11", "1 of 576 values"),
}  # fmt: skip


@pytest.mark.parametrize("name", HELD_KERNELS, ids=str)
def test_a_kernel_that_is_held_is_named_by_what_it_is(name: str) -> None:
    """A convolution that holds a wrong kernel is explained by one cause, which gives it the right one."""
    kernel, code, title = HELD_KERNELS[name]
    (found,) = explaining(site_of("conv2d", "conv", {"weight": contiguous(kernel)}))
    assert (found.code, found.rank) == (code, 0)
    assert title in found.title
    assert np.array_equal(found.parameters["weight"], KERNEL)


USED_KERNELS = {
    name: HELD_KERNELS[name]
    for name in ("rotated", "upside down", "reshaped from HWIO", "reshaped to HWIO", "height and width",
                 "all axes reversed", "in and out", "input channels reversed", "another layer's", "twice as large",
                 "negated")
} | {"a third": (KERNEL * np.float64(0.3), "G9", "0.3 times")}  # fmt: skip


@pytest.mark.parametrize("shown", [{"weight": KERNEL}, {}], ids=["holds the right one", "shows none"])
@pytest.mark.parametrize("name", USED_KERNELS, ids=str)
def test_a_kernel_that_is_only_computed_with_is_named(name: str, shown: Mapping[str, Array]) -> None:
    """Code that turns or exchanges a kernel of its own is explained by one cause, with nothing to give it."""
    kernel, code, title = USED_KERNELS[name]
    (found,) = explaining(site_of("conv2d", "conv", {"weight": contiguous(kernel)}, shown=shown))
    assert (found.code, found.rank, dict(found.parameters)) == (code, 2, {})
    assert title in found.title


def test_the_first_kernel_with_its_input_channels_reversed_takes_bgr() -> None:
    """On three input channels their reverse is the known mistake, I1, held or computed."""
    kernel = RNG.normal(0, 1, (8, 3, 3, 3)).astype(np.float32)
    used = {"weight": contiguous(kernel[:, ::-1])}
    for shown in (used, {"weight": kernel}):
        (found,) = explaining(site_of("conv2d", "conv1", used, shown=shown, expected={"weight": kernel}))
        assert found.code == "I1"


def test_grouped_kernels_are_turned_too() -> None:
    """A convolution in groups is looked at through its own windows: here flipped in its code."""
    kernel = RNG.normal(0, 1, (8, 2, 3, 3)).astype(np.float32)
    site = site_of(
        "conv2d", "conv", {"weight": contiguous(kernel[:, :, ::-1, ::-1])}, shown={"weight": kernel},
        expected={"weight": kernel}, groups=4,
    )  # fmt: skip
    assert [one.code for one in explaining(site)] == ["B3"]


@pytest.mark.parametrize("shown", [True, False], ids=["shown", "not shown"])
def test_a_bias_that_the_reference_has_not(shown: bool) -> None:
    """A bias before a batch norm is B8; where it is held, it is undone by a bias of zero."""
    used = {"weight": KERNEL, "bias": RNG.normal(0, 1, 8).astype(np.float32)}
    (found,) = explaining(site_of("conv2d", "conv", used, shown=used if shown else {"weight": KERNEL}))
    assert found.code == "B8"
    assert {role: array.any() for role, array in found.parameters.items()} == ({"bias": False} if shown else {})


def test_a_bias_and_a_wrong_kernel_are_two_causes() -> None:
    """Of a kernel that was not loaded and a bias too many each is named, though neither explains it alone."""
    used = {"weight": fresh(KERNEL.shape), "bias": np.ones(8, np.float32)}
    site = site_of("conv2d", "conv", used)
    assert [(one.code, one.rank) for one in hypotheses(site)] == [("G1", 0), ("B8", 0)]
    assert explaining(site) == []


@pytest.mark.parametrize(
    ("used", "code", "title"),
    [
        ({"weight": MATRIX.T, "bias": CLASSES}, "F1", "not transposed"),
        ({"weight": MATRIX[[1, 0, *range(2, 24)]], "bias": CLASSES}, "I8", "classes are in another order"),
        ({"weight": fresh((24, 24)), "bias": np.zeros(24, np.float32)}, "G2", "names were not found"),
        ({"weight": MATRIX, "bias": np.zeros(24, np.float32)}, "G2", "initial values"),
    ],
    ids=["transposed", "class order", "not loaded", "bias not loaded"],
)
def test_a_matrix_that_is_held_is_named_by_what_it_is(used: dict[str, Array], code: str, title: str) -> None:
    """A linear layer's parameters are named, and all of them that are wrong are given to it at once."""
    found = explaining(site_of("linear", "fc", used))
    assert found[0].code == code
    assert title in found[0].title
    wrong = {role for role, array in used.items() if not np.array_equal(array, WEIGHTS["fc"][role])}
    assert set(found[0].parameters) == wrong


@pytest.mark.parametrize("layer", ["layer2.0.downsample.0", "layer1.0.conv1"])
def test_not_loaded_on_a_shortcut_may_be_a_renamed_key(layer: str) -> None:
    """What is often called otherwise elsewhere may be at its initial values for that: both causes are given."""
    found = explaining(site_of("conv2d", layer, {"weight": fresh(KERNEL.shape)}))
    assert [one.code for one in found] == (["G2", "G1"] if "downsample" in layer else ["G1"])


INITIAL = {
    "weight": np.ones(8, np.float32), "bias": np.zeros(8, np.float32),
    "running_mean": np.zeros(8, np.float32), "running_var": np.ones(8, np.float32),
}  # fmt: skip


def but(**changed: Array) -> dict[str, Array]:
    """The expected batch norm with some parameters changed."""
    return {**NORM, **changed}


HELD_NORMS: dict[str, tuple[dict[str, Array], str, str]] = {
    "nothing loaded": (INITIAL, "G1", "nothing was loaded"),
    "buffers not loaded": (
        but(running_mean=INITIAL["running_mean"], running_var=INITIAL["running_var"]), "G4", "initial values, 0 and 1"),
    "variance not loaded": (but(running_var=INITIAL["running_var"]), "G4", "running_var is at its initial value, 1"),
    "zero gamma": (but(weight=np.zeros(8, np.float32)), "G5", "weight is all 0"),
    "affine not loaded": (but(weight=INITIAL["weight"], bias=INITIAL["bias"]), "C9", "weight and bias"),
    "another layer's": (OTHER_NORM, "G3", "the parameters are another layer's"),
    "mean and var swapped, made positive": (
        but(running_mean=NORM["running_var"], running_var=np.abs(NORM["running_mean"])), "C4", "are swapped"),
    "weight and bias swapped": (but(weight=NORM["bias"], bias=NORM["weight"]), "C4", "weight and bias are swapped"),
    "three in a ring": (
        but(weight=NORM["bias"], bias=NORM["running_mean"], running_mean=NORM["weight"]), "C4", "is used as weight"),
    "Caffe's factor": (
        but(running_mean=NORM["running_mean"] * np.float32(998.7), running_var=NORM["running_var"] * np.float32(998.7)),
        "C8", "are 998.7 times"),
    "variance scaled": (but(running_var=NORM["running_var"] * np.float32(255)), "C8", "running_var is 255 times"),
    "mean scaled": (but(running_mean=NORM["running_mean"] * np.float32(0.1)), "C8", "running_mean is 0.1 times"),
    "unbiased": (
        but(running_var=NORM["running_var"] * np.float32(126 / 125)), "C3", "unbiased variance of 126 elements"),
    "standard deviation": (but(running_var=np.sqrt(NORM["running_var"])), "C8", "standard deviation"),
    "half": (
        {role: array.astype(np.float16).astype(np.float32) for role, array in NORM.items()}, "H2", "to float16"),
    "moved": (
        but(running_mean=NORM["running_mean"] * np.float32(0.9) + RNG.normal(0, 0.02, 8).astype(np.float32),
            running_var=NORM["running_var"] * np.float32(0.9) + RNG.uniform(0, 0.1, 8).astype(np.float32)),
        "K2", "running_mean and running_var have moved"),
    "channels in another order": (
        {role: array[[1, 0, 2, 3, 7, 6, 5, 4]] for role, array in NORM.items()}, "G10", "channels"),
    "another checkpoint": (norm_parameters(9), "G6", "another checkpoint"),
}  # fmt: skip


@pytest.mark.parametrize("name", HELD_NORMS, ids=str)
def test_parameters_of_a_batch_norm_are_named_by_what_they_are(name: str) -> None:
    """A batch norm that holds wrong parameters is explained by one cause, which gives it the right ones."""
    used, code, title = HELD_NORMS[name]
    (found,) = explaining(site_of("batch_norm", "bn", used))
    assert (found.code, found.rank) == (code, 0)
    assert title in found.title
    for role, array in NORM.items():
        assert (role in found.parameters) == (not np.array_equal(array, used[role]))
        assert role not in found.parameters or np.array_equal(found.parameters[role], array)


def test_mean_and_variance_swapped_are_named_even_where_that_gives_nan() -> None:
    """A negative variance is no obstacle: NaN where NaN must be is what the cause predicts."""
    used = but(running_mean=NORM["running_var"], running_var=NORM["running_mean"])
    (found,) = explaining(site_of("batch_norm", "bn", used))
    assert (found.code, found.title) == ("C4", "running_mean and running_var are swapped")


def test_one_pass_in_training_mode_is_recognised_with_its_momentum() -> None:
    """Statistics after one pass on the very input that is looked at tell the momentum."""
    right = site_of("batch_norm", "bn", NORM)
    x = right.real.inputs[0]
    mean = 0.9 * NORM["running_mean"] + 0.1 * x.mean((0, 2, 3))
    var = 0.9 * NORM["running_var"] + 0.1 * x.var((0, 2, 3), ddof=1)
    used = but(running_mean=mean.astype(np.float32), running_var=var.astype(np.float32))
    (found,) = explaining(site_of("batch_norm", "bn", used))
    assert found.code == "K2"
    assert "they are those after one pass on this very input with momentum 0.1" in found.evidence


@pytest.mark.parametrize(
    ("used", "title"),
    [
        (OTHER_NORM, "the parameters are another layer's"),
        (but(running_mean=OTHER_NORM["running_mean"], running_var=OTHER_NORM["running_var"]), "the statistics"),
        (but(weight=OTHER_NORM["weight"], bias=OTHER_NORM["bias"]), "the weight and bias"),
    ],
    ids=["all", "statistics", "affine"],
)
def test_another_layers_batch_norm_is_found_where_none_is_shown(used: dict[str, Array], title: str) -> None:
    """Whose parameters a batch norm computes with is found though it shows none."""
    (found,) = explaining(site_of("batch_norm", "bn", used, shown={}))
    assert (found.code, found.evidence) == ("G3", ("those of layer3.0.bn2",))
    assert title in found.title


@pytest.mark.parametrize(
    ("kind", "layer"), [("conv2d", "conv"), ("batch_norm", "bn"), ("linear", "fc")], ids=["conv", "bn", "fc"]
)
def test_right_parameters_have_no_cause(kind: str, layer: str) -> None:
    """Nothing explains what is right, shown or not."""
    assert explaining(site_of(kind, layer, WEIGHTS[layer])) == []
    assert explaining(site_of(kind, layer, WEIGHTS[layer], shown={})) == []


def test_a_kernel_in_another_layout_is_no_cause() -> None:
    """A candidate that keeps its kernels as HWIO, and knows it, holds nothing wrong."""
    kernel = RNG.normal(0, 1, (6, 4, 3, 3)).astype(np.float32)
    site = site_of(
        "conv2d",
        "conv",
        {"weight": kernel},
        shown={"weight": kernel.transpose(2, 3, 1, 0)},
        expected={"weight": kernel},
    )
    assert explaining(site) == []


@pytest.mark.parametrize(
    "draw",
    [
        lambda w: nn.init.kaiming_uniform_(w, a=5**0.5),
        lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"),
        lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
        nn.init.xavier_uniform_,
        lambda w: nn.init.normal_(w, std=0.01),
        nn.init.zeros_,
        nn.init.ones_,
    ],
    ids=["torch's default", "He by fan-out", "He by fan-in", "Glorot", "normal", "zeros", "ones"],
)
def test_initial_values_are_recognised(draw: Callable[[Tensor], Any]) -> None:
    """What torch.nn.init draws is recognised, for each of 20 seeds; a quarter smaller it is not."""
    for seed in range(20):
        torch.manual_seed(seed)
        weight = torch.empty(64, 32, 3, 3)
        draw(weight)
        assert initial_values(weight.numpy()) is not None
        assert initial_values(0.73 * weight.numpy()) is None or not weight.any()


def test_a_fingerprint_knows_values_and_not_their_order() -> None:
    """Any order, layout and precision of the same values has one fingerprint; one bit more or less has another."""
    one = fingerprint(KERNEL)
    assert (
        one == fingerprint(KERNEL.transpose(2, 3, 1, 0)) == fingerprint(np.sort(KERNEL, axis=None).astype(np.float64))
    )
    changed = KERNEL.copy()
    changed.flat[5] = np.nextafter(changed.flat[5], np.float32(1))
    assert fingerprint(changed) != one
    balanced = KERNEL.copy().view(np.uint32)
    balanced.flat[5] += 1
    balanced.flat[6] -= 1
    assert fingerprint(balanced.view(np.float32)) != one


def test_equal_tensors_have_no_relation() -> None:
    """What is equal to the bit has no relation, and a constant is nobody's."""
    pool = Pool({**WEIGHTS, "more": {"bias": np.zeros(8, np.float32)}})
    assert relation(KERNEL, KERNEL.copy(), pool) is None
    zeros = relation(NORM["bias"], np.zeros(8, np.float32), pool)
    assert zeros is not None
    assert zeros.kind == "initial"


FOLDED: dict[str, tuple[Callable[[Array, Array], Array | None], str]] = {
    "right": (lambda s, c: NORM["bias"] + (c - NORM["running_mean"]) * s, "is folded into it"),
    "bias dropped": (lambda s, c: c, "dropped"),
    "own bias not scaled": (lambda s, c: NORM["bias"] + c - NORM["running_mean"] * s, "not scaled"),
    "no mean": (lambda s, c: NORM["bias"] + c * s, "without running_mean"),
    "no bias of the batch norm": (lambda s, c: (c - NORM["running_mean"]) * s, "without the batch norm's bias"),
    "mean added": (lambda s, c: NORM["bias"] + (c + NORM["running_mean"]) * s, "running_mean added"),
    "another": (lambda s, c: c + 3, "with another bias"),
}


@pytest.mark.parametrize("eps", [1e-5, 1e-3], ids=["eps 1e-5", "eps 1e-3"])
@pytest.mark.parametrize("name", FOLDED, ids=str)
def test_a_batch_norm_that_was_folded_in_is_found_with_what_was_forgotten(name: str, eps: float) -> None:
    """Which batch norm was folded into a kernel is found by its slope, and what became of the bias by its values."""
    made, title = FOLDED[name]
    bias = RNG.uniform(-1, 1, 8).astype(np.float32)
    slope = NORM["weight"] / np.sqrt(NORM["running_var"] + np.float32(eps))
    expected = {"weight": KERNEL, "bias": bias}
    used = {"weight": KERNEL * slope[:, None, None, None], "bias": np.asarray(made(slope, bias), np.float32)}
    site = site_of("conv2d", "conv", used, expected=expected)
    found = explaining(site)[0]
    assert (found.code, found.rank) == ("C10", 0)
    assert found.title.endswith(title) or title in found.title
    assert found.evidence[0].endswith("of bn")
    assert all(np.array_equal(found.parameters[role], expected[role]) for role in expected)


def test_a_kernel_scaled_by_no_batch_norm_is_not_folded() -> None:
    """Factors that are no batch norm's slope, though near one's, are a change of the kernel and no folding."""
    slope = NORM["weight"] / np.sqrt(NORM["running_var"] + np.float32(2e-5))
    site = site_of("conv2d", "conv", {"weight": KERNEL * slope[:, None, None, None]})
    assert [one.code for one in explaining(site)] == ["G9"]


def test_nearly_a_multiple_is_none() -> None:
    """A factor that all values but many have, by a little more than rounding, is no factor."""
    kernel = KERNEL * np.float32(2)
    kernel[::2] *= np.float32(1 + 4e-6)
    one = relation(KERNEL, kernel, Pool(WEIGHTS))
    assert one is not None
    assert one.kind != "scaled"


def test_a_batch_norm_that_holds_its_parameters_in_four_dimensions_gets_them_so() -> None:
    """Parameters of the shape (1, c, 1, 1) are compared by value, and given back in that shape."""
    site = site_of("batch_norm", "bn", but(running_var=INITIAL["running_var"]))
    shown = {role: array.reshape(1, -1, 1, 1) for role, array in site.others[0].parameters.items()}
    (found,) = explaining(replace(site, others=(replace(site.others[0], parameters=shown),)))
    assert found.code == "G4"
    assert {role: array.shape for role, array in found.parameters.items()} == {"running_var": (1, 8, 1, 1)}
