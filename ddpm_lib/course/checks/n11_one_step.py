"""Checks of notebook 11, One step."""

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_lib.course import one_step
from ddpm_lib.course.checks.shared import images
from ddpm_lib.course.exercise import Verdict, check, judge
from ddpm_lib.distillation import renoise_step as right_renoise_step
from ddpm_lib.sampling import ancestral_step, ddim_step
from ddpm_lib.schedule import NoiseSchedule


def target(
    second: Callable = lambda ask, x_t, x_m, t, m, first: ask(x_m, m),
    arrives: Callable = lambda x_t, x_m, x_s: x_s,
    start: Callable = lambda x_t, x_m: x_t,
    solve: Callable = lambda x, x_s, a, b, c, d: (x_s - d / b * x) / (c - d / b * a),
) -> Callable:
    """The two-step target, or one in which something is another.

    second: the guess of the second step. start, arrives: where the one step begins and ends. solve: from them and the
    levels of t and s.
    """

    def attempt(ask: Callable, schedule: NoiseSchedule, x_t: Tensor, t: Tensor, m: Tensor, s: Tensor) -> Tensor:
        first = ask(x_t, t)
        x_m = ddim_step(schedule, x_t, first, t, m)
        x_s = ddim_step(schedule, x_m, second(ask, x_t, x_m, t, m, first), m, s)
        return solve(start(x_t, x_m), arrives(x_t, x_m, x_s), *schedule.levels(t), *schedule.levels(s))

    return attempt


@check
def two_step_target(attempt: Callable) -> Verdict:
    """attempt(ask, schedule, x_t, t, m, s) → the x̂_0 with which one DDIM step t → s ends where t → m → s end."""

    def guesses(form: Callable) -> Callable:
        """A mistake that is made of the two guesses."""

        def attempt(ask: Callable, schedule: NoiseSchedule, x_t: Tensor, t: Tensor, m: Tensor, s: Tensor) -> Tensor:
            first = ask(x_t, t)
            return form(first, ask(ddim_step(schedule, x_t, first, t, m), m))

        return attempt

    mistakes = [
        (
            guesses(lambda first, second: first),
            "that is the teacher's first guess: with it, one step ends where one step of the teacher ends",
        ),
        (
            guesses(lambda first, second: second),
            "that is the teacher's second guess, at m: your step must begin at x_t, not at x_m",
        ),
        (
            guesses(lambda first, second: (first + second) / 2),
            "that is the middle of the two guesses: they count unequally; solve the DDIM step for x̂_0",
        ),
        (
            target(solve=lambda x, x_s, a, b, c, d: x_s),
            "that is x_s, where the two steps end: find the guess that leads there in one step",
        ),
        (
            target(arrives=lambda x_t, x_m, x_s: x_m),
            "your one step ends where the teacher is at the middle time: let it take its second step first",
        ),
        (
            target(start=lambda x_t, x_m: x_m),
            "your one step takes x_m for x_t: it begins at the time t, so at x_t",
        ),
        (
            target(second=lambda ask, x_t, x_m, t, m, first: ask(x_m, t)),
            "the second question names the time t: x_m is a picture of the time m",
        ),
        (
            target(second=lambda ask, x_t, x_m, t, m, first: ask(x_t, m)),
            "the second question shows x_t: at the time m the teacher sees x_m",
        ),
        (
            target(solve=lambda x, x_s, a, b, c, d: x_s / c),
            "you forget the noise in x_s: one step keeps the part σ_s·ε̂, and ε̂ depends on x̂_0",
        ),
        (
            target(solve=lambda x, x_s, a, b, c, d: x_s - d / b * x),
            "the division is missing: this is x̂_0 times √ᾱ_s − σ_s/σ_t·√ᾱ_t",
        ),
        (
            target(solve=lambda x, x_s, a, b, c, d: (x_s - d / b * x) / (c + d / b * a)),
            "a sign is wrong: below the line stands a difference",
        ),
        (
            target(solve=lambda x, x_s, a, b, c, d: (x_s + d / b * x) / (c - d / b * a)),
            "a sign is wrong: above the line stands a difference",
        ),
        (
            target(
                solve=lambda x, x_s, a, b, c, d: (x_s - b / d.clamp(min=1e-4) * x) / (c - b / d.clamp(min=1e-4) * a)
            ),
            "a ratio is turned over: it is σ_s/σ_t, which is 0 at s = 0",
        ),
        (
            target(solve=lambda x, x_s, a, b, c, d: (x_s - d * x) / (c - d * a)),
            "you forget to divide by σ_t: ε̂ = (x_t − √ᾱ_t·x̂_0)/σ_t",
        ),
        (
            target(solve=lambda x, x_s, a, b, c, d: (x_s - d / b * x) / c),
            "ε̂ depends on x̂_0, too: collect both terms with x̂_0 before you divide",
        ),
        (
            target(solve=lambda x, x_s, a, b, c, d: ((x_s - d / b * x) / (c - d / b * a)).clamp(-1, 1)),
            "you clip the answer: what `ask` gives is clipped already where it has to be",
        ),
    ]
    cosine, linear = NoiseSchedule.cosine(T=500, shift=1.5), NoiseSchedule.linear(T=100, beta_1=1e-3, beta_T=0.1)
    digit = 1.6 * images(1)

    def ask(x: Tensor, t: Tensor) -> Tensor:
        """A guess that depends on the picture, on the pixel and on the time."""
        return digit + 0.4 * torch.tanh(torch.as_tensor(x).float()) + (torch.as_tensor(t).view(-1, 1, 1, 1) / 250 - 0.5)

    walks = [
        ("on random inputs", cosine, [480, 333, 250, 111], [400, 250, 180, 60], [300, 120, 100, 20]),
        ("where the two steps differ in length", linear, [90, 70, 30], [85, 30, 25], [40, 20, 3]),
        ("from pure noise", cosine, [500, 500], [468, 250], [437, 125]),
        ("where they end at 0", cosine, [125, 62, 500], [62, 31, 250], [0, 0, 0]),
        ("for a batch of 1", linear, [60], [40], [10]),
    ]
    cases = [
        (name, ask, schedule, torch.randn(len(t), 1, 28, 28), *map(torch.tensor, (t, m, s)))
        for name, schedule, t, m, s in walks
    ]
    return judge(attempt, one_step.two_step_target, mistakes, cases, rtol=1e-3, atol=1e-3)


