"""Networks that are changed inside: in precision, in parts, in what does nothing; exactly the right layer is blamed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from layerdiff.compare.capture import capture
from layerdiff.compare.foreign import judge_foreign

X = np.random.default_rng(5).standard_normal((1, 3, 37, 45)).astype(np.float32)


class Net(nn.Module):
    """A small ResNet with one block; each of its parts can be written otherwise."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.conv2 = nn.Conv2d(8, 8, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 5)
        generator = torch.Generator().manual_seed(1)
        for tensor in self.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.5)
        for norm in (self.bn1, self.bn2):
            norm.running_var.abs_().add_(0.1)
        self.eval().requires_grad_(False)

    def stem(self, x):  # noqa: D102
        return self.conv1(x)

    def pooled(self, x):  # noqa: D102
        return self.maxpool(self.relu(x))

    def inner(self, x):  # noqa: D102
        return self.conv2(x)

    def normed(self, x):  # noqa: D102
        return self.bn2(x)

    def shortcut(self, x):  # noqa: D102
        return x

    def last(self, x):  # noqa: D102
        return self.relu(x)

    def head(self, x):  # noqa: D102
        return torch.flatten(self.avgpool(x), 1)

    def forward(self, x):  # noqa: D102
        x = self.pooled(self.bn1(self.stem(x)))
        return self.fc(self.head(self.last(self.normed(self.inner(x)) + self.shortcut(x))))


EXPECTED = capture(Net(), X)
WEIGHTS = {key: tensor.numpy() for key, tensor in Net().state_dict().items() if tensor.is_floating_point()}


def judged(network=None, **parts):
    """The report on a network with some parts written otherwise: functions of the network and the part's input."""
    network = network or Net()
    for name, function in parts.items():
        setattr(network, name, lambda x, function=function: function(network, x))
    return judge_foreign(EXPECTED, network, X, weights=WEIGHTS, diagnose=False)


def blamed(report):
    """The layers at fault, missing, and the operations too many."""
    wrong = [layer.layer for layer in report.layers if layer.status in {"fault", "missing", "unjudged"}]
    return wrong + [f"extra {extra.kind}" for extra in report.extra]


def written(report, layer):
    """The kinds of the operations that stand for a layer."""
    (found,) = [one for one in report.layers if one.layer == layer]
    return [name.rpartition("(")[2].rstrip(")") for name in found.written_as]


def reason(report, layer):
    """Why a layer is at fault."""
    (found,) = [one.reason for one in report.layers if one.layer == layer]
    return found


def in_precision(dtype, back):
    """A convolution in another precision."""

    def conv(network, x):
        y = functional.conv2d(x.to(dtype), network.conv2.weight.to(dtype), None, 1, 1)
        return y.float() if back else y.to(x.dtype)

    return conv


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("back", [True, False], ids=["float", "to"])
def test_a_layer_in_half_precision_is_blamed_alone(dtype, back):
    """A convolution computed in float16 or bfloat16 is at fault, casts included, and nothing beside it."""
    report = judged(inner=in_precision(dtype, back))

    assert report.verdict == "different"
    assert blamed(report) == ["conv2"]
    assert written(report, "conv2") == ["to", "conv2d", "float" if back else "to"]
    assert not report.output


@pytest.mark.parametrize("cast", ["half", "bfloat16", "double"])
def test_methods_that_cast_belong_to_the_layer_they_surround(cast):
    """`x.half()`, a layer and `.float()` behind it are one group; where it is exact, nothing differs."""

    def inner(network, x):
        given = getattr(x, cast)()
        return functional.conv2d(given, network.conv2.weight.to(given.dtype), None, 1, 1).float()

    report = judged(inner=inner)

    assert blamed(report) == ([] if cast == "double" else ["conv2"])
    assert written(report, "conv2") == [cast, "conv2d", "float"]


@pytest.mark.parametrize("cast", ["half", "bfloat16", "double"])
def test_the_first_layer_in_another_precision_is_blamed(cast):
    """Where the network goes on in another precision, the layer that begins it is at fault, and the rest inherit."""
    report = judged(pooled=lambda network, x: network.maxpool(network.relu(getattr(x, cast)())).float())

    assert report.verdict == "different"
    assert blamed(report) == ["relu"]
    if cast != "bfloat16":
        dtype = {"half": "float16", "double": "float64"}[cast]
        assert reason(report, "relu") == f"dtype: got {dtype} for inputs of float32, expected float32"
    assert next(layer.status for layer in report.layers if layer.layer == "maxpool") == "inherited"


