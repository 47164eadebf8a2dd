"""Causes at a pooling over windows: how it is padded, where its windows lie, and what it takes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from layerdiff.compare.allowance import is_pair
from layerdiff.compare.diagnosis.global_pools import global_pools
from layerdiff.compare.diagnosis.hypothesis import Hypothesis
from layerdiff.compare.diagnosis.kit import Step, avg_pool2d, chain, elementwise, max_pool2d, pad
from layerdiff.compare.diagnosis.places import Windows, find_windows, same_pads
from layerdiff.compare.diagnosis.ruled import on_arrays
from layerdiff.compare.diagnosis.site import Site
from layerdiff.compare.diagnosis.solving import near, spelled
from layerdiff.compare.trace import Array

__all__ = ["hypotheses"]
