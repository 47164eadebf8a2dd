"""What each candidate is: the network it claims to be, whether it is, and if not, which layers are at fault."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

State = dict[str, Tensor]


@dataclass(frozen=True)
class Candidate:
    """One file of this folder.

    Attributes:
        file: its name.
        call: what builds the network: the spec after the colon of `FILE.py:…`.
        expected: torchvision's name for the network it means to be.
        right: whether it computes exactly torchvision's function with torchvision's weights in eval mode.
        why: what is special about its style, or what is wrong, in a sentence.
        layers: ids of the expected layers at fault: given the expected network's input they give something else (or
            what they take is wired from elsewhere). Layers that only inherit are not named. An operation that does
            another thing in its place (average for max) counts as the layer at fault.
        missing: ids of the expected layers that have nothing in their place.
        one_of: groups of ids, of each of which at least one is at fault or missing; which, is a matter of view. None
            outside `layers`, `missing` and these is.
        extra_kinds: torch's names of operations it has on top. Those that are part of a layer at fault (a padding of
            its own before a convolution) are not named.
        crash: whether its forward pass raises. Then `layers` and `missing` name what is wrong in the code, not the
            layers that never ran.
        returns: the type's name, where it returns something else than one tensor.
        random: whether its output changes from call to call.
        only_at: the one side length of the image at which this holds; None for any (tried at 64).
        carry: turns torchvision's state dict into the candidate's, where the order of execution is not enough to prove
            the entry: own layer classes, or names on which the fault depends.
        repair: replacements in the source that mend the faults; they prove that there are no others.
        spoil: what torchvision's network would have to do in the layers named, and only there, to be this candidate:
            a function of the network, the layer's id and its inputs. It proves that they are the layers. None where
            the candidate has weights that are not torchvision's, or raises, or has no layer at fault.
    """

    file: str
    call: str
    expected: str
    right: bool
    why: str
    layers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    extra_kinds: tuple[str, ...] = ()
    crash: bool = False
    returns: str = ""
    random: bool = False
    only_at: int | None = None
    carry: Callable[[State], State] | None = None
    repair: tuple[tuple[str, str], ...] = ()
    spoil: Callable[..., Tensor] | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """Every layer id it names."""
        return tuple(dict.fromkeys([*self.layers, *self.missing, *(layer for group in self.one_of for layer in group)]))


RESNET18 = [f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)]
RESNET50 = [f"layer{stage}.{block}" for stage, count in enumerate((3, 4, 6, 3), 1) for block in range(count)]
DOWNSAMPLED = ("layer2.0", "layer3.0", "layer4.0")


def names(blocks: Sequence[str], *layers: str) -> tuple[str, ...]:
    """The ids of some layers in each of some blocks."""
    return tuple(f"{block}.{layer}" for block in blocks for layer in layers)


PROJECTED50 = tuple(f"layer{stage}.0" for stage in (1, 2, 3, 4))
NORMS18 = ("bn1", *names(RESNET18, "bn1", "bn2"), *names(DOWNSAMPLED, "downsample.1"))
NORMS50 = ("bn1", *names(RESNET50, "bn1", "bn2", "bn3"), *names(PROJECTED50, "downsample.1"))


def shared_blocks(counts: Sequence[int]) -> tuple[tuple[str, ...], ...]:
    """Every two layers that share their parameters where all basic blocks of a stage but its first are one object."""
    return tuple(
        (f"layer{stage}.{one}.{layer}", f"layer{stage}.{other}.{layer}")
        for stage, count in enumerate(counts, 1)
        for one, other in combinations(range(1, count), 2)
        for layer in ("conv1", "bn1", "conv2", "bn2")
    )


def own_layers(state: State) -> State:
    """Torchvision\'s ResNet-18 under the names of `own_conv_and_bn.py`."""
    renamed = {}
    for key, tensor in state.items():
        block = re.sub(r"^layer(\d)\.(\d)", lambda m: f"blocks.{2 * int(m[1]) - 2 + int(m[2])}", key)
        new = block.replace("downsample", "down")
        if "bn" in new or "down.1" in new:
            for theirs, ours in (("weight", "gamma"), ("bias", "beta"), ("running_", "moving_")):
                new = new.replace(theirs, ours)
        if "num_batches" not in new:
            renamed[new] = tensor
    return renamed


def flat_ohwi(state: State) -> State:
    """Torchvision\'s ResNet-50 under the names, and in the layouts, of `ohwi_register_parameter.py`."""
    kinds = {"weight": "gamma", "bias": "beta", "running_mean": "mu", "running_var": "sigma2"}
    renamed = {"classifier_w": state["fc.weight"].T, "classifier_b": state["fc.bias"]}
    for key, tensor in state.items():
        module, _, kind = key.rpartition(".")
        *block, layer = re.sub(r"layer(\d)\.", lambda m: f"s{int(m[1]) - 1}_b", module).split(".", 1)
        place = "conv1" if not block else f"{block[0]}_{'p' if 'downsample' in layer else 'abc'[int(layer[-1]) - 1]}"
        if tensor.ndim == 4:
            renamed[f"{place}_kernel"] = tensor.permute(0, 2, 3, 1)
        elif kind in kinds and module != "fc":
            renamed[f"{place}_{kinds[kind]}"] = tensor
    return renamed


def caffe(state: State) -> State:
    """Torchvision\'s ResNet-50 under the names of `caffe_names_and_scale.py`."""
    renamed = {"fc1000.weight": state["fc.weight"], "fc1000.bias": state["fc.bias"]}
    for key, tensor in state.items():
        module, _, kind = key.rpartition(".")
        found = re.fullmatch(r"layer(\d)\.(\d)\.(?:(?:conv|bn)(\d)|downsample\.\d)", module)
        if found:
            tag = f"{int(found[1]) + 1}{'abcdef'[int(found[2])]}_branch"
            tag += f"2{'abc'[int(found[3]) - 1]}" if found[3] else "1"
        else:
            tag = "_conv1"
        if tensor.ndim == 4:
            renamed[f"res{tag}.weight" if found else "conv1.weight"] = tensor
        elif kind.startswith("running"):
            renamed[f"bn{tag}.{kind}"] = tensor
        elif tensor.ndim == 1 and module != "fc":
            renamed[f"scale{tag}.{'gamma' if kind == 'weight' else 'beta'}"] = tensor
    return renamed


def bag_of_tricks(state: State) -> State:
    """Torchvision's ResNet-50 under the names of `averaged_shortcut.py`."""
    starts = (0, 3, 7, 13)
    renamed = {}
    for key, tensor in same_names(state).items():
        new = re.sub(r"layer(\d)\.(\d)", lambda m: f"body.{starts[int(m[1]) - 1] + int(m[2])}", key)
        if new == key:
            new = re.sub(r"^(conv1|bn1)", lambda m: f"stem.0.{'01'[m[1] == 'bn1']}", key).replace("fc", "head.2")
        else:
            new = re.sub(r"(conv|bn)(\d)", lambda m: f"path.{2 * int(m[2]) - 2}.{'01'[m[1] == 'bn']}", new)
        renamed[new.replace("downsample", "skip")] = tensor
    return renamed


def same_names(state: State) -> State:
    """Torchvision\'s own names."""
    return {key: tensor for key, tensor in state.items() if not key.endswith("num_batches_tracked")}


def at(network: nn.Module, layer: str) -> nn.Module:
    """The module of a layer; the one that runs again has the id's suffix."""
    return network.get_submodule(re.sub(r"_\d+$", "", layer))


def convolve(network: nn.Module, layer: str, x: Tensor, **changes: int) -> Tensor:
    """A convolution of torchvision's with another stride, padding or dilation."""
    conv = at(network, layer)
    settings = {name: getattr(conv, name) for name in ("stride", "padding", "dilation", "groups")}
    return functional.conv2d(x, conv.weight, conv.bias, **settings | changes)


def pass_on(_network: nn.Module, _layer: str, x: Tensor, *_others: Tensor) -> Tensor:
    """What stands in the place of a layer that is not there: its first input."""
    return x


def stride_first(network: nn.Module, layer: str, x: Tensor) -> Tensor:
    """The stride is in conv1."""
    return convolve(network, layer, x, stride=2 if layer.endswith("conv1") else 1)


def stride_last(network: nn.Module, layer: str, x: Tensor) -> Tensor:
    """The stride is in conv2."""
    return convolve(network, layer, x, stride=2 if layer.endswith("conv2") else 1)


def large_eps(network: nn.Module, layer: str, x: Tensor) -> Tensor:
    """TensorFlow's eps."""
    norm = at(network, layer)
    return functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-3)


