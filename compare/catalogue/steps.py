"""J: what goes wrong in a step of training, between the gradients and the weights."""

from __future__ import annotations

from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.examples import stepped

__all__ = ["STEPS"]

STEPS: tuple[Cause, ...] = (
    Cause(
        code="J1",
        title="weight decay is another, or in another place",
        meaning=(
            "The weights shrink by another amount, or the decay passes through the momentum or through Adam's division "
            "where the reference's does not, or the other way round. Torch's SGD and Adam add it to the gradient; "
            "AdamW takes it off the weights."
        ),
        why=(
            "Papers and libraries place it differently and call it the same. Norms and biases are often left out of it."
        ),
        signature=(
            "The first step's difference is a multiple of the weights. Behind Adam's division it no longer is: there "
            "the reference's step is tried with the decay in each place. In J11 it is a multiple of the step."
        ),
        fix="Place it as torch.optim does, for all parameters.",
        sources=("pytorch/pytorch#13801", "pytorch/pytorch#38767"),
        example=stepped(
            "J1",
            """\
            def step(network, images, labels):
                network.zero_grad()
                loss = nn.functional.cross_entropy(network(images), labels)
                loss.backward()
                with torch.no_grad():
                    for p in network.parameters():
                        p -= 0.1 * p.grad  # and the weight decay?
        """,
            optimizer="sgd:lr=0.1,weight_decay=0.01",
        ),
    ),
    Cause(
        code="J2",
        title="gradients of earlier steps are still there",
        meaning="Each backward adds to the gradients, and nothing sets them to zero: every step moves by all of them.",
        why="`zero_grad()` was forgotten, or stands where it does not run every time.",
        signature=(
            "The first step is right. From the second on the reference's own rule gives the candidate's step when it "
            "is given the sum of all gradients so far. In J13 another momentum does something alike, and is tried, too."
        ),
        fix="Call optimizer.zero_grad() before every backward.",
        sources=("pytorch/pytorch#47175", "IDEA-Research/DAB-DETR#58"),
        example=stepped(
            "J2",
            """\
            def step(network, images, labels):
                loss = nn.functional.cross_entropy(network(images), labels)
                loss.backward()
                torch.optim.SGD(network.parameters(), lr=0.1).step()
        """,
            optimizer="sgd:lr=0.1",
        ),
    ),
    Cause(
        code="J11",
        title="the learning rate is another",
        meaning="Every step goes in the right direction, and another part of the way.",
        why=(
            "Another number, a schedule that has already moved, a loss that is summed over the batch, or a momentum "
            "that averages: these lengthen or shorten every step alike."
        ),
        signature="One factor explains the steps of all parameters concerned. In J10 it is the gradient's alone.",
        fix="Use the expected learning rate, and a loss that is averaged over the pictures.",
        sources=(),
        example=stepped(
            "J11",
            """\
            def step(network, images, labels):
                network.zero_grad()
                loss = nn.functional.cross_entropy(network(images), labels)
                loss.backward()
                torch.optim.SGD(network.parameters(), lr=0.05).step()
        """,
            optimizer="sgd:lr=0.1",
        ),
    ),
    Cause(
        code="J12",
        title="a parameter is never moved",
        meaning="The parameter moves in the reference, and in the candidate it is after each step what it was before.",
        why=(
            "It was frozen, or its layer was made after the optimiser was, or lives in a plain list where "
            "`parameters()` does not see it. If no parameter moves, the gradients were zeroed before the step."
        ),
        signature="Equal to the last bit before and after. Where gradients are cut off, that is J9.",
        fix="Give all parameters to the optimiser, and call zero_grad() before backward() and never after it.",
        sources=("lucidrains/byol-pytorch#93",),
        example=stepped("J12", "actual[0].weight.requires_grad = False", optimizer="sgd:lr=0.1"),
    ),
    Cause(
        code="J13",
        title="the optimiser's rule is another",
        meaning=(
            "Momentum, Nesterov, the decay of the running means, eps or its place, Adam's correction for the start at "
            "zero: one of them is not as in the reference, or it is another optimiser altogether."
        ),
        why="The rules fit on a line, and each library writes a slightly different one.",
        signature=(
            "The reference's gradients, put through the optimiser with just this one thing changed, give the "
            "candidate's weights after every step. J1 and J11 are tried in the same way."
        ),
        fix="Write the rule as torch.optim's documentation has it.",
        sources=(),
        example=stepped(
            "J13",
            """\
            def step(network, images, labels):
                network.zero_grad()
                loss = nn.functional.cross_entropy(network(images), labels)
                loss.backward()
                for p in network.parameters():
                    m = 0.1 * p.grad + 0.9 * getattr(p, "m", 0)
                    v = 0.001 * p.grad**2 + 0.999 * getattr(p, "v", 0)
                    p.m, p.v = m, v
                    p.data -= 0.01 * m / (v.sqrt() + 1e-8)
        """,
            optimizer="adam:lr=0.01",
        ),
    ),
)
