"""What people call the layers of a ResNet: a hint for pairing, never a proof."""

from __future__ import annotations

import re

__all__ = ["plain_name"]

_WORDS = {
    "shortcut": "downsample", "identity_downsample": "downsample", "projection": "downsample", "proj": "downsample",
    "skip": "downsample", "skip_connection": "downsample", "residual_conv": "downsample", "down": "downsample",
    "downsampling": "downsample", "classifier": "fc", "linear": "fc", "head": "fc", "dense": "fc", "logits": "fc",
    "output": "fc", "norm1": "bn1", "norm2": "bn2", "norm3": "bn3", "batch_norm1": "bn1", "batch_norm2": "bn2",
    "batch_norm3": "bn3", "batchnorm1": "bn1", "batchnorm2": "bn2", "batchnorm3": "bn3", "pool1": "maxpool",
    "max_pool": "maxpool", "pool": "maxpool", "avg_pool": "avgpool", "gap": "avgpool", "global_pool": "avgpool",
}  # fmt: skip

_WRAPPERS = frozenset({"module", "model", "backbone", "net", "network", "resnet", "encoder", "body", "base"})

_STAGES = (
    (re.compile(r"^conv([2-5])_x$"), -1),
    (re.compile(r"^res([2-5])$"), -1),
    (re.compile(r"^(?:stage|layer|layers|block|group|blocks)_?([1-4])$"), 0),
)


def plain_name(path: str) -> str:
    """A path in torchvision's words, as far as they can be guessed.

    `model.conv2_x.0.shortcut.0` is `layer1.0.downsample.0`. `DataParallel` puts `module.`
    in front, and common names of stages, shortcuts and heads are translated.
    """
    parts = path.split(".")
    while len(parts) > 1 and parts[0] in _WRAPPERS:
        parts = parts[1:]
    return ".".join(_plain(part.lower()) for part in parts)


def _plain(part: str) -> str:
    for pattern, offset in _STAGES:
        if match := pattern.match(part):
            return f"layer{int(match[1]) + offset}"
    return _WORDS.get(part, part)