def test_a_cast_that_several_take_belongs_to_what_gives_it():
    """A value that goes on in float64 on two ways makes the layer that gives it at fault, and no layer behind it."""
    report = judged(pooled=lambda network, x: network.maxpool(network.relu(x)).double(), inner=in_double)

    assert report.verdict == "different"
    assert blamed(report) == ["maxpool"]


def in_double(network, x):
    """A convolution in whatever precision it is given, and float32 again."""
    return functional.conv2d(x, network.conv2.weight.to(x.dtype), None, 1, 1).float()


class Autocast(Net):
    """Lets torch cast wherever it likes to."""

    def forward(self, x):  # noqa: D102
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(x).float()


def test_autocast_is_the_arithmetic_of_the_products_alone():
    """Where torch casts by itself, the layers that it casts are at fault in float32, by their arithmetic alone."""
    report = judged(Autocast())

    assert blamed(report) == ["conv1", "conv2", "fc"]
    assert reason(report, "conv2").endswith("float64 agrees: the arithmetic, not the logic")
    assert not report.output


def normed_by_function(network, x):
    """The batch norm as a function, its parameters in float32 whatever it is given."""
    norm = network.bn2
    return functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)


@pytest.mark.parametrize("norm", [lambda network, x: network.bn2(x), normed_by_function], ids=["module", "function"])
def test_parameters_in_another_precision_than_the_maps_stay_in_theirs(norm):
    """A batch norm in float32 of maps in float16 is run again as it ran: what the network returns comes out again."""
    report = judged(
        inner=lambda network, x: network.conv2(x).half(), normed=lambda network, x: norm(network, x).float() * 1.5
    )

    assert report.verdict == "different"
    assert not report.output


def test_an_identity_does_not_stand_for_a_missing_norm():
    """A batch norm that is not called is missing; an identity on the shortcut is not taken for it."""
    identity = nn.Identity()
    report = judged(normed=lambda network, x: x, shortcut=lambda network, x: identity(x))

    assert blamed(report) == ["bn2"]
    assert next(layer.status for layer in report.layers if layer.layer == "bn2") == "missing"


def test_an_active_dropout_behind_a_mean_is_an_operation_too_many():
    """`mean` is pooling and flatten, and a dropout at work behind it stands for neither."""
    report = judged(head=lambda network, x: functional.dropout(x.mean((2, 3)), 0.5, True))

    assert report.verdict == "different"
    assert blamed(report) == ["extra dropout"]


def averaged(network, x):
    """An average divided by numbers that were taken from the shape."""
    return x.sum(dim=(2, 3)) / (x.shape[2] * x.shape[3])


def test_numbers_from_a_wrong_shape_are_no_fault_of_the_layer_that_took_them():
    """Where a stride makes the maps too large, the average over its own height and width is right all the same."""
    report = judged(stem=lambda network, x: functional.conv2d(x, network.conv1.weight, None, 1, 1), head=averaged)

    assert report.verdict == "different"
    assert blamed(report) == ["conv1"]


def test_a_wrong_divisor_is_found_on_a_map_of_another_size():
    """Where the maps have another size and the divisor is wrong at that size too, both layers are at fault."""
    report = judged(
        stem=lambda network, x: functional.conv2d(x, network.conv1.weight, None, 1, 1),
        head=lambda network, x: x.sum(dim=(2, 3)) / (x.shape[2] * x.shape[3] + 1),
    )

    assert blamed(report) == ["conv1", "avgpool", "flatten"]


