"""The way back: right networks are same in both directions, and a wrong backward is named at its layer."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, ResNet

import layerdiff
from layerdiff.compare.capture import capture
from layerdiff.compare.check import compare_networks
from layerdiff.compare.foreign import judge_foreign
from layerdiff.compare.gradients.chain import NoGradientError, chained, swept
from layerdiff.compare.modes import Backward, in_mode
from layerdiff.compare.render.concise import render_concise
from layerdiff.compare.render.terminal import render_terminal
from layerdiff.compare.result import Run
from layerdiff.compare.saved import read_run, run_to_json
from layerdiff.compare.trace import INPUT
from layerdiff.compare.verdict import settle
from layerdiff.handwritten import numpy_resnet, torch_resnet

CANDIDATES = Path(__file__).parents[2] / "candidates"
X = np.random.default_rng(5).standard_normal((2, 3, 33, 33)).astype(np.float32)


def twin(network, build):
    """One of the handwritten ResNet-18s with the weights of a torch network."""
    found = build("resnet18")
    state = network.state_dict()
    found.load_state_dict(state if isinstance(found, nn.Module) else {k: v.numpy() for k, v in state.items()})
    return found.eval()


@pytest.fixture
def small():
    """Makes equal residual networks of four blocks, each its own to break."""
    torch.manual_seed(0)
    network = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10).eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.weight.data.uniform_(0.2, 0.6)
            part.running_var.uniform_(0.5, 1.5)
            part.running_mean.normal_(0, 0.1)
    return lambda: copy.deepcopy(network)


def statuses(report, *wanted):
    """The layers whose way back has one of these statuses."""
    return [layer.layer for layer in report.gradients.layers if layer.status in wanted]


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("build", [numpy_resnet.build, torch_resnet.build], ids=["numpy", "torch"])
def test_the_twins_have_the_same_gradients(make_resnet, build, mode):
    """Every gradient of every layer is compared in both precisions and on both probes, and is same; and end to end."""
    network = make_resnet()

    report = compare_networks(network, twin(network, build), X, backward=mode)

    assert report.verdict == report.gradients.verdict == "same", statuses(report, "fault", "unjudged")
    assert len(report.gradients.layers) == len(report.layers) == 69
    named = {one.of for layer in report.gradients.layers for one in layer.gradients}
    assert {name for name, _ in network.named_parameters()} <= named
    for layer in report.gradients.layers:
        found = {(one.measure.probe, one.measure.dtype) for one in layer.gradients}
        assert found == {
            *((probe, dtype) for probe in ("activations", "dense") for dtype in ("float32", "float64")),
            ("propagated", "float64"),
        }, layer.layer


def test_both_networks_are_afterwards_as_they_were(make_resnet):
    """Neither modes, nor running estimates, nor counters, nor gradients are touched by a look at the way back."""
    network, own = make_resnet(), twin(make_resnet(), numpy_resnet.build)
    before, held = copy.deepcopy(network.state_dict()), {k: v.copy() for k, v in own.state_dict().items()}

    compare_networks(network, own, X, backward="train")

    assert not network.training
    assert not own.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(np.array_equal(value, held[name]) for name, value in own.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert own.bn1.num_batches_tracked == 0


class PassesAll(torch.autograd.Function):
    """A ReLU whose gradient forgets where the ReLU was."""

    @staticmethod
    def forward(ctx, x):
        """As a ReLU."""
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad):
        """As if there were none."""
        return grad


class LacksATerm(torch.autograd.Function):
    """Batch norm in training whose backward takes the variance for a constant: bugs.md, J4."""

    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        """By the batch's statistics."""
        mean = x.mean((0, 2, 3), keepdim=True)
        scale = 1 / torch.sqrt(x.var((0, 2, 3), unbiased=False, keepdim=True) + eps)
        x_hat = (x - mean) * scale
        ctx.save_for_backward(x_hat, weight, scale)
        return x_hat * weight[:, None, None] + bias[:, None, None]

    @staticmethod
    def backward(ctx, grad):
        """Without the term through the variance."""
        x_hat, weight, scale = ctx.saved_tensors
        dx = (grad - grad.mean((0, 2, 3), keepdim=True)) * weight[:, None, None] * scale
        return dx, (grad * x_hat).sum((0, 2, 3)), grad.sum((0, 2, 3)), None


class Rectifier(nn.Module):
    """Somebody's own layer around his own function."""

    def forward(self, x):
        """As a ReLU."""
        return PassesAll.apply(x)


class Norm(nn.BatchNorm2d):
    """Somebody's own batch norm, in training."""

    def forward(self, x):
        """As a batch norm."""
        return LacksATerm.apply(x, self.weight, self.bias, self.eps) if self.training else super().forward(x)


