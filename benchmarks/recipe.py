"""The search behind `DDPM.recommended()` and `TrainConfig`: one change at a time, each trained for the same CPU time.

    python benchmarks/recipe.py run [VARIANT...] [--seconds 100] [--seeds 0 1]     adds to benchmarks/recipe.jsonl
    python benchmarks/recipe.py table                                              the table of benchmarks/recipe.md

Time is the CPU time of one thread, so that you can compare two runs on a shared machine. The search needs all of MNIST
(make data). A variant has the form that `ddpm_lib.course.variants` gives it, and the variants of the course are the
first ones here.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean

from ddpm_lib import DDPM, NoiseSchedule, TrainConfig, UNet, UNetConfig, console, load_mnist, sample, train
from ddpm_lib.course import variants
from ddpm_lib.course.flows import flow_schedule
from ddpm_lib.course.variants import Variant, built
from ddpm_lib.ddpm import label_rows
from ddpm_lib.evaluation import evaluate
from ddpm_lib.unet import ResidualBlock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import TensorDataset

RESULTS = Path(__file__).parent / "recipe.jsonl"
SAMPLES, STEPS = 2000, 10  # per guidance weight
ROUND = 3  # of the search. 1 changed another recipe (commit 7d172c6); 2 and 3 the recommended one, 3 with later code
DEFAULT = TrainConfig(steps=1)


# ---------------------------------------------------------------------------- networks with one change


class Fourier(nn.Module):
    """(B, 1) → (B, 32): sines and cosines of 16 frequencies."""

    def forward(self, t_over_T: Tensor) -> Tensor:
        angles = t_over_T * math.pi * 2 ** torch.arange(0, 8, 0.5)
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class FourierTime(UNet):
    """t goes through Fourier features before its MLP."""

    def __init__(self, config: UNetConfig):
        super().__init__(config)
        self.time_mlp[0] = nn.Linear(32, config.embedding_width)
        self.time_mlp.insert(0, Fourier())


class Attention(nn.Module):
    """Self-attention over the 49 positions of the bottleneck, with four heads, added to its input."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm, self.qkv = nn.BatchNorm2d(channels), nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(1, (4, -1)).flatten(3).mT for part in self.qkv(self.norm(x)).chunk(3, dim=1))
        out = F.scaled_dot_product_attention(q, k, v).mT.reshape(x.shape)
        return x + self.out(out)


class WithAttention(UNet):
    """The bottleneck ends with self-attention."""

    def __init__(self, config: UNetConfig):
        super().__init__(config)
        self.bottleneck.append(Attention(config.widths[2]))


class TwoBlocks(UNet):
    """The bottleneck has a second residual block."""

    def __init__(self, config: UNetConfig):
        super().__init__(config)
        self.bottleneck.append(ResidualBlock(config.widths[2], config.widths[2]))
        self.to(memory_format=self.memory_format)


class NoBlock(UNet):
    """The bottleneck has no residual block."""

    def __init__(self, config: UNetConfig):
        super().__init__(config)
        del self.bottleneck[1]


class ZeroHead(UNet):
    """The weights of the head start at 0."""

    def __init__(self, config: UNetConfig):
        super().__init__(config)
        nn.init.zeros_(self.head.weight)


class ZeroInit(ZeroHead):
    """The head starts at 0, and so does the last BatchNorm of each residual branch."""

    def __init__(self, config: UNetConfig):
        super().__init__(config)
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                nn.init.zeros_(module.norm.weight)


class WithSiLU(UNet):
    """SiLU takes the place of each ReLU, except for the one at the end of a residual block."""

    def __init__(self, config: UNetConfig):
        super().__init__(config)
        for block in self.modules():
            if isinstance(block, nn.Sequential):
                for i, layer in enumerate(block):
                    if isinstance(layer, nn.ReLU):
                        block[i] = nn.SiLU()


def network(unet: Callable[[UNetConfig], UNet], **sizes) -> Variant:
    """Another class of network, or the same class with other sizes."""
    return Variant(lambda: DDPM(unet(UNetConfig(**sizes)), NoiseSchedule.cosine(T=500, shift=1.5), prediction="v"))


def shift(log_snr: float) -> Variant:
    """A cosine schedule whose log-SNR is lowered by another number than 1.5."""
    return Variant(built(schedule=partial(NoiseSchedule.cosine, T=500, shift=log_snr)))


def shifted_flow() -> NoiseSchedule:
    """Flow matching's schedule with the recommended shift: log-SNR is lowered by 1.5."""
    return NoiseSchedule.from_log_snr(flow_schedule().log_snr[1:] - 1.5)


