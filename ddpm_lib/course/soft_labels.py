"""Labels between digits, and the films they make: what notebook 06 calls until an answer of the learner has passed,
and its measurements.

Shapes    L digits · F frames · R label rows · N noises for each row
Images    in [0, 1]
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ddpm_lib.course import plots
from ddpm_lib.data import to_unit
from ddpm_lib.ddpm import DDPM
from ddpm_lib.evaluation import classify, judge_of
from ddpm_lib.files import write_atomically
from ddpm_lib.morph import morph_rows
from ddpm_lib.sampling import sample, sample_steps

Draw = Callable[[Tensor, Tensor], Tensor]


def soft_label(a: int, b: int, share: float) -> Tensor:
    """The label row (10,) with `share` of digit b, and the rest of digit a."""
    rows = torch.eye(10)
    return (1 - share) * rows[a] + share * rows[b]


def birthday_rows(date: str, n: int) -> Tensor:
    """The label rows (L + (L − 1)·n, 10) of a date: its digits, and n mixtures between neighbours."""
    return morph_rows(torch.tensor([int(character) for character in date if character.isdigit()]), n, hold=1)


def film(labels: Sequence[int], frames: int, hold: int, x_T: Tensor, draw: Draw) -> Tensor:
    """The film (F, 1, 28, 28): each digit stays for `hold` frames, and each change takes `frames` mixtures.

    A digit that follows itself is no change. labels: L ≥ 1 digits. x_T: (1, 1, 28, 28), which all frames share.
    """
    still = torch.eye(10)[labels][:, None].expand(-1, hold, -1)  # (L, hold, 10)
    rows = [still[0]]
    for (a, b), then in zip(pairwise(labels), still[1:], strict=True):
        rows += [morph_rows(torch.tensor([a, b]), frames, hold=0)] * (a != b) + [then]
    rows, place = torch.cat(rows).unique_consecutive(dim=0, return_inverse=True)  # equal frames are drawn once
    return draw(rows, x_T)[place]


def loop(film: Callable, labels: Sequence[int], frames: int, hold: int, seeds: Sequence[int], draw: Draw) -> Tensor:
    """Films (F, N, 1, 28, 28) side by side, each from the noise of one of N seeds; without the last digit's hold.

    film: as `film` here. labels: the last one is the first again, so that the films have no end.
    """
    x_T = [torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack([film(labels, frames, hold, noise, draw) for noise in x_T], dim=1)[: -hold or None]


def noise_between(z_a: Tensor, z_b: Tensor, share: float) -> Tensor:
    """Noise of variance 1 between two noises (B, 1, 28, 28): the mixture, divided by its standard deviation."""
    return ((1 - share) * z_a + share * z_b) / ((1 - share) ** 2 + share**2) ** 0.5


def batch_of(rows: object, x_T: object) -> tuple[Tensor, Tensor]:
    """Label rows (R, 10) and noise (1 or R, 1, 28, 28), which may come as any kind of numbers. Raises ValueError."""
    rows, x_T = (torch.as_tensor(np.asarray(value)).float() for value in (rows, x_T))
    if rows.ndim != 2 or rows.shape[1] != 10:
        raise ValueError(f"draw takes label rows of shape (N, 10), got {tuple(rows.shape)}")
    if x_T.shape[1:] != (1, 28, 28) or len(x_T) not in (1, len(rows)):
        raise ValueError(f"draw takes noise of shape (1, 1, 28, 28), got {tuple(x_T.shape)}")
    return rows, x_T


def drawer(ddpm: DDPM, w: float) -> Draw:
    """draw(rows (R, 10), x_T (1 or R, 1, 28, 28)) → (R, 1, 28, 28): `sample` with DDIM, which adds no noise."""

    def draw(rows: object, x_T: object) -> Tensor:
        rows, x_T = batch_of(rows, x_T)
        return sample(ddpm, rows, w=w, x_T=x_T)

    return draw


def show_strips(strips: dict[str, Tensor], shares: Sequence[float], alt: str) -> None:
    """Display film strips (F, 1, 28, 28), one below the other under their names, a share above each frame."""
    frames, columns = torch.stack(list(strips.values())), [f"{share:g}" for share in shares]
    plots.show(plots.digits(frames, row_labels=list(strips), column_labels=columns), alt)


def off_the_line(layer: nn.Module) -> Tensor:
    """How far a layer sends each of the 45 half-half rows from the middle between what it makes of both digits.

    Returns (45,), in units of the distance between these two.
    """
    a, b = (torch.eye(10)[i] for i in torch.triu_indices(10, 10, offset=1))
    with torch.inference_mode():
        of_a, of_b, of_half = layer(a), layer(b), layer((a + b) / 2)
    return (of_half - (of_a + of_b) / 2).norm(dim=1) / (of_a - of_b).norm(dim=1)


def read(ddpm: DDPM, rows: Tensor, w: float, x_T: Tensor) -> tuple[Tensor, Tensor]:
    """Draw each label row from the same noises, and ask the classifier.

    rows: (R, 10). x_T: (N, 1, 28, 28). Returns the digits (R, N, 1, 28, 28) and the probabilities (R, N, 10).
    """
    judge = judge_of(ddpm)
    x = sample(ddpm, rows.repeat_interleave(len(x_T), dim=0), w=w, steps=10, x_T=x_T.repeat(len(rows), 1, 1, 1))
    p = classify(judge.classifier, x)[0].softmax(dim=1)
    return x.view(len(rows), len(x_T), 1, 28, 28), p.view(len(rows), len(x_T), 10)


def grey(x: Tensor) -> float:
    """Of the pixels with ink (above 0.25), the share that is neither dark nor bright (below 0.75)."""
    return (((x > 0.25) & (x < 0.75)).sum() / (x > 0.25).sum()).item()


def write_morph(folder: str | Path, frames: Tensor, rows: Tensor) -> None:
    """The animation of the course's front page, once for light pages and once for dark ones.

    A pixel of a GIF is transparent or not, there is no half. So the soft edge of a stroke must already hold the colour
    of the page. frames: (F, N, 1, 28, 28). rows: (F, 10).
    """
    for theme, (ink, paper) in plots.THEMES.items():
        animation = plots.gif(frames, rows, ink, paper, transparent=True)
        write_atomically(Path(folder).expanduser() / f"morph_{theme}.gif", animation)
        print(f"morph_{theme}.gif: {len(frames)} frames, {'below' if len(animation) < 4e5 else 'above'} 400 kB")


def write_denoising(folder: str | Path, ddpm: DDPM, w: float, steps: int, generator: torch.Generator) -> bytes:
    """Write and return the animation of ancestral sampling: the ten digits come out of noise, a frame for each step."""
    walk = sample_steps(ddpm, torch.arange(10), w, "ancestral", steps, generator=generator)
    frames = torch.stack([to_unit(x_t) for x_t, _ in walk])  # (steps, 10, 1, 28, 28)
    frames = torch.cat([frames, frames[-1:].expand(20, -1, -1, -1, -1)])  # it rests at the end
    animation = plots.gif(frames, smooth=False, scale=2, milliseconds=80)
    write_atomically(Path(folder).expanduser() / "denoise.gif", animation)
    return animation


def table_of_steps(films: dict[str, Tensor]) -> str:
    """For each film (F, 1, 28, 28): how far its frames lie apart, and how grey its ink is in the middle."""
    lines = [f"{'':<14}{'mean step':>10}{'largest':>9}{'way / straight':>16}{'grey in the middle':>20}"]
    for name, frames in films.items():
        step = (frames[1:] - frames[:-1]).flatten(1).norm(dim=1)
        way = step.sum() / (frames[-1] - frames[0]).norm()
        middle = grey(frames[len(frames) // 2])
        lines.append(f"{name:<14}{step.mean():>10.1f}{step.max():>9.1f}{way:>16.1f}{middle:>20.0%}")
    return "\n".join(lines)
