"""The search behind `DDPM.recommended()` and `TrainConfig`: one change at a time, each trained for the same CPU time.

    python benchmarks/recipe.py run [VARIANT...] [--seconds 100] [--seeds 0 1]     adds to benchmarks/recipe.jsonl
    python benchmarks/recipe.py table                                              the table of benchmarks/recipe.md

Time is the CPU time of one thread, so that two runs on one shared machine compare. Needs all of MNIST (make data).
"""

import argparse
import json
import math
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import mean
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ddpm_lib import DDPM, NoiseSchedule, TrainConfig, UNet, UNetConfig, load_mnist, sample, train
from ddpm_lib.evaluation import evaluate
from ddpm_lib.unet import ResidualBlock

RESULTS = Path(__file__).parent / "recipe.jsonl"
SAMPLES, STEPS = 2000, 10  # per guidance weight
ROUND = 2  # of the search: what "base" is changes with it. Round 1 ran at commit 7d172c6, from shift 1.0 and lr 4e-3


def build(widths=(16, 32, 64), unet=UNet, ddpm=DDPM, prediction="v", shift=1.5, schedule=None) -> DDPM:
    """The recommended model, but for one change."""
    return ddpm(unet(UNetConfig(widths=widths)), schedule or NoiseSchedule.cosine(T=500, shift=shift), prediction)


# ---------------------------------------------------------------------------- networks with one change


class Fourier(nn.Module):
    """(B, 1) → (B, 32): sines and cosines of 16 frequencies."""

    def forward(self, time: Tensor) -> Tensor:
        angles = time * math.pi * 2 ** torch.arange(0, 8, 0.5)
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class FourierTime(UNet):
    """t goes through Fourier features before its MLP."""

    def __init__(self, config: UNetConfig):
        super().__init__(config)
        self.time_mlp[0] = nn.Linear(32, config.embedding_width)
        self.time_mlp.insert(0, Fourier())


class Attention(nn.Module):
    """Self-attention over the 49 positions of the bottleneck, four heads, added to its input."""

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
    def __init__(self, config: UNetConfig):
        super().__init__(config)
        self.bottleneck.append(Attention(config.widths[2]))


class TwoBlocks(UNet):
    """A second residual block at the bottleneck."""

    def __init__(self, config: UNetConfig):
        super().__init__(config)
        self.bottleneck.append(ResidualBlock(config.widths[2], config.widths[2]))
        self.to(memory_format=self.memory_format)


class NoBlock(UNet):
    """No residual block at the bottleneck."""

    def __init__(self, config: UNetConfig):
        super().__init__(config)
        del self.bottleneck[1]


class ZeroHead(UNet):
    """The head starts at 0."""

    def __init__(self, config: UNetConfig):
        super().__init__(config)
        nn.init.zeros_(self.head.weight)


class ZeroInit(ZeroHead):
    """The head and the last BatchNorm of each residual branch start at 0."""

    def __init__(self, config: UNetConfig):
        super().__init__(config)
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                nn.init.zeros_(module.norm.weight)


def silu(config: UNetConfig) -> UNet:
    """SiLU for ReLU, but for the one at the end of residual blocks."""
    unet = UNet(config)
    for module in unet.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.SiLU())
    return unet


# ---------------------------------------------------------------------------- losses with one change


class MinSNR(DDPM):
    """Each image weighted by min(SNR, 5)/(SNR + 1) (Hang et al. 2023, arXiv:2303.09556, for v), with mean 1 over t."""

    def loss(self, x_0, y, p_uncond=0.1, generator=None):
        snr = self.schedule.log_snr[1:].exp()
        weight = snr.clamp(max=5) / (snr + 1)
        weight = weight / weight.mean()  # of t = 1 … T
        seen, velocity = {}, self.schedule.velocity

        def remember(x_0, t, eps):
            seen["t"] = t
            return velocity(x_0, t, eps)

        def mse(v_hat, v):
            return ((v_hat - v).square().mean(dim=(1, 2, 3)) * weight[seen["t"] - 1]).mean()

        with mock.patch.object(self.schedule, "velocity", remember), mock.patch("ddpm_lib.ddpm.F.mse_loss", mse):
            return super().loss(x_0, y, p_uncond, generator)


class UniformT(DDPM):
    """t drawn anew for each image instead of stratified."""

    def _stratified_t(self, batch, generator):
        return torch.randint(1, self.schedule.T + 1, (batch,), generator=generator)


# ---------------------------------------------------------------------------- training with one change


class MuonAndAdamW:
    """Muon (Jordan et al. 2024) for the kernels, as matrices, and AdamW for what is no matrix."""

    def __init__(self, parameters, lr, weight_decay, fused):
        parameters = list(parameters)
        kernels = [p for p in parameters if p.ndim == 4 and min(len(p), p[0].numel()) > 1]
        self.kernels = kernels
        self.matrices = [nn.Parameter(p.detach().flatten(1).clone()) for p in kernels]
        others = [p for p in parameters if not any(p is kernel for kernel in kernels)]
        self.muon = torch.optim.Muon(self.matrices, lr=lr * 5, weight_decay=weight_decay)
        self.adamw = ADAMW(others, lr=lr, weight_decay=weight_decay, fused=fused)
        self.param_groups = self.adamw.param_groups

    def zero_grad(self):
        for p in self.kernels:
            p.grad = None
        self.adamw.zero_grad()

    def step(self):
        for group in self.muon.param_groups:
            group["lr"] = self.param_groups[0]["lr"] * 5
        for kernel, matrix in zip(self.kernels, self.matrices, strict=True):
            matrix.grad = kernel.grad.flatten(1)
        self.muon.step()
        with torch.no_grad():
            for kernel, matrix in zip(self.kernels, self.matrices, strict=True):
                kernel.copy_(matrix.view(kernel.shape))
        self.adamw.step()


