"""Pictures that begin with a picture: what notebook 06 redraws and fills in, and how it looks at that.

Shapes    B pictures
Images    in [0, 1]
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ddpm_lib.data import load_mnist
from ddpm_lib.evaluation import classify, load_classifier

SIZE, WIDTH = 28, 2.4  # of a picture, and of a line in it, in pixels
SHARPER = 10  # a drawing is made ten times as large, and its pixels are means of a hundred: soft edges


def some_of_each(n: int) -> tuple[Tensor, Tensor]:
    """The first n ≤ 50 test digits of each kind, in order: images (10·n, 1, 28, 28) and labels (10·n,)."""
    images, labels = load_mnist(source="embedded")[1].tensors
    rows = torch.cat([(labels == digit).nonzero()[:n, 0] for digit in range(10)])
    return images[rows], labels[rows]


def real_digits(digit: int, n: int) -> Tensor:
    """The first n ≤ 50 test digits of a kind, (n, 1, 28, 28)."""
    return some_of_each(n)[0].split(n)[digit]


def drawing(lines: Sequence[Sequence[tuple[float, float]]], width: float = WIDTH, size: int = SIZE) -> Tensor:
    """A drawing (1, 1, size, size) of lines through points (right, down), in 28ths of a side from the upper left."""
    image = Image.new("L", (SIZE * SHARPER, SIZE * SHARPER))
    pen, radius = ImageDraw.Draw(image), width * SHARPER / 2
    for points in lines:
        points = [(SHARPER * x, SHARPER * y) for x, y in points]
        pen.line(points, fill=255, width=round(2 * radius))
        for x, y in points:  # round ends and round corners
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    pixels = np.asarray(image.resize((size, size), Image.Resampling.BOX), dtype=np.float32) / 255
    return torch.from_numpy(pixels)[None, None]


def right_half() -> Tensor:
    """A mask (1, 1, 28, 28) that is True in the right half."""
    return (torch.arange(SIZE) >= SIZE // 2).expand(1, 1, SIZE, SIZE).clone()


def greyed(images: Tensor, mask: Tensor) -> Tensor:
    """The images with grey where mask is True."""
    return images.masked_fill(mask, 0.35)


def keep_known(x_s: Tensor, x_0: Tensor, mask: Tensor, alpha_bar_s: float, eps: Tensor) -> Tensor:
    """x_s where mask is True; elsewhere the picture x_0, noised to time s. All (B, 1, 28, 28)."""
    return torch.where(mask, x_s, alpha_bar_s**0.5 * x_0 + (1 - alpha_bar_s) ** 0.5 * eps)


def read(images: Tensor) -> Tensor:
    """The probability that the classifier gives to each digit: (B, 10)."""
    return classify(load_classifier(), images)[0].softmax(dim=1)
