"""Pieces of a training for notebook 03: what its exercises ask for, for learners who go on without an answer;
a test on one batch, a loss on many; and a v-network that draws.

Source    v: Salimans & Ho 2022, arXiv:2202.00512
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ddpm_lib.data import to_signed
from ddpm_lib.ddpm import DDPM, label_rows
from ddpm_lib.interrupts import undisturbed
from ddpm_lib.precision import eval_mode

with undisturbed():  # for notebook 03, which makes an optimizer of its own: torch imports this with the first one
    import torch._dynamo


def drop_labels(y: Tensor, p_uncond: float) -> Tensor:
    """y (B, K), with each row on its own set to zero with probability p_uncond. Returns a new tensor."""
    return y * (torch.rand(len(y), 1) >= p_uncond)


def draw_times(batch: int, T: int) -> Tensor:
    """(batch,) long, each of 1 … T equally likely."""
    return torch.randint(1, T + 1, (batch,))


def x_0_from_v(x_t: Tensor, alpha_bar_t: Tensor, v: Tensor) -> Tensor:
    """x_0 = √ᾱ_t·x_t − √(1−ᾱ_t)·v. x_t, v: (B, 1, 28, 28). alpha_bar_t: (B, 1, 1, 1)."""
    return alpha_bar_t.sqrt() * x_t - (1 - alpha_bar_t).sqrt() * v


def eps_from_v(x_t: Tensor, alpha_bar_t: Tensor, v: Tensor) -> Tensor:
    """ε = √(1−ᾱ_t)·x_t + √ᾱ_t·v. x_t, v: (B, 1, 28, 28). alpha_bar_t: (B, 1, 1, 1)."""
    return (1 - alpha_bar_t).sqrt() * x_t + alpha_bar_t.sqrt() * v


class NoiseFromV:
    """A trained v-network as something that `sample` can draw with: its noise comes from a formula of yours.

    ddpm: predicts v. formula: as `eps_from_v`. Without guidance: w must be 0.
    """

    def __init__(self, ddpm: DDPM, formula: Callable[[Tensor, Tensor, Tensor], Tensor]):
        self.ddpm, self.schedule, self.formula = ddpm.eval(), ddpm.schedule, formula

    def predict_noise(self, x_t: Tensor, t: Tensor, y: Tensor, w: float = 0.0) -> Tensor:
        """ε̂ (B, 1, 28, 28) for pictures x_t at times t (B,) with labels y. Raises ValueError for another w than 0."""
        if w != 0:
            raise ValueError(f"w must be 0, got {w!r:.60}")
        return self.formula(x_t, self.schedule.alpha_bar[t].view(-1, 1, 1, 1), self.predict_v(x_t, t, y))

    @torch.inference_mode()
    def predict_v(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """v̂ (B, 1, 28, 28): what the network answers."""
        return self.ddpm.unet(x_t, t / self.schedule.T, label_rows(y, self.ddpm.num_classes)).float()


def learn_by_heart(
    network: nn.Module, x_t: Tensor, t_over_T: Tensor, y: Tensor, eps: Tensor, steps: int
) -> list[float]:
    """The mean squared error at each optimizer step, where all steps see the same pictures, labels (B,) and noise."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)
    errors = []
    for _ in range(steps):
        error = F.mse_loss(network(x_t, t_over_T, label_rows(y, 10)), eps)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    return errors


@torch.no_grad()
def losses_on(loss: Callable, ddpm: DDPM, train_set: TensorDataset, p_uncond: float, batches: int = 100) -> Tensor:
    """(batches,) what loss(ddpm, x_0, y, p_uncond) says of the first batches of 32 digits, in eval mode."""
    images, labels = train_set.tensors
    starts = range(0, min(len(images), 32 * batches), 32)
    with eval_mode(ddpm):
        return torch.stack([loss(ddpm, to_signed(images[i : i + 32]), labels[i : i + 32], p_uncond) for i in starts])
