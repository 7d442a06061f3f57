"""Exact cases: data for which the best noise predictor is known on paper, so that no network is to blame.

Sources   two Gaussian classes in one dimension, and what guidance does to them: Ho & Salimans 2022, arXiv:2207.12598,
          figure 2, there in two dimensions
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_lib.course.plots import BLUE, INK, figure, lines, styled
from ddpm_lib.data import to_signed
from ddpm_lib.ddpm import label_rows
from ddpm_lib.sampling import sample, time_steps
from ddpm_lib.schedule import NoiseSchedule


class GaussianPixels:
    """The perfect network where each pixel of a picture with label y is x_0 ~ N(m_y, d²), and N(m_∅, d²) without one.

    It stands in a DDPM's place in `sample`. means: (10,) tensor of the m_y, or one number for all. null: m_∅.
    """

    def __init__(self, schedule: NoiseSchedule, means: float | Tensor = 0.3, d: float = 0.2, null: float = 0.0):
        self.schedule, self.d, self.null = schedule, d, null
        self.means = torch.as_tensor(means, dtype=torch.float32).expand(10)

    def mean(self, y: Tensor, w: float = 0.0) -> Tensor:
        """(B, 1, 1, 1): m_y, or with guidance m_y + w·(m_y − m_∅), to which guided sampling leads."""
        y = label_rows(y, 10)
        m = (y @ self.means + (1 - y.sum(dim=1)) * self.null).view(-1, 1, 1, 1)
        return m + w * (m - self.null)

    def predict_noise(self, x_t: Tensor, t: Tensor, y: Tensor, w: float = 0.0) -> Tensor:
        """E[ε | x_t] = σ·(x_t − √ᾱ·m)/(ᾱ·d² + σ²) with σ² = 1 − ᾱ; guided, it has the guided m."""
        if not isinstance(t, Tensor) or t.shape != (len(x_t),):
            raise ValueError(f"t must be a tensor with one time for each of {len(x_t)} pictures, got {t!r:.60}")
        if isinstance(w, Tensor) and w.ndim:
            w = w.view(-1, 1, 1, 1)
        signal, sigma = self.schedule.levels(t)
        return sigma * (x_t - signal * self.mean(y, w)) / (signal**2 * self.d**2 + sigma**2)

    def slope(self, t: int) -> float:
        """k of the guess x̂_0 = m + k·(x_t − √ᾱ_t·m)."""
        signal, sigma = (float(level) for level in self.schedule.levels(torch.tensor([t])))
        return signal * self.d**2 / (signal**2 * self.d**2 + sigma**2)


def coefficients(schedule: NoiseSchedule, step: Callable, t: int, s: int) -> tuple[float, float, float]:
    """Of a step x_s = a·x_t + b·x̂_0 + std·z its a, b and std. step: as `sample` takes it."""
    t, s, (zero, one) = torch.tensor([t]), torch.tensor([s]), torch.tensor([0.0, 1.0]).view(2, 1, 1, 1, 1)
    inputs = ((one, zero, zero), (zero, one, zero), (zero, zero, one))
    return tuple(float(step(schedule, x_t, x_0_hat, t, s, z)) for x_t, x_0_hat, z in inputs)


def exact_spread(exact: GaussianPixels, step: Callable, steps: int) -> float:
    """The standard deviation that a step function gives to samples of the exact case, on paper: none is drawn.

    With x̂_0 = m + k·(x_t − √ᾱ_t·m), each step turns the variance V of x_t into (a + b·k)²·V + std².
    """
    schedule, variance = exact.schedule, 1.0
    for t, s in pairwise(time_steps(schedule.T, steps)):
        a, b, std = coefficients(schedule, step, t, s)
        variance = (a + b * exact.slope(t)) ** 2 * variance + std**2
    return variance**0.5


def draw_all(
    exact: GaussianPixels, steps_of: dict[str, Callable], step_counts: Sequence[int], new_noise: Callable
) -> dict[tuple[str, int], Tensor]:
    """Samples (20, 1, 28, 28) in [−1, 1] of the exact case for each step function and each number of steps."""
    labels = torch.zeros(20, dtype=torch.long)
    return {
        (name, n): to_signed(sample(exact, labels, w=0.0, sampler=step, steps=n, generator=new_noise()))
        for name, step in steps_of.items()
        for n in step_counts
    }


def too_narrow(drawn: dict[tuple[str, int], Tensor], d: float) -> Figure:
    """By how many percent the standard deviation of `draw_all`'s samples is below d, over the number of steps."""
    curves = {}
    for (name, _), x in drawn.items():
        curves.setdefault(name, []).append(100 * (1 - x.std().item() / d))
    return lines(
        sorted({n for _, n in drawn}),
        curves,
        x_label="number of steps",
        y_label="too narrow by … %",
        log_x=True,
        y_limits=(0, 100),
    )


