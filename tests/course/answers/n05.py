"""Answers to the exercises of notebook 05, written from their text; see n04.py."""

import heapq
from fractions import Fraction

import numpy as np
import torch


def no_return(*inputs):
    inputs[0] * 2


def printed(eps_y, eps_null, w):
    print((w * (eps_y - eps_null)).mean())


def push_left_below(eps_y, eps_null, w):
    push = w * (eps_y - eps_null)
    assert push.shape == eps_y.shape
    return None


def push_in_place(eps_y, eps_null, w):
    eps_y -= eps_null
    return eps_y * w


def push_by_loop(eps_y, eps_null, w):
    out = torch.zeros_like(eps_y)
    for i in range(len(eps_y)):
        out[i] = w * eps_y[i] - w * eps_null[i]
    return out


def scale_printed(guidance_scale):
    print(guidance_scale - 1)


def scale_left_below(guidance_scale):
    w = guidance_scale - 1
    str(w)
    return None


def by_hand(weights, agreement, target):
    best = None
    for i in range(len(weights)):
        if agreement[i] >= target and (best is None or weights[i] < best):
            best = weights[i]
    return best


def in_order(weights, agreement, target):
    for w, share in sorted(zip(weights, agreement, strict=True)):
        if share >= target:
            return w
    return None


def reached(weights, agreement, target):
    return [w for w, share in zip(weights, agreement, strict=True) if share >= target]


def first_is_zero(weights, agreement, target):
    best = 0
    for w in reached(weights, agreement, target):
        if w < best:
            best = w
    return best


def never_smaller_than_first(weights, agreement, target):
    best = weights[0]
    for w in reached(weights, agreement, target):
        if w < best:
            best = w
    return best


def while_it_reaches(weights, agreement, target):
    best = None
    for w, share in sorted(zip(weights, agreement, strict=True), reverse=True):
        if share < target:
            break
        best = w
    return best if best is not None else max(weights)


def sorts_the_callers(weights, agreement, target):
    pairs = sorted(zip(weights, agreement, strict=True))
    weights.sort()
    return next(w for w, share in pairs if share >= target)


def in_numpy(weights, agreement, target):
    weights, agreement = np.array(weights), np.array(agreement)
    order = weights.argsort()
    return weights[order][(agreement[order] >= target).argmax()]


RIGHT = {
    "guidance_push": [
        lambda c, u, w: w * c - w * u,
        lambda c, u, w: ((1 + w) * c - w * u) - c,
        lambda c, u, w: -w * (u - c),
        lambda c, u, w: torch.lerp(u, c, float(w)) - u,
        lambda c, u, w: w * (c.double() - u.double()),
        lambda c, u, w: w * (c.numpy() - u.numpy()),
        lambda c, u, w: (w * (c - u)).tolist(),
        lambda c, u, w: torch.stack([w * (a - b) for a, b in zip(c, u, strict=True)]),
        lambda c, u, w: torch.zeros_like(c) if w == 0 else (c - u).mul(w),
        push_by_loop,
    ],
    "w_of_scale": [
        lambda scale: -1 + scale,
        lambda scale: torch.tensor(scale) - 1,
        lambda scale: np.float64(scale) - 1.0,
        lambda scale: np.float32(scale - 1),
        lambda scale: float(Fraction(scale) - 1),
        lambda scale: (scale**2 - 1) / (scale + 1),
        lambda scale: sum([scale, -1]),
        lambda scale: np.subtract(scale, 1),
    ],
    "smallest_w": [
        lambda w, a, t: min(reached(w, a, t)),
        lambda w, a, t: sorted(reached(w, a, t))[0],
        lambda w, a, t: np.array(w)[np.array(a) >= t].min(),
        lambda w, a, t: torch.tensor(w)[torch.tensor(a) >= t].min(),
        lambda w, a, t: heapq.nsmallest(1, reached(w, a, t))[0],
        lambda w, a, t: min((x if y >= t else float("inf")) for x, y in zip(w, a, strict=True)),
        lambda w, a, t: -max(-x for x in reached(w, a, t)),
        lambda w, a, t: float(w[min((i for i in range(len(w)) if not a[i] < t), key=lambda i: w[i])]),
        by_hand,
        in_order,
        in_numpy,
    ],
}  # fmt: skip

