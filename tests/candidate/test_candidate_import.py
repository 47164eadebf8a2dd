"""A candidate's file is imported: what it may find, what it may not, and what is said when it cannot be."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pickle
import sys

import pytest
import torch

from layerdiff.candidate.load import load_network
from layerdiff.candidate.spec import parse_spec


def test_a_file_is_loaded(net, load):
    """A file with one network gives it, in eval mode, with its file, its hash and the reason for the choice."""
    loaded = load("net.py")

    assert type(loaded.network).__name__ == "Net"
    assert not any(module.training for module in loaded.network.modules())
    assert loaded.name == "net.py:Net"
    assert loaded.source_file == str(net)
    assert loaded.sha256 == hashlib.sha256(net.read_bytes()).hexdigest()
    assert loaded.imported == {}
    assert loaded.notes == ("net.py: took Net for its name",)


def test_a_path_with_spaces_and_colons_is_loaded(write, net, load):
    """A path may hold what a file system allows."""
    write(net.read_text(), "a:b c/net (1).py", head="")

    assert load("a:b c/net (1).py:Net(width=2)").network.conv.out_channels == 2


def test_a_file_finds_its_neighbours(write, load):
    """The file's folder is on the path while it is imported, also within its functions; not before or afterwards."""
    write("class Block(nn.Module):\n    pass\n", "deep/blocks.py")
    write("SIZE = 3\n", "deep/sizes.py")
    write("from blocks import Block\ndef build():\n    import sizes\n    return Block()\n", "deep/net.py")
    before = list(sys.path)

    loaded = load("deep/net.py:build")

    assert sys.path == before
    assert sorted(loaded.imported) == ["deep/blocks.py", "deep/sizes.py"]
    assert all(len(digest) == 64 for digest in loaded.imported.values())


def test_two_candidates_have_each_its_own_neighbours(write, load):
    """Neighbours of one name in two folders are not taken for each other, neither at import nor in a later block."""
    from layerdiff.candidate.guard import foreign

    source = """
        import utils
        class Net(nn.Module):
            def forward(self, x):
                import utils as again, late
                return (again is utils, utils.WHOSE, late.WHOSE)
        def build():
            return Net()
    """
    for whose in ("first", "second"):
        write(source, f"{whose}/net.py")
        write(f"WHOSE = {whose!r}\n", f"{whose}/utils.py")
        write(f"WHOSE = {whose!r}\n", f"{whose}/late.py")

    loaded = {whose: load(f"{whose}/net.py") for whose in ("first", "second")}

    for _ in range(2):
        for whose, candidate in loaded.items():
            with foreign(candidate.name, "forward pass", home=candidate.home):
                assert candidate.network(0) == (True, whose, whose)


def test_what_a_file_adds_to_the_path_serves_it_alone(write, load):
    """A file that appends to `sys.path` finds what is there, also later; ours is as it was, and a note says so."""
    from layerdiff.candidate.guard import foreign

    write("ANSWER = 42\n", "lib/answers.py")
    write(
        """
        import sys
        sys.path.append("lib")
        sys.path.insert(0, "other")
        class Net(nn.Module):
            def forward(self, x):
                import answers
                return answers.ANSWER
        def build():
            return Net()
        """
    )
    before = list(sys.path)

    loaded = load()

    assert sys.path == before
    assert "net.py: its import changed sys.path; put back" in loaded.notes
    with foreign(loaded.name, "forward pass", home=loaded.home):
        assert loaded.network(0) == 42


def test_its_folder_stays_clean(write, load, folder):
    """Loading leaves no `__pycache__` behind, neither of the file nor of its neighbours."""
    write("", "blocks.py")
    write("import blocks\nnet = nn.Sequential(nn.ReLU())\n")

    load()

    assert sorted(path.name for path in folder.iterdir()) == ["blocks.py", "net.py"]


def test_dataclasses_and_pickle_find_its_classes(write, load):
    """The modules of a file and of its neighbours are kept where pickle and dataclasses look for their classes."""
    config = "from __future__ import annotations\nimport dataclasses, typing\nfrom torch import nn\n" + (
        "@dataclasses.dataclass\nclass {}:\n    sizes: typing.ClassVar[list[int]] = []\n    depth: int = 18\n"
    )
    write(config.format("Theirs"), "parts.py", head="")
    write(
        config.format("Mine") + "from parts import Theirs\nnet = nn.Sequential(nn.ReLU())\n"
        "net.configs = Mine(), Theirs(34)\n",
        head="",
    )

    configs = load().network.configs

    assert pickle.loads(pickle.dumps(configs)) == configs
    assert [field.name for field in dataclasses.fields(configs[0])] == ["depth"]


def test_the_same_file_twice_is_two_modules(net, load):
    """Loading a file again runs it again; an edit in between is seen."""
    first = load()
    net.write_text(net.read_text().replace("width=4", "width=5"))
    second = load()

    assert type(first.network) is not type(second.network)
    assert (first.network.conv.out_channels, second.network.conv.out_channels) == (4, 5)