def product_on_a_grid(
    x_0: float, x_t: float, alpha_bar_t: float, alpha_bar_s: float, points: int = 200_001
) -> tuple[float, float]:
    """Mean and standard deviation of q(x_t | x_s)·q(x_s | x_0) as a density of x_s, by summing over a grid."""
    x_s = torch.linspace(-12, 12, points, dtype=torch.float64)
    alpha = alpha_bar_t / alpha_bar_s
    log_q = -((x_t - alpha**0.5 * x_s) ** 2) / (2 * (1 - alpha))
    log_q -= (x_s - alpha_bar_s**0.5 * x_0) ** 2 / (2 * (1 - alpha_bar_s))
    q = log_q.softmax(0)
    mean = (q * x_s).sum()
    return float(mean), float((q * (x_s - mean) ** 2).sum().sqrt())


class TwoClasses:
    """Two classes in one dimension, x_0 ~ N(−1, d²) and x_0 ~ N(+1, d²), equally likely, and the exact ε of each.

    centre: −1 or +1 asks for a class, None for no label (∅). x_t: tensor of any shape; t: whole number 1 … T.
    """

    centres = (-1.0, 1.0)

    def __init__(self, schedule: NoiseSchedule, d: float = 0.6):
        self.schedule, self.d = schedule, d

    def _levels(self, t: int) -> tuple[float, float, float]:
        """√ᾱ_t, √(1−ᾱ_t), and the variance of x_t within a class."""
        signal, sigma = (float(level) for level in self.schedule.levels(torch.tensor([t])))
        return signal, sigma, signal**2 * self.d**2 + sigma**2

    def log_density(self, x_t: Tensor, t: int, centre: float | None) -> Tensor:
        """log p(x_t), but for a constant."""
        signal, _, variance = self._levels(t)
        centres = self.centres if centre is None else (centre,)
        return torch.stack([-((x_t - signal * c) ** 2) / (2 * variance) for c in centres]).logsumexp(0)

    def eps(self, x_t: Tensor, t: int, centre: float | None) -> Tensor:
        """E[ε | x_t], shaped as x_t: of one class, or of both, each with the probability that x_t is from it."""
        signal, sigma, variance = self._levels(t)
        if centre is None:
            of = torch.stack([self.log_density(x_t, t, c) for c in self.centres]).softmax(0)
            return sum(share * self.eps(x_t, t, c) for share, c in zip(of, self.centres, strict=True))
        return sigma * (x_t - signal * centre) / variance

    def sample(
        self, guided: Callable, w: float, generator: torch.Generator, n: int = 20_000, steps: int = 250
    ) -> Tensor:
        """(n,) samples, asked to be of class +1, by DDIM; guided(eps_y, eps_null, w) mixes the two predictions."""
        x_t = torch.randn(n, generator=generator)
        for t, s in pairwise(time_steps(self.schedule.T, steps)):
            eps_hat = guided(self.eps(x_t, t, 1.0), self.eps(x_t, t, None), w)
            (signal_t, sigma_t, _), (signal_s, sigma_s, _) = self._levels(t), self._levels(s)
            x_t = signal_s * (x_t - sigma_t * eps_hat) / signal_t + sigma_s * eps_hat
        return x_t


@styled
def two_classes(samples: dict[float, Tensor], d: float, limits: tuple[float, float] = (-3.2, 4.2)) -> Figure:
    """Histograms of samples for each guidance weight, with the outline of the class +1, which was asked for.

    samples: w → (n,) samples.
    """
    fig, [row] = figure(9.0, 2.4, columns=len(samples), sharey=True)
    x = torch.linspace(*limits, 300)
    outline = torch.exp(-((x - 1) ** 2) / (2 * d**2)) / (d * (2 * torch.pi) ** 0.5)
    for axes, (w, values) in zip(row, samples.items(), strict=True):
        axes.hist(values.clamp(*limits).numpy(), 60, range=limits, density=True, color=BLUE, alpha=0.6)
        axes.plot(x, outline, color=INK, linewidth=1.4, linestyle="--")
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set(title=f"w = {w:g}".replace("-", "−"), xticks=[-1, 0, 1, 2, 3], yticks=[], xlim=limits)
        axes.spines["left"].set_visible(False)
        axes.grid(False)
    return fig


def spread_table(samples: dict[float, Tensor], d: float) -> str:
    """Mean, standard deviation and share below 0 of the samples of each guidance weight, as lines of text.

    On the right, mean and standard deviation of the density p(x_0 | y)·p(y | x_0)^w, on a grid.
    """
    x = torch.linspace(-10, 10, 20_001, dtype=torch.float64)
    rows = [f"{'w':>4}{'mean':>8}{'std':>8}{'wrong side':>12}{'p(x|y)·p(y|x)^w: mean':>26}{'std':>8}"]
    for w, drawn in samples.items():
        wrong = (drawn < 0).float().mean().item()
        # p(y | x_0) of two equal bells a distance of 2 apart is sigmoid(2·x_0/d²)
        density = (-((x - 1) ** 2) / (2 * d**2) + w * F.logsigmoid(2 * x / d**2)).softmax(0)
        mean = (density * x).sum()
        std = (density * (x - mean) ** 2).sum().sqrt()
        rows.append(f"{w:>4g}{drawn.mean():>8.2f}{drawn.std():>8.2f}{wrong:>12.1%}{mean:>26.2f}{std:>8.2f}")
    return "\n".join(rows)
