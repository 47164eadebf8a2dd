"""After the library for practitioners: ConvLayer, NormType, idpath and convpath, one act_fn."""

from enum import Enum

import torch
from torch import nn

NormType = Enum("NormType", "Batch BatchZero")
act_fn = nn.ReLU


def init_cnn(m):
    if getattr(m, "bias", None) is not None:
        nn.init.constant_(m.bias, 0)
    if isinstance(m, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(m.weight)
    for child in m.children():
        init_cnn(child)


def noop(x):
    return x


class ConvLayer(nn.Sequential):
    def __init__(self, ni, nf, ks=3, stride=1, norm_type=NormType.Batch, act=True):
        bn = nn.BatchNorm2d(nf)
        nn.init.constant_(bn.weight, 0.0 if norm_type == NormType.BatchZero else 1.0)
        layers = [nn.Conv2d(ni, nf, ks, stride=stride, padding=ks // 2, bias=False), bn]
        if act:
            layers.append(act_fn())
        super().__init__(*layers)


class ResBlock(nn.Module):
    def __init__(self, expansion, ni, nh, stride=1):
        super().__init__()
        nf, ni = nh * expansion, ni * expansion if ni != 0 else 64
        zero = {"norm_type": NormType.BatchZero, "act": False}
        if expansion == 1:
            layers = [ConvLayer(ni, nh, 3, stride=stride), ConvLayer(nh, nf, 3, **zero)]
        else:
            layers = [ConvLayer(ni, nh, 1), ConvLayer(nh, nh, 3, stride=stride), ConvLayer(nh, nf, 1, **zero)]
        self.convpath = nn.Sequential(*layers)
        self.idpath = noop if ni == nf and stride == 1 else ConvLayer(ni, nf, 1, stride=stride, act=False)
        self.act = act_fn()

    def forward(self, x):
        return self.act(self.convpath(x) + self.idpath(x))


class AdaptiveHead(nn.Module):
    def __init__(self, nf, c_out):
        super().__init__()
        self.ap, self.lin = nn.AdaptiveAvgPool2d(1), nn.Linear(nf, c_out)

    def forward(self, x):
        x = self.ap(x)
        return self.lin(x.view(x.size(0), -1))


class Learnable(nn.Sequential):
    @classmethod
    def create(cls, expansion, layers, c_in=3, c_out=1000):
        # the stem's 64 channels stand for a 'hidden width' of 0 before the first block
        block_szs = [0, 64, 128, 256, 512]
        blocks = [
            cls._make_layer(expansion, block_szs[i], block_szs[i + 1], n_blocks=n, stride=1 if i == 0 else 2)
            for i, n in enumerate(layers)
        ]
        res = cls(
            ConvLayer(c_in, 64, ks=7, stride=2),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            *blocks,
            AdaptiveHead(block_szs[-1] * expansion, c_out),
        )
        init_cnn(res)
        return res

    @staticmethod
    def _make_layer(expansion, ni, nf, n_blocks, stride):
        return nn.Sequential(
            *[ResBlock(expansion, ni if i == 0 else nf, nf, stride if i == 0 else 1) for i in range(n_blocks)]
        )


def xresnet50(**kwargs):
    return Learnable.create(4, [3, 4, 6, 3], **kwargs)


@torch.no_grad()
def lsuv_stats(x):
    return x.mean().item(), x.std().item()
