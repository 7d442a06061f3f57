"""How far a guess of the digit is from the digit, time by time."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ddpm_lib.schedule import NoiseSchedule

Guess = Callable[[Tensor, Tensor, Tensor], Tensor]


@torch.inference_mode()
def guesses_at(
    guess: Guess, schedule: NoiseSchedule, x_0: Tensor, y: Tensor, times: Sequence[int], seed: int = 0
) -> Tensor:
    """(times, B, 1, 28, 28): x̂_0 of the same pictures and noise at each time, clipped to [−1, 1].

    guess: function of (x_t, t, y) → x̂_0. x_0: (B, 1, 28, 28) in [−1, 1]. y: (B,) labels. times: each in 1 … T.
    """
    eps = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(seed))
    rows = [torch.full((len(x_0),), t) for t in times]
    return torch.stack([guess(schedule.add_noise(x_0, t, eps), t, y).clamp(-1, 1) for t in rows])


def errors_of(guesses: Tensor, x_0: Tensor) -> list[float]:
    """The mean squared error of guesses (times, B, 1, 28, 28) at each time."""
    return [F.mse_loss(guess, x_0).item() for guess in guesses]
