"""Variants of the training recipe: the recommended recipe with one thing changed (for flow: question and schedule).

`make variants` trains all of them, notebook 08 shows their scores. To add a variant, write one more entry: it says
what builds the model, or what `TrainConfig` and `train` get.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ddpm_lib.course.flows import flow_schedule
from ddpm_lib.ddpm import DDPM
from ddpm_lib.schedule import NoiseSchedule


@dataclass(frozen=True)
class Variant:
    """The recommended recipe with one thing changed; `Variant()` is the recipe itself.

    build: makes the untrained model, with weights from torch's global generator. config: fields of `TrainConfig`.
    loss, optimizer: as in `train`; None is the library's default. data_source: as in `load_mnist`; None: the caller's.
    weights: which of a `TrainRecord`'s models is scored, "ema" or "raw".
    """

    build: Callable[[], DDPM] = DDPM.recommended
    config: dict = field(default_factory=dict)
    loss: Callable | None = None
    optimizer: Callable | None = None
    data_source: str | None = None
    weights: str = "ema"


class NotTold(nn.Module):
    """A U-Net that gets zeros in the place of t, and with hears_y=False in the place of y, too.

    The network inside is the same, with the same initial weights.
    """

    def __init__(self, unet: nn.Module, hears_y: bool = True):
        super().__init__()
        self.unet, self.hears_y = unet, hears_y

    def forward(self, x_t: Tensor, t_over_T: Tensor, y: Tensor) -> Tensor:
        return self.unet(x_t, torch.zeros_like(t_over_T), y if self.hears_y else torch.zeros_like(y))


def built(
    wrap: Callable[[nn.Module], nn.Module] | None = None,
    schedule: Callable[[], NoiseSchedule] | None = None,
    prediction: str | None = None,
) -> Callable[[], DDPM]:
    """A function that builds the recommended model, except for what is given here.

    wrap: makes another network from the recommended. schedule: makes the noise schedule. prediction: as in `DDPM`.
    """

    def build() -> DDPM:
        ddpm = DDPM.recommended()
        unet = wrap(ddpm.unet) if wrap else ddpm.unet
        return DDPM(unet, schedule() if schedule else ddpm.schedule, prediction or ddpm.prediction)

    return build


VARIANTS = {
    "recommended": Variant(),
    "eps": Variant(built(prediction="eps")),  # the network regresses ε instead of v
    "p_uncond 0": Variant(config={"p_uncond": 0.0}),  # no label is dropped: "no label" is never learned
    "p_uncond 0.3": Variant(config={"p_uncond": 0.3}),
    "linear schedule": Variant(built(schedule=NoiseSchedule.linear)),
    "cosine, not shifted": Variant(built(schedule=NoiseSchedule.cosine)),
    "flow": Variant(built(schedule=flow_schedule, prediction="flow")),  # flow matching: u = ε − x_0 and its schedule
    "EMA off": Variant(weights="raw"),  # the weights of the optimizer are scored, not their average
    "no t": Variant(built(NotTold)),
    "no embeddings": Variant(built(functools.partial(NotTold, hears_y=False))),
    "5,000 digits": Variant(data_source="embedded"),  # 4,500 digits are trained on, 500 are held out
}