def test_a_module_is_loaded(write, net, load):
    """A module is found from the current folder, with its relative imports; its file and hash are known."""
    path = write("from .parts import Net\n", "models/resnet.py")
    write(net.read_text(), "models/parts.py", head="")

    loaded = load("models.resnet:Net(width=7)")

    assert loaded.network.conv.out_channels == 7
    assert loaded.name == "models.resnet:Net(width=7)"
    assert loaded.source_file == str(path)
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert list(loaded.imported) == ["models/parts.py"]


def test_a_module_is_read_again(write, load):
    """A module of the current folder that was edited is imported afresh, so that its hash is that of what ran."""
    path = write("net = nn.Sequential(nn.ReLU())\n", "models.py")
    load("models:net")
    path.write_text(path.read_text().replace("ReLU", "Sigmoid"))

    assert type(load("models:net").network[0]).__name__ == "Sigmoid"


def test_an_installed_module_is_loaded(load):
    """A module that is installed is found as well."""
    loaded = load("torchvision.models:resnet18()")

    assert type(loaded.network).__name__ == "ResNet"
    assert loaded.source_file.endswith("torchvision/models/__init__.py")


def test_other_kinds_are_a_mistake_of_the_caller(folder):
    """Only files and modules hold code; whoever asks for another kind has not looked."""
    with pytest.raises(ValueError, match=r"^load_network: got a spec of kind onnx, expected file or module$"):
        load_network(parse_spec("net.onnx"))


def test_building_is_repeatable_and_leaves_no_trace(write, load):
    """The weights that a builder draws depend on the seed alone, and the caller's generators do not move."""
    write(
        """
        import random, numpy
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(3, 4, 3)
                self.register_buffer("drawn", torch.tensor([random.random(), numpy.random.rand()]))
        """
    )
    state = torch.get_rng_state()

    states = [load("net.py:Net", seed=seed).network.state_dict() for seed in (0, 0, 1)]

    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not any(torch.equal(states[0][name], states[2][name]) for name in states[0])
    assert torch.equal(torch.get_rng_state(), state)


def test_no_such_file(net, refusal):
    """A file that is not there: the nearest name is suggested."""
    assert refusal("ned.py:Net") == ["ned.py: no such file, expected a Python file", "help: did you mean net.py?"]
    assert refusal("far/away.py") == ["far/away.py: no such file, expected a Python file"]


