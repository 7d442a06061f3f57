"""Training: a generator of records. The caller owns the loop, the progress bar and the log.

Sources   AdamW: Loshchilov & Hutter 2017, arXiv:1711.05101 · cosine learning rate: arXiv:1608.03983
          averaged weights (EMA): Polyak & Juditsky 1992; Karras et al. 2023, arXiv:2312.02696, section 3
"""

import copy
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import TensorDataset

from ddpm_lib.ddpm import DDPM, check_generator, draw, label_rows
from ddpm_lib.files import as_path
from ddpm_lib.precision import autocast, best_device
from ddpm_lib.schedule import describe, is_count, is_finite, is_float
from ddpm_lib.training.distributed import from_rank_0, own_generator, rank, shared_loss, world_size
from ddpm_lib.training.snapshot import EVERY, Snapshot, TrainState


@dataclass(frozen=True)
class TrainConfig:
    """How to train. Give steps or seconds; the learning rate falls to 0 over whichever it is.

    steps: int ≥ 1, optimizer steps. seconds: number > 0, wall-clock time.
    batch_size: int ≥ 1, per process. lr: number > 0, the highest learning rate. warmup: share of the budget in [0, 1)
    over which lr rises from a tenth of it. p_uncond: label dropout in [0, 1]. ema_decay: in [0, 1), the share of the
    average that each step keeps (less in the first steps). weight_decay: number ≥ 0. Raises ValueError.
    """

    steps: int | None = None
    seconds: float | None = None
    batch_size: int = 32
    lr: float = 8e-3
    warmup: float = 0.05
    p_uncond: float = 0.1
    ema_decay: float = 0.998
    weight_decay: float = 0.01

    def __post_init__(self):
        if (self.steps is None) == (self.seconds is None):
            raise ValueError(
                f"give exactly one of steps and seconds, got steps={self.steps!r}, seconds={self.seconds!r}"
            )
        if self.steps is not None and not is_count(self.steps):
            raise ValueError(f"steps must be an integer ≥ 1, got {self.steps!r}")
        if self.seconds is not None and not (is_finite(self.seconds) and self.seconds > 0):
            raise ValueError(f"seconds must be a finite number > 0, got {self.seconds!r}")
        if not is_count(self.batch_size):
            raise ValueError(f"batch_size must be an integer ≥ 1, got {self.batch_size!r}")
        if not (is_finite(self.lr) and self.lr > 0):
            raise ValueError(f"lr must be a finite number > 0, got {self.lr!r}")
        if not (is_finite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be a finite number ≥ 0, got {self.weight_decay!r}")
        if not (is_finite(self.p_uncond) and 0 <= self.p_uncond <= 1):
            raise ValueError(f"p_uncond must lie in [0, 1], got {self.p_uncond!r}")
        for name in ("warmup", "ema_decay"):
            if not (is_finite(getattr(self, name)) and 0 <= getattr(self, name) < 1):
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)!r}")

    def progress(self, step: int, seconds: float) -> float:
        """Share of the budget that is spent after so many steps and seconds; 1 or more is the end."""
        return step / self.steps if self.steps else seconds / self.seconds

    def lr_at(self, progress: float) -> float:
        """Learning rate at progress in [0, 1] of the budget: linear warm-up from a tenth of lr, times half a cosine."""
        warm = min(1.0, 0.1 + 0.9 * progress / self.warmup) if self.warmup else 1.0  # not 0: one step must learn
        return self.lr * warm * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class TrainRecord:
    """What `train` yields after each optimizer step.

    step: 1, 2, … seconds: since the first step began. loss, lr: of this step (the loss of this process's images).
    images_per_s: mean so far, of all processes together.
    ema: the DDPM with averaged weights, the one to use. raw: the DDPM as the optimizer left it.
    """

    step: int
    seconds: float
    loss: float
    lr: float
    images_per_s: float
    ema: DDPM
    raw: DDPM