# ---------------------------------------------------------------------------- losses with one change

# What they draw comes from torch's own generator, which `run` seeds.


def min_snr(ddpm: DDPM, x_0: Tensor, y: Tensor) -> Tensor:
    """Each image weighted by min(SNR, 5)/(SNR + 1) (Hang et al. 2023, arXiv:2303.09556, for v), with mean 1 over t."""
    t, error = ddpm.errors(x_0, y, DEFAULT.p_uncond)
    snr = ddpm.schedule.log_snr[1:].exp()  # (T,), of t = 1 … T
    weight = snr.clamp(max=5) / (snr + 1)
    return ((weight / weight.mean())[t - 1].view(-1, 1, 1, 1) * error).mean()


def uniform_t(ddpm: DDPM, x_0: Tensor, y: Tensor) -> Tensor:
    """The recommended loss, but each image draws its t by itself; `DDPM.errors` takes one from each part of 1 … T."""
    t = torch.randint(1, ddpm.schedule.T + 1, (len(x_0),))
    eps = torch.randn_like(x_0)
    rows = label_rows(y, ddpm.num_classes) * (torch.rand(len(x_0), 1) >= DEFAULT.p_uncond)
    v = ddpm.schedule.velocity(x_0, t, eps)
    return F.mse_loss(ddpm.unet(ddpm.schedule.add_noise(x_0, t, eps), t / ddpm.schedule.T, rows).to(v), v)


# ---------------------------------------------------------------------------- training with one change


