"""Raw parameters in a flat namespace. Kernels lie as [out, height, width, in], as our exporter writes them."""

import torch
from torch.nn import Module, Parameter
from torch.nn.functional import adaptive_avg_pool2d, batch_norm, conv2d, max_pool2d, relu


class FlatResNet50(Module):
    BLOCKS = (3, 4, 6, 3)

    def __init__(self, num_classes=1000):
        super().__init__()
        self._kernel("conv1", 64, 7, 3)
        cin = 64
        for s, n in enumerate(self.BLOCKS):
            mid, cout = 64 << s, 256 << s
            for b in range(n):
                self._kernel(f"s{s}_b{b}_a", mid, 1, cin)
                self._kernel(f"s{s}_b{b}_b", mid, 3, mid)
                self._kernel(f"s{s}_b{b}_c", cout, 1, mid)
                if b == 0:
                    self._kernel(f"s{s}_b{b}_p", cout, 1, cin)
                cin = cout
        # the classifier is stored transposed and used with a plain matrix product
        self.register_parameter("classifier_w", Parameter(torch.randn(cin, num_classes) / 50))
        self.register_parameter("classifier_b", Parameter(torch.zeros(num_classes)))

    def _kernel(self, name, out, k, cin):
        self.register_parameter(f"{name}_kernel", Parameter(torch.randn(out, k, k, cin) / (k * k * cin) ** 0.5))
        self.register_parameter(f"{name}_bias", Parameter(torch.zeros(out)))
        self.register_parameter(f"{name}_gamma", Parameter(torch.ones(out)))
        self.register_parameter(f"{name}_beta", Parameter(torch.zeros(out)))
        self.register_buffer(f"{name}_mu", torch.zeros(out))
        self.register_buffer(f"{name}_sigma2", torch.ones(out))

    def _conv(self, x, name, stride=1):
        kernel, bias = self.get_parameter(f"{name}_kernel"), self.get_parameter(f"{name}_bias")
        x = conv2d(x, kernel.permute(0, 3, 1, 2), bias, stride=stride, padding=kernel.shape[1] // 2)
        gamma, beta = self.get_parameter(f"{name}_gamma"), self.get_parameter(f"{name}_beta")
        return batch_norm(x, self.get_buffer(f"{name}_mu"), self.get_buffer(f"{name}_sigma2"), gamma, beta)

    def forward(self, x):
        x = max_pool2d(relu(self._conv(x, "conv1", 2)), 3, stride=2, padding=1)
        for s, n in enumerate(self.BLOCKS):
            for b in range(n):
                name, stride = f"s{s}_b{b}", 2 if s > 0 and b == 0 else 1
                y = relu(self._conv(x, name + "_a"))
                y = relu(self._conv(y, name + "_b", stride))
                y = self._conv(y, name + "_c")
                x = relu(y + (self._conv(x, name + "_p", stride) if b == 0 else x))
        x = adaptive_avg_pool2d(x, 1)[:, :, 0, 0]
        return x @ self.classifier_w + self.classifier_b
