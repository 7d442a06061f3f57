"""Checks of notebook 05, The guidance lab."""

from collections.abc import Callable

import torch

from ddpm_lib.course.checks.shared import cases_over_w
from ddpm_lib.course.exercise import Verdict, check, judge


@check
def guidance_push(attempt: Callable) -> Verdict:
    """attempt(eps_y, eps_null, w) → w·(ε(y) − ε(∅)): what guidance adds to ε(y)."""

    def push(c, u, w):
        return w * (c - u)

    mistakes = [
        (
            lambda c, u, w: (1 + w) * c - w * u,
            "that is the whole guided noise: leave out the ε(y) to which it is added",
        ),
        (lambda c, u, w: (1 + w) * (c - u), "that is what is added to ε(∅), with the guidance scale 1 + w"),
        (lambda c, u, w: u + push(c, u, w), "you start from ε(∅): the push alone is asked for, w·(ε(y) − ε(∅))"),
        (lambda c, u, w: (w - 1) * (c - u), "your w is the guidance scale 1 + w: at w = 1 you add nothing"),
        (lambda c, u, w: push(u, c, w), "the sign is flipped: it must point from ε(∅) to ε(y)"),
        (lambda c, u, w: c - u, "w is missing: at w = 0 nothing may be added"),
        (lambda c, u, w: u - c, "w is missing, and the sign is flipped: it must point from ε(∅) to ε(y)"),
        (lambda c, u, w: w * (c + u), "you add the two predictions: guidance acts along their difference"),
        (lambda c, u, w: w * c, "ε(∅) is missing: guidance acts along the difference of the two predictions"),
        (lambda c, u, w: -w * u, "ε(y) is missing: what guidance adds is w·ε(y), too"),
        (lambda c, u, w: w * c - u, "w belongs to both branches: at w = 0 nothing may be added"),
        (lambda c, u, w: c - w * u, "w belongs to both branches: at w = 0 nothing may be added"),
        (lambda c, u, w: push(c, u, abs(w)), "you lost the sign of w: w = −1 must take away what w = 1 adds"),
        (lambda c, u, w: push(c, u, max(w, 0)), "below 0 you add nothing; but at w = −1 the sum must be ε(∅)"),
        (lambda c, u, w: push(c, u, w) if w else c, "at w = 0 you return ε(y), and nothing may be added there"),
        (lambda c, u, w: push(c, u, int(w)), "you cut w to a whole number: the slider stands between them, too"),
        (lambda c, u, w: push(c, u, w).clamp(-1, 1), "you clip to [−1, 1]: pixels end there, noise doesn't"),
        (lambda c, u, w: 0 * c, "you add nothing, whatever w is"),
    ]
    return judge(attempt, push, mistakes, cases_over_w())


@check
def w_of_scale(attempt: Callable) -> Verdict:
    """attempt(guidance_scale) → w, where ε̂ = ε(∅) + guidance_scale·(ε(y) − ε(∅))."""
    mistakes = [
        (lambda scale: scale + 1, "that is the guidance scale for a given w; here the scale is given"),
        (
            lambda scale: scale,
            "the two are not the same number: scale 1 is plain conditional sampling, which is w = 0",
        ),
        (lambda scale: 1 - scale, "the sign is flipped: a larger scale must give a larger w"),
        (lambda scale: -scale, "that is only the sign: scale 1 is plain conditional sampling, which is w = 0"),
        (lambda scale: scale - 2, "that is one too few: scale 1 is plain conditional sampling, which is w = 0"),
        (lambda scale: scale / 2, "the two conventions differ by a shift, not by a factor"),
        (lambda scale: 2 * scale, "the two conventions differ by a shift, not by a factor"),
        (lambda scale: 2 * scale - 1, "one more of the scale is one more of w: there is no factor"),
        (lambda scale: 2 * (scale - 1), "one more of the scale is one more of w: there is no factor"),
        (lambda scale: abs(scale - 1), "you lost the sign: a scale below 1 is a negative w"),
        (lambda scale: max(scale - 1, 0), "you cut w off at 0: a scale below 1 is a negative w"),
        (lambda scale: int(scale) - 1, "you round to whole numbers: scale 7.5 is w = 6.5"),
        (lambda scale: round(scale) - 1, "you round to whole numbers: scale 7.5 is w = 6.5"),
        (lambda scale: round(scale - 1), "you round to whole numbers: scale 7.5 is w = 6.5"),
        (lambda scale: scale - 1 if scale else 0, "at scale 0 only ε(∅) is left, and that is w = −1"),
        (lambda scale: 0, "that is w = 0, whatever the scale is"),
    ]
    scale = float(torch.rand(()) * 6 + 2)
    cases = [("on random inputs", scale), ("at scale 1", 1.0), ("at scale 0", 0.0), ("at scale 7.5", 7.5),
             ("below scale 1", 0.25), ("at a whole scale", 4)]  # fmt: skip
    return judge(attempt, lambda scale: scale - 1, mistakes, cases)


