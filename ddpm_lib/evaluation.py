"""Evaluation: are drawn digits real, varied, and the digits that were asked for? In numbers, beside their floor.

Shapes    N images · D = 64 features
Images    in [0, 1]
Sources   FID: Heusel et al. 2017, arXiv:1706.08500, eq. 6 · Inception Score: Salimans et al. 2016, arXiv:1606.03498
          why the number of images must be said: Chong & Forsyth 2019, arXiv:1911.07023

Both scores were made for photographs and Inception-v3. Here a digit classifier looks at the images, so the
numbers compare with each other, not with those of papers. `tools/train_classifier.py` trains it and writes both files.
"""

import functools
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ddpm_lib.checkpoint import read_tensors
from ddpm_lib.ddpm import check_images, label_rows
from ddpm_lib.sampling import evaluating
from ddpm_lib.schedule import describe

CLASSIFIER = Path(__file__).parent / "checkpoints" / "classifier.safetensors"
TEST_FEATURES = Path(__file__).parent / "checkpoints" / "test_features.safetensors"
CHUNK = 500  # images at a time: 10,000 at once would need gigabytes


@dataclass(frozen=True)
class Scores:
    """What `evaluate` measures on n images.

    fid: ≥ 0, lower is better; compare it with fid_floor, and only with other FIDs at the same n.
    fid_floor: FID of n real training images, the mean over several draws (see `fid_floor`).
    inception_score: 1 … 10, higher is better; 10 is ten digits in equal shares, each beyond doubt.
    agreement: share in [0, 1] of images that the classifier reads as the digit that was asked for.
    """

    n: int
    fid: float
    fid_floor: float
    inception_score: float
    agreement: float


class DigitClassifier(nn.Module):
    """A small convolutional network that reads a digit, and whose features say what an image looks like.

    images (N, 1, 28, 28) in [0, 1] → logits (N, 10) and features (N, D).
    The features are what the last BatchNorm gives out: on training images each has about mean 0 and variance 1,
    which puts FID on a known scale.
    """

    D = 64

    def __init__(self):
        super().__init__()
        self.convolutions = nn.Sequential(
            _block(1, 32),
            nn.MaxPool2d(2),  # (N, 32, 14, 14)
            _block(32, 64),
            _block(64, 64),
            nn.MaxPool2d(2),  # (N, 64, 7, 7)
            _block(64, 96),
            _block(96, 96),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),  # (N, 96)
        )
        self.features = nn.Sequential(nn.Linear(96, self.D, bias=False), nn.BatchNorm1d(self.D, affine=False))
        self.logits = nn.Sequential(nn.ReLU(), nn.Linear(self.D, 10))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(self.convolutions(images))
        return self.logits(features), features


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),  # BatchNorm brings the bias
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def evaluate(images: Tensor, labels: Tensor) -> Scores:
    """Score drawn images against the 10,000 test digits of MNIST, whose features ship with this package.

    images: (N, 1, 28, 28) float in [0, 1], N ≥ 2. labels: (N,) integers 0 … 9, the digits that were asked for.
    Raises ValueError for anything else. Draws nothing from torch's generator and leaves the classifier's mode.
    """
    check_images("images", images)
    if len(images) < 2:
        raise ValueError(f"images must be at least 2, got {len(images)}: FID needs a covariance")
    if not (images.min() >= 0 and images.max() <= 1):  # not (…), so that NaN is refused too
        raise ValueError(f"images must lie in [0, 1], got {images.min():g} … {images.max():g}")
    asked_for = label_rows(labels, 10, batch=len(images), name="labels").argmax(dim=1)
    if torch.as_tensor(labels).ndim != 1:  # rows are fine for sampling, but a mixture has no right answer
        raise ValueError(f"labels must be integers of shape ({len(images)},), got {describe(labels)}")

    logits, features = classify(load_classifier(), images)
    return Scores(
        n=len(images),
        fid=frechet_distance(load_test_features()[0], features),
        fid_floor=fid_floor(len(images)),
        inception_score=inception_score(logits),
        agreement=(logits.argmax(dim=1) == asked_for.to(logits.device)).double().mean().item(),
    )