class MuonAndAdamW(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for the kernels, as matrices, and AdamW for what is no matrix."""

    def __init__(self, parameters, lr=DEFAULT.lr, weight_decay=DEFAULT.weight_decay):
        parameters = list(parameters)
        self.kernels = [p for p in parameters if p.ndim == 4 and min(len(p), p[0].numel()) > 1]
        rest = [p for p in parameters if not any(p is kernel for kernel in self.kernels)]
        super().__init__([{"params": self.kernels, "lr": 5 * lr}, {"params": rest, "lr": lr}], {})
        self.matrices = [nn.Parameter(kernel.detach().flatten(1).clone()) for kernel in self.kernels]
        self.muon = torch.optim.Muon(self.matrices, lr=5 * lr, weight_decay=weight_decay)
        self.adamw = torch.optim.AdamW(rest, lr=lr, weight_decay=weight_decay, fused=True)

    @torch.no_grad()
    def step(self):
        # `train` sets the learning rates of this optimizer; the two inside follow.
        for inside, group in zip((self.muon, self.adamw), self.param_groups, strict=True):
            inside.param_groups[0]["lr"] = group["lr"]
        for kernel, matrix in zip(self.kernels, self.matrices, strict=True):
            matrix.grad = kernel.grad.flatten(1)
        self.muon.step()
        for kernel, matrix in zip(self.kernels, self.matrices, strict=True):
            kernel.copy_(matrix.view(kernel.shape))
        self.adamw.step()


def adamw(**changes) -> Callable:
    """AdamW as `train` makes it, but for these changes."""
    return partial(
        torch.optim.AdamW, **{"lr": DEFAULT.lr, "weight_decay": DEFAULT.weight_decay, "fused": True} | changes
    )


@dataclass(frozen=True)
class CPUTime(TrainConfig):
    """A TrainConfig whose `seconds` are those of the CPU's time of this process, from the moment it is made."""

    start: float = field(default_factory=time.process_time)

    def progress(self, step: int, seconds: float) -> float:
        return (time.process_time() - self.start) / self.seconds


def configured(**fields) -> Variant:
    """Other fields of `TrainConfig`."""
    return Variant(config=fields)


@dataclass(frozen=True)
class Shifted(Variant):
    """Each digit is there nine times: where it was, and moved by one pixel in each direction."""

    def train_set(self, images: Tensor, labels: Tensor) -> TensorDataset:
        moved = [images.roll((dy, dx), (2, 3)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        return TensorDataset(torch.cat(moved), labels.repeat(9))


# The course's variants, and what only this search tried.
VARIANTS = variants.VARIANTS | {
    "shift 0.5": shift(0.5),
    "shift 1": shift(1.0),
    "shift 2": shift(2.0),
    "flow, shift 1.5": Variant(built(schedule=shifted_flow, prediction="flow")),
    "batch 16": configured(batch_size=16),
    "batch 64": configured(batch_size=64),
    "batch 128": configured(batch_size=128),
    "lr 4e-3": configured(lr=4e-3),
    "lr 1.6e-2": configured(lr=1.6e-2),
    "EMA 0.99": configured(ema_decay=0.99),
    "EMA 0.995": configured(ema_decay=0.995),
    "EMA 0.999": configured(ema_decay=0.999),
    "p_uncond 0.05": configured(p_uncond=0.05),
    "p_uncond 0.2": configured(p_uncond=0.2),
    "weight decay 0.1": configured(weight_decay=0.1),
    "beta_2 0.99": Variant(optimizer=adamw(betas=(0.9, 0.99))),
    "lr 1.6e-2, beta_2 0.99": Variant(optimizer=adamw(lr=1.6e-2, betas=(0.9, 0.99))),
    "Muon": Variant(optimizer=MuonAndAdamW),
    "Fourier t": network(FourierTime),
    "attention": network(WithAttention),
    "two blocks at 7×7": network(TwoBlocks),
    "no block at 7×7": network(NoBlock),
    "zero-init": network(ZeroInit),
    "zero-init head": network(ZeroHead),
    "SiLU": network(WithSiLU),
    "widths 12/32/64": network(UNet, widths=(12, 32, 64)),
    "widths 16/32/96": network(UNet, widths=(16, 32, 96)),
    "widths 16/48/96": network(UNet, widths=(16, 48, 96)),
    "widths 16/24/64": network(UNet, widths=(16, 24, 64)),
    "widths 24/64/128": network(UNet, widths=(24, 64, 128)),
    "min-SNR": Variant(loss=min_snr),
    "uniform t": Variant(loss=uniform_t),
    "5,000 digits, shifted": Shifted(data_source="embedded"),
    "60,000 digits, shifted": Shifted(),
}


def run(name: str, seconds: float, seed: int, full: TensorDataset) -> dict:
    """Train one variant for `seconds` of CPU time and score it at w = 0 and w = 1."""
    variant = VARIANTS[name]
    torch.manual_seed(seed)
    ddpm = variant.build()
    data = load_mnist(source=variant.data_source)[0] if variant.data_source else full
    if isinstance(variant, Shifted):
        data = variant.train_set(*data.tensors)
    given = {"loss": variant.loss, "optimizer": variant.optimizer}
    config = CPUTime(seconds=seconds, **variant.config)
    for record in train(ddpm, data, config, torch.Generator().manual_seed(seed), **given):
        trained, steps = getattr(record, variant.weights), record.step
    result = {"round": ROUND, "variant": name, "seed": seed, "seconds": seconds, "steps": steps}
    labels = torch.arange(SAMPLES) % 10
    for w in (0, 1):
        generator = torch.Generator().manual_seed(1)
        scores = evaluate(sample(trained, labels, w=w, steps=STEPS, generator=generator), labels)
        result |= {f"fid_{w}": scores.fid, f"agreement_{w}": scores.agreement}
    return result | {"floor": scores.fid_floor}


def table() -> str:
    """A row for each variant of each round: means over its runs, ± half the range of FID."""
    runs = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    head = [
        "| variant | CPU s | steps | w = 0: FID | agreement | w = 1: FID | agreement | runs |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines, shown = [], None
    for key in dict.fromkeys((r["round"], r["variant"], r["seconds"]) for r in runs):
        same = [r for r in runs if (r["round"], r["variant"], r["seconds"]) == key]
        if key[0] != shown:
            shown = key[0]
            lines += ["", f"Round {key[0]}", "", *head]
        cells = [f"{mean(r['steps'] for r in same):,.0f}"]
        for w in (0, 1):
            fids = [r[f"fid_{w}"] for r in same]
            spread = f" ± {(max(fids) - min(fids)) / 2:.2f}" if len(fids) > 1 else ""
            cells += [f"{mean(fids):.2f}{spread}", f"{mean(r[f'agreement_{w}'] for r in same):.3f}"]
        lines.append(f"| {key[1]} | {key[2]:g} | {' | '.join(cells)} | {len(same)} |")
    return "\n".join(lines)


@console.command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("run", "table"))
    parser.add_argument("variants", nargs="*", choices=[[], *VARIANTS], default=[])
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_intermixed_args()
    if arguments.command == "table":
        return print(table())
    torch.set_num_threads(1)
    full, _ = load_mnist(source="full")
    for seed in arguments.seeds:
        for name in arguments.variants or VARIANTS:
            result = run(name, arguments.seconds, seed, full)
            with open(RESULTS, "a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
            print(result, flush=True)


if __name__ == "__main__":
    main()
