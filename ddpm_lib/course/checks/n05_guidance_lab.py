"""Checks of notebook 05, The guidance lab."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from ddpm_lib.course.checks.shared import cases_over_w
from ddpm_lib.course.exercise import Verdict, check, judge
from ddpm_lib.course.guidance_effect import shortest_interval, time_windows


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


@check
def acting_interval(attempt: Callable) -> Verdict:
    """attempt(draw, w, windows, share) → (t_min, t_max): the shortest interval that makes this share of the change.

    draw(w, interval) → (B, 1, 28, 28): digits, guided only in the interval; without one, at all times.
    windows: (first, last) of each, rising. share: number in (0, 1). See `shortest_interval`.
    """

    def among(draw, w, windows, share, measure=_change, pairs=_all_pairs, key=_shortest, none_w=0.0, answer=None):
        none, full, found = draw(none_w), draw(w), []
        for i, j in pairs(len(windows)):
            ends = windows[i][0], windows[j][1]
            made = measure(draw(w, ends), none, full)
            if made >= share:
                found.append((key(i, j, ends, made), ends, (i, j), made))
        best = min(found, key=lambda entry: entry[0])
        return answer(best) if answer else best[1]

    def but(**parts: Callable) -> Callable:
        return lambda *inputs: among(*inputs, **parts)

    def added(draw: Callable, w: float, windows: list, share: float) -> tuple:
        none, full = draw(0.0), draw(w)
        alone = [_change(draw(w, window), none, full) for window in windows]
        sums = {(windows[i][0], windows[j][1]): sum(alone[i : j + 1]) for i, j in _all_pairs(len(windows))}
        good = [ends for ends in sums if sums[ends] >= share] or [(windows[0][0], windows[-1][1])]
        return min(good, key=lambda ends: (ends[1] - ends[0], -sums[ends]))

    def cut(first: str) -> Callable:
        def answer(draw: Callable, w: float, windows: list, share: float) -> tuple:
            none, full, ends = draw(0.0), draw(w), [0, len(windows) - 1]
            for side in ("above", "below") if first == "above" else ("below", "above"):
                while ends[0] < ends[1]:
                    fewer = [ends[0], ends[1] - 1] if side == "above" else [ends[0] + 1, ends[1]]
                    if _change(draw(w, (windows[fewer[0]][0], windows[fewer[1]][1])), none, full) < share:
                        break
                    ends = fewer
            return windows[ends[0]][0], windows[ends[1]][1]

        return answer

    towards = "you measure how far x is from x_none; the share asks how near it comes to x_full"
    squares = "you take squares: the mean absolute difference is asked for, without squares and roots"
    ties = "of equally short intervals, the one with the largest share is asked for"
    greedy = "you cut windows off one end, then off the other: a shorter interval may lie elsewhere, so try them all"
    mistakes = [
        (but(measure=_from_none), towards),
        (but(measure=lambda x, none, full: _change(x, none, full, 2)), squares),
        (but(measure=lambda x, none, full: 1 - (1 - _change(x, none, full, 2)) ** 0.5), squares),
        (
            but(measure=lambda *three: 1 - _change(*three)),
            "your share is |x − x_full| / |x_none − x_full|, what is still missing: 1 − is forgotten",
        ),
        (but(none_w=-1.0), "w = −1 ignores the label; without guidance means w = 0, where the label counts as it is"),
        (
            lambda draw, w, windows, share: among(draw, 1.0, windows, share),
            "you draw with w = 1, whatever w is: hand w on to draw",
        ),
        (
            but(pairs=lambda n: [(0, j) for j in range(n)]),
            "your interval always begins with the first window: try all starts, and don't stop at the first that fits",
        ),
        (
            but(pairs=lambda n: [(i, n - 1) for i in range(n)]),
            "your interval always stops at the end of the last window: try all ends, too",
        ),
        (
            but(pairs=lambda n: [(i, j) for i, j in _all_pairs(n) if i < j or n == 1]),
            "you leave out intervals of one window: an interval may end with the window in which it starts",
        ),
        (but(key=lambda i, j, ends, made: ends[1] - ends[0]), f"you take the first of equally short ones; {ties}"),
        (
            but(key=lambda i, j, ends, made: (ends[1] - ends[0], -ends[0])),
            f"you take the last of equally short ones; {ties}",
        ),
        (but(key=lambda i, j, ends, made: (ends[1] - ends[0], made)), f"you take the smallest share; {ties}"),
        (
            but(key=lambda i, j, ends, made: -made),
            "all times make the whole change: the shortest interval is asked for",
        ),
        (
            but(key=lambda i, j, ends, made: made),
            "that is the one that just reaches the share: the shortest is asked for",
        ),
        (
            but(key=lambda i, j, ends, made: (j - i, -made)),
            "you count windows: they need not be equally long, so compare t_max − t_min",
        ),
        (added, "you add the shares of single windows, and they don't add up: draw with the whole interval"),
        (cut("above"), greedy),
        (cut("below"), greedy),
        (but(answer=lambda best: best[2]), "these are places in the list of windows: return the times there"),
        (but(answer=lambda best: best[1][::-1]), "t_min first, then t_max"),
        (but(answer=lambda best: best[3]), "that is one number, the share; the two ends of the interval are asked for"),
        (
            but(answer=lambda best: best[1][1] - best[1][0]),
            "that is one number, the length; the two ends of the interval are asked for",
        ),
    ]
    return judge(attempt, shortest_interval, mistakes, _experiments())


def _all_pairs(n: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(n) for j in range(i, n)]


def _shortest(i: int, j: int, ends: tuple, made: float) -> tuple:
    return ends[1] - ends[0], -made


def _change(x: Tensor, none: Tensor, full: Tensor, power: int = 1) -> float:
    return 1 - float(((x - full).abs() ** power).mean() / ((none - full).abs() ** power).mean())


def _from_none(x: Tensor, none: Tensor, full: Tensor) -> float:
    return float((x - none).abs().mean() / (full - none).abs().mean())


class _MadeUpDraw:
    """Draws like the network, only that the share of each interval's change is known.

    shares: of windows i … j, rising with the interval. detours: how far x leaves the straight way from x_none to
    x_full, in units of that way; the mean absolute difference to x_full counts it, too.
    """

    def __init__(self, w: float, windows: list, shares: dict, detours: dict):
        self.w, self.windows, self.shares, self.detours = w, windows, shares, detours
        self.none = 0.3 + 0.2 * torch.rand(2, 1, 28, 28)
        change = torch.nn.functional.pad(0.1 + 0.4 * torch.rand(2, 1, 28, 14), (0, 14))
        self.change, self.aside = change, change.flip(-1)  # in the left half, and as much in the right one

    def __call__(self, w: float, interval: tuple[int, int] | None = None) -> Tensor:
        t_min, t_max = (self.windows[0][0], self.windows[-1][1]) if interval is None else map(int, interval)
        if not self.windows[0][0] <= t_min <= t_max <= self.windows[-1][1]:
            raise ValueError(f"interval must be 1 ≤ t_min ≤ t_max ≤ {self.windows[-1][1]}, got ({t_min}, {t_max})")
        inside = [k for k, (first, last) in enumerate(self.windows) if t_min <= first and last <= t_max]
        if w <= 0 or not inside:
            return self.none + 0.8 * min(float(w), 0) * self.change
        pair, strength = (inside[0], inside[-1]), float(w) / self.w
        detour = self.detours.get(pair, 0)
        way = (self.shares[pair] + detour) ** strength  # another w is not only more or less of the same
        return self.none + strength * (way * self.change + detour * self.aside)


def _experiments() -> list[tuple]:
    """Cases of draw, w, windows and share, each such that some mistakes give another interval."""

    def of(effects: list[float], power: float = 1.0) -> dict:
        """Shares of windows i … j, from the effect of each window."""
        return {(i, j): (sum(effects[i : j + 1]) / sum(effects)) ** power for i, j in _all_pairs(len(effects))}

    ends = [0, *sorted((torch.randperm(9)[:4] * 50 + 50).tolist()), 500]
    uneven = [(a + 1, b) for a, b in pairwise(ends)]
    random = of((torch.rand(5) + 0.1).tolist(), 1.5)
    ranked = sorted(random.values())
    _, target = max((b - a, (a + b) / 2) for a, b in pairwise(ranked) if b < 0.9)
    astray = {pair: 0.3 * float(torch.rand(())) * (1 - share) for pair, share in random.items()}
    five, steady = time_windows(500, 5), of([0.18, 0.2, 0.22, 0.19, 0.21])
    network = dict(zip(_all_pairs(5), NETWORK, strict=True))
    worlds = [
        ("on random inputs", 3.0, uneven, random, astray, target),
        ("on the network's own shares", 4.0, five, network, {}, 0.5),
        ("for windows of unequal length", 2.0, [(1, 10), (11, 20), (21, 30), (31, 100)],
         of([0.17, 0.17, 0.17, 0.49]), {}, 0.45),
        ("where one window is enough", 4.0, five, of([0.1, 0.1, 0.5, 0.2, 0.1]), {}, 0.45),
        ("where several are equally short", 4.0, five, of([0.24, 0.36, 0.14, 0.06, 0.2]), {}, 0.1),
        ("where the last window makes most", 8.0, five, of([0.25, 0.2, 0.05, 0.1, 0.4]), {}, 0.38),
        ("where the first window makes most", 8.0, five, of([0.4, 0.1, 0.05, 0.2, 0.25]), {}, 0.38),
        ("where digits leave the straight way", 4.0, five, steady, {(1, 1): 0.4}, 0.35),
        ("where digits leave it a little", 4.0, five, steady, {(1, 1): 0.1}, 0.37),
        ("where shares don't add up", 4.0, five, of([0.18, 0.2, 0.22, 0.19, 0.21], 1.6), {}, 0.2),
        ("where only all times are enough", 4.0, five, of([0.05, 0.3, 0.3, 0.25, 0.1], 2.0), {}, 0.95),
    ]  # fmt: skip
    return [(name, _MadeUpDraw(w, windows, *made), w, windows, share) for name, w, windows, *made, share in worlds]


# What notebook 05 measures for windows i … j of five, with 20 steps at w = 4.
NETWORK = (0.00, 0.06, 0.22, 0.46, 1.00, 0.05, 0.20, 0.43, 0.89, 0.18, 0.37, 0.74, 0.27, 0.55, 0.28)
