"""Sampling that begins with a picture: it is redrawn under a label, or what is missing in it is filled in.

Shapes    B number of labels; images are one for each label, or one for all of them
          (B, 1, 28, 28) stands for images of MNIST; others are (B, *image_shape)
Images    in [0, 1]
Sources   edit: SDEdit, Meng et al. 2021, arXiv:2108.01073 · inpaint: RePaint, Lugmayr et al. 2022, arXiv:2201.09865
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from ddpm_lib import guards
from ddpm_lib.data import to_signed
from ddpm_lib.ddpm import DDPM, draw, label_rows
from ddpm_lib.folding import for_sampling
from ddpm_lib.sampling import Step, ancestral_step, sample, time_steps
from ddpm_lib.schedule import NoiseSchedule


def edit(ddpm: DDPM, images: Tensor, labels: Tensor, t: int, w: float | Tensor = 1.0, sampler: str | Step = "ddim",
         steps: int | Sequence = 20, generator: Generator | None = None) -> Tensor:  # fmt: skip
    """Noise images to time t, x_t = √ᾱ_t·x_0 + √(1−ᾱ_t)·ε, and sample from there down under labels (SDEdit, alg. 1).

    images: (B, 1, 28, 28) or (1, 1, 28, 28) in [0, 1]. t: int, 1 … T: the later, the more of them is forgotten.
    steps: as in `sample`; the walk is t and those of its times below t. Returns (B, 1, 28, 28). Raises ValueError.
    """
    x_0, y = _start(ddpm, images, labels)
    times = guards.falling_times("steps", steps, T := ddpm.schedule.T)
    times = times if isinstance(times, list) else time_steps(T, times)
    t_rows = torch.full((len(y),), int(guards.count("t", t, most=T)), device=x_0.device)
    x_t = ddpm.schedule.add_noise(x_0, t_rows, draw(torch.randn, x_0.shape, generator).to(x_0))
    return sample(ddpm, y, w, sampler, [t, *(s for s in times if s < t)], generator=generator, x_T=x_t)


def inpaint(ddpm: DDPM, images: Tensor, mask: Tensor, labels: Tensor, w: float | Tensor = 1.0,
            steps: int | Sequence = 20, repeats: int = 5, generator: Generator | None = None) -> Tensor:  # fmt: skip
    """Sample the pixels where mask is True under labels; the others are √ᾱ_s·x_0 + √(1−ᾱ_s)·ε at each time s.

    Each step from t to s is taken `repeats` times, and q(x_t | x_s) leads back up between them, so that what is filled
    in fits what is known (RePaint, alg. 1). images: as in `edit`. mask: bool, or 0 and 1, (B | 1, 1, 28, 28).
    Returns (B, 1, 28, 28) in [0, 1], where the known pixels are those of images. Raises ValueError.
    """
    x_0, y = _start(ddpm, images, labels)
    mask, w = guards.mask("mask", mask, x_0), guards.guidance_weight("w", w, len(y))
    model, repeats = for_sampling(ddpm), guards.count("repeats", repeats)

    def step(schedule: NoiseSchedule, x_t: Tensor, x_0_hat: Tensor, t: Tensor, s: Tensor, z: Tensor) -> Tensor:
        ratio = schedule.levels(t)[0] / schedule.levels(s)[0]  # √(ᾱ_t/ᾱ_s)
        for left in reversed(range(repeats if s[0] > 0 else 1)):
            x_s = torch.where(mask, ancestral_step(schedule, x_t, x_0_hat, t, s, z), schedule.add_noise(x_0, s, z))
            if left:
                up, z = draw(torch.randn, (2, *x_0.shape), generator).to(x_0)
                x_t = ratio * x_s + (1 - ratio**2).sqrt() * up
                x_0_hat = schedule.predict_x_0(x_t, t, model.predict_noise(x_t, t, y, w=w)).clamp(-1, 1)
        return x_s

    filled = sample(ddpm, y, w, guards.unasked(step), steps, generator=generator)
    return torch.where(mask, filled, images.detach().to(filled))


def _start(ddpm: DDPM, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The images in [−1, 1], one for each label, and the label rows, both where the model is."""
    y = label_rows(labels, getattr(guards.denoiser("ddpm", ddpm), "num_classes", 10), name="labels")
    shape = getattr(ddpm, "image_shape", guards.MNIST)
    images = guards.pixels("images", images, len(y), shape).detach().expand(len(y), -1, -1, -1)
    return to_signed(images.float()).to(ddpm.schedule.alpha_bar.device), y.to(ddpm.schedule.alpha_bar.device)
