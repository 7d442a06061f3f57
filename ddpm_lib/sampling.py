"""The reverse process: from pure noise at t = T to a digit at t = 0.

Shapes    B batch · K number of classes · (B, 1, 28, 28) stands for images of MNIST; others are (B, *image_shape)
Time      a sampler walks down times T = t_0 > t_1 > … > t_steps = 0; one step goes from t to s
Images    [−1, 1] inside, [0, 1] out of `sample`
Sources   ancestral: Ho et al. 2020, arXiv:2006.11239, algorithm 2 · DDIM: Song et al. 2020, arXiv:2010.02502
          DPM-Solver++(2M): Lu et al. 2022, arXiv:2211.01095, algorithm 2
          guidance interval: Kynkäänniemi et al. 2024, arXiv:2404.07724
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from ddpm_lib import guards
from ddpm_lib.data import to_unit
from ddpm_lib.ddpm import DDPM, draw, label_rows
from ddpm_lib.folding import for_sampling
from ddpm_lib.precision import autocast, eval_mode, fair_threads
from ddpm_lib.schedule import NoiseSchedule

SAMPLERS = ("ancestral", "ddim", "dpmpp_2m")
Step = Callable[[NoiseSchedule, Tensor, Tensor, Tensor, Tensor, Tensor | None], Tensor]


def sample(
    ddpm: DDPM,
    labels: Tensor,
    w: float | Tensor = 1.0,
    sampler: str | Step = "ddim",
    steps: int | Sequence[int] = 20,
    guidance_interval: tuple[int, int] | None = None,
    generator: torch.Generator | None = None,
    eta: float = 0.0,
    x_T: Tensor | None = None,
) -> Tensor:
    """Draw one image for each label, (B, 1, 28, 28) in [0, 1]; `sample_steps` explains the arguments."""
    *_, (x_0, _) = sample_steps(ddpm, labels, w, sampler, steps, guidance_interval, generator, eta, x_T)
    return to_unit(x_0.clamp(-1, 1))


def sample_steps(
    ddpm: DDPM,
    labels: Tensor,
    w: float | Tensor = 1.0,
    sampler: str | Step = "ddim",
    steps: int | Sequence[int] = 20,
    guidance_interval: tuple[int, int] | None = None,
    generator: torch.Generator | None = None,
    eta: float = 0.0,
    x_T: Tensor | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (x_s, x̂_0) after each of the steps from t = T down to 0: the film strip of the reverse process.

    ddpm: a DDPM, or an object with `predict_noise` and `schedule`, such as an exact denoiser.
    labels: (B,) integers or (B, K) rows, B ≥ 1. w: finite number or (B,) tensor, the guidance weight.
    sampler: "ancestral", "ddim", "dpmpp_2m", or a step function of your own. It takes (schedule, x_t, x̂_0, t, s, z)
    as `ddim_step` does, where z is fresh Gaussian noise, and returns x_s.
    steps: int, 1 … T, for evenly spread times; or a list of times that falls from T (with x_T, from any t) to 0.
    guidance_interval: (t_min, t_max) in 1 … T; w acts where t_min ≤ t ≤ t_max, elsewhere w = 0. None means every t.
    generator: source of all randomness; None is torch's global generator.
    eta: number in [0, 1], for "ddim" only: 0 adds no noise on the way, 1 is ancestral sampling.
    x_T: (B, 1, 28, 28) noise to start from, or (1, 1, 28, 28) noise that all images share; None draws B noises.
    Both tensors are (B, 1, 28, 28); x̂_0 is clipped to [−1, 1]. Raises ValueError at the call, and at an ε̂ of NaN or ∞.
    """
    guards.denoiser("ddpm", ddpm)
    schedule, device = ddpm.schedule, ddpm.schedule.alpha_bar.device
    y = label_rows(labels, getattr(ddpm, "num_classes", 10), name="labels").to(device)
    w = guards.guidance_weight("w", w, len(y))
    steps = guards.falling_times("steps", steps, schedule.T, from_T=x_T is None)
    times = steps if isinstance(steps, list) else time_steps(schedule.T, steps)
    t_min, t_max = guards.interval("guidance_interval", guidance_interval, schedule.T)
    guards.generator_or_none("generator", generator)
    shape = getattr(ddpm, "image_shape", guards.MNIST)
    guards.start_or_none("x_T", x_T, len(y), shape)
    step, draws_noise = _step_of(guards.sampler("sampler", sampler, SAMPLERS, eta), eta)

    def walk() -> Iterator[tuple[Tensor, Tensor]]:
        with fair_threads():
            model = for_sampling(ddpm)
        predict_noise, predict_x_0 = guards.unasked(model.predict_noise), guards.unasked(schedule.predict_x_0)
        start = draw(torch.randn, (len(y), *shape), generator) if x_T is None else x_T
        x_t = start.float().to(device).expand(len(y), -1, -1, -1)
        for t, s in pairwise(times):
            z = draw(torch.randn, x_t.shape, generator).to(device) if draws_noise else None
            # These modes end with each step, so that between two steps the caller's code runs in the caller's modes.
            with torch.inference_mode(), eval_mode(model), autocast(device), fair_threads():
                t_rows, s_rows = (torch.full((len(y),), number, device=device) for number in (t, s))
                eps_hat = predict_noise(x_t, t_rows, y, w=w if t_min <= t <= t_max else 0.0)
                guards.answer("eps", eps_hat, "x_t", x_t, "ddpm")  # ddpm may be no DDPM
                x_0_hat = predict_x_0(x_t, t_rows, eps_hat).clamp(-1, 1)
                x_t = step(schedule, x_t, x_0_hat, t_rows, s_rows, z)
            # Tensors from inference mode allow no gradients and no in-place changes; their clones allow both.
            yield x_t.clone(), x_0_hat.clone()

    return walk()


