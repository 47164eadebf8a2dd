"""What a candidate's file is asked for: names, calls, their arguments, and the choice where nothing was named."""

from __future__ import annotations

import pytest


def test_a_name_is_called(write, net, load):
    """A function or a class without parentheses is called without arguments."""
    write(net.read_text() + "def build():\n    return Net(width=2)\n", head="")

    assert load("net.py:build").network.conv.out_channels == 2
    assert load("net.py:Net").network.conv.out_channels == 4
    assert load("net.py:build()").name == "net.py:build()"


def test_a_network_is_taken(write, net, load):
    """A network that is there already is taken as it is, also from within something else."""
    write(net.read_text() + "model = Net(width=3)\nclass zoo:\n    small = model\n", head="")

    assert load("net.py:model").network.conv.out_channels == 3
    assert load("net.py:zoo.small").network.conv.out_channels == 3


def test_arguments_are_given(write, load):
    """Arguments are literals, names of the file, attributes and calls."""
    write(
        """
        SIZES = {"small": (2, 3)}
        class Block(nn.Sequential):
            pass
        def pair(a, b=-1):
            return [a, b]
        class Net(nn.Module):
            def __init__(self, *args, **kwargs):
                super().__init__()
                self.args, self.kwargs = args, kwargs
        """
    )

    network = load(
        "net.py:Net(Block, [3, -4.5, (None, True)], SIZES, {'k': nn.ReLU}, pair(1), n=pair(a=2, b='x'))"
    ).network

    block, items, sizes, mapping, pair = network.args
    assert block.__name__ == "Block"
    assert items == [3, -4.5, (None, True)]
    assert sizes == {"small": (2, 3)}
    assert mapping["k"].__name__ == "ReLU"
    assert (pair, network.kwargs) == ([1, -1], {"n": [2, "x"]})


def test_no_such_name(write, net, refusal):
    """A name that is not there: what is there, and the nearest of it."""
    write(net.read_text() + "def build(depth: int = 50) -> None:\n    pass\nnet = Net()\n_hidden = 1\n", head="")

    assert refusal("net.py:biuld") == [
        "net.py: no such name, got 'biuld', expected one that is there",
        "note: there is Net(width=4)",
        "note: there is build(depth=50)",
        "note: there is net",
        "help: did you mean build?",
    ]


def test_no_such_attribute(write, refusal):
    """A name that is not in what was named before it."""
    write("def build(*args):\n    pass\n")

    assert refusal("net.py:build(nn.Relu)") == [
        "net.py: no such name, got 'Relu', expected one that is there in nn",
        "help: did you mean ReLU?",
    ]


def test_a_text_without_quotes(write, refusal):
    """A name that is nothing like any in the file was perhaps meant as a text."""
    write("def build(depth):\n    pass\n")

    assert refusal("net.py:build(xyz)")[-1] == "help: a text is written in quotes: 'xyz'"


def test_a_long_file_is_listed_in_part(write, refusal):
    """The list of what is there ends after a dozen, and says how many more there are; long ones are cut."""
    write("".join(f"def f{i}(a={'x' * 200!r}):\n    pass\n" for i in range(15)))

    notes = refusal("net.py:zzz")[1:-1]
    assert len(notes) == 13
    assert notes[-1] == "note: and 3 more"
    assert max(len(note) for note in notes) < 150


def test_nothing_is_there(write, refusal):
    """A file that defines nothing says so."""
    write("")

    assert refusal("net.py:build")[1] == "note: no function, class or network is made there"


def test_lacking_arguments(write, refusal):
    """A class that needs arguments: its signature, and an example with parentheses."""
    write("class ResNet(nn.Module):\n    def __init__(self, block, layers: list, n=10, *, width):\n        pass\n")

    lines = [
        "net.py:ResNet: wrong arguments: missing a required argument: 'block'",
        "note: it takes (block, layers, n=10, *, width)",
        "help: give them in parentheses, such as 'net.py:ResNet(BLOCK, LAYERS, width=WIDTH)'; "
        "names are looked up in the file",
    ]
    assert refusal("net.py:ResNet") == lines
    assert refusal("net.py:ResNet()") == lines


def test_unknown_arguments(write, refusal):
    """An argument that it does not take: the nearest that it does take; also in an inner call."""
    write("def build(depth=50):\n    return depth\n")

    expected = [
        "net.py:build: wrong arguments: got an unexpected keyword argument 'depht'",
        "note: it takes (depth=50)",
        "help: did you mean depth?",
    ]
    assert refusal("net.py:build(depht=18)") == expected
    assert refusal("net.py:build(build(depht=18))") == expected


def test_arguments_that_no_signature_tells(write, refusal):
    """A class without a signature is called, and its own complaint is told."""
    write("import types\n")

    first, *_ = refusal("net.py:types.SimpleNamespace(1, 2)")
    assert first.startswith("net.py:types.SimpleNamespace: cannot be built, got TypeError: ")


def test_a_builder_raises(write, refusal):
    """A builder that raises: type, first line, and the line of theirs."""
    write("def inner():\n    raise KeyError('stem')\ndef build():\n    return inner()\n")

    assert refusal("net.py:build") == [
        "net.py:build: cannot be built, got KeyError: 'stem'",
        "note: raised at net.py:4: raise KeyError('stem')",
    ]


def test_a_type_error_from_within_is_no_matter_of_arguments(write, refusal):
    """A TypeError that a builder raises itself is told as its own."""
    write("def build():\n    return len(5)\n")

    assert (
        refusal("net.py:build")[0] == "net.py:build: cannot be built, got TypeError: object of type 'int' has no len()"
    )


