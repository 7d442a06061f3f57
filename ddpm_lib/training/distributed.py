"""Several processes that train one model together. In a single process everything here changes nothing.

Same in all      weights, averaged weights, order of the data, step at which a budget of seconds is spent
Of each its own  share of the data, noise and times, BatchNorm's statistics: each process normalises by its own batch;
                 the running statistics are rank 0's, sent to all before each step, and rank 0's are saved
Sources          data-parallel training: Li et al. 2020, arXiv:2006.15704 · torchrun: docs.pytorch.org, elastic/run
"""

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ddpm_lib.ddpm import DDPM, draw

TIMEOUT = datetime.timedelta(minutes=5)  # how long a process waits for one that neither answers nor dies


@contextlib.contextmanager
def process_group() -> Iterator[None]:
    """Within it, this process is one of those that torchrun started; without torchrun it is alone."""
    if "WORLD_SIZE" not in os.environ:
        yield
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # gloo on the GPU too: numbers that are agreed on, such as the order of the data, live on the CPU.
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=TIMEOUT)
    try:
        yield
    finally:
        dist.destroy_process_group()


def world_size() -> int:
    """Number of processes that train together, ≥ 1."""
    return dist.get_world_size() if _several() else 1


def rank() -> int:
    """Number of this process, 0 … world_size − 1; rank 0 is the one that writes files."""
    return dist.get_rank() if _several() else 0


def shared_loss(ddpm: DDPM, loss: Callable[[DDPM, Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """(x_0, y) → loss(ddpm, x_0, y), whose backward leaves the mean gradient of all processes in each of them.

    ddpm: every process gets the weights of rank 0's. With equal shares, the mean of the gradients is the gradient
    of one batch that is world_size times as large, but for BatchNorm: each process normalises its own batch.
    """
    return DistributedDataParallel(_Loss(ddpm, loss)) if _several() else partial(loss, ddpm)


class _Loss(nn.Module):
    """The loss as a forward, which is what DistributedDataParallel can wrap."""

    def __init__(self, ddpm: DDPM, loss: Callable[[DDPM, Tensor, Tensor], Tensor]):
        super().__init__()
        self.ddpm, self.loss = ddpm, loss

    def forward(self, x_0: Tensor, y: Tensor) -> Tensor:
        return self.loss(self.ddpm, x_0, y)


def own_generator(generator: torch.Generator | None) -> torch.Generator | None:
    """A generator for each process, all seeded by one number from rank 0's; the caller's where there is one process."""
    if not _several():
        return generator
    seed = draw(lambda *shape, **options: torch.randint(2**62, shape, **options), (1,), generator)
    return torch.Generator().manual_seed(int(from_rank_0(seed.cpu())) + rank())


def from_rank_0(value: Tensor | float) -> Tensor | float:
    """Rank 0's value, in every process. value: a number, or a CPU tensor of the same shape and dtype everywhere."""
    if not _several():
        return value
    tensor = value.clone() if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
    dist.broadcast(tensor, src=0)
    return tensor if isinstance(value, Tensor) else tensor.item()


def from_all(tensor: Tensor) -> Tensor:
    """The CPU tensors of all processes, (world_size, …) in the order of their ranks."""
    if not _several():
        return tensor[None]
    parts = [torch.empty_like(tensor) for _ in range(world_size())]
    dist.all_gather(parts, tensor)
    return torch.stack(parts)


def _several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
