"""Evaluation: do drawn pictures look real, do they vary, and are they what was asked for?

Shapes    N images · D = 64 features · (N, 1, 28, 28) stands for digits of MNIST; others are (N, *image_shape)
Images    in [0, 1]
Sources   FID: Heusel et al. 2017, arXiv:1706.08500, eq. 6 · Inception Score: Salimans et al. 2016, arXiv:1606.03498
          why the number of images must be said: Chong & Forsyth 2019, arXiv:1911.07023
          KID: Bińkowski et al. 2018, arXiv:1801.01401, section 4
          precision and recall: Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 1 and 2
          density and coverage: Naeem et al. 2020, arXiv:2002.09797, section 3
          bootstrap: Efron 1979, doi:10.1214/aos/1176344552

Most of these scores were made for photographs and Inception-v3. Here a small classifier looks at the images, so compare
these scores with each other, not with those of papers. The one for digits ships with the package
(`tools/train_classifier.py`); `make_reference` trains one for other pictures.
"""

import functools
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_lib import guards
from ddpm_lib.ddpm import draw
from ddpm_lib.extras import needed_by
from ddpm_lib.files import read_tensors
from ddpm_lib.precision import eval_mode, fair_threads

CLASSIFIER = Path(__file__).parent / "checkpoints" / "classifier.safetensors"
TEST_FEATURES = Path(__file__).parent / "checkpoints" / "test_features.safetensors"
CHUNK = 500  # so many images go through together; 10,000 would need gigabytes
K = 5  # nearest neighbours, the choice of Naeem et al.
DIGITS = tuple("0123456789")  # what MNIST's classes are called


@dataclass(frozen=True)
class Scores:
    """What `evaluate` measures on n images, by which judge, and beside each score what real pictures reach.

    judge: whose classifier it was, and of how many held-out pictures it reads the share judge_accuracy in [0, 1] right.
    No score is surer than its judge.

    fid: ≥ 0, lower is better. Few images score too high, so compare only at the same n (see `frechet_distance`).
    kid: 0 for real pictures, and a little below by chance; lower is better. It has no such bias (`kernel_distance`).
    inception_score: 1 … K, higher is better; K is all K classes in equal shares, all of them clear.
    agreement: share in [0, 1] of images that the classifier reads as the class that was asked for.
    precision, recall: shares in [0, 1]; do images look real, and could real ones have been drawn (see `prdc`)?
    density, coverage: the same two questions, less easily fooled by outliers; density ≥ 0 is 1 for real pictures.
    diversity: ≥ 0, mean distance of two images of a class, in pixel values (see `diversity`).

    ….._floor: the score of n real images against the test images, a mean over subsets (see `floors`). For digits they
    are training images. The classifier was trained on them, so it reads them more surely than new images, and their
    features lie a little apart (at n = 5,000 agreement 0.998, density 0.95).
    ….._halves: the score of a random half of the test images against the other half, a mean over splits. The classifier
    was not trained on test images (for digits, 5,000 a half: agreement 0.996, density 1.01). n does not change it.
    """

    judge: str
    judge_accuracy: float
    n: int
    fid: float
    kid: float
    inception_score: float
    agreement: float
    precision: float
    recall: float
    density: float
    coverage: float
    diversity: float

    fid_floor: float
    kid_floor: float
    inception_score_floor: float
    agreement_floor: float
    precision_floor: float
    recall_floor: float
    density_floor: float
    coverage_floor: float
    diversity_floor: float

    fid_halves: float
    kid_halves: float
    inception_score_halves: float
    agreement_halves: float
    precision_halves: float
    recall_halves: float
    density_halves: float
    coverage_halves: float
    diversity_halves: float


