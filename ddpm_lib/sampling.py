"""The reverse process: from pure noise at t = T to a digit at t = 0.

Shapes    B batch · K number of classes
Time      a sampler walks down times T = t_0 > t_1 > … > t_steps = 0; one step goes from t to s
Images    [−1, 1] inside, [0, 1] out of `sample`
Sources   ancestral: Ho et al. 2020, arXiv:2006.11239, algorithm 2 · DDIM: Song et al. 2020, arXiv:2010.02502
          DPM-Solver++(2M): Lu et al. 2022, arXiv:2211.01095, algorithm 2
          guidance interval: Kynkäänniemi et al. 2024, arXiv:2404.07724
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from numbers import Real

import torch
from torch import Tensor

from ddpm_lib.ddpm import DDPM, check_generator, check_images, check_w, draw, label_rows
from ddpm_lib.precision import autocast, eval_mode
from ddpm_lib.schedule import NoiseSchedule, is_count


def sample(
    ddpm: DDPM,
    labels: Tensor,
    w: float | Tensor = 1.0,
    sampler: str = "ddim",
    steps: int = 20,
    guidance_interval: tuple[int, int] | None = None,
    generator: torch.Generator | None = None,
    eta: float = 0.0,
    x_T: Tensor | None = None,
) -> Tensor:
    """Draw one image for each label: the end of `sample_steps`, as (B, 1, 28, 28) in [0, 1].

    Arguments and errors are those of `sample_steps`.
    """
    strip = sample_steps(ddpm, labels, w, sampler, steps, guidance_interval, generator, eta, x_T)
    for x_0, _ in strip:  # noqa: B007
        pass
    return (x_0.clamp(-1, 1) + 1) / 2


def sample_steps(
    ddpm: DDPM,
    labels: Tensor,
    w: float | Tensor = 1.0,
    sampler: str = "ddim",
    steps: int = 20,
    guidance_interval: tuple[int, int] | None = None,
    generator: torch.Generator | None = None,
    eta: float = 0.0,
    x_T: Tensor | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (x_s, x̂_0) after each of the steps from t = T down to 0: the film strip of the reverse process.

    ddpm: a DDPM, or whatever has its `predict_noise` and `schedule`, such as a denoiser that is known exactly.
    labels: (B,) integers or (B, K) rows, B ≥ 1. w: finite number or (B,) tensor, the guidance weight.
    sampler: "ancestral", "ddim" or "dpmpp_2m". steps: int, 1 … T.
    guidance_interval: (t_min, t_max), times on the scale 1 … T; w acts where t_min ≤ t ≤ t_max, elsewhere w = 0. None
    is everywhere.
    generator: source of all randomness; None is torch's own.
    eta: number in [0, 1], for "ddim" only: 0 adds no noise on the way, 1 is ancestral sampling.
    x_T: (B, 1, 28, 28) noise to start from, or (1, 1, 28, 28) that all images share; None draws it, one for each image.
    Both tensors are (B, 1, 28, 28); x̂_0 is clipped to [−1, 1]. Raises ValueError at the call, before any work.
    """
    check_model(ddpm)
    y = label_rows(labels, getattr(ddpm, "num_classes", 10), name="labels")
    w = check_w(w, len(y))
    if not isinstance(sampler, str) or sampler not in SAMPLERS:
        raise ValueError(f"sampler must be one of {SAMPLERS}, got {sampler!r}")
    T = ddpm.schedule.T
    if not is_count(steps) or steps > T:
        raise ValueError(f"steps must be an integer in 1…{T}, got {steps!r}")
    t_min, t_max = _check_interval(guidance_interval, T)
    check_generator(generator)
    if not isinstance(eta, Real) or not 0 <= eta <= (1 if sampler == "ddim" else 0):
        raise ValueError(f'eta must lie in [0, 1] for "ddim" and be 0 for other samplers, got {eta!r}')
    if x_T is not None:
        check_images("x_T", x_T)
        if len(x_T) not in (1, len(y)):
            raise ValueError(f"x_T must hold 1 image or one for each of the {len(y)} labels, got {len(x_T)}")
    return _reverse_process(ddpm, y, w, sampler, time_steps(T, steps), t_min, t_max, generator, eta, x_T)


def _reverse_process(ddpm, y, w, sampler, times, t_min, t_max, generator, eta, x_T) -> Iterator[tuple[Tensor, Tensor]]:
    schedule, device = ddpm.schedule, ddpm.schedule.alpha_bar.device
    y = y.to(device)
    if x_T is None:
        x_T = draw(torch.randn, (len(y), 1, 28, 28), generator)
    x_t = x_T.to(device, torch.float32).expand(len(y), -1, -1, -1)
    z, previous = None, None
    ddpm = fast_copy(ddpm)
    for t, s in pairwise(times):
        if sampler == "ancestral" or eta > 0:
            z = draw(torch.randn, x_t.shape, generator).to(device)
        # Entered anew for each step, so that the caller's own code between two steps runs in the caller's modes.
        with torch.inference_mode(), eval_mode(ddpm), autocast(device):
            now, then = (torch.full((len(y),), time, device=device) for time in (t, s))
            eps_hat = ddpm.predict_noise(x_t, now, y, w=w if t_min <= t <= t_max else 0.0)
            x_0_hat = schedule.predict_x_0(x_t, now, eps_hat).clamp(-1, 1)
            if sampler == "ancestral":
                x_t = ancestral_step(schedule, x_t, x_0_hat, now, then, z)
            elif sampler == "ddim":
                x_t = ddim_step(schedule, x_t, x_0_hat, now, then, z, eta)
            else:
                x_t = dpmpp_2m_step(schedule, x_t, x_0_hat, now, then, previous)
            previous = x_0_hat, now
        # Tensors made in inference mode are closed to autograd and in-place changes; clones are ordinary.
        yield x_t.clone(), x_0_hat.clone()


