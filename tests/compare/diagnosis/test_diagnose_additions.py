"""What is wrong with an addition is read from what it gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from layerdiff.compare.hypotheses.additions import hypotheses
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.site import Sample, Site
from layerdiff.compare.hypotheses.trial import tried
from layerdiff.compare.trace import Op

Wrong = Callable[[Tensor, Tensor], Tensor]


def add_site(
    wrong: Wrong,
    *,
    inputs: tuple[str, str] = ("layer2.1.bn2", "layer2.0.relu_1"),
    dtype: torch.dtype = torch.float64,
    positive: bool = False,
) -> Site:
    """What is seen of an addition that computes `wrong` from the main branch and the shortcut."""
    rng = np.random.default_rng(4)
    op = Op("layer2.1.add", "layer2.1.add", "add", inputs, {}, {}, (), "")
    samples = []
    for both_signs in (False, True):
        a, b = (torch.from_numpy(rng.normal(0, 2, (2, 5, 4, 6))).to(dtype) for _ in range(2))
        b = b if both_signs and not positive else F.relu(b)
        samples.append(Sample((a.numpy(), b.numpy()), (a + b).numpy(), wrong(a, b).numpy()))
    return Site(op, (op,), *samples)


def explaining(site: Site) -> list[Hypothesis]:
    """The hypotheses that explain a site."""
    results = [tried(one, site) for one in hypotheses(site)]
    return [one for one in results if one.residual is not None and one.residual <= 1]


WRONG: dict[str, tuple[Wrong, str, str]] = {
    "no shortcut": (lambda a, b: a.clone(), "A5", "the shortcut is not added"),
    "no main branch": (lambda a, b: b.clone(), "A5", "the main branch is not added"),
    "shortcut only, twice": (
        lambda a, b: b + b,
        "A5",
        "the main branch is not added, and the shortcut is taken 2 times",
    ),
    "shortcut twice": (lambda a, b: a + b + b, "A6", "the shortcut is added twice"),
    "main twice": (lambda a, b: a + b + a, "A6", "the main branch is added twice"),
    "relu of the main branch": (lambda a, b: F.relu(a) + b, "E3", "a ReLU is put on the main branch"),
    "relu of the shortcut": (lambda a, b: a + F.relu(b), "E6", "a ReLU is put on the shortcut"),
    "relu of both": (lambda a, b: F.relu(a) + F.relu(b), "E3", "a ReLU is put on both"),
    "mean": (lambda a, b: (a + b) / 2, "A6", "0.5·the main branch + 0.5·the shortcut"),
    "difference": (lambda a, b: a - b, "A6", "the main branch - the shortcut, expected"),
    "difference, other way": (lambda a, b: b - a, "A6", "-1·the main branch + the shortcut"),
    "scaled": (lambda a, b: 0.1 * a + b, "A6", "0.1·the main branch + the shortcut"),
    "scaled by 0.17": (lambda a, b: a + 0.17 * b, "A6", "the main branch + 0.17·the shortcut"),
    "by the root of 2": (lambda a, b: (a + b) / 2**0.5, "A6", "0.7071067812·the main branch + 0.7071067812·"),
    "thirds": (lambda a, b: (a + b) / 3, "A6", "1/3·the main branch + 1/3·the shortcut"),
    "product": (lambda a, b: a * b, "A6", "the main branch · the shortcut, expected"),
    "gate": (lambda a, b: a + b + a * b, "A6", "the main branch + the shortcut + the main branch · the shortcut"),
    "nothing": (lambda a, b: torch.zeros_like(a), "A6", "another sum: 0"),
}


@pytest.mark.parametrize("name", WRONG, ids=str)
def test_each_other_sum_is_recognised_with_its_factors(name: str) -> None:
    """Exactly one hypothesis explains each sum, and says its factors as they were written."""
    wrong, code, title = WRONG[name]
    (found,) = explaining(add_site(wrong))
    assert found.code == code
    assert title in found.title
    assert "layer2.1" not in found.title
    assert "the shortcut is layer2.0.relu_1" in found.evidence[1]


@pytest.mark.parametrize("name", [name for name in WRONG if name not in {"by the root of 2"}], ids=str)
def test_each_other_sum_is_recognised_in_float32(name: str) -> None:
    """Where the candidate runs in float32 alone the factors are found all the same."""
    wrong, code, title = WRONG[name]
    (found,) = explaining(add_site(wrong, dtype=torch.float32))
    assert (found.code, title in found.title) == (code, True)


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        (("layer2.1.bn2", "layer2.0.relu_1"), "E3"),
        (("layer2.0.relu_1", "layer2.1.bn2"), "E6"),
        (("layer2.1.downsample.1", "layer2.1.bn3"), "E6"),
        (("layer2.1.bn3", "layer2.1.downsample.1"), "E3"),
        (("one", "other"), "E3"),
    ],
    ids=str,
)
def test_the_shortcut_is_known_by_where_it_comes_from(inputs: tuple[str, str], code: str) -> None:
    """The branch from a projection or another block is the shortcut, whichever of the two it is."""
    (found,) = explaining(add_site(lambda a, b: F.relu(a) + b, inputs=inputs))
    assert found.code == code


def test_a_relu_on_what_is_never_negative_is_no_mistake() -> None:
    """A sum that is right is explained by nothing."""
    assert explaining(add_site(lambda a, b: a + F.relu(b), positive=True)) == []
    assert explaining(add_site(lambda a, b: b + a)) == []


def test_another_shape_and_noise_are_explained_by_nothing() -> None:
    """Concatenated branches and numbers without any rule have no cause here."""
    assert explaining(add_site(lambda a, b: torch.cat([a, b], 1))) == []
    noise = torch.from_numpy(np.random.default_rng(1).normal(0, 0.1, (2, 5, 4, 6)))
    assert explaining(add_site(lambda a, b: a + b + noise)) == []
