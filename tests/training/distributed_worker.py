"""What each process of test_distributed.py does under torchrun: train, write down what it saw; rank 1 then fails.

python -m torch.distributed.run --standalone --nproc_per_node=2 tests/training/distributed_worker.py FOLDER
"""

import sys
import time
from pathlib import Path

import safetensors.torch
import torch
from torch import nn
from torch.utils.data import TensorDataset

from ddpm_lib import DDPM, NoiseSchedule, TrainConfig, UNet, UNetConfig, ddpm, load_mnist, precision, train, training
from ddpm_lib.training import distributed

CPU = torch.device("cpu")


class NoBatchNorm(nn.Module):
    """A small network of (x_t, time, y) in which no image depends on the others of its batch."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1)
        self.told = nn.Linear(11, 4)
        self.calls = []

    def forward(self, x_t, time, y):
        self.calls.append((x_t.detach(), time, y))
        told = self.told(torch.cat([time[:, None], y], dim=1))
        return self.head((self.conv(x_t) + told[:, :, None, None]).relu())


def ids_as_images(n):
    """n images, number i with the grey i/n."""
    ids = torch.arange(n)
    return TensorDataset((ids / n).view(-1, 1, 1, 1).expand(-1, 1, 28, 28).clone(), ids % 7)


def flat(module):
    return torch.cat([parameter.detach().flatten().clone() for parameter in module.parameters()])


def report(folder):
    rank, seen = distributed.rank(), {}

    # A network with seven classes, other first weights in each process, a number of images that two don't divide.
    torch.manual_seed(rank)
    model = DDPM(UNet(UNetConfig((4, 8, 8), 8, num_classes=7)), NoiseSchedule.cosine(20))
    images, loss, eps = [], DDPM.loss, []
    DDPM.loss = lambda self, x_0, *rest: images.append(x_0.clone()) or loss(self, x_0, *rest)
    add_noise = NoiseSchedule.add_noise
    NoiseSchedule.add_noise = lambda self, x_0, t, e: eps.append(e.clone()) or add_noise(self, x_0, t, e)
    raw, average = [], []
    config = TrainConfig(steps=7, batch_size=8, lr=0.01, warmup=0)
    for record in train(model, ids_as_images(49), config, torch.Generator().manual_seed(5), device=CPU):
        raw.append(flat(record.raw.unet))
        average.append(flat(model.unet))
    seen["raw"], seen["average"], seen["eps"] = torch.stack(raw), torch.stack(average), torch.stack(eps)
    seen["ids"] = torch.stack([((x_0[:, 0, 0, 0] + 1) / 2 * 49).round().long() for x_0 in images])
    seen["running_mean"] = record.raw.unet.encoder_28[1].running_mean.clone()
    DDPM.loss, NoiseSchedule.add_noise = loss, add_noise

    # The same once more, with snapshots: stopped after five of seven steps, gone on from the third.
    training.EVERY = 3
    for seed, last in ((5, 5), (6, 7)):
        torch.manual_seed(rank if seed == 5 else 10)
        model = DDPM(UNet(UNetConfig((4, 8, 8), 8, num_classes=7)), NoiseSchedule.cosine(20))
        generator = torch.Generator().manual_seed(seed)
        for record in train(model, ids_as_images(49), config, generator, device=CPU, resume=folder / "snapshot"):
            if record.step == last:
                seen["resumed"] = flat(record.raw.unet)
                break

    # One step of a network without BatchNorm: what went in, what it should have said, the gradient that came back.
    torch.manual_seed(9)
    model = DDPM(NoBatchNorm(), NoiseSchedule.cosine(20))
    targets, mse_loss = [], ddpm.F.mse_loss
    ddpm.F.mse_loss = lambda got, target, **more: targets.append(target) or mse_loss(got, target, **more)
    (record,) = train(model, ids_as_images(40), TrainConfig(steps=1, batch_size=8), device=CPU)
    ddpm.F.mse_loss = mse_loss
    (call,) = record.raw.unet.calls
    seen |= dict(zip(("x_t", "time", "y"), call, strict=True)) | {"target": targets[0]}
    seen["gradient"] = torch.cat([parameter.grad.flatten() for parameter in record.raw.unet.parameters()])

    # A loss and an optimizer of one's own, stopped and gone on with. Each process draws noise of its own.
    noise = torch.Generator().manual_seed(rank)

    def squares(model, x_0, y):
        return model.errors(x_0, y, generator=noise)[1].square().mean()

    def momentum(parameters):
        return torch.optim.SGD(parameters, lr=0.01, momentum=0.9)

    own = []
    for last in (4, 7):
        torch.manual_seed(rank)
        model = DDPM(UNet(UNetConfig((4, 8, 8), 8, num_classes=7)), NoiseSchedule.cosine(20))
        config = TrainConfig(steps=7, batch_size=8, warmup=0)
        how = {"loss": squares, "optimizer": momentum, "resume": folder / "own", "device": CPU}
        for record in train(model, ids_as_images(49), config, torch.Generator().manual_seed(5), **how):
            own.append(flat(record.raw.unet))
            if record.step == last:
                break
    seen["own"] = torch.stack(own)  # steps 1 … 4, then 4 … 7 again

    # A budget of seconds, and one process that is slower than the other.
    torch.manual_seed(0)
    model = DDPM(UNet(UNetConfig((1, 1, 1), 1)), NoiseSchedule.cosine(20))
    steps = 0
    for record in train(model, ids_as_images(40), TrainConfig(seconds=0.5, batch_size=4), device=CPU):
        steps = record.step
        time.sleep(0.02 * rank)
    seen["steps"] = torch.tensor(steps)

    # Digits: does it learn?
    digits = TensorDataset(*(tensor[::20].clone() for tensor in load_mnist(source="embedded")[0].tensors))
    model = DDPM(UNet(UNetConfig((4, 8, 8), 8)), NoiseSchedule.cosine(100), "v")
    config = TrainConfig(steps=60, batch_size=16, lr=0.01)
    losses = [record.loss for record in train(model, digits, config, torch.Generator().manual_seed(0), device=CPU)]
    seen["losses"] = torch.tensor(losses)
    return seen


def fail():
    model = DDPM(UNet(UNetConfig((1, 1, 1), 1)), NoiseSchedule.cosine(20))
    for record in train(model, ids_as_images(40), TrainConfig(steps=10**6, batch_size=4), device=CPU):
        if record.step == 3 and distributed.rank() == 1:
            raise ZeroDivisionError("rank 1 fails on purpose")


if __name__ == "__main__":  # the tests import this file too: what is changed for good stands below
    torch.set_num_threads(1)
    precision.has_fast_bf16 = lambda device: False  # rounding to bfloat16 would hide what the tests compare
    with distributed.process_group():
        folder = Path(sys.argv[1])
        seen = {name: tensor.contiguous() for name, tensor in report(folder).items()}
        safetensors.torch.save_file(seen, folder / f"rank_{distributed.rank()}.safetensors")
        fail()