def own_statistics(network: nn.Module, layer: str, x: Tensor) -> Tensor:
    """The input's own mean and variance."""
    return functional.batch_norm(x, None, None, at(network, layer).weight, at(network, layer).bias, training=True)


def clip_then_add(_network: nn.Module, layer: str, x: Tensor, *others: Tensor) -> Tensor:
    """The ReLU has moved into the addition."""
    return torch.relu(x) + others[0] if layer.endswith("add") else x


def same(network: nn.Module, layer: str, x: Tensor) -> Tensor:
    """Padding that is uneven, on maps of even size."""
    if layer == "maxpool":
        return functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)
    pads = (2, 3, 2, 3) if layer == "conv1" else (0, 1, 0, 1)
    return convolve(network, layer, functional.pad(x, pads), padding=0)


def dilated(network: nn.Module, layer: str, x: Tensor) -> Tensor:
    """Without stride in the first block, with dilation in the others."""
    if layer.startswith("layer4.0"):
        return convolve(network, layer, x, stride=1)
    return convolve(network, layer, x, padding=2, dilation=2)


def last_of_its_stage(network: nn.Module, layer: str, x: Tensor) -> Tensor:
    """The same layer of the stage's last block."""
    stage, _, rest = layer.split(".", 2)
    return at(network.get_submodule(stage)[-1], rest)(x)


def turned(network: nn.Module, layer: str, x: Tensor) -> Tensor:
    """A convolution with its kernel turned around."""
    conv = at(network, layer)
    return functional.conv2d(x, conv.weight.flip(2, 3), stride=conv.stride, padding=conv.padding)


def ramp(network: nn.Module, layer: str, x: Tensor) -> Tensor:
    """The first convolution, of a ramp."""
    return at(network, layer)(torch.linspace(0, 1, x[0].numel(), dtype=x.dtype).reshape(x[:1].shape).expand(x.shape))


def other_norm(network: nn.Module, layer: str, x: Tensor) -> Tensor:
    """bn2 for bn1, and bn1 for bn2."""
    return at(network, layer[:-1] + {"1": "2", "2": "1"}[layer[-1]])(x)


def option_a(_network: nn.Module, layer: str, x: Tensor) -> Tensor:
    """Every second pixel, then zeros in front and behind."""
    half = x.shape[1] // 2
    return x[:, :, ::2, ::2] if layer.endswith("0") else functional.pad(x, (0, 0, 0, 0, half, half))


def average_first(network: nn.Module, layer: str, x: Tensor) -> Tensor:
    """An average in the place of the stride."""
    return convolve(network, layer, functional.avg_pool2d(x, 2), stride=1)


def caffe_pool(_network: nn.Module, layer: str, x: Tensor) -> Tensor:
    """A max-pool that rounds up; the lost ReLU passes on."""
    return functional.max_pool2d(x, 3, 2, ceil_mode=True) if layer == "maxpool" else x


