"""DDPM: a network with its noise schedule. You train it with its loss, and you sample with its guess of the noise.

Shapes    B batch · K number of classes · (B, 1, 28, 28) stands for images of MNIST; others are (B, *image_shape)
Images    in [−1, 1]
Labels    rows of class weights (B, K): one-hot, a mixture, or all zeros for "no label" (∅)
Sources   loss: Ho et al. 2020, arXiv:2006.11239, algorithm 1 · guidance and label dropout: Ho & Salimans 2022,
          arXiv:2207.12598 · v: Salimans & Ho 2022, arXiv:2202.00512
          flow: Liu et al. 2022, arXiv:2209.03003, eq. 1 · stratified t: Kingma et al. 2021, arXiv:2107.00630
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_lib import guards
from ddpm_lib.precision import unwrapped
from ddpm_lib.schedule import NoiseSchedule
from ddpm_lib.unet import UNet, UNetConfig


class DDPM(nn.Module):
    """A denoising diffusion model: what the network regresses, and how that becomes a guess of the noise.

    unet: maps (x_t, t/T, y) to an image. schedule: the forward process. prediction: what the network regresses:
    "eps", "x_0", "v" = √ᾱ·ε − √(1−ᾱ)·x_0, or "flow", which is u = ε − x_0. Raises ValueError for anything else.
    """

    def __init__(self, unet: UNet, schedule: NoiseSchedule, prediction: str = "eps"):
        super().__init__()
        self.unet = guards.instance("unet", unet, nn.Module, "a torch module")
        self.schedule = guards.instance("schedule", schedule, NoiseSchedule, "a NoiseSchedule")
        self.prediction = guards.choice("prediction", prediction, ("eps", "x_0", "v", "flow"))

    @classmethod
    def recommended(cls, num_classes: int = 10, **more: object) -> "DDPM":
        """The best model that was measured on MNIST (benchmarks/recipe.md): v, and a cosine schedule with shift 1.5.

        num_classes, more: fields of `UNetConfig`, such as channels=3, size=32, classes=names. Raises ValueError.
        """
        return cls(
            UNet(UNetConfig(num_classes=num_classes, **more)), NoiseSchedule.cosine(T=500, shift=1.5), prediction="v"
        )

    def loss(self, x_0: Tensor, y: Tensor, p_uncond: float = 0.1, generator: torch.Generator | None = None) -> Tensor:
        """E ‖target − network(x_t, t, y)‖² over t, ε and dropped labels: the mean of `errors`, a scalar."""
        return self.errors(x_0, y, p_uncond, generator)[1].mean()

    def errors(
        self, x_0: Tensor, y: Tensor, p_uncond: float = 0.1, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """The times t and the errors (target − network(x_t, t, y))² (DDPM algorithm 1; guidance algorithm 1).

        Your own loss can weight the errors, for example `(weight(t).view(-1, 1, 1, 1) * error).mean()`.

        x_0: (B, 1, 28, 28) float in [−1, 1]. y: (B,) integer labels or (B, K) rows; not changed.
        p_uncond: number in [0, 1], the probability that a row loses its label, drawn for each row.
        Returns t (B,) long, 1 … T, and the squared error of each pixel (B, 1, 28, 28). Raises ValueError.
        """
        guards.images("x_0", x_0, shape=self.image_shape)
        y = label_rows(y, self.num_classes, batch=len(x_0)).to(x_0)
        guards.within("p_uncond", p_uncond, "[0, 1]")

        t = self._stratified_t(len(x_0), generator).to(x_0.device)  # (B,), 1 … T
        eps = draw(torch.randn, x_0.shape, generator).to(x_0)
        keep = draw(torch.rand, (len(y), 1), generator).to(x_0) >= p_uncond
        y = y * keep  # label dropout: a zero row means "no label"

        with guards.inside():
            x_t = self.schedule.add_noise(x_0, t, eps)
            share_x_0, share_eps = self._shares(*self.schedule.levels(t))
            target = share_x_0 * x_0 + share_eps * eps
        return t, F.mse_loss(self._network(x_t, t, y).to(target), target, reduction="none")

    def predict_noise(self, x_t: Tensor, t: Tensor, y: Tensor, w: float | Tensor = 0.0) -> Tensor:
        """ε̂ = (1+w)·ε(x_t, t, y) − w·ε(x_t, t, ∅): classifier-free guidance (Ho & Salimans eq. 6).

        x_t: (B, 1, 28, 28) float. t: (B,) long, 1 … T. y: (B,) integer labels or (B, K) rows.
        w: finite number or (B,) tensor. 0 is purely conditional, −1 unconditional, > 0 guided. A network that hears w
        answers in one call what it learned for this w; outside −1 … w_max it hears the nearest end.
        Returns ε̂ shaped as x_t, whatever the network regresses. Raises ValueError.
        """
        guards.images("x_t", x_t, t, self.schedule.T, self.image_shape)
        y = label_rows(y, self.num_classes, batch=len(x_t)).to(x_t)
        w = guards.guidance_weight("w", w, len(x_t))
        if self.w_max:
            return self._eps(x_t, t, y, torch.as_tensor(w).to(x_t).clamp(-1, self.w_max).expand(len(x_t)))
        if isinstance(w, float) and w == 0:
            return self._eps(x_t, t, y)
        if isinstance(w, float) and w == -1:
            return self._eps(x_t, t, torch.zeros_like(y))
        # Both branches go through the network as one doubled batch: that is one call, not two.
        both = self._eps(x_t.repeat(2, 1, 1, 1), t.repeat(2), torch.cat([y, torch.zeros_like(y)]))
        eps_y, eps_null = both.chunk(2)
        if isinstance(w, Tensor):
            w = w.to(x_t).view(-1, 1, 1, 1)
        return (1 + w) * eps_y - w * eps_null

    def _eps(self, *told: Tensor) -> Tensor:
        x_t, t, *_ = told  # then y, and w if the network hears it
        # The features of more than 128 images don't fit into a CPU's caches; each image then takes twice as long.
        size = 128 if x_t.device.type == "cpu" and not self.training else len(x_t)
        parts = zip(*(tensor.split(size) for tensor in told), strict=True)
        out = torch.cat([self._network(*part) for part in parts]).to(x_t)
        if self.prediction == "eps":
            return out
        # Two equations, x_t = √ᾱ·x_0 + √(1−ᾱ)·ε and out = share_x_0·x_0 + share_eps·ε, solved for ε.
        signal, sigma = self.schedule.levels(t)
        share_x_0, share_eps = self._shares(signal, sigma)
        return (signal * out - share_x_0 * x_t) / (signal * share_eps - sigma * share_x_0)

    def _shares(self, signal: Tensor, sigma: Tensor) -> tuple[float | Tensor, float | Tensor]:
        """How much of x_0, and how much of ε, is in what the network regresses; `signal` and `sigma` say it of x_t."""
        return {"eps": (0, 1), "x_0": (1, 0), "v": (-sigma, signal), "flow": (-1, 1)}[self.prediction]

    def _network(self, x_t: Tensor, t: Tensor, *told: Tensor) -> Tensor:
        # The images may have any float type; the network needs the type of its weights.
        dtype = next((parameter.dtype for parameter in self.unet.parameters()), x_t.dtype)
        return self.unet(x_t.to(dtype), (t / self.schedule.T).to(dtype), *(tensor.to(dtype) for tensor in told))

    def _stratified_t(self, batch: int, generator: torch.Generator | None) -> Tensor:
        """One t from each of `batch` equal parts of 1 … T, in random order: uniform, but more even than randint."""
        part = draw(torch.randperm, (batch,), generator)
        u = (part + draw(torch.rand, (batch,), generator)) / batch  # in [0, 1)
        return (u * self.schedule.T).long().clamp(max=self.schedule.T - 1) + 1

    @property
    def num_classes(self) -> int:
        """Length of a label row. If the network has no config, it is 10, as for MNIST."""
        return self._config("num_classes")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image. If the network has no config, it is (1, 28, 28), as for MNIST."""
        return self._config("channels"), self._config("size"), self._config("size")

    @property
    def classes(self) -> tuple[str, ...]:
        """What the classes are called. If nobody said it, it is ()."""
        return self._config("classes")

    @property
    def w_max(self) -> float:
        """The largest guidance weight that the network hears; 0 if it hears none, as a network without a config."""
        return self._config("w_max")

    def _config(self, field: str) -> object:
        """What the network's config says, or else the default of `UNetConfig`."""
        return getattr(getattr(unwrapped(self.unet), "config", None), field, getattr(UNetConfig, field))


def label_rows(y: Tensor, num_classes: int, batch: int | None = None, name: str = "y") -> Tensor:
    """Labels as rows of class weights (B, num_classes) float: the one place where integers become rows.

    y: (B,) integers in 0 … num_classes − 1, or (B, num_classes) float rows, each ≥ 0 with sum 1, or all
    zeros for "no label". batch: the expected B; None allows any B ≥ 1. Raises ValueError, which calls y by `name`.
    """
    y = guards.labels(name, y, num_classes, batch)
    return F.one_hot(y, num_classes).float() if y.ndim == 1 else y.float()


def draw(distribution: Callable, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    """Random numbers of torch.randn, rand or randperm, on the generator's device (on the CPU without a generator).

    Numbers from the CPU are the same whatever device the model is on; the caller moves them to that device.
    """
    guards.generator_or_none("generator", generator)
    return distribution(*shape, generator=generator, device=generator.device if generator else "cpu")
