"""The figures of samples and distributions, and how often chance alone would tell two right networks apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from layerdiff.compare.initial import laws
from layerdiff.compare.initial.apart import SMALLEST, TOLD, apart
from layerdiff.compare.initial.laws import CUT, Law, deviation
from layerdiff.compare.initial.naming import Member, named
from layerdiff.compare.initial.rules import Fans, fans_of, rules_of
from layerdiff.compare.initial.sample import sample_of

SHAPE = (100, 40, 3, 3)

DISTRIBUTIONS = {"normal": stats.norm(), "uniform": stats.uniform(-1, 2), "truncated": stats.truncnorm(-2, 2)}


def test_a_sample_is_what_numpy_and_scipy_say():
    """Mean, standard deviation and kurtosis are those of NumPy and SciPy; the rest by definition."""
    x = np.random.default_rng(0).exponential(size=(30, 7, 3, 3)).astype(np.float32)
    found, flat = sample_of(x), x.astype(np.float64).ravel()

    assert (found.n, found.odd, found.constant, found.orthogonal) == (1890, 0, None, False)
    assert (found.low, found.high) == (flat.min(), flat.max())
    np.testing.assert_allclose([found.mean, found.std], [flat.mean(), flat.std(ddof=1)], rtol=1e-12)
    np.testing.assert_allclose(found.kurtosis, stats.kurtosis(flat, fisher=False), rtol=1e-12)
    np.testing.assert_allclose(found.flatness, np.abs(flat - flat.mean()).mean() / flat.std(), rtol=1e-12)


def test_constants_and_what_is_no_number():
    """One value everywhere is a constant; a NaN or an infinity is counted, and then nothing is constant."""
    assert sample_of(np.full((3, 4), 0.25, np.float32)).constant == 0.25
    assert sample_of(np.zeros((), np.float32)).constant == 0
    broken = sample_of(np.array([1, np.nan, 1, np.inf], np.float32))
    assert (broken.n, broken.odd, broken.constant, broken.mean) == (2, 2, None, 1)
    empty = sample_of(np.array([np.nan], np.float32))
    assert (empty.n, empty.odd, empty.constant) == (0, 1, None)
    # Their squares are below what float64 holds.
    assert sample_of(np.array([0, 1e-200, 2e-200])).std == 0


@pytest.mark.parametrize("shape", [(64, 16, 3, 3), (300, 8, 3, 3), (2, 50), (128, 128)], ids=str)
def test_orthogonal_kernels_are_seen(shape):
    """Rows, or columns where these are fewer, at right angles and of one length; drawn ones never are."""
    torch.manual_seed(0)
    assert sample_of(nn.init.orthogonal_(torch.empty(shape), 1.4).numpy()).orthogonal
    assert not sample_of(nn.init.normal_(torch.empty(shape)).numpy()).orthogonal


@pytest.mark.parametrize("family", DISTRIBUTIONS)
def test_the_figures_of_a_family_are_its_moments(family):
    """Kurtosis, flatness, its sway and the largest value, against SciPy's integrals."""
    law, found = DISTRIBUTIONS[family], laws._FIGURES[family]
    root = law.std()
    flat = law.expect(abs) / root
    # Exactly to what the integration gives.
    np.testing.assert_allclose(found.kurtosis, law.expect(lambda x: (x / root) ** 4), rtol=1e-7)
    np.testing.assert_allclose(found.flatness, flat, rtol=1e-7)
    sway = law.expect(lambda x: (abs(x) / root - flat * ((x / root) ** 2 + 1) / 2) ** 2)
    np.testing.assert_allclose(found.sway, sway, rtol=1e-6)
    np.testing.assert_allclose(found.bound, law.support()[1] / root, rtol=1e-12)


def test_what_is_left_of_a_cut_normal():
    """0.8796, by which Keras and flax divide."""
    assert abs(CUT - 0.87962566103423978) < 1e-15


@pytest.mark.parametrize(
    ("family", "n"), [*((family, n) for family in DISTRIBUTIONS for n in (SMALLEST, 1000)), ("laplace", 1000)]
)
def test_two_samples_of_one_distribution_are_about_one_standard_error_apart(family, n):
    """In 600 pairs no figure is 6 apart, and their mean square is one standard error's, or less where it is floored.

    The square of a right one has mean 1 and variance 2, so that over 600 its mean lies below 1.35 but for one in a
    million times.
    """
    generator = np.random.default_rng(1)
    law = DISTRIBUTIONS.get(family, stats.laplace())
    pairs = law.rvs(size=(600, 2, n), random_state=generator)
    found = [apart(sample_of(one), sample_of(two)) for one, two in pairs]

    assert max(one.worst for one in found) < TOLD
    for figure in ("mean", "std", "flatness"):
        squares = np.mean([getattr(one, figure) ** 2 for one in found])
        assert squares < 1.35
        # The floors are a normal distribution's, which has the largest of these three.
        assert squares > (0.7 if family == "normal" else 0.3)