RIGHT: tuple[Candidate, ...] = (
    Candidate(
        "course_identity_downsample.py",
        "ResNet101()",
        "resnet101",
        True,
        "A course's `identity_downsample`, handed in; biased convolutions; one ReLU in a block.",
    ),
    Candidate(
        "residual_function_conv2_x.py",
        "ResNet(BasicBlock, [2, 2, 2, 2])",
        "resnet18",
        True,
        "`residual_function` and `shortcut`, an empty Sequential as identity, a ReLU made inside forward.",
    ),
    Candidate(
        "functional_parameterdict.py",
        "Model",
        "resnet18",
        True,
        "Functions over a dictionary of tensors; the projection is registered before the main path.",
    ),
    Candidate("sequential_stages.py", "resnet50", "resnet50", True, "Sequentials throughout; the top itself is one."),
    Candidate(
        "convblock_identityblock.py",
        "ResNet50",
        "resnet50",
        True,
        "Convolutional and identity blocks; the shortcut is registered and run first; a padding layer, and 'same'.",
    ),
    Candidate(
        "keras_names.py",
        "KerasResNet(depth=50)",
        "resnet50",
        True,
        "Keras's flat layer names and explicit zero padding, in front of the max-pool too; biased convolutions.",
    ),
    Candidate(
        "transformers_like.py",
        "ResNetForImageClassification",
        "resnet50",
        True,
        "Embeddings, encoder, stages and a dataclass as configuration, in a file with postponed annotations.",
    ),
    Candidate(
        "detector_backbone_add_module.py",
        "ResNet(depth=34)",
        "resnet34",
        True,
        "Computed names, getattr and properties; batch norms registered before the convolutions they follow.",
    ),
    Candidate(
        "timm_like.py",
        "resnet152",
        "resnet152",
        True,
        "A model zoo's knobs, all off: identities, a DropPath that all blocks share, act1 to act3.",
    ),
    Candidate(
        "lambdas_and_wrappers.py",
        "resnet34",
        "resnet34",
        True,
        "Lambdas as modules, Residual(fn), a mean over the flattened map.",
    ),
    Candidate(
        "own_conv_and_bn.py",
        "MyResNet18",
        "resnet18",
        True,
        "Layers of its own out of tensor operations: unfold and matmul, moving statistics, a max over patches.",
        carry=own_layers,
    ),
    Candidate(
        "book_b1_to_b5.py",
        "make_net",
        "resnet18",
        True,
        "A textbook's b1 to b5; conv3 is the shortcut; batch norms registered last; biased convolutions.",
    ),
    Candidate(
        "hwio_kernels.py",
        "ResNet18",
        "resnet18",
        True,
        "TensorFlow's layouts, permuted on the fly; the dense layer is addmm; the head is registered first.",
    ),
    Candidate(
        "ohwi_register_parameter.py",
        "FlatResNet50",
        "resnet50",
        True,
        "Raw parameters in one flat namespace, OHWI, convolution biases; x @ w + b.",
        carry=flat_ohwi,
    ),
    Candidate(
        "conv_as_classifier.py",
        "FullyConvolutional",
        "resnet34",
        True,
        "The classifier is a 1x1 convolution, flattened afterwards; ModuleLists that are looped over.",
    ),
    Candidate(
        "relu_after_maxpool.py",
        "FastStemResNet",
        "resnet18",
        True,
        "The stem's ReLU comes after the max-pool; the shortcut's layers run first; two means for the pooling.",
    ),
    Candidate(
        "conv_norm_activation_wide.py",
        "WideResNet",
        "wide_resnet50_2",
        True,
        "A subclass of Sequential as the building block; a Dropout(0).",
    ),
    Candidate(
        "resnext_cardinality.py",
        "resnext50_32x4d",
        "resnext50_32x4d",
        True,
        "Grouped convolutions by cardinality and width; `.forward` called directly.",
    ),
    Candidate(
        "moduledict_stages.py",
        "StagedResNet",
        "resnet50",
        True,
        "ModuleDicts and a forward that collects the stages; the expansion is registered before the reduction.",
    ),
    Candidate(
        "registered_backwards_with_leftovers.py",
        "WorkInProgress",
        "resnet18",
        True,
        "Registered from the last to the first; an unused convolution in every block, unused heads, a loose parameter.",
    ),
    Candidate(
        "one_relu_for_all.py",
        "ResNet(num_blocks=(3, 4, 6, 3))",
        "resnet34",
        True,
        "One in-place ReLU object serves the whole network.",
    ),
    Candidate(
        "dunder_call_layers.py",
        "XResNet50",
        "resnet50",
        True,
        "Modules that define `__call__`, so that no hook ever runs, and layers that are no modules.",
    ),
    Candidate(
        "add_out_inference_only.py",
        "LeanResNet18",
        "resnet18",
        True,
        "torch.add(out=), add_, relu_, under a decorator that turns autograd off.",
    ),
    Candidate(
        "keyword_and_direct_forward.py",
        "ExplicitResNet",
        "resnet18",
        True,
        "Every argument by keyword, `forward` called directly.",
    ),
    Candidate(
        "ordereddict_deep_nesting.py",
        "Model",
        "resnet18",
        True,
        "Names six levels deep, identities, contiguous(), Dropout(0); sum() adds the branches to 0, identity first.",
    ),
    Candidate("config_strings.py", "Net", "resnet34", True, "Built from a text of one layer a line."),
    Candidate(
        "partial_factories.py",
        "build(counts=[3, 4, 6, 3])",
        "resnet50",
        True,
        "functools.partial and reduce; layers made from lists inside forward.",
    ),
    Candidate(
        "fixed_7x7_pool.py",
        "ResNet224([2, 2, 2, 2])",
        "resnet18",
        True,
        "A fixed 7x7 average: right for 224x224 only.",
        only_at=224,
    ),
    Candidate(
        "caffe_names_and_scale.py",
        "ResNet50Caffe",
        "resnet50",
        True,
        "Caffe's names; batch norm without weights and a scale layer after it.",
        carry=caffe,
    ),
    Candidate(
        "einsum_windows.py",
        "EinsumResNet18",
        "resnet18",
        True,
        "Sliding windows and einsum for convolution, one scale and one shift for batch norm, maximum with 0 for ReLU.",
        carry=same_names,
    ),
    Candidate("template_methods.py", "ResNet50", "resnet50", True, "An abstract block, a subclass for each depth."),
    Candidate(
        "explicit_padding.py",
        "BoardResNet",
        "resnet18",
        True,
        "F.pad before every unpadded convolution, minus infinity before the max-pool, clamp_min for ReLU.",
    ),
    Candidate(
        "lightning_like.py",
        "LitClassifier(blocks=[2, 2, 2, 2])",
        "resnet18",
        True,
        "A training module with a loss, an unused buffer and biased convolutions around a Sequential.",
    ),
    Candidate(
        "fastai_like.py",
        "xresnet50",
        "resnet50",
        True,
        "idpath and convpath, a plain function as identity, a classmethod that builds a Sequential.",
    ),
    Candidate(
        "recursion_and_generators.py",
        "Lazy",
        "resnet18",
        True,
        "A block holds the rest of its stage, registered first; forward drives a generator, and makes its pools.",
    ),
    Candidate(
        "kaggle_notebook.py",
        "ResNet50",
        "resnet50",
        True,
        "An exported notebook: exec builds the stages, batch norms are registered backwards, biased convolutions.",
    ),
    Candidate(
        "pytorchcv_units.py",
        "ResNet(blocks=18)",
        "resnet18",
        True,
        "Units with bodies, `features` and `output`, identity_conv run before the body.",
    ),
    Candidate(
        "depth_argument_dataclass.py",
        "ResNet(depth=50)",
        "resnet50",
        True,
        "All depths from a table; batch norm registered before its convolution.",
    ),
    Candidate(
        "shared_helper_on_self.py",
        "Flat18",
        "resnet18",
        True,
        "Flat attributes: all convolutions, then the projections backwards, then all norms backwards.",
    ),
    Candidate(
        "segmentation_encoder.py",
        "SegmentationNet",
        "resnet50",
        True,
        "An unused decoder with convolutions of its own is registered first.",
    ),
)