class Reference(NamedTuple):
    """Who judges drawn pictures, and what they are compared with: test images as a classifier sees them.

    features: (M, D) float. labels: (M,) long. None of the M test images was seen when the classifier was trained.
    floors: for each score, pairs (n, mean over random subsets of n real images), n rising.
    halves: for each score, the mean over random halves of the test images, each against the other half.
    classifier: in eval mode, on the CPU. accuracy: the share in [0, 1] of the test images that it reads right.
    classes: what the K classes are called, or () if nobody said it. image_shape: (C, H, W).
    """

    features: Tensor
    labels: Tensor
    floors: dict[str, list[tuple[int, float]]]
    halves: dict[str, float]
    classifier: "DigitClassifier"
    accuracy: float
    classes: tuple[str, ...] = ()
    image_shape: tuple[int, int, int] = guards.MNIST

    @property
    def num_classes(self) -> int:
        """K, the number of classes that the classifier tells apart."""
        return self.classifier.num_classes

    @property
    def k(self) -> int:
        """The neighbours of `prdc`: 5, or fewer where half of a class's test images are not more than 5."""
        return min(K, int(self.labels.bincount().min()) // 2 - 1)

    def __str__(self) -> str:
        """Whose classifier it is, in words."""
        if self.classifier is load_classifier():  # somebody's own classes may be called 0 … 9, too
            what = "MNIST's digits"
        elif self.classes:
            what = f"{', '.join(self.classes)}" if self.num_classes < 4 else f"{self.classes[0]} … {self.classes[-1]}"
            what = f"{self.num_classes} classes ({what})"
        else:
            what = f"{self.num_classes} classes without names"
        return f"a classifier of {what}, tested on {len(self.labels):,} held-out pictures"


class DigitClassifier(nn.Module):
    """A small convolutional network that reads a class, and whose features say what an image looks like.

    images (N, channels, H, W) in [0, 1] → logits (N, num_classes) and features (N, D). It was made for digits;
    larger images, from 48 pixels a side, are halved first.
    The features are what the last BatchNorm gives out: on training images each has about mean 0 and variance 1,
    which puts FID on a known scale.
    """

    D = 64

    def __init__(self, channels: int = 1, num_classes: int = 10):
        super().__init__()
        self.num_classes = num_classes
        self.convolutions = nn.Sequential(
            _block(channels, 32),
            nn.MaxPool2d(2),  # (N, 32, H/2, W/2)
            _block(32, 64),
            _block(64, 64),
            nn.MaxPool2d(2),  # (N, 64, H/4, W/4)
            _block(64, 96),
            _block(96, 96),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),  # (N, 96)
        )
        self.features = nn.Sequential(nn.Linear(96, self.D, bias=False), nn.BatchNorm1d(self.D, affine=False))
        self.logits = nn.Sequential(nn.ReLU(), nn.Linear(self.D, num_classes))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if images.shape[-1] > 44:  # a convolution of the last block looks at 30 pixels of a side: at all of a digit
            images = F.avg_pool2d(images, 2)
        features = self.features(self.convolutions(images))
        return self.logits(features), features


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),  # BatchNorm brings the bias
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def evaluate(images: Tensor, labels: Tensor, reference: Reference | None = None) -> Scores:
    """Score drawn images against real ones: MNIST's 10,000 test digits, or those of a reference.

    images: (N, 1, 28, 28) float in [0, 1], N ≥ 2. labels: (N,) integers 0 … 9, the digits that were asked for.
    reference: of `make_reference`, for other pictures: then images are (N, *image_shape), and labels 0 … K − 1. None
    judges digits only; the features of the test digits ship with this package.
    Raises ValueError for anything else. It draws nothing from torch's generator, and does not change the classifier.
    Every score is finite, but with few images it is rough. Classes that nobody asked for count as not covered (see
    `prdc_per_class`).
    """
    if reference is not None:
        guards.instance("reference", reference, Reference, "what make_reference returns, or None")
    judge = load_test_features() if reference is None else reference
    pixels = guards.pixels("images", images, shape=judge.image_shape, also=_limits(reference))
    guards.several("images", pixels, 1, "FID needs a covariance")
    asked_for = guards.class_numbers("labels", labels, judge.num_classes, len(images), _limits(reference))

    logits, features = classify(judge.classifier, images)
    return Scores(
        judge=str(judge),
        judge_accuracy=judge.accuracy,
        n=len(images),
        **measure(images, asked_for, logits, features, judge.features, judge.labels, judge.k),
        **{f"{name}_floor": floor for name, floor in floors(len(images), judge).items()},
        **{f"{name}_halves": score for name, score in judge.halves.items()},
    )


def judge_of(model: object, reference: Reference | None = None) -> Reference:
    """Who may judge what a model draws: the reference, or without one MNIST's, if the model draws ten digits.

    model: a `DDPM`, or another model; one whose network has no config draws MNIST's digits. reference: of
    `make_reference`, or None. Raises ValueError where the model's classes, their names or its images are others than
    those of the reference, so that no picture is judged as what it isn't.
    """
    judge = load_test_features() if reference is None else reference
    drawn = (
        getattr(model, "num_classes", 10), getattr(model, "image_shape", guards.MNIST), getattr(model, "classes", ())
    )  # fmt: skip
    guards.pictures_of("model", drawn, (judge.num_classes, judge.image_shape, judge.classes), _limits(reference))
    return judge


