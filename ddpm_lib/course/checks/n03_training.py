"""Checks of notebook 03, Training."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ddpm_lib.course.chance import draws, judge_shares
from ddpm_lib.course.checks.shared import images
from ddpm_lib.course.exercise import Mistake, Verdict, check, judge, named, wrong
from ddpm_lib.course.sandbox import Judged
from ddpm_lib.schedule import NoiseSchedule


def _is(diagnosis: str) -> Judged:
    """Ends a check with the name of a mistake."""
    return Judged(named([Mistake(lambda *inputs: None, diagnosis)]))


@check
def label_dropout(attempt: Callable) -> Verdict:
    """attempt(y (B, 10) one-hot, p_uncond) → y with each row set to zero on its own with probability p_uncond."""

    def dropped(rows: np.ndarray, y: Tensor, p: float) -> np.ndarray:
        """(B,) 1 where a row is zero, and 0 where it is kept."""
        rows, y = np.asarray(rows), y.numpy()
        is_zero, off = (rows == 0).all(axis=1), abs(rows - y).max(axis=1)
        odd = ~is_zero & (off > 1e-4)
        if not odd.any():
            return is_zero.astype(int)
        these, labels = rows[odd], y[odd]
        if p < 1 and np.allclose(these, labels / (1 - p)):
            raise _is("you divide by 1 − p_uncond, as nn.Dropout does: a label that is kept stays as it is")
        if np.allclose(these, labels * (1 - p)):
            raise _is("you multiply the labels by 1 − p_uncond: draw which rows become zero, and keep the rest whole")
        if np.allclose(these, 0.1) or np.allclose(these, 1):
            raise _is("such a row asks for all digits alike; no label is a row of zeros")
        if np.allclose(these, np.eye(10)[0]):
            raise _is("your rows without a label are those of the digit 0: no label is a row of zeros")
        raise Judged(wrong(f"a row should be kept or be zero; the others are off by up to {off[odd].max():.3g}"))

    def chance_of(share: Callable) -> Callable:
        """The law by which a row is dropped with probability share(p)."""
        return lambda y, p: {0: 1 - share(p), 1: share(p)}

    def one_hot(digits: Tensor) -> Tensor:
        return F.one_hot(digits, 10).float()

    def case(name: str, batch: int, p_uncond: float) -> tuple:
        return name, one_hot(torch.randint(10, (batch,))), p_uncond

    # Mistakes that shares can't tell: each row for itself looks right.
    y, p = one_hot(torch.arange(10).repeat(8)), 0.5
    first = np.stack([dropped(rows, y, p) for rows in draws(attempt, (y, p), tuple(y.shape), calls=30)])
    if not first.any():
        raise _is("all rows come back unchanged: the rows that lose their label must be in what you return")
    if first.all():
        raise _is("every row becomes zero, whatever p_uncond is")
    by_digit = first.reshape(30, 8, 10)
    if (by_digit == by_digit[:, :1]).all() and not (first == first[:, :1]).all():
        raise _is("you drop columns: all pictures of a digit lose their label together; draw one number for each row")
    if (first.sum(axis=1) == p * len(y)).all() and not (first == first[:1]).all():
        raise _is("you drop exactly a share of p_uncond in each batch: draw for each row on its own")

    mistakes = [
        (chance_of(lambda p: 1 - p), "it is the other way round: you keep a share of p_uncond and drop the rest"),
        (chance_of(lambda p: 0.1), "you drop a share of 0.1, whatever p_uncond is"),
        (chance_of(lambda p: 0.9), "you keep a share of 0.1, whatever p_uncond is"),
        (chance_of(lambda p: 0.5), "you drop half of the rows, whatever p_uncond is"),
        (
            chance_of(lambda p: (1 + math.erf(p / 2**0.5)) / 2),
            "you compare p_uncond with randn: its numbers are Gaussian; rand's are spread evenly over [0, 1)",
        ),
        (
            chance_of(lambda p: (1 - math.erf(p / 2**0.5)) / 2),
            "you compare p_uncond with randn, the other way round: rand's numbers are spread evenly over [0, 1)",
        ),
        (chance_of(lambda p: p**2), "you drop a share of p_uncond²: do you draw twice?"),
    ]
    cases = [
        case("on random rows", 64, 0.25),
        case("at p_uncond = 0.1", 64, 0.1),
        case("at a random p_uncond", 32, float(torch.rand(()) * 0.2 + 0.6)),
        case("at p_uncond = 0", 16, 0.0),
        case("at p_uncond = 1", 16, 1.0),
        case("for a batch of 1", 1, 0.4),
    ]
    what = "decisions (0 keeps, 1 drops)"
    return judge_shares(
        attempt, dropped, chance_of(lambda p: p), mistakes, cases, what, "row", lambda y, p: tuple(y.shape)
    )


@check
def training_times(attempt: Callable) -> Verdict:
    """attempt(batch, T) → t (batch,) whole numbers, each of 1 … T equally likely. Stratified is as good."""

    def whole(times: np.ndarray, batch: int, T: int) -> np.ndarray:
        times = np.asarray(times)
        if np.array_equal(times, np.round(times)):
            return times.astype(int)
        if np.allclose(times * T, np.round(times * T), atol=1e-3) and (abs(times) <= 1).all():
            raise _is("that is t/T, which only the network is told; asked for are the t")
        raise _is("times are whole numbers, because they are indices; yours lie between them")

    def evenly(first: Callable, last: Callable) -> Callable:
        """The law by which each of first(T) … last(T) is equally likely."""
        return lambda batch, T: {t: 1 / (last(T) - first(T) + 1) for t in range(first(T), last(T) + 1)}

    def rounded(first: int) -> Callable:
        """The law of rounding numbers between first and T: the two ends get half a share."""
        return lambda batch, T: {t: (1 - (t in (first, T)) / 2) / (T - first) for t in range(first, T + 1)}

    mistakes = [
        (
            evenly(lambda T: 1, lambda T: T - 1),
            "your t = T is never drawn, and sampling begins there: randint leaves out its upper end",
        ),
        (
            evenly(lambda T: 0, lambda T: T - 1),
            "your t runs over 0 … T − 1: the paper counts from 1, and t = 0 has no noise to find",
        ),
        (
            evenly(lambda T: 0, lambda T: T),
            "your t runs over 0 … T: you draw t = 0 too, and there x_t is the digit itself, with no noise to find",
        ),
        (evenly(lambda T: 2, lambda T: T + 1), "your t runs over 2 … T + 1: that is one too many"),
        (evenly(lambda T: 1, lambda T: T + 1), "your t runs over 1 … T + 1: that is one too many"),
        (
            rounded(0),
            "you round numbers between 0 and T: t = 0 comes, too, and both ends come half as often as the rest",
        ),
        (rounded(1), "you round numbers between 1 and T: both ends come half as often as the rest"),
        (evenly(lambda T: 1, lambda T: 500), "your times run to 500, whatever T is"),
        (evenly(lambda T: 1, lambda T: 1000), "your times run to 1000, whatever T is"),
    ]
    cases = [  # a batch that T divides would leave no chance to a stratified draw
        ("for a large batch", 64, int(torch.randint(9, 13, ()))),
        ("as the notebook trains", 32, 500),
        ("for a batch of 1", 1, 7),
        ("at T = 3", 16, 3),
    ]
    right = evenly(lambda T: 1, lambda T: T)
    return judge_shares(attempt, whole, right, mistakes, cases, "times", "picture", lambda batch, T: (batch,))


@check
def eps_from_v(attempt: Callable) -> Verdict:
    """attempt(x_t, alpha_bar_t, v) → ε, where v = √ᾱ_t·ε − √(1−ᾱ_t)·x_0."""

    def solved(x, a, v):
        return (1 - a).sqrt() * x + a.sqrt() * v

    mistakes = [
        (lambda x, a, v: a.sqrt() * x + (1 - a).sqrt() * v, "the two roots are swapped"),
        (lambda x, a, v: (1 - a).sqrt() * x - a.sqrt() * v, "the sign of v is flipped: add the two equations"),
        (lambda x, a, v: a.sqrt() * v - (1 - a).sqrt() * x, "the sign of x_t is flipped: add the two equations"),
        (lambda x, a, v: -solved(x, a, v), "that is −ε: both signs are flipped"),
        (lambda x, a, v: a.sqrt() * x - (1 - a).sqrt() * v, "that is x_0, not ε"),
        (lambda x, a, v: (1 - a) * x + a * v, "you used ᾱ_t and 1 − ᾱ_t without their roots"),
        (lambda x, a, v: (1 - a) * x + a.sqrt() * v, "the root of 1 − ᾱ_t is missing"),
        (lambda x, a, v: (1 - a).sqrt() * x + a * v, "the root of ᾱ_t is missing"),
        (lambda x, a, v: a * x + (1 - a) * v, "the two levels are swapped, and their roots are missing"),
        (
            lambda x, a, v: (v + (1 - a).sqrt() * x) / a.sqrt(),
            "you used x_t where x_0 belongs: x_0 is unknown, so it must drop out",
        ),
        (lambda x, a, v: v, "that is v itself"),
        (lambda x, a, v: x, "that is x_t itself"),
        (lambda x, a, v: a.sqrt() * v, "x_t is missing: v alone doesn't tell the noise"),
        (lambda x, a, v: (1 - a).sqrt() * x, "v is missing: x_t alone doesn't tell the noise"),
        (lambda x, a, v: (1 - a).sqrt() * x + v, "the factor √ᾱ_t is missing in front of v"),
        (lambda x, a, v: x + a.sqrt() * v, "the factor √(1−ᾱ_t) is missing in front of x_t"),
        (lambda x, a, v: x + v, "both levels are missing: multiply x_t by √(1−ᾱ_t), and v by √ᾱ_t"),
        (lambda x, a, v: (1 - a.sqrt()) * x + a.sqrt() * v, "your noise level is 1 − √ᾱ_t; it is √(1−ᾱ_t)"),
        (lambda x, a, v: (x - a.sqrt() * v) / (1 - a).sqrt(), "you put v where x_0 belongs, in the equation for x_t"),
        (lambda x, a, v: (x + a.sqrt() * v) / (1 - a).sqrt(), "you took v for −x_0, which it is at large t only"),
        (lambda x, a, v: solved(x, a, v) / 2, "that is half of ε: the two squared levels sum to 1, not to 2"),
        (lambda x, a, v: solved(x, a[:1], v), "all pictures get the ᾱ_t of the first picture"),
        (
            lambda x, a, v: solved(x, a, v).clamp(-1, 1),
            "you clip the noise to [−1, 1]: pixels end there, noise doesn't",
        ),
    ]
    linear = NoiseSchedule.linear(T=500).alpha_bar.view(-1, 1, 1, 1)
    cosine = NoiseSchedule.cosine(T=500, shift=1.5).alpha_bar.view(-1, 1, 1, 1)
    levels = {
        "on random inputs": torch.rand(8, 1, 1, 1) * 0.8 + 0.1,
        "for the notebook's schedule": cosine[torch.randint(10, 400, (4,))],
        "for a batch of 1": torch.rand(1, 1, 1, 1) * 0.5 + 0.3,
        "at t = 1": linear[[1, 1]],
        "at t = T": linear[[-1, -1]],
    }
    cases = []
    for name, a in levels.items():
        x_0, eps = images(len(a)), torch.randn(len(a), 1, 28, 28)
        x_t, v = a.sqrt() * x_0 + (1 - a).sqrt() * eps, a.sqrt() * eps - (1 - a).sqrt() * x_0
        cases.append((name, x_t, a.clone(), v))
    x_t, v = torch.randn(2, 3, 1, 28, 28)
    cases.append(("for a v that a network guesses", x_t, torch.rand(3, 1, 1, 1) * 0.8 + 0.1, v))
    # at t = 1 some right forms divide by √(1−ᾱ_1) = 0.01, and float32 rounds
    return judge(attempt, solved, mistakes, cases, atol=1e-3)
