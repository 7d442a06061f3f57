"""Checks of notebook 07, Fast sampling."""

from collections.abc import Callable

import torch

from ddpm_lib.course.checks.shared import images
from ddpm_lib.course.exercise import NOT_ATTEMPTED, Verdict, check, judge


@check
def time_steps(attempt: Callable) -> Verdict:
    """attempt(T, steps) → the steps + 1 times of a sampler, evenly spread, falling from T to 0."""
    mistakes = {
        "the times rise: a sampler starts at T and walks down": lambda T, n: [i * T // n for i in range(n + 1)],
        "0 is missing: the last step never arrives at the digit": lambda T, n: [T - i * T // n for i in range(n)],
        "that ends at 1, where a little noise is left; it must end at 0": lambda T, n: [
            T - i * (T - 1) // n for i in range(n + 1)
        ],
        "T is missing: x_T is pure noise, but you tell the network that it is less": lambda T, n: [
            T - i * T // n for i in range(1, n + 1)
        ],
        "these are all times; only some are asked for": lambda T, n: list(range(T, -1, -1)),
    }
    steps = int(torch.randint(4, 9, ()))
    T = steps * int(torch.randint(20, 60, ()))
    return judge(attempt, lambda T, n: [T - i * T // n for i in range(n + 1)], mistakes, T, steps)


@check
def x_0_middle(attempt: Callable) -> Verdict:
    """attempt(x_0_hat, x_0_before, lambda_before, lambda_t, lambda_s) → x̂_0 extrapolated to the middle of the step."""
    mistakes = {
        "you went to the end of the step, not to its middle: half of h": lambda x, b, l0, l1, l2: (
            x + (l2 - l1) / (l1 - l0) * (x - b)
        ),
        "you went backwards: add the change since the step before, don't subtract it": lambda x, b, l0, l1, l2: (
            x - (l2 - l1) / (2 * (l1 - l0)) * (x - b)
        ),
        "that is the mean of the two guesses, which looks back; look ahead": lambda x, b, l0, l1, l2: (x + b) / 2,
        "the two steps may differ in length: scale the change by h over the step before": lambda x, b, l0, l1, l2: (
            x + (x - b) / 2
        ),
        "the ratio of the two steps is upside down": lambda x, b, l0, l1, l2: x + (l1 - l0) / (2 * (l2 - l1)) * (x - b),
        "that is x̂_0 as it is now: DDIM": lambda x, b, l0, l1, l2: x,
    }
    lambda_before, lambda_t, lambda_s = -2.0, -1.5 + float(torch.rand(())) / 4, 0.5 + float(torch.rand(()))
    return judge(
        attempt,
        lambda x, b, l0, l1, l2: x + (l2 - l1) / (2 * (l1 - l0)) * (x - b),
        mistakes,
        images(4),
        images(4),
        lambda_before,
        lambda_t,
        lambda_s,
    )


@check
def weight_at(attempt: Callable) -> Verdict:
    """attempt(t, w, t_min, t_max) → the guidance weight at time t: w inside the interval, ends included, else 0."""
    times = (50, 99, 100, 101, 250, 399, 400, 401, 450)
    w = float(torch.rand(()) * 3 + 1.3)

    def everywhere(weight: Callable) -> Callable:
        return lambda w: [weight(t, w) for t in times]

    mistakes = {
        "outside you return −1: that ignores the label; without guidance w is 0": lambda t, w: (
            w if 100 <= t <= 400 else -1
        ),
        "outside you return 1: that is the guidance scale 1 + w; without guidance w is 0": lambda t, w: (
            w if 100 <= t <= 400 else 1
        ),
        "inside and outside are swapped": lambda t, w: 0 if 100 <= t <= 400 else w,
        "the two ends belong to the interval": lambda t, w: w if 100 < t < 400 else 0,
        "you forgot t_max": lambda t, w: w if t >= 100 else 0,
        "you forgot t_min": lambda t, w: w if t <= 400 else 0,
    }
    if attempt(250, w, 100, 400) is None:
        return NOT_ATTEMPTED
    return judge(
        everywhere(lambda t, w: attempt(t, w, 100, 400)),
        everywhere(lambda t, w: w if 100 <= t <= 400 else 0),
        {diagnosis: everywhere(mistake) for diagnosis, mistake in mistakes.items()},
        w,
    )
