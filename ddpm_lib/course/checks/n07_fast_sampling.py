"""Checks of notebook 07, Fast sampling."""

from collections.abc import Callable

import torch

from ddpm_lib.course.checks.shared import images
from ddpm_lib.course.exercise import Verdict, check, judge


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
