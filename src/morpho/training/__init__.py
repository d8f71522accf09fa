"""What every training run shares: devices and processes."""

from morpho.training.distributed import Processes as Processes
from morpho.training.distributed import choose_device as choose_device
from morpho.training.distributed import processes as processes

__all__ = ["Processes", "choose_device", "processes"]