def test_a_folder_or_a_device_is_no_file(folder, refusal):
    """A folder or a pipe that is called like a Python file is refused before it is read."""
    (folder / "net.py").mkdir()
    os.mkfifo(folder / "pipe.py")

    assert refusal() == ["net.py: not a file, got a folder, expected Python"]
    assert refusal("pipe.py") == ["pipe.py: not a file, got a device, expected Python"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(net, refusal):
    """A file without the right to read it."""
    net.chmod(0)

    assert refusal() == ["net.py: cannot be read, got Permission denied"]


def test_a_file_that_vanishes(net, refusal, monkeypatch):
    """An error of the file system is told as it is."""

    def read_bytes(self):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pathlib.Path.read_bytes", read_bytes)

    assert refusal() == ["net.py: cannot be read, got Input/output error"]


BINARY = {
    "zeros": (b"x = '\0'\n", "net.py: not Python, got binary data, expected text"),
    "latin": (b"x = '\xe4'\n", "net.py: not Python, got invalid or missing encoding declaration, expected text"),
    "unknown": (b"# coding: klingon\n", "net.py: not Python, got unknown encoding: klingon, expected text"),
}


@pytest.mark.parametrize("kind", BINARY)
def test_what_is_not_text(folder, refusal, kind):
    """Bytes that are no text are no Python."""
    content, message = BINARY[kind]
    (folder / "net.py").write_bytes(content)

    assert refusal() == [message]


def test_another_encoding_is_understood(folder, load):
    """A file that declares its encoding is read in it."""
    (folder / "net.py").write_bytes(b"# coding: latin-1\nfrom torch import nn\nnet = nn.Sequential(nn.ReLU())\n#\xe4\n")

    assert load().name == "net.py:net"


def test_a_syntax_error(write, refusal):
    """A syntax error shows file, line and text."""
    write("def build(:\n    pass\n")

    assert refusal() == [
        "net.py: does not import, got SyntaxError: invalid syntax at net.py:3, expected Python",
        "note: net.py:3: def build(:",
    ]


def test_a_syntax_error_of_a_neighbour(write, refusal):
    """A syntax error in a neighbour shows the neighbour's line."""
    write("if True:\nx = 1\n", "deep/blocks.py")
    write("import blocks\n", "deep/net.py")

    assert refusal("deep/net.py") == [
        "deep/net.py: does not import, got IndentationError: expected an indented block after 'if' statement on line 3 "
        "at deep/blocks.py:4, expected Python",
        "note: deep/blocks.py:4: x = 1",
    ]


def test_a_package_that_is_not_installed(write, refusal):
    """A missing package is named, with the line that wants it and with what to do."""
    write("import nosuchpackage.layers\n")

    assert refusal() == [
        "net.py: does not import, got no module 'nosuchpackage', expected it to be installed or beside the file",
        "note: raised at net.py:3: import nosuchpackage.layers",
        "help: python -m pip install nosuchpackage, if that is its name; "
        "or run with PYTHONPATH set to the folder that holds it",
    ]


def test_a_package_that_is_further_up(write, refusal, folder):
    """A file that expects to be run from its project's folder: that folder is found and named."""
    write("", "project/nosuchutils/__init__.py")
    write("import nosuchutils\n", "project/models/net.py")

    lines = refusal("project/models/net.py")

    assert lines[0].startswith("project/models/net.py: does not import, got no module 'nosuchutils', expected")
    assert lines[2] == f"help: it is in {folder / 'project'}: put that on the path with PYTHONPATH={folder / 'project'}"


def test_a_file_of_a_package(write, refusal, folder):
    """A relative import in a file: the module to give, and the folder to run in, are named."""
    write("", "project/models/__init__.py")
    write("", "project/models/resnets/__init__.py")
    write("from .blocks import Block\n", "project/models/resnets/net.py")

    assert refusal("project/models/resnets/net.py:Net") == [
        "project/models/resnets/net.py: does not import, got ImportError: "
        "attempted relative import with no known parent package",
        "note: raised at project/models/resnets/net.py:3: from .blocks import Block",
        f"help: a file of a package is given as a module: run in {folder / 'project'} with models.resnets.net:NAME",
    ]


def test_a_name_that_cannot_be_imported(write, refusal):
    """Any other failed import is told as Python tells it, with its line."""
    write("from torch import nonsense\n")

    first, note = refusal()
    assert first.startswith("net.py: does not import, got ImportError: cannot import name 'nonsense' from 'torch'")
    assert note == "note: raised at net.py:3: from torch import nonsense"


def test_any_other_exception(write, refusal):
    """An exception while importing: its type, its first line, and the line of theirs that raised it."""
    write("def check(depth):\n    raise ValueError(f'no depth {depth}\\nmore')\n", "depths.py")
    write("import depths\ndepths.check(7)\n")

    assert refusal() == [
        "net.py: does not import, got ValueError: no depth 7",
        "note: raised at depths.py:4: raise ValueError(f'no depth {depth}\\nmore')",
    ]


def test_an_exception_in_a_library(write, refusal):
    """An exception that torch raises is placed at the line of theirs that called torch."""
    write("nn.Conv2d(3, 4, 3, groups=2)\n")

    assert refusal() == [
        "net.py: does not import, got ValueError: in_channels must be divisible by groups",
        "note: raised at net.py:3: nn.Conv2d(3, 4, 3, groups=2)",
    ]


def test_an_exception_that_says_nothing(write, refusal):
    """An exception without text, or one whose text cannot be made, is still told."""
    write("class Odd(Exception):\n    def __str__(self):\n        raise KeyError\nraise Odd\n")
    assert refusal()[0] == "net.py: does not import, got Odd: no message"

    write("assert False\n")
    assert refusal()[0] == "net.py: does not import, got AssertionError: no message"


def test_a_failed_import_leaves_nothing(write, refusal, load):
    """After a failed import its module is gone; put right, it imports."""
    path = write("raise ValueError\n")
    before = set(sys.modules)
    refusal()
    assert set(sys.modules) == before

    path.write_text("from torch import nn\nnet = nn.Sequential(nn.ReLU())\n")
    assert load().name == "net.py:net"


def test_no_such_module(refusal):
    """A module that does not exist, or whose parent does not."""
    for text, missing in {"nosuch.thing:Net": "nosuch", "torchvision.nosuch:Net": "torchvision.nosuch"}.items():
        name = text.partition(":")[0]
        assert refusal(text) == [
            f"{name}: no such module, got no {missing!r} in the current folder or among what is installed",
            "help: run from the folder that holds it, or give the file: path/to/file.py:NAME",
        ]


def test_a_module_that_does_not_import(write, refusal):
    """A module's own failures are told as a file's are."""
    write("import nosuchpackage\n", "broken.py")

    first, note, advice = refusal("broken:Net")
    assert first == (
        "broken: does not import, got no module 'nosuchpackage', expected it to be installed or beside the file"
    )
    assert note == "note: raised at broken.py:3: import nosuchpackage"
    assert advice.startswith("help: python -m pip install nosuchpackage")


def test_a_relative_import_too_far(write, refusal):
    """A relative import that leaves the package is an import's own failure."""
    write("from ... import x\n", "broken.py")

    assert refusal("broken:Net")[0].startswith("broken: does not import, got ImportError: attempted relative import")
