"""The language that names a network."""

from __future__ import annotations

import subprocess
import sys

import pytest

from layerdiff.candidate.spec import Spec, parse_spec
from layerdiff.errors import InputError

FORMS = {
    "torch": ("own", "torch", None),
    "numpy": ("own", "numpy", None),
    "torchvision:resnet50": ("torchvision", "resnet50", None),
    "net.py": ("file", "net.py", None),
    "net.py:build": ("file", "net.py", "build"),
    "a/b/net.py:ResNet(depth=50)": ("file", "a/b/net.py", "ResNet(depth=50)"),
    "net.py:ResNet(Bottleneck, [3, 4, 6, 3])": ("file", "net.py", "ResNet(Bottleneck, [3, 4, 6, 3])"),
    "net.py:models.ResNet": ("file", "net.py", "models.ResNet"),
    "net.py: build": ("file", "net.py", "build"),
    "my net (1).py:build": ("file", "my net (1).py", "build"),
    "a:b/net.py:build": ("file", "a:b/net.py", "build"),
    "a.py:b/net.py:build": ("file", "a.py:b/net.py", "build"),
    "a.py:b/net.py": ("file", "a.py:b/net.py", None),
    "net.py:build('x.py:y')": ("file", "net.py", "build('x.py:y')"),
    "torch.py": ("file", "torch.py", None),
    "./torch.py:build": ("file", "./torch.py", "build"),
    "models.resnet:ResNet50": ("module", "models.resnet", "ResNet50"),
    "torchvision.models:resnet50()": ("module", "torchvision.models", "resnet50()"),
    "models:build('x.py:y')": ("module", "models", "build('x.py:y')"),
    "net.onnx": ("onnx", "net.onnx", None),
    "a:b/Net.ONNX": ("onnx", "a:b/Net.ONNX", None),
    "run.safetensors": ("trace", "run.safetensors", None),
    "run.npz": ("trace", "run.npz", None),
    "traces/mine/": ("trace", "traces/mine/", None),
    "./": ("trace", "./", None),
}


@pytest.mark.parametrize("text", FORMS, ids=list(FORMS))
def test_every_form_is_understood(text):
    """Each form of the grammar gives its kind, its target and its call; paths may hold colons, spaces, parentheses."""
    assert parse_spec(text) == Spec(text, *FORMS[text])


ALLOWED = [
    "build(1, -2.5, 'text', b'bytes', True, None, 1j)",
    "build([1, (2, 3)], {'a': [4], 5: -6}, ())",
    "build(Block, nn.ReLU, norm=nn.BatchNorm2d, act=nn.ReLU(inplace=True))",
    "models.build(make(Block), key=models.make(2))",
]


@pytest.mark.parametrize("call", ALLOWED, ids=["literals", "collections", "names", "calls"])
def test_calls_hold_literals_names_and_calls(call):
    """Literals, collections, names, attributes of names, keywords and calls of names are allowed."""
    assert parse_spec(f"net.py:{call}").call == call


REFUSED = {
    "build(1 + 2)": ("arithmetic", 6),
    "build(-x)": ("an operator", 6),
    "build(~1)": ("an operator", 6),
    "build(not x)": ("an operator", 6),
    "build(x and y)": ("an operator", 6),
    "build(x < y)": ("a comparison", 6),
    "build(1 if x else 2)": ("a choice", 6),
    "build(lambda: 1)": ("a lambda", 6),
    "build([i for i in x])": ("a comprehension", 6),
    "build(f'{x}')": ("an f-string", 6),
    "build((x := 1))": ("an assignment", 7),
    "build({1, 2})": ("a set", 6),
    "build(*x)": ("an unpacking", 6),
    "build(**x)": ("an unpacking", 8),
    "build({**x})": ("an unpacking", 9),
    "build(x[0])": ("an index", 6),
    "build(make().net)": ("an attribute of something without a name", 6),
    "build(make()())": ("a call of something without a name", 6),
    "build()()": ("a call of something without a name", 0),
    "build().eval()": ("a call of something without a name", 0),
    "[build]": ("a value", 0),
    "'build'": ("a value", 0),
    "build('ü', 1 + 2)": ("arithmetic", 11),
    "build(a=[{1: g(1 + 2)}])": ("arithmetic", 15),
}