def test_how_rare_a_false_alarm_is():
    """The probabilities in the comments of `apart`: 2e-9 for many values; once in 7e6 and 1.4e7 times for 30."""
    assert 2 * stats.norm.sf(TOLD) < 2.0e-9
    assert 300 * 3 * 2 * stats.norm.sf(TOLD) < 1.8e-6
    assert 1 / (2 * stats.t.sf(TOLD, 2 * SMALLEST - 2)) > 7e6
    ratio = math.exp(TOLD * math.sqrt((3 - 1) / 4 * 2 / SMALLEST))
    assert abs(ratio - 3) < 0.01
    assert 1 / (2 * stats.f.sf(ratio**2, SMALLEST - 1, SMALLEST - 1)) > 1.35e7


def test_what_is_far_apart_is_told():
    """A std, a mean and a shape that differ are each seen by their own figure."""
    generator = np.random.default_rng(2)
    x = sample_of(generator.standard_normal(4000))
    wide, moved = sample_of(1.2 * generator.standard_normal(4000)), sample_of(generator.standard_normal(4000) + 0.2)
    flat = sample_of(generator.uniform(-math.sqrt(3), math.sqrt(3), 4000))

    for other, figure in ((wide, "std"), (moved, "mean"), (flat, "flatness")):
        found = apart(x, other)
        assert found.worst == getattr(found, figure) > TOLD


def test_a_value_outside_of_a_law_is_impossible():
    """A bounded distribution has no value beyond its bound, but for float32's rounding."""
    inside = np.linspace(-1, 1, 401, dtype=np.float32)
    law = Law("uniform", 1 / math.sqrt(3))
    outside = inside.copy()
    outside[0] = -1.01

    assert deviation([law], [sample_of(inside)]) < TOLD
    assert deviation([law], [sample_of(outside)]) == math.inf
    assert deviation([law], [sample_of(np.zeros(9))]) == math.inf


def test_many_samples_tell_more_than_one():
    """Samples that are each within reach of a law, and all off to the same side, are not together."""
    generator = np.random.default_rng(3)
    # 3 % are 3 standard errors of 5,000 values, and 12 of sixteen times as many.
    samples = [sample_of(1.03 * generator.standard_normal(5000)) for _ in range(16)]
    law = Law("normal", 1.0)

    assert max(deviation([law], [one]) for one in samples) < TOLD
    assert deviation([law] * 16, samples) > TOLD


@pytest.mark.parametrize("rule", rules_of("kernel"), ids=lambda rule: rule.name)
def test_every_rule_is_what_its_torch_call_draws(rule):
    """What each rule tells its reader to call gives a tensor that is named by just this rule."""
    torch.manual_seed(0)
    weight = torch.empty(SHAPE)
    fans = fans_of(SHAPE)
    names = {
        "nn": nn, "weight": weight, "sqrt": math.sqrt, "fan_in": fans.fan_in, "fan_out": fans.fan_out,
        "in_channels": SHAPE[1], "out_channels": SHAPE[0],
    }  # fmt: skip
    call, _, std = rule.call.partition(" with std = ")
    exec(call, names | {"std": eval(std, names) if std else None})

    (found,) = named([Member("weight", sample_of(weight.numpy()), fans)], "kernel")
    assert (found.rule, found.others) == (rule, ())


@pytest.mark.parametrize("module", [nn.Conv2d(40, 100, 3), nn.Conv2d(40, 40, 5, groups=4), nn.Linear(90, 800)], ids=str)
def test_what_torch_begins_with_is_known(module):
    """Torch's own modules are drawn by what is called torch's default, weight and bias, with groups and without."""
    module.reset_parameters()
    fans = fans_of(tuple(module.weight.shape))
    weight, bias = (sample_of(tensor.detach().numpy()) for tensor in (module.weight, module.bias))

    assert fans == Fans(module.weight.shape[1], module.weight.shape[0], math.prod(module.weight.shape[2:]))
    assert [fans.fan_in, fans.fan_out] == list(nn.init._calculate_fan_in_and_fan_out(module.weight))
    (one,) = named([Member("weight", weight, fans)], "kernel")
    assert one.rule.name == "kaiming_uniform(a=√5), torch's default"
    (two,) = named([Member("bias", bias, fans)], "bias")
    assert two.rule.name == "torch's default, uniform within 1/√fan_in"
