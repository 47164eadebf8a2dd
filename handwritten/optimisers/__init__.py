"""How parameters move: torch.optim's rules in NumPy, one file each, on the very arrays that a network computes with."""

from layerdiff.handwritten.optimisers.adadelta import Adadelta
from layerdiff.handwritten.optimisers.adagrad import Adagrad
from layerdiff.handwritten.optimisers.adam import Adam
from layerdiff.handwritten.optimisers.adamw import AdamW
from layerdiff.handwritten.optimisers.arguments import NonFiniteGradientError
from layerdiff.handwritten.optimisers.optimiser import Optimiser, Parameters, WeightDecay, decay_of_weights
from layerdiff.handwritten.optimisers.rmsprop import RMSprop
from layerdiff.handwritten.optimisers.sgd import SGD
from layerdiff.handwritten.optimisers.specification import OPTIMISERS, Specification, by_name

__all__ = [
    "OPTIMISERS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "NonFiniteGradientError",
    "Optimiser",
    "Parameters",
    "RMSprop",
    "Specification",
    "WeightDecay",
    "by_name",
    "decay_of_weights",
]
