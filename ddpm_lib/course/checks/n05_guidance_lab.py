"""Checks of notebook 05, The guidance lab."""

from collections.abc import Callable

import torch

from ddpm_lib.course.exercise import Verdict, check, judge


@check
def guidance_push(attempt: Callable) -> Verdict:
    """attempt(eps_y, eps_null, w) → w·(ε(y) − ε(∅)): what guidance adds to ε(y)."""
    mistakes = {
        "that is the whole guided noise: leave out the ε(y) to which it is added": lambda c, u, w: (1 + w) * c - w * u,
        "that is what is added to ε(∅), with the guidance scale 1 + w": lambda c, u, w: (1 + w) * (c - u),
        "the sign is flipped: it must point from ε(∅) to ε(y)": lambda c, u, w: w * (u - c),
        "w is missing: at w = 0 nothing may be added": lambda c, u, w: c - u,
    }
    w = float(torch.rand(()) * 3 + 1.3)
    eps_y, eps_null = torch.randn(4, 1, 28, 28), torch.randn(4, 1, 28, 28)
    return judge(attempt, lambda c, u, w: w * (c - u), mistakes, eps_y, eps_null, w)


@check
def w_of_scale(attempt: Callable) -> Verdict:
    """attempt(guidance_scale) → w, where ε̂ = ε(∅) + guidance_scale·(ε(y) − ε(∅))."""
    mistakes = {
        "that is the guidance scale for a given w; here the scale is given": lambda scale: scale + 1,
        "the two are not the same number: scale 1 is plain conditional sampling, which is w = 0": lambda scale: scale,
        "the sign is flipped: a larger scale must give a larger w": lambda scale: 1 - scale,
    }
    return judge(attempt, lambda scale: scale - 1, mistakes, float(torch.rand(()) * 6 + 2))


@check
def smallest_w(attempt: Callable) -> Verdict:
    """attempt(weights, agreement, target) → the smallest w whose agreement is at least target.

    weights, agreement: lists of equal length, in any order. target: reached by at least one of them.
    """

    def right(weights: list[float], agreement: list[float], target: float) -> float:
        return min(w for w, a in zip(weights, agreement, strict=True) if a >= target)

    mistakes = {
        "that is the w with the highest agreement: a smaller one is good enough, and more diverse": lambda w, a, t: w[
            a.index(max(a))
        ],
        "that is the first in the list that reaches the target: the list need not be in order": lambda w, a, t: next(
            x for x, y in zip(w, a, strict=True) if y >= t
        ),
        "that is the largest w that reaches the target, not the smallest": lambda w, a, t: max(
            x for x, y in zip(w, a, strict=True) if y >= t
        ),
        "at least means ≥: an agreement of exactly the target is enough": lambda w, a, t: min(
            x for x, y in zip(w, a, strict=True) if y > t
        ),
        "that is an agreement, not the w where it is measured": lambda w, a, t: min(y for y in a if y >= t),
        "that is a place in the list, not the w there": lambda w, a, t: w.index(right(w, a, t)),
        "that w doesn't reach the target: look at agreement, not only at w": lambda w, a, t: min(w),
    }
    # In this order, and with agreement that falls again after its best, each mistake gives another answer.
    shift = round(0.1 + 0.3 * float(torch.rand(())), 2)
    weights = [w + shift for w in (6.0, -1.0, 8.0, 0.5, 3.0, 2.0, 4.0)]
    return judge(attempt, right, mistakes, weights, [0.97, 0.1, 0.96, 0.9, 0.98, 0.95, 0.99], 0.95)
