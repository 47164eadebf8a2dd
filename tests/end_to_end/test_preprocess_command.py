"""`--preprocess`: somebody's own preprocessing beside the reference's, as a function, or as a saved input."""

from __future__ import annotations

import json
import pickle
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import layerdiff as package
from layerdiff.errors import InputError
from layerdiff.preprocessing import judge_preparation, load_preparation
from layerdiff.subject import Subject, load_subject

ONE_LAYER = ["--actual", "torch", "--until", "conv1"]

HEAD = """
import numpy as np
import torch
from PIL import Image
from torchvision import transforms

steps = transforms.Compose([
    transforms.Resize(74), transforms.CenterCrop((65, 49)), transforms.ToTensor(),
    transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
])
"""


@pytest.fixture
def write(tmp_path):
    """Writes `pre.py`, with what everybody imports and the right steps."""

    def write(text):
        (tmp_path / "pre.py").write_text(HEAD + textwrap.dedent(text))
        return tmp_path / "pre.py"

    return write


@pytest.fixture(scope="module")
def subject() -> Subject:
    """The cat at 65x49, for a ResNet-18."""
    return load_subject("torchvision:resnet18", "synthetic", (), (65, 49), None)


def judged(given, subject, files=()):
    """What comes of a preprocessing."""
    return judge_preparation(load_preparation(given), subject, files)


def refusal(given, subject):
    """The lines of the error."""
    with pytest.raises(InputError) as caught:
        judged(given, subject)
    return [str(caught.value), *getattr(caught.value, "__notes__", ())]


def test_a_right_preprocessing_is_said_to_be_same(layerdiff, small, write):
    """Exit 0, a line for the input, its hash in the JSON; what it prints goes to stderr."""
    path = write("def prepare(image):\n    print('hello')\n    return steps(image)\n")

    output = path.parent / "run.json"

    done = layerdiff("run", *small, *ONE_LAYER, "--preprocess", "pre.py", "--output", output, cwd=path.parent)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "input     pre.py:prepare: same, to the bit" in done.stdout.splitlines()
    assert "note: pre.py: took prepare for its name" in done.stdout.splitlines()
    assert "note: pre.py:prepare: it was given a PIL image" in done.stdout.splitlines()
    assert set(done.stderr.splitlines()) == {"hello"}
    run = json.loads(output.read_text())
    assert run["reports"][0]["input"]["status"] == "same"
    assert re.fullmatch(r"[0-9a-f]{64}", run["environment"]["preprocess_sha256"])


def test_a_wrong_preprocessing_and_a_wrong_layer_are_both_told(layerdiff, small, write, tmp_path):
    """The input's cause and the layer's own fault come out of one run: the layers are judged on the expected input."""
    write("def prepare(image):\n    return steps(image).flip(0) * 255\n")
    (tmp_path / "net.py").write_text(
        "from torchvision.models import resnet18\nnet = resnet18()\nnet.layer2[0].bn1.eps = 1e-3\n"
    )
    options = [
        *small,
        "--actual",
        "net.py",
        "--until",
        "layer2.0.bn1",
        "--preprocess",
        "pre.py:prepare",
        "--format",
        "concise",
    ]

    done = layerdiff("run", *options, cwd=tmp_path)

    lines = done.stdout.splitlines()
    assert done.returncode == 1, done.stdout + done.stderr
    assert [line for line in lines if ": input: I1 the channels are B, G, R" in line]
    assert [line for line in lines if ": input: I3 the input is multiplied by 255" in line]
    assert [line for line in lines if "layer2.0.bn1: fault" in line]
    assert ": its input, 1 layer at fault" in lines[-1]


