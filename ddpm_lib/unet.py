"""The network: a U-Net that is told t and y, and as a student w, at its bottleneck, and nowhere else.

Shapes    B batch · C channels · E embedding_width · K num_classes
          They are MNIST's. With another size, names and comments keep 28, 14 and 7 for all, half and a quarter of it.

    28×28   encoder_28 ──────────── skip ────────────► decoder_28 ─► head
    14×14       encoder_14 ──────── skip ────────► decoder_14
     7×7            encoder_7 ─► [features, t, y(, w)] ─► bottleneck
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ddpm_lib import guards


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of a `UNet`.

    widths: three ints ≥ 1, the channels at 28×28, 14×14 and 7×7.
    embedding_width: int ≥ 1, the channels that t and y each add to the bottleneck.
    num_classes: int ≥ 1, the length of a label row. w_max: finite number ≥ 0; above 0 the network hears the guidance
    weight w, too, in −1 … w_max. channels: 1 for grey images, 3 for colours. size: int, a multiple of 4 from 16 to 64,
    the pixels of a side. classes: what the classes are called, K different strings; () says nothing about it.
    Raises ValueError for anything else.
    """

    widths: tuple[int, int, int] = (16, 32, 64)
    embedding_width: int = 64
    num_classes: int = 10
    w_max: float = 0.0
    channels: int = 1
    size: int = 28
    classes: tuple[str, ...] = ()

    def __post_init__(self):
        # A list becomes a tuple here: it may come from JSON, or from a caller who changes it later.
        object.__setattr__(self, "widths", guards.widths("widths", self.widths))
        guards.size("embedding_width", self.embedding_width)
        guards.size("num_classes", self.num_classes)
        object.__setattr__(self, "w_max", float(guards.finite("w_max", self.w_max, least=0)))
        guards.image_shape(self.channels, self.size)
        object.__setattr__(self, "classes", guards.names("classes", self.classes, self.num_classes))


class ConvBlock(nn.Sequential):
    """relu(BN(conv(x))) (BatchNorm: Ioffe & Szegedy 2015, arXiv:1502.03167).

    x: (B, channels_in, H, W) → (B, channels_out, H/stride, W/stride).
    """

    def __init__(self, channels_in: int, channels_out: int, kernel_size: int = 3, stride: int = 1):
        super().__init__(
            # A bias before BatchNorm has no effect: BatchNorm subtracts the mean, and the bias with it.
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
    """The bottleneck-embedded U-Net: (x_t, t/T, y), and w if config.w_max > 0 → an image shaped as x_t.

    `DDPM` decides what the image means: ε, x_0, v or u. The constructor does not change config.
    """

    def __init__(self, config: UNetConfig = UNetConfig()):
        super().__init__()
        self.config = guards.instance("config", config, UNetConfig, "a UNetConfig")
        at_28, at_14, at_7 = config.widths
        width = config.embedding_width

        # At 28×28 there is one convolution, not two: the second one cost more seconds than it was worth.
        self.encoder_28 = ConvBlock(config.channels, at_28)
        self.encoder_14 = ResidualBlock(at_28, at_14, stride=2)
        self.encoder_7 = ResidualBlock(at_14, at_7, stride=2)

        self.time_mlp = _mlp(1, width)
        self.label_mlp = _mlp(config.num_classes, width)
        self.guidance_mlp = _mlp(1, width) if config.w_max else None
        # A 1×1 kernel is enough to read t, y and w, which are the same at every position.
        heard = at_7 + (3 if config.w_max else 2) * width
        self.bottleneck = nn.Sequential(ConvBlock(heard, at_7, kernel_size=1), ResidualBlock(at_7, at_7))

        self.up_14 = nn.ConvTranspose2d(at_7, at_14, kernel_size=2, stride=2)
        self.decoder_14 = ResidualBlock(2 * at_14, at_14)
        self.up_28 = nn.ConvTranspose2d(at_14, at_28, kernel_size=2, stride=2)
        self.decoder_28 = ConvBlock(2 * at_28, at_28)
        self.head = nn.Conv2d(at_28, config.channels, 3, padding=1)
        self.to(memory_format=self.memory_format)

    @property
    def memory_format(self) -> torch.memory_format:
        """channels_last, which makes convolutions fastest; contiguous_format if a width is below 16.

        In channels_last with fewer than 16 channels, torch 2.14 writes past its memory on a CPU, and the process dies:
        in the gradient of a strided 1×1 convolution, with an odd number of images.
        """
        return torch.channels_last if min(self.config.widths) >= 16 else torch.contiguous_format

    def forward(self, x_t: Tensor, t_over_T: Tensor, y: Tensor, w: Tensor | None = None) -> Tensor:
        """x_t: (B, 1, 28, 28) float. t_over_T: (B,) float in (0, 1]. y: (B, K) float; a zero row means "no label".

        w: (B,) float, −1 … w_max, if w_max > 0; None is w = 0.
        """
        h_28 = self.encoder_28(x_t)  # (B, C, 28, 28)
        h_14 = self.encoder_14(h_28)  # (B, C, 14, 14)
        h = self.encoder_7(h_14)  # (B, C, 7, 7)

        told = [self.time_mlp(t_over_T[:, None]), self.label_mlp(y)]  # (B, E) each
        if getattr(self, "guidance_mlp", None):  # notebook 02 lends this method to a network that has none
            told.append(self.guidance_mlp((0 * t_over_T if w is None else w)[:, None] / self.config.w_max))
        h = torch.cat([h, *(resize(embedding, h) for embedding in told)], dim=1)  # (B, C + 2E, 7, 7), with w C + 3E
        h = self.bottleneck(h)  # (B, C, 7, 7)

        h = self.decoder_14(torch.cat([self.up_14(h), h_14], dim=1))  # (B, C, 14, 14)
        h = self.decoder_28(torch.cat([self.up_28(h), h_28], dim=1))  # (B, C, 28, 28)
        return self.head(h)  # (B, 1, 28, 28)


def resize(embedding: Tensor, features: Tensor) -> Tensor:
    """(B, E) → (B, E, H, W): the same vector at every position of features (B, C, H, W)."""
    return embedding[:, :, None, None].expand(-1, -1, *features.shape[-2:])


def _mlp(width_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width_in, width), nn.SiLU(), nn.Linear(width, width))
