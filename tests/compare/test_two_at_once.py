"""Two images at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from layerdiff.compare.capture import capture
from layerdiff.compare.foreign import judge_foreign


class _Net(nn.Module):
    def __init__(self, head):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4, 5)
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=generator)
        self.head = head

    def forward(self, x):
        return self.fc(self.head(torch.relu(self.conv(x))))


def _pooled(x):
    return torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1)


@pytest.mark.parametrize(
    ("head", "verdict", "said"),
    [
        (_pooled, "same", ""),
        (lambda x: x.mean([2, 3]), "same", ""),
        (lambda x: _pooled(x).view(-1, 4).sum(0, keepdim=True), "different", "its output is (1, 5), expected (2, 5)"),
        (
            lambda x: x.mean([2, 3])[:1].expand(x.shape[0], -1),
            "different",
            "its output is another than the expected network's",
        ),
        (lambda x: x.mean([2, 3]).view(1, 4), "same", "it does not take two images at once: RuntimeError: shape"),
    ],
    ids=["right", "written otherwise", "one row", "first for all", "one only"],
)
def test_what_mixes_the_images_of_a_batch_is_different(head, verdict, said):
    """A head that sums over the batch is right for one image and wrong for two; one that takes only one is noted."""
    x = np.random.default_rng(0).standard_normal((1, 3, 70, 66)).astype(np.float32)
    expected = capture(_Net(_pooled).eval(), x)

    report = judge_foreign(expected, _Net(head), x, weights=None)

    assert report.verdict == verdict
    assert said in report.output + "".join(report.notes)


class _Same(_Net):
    """Pads as TensorFlow does: as torch does at odd sizes, and at even ones otherwise."""

    def __init__(self, pad, mixes):
        super().__init__(_pooled)
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        for parameter in self.conv.parameters():
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(3))
        self.pad, self.mixes = pad, mixes

    def forward(self, x):
        y = super().forward(nn.functional.pad(x, self.pad(x)))
        return y[:1].expand(x.shape[0], -1) if self.mixes else y


def _same_padding(x):
    left, top = (1 if side % 2 else 0 for side in (x.shape[3], x.shape[2]))
    return (left, 1, top, 1)


@pytest.mark.parametrize("mixes", [False, True], ids=["right", "mixes"])
def test_a_difference_at_another_size_is_not_said_of_two_images(mixes):
    """What differs at the smaller size already for one image is a note; what two images do is seen at the full size."""
    x = np.random.default_rng(0).standard_normal((1, 3, 67, 99)).astype(np.float32)
    expected = capture(_Same(lambda x: (1, 1, 1, 1), False).eval(), x)

    report = judge_foreign(expected, _Same(_same_padding, mixes), x, weights=None, diagnose=False)

    assert report.verdict == ("different" if mixes else "same")
    assert "at 34x50 its output differs, though at 67x99 it is the same" in report.notes
    assert ("for two images at once its output is another" in report.output) == mixes
