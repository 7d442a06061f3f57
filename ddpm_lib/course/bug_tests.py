"""Tests that catch the bugs of notebook 09: the code that they look at, in a small form, and one test for each.

A test is a function of code that returns True where the code is right, and False where it has a bug. The learner writes
such tests; those here stand in until theirs have passed.
"""

from collections.abc import Callable
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_lib.ddpm import DDPM
from ddpm_lib.sampling import sample_steps, time_steps
from ddpm_lib.schedule import NoiseSchedule
from ddpm_lib.unet import UNetConfig


def say(test: Callable, codes: dict[str, Callable], *more: object) -> None:
    """Print what a test says of each code, one in a line. more: further inputs of the test."""
    for name, code in codes.items():
        print(f"{name:<34} {'right' if test(code, *more) else 'a bug!'}")


# ---------------------------------------------------------------------------- samplers


class KnowsTheAnswer:
    """Stands where a DDPM stands: whatever x_t is, its guess of the noise leads to this x_0."""

    def __init__(self, schedule: NoiseSchedule, x_0: Tensor):
        self.schedule, self.x_0 = schedule, x_0

    def predict_noise(self, x_t: Tensor, t: Tensor, y: Tensor, w: float = 0.0) -> Tensor:
        return self.schedule.predict_eps(x_t, t, self.x_0)


def film_of(schedule: NoiseSchedule, sampler: str | Callable = "ancestral", sample_steps: Callable = sample_steps):
    """film(x_0 (B, 1, 28, 28) in [−1, 1], steps) → list of (s, x_s): a sampler whose model knows x_0, step by step."""

    def film(x_0: Tensor, steps: int) -> list[tuple[int, Tensor]]:
        labels = torch.zeros(len(x_0)).long()  # the model doesn't listen
        walk = sample_steps(KnowsTheAnswer(schedule, x_0), labels, sampler=sampler, steps=steps)
        return [(s, x_s) for s, (x_s, _) in zip(time_steps(schedule.T, steps)[1:], walk, strict=True)]

    return film


def sampler_from(step: Callable) -> Callable:
    """A sampler for `sample`, from step(mean, std, s) with a number std and a whole number s."""

    def sampler(schedule: NoiseSchedule, x_t: Tensor, x_0_hat: Tensor, t: Tensor, s: Tensor, z: Tensor) -> Tensor:
        mean, std = schedule.posterior(x_0_hat, x_t, t, s)
        return step(mean, std[0].item(), int(s[0]))

    return sampler


def sampler_test(film: Callable, alpha_bar: Tensor) -> bool:
    """Whether each x_s has the mean and the standard deviation of the forward process."""
    x_0 = torch.full((100, 1, 28, 28), 0.5)
    for s, x_s in film(x_0, 10):
        noise, size = x_s - alpha_bar[s].sqrt() * x_0, (1 - alpha_bar[s]).sqrt()
        if abs(noise.mean()) > 0.05 or abs(noise.std() - size) > 0.05:
            return False
    return True


# ---------------------------------------------------------------------------- times


def times_of(model_class: type[DDPM]) -> Callable:
    """draw_times(T, batch) → (batch,): the times that this DDPM trains on."""

    def draw_times(T: int, batch: int) -> Tensor:
        model = SimpleNamespace(schedule=SimpleNamespace(T=T))
        return model_class._stratified_t(model, batch, None)

    return draw_times


def times_test(draw_times: Callable) -> bool:
    """Whether each of 1 … T comes about as often as the others, and nothing else comes."""
    T, n = 20, 20_000
    count = torch.bincount(draw_times(T, n), minlength=T + 1)
    return len(count) == T + 1 and bool(count[0] == 0) and bool((abs(count[1:] - n / T) < 0.25 * n / T).all())


# ---------------------------------------------------------------------------- label dropout


class Notes(nn.Module):
    """Stands where the network stands, and only takes notes of the label rows that it is given."""

    def __init__(self):
        super().__init__()
        self.config, self.rows = UNetConfig(), []

    def forward(self, x_t: Tensor, t_over_T: Tensor, y: Tensor) -> Tensor:
        self.rows.append(y)
        return torch.zeros_like(x_t)


def dropout_of(model_class: type[DDPM]) -> Callable:
    """drop(labels (B,), p_uncond) → rows (B, 10): the label rows that the loss of this DDPM shows to the network."""

    def drop(labels: Tensor, p_uncond: float) -> Tensor:
        model = model_class(Notes(), NoiseSchedule.cosine(20))
        model.errors(torch.zeros(len(labels), 1, 28, 28), labels, p_uncond)
        return model.unet.rows[0]

    return drop


def dropout_from(rows_of: Callable) -> Callable:
    """drop(labels, p_uncond) from rows_of(labels, keep), with a `keep` for each label."""
    return lambda labels, p_uncond: rows_of(labels, torch.rand(len(labels)) >= p_uncond)


def dropout_test(drop: Callable) -> bool:
    """Whether the right share of the rows is zero in one batch, and the others are one-hot."""
    labels = torch.arange(10).repeat(500)
    rows = F.one_hot(labels, 10)
    for p_uncond in (0.2, 0.5, 0.9):
        got = drop(labels, p_uncond)
        dropped = (got == 0).all(dim=1)
        if abs(dropped.float().mean() - p_uncond) > 0.05 or not torch.equal(got[~dropped].long(), rows[~dropped]):
            return False
    return True


# ---------------------------------------------------------------------------- guidance


class TwoGuesses(nn.Module):
    """Stands where the network stands: says eps_y of each row with a label, and eps_null of each row without."""

    def __init__(self, eps_y: Tensor, eps_null: Tensor):
        super().__init__()
        self.config, self.eps_y, self.eps_null = UNetConfig(), eps_y, eps_null

    def forward(self, x_t: Tensor, t_over_T: Tensor, y: Tensor) -> Tensor:
        times = (len(y) // len(self.eps_y), 1, 1, 1)  # guidance doubles the batch
        return torch.where(y.sum(1).view(-1, 1, 1, 1) > 0, self.eps_y.repeat(times), self.eps_null.repeat(times))


def guidance_of(model_class: type[DDPM]) -> Callable:
    """guided(eps_y, eps_null, w) → what this DDPM makes of these two guesses of its network."""

    def guided(eps_y: Tensor, eps_null: Tensor, w: float) -> Tensor:
        n = eps_y.numel()
        as_images = [F.pad(eps.flatten(), (0, -n % 784)).view(-1, 1, 28, 28) for eps in (eps_y, eps_null)]
        model, x_t = model_class(TwoGuesses(*as_images), NoiseSchedule.cosine(20)), torch.zeros_like(as_images[0])
        t, y = torch.full((len(x_t),), 10), torch.zeros(len(x_t)).long()
        return model.predict_noise(x_t, t, y, w=w).flatten()[:n].view(eps_y.shape)

    return guided


def guidance_test(guided: Callable) -> bool:
    """Whether the two guesses are mixed as notebook 04 does, for numbers w of all kinds."""
    eps_y, eps_null = torch.randn(2, 4, 1, 28, 28)
    for w in (-1.0, -0.5, 0.0, 0.5, 1.0, 3.0):
        if not torch.allclose(guided(eps_y, eps_null, w), (1 + w) * eps_y - w * eps_null, atol=1e-4):
            return False
    return True
