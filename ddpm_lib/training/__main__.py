"""The command line: train the recommended model and write a checkpoint, in one process or in several.

python -m ddpm_lib.training --steps 2000 --out mine.safetensors
torchrun --standalone --nproc_per_node=2 -m ddpm_lib.training --steps 2000 --out mine.safetensors
python -m ddpm_lib.training --steps 2000 --data my_pictures --out mine.safetensors
"""

import argparse
import contextlib
import os
import secrets
import shlex
import sys
from pathlib import Path

import torch
from torch.utils.data import TensorDataset

from ddpm_lib import console, guards
from ddpm_lib.checkpoint import save_checkpoint
from ddpm_lib.data import SOURCES, load_mnist
from ddpm_lib.ddpm import DDPM
from ddpm_lib.files import write_atomically
from ddpm_lib.folder import load_folder
from ddpm_lib.letters import LETTERS, load_letters
from ddpm_lib.precision import describe_machine
from ddpm_lib.training import TrainConfig, train
from ddpm_lib.training.distributed import process_group, rank, world_size


@console.command
def main(arguments: list[str] | None = None) -> None:
    """Train as the arguments say (None: those of the command line); rank 0 prints, and writes the checkpoint."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options, config = _parse(arguments)
    try:
        _train(arguments, options, config)
    except (ValueError, ArithmeticError) as error:  # a file or a number that the library refuses
        sys.exit(f"stopped: {error}")


def _train(arguments: list[str], options: argparse.Namespace, config: TrainConfig) -> None:
    with process_group():
        train_set, fields = _own_pictures(options)
        with torch.random.fork_rng(devices=[]):  # the initial weights come from torch's global generator
            torch.default_generator.manual_seed(options.seed)
            ddpm = DDPM.recommended(**fields)
        if rank() == 0:
            _refuse_unwritable(options.out, sum(tensor.nbytes for tensor in ddpm.unet.state_dict().values()))
        if train_set is None:
            with contextlib.redirect_stdout(sys.stdout if rank() == 0 else None):
                train_set, _ = load_mnist(source=options.data)
        generator = torch.Generator().manual_seed(options.seed)
        device = torch.device("cpu") if world_size() > 1 and not torch.cuda.is_available() else None  # gloo has no mps
        record = None
        for record in train(ddpm, train_set, config, generator, device=device, resume=options.resume):
            if rank() == 0 and record.step % 100 == 0:
                print(f"step {record.step}: loss {record.loss:.4f}, {record.images_per_s:.0f} images/s", flush=True)
        if rank() == 0:
            # If the snapshot is of the last step, there is no record. The checkpoint may still be missing.
            done = {"steps": record.step, "seconds": round(record.seconds, 2), "loss": record.loss} if record else {}
            provenance = {
                "command": shlex.join(["python", "-m", "ddpm_lib.training", *arguments]),
                "world_size": world_size(),
                "data": f"{options.data}, {len(train_set)} {'pictures' if fields else 'digits'}",
                "machine": describe_machine(),
            }
            save_checkpoint(options.out, ddpm, provenance | done)
            print(f"{options.out}: {done or 'the training was over, its weights are written again'}")


def _own_pictures(options: argparse.Namespace) -> tuple[TensorDataset | None, dict]:
    """Letters, or the pictures of a folder, and the fields of their `UNetConfig`; None and {} for MNIST.

    MNIST is read later: it may have to be downloaded, and by then --out must have been tried.
    """
    if options.data in SOURCES:
        return None, {}
    if options.data == "letters":
        return load_letters()[0], {"num_classes": len(LETTERS), "classes": LETTERS}
    train_set, classes, refused = load_folder(options.data, options.channels, options.size)
    if rank() == 0:
        print(f"{options.data}: {len(train_set)} pictures of {len(classes)} classes: {', '.join(classes)}"[:200])
        for file, why in refused:
            print(f"left out: {file}: {why}", file=sys.stderr)
    fields = {"channels": options.channels, "size": options.size, "classes": classes}
    return train_set, {"num_classes": len(classes)} | fields


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, TrainConfig]:
    parser = argparse.ArgumentParser(prog="python -m ddpm_lib.training", description=__doc__.splitlines()[0])
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--steps", type=int, help="optimizer steps")
    budget.add_argument("--seconds", type=float, help="seconds on the clock, instead of steps")
    parser.add_argument("--batch-size", type=int, default=TrainConfig.batch_size, help="images a step, per process")
    parser.add_argument("--lr", type=float, default=TrainConfig.lr, help="highest learning rate")
    parser.add_argument(
        "--data", default="auto", help=f"MNIST ({', '.join(SOURCES)}), letters, or a folder of class folders"
    )
    parser.add_argument("--channels", type=int, default=1, help="of a folder's pictures: 1 for grey, 3 for colours")
    parser.add_argument("--size", type=int, default=28, help="of a folder's pictures: pixels of a side, 16 … 64")
    parser.add_argument("--seed", type=int, default=0, help="seed of the initial weights and of the training")
    parser.add_argument("--out", type=_file, required=True, help="the checkpoint to write")
    parser.add_argument("--resume", type=_file, help="a snapshot file: if it exists, the training goes on from it")
    options = parser.parse_args(arguments)
    if options.resume == options.out:
        parser.error("--out and --resume must be two files, because both are written")
    known = (*SOURCES, "letters")
    if options.data in known and (options.channels, options.size) != (1, 28):
        parser.error(f"--channels and --size are for a folder of pictures; --data is {options.data}")
    try:
        if options.data not in known and not guards.folder("--data", options.data).is_dir():
            parser.error(f"--data must be one of {known}, or a folder, but there is no folder {options.data}")
        config = TrainConfig(options.steps, options.seconds, options.batch_size, options.lr)
    except ValueError as error:
        parser.error(str(error))
    return options, config


def _file(text: str) -> Path:
    """An option's text as the path of a file, whose folder may be missing yet."""
    try:
        path = guards.path("it", text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if path.exists() and not path.is_file():
        raise argparse.ArgumentTypeError(f"{path} is no file")
    return path


def _refuse_unwritable(path: Path, size: int) -> None:
    """Exit now, not after the training, where the disk refuses a file of so many bytes."""
    probe = path.with_name(secrets.token_hex(len(os.fsencode(path.name)))[: len(os.fsencode(path.name))])
    try:
        write_atomically(probe, bytes(size))
        probe.unlink()
    except OSError as error:
        sys.exit(f"--out can't be written: {path}: {error.strerror}")


if __name__ == "__main__":
    main()
