"""What the checks of several notebooks need: random pictures, and cases over the guidance weight."""

import torch

from ddpm_lib.data import to_signed


def images(*shape: int) -> torch.Tensor:
    """Random pictures (*shape, 1, 28, 28) in [−1, 1]."""
    return to_signed(torch.rand(*shape, 1, 28, 28))


def cases_over_w() -> list[tuple]:
    """Cases of ε(y), ε(∅) and w: random numbers, the edges, whole numbers and fractions, and a batch of 1."""
    weights = {"on random inputs": float(torch.rand(()) * 3 + 1.3), "at w = 0.5": 0.5, "at w = 1": 1.0, "at w = 8": 8,
               "at w = 0": 0, "at w = −1": -1, "at w = −0.5": -0.5, "at w = −0.75": -0.75}  # fmt: skip
    cases = [(name, *torch.randn(2, 4, 1, 28, 28), w) for name, w in weights.items()]
    return [
        *cases,
        ("for a batch of 1", *torch.randn(2, 1, 1, 28, 28), 2.0),
        ("at w = 0", *torch.randn(2, 2, 1, 28, 28), 0.0),
    ]