def like(norm, cls):
    """A batch norm of another class with the tensors of `norm`."""
    one = cls(norm.num_features)
    one.load_state_dict(norm.state_dict())
    return one.eval()


def test_a_wrong_backward_is_at_fault_and_what_lies_before_it_inherits(small):
    """Forwards nothing is wrong; backwards exactly the layer is, everything before it inherits, nothing behind it."""
    network, bad = small(), small()
    bad.layer3[0].bn2 = like(bad.layer3[0].bn2, Norm)

    report = compare_networks(network, bad, X, backward="train")

    assert {layer.status for layer in report.layers} == {"same"}
    assert statuses(report, "fault") == ["layer3.0.bn2"]
    order = [layer.layer for layer in report.gradients.layers]
    place = order.index("layer3.0.bn2")
    behind = [name for name in order[place + 1 :] if name in statuses(report, "inherited")]
    assert behind == []
    assert set(order[:place]) == set(statuses(report, "inherited"))
    assert report.verdict == "different"
    (fault,) = (layer for layer in report.gradients.layers if layer.status == "fault")
    wrong = {one.of for one in fault.gradients if one.measure.ratio is None or one.measure.ratio > 1}
    assert wrong == {"input layer3.0.conv2"}


def test_in_eval_mode_another_function_runs(small):
    """What is wrong in training alone is not seen in eval mode, and the record says which mode it was."""
    network, bad = small(), small()
    bad.layer3[0].bn2 = like(bad.layer3[0].bn2, Norm)

    report = compare_networks(network, bad, X, backward="eval")

    assert (report.gradients.mode, report.gradients.verdict) == ("eval", "same")


def test_a_function_in_a_module_and_one_between_modules_are_both_seen(small):
    """A backward of somebody's own counts where its layer is a module, and where a block calls it by itself."""

    class Inline(nn.Module):
        def __init__(self, block):
            super().__init__()
            self.conv1, self.bn1, self.conv2, self.bn2 = block.conv1, block.bn1, block.conv2, block.bn2

        def forward(self, x):
            out = PassesAll.apply(self.bn1(self.conv1(x)))
            return F.relu(self.bn2(self.conv2(out)) + x)

    network, bad = small(), small()
    bad.relu = Rectifier()
    bad.layer1[0] = Inline(bad.layer1[0])

    report = judge_foreign(
        capture(network, X), bad, X, weights=None, backward=Backward("eval", capture(network, X)), diagnose=False
    )

    assert statuses(report, "fault") == ["relu", "layer1.0.relu"]


def test_a_gradient_that_goes_nowhere_is_at_fault(small):
    """`detach` changes nothing forwards; backwards what lies before it gets nothing, and is not called same."""

    class Cut(nn.Module):
        def __init__(self, conv):
            super().__init__()
            self.conv = conv

        def forward(self, x):
            return self.conv(x.detach())

    network, bad = small(), small()
    bad.layer4[0].conv2 = Cut(bad.layer4[0].conv2)

    report = judge_foreign(
        capture(network, X), bad, X, weights=None, backward=Backward("eval", capture(network, X)), diagnose=False
    )

    assert statuses(report, "fault") == ["layer4.0.relu"]
    (fault,) = (layer for layer in report.gradients.layers if layer.status == "fault")
    assert fault.reason == "no gradient reaches input layer4.0.bn1"
    assert {"layer4.0.conv1", "layer3.0.relu_1", "conv1"} <= set(statuses(report, "inherited"))
    assert report.verdict == "different"


