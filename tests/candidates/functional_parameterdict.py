"""ResNet-18 as plain functions over a dictionary of parameters. There are no layers, only tensors."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def init_params(num_classes=1000):
    """All learned tensors by name, and the running statistics by name."""
    p, stats = {}, {}

    def conv(name, cin, cout, k):
        p[name + "_w"] = torch.randn(cout, cin, k, k) * (2 / (cin * k * k)) ** 0.5

    def bn(name, c):
        p[name + "_g"], p[name + "_b"] = torch.ones(c), torch.zeros(c)
        stats[name + "_mean"], stats[name + "_var"] = torch.zeros(c), torch.ones(c)

    conv("stem", 3, 64, 7)
    bn("stem", 64)
    cin = 64
    for s, c in enumerate((64, 128, 256, 512)):
        for i in range(2):
            if cin != c:  # the projection is made first, but used last
                conv(f"s{s}b{i}_proj", cin, c, 1)
                bn(f"s{s}b{i}_proj", c)
            conv(f"s{s}b{i}_1", cin, c, 3)
            bn(f"s{s}b{i}_1", c)
            conv(f"s{s}b{i}_2", c, c, 3)
            bn(f"s{s}b{i}_2", c)
            cin = c
    p["head_w"], p["head_b"] = torch.randn(num_classes, 512) * 0.01, torch.zeros(num_classes)
    return p, stats


def conv_bn(p, stats, name, x, stride, padding):
    x = F.conv2d(x, p[name + "_w"], stride=stride, padding=padding)
    return F.batch_norm(x, stats[name + "_mean"], stats[name + "_var"], p[name + "_g"], p[name + "_b"])


def basic_block(p, stats, name, x, stride):
    y = F.relu(conv_bn(p, stats, name + "_1", x, stride, 1))
    y = conv_bn(p, stats, name + "_2", y, 1, 1)
    if name + "_proj_w" in p:
        x = conv_bn(p, stats, name + "_proj", x, stride, 0)
    return F.relu(x + y)


def resnet18_forward(p, stats, x):
    x = F.relu(conv_bn(p, stats, "stem", x, 2, 3))
    x = F.max_pool2d(x, 3, 2, 1)
    for s in range(4):
        for i in range(2):
            x = basic_block(p, stats, f"s{s}b{i}", x, 2 if s > 0 and i == 0 else 1)
    x = x.mean(dim=(2, 3))
    return F.linear(x, p["head_w"], p["head_b"])


class Model(nn.Module):
    """The smallest wrapper that lets an optimizer and a state dict see the tensors."""

    def __init__(self):
        super().__init__()
        params, stats = init_params()
        self.params = nn.ParameterDict(params)
        for name, value in stats.items():
            self.register_buffer(name, value)

    def forward(self, x):
        return resnet18_forward(self.params, dict(self.named_buffers()), x)
