"""ResNet-18 whose tensors keep TensorFlow's layouts: kernels are HWIO, the dense layer is [in, out].

The checkpoint can then be read without a transpose; the transposes are made on the fly instead.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F


class ConvHWIO(nn.Module):
    def __init__(self, cin, cout, k, stride):
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(k, k, cin, cout).normal_(std=0.02))
        self.stride, self.padding = stride, k // 2

    def forward(self, x):
        return F.conv2d(x, self.kernel.permute(3, 2, 0, 1), None, self.stride, self.padding)


class Norm(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(c))
        self.offset = nn.Parameter(torch.zeros(c))
        self.register_buffer("mean", torch.zeros(c))
        self.register_buffer("variance", torch.ones(c))

    def forward(self, x):
        return F.batch_norm(x, self.mean, self.variance, weight=self.scale, bias=self.offset, training=self.training)


class Dense(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(cin, cout).normal_(std=0.01))
        self.bias = nn.Parameter(torch.zeros(cout))

    def forward(self, x):
        return torch.addmm(self.bias, x, self.kernel)


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        if stride != 1:
            self.conv_shortcut, self.norm_shortcut = ConvHWIO(cin, cout, 1, stride), Norm(cout)
        self.conv_0, self.norm_0 = ConvHWIO(cin, cout, 3, stride), Norm(cout)
        self.conv_1, self.norm_1 = ConvHWIO(cout, cout, 3, 1), Norm(cout)
        self.stride = stride

    def forward(self, inputs):
        shortcut = inputs
        if self.stride != 1:
            shortcut = self.norm_shortcut(self.conv_shortcut(inputs))
        out = self.norm_0(self.conv_0(inputs)).relu()
        out = self.norm_1(self.conv_1(out))
        return (out + shortcut).relu()


class ResNet18(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        self.logits = Dense(512, num_classes)
        self.initial_conv, self.initial_norm = ConvHWIO(3, 64, 7, 2), Norm(64)
        self.block_groups = nn.ModuleList()
        cin = 64
        for group, cout in enumerate((64, 128, 256, 512)):
            first = Block(cin, cout, 2 if group else 1)
            self.block_groups.append(nn.ModuleList([first, Block(cout, cout, 1)]))
            cin = cout

    def forward(self, inputs):
        out = self.initial_norm(self.initial_conv(inputs)).relu()
        out = F.max_pool2d(out, (3, 3), (2, 2), (1, 1))
        for group in self.block_groups:
            for block in group:
                out = block(out)
        return self.logits(out.mean(dim=[-2, -1]))
