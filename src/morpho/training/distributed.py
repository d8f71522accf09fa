"""Training on several processes: plain DDP, only if ``torchrun`` started this one.

Every process draws the same batch and works on its own share of it, so the result does not depend on how many there
are (but for the order of sums).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from morpho.errors import InputError

__all__ = ["Processes", "choose_device", "processes"]

#: How often this process has joined others; all of them count alike.
_JOINS = itertools.count()


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: its number, from 0.
        count: how many there are.
        device: where it computes.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this one writes files and shows progress."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """Move a model to the device, with gradients averaged over all processes."""
        model = model.to(self.device)
        return DistributedDataParallel(model) if self.count > 1 else model

    def share(self, batch: torch.Tensor) -> torch.Tensor:
        """Take this process's part of a batch, on its device.

        Raises:
            InputError: the batch cannot be divided evenly, which would weigh its items unequally.
        """
        if len(batch) % self.count:
            raise InputError(f"a batch of {len(batch)} cannot be shared by {self.count} processes: use a multiple")
        return batch[self.rank :: self.count].to(self.device)


@contextmanager
def processes(device: str = "auto") -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started, or be the only one.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device)
    if count == 1:
        yield Processes(0, 1, chosen)
        return
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    _join("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Processes(distributed.get_rank(), count, chosen)
        distributed.barrier()  # nobody leaves, and perhaps joins anew, while another still works
    finally:
        distributed.destroy_process_group()


def _join(backend: str) -> None:
    from torch.distributed.distributed_c10d import PrefixStore  # not in every build of torch
    from torch.distributed.rendezvous import rendezvous

    store, rank, count = next(rendezvous("env://"))
    # Whoever joins anew must not find the addresses of the time before, and wait for them forever.
    store = PrefixStore(f"join {next(_JOINS)}", store)
    distributed.init_process_group(backend, store=store, rank=rank, world_size=count)


def choose_device(device: str) -> torch.device:
    """Turn ``auto`` into the best device there is.

    Raises:
        InputError: the device is not known, or not there.

    >>> choose_device("cpu")
    device(type='cpu')
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if there[name]))
    if not there.get(device, False):
        usable = ", ".join(name for name, is_there in there.items() if is_there)
        raise InputError(f"the device {device!r} is not available here: use auto or one of {usable}")
    return torch.device(device)
