"""The forward process: how x_0 dissolves into Gaussian noise.

Shapes    B batch · T number of diffusion steps · (B, 1, 28, 28) stands for images of any shape (B, C, H, W)
Time      t = 1 … T; every table has T + 1 entries, so that index t is the t on paper and alpha_bar[0] = 1
Sources   DDPM: Ho et al. 2020, arXiv:2006.11239 · cosine: Nichol & Dhariwal 2021, arXiv:2102.09672
          log-SNR: Kingma et al. 2021, arXiv:2107.00630 · its shift: Hoogeboom et al. 2023, arXiv:2301.11093
          v: Salimans & Ho 2022, arXiv:2202.00512
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_lib import guards


class NoiseSchedule(nn.Module):
    """The noise schedule β_1 … β_T of q(x_t | x_{t-1}) = N(√(1−β_t)·x_{t-1}, β_t·I) (DDPM eq. 2).

    beta: (T,) float, each in (0, 1): β_1 … β_T. ᾱ_T must not underflow to 0. Raises ValueError for anything else.

    The tables `beta`, `alpha`, `alpha_bar` and `log_snr` are (T+1,) float32 buffers. They move with
    `.to(device)` but stay out of state_dict: a schedule is configuration, not something that is learned.
    """

    def __init__(self, beta: Tensor):
        super().__init__()
        beta = F.pad(guards.betas("beta", beta), (1, 0))
        # Products of 500 numbers near 1, and 1 − ᾱ_1 ≈ 1e-4, need float64; the tables are stored as float32.
        log_alpha_bar = torch.log1p(-beta.double()).cumsum(0)
        log_snr = log_alpha_bar - torch.log(-torch.expm1(log_alpha_bar))
        alpha, alpha_bar = 1 - beta.double(), log_alpha_bar.exp()
        for name, table in {"beta": beta, "alpha": alpha, "alpha_bar": alpha_bar, "log_snr": log_snr}.items():
            self.register_buffer(name, table.float(), persistent=False)
        self.T = len(beta) - 1

    @classmethod
    def linear(cls, T: int = 500, beta_1: float = 1e-4, beta_T: float = 0.02) -> "NoiseSchedule":
        """β_t rises linearly from β_1 to β_T (DDPM section 4, there with T = 1000).

        T: int ≥ 2. beta_1, beta_T: float in (0, 1). Raises ValueError for anything else.
        """
        guards.count("T", T, least=2, most=guards.LARGEST_T)
        guards.all_within("(0, 1)", beta_1=beta_1, beta_T=beta_T)
        return cls(torch.linspace(beta_1, beta_T, T, dtype=torch.float64))

    @classmethod
    def cosine(cls, T: int = 500, shift: float = 0.0) -> "NoiseSchedule":
        """ᾱ_t = f(t)/f(0), f(t) = cos²(π/2·(t/T + δ)/(1 + δ)), δ = 0.008 (Nichol & Dhariwal eq. 17).

        shift: finite float; log-SNR is lowered by it (more noise at every t) before β is clipped to ≤ 0.999.
        T: int ≥ 2. Raises ValueError for anything else, and for a shift that leaves some β_t at 0 or ᾱ_T at 0.
        """
        guards.count("T", T, least=2, most=guards.LARGEST_T)
        guards.finite("shift", shift)
        t = torch.arange(T + 1, dtype=torch.float64)
        f = torch.cos((t / T + 0.008) / 1.008 * math.pi / 2).square()
        alpha_bar = torch.sigmoid(torch.logit(f / f[0]) - float(shift))  # log-SNR = logit(ᾱ)
        beta = (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999)
        return cls(guards.betas(f"beta with T={T} and shift={shift!r}", beta))

    @classmethod
    def from_log_snr(cls, log_snr: Tensor) -> "NoiseSchedule":
        """ᾱ_t = sigmoid(log-SNR_t): the schedule that has these log-SNRs, log(ᾱ_t/(1−ᾱ_t)) (Kingma et al. 2021, eq. 4).

        log_snr: (T,) float, finite, falling strictly from t = 1 to T. Flow matching's is 2·log((1−τ)/τ), 0 < τ < 1.
        Raises ValueError for anything else, and where some β_t rounds to 0 or 1, or ᾱ_T to 0.
        """
        log_alpha_bar = F.logsigmoid(guards.falling("log_snr", log_snr).double())
        beta = -torch.expm1(log_alpha_bar.diff(prepend=log_alpha_bar.new_zeros(1)))  # β_t = 1 − ᾱ_t/ᾱ_{t−1}
        return cls(guards.betas("beta of this log_snr", beta))

    def _apply(self, fn, recurse=True):
        # .half(), .to(dtype) and .to(device) all call this. The tables follow the device, but stay float32: a rounded
        # table is not a schedule any more.
        tables = dict(self.named_buffers(recurse=False))
        super()._apply(fn, recurse)
        for name, table in tables.items():
            setattr(self, name, table.to(getattr(self, name).device))
        return self

    def levels(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Signal and noise level at t: √ᾱ_t and √(1−ᾱ_t), each (B, 1, 1, 1).

        t: (B,) long, 0 … T. Computed as ᾱ = sigmoid(log-SNR), 1−ᾱ = sigmoid(−log-SNR), because
        subtracting a float32 ᾱ_t near 1 from 1 would lose four digits.
        """
        log_snr = self.log_snr[t].view(-1, 1, 1, 1)
        return log_snr.sigmoid().sqrt(), (-log_snr).sigmoid().sqrt()

    def add_noise(self, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t = √ᾱ_t·x_0 + √(1−ᾱ_t)·ε: t steps of the forward process in one (DDPM eq. 4).

        x_0, eps: (B, 1, 28, 28) float, eps standard Gaussian. t: (B,) long, 1 … T. Raises ValueError.
        """
        guards.noised("x_0", x_0, t, self.T, eps=eps)
        signal, sigma = self.levels(t)
        return signal * x_0 + sigma * eps

    def predict_x_0(self, x_t: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x̂_0 = (x_t − √(1−ᾱ_t)·ε)/√ᾱ_t: the forward process solved for x_0 (DDPM eq. 15).

        x_t, eps: (B, 1, 28, 28) float. t: (B,) long, 1 … T. Raises ValueError.
        """
        guards.noised("x_t", x_t, t, self.T, eps=eps)
        signal, sigma = self.levels(t)
        return (x_t - sigma * eps) / signal

    def predict_eps(self, x_t: Tensor, t: Tensor, x_0: Tensor) -> Tensor:
        """ε = (x_t − √ᾱ_t·x_0)/√(1−ᾱ_t): the forward process solved for ε.

        x_t, x_0: (B, 1, 28, 28) float. t: (B,) long, 1 … T. Raises ValueError.
        """
        guards.noised("x_t", x_t, t, self.T, x_0=x_0)
        signal, sigma = self.levels(t)
        return (x_t - signal * x_0) / sigma

    def velocity(self, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """v = √ᾱ_t·ε − √(1−ᾱ_t)·x_0: nearly ε where x_t is clean, nearly −x_0 where it is noise (Salimans & Ho).

        x_0, eps: (B, 1, 28, 28) float. t: (B,) long, 1 … T. Raises ValueError.
        """
        guards.noised("x_0", x_0, t, self.T, eps=eps)
        signal, sigma = self.levels(t)
        return signal * eps - sigma * x_0

    def posterior(self, x_0: Tensor, x_t: Tensor, t: Tensor, s: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of q(x_s | x_t, x_0), by default of q(x_{t-1} | x_t, x_0) (DDPM eqs. 6–7).

        x_0, x_t: (B, 1, 28, 28) float. t: (B,) long, 1 … T. s: (B,) long, 0 ≤ s < t; None is t − 1.
        Returns mean (B, 1, 28, 28) and std (B, 1, 1, 1): √β̃_t, which is 0 at s = 0. Raises ValueError.
        """
        guards.noised("x_0", x_0, t, self.T, x_t=x_t)
        s = t - 1 if s is None else guards.earlier("s", s, t)
        (signal_t, _), (signal_s, sigma_s) = self.levels(t), self.levels(s)
        # These are equations 6–7, written with r = SNR_t/SNR_s, which loses no digits where β_t is small:
        # β_t/(1−ᾱ_t) = 1 − r, and √α_t·(1−ᾱ_s)/(1−ᾱ_t) = √ᾱ_s·r/√ᾱ_t.
        log_r = (self.log_snr[t] - self.log_snr[s]).view(-1, 1, 1, 1)
        r, one_minus_r = log_r.exp(), -torch.expm1(log_r)
        mean = signal_s * (one_minus_r * x_0 + r / signal_t * x_t)
        return mean, sigma_s * one_minus_r.sqrt()

    def extra_repr(self) -> str:
        return f"T={self.T}, log-SNR {self.log_snr[1]:.2f} … {self.log_snr[-1]:.2f}"
