"""Answers to the exercises of notebook 05, written from their text; see n04.py."""

import heapq
import itertools
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


def change(x, none, full):
    return 1 - float((x - full).abs().mean() / (none - full).abs().mean())


def all_intervals(windows):
    for i in range(len(windows)):
        for j in range(i, len(windows)):
            yield windows[i][0], windows[j][1]


def written_out(draw, w, windows, share):
    x_none, x_full = draw(0), draw(w)
    whole = torch.mean(torch.abs(x_none - x_full))
    best = None
    for i, (t_min, _) in enumerate(windows):
        for _, t_max in windows[i:]:
            x = draw(w, interval=(t_min, t_max))
            made = 1 - torch.mean(torch.abs(x - x_full)) / whole
            if made < share:
                continue
            length = t_max - t_min + 1
            if best is None or length < best[0] or (length == best[0] and made > best[1]):
                best = (length, made, t_min, t_max)
    return best[2], best[3]


def in_float64_numpy(draw, w, windows, share):
    none, full = (np.asarray(draw(number), dtype=np.float64) for number in (0.0, w))
    found = {}
    for i, j in itertools.combinations_with_replacement(range(len(windows)), 2):
        ends = windows[i][0], windows[j][1]
        x = np.asarray(draw(w, ends), dtype=np.float64)
        found[ends] = 1 - np.abs(x - full).mean() / np.abs(none - full).mean()
    good = [ends for ends in found if found[ends] >= share]
    return np.array(min(good, key=lambda ends: (ends[1] - ends[0], -found[ends])))


def by_length(draw, w, windows, share):
    """Shortest first, so it may stop early."""
    none, full = draw(0.0), draw(w, (windows[0][0], windows[-1][1]))
    lengths = sorted({b - a for a, b in all_intervals(windows)})
    for length in lengths:
        made = {
            ends: change(draw(w, ends), none, full) for ends in all_intervals(windows) if ends[1] - ends[0] == length
        }
        ends = max(made, key=made.get)
        if made[ends] >= share:
            return list(ends)
    return None


def skips_what_is_longer(draw, w, windows, share):
    none, full, shortest, most, answer = draw(0.0), draw(w), float("inf"), 0.0, None
    for t_min, t_max in all_intervals(windows):
        if t_max - t_min > shortest:
            continue
        made = change(draw(w, (t_min, t_max)), none, full)
        if made >= share and (t_max - t_min < shortest or made > most):
            shortest, most, answer = t_max - t_min, made, (t_min, t_max)
    return torch.tensor(answer)


def by_sums(draw, w, windows, share):
    none, full = draw(0.0), draw(w)
    far = (none - full).abs().sum().double()

    def key(ends):
        return ends[1] - ends[0], (draw(w, ends) - full).abs().sum()

    good = [ends for ends in all_intervals(windows) if (draw(w, ends) - full).abs().sum() <= (1 - share) * far]
    return min(good, key=key)


def as_floats(draw, w, windows, share):
    t_min, t_max = written_out(draw, w, windows, share)
    return float(t_min), float(t_max)


def chosen(draw, w, windows, share, measure=change, intervals=all_intervals, key=None, none_w=0.0):
    """An answer of the usual form with one part replaced."""
    none, full = draw(none_w), draw(w)
    made = {ends: measure(draw(w, ends), none, full) for ends in intervals(windows)}
    good = [ends for ends in made if made[ends] >= share]
    return min(good, key=key or (lambda ends: (ends[1] - ends[0], -made[ends])))


def from_none(x, none, full):
    return float((x - none).abs().mean() / (full - none).abs().mean())


def squared(x, none, full):
    return 1 - float(((x - full) ** 2).mean() / ((none - full) ** 2).mean())


def rooted(x, none, full):
    return 1 - float((x - full).norm() / (none - full).norm())


def fewest_windows(draw, w, windows, share):
    none, full, found = draw(0.0), draw(w), []
    for i in range(len(windows)):
        for j in range(i, len(windows)):
            made = change(draw(w, (windows[i][0], windows[j][1])), none, full)
            if made >= share:
                found.append((j - i, -made, (windows[i][0], windows[j][1])))
    return min(found)[2]


