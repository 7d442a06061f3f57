"""Distil the weights that ship into the student that ships, measure it, and write the file.

    python tools/distil.py [--data ROOT] [--seconds N] [--out FILE]

It needs all of MNIST (`make data`). Its snapshots lie in build/distil/, so a run that was stopped goes on there.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from ddpm_lib import (
    DDPM,
    DistillConfig,
    console,
    describe_machine,
    distill,
    load_checkpoint,
    load_mnist,
    renoise_step,
    sample,
    save_checkpoint,
    student_of,
)
from ddpm_lib.checkpoint import STUDENT
from ddpm_lib.data import FULL_SHA256
from ddpm_lib.evaluation import evaluate, judge_of, load_test_features

import torch
from commit import commit
from tqdm import tqdm

SNAPSHOT = Path(__file__).parent.parent / "build" / "distil" / "snapshot"
N = 2000  # digits for each line of scores
SEED = 1


@console.command
def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, help="folder of MNIST; by default $DDPM_DATA or the user's cache")
    arguments.add_argument("--seconds", type=float, default=2400, help="budget of all stages together")
    arguments.add_argument("--out", type=Path, default=STUDENT)
    arguments = arguments.parse_args()

    # The commit is noted before the training begins: somebody may commit while it runs.
    provenance = {
        "command": f"python tools/distil.py --seconds {arguments.seconds:g}",
        "commit": commit(),
        "teacher": "ddpm_lib/checkpoints/mnist.safetensors",
        "data_sha256": FULL_SHA256,
        "machine": describe_machine(),
    }
    train_set, _ = load_mnist(arguments.data, source="full")
    teacher, config = load_checkpoint(), DistillConfig(seconds=arguments.seconds)
    student, steps = student_of(teacher), {}
    generator = torch.Generator().manual_seed(0)
    bar = tqdm(
        distill(teacher, train_set, config, student, generator, resume=SNAPSHOT), file=sys.stdout, mininterval=20
    )
    for record in bar:
        steps[f"training for {record.sampler_steps} steps"] = record.step
        bar.set_description(f"for {record.sampler_steps} steps, {record.seconds:.0f} s, loss {record.loss:.4f}", False)
    save_checkpoint(arguments.out, student, provenance | steps)  # before the scores, which take minutes
    save_checkpoint(arguments.out, student, provenance | steps | all_scores(student, teacher))


def all_scores(student: DDPM, teacher: DDPM) -> dict[str, str]:
    """Scores by what was drawn: the student in 1 to 8 steps, and its teacher in 8 and 30."""
    found = {}
    for w in (0.3, 1.0):
        for n in (1, 2, 4, 8):
            found[f"w={w:g}, {n} renoise steps, {N} samples"] = scores(student, w, n, renoise_step)
        for n in (8, 30):
            found[f"its teacher, w={w:g}, {n} DDIM steps, {N} samples"] = scores(teacher, w, n, "ddim")
    return found


def scores(ddpm: DDPM, w: float, steps: int, sampler: str | Callable) -> str:
    """FID, agreement, coverage and diversity as text, each beside what real digits reach; it is printed, too."""
    labels = load_test_features().labels[:N]
    generator = torch.Generator().manual_seed(SEED)
    images = sample(ddpm, labels, w=w, steps=steps, sampler=sampler, generator=generator)
    found = evaluate(images, labels, judge_of(ddpm))
    text = ", ".join(
        f"{name} {getattr(found, name):.3f} (real digits {getattr(found, f'{name}_floor'):.3f})"
        for name in ("fid", "agreement", "coverage", "diversity")
    )
    print(f"w = {w:g}, {steps} steps: {text}", flush=True)
    return text


if __name__ == "__main__":
    main()
