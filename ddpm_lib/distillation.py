"""Distillation: a student whose one step reaches where two steps of its teacher arrive, and which hears w itself.

Time      a stage teaches the student for n steps; its teacher takes two steps, t → m → s, where the student takes one
Images    in [−1, 1]
Sources   progressive distillation: Salimans & Ho 2022, arXiv:2202.00512, algorithm 2 · w as an input: Meng et al.
          2022, arXiv:2210.03142, section 3 · guesses of the path's end at any time: Song et al. 2023, arXiv:2303.01469
"""

import copy
import dataclasses
import os
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ddpm_lib import guards
from ddpm_lib.ddpm import DDPM, draw, label_rows
from ddpm_lib.precision import best_device, unwrapped
from ddpm_lib.sampling import ddim_step, time_steps
from ddpm_lib.schedule import NoiseSchedule
from ddpm_lib.training import TrainConfig, TrainRecord, train
from ddpm_lib.unet import UNet


@dataclasses.dataclass(frozen=True)
class DistillConfig(TrainConfig):
    """How to distil: a `TrainConfig` whose budget the stages share, in parts of 1 : 2 : 3 …, as later ones are harder.

    stages: integers ≥ 1, each half of the one before: the number of steps that each stage teaches the student. The
    first teacher takes twice as many as the first student, and each student is the next stage's teacher.
    elsewhere: share in [0, 1] of the images that are noised to any time of the first stage, not only to those that
    this stage's steps visit, so that the last student can be asked again (see `renoise_step`). Raises ValueError.
    """

    batch_size: int = 64
    lr: float = 2e-3
    stages: tuple[int, ...] = (8, 4, 2, 1)
    elsewhere: float = 0.4

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "stages", guards.halving("stages", self.stages))
        guards.within("elsewhere", self.elsewhere, "[0, 1]")

    def of_stage(self, stage: int) -> "DistillConfig":
        """The config with one stage's part of the budget, at least one step; stage counts from 1."""
        part = stage / sum(range(len(self.stages) + 1))
        steps, seconds = self.steps and max(1, round(part * self.steps)), self.seconds and part * self.seconds
        return dataclasses.replace(self, steps=steps, seconds=seconds)


@dataclasses.dataclass(frozen=True)
class DistillRecord(TrainRecord):
    """What `distill` yields: the `TrainRecord` of a stage, whose step counts from 1, and where ema is the student.

    sampler_steps: for how many steps this stage teaches the student.
    """

    sampler_steps: int


def student_of(teacher: DDPM, w_max: float = 4.0) -> DDPM:
    """A DDPM that hears w in −1 … w_max and, before it learns, answers to every w as teacher does to w = 0.

    teacher: DDPM with a UNet that doesn't hear w; it stays as it is. w_max: finite number > 0. Raises ValueError.
    """
    teacher = guards.instance("teacher", unwrapped(teacher), DDPM, "a DDPM with a UNet")
    unet = guards.instance("teacher", unwrapped(teacher.unet), UNet, "a DDPM with a UNet")
    guards.choice("teacher's w_max", teacher.w_max, (0.0,))
    config = dataclasses.replace(unet.config, w_max=guards.finite("w_max", w_max, above=0))
    weights = {name: tensor.detach().clone() for name, tensor in unet.state_dict().items()}
    # The new MLP begins as a copy of time_mlp, which reads one number, too; the bottleneck begins without hearing it.
    weights |= {n.replace("time", "guidance"): w.clone() for n, w in weights.items() if n.startswith("time_mlp.")}
    hears = "bottleneck.0.0.weight"  # (C, C + 2E, 1, 1) → (C, C + 3E, 1, 1)
    weights[hears] = F.pad(weights[hears], (0, 0, 0, 0, 0, config.embedding_width))
    with torch.device("meta"):  # no weights are drawn
        student = UNet(config)
    student.load_state_dict(weights, assign=True)
    return DDPM(student.to(memory_format=student.memory_format), copy.deepcopy(teacher.schedule), teacher.prediction)


