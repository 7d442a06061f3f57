"""The course on a GPU beside the CPU of the same machine, in turns within one run: training, sampling, distilling.

    python benchmarks/gpu.py

Prints the table of docs/benchmarks.md, in a minute. Noise is drawn on the CPU, so both draw the same digits from a
seed; the last line says how far these lie apart.
"""

import copy
from collections.abc import Callable, Iterator
from statistics import median

from ddpm_lib import (
    DDPM,
    DistillConfig,
    TrainConfig,
    best_device,
    console,
    describe_machine,
    distill,
    load_checkpoint,
    load_mnist,
    renoise_step,
    sample,
    student_of,
    train,
)

import torch
from bench import CPU, ROUNDS, in_turns, ratio, text


def rates(name: str, unit: str, number: int, make: Callable[[torch.device], Callable[[], object]]) -> None:
    """Print one row: images per second, or milliseconds a call, of either device. make gives a device's task."""
    gpu = best_device()

    def done(task: Callable[[], object]) -> Callable[[], None]:
        return lambda: (task(), torch.accelerator.synchronize())

    seconds = in_turns(cpu=done(make(CPU)), gpu=done(make(gpu)))
    middle = [median(seconds[device]) / number for device in ("cpu", "gpu")]
    shown = [f"{1000 * each:,.1f}" if unit == "ms" else f"{1 / each:,.0f}" for each in middle]
    print(f"| {name}, {unit} | {shown[0]} | {shown[1]} | {text(ratio(seconds['cpu'], seconds['gpu']))} |", flush=True)


def eight(steps: Iterator) -> Callable[[], object]:
    """The next eight records of a training."""
    return lambda: [next(steps) for _ in range(8)]


@console.command
def main() -> None:
    if best_device() == CPU:
        raise SystemExit("benchmarks/gpu.py compares a GPU with the CPU, and torch finds no GPU here")
    data, _ = load_mnist(source="embedded")
    teacher, student = load_checkpoint(), load_checkpoint("student")
    print(describe_machine())
    print(f"CPU: {torch.get_num_threads()} threads; medians of {ROUNDS} rounds in turns, ratios with their range\n")
    print("| | CPU | GPU | ratio |\n|---|---:|---:|---:|")

    def training(batch_size: int) -> Callable[[torch.device], Callable[[], object]]:
        config = TrainConfig(steps=100_000, batch_size=batch_size)
        return lambda device: eight(train(DDPM.recommended(), data, config, device=device))

    def distilling(device: torch.device) -> Callable[[], object]:
        config, model = DistillConfig(steps=100_000), copy.deepcopy(teacher).to(device)
        return eight(distill(model, data, config, student_of(model), device=device))

    def drawing(ddpm: DDPM, n: int, **how: object) -> Callable[[torch.device], Callable[[], object]]:
        models = {device.type: copy.deepcopy(ddpm).to(device) for device in (CPU, best_device())}
        return lambda device: lambda: sample(models[device.type], torch.arange(n) % 10, w=1.0, **how)

    for batch_size in (32, 512):
        rates(f"training, batches of {batch_size}", "images/s", 8 * batch_size, training(batch_size))
    rates("distilling", "images/s", 8 * DistillConfig(steps=1).batch_size, distilling)
    rates("ten guided digits, 8 steps", "ms", 1, drawing(teacher, 10, sampler="dpmpp_2m", steps=8))
    rates("ten digits of the student, 1 step", "ms", 1, drawing(student, 10, steps=1))
    rates("guided digits, 8 steps", "images/s", 2000, drawing(teacher, 2000, sampler="dpmpp_2m", steps=8))
    rates("digits of the student, 2 steps", "images/s", 2000, drawing(student, 2000, steps=2, sampler=renoise_step))

    drawn = [
        sample(copy.deepcopy(teacher).to(device), torch.arange(100) % 10, generator=torch.Generator().manual_seed(0))
        for device in (CPU, best_device())
    ]
    apart = (drawn[0] - drawn[1].cpu()).abs()
    mean, most = apart.mean(), apart.max()
    print(f"\n100 digits of one seed, in 0 … 1: CPU and GPU lie {mean:.4f} apart in the mean, at most {most:.3f}")


if __name__ == "__main__":
    main()
