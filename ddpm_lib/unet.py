"""The network: a U-Net that is told t and y at its bottleneck, and nowhere else.

Shapes    B batch · C channels · E embedding_width · K num_classes

    28×28   encoder_28 ──────────── skip ────────────► decoder_28 ─► head
    14×14       encoder_14 ──────── skip ────────► decoder_14
     7×7            encoder_7 ─► [features, t, y] ─► bottleneck
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of a `UNet`.

    widths: three ints ≥ 1, the channels at 28×28, 14×14 and 7×7.
    embedding_width: int ≥ 1, the channels that t and y each add to the bottleneck.
    num_classes: int ≥ 1, the length of a label row. Raises ValueError for anything else.
    """

    widths: tuple[int, int, int] = (16, 32, 64)
    embedding_width: int = 64
    num_classes: int = 10

    def __post_init__(self):
        # A list (from JSON, or from a careless caller who changes it later) becomes a tuple here.
        object.__setattr__(self, "widths", tuple(self.widths) if isinstance(self.widths, list | tuple) else self.widths)
        if not isinstance(self.widths, tuple) or len(self.widths) != 3 or not all(map(_is_size, self.widths)):
            raise ValueError(f"widths must be three integers ≥ 1, got {self.widths!r}")
        for name in ("embedding_width", "num_classes"):
            if not _is_size(getattr(self, name)):
                raise ValueError(f"{name} must be an integer ≥ 1, got {getattr(self, name)!r}")


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


class ConvBlock(nn.Sequential):
    """relu(BN(conv(x))) (BatchNorm: Ioffe & Szegedy 2015, arXiv:1502.03167).

    x: (B, channels_in, H, W) → (B, channels_out, H/stride, W/stride).
    """

    def __init__(self, channels_in: int, channels_out: int, kernel_size: int = 3, stride: int = 1):
        super().__init__(
            # No bias in front of BatchNorm: its mean would remove it again.
            nn.Conv2d(channels_in, channels_out, kernel_size, stride, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
        )


class ResidualBlock(nn.Module):
    """relu(shortcut(x) + BN(conv(relu(BN(conv(x)))))) (He et al. 2015, arXiv:1512.03385).

    x: (B, channels_in, H, W) → (B, channels_out, H/stride, W/stride).
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1):
        super().__init__()
        self.inner = ConvBlock(channels_in, channels_out, stride=stride)
        self.conv = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Identity()
        if channels_in != channels_out or stride != 1:
            self.shortcut = nn.Conv2d(channels_in, channels_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return (self.norm(self.conv(self.inner(x))) + self.shortcut(x)).relu()


class UNet(nn.Module):
    """The bottleneck-embedded U-Net: (x_t, t/T, y) → an image shaped as x_t.

    What the image means (ε or v) is for `DDPM` to say. The constructor only reads its config.
    """

    def __init__(self, config: UNetConfig = UNetConfig()):
        super().__init__()
        if not isinstance(config, UNetConfig):
            raise ValueError(f"config must be a UNetConfig, got {config!r:.60}")
        self.config = config
        at_28, at_14, at_7 = config.widths
        width = config.embedding_width

        # One convolution at full resolution, two further down: a second one here cost more time than it was worth.
        self.encoder_28 = ConvBlock(1, at_28)
        self.encoder_14 = ResidualBlock(at_28, at_14, stride=2)
        self.encoder_7 = ResidualBlock(at_14, at_7, stride=2)

        self.time_mlp = _mlp(1, width)
        self.label_mlp = _mlp(config.num_classes, width)
        # 1×1 is enough to read t and y, which are the same at every position.
        self.bottleneck = nn.Sequential(
            ConvBlock(at_7 + 2 * width, at_7, kernel_size=1),
            ResidualBlock(at_7, at_7),
        )

        self.up_14 = nn.ConvTranspose2d(at_7, at_14, kernel_size=2, stride=2)
        self.decoder_14 = ResidualBlock(2 * at_14, at_14)
        self.up_28 = nn.ConvTranspose2d(at_14, at_28, kernel_size=2, stride=2)
        self.decoder_28 = ConvBlock(2 * at_28, at_28)
        self.head = nn.Conv2d(at_28, 1, 3, padding=1)
        self.to(memory_format=self.memory_format)

    @property
    def memory_format(self) -> torch.memory_format:
        """channels_last, the layout that convolutions like best, except for networks thinner than 16 channels.

        For those, torch 2.14 on a CPU writes past its memory in the gradient of a strided 1×1 convolution with an odd
        number of images in channels_last, and the process dies.
        """
        return torch.channels_last if min(self.config.widths) >= 16 else torch.contiguous_format

    def forward(self, x_t: Tensor, time: Tensor, y: Tensor) -> Tensor:
        """x_t: (B, 1, 28, 28) float. time: (B,) float, t/T in (0, 1]. y: (B, K) float; a zero row means "no label"."""
        h_28 = self.encoder_28(x_t)  # (B, C, 28, 28)
        h_14 = self.encoder_14(h_28)  # (B, C, 14, 14)
        h = self.encoder_7(h_14)  # (B, C, 7, 7)

        h = torch.cat([h, resize(self.time_mlp(time[:, None]), h), resize(self.label_mlp(y), h)], dim=1)
        h = self.bottleneck(h)  # (B, C + 2E, 7, 7) → (B, C, 7, 7)

        h = self.decoder_14(torch.cat([self.up_14(h), h_14], dim=1))  # (B, C, 14, 14)
        h = self.decoder_28(torch.cat([self.up_28(h), h_28], dim=1))  # (B, C, 28, 28)
        return self.head(h)  # (B, 1, 28, 28)

    def folded(self) -> "UNet":
        """The same function of (x_t, t/T, y) in eval mode, with each BatchNorm folded into the convolution before it.

        In eval mode BatchNorm is a fixed scale and shift, so the kernel and a bias can do its work. A copy for
        sampling: this network keeps its weights and its mode.
        """
        return _fold_batchnorm(self)


def resize(embedding: Tensor, features: Tensor) -> Tensor:
    """(B, E) → (B, E, H, W): the same vector at every position of features (B, C, H, W)."""
    return embedding[:, :, None, None].expand(-1, -1, *features.shape[-2:])


def _mlp(width_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width_in, width), nn.SiLU(), nn.Linear(width, width))


def _fold_batchnorm(module: nn.Module) -> nn.Module:
    # Relies on this file's habit: what a BatchNorm normalises is the child before it. Others are left as they are.
    folded = copy.copy(module)
    folded.training = False
    folded._modules = {}  # a shallow copy would share its children with the original
    before = None
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d) and isinstance(folded._modules.get(before), nn.Conv2d):
            folded._modules[before] = _fold(folded._modules[before], child)
            child = nn.Identity()
        folded._modules[name] = _fold_batchnorm(child) if child._modules or child.training else child
        before = name
    return folded


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    # Not torch's fuse_conv_bn_eval: it makes deep copies, which takes longer than a step of sampling gains.
    statistics = norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    weight, bias = fuse_conv_bn_weights(conv.weight, conv.bias, *statistics)
    folded = copy.copy(conv)
    folded._parameters = {"weight": weight, "bias": bias}
    return folded
