"""Whole example programs, from the few lines of each that are its own."""

from __future__ import annotations

from textwrap import dedent

from layerdiff.compare.catalogue.toys import LEARNER

__all__ = ["alike", "compared", "inputs", "learned", "loading", "raising", "stepped", "whole"]

_TRAINED = """\
for tensor in expected.eval().state_dict().values():
    if tensor.ndim == 1:  # as if it had been trained
        tensor.uniform_(0.1, 1)
"""

_FOUND = """\
found = {{one.code: one.title for one in {findings}}}
assert "{code}" in found, found
print(found["{code}"])
"""

_PICTURE = """\
import numpy as np
from PIL import Image

from layerdiff.compare.preprocessing.diagnose import diagnose_input
from layerdiff.compare.preprocessing.record import Record

record = Record(resize=48, crop=(32, 32))
noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
photo = Image.fromarray(noise).resize((90, 72), Image.Resampling.BICUBIC)
picture = np.array(photo)


def pixels(size=(60, 48), by=Image.Resampling.BILINEAR):
    left, top = (size[0] - 32) // 2, (size[1] - 32) // 2
    scaled = photo.resize(size, by)
    return np.asarray(scaled.crop((left, top, left + 32, top + 32)))


def normalised(pixels, by=255, mean=record.mean, std=record.std):
    x = (pixels / by - np.array(mean)) / np.array(std)
    return x.transpose(2, 0, 1)[None].astype(np.float32)


expected = normalised(pixels())
"""

_COPY = "actual = copy.deepcopy(expected)\n"


def compared(code: str, expected: str, mistake: str, *, shape: str = "(1, 3, 16, 16)") -> str:
    """A network, the same with a mistake, and the comparison that finds `code`.

    Args:
        code: what is found.
        expected: lines that make `expected`.
        mistake: lines that change `actual`, a copy of it, or make another one.
        shape: of the input.
    """
    return _program(expected, mistake, shape) + _FOUND.format(code=code, findings="report.findings")


def alike(expected: str, mistake: str, *, shape: str = "(1, 3, 16, 16)") -> str:
    """The same, where the comparison rightly finds nothing."""
    return _program(expected, mistake, shape) + dedent("""\
        assert report.verdict == "same"
        print(report.verdict)
        """)


def learned(code: str, expected: str, mistake: str, *, shape: str = "(2, 3, 9, 9)", mode: str = "train") -> str:
    """A network, the same with a mistake on the way back, and the comparison of gradients that finds `code`.

    Args:
        code: what is found.
        expected: lines that make `expected`.
        mistake: lines that change `actual`, a copy of it, or make another one.
        shape: of the input.
        mode: that batch norms are in.
    """
    call = "report = layerdiff.compare_networks(expected, actual, x)"
    back = f'back = "{mode}"\nreport = layerdiff.compare_networks(expected, actual, x, backward=back)'
    program = _program(expected, mistake, shape)
    assert call in program, "every example compares"
    return program.replace(call, back) + _FOUND.format(code=code, findings="report.findings")


def stepped(code: str, mistake: str, *, optimizer: str, steps: int = 2) -> str:
    """A network, the same with a mistake in training, and the comparison of steps that finds `code`.

    Args:
        code: what is found.
        mistake: lines that define `step`, or change `actual`, a copy of the network.
        optimizer: of the expected network.
        steps: how many are compared.
    """
    call = "report = layerdiff.compare_networks(expected, actual, x)"
    own = ", step" if "def step(" in mistake else ""
    trained = (
        f'plan = layerdiff.trained(\n    expected, {steps}, "{optimizer}"{own}\n)\n'
        "report = layerdiff.compare_networks(expected, actual, x, training=plan)"
    )
    program = _program(LEARNER, mistake, "(4, 3, 9, 9)")
    assert call in program, "every example compares"
    return program.replace(call, trained) + _FOUND.format(code=code, findings="report.findings")


def raising(code: str, expected: str, actual: str, *, given: str = "(1, 3, 16, 16)") -> str:
    """Two networks of which the second raises on `given`, and why."""
    body = f"{_lines(expected)}{_lines(actual)}"
    return _imports(body, numpy=False, layerdiff=False) + dedent("""\
        from layerdiff.compare.shape_errors import explain_crash_finding
        from layerdiff.compare.structure import structure_of

        """) + body + dedent(f"""\

        given = {given}  # actual(torch.zeros(given)) raises
        found = explain_crash_finding(
            structure_of(expected.eval(), (1, 3, 16, 16)),
            structure_of(actual, given),
        )
        assert found.code == "{code}", found
        print(found.title)
        """)  # fmt: skip


def loading(code: str, networks: str) -> str:
    """Two networks, the second of which cannot load the first one's weights, and why."""
    body = _lines(networks)
    return _imports(body, numpy=False, layerdiff=False) + dedent("""\
        from layerdiff.compare.shape_errors import explain_state_dict


        def shapes(network):
            return {key: tuple(t.shape) for key, t in network.state_dict().items()}


        """) + body + dedent(f"""\

        # actual.load_state_dict(expected.state_dict()) raises
        found = explain_state_dict(shapes(expected), shapes(actual))
        assert found.code == "{code}", found
        print(found.title)
        """)  # fmt: skip


def inputs(code: str, actual: str) -> str:
    """A picture prepared in two ways, and why the second is another.

    Args:
        code: what is found.
        actual: lines that make `actual`, by `pixels` and `normalised`.
    """
    call = "findings = diagnose_input(expected, actual, picture, record)\n"
    return _PICTURE + _lines(actual) + call + _FOUND.format(code=code, findings="findings")


def whole(program: str) -> str:
    """A program that is all its own."""
    return _lines(program)


def _program(expected: str, mistake: str, shape: str) -> str:
    mistake = _lines(mistake)
    if "actual = " not in mistake:
        mistake = _COPY + mistake
    body = f"torch.manual_seed(0)\n{_lines(expected)}{_TRAINED}\n{mistake}"
    return (
        _imports(body)
        + body
        + dedent(f"""\

        x = np.random.default_rng(0).standard_normal({shape}, np.float32)
        report = layerdiff.compare_networks(expected, actual, x)
        """)
    )


def _lines(text: str) -> str:
    """Lines of a program, those of a class set apart from what stands before it."""
    lines = dedent(text).strip() + "\n"
    return f"\n\n{lines}" if lines.startswith(("class ", "def ")) else lines


def _imports(body: str, *, numpy: bool = True, layerdiff: bool = True) -> str:
    blocks = [name for name in ("BasicBlock", "Bottleneck", "ResNet") if f"{name}(" in body or f"({name}" in body]
    first = "import copy\n\n" if "copy." in body else ""
    second = ("import numpy as np\n" if numpy else "") + "import torch\nfrom torch import nn\n"
    third = f"from torchvision.models.resnet import {', '.join(blocks)}\n" if blocks else ""
    return f"{first}{second}{third}\n" + ("import layerdiff\n\n" if layerdiff else "")
