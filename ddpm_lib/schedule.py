"""The forward process: how x_0 dissolves into Gaussian noise.

Shapes    B batch · T number of diffusion steps
Time      t = 1 … T; every table has T + 1 entries, so that index t is the t on paper and alpha_bar[0] = 1
Sources   DDPM: Ho et al. 2020, arXiv:2006.11239 · cosine: Nichol & Dhariwal 2021, arXiv:2102.09672
          log-SNR shift: Hoogeboom et al. 2023, arXiv:2301.11093 · v: Salimans & Ho 2022, arXiv:2202.00512
"""

import math
from numbers import Integral, Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)  # float8 can be stored, but not computed with
LARGEST_T = 1_000_000  # far beyond use; the tables still take only megabytes


class NoiseSchedule(nn.Module):
    """The noise schedule β_1 … β_T of q(x_t | x_{t-1}) = N(√(1−β_t)·x_{t-1}, β_t·I) (DDPM eq. 2).

    beta: (T,) float, each in (0, 1): β_1 … β_T. ᾱ_T must not underflow to 0.
    Raises ValueError for anything else.

    The tables `beta`, `alpha`, `alpha_bar` and `log_snr` are (T+1,) float32 buffers. They move with
    `.to(device)` but stay out of state_dict: a schedule is configuration, not something that is learned.
    """

    def __init__(self, beta: Tensor):
        super().__init__()
        if not is_float(beta) or beta.ndim != 1:
            raise ValueError(f"beta must be a float tensor of shape (T,), got {describe(beta)}")
        if len(beta) < 2:
            raise ValueError(f"T must be at least 2, got {len(beta)} entries of beta")
        beta = F.pad(beta.detach().cpu().float(), (1, 0))
        if not ((beta[1:] > 0) & (beta[1:] < 1)).all():
            raise ValueError(f"beta must lie in (0, 1), got {beta[1:].min():g} … {beta[1:].max():g}")
        # Products of 500 numbers near 1, and 1 − ᾱ_1 ≈ 1e-4, want float64; what is kept is float32.
        log_alpha_bar = torch.log1p(-beta.double()).cumsum(0)
        if log_alpha_bar[-1] < math.log(torch.finfo(torch.float32).tiny):
            raise ValueError(
                f"beta is so large that alpha_bar_T = exp({log_alpha_bar[-1]:.0f}) underflows to 0; "
                "use smaller beta or fewer steps T"
            )
        log_snr = log_alpha_bar - torch.log(-torch.expm1(log_alpha_bar))
        for name, table in {
            "beta": beta,
            "alpha": 1 - beta.double(),
            "alpha_bar": log_alpha_bar.exp(),
            "log_snr": log_snr,
        }.items():
            self.register_buffer(name, table.float(), persistent=False)
        self.T = len(beta) - 1

    @classmethod
    def linear(cls, T: int = 500, beta_1: float = 1e-4, beta_T: float = 0.02) -> "NoiseSchedule":
        """β_t rises linearly from β_1 to β_T (DDPM section 4, there with T = 1000).

        T: int ≥ 2. beta_1, beta_T: float in (0, 1). Raises ValueError for anything else.
        """
        _check_T(T)
        for name, value in {"beta_1": beta_1, "beta_T": beta_T}.items():
            if not isinstance(value, Real) or not 0 < value < 1:
                raise ValueError(f"{name} must lie in (0, 1), got {value!r}")
        return cls(torch.linspace(beta_1, beta_T, T, dtype=torch.float64))

    @classmethod
    def cosine(cls, T: int = 500, shift: float = 0.0) -> "NoiseSchedule":
        """ᾱ_t = f(t)/f(0), f(t) = cos²(π/2·(t/T + s)/(1 + s)), s = 0.008 (Nichol & Dhariwal eq. 17).

        shift: finite float; log-SNR is lowered by it (more noise at every t) before β is clipped to ≤ 0.999.
        T: int ≥ 2. Raises ValueError for anything else, and for a shift that leaves some β_t at 0 or ᾱ_T at 0.
        """
        _check_T(T)
        if not is_finite(shift):
            raise ValueError(f"shift must be a finite number, got {shift!r}")
        t = torch.arange(T + 1, dtype=torch.float64)
        f = torch.cos((t / T + 0.008) / 1.008 * math.pi / 2).square()
        alpha_bar = torch.sigmoid(torch.logit(f / f[0]) - float(shift))  # log-SNR = logit(ᾱ)
        beta = (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999)
        try:
            return cls(beta)
        except ValueError as error:
            raise ValueError(f"shift={shift!r} with T={T} gives no usable schedule: {error}") from None

    def _apply(self, fn, recurse=True):
        # .half() and .to(dtype) end here, as .to(device) does. The tables move, but stay float32: rounded ones are no
        # schedule any more.
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
        self._check(t, x_0=x_0, eps=eps)
        signal, sigma = self.levels(t)
        return signal * x_0 + sigma * eps

    def predict_x_0(self, x_t: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x̂_0 = (x_t − √(1−ᾱ_t)·ε)/√ᾱ_t: the forward process solved for x_0 (DDPM eq. 15).

        x_t, eps: (B, 1, 28, 28) float. t: (B,) long, 1 … T. Raises ValueError.
        """
        self._check(t, x_t=x_t, eps=eps)
        signal, sigma = self.levels(t)
        return (x_t - sigma * eps) / signal

    def predict_eps(self, x_t: Tensor, t: Tensor, x_0: Tensor) -> Tensor:
        """ε = (x_t − √ᾱ_t·x_0)/√(1−ᾱ_t): the forward process solved for ε.

        x_t, x_0: (B, 1, 28, 28) float. t: (B,) long, 1 … T. Raises ValueError.
        """
        self._check(t, x_t=x_t, x_0=x_0)
        signal, sigma = self.levels(t)
        return (x_t - signal * x_0) / sigma

    def velocity(self, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """v = √ᾱ_t·ε − √(1−ᾱ_t)·x_0: a target that asks for ε in the clean and for −x_0 in the noise (Salimans & Ho).

        x_0, eps: (B, 1, 28, 28) float. t: (B,) long, 1 … T. Raises ValueError.
        """
        self._check(t, x_0=x_0, eps=eps)
        signal, sigma = self.levels(t)
        return signal * eps - sigma * x_0

    def posterior(self, x_0: Tensor, x_t: Tensor, t: Tensor, s: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of q(x_s | x_t, x_0), by default of q(x_{t-1} | x_t, x_0) (DDPM eqs. 6–7).

        x_0, x_t: (B, 1, 28, 28) float. t: (B,) long, 1 … T. s: (B,) long, 0 ≤ s < t; None is t − 1.
        Returns mean (B, 1, 28, 28) and std (B, 1, 1, 1): √β̃_t, which is 0 at s = 0. Raises ValueError.
        """
        self._check(t, x_0=x_0, x_t=x_t)
        if s is None:
            s = t - 1
        elif not _is_time(s, t) or (s < 0).any() or (s >= t).any():
            raise ValueError(f"s must be a long tensor shaped as t with 0 ≤ s < t, got {describe(s)}")
        signal_t, _ = self.levels(t)
        signal_s, sigma_s = self.levels(s)
        # Equations 6–7 in terms of r = SNR_t/SNR_s, which loses no digits where β_t is small:
        # β_t/(1−ᾱ_t) = 1 − r, and √α_t·(1−ᾱ_s)/(1−ᾱ_t) = √ᾱ_s·r/√ᾱ_t.
        log_r = (self.log_snr[t] - self.log_snr[s]).view(-1, 1, 1, 1)
        r, one_minus_r = log_r.exp(), -torch.expm1(log_r)
        mean = signal_s * (one_minus_r * x_0 + r / signal_t * x_t)
        return mean, sigma_s * one_minus_r.sqrt()

    def _check(self, t: Tensor, **images: Tensor) -> None:
        """One guard for all of the above: names the argument, what came and what is allowed."""
        (first, x), *others = images.items()
        if not is_float(x) or x.ndim != 4:
            raise ValueError(f"{first} must be a float tensor of shape (B, C, H, W), got {describe(x)}")
        for name, other in others:
            if not is_float(other) or other.shape != x.shape:
                raise ValueError(
                    f"{name} must be a float tensor shaped as {first} {tuple(x.shape)}, got {describe(other)}"
                )
        self.check_t(t, len(x))

    def check_t(self, t: Tensor, batch: int) -> None:
        """Raise ValueError unless t is (batch,) long within 1 … T."""
        if not isinstance(t, Tensor) or t.dtype != torch.long or t.shape != (batch,):
            raise ValueError(f"t must be a long tensor of shape ({batch},), got {describe(t)}")
        if batch and not 1 <= int(t.min()) <= int(t.max()) <= self.T:
            raise ValueError(f"t must lie in 1…{self.T}, got {int(t.min())} … {int(t.max())}")

    def extra_repr(self) -> str:
        return f"T={self.T}, log-SNR {self.log_snr[1]:.2f} … {self.log_snr[-1]:.2f}"


def _check_T(T: int) -> None:
    if not is_count(T, least=2) or T > LARGEST_T:
        raise ValueError(f"T must be an integer ≥ 2 and ≤ {LARGEST_T:,}, got {T!r:.60}")


def is_finite(value: object) -> bool:
    """Whether value is a number that a float can hold."""
    try:
        return isinstance(value, Real) and math.isfinite(value)
    except OverflowError:  # an int like 10**400
        return False


def is_count(value: object, least: int = 1) -> bool:
    """Whether value is an integer ≥ least; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= least


def is_float(x: object) -> bool:
    """Whether x is a tensor of a float type that torch computes with."""
    return isinstance(x, Tensor) and x.dtype in FLOATS


def _is_time(s: object, t: Tensor) -> bool:
    return isinstance(s, Tensor) and s.dtype == torch.long and s.shape == t.shape


def describe(value: object) -> str:
    """A tensor's shape and dtype, or the repr of anything else: for error messages."""
    if isinstance(value, Tensor):
        return f"shape {tuple(value.shape)}, {value.dtype}"
    return f"{type(value).__name__} {value!r:.60}"
