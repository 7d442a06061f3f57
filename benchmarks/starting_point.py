"""The starting point of this course, aestuans/mnist-diffusion, rebuilt from its description to compare with.

It differs from `ddpm_lib` in this: it has wide convolutions at full resolution, one skip connection, images in [0, 1],
a linear schedule, the loss on ε, Adam without averaged weights, float32, and T steps of ancestral sampling. Where the
description leaves room, our own classes are used. It has one bug, uniform noise in the sampler; an argument of
`sample` switches it on.
"""

import math
from collections.abc import Iterator

from ddpm_lib import NoiseSchedule
from ddpm_lib.ddpm import DDPM, label_rows
from ddpm_lib.precision import eval_mode
from ddpm_lib.unet import ResidualBlock, resize

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPOCHS, BATCH_SIZE, LR, P_UNCOND = 15, 256, 2e-3, 0.1


class StartingPointUNet(nn.Module):
    """(x_t, t/T, y) → ε̂: it has widths 64/64/128 and one skip at 28×28; t and y enter at the bottleneck."""

    def __init__(self):
        super().__init__()
        self.encoder_28 = ResidualBlock(1, 64)
        self.encoder_7 = nn.Sequential(ResidualBlock(64, 64, stride=2), ResidualBlock(64, 128, stride=2))
        self.time_mlp = nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 16))
        self.label_mlp = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 16))
        self.decoder_28 = nn.Sequential(
            ResidualBlock(128 + 2 * 16, 64),
            nn.ConvTranspose2d(64, 64, kernel_size=2, stride=2),
            ResidualBlock(64, 64),
            nn.ConvTranspose2d(64, 64, kernel_size=2, stride=2),
        )
        self.head = nn.Sequential(ResidualBlock(64 + 64, 64), nn.Conv2d(64, 1, 1))

    def forward(self, x_t: Tensor, t_over_T: Tensor, y: Tensor) -> Tensor:
        skip = self.encoder_28(x_t)  # (B, 64, 28, 28)
        h = self.encoder_7(skip)  # (B, 128, 7, 7)
        h = torch.cat([h, resize(self.time_mlp(t_over_T[:, None]), h), resize(self.label_mlp(y), h)], dim=1)
        return self.head(torch.cat([self.decoder_28(h), skip], dim=1))  # (B, 1, 28, 28)


def starting_point() -> DDPM:
    """The untrained model: its network and its schedule."""
    return DDPM(StartingPointUNet(), NoiseSchedule.linear(T=500, beta_1=1e-4, beta_T=0.02), prediction="eps")


def steps_of(images: int) -> int:
    """Optimizer steps of its recipe on so many images: 15 epochs, each with a smaller batch at the end."""
    return EPOCHS * math.ceil(images / BATCH_SIZE)


def loss_of(ddpm: DDPM, x_0: Tensor, labels: Tensor) -> Tensor:
    """‖ε − ε̂‖², where each image draws its t by itself. x_0: (B, 1, 28, 28) in [0, 1], as the starting point has it."""
    t = torch.randint(1, ddpm.schedule.T + 1, (len(x_0),))
    eps = torch.randn_like(x_0)
    y = label_rows(labels, 10) * (torch.rand(len(x_0), 1) >= P_UNCOND)
    x_t = ddpm.schedule.add_noise(x_0, t, eps)
    return F.mse_loss(ddpm.unet(x_t, t / ddpm.schedule.T, y).to(eps), eps)


def training_steps(
    ddpm: DDPM, images: Tensor, labels: Tensor, epochs: int = EPOCHS, bf16: bool = False
) -> Iterator[float]:
    """Its recipe: Adam, with a learning rate that falls along half a cosine by epochs. Yields the loss of each step."""
    optimizer = torch.optim.Adam(ddpm.unet.parameters(), lr=LR)
    ddpm.unet.train()
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = LR * (1 + math.cos(math.pi * epoch / epochs)) / 2
        for chosen in torch.randperm(len(images)).split(BATCH_SIZE):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                loss = loss_of(ddpm, images[chosen], labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()


def sample(ddpm: DDPM, labels: Tensor, w: float = 0.0, uniform_noise: bool = False, bf16: bool = False) -> Tensor:
    """Its sampler: T steps x_{t−1} = (x_t − β_t/√(1−ᾱ_t)·ε̂)/√α_t + √β_t·z, without clipping; the images are in [0, 1].

    uniform_noise: z is uniform in [0, 1), as it was published, instead of Gaussian.
    """
    schedule = ddpm.schedule
    x_t = torch.randn(len(labels), 1, 28, 28)
    noise_like = torch.rand_like if uniform_noise else torch.randn_like
    with torch.inference_mode(), eval_mode(ddpm), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        for t in range(schedule.T, 0, -1):
            eps_hat = ddpm.predict_noise(x_t, torch.full((len(labels),), t), labels, w=w)
            beta = schedule.beta[t]
            x_t = (x_t - beta / (1 - schedule.alpha_bar[t]).sqrt() * eps_hat) / schedule.alpha[t].sqrt()
            if t > 1:
                x_t = x_t + beta.sqrt() * noise_like(x_t)
    return x_t.clamp(0, 1).clone()
