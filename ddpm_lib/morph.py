"""Morphing: one digit turns into the next, because the label row moves and the noise stays.

Shapes    L labels · F frames · K number of classes · (F, 1, 28, 28) is of MNIST; others are (F, *image_shape)
Images    in [0, 1]
"""

from itertools import pairwise

import torch
from torch import Tensor

from ddpm_lib import guards
from ddpm_lib.ddpm import DDPM, draw, label_rows
from ddpm_lib.sampling import sample


def morph(
    ddpm: DDPM,
    labels: Tensor,
    frames_per_change: int = 12,
    hold: int = 4,
    w: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw frames in which a digit turns into the next: DDIM from ONE shared noise x_T; only the label row moves.

    ddpm: as in `sample_steps`. labels, frames_per_change, hold: as in `morph_rows`, which makes the F rows.
    w: finite number, the guidance weight. generator: source of x_T; None is torch's global generator.
    Returns (F, 1, 28, 28) in [0, 1], F = L·hold + (L − 1)·frames_per_change. Frames at a label are what `sample`
    draws for that label alone from the same generator. Raises ValueError before any work.
    """
    guards.denoiser("ddpm", ddpm)
    rows = morph_rows(labels, frames_per_change, hold, getattr(ddpm, "num_classes", 10))
    w = float(guards.guidance_weight("w", w, 1))
    x_T = draw(torch.randn, (1, *getattr(ddpm, "image_shape", guards.MNIST)), generator)
    # Frames with the same row are drawn once: that is faster, and they are equal to the last bit.
    rows, place = rows.unique_consecutive(dim=0, return_inverse=True)
    return sample(ddpm, rows, w=w, sampler="ddim", steps=min(20, ddpm.schedule.T), x_T=x_T)[place]


def morph_rows(labels: Tensor, frames_per_change: int = 12, hold: int = 4, num_classes: int = 10) -> Tensor:
    """The label row of each frame of a morph: (F, K), F = L·hold + (L − 1)·frames_per_change.

    Each label stays for `hold` frames; between neighbours a and b, frame k = 1 … n = frames_per_change mixes them:
    y = (1 − k/(n+1))·a + k/(n+1)·b.

    labels: (L,) integers, or (L, K) rows with sum 1; L ≥ 2. frames_per_change ≥ 1 and hold ≥ 0: int. Raises ValueError.
    """
    ends = guards.ends_of_changes("labels", label_rows(labels, num_classes, name="labels"))
    guards.frames(frames_per_change, hold)
    share = torch.arange(1, frames_per_change + 1).to(ends)[:, None] / (frames_per_change + 1)
    rows = [ends[0].expand(hold, -1)]
    for a, b in pairwise(ends):
        rows += [(1 - share) * a + share * b, b.expand(hold, -1)]
    return torch.cat(rows)