def time_steps(T: int, steps: int) -> list[int]:
    """steps + 1 times, evenly spread, strictly falling from T to 0 (integers, so that no two collapse)."""
    return [T - i * T // steps for i in range(steps + 1)]


def ancestral_step(schedule: NoiseSchedule, x_t: Tensor, x_0_hat: Tensor, t: Tensor, s: Tensor, z: Tensor) -> Tensor:
    """Draw x_s from q(x_s | x_t, x̂_0) with Gaussian z (DDPM algorithm 2; with s < t − 1 the respaced posterior)."""
    mean, std = schedule.posterior(x_0_hat, x_t, t, s)
    return mean + std * z  # std is 0 at s = 0: the last step adds no noise


def ddim_step(
    schedule: NoiseSchedule, x_t: Tensor, x_0_hat: Tensor, t: Tensor, s: Tensor, z: Tensor | None = None, eta: float = 0
) -> Tensor:
    """x_s = √ᾱ_s·x̂_0 + √(1−ᾱ_s−σ²)·ε̂ + σ·z: the noise that was found, less of it (DDIM eq. 12).

    σ is η times the posterior's standard deviation: at η = 0 no z is needed, at η = 1 this is `ancestral_step`.
    """
    eps_hat = schedule.predict_eps(x_t, t, x_0_hat)  # from the clipped x̂_0
    signal_s, sigma_s = schedule.levels(s)
    if eta == 0:
        return signal_s * x_0_hat + sigma_s * eps_hat
    _, std = schedule.posterior(x_0_hat, x_t, t, s)
    return signal_s * x_0_hat + (sigma_s**2 - (eta * std) ** 2).clamp(min=0).sqrt() * eps_hat + eta * std * z


def dpmpp_2m_step(
    schedule: NoiseSchedule,
    x_t: Tensor,
    x_0_hat: Tensor,
    t: Tensor,
    s: Tensor,
    previous: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """x_s = (σ_s/σ_t)·x_t + √ᾱ_s·(1 − e^(−h))·D: DDIM with x̂_0 as it will be mid-step (DPM-Solver++ algorithm 2).

    h = λ_s − λ_t in λ = log-SNR/2. D = x̂_0 + (x̂_0 − x̂_0 of the step before)/(2r), r = (λ_t − λ_before)/h.
    previous: (x̂_0, t) of the step before. Without it D = x̂_0, and this is DDIM; so is the last step, where h = ∞.
    """
    if previous is None or (s == 0).any():
        return ddim_step(schedule, x_t, x_0_hat, t, s)
    x_0_before, t_before = previous
    lambda_s, lambda_t, lambda_before = (schedule.log_snr[time].view(-1, 1, 1, 1) / 2 for time in (s, t, t_before))
    h = lambda_s - lambda_t
    x_0_middle = x_0_hat + h / (2 * (lambda_t - lambda_before)) * (x_0_hat - x_0_before)
    (_, sigma_t), (signal_s, sigma_s) = schedule.levels(t), schedule.levels(s)
    return sigma_s / sigma_t * x_t - signal_s * torch.expm1(-h) * x_0_middle


SAMPLERS = ("ancestral", "ddim", "dpmpp_2m")


def fast_copy(ddpm: DDPM | object) -> DDPM | object:
    """A folded copy of a DDPM, so that no mode of it changes; itself where `predict_noise` is somebody else's."""
    own = isinstance(ddpm, DDPM) and type(ddpm).predict_noise is DDPM.predict_noise
    if not own or "predict_noise" in vars(ddpm):
        return ddpm  # such as an exact denoiser, or a spy: it is called as it is, and may keep count in the object
    with torch.inference_mode():
        return ddpm.folded()


def check_model(ddpm: object) -> None:
    """Raise ValueError unless ddpm has what a sampler needs of a DDPM."""
    if not hasattr(ddpm, "predict_noise") or not hasattr(ddpm, "schedule"):
        raise ValueError(f"ddpm must be a DDPM, or have its predict_noise and schedule, got {ddpm!r:.60}")


def _check_interval(interval: tuple[int, int] | None, T: int) -> tuple[float, float]:
    if interval is None:
        return 1, T
    try:
        t_min, t_max = interval
        ordered = isinstance(t_min, Real) and isinstance(t_max, Real) and t_min <= t_max
    except (TypeError, ValueError):
        ordered = False
    if not ordered:
        raise ValueError(f"guidance_interval must be None or (t_min, t_max) with t_min ≤ t_max, got {interval!r:.60}")
    if t_min > T or math.ceil(max(t_min, 0)) > min(t_max, T):  # no time lies in it: shares of T, perhaps
        raise ValueError(f"guidance_interval must be times on the scale 1…{T}, got {interval!r:.60}")
    return t_min, t_max
