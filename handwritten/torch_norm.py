"""Batch normalisation in torch, with the running statistics kept exactly as torch keeps them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from layerdiff.handwritten._checks import check_channels, check_image_batch, refusal

__all__ = ["BatchNorm2d"]


class BatchNorm2d(nn.Module):
    """Normalises each channel to mean 0 and variance 1, then scales and shifts it.

        y = (x - mean) / sqrt(var + eps) * weight + bias

    While training, mean and variance are the batch's own, and running estimates follow them; in eval mode the running
    estimates take their place.

    Args:
        num_features: channels.
        eps: keeps the root away from zero.
        momentum: the weight of the *new* batch in the running estimates; None for the plain average of all batches.
        affine: whether there are `weight` and `bias`.
        track_running_stats: without it there are no estimates, and the batch's own statistics always serve.

    Attributes:
        weight: (num_features,), ones, or None.
        bias: (num_features,), zeros, or None.
        running_mean: (num_features,), zeros, or None.
        running_var: (num_features,), ones, or None; unbiased, though the batch is normalised by its biased variance.
        num_batches_tracked: () int64, how many batches the estimates have seen, or None.

    Source: Ioffe & Szegedy 2015, algorithms 1 and 2; torch.nn.BatchNorm2d.
    """

    # Files written before version 2 have no `num_batches_tracked`; torch marks its own files likewise.
    _version = 2

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        tracked = track_running_stats
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        self.register_buffer("running_mean", torch.zeros(num_features) if tracked else None)
        self.register_buffer("running_var", torch.ones(num_features) if tracked else None)
        self.register_buffer("num_batches_tracked", torch.tensor(0) if tracked else None)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises `x`; while training, updates the running estimates.

        Args:
            x: (n, num_features, h, w), any floating dtype.

        Returns:
            The shape and dtype of `x`.

        Raises:
            ValueError: not a batch of images, other channels than `num_features`, or one value per channel to train on.
        """
        check_image_batch("BatchNorm2d", x.shape)
        check_channels("BatchNorm2d", x.shape, self.num_features)
        mean, var = self._statistics(x)
        scale = torch.rsqrt(var + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        # Each further step in the array that the first one made: to write to a new one takes longer than to compute.
        y = x - mean[:, None, None]
        y *= scale[:, None, None]
        if self.bias is not None:
            y += self.bias[:, None, None]
        return y

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training and self.running_mean is not None and self.running_var is not None:
            return self.running_mean, self.running_var
        count = x.shape[0] * x.shape[2] * x.shape[3]
        if self.training and count < 2:
            raise refusal(
                f"BatchNorm2d: one value has no variance, got {count} per channel, expected at least 2 in training",
                help="train on a larger batch or image, or call eval()",
            )
        mean = x.mean(dim=(0, 2, 3))
        var = x.var(dim=(0, 2, 3), correction=0)
        if self.training:
            self._track(mean.detach(), var.detach() * (count / (count - 1)))
        return mean, var

    def _track(self, mean: Tensor, unbiased_var: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.copy_((1 - momentum) * self.running_mean + momentum * mean)
        self.running_var.copy_((1 - momentum) * self.running_var + momentum * unbiased_var)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        if local_metadata.get("version", 1) < 2 and self.num_batches_tracked is not None:
            state_dict.setdefault(f"{prefix}num_batches_tracked", self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def extra_repr(self) -> str:
        """What tells this layer from another, for `print`."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )
