"""Train the weights that ship for longer: two more rounds on all of MNIST, 95 minutes, and write the file.

    python tools/refine.py [--data ROOT] [--out FILE]

Snapshots lie in build/refine/: a run that was stopped goes on there, and one that is over writes its weights again.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

from ddpm_lib import TrainConfig, console, describe_machine, load_checkpoint, load_mnist, save_checkpoint, train
from ddpm_lib.checkpoint import SHIPPED, read_metadata

import torch
from commit import commit
from distil import N, scores
from tqdm import tqdm

SNAPSHOTS = Path(__file__).parent.parent / "build" / "refine"
# Larger batches and a longer average than in the first 50 minutes, because little is left to learn; fewer dropped
# labels, because FID is lowest at a small w.
ROUNDS = (
    TrainConfig(seconds=3000, batch_size=128, lr=4e-3, warmup=0.02, p_uncond=0.07, ema_decay=0.9993),
    TrainConfig(seconds=2700, batch_size=128, lr=2.5e-3, warmup=0.02, p_uncond=0.05, ema_decay=0.9995),
)


@console.command
def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, help="folder of MNIST; by default $DDPM_DATA or the user's cache")
    arguments.add_argument("--out", type=Path, default=SHIPPED)
    arguments = arguments.parse_args()

    # The commit is noted before the training begins: somebody may commit while it runs.
    refined = {"command": "python tools/refine.py", "commit": commit(), "machine": describe_machine()}
    refined["rounds"] = [dataclasses.asdict(config) for config in ROUNDS]
    train_set, _ = load_mnist(arguments.data, source="full")
    ddpm, before = load_checkpoint(), read_metadata()
    for number, config in enumerate(ROUNDS, 1):
        generator = torch.Generator().manual_seed(17 + number)
        records = train(ddpm, train_set, config, generator, resume=SNAPSHOTS / f"snapshot-{number}")
        bar = tqdm(records, file=sys.stdout, mininterval=20)
        for record in bar:
            refined["rounds"][number - 1]["steps"] = record.step  # the configs have a budget in seconds
            bar.set_description(f"round {number}, {record.seconds:.0f} s, loss {record.loss:.4f}", refresh=False)
    save_checkpoint(arguments.out, ddpm, before | {"refined": refined})  # before the scores, which take minutes
    found = {f"w={w}, 10 DDIM steps, {N} samples": scores(ddpm, w, 10, "ddim") for w in (0, 1)}  # in the places of 03's
    save_checkpoint(arguments.out, ddpm, before | found | {"refined": refined})


if __name__ == "__main__":
    main()
