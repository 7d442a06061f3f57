"""Notebook 04's way back from noise: the library's answers to its exercises, and what makes a sampler of an answer."""

from collections.abc import Callable, Iterable, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_lib.course import plots
from ddpm_lib.data import to_signed
from ddpm_lib.ddpm import DDPM
from ddpm_lib.evaluation import evaluate, judge_of
from ddpm_lib.sampling import ddim_step as ddim_step_of_the_library
from ddpm_lib.sampling import sample
from ddpm_lib.schedule import NoiseSchedule

# ---------------------------------------------------------------------- what the learner writes, as the library has it


def posterior(x_0: Tensor, x_t: Tensor, alpha_bar_t: Tensor, alpha_bar_s: Tensor) -> tuple[Tensor, Tensor]:
    """Mean, shaped as x_0, and standard deviation (B, 1, 1, 1) of q(x_s | x_t, x_0) (DDPM eqs. 6–7)."""
    alpha, left = alpha_bar_t / alpha_bar_s, 1 - alpha_bar_t
    mean = alpha_bar_s.sqrt() * (1 - alpha) / left * x_0 + alpha.sqrt() * (1 - alpha_bar_s) / left * x_t
    return mean, ((1 - alpha_bar_s) / left * (1 - alpha)).sqrt()


def ancestral_step(schedule: NoiseSchedule, x_t: Tensor, eps_hat: Tensor, t: Tensor) -> Tensor:
    """x_{t-1}, drawn from the posterior with noise of its own."""
    mean, std = schedule.posterior(schedule.predict_x_0(x_t, t, eps_hat), x_t, t)
    return mean + std * torch.randn_like(x_t)


def reverse_loop(ddpm: DDPM, labels: Tensor, w: float, generator: torch.Generator) -> Tensor:
    """A digit in [−1, 1] for each label, by all T ancestral steps."""
    return to_signed(sample(ddpm, labels, w, "ancestral", ddpm.schedule.T, generator=generator))


def ddim_step(x_t: Tensor, eps_hat: Tensor, alpha_bar_t: Tensor, alpha_bar_s: Tensor) -> Tensor:
    """x_s = √ᾱ_s·x̂_0 + √(1−ᾱ_s)·ε̂ (DDIM eq. 12)."""
    x_0_hat = (x_t - (1 - alpha_bar_t).sqrt() * eps_hat) / alpha_bar_t.sqrt()
    return alpha_bar_s.sqrt() * x_0_hat + (1 - alpha_bar_s).sqrt() * eps_hat


def guided_noise(eps_y: Tensor, eps_null: Tensor, w: float) -> Tensor:
    """ε̂ = (1+w)·ε(y) − w·ε(∅) (Ho & Salimans eq. 6)."""
    return (1 + w) * eps_y - w * eps_null


# ------------------------------------------------------------------------------------- a sampler of a learner's answer


def by_posterior(posterior: Callable, noise: float = 1.0) -> Callable:
    """A step function for `sample`: mean + noise·std·z, with mean and std of this posterior."""

    def step(schedule, x_t, x_0_hat, t, s, z):
        mean, std = posterior(x_0_hat, x_t, *_bars(schedule, t, s))
        return mean + noise * std * z

    return step


def by_ancestral(one_step: Callable) -> Callable:
    """A step function for `sample` with steps = T, of a function as `ancestral_step` is here."""
    return lambda schedule, x_t, x_0_hat, t, s, z: one_step(schedule, x_t, schedule.predict_eps(x_t, t, x_0_hat), t)


def by_ddim(one_step: Callable) -> Callable:
    """A step function for `sample`, of a function as `ddim_step` is here."""
    return lambda schedule, x_t, x_0_hat, t, s, z: one_step(
        x_t, schedule.predict_eps(x_t, t, x_0_hat), *_bars(schedule, t, s)
    )


def _bars(schedule: NoiseSchedule, *times: Tensor) -> list[Tensor]:
    return [schedule.alpha_bar[time].view(-1, 1, 1, 1) for time in times]


