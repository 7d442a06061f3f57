"""Pictures that begin with a picture: what notebook 06 redraws and fills in, and how it looks at that.

Shapes    B pictures
Images    in [0, 1]
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ddpm_lib.data import load_mnist, to_signed
from ddpm_lib.ddpm import DDPM
from ddpm_lib.evaluation import classify, load_classifier
from ddpm_lib.sampling import ancestral_step, sample

SIZE, SHARPER = 28, 10  # a drawing is made ten times as large, and its pixels are means of a hundred: soft edges


def real_digits(digit: int, n: int) -> Tensor:
    """The first n digits of a kind among those held out from training, (n, 1, 28, 28)."""
    images, labels = load_mnist(source="embedded")[1].tensors
    return images[labels == digit][:n]


def drawing(lines: Sequence[Sequence[tuple[float, float]]], width: float = 2.4) -> Tensor:
    """A drawing (1, 1, 28, 28) of lines through points (right, down), in pixels from the upper left corner."""
    image = Image.new("L", (SIZE * SHARPER, SIZE * SHARPER))
    pen, radius = ImageDraw.Draw(image), width * SHARPER / 2
    for points in lines:
        points = [(SHARPER * x, SHARPER * y) for x, y in points]
        pen.line(points, fill=255, width=round(2 * radius))
        for x, y in points:  # round ends and round corners
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    pixels = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BOX), dtype=np.float32) / 255
    return torch.from_numpy(pixels)[None, None]


def right_half() -> Tensor:
    """A mask (1, 1, 28, 28) that is True in the right half."""
    return (torch.arange(SIZE) >= SIZE // 2).expand(1, 1, SIZE, SIZE).clone()


def keep_known(x_s: Tensor, x_0: Tensor, hidden: Tensor, alpha_bar_s: float, eps: Tensor) -> Tensor:
    """x_s where the picture is hidden; elsewhere the picture x_0, noised to time s. All (B, 1, 28, 28)."""
    return torch.where(hidden, x_s, alpha_bar_s**0.5 * x_0 + (1 - alpha_bar_s) ** 0.5 * eps)


def filler(ddpm: DDPM, keep: Callable, w: float, seed: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """fill(images, hidden, labels) → (B, 1, 28, 28): ancestral sampling, each step of which goes through `keep`."""

    def fill(images: Tensor, hidden: Tensor, labels: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        shape = len(labels), 1, SIZE, SIZE
        x_0, hidden = to_signed(images).expand(shape), hidden.expand(shape)

        def step(schedule, x_t, x_0_hat, t, s, z):
            x_s = ancestral_step(schedule, x_t, x_0_hat, t, s, z)
            eps = torch.randn(shape, generator=generator)
            return keep(x_s.clone(), x_0, hidden, float(schedule.alpha_bar[s[0]]), eps)

        return sample(ddpm, labels, w, step, generator=generator)

    return fill


def read(images: Tensor) -> Tensor:
    """The probability that the classifier gives to each digit: (B, 10)."""
    return classify(load_classifier(), images)[0].softmax(dim=1)
