"""What notebook 10 needs to compare the names of one network's answer, and the two ways back from noise.

Sources   score: Vincent 2011, "A connection between score matching and denoising autoencoders"
          reverse SDE and probability-flow ODE: Song et al. 2020, arXiv:2011.13456
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_lib.course import plots
from ddpm_lib.course.toys import TwoClasses
from ddpm_lib.ddpm import DDPM
from ddpm_lib.precision import fair_threads
from ddpm_lib.sampling import time_steps

ARROWS = {"angles": "xy", "scale_units": "xy", "scale": 1, "pivot": "mid", "color": plots.ORANGE, "width": 0.009,
          "headwidth": 3.6, "headlength": 4, "headaxislength": 4, "minlength": 0.1}  # fmt: skip

# ------------------------------------------------------- what the notebook uses until the learner's answers have passed


def noise_in(answer: Tensor, p: float | Tensor, q: float | Tensor, x_t: Tensor, alpha_bar: Tensor) -> Tensor:
    """The ε of x_t = √ᾱ·x_0 + √(1−ᾱ)·ε in an answer = p·x_0 + q·ε."""
    signal, sigma = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    return (signal * answer - p * x_t) / (signal * q - sigma * p)


def score(log_density: Callable, x: Tensor, h: float) -> Tensor:
    """The slope of log_density at each x, by central differences."""
    return (log_density(x + h) - log_density(x - h)) / (2 * h)


def log_density(two: TwoClasses, t: int) -> Callable[[Tensor], Tensor]:
    """log p(x_t) of both classes together, but for a constant, as a function of numbers of any kind."""
    return lambda x: two.log_density(torch.as_tensor(x, dtype=torch.float64), t, None)


# ------------------------------------------------------------------------------------------------------------ the names


def ask(
    ddpm: DDPM, x_0: Tensor, label: Tensor, times: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """One noise in one picture, at all these times: x_t, and the network's ε̂ and x̂_0, each (B, 1, 28, 28).

    x_0: (1, 28, 28) in [−1, 1]. label: () whole number. times: (B,) long.
    """
    eps = torch.randn(1, 1, 28, 28, generator=generator).expand(len(times), -1, -1, -1)
    x_t = ddpm.schedule.add_noise(x_0.expand_as(eps), times, eps)
    with torch.inference_mode():
        eps_hat = ddpm.predict_noise(x_t, times, label.expand(len(times)))
    return x_t, eps_hat, ddpm.schedule.predict_x_0(x_t, times, eps_hat)


def error_table(
    ddpm: DDPM, images: Tensor, labels: Tensor, times: Sequence[int], generator: torch.Generator, n: int = 100
) -> str:
    """Mean squared error of the network's answer under each of its names, at these times, as lines of text.

    images: (N, 1, 28, 28) in [−1, 1], sorted by their labels (N,). About n are taken, with the same noise at each time.
    """
    some = slice(None, None, max(1, len(images) // n))
    x_0, y = images[some], labels[some]
    rows = ["    t" + "".join(f"{f'of {name}':>10}" for name in ("ε", "x_0", "v", "u"))]
    eps = torch.randn(x_0.shape, generator=generator)
    for t in times:
        t_rows = torch.full((len(x_0),), t)
        x_t = ddpm.schedule.add_noise(x_0, t_rows, eps)
        with torch.inference_mode():
            eps_hat = ddpm.predict_noise(x_t, t_rows, y)
        of_x_0, of_eps = x_0 - ddpm.schedule.predict_x_0(x_t, t_rows, eps_hat), eps - eps_hat
        signal, sigma = ddpm.schedule.levels(t_rows)
        errors = (of_eps, of_x_0, signal * of_eps - sigma * of_x_0, of_eps - of_x_0)
        rows.append(f"{t:>5}" + "".join(f"{error.square().mean():>10.3f}" for error in errors))
    return "\n".join(rows)


# ------------------------------------------------------------------------------------------ the score in one dimension


def density(two: TwoClasses, t: int, x: Tensor) -> Tensor:
    """p(x_t) of both classes together at evenly spaced x, with area 1 where x covers all of it."""
    p = log_density(two, t)(x).softmax(0)
    return p / (x[1] - x[0])


def score_gap(two: TwoClasses, t: int, score: Callable, h: float) -> float:
    """The largest difference between score, from values of the log-density, and −ε/σ of the exact ε, |x| ≤ 3."""
    x = torch.linspace(-3, 3, 601, dtype=torch.float64)
    return (score(log_density(two, t), x, h) - from_eps(two, x, t)).abs().max().item()


def from_eps(two: TwoClasses, x_t: Tensor, t: int) -> Tensor:
    """The score −ε/σ_t, from the exact ε."""
    return -two.eps(x_t, t, None) / two.schedule.levels(torch.tensor([t]))[1].item()


@plots.styled
def score_figure(two: TwoClasses, times: Sequence[int], score: Callable, h: float) -> Figure:
    """For each time, the density of x_t with arrows along the score, and below it the score, by both ways."""
    fig, axes = plots.figure(8.6, 4.2, columns=len(times), rows=2, sharex=True, sharey="row", height_ratios=(3, 2))
    x, at = torch.linspace(-3, 3, 601, dtype=torch.float64), torch.linspace(-2.7, 2.7, 13, dtype=torch.float64)
    tops = [density(two, t, x) for t in times]
    height = max(p.max().item() for p in tops)
    for top, bottom, t, p in zip(*axes, times, tops, strict=True):
        top.fill_between(x, p, color=plots.BLUE, alpha=0.25, linewidth=0)
        top.plot(x, p, color=plots.BLUE)
        slopes = from_eps(two, at, t)
        lengths = slopes.clamp(-4, 4) * 0.1  # so no arrow reaches the next one
        top.quiver(at, torch.full_like(at, -0.13 * height), lengths, torch.zeros_like(at), **ARROWS)
        top.set(title=f"t = {t}", yticks=[], ylim=(-0.26 * height, 1.06 * height))
        top.spines["left"].set_visible(False)
        top.grid(False)
        bottom.plot(x, score(log_density(two, t), x, h), color=plots.ORANGE)
        bottom.plot(at, slopes, "o", color=plots.INK, markersize=4)
        bottom.axhline(0, color=plots.INK, linewidth=0.8)
        bottom.set(xlabel="$x_t$", xlim=(-3, 3))
    axes[0, 0].set_ylabel("density of $x_t$")
    axes[1, 0].set_ylabel("score")
    return fig


# --------------------------------------------------------------------------------------------------- the two ways back


def walk(two: TwoClasses, step: Callable, x_T: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """x at t = T, T − 1, …, 0 on the way back by a step function of `sample`, with the exact ε: (T + 1, N).

    x_T: (N,). Fresh noise z comes from generator; without one, z is 0. x̂_0 isn't clipped: these numbers have no ends.
    """
    x_t, path = x_T.view(-1, 1, 1, 1), [x_T]
    with fair_threads():  # a thousand tiny steps: a second thread that waits for a busy core makes them crawl
        for t, s in pairwise(time_steps(two.schedule.T, two.schedule.T)):
            z = torch.zeros_like(x_t) if generator is None else torch.randn(x_t.shape, generator=generator)
            x_t = one_step(two, step, x_t, t, s, z)
            path.append(x_t.flatten())
    return torch.stack(path)


def one_step(two: TwoClasses, step: Callable, x_t: Tensor, t: int, s: int, z: Tensor) -> Tensor:
    """x_s by a step function of `sample`, from x_t (N, 1, 1, 1), with the exact ε."""
    rows = [torch.full((len(x_t),), time) for time in (t, s)]
    x_0_hat = two.schedule.predict_x_0(x_t, rows[0], two.eps(x_t, t, None))
    return step(two.schedule, x_t, x_0_hat, *rows, z)


def even_starts(n: int) -> Tensor:
    """(n,) numbers of N(0, 1) in rising order, with the same share of it between any two."""
    return torch.special.ndtri((torch.arange(n) + 0.5) / n)


def twelve(paths: Tensor) -> Tensor:
    """(T + 1, 12) of (T + 1, N) paths that begin in `even_starts`: those that begin in even_starts(12), nearly."""
    n = paths.shape[1] // 12
    return paths[:, n // 2 :: n]


@plots.styled
def ways_figure(two: TwoClasses, ways: dict[str, Tensor]) -> Figure:
    """Twelve paths of each way from T on the left to 0 on the right, and beside them a histogram of all ends.

    ways: title → (T + 1, N) paths. The density of x_0 is outlined.
    """
    fig, [row] = plots.figure(9.0, 3.6, columns=2 * len(ways), sharey=True, width_ratios=(3, 1) * len(ways))
    x, T = torch.linspace(-3.5, 3.5, 701, dtype=torch.float64), two.schedule.T
    for left, right, (title, paths) in zip(row[::2], row[1::2], ways.items(), strict=True):
        for path in twelve(paths).T:
            left.plot(range(T, -1, -1), path, color=plots.BLUE if path[-1] > 0 else plots.ORANGE, linewidth=1.1)
        left.set(title=title, xlabel="t", xlim=(T, 0), ylim=(-3.5, 3.5), xticks=(T, T // 2, 0))
        edges = torch.linspace(-3.5, 3.5, 71)
        heights = torch.histc(paths[-1], 70, -3.5, 3.5) / (0.1 * paths.shape[1])
        colors = [plots.BLUE if edge > -0.01 else plots.ORANGE for edge in edges[:-1]]
        right.barh(edges[:-1], heights, 0.1, align="edge", color=colors, alpha=0.45)
        right.plot(density(two, 0, x), x, color=plots.INK, linewidth=1.4, linestyle="--")
        right.set(xticks=[], title="ends")
        right.spines["bottom"].set_visible(False)
        right.grid(False)
    row[0].set_ylabel("$x_t$")
    return fig


def ways_table(two: TwoClasses, ways: dict[str, Tensor], times: Sequence[int]) -> str:
    """What is alike and what differs between the ways back, as lines of text.

    Alike: the standard deviation of x_t at these times, and at t = 0 the mean and the share above 0.
    Different: the share that ends on the side of 0 where it began, and that of neighbours, of twelve paths, that cross.
    """
    heads = ("mean", "above 0", "same side", "crossed")
    rows = [f"{'':<16}" + "".join(f"{f'std t={t}':>11}" for t in times) + "".join(f"{head:>10}" for head in heads)]
    spread = [(signal**2 + variance) ** 0.5 for signal, _, variance in map(two._levels, times)]  # the centres are ±1
    rows.append(f"{'exact':<16}" + "".join(f"{std:>11.2f}" for std in spread) + f"{0:>10.2f}{0.5:>10.0%}")
    for name, paths in ways.items():
        start, end, some = paths[0], paths[-1], twelve(paths)
        shares = ((end > 0), (start > 0) == (end > 0), (some.diff(dim=1) < 0).any(dim=0))
        row = (
            f"{name:<16}"
            + "".join(f"{paths[-1 - t].std():>11.2f}" for t in times)
            + f"{round(end.mean().item(), 2) + 0:>10.2f}"
        )
        rows.append(row + "".join(f"{share.float().mean():>10.0%}" for share in shares))
    return "\n".join(rows)