ADAMW = torch.optim.AdamW


def adamw(**changes):
    return lambda parameters, **given: ADAMW(parameters, **given | changes)


class Shifted(TensorDataset):
    """Digits, and each of them moved by up to one pixel in either direction: nine for one."""

    def __init__(self, data: TensorDataset):
        images, labels = data.tensors
        moved = [images.roll((dy, dx), (2, 3)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        super().__init__(torch.cat(moved), labels.repeat(9))


def few(data: TensorDataset) -> TensorDataset:
    return load_mnist(source="embedded")[0]


# name → what is another than in base: arguments of `build`, those of TrainConfig, the optimizer, the data.
VARIANTS = {
    "base": {},
    "eps": {"model": {"prediction": "eps"}},
    "linear": {"model": {"schedule": NoiseSchedule.linear()}},
    "shift 0": {"model": {"shift": 0.0}},
    "shift 0.5": {"model": {"shift": 0.5}},
    "shift 1": {"model": {"shift": 1.0}},
    "shift 2": {"model": {"shift": 2.0}},
    "batch 16": {"config": {"batch_size": 16}},
    "batch 64": {"config": {"batch_size": 64}},
    "batch 128": {"config": {"batch_size": 128}},
    "lr 4e-3": {"config": {"lr": 4e-3}},
    "lr 1.6e-2": {"config": {"lr": 1.6e-2}},
    "EMA 0.99": {"config": {"ema_decay": 0.99}},
    "EMA 0.995": {"config": {"ema_decay": 0.995}},
    "EMA 0.999": {"config": {"ema_decay": 0.999}},
    "p_uncond 0.05": {"config": {"p_uncond": 0.05}},
    "p_uncond 0.2": {"config": {"p_uncond": 0.2}},
    "weight decay 0.1": {"config": {"weight_decay": 0.1}},
    "beta_2 0.99": {"optimizer": adamw(betas=(0.9, 0.99))},
    "lr 1.6e-2, beta_2 0.99": {"config": {"lr": 1.6e-2}, "optimizer": adamw(betas=(0.9, 0.99))},
    "Muon": {"optimizer": MuonAndAdamW},
    "Fourier t": {"model": {"unet": FourierTime}},
    "attention": {"model": {"unet": WithAttention}},
    "two blocks at 7×7": {"model": {"unet": TwoBlocks}},
    "no block at 7×7": {"model": {"unet": NoBlock}},
    "zero-init": {"model": {"unet": ZeroInit}},
    "zero-init head": {"model": {"unet": ZeroHead}},
    "SiLU": {"model": {"unet": silu}},
    "widths 12/32/64": {"model": {"widths": (12, 32, 64)}},
    "widths 16/32/96": {"model": {"widths": (16, 32, 96)}},
    "widths 16/48/96": {"model": {"widths": (16, 48, 96)}},
    "widths 16/24/64": {"model": {"widths": (16, 24, 64)}},
    "widths 24/64/128": {"model": {"widths": (24, 64, 128)}},
    "min-SNR": {"model": {"ddpm": MinSNR}},
    "uniform t": {"model": {"ddpm": UniformT}},
    "5,000 digits": {"data": few},
    "5,000 digits, shifted": {"data": lambda data: Shifted(few(data))},
    "60,000 digits, shifted": {"data": Shifted},
}


def run(name: str, seconds: float, seed: int, full: TensorDataset) -> dict:
    """Train one variant for `seconds` of CPU time and score it at w = 0 and w = 1."""
    variant = VARIANTS[name]
    torch.manual_seed(seed)
    ddpm = build(**variant.get("model", {}))
    data = variant.get("data", lambda data: data)(full)
    config = TrainConfig(seconds=seconds, **variant.get("config", {}))
    with ExitStack() as patches:
        patches.enter_context(mock.patch("ddpm_lib.training.time.perf_counter", time.process_time))
        patches.enter_context(mock.patch("torch.optim.AdamW", variant.get("optimizer", ADAMW)))
        for record in train(ddpm, data, config, torch.Generator().manual_seed(seed)):
            steps = record.step
    result = {"round": ROUND, "variant": name, "seed": seed, "seconds": seconds, "steps": steps}
    labels = torch.arange(SAMPLES) % 10
    for w in (0, 1):
        generator = torch.Generator().manual_seed(1)
        scores = evaluate(sample(ddpm, labels, w=w, steps=STEPS, generator=generator), labels)
        result |= {f"fid_{w}": scores.fid, f"agreement_{w}": scores.agreement}
    return result | {"floor": scores.fid_floor}


def table() -> str:
    """Every variant of each round with the mean over its seeds."""
    runs = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    head = [
        "| variant | CPU s | steps | w = 0: FID | agreement | w = 1: FID | agreement | seeds |",
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