def test_a_preprocessing_that_never_ends_is_stopped(layerdiff, small, tmp_path):
    """It is watched as a network's code is: a loop ends after the timeout, with exit code 2 and nothing on stdout."""
    (tmp_path / "pre.py").write_text("def loops(image):\n    while True:\n        pass\n")

    done = layerdiff("run", *small, *ONE_LAYER, "--preprocess", "pre.py:loops", "--timeout", "4", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: pre.py:loops: its preprocessing took longer than 4 s, and was stopped")


def test_a_saved_input_is_taken_as_it_is(layerdiff, small, subject, tmp_path):
    """`--input` names a saved tensor: one that is another is exit 1, with its cause, though every layer is same."""
    np.save(tmp_path / "x.npy", subject.x[0] / 255)

    done = layerdiff("run", *small, *ONE_LAYER, "--input", "x.npy", cwd=tmp_path)

    text = " ".join(done.stdout.split())
    assert done.returncode == 1, done.stdout + done.stderr
    assert "input x.npy: different: 9,555 of 9,555 values" in text
    assert "(a batch axis was added)" in text
    assert "I3 the input is divided by 255 once more after it is normalised [confirmed]" in text
    assert text.endswith("different up to conv1: its input; given the expected one, 1 of 1 layers are same")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".safetensors"])
def test_every_format_is_read(suffix, subject, tmp_path):
    """NumPy's, torch's and safetensors' files give the tensor that was saved."""
    path = tmp_path / f"x{suffix}"
    x = torch.from_numpy(subject.x)
    {
        ".npy": lambda: np.save(path, subject.x),
        ".npz": lambda: np.savez(path, x=subject.x),
        ".pt": lambda: torch.save(x, path),
        ".safetensors": lambda: save_file({"x": x.contiguous()}, path),
    }[suffix]()

    own = judged(path, subject)

    assert own.findings == ()
    assert own.result.measure.max_abs == 0


class Sly:
    """Code in a pickle."""

    def __reduce__(self):
        return (open, ("/nonexistent/run", "w"))


def spoil(path, kind):
    """Writes a file that is no input."""
    x = torch.zeros(1, 3, 65, 49)
    {
        "pickle": lambda: path.write_bytes(pickle.dumps(Sly())),
        "object": lambda: np.save(path, np.array([Sly], object), allow_pickle=True),
        "torch pickle": lambda: torch.save({"x": x, "code": Sly()}, path),
        "two": lambda: torch.save({"x": x, "y": x}, path),
        "number": lambda: torch.save(3, path),
        "text": lambda: path.write_text("hello"),
        "cut": lambda: (np.save(path, x.numpy()), path.write_bytes(path.read_bytes()[:200])),
        "folder": path.mkdir,
    }[kind]()


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("x.npy", "pickle", "holds more than numbers, or no numbers at all, got Python objects"),
        ("x.npy", "object", "holds more than numbers"),
        ("x.pt", "torch pickle", "holds more than numbers"),
        ("x.pt", "two", "not one input, got x, y, expected one array"),
        ("x.pt", "number", "not one input, got a int, expected one array"),
        ("x.pt", "text", "not a readable .pt file, got"),
        ("x.npz", "text", "holds more than numbers, or no numbers"),
        ("x.safetensors", "text", "not a readable .safetensors file, got"),
        ("x.npy", "cut", "not a readable .npy file, got ValueError"),
        ("x.npy", "folder", "no such input, got a folder, expected one of"),
    ],
    ids=[
        "pickle",
        "object",
        "torch pickle",
        "two",
        "number",
        "text pt",
        "text npz",
        "text safetensors",
        "cut",
        "folder",
    ],
)
def test_a_file_that_is_no_input_is_refused(name, kind, message, subject, tmp_path):
    """Objects are never loaded, let alone run; what is cut short, or not one tensor, is refused in a line."""
    spoil(tmp_path / name, kind)

    first, *rest = refusal(tmp_path / name, subject)

    assert message in first
    assert all(re.match(r"(note|help): ", line) for line in rest)


