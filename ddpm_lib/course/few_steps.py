"""What notebook 07 needs to look at sampling in a few steps: a case whose path is known, solvers, and their scores.

A solver is a function of (ask, x_0_middle, schedule, x_T, times). It asks for x̂_0 as ask(x_t, t), and returns x at the
last of the times.
"""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise, product

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_lib.course import plots
from ddpm_lib.course.toys import GaussianPixels
from ddpm_lib.data import load_mnist
from ddpm_lib.ddpm import DDPM
from ddpm_lib.evaluation import Scores, evaluate, judge_of
from ddpm_lib.folding import for_sampling
from ddpm_lib.precision import autocast, eval_mode, fair_threads
from ddpm_lib.sampling import ddim_step, sample
from ddpm_lib.schedule import NoiseSchedule


class KnownCase(GaussianPixels):
    """Pixels x_0 ~ N(m, d²), as in notebook 04: the perfect network is known, and so is the path of each pixel.

    T is 480, because many numbers of steps divide it.
    """

    m, T = 0.3, 480

    def __init__(self):
        super().__init__(NoiseSchedule.cosine(T=self.T, shift=1.5), means=self.m)

    def _guess(self, x_t: Tensor, t: Tensor) -> Tensor:
        """x̂_0 of pictures x_t, each at its own time of t; all labels have the same pixels."""
        return self.schedule.predict_x_0(x_t, t, self.predict_noise(x_t, t, torch.zeros(len(x_t)).long()))

    def ask(self, x_t: Tensor, t: int) -> Tensor:
        """x̂_0: what the perfect network guesses. It isn't clipped, since these pixels have no ends."""
        t, x_t = torch.as_tensor(t).flatten()[:1].long(), torch.as_tensor(x_t).float()
        return self._guess(x_t, t.expand(len(x_t)))

    def path(self, x_T: Tensor, t: Tensor) -> Tensor:
        """Where the path from x_T is at the times t. x_T: (1, 1, 28, 28). t: (N,) long. Returns (N, 1, 28, 28)."""
        (mean_T, std_T), (mean, std) = self._law(torch.tensor([self.T])), self._law(t)
        return mean + std * (x_T - mean_T) / std_T

    def _law(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of x_t."""
        signal, sigma = self.schedule.levels(t)
        return signal * self.m, (signal**2 * self.d**2 + sigma**2).sqrt()

    def guesses(self, x_T: Tensor, t: Tensor) -> Tensor:
        """x̂_0 along the path from x_T, at the times t ≥ 1: (N, 1, 28, 28)."""
        return self._guess(self.path(x_T, t), t)


def high_pixel(known: KnownCase, x_T: Tensor) -> int:
    """The number of the pixel that ends closest to two standard deviations above the mean."""
    return int((known.path(x_T, torch.tensor([0])) - known.m - 2 * known.d).abs().argmin())


def asking(ddpm: DDPM, labels: Tensor, w: float | Callable[[int], float] = 0.0) -> Callable:
    """The function ask(x_t, t) → x̂_0, clipped to [−1, 1]: one question to the network, in the precision of `sample`.

    labels: (B,) integers. w: the guidance weight, or a function of the time that returns it.
    """
    schedule, model = ddpm.schedule, for_sampling(ddpm)
    device = schedule.alpha_bar.device

    def ask(x_t: Tensor, t: int) -> Tensor:
        t = int(torch.as_tensor(t).flatten()[0])
        x_t, rows = torch.as_tensor(x_t).float().to(device), torch.full((len(x_t),), t, device=device)
        weight = float(w(t)) if callable(w) else w
        with torch.inference_mode(), eval_mode(model), autocast(device), fair_threads():
            eps_hat = model.predict_noise(x_t, rows, labels.to(device), w=weight)
            return schedule.predict_x_0(x_t, rows, eps_hat).clamp(-1, 1)

    return ask


# ------------------------------------------------------- what the notebook uses until the learner's answers have passed


def x_0_middle(x_0_hat: Tensor, x_0_before: Tensor, lambda_before: float, lambda_t: float, lambda_s: float) -> Tensor:
    """x̂_0 in the middle of the step from t to s, if it goes on changing as it did in the step before."""
    return x_0_hat + (lambda_s - lambda_t) / (2 * (lambda_t - lambda_before)) * (x_0_hat - x_0_before)


def second_order_solver(
    ask: Callable, x_0_middle: Callable, schedule: NoiseSchedule, x_T: Tensor, times: Sequence[int]
) -> Tensor:
    """DPM-Solver++(2M), as `sample(sampler="dpmpp_2m")`: DDIM steps with the guess of each step's middle."""
    x, lam, before = x_T, (schedule.log_snr / 2).tolist(), None
    for t, s in pairwise(times):
        x_0_hat = ask(x, t)
        middle = x_0_hat
        if before is not None and s > 0:
            x_0_before, t_before = before
            middle = x_0_middle(x_0_hat, x_0_before, lam[t_before], lam[t], lam[s])
        before = x_0_hat, t
        x = ddim_step(schedule, x, middle, *(torch.full((len(x),), number) for number in (t, s)))
    return x


def ddim_solver(
    ask: Callable, x_0_middle: Callable, schedule: NoiseSchedule, x_T: Tensor, times: Sequence[int]
) -> Tensor:
    """DDIM in the same form: each step uses the guess at its start."""
    return second_order_solver(ask, lambda x_0_hat, *_: x_0_hat, schedule, x_T, times)


def weight_at(t: int, w: float, t_min: int, t_max: int) -> float:
    """The guidance weight that acts at time t."""
    return w if t_min <= t <= t_max else 0.0


# -------------------------------------------------------------------------------------------------- pictures and scores


def path_error(
    known: KnownCase, x_T: Tensor, times: Sequence[int], solver: Callable, x_0_middle: Callable = x_0_middle
) -> float:
    """How far a solver ends from the true path at the last of the times: root mean square over the pixels."""
    x_s = solver(known.ask, x_0_middle, known.schedule, x_T, times)
    return (x_s - known.path(x_T, torch.tensor(times[-1:]))).square().mean().sqrt().item()


@plots.styled
def path_figure(known: KnownCase, x_T: Tensor, lists: Sequence[Sequence[int]]) -> Figure:
    """One pixel on its way from T to 0: the true path, and DDIM with each of these lists of times."""
    pixel, every = high_pixel(known, x_T), torch.arange(known.T, -1, -1)
    truth = known.path(x_T, every).flatten(1)[:, pixel]
    fig, [[axes]] = plots.figure(7.0, 3.2)
    axes.plot(every, truth, color=plots.INK, linewidth=1.5)
    axes.plot(every, known._law(every)[0].flatten(), color=plots.INK, linewidth=1, linestyle="--")
    axes.annotate("the mean", (0.8 * known.T, 0.12), color=plots.INK)
    axes.annotate("the true path", (0.35 * known.T, truth[-known.T * 35 // 100] + 0.06), color=plots.INK)
    for times, color, marker in zip(lists, plots.COLORS, "osD^", strict=False):
        walked = [ddim_solver(known.ask, None, known.schedule, x_T, times[: i + 1]) for i in range(len(times))]
        x = [x_s.flatten()[pixel].item() for x_s in walked]
        axes.plot(times, x, marker=marker, markersize=4, color=color)
        axes.annotate(f"{len(times) - 1} steps", (-8, x[-1]), color=color, va="center")
    axes.set(xlabel="t: from noise on the left to the digit on the right", ylabel="value of one pixel")
    axes.set_xlim(known.T + 10, -70)
    return fig


@plots.styled
def guess_figure(known: KnownCase, x_T: Tensor, times: Sequence[int]) -> Figure:
    """The guess of one pixel along its path, over λ; DDIM uses it at the start of each step."""
    pixel, half = high_pixel(known, x_T), known.schedule.log_snr / 2
    every = torch.arange(known.T, 0, -1)
    curve = known.guesses(x_T, every).flatten(1)[:, pixel]
    fig, [[axes]] = plots.figure(7.0, 3.0)
    axes.plot(half[every], curve, color=plots.INK, linewidth=1.5)
    steps = [(t, s) for t, s in pairwise(times) if s > 0][1:]  # λ is ∞ at 0, and T lies far to the left
    for i, (t, s) in enumerate(steps):
        start = known.guesses(x_T, torch.tensor([t])).flatten()[pixel]
        axes.hlines(start, half[t], half[s], color=plots.BLUE, label="" if i else "what DDIM uses in each step")
        axes.plot(half[t], start, "o", color=plots.BLUE, markersize=5)
    lows, highs = torch.tensor([[half[t], half[s]] for t, s in steps]).T
    wanted = middle_guesses(known, x_T, times)[0]
    axes.plot((lows + highs) / 2, wanted, "D", color=plots.ORANGE, markersize=5, label="the guess in the middle")
    axes.plot([], [], color=plots.INK, linewidth=1.5, label="the guess along the true path")
    axes.set(xlabel="λ: from noise on the left to the digit on the right", ylabel=r"$\hat{x}_0$ of one pixel")
    axes.set_xlim(lows[0] - 0.4, highs[-1] + 0.4)
    axes.set_ylim(top=1.1 * curve[half[every] < highs[-1] + 0.4].max())
    axes.legend(loc="upper left")
    return fig


def shrinkage(known: KnownCase, x_T: Tensor, times: Sequence[int]) -> tuple[float, float]:
    """The share of its true distance from the mean at which a pixel ends: by DDIM, and as the product of cosines."""
    x_0 = ddim_solver(known.ask, None, known.schedule, x_T, times)
    end = known.path(x_T, torch.tensor([0]))
    signal, sigma = (level.flatten() for level in known.schedule.levels(torch.tensor(times)))
    arrows = torch.nn.functional.normalize(torch.stack([signal * known.d, sigma]), dim=0)
    cosines = (arrows[:, 1:] * arrows[:, :-1]).sum(dim=0)
    pixel = high_pixel(known, x_T)
    return ((x_0 - known.m) / (end - known.m)).flatten()[pixel].item(), cosines.prod().item()


def middle_guesses(
    known: KnownCase, x_T: Tensor, times: Sequence[int], x_0_middle: Callable = x_0_middle
) -> tuple[list[float], list[float], list[float]]:
    """For each step but the first and the last: the true guess in its middle, at its start, and of x_0_middle."""
    pixel, half = high_pixel(known, x_T), known.schedule.log_snr / 2
    every = torch.arange(known.T, 0, -1)
    curve = known.guesses(x_T, every).flatten(1)[:, pixel]
    at = dict(zip(every.tolist(), curve, strict=True))
    true, start, ahead = [], [], []
    for before, t, s in zip(times, times[1:], times[2:], strict=False):
        if s > 0:
            nearest = (half[every] - (half[t] + half[s]) / 2).abs().argmin()
            true.append(curve[nearest].item())
            start.append(at[t].item())
            guesses = (at[i].view(1, 1, 1, 1) for i in (t, before))
            ahead.append(float(x_0_middle(*guesses, *half[[before, t, s]].tolist())))
    return true, start, ahead


def score_samplers(
    ddpm: DDPM, samplers: Sequence[str], step_counts: Sequence[int], labels: Tensor, w: float, seed: int
) -> tuple[dict[tuple[str, int], Scores], dict[tuple[str, int], float]]:
    """(sampler, steps) → scores, and → seconds, of digits that are all drawn from the same noise."""
    scores, seconds, judge = {}, {}, judge_of(ddpm)
    for key in product(samplers, step_counts):
        start, generator = time.perf_counter(), torch.Generator().manual_seed(seed)
        drawn = sample(ddpm, labels, w, *key, generator=generator)
        seconds[key], scores[key] = time.perf_counter() - start, evaluate(drawn, labels, judge)
    return scores, seconds


def sampler_figure(
    scores: dict[tuple[str, int], Scores], seconds: dict[tuple[str, int], float], floor: float
) -> Figure:
    """FID, agreement and seconds of each sampler over the number of steps. floor: FID of real digits."""
    samplers, step_counts = (list(dict.fromkeys(keys)) for keys in zip(*scores, strict=True))

    def of_each(value: Callable) -> dict[str, list[float]]:
        return {sampler: [value((sampler, steps)) for steps in step_counts] for sampler in samplers}

    panels = {
        "FID": of_each(lambda key: scores[key].fid),
        "agreement with the label": of_each(lambda key: scores[key].agreement),
        "seconds": of_each(seconds.get),
    }
    fig = plots.small_multiples(
        step_counts, panels, "number of steps", log_x=True, log_y={"FID", "seconds"}, references={"FID": (floor, "")}
    )
    # The curves are high at its left end, so the line has its name there.
    place = {"xytext": (0, 3), "textcoords": "offset points", "color": plots.INK}
    fig.axes[0].annotate("real digits", (step_counts[0], floor), **place)
    return fig


def score_table(scores: dict[tuple[str, int], Scores], real: Sequence[Scores]) -> str:
    """FID and agreement of each sampler and number of steps; the mean and the range of real digits' FID below."""
    samplers, step_counts = (list(dict.fromkeys(keys)) for keys in zip(*scores, strict=True))
    rows = ["steps" + "".join(f"{sampler:>26}" for sampler in samplers)]
    for steps in step_counts:
        found = [scores[sampler, steps] for sampler in samplers]
        rows.append(f"{steps:>5}" + "".join(f"    FID {s.fid:>5.2f}, agreed {s.agreement:.3f}" for s in found))
    fids = [score.fid for score in real]
    band = f"{len(fids)} draws: {min(fids):.2f} to {max(fids):.2f}"
    return "\n".join([*rows, f"{real[0].n} real digits: FID {sum(fids) / len(fids):.2f} ({band})"])


def score_real_digits(labels: Tensor, draws: int, seed: int) -> list[Scores]:
    """Scores of real digits with these labels, drawn several times from the 5,000 embedded ones."""
    train_set, test_set = load_mnist(source="embedded")
    images, real = map(torch.cat, zip(train_set.tensors, test_set.tensors, strict=True))
    generator, scores = torch.Generator().manual_seed(seed), []
    for _ in range(draws):
        rows = torch.empty(len(labels), dtype=torch.long)
        for label in labels.unique():
            alike, wanted = (real == label).nonzero().flatten(), (labels == label).nonzero().flatten()
            order = torch.randperm(len(alike), generator=generator)
            rows[wanted] = alike[order[torch.arange(len(wanted)) % len(alike)]]
        scores.append(evaluate(images[rows], labels))
    return scores