def classify(classifier: DigitClassifier, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (N, 10) and features (N, D) of images (N, 1, 28, 28) in [0, 1], in eval mode and float32, in chunks."""
    device = next(classifier.parameters()).device
    with torch.inference_mode(), evaluating(classifier), torch.autocast(device.type, enabled=False):
        read = [classifier(chunk.to(device, torch.float32)) for chunk in images.split(CHUNK)]
        logits, features = (torch.cat(parts) for parts in zip(*read, strict=True))
    # Tensors made in inference mode are closed to autograd and in-place changes; clones are ordinary.
    return logits.clone(), features.clone()


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2·(Σ₁Σ₂)^½): how far two clouds of features are apart, seen as Gaussians (FID eq. 6).

    real, generated: (N, D) float, each with N ≥ 2.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=_already_computed(real.shape[1]))
    metric.update(real.double(), real=True)
    metric.update(generated.to(real.device, torch.float64), real=False)
    return max(0.0, metric.compute().item())  # rounding leaves −1e-12 where the two are the same


def inception_score(logits: Tensor) -> float:
    """exp(mean KL(p(y|x) ‖ p(y))): high where each image is clear and all digits appear (Salimans et al. section 4).

    logits: (N, 10) float. The mean over up to 10 random parts, the same in every call, of at least 1,000 images:
    a part of 100 would score 4 % too low. Below 2,000 images it is one part, so compare scores at the same n.
    """
    from torchmetrics.image.inception import InceptionScore

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", message="Metric `InceptionScore` will save all extracted features")
        warnings.filterwarnings("ignore", message=r"std\(\): degrees of freedom is <= 0")  # one part has no spread
        torch.random.default_generator.manual_seed(0)  # torchmetrics shuffles with torch's own generator
        metric = InceptionScore(feature=_already_computed(10), splits=min(10, max(1, len(logits) // 1000)))
        metric.update(logits.cpu().double())  # float64: a probability that underflows to 0 would make it NaN
        return metric.compute()[0].item()


def _already_computed(width: int) -> nn.Module:
    """What torchmetrics takes as its feature network where the features are there already."""
    identity = nn.Identity()
    identity.num_features = width
    return identity


def fid_floor(n: int) -> float:
    """FID that n real training images reach against the 10,000 test images: what a perfect sampler would score.

    It is not 0, because few images give a rough mean and covariance. It was measured once, on random draws from
    the 60,000 training images (the mean over draws); counts between those are interpolated linearly in 1/n, the
    order of the bias, and beyond 60,000 the floor of 60,000 stands. The draws hold the digits in the unequal shares
    of the data, give or take chance. At n = 10,000 real digits in equal shares score 0.096 where the floor is 0.050.
    """
    counts, floors = zip(*load_test_features()[2], strict=True)
    return float(np.interp(1 / n, [1 / count for count in reversed(counts)], floors[::-1]))


@functools.cache
def load_classifier() -> DigitClassifier:
    """The classifier that ships with this package, in eval mode on the CPU; the same object at every call.

    Raises FileNotFoundError where its file is missing, ValueError where it is damaged.
    """
    tensors, _ = read_tensors(CLASSIFIER, "classifier")
    with torch.device("meta"):  # no initial weights, so nothing is drawn from torch's generator
        classifier = DigitClassifier()
    weights = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    classifier.load_state_dict(weights, assign=True)
    return classifier.requires_grad_(False).eval()


@functools.cache
def load_test_features() -> tuple[Tensor, Tensor, list[tuple[int, float]]]:
    """The 10,000 test images as the shipped classifier sees them; the same objects at every call.

    Returns features (10000, D) float, labels (10000,) long, and the floor of FID as pairs (n, FID), n rising.
    Raises FileNotFoundError where the file is missing, ValueError where it is damaged.
    """
    tensors, header = read_tensors(TEST_FEATURES, "test features")
    floors = [(floor["n"], floor["mean"]) for floor in json.loads(header["fid_floor"])]
    return tensors["features"].float(), tensors["labels"].long(), floors
