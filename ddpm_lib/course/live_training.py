"""A training to watch: its loss grows as a curve while it runs, and ■ ends it with a model that is of use."""

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ddpm_lib.course.figures import LiveLoss
from ddpm_lib.ddpm import DDPM
from ddpm_lib.evaluation import Scores, evaluate, judge_of
from ddpm_lib.sampling import sample
from ddpm_lib.training import TrainConfig, TrainRecord, train


def train_and_watch(
    ddpm: DDPM, train_set: TensorDataset, config: TrainConfig, seed: int = 0, loss: Callable | None = None
) -> TrainRecord:
    """Run `train` with a live curve; say how far it came. Returns the last record.

    config: with a budget of seconds. seed: of batches, and of the noise that the library's loss draws. loss: as in
    `train`. ■ ends the training, not the cell: the model holds what it has learned.
    """
    curve = LiveLoss({"eps": "ε", "v": "v"}[ddpm.prediction], budget=config.seconds)
    record, stopped = None, False
    try:
        for record in train(ddpm, train_set, config, generator=torch.Generator().manual_seed(seed), loss=loss):
            curve.update(record)
    except KeyboardInterrupt:
        if record is None:  # there is nothing to go on with
            raise KeyboardInterrupt("you stopped before the first step; run this cell again") from None
        stopped = True
    curve.show()
    ddpm.cpu()  # a notebook goes on with tensors that are there
    record.raw.cpu()
    if stopped:
        print(f"You stopped after {record.seconds:.0f} s. The model holds what it learned so far; go on with it.")
    print(f"{record.step:,} steps, {record.images_per_s:,.0f} images per second")
    return record


def draw_digits(model: object, labels: Tensor, seed: int, w: float = 0.0) -> Tensor:
    """A digit for each label (n,), in [0, 1], by ten ancestral steps; equal seeds give equal noise."""
    return sample(model, labels, w, "ancestral", steps=10, generator=torch.Generator().manual_seed(seed))


def agreement(model: object, samples: int, seed: int) -> float:
    """The share of `samples` drawn digits that the classifier reads as asked for."""
    return _scores(model, samples, seed).agreement


def _scores(model: object, samples: int, seed: int, w: float = 0.0) -> Scores:
    labels = torch.arange(samples) % 10
    return evaluate(draw_digits(model, labels, seed, w), labels, judge_of(model))


def note_for(
    ddpm: DDPM, train_set: TensorDataset, data_source: str, last: TrainRecord, batch_size: int, samples: int, seed: int
) -> dict:
    """What a checkpoint says of itself: how the model was trained, on which data, and how well it draws."""
    digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in train_set.tensors)).hexdigest()
    note = {
        "trained by": "notebooks/03_training.ipynb",
        "data": f"{data_source}, {len(train_set)} digits, SHA-256 of images and labels {digest}",
        "seconds": round(last.seconds),
        "steps": last.step,
        "batch_size": batch_size,
    }
    for w in (0.0, 1.0):
        scores = _scores(ddpm, samples, seed, w)
        note[f"w={w:.0f}, 10 ancestral steps, {scores.n} samples"] = (
            f"FID {scores.fid:.3f} (real digits {scores.fid_floor:.3f}), agreement {scores.agreement:.4f}"
        )
    return note
