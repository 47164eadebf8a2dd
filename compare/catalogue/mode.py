"""K: mode and state."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import compared, stepped
from layerdiff.compare.catalogue.toys import CONV, HEAD

__all__ = ["MODE"]

MODE: tuple[Cause, ...] = (
    Cause(
        code="K1",
        title="the network is in training mode",
        meaning=(
            "`eval()` was not called: batch norms use the statistics of this batch, and dropout is active. The answer "
            "for one picture depends on the others beside it."
        ),
        why="A new module is in training mode.",
        signature=(
            "A norm's output is that of the batch's own statistics, and its training flag is set. If only norms meant "
            "to be frozen are, see K3; without statistics of its own, K5."
        ),
        fix="Call eval() before the comparison and before every use.",
        sources=("microsoft/onnxruntime#4589", "pytorch/vision#8749"),
        example=compared("K1", CONV, "actual.train()", shape="(2, 3, 16, 16)"),
    ),
    Cause(
        code="K2",
        title="a pass in training mode has changed the statistics",
        meaning=(
            "The weights are as loaded, the running means and variances have moved on: someone ran the network in "
            "training mode after loading, gradients or not."
        ),
        why="`no_grad()` stops gradients and not the statistics' update.",
        signature=(
            "All running means and variances have moved a little from the expected ones, and the counter of batches "
            "is above the loaded one. In G4 they were never copied; G8 looks the same."
        ),
        fix="Call eval() first, then run; load again.",
        sources=("pytorch/vision#2079", "facebookresearch/unbiased-teacher#47"),
        example=compared(
            "K2",
            CONV,
            """\
            with torch.no_grad():
                actual.train()(torch.randn(4, 3, 16, 16))
            actual.eval()
        """,
        ),
    ),
    Cause(
        code="K3",
        title="a frozen batch norm still uses the batch",
        meaning=(
            "The norm's parameters are frozen, but its mode is training: it normalises by the batch and keeps "
            "updating its statistics."
        ),
        why=(
            "`requires_grad = False` concerns scale and shift only. In Keras `trainable` and `training` are two "
            "things as well."
        ),
        signature="Norms without gradients whose training flag is set. In K1 the whole network is in training mode.",
        fix="Call eval() on the frozen norms too, after each train().",
        sources=("pytorch/pytorch#86590", "keras-team/keras#9965"),
        example=compared(
            "K1",
            CONV,
            """\
            actual[1].requires_grad_(False)
            actual[1].train()  # as model.train() does
        """,
            shape="(2, 3, 16, 16)",
        ),
        unseen="a forward pass does not tell which parameters have gradients, so it is found as K1",
    ),
    Cause(
        code="K4",
        title="a layer is made anew in each forward pass",
        meaning=(
            "The forward pass makes a module and calls it. It is always in training mode and has fresh weights, if "
            "any: a dropout made so is active for ever."
        ),
        why="`nn.Dropout(0.5)(x)` looks like a function.",
        signature=(
            "An operation runs that belongs to no registered module and draws random numbers: two passes of one input "
            "differ. A13 keeps its unregistered layers; here they do not last."
        ),
        fix="Make it in `__init__`, or use the function: F.dropout(x, 0.5, self.training).",
        sources=("yangze0930/NTS-Net#14",),
        example=compared(
            "K4",
            HEAD,
            """\
            class Drops(nn.Module):
                def forward(self, x):
                    return nn.Dropout(0.5)(x)


            actual.insert(2, Drops())
        """,
            shape="(1, 8, 4, 4)",
        ),
    ),
    Cause(
        code="K5",
        title="a batch norm has no running statistics",
        meaning=(
            "With `track_running_stats=False` the norm keeps no statistics: also in eval mode it uses those of the "
            "batch."
        ),
        why="It was switched off to quiet an error, or because the batches are all alike.",
        signature=(
            "The norm has no buffers, and its output is that of the batch's statistics though it is in eval mode. In "
            "K1 it has them and does not use them."
        ),
        fix="track_running_stats=True, and load the statistics.",
        sources=("pytorch/pytorch#75252", "pytorch/pytorch#38084"),
        example=compared(
            "K5",
            CONV,
            """\
            actual[1].running_mean = actual[1].running_var = None
            actual[1].track_running_stats = False
        """,
            shape="(2, 3, 16, 16)",
        ),
    ),
    Cause(
        code="K6",
        title="a batch norm stays in eval mode while the network trains",
        meaning=(
            "The norm normalises by its running statistics in training too, and they stand still. The gradients of all "
            "that lies before it are others."
        ),
        why=(
            "`eval()` was called for a validation and `train()` not after it; or norms were frozen on purpose, as is "
            "usual for small batches."
        ),
        signature=(
            "Its statistics do not move in a step of training, and the reference, trained with this norm in eval mode, "
            "becomes the same. In C2 they move by another part of the way. In K3 the norm was meant to be frozen and "
            "is not."
        ),
        fix="Call train() on the whole network before training, unless the norms are meant to be frozen.",
        sources=("pytorch/pytorch#86590",),
        example=stepped(
            "K6",
            """\
            def step(network, images, labels):
                network.eval()  # left over from the validation
                network.zero_grad()
                loss = nn.functional.cross_entropy(network(images), labels)
                loss.backward()
                torch.optim.SGD(network.parameters(), lr=0.1).step()
        """,
            optimizer="sgd:lr=0.1",
        ),
    ),
)
