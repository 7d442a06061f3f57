"""Checks of notebook 10, One model, many names: sections 1 and 2, the names of a network's answer and the score."""

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_lib.course import names
from ddpm_lib.course.checks.shared import images
from ddpm_lib.course.exercise import Verdict, check, judge
from ddpm_lib.course.toys import TwoClasses
from ddpm_lib.schedule import NoiseSchedule


@check
def noise_in(attempt: Callable) -> Verdict:
    """attempt(answer, p, q, x_t, alpha_bar) → the ε in answer = p·x_0 + q·ε, given x_t = √ᾱ·x_0 + √(1−ᾱ)·ε."""

    def form(formula: Callable) -> Callable:
        """A mistake as a formula in answer, p, q, x_t and the two levels."""
        return lambda answer, p, q, x_t, bar: formula(answer, p, q, x_t, bar.sqrt(), (1 - bar).sqrt())

    sign = "a sign is wrong: subtract p times the first equation, on both sides alike"
    mistakes = [
        (
            form(lambda ans, p, q, x, a, s: (q * x - s * ans) / (a * q - s * p)),
            "that is x_0: ε is asked for, so x_0 must drop out",
        ),
        (form(lambda ans, p, q, x, a, s: (p * x - a * ans) / (a * q - s * p)), "that is −ε: turn the sign round"),
        (
            form(lambda ans, p, q, x, a, s: (a * ans + p * x) / (a * q - s * p)),
            "the sign of p·x_t is wrong: x_0 drops out of a difference",
        ),
        (form(lambda ans, p, q, x, a, s: (a * ans + p * x) / (a * q + s * p)), sign),
        (
            form(lambda ans, p, q, x, a, s: (a * ans - p * x) / (a * q + s * p)),
            "you divide by √ᾱ·q + σ·p: there, too, stands a difference",
        ),
        (
            form(lambda ans, p, q, x, a, s: (s * ans - p * x) / (s * q - a * p)),
            "√ᾱ and √(1−ᾱ) are swapped: √ᾱ is the share of x_0",
        ),
        (
            form(lambda ans, p, q, x, a, s: (a * ans - q * x) / (a * p - s * q)),
            "p and q are swapped: p is the share of x_0, and q that of ε",
        ),
        (
            lambda ans, p, q, x, bar: (bar * ans - p * x) / (bar * q - (1 - bar) * p),
            "the roots are missing: x_t has the shares √ᾱ and √(1−ᾱ)",
        ),
        (
            lambda ans, p, q, x, bar: (bar * ans - p * x) / (bar * q - (1 - bar).sqrt() * p),
            "the root of ᾱ is missing: the share of x_0 is √ᾱ",
        ),
        (
            lambda ans, p, q, x, bar: (bar.sqrt() * ans - p * x) / (bar.sqrt() * q - (1 - bar) * p),
            "the root of 1 − ᾱ is missing: the share of ε is √(1−ᾱ)",
        ),
        (
            form(lambda ans, p, q, x, a, s: (a * ans - p * x) / (a * q - (1 - a) * p)),
            "your share of ε is 1 − √ᾱ; it is √(1−ᾱ)",
        ),
        (
            form(lambda ans, p, q, x, a, s: a * ans - p * x),
            "the division is missing: this is ε times a number that depends on p and q",
        ),
        (
            form(lambda ans, p, q, x, a, s: a * ans + s * x),
            "that is right for an answer v only (notebook 03): use p and q",
        ),
        (
            form(lambda ans, p, q, x, a, s: (x - a * ans) / s),
            "you take the answer for x_0, whatever p and q are",
        ),
        (
            form(lambda ans, p, q, x, a, s: (ans - p * x) / q),
            "you put x_t where x_0 belongs: both are unknown, so use both equations",
        ),
        (form(lambda ans, p, q, x, a, s: ans), "that is the answer as it is: it is ε only at p = 0 and q = 1"),
        (form(lambda ans, p, q, x, a, s: x), "that is x_t itself"),
        (
            lambda *inputs: names.noise_in(*inputs).clamp(-1, 1),
            "you clip ε to [−1, 1]: only pictures have such limits, and noise has none",
        ),
        (
            form(lambda ans, p, q, x, a, s: (ans - p * ((q * x - s * ans) / (a * q - s * p))) / q),
            "you divide by q, which is 0 if the answer is x_0: get ε from the other equation",
        ),
    ]
    bars = {
        "on random mixtures": torch.rand(6, 1, 1, 1) * 0.8 + 0.1,
        "for ε": torch.rand(3, 1, 1, 1) * 0.8 + 0.1,
        "for x_0": torch.rand(3, 1, 1, 1) * 0.8 + 0.1,
        "for v": NoiseSchedule.cosine(T=500, shift=1.5).alpha_bar[torch.randint(10, 400, (4,))].view(-1, 1, 1, 1),
        "for u": torch.rand(3, 1, 1, 1) * 0.8 + 0.1,
        "where x_t is nearly noise": torch.full((2, 1, 1, 1), 1e-3),
        "for a batch of 1": torch.rand(1, 1, 1, 1) * 0.5 + 0.3,
    }
    cases = []
    for name, bar in bars.items():
        x_0, eps = images(len(bar)), torch.randn(len(bar), 1, 28, 28)
        random = (-0.3 - torch.rand(len(bar), 1, 1, 1), 0.4 + torch.rand(len(bar), 1, 1, 1))  # far from x_t's shares
        p, q = {
            "for ε": (0, 1),
            "for x_0": (1, 0),
            "for v": (-(1 - bar).sqrt(), bar.sqrt()),
            "for u": (-1, 1),
        }.get(name, random)
        cases.append((name, p * x_0 + q * eps, p, q, bar.sqrt() * x_0 + (1 - bar).sqrt() * eps, bar))
    return judge(attempt, names.noise_in, mistakes, cases, atol=1e-3)