def train(
    ddpm: DDPM,
    train_set: TensorDataset,
    config: TrainConfig,
    generator: torch.Generator | None = None,
    writer: object | None = None,
    device: torch.device | None = None,
    resume: str | os.PathLike | None = None,
) -> Iterator[TrainRecord]:
    """Train ddpm on train_set; yield a `TrainRecord` per optimizer step until the budget is spent.

    ddpm: moved to `device` (None is the best there is). It holds the averaged weights after every step, so
    the loop may end in any way: exhausted, by break, by an interrupt.
    train_set: TensorDataset of images (N, 1, 28, 28) in [0, 1] and integer labels (N,), N ≥ 1.
    generator: source of all randomness; None is torch's own. writer: anything with TensorBoard's
    add_scalar(tag, value, step). Under torchrun each process trains on its own share of train_set, and all hold
    the same weights after every step; see `distributed`.
    resume: path of a snapshot, written before the first step, after every 100th and after the last. Where it exists,
    the training goes on from there, and under a budget of steps ends as if it had never stopped, bit for bit (same
    machine, same number of threads); one that was over yields nothing. OSError where the disk refuses a snapshot.
    Raises ValueError at the call, before any work; for a snapshot that is damaged or another training's, too.
    """
    if not isinstance(ddpm, DDPM):
        raise ValueError(f"ddpm must be a DDPM, got {ddpm!r:.60}")
    if not isinstance(config, TrainConfig):
        raise ValueError(f"config must be a TrainConfig, got {config!r:.60}")
    check_generator(generator)
    images, labels = _tensors_of(train_set, ddpm.num_classes)
    if len(images) < world_size():
        raise ValueError(f"train_set must hold an image for each of {world_size()} processes")
    snapshot = None if resume is None else Snapshot(as_path("resume", resume), ddpm, images, labels, config)
    device = torch.device(device or best_device())
    return _training_steps(ddpm, images, labels, config, generator, writer, device, snapshot)


def _training_steps(ddpm, images, labels, config, generator, writer, device, snapshot) -> Iterator[TrainRecord]:
    ddpm.to(device)
    raw = DDPM(copy.deepcopy(ddpm.unet).train(), ddpm.schedule, ddpm.prediction)
    optimizer = torch.optim.AdamW(raw.unet.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)

    # Only the network is averaged, never the schedule; BatchNorm's statistics are buffers and are averaged with it.
    average = AveragedModel(raw.unet, multi_avg_fn=_ema(config.ema_decay), use_buffers=True)
    average.module = ddpm.unet  # average straight into the caller's model

    # In one process these two change nothing; in several, gradients are averaged and each draws noise of its own.
    loss_of = shared_loss(raw)
    state = TrainState(raw.unet, average, optimizer, own_generator(generator))

    if snapshot is not None:
        snapshot.begin(state)
    start = time.perf_counter() - state.seconds
    progress = config.progress(state.step, state.seconds)
    while progress < 1:
        lr = config.lr_at(progress)
        for group in optimizer.param_groups:
            group["lr"] = lr
        chosen = _next_batch(state, len(images), config.batch_size)
        x_0 = images[chosen].to(device) * 2 - 1  # [0, 1] → [−1, 1]
        with autocast(device):
            loss = loss_of(x_0, labels[chosen].to(device), config.p_uncond, state.generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update_parameters(raw.unet)

        state.step += 1
        state.seconds = time.perf_counter() - start
        progress = from_rank_0(config.progress(state.step, state.seconds))
        if snapshot is not None and (state.step % EVERY == 0 or progress >= 1):
            snapshot.write(state)
        images_per_s = state.step * len(chosen) * world_size() / state.seconds
        record = TrainRecord(state.step, state.seconds, loss.item(), lr, images_per_s, ddpm, raw)
        if writer is not None:
            writer.add_scalar("loss", record.loss, record.step)
            writer.add_scalar("lr", lr, record.step)
        yield record


def _ema(decay: float):
    """average ← d·average + (1−d)·current, with d rising to `decay`, so that a short training forgets its start too."""

    def update(average: list[Tensor], current: list[Tensor], n: Tensor) -> None:
        if not average[0].is_floating_point():  # BatchNorm's counts of batches
            for count, now in zip(average, current, strict=True):
                count.copy_(now)
            return
        d = min(decay, (1 + int(n)) / (10 + int(n)))
        get_ema_multi_avg_fn(d)(average, current, n)

    return update


def _next_batch(state: TrainState, n: int, batch_size: int) -> Tensor:
    """Indices of this process's next batch of n images: every image once per epoch, in a new order each time.

    Of w processes each takes every w-th image, and all take equally many: else they would wait for each other.
    """
    share = n // world_size()
    batch_size = min(batch_size, share)
    first = state.step % (share // batch_size) * batch_size  # the ragged last batch is left out
    if first == 0:
        state.order = from_rank_0(draw(torch.randperm, (n,), state.generator).cpu())
    return state.order[rank() :: world_size()][first : first + batch_size]


def _tensors_of(train_set: TensorDataset, num_classes: int) -> tuple[Tensor, Tensor]:
    if not isinstance(train_set, TensorDataset) or len(train_set.tensors) != 2:
        raise ValueError(f"train_set must be a TensorDataset of images and labels, got {train_set!r:.60}")
    images, labels = train_set.tensors
    if not is_float(images) or images.shape[1:] != (1, 28, 28) or len(images) == 0:
        raise ValueError(f"train_set's images must be floats of shape (N, 1, 28, 28), N ≥ 1, got {describe(images)}")
    if not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(f"train_set's images must lie in [0, 1], got {images.min():g} … {images.max():g}")
    label_rows(labels, num_classes, batch=len(images), name="train_set's labels")
    return images, labels
