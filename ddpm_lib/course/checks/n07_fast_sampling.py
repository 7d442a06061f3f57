"""Checks of notebook 07, Fast sampling."""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ddpm_lib.course.checks.shared import images
from ddpm_lib.course.exercise import Verdict, arrays_of, check, judge
from ddpm_lib.course.few_steps import KnownCase
from ddpm_lib.course.sandbox import Judged
from ddpm_lib.sampling import ddim_step
from ddpm_lib.sampling import time_steps as evenly
from ddpm_lib.schedule import NoiseSchedule


@check
def time_steps(attempt: Callable) -> Verdict:
    """attempt(T, steps) → the steps + 1 times of a sampler, evenly spread, falling from T to 0."""

    def times(T, n):
        return [T - i * T // n for i in range(n + 1)]

    too_low = "it starts at T − 1: t counts from 1 to T here, and x_T is where sampling starts"
    mistakes = [
        (lambda T, n: times(T, n)[::-1], "the times rise: a sampler starts at T and walks down"),
        (lambda T, n: times(T, n)[:-1], "0 is missing: the last step never arrives at the digit"),
        (
            lambda T, n: [T - i * (T - 1) // n for i in range(n + 1)],
            "that ends at 1, where a little noise is left; it must end at 0",
        ),
        (
            lambda T, n: torch.linspace(T, 1, n + 1),
            "that ends at 1, where a little noise is left; it must end at 0",
        ),
        (lambda T, n: times(T, n)[1:], "T is missing: x_T is pure noise, but you tell the network that it is less"),
        (lambda T, n: times(T, n)[1:-1], "both ends are missing, T and 0"),
        (lambda T, n: list(range(T, -1, -1)), "these are all times; only some are asked for"),
        (lambda T, n: list(range(T, -1, -n)), "your step size is `steps`: that is how many steps there are"),
        (lambda T, n: list(range(T, 0, -n)), "your step size is `steps`: that is how many steps there are"),
        (lambda T, n: [(T - 1) - i * (T - 1) // n for i in range(n + 1)], too_low),
        (lambda T, n: torch.linspace(T - 1, 0, n + 1), too_low),
        (lambda T, n: list(range(T - 1, -1, -(T // n))), too_low),
        (lambda T, n: torch.linspace(T, 0, n), "that is one too few: `steps` steps have steps + 1 ends"),
        (lambda T, n: [T // n] * n, "these are the lengths of the steps, not the times between them"),
        (lambda T, n: list(range(n, -1, -1)), "these are the numbers of the steps: multiply them by T // steps"),
    ]
    steps = int(torch.randint(4, 9, ()))
    T = steps * int(torch.randint(20, 60, ()))
    cases = [("on random inputs", T, steps), ("at T = 500, as the notebook calls it", 500, 20), ("at steps = 1", T, 1),
             ("at steps = 2", 2 * T, 2), ("at steps = T", 12, 12)]  # fmt: skip
    return judge(attempt, times, mistakes, cases)


@check
def x_0_middle(attempt: Callable) -> Verdict:
    """attempt(x_0_hat, x_0_before, lambda_before, lambda_t, lambda_s) → x̂_0 extrapolated to the middle of the step."""

    def ahead(share: Callable, start: str = "now") -> Callable:
        """The guess (now, or before) with this share of the change since the step before."""
        return lambda x, b, l0, l1, l2: (x if start == "now" else b) + share(l1 - l0, l2 - l1) * (x - b)

    middle = ahead(lambda before, h: h / (2 * before))
    mistakes = [
        (ahead(lambda before, h: h / before), "you went to the end of the step, not to its middle: half of h"),
        (
            ahead(lambda before, h: -h / (2 * before)),
            "you went backwards: add the change since the step before, don't subtract it",
        ),
        (ahead(lambda before, h: -0.5), "that is the mean of the two guesses, which looks back; look ahead"),
        (
            ahead(lambda before, h: 0.5),
            "the two steps may differ in length: scale the change by h over the step before",
        ),
        (ahead(lambda before, h: 1), "you add the whole change: scale it by half of h over the step before"),
        (ahead(lambda before, h: before / (2 * h)), "the ratio of the two steps is upside down"),
        (ahead(lambda before, h: 0), "that is x̂_0 as it is now: DDIM"),
        (ahead(lambda before, h: -1), "that is the guess of the step before"),
        (
            ahead(lambda before, h: h / (2 * before), "before"),
            "you start from the guess of the step before; start from x̂_0 as it is now",
        ),
        (
            ahead(lambda before, h: h / 2),
            "the change per unit of λ is missing: divide by the length of the step before",
        ),
        (ahead(lambda before, h: 1 / (2 * before)), "h is missing: how far is it to the middle of the step?"),
        (
            ahead(lambda before, h: (before + h) / (2 * before)),
            "h is the way from t to s; you took that from before to s",
        ),
        (
            ahead(lambda before, h: h / (2 * (before + h))),
            "the change happened between before and t; you divide by the way from before to s",
        ),
        (lambda *inputs: middle(*inputs) - inputs[0], "that is the change alone: add it to x̂_0"),
        (lambda *inputs: middle(*inputs).clamp(-1, 1), "you clip the guess; the equation doesn't"),
        (
            lambda x, b, l0, l1, l2: x + l2 / (2 * l1) * (x - b),
            "h and the step before are differences of two λ, not the λ themselves",
        ),
    ]
    lambda_t, h = -1.5 + float(torch.rand(())) / 4, 2 + float(torch.rand(()))
    cases = [
        ("on random inputs", images(4), images(4), -2.0, lambda_t, lambda_t + h),
        ("where the step is shorter than the one before", images(4), images(4), -3.0, 0.5, 1.25),
        ("for a batch of 1", images(1), images(1), 0.25, 1.0, 2.5),
        ("where both steps are equal", images(2), images(2), -1.5, -0.5, 0.5),
    ]
    return judge(attempt, middle, mistakes, cases)


@dataclass
class Ask:
    """A made-up network: x̂_0 from x_t and t. It answers `most` questions, one for each step.

    Where bend is 0, its guess is the right one for pixels x_0 ~ N(m, d²); else it is curved, and leaves [−1, 1].
    """

    schedule: NoiseSchedule
    most: int
    bend: float = 0.0
    m: float = 0.3
    d: float = 0.2
    asked: int = 0

    def __call__(self, x_t: Tensor, t: int) -> Tensor:
        self.asked += 1
        if self.asked > self.most:
            text = "you ask the network more than once a step: keep the guess, so that the next step can look back"
            raise Judged(Verdict("wrong", text, text))
        x_t = torch.as_tensor(x_t)
        t = torch.as_tensor(t).long().flatten()[:1]
        if self.bend:
            return 1.4 * torch.tanh(0.6 * x_t + self.bend * torch.cos(5 * t / self.schedule.T))
        signal, sigma = self.schedule.levels(t)
        return self.m + signal * self.d**2 / (signal**2 * self.d**2 + sigma**2) * (x_t - signal * self.m)


def x_0_between(x_0_hat: Tensor, x_0_before: Tensor, lambda_before: float, lambda_t: float, lambda_s: float) -> Tensor:
    """The function that the check hands to a solver: the right answer of `x_0_middle`."""
    return x_0_hat + (lambda_s - lambda_t) / (2 * (lambda_t - lambda_before)) * (x_0_hat - x_0_before)


def solver(
    told: Callable = lambda t, s: t,
    plain: Callable = lambda i, s, n: i == 0 or s == 0,
    way: Callable = lambda schedule, times: schedule.log_snr[times] / 2,
    middle: Callable = lambda f, g, b, way: f(g, b, *way),
    kept: Callable = lambda g, d, b: g,
    move: Callable = lambda step, d, g, levels: step(d),
    ends: Callable = lambda times: times,
    result: Callable = lambda x, path: x,
) -> Callable:
    """The second-order solver, or one in which something is another.

    told: the time that the network hears. plain: whether step i of n, to s, has no trend. way: in what the steps are
    measured, at three times. middle: the guess that the step uses, from x_0_middle, both guesses and that. kept: what
    the next step looks back at. move: x_s, from the DDIM step as a function of the guess. ends: the times that it
    walks. result: from the last picture and all of them.
    """

    def walk(ask: Callable, x_0_middle: Callable, schedule: NoiseSchedule, x_T: Tensor, times: Sequence[int]):
        x, before, path, times = x_T, None, [x_T], ends(times)
        for i, (t, s) in enumerate(pairwise(times)):
            d = g = ask(x, told(t, s))
            if not plain(i, s, len(times) - 1):
                d = middle(x_0_middle, g, before[0], way(schedule, torch.tensor([before[1], t, s])))
            before = kept(g, d, before[0] if before else g), t
            rows = [torch.full((len(x),), number) for number in (t, s)]
            levels = [*schedule.levels(rows[0]), *schedule.levels(rows[1])]
            x = move(lambda guess, x=x, rows=rows: ddim_step(schedule, x, guess, *rows), d, g, [x, *levels])
            path.append(x)
        return result(x, path)

    return walk


def doubled(attempt: Callable) -> float:
    """By how much twice the steps divide a solver's error at T/10, with the right guess for pixels x_0 ~ N(m, d²).

    nan where that can't be said.
    """
    known, errors = KnownCase(), []
    x_T = torch.randn(1, 1, 28, 28)
    with contextlib.suppress(Exception):
        for steps in (40, 80):
            times = [t for t in evenly(480, steps) if t >= 48]
            ask = Ask(known.schedule, len(times) - 1)
            got = arrays_of(attempt(ask, x_0_between, known.schedule, x_T.clone(), times))[None]
            truth = known.path(x_T, torch.tensor([48]))
            errors.append(float(np.square(got - truth.numpy()).mean() ** 0.5))
        return errors[0] / errors[1] if errors[1] > 0 else math.nan
    return math.nan


@check
def second_order_solver(attempt: Callable) -> Verdict:
    """attempt(ask, x_0_middle, schedule, x_T, times) → x at the last of the times, by DPM-Solver++(2M)."""

    def other(share: Callable) -> Callable:
        """A solver that adds this share of the change since the step before."""
        return solver(middle=lambda f, g, b, way: g + share(way[1] - way[0], way[2] - way[1]) * (g - b))

    def infinite(x, d):
        return x * 0 + (d - x) * math.inf

    last = (
        "λ is infinite at t = 0, so the step to 0 has no middle and takes x̂_0 as it is; and a guess is kept for the "
        "next step only after it was used: else you divide by 0"
    )
    mistakes = [
        (solver(plain=lambda i, s, n: True), "that is DDIM: no step looks back at the guess before"),
        (solver(plain=lambda i, s, n: i < 2 or s == 0), "the second step has a step before, and looks ahead already"),
        (solver(plain=lambda i, s, n: i == 0), last),
        (
            solver(
                plain=lambda i, s, n: i == 0,
                move=lambda step, d, g, v: v[4] / v[2] * v[0] + (v[3] - v[1] * v[4] / v[2]) * d,
            ),
            last,
        ),
        (
            solver(kept=lambda g, d, b: b),
            "every step looks back at the guess of the first step: keep the guess of each step for the next",
        ),
        (
            solver(kept=lambda g, d, b: d),
            "you keep the middle guess for the next step: keep what the network said, x̂_0 itself",
        ),
        (solver(told=lambda t, s: max(s, 1)), "the network is told s, but the noise in x_t is that of t"),
        (
            solver(move=lambda step, d, g, v: step(g) + v[3] * (d - g)),
            "the noise that you put back fits x̂_0, the signal fits the middle guess: take the same guess for both",
        ),
        (
            solver(move=lambda step, d, g, v: step(d) + v[3] * (g - d)),
            "the signal is that of x̂_0, the noise fits the middle guess: take the same guess for both",
        ),
        (
            solver(middle=lambda f, g, b, way: f(b, g, *way)),
            "the two guesses are swapped: x_0_middle takes the guess of now first",
        ),
        (
            solver(middle=lambda f, g, b, way: f(g, b, *way[[1, 0, 2]])),
            "the three λ are in another order: x_0_middle takes that of the time before, then t, then s",
        ),
        (
            solver(middle=lambda f, g, b, way: f(g, b, *way[[2, 1, 0]])),
            "the three λ are in another order: x_0_middle takes that of the time before, then t, then s",
        ),
        (
            solver(middle=lambda f, g, b, way: f(g, b, *way[[0, 2, 1]])),
            "the three λ are in another order: x_0_middle takes that of the time before, then t, then s",
        ),
        (
            other(lambda before, h: 0.5),
            "the two steps may differ in length: scale the change by h over the step before",
        ),
        (other(lambda before, h: h / before), "you went to the end of the step, not to its middle"),
        (other(lambda before, h: -h / (2 * before)), "you went backwards: add the change since the step before"),
        (
            solver(middle=lambda f, g, b, way: f(g, b, *way).clamp(-1, 1)),
            "you clip the middle guess; the network's guesses are clipped where that is needed",
        ),
        (solver(ends=lambda times: times[:-1]), "the last step is missing: n + 1 times have n steps between them"),
        (solver(ends=lambda times: times[1:]), "the first step is missing: it goes from the first of the times"),
        (solver(ends=lambda times: [times[0], times[-1]]), "that is a single step, from the first to the last time"),
        (
            solver(plain=lambda i, s, n: i in (0, n - 1)),
            "the last step of the list looks ahead, too, unless it ends at 0",
        ),
        (solver(result=lambda x, path: torch.stack(path)), "you return all pictures: return the last one"),
        (solver(result=lambda x, path: torch.stack(path[1:])), "you return all pictures: return the last one"),
        (
            solver(move=lambda step, d, g, v: v[3] * d),
            "the noise of time s is missing: a step ends at √ᾱ_s·x̂_0 + √(1−ᾱ_s)·ε̂",
        ),
        (
            solver(way=lambda schedule, times: times.float()),
            "you measured the way in t: it is measured in λ, half the log-SNR",
        ),
        (
            solver(way=lambda schedule, times: schedule.alpha_bar[times]),
            "you measured the way in ᾱ: it is measured in λ, half the log-SNR",
        ),
    ]
    cosine, linear = NoiseSchedule.cosine(T=480, shift=1.5), NoiseSchedule.linear(T=100, beta_1=1e-3, beta_T=0.1)
    somewhere = [480, *torch.randint(30, 60, (6,)).cumsum(0).flip(0).tolist(), 0]
    walks = [
        ("on random inputs", cosine, somewhere, 2, 0.5),
        ("for a batch of 1 and another schedule", linear, [100, 70, 45, 20, 5, 0], 1, 0.5),
        ("at even times", cosine, evenly(480, 8), 2, 0.7),
        ("with one step", cosine, [480, 0], 2, 0.5),
        ("with two steps", cosine, [480, 200, 0], 2, 0.5),
        ("where the times end above 0", cosine, [480, 330, 200, 120, 48], 2, 0.6),
        ("with every time", linear, list(range(100, -1, -1)), 1, 0.5),
        ("on the known case", cosine, evenly(480, 12), 1, 0.0),
    ]
    cases = [
        (name, Ask(schedule, len(times) - 1, bend), x_0_between, schedule, torch.randn(batch, 1, 28, 28), times)
        for name, schedule, times, batch, bend in walks
    ]
    verdict = judge(attempt, solver(), mistakes, cases, rtol=5e-4, atol=5e-4)
    if verdict.mistake or (verdict.status == "wrong" and "off by" not in verdict.message):
        return verdict
    ratio = doubled(attempt)
    order = f"twice the steps divide its error by {ratio:.1f}"
    if verdict.status == "wrong":
        order += ", and a second-order solver's by 4"
    return replace(verdict, message=f"{verdict.message}; {order}") if math.isfinite(ratio) else verdict


@check
def weight_at(attempt: Callable) -> Verdict:
    """attempt(t, w, t_min, t_max) → the guidance weight at time t: w inside the interval, ends included, else 0."""

    def where(inside: Callable, outside: float = 0) -> Callable:
        return lambda t, w, low, high: w if inside(t, low, high) else outside

    def within(t, low, high):
        return low <= t <= high

    mistakes = [
        (where(within, -1), "outside you return −1: that ignores the label; without guidance w is 0"),
        (where(within, 1), "outside you return 1: that is the guidance scale 1 + w; without guidance w is 0"),
        (where(lambda t, low, high: not low <= t <= high), "inside and outside are swapped"),
        (where(lambda t, low, high: low < t < high), "the two ends belong to the interval"),
        (where(lambda t, low, high: low <= t < high), "t_max belongs to the interval, too"),
        (where(lambda t, low, high: low < t <= high), "t_min belongs to the interval, too"),
        (where(lambda t, low, high: t >= low), "you forgot t_max"),
        (where(lambda t, low, high: t <= high), "you forgot t_min"),
        (where(lambda t, low, high: True), "that is w everywhere: outside the interval it must be 0"),
        (where(lambda t, low, high: False), "that is 0 everywhere: inside the interval it must be w"),
        (
            lambda t, w, low, high: float(within(t, low, high)),
            "that says yes or no; the weight inside the interval is w",
        ),
        (lambda t, w, low, high: 1 + w if within(t, low, high) else 0, "inside you return 1 + w, the guidance scale"),
        (lambda t, w, low, high: 1 + w if within(t, low, high) else 1, "that is the guidance scale 1 + w, not w"),
        (lambda t, w, low, high: t if within(t, low, high) else 0, "inside you return t; the weight there is w"),
    ]
    w, low = float(torch.rand(()) * 3 + 1.3), int(torch.randint(80, 120, ()))
    high = low + int(torch.randint(200, 300, ()))
    times = {"inside": (low + high) // 2, "below t_min": low - 1, "far below t_min": 1, "above t_max": high + 1,
             "far above t_max": 500, "at t_min": low, "at t_max": high, "just inside": low + 1}  # fmt: skip
    cases = [(name, t, w, low, high) for name, t in times.items()]
    cases += [("at t = T", 500, w, 1, 500), ("at t = 1", 1, w, 1, 500), ("where t_min = t_max", 9, w, 9, 9)]
    return judge(attempt, where(within), mistakes, cases)
