"""Several processes train one model together. With a single process, nothing here changes anything.

Same in all      weights, averaged weights, order of the data, step at which a budget of seconds is spent
Different        share of the data, noise and times, BatchNorm's statistics: each process normalises by its own batch;
                 the running statistics are rank 0's, sent to all before each step, and rank 0's are saved
Sources          data-parallel training: Li et al. 2020, arXiv:2006.15704 · torchrun: docs.pytorch.org, elastic/run
"""

import contextlib
import datetime
import gc
import os
import secrets
import time
from collections.abc import Callable, Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ddpm_lib import guards
from ddpm_lib.ddpm import DDPM, draw
from ddpm_lib.files import first_of
from ddpm_lib.interrupts import undisturbed

TIMEOUT = datetime.timedelta(minutes=5)  # a process waits so long for another process that doesn't answer
GLOO = ("gloo", "pair closure")  # one of them is in all errors of gloo, which have no type of their own


@contextlib.contextmanager
def process_group() -> Iterator[None]:
    """Inside, this process works with the other processes that torchrun started; without torchrun it works alone.

    Raises ValueError for half an environment of torchrun's, and ConnectionError where the others aren't found, or where
    one of them ends or doesn't answer any more.
    """
    if "WORLD_SIZE" not in os.environ and "RANK" not in os.environ:
        yield
        return
    cuda = torch.cuda.is_available()
    guards.torchrun_environment(("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT") + ("LOCAL_RANK",) * cuda)
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    with undisturbed():  # imported later, by the first optimizer, its default arguments would keep the group for ever
        from torch.distributed.nn import functional  # noqa: F401
    try:
        # gloo is needed with a GPU, too: shared numbers, such as the order of the data, are on the CPU.
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=TIMEOUT, **_store_of_this_start())
    except (OSError, RuntimeError, ValueError) as error:  # nobody answers, or the port is another program's
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise ConnectionError(f"the processes don't find each other at {where}: {first_of(error)}") from error
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not any(word in str(error) for word in GLOO):
            raise
        lost = f"one of the {world_size()} processes has ended, or has not answered for {TIMEOUT.total_seconds():g} s"
        raise ConnectionError(f"{lost}: {first_of(error)}") from error
    finally:
        dist.destroy_process_group()
        gc.collect()  # DistributedDataParallel holds the group, too; a thread of gloo that outlives Python aborts it


def _store_of_this_start() -> dict[str, object]:
    """Arguments of init_process_group: the part of torchrun's store that only the processes of this start use.

    After a restart, torchrun's store still holds the addresses of processes that are dead
    (github.com/pytorch/pytorch/issues/135712). So each process draws a name, and they go on when all have seen the same
    names: a dead process has not seen a new name.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return {}
    store, number, of = next(dist.rendezvous("env://", timeout=TIMEOUT))
    store.set(f"name of {number}", secrets.token_hex(8))
    end = time.monotonic() + TIMEOUT.total_seconds()
    while time.monotonic() < end:
        names = b" ".join(store.get(f"name of {i}") for i in range(of))
        store.set(f"seen by {number}", names)
        if all(store.get(f"seen by {i}") == names for i in range(of)):
            return {"store": dist.PrefixStore(names.decode(), store), "rank": number, "world_size": of}
        time.sleep(0.05)
    raise ConnectionError(f"{of} processes were started, and not all of them are there")


def world_size() -> int:
    """Number of processes that train together, ≥ 1."""
    return dist.get_world_size() if _several() else 1


def rank() -> int:
    """Number of this process, 0 … world_size − 1; rank 0 writes the files."""
    return dist.get_rank() if _several() else 0


def shared_loss(ddpm: DDPM, loss: Callable[[DDPM, Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """(x_0, y) → loss(ddpm, x_0, y), whose backward leaves the mean gradient of all processes in each of them.

    ddpm: every process gets rank 0's weights. With equal shares, the mean of the gradients is the gradient of one
    batch that is world_size times as large, except for BatchNorm: each process normalises its own batch.
    """
    together = _Loss(ddpm, loss)
    return DistributedDataParallel(together) if _several() else together.forward


class _Loss(nn.Module):
    """The loss as the forward of a module, because DistributedDataParallel wraps modules."""

    def __init__(self, ddpm: DDPM, loss: Callable[[DDPM, Tensor, Tensor], Tensor]):
        super().__init__()
        self.ddpm, self.loss = ddpm, loss

    def forward(self, x_0: Tensor, y: Tensor) -> Tensor:
        return guards.scalar_loss("loss", self.loss(self.ddpm, x_0, y))


def own_generator(generator: torch.Generator | None) -> torch.Generator | None:
    """A generator for each process, seeded by a number from rank 0's; with one process, the caller's generator."""
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
