"""Training, for networks of either half: one loop, what it learns by, what it keeps, what it shows.

Begin with `loop`. `TorchLearner` is in `torch_learner`, which alone imports torch, and is not offered here.
"""

from __future__ import annotations

from layerdiff.handwritten.training.augmentations import in_turn, random_flip, random_shift
from layerdiff.handwritten.training.batches import batch_count, batches
from layerdiff.handwritten.training.checkpoints import BEST, LAST, Checkpoint, network_state, read_checkpoint
from layerdiff.handwritten.training.curves import draw_curves, save_curves
from layerdiff.handwritten.training.epoch import evaluate
from layerdiff.handwritten.training.heap import keep_freed_memory
from layerdiff.handwritten.training.history import Epoch, History
from layerdiff.handwritten.training.learner import Examples, Learner
from layerdiff.handwritten.training.loop import train
from layerdiff.handwritten.training.numpy_learner import NumpyLearner
from layerdiff.handwritten.training.plan import Plan
from layerdiff.handwritten.training.progress import Progress, progress_bar
from layerdiff.handwritten.training.stopped import TrainingStoppedError

__all__ = [
    "BEST",
    "LAST",
    "Checkpoint",
    "Epoch",
    "Examples",
    "History",
    "Learner",
    "NumpyLearner",
    "Plan",
    "Progress",
    "TrainingStoppedError",
    "batch_count",
    "batches",
    "draw_curves",
    "evaluate",
    "in_turn",
    "keep_freed_memory",
    "network_state",
    "progress_bar",
    "random_flip",
    "random_shift",
    "read_checkpoint",
    "save_curves",
    "train",
]