def _limits(reference: Reference | None) -> str:
    """For error messages: what a reference judges, and the line that makes another one."""
    who = f"this reference is {reference}" if reference else "without a reference, evaluate judges MNIST's digits only"
    return f"; {who}. For other pictures: reference = make_reference(train_set, test_set)"


def measure(
    images: Tensor, labels: Tensor, logits: Tensor, features: Tensor, real: Tensor, real_labels: Tensor, k: int = K
) -> dict[str, float]:
    """All scores by name: images that `classify` has read, against features of real images. `evaluate` has the guards.

    images: (N, 1, 28, 28). labels: (N,) long, asked for. logits: (N, 10). features: (N, D). real: (M, D) and
    real_labels: (M,) long, with more than k of each class. k: as in `prdc`.
    """
    labels, real, real_labels = labels.to(logits.device), real.to(logits.device), real_labels.to(logits.device)
    return {
        "fid": frechet_distance(real, features),
        "kid": kernel_distance(real, features),
        "inception_score": inception_score(logits),
        "agreement": (logits.argmax(dim=1) == labels).double().mean().item(),
        **prdc_per_class(real, real_labels, features, labels, k),
        "diversity": diversity(images.float().to(logits.device), labels),
    }


def classify(classifier: DigitClassifier, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (N, 10) and features (N, D) of images (N, 1, 28, 28) in [0, 1], in eval mode and float32, in chunks."""
    device = next(classifier.parameters()).device
    size = max(1, CHUNK * 28 * 28 // images[0, 0].numel()) if len(images) else 1
    with torch.inference_mode(), eval_mode(classifier), torch.autocast(device.type, enabled=False), fair_threads():
        read = [classifier(chunk.float().to(device)) for chunk in images.split(size)]
        logits, features = (torch.cat(parts) for parts in zip(*read, strict=True))
    # Tensors made in inference mode are closed to autograd and in-place changes; clones are ordinary.
    return logits.clone(), features.clone()


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2·(Σ₁Σ₂)^½): how far two clouds of features are apart, seen as Gaussians (FID eq. 6).

    real, generated: (N, D) float, each with N ≥ 2.
    """
    with needed_by("evaluate", "evaluation"):
        from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=_already_computed(real.shape[1]))
    metric.update(real.double(), real=True)
    metric.update(generated.to(real.device, torch.float64), real=False)
    return max(0.0, metric.compute().item())  # equal clouds may get −1e-12 by rounding


def kernel_distance(real: Tensor, generated: Tensor) -> float:
    """KID: squared MMD, without bias, of two clouds of features, with the kernel (x·y/D + 1)³ (Bińkowski et al.).

    real: (M, D), generated: (N, D) float, M and N ≥ 2. It compares the first three moments, FID only two. It
    is the mean over 100 random subsets of min(M, N, 1000) rows of each cloud; every call takes the same subsets.
    """
    with needed_by("evaluate", "evaluation"):
        from torchmetrics.image.kid import KernelInceptionDistance

    with warnings.catch_warnings(), own_draws(), torch.autocast(real.device.type, enabled=False):
        warnings.filterwarnings("ignore", message="Metric `Kernel Inception Distance` will save all extracted features")
        size = min(len(real), len(generated), 1000)
        metric = KernelInceptionDistance(feature=_already_computed(real.shape[1]), subset_size=size)
        metric.update(real, real=True)
        metric.update(generated.to(real), real=False)
        return metric.compute()[0].item()


