"""What every training run shares: devices and processes, the state of a run, the loop for classifiers."""

from morpho.training.distributed import Processes as Processes
from morpho.training.distributed import choose_device as choose_device
from morpho.training.distributed import processes as processes
from morpho.training.fit import Fit as Fit
from morpho.training.fit import accuracy as accuracy
from morpho.training.fit import cross_entropy as cross_entropy
from morpho.training.fit import fit as fit
from morpho.training.fit import generator as generator
from morpho.training.fit import predict as predict
from morpho.training.rules import Rules as Rules
from morpho.training.run import Run as Run
from morpho.training.run import last_numbers as last_numbers
from morpho.training.run import load_weights as load_weights

__all__ = [
    "Fit",
    "Processes",
    "Rules",
    "Run",
    "accuracy",
    "choose_device",
    "cross_entropy",
    "fit",
    "generator",
    "last_numbers",
    "load_weights",
    "predict",
    "processes",
]