def distill(
    teacher: DDPM,
    train_set: TensorDataset,
    config: DistillConfig,
    student: DDPM | None = None,
    generator: torch.Generator | None = None,
    device: torch.device | None = None,
    resume: str | os.PathLike | None = None,
    target: Callable[..., Tensor] | None = None,
) -> Iterator[DistillRecord]:
    """Distil teacher into a student, in stages; yield a `DistillRecord` per optimizer step until the budget is spent.

    teacher: a DDPM, or an object with `predict_noise` and `schedule`, such as an exact denoiser; it stays as it is.
    student: a DDPM with the same schedule, which holds the averaged weights after every step, as in `train`; None is
    `student_of(teacher)`. If it doesn't hear w, it is taught for w = 0.
    resume: path of a snapshot; each stage writes its own, with its number of steps at the end of the name.
    target: function to use instead of `two_steps`. train_set, generator, device: as in `train`, but in one process
    (under torchrun, processes with generators of one seed would draw the same noise).
    Raises ValueError at the call, before any work; for a snapshot as `train` does, when its stage begins.
    """
    guards.denoiser("teacher", teacher)
    guards.instance("config", config, DistillConfig, "a DistillConfig")
    student = guards.trainable("student", student_of(teacher) if student is None else unwrapped(student), DDPM)
    guards.same("student's schedule", student.schedule.beta, "teacher's", teacher.schedule.beta)
    guards.count("the first of config's stages", config.stages[0], most=teacher.schedule.T // 2)
    guards.picture_set("train_set", train_set, student.num_classes, student.image_shape, least=1)
    guards.generator_or_none("generator", generator)
    guards.functions_or_none(target=target)
    path = None if resume is None else guards.path("resume", resume)
    device = torch.device(device or best_device())

    def steps() -> Iterator[DistillRecord]:
        # The losses draw from train's own generator: with it, a snapshot holds all that is random.
        source = generator or torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        told_by = copy.deepcopy(teacher).to(device).eval() if isinstance(teacher, nn.Module) else teacher
        for i, n in enumerate(config.stages, start=1):
            loss = partial(step_loss, told_by, config=config, n=n, generator=source, target=target)
            snapshot = path and f"{path}.{n}"
            for record in train(
                student, train_set, config.of_stage(i), source, device=device, resume=snapshot, loss=loss
            ):
                yield DistillRecord(**vars(record), sampler_steps=n)
            told_by = copy.deepcopy(student).eval()

    return steps()


def step_loss(
    teacher: DDPM,
    student: DDPM,
    x_0: Tensor,
    y: Tensor,
    config: DistillConfig,
    n: int,
    generator: torch.Generator,
    target: Callable[..., Tensor] | None = None,
) -> Tensor:
    """E ‖x̃ − x̂_0‖²/(1−ᾱ_t), a scalar: how far student's step is from where it should be; `distill` has the guards.

    The weight 1/(1−ᾱ_t) = 1 + SNR makes it the error of v (Salimans & Ho, section 4): at t = T, where x_t holds no
    signal, an error of x̂_0 still counts, as it wouldn't with the weight SNR of ε.

    x_0: (B, 1, 28, 28). y: (B,) integers or (B, K) rows. n: one of config.stages. The others are those of `distill`.
    """
    t, m, s = _draw_times(student.schedule.T, config, n, len(x_0), generator).to(x_0.device)
    eps = draw(torch.randn, x_0.shape, generator).to(x_0)
    keep, w = draw(torch.rand, (2, len(x_0), 1), generator).to(x_0)
    w = w[:, 0] * (student.w_max + 1) - 1 if student.w_max else 0.0  # uniform in −1 … w_max
    with guards.inside():
        y = label_rows(y, student.num_classes).to(x_0) * (keep >= config.p_uncond)
        x_t = student.schedule.add_noise(x_0, t, eps)
        with torch.no_grad():
            x_0_wanted = (target or two_steps)(teacher, x_t, t, m, s, y, w)
        x_0_hat = student.schedule.predict_x_0(x_t, t, student.predict_noise(x_t, t, y, w=w))
        _, sigma = student.schedule.levels(t)
    guards.shaped_as("what target returns", x_0_wanted, "x_0", x_0)
    return ((x_0_wanted - x_0_hat) / sigma).square().mean()


def _draw_times(T: int, config: DistillConfig, n: int, batch: int, generator: torch.Generator | None) -> Tensor:
    """t, m and s, (3, batch) long: the teacher's step is T/2n long, but ends at 0."""
    times, stride = torch.tensor(time_steps(T, 2 * config.stages[0])), config.stages[0] // n
    u, chance = draw(torch.rand, (2, batch), generator)
    visited, anywhere = 2 * stride * (u * n).long(), 2 * (u * config.stages[0]).long()
    at = torch.where(chance < config.elsewhere, anywhere, visited)
    return torch.stack([times[(at + i * stride).clamp(max=len(times) - 1)] for i in range(3)])


def two_steps(teacher: DDPM, x_t: Tensor, t: Tensor, m: Tensor, s: Tensor, y: Tensor, w: float | Tensor) -> Tensor:
    """x̃: the guess of x_0 with which one DDIM step t → s arrives at the x_s of teacher's two, t → m → s.

    x̃ = (x_s − σ_s/σ_t·x_t)/(√ᾱ_s − σ_s/σ_t·√ᾱ_t) with σ = √(1−ᾱ) (Salimans & Ho, algorithm 2). That is a mean of
    teacher's two guesses, in which the first weighs (r_m − r_t)/(r_s − r_t) with r = √SNR: so x̃ is in [−1, 1], too.

    x_t: (B, 1, 28, 28). t, m, s: (B,) long, T ≥ t > m ≥ s ≥ 0 and m > s or m = 0; where m = 0, x̃ is the first guess.
    y, w: as `predict_noise` takes them. The guesses are clipped to [−1, 1], as `sample` clips them.
    """
    schedule = teacher.schedule

    def guess(x: Tensor, t: Tensor) -> Tensor:
        return schedule.predict_x_0(x, t, teacher.predict_noise(x, t, y, w=w)).clamp(-1, 1)

    first = guess(x_t, t)
    second = guess(ddim_step(schedule, x_t, first, t, m), m.clamp(min=1))
    r_t, r_m, r_s = ((schedule.log_snr[i] / 2).exp().view(-1, 1, 1, 1) for i in (t, m, s))
    share = torch.where(m.view(-1, 1, 1, 1) > 0, (r_m - r_t) / (r_s - r_t), 1.0)
    return share * first + (1 - share) * second


def renoise_step(schedule: NoiseSchedule, x_t: Tensor, x_0_hat: Tensor, t: Tensor, s: Tensor, z: Tensor) -> Tensor:
    """x_s = √ᾱ_s·x̂_0 + √(1−ᾱ_s)·z: forget x_t, and noise the guess anew (Song et al. 2023, algorithm 1).

    A step for more than one: `sample(student, labels, steps=4, sampler=renoise_step)`. A student of one step guesses
    the end of the whole path, which depends on all of x_t's noise; DDIM would keep that noise beside it.
    Shapes as in `ddim_step`; z: standard Gaussian, shaped as x_t.
    """
    signal, sigma = schedule.levels(s)
    return signal * x_0_hat + sigma * z
