"""What every test shares: where the optional real data lies, and strict floating-point behaviour."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_limits

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """One thread for small networks: they gain nothing from more, and lose much on a machine that is busy."""
    torch.set_num_threads(1)
    with threadpool_limits(limits=1):
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photos and weights named by LAYERDIFF_SHARED; skips, saying so, where it is unset."""
    folder = os.environ.get("LAYERDIFF_SHARED")
    if not folder:
        pytest.skip("LAYERDIFF_SHARED is not set: no real photos or torchvision weights here")
    path = Path(folder)
    assert path.is_dir(), f"LAYERDIFF_SHARED: no such folder, got {folder}"

    return path
