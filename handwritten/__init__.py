"""Residual networks written by hand, twice: from torch's tensor operations, and from NumPy alone.

Begin with `configurations`, then read either half from the network down: `torch_resnet`, `torch_blocks`,
`torch_layers`, or `numpy_resnet`, `numpy_blocks`, `numpy_layers`, `numpy_ops`. The NumPy half never imports torch.
"""
