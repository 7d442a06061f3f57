"""One look at noisy digits: what the network sees, and what it believes to lie below the noise."""

import torch
from torch import Tensor

from ddpm_lib.course import plots
from ddpm_lib.course.redraw import some_of_each
from ddpm_lib.data import to_unit
from ddpm_lib.ddpm import DDPM
from ddpm_lib.precision import eval_mode

# At this share of T, t = 150 of the recommended schedule's 500, you can barely read the digit.
SHARE = 0.3


def real_digits(which: int = 3) -> Tensor:
    """One handwritten digit of each kind, 0 to 9: (10, 1, 28, 28) in [0, 1], from the embedded test set.

    which: of those of a kind; number 3 is easy to read in all of them.
    """
    return some_of_each(which + 1)[0][which :: which + 1]


def under_noise(ddpm: DDPM, pictures: Tensor, seed: int = 0, share: float = SHARE) -> tuple[Tensor, Tensor]:
    """Put noise over pictures, and let the network guess once, without a label, what lies below.

    pictures: (B, 1, 28, 28), in [−1, 1] if they are like those of the training. share: of T, in (0, 1], how much noise.
    Returns the noisy pictures and the guesses, of the same shape.
    """
    t = torch.full((len(pictures),), max(1, round(share * ddpm.schedule.T)))
    eps = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(seed))
    noisy = ddpm.schedule.add_noise(pictures, t, eps)
    no_label = torch.zeros(len(pictures), ddpm.num_classes)
    with torch.inference_mode(), eval_mode(ddpm):
        eps_hat = ddpm.predict_noise(noisy, t, no_label)
    return noisy, ddpm.schedule.predict_x_0(noisy, t, eps_hat)


def show(real: Tensor, noisy: Tensor, guessed: Tensor, alt: str) -> None:
    """Display three rows: digits in [0, 1], the same under noise, and the guesses, both in the network's [−1, 1]."""
    rows = torch.stack([real, to_unit(noisy), to_unit(guessed)])
    plots.show(plots.digits(rows, row_labels=["real", "under noise", "guess"]), alt)