WRONG = {
    "guidance_push": [
        (lambda c, u, w: (1 + w) * c - w * u, "whole guided noise"),
        (lambda c, u, w: c + w * (c - u), "whole guided noise"),
        (lambda c, u, w: (1 + w) * (c - u), "added to ε(∅)"),
        (lambda c, u, w: w * (u - c), "the sign is flipped"),
        (lambda c, u, w: c - u, "w is missing"),
        (lambda c, u, w: u - c, "w is missing"),
        (lambda c, u, w: w * (c + u), "you add"),
        (lambda c, u, w: w * c, "ε(∅) is missing"),
        (lambda c, u, w: -w * u, "ε(y) is missing"),
        (lambda c, u, w: w * c - u, "both branches"),
        (lambda c, u, w: (w - 1) * (c - u), "guidance scale"),
        (lambda c, u, w: abs(w) * (c - u), "the sign of w"),
        (lambda c, u, w: max(w, 0) * (c - u), "below 0"),
        (lambda c, u, w: (w * (c - u)).clamp(-1, 1), "clip"),
        (lambda c, u, w: w * (c - u) if w else c, "at w = 0"),
        (lambda c, u, w: u + w * (c - u), "you start from ε(∅)"),
        (lambda c, u, w: 0 * c, "nothing"),
        (lambda c, u, w: w**2 * (c - u), None),
        (lambda c, u, w: (w * (c - u)).mean(), None),
        (lambda c, u, w: int(w) * (c - u), "whole number"),
        (push_in_place, "in place"),
        (no_return, "`return`"),
        (printed, "`return`"),
        (push_left_below, "`return None`"),
    ],
    "w_of_scale": [
        (lambda scale: scale + 1, "here the scale is given"),
        (lambda scale: scale, "not the same number"),
        (lambda scale: 1 - scale, "a larger scale"),
        (lambda scale: -scale, "only the sign"),
        (lambda scale: scale / 2, "not by a factor"),
        (lambda scale: 2 * scale - 1, "no factor"),
        (lambda scale: scale - 2, "one too few"),
        (lambda scale: 1 / scale if scale else 0, None),
        (lambda scale: abs(scale - 1), "below 1"),
        (lambda scale: max(scale - 1, 0), "below 1"),
        (lambda scale: int(scale) - 1, "whole"),
        (lambda scale: round(scale - 1), "whole"),
        (lambda scale: scale - 1 if scale > 0 else 0, "scale 0"),
        (lambda scale: (scale - 1) / scale if scale else 0, None),
        (lambda scale: 6.5, None),
        (lambda scale: "scale - 1", None),
        (lambda scale: -1, None),
        (no_return, "`return`"),
        (scale_printed, "`return`"),
        (scale_left_below, "`return None`"),
    ],
    "smallest_w": [
        (lambda w, a, t: w[a.index(max(a))], "the highest agreement"),
        (lambda w, a, t: reached(w, a, t)[0], "the first in the list"),
        (lambda w, a, t: next(x for x, y in zip(w, a, strict=True) if y >= t), "the first in the list"),
        (lambda w, a, t: reached(w, a, t)[-1], "the last in the list"),
        (lambda w, a, t: max(reached(w, a, t)), "the largest w"),
        (lambda w, a, t: min([x for x, y in zip(w, a, strict=True) if y > t] or w), "≥"),
        (lambda w, a, t: min(x for x, y in zip(w, a, strict=True) if y <= t), "≤"),
        (lambda w, a, t: min(y for y in a if y >= t), "that is an agreement"),
        (lambda w, a, t: w.index(min(reached(w, a, t))), "a place in the list"),
        (lambda w, a, t: min(w), "doesn't reach the target"),
        (lambda w, a, t: next(x for x, y in zip(sorted(w), sorted(a), strict=True) if y >= t), "without the other"),
        (lambda w, a, t: next(x for x, y in zip(sorted(w), a, strict=True) if y >= t), "without the other"),
        (lambda w, a, t: w[a.index(min(y for y in a if y >= t))], "just reaches"),
        (lambda w, a, t: w[min(range(len(a)), key=lambda i: abs(a[i] - t))], "nearest"),
        (lambda w, a, t: min(reached(w, a, t), key=abs), "nearest to 0"),
        (while_it_reaches, "all the way"),
        (first_is_zero, "0"),
        (never_smaller_than_first, "starts at the first"),
        (lambda w, a, t: reached(w, a, t), "all"),
        (lambda w, a, t: min((x, y) for x, y in zip(w, a, strict=True) if y >= t), None),
        (lambda w, a, t: min(reached(w, a, 0.5)), None),
        (lambda w, a, t: -0.5, None),
        (lambda w, a, t: np.interp(t, sorted(a), sorted(w)), None),
        (lambda w, a, t: max(0, min(reached(w, a, t))), "0"),
        (sorts_the_callers, "in place"),
        (lambda w, a, t: print(min(reached(w, a, t))), "`return`"),
    ],
}  # fmt: skip