def adds_shares(draw, w, windows, share):
    none, full, found = draw(0.0), draw(w), []
    alone = [change(draw(w, window), none, full) for window in windows]
    for i in range(len(windows)):
        for j in range(i, len(windows)):
            if sum(alone[i : j + 1]) >= share:
                found.append((windows[j][1] - windows[i][0], -sum(alone[i : j + 1]), (windows[i][0], windows[j][1])))
    return min(found)[2] if found else (windows[0][0], windows[-1][1])


def cuts_from_above(draw, w, windows, share):
    none, full, i, j = draw(0.0), draw(w), 0, len(windows) - 1
    while j > i and change(draw(w, (windows[i][0], windows[j - 1][1])), none, full) >= share:
        j -= 1
    while j > i and change(draw(w, (windows[i + 1][0], windows[j][1])), none, full) >= share:
        i += 1
    return windows[i][0], windows[j][1]


def returns_places(draw, w, windows, share):
    t_min, t_max = written_out(draw, w, windows, share)
    return [a for a, _ in windows].index(t_min), [b for _, b in windows].index(t_max)


def returns_at_first(draw, w, windows, share):
    none, full = draw(0.0), draw(w)
    for ends in all_intervals(windows):
        if change(draw(w, ends), none, full) >= share:
            return ends


def interval_printed(draw, w, windows, share):
    print(written_out(draw, w, windows, share))


def starts_at_0(draw, w, windows, share):
    return chosen(draw, w, [(a - 1, b) for a, b in windows], share)


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
    "acting_interval": [
        written_out,
        in_float64_numpy,
        by_length,
        skips_what_is_longer,
        by_sums,
        as_floats,
        lambda draw, w, windows, share: chosen(draw, w, windows, share),
        lambda draw, w, windows, share: chosen(draw, float(w), tuple(windows), share),
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
    "acting_interval": [
        (lambda d, w, v, s: chosen(d, w, v, s, measure=from_none), "x_none"),
        (lambda d, w, v, s: chosen(d, w, v, s, measure=squared), "squares"),
        (lambda d, w, v, s: chosen(d, w, v, s, measure=rooted), "squares"),
        (lambda d, w, v, s: chosen(d, w, v, s, measure=lambda *x: 1 - change(*x)), "1 −"),
        (lambda d, w, v, s: chosen(d, w, v, s, none_w=-1.0), "w = 0"),
        (lambda d, w, v, s: chosen(d, 1.0, v, s), "w = 1"),
        (lambda d, w, v, s: v[-1], None),
        (lambda d, w, v, s: chosen(d, w, v, s, intervals=lambda v: [(v[0][0], b) for _, b in v]), "all starts"),
        (lambda d, w, v, s: chosen(d, w, v, s, intervals=lambda v: [(a, v[-1][1]) for a, _ in v]), "all ends"),
        (lambda d, w, v, s: chosen(d, w, v, s, key=lambda ends: ends[1] - ends[0]), "equally short"),
        (lambda d, w, v, s: chosen(d, w, v, s, key=lambda ends: ends[0] - ends[1]), "all times"),
        (fewest_windows, "windows"),
        (adds_shares, "add"),
        (cuts_from_above, "cut"),
        (returns_places, "places"),
        (returns_at_first, "stop at the first"),
        (lambda d, w, v, s: written_out(d, w, v, s)[::-1], "t_min first"),
        (lambda d, w, v, s: (v[0][0], v[-1][1]), "all times"),
        (lambda d, w, v, s: (301, 500), None),
        (lambda d, w, v, s: change(d(w, written_out(d, w, v, s)), d(0.0), d(w)), "one number"),
        (lambda d, w, v, s: written_out(d, w, v, s)[1] - written_out(d, w, v, s)[0], "the length"),
        (lambda d, w, v, s: written_out(d, w, v, s)[0], None),
        (starts_at_0, None),
        (interval_printed, "`return`"),
        (lambda d, w, v, s: "301 to 500", None),
    ],
}  # fmt: skip