def test_a_network_is_not_called(write, refusal):
    """Parentheses behind a network would run it."""
    write("net = nn.Sequential(nn.ReLU())\n")

    assert refusal("net.py:net()") == [
        "net.py:net: is a network already, got a call of it",
        "help: leave out the parentheses: net.py:net",
    ]


@pytest.mark.parametrize(("name", "kind"), [("nn", "module"), ("DEPTH", "int"), ("DEPTH()", "int")])
def test_what_is_neither_a_network_nor_makes_one(write, refusal, name, kind):
    """A number or a module is neither."""
    write("DEPTH = 50\n")

    assert refusal(f"net.py:{name}") == [
        f"net.py:{name.strip('()')}: is no network and cannot be called, got a {kind}, "
        "expected a network, a function or a class"
    ]


RESNETS = """
class Flatten(nn.Module):
    def forward(self, x):
        return x.flatten(1)

class Block(nn.Module):
    def __init__(self, a, b):
        super().__init__()

class ResNet(nn.Module):
    def __init__(self, block=Block, layers=(2, 2, 2, 2)):
        super().__init__()

act = nn.ReLU()

def resnet18(): return ResNet()
def resnet50(pretrained=False): return ResNet(Block, [3, 4, 6, 3])
def main(): raise RuntimeError("trains")
def test_net(): return ResNet()
def _helper(): return ResNet()
"""

CHOICES = {
    "the architecture": (RESNETS, "resnet50", "for its name"),
    "a builder": (RESNETS + "def build_model(): return resnet18()\n", "build_model", "for its name"),
    "another architecture": (RESNETS.replace("resnet50", "r50").replace("18", "50"), "resnet50", "for its name"),
    "an instance": (RESNETS.replace("resnet", "r") + "model = nn.Sequential(ResNet())\n", "model", "for its name"),
    "the whole": (
        RESNETS.split("def resnet18", maxsplit=1)[0] + "class Whole(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.body = ResNet()\n",
        "Whole",
        "which needs no arguments and is no part of another",
    ),
    "a subclass": (
        RESNETS.split("def resnet18", maxsplit=1)[0] + "class Small(ResNet):\n"
        "    def __init__(self):\n        super().__init__()\n",
        "Small",
        "which needs no arguments and is no part of another",
    ),
    "a partial": (
        "import functools\ndef make(a, b): return nn.Sequential(nn.ReLU())\nr18 = functools.partial(make, 1, 2)\n",
        "r18",
        "which needs no arguments and is no part of another",
    ),
    "two names": (
        "class First(nn.Module):\n    def __init__(self):\n        super().__init__()\nSecond = First\n",
        "First",
        "which needs no arguments and is no part of another",
    ),
    "a class with a busy name": (
        "class TrainerModel(nn.Module):\n    def __init__(self):\n        super().__init__()\n",
        "TrainerModel",
        "which needs no arguments and is no part of another",
    ),
    "not a procedure": (
        "def setup_things() -> None: pass\nasync def fetch(): pass\ndef each(): yield 1\n"
        "def network18(): return nn.Sequential(nn.ReLU())\n",
        "network18",
        "which needs no arguments and is no part of another",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHOICES)
def test_the_network_of_a_file_is_found(write, load, case):
    """Without a call the plausible network is taken, and a note says which and why."""
    source, name, why = CHOICES[case]
    write(source)

    loaded = load("net.py")

    assert loaded.name == f"net.py:{name}"
    assert loaded.notes == (f"net.py: took {name}{',' * why.startswith('which')} {why}",)


def test_the_architecture_decides(write, load):
    """The network called after the wanted architecture is taken, however it is spelt."""
    write(RESNETS.replace("resnet18", "get_ResNet_18"))

    assert load("net.py", architecture="resnet18").name == "net.py:get_ResNet_18"
    assert load("net.py", architecture="resnet50").name == "net.py:resnet50"


def test_a_class_gives_way_to_the_function_that_uses_it(write, load):
    """Of a class and a function of one name the function, which uses the class, is taken."""
    write(
        "class ResNet50(nn.Module):\n    def __init__(self, n=10):\n        super().__init__()\n"
        "def resnet50():\n    return ResNet50(1000)\n"
    )

    assert load("net.py").name == "net.py:resnet50"


def test_several_networks(write, refusal):
    """Several networks with equal right: all of them are named, and none is taken."""
    write(
        "class A(nn.Sequential):\n    pass\n"
        + RESNETS.replace("50", "34").replace("def main", "def r(): pass\ndef main")
    )

    assert refusal() == [
        "net.py: could be 4 networks, got A, resnet18, resnet34, r, expected one",
        "help: say which, such as net.py:A",
    ]


def test_networks_that_use_each_other(write, refusal):
    """Two that use each other are two: neither is the whole."""
    write("def a(deep=False): return b() if deep else None\ndef b(deep=False): return a() if deep else None\n")

    assert refusal()[0] == "net.py: could be 2 networks, got a, b, expected one"


def test_no_network(write, refusal):
    """Nothing that makes a network without arguments: what is there, and how to call it."""
    write(
        RESNETS.split("class ResNet", maxsplit=1)[0]
        + "class MyResNet(nn.Module):\n    def __init__(self, depth):\n        pass\n"
    )

    assert refusal() == [
        "net.py: nothing in it is a network or makes one without arguments, expected one thing that does",
        "note: there is Flatten(*args, **kwargs)",
        "note: there is Block(a, b)",
        "note: there is MyResNet(depth)",
        "help: say what to call, such as 'net.py:MyResNet(DEPTH)'",
    ]


def test_nothing_to_choose_from(write, refusal):
    """An empty file has no network."""
    write("")

    assert refusal()[1:] == [
        "note: no function, class or network is made there",
        "help: say what to call, such as 'net.py:ResNet(depth=50)'",
    ]