class Guided:
    """A DDPM whose guided noise comes from this function of (eps_y, eps_null, w). It stands in a DDPM's place."""

    def __init__(self, ddpm: DDPM, guided_noise: Callable):
        self.ddpm, self.schedule, self.guided_noise = ddpm, ddpm.schedule, guided_noise

    def predict_noise(self, x_t: Tensor, t: Tensor, y: Tensor, w: float = 0.0) -> Tensor:
        eps_y, eps_null = (self.ddpm.predict_noise(x_t, t, y, w=only) for only in (0.0, -1.0))
        return self.guided_noise(eps_y, eps_null, w)


# --------------------------------------------------------------------------------------------------------- what we see


def film_rows(film: Iterable[tuple[Tensor, Tensor]], T: int, times: Sequence[int]) -> Tensor:
    """Of a film strip in T steps, for each digit a row of x_t and one of x̂_0 at these times: (2·B, len(times), …)."""
    chosen = {t: pair for t, pair in zip(range(T - 1, -1, -1), film, strict=True) if t in times}
    pairs = [torch.stack(chosen[t], dim=1) for t in times]  # (B, 2, 1, 28, 28) each
    return torch.stack(pairs, dim=2).flatten(0, 1)


def unlike(images: Tensor, labels: Tensor) -> float:
    """How unlike two digits of a class are, measured against their ink: 0 is the same picture, 1 is no common ink.

    √(mean ‖x − x'‖² / (2·mean ‖x‖²)) of the pairs of a class, then the mean over the classes.
    images: (N, 1, 28, 28) in [0, 1], with at least two of some class.
    """
    classes = [images[labels == label].flatten(1) for label in labels.unique()]
    of = [torch.pdist(x).square().mean() / (2 * x.square().sum(1).mean()) for x in classes if len(x) > 1]
    return torch.stack(of).sqrt().mean().item()


TITLES = {"agreement": "agreement", "distance": "distance in a class", "unlike": "distance by ink"}


def scores_over_w(
    ddpm: DDPM, weights: Sequence[float], labels: Tensor, batches: int, new_noise: Callable
) -> dict[float, dict[str, list[float]]]:
    """Agreement, mean distance within a class, and `unlike`: w → (name → a score for each batch of ten DDIM steps)."""
    found = {w: {name: [] for name in TITLES} for w in weights}
    for w, scores in found.items():
        for i in range(batches):
            images = sample(ddpm, labels, w=w, steps=10, generator=new_noise(i))
            of = evaluate(images, labels, judge_of(ddpm))
            for name, score in zip(TITLES, (of.agreement, of.diversity, unlike(images, labels)), strict=True):
                scores[name].append(score)
    return found


def scores_table(scores: dict[float, dict[str, list[float]]]) -> str:
    """The means of `scores_over_w` as lines of text."""
    lines = [f"{'w':>4}" + "".join(f"{title:>22}" for title in TITLES.values())]
    for w, of in scores.items():
        lines.append(f"{w:>4g}" + "".join(f"{sum(of[name]) / len(of[name]):>22.2f}" for name in TITLES))
    return "\n".join(lines)


def scores_figure(scores: dict[float, dict[str, list[float]]]) -> Figure:
    """A panel for each of `scores_over_w`: the mean of the batches, in a band from the lowest to the highest."""
    panels, bands, limits = {}, {}, {}
    for name, title in TITLES.items():
        values = [of[name] for of in scores.values()]
        panels[title] = {"": [sum(batch) / len(batch) for batch in values]}
        bands[title] = {"": ([min(batch) for batch in values], [max(batch) for batch in values])}
        limits[title] = (0, 1.1 * max(map(max, values)))
    return plots.small_multiples(list(scores), panels, "guidance weight w", bands=bands, limits=limits)


def after_a_ddim_step(schedule: NoiseSchedule, eta: float, t: int, s: int, x_0: float = 0.5, n: int = 400) -> Tensor:
    """n·784 values of x_s: x_t by the jump from x_0, then a step of DDIM's family that knows x_0 itself."""
    eps, z = torch.randn(2, n, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    x_0, t, s = torch.full_like(eps, x_0), torch.full((n,), t), torch.full((n,), s)
    return ddim_step_of_the_library(schedule, schedule.add_noise(x_0, t, eps), x_0, t, s, z, eta)
