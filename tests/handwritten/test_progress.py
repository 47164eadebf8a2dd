"""The bar of a training: seen on a terminal, and nowhere else."""

from __future__ import annotations

import io

from rich.console import Console

from layerdiff.handwritten.training import Progress, progress_bar


def shown(*, terminal):
    """What a bar writes in the third of four batches of the second of five epochs."""
    text = io.StringIO()
    with progress_bar(Console(file=text, force_terminal=terminal, width=120)) as on_batch:
        on_batch(Progress(2, 5, 3, 4, 0.51234, 0.875))
    return text.getvalue()


def test_a_terminal_sees_the_bar():
    """Epoch, loss, accuracy and the batches of all epochs are shown."""
    text = shown(terminal=True)

    assert "epoch 2/5 loss 0.5123 accuracy 87.5%" in text
    assert "7/20" in text


def test_a_file_gets_nothing():
    """What is no terminal gets not a byte."""
    assert shown(terminal=False) == ""


def test_the_bar_goes_to_stderr(capfd):
    """Without a console the bar writes nothing on stdout, and nothing on a stderr that is a file."""
    with progress_bar() as on_batch:
        on_batch(Progress(1, 1, 1, 1, 0.5, 0.5))

    assert capfd.readouterr() == ("", "")
