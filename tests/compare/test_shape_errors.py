"""The seventeen shape errors people meet: each provoked in torch itself, and explained."""

# ruff: noqa: D101, D102 - networks of a few lines, whose methods are torch's

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from layerdiff.compare.align import align
from layerdiff.compare.shape_errors import (
    explain_crash_finding,
    explain_difference,
    explain_in_place,
    explain_state_dict,
)
from layerdiff.compare.structure import structure_of


class Block(nn.Module):
    """A basic block with torchvision's names."""

    expansion = 1

    def __init__(self, c_in, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = projection(c_in, planes, stride) if stride != 1 or c_in != planes else None

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Bottleneck(nn.Module):
    """A bottleneck with torchvision's names."""

    expansion = 4

    def __init__(self, c_in, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * 4)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = projection(c_in, planes * 4, stride) if stride != 1 or c_in != planes * 4 else None

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


def projection(c_in, c_out, stride):
    """A 1×1 convolution and a batch norm."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))


class Net(nn.Module):
    """A small ResNet with torchvision's names: two stages of two blocks."""

    def __init__(self, block=Block, blocks=(2, 2), classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        c = 8
        for stage, (planes, stride, count) in enumerate(zip((8, 16), (1, 2), blocks, strict=True), 1):
            made = [block(c, planes, stride)]
            c = planes * block.expansion
            made += [block(c, planes) for _ in range(count - 1)]
            setattr(self, f"layer{stage}", nn.Sequential(*made))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(c, classes)

    def features(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer2(self.layer1(x))

    def forward(self, x):
        x = torch.flatten(self.avgpool(self.features(x)), 1)
        return self.fc(x)


SHAPE = (1, 3, 64, 64)


def explained(actual, *, expected=None, shape=SHAPE):
    """The explanation of the error that torch itself raises on `actual`, after seeing that it is this one."""
    actual.eval()
    with pytest.raises((RuntimeError, ValueError)) as caught:
        actual(torch.zeros(shape))
    structure = structure_of(actual, shape)
    assert structure.crash is not None
    assert structure.crash.message == str(caught.value).splitlines()[0]
    found = explain_crash_finding(structure_of((expected or Net()).eval(), shape), structure)
    assert found is not None
    assert found.source is None or found.source.rpartition(":")[0].endswith(".py")
    return found


class NoFlatten(Net):
    def forward(self, x):
        return self.fc(self.avgpool(self.features(x)))


def test_m1_flatten_is_missing():
    """M1: a map reaches the linear layer."""
    found = explained(NoFlatten())

    assert (found.code, found.layer) == ("M1", "fc")
    assert "the last axis, which has 1, and needs 16" in found.arithmetic
    assert "16·1·1 = 16" in found.arithmetic
    assert found.change == "put torch.flatten(x, 1) before it"
    assert found.text == "return self.fc(self.avgpool(self.features(x)))"
    assert found.evidence[1] == "the expected network has flatten before it, the candidate has not"


def test_m1_neither_pooled_nor_flattened():
    """M1: a map larger than 1×1 reaches the linear layer: it must be pooled too."""

    class Bare(Net):
        def forward(self, x):
            return self.fc(self.features(x))

    found = explained(Bare())

    assert found.code == "M1"
    assert "16·8·8 = 1024; pooled to 1×1 and flattened it has 16" in found.arithmetic
    assert "AdaptiveAvgPool2d" in found.change


class FixedPool(Net):
    def __init__(self):
        super().__init__()
        self.avgpool = nn.AvgPool2d(4)


class FixedPoolView(FixedPool):
    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.fc(x.view(x.size(0), 16))


@pytest.mark.parametrize("network", [FixedPool, FixedPoolView], ids=["flatten", "view"])
def test_m2_a_fixed_pool_on_a_larger_image(network):
    """M2: a pooling made for one size of image leaves 2×2 of a larger one; flatten or view do not mind which."""
    found = explained(network())

    assert found.code == "M2"
    assert "= 16·2·2" in found.arithmetic
    assert found.arithmetic.startswith("64 ")
    assert "a 2×2 map reached the flatten; the expected network pools to 1×1" in found.arithmetic
    assert "AdaptiveAvgPool2d((1, 1))" in found.change
    assert "self.avgpool(self.features(x))" in found.text
    assert "it has kernel_size=(4, 4), and takes a map of 8×8" in found.evidence


class PaddedPool(Net):
    def __init__(self):
        super().__init__()
        self.avgpool = nn.AvgPool2d(2, padding=1)


def test_m2_a_pool_with_a_padding_too_many():
    """M2: the first cause is the padding that is there, not one that is lacking; the sum and the change name it."""
    expected = Net()
    expected.avgpool = nn.AvgPool2d(2)
    found = explained(PaddedPool(), expected=expected, shape=(1, 3, 16, 16))

    assert found.code == "M2"
    assert found.arithmetic.startswith("64 = 16·2·2: a 2×2 map reached the flatten")
    assert found.cause.title == "avgpool: padding=1 is wrong"
    assert found.cause.arithmetic == "(2 + 2·1 - 2)/2 + 1 = 2, expected (2 + 2·0 - 2)/2 + 1 = 1"
    assert found.cause.change == "give avgpool padding=0"


def test_the_first_cause_tells_what_is_lacking_from_what_is_wrong():
    """A stride or a padding that was not given is lacking; one that was given is wrong."""
    titles = []
    for stride, padding in ((1, 1), (2, 0), (3, 1)):
        actual = Net()
        actual.maxpool = nn.MaxPool2d(3, stride, padding)
        structures = [structure_of(network.eval(), SHAPE) for network in (Net(), actual)]
        found = explain_difference(*structures, align(*(structure.ops for structure in structures)))
        titles.append(found.title)

    assert titles == ["maxpool: stride=2 is lacking", "maxpool: padding=1 is lacking", "maxpool: stride=3 is wrong"]


def test_m2_at_the_size_it_was_made_for_nothing_is_wrong():
    """The same network on the image for which its pooling was made does not raise, and is not explained."""
    expected, actual = (structure_of(network.eval(), (1, 3, 32, 32)) for network in (Net(), FixedPool()))

    assert explain_crash_finding(expected, actual) is None
    assert explain_difference(expected, actual, align(expected.ops, actual.ops)) is None


def test_m3_a_head_for_another_backbone():
    """M3: the linear layer forgets the expansion of the Bottleneck."""
    actual = Net(Bottleneck)
    actual.fc = nn.Linear(16, 10)

    found = explained(actual, expected=Net(Bottleneck))

    assert (found.code, found.layer) == ("M3", "fc")
    assert found.arithmetic == ("64 = 16·4, and 4 is the expansion of a Bottleneck: 64 features came, fc takes 16")
    assert found.change.startswith("nn.Linear(64, …)")
    assert found.text == "return self.fc(x)"
    assert "the expected network's fc has in_features=64" in found.evidence


def test_m4_the_expansion_is_not_carried():
    """M4: the second block of a stage is made for the planes, not for what the first one gives."""
    actual = Net(Bottleneck)
    actual.layer1[1] = Bottleneck(8, 8)

    found = explained(actual, expected=Net(Bottleneck))

    assert (found.code, found.layer) == ("M4", "layer1.1.conv1")
    assert found.arithmetic.startswith("32 = 8·4, and 4 is the expansion of a Bottleneck: 32 channels came")
    assert "in_channels=32" in found.change
    assert found.text == "out = self.relu(self.bn1(self.conv1(x)))"
    assert "the expected network's layer1.1.conv1 has weight [8, 32, 1, 1]" in found.evidence


def test_m4_and_where_the_wrong_channels_come_from():
    """M4: if the layer that raised is right, the one that gave the wrong channels is the first cause."""
    actual = Net()
    actual.layer1[1].conv2 = nn.Conv2d(8, 12, 3, 1, 1, bias=False)
    actual.layer1[1].bn2 = nn.BatchNorm2d(12)
    actual.layer1[1].downsample = projection(8, 12, 1)

    found = explained(actual)

    assert (found.code, found.layer) == ("M4", "layer2.0.conv1")
    assert found.arithmetic.startswith("12 ≠ 8")
    assert "layer2.0.conv1 is right" in found.change
    assert found.cause is not None
    assert found.cause.layer == "layer1.1.conv2"
    assert found.cause.title == "layer1.1.conv2 gives 12 channels, expected 8"
    assert found.cause.text == "out = self.bn2(self.conv2(out))"


class TakesNHWC(Net):
    def forward(self, x):
        return super().forward(x.permute(0, 3, 1, 2))


def test_m5_channels_last():
    """M5: a network that turns (n, h, w, c) itself is given (n, c, h, w)."""
    found = explained(TakesNHWC())

    assert (found.code, found.layer) == ("M5", "conv1")
    assert "axis 1 has 64, conv1 takes 3; the 3 channels lie in axis 2 of [1, 64, 3, 64]" in found.arithmetic
    assert found.change == "take permute out: the image comes as (n, c, h, w) already"
    assert found.text == "return super().forward(x.permute(0, 3, 1, 2))"


def test_m5_an_image_with_channels_last():
    """M5: an ordinary network is given (n, h, w, c)."""
    shape = (1, 64, 64, 3)
    with pytest.raises(RuntimeError):
        Net().eval()(torch.zeros(shape))
    found = explain_crash_finding(structure_of(Net().eval(), SHAPE), structure_of(Net().eval(), shape))

    assert found is not None
    assert found.code == "M5"
    assert "axis 1 has 64, conv1 takes 3; the 3 channels lie in axis 3" in found.arithmetic
    assert "x.permute(0, 3, 1, 2)" in found.change


def test_m6_a_network_for_grey_images():
    """M6: the first convolution was made for one channel, the image has three."""
    actual = Net()
    actual.conv1 = nn.Conv2d(1, 8, 7, 2, 3, bias=False)

    found = explained(actual)

    assert (found.code, found.layer) == ("M6", "conv1")
    assert found.arithmetic == "3 ≠ 1: a colour image has 3, conv1 takes 1"
    assert found.change == "make conv1 with in_channels=3"
    assert "conv1" in found.text


@pytest.mark.parametrize(("channels", "words"), [(1, "grey"), (4, "alpha")], ids=["grey", "rgba"])
def test_m6_an_image_with_other_channels(channels, words):
    """M6: an ordinary network is given a grey image, or one with an alpha channel."""
    shape = (1, channels, 64, 64)
    with pytest.raises(RuntimeError):
        Net().eval()(torch.zeros(shape))
    found = explain_crash_finding(structure_of(Net().eval(), SHAPE), structure_of(Net().eval(), shape))

    assert found is not None
    assert found.code == "M6"
    assert found.arithmetic.startswith(f"{channels} ≠ 3")
    assert words in found.arithmetic
    assert words in found.change


def test_m7_the_projection_is_missing():
    """M7: the shortcut of a block that changes channels and size is not projected."""
    actual = Net()
    actual.layer2[0].downsample = None

    found = explained(actual)

    assert (found.code, found.layer) == ("M7", "layer2.0.add")
    assert found.arithmetic == "8 ≠ 16 = 8·2: the shortcut has 8 channels, the branch 16, and 16×16 ≠ 8×8"
    assert "nn.Conv2d(8, 16, kernel_size=1, stride=2, bias=False)" in found.change
    assert found.text == "out += identity"
    assert "the expected network has layer2.0.downsample.0 there" in found.evidence[2]


def test_m7_the_projection_has_another_width():
    """M7: there is a projection, for other channels."""
    actual = Net()
    actual.layer2[0].downsample = projection(8, 8, 2)

    found = explained(actual)

    assert found.code == "M7"
    assert found.title.startswith("the shortcut's projection layer2.0.downsample.0 has another width")
    assert found.change == "give layer2.0.downsample.0 16 channels"
    assert found.cause is not None
    assert found.cause.layer == "layer2.0.downsample.0"


def test_m8_a_stride_was_lost_on_the_way():
    """M8: the projection forgets its stride, so that the addition raises; the sum names the convolution."""
    actual = Net()
    actual.layer2[0].downsample = projection(8, 16, 1)

    found = explained(actual)

    assert (found.code, found.layer) == ("M8", "layer2.0.downsample.0")
    assert found.arithmetic == (
        "16 = 8·2; layer2.0.downsample.0: (16 + 2·0 - 1)/1 + 1 = 16, expected ⌊(16 + 2·0 - 1)/2⌋ + 1 = 8"
    )
    assert found.change == "give layer2.0.downsample.0 stride=2"
    assert found.text == "identity = self.downsample(x)"


def test_m8_a_stride_in_the_place_of_the_padding():
    """M8: the stride is passed where the padding belongs; the branch is not made smaller."""
    actual = Net()
    actual.layer2[0].conv1 = nn.Conv2d(8, 16, 3, padding=2, bias=False)

    found = explained(actual)

    assert (found.code, found.layer) == ("M8", "layer2.0.conv1")
    assert "(16 + 2·2 - 3)/1 + 1 = 18, expected ⌊(16 + 2·1 - 3)/2⌋ + 1 = 8" in found.arithmetic
    assert "stride: got 1, expected 2" in found.evidence
    assert "padding: got 2, expected 1" in found.evidence


def test_m8_off_by_one():
    """M8: a convolution without padding on an odd map is smaller by one than its shortcut."""
    actual = Net()
    actual.layer2[0].conv1 = nn.Conv2d(8, 16, 3, 2, 0, bias=False)

    found = explained(actual)

    assert (found.code, found.layer) == ("M8", "layer2.0.conv1")
    assert found.title.startswith("one of both maps is larger by one")
    assert "⌊(16 + 2·0 - 3)/2⌋ + 1 = 7, expected ⌊(16 + 2·1 - 3)/2⌋ + 1 = 8" in found.arithmetic
    assert found.change == "give layer2.0.conv1 padding=1"
    assert found.text == "out = self.relu(self.bn1(self.conv1(x)))"


def shapes_of(network):
    """The shapes of a network's tensors by name."""
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def refused(expected, actual):
    """The explanation of the error that torch itself raises when `expected`'s weights are loaded into `actual`."""
    with pytest.raises(RuntimeError) as caught:
        actual.load_state_dict(expected.state_dict())
    found = explain_state_dict(shapes_of(expected), shapes_of(actual))
    assert found is not None
    return found, str(caught.value)


def test_m9_the_head_was_replaced():
    """M9: only the head has another number of classes; strict=False does not help."""
    found, message = refused(Net(), Net(classes=3))

    assert "size mismatch for fc.weight" in message
    assert (found.code, found.layer) == ("M9", "fc")
    assert found.arithmetic == "3 classes ≠ 10"
    assert "strict=False) does not help" in found.change
    assert "fc.weight: [10, 16] is loaded into [3, 16]" in found.evidence


def test_m10_basic_blocks_into_bottlenecks():
    """M10: the weights are of the other kind of block."""
    found, message = refused(Net(), Net(Bottleneck))

    assert "size mismatch for layer1.0.conv1.weight" in message
    assert (found.code, found.layer) == ("M10", "layer1.0.conv1")
    assert "[8, 8, 3, 3] ≠ [8, 8, 1, 1]" in found.arithmetic
    assert "BasicBlock" in found.title


def test_m10_another_width():
    """M10: one layer has other channels."""
    actual = Net()
    actual.layer2[1].conv1 = nn.Conv2d(8, 16, 3, 1, 1, bias=False)

    found, message = refused(Net(), actual)

    assert "size mismatch for layer2.1.conv1.weight" in message
    assert (found.code, found.layer) == ("M10", "layer2.1.conv1")
    assert found.arithmetic == "layer2.1.conv1.weight: 16 ≠ 8"


def test_m11_a_norm_for_other_channels():
    """M11: num_features is not the number of channels that come."""
    actual = Net(Bottleneck)
    actual.layer1[0].bn3 = nn.BatchNorm2d(8)

    found = explained(actual, expected=Net(Bottleneck))

    assert (found.code, found.layer) == ("M11", "layer1.0.bn3")
    assert found.arithmetic == "32 = 8·4: 32 channels came, num_features is 8"
    assert found.change == "nn.BatchNorm2d(32) for layer1.0.bn3"
    assert found.text == "out = self.bn3(self.conv3(out))"


def test_m11_squeezed_axes():
    """M11: squeeze takes the axes away that a batch norm needs."""

    class Squeezed(Net):
        def __init__(self):
            super().__init__()
            self.last = nn.BatchNorm2d(16)

        def forward(self, x):
            x = self.avgpool(self.features(x)).squeeze()
            return self.fc(self.last(x))

    found = explained(Squeezed())

    assert (found.code, found.layer) == ("M11", "squeeze")
    assert "[1, 16, 1, 1] without its axes of size 1 is [16]" in found.arithmetic
    assert ".squeeze()" in found.text


def test_m12_one_value_per_channel():
    """M12: a batch norm in training mode has one value per channel to average."""

    class Pooled(Net):
        def __init__(self):
            super().__init__()
            self.last = nn.BatchNorm2d(16)

        def forward(self, x):
            self.last.train()
            return self.fc(torch.flatten(self.last(self.avgpool(self.features(x))), 1))

    found = explained(Pooled())

    assert (found.code, found.layer) == ("M12", "last")
    assert found.arithmetic == "n·h·w = 1·1·1 = 1: one value has no variance"
    assert "network.eval()" in found.change
    assert "self.last(" in found.text


def test_m13_an_imagenet_stem_on_a_small_image():
    """M13: the last map has become smaller than the window of the pooling."""
    actual = Net()
    actual.avgpool = nn.AvgPool2d(7)

    found = explained(actual, shape=(1, 3, 32, 32))

    assert (found.code, found.layer) == ("M13", "avgpool")
    assert "a 7×7 window does not fit on a 4×4 map" in found.title
    assert "(4 + 2·0 - 7)/7" in found.arithmetic
    assert "32×32 → 16×16 → 8×8 → 4×4" in found.arithmetic
    assert "AdaptiveAvgPool2d" in found.change
    assert "self.avgpool(" in found.text


def test_m13_a_kernel_that_does_not_fit():
    """M13: a convolution without padding on a map smaller than its kernel."""
    actual = Net()
    actual.layer2[1].conv1 = nn.Conv2d(16, 16, 3, bias=False)

    found = explained(actual, shape=(1, 3, 9, 9))

    assert (found.code, found.layer) == ("M13", "layer2.1.conv1")
    assert "(2 + 2·0 - 3)/1 + 1 = 0 < 1" in found.arithmetic


def renamed(state, **words):
    """The shapes under other names."""
    found = {}
    for name, shape in state.items():
        for old, new in words.items():
            name = name.replace(old, new)  # noqa: PLW2901
        found[name] = shape
    return found


def test_m14_data_parallel():
    """M14: all names begin with `module.`, on either side."""
    wrapped = nn.DataParallel(Net())

    found, message = refused(Net(), wrapped)
    assert "Missing key(s)" in message
    assert found.code == "M14"
    assert found.title == "the candidate's names all begin with module."
    assert "network.module" in found.change

    found, _ = refused(wrapped, Net())
    assert found.title == "the loaded names all begin with module."
    assert 'name.removeprefix("module.")' in found.change


def test_m14_a_deep_stem():
    """M14: the first convolution is three of them on one side."""
    actual = Net()
    actual.conv1 = nn.Sequential(*(nn.Conv2d(c, 8, 3, s, 1, bias=False) for c, s in ((3, 2), (8, 1), (8, 1))))

    found, message = refused(Net(), actual)

    assert "conv1.0.weight" in message
    assert (found.code, found.layer) == ("M14", "conv1")
    assert found.title.startswith("the candidate has a deep stem")
    assert found.arithmetic.startswith("conv1 holds 3 convolutions")


def test_m14_downsample_is_called_shortcut():
    """M14: the same tensors under other names."""

    class Renamed(Net):
        def __init__(self):
            super().__init__()
            for block in (*self.layer1, *self.layer2):
                block.shortcut = block.downsample
                del block.downsample

    found, message = refused(Net(), Renamed())

    assert "layer2.0.shortcut.0.weight" in message
    assert found.code == "M14"
    assert found.title.endswith("downsample is called shortcut")
    assert found.arithmetic == "6 names are others, 6 of them for tensors of the same shape"


def test_m14_batch_counters():
    """M14: weights from before torch 0.4.1 have no batch counters."""
    old = {name: shape for name, shape in shapes_of(Net()).items() if "num_batches" not in name}

    found = explain_state_dict(old, shapes_of(Net()))

    assert found is not None
    assert found.code == "M14"
    assert "10 names end in num_batches_tracked" in found.arithmetic
    assert "strict=False is safe" in found.change


def test_m14_another_depth():
    """M14: whole blocks are on one side alone."""
    found, message = refused(Net(), Net(blocks=(2, 3)))

    assert "layer2.2.conv1.weight" in message
    assert found.code == "M14"
    assert found.arithmetic == "blocks per stage: the candidate [2, 3] = 5, the weights [2, 2] = 4"


def test_a_state_dict_that_fits_is_not_explained():
    """No explanation where nothing is wrong."""
    assert explain_state_dict(shapes_of(Net()), shapes_of(Net())) is None


class SwallowsTheBatch(Net):
    def forward(self, x):
        x = self.features(x)
        return self.fc(x.view(-1, 16))


def test_m15_view_swallows_the_map():
    """M15: view(-1, c) makes rows of the map's places; the loss raises, and the shapes show it without one."""
    shape = (4, 3, 64, 64)
    with pytest.raises(ValueError, match=r"Expected input batch_size \(256\) to match target batch_size \(4\)"):
        F.cross_entropy(SwallowsTheBatch().eval()(torch.zeros(shape)), torch.zeros(4, dtype=torch.long))

    expected, actual = (structure_of(network.eval(), shape) for network in (Net(), SwallowsTheBatch()))
    found = explain_difference(expected, actual, align(expected.ops, actual.ops))

    assert found is not None
    assert (found.code, found.layer) == ("M15", "view")
    assert found.arithmetic == "256 = 4·64: each image became 64 rows, one for each place of its 8×8 map"
    assert found.change == "pool to 1×1 first, and flatten with torch.flatten(x, 1) or x.view(x.size(0), -1)"
    assert found.text == "return self.fc(x.view(-1, 16))"


def test_a_squeeze_that_takes_the_batch():
    """A squeeze() without an axis at batch 1 gives one row less; with two images nothing is wrong."""

    class Squeezed(Net):
        def forward(self, x):
            return self.fc(self.avgpool(self.features(x)).squeeze())

    for n, wrong in ((1, True), (2, False)):
        expected, actual = (structure_of(network.eval(), (n, *SHAPE[1:])) for network in (Net(), Squeezed()))
        found = explain_difference(expected, actual, align(expected.ops, actual.ops))
        assert (found is not None) is wrong
        if found is not None:
            assert "because the batch holds one image" in found.title


def test_m16_parameters_in_double():
    """M16: a network in double, an image in float."""
    found = explained(Net().double())

    assert (found.code, found.layer) == ("M16", "conv1")
    assert found.arithmetic.startswith("conv1 takes float32 and holds float64")
    assert "network.float()" in found.change
    assert "conv1" in found.text


def test_m16_a_constant_of_numpys():
    """M16: a constant from NumPy turns everything behind it into float64; the line of the constant is named."""

    class Normalised(Net):
        def forward(self, x):
            x = x / torch.from_numpy(np.array([0.2, 0.2, 0.2])).view(1, 3, 1, 1)
            return super().forward(x)

    found = explained(Normalised())

    assert (found.code, found.layer) == ("M16", "div")
    assert found.title == "div turns float32 into float64"
    assert "torch.from_numpy(np.array" in found.text
    assert any("Double" in line or "double" in line for line in found.evidence)


class ReluThenAdd(Block):
    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out += identity
        return out


class ReluThenNewAdd(ReluThenAdd):
    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out))) + identity