def inception_score(logits: Tensor) -> float:
    """exp(mean KL(p(y|x) ‖ p(y))): high where each image is clear and all classes appear (Salimans et al. section 4).

    logits: (N, K) float. It is the mean over up to 10 random parts of at least 1,000 images, the same in every
    call: parts of 100 would score 4 % too low. Below 2,000 images there is one part, so compare at the same n.
    """
    with needed_by("evaluate", "evaluation"):
        from torchmetrics.image.inception import InceptionScore

    with warnings.catch_warnings(), own_draws():
        warnings.filterwarnings("ignore", message="Metric `InceptionScore` will save all extracted features")
        warnings.filterwarnings("ignore", message=r"std\(\): degrees of freedom is <= 0")  # one part has no spread
        metric = InceptionScore(feature=_already_computed(logits.shape[1]), splits=min(10, max(1, len(logits) // 1000)))
        metric.update(logits.cpu().double())  # float64: a probability that underflows to 0 would make it NaN
        return metric.compute()[0].item()


def _already_computed(width: int) -> nn.Module:
    """A feature network for torchmetrics that changes nothing, because we have the features already."""
    identity = nn.Identity()
    identity.num_features = width
    return identity


@contextmanager
def own_draws(seed: int = 0) -> Iterator[None]:
    """Inside, torch's global generator, from which torchmetrics draws, has this seed; afterwards it is as before."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield


def prdc(real: Tensor, generated: Tensor, k: int = K) -> dict[str, float]:
    """Precision, recall, density and coverage of features, by balls that reach to the k-th nearest neighbour.

    A ball around each feature x, as wide as the distance from x to its k-th nearest neighbour in its own set, edge
    included. The balls around real features cover what looks real, those around generated features what can be drawn:
      precision   share of generated features that lie in some real ball        (Kynkäänniemi et al. eq. 1 and 2)
      recall      share of real features that lie in some generated ball
      density     in how many real balls a generated feature lies, on average, over k     (Naeem et al. section 3)
      coverage    share of real balls in which some generated feature lies
    real: (M, D), M > k. generated: (N, D), N ≥ 1; if N ≤ k, the generated balls reach to the farthest generated
    feature, and the ball of a single feature is a point. Recall and coverage depend on N: compare at the same N.
    Raises ValueError for M ≤ k.
    """
    guards.several("real", real, k, f"k = {k} neighbours")
    real, generated = real.double(), generated.to(real.device, torch.float64)  # float32 cdist errs by 1e-2
    distances = torch.cdist(real, generated)  # (M, N)
    in_real_ball = distances <= radii_of(real, k)[:, None]
    in_generated_ball = distances <= radii_of(generated, min(k, len(generated) - 1))
    return {
        "precision": in_real_ball.any(dim=0).double().mean().item(),
        "recall": in_generated_ball.any(dim=1).double().mean().item(),
        "density": in_real_ball.sum().item() / (k * len(generated)),
        "coverage": in_real_ball.any(dim=1).double().mean().item(),
    }


def radii_of(x: Tensor, k: int) -> Tensor:
    """Distance of each row of x (N, D) to the k-th nearest other row."""
    nearest = [torch.cdist(rows, x).topk(k + 1, largest=False).values[:, -1] for rows in x.split(CHUNK)]
    return torch.cat(nearest)  # k + 1: the row itself is the nearest


def prdc_per_class(
    real: Tensor, real_labels: Tensor, generated: Tensor, labels: Tensor, k: int = K
) -> dict[str, float]:
    """The mean of `prdc` over the classes: samples of a class are compared with real samples of this class.

    real: (M, D), real_labels: (M,), more than k of each class that occurs. generated: (N, D), labels: (N,), asked for.
    A class that nobody asked for is not covered: its recall and coverage are 0. It has no precision and no density;
    these are means over the classes that were asked for.
    """
    found = {"precision": [], "recall": [], "density": [], "coverage": []}
    for label in real_labels.unique():
        asked_for = generated[labels == label]
        scores = prdc(real[real_labels == label], asked_for, k) if len(asked_for) else {"recall": 0.0, "coverage": 0.0}
        for name, score in scores.items():
            found[name].append(score)
    return {name: sum(scores) / len(scores) for name, scores in found.items()}


def diversity(images: Tensor, labels: Tensor) -> float:
    """Mean L2 distance, in pixel values, of two images of the same class; then the mean over the classes.

    images: (N, 1, 28, 28) float. labels: (N,) integers. A class with one image has no pair and doesn't count; where no
    class has two, the diversity is 0. Noise is diverse too: read it beside precision.
    """
    classes = [images[labels == label].detach().flatten(1).float() for label in labels.unique()]
    distances = [torch.pdist(x.cpu()).mean().item() for x in classes if len(x) > 1]
    return sum(distances) / max(1, len(distances))


def nearest_neighbours(images: Tensor, train_images: Tensor) -> tuple[Tensor, Tensor]:
    """How far, in pixel values, each image is from the nearest training image, and the index of that image.

    images: (N, C, H, W), train_images: (M, C, H, W), both float in [0, 1], N and M ≥ 1. Returns L2 distances
    (N,) float and indices (N,) long into train_images; 0 is an exact copy. 1,000 images against 60,000 take seconds.
    Compare with the distances of held-out images: real digits have near neighbours too.
    Raises ValueError for other shapes and ranges.
    """
    shape = tuple(train_images.shape[1:]) if getattr(train_images, "ndim", 0) == 4 else guards.MNIST
    guards.pixels("train_images", train_images, shape=shape)
    guards.pixels("images", images, shape=shape)
    images, train = images.detach().to(train_images.device).flatten(1).float(), train_images.flatten(1).float()
    squares = train.square().sum(dim=1)
    # ‖x − y‖² without ‖x‖², which is the same for all y. Rounding may only swap neighbours that are equally near.
    with torch.autocast(train.device.type, enabled=False):
        nearest = [torch.addmm(squares, rows, train.T, alpha=-2).argmin(dim=1) for rows in images.split(CHUNK)]
    indices = torch.cat(nearest)
    return (images - train[indices]).norm(dim=1), indices


def bootstrap(
    score: Callable[[Tensor], float], labels: Tensor, resamples: int = 200, generator: torch.Generator | None = None
) -> tuple[float, float]:
    """How far a score moves when other images are drawn for the same labels: its 95 % bootstrap interval (Efron 1979).

    score: function of row numbers (n,) long that returns a number, such as `lambda rows: frechet_distance(real,
    features[rows])`. A resample draws n rows with replacement; each row is replaced by a row of the same label.
    labels: (n,) integers, n ≥ 1. If the labels of the images were random, too, give n equal labels.
    resamples: int ≥ 20. generator: source of all randomness; None is torch's global generator.
    Returns score − q(97.5 %) and score − q(2.5 %): score is that of all rows, and q are the quantiles of the resampled
    scores after their own mean is subtracted. This mean is not the score. A resample has some rows twice and a third
    of them not at all. That is like having fewer images, and FID grows when images are few: all resampled scores may
    lie above the score. Without their mean, only the spread is left. So the interval is for the score at this n, with
    its bias. If FID is close to that of real digits, the interval is a little too wide.
    Raises ValueError.
    """
    guards.whole_numbers("labels", labels)
    guards.count("resamples", resamples, least=20)
    whole = score(torch.arange(len(labels)))
    alike = [(labels == label).nonzero().flatten().cpu() for label in labels.unique()]
    scores = []
    for _ in range(resamples):
        rows = torch.empty(len(labels), dtype=torch.long)
        for same in alike:  # each place keeps its label, so that labels[rows] are the labels
            rows[same] = same[(draw(torch.rand, (len(same),), generator) * len(same)).long().cpu()]
        scores.append(score(rows))
    low, high = np.quantile(np.array(scores) - np.mean(scores), (0.025, 0.975))
    return float(whole - high), float(whole - low)


def floors(n: int, reference: Reference | None = None) -> dict[str, float]:
    """Each score of n real images against the test images: what a perfect sampler would reach. None is MNIST.

    Floors are not 0 or 1, because few images give a rough score. They were measured once, for some n, as means over
    random subsets: for MNIST of the 60,000 training images, for others as `make_reference` says. Between these n, FID
    is interpolated linearly in 1/n, like its bias, and every other score linearly in log n; above the largest n, its
    floors are used. MNIST's subsets have the digits in the unequal shares of the data. That matters for FID: at
    n = 10,000, real digits in equal shares score 0.095, and the floor is 0.050.
    """
    axes = {"fid": lambda count: -1 / np.asarray(count)}
    result = {}
    for name, pairs in (reference or load_test_features()).floors.items():
        counts, means = zip(*pairs, strict=True)
        axis = axes.get(name, np.log)
        result[name] = float(np.interp(axis(n), axis(counts), means))
    return result


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
def load_test_features() -> Reference:
    """The 10,000 test images as the shipped classifier sees them, and the scores of real digits; cached.

    Raises FileNotFoundError where the file is missing, ValueError where it is damaged.
    """
    tensors, header = read_tensors(TEST_FEATURES, "test features")
    floors, halves, metadata = (json.loads(header[name]) for name in ("floors", "halves", "metadata"))
    return Reference(
        features=tensors["features"].float(),
        labels=tensors["labels"].long(),
        floors={name: [(entry[name]["n"], entry[name]["mean"]) for entry in floors] for name in halves},
        halves={name: score["mean"] for name, score in halves.items()},
        classifier=load_classifier(),
        accuracy=metadata["test_accuracy"],
        classes=DIGITS,
    )
