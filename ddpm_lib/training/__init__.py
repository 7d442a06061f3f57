"""Training: a generator of records. The caller owns the loop, the progress bar and the log.

Sources   AdamW: Loshchilov & Hutter 2017, arXiv:1711.05101 · cosine learning rate: arXiv:1608.03983
          averaged weights (EMA): Polyak & Juditsky 1992; Karras et al. 2023, arXiv:2312.02696, section 3
"""

import copy
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import TensorDataset

from ddpm_lib import guards
from ddpm_lib.data import to_signed
from ddpm_lib.ddpm import DDPM, draw
from ddpm_lib.interrupts import undisturbed
from ddpm_lib.precision import autocast, best_device, fair_threads, unwrapped
from ddpm_lib.training.distributed import from_rank_0, own_generator, rank, shared_loss, world_size
from ddpm_lib.training.snapshot import EVERY, Snapshot, TrainState


@dataclass(frozen=True)
class TrainConfig:
    """How to train. Give steps or seconds as the budget; over this budget the learning rate falls to 0.

    steps: int ≥ 1, optimizer steps. seconds: number > 0, on the clock.
    batch_size: int ≥ 1, per process. lr: number > 0, the highest learning rate. warmup: share of the budget in [0, 1)
    over which the rate rises from lr/10 to lr. p_uncond: label dropout in [0, 1]. ema_decay: in [0, 1), the share of
    the average that each step keeps (less in the first steps). weight_decay: number ≥ 0. Raises ValueError.
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
        guards.budget(self.steps, self.seconds)
        guards.count("batch_size", self.batch_size)
        guards.finite("lr", self.lr, above=0)
        guards.finite("weight_decay", self.weight_decay, least=0)
        guards.within("p_uncond", self.p_uncond, "[0, 1]")
        guards.all_within("[0, 1)", warmup=self.warmup, ema_decay=self.ema_decay)

    def progress(self, step: int, seconds: float) -> float:
        """Share of the budget that these steps and seconds spend; the training ends at 1 or more."""
        return step / self.steps if self.steps else seconds / self.seconds

    def lr_at(self, progress: float, highest: float | None = None) -> float:
        """Learning rate at progress in [0, 1]: highest (None is lr) times warm-up (0.1 to 1) times half a cosine."""
        warm = min(1.0, 0.1 + 0.9 * progress / self.warmup) if self.warmup else 1.0  # from 0.1: step 1 must learn
        return (self.lr if highest is None else highest) * warm * (1 + math.cos(math.pi * progress)) / 2


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
    loss: Callable[[DDPM, Tensor, Tensor], Tensor] | None = None,
    optimizer: Callable[[Iterable[Tensor]], torch.optim.Optimizer] | None = None,
) -> Iterator[TrainRecord]:
    """Train ddpm on train_set; yield a `TrainRecord` per optimizer step until the budget is spent.

    ddpm: moved to `device` (None is the best there is). It holds the averaged weights after every step, so the loop may
    end in any way: when the budget is spent, by break, or by an interrupt.
    train_set: TensorDataset of images (N, *image_shape) in [0, 1] and integer labels (N,), N ≥ 1. Under torchrun each
    process trains on a share of it, and all processes hold the same weights after every step; see `distributed`.
    generator: source of all randomness; None is torch's own. writer: has TensorBoard's add_scalar(tag, value, step).
    resume: path of a snapshot, which is written before the first step, after every 100th step and after the last. If it
    exists, the training goes on from it. With a budget of steps it ends as if it had never stopped, bit for bit (same
    machine). A finished training yields nothing. Raises OSError where the disk refuses a snapshot.
    loss: function of (ddpm, x_0, y) → scalar, instead of `ddpm.loss`. x_0: (B, *image_shape) in [−1, 1]; y: (B,).
    It may begin with `ddpm.errors`. If it draws random numbers, it needs its own generator.
    optimizer: function of the parameters → optimizer, instead of AdamW. Its learning rates rise and fall as config.lr
    does. Raises ValueError: at the call, also for a damaged snapshot or one of another training; at a loss of NaN or ∞.
    """
    ddpm = guards.trainable("ddpm", unwrapped(ddpm), DDPM)
    guards.instance("config", config, TrainConfig, "a TrainConfig")
    guards.generator_or_none("generator", generator)
    guards.functions_or_none(loss=loss, optimizer=optimizer)
    images, labels = guards.picture_set("train_set", train_set, ddpm.num_classes, ddpm.image_shape, world_size())
    snapshot = None if resume is None else Snapshot(resume, ddpm, images, labels, config, loss)
    device = torch.device(device or best_device())

    def steps() -> Iterator[TrainRecord]:
        ddpm.to(device)
        raw = DDPM(copy.deepcopy(ddpm.unet).train(), ddpm.schedule, ddpm.prediction)
        adamw = partial(torch.optim.AdamW, lr=config.lr, weight_decay=config.weight_decay, fused=True)
        descent = guards.optimizer("what optimizer returns", undisturbed()(optimizer or adamw)(raw.unet.parameters()))
        highest = [group["lr"] for group in descent.param_groups]
        # Only the network is averaged, never the schedule; BatchNorm's statistics are buffers and are averaged with it.
        average = AveragedModel(raw.unet, multi_avg_fn=partial(ema, config.ema_decay), use_buffers=True)
        average.module = ddpm.unet  # so the average is written into the caller's model
        # With one process, own_generator and shared_loss change nothing; their docstrings say what they do else.
        state = TrainState(raw.unet, average, descent, own_generator(generator))
        loss_of = shared_loss(raw, loss or (lambda raw, x_0, y: raw.loss(x_0, y, config.p_uncond, state.generator)))

        if snapshot is not None:
            snapshot.begin(state, device)
        start = time.perf_counter() - state.seconds
        progress = config.progress(state.step, state.seconds)
        while progress < 1:
            for group, group_highest in zip(descent.param_groups, highest, strict=True):
                group["lr"] = config.lr_at(progress, group_highest)
            with fair_threads(state.threads):
                chosen = _next_batch(state, len(images), config.batch_size)
                x_0 = to_signed(images[chosen].to(device))
                with autocast(device, state.bf16):
                    value = loss_of(x_0, labels[chosen].to(device))
                descent.zero_grad()
                value.backward()
                descent.step()
                loss_now = guards.finite_step("loss", value.item(), state.step + 1, group["lr"])
                average.update_parameters(raw.unet)

            state.step += 1
            state.seconds = time.perf_counter() - start
            progress = from_rank_0(config.progress(state.step, state.seconds))
            if snapshot is not None and (state.step % EVERY == 0 or progress >= 1):
                snapshot.write(state)
            lr, seen = descent.param_groups[0]["lr"], state.step * len(chosen) * world_size()
            record = TrainRecord(state.step, state.seconds, loss_now, lr, seen / state.seconds, ddpm, raw)
            if writer is not None:
                writer.add_scalar("loss", record.loss, record.step)
                writer.add_scalar("lr", record.lr, record.step)
            yield record

    return steps()


def ema(decay: float, average: list[Tensor], current: list[Tensor], n: Tensor) -> None:
    """average ← d·average + (1−d)·current, and d rises to `decay`, so that a short training forgets its start, too."""
    if average[0].is_floating_point():
        get_ema_multi_avg_fn(min(decay, (1 + int(n)) / (10 + int(n))))(average, current, n)
    else:  # BatchNorm counts batches: integers are copied
        for count, now in zip(average, current, strict=True):
            count.copy_(now)


def _next_batch(state: TrainState, n: int, batch_size: int) -> Tensor:
    """Indices of this process's next batch of n images: every image once per epoch, in a new order each time.

    Each of k processes takes every k-th image. All take the same number, since they wait for each other.
    """
    share = n // world_size()
    batch_size = min(batch_size, share)
    first = state.step % (share // batch_size) * batch_size  # a last, smaller batch is left out
    if first == 0:
        state.order = from_rank_0(draw(torch.randperm, (n,), state.generator).cpu())
    return state.order[rank() :: world_size()][first : first + batch_size]
