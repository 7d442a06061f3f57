"""DDPM: a network and a schedule, and the two things one does with them: a loss and a guess of the noise.

Shapes    B batch · K number of classes
Images    in [−1, 1]
Labels    rows of class weights (B, K): one-hot, a mixture, or all zeros for "no label" (∅)
Sources   loss: Ho et al. 2020, arXiv:2006.11239, algorithm 1 · guidance and label dropout: Ho & Salimans 2022,
          arXiv:2207.12598 · v: Salimans & Ho 2022, arXiv:2202.00512
          stratified t: Kingma et al. 2021, arXiv:2107.00630
"""

import copy
from collections.abc import Callable
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_lib.schedule import NoiseSchedule, describe, is_finite, is_float
from ddpm_lib.unet import UNet, UNetConfig

PREDICTIONS = ("eps", "v")
LARGEST_W = 1e6  # far beyond use; what is much larger overflows float32, and inf − inf is no picture


class DDPM(nn.Module):
    """A denoising diffusion model: what the network regresses, and how that becomes a guess of the noise.

    unet: maps (x_t, t/T, y) to an image. schedule: the forward process. prediction: "eps" (the network
    regresses ε) or "v" (it regresses v = √ᾱ·ε − √(1−ᾱ)·x_0). Raises ValueError for anything else.
    """

    def __init__(self, unet: UNet, schedule: NoiseSchedule, prediction: str = "eps"):
        super().__init__()
        if not isinstance(unet, nn.Module):
            raise ValueError(f"unet must be a torch module, got {unet!r:.60}")
        if not isinstance(schedule, NoiseSchedule):
            raise ValueError(f"schedule must be a NoiseSchedule, got {schedule!r:.60}")
        if not isinstance(prediction, str) or prediction not in PREDICTIONS:
            raise ValueError(f"prediction must be one of {PREDICTIONS}, got {prediction!r}")
        self.unet = unet
        self.schedule = schedule
        self.prediction = prediction

    @classmethod
    def recommended(cls) -> "DDPM":
        """The best that was measured (benchmarks/recipe.md): v, and the cosine schedule with log-SNR lowered by 1.5."""
        return cls(UNet(UNetConfig()), NoiseSchedule.cosine(T=500, shift=1.5), prediction="v")

    def loss(self, x_0: Tensor, y: Tensor, p_uncond: float = 0.1, generator: torch.Generator | None = None) -> Tensor:
        """E ‖target − network(x_t, t, y)‖² over t, ε and dropped labels (DDPM algorithm 1; guidance algorithm 1).

        x_0: (B, 1, 28, 28) float in [−1, 1]. y: (B,) integer labels or (B, K) rows; not changed.
        p_uncond: number in [0, 1], the chance of each row on its own to lose its label.
        Returns a scalar: the mean over batch and pixels. Raises ValueError.
        """
        check_images("x_0", x_0)
        y = label_rows(y, self.num_classes, batch=len(x_0)).to(x_0)
        if not isinstance(p_uncond, Real) or not 0 <= p_uncond <= 1:
            raise ValueError(f"p_uncond must lie in [0, 1], got {p_uncond!r}")

        t = self._stratified_t(len(x_0), generator).to(x_0.device)  # (B,), 1 … T
        eps = draw(torch.randn, x_0.shape, generator).to(x_0)
        keep = draw(torch.rand, (len(y), 1), generator).to(x_0) >= p_uncond
        y = y * keep  # label dropout: a zero row means "no label"

        x_t = self.schedule.add_noise(x_0, t, eps)
        target = eps if self.prediction == "eps" else self.schedule.velocity(x_0, t, eps)
        return F.mse_loss(self._network(x_t, t, y).to(target), target)

    def predict_noise(self, x_t: Tensor, t: Tensor, y: Tensor, w: float | Tensor = 0.0) -> Tensor:
        """ε̂ = (1+w)·ε(x_t, t, y) − w·ε(x_t, t, ∅): classifier-free guidance (Ho & Salimans eq. 6).

        x_t: (B, 1, 28, 28) float. t: (B,) long, 1 … T. y: (B,) integer labels or (B, K) rows.
        w: finite number or (B,) tensor. 0 is purely conditional, −1 unconditional, > 0 guided.
        Returns ε̂ shaped as x_t, whatever the network regresses. Raises ValueError.
        """
        check_images("x_t", x_t)
        y = label_rows(y, self.num_classes, batch=len(x_t)).to(x_t)
        self.schedule.check_t(t, len(x_t))
        w = check_w(w, len(x_t))
        if isinstance(w, float) and w == 0:
            return self._eps(x_t, t, y)
        if isinstance(w, float) and w == -1:
            return self._eps(x_t, t, torch.zeros_like(y))
        # Both branches as one doubled batch: one call of the network, not two.
        both = self._eps(x_t.repeat(2, 1, 1, 1), t.repeat(2), torch.cat([y, torch.zeros_like(y)]))
        eps_y, eps_null = both.chunk(2)
        if isinstance(w, Tensor):
            w = w.to(x_t).view(-1, 1, 1, 1)
        return (1 + w) * eps_y - w * eps_null

    def folded(self) -> "DDPM":
        """A copy whose `predict_noise` gives the same answers faster: eval mode, BatchNorm folded (see `UNet.folded`).

        A network that can't be folded, or whose `forward` was replaced, is shared with the copy as it is.
        """
        folded = copy.copy(self)
        folded._modules = dict(self._modules)  # a shallow copy would share its children with the original
        if hasattr(self.unet, "folded") and "forward" not in vars(self.unet):
            folded.unet = self.unet.folded()
        folded.training = False
        return folded

    def _eps(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        # Features of more images than this leave a CPU's caches, and each then takes about twice as long.
        size = 128 if x_t.device.type == "cpu" and not self.training else len(x_t)
        parts = zip(x_t.split(size), t.split(size), y.split(size), strict=True)
        out = torch.cat([self._network(*part) for part in parts]).to(x_t)
        if self.prediction == "eps":
            return out
        signal, sigma = self.schedule.levels(t)
        return sigma * x_t + signal * out  # v = √ᾱ·ε − √(1−ᾱ)·x_0, solved for ε

    def _network(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        # Images come in any float type; the network takes its own.
        dtype = next((parameter.dtype for parameter in self.unet.parameters()), x_t.dtype)
        return self.unet(x_t.to(dtype), (t / self.schedule.T).to(dtype), y.to(dtype))

    def _stratified_t(self, batch: int, generator: torch.Generator | None) -> Tensor:
        """One t from each of `batch` equal parts of 1 … T, in random order: uniform, less variance than randint."""
        part = draw(torch.randperm, (batch,), generator)
        u = (part + draw(torch.rand, (batch,), generator)) / batch  # in [0, 1)
        return (u * self.schedule.T).long().clamp(max=self.schedule.T - 1) + 1

    @property
    def num_classes(self) -> int:
        """Length of a label row. Any network with UNet's forward will do; one without a config has MNIST's ten."""
        return self.unet.config.num_classes if hasattr(self.unet, "config") else 10


def label_rows(y: Tensor, num_classes: int, batch: int | None = None, name: str = "y") -> Tensor:
    """Labels as rows of class weights (B, num_classes) float: the one place where integers become rows.

    y: (B,) integers in 0 … num_classes − 1, or (B, num_classes) float rows, each ≥ 0 with sum 1, or all
    zeros for "no label". batch: the B that is expected, None for any ≥ 1. Raises ValueError that calls y `name`.
    """
    try:
        y = torch.as_tensor(y)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must be a tensor of labels, got {y!r:.60}") from error
    if y.ndim not in (1, 2) or len(y) == 0:
        raise ValueError(f"{name} must be (B,) integers or (B, {num_classes}) rows with B ≥ 1, got {describe(y)}")
    if batch is not None and len(y) != batch:
        raise ValueError(f"{name} must hold one label for each of the {batch} images, got {len(y)}")
    if y.ndim == 1:
        if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
            raise ValueError(f"{name} of shape (B,) must be integers, got {y.dtype}")
        y = y.long()
        if not 0 <= int(y.min()) <= int(y.max()) < num_classes:
            raise ValueError(f"{name} must lie in 0…{num_classes - 1}, got {int(y.min())} … {int(y.max())}")
        return F.one_hot(y, num_classes).float()
    if y.shape[1] != num_classes or not is_float(y):
        raise ValueError(f"{name} as rows must be floats of shape (B, {num_classes}), got {describe(y)}")
    total = y.sum(dim=1)
    if not ((y >= 0).all() and ((total == 0) | ((total - 1).abs() < 1e-3)).all()):
        raise ValueError(f"each row of {name} must be ≥ 0 and sum to 1, or be all zero for no label")
    return y


def check_w(w: float | Tensor, batch: int) -> float | Tensor:
    """The guidance weight as a float or a (batch,) tensor. Raises ValueError unless it has that shape and is finite.

    Finite is within ±10⁶ here: in float32, ε̂ of a much larger w is ∞ − ∞.
    """
    if isinstance(w, Tensor) and w.ndim == 0:
        w = w.item()
    if isinstance(w, Tensor):
        if w.shape != (batch,) or w.is_complex() or not (w.float().abs() <= LARGEST_W).all():
            raise ValueError(f"w must be a finite number or a finite tensor of shape ({batch},), got {describe(w)}")
        return w
    if not is_finite(w) or abs(float(w)) > LARGEST_W:
        raise ValueError(f"w must be a finite number or a finite tensor of shape ({batch},), got {w!r:.60}")
    return float(w)


def draw(distribution: Callable, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    """torch.randn, rand or randperm of this shape, on the generator's own device (CPU without one).

    Numbers drawn on the CPU are the same whatever device the model is on; the caller moves them there.
    """
    check_generator(generator)
    return distribution(*shape, generator=generator, device=generator.device if generator else "cpu")


def check_generator(generator: torch.Generator | None) -> None:
    """Raise ValueError unless generator is a torch.Generator or None."""
    if generator is not None and not isinstance(generator, torch.Generator):
        raise ValueError(f"generator must be a torch.Generator or None, got {generator!r:.60}")


def check_images(name: str, x: Tensor) -> None:
    """Raise ValueError unless x is a (B, 1, 28, 28) float tensor with B ≥ 1."""
    if not is_float(x) or x.shape[1:] != (1, 28, 28) or len(x) == 0:
        raise ValueError(f"{name} must be a float tensor of shape (B, 1, 28, 28) with B ≥ 1, got {describe(x)}")