@check
def score(attempt: Callable) -> Verdict:
    """attempt(log_density, x (N,), h) → (N,) the slope of log_density at each x, from values h to each side of it."""

    def scaled(factor: float) -> Callable:
        return lambda f, x, h: factor * names.score(f, x, h)

    mistakes = [
        (scaled(2), "that is twice the slope: from x − h to x + h the way is 2h"),
        (scaled(0.5), "that is half of the slope: from x − h to x + h the way is 2h"),
        (
            lambda f, x, h: (f(x + h) - f(x)) / h,
            "you look to the right only: that is the slope half a step further on; look as far to the left",
        ),
        (
            lambda f, x, h: (f(x) - f(x - h)) / h,
            "you look to the left only: that is the slope half a step before; look as far to the right",
        ),
        (scaled(-1), "the sign is turned round: the score points to where the density grows"),
        (lambda f, x, h: f(x + h) - f(x - h), "you don't divide by the way between the two points"),
        (lambda f, x, h: (f(x + h) - f(x - h)) / 2, "you divide by 2: the way between the two points is 2h"),
        (
            lambda f, x, h: (f(x + h).exp() - f(x - h).exp()) / (2 * h),
            "that is the slope of the density itself: the score is the slope of its logarithm",
        ),
        (
            lambda f, x, h: (f(x + h).log() - f(x - h).log()) / (2 * h),
            "you take a second logarithm: `log_density` is a logarithm already",
        ),
        (
            lambda f, x, h: (f(x + h) - 2 * f(x) + f(x - h)) / h**2,
            "that is the second derivative, the bend: one difference is enough",
        ),
        (
            lambda f, x, h: (f(x + h) + f(x - h)) / (2 * h),
            "that is a sum: a slope is a difference over the way",
        ),
        (lambda f, x, h: f(x), "that is the log-density itself, not its slope"),
        (
            lambda f, x, h: names.score(f, x, h).abs(),
            "you lose the direction: left of the nearest top the score is positive, and right of it negative",
        ),
    ]
    mean, std = float(torch.randn(())), float(torch.rand(()) + 0.5)

    def parabola(x: object) -> Tensor:
        """A Gaussian's log-density: here a difference over any way is exact."""
        x = torch.as_tensor(x, dtype=torch.float64)
        return 0.3 - (x - mean) ** 2 / (2 * std**2)

    two = TwoClasses(NoiseSchedule.linear(T=1000), d=0.4)
    x = torch.randn(40, dtype=torch.float64)
    cases = [
        ("for a Gaussian", parabola, x, 0.25),
        ("for a small h", parabola, x.clone(), 1e-3),
        *((f"for two classes at t = {t}", names.log_density(two, t), 1.5 * x, 1e-3) for t in (100, 300, 1000)),
        ("at a single x", parabola, x[:1], 0.1),
    ]
    return judge(attempt, names.score, mistakes, cases, rtol=1e-3, atol=1e-3)
