"""All that is needed to repeat a run: versions, threads, machine, seeds and hashes, as text."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import version

import numpy as np

from layerdiff.subject import Subject

__all__ = ["describe_environment", "in_short", "subject_facts"]


def describe_environment() -> dict[str, str]:
    """Versions, threads and machine."""
    import torch
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    # SciPy may bring a BLAS of its own; what computes here is NumPy's.
    pools = [pool for pool in pools if "numpy" in pool["filepath"]] or pools
    blas = [f"{pool['internal_api']} {pool['version']}" for pool in pools]
    threads = {str(pool["num_threads"]) for pool in pools}
    return {
        "layerdiff": version("layerdiff"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),
        "torchvision": version("torchvision"),
        "blas": ", ".join(sorted(set(blas))) or "unknown",
        "torch_threads": str(torch.get_num_threads()),
        "blas_threads": ", ".join(sorted(threads)) or "unknown",
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu_capability": str(torch.backends.cpu.get_cpu_capability()),
    }


def subject_facts(subject: Subject) -> dict[str, str]:
    """Architecture, weights, pictures and input, with their hashes."""
    return {
        "architecture": subject.architecture,
        "weights": subject.weights.source,
        "weights_sha256": subject.weights.sha256,
        "images": ", ".join(picture.name for picture in subject.pictures),
        "images_sha256": ", ".join(picture.sha256 for picture in subject.pictures),
        "input_shape": "x".join(map(str, subject.x.shape)),
        "input_sha256": hashlib.sha256(np.ascontiguousarray(subject.x).tobytes()).hexdigest(),
    }


def in_short(environment: dict[str, str], kind: str) -> str:
    """What a reader of the terminal wants to see of it: what computed, with how many threads, from which seed."""
    threads = environment["torch_threads" if kind == "torch" else "blas_threads"]
    library = environment[kind].partition("+")[0]
    return f"{kind} {library}, {threads} thread{'s' * (threads != '1')}, seed {environment['seed']}"