FORMS = {
    "a PIL image": "def f(image):\n    return steps(image)",
    "a path": "def f(image):\n    return steps(Image.open(image))",
    "an array": "def f(image):\n    assert image.dtype == np.uint8\n    return steps(Image.fromarray(image))",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_function_is_given_the_form_it_takes(form, write, subject):
    """A PIL image, a path or an array: the first that it takes, and a note says which."""
    own = judged(f"{write(FORMS[form])}:f", subject)

    assert own.result.measure.max_abs == 0
    assert [note for note in own.notes if note.endswith(f"it was given {form}")]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("def f(path):\n    return steps(Image.open(path))", "f"),
        ("def f(x: 'np.ndarray'):\n    return steps(Image.fromarray(x))", "f"),
        ("def f(x: str):\n    return steps(Image.open(x))", "f"),
        ("def f(x: Image.Image, size=3):\n    return steps(x).numpy()[None]", "f"),
        ("", "steps"),
        ("def make():\n    return steps", "make"),
        ("def make(size):\n    return steps", "make(3)"),
        (
            "def prepare(pil_image):\n    return steps(pil_image).numpy().transpose(1, 2, 0).astype('float64')",
            "prepare",
        ),
    ],
    ids=["name", "annotation", "str", "PIL", "object", "factory", "call", "layout"],
)
def test_names_and_annotations_say_what_it_takes(text, name, write, subject):
    """What the parameter's name or annotation says is believed; objects, factories and calls give functions too."""
    own = judged(f"{write(text)}:{name}", subject)

    assert own.result.measure.max_abs == 0