def time_steps(T: int, steps: int) -> list[int]:
    """steps + 1 times, evenly spread, strictly falling from T to 0: with integer division no time comes twice."""
    return [T - i * T // steps for i in range(steps + 1)]


def _step_of(sampler: str | Step, eta: float) -> tuple[Step, bool]:
    """The step function of a sampler, and whether it needs noise z; if not, nothing is drawn from the generator."""
    if not isinstance(sampler, str):
        return lambda tables, x_t, *more: guards.answer("x_s", sampler(tables, x_t, *more), "x_t", x_t, "sampler"), True
    step, draws_noise = {
        "ancestral": (ancestral_step, True),
        "ddim": (partial(ddim_step, eta=eta), eta > 0),
        "dpmpp_2m": (_dpmpp_2m(), False),
    }[sampler]
    return guards.unasked(step), draws_noise


def ancestral_step(schedule: NoiseSchedule, x_t: Tensor, x_0_hat: Tensor, t: Tensor, s: Tensor, z: Tensor) -> Tensor:
    """Draw x_s from q(x_s | x_t, x̂_0) with Gaussian z (DDPM algorithm 2; with s < t − 1 the respaced posterior)."""
    mean, std = schedule.posterior(x_0_hat, x_t, t, s)
    return mean + std * z  # std is 0 at s = 0: the last step adds no noise


def ddim_step(
    schedule: NoiseSchedule, x_t: Tensor, x_0_hat: Tensor, t: Tensor, s: Tensor, z: Tensor | None = None, eta: float = 0
) -> Tensor:
    """x_s = √ᾱ_s·x̂_0 + √(1−ᾱ_s−η²β̃)·ε̂ + η·√β̃·z: the same noise ε̂, but less of it (DDIM eq. 12).

    √β̃ is the posterior's standard deviation: at η = 0 no z is needed, at η = 1 this is `ancestral_step`.
    """
    eps_hat = schedule.predict_eps(x_t, t, x_0_hat)  # it fits the clipped x̂_0
    signal_s, sigma_s = schedule.levels(s)
    if eta == 0:
        return signal_s * x_0_hat + sigma_s * eps_hat
    _, std = schedule.posterior(x_0_hat, x_t, t, s)
    return signal_s * x_0_hat + (sigma_s**2 - (eta * std) ** 2).clamp(min=0).sqrt() * eps_hat + eta * std * z


def dpmpp_2m_step(
    schedule: NoiseSchedule, x_t: Tensor, x_0_hat: Tensor, t: Tensor, s: Tensor, previous: tuple | None = None
) -> Tensor:
    """x_s = (σ_s/σ_t)·x_t + √ᾱ_s·(1 − e^(−h))·D: DDIM with x̂_0 of the step's middle (DPM-Solver++ algorithm 2).

    h = λ_s − λ_t in λ = log-SNR/2. D = x̂_0 + (x̂_0 − x̂_0 of the step before)/(2r), r = (λ_t − λ_before)/h.
    previous: (x̂_0, t) of the step before. Without previous, and at the last step (h = ∞), D = x̂_0: that is DDIM.
    """
    if previous is None or (s == 0).any():
        return ddim_step(schedule, x_t, x_0_hat, t, s)
    x_0_before, t_before = previous
    lambda_s, lambda_t, lambda_before = (schedule.log_snr[i].view(-1, 1, 1, 1) / 2 for i in (s, t, t_before))
    h = lambda_s - lambda_t
    x_0_middle = x_0_hat + h / (2 * (lambda_t - lambda_before)) * (x_0_hat - x_0_before)
    (_, sigma_t), (signal_s, sigma_s) = schedule.levels(t), schedule.levels(s)
    return sigma_s / sigma_t * x_t - signal_s * torch.expm1(-h) * x_0_middle


def _dpmpp_2m() -> Step:
    """A step function for one sampling: `dpmpp_2m_step`, which remembers the step before."""
    previous = [None]

    def step(schedule: NoiseSchedule, x_t: Tensor, x_0_hat: Tensor, t: Tensor, s: Tensor, z: None) -> Tensor:
        before, previous[0] = previous[0], (x_0_hat, t)
        return dpmpp_2m_step(schedule, x_t, x_0_hat, t, s, before)

    return step
