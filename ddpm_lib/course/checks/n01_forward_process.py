"""Checks of notebook 01, The forward process."""

import math
from collections.abc import Callable

import torch

from ddpm_lib.course.checks.shared import images
from ddpm_lib.course.exercise import Verdict, check, judge
from ddpm_lib.schedule import NoiseSchedule


@check
def add_noise(attempt: Callable) -> Verdict:
    """attempt(x_0, alpha_bar_t, eps) → x_t, with alpha_bar_t of shape (B, 1, 1, 1)."""
    mistakes = {
        "you used ᾱ_t and 1 − ᾱ_t without their square roots": lambda x, a, e: a * x + (1 - a) * e,
        "your noise has standard deviation 1 − ᾱ_t: that is the variance, take its root": lambda x, a, e: (
            a.sqrt() * x + (1 - a) * e
        ),
        "your noise level is 1 − √ᾱ_t; it is √(1 − ᾱ_t)": lambda x, a, e: a.sqrt() * x + (1 - a.sqrt()) * e,
        "signal and noise are swapped": lambda x, a, e: (1 - a).sqrt() * x + a.sqrt() * e,
        "the noise is missing": lambda x, a, e: a.sqrt() * x,
        "the noise is subtracted: the forward process adds it": lambda x, a, e: a.sqrt() * x - (1 - a).sqrt() * e,
        "x_0 isn't scaled down: the variance grows with t": lambda x, a, e: x + (1 - a).sqrt() * e,
    }
    alpha_bar_t = torch.rand(8, 1, 1, 1) * 0.8 + 0.1
    x_0 = images(8)
    return judge(
        attempt,
        lambda x, a, e: a.sqrt() * x + (1 - a).sqrt() * e,
        mistakes,
        x_0,
        alpha_bar_t,
        torch.randn_like(x_0),
    )


@check
def half_noise_time(attempt: Callable) -> Verdict:
    """attempt(schedule) → the first t at which at least half of x_t's variance is noise, 1 − ᾱ_t ≥ 1/2."""
    schedule = NoiseSchedule.linear(T=int(torch.randint(300, 700, ())))
    mistakes = {
        "that is the first t with 1 − α_t ≥ 1/2 or none: you used α, the single step, not ᾱ": lambda schedule: int(
            (schedule.beta >= 0.5).int().argmax()
        ),
        "you took the standard deviation √(1 − ᾱ_t) ≥ 1/2, not the variance": lambda schedule: int(
            ((1 - schedule.alpha_bar).sqrt() >= 0.5).int().argmax()
        ),
        "off by one: ᾱ has an entry for t = 0, so the index is already t": lambda schedule: (
            int((schedule.alpha_bar <= 0.5).int().argmax()) + 1
        ),
        "that is half of T; the schedule isn't that even": lambda schedule: schedule.T // 2,
    }
    return judge(attempt, lambda schedule: int((schedule.alpha_bar <= 0.5).int().argmax()), mistakes, schedule)


@check
def shift_log_snr(attempt: Callable) -> Verdict:
    """attempt(alpha_bar (T+1,), shift) → the ᾱ whose log-SNR is lower by shift at every t."""
    mistakes = {
        "the log-SNR is raised: a shift of 1.5 must mean more noise": lambda a, shift: (a.logit() + shift).sigmoid(),
        "that is the shifted log-SNR itself: turn it back into ᾱ": lambda a, shift: a.logit() - shift,
        "that is the shifted SNR: solve SNR = ᾱ/(1 − ᾱ) for ᾱ": lambda a, shift: (a.logit() - shift).exp(),
        "you lowered log ᾱ: SNR is ᾱ/(1 − ᾱ), and the noise changes too": lambda a, shift: a * math.exp(-shift),
        "you lowered ᾱ itself, which even gets negative": lambda a, shift: a - shift,
        "you shifted by twice as much: log-SNR is log(ᾱ/(1 − ᾱ)), without a square or a root": lambda a, shift: (
            a.logit() - 2 * shift
        ).sigmoid(),
        "you shifted by half of it: log-SNR is log(ᾱ/(1 − ᾱ)), without a square or a root": lambda a, shift: (
            a.logit() - shift / 2
        ).sigmoid(),
    }
    alpha_bar = (torch.rand(50) * 0.96 + 0.02).sort(descending=True).values
    shift = float(torch.rand(()) + 0.7)
    return judge(attempt, lambda a, shift: (a.logit() - shift).sigmoid(), mistakes, alpha_bar, shift)
