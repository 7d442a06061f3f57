"""What the checks of several notebooks need: random pictures, and words that describe an answer."""

import torch
from torch import Tensor

from ddpm_lib.data import to_signed


def images(*shape: int) -> Tensor:
    """Random pictures (*shape, 1, 28, 28) in [−1, 1]."""
    return to_signed(torch.rand(*shape, 1, 28, 28))


def shape_of(value: object) -> str:
    """A tensor's shape, or the type of anything else."""
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
