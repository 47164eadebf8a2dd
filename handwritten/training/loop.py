"""The training loop: the same for a network of either half.

Everything that decides a number is in the learner's state or a function of seed and epoch. So a training that was
interrupted goes on from its last checkpoint to the very same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.training.batches import batch_count
from layerdiff.handwritten.training.checkpoints import BEST, LAST, Checkpoint, read_checkpoint, write_checkpoint
from layerdiff.handwritten.training.epoch import OnBatch, Stray, check_finite, learn, look
from layerdiff.handwritten.training.history import History
from layerdiff.handwritten.training.learner import Examples, Learner, check_examples
from layerdiff.handwritten.training.plan import Plan, facts
from layerdiff.handwritten.training.stopped import TrainingStoppedError

__all__ = ["train"]


def train(
    learner: Learner,
    training: Examples,
    validation: Examples,
    plan: Plan,
    *,
    folder: Path | None = None,
    resume: bool = False,
    on_batch: OnBatch | None = None,
) -> History:
    """Trains a network, and keeps its state after every epoch.

    Args:
        learner: the network with its optimiser; moved in place.
        training: the images to learn from.
        validation: those that choose the best epoch.
        plan: how long, in which batches, at which learning rate.
        folder: where `last.safetensors` (for `resume`) and `best.safetensors` (by validation accuracy) are kept;
            without it nothing is written.
        resume: goes on from `last.safetensors`, whose unfinished epoch is begun anew. Network, optimiser and history
            become what they would be without the interrupt, bit for bit, on the same machine and libraries.
        on_batch: told how far it is, after each batch.

    Returns:
        The history of all epochs, those before an interrupt among them.

    Raises:
        TrainingStoppedError: a loss, gradient or weight is not finite. The last good checkpoint is kept.
        ValueError: images, plan or folder that cannot be used, a batch of one image that the network cannot learn
            from, or a checkpoint that is damaged or of another training.
    """
    for name, examples in (("training", training), ("validation", validation)):
        check_examples(f"train: {name}", examples)
    batch_count(len(training.labels), plan.batch_size, drop_last=plan.drop_last)
    run_facts = facts(plan, training, validation)
    history = _begin(learner, run_facts, folder, resume)
    while len(history.epochs) < plan.epochs:
        number = len(history.epochs) + 1
        try:
            learned = learn(learner, training, plan, number, on_batch)
            check_finite(state := learner.state(), learned[0])
            history = history.with_epoch(look(learner, validation, plan, number, learned))
        except Stray as stray:
            raise TrainingStoppedError(stray.what, stray.where, stray.lr, history, folder) from stray.__cause__
        if folder is not None:
            _keep(folder, Checkpoint(state, history, run_facts))
    return history


def _keep(folder: Path, checkpoint: Checkpoint) -> None:
    # The best one first: were it to end in between, the epoch would be done again from LAST, and come out the same.
    history = checkpoint.history
    if history.best is history.epochs[-1]:
        write_checkpoint(folder / BEST, checkpoint)
    write_checkpoint(folder / LAST, checkpoint)


def _begin(learner: Learner, run_facts: Mapping[str, str], folder: Path | None, resume: bool) -> History:
    """Takes up the last checkpoint, or writes the first one, so that there always is one."""
    if folder is None:
        if resume:
            raise refusal("train: nothing to resume, got no folder, expected one", help="give the folder of last time")
        return History()
    last = folder / LAST
    if resume:
        checkpoint = read_checkpoint(last)
        _check_facts(last, checkpoint.facts, run_facts)
        learner.load_state(checkpoint.state)
        return checkpoint.history
    if last.exists():
        raise refusal(
            f"train: {folder} has a training in it, got {LAST}, expected a folder without one",
            help="go on with resume=True, give another folder, or delete it",
        )
    write_checkpoint(last, Checkpoint(learner.state(), History(), run_facts))
    return History()


def _check_facts(path: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    unlike = [f"{name} {before.get(name)} and now {value}" for name, value in now.items() if before.get(name) != value]
    if unlike:
        raise refusal(
            f"{path}: the checkpoint of another training, got {'; '.join(unlike)}, expected the same",
            help="resume with the plan and the images it was begun with",
        )
