"""A judge for your own pictures: the course's classifier, trained on them, and what real pictures score before it.

Shapes    N pictures · C channels · H side · K classes
Images    in [0, 1]
Sources   averaged weights and the training's budget: see `ddpm_lib.training`
"""

import math
import statistics
import time
from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import TensorDataset

from ddpm_lib import guards
from ddpm_lib.data import to_signed
from ddpm_lib.ddpm import draw
from ddpm_lib.evaluation import DigitClassifier, Reference, classify, measure, own_draws
from ddpm_lib.interrupts import undisturbed
from ddpm_lib.precision import autocast, best_device, fair_threads
from ddpm_lib.training import TrainConfig, ema

AGAIN = (
    ": a class needs 8 in all. Add some, leave it out, or divide anew: train_set, test_set = hold_out(data, share=0.5)"
)
LEAST = 4  # pictures of each class: half of them is compared with the other half, and two is the least for that
COUNTS = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)  # there is a floor for so many images
SUBSETS = 5  # and it is the mean over so many random subsets, fewer of more than 200 pictures: they take a second each


def make_reference(
    train_set: TensorDataset,
    test_set: TensorDataset,
    classes: tuple[str, ...] = (),
    seconds: float | None = 45,
    generator: torch.Generator | None = None,
    steps: int | None = None,
) -> Reference:
    """A judge for `evaluate`: the classifier of this course, trained on your pictures, and the scores of real ones.

    train_set, test_set: TensorDatasets of images (N, *image_shape) in [0, 1] and integer labels (N,), at least 4 of
    each class in both. Their pictures must be different ones: `hold_out` makes two sets of one. The more test pictures
    there are, the less the scores depend on chance. classes: what the classes are called, as in `UNetConfig`; () takes
    the number of classes from the labels. seconds: the budget of the training; steps: a budget that counts instead of
    the seconds, for a judge that doesn't depend on the machine's speed. generator: source of all randomness; None is
    torch's own.

    A fifth of each class's training pictures is kept from the classifier. The floors are the scores of n of these
    against the test pictures, for n up to their number: what a sampler would reach that draws new real pictures. The
    halves are those of one half of the test pictures against the other. The accuracy is that on the test pictures. With
    a single class nothing is learned: agreement and accuracy are 1, and the features are those of random weights.
    Raises ValueError.
    """
    classes = guards.names("classes", classes, len(classes) if isinstance(classes, list | tuple) else 0)
    guards.generator_or_none("generator", generator)
    budget = {"seconds": seconds} if steps is None else {"steps": steps}
    config = TrainConfig(**budget, batch_size=64, lr=4e-3, warmup=0.2, ema_decay=0.99, weight_decay=0.05)
    images, labels = guards.class_set("train_set", train_set, LEAST, AGAIN, len(classes) or None)
    K, shape = len(classes) or int(labels.max()) + 1, tuple(images.shape[1:])
    test_images, test_labels = guards.class_set("test_set", test_set, LEAST, AGAIN, K, shape)
    guards.apart("test_set", test_images, "train_set", images)

    kept = _some_of_each(labels, max(0.2, 2 / len(labels)), generator)  # FID needs two
    with own_draws(int(draw(torch.randperm, (2**16,), generator)[0])):  # initial weights
        classifier = DigitClassifier(shape[0], K)
    classifier = fit(classifier, images[~kept], labels[~kept], config, generator)
    test, held_out = (
        (x, y, *classify(classifier, x)) for x, y in ((test_images, test_labels), (images[kept], labels[kept]))
    )
    reference = Reference(
        features=test[3],
        labels=test_labels,
        floors={},
        halves={},
        classifier=classifier,
        accuracy=(test[2].argmax(dim=1) == test_labels).double().mean().item(),
        classes=classes,
        image_shape=shape,
    )
    n = len(held_out[0])
    floors = [
        (count, _mean(_floor(count, held_out, test, reference.k, generator)))
        for count in (*(count for count in COUNTS if count < n), n)
    ]
    halves = _mean(_halves(test, reference.k, generator))
    return reference._replace(
        floors={name: [(count, of[name]) for count, of in floors] for name in halves}, halves=halves
    )


def hold_out(
    data: TensorDataset, share: float = 0.2, generator: torch.Generator | None = None
) -> tuple[TensorDataset, TensorDataset]:
    """Two sets of one, for training and for tests: `share` of each class's pictures is held out, at random.

    data: TensorDataset of images and integer labels, at least 2 of each class, such as `load_folder` returns.
    share: in (0, 1); of each class at least one picture is held out, and at least one stays. Raises ValueError.
    """
    guards.within("share", share, "(0, 1)")
    images, labels = guards.class_set("data", data, 2, ": add some, or leave the class out")
    out = _some_of_each(labels, share, generator)
    return TensorDataset(images[~out], labels[~out]), TensorDataset(images[out], labels[out])