@pytest.mark.parametrize("call", REFUSED, ids=list(REFUSED))
def test_nothing_else_is_allowed_and_the_place_is_shown(call):
    """Anything else is refused, by name, with a mark under the place; nothing is evaluated."""
    word, column = REFUSED[call]
    with pytest.raises(InputError) as caught:
        parse_spec(f"net.py:{call}", option="actual")

    assert str(caught.value) == (
        f"actual: net.py: not allowed here, got {word}, expected names, literals, and calls with them"
    )
    assert caught.value.__notes__ == [
        f"note: {call}",
        f"note: {' ' * column}^",
        "help: write a function without arguments in the file, and name that",
    ]


def test_all_that_is_refused_is_shown_at_once():
    """Two refused places of one call are both marked."""
    with pytest.raises(InputError, match="got arithmetic and a lambda, expected") as caught:
        parse_spec("net.py:build(1 + 2, 3, lambda: 4)")

    assert caught.value.__notes__[1] == "note:       ^         ^"


BROKEN = {
    "net.py:build(": ["note: build(", "note:      ^"],
    "net.py:build(1": ["note: build(1", "note:      ^"],
    "net.py:def build": ["note: def build", "note: ^"],
    "models.resnet:build(": ["note: build(", "note:      ^"],
}


@pytest.mark.parametrize("text", BROKEN, ids=list(BROKEN))
def test_what_is_not_python_is_refused(text):
    """A call that is no Python is refused, with a mark where Python stops understanding it."""
    source, _, call = text.partition(":")
    with pytest.raises(InputError) as caught:
        parse_spec(text)

    assert str(caught.value) == f"network: {source}: not a name or a call, got {call!r}"
    assert caught.value.__notes__ == BROKEN[text]


def test_a_call_of_endless_depth_is_refused():
    """A call that Python's own parser cannot hold is refused, not raised through."""
    with pytest.raises(InputError, match=r"^network: net\.py: not a name or a call, got 'build\(-----"):
        parse_spec(f"net.py:build({'-' * 100_000}1)")


@pytest.mark.parametrize("text", ["net.py:", "net.py: ", "models:"])
def test_nothing_behind_the_colon(text):
    """A colon with nothing behind it is refused."""
    with pytest.raises(InputError, match=r"^network: (net\.py|models): nothing behind the colon, expected a name such"):
        parse_spec(text)


@pytest.mark.parametrize("text", ["torchvision:", "torchvision:resnet50()", "torchvision:a/b.py:c"])
def test_a_name_that_torchvision_cannot_have(text):
    """`torchvision:` takes a plain name."""
    with pytest.raises(InputError) as caught:
        parse_spec(text, option="expected")

    assert str(caught.value) == (
        f"expected: not a name of torchvision's, got {text!r}, expected one such as torchvision:resnet50"
    )


ADVICE = {
    "": None,
    "tourch": "did you mean torch?",
    "models.resnet": None,
    "some words": None,
    ".py": None,
    "a-b:build": None,
    "net.pth": "weights alone are no network: give its code, such as net.py:build, and the weights by --weights",
    "net.ipynb": "save the notebook's code as a .py file and give that",
    "net.keras": "export it to ONNX, or save a trace of it",
    "conv1.npy": "a trace is a folder of .npy files: give the folder, with a / at its end",
}


@pytest.mark.parametrize("text", ADVICE, ids=[text or "empty" for text in ADVICE])
def test_what_is_none_of_the_forms(text):
    """Anything else is refused with the list of forms, and with advice where what was meant can be told."""
    with pytest.raises(InputError) as caught:
        parse_spec(text, option="actual")

    notes = caught.value.__notes__
    assert str(caught.value) == f"actual: not a network, got {text!r}, expected one of the forms below"
    assert len([note for note in notes if note.startswith("note: ")]) == 6
    assert notes[6:] == ([f"help: {ADVICE[text]}"] if ADVICE[text] else [])


def test_naming_and_supervising_do_without_torch():
    """The parts that a supervising process needs import neither torch nor NumPy."""
    code = (
        "import sys, layerdiff.candidate.spec, layerdiff.candidate.supervise, layerdiff.candidate.stages\n"
        "assert not {'torch', 'numpy', 'click', 'rich'} & set(sys.modules), 'heavy'\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
