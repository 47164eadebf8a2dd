"""What a candidate's builder gives, and what is done with it before it is judged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

EXPECTED = "expected an nn.Module or a NumPy network with named_layers()"

NOT_NETWORKS = {
    "None": ("nothing", "did you forget `return model`?"),
    "nn.Sequential": ("the class Sequential", "return an instance: Sequential(...)"),
    "nn.Linear(2, 2).state_dict()": ("a state dict", "return the network; its weights go into --weights"),
    "{}": ("a dict", None),
    "{'a': 1}": ("a dict", None),
    "(nn.Linear(2, 2), 5)": ("a tuple of Linear, int", "return only the network"),
    "[nn.ReLU(), nn.ReLU()]": ("a list of ReLU, ReLU", None),
    "()": ("a tuple of nothing", None),
    "torch.zeros(2, 3)": ("a Tensor of shape (2, 3)", "return the network itself, not what it gives for an input"),
    "torch.zeros(4).numpy()": ("a ndarray of shape (4,)", "return the network itself, not what it gives for an input"),
    "len": ("a builtin_function_or_method that can be called", "make it the forward of an nn.Module"),
    "'resnet50'": ("a str", None),
    "(i for i in ())": ("a generator", None),
}


@pytest.mark.parametrize("given", NOT_NETWORKS, ids=list(NOT_NETWORKS))
def test_what_is_no_network(write, refusal, given):
    """Anything but an instance of a network is refused, said what it is, with advice where it is a common slip."""
    write(f"def build():\n    return {given}\n")
    got, advice = NOT_NETWORKS[given]

    assert refusal("net.py:build") == [
        f"net.py:build: gives no network, got {got}, {EXPECTED}",
        *([f"help: {advice}"] if advice else []),
    ]


def test_a_coroutine_is_no_network(write, refusal):
    """An async builder gives none either, and Python does not complain that nobody waited for it."""
    write("async def build():\n    return nn.ReLU()\n")

    assert refusal("net.py:build")[0] == f"net.py:build: gives no network, got a coroutine, {EXPECTED}"


def test_wrappers_are_taken_off(write, load):
    """What `DataParallel` and `torch.compile` wrap is taken out of them, and a note says so."""
    write(
        """
        def build():
            return nn.DataParallel(torch.compile(nn.DataParallel(nn.Sequential(nn.ReLU())), backend="eager"))
        def inside():
            net = nn.Sequential(nn.ReLU(), nn.ReLU())
            net[0].compile(backend="eager")
            net.compile(backend="eager")
            return net
        """
    )

    wrapped, inside = load("net.py:build"), load("net.py:inside")

    assert type(wrapped.network) is nn.Sequential
    assert wrapped.notes == (
        "net.py:build: took the network out of its DataParallel",
        "net.py:build: took the network out of torch.compile",
    )
    assert inside.notes == ("net.py:inside: undid .compile() of 2 of its modules",)
    assert all(module._compiled_call_impl is None for module in inside.network.modules())


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning", "ignore:.*torch.jit.*:DeprecationWarning")
def test_scripts_are_refused(write, refusal):
    """A TorchScript module cannot be watched, wherever in the network it is: all of them are named."""
    write(
        """
        def whole():
            return torch.jit.script(nn.Linear(2, 2))
        def traced():
            return torch.jit.trace(nn.Linear(2, 2).eval(), torch.zeros(1, 2))
        def parts():
            return nn.Sequential(torch.jit.script(nn.ReLU()), nn.ReLU(), torch.jit.script(nn.ReLU()))
        """
    )
    got = {
        "whole": "the network (RecursiveScriptModule)",
        "traced": "the network (TopLevelTracedModule)",
        "parts": "0 (RecursiveScriptModule), 2 (RecursiveScriptModule)",
    }

    for name, scripts in got.items():
        assert refusal(f"net.py:{name}") == [
            f"net.py:{name}: compiled to TorchScript, got {scripts}, expected modules in Python",
            "note: what a script computes cannot be watched operation by operation",
            "help: return the network from before torch.jit.script or torch.jit.trace",
        ]


def test_a_graph_module_is_a_network(write, net, load):
    """A traced `fx.GraphModule` is Python, and is taken."""
    write(net.read_text() + "def build():\n    return torch.fx.symbolic_trace(Net())\n", head="")

    loaded = load("net.py:build")

    assert isinstance(loaded.network, torch.fx.GraphModule)
    assert loaded.notes == ()


def test_lazy_modules_are_refused(write, refusal, load):
    """Modules that wait for their first input are named; after one run they are taken."""
    write(
        """
        def build(run=False):
            net = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d())
            if run:
                net(torch.zeros(1, 3, 8, 8))
            return net
        """
    )

    assert refusal("net.py:build") == [
        "net.py:build: lazy modules have no shapes yet, got 0.weight, 0.bias, 1.weight, 1.bias, 1.running_mean, "
        "1.running_var, expected parameters",
        "help: run it once before returning it: model(torch.zeros(1, 3, 224, 224))",
    ]
    assert load("net.py:build(run=True)").network[0].in_channels == 3


def test_parameters_without_values_are_refused(write, refusal):
    """A network on the meta device has shapes and no values; long lists are cut, with their count."""
    write(
        """
        def build():
            with torch.device("meta"):
                return nn.Sequential(*(nn.Conv2d(3, 3, 3) for _ in range(5)))
        """
    )

    assert refusal("net.py:build") == [
        "net.py:build: parameters on the meta device have no values, got 0.weight, 0.bias, 1.weight, 1.bias, "
        "2.weight, 2.bias and 4 more, expected them on the CPU",
        "help: build it without torch.device('meta'), or give it memory with .to_empty(device='cpu') and weights",
    ]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a second device")
def test_other_devices_are_left(write, load):
    """A network on a GPU is moved to the CPU, and a note says so."""
    write("net = nn.Sequential(nn.Linear(2, 2).cuda(), nn.Linear(2, 2))\n")

    loaded = load("net.py:net")

    assert {parameter.device.type for parameter in loaded.network.parameters()} == {"cpu"}
    assert loaded.notes == ("net.py:net: moved 2 cuda:0 tensors to the CPU",)


@pytest.mark.parametrize(
    ("dtype", "how"),
    [
        ("float16", "which is exact"),
        ("bfloat16", "which is exact"),
        ("float64", "which may round them; was it built with another default dtype?"),
    ],
)
def test_other_precisions_are_cast(write, load, dtype, how):
    """Parameters and buffers in another precision are cast to float32; a note says how many, and what that does."""
    write(f"net = nn.Sequential(nn.Linear(2, 2).to(torch.{dtype}), nn.BatchNorm2d(2), nn.Linear(2, 2, bias=False))\n")

    loaded = load("net.py:net")

    dtypes = {tensor.dtype for tensor in loaded.network.state_dict().values()}
    assert dtypes == {torch.float32, torch.int64}
    assert loaded.notes == (f"net.py:net: cast 2 {dtype} tensors to float32, {how}",)


def test_a_halved_network_keeps_its_values(write, load):
    """Casting float16 up changes no value."""
    write("net = nn.Sequential(nn.Linear(3, 5).half())\nnet.seen = net[0].weight.detach().clone()\n")

    network = load("net.py:net").network

    assert torch.equal(network[0].weight.half(), network.seen)
    assert torch.equal(network[0].weight, network.seen.float())


def test_a_train_that_is_no_switch(write, load):
    """A network whose `train` trains is still put into eval mode, and a note says how."""
    write(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.drop = nn.Dropout()
            def train(self, images, labels):
                raise RuntimeError
        """
    )

    loaded = load()

    assert not any(module.training for module in loaded.network.modules())
    assert loaded.notes[1] == (
        "net.py:Net: its train() is not torch's, got TypeError; each module's training was set to False instead"
    )