def test_one_function_for_several_layers_is_not_called_same(small):
    """A backward that goes through convolution and ReLU at once cannot be judged layer by layer, and says so."""

    class Both(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            ctx.save_for_backward(x, weight)
            return F.relu(F.conv2d(x, weight, stride=2, padding=3))

        @staticmethod
        def backward(ctx, grad):
            return None, None

    class Network(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.conv1 = network.conv1

        def forward(self, x):
            return Both.apply(x, self.conv1.weight)

    class Right(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.conv1, self.relu = network.conv1, nn.ReLU()

        def forward(self, x):
            return self.relu(self.conv1(x))

    network = small()
    report = compare_networks(Right(network), Network(network), X, backward="eval")

    assert report.gradients.verdict != "same"
    assert any("Both goes back through" in layer.reason for layer in report.gradients.layers)


def test_weights_that_lie_otherwise_are_compared_where_they_lie(small):
    """A linear layer that holds its matrix as (in, out) has the expected gradient turned round."""

    class Turned(nn.Module):
        def __init__(self, linear):
            super().__init__()
            self.kernel = nn.Parameter(linear.weight.data.T.clone())
            self.bias = nn.Parameter(linear.bias.data.clone())

        def forward(self, x):
            return x @ self.kernel + self.bias

    network, other = small(), small()
    other.fc = Turned(other.fc)
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}

    report = judge_foreign(
        capture(network, X), other, X, weights=weights, backward=Backward("eval", capture(network, X)), diagnose=False
    )

    (fc,) = (layer for layer in report.gradients.layers if layer.layer == "fc")
    assert fc.status == "same", fc.reason
    assert {one.of for one in fc.gradients} == {"input flatten", "fc.weight", "fc.bias", "output"}
    shapes = {one.of: len(one.measure.index) for one in fc.gradients}
    assert shapes["fc.weight"] == 2


def test_it_is_written_read_and_told(make_resnet, tmp_path):
    """The JSON has all of it, is read back as it was and settled again alike; the terminal and a line say the fault."""
    bad = make_resnet()
    bad.relu = Rectifier()
    report = compare_networks(make_resnet(), bad, X, backward="eval")
    run = Run({}, (report,))
    (tmp_path / "run.json").write_bytes(run_to_json(run))

    back = read_run(tmp_path / "run.json")

    assert back.reports[0].gradients == report.gradients
    assert settle(back.reports[0]).gradients == report.gradients
    assert settle(back.reports[0], scale=1e30).gradients.verdict == "different"
    text = render_terminal(run)
    assert text.splitlines()[-2].startswith("forward   same: 69 of 69 layers")
    assert text.splitlines()[-1].startswith("backward  different in eval mode: 1 layer at fault, 2 inherit, 66 same")
    assert "backward  relu: the gradient of input bn1 differs" in text
    assert re.search(r"input bn1 +activations float64 off by \d", text)
    assert all(len(line) <= 80 for line in text.splitlines() if not line.startswith("actual"))
    assert "relu: backward fault: the gradient of input bn1 differs" in render_concise(run)


@pytest.mark.parametrize("file", ["einsum_windows.py", "functional_parameterdict.py"])
def test_somebody_elses_network_has_the_same_gradients(file):
    """Convolutions by einsum and by functions: every gradient is same; a maximum that shares among zeros is noted."""
    run = layerdiff.run(str(CANDIDATES / file), size=(33, 33), batch=2, weights="synthetic", backward="eval")

    (report,) = run.reports
    assert report.gradients.verdict == "same", statuses(report, "fault", "unjudged")
    if file == "einsum_windows.py":
        (pool,) = (layer for layer in report.gradients.layers if layer.notes)
        assert pool.layer == "maxpool"
        assert pool.notes == ("its gradient differs only where relu stops it: who of equal values gets it, say",)


def test_a_batch_norm_that_knows_no_training_is_at_fault_in_training():
    """Functions that always use the running estimates give something else in training mode: it is said of each."""
    file = CANDIDATES / "functional_parameterdict.py"

    run = layerdiff.run(str(file), size=(33, 33), batch=2, weights="synthetic", backward="train", diagnose=False)

    (report,) = run.reports
    kinds = {layer.kind for layer in report.gradients.layers if layer.status == "fault"}
    assert kinds == {"batch_norm"}
    assert all(
        "in this mode it gives something else" in x.reason for x in report.gradients.layers if x.status == "fault"
    )


def test_operations_are_swept_like_torch_sweeps_them(small):
    """Going back through all operations of a ResNet gives every parameter the gradient that torch gives it."""
    network = small()
    with in_mode(network, "train"):
        trace = capture(network, X)
        values = {INPUT: X.astype(np.float64)}
        for op in trace.ops:
            values[op.layer] = op.run(*(values[layer] for layer in op.inputs))
        covector = np.random.default_rng(1).standard_normal(values["fc"].shape)
        _, found = swept(trace.ops, values, covector)
        network.double().requires_grad_(True)
        network(torch.from_numpy(values[INPUT])).backward(torch.from_numpy(covector))

    for name, parameter in network.named_parameters():
        want = parameter.grad.numpy()
        # The same operations of torch's in the same order: only sums over two ways may be added the other way round.
        assert np.abs(found[name] - want).max() <= 1e-10 * np.abs(want).max(), name


def test_what_cannot_be_differentiated_says_so(small):
    """An operation without a backward, one that raises and one of another shape are told apart in words."""
    trace = capture(small(), X)
    relu = next(op for op in trace.ops if op.layer == "relu")
    x = np.ones((1, 2))

    with pytest.raises(NoGradientError, match=r"^relu \(relu\) has no backward$"):
        chained([replace(relu, pull=None)], {"bn1": x}, x)
    with pytest.raises(NoGradientError, match=r"^gives float64\(1, 2\), expected float64\(2, 1\)$"):
        chained([relu], {"bn1": x}, x.T)