def _some_of_each(labels: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """(N,) bool: True for a random share of each class's rows, at least one of them and not all."""
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        rows = (labels == label).nonzero()[:, 0]
        order = draw(torch.randperm, (len(rows),), generator).cpu()
        chosen[rows[order[: min(len(rows) - 1, max(1, round(share * len(rows))))]]] = True
    return chosen


def fit(
    classifier: DigitClassifier, images: Tensor, labels: Tensor, config: TrainConfig, generator: torch.Generator | None
) -> DigitClassifier:
    """Train with AdamW on pictures that are distorted anew each time; return the averaged weights, in eval mode.

    images: (N, C, H, H) float in [0, 1]. labels: (N,) long. config: its p_uncond is not used.
    """
    device = best_device()
    classifier = classifier.to(device, memory_format=torch.channels_last).train()
    average = AveragedModel(classifier, multi_avg_fn=partial(ema, config.ema_decay), use_buffers=True)
    optimizer = undisturbed()(torch.optim.AdamW)(
        classifier.parameters(), lr=config.lr, weight_decay=config.weight_decay
    )
    batches, start, step, progress = _batches(len(images), config.batch_size, generator), time.perf_counter(), 0, 0.0
    while progress < 1:
        for group in optimizer.param_groups:
            group["lr"] = config.lr_at(progress)
        chosen = next(batches)
        with fair_threads():
            x = distort(images[chosen], generator).to(device)
            with autocast(device):
                logits, _ = classifier(x)
            loss = F.cross_entropy(logits.float(), labels[chosen].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.update_parameters(classifier)
        step += 1
        progress = config.progress(step, time.perf_counter() - start)
    return average.module.to("cpu", memory_format=torch.contiguous_format).requires_grad_(False).eval()


def _batches(n: int, size: int, generator: torch.Generator | None) -> Iterator[Tensor]:
    """Row numbers without end: each row once per epoch, in a new order each time; a last, smaller batch is left out."""
    while True:
        order = draw(torch.randperm, (n,), generator).cpu()
        yield from (order[first : first + size] for first in range(0, max(1, n - size + 1), size))


def distort(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Turn, scale, shear and shift each image by random amounts: at most 12°, 12 %, 0.15 and 9 % of the side."""
    n = len(images)
    turn, stretch_x, stretch_y, shear, shift_x, shift_y = to_signed(draw(torch.rand, (6, n), generator).cpu())  # (n,)
    turn = turn * math.radians(12)
    cos, sin, shear = turn.cos(), turn.sin(), shear * 0.15
    shift = 2.5 / 14  # in the coordinates of affine_grid, half the width of an image is 1; of a digit it is 14 pixels
    rows = torch.stack(
        [
            torch.stack([cos * (1 + 0.12 * stretch_x), shear - sin, shift_x * shift], dim=1),
            torch.stack([sin, cos * (1 + 0.12 * stretch_y), shift_y * shift], dim=1),
        ],
        dim=1,
    )  # (n, 2, 3)
    grid = F.affine_grid(rows, list(images.shape), align_corners=False)
    # What lies outside continues the edge: paper may be white.
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _floor(n: int, held_out: tuple, test: tuple, k: int, generator: torch.Generator | None) -> list[dict[str, float]]:
    """Scores of random subsets of n held-out pictures against the test pictures."""
    found = []
    for _ in range(_subsets(n) if n < len(held_out[0]) else 1):
        chosen = draw(torch.randperm, (len(held_out[0]),), generator)[:n].cpu()
        found.append(measure(*(tensor[chosen] for tensor in held_out), test[3], test[1], k))
    return found


def _halves(test: tuple, k: int, generator: torch.Generator | None) -> list[dict[str, float]]:
    """Scores of a random half of each class's test pictures against the other half."""
    found = []
    for _ in range(_subsets(len(test[0]) // 2)):
        one = _some_of_each(test[1], 0.5, generator)
        found.append(measure(*(tensor[one] for tensor in test), test[3][~one], test[1][~one], k))
    return found


def _subsets(n: int) -> int:
    return max(1, min(SUBSETS, 1000 // n))


def _mean(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.fmean(scores[name] for scores in found) for name in found[0]}
