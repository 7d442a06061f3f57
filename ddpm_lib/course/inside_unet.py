"""What happens inside a U-Net, for notebook 02: shapes of its stages, what one position sees, where a change arrives.

"Stages" are the named children of a `UNet`, such as encoder_28 and bottleneck.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ddpm_lib.ddpm import DDPM
from ddpm_lib.unet import UNet, resize


def stages(unet: nn.Module, x_t: Tensor, t_over_T: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Run the network once; the output of each of its stages by name."""
    seen, hooks = {}, []
    for name, stage in unet.named_children():
        # A forward hook is a function that PyTorch calls each time that a module has finished.
        hooks.append(stage.register_forward_hook(lambda _, inputs, output, name=name: seen.update({name: output})))
    try:
        unet(x_t, t_over_T, y)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def shapes(unet: UNet) -> dict[str, tuple[int, ...]]:
    """The shape of each stage's output, without the batch."""
    with torch.inference_mode():
        seen = stages(unet, torch.zeros(1, *_shape(unet)), torch.ones(1), torch.zeros(1, unet.config.num_classes))
    return {name: tuple(output.shape[1:]) for name, output in seen.items()}


def _shape(unet: UNet) -> tuple[int, int, int]:
    return unet.config.channels, unet.config.size, unet.config.size


def fields(unet: UNet, names: Sequence[str]) -> dict[str, Tensor]:
    """For each stage, a mask (H, W), as (28, 28), of the input pixels that have influence on its middle position.

    The gradient tells: it is exactly 0 at a pixel without influence.
    """
    found = {}
    for name in names:
        x = torch.rand(64, *_shape(unet), generator=torch.Generator().manual_seed(0)).mul(2).sub(1).requires_grad_()
        out = stages(unet, x, torch.full((64,), 0.5), torch.zeros(64, unet.config.num_classes))[name]
        middle = out.shape[-1] // 2
        (gradient,) = torch.autograd.grad(out[:, :, middle, middle].abs().sum(), x)
        found[name] = gradient.abs().sum(dim=(0, 1)) > 0
    return found


def largest_changes(unet: nn.Module, inputs: Sequence[Tensor], other: Sequence[Tensor]) -> dict[str, float]:
    """For each stage, by how much its output differs at most between inputs (x_t, t/T, y) and other ones."""
    with torch.inference_mode():
        before, after = stages(unet, *inputs), stages(unet, *other)
    return {name: (before[name] - after[name]).abs().max().item() for name in before}


def joined(features: Tensor, t_embedding: Tensor, y_embedding: Tensor) -> Tensor:
    """Features (B, C, 7, 7) and two embeddings (B, E), each at all 49 positions, as channels: (B, C + 2E, 7, 7)."""
    return torch.cat([features, resize(t_embedding, features), resize(y_embedding, features)], dim=1)


def rows_of(labels: Sequence[int | None]) -> Tensor:
    """Digits as one-hot rows (B, 10); None, which is no label, as a row of zeros."""
    return torch.stack([torch.zeros(10) if label is None else torch.eye(10)[label] for label in labels])


class _Told(nn.Module):
    """A network that is told this time instead of the true one."""

    def __init__(self, unet: nn.Module, t_over_T: float):
        super().__init__()
        self.unet, self.t_over_T = unet, t_over_T

    def forward(self, x_t: Tensor, t_over_T: Tensor, y: Tensor) -> Tensor:
        return self.unet(x_t, torch.full_like(t_over_T, self.t_over_T), y)


def with_network(ddpm: DDPM, unet: nn.Module) -> DDPM:
    """The same model with another network."""
    return DDPM(unet, ddpm.schedule, ddpm.prediction).eval()


def told(ddpm: DDPM, t: int) -> DDPM:
    """The same model, whose network is told the time t, whatever the true time is. All formulas keep the true one."""
    return with_network(ddpm, _Told(ddpm.unet, t / ddpm.schedule.T))


def listens(network: nn.Module) -> tuple[bool, bool]:
    """Whether another time, and whether another digit, changes the network's answer."""
    x_t, zero, one = torch.zeros(1, 1, 28, 28), *torch.eye(10)[:2].split(1)
    with torch.no_grad():
        first, by_t, by_y = (
            network(x_t, torch.tensor([t_over_T]), y) for t_over_T, y in ((0.9, zero), (0.3, zero), (0.9, one))
        )
    return tuple(bool((first - other).abs().max() > 1e-6) for other in (by_t, by_y))


def conv_parameters(channels_in: int, channels_out: int, kernel: int) -> int:
    """Number of weights of a convolution with a square kernel and a bias."""
    return sum(p.numel() for p in nn.Conv2d(channels_in, channels_out, kernel).parameters())