def test_the_example_in_the_readme_is_what_the_command_prints(layerdiff, tmp_path):
    """Every line of the README's report on its own preprocessing stands in the real one."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (tmp_path / "prepare.py").write_text(re.search(r"^```python title=prepare.py\n(.*?)^```$", readme, re.M | re.S)[1])
    example = re.search(r"^cause     I4 .*?(?=^```$)", readme, re.M | re.S)[0]
    options = ["--weights", "synthetic", *ONE_LAYER, "--preprocess", "prepare.py:prepare"]

    printed = layerdiff("run", *options, cwd=tmp_path).stdout

    assert example in printed
    assert len(re.findall(r"^cause     I\d", printed, re.M)) == 3


def test_several_pictures_are_prepared_one_by_one(write, tmp_path):
    """A function gets each picture by itself; more samples than pictures are not compared, and that is said."""
    for name, side in (("a", 90), ("b", 120)):
        Image.fromarray(np.random.default_rng(side).integers(0, 256, (100, side, 3), np.uint8)).save(
            tmp_path / f"{name}.png"
        )
    files = (tmp_path / "a.png", tmp_path / "b.png")
    subject = load_subject("torchvision:resnet18", "synthetic", files, (65, 49), 3)

    own = judged(f"{write('def f(path): return steps(Image.open(path))')}:f", subject, files)

    assert own.result.shape == (2, 3, 65, 49)
    assert own.findings == ()
    assert "held against the first 2 of 3 samples" in own.result.notes


@pytest.mark.parametrize(
    ("text", "name", "lines"),
    [
        ("def f(image): raise KeyError('no')", "f",
         ["cannot prepare the picture, got an exception for every form of it, expected a tensor",
          "note: given a PIL image, it raises KeyError: 'no'", "note: given a path, it raises KeyError: 'no'",
          "note: given an array, it raises KeyError: 'no'", "help: annotate the argument"]),
        ("def f(path): raise KeyError('no')", "f",
         ["cannot prepare the picture: given a path, it raises KeyError: 'no'", "note: raised at "]),
        ("def f(image): exit(4)", "f", ["its preprocessing ends the program, got exit(4)"]),
        ("def f(image): pass", "f", ["gives no input, got nothing, expected a tensor", "help: did you forget to"]),
        ("def f(image): return {'pixel_values': 1}", "f", ["gives no input, got a dict with pixel_values", "help: "]),
        ("def f(image): return image", "f", ["gives no input, got a Image", "help: return a tensor"]),
        ("def f(image): return torch.zeros(3)", "f", ["not a picture's shape, got (3,), expected (1, 3, 65, 49)"]),
        ("def f(image): return torch.full((3, 65, 49), torch.nan)", "f", ["values that are not finite, got 9,555 of"]),
        ("def f(a, b): pass", "f", ["wrong arguments, got (a, b), expected a function of one", "help: give the"]),
        ("def f(): raise ValueError('no')", "f", ["cannot be built, got ValueError: no", "note: raised at "]),
        ("def f(): return 3", "f", ["cannot be called, got a int, expected a function from a picture"]),
        ("", "g", ["no such name, got 'g', expected one that is there"]),
        ("def g(x): pass", "", ["which function prepares the picture is not said, got none, expected one"]),
        ("def prepare(x): pass\ndef transform(x): pass", "",
         ["is not said, got 2 that could be it: transform, prepare, expected one"]),
        ("1/0", "f", ["does not import, got ZeroDivisionError"]),
        ("def f(image): torch.set_default_dtype(torch.float64); return steps(image)", "f",
         ["its preprocessing changes what every network here computes with, got 1 change"]),
    ],
    ids=["raises", "raises once", "exits", "nothing", "dict", "image", "shape", "nan", "two args", "factory raises",
         "factory's number", "name", "none", "two", "import", "settings"],
)  # fmt: skip
def test_a_function_that_does_not_do_is_refused(text, name, lines, write, subject):
    """Each mistake is an error that names the function, what it did, and what to do."""
    found = refusal(f"{write(text)}" + (f":{name}" if name else ""), subject)

    assert found[0].startswith(str(write(text)))
    assert lines[0] in found[0]
    for line in lines[1:]:
        assert any(one.startswith(line) for one in found[1:]), found


@pytest.mark.parametrize("given", ["torch", "x.jpg", "net.onnx", "torchvision:resnet18", "no such thing"])
def test_what_is_neither_code_nor_an_input_is_refused(given, subject):
    """Other words are refused with the forms that there are."""
    (line,) = refusal(given, subject)[:1]

    assert line.startswith(f"preprocess: cannot be used, got {given!r}, expected FILE.py:FUNCTION, module:FUNCTION, or")


def test_a_file_that_is_not_there_and_a_call_that_is_none(subject):
    """A missing file is named, of either kind, and what is wrong with a call."""
    assert refusal("none.npy", subject)[0] == (
        "none.npy: no such input, got nothing there, expected one of .npy, .npz, .pt, .pth, .safetensors"
    )
    assert refusal("none.py:f", subject)[0].startswith("none.py: no such file, expected a Python file")
    assert "not allowed here, got arithmetic" in refusal("none.py:f(1 + 1)", subject)[0]


def test_random_steps_are_noted(write, subject):
    """What gives something else when it is called again is said to."""
    own = judged(f"{write('def f(pil): return steps(pil) + torch.randn(1) * 0')}:f", subject)
    other = judged(f"{write('def f(pil): return steps(pil) + torch.randn(1)')}:f", subject)

    assert not [note for note in own.notes if "random" in note]
    assert [note for note in other.notes if "gives something else when it is called again" in note]


def test_functions_and_arrays_can_be_handed_over(subject):
    """From Python a function or an array is given as it is."""
    run = package.run(
        "torch",
        expected="torchvision:resnet18",
        weights="synthetic",
        size=(65, 49),
        until="conv1",
        preprocess=lambda image: subject.x[0] + np.asarray(image)[0, 0, 0] * 0,
    )

    assert run.verdict == "same"
    assert run.reports[0].input.source == "<lambda>"
    assert judged(torch.from_numpy(subject.x).half(), subject).result.measure.over > 0
    assert judged(subject.x, subject).findings == ()