WRONG: tuple[Candidate, ...] = (
    Candidate(
        "stride_on_1x1.py",
        "ResNet50",
        "resnet50",
        False,
        "The stride is on the 1x1 convolution, as in the paper, instead of on the 3x3.",
        layers=names(DOWNSAMPLED, "conv1", "conv2"),
        spoil=stride_first,
        repair=(
            (
                "planes, 1, stride=stride, bias=False)\n        self.bn_reduce",
                "planes, 1, bias=False)\n        self.bn_reduce",
            ),
            ("planes, planes, 3, padding", "planes, planes, 3, stride=stride, padding"),
        ),
    ),
    Candidate(
        "eps_of_the_stem.py",
        "Net",
        "resnet18",
        False,
        "The first batch norm has eps=1e-3.",
        layers=("bn1",),
        spoil=large_eps,
        repair=(("eps=0.001", "eps=1e-5"),),
    ),
    Candidate(
        "shortcut_forgotten.py",
        "UnrolledResNet18",
        "resnet18",
        False,
        "One of eight unrolled blocks does not add its input.",
        missing=("layer2.1.add",),
        spoil=pass_on,
        repair=(("x = F.relu(y)\n", "x = F.relu(x + y)\n"),),
    ),
    Candidate(
        "average_for_max.py",
        "ResNet34",
        "resnet34",
        False,
        "The stem pools by average.",
        layers=("maxpool",),
        spoil=lambda _network, _layer, x: functional.avg_pool2d(x, 3, 2, 1),
        repair=(("nn.AvgPool2d(", "nn.MaxPool2d("),),
    ),
    Candidate(
        "relu_before_the_addition.py",
        "ResNet18",
        "resnet18",
        False,
        "Each block ends in a ReLU and then adds, instead of adding first.",
        one_of=tuple(names([block], "add", "relu_1") for block in RESNET18),
        spoil=clip_then_add,
        repair=(
            ("out = self.cbr2(self.cbr1(x))", "out = self.cbr2.bn(self.cbr2.conv(self.cbr1(x)))"),
            ("return out + self.down(x)", "return self.cbr2.relu(out + self.down(x))"),
        ),
    ),
    Candidate(
        "cifar_stem.py",
        "ResNet18",
        "resnet18",
        False,
        "The stem for small pictures: a 3x3 convolution without stride, and no max-pool.",
        layers=("conv1",),
        missing=("maxpool",),
        repair=(
            ("nn.Conv2d(3, 64, 3, stride=1, padding=1", "nn.Conv2d(3, 64, 7, stride=2, padding=3"),
            ("self.pairs(out)", "self.pairs(F.max_pool2d(out, 3, 2, 1))"),
        ),
    ),
    Candidate(
        "dropout_always_on.py",
        "PetClassifier",
        "resnet18",
        False,
        "F.dropout without `training=` drops in eval mode too.",
        extra_kinds=("dropout",),
        random=True,
        repair=(("F.dropout(x, 0.5)", "F.dropout(x, 0.5, self.training)"),),
    ),
    Candidate(
        "returns_a_tuple.py",
        "RetrievalNet",
        "resnet18",
        False,
        "It returns the logits and the features.",
        returns="tuple",
        repair=(("return logits, features", "return logits"),),
    ),
    Candidate(
        "stride_on_second_3x3.py",
        "resnet18",
        "resnet18",
        False,
        "Basic blocks halve in their second convolution.",
        layers=names(DOWNSAMPLED, "conv1", "conv2"),
        spoil=stride_last,
        repair=(
            ("nn.Conv2d(inp, out, 3, padding", "nn.Conv2d(inp, out, 3, stride=s, padding"),
            ("nn.Conv2d(out, out, 3, stride=s, padding", "nn.Conv2d(out, out, 3, padding"),
        ),
    ),
    Candidate(
        "relu_missing_in_stage3.py",
        "ResNet18",
        "resnet18",
        False,
        "The blocks of one stage have no ReLU between their convolutions.",
        missing=("layer3.0.relu", "layer3.1.relu"),
        spoil=pass_on,
        repair=(("out = self.bn1(self.conv1(x))", "out = F.relu(self.bn1(self.conv1(x)))"),),
    ),
    Candidate(
        "eps_of_another_framework.py",
        "ResNet50",
        "resnet50",
        False,
        "All batch norms have TensorFlow's eps=1e-3.",
        layers=NORMS50,
        spoil=large_eps,
        repair=(("1e-3", "1e-5"),),
    ),
    Candidate(
        "shortcut_without_norm.py",
        "BottleNet",
        "resnet50",
        False,
        "Projections are bare convolutions.",
        missing=names(PROJECTED50, "downsample.1"),
        spoil=pass_on,
        repair=(
            (
                "self.fit = nn.Conv2d(nin, nout, 1, stride, bias=False)",
                "self.fit = nn.Sequential(nn.Conv2d(nin, nout, 1, stride, bias=False), nn.BatchNorm2d(nout))",
            ),
        ),
    ),
    Candidate(
        "maxpool_of_two.py",
        "ResNet34",
        "resnet34",
        False,
        "The max-pool has a window of 2 and no padding.",
        layers=("maxpool",),
        spoil=lambda _network, _layer, x: functional.max_pool2d(x, 2),
        repair=(("nn.MaxPool2d(2, 2)", "nn.MaxPool2d(3, 2, 1)"),),
    ),
    Candidate(
        "same_padding.py",
        "ResNet18Same",
        "resnet18",
        False,
        "TensorFlow's uneven padding wherever the stride is 2: wrong on 64x64, though right on 65x65.",
        layers=("conv1", "maxpool", *names(DOWNSAMPLED, "conv1")),
        spoil=same,
        repair=(("[total // 2, total - total // 2]", "[k // 2, k // 2]"),),
    ),
    Candidate(
        "dilated_last_stage.py",
        "OutputStride16",
        "resnet50",
        False,
        "The last stage has dilation in the place of its stride.",
        layers=("layer4.0.conv2", "layer4.0.downsample.0", "layer4.1.conv2", "layer4.2.conv2"),
        spoil=dilated,
        repair=(
            ("strides = (1, 2, 2, 1)", "strides = (1, 2, 2, 2)"),
            ("dilations = (1, 1, 1, 2)", "dilations = (1, 1, 1, 1)"),
        ),
    ),
    Candidate(
        "leaky_relu.py",
        "Discriminator",
        "resnet18",
        False,
        "LeakyReLU(0.01) throughout.",
        layers=("relu", *names(RESNET18, "relu", "relu_1")),
        spoil=lambda _network, _layer, x: functional.leaky_relu(x, 0.01),
        repair=(("negative_slope = 0.01", "negative_slope = 0.0"),),
    ),
    Candidate(
        "one_block_too_few.py",
        "ResNet50",
        "resnet50",
        False,
        "Five blocks in layer3 instead of six; under torchvision's names it is the last that is not there.",
        missing=names(["layer3.5"], "conv1", "bn1", "relu", "conv2", "bn2", "relu_1", "conv3", "bn3", "add", "relu_2"),
        carry=same_names,
        spoil=pass_on,
        repair=(
            (
                "stride=2, downsample=True),\n            Bottleneck(1024, 256),",
                "stride=2, downsample=True),\n            Bottleneck(1024, 256),\n            Bottleneck(1024, 256),",
            ),
        ),
    ),
    Candidate(
        "one_block_many_times.py",
        "ResNet34",
        "resnet34",
        False,
        "`[block] * n` is n times one block: its weights can be right in one place only.",
        one_of=shared_blocks((3, 4, 6, 3)),
        spoil=last_of_its_stage,
        repair=(
            ("[BasicBlock(planes, planes)] * (blocks - 1)", "[BasicBlock(planes, planes) for _ in range(blocks - 1)]"),
        ),
    ),
    Candidate(
        "blocks_in_a_plain_list.py",
        "ListNet",
        "resnet18",
        False,
        "The blocks are in a plain list: no state dict has their weights, no cast reaches them.",
        layers=(*names(RESNET18, "conv1", "bn1", "conv2", "bn2"), *names(DOWNSAMPLED, "downsample.0", "downsample.1")),
        repair=(("self.blocks = []", "self.blocks = nn.ModuleList()"),),
    ),
    Candidate(
        "cardinality_and_width_swapped.py",
        "ResNeXt50",
        "resnext50_32x4d",
        False,
        "4 groups of 32 channels instead of 32 groups of 4.",
        layers=names(RESNET50, "conv2"),
        repair=(("width_per_group=32, groups=4", "width_per_group=4, groups=32"),),
    ),
    Candidate(
        "sum_for_mean.py",
        "Net34",
        "resnet34",
        False,
        "The global pooling sums.",
        layers=("avgpool",),
        spoil=lambda _network, _layer, x: x.sum((2, 3), keepdim=True),
        repair=(("x.sum(", "x.mean("),),
    ),
    Candidate(
        "true_convolution.py",
        "TextbookResNet",
        "resnet18",
        False,
        "Kernels are turned around; where they are 1x1 this changes nothing.",
        layers=("conv1", *names(RESNET18, "conv1", "conv2")),
        carry=same_names,
        spoil=turned,
        repair=(("torch.flip(self.weight, dims=(2, 3))", "self.weight"),),
    ),
    Candidate(
        "ten_classes.py",
        "DefectNet",
        "resnet34",
        False,
        "A head of ten classes.",
        layers=("fc",),
        repair=(("n_classes=N_CLASSES", "n_classes=1000"),),
    ),
    Candidate(
        "batch_statistics_in_eval.py",
        "StyleEncoder",
        "resnet18",
        False,
        "Batch norms without running statistics use the picture's own.",
        layers=NORMS18,
        spoil=own_statistics,
        repair=(("track_running_stats=False", "track_running_stats=True"),),
    ),
    Candidate(
        "pooling_forgotten.py",
        "MyResNet",
        "resnet18",
        False,
        "No global pooling: the classifier meets a flattened map.",
        missing=("avgpool",),
        crash=True,
        repair=(
            (
                "        x = x.view(x.size(0), -1)",
                "        x = F.adaptive_avg_pool2d(x, 1)\n        x = x.view(x.size(0), -1)",
            ),
        ),
    ),
    Candidate(
        "returns_a_dict.py",
        "TrainerModel",
        "resnet18",
        False,
        "It returns a dictionary with the logits in it.",
        returns="dict",
        repair=(('{"logits": self.classifier(pooled)}', "self.classifier(pooled)"),),
    ),
    Candidate(
        "takes_nhwc.py",
        "Service",
        "resnet18",
        False,
        "It expects channels last, and turns what is channels first into 64 channels.",
        layers=("conv1",),
        crash=True,
        repair=(("pictures.permute(0, 3, 1, 2)", "pictures"),),
    ),
    Candidate(
        "ignores_its_input.py",
        "DebugNet",
        "resnet18",
        False,
        "A ramp takes the picture's place.",
        layers=("conv1",),
        spoil=ramp,
        repair=(("        x = self.example(x)\n", ""),),
    ),
    Candidate(
        "branch_times_zero.py",
        "GatedResNet",
        "resnet18",
        False,
        "A gate with convolutions of its own is added, times zero: the same output from another network.",
        extra_kinds=("mean", "conv2d", "tanh", "sigmoid", "mul", "add"),
        repair=(("        x = x + self.fade * self.gate(x)\n", ""),),
    ),
    Candidate(
        "norms_swapped.py",
        "ResNet18",
        "resnet18",
        False,
        "With torchvision's names, one block calls bn2 where bn1 belongs, and the other way round.",
        layers=("layer1.0.bn1", "layer1.0.bn2"),
        carry=same_names,
        spoil=other_norm,
        repair=(("after_bn1 = self.bn2", "after_bn1 = self.bn1"), ("after_bn2 = self.bn1", "after_bn2 = self.bn2")),
    ),
    Candidate(
        "cifar_head_and_stem.py",
        "Cifar34",
        "resnet34",
        False,
        "Stem and head for pictures of 32x32; others do not fit the classifier.",
        layers=("conv1", "avgpool"),
        missing=("maxpool",),
        crash=True,
        repair=(
            ("conv3x3(3, 64)", "nn.Conv2d(3, 64, 7, 2, 3, bias=False)"),
            ("        out = self.units(out)", "        out = self.units(F.max_pool2d(out, 3, 2, 1))"),
            ("F.avg_pool2d(out, 4)", "F.adaptive_avg_pool2d(out, 1)"),
        ),
    ),
    Candidate(
        "zero_padded_shortcut.py",
        "OptionA",
        "resnet18",
        False,
        "Shortcuts without parameters: every second pixel, zeros for the new channels.",
        one_of=tuple(names([block], "downsample.0", "downsample.1") for block in DOWNSAMPLED),
        spoil=option_a,
        repair=(
            (
                "LambdaLayer(lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, new // 2, new - new // 2)))",
                "nn.Sequential(nn.Conv2d(cin, cin + new, 1, stride, bias=False), nn.BatchNorm2d(cout))",
            ),
        ),
    ),
    Candidate(
        "averaged_shortcut.py",
        "ResNet50D",
        "resnet50",
        False,
        "Shortcuts average and then project without a stride.",
        layers=names(DOWNSAMPLED, "downsample.0"),
        spoil=average_first,
        carry=bag_of_tricks,
        repair=(
            ("nn.AvgPool2d(2) if s == 2 else nn.Identity()", "nn.Identity()"),
            ("ConvNorm(i, o, 1) if first", "ConvNorm(i, o, 1, s) if first"),
        ),
    ),
    Candidate(
        "ceil_maxpool_and_lost_relu.py",
        "CaffeResNet50",
        "resnet50",
        False,
        "Two faults: the max-pool rounds up and does not pad, and one block lacks its second ReLU.",
        layers=("maxpool",),
        missing=("layer3.2.relu_1",),
        spoil=caffe_pool,
        repair=(
            ("nn.MaxPool2d(3, 2, ceil_mode=True)", "nn.MaxPool2d(3, 2, 1)"),
            ("b_relu = nn.Identity()", "b_relu = nn.ReLU()"),
        ),
    ),
    Candidate(
        "projection_without_stride.py",
        "ResNet",
        "resnet18",
        False,
        "The projection keeps the resolution, so the addition raises.",
        layers=names(DOWNSAMPLED, "downsample.0"),
        crash=True,
        repair=(("nn.Conv2d(in_c, out_c, 1, bias=False)", "nn.Conv2d(in_c, out_c, 1, stride=s, bias=False)"),),
    ),
    Candidate(
        "head_of_another_size.py",
        "Headed",
        "resnet50",
        False,
        "The classifier expects 512x7x7 values, and gets 2048.",
        layers=("fc",),
        crash=True,
        repair=(("512 * 7 * 7", "2048"),),
    ),
)

CANDIDATES: tuple[Candidate, ...] = RIGHT + WRONG