@check
def loss_weight(attempt: Callable) -> Verdict:
    """attempt(alpha_bar (N,)) → the factor between (v − v̂)² and (x_0 − x̂_0)² at the same x_t."""
    mistakes = [
        (
            lambda bar: bar / (1 - bar),
            "that is the SNR, the weight of ε: v = √ᾱ·ε − σ·x_0 holds x_0, too",
        ),
        (lambda bar: (1 - bar) / bar, "that is 1/SNR: turned over, and it is the weight of ε"),
        (lambda bar: 1 - bar, "the fraction is turned over: you get from the error of v to that of x̂_0"),
        (lambda bar: (1 - bar) ** -0.5, "that is the factor between the errors: the loss takes them squared"),
        (lambda bar: (1 - bar) ** -2, "you squared twice: σ² = 1 − ᾱ"),
        (lambda bar: 1 / bar, "the noise level and the signal level are swapped: 1/ᾱ has no end at t = T"),
        (lambda bar: torch.ones_like(bar), "that is the weight of x̂_0 itself: the network regresses v"),
        (lambda bar: 1 / (1 - bar.sqrt()), "a root is too much: σ² = 1 − ᾱ, not 1 − √ᾱ"),
        (lambda bar: -1 / (1 - bar), "a squared error has no negative weight: the sign vanishes in the square"),
        (lambda bar: 1 - bar + bar / (1 - bar), "you squared the two terms apart: add them first, then square"),
        (
            lambda bar: (bar / (1 - bar)).clamp(min=1),
            "that is the larger of SNR and 1, another known weight",
        ),
        (
            lambda bar: (bar * (1 - bar) ** -0.5 - (1 - bar).sqrt()) ** 2,
            "a sign is wrong: both terms with x_0 have a minus",
        ),
    ]
    schedule = NoiseSchedule.cosine(T=500, shift=1.5)
    cases = [
        ("on random inputs", torch.rand(50) * 0.9 + 0.05),
        ("at a single time", torch.rand(1) * 0.4 + 0.2),
        ("where x_t is nearly noise", torch.tensor([1e-3, 1e-2, 0.05])),
        ("at the times of the notebook", schedule.alpha_bar[62::62]),
    ]
    return judge(attempt, one_step.loss_weight, mistakes, cases, rtol=1e-3)