def maximum_by_hand(x):
    """A max-pool of windows, padded with zeros."""
    n, c, h, w = x.shape
    windows = functional.unfold(x, 3, padding=1, stride=2).reshape(n, c, 9, (h + 1) // 2, (w + 1) // 2)
    return windows.amax(dim=2)


def test_a_relu_behind_a_max_pool_of_windows_is_the_same():
    """A ReLU behind a max-pool written with unfold, reshape and amax is one group with it, and same."""
    report = judged(pooled=lambda network, x: network.relu(maximum_by_hand(x)))

    assert report.verdict == "same"
    assert written(report, "maxpool") == ["unfold", "reshape", "amax", "relu"]


def test_a_relu_that_is_forgotten_behind_a_max_pool_of_windows_is_missing():
    """A max-pool written by hand without a ReLU is not taken for both."""
    report = judged(pooled=lambda network, x: maximum_by_hand(x))

    assert report.verdict == "different"
    assert "relu" in blamed(report)


def conv(x, weight):
    """A convolution with padding 1."""
    return functional.conv2d(x, weight, None, 1, 1)


def halves(network, x):
    """The input's channels in two halves, added up."""
    w = network.conv2.weight
    return conv(x[:, :4], w[:, :4]) + conv(x[:, 4:], w[:, 4:])


def thirds(network, x):
    """The input's channels in three parts, added up one by one."""
    w = network.conv2.weight
    return conv(x[:, :3], w[:, :3]) + conv(x[:, 3:5], w[:, 3:5]) + conv(x[:, 5:], w[:, 5:])


def side_by_side(network, x):
    """The output's channels in two halves, put side by side."""
    return torch.cat([conv(x, network.conv2.weight[:2]), conv(x, network.conv2.weight[2:])], 1)


def summed(network, x):
    """The channels in four parts, given to `sum`, which begins with 0."""
    return sum(conv(part, w) for part, w in zip(x.split(2, 1), network.conv2.weight.split(2, 1), strict=True))


@pytest.mark.parametrize("inner", [halves, thirds, side_by_side, summed])
def test_a_convolution_in_parts_is_one_layer(inner):
    """A convolution computed in parts that are added up, or put side by side, is one group and same."""
    report = judged(inner=inner)

    assert report.verdict == "same"
    assert written(report, "conv2").count("conv2d") == {thirds: 3, summed: 4}.get(inner, 2)


def test_a_convolution_in_parts_with_one_part_twice_is_at_fault():
    """Where both parts take the same half, the whole group is at fault, and nothing beside it."""

    def inner(network, x):
        w = network.conv2.weight
        return conv(x[:, :4], w[:, :4]) + conv(x[:, :4], w[:, 4:])

    report = judged(inner=inner)

    assert blamed(report) == ["conv2"]


@pytest.mark.parametrize(
    ("part", "function", "layer"),
    [
        ("last", lambda network, x: torch.relu(torch.relu(x)), "relu_1"),
        ("last", lambda network, x: network.relu(x).clamp(min=0), "relu_1"),
        ("pooled", lambda network, x: network.relu(network.maxpool(network.relu(x))), "maxpool"),
        ("pooled", lambda network, x: network.maxpool(torch.relu(network.relu(x))), "relu"),
    ],
    ids=["relu", "clamp", "behind the max-pool", "before the max-pool"],
)
def test_a_second_relu_changes_nothing(part, function, layer):
    """A ReLU of what is never negative belongs to what it follows, and is the same on every input."""
    report = judged(**{part: function})

    assert report.verdict == "same"
    assert len(written(report, layer)) >= 2
    assert not any("never gives it" in note for one in report.layers for note in one.notes)


@pytest.mark.parametrize(
    ("function", "layers"),
    [
        (lambda network, x: network.relu(x).clamp(0, 0.5), ["extra clamp"]),
        (lambda network, x: network.relu(x).clamp(min=0.5), ["relu_1"]),
    ],
    ids=["bounded", "from above zero"],
)
def test_a_limit_that_changes_something_is_found(function, layers):
    """A second limit that cuts off more than a ReLU is never taken for one that does nothing."""
    report = judged(last=function)

    assert report.verdict == "different"
    assert blamed(report) == layers


class OwnLinear(nn.Module):
    """A linear layer of somebody's own, which refuses what does not fit before it computes anything."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(5, 8)), nn.Parameter(torch.zeros(5))

    def forward(self, x):  # noqa: D102
        if x.shape[-1] != 8:
            raise ValueError(f"8 features, not {x.shape[-1]}")
        return x @ self.weight.T + self.bias


class Linear(OwnLinear):
    """The same under a name that says what it is."""


def test_a_layer_that_refuses_its_input_is_where_it_crashed():
    """An own layer that raises before it computes anything is named, and the flatten that is missing before it too."""
    network = Net()
    network.fc = Linear()

    report = judged(network, head=lambda network, x: network.avgpool(x))

    assert report.verdict == "different"
    assert "raised ValueError in fc" in (report.crash or "")
    assert blamed(report)[:1] == ["flatten"]
    assert "the candidate has no such operation" in reason(report, "flatten")