@check
def smallest_w(attempt: Callable) -> Verdict:
    """attempt(weights, agreement, target) → the smallest w whose agreement is at least target.

    weights, agreement: lists of equal length, in any order. target: reached by at least one of them.
    """

    def reached(weights: list[float], agreement: list[float], target: float) -> list[float]:
        return [w for w, a in zip(weights, agreement, strict=True) if a >= target]

    def right(weights: list[float], agreement: list[float], target: float) -> float:
        return min(reached(weights, agreement, target))

    def walked_down(weights: list[float], agreement: list[float], target: float) -> float:
        best = max(weights)
        for w, a in sorted(zip(weights, agreement, strict=True), reverse=True):
            if a < target:
                break
            best = w
        return best

    every = "that is the whole list of those that reach the target: one number is asked for, the smallest"
    apart = "weights and agreement belong together: you sorted one without the other"
    mistakes = [
        (
            lambda w, a, t: w[a.index(max(a))],
            "that is the w with the highest agreement: a smaller one is good enough, and more diverse",
        ),
        (
            lambda w, a, t: reached(w, a, t)[0],
            "that is the first in the list that reaches the target: the list need not be in order",
        ),
        (
            lambda w, a, t: reached(w, a, t)[-1],
            "that is the last in the list that reaches the target: the list need not be in order",
        ),
        (lambda w, a, t: max(reached(w, a, t)), "that is the largest w that reaches the target, not the smallest"),
        (
            lambda w, a, t: min(x for x, y in zip(w, a, strict=True) if y > t),
            "at least means ≥: an agreement of exactly the target is enough",
        ),
        (
            lambda w, a, t: min(x for x, y in zip(w, a, strict=True) if y <= t),
            "you keep what stays below the target: ≥ is asked for, and you took ≤",
        ),
        (
            lambda w, a, t: min(x for x, y in zip(w, a, strict=True) if y < t),
            "you keep what stays below the target: ≥ is asked for, and you took <",
        ),
        (lambda w, a, t: min(y for y in a if y >= t), "that is an agreement, not the w where it is measured"),
        (lambda w, a, t: w.index(right(w, a, t)), "that is a place in the list, not the w there"),
        (lambda w, a, t: [y >= t for y in a].index(True), "that is a place in the list, and of the first that fits"),
        (lambda w, a, t: min(w), "that w doesn't reach the target: look at agreement, not only at w"),
        (lambda w, a, t: right(sorted(w), sorted(a), t), apart),
        (lambda w, a, t: right(sorted(w), a, t), apart),
        (lambda w, a, t: right(w, sorted(a), t), apart),
        (
            lambda w, a, t: w[a.index(min(y for y in a if y >= t))],
            "that is the w whose agreement just reaches the target; the smallest w may have a higher one",
        ),
        (
            lambda w, a, t: w[min(range(len(a)), key=lambda i: abs(a[i] - t))],
            "that is the w whose agreement is nearest to the target: it may stay below",
        ),
        (
            lambda w, a, t: min(reached(w, a, t), key=abs),
            "that is the w nearest to 0: −1 is smaller than −0.5",
        ),
        (walked_down, "you stop where agreement first falls below the target, but it need not grow all the way"),
        (lambda w, a, t: max(0, right(w, a, t)), "you leave out w below 0: they count, too"),
        (
            lambda w, a, t: min([0, *reached(w, a, t)]),
            "your search starts at 0, and so no w above 0 can win: start at infinity",
        ),
        (
            lambda w, a, t: min([w[0], *reached(w, a, t)]),
            "your search starts at the first w, which need not reach the target: start at infinity",
        ),
        (reached, every),
        (lambda w, a, t: sorted(reached(w, a, t)), every),
    ]
    shift = round(0.1 + 0.3 * float(torch.rand(())), 2)
    # Such an order and such dips that each mistake gives another answer somewhere. Some agreement is always above the
    # target, and some not, so that a mistake of one sign has an answer and isn't seen as a crash.
    target = 0.5 + int(torch.randint(0, 16, ())) / 64  # exact in float32, too
    order = torch.randperm(12)
    weights, shares = [w / 2 - 1 for w in order.tolist()], (torch.randint(0, 48, (12,)) / 64).tolist()
    shares[0], shares[int(torch.randint(1, 6, ()))], shares[7] = target + 0.125, target, 0.125
    cases = [
        ("on random inputs", weights, shares, target),
        (
            "where one agreement is exactly the target",
            [w + shift for w in (6.0, -1.0, 8.0, 0.5, 3.0, 2.0, 4.0)],
            [0.97, 0.1, 0.96, 0.9, 0.98, 0.9375, 0.99],
            0.9375,
        ),
        (
            "on the notebook's numbers",
            [-1.0, -0.75, -0.5, -0.25, 0.0, 0.5, 1.0],
            [0.12, 0.24, 0.58, 0.88, 1.0, 1.0, 1.0],
            0.5,
        ),
        (
            "where agreement falls again",
            [5.0, 1.0, 2.0, 3.0, 4.0, 0.5],
            [0.78, 0.875, 0.625, 0.75, 0.9, 0.2],
            0.75,
        ),
        ("where the smallest w reaches the target", [1.0, -1.0, 0.25, -0.5, 2.0], [0.9, 0.8, 1.0, 0.75, 0.6], 0.75),
        ("where only one reaches the target", [3, 40, 7, 0], [0.3, 0.9, 0.7, 0.1], 0.75),
        ("where two agree alike", [4.0, 2.0, 3.0, 1.0], [0.9, 0.9, 0.3, 0.7], 0.8),
    ]
    return judge(attempt, right, mistakes, cases)