def test_modules_that_stay_in_training_mode_are_told(write, load):
    """A network that refuses to leave training mode is taken as it is, and a note names the modules."""
    write(
        """
        class Always(nn.Dropout):
            def train(self, mode=True):
                return super().train(True)
        net = nn.Sequential(Always(), nn.ReLU())
        """
    )

    loaded = load("net.py:net")

    assert [module.training for module in loaded.network] == [True, False]
    assert loaded.notes == ("net.py:net: stays in training mode after eval(): 0",)


def test_a_module_that_is_not_set_up(write, refusal):
    """A module that never called `super().__init__()` is no module yet."""
    write("class Net(nn.Module):\n    def __init__(self):\n        self.depth = 50\n")

    assert refusal("net.py:Net") == [
        "net.py:Net: not set up, got a Net without torch's own state, expected a module",
        "help: begin its __init__ with super().__init__()",
    ]


def test_a_network_that_cannot_be_made_ready(write, refusal):
    """A network whose own methods raise when it is looked at: what they raised, and where."""
    write(
        """
        class Net(nn.Module):
            def named_parameters(self, *args, **kwargs):
                raise RuntimeError("not mine")
        """
    )

    assert refusal("net.py:Net") == [
        "net.py:Net: cannot be made ready, got RuntimeError: not mine, "
        "expected it to go into eval mode, to the CPU and to float32",
        'note: raised at net.py:6: raise RuntimeError("not mine")',
    ]


def test_a_numpy_network_is_taken(write, load):
    """A network of the NumPy half is a network; in float64 it is cast, and a note says so."""
    write(
        """
        import numpy
        from layerdiff.handwritten import numpy_resnet
        def build():
            return numpy_resnet.build("resnet18")
        def double():
            return build().astype(numpy.float64)
        """
    )

    single, double = load("net.py:build"), load("net.py:double")

    assert single.notes == ()
    assert {array.dtype for array in double.network.state_dict().values()} == {np.dtype(np.float32)}
    assert double.notes == ("net.py:double: cast 102 float64 tensors to float32",)
    assert double.network(np.zeros((1, 3, 33, 33), np.float32)).shape == (1, 1000)


def test_a_numpy_network_of_another_kind(write, refusal):
    """A network with `named_layers` whose layers lack the rest of the interface: what they lack is named."""
    write(
        """
        class Layer:
            arrays = {}
            def children(self): return ()
        class Net(Layer):
            def named_layers(self): return [("", self), ("conv1", Layer())]
        """
    )

    assert refusal("net.py:Net") == [
        "net.py:Net: a NumPy network whose layers cannot be judged, got no the network.astype, "
        "the network.register_forward_hook, conv1.astype, conv1.register_forward_hook, "
        "expected each layer to have children, arrays, astype, register_forward_hook"
    ]


def test_what_claims_to_have_everything_is_no_network(write, refusal):
    """A mock answers to every name, and is still no network."""
    write("from unittest.mock import MagicMock\ndef build():\n    return MagicMock()\n")

    assert refusal("net.py:build")[0].startswith("net.py:build: gives no network, got a MagicMock that can be called")
