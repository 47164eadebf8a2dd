"""The peak memory of a process that classifies images and does nothing else; Linux only."""

from __future__ import annotations

import subprocess
import sys

__all__ = ["FUSED", "TORCH", "peaks"]

TORCH, FUSED = "torch eager", "fused NumPy"

_ALONE = """
import numpy as np
{imports}
x = np.random.default_rng(0).standard_normal({shape}, dtype=np.float32)
{run}
(peak,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak.split()[1])
"""
_ALL = {
    TORCH: (
        "import torch\nfrom torchvision.models import {name}",
        "torch.manual_seed(0)\nwith torch.inference_mode():\n    {name}().eval()(torch.from_numpy(x))",
    ),
    FUSED: (
        "from layerdiff.handwritten import fused, numpy_resnet",
        "fused.build('{name}', numpy_resnet.build('{name}').state_dict())(x)",
    ),
}


def peaks(name: str = "resnet50", shape: tuple[int, int, int, int] = (1, 3, 224, 224)) -> dict[str, float]:
    """Of torch and of the fused network, in MB.

    The process tells it itself: what the operating system counts for a child begins with what its parent had.

    Args:
        name: torchvision's.
        shape: of the batch, (n, 3, h, w).
    """
    found = {}
    for who, (imports, run) in _ALL.items():
        code = _ALONE.format(imports=imports.format(name=name), run=run.format(name=name), shape=shape)
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
        found[who] = int(done.stdout) / 1e3
    return found