@check
def renoise_step(attempt: Callable) -> Verdict:
    """attempt(schedule, x_t, x_0_hat, t, s, z) → x_s: the guess with new noise z of the time s."""

    def form(formula: Callable) -> Callable:
        """A mistake as a formula in x_t, x̂_0, z and the levels at t and s."""
        return lambda schedule, x_t, x_0, t, s, z: formula(x_t, x_0, z, *schedule.levels(t), *schedule.levels(s))

    ancestral = "that is ancestral sampling: it keeps a part of x_t, and here x_t is forgotten"
    mistakes = [
        (form(lambda x, x_0, z, a, b, c, d: a * x_0 + b * z), "you noise the guess to the time t: x_s is of time s"),
        (lambda schedule, x_t, x_0, t, s, z: ddim_step(schedule, x_t, x_0, t, s),
         "that is the DDIM step: it keeps the noise of x_t; take the new noise z"),
        (form(lambda x, x_0, z, a, b, c, d: c * x + d * z), "you noise x_t: what is to be noised is the guess x̂_0"),
        (form(lambda x, x_0, z, a, b, c, d: c * x_0 + d * x), "x_t is no noise: it holds a digit, too; take z"),
        (form(lambda x, x_0, z, a, b, c, d: d * x_0 + c * z), "√ᾱ_s and σ_s are swapped: the digit has the share √ᾱ_s"),
        (form(lambda x, x_0, z, a, b, c, d: c * x_0), "the noise is missing: at the time s the network expects some"),
        (form(lambda x, x_0, z, a, b, c, d: x_0), "that is the guess itself: it is clean, and x_s holds noise"),
        (form(lambda x, x_0, z, a, b, c, d: x_0 + d * z), "the signal level is missing: the digit's share is √ᾱ_s"),
        (form(lambda x, x_0, z, a, b, c, d: c * x_0 + z), "the share of the noise is missing: it is √(1−ᾱ_s)"),
        (form(lambda x, x_0, z, a, b, c, d: c**2 * x_0 + d**2 * z), "the roots are missing: √ᾱ_s and √(1−ᾱ_s)"),
        (form(lambda x, x_0, z, a, b, c, d: c * x_0 - d * z), "a sign is wrong: the noise is added"),
        (form(lambda x, x_0, z, a, b, c, d: (c * x_0 + d * z).clamp(-1, 1)),
         "you clip x_s: it is noisy, and its pixels may lie outside"),
        (lambda schedule, x_t, x_0, t, s, z: schedule.posterior(x_0, x_t, t, s)[0], ancestral),
        (ancestral_step, ancestral),
    ]  # fmt: skip
    cosine, linear = NoiseSchedule.cosine(T=500, shift=1.5), NoiseSchedule.linear(T=100, beta_1=1e-3, beta_T=0.1)
    walks = [
        ("on random inputs", cosine, [480, 333, 250, 111], [300, 250, 20, 110]),
        ("on another schedule, for a batch of 1", linear, [70], [20]),
        ("at the first of four steps", cosine, [500, 500], [375, 375]),
        ("at the last step, to 0", cosine, [125, 62], [0, 0]),
    ]
    cases = [
        (name, schedule, torch.randn(len(t), 1, 28, 28), images(len(t)), torch.tensor(t), torch.tensor(s),
         torch.randn(len(t), 1, 28, 28))
        for name, schedule, t, s in walks
    ]  # fmt: skip
    return judge(attempt, right_renoise_step, mistakes, cases)