class ReluOnWhatAConvKeeps(Block):
    def forward(self, x):
        out = self.conv1(x)
        identity = self.relu(x) if self.downsample is None else self.downsample(x)
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(out)))) + identity)


class SigmoidThenScale(Block):
    def forward(self, x):
        out = torch.sigmoid(self.conv1(x))
        out *= 2
        return out


class NormThenReluInPlace(Block):
    def forward(self, x):
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)
        return out + 1


def training_raises(network):
    """Whether torch's own backward pass raises, for an operation in place."""
    try:
        network(torch.randn(2, 3, 32, 32)).sum().backward()
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)  # noqa: PT017
        return True
    return False


@pytest.mark.parametrize(
    ("block", "layer"),
    [
        (Block, None),
        (Bottleneck, None),
        (ReluThenAdd, "layer1.0.add"),
        (ReluThenNewAdd, None),
        (ReluOnWhatAConvKeeps, "layer1.0.relu"),
        (SigmoidThenScale, "layer1.0.mul"),
        (NormThenReluInPlace, None),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_m17_what_the_data_flow_says_torch_does(block, layer):
    """M17: the data flow alone tells what torch's backward pass raises, and names the operation in place."""
    network = Net(block)
    found = explain_in_place(structure_of(network, (2, 3, 32, 32)))

    assert (found is not None) is training_raises(network)
    assert (found.layer if found else None) == layer
    if block is ReluThenAdd:
        assert found.code == "M17"
        assert found.arithmetic.startswith("layer1.0.relu_1 (relu) keeps its output for the backward pass")
        assert found.change == "write out = out + identity instead of out += identity at layer1.0.add"
        assert found.source is not None


def test_the_first_cause_is_told_before_the_crash():
    """A stem without stride is the cause of a head that raises; both are explained, the earlier with its own sum."""
    actual = FixedPool()
    actual.conv1 = nn.Conv2d(3, 8, 7, 1, 3, bias=False)

    found = explained(actual, shape=(1, 3, 32, 32))

    assert found.code == "M2"
    assert found.cause is not None
    assert found.cause.layer == "conv1"
    assert found.cause.arithmetic == "(32 + 2·3 - 7)/1 + 1 = 32, expected ⌊(32 + 2·3 - 7)/2⌋ + 1 = 16"
    assert found.cause.change == "give conv1 stride=2"


def test_a_missing_pooling_is_named():
    """Where an operation that is not there is the first cause, it is named."""

    class NoPool(FixedPool):
        def features(self, x):
            return self.layer2(self.layer1(self.relu(self.bn1(self.conv1(x)))))

    found = explained(NoPool(), shape=(1, 3, 32, 32))

    assert found.code == "M2"
    assert found.cause is not None
    assert found.cause.title == "maxpool is missing"
    assert "makes [1, 8, 8, 8] of [1, 8, 16, 16]" in found.cause.arithmetic


def test_an_error_of_none_of_the_patterns_is_said_to_be_one():
    """An error nobody foresaw gets no pattern, but the facts."""

    class Wrong(Net):
        def forward(self, x):
            return torch.cat([self.features(x), torch.zeros(2, 16, 3, 3)], dim=1)

    found = explained(Wrong())

    assert found.code == ""
    assert "not one of the known patterns" in found.title
    assert found.evidence[0].startswith("Sizes of tensors must match")
    assert "torch.cat" in found.text


def test_an_error_outside_any_operation():
    """An error of the candidate's own code is named with its line."""

    class Asserts(Net):
        def forward(self, x):
            x = self.features(x)
            raise ValueError("made for 224x224")

    found = explained(Asserts())

    assert found.code == ""
    assert found.evidence[0] == "made for 224x224"
    assert found.text == 'raise ValueError("made for 224x224")'


def test_a_network_that_does_not_raise_is_not_explained():
    """No explanation where nothing is wrong."""
    structure = structure_of(Net().eval(), SHAPE)

    assert explain_crash_finding(structure, structure) is None
    assert explain_difference(structure, structure, align(structure.ops, structure.ops)) is None
