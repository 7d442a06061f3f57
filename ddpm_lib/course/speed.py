"""How fast this machine trains: the speed that turns seconds of another machine into seconds of this machine."""

from statistics import median

import torch
from torch.utils.data import TensorDataset

from ddpm_lib.ddpm import DDPM
from ddpm_lib.training import TrainConfig, train


def training_speed(rounds: int = 5, steps: int = 10) -> float:
    """Training images per second of the recommended model on this machine: the median of a few very short trainings.

    rounds: int ≥ 1, trainings that count; one more before them warms up. steps: int ≥ 1, steps of a training.
    The pictures are noise, because speed doesn't depend on them. torch's global generator stays as it was.
    """
    generator = torch.Generator().manual_seed(0)
    pictures = TensorDataset(torch.rand(320, 1, 28, 28, generator=generator), torch.arange(320) % 10)
    with torch.random.fork_rng():  # a new network draws its weights from torch's global generator
        ddpm = DDPM.recommended()
    speeds = []
    for _ in range(1 + rounds):
        *_, last = train(ddpm, pictures, TrainConfig(steps=steps), generator=generator)
        speeds.append(last.images_per_s)
    return median(speeds[1:])
