"""What every training run shares: devices and processes, the state of a run."""

from morpho.training.distributed import Processes as Processes
from morpho.training.distributed import choose_device as choose_device
from morpho.training.distributed import processes as processes
from morpho.training.run import Run as Run
from morpho.training.run import last_numbers as last_numbers
from morpho.training.run import load_weights as load_weights

__all__ = ["Processes", "Run", "choose_device", "last_numbers", "load_weights", "processes"]
