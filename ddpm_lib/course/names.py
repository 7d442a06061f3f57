"""What notebook 10 needs to compare the names of one network's answer, and the two ways back from noise.

Sources   score: Vincent 2011, "A connection between score matching and denoising autoencoders"
          reverse SDE and probability-flow ODE: Song et al. 2020, arXiv:2011.13456
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_lib.course import plots
from ddpm_lib.course.toys import TwoClasses
from ddpm_lib.sampling import time_steps

# ------------------------------------------------------- what the notebook uses until the learner's answers have passed


def noise_in(answer: Tensor, p: float | Tensor, q: float | Tensor, x_t: Tensor, alpha_bar: Tensor) -> Tensor:
    """The ε of x_t = √ᾱ·x_0 + √(1−ᾱ)·ε in an answer = p·x_0 + q·ε."""
    signal, sigma = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    return (signal * answer - p * x_t) / (signal * q - sigma * p)


def score(log_density: Callable, x: Tensor, h: float) -> Tensor:
    """The slope of log_density at each x, by central differences."""
    return (log_density(x + h) - log_density(x - h)) / (2 * h)


def log_density(two: TwoClasses, t: int) -> Callable[[Tensor], Tensor]:
    """log p(x_t) of both classes together, but for a constant, as a function of numbers of any kind."""
    return lambda x: two.log_density(torch.as_tensor(x, dtype=torch.float64), t, None)
