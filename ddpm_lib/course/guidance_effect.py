"""What guidance changes in drawn digits, and at which times: notebook 05's measurements, and its exercises' functions.

Images    (B, 1, 28, 28) in [0, 1]
Draw      a function draw(w, interval) → images, from the same noise in each call; without interval w acts at all times
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ddpm_lib.evaluation import classify, load_classifier

Interval = tuple[int, int]


class Measured(NamedTuple):
    """agreement: share of digits read as asked. distance, overlap: means over pairs of digits. ink: mean pixel."""

    agreement: float
    distance: float
    overlap: float
    ink: float


def measure(x: Tensor, labels: Tensor) -> Measured:
    """Obedience, variety and ink of B ≥ 2 digits. labels: (B,), what was asked for.

    distance: Euclidean, of all pixels of two pictures. overlap: their cosine similarity, Σ ab / (‖a‖·‖b‖): 1 if
    they are the same up to brightness, 0 if they have no ink in common.
    """
    rows = x.flatten(1)
    unit = F.normalize(rows, dim=1)
    first, second = torch.triu_indices(len(x), len(x), offset=1)
    read = classify(load_classifier(), x)[0].argmax(1)
    return Measured(
        (read == labels).float().mean().item(),
        torch.pdist(rows).mean().item(),
        (unit[first] * unit[second]).sum(1).mean().item(),
        x.mean().item(),
    )


def difference(a: Tensor, b: Tensor) -> float:
    """The mean absolute difference of two batches of pictures, pixel by pixel."""
    return (a - b).abs().mean().item()


def guidance_push(eps_y: Tensor, eps_null: Tensor, w: float) -> Tensor:
    """What guidance adds to ε(y)."""
    return w * (eps_y - eps_null)


def w_of_scale(guidance_scale: float) -> float:
    """The w of a guidance scale, as other texts count it."""
    return guidance_scale - 1


def smallest_w(weights: Sequence[float], agreement: Sequence[float], target: float) -> float:
    """The smallest w whose agreement is at least target."""
    return min(w for w, share in zip(weights, agreement, strict=True) if share >= target)


def time_windows(T: int, n: int) -> list[Interval]:
    """The times 1 … T, cut into n windows (first, last)."""
    ends = [k * T // n for k in range(n + 1)]
    return [(first + 1, last) for first, last in pairwise(ends)]


def shortest_interval(draw: Callable, w: float, windows: Sequence[Interval], share: float) -> Interval:
    """The shortest interval (t_min, t_max) in which guidance makes at least this share of its change.

    The share of x is 1 − |x − x_full| / |x_none − x_full|, with mean absolute differences. An interval runs from the
    start of a window to the end of the same or a later one. Of equally short ones, the one that makes most.
    """
    none, full = draw(0.0), draw(w)
    enough = []
    for i, (t_min, _) in enumerate(windows):
        for _, t_max in windows[i:]:
            made = 1 - difference(draw(w, (t_min, t_max)), full) / difference(none, full)
            if made >= share:
                enough.append((t_max - t_min, -made, (t_min, t_max)))
    return min(enough)[2]


def around(draw: Callable, w: float, interval: Interval, T: int) -> dict[str, Tensor]:
    """Digits by name: without guidance, guided only in the interval, only below it, only above it, and at all times."""
    t_min, t_max = interval
    parts = {f"only {first} … {last}": (first, last)
             for first, last in (interval, (1, t_min - 1), (t_max + 1, T)) if first <= last}  # fmt: skip
    guided = {name: draw(w, part) for name, part in parts.items()}
    return {"w = 0": draw(0.0)} | guided | {f"w = {w:g}": draw(w)}
