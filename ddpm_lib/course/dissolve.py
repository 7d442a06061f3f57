"""How a digit dissolves: what notebook 01 calls until an answer of the learner has passed, and its strips of digits."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from ddpm_lib.course.plots import BLUE, INK, ORANGE, digits, figure, show, styled
from ddpm_lib.data import to_unit
from ddpm_lib.schedule import NoiseSchedule


def chain(x_0: Tensor, beta: Tensor, z: Tensor) -> Tensor:
    """x_0, x_1, … x_n, one step of DDPM's equation 2 after the other.

    x_0: (B, 1, H, W). beta: (n,), β_1 … β_n. z: (n, B, 1, H, W) standard Gaussian. Returns (n + 1, B, 1, H, W).
    """
    states = [x_0]
    for beta_t, z_t in zip(beta, z, strict=True):
        states.append((1 - beta_t).sqrt() * states[-1] + beta_t.sqrt() * z_t)
    return torch.stack(states)


def jump(x_0: Tensor, alpha_bar_t: Tensor, eps: Tensor) -> Tensor:
    """x_t in one jump, from ᾱ_t itself (DDPM, equation 4). x_0, eps: (B, 1, H, W). alpha_bar_t: (B, 1, 1, 1)."""
    return alpha_bar_t.sqrt() * x_0 + (1 - alpha_bar_t).sqrt() * eps


def jumps(jump: Callable, x_0: Tensor, alpha_bar: Tensor, eps: Tensor) -> Tensor:
    """One jump for each ᾱ, all with the same noise: (n, 1, 1, 28, 28).

    jump: of the form of the function above. x_0, eps: (1, 1, 28, 28). alpha_bar: (n,).
    """
    return torch.stack([jump(x_0, level, eps) for level in alpha_bar.view(-1, 1, 1, 1, 1)])


def half_noise_time(schedule: NoiseSchedule) -> int:
    """The first t with 1 − ᾱ_t ≥ 1/2."""
    return int((schedule.alpha_bar <= 0.5).int().argmax())


def shift_log_snr(alpha_bar: Tensor, shift: float) -> Tensor:
    """The ᾱ (T+1,) whose log-SNR is lower by shift at every t."""
    return torch.sigmoid(torch.logit(alpha_bar) - shift)


def straight_log_snr(T: int, first: float, last: float) -> Tensor:
    """β_1 … β_T, (T,): the log-SNR falls in a straight line from first at t = 1 to last at t = T."""
    log_alpha_bar = F.logsigmoid(torch.linspace(first, last, T, dtype=torch.float64))
    return -torch.expm1(log_alpha_bar.diff(prepend=torch.zeros(1))).float()


def told_apart(schedule: NoiseSchedule, x_0: Tensor, generator: torch.Generator) -> float:
    """How often a lazy detector tells the x_T of training from pure noise: 0.5 is a coin toss.

    The detector multiplies a picture with the average digit, pixel by pixel, and sums; a threshold halfway between the
    two means decides. x_0: (N, 1, 28, 28) in [−1, 1].
    """
    template = x_0.mean(dim=0)
    eps, pure = torch.randn(2, *x_0.shape, generator=generator)
    x_T = schedule.add_noise(x_0, torch.full((len(x_0),), schedule.T), eps)
    training, sampling = ((x * template).sum(dim=(1, 2, 3)) for x in (x_T, pure))
    threshold = (training.mean() + sampling.mean()) / 2
    if training.mean() < sampling.mean():
        training, sampling = sampling, training
    return ((training > threshold).float().mean() + (sampling <= threshold).float().mean()).item() / 2


def show_film(
    frames: Tensor,
    times: Sequence[int],
    alt: str,
    names: Sequence[str] = (),
    marked: Sequence[int] = (),
    tile: float = 0.7,
) -> None:
    """Display film strips below each other, a column for each time.

    frames: (times, strips, 1, 28, 28) in [−1, 1]; values beyond are drawn as black and white. names: of the strips.
    marked: a time for each strip; the first picture at or after it gets a frame.
    """
    fig = digits(to_unit(frames.transpose(0, 1)), list(names) or None, [f"t={t}" for t in times], tile=tile)
    size = frames.shape[-1] + 2  # in the figure, a picture and the gap to the next one
    for strip, time in enumerate(marked):
        column = next((i for i, t in enumerate(times) if t >= time), len(times) - 1)
        corner = (column * size + 0.3, strip * size + 0.3)
        fig.axes[0].add_patch(Rectangle(corner, size - 1.6, size - 1.6, fill=False, edgecolor=ORANGE, linewidth=2.5))
    show(fig, alt)


def contrast_up(frames: Tensor) -> Tensor:
    """Each picture (times, strips, 1, 28, 28) as it is, but stretched until its largest value is ±1."""
    return frames / frames.abs().amax(dim=(2, 3, 4), keepdim=True)


def averages(
    schedules: dict[str, NoiseSchedule], x_0: Tensor, noise: Tensor, counts: Sequence[int] = (1, 10, 100, 1000, 10_000)
) -> Figure:
    """Averages of many x_T of one digit, a row for each schedule; what is left of the digit stays, the noise shrinks.

    x_0: (1, 1, 28, 28). noise: (max(counts), 1, 28, 28). counts: how many x_T are averaged, a column each.
    """
    rows = []
    for schedule in schedules.values():
        x_T = schedule.add_noise(x_0.expand_as(noise), torch.full((len(noise),), schedule.T), noise)
        rows.append(torch.stack([x_T[:n].mean(dim=0) for n in counts]))
    loudest = max(float(schedule.levels(torch.tensor([schedule.T]))[0]) for schedule in schedules.values())
    contrast = max(loudest, 0.05)  # this value is drawn white
    return digits(to_unit(torch.stack(rows) / contrast), list(schedules), [f"n={n:,}" for n in counts], tile=0.9)


@styled
def way_back(x_t: float, betas: dict[str, float], std: float = 0.25) -> Figure:
    """Where a pixel was before a step that ended at x_t, for steps of several sizes: a panel each.

    Before the step the pixel is −1 or +1, give or take std. betas: title → β of the step.
    """
    fig, [row] = figure(8.6, 2.7, columns=len(betas), sharey=True)
    x = np.linspace(-2.2, 2.2, 2000)
    before = sum(np.exp(-(((x - middle) / std) ** 2) / 2) for middle in (-1, 1))
    for axes, (title, beta) in zip(row, betas.items(), strict=True):
        after = before * np.exp(-((x_t - np.sqrt(1 - beta) * x) ** 2) / (2 * beta))  # Bayes' rule, but for a factor
        axes.plot(x, before / before.max(), color=INK, linestyle="--", linewidth=1.2)
        axes.fill_between(x, after / after.max(), color=BLUE, alpha=0.35, linewidth=0)
        axes.plot(x, after / after.max(), color=BLUE)
        axes.plot([x_t], [0], "^", color=ORANGE, markersize=9, clip_on=False)
        axes.set(title=title, xlabel="value of the pixel", yticks=[], ylim=(0, 1.2))
        axes.spines["left"].set_visible(False)
        axes.grid(False)
    row[0].annotate("before the step", (-1, 1), xytext=(0, 4), textcoords="offset points", ha="center")
    row[-1].annotate("seen now", (0.05, 0), xytext=(0, 14), textcoords="offset points", ha="center", color=ORANGE)
    row[-1].annotate("where it was", (1, 1), xytext=(0, 4), textcoords="offset points", ha="center", color=BLUE)
    return fig
