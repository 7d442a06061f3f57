"""Train the digit classifier of `ddpm_lib.evaluation` and write the two files that ship with the package.

    python tools/train_classifier.py [--data ROOT] [--epochs N] [--keep]

It needs all of MNIST (`make data`). One core trains it in about a quarter of an hour, and measures the scores of real
digits in ten minutes more.

Sources   one-cycle learning rate: Smith & Topin 2017, arXiv:1708.07120
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from ddpm_lib import console, describe_machine, load_mnist
from ddpm_lib.data import FULL_SHA256
from ddpm_lib.evaluation import (
    CLASSIFIER,
    TEST_FEATURES,
    DigitClassifier,
    classify,
    frechet_distance,
    inception_score,
    load_classifier,
    measure,
)
from ddpm_lib.files import read_tensors, write_tensors
from ddpm_lib.judge import distort

import torch
import torch.nn.functional as F
from commit import commit
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import TensorDataset
from tqdm import tqdm

BATCH_SIZE = 128
COUNTS = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 60_000)  # there is a floor for so many images
SUBSETS = 100  # FID is measured on so many random subsets of real digits: one takes 20 ms
FEW_SUBSETS = 20  # the other scores take seconds, so they get fewer subsets


@console.command
def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, help="folder of MNIST; by default $DDPM_DATA or the user's cache")
    arguments.add_argument("--epochs", type=int, default=8)
    arguments.add_argument("--keep", action="store_true", help="measure again with the classifier that is there")
    arguments = arguments.parse_args()

    torch.manual_seed(0)
    train_set, test_set = load_mnist(arguments.data, source="full")
    if not arguments.keep:
        # The commit is noted before the training begins: somebody may commit while it runs.
        provenance = {
            "command": f"python tools/train_classifier.py --epochs {arguments.epochs}",
            "commit": commit(),
            "data_sha256": FULL_SHA256,
            "epochs": arguments.epochs,
            "steps": arguments.epochs * (len(train_set) // BATCH_SIZE),
            "batch_size": BATCH_SIZE,
            "machine": describe_machine(),
            "torch": torch.__version__,
        }
        start = time.perf_counter()
        classifier = train_classifier(train_set, arguments.epochs)
        provenance["seconds"] = round(time.perf_counter() - start)
        write_classifier(classifier, provenance, test_set)
    write_test_features(train_set, test_set)


def write_classifier(classifier: DigitClassifier, provenance: dict, test_set: TensorDataset) -> None:
    """Store the weights in float16. The accuracies in the metadata are those of the weights as they are stored."""
    images, labels = test_set.tensors
    provenance["test_accuracy_float32"] = accuracy(classify(classifier, images)[0], labels)
    logits, _ = classify(classifier.half().float(), images)
    provenance["test_accuracy"] = accuracy(logits, labels)
    provenance["test_inception_score"] = inception_score(logits)
    weights = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in classifier.state_dict().items()
    }
    write_tensors(CLASSIFIER, "classifier", weights, {"metadata": json.dumps(provenance, sort_keys=True)})
    print(json.dumps(provenance, indent=2))


def write_test_features(train_set: TensorDataset, test_set: TensorDataset) -> None:
    """Store the features that the stored classifier finds in the test images, and the scores of real digits."""
    classifier = load_classifier()
    images, labels = test_set.tensors
    test_logits, test_features = classify(classifier, images)
    features = test_features.half()
    train_images, train_labels = train_set.tensors
    train_logits, train_features = classify(classifier, train_images)
    train = (train_images, train_labels, train_logits, train_features)

    floors = [measure_floor(n, train, features.float(), labels) for n in tqdm(COUNTS, file=sys.stdout)]
    halves = measure_halves((images, labels, test_logits, test_features))
    balanced = measure_balanced(features.float(), train_features, train_labels)
    _, classifier_header = read_tensors(CLASSIFIER, "classifier")
    header = {
        "metadata": classifier_header["metadata"],
        "floors": json.dumps(floors),
        "halves": json.dumps(halves),
        "balanced": json.dumps(balanced),
    }
    write_tensors(TEST_FEATURES, "test features", {"features": features, "labels": labels.to(torch.uint8)}, header)
    for entry in [*floors, halves]:
        for name, score in entry.items():
            print("n = {n:>6} {name:>16} {mean:9.4f} ± {std:.4f} over {draws} subsets".format(name=name, **score))
    print("FID of the ten digits in equal shares: {fid}".format(**balanced))


def train_classifier(train_set: TensorDataset, epochs: int) -> DigitClassifier:
    """Train a classifier with AdamW and one cycle of the learning rate; return it with its averaged weights."""
    images, labels = train_set.tensors
    classifier = DigitClassifier().to(memory_format=torch.channels_last)
    average = AveragedModel(classifier, multi_avg_fn=get_ema_multi_avg_fn(0.998), use_buffers=True)
    optimizer = torch.optim.AdamW(classifier.parameters(), weight_decay=0.05)
    steps = len(images) // BATCH_SIZE
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=epochs * steps, pct_start=0.2)
    for epoch in range(epochs):
        order = torch.randperm(len(images))
        bar = tqdm(range(steps), desc=f"epoch {epoch + 1} of {epochs}", file=sys.stdout, mininterval=20)
        for step in bar:
            chosen = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
            logits, _ = classifier(distort(images[chosen]))
            loss = F.cross_entropy(logits, labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            average.update_parameters(classifier)
        print(f"epoch {epoch + 1}: loss of the last batch {loss.item():.4f}", flush=True)
    return average.module.to(memory_format=torch.contiguous_format).eval()


def accuracy(logits: Tensor, labels: Tensor) -> float:
    return (logits.argmax(dim=1) == labels).double().mean().item()


def measure_floor(n: int, train: tuple[Tensor, ...], features: Tensor, labels: Tensor) -> dict:
    """Scores of n random training images against the test images."""
    images, _, _, train_features = train
    subsets = [torch.randperm(len(images))[:n] for _ in range(SUBSETS if n < len(images) else 1)]
    results = [measure(*(tensor[chosen] for tensor in train), features, labels) for chosen in subsets[:FEW_SUBSETS]]
    results += [{"fid": frechet_distance(features, train_features[chosen])} for chosen in subsets[FEW_SUBSETS:]]
    return summary(n, results)


def measure_halves(test: tuple[Tensor, ...]) -> dict:
    """Scores of one random half of the test images against the other half."""
    _, labels, _, features = test
    results = []
    for _ in range(FEW_SUBSETS):
        one, other = torch.randperm(len(labels)).chunk(2)
        results.append(measure(*(tensor[one] for tensor in test), features[other], labels[other]))
    return summary(len(one), results)


def measure_balanced(test_features: Tensor, train_features: Tensor, labels: Tensor, n: int = 10_000) -> dict:
    """FID between the test features and n random training features, n/10 of each digit."""
    results = []
    for _ in range(SUBSETS):
        order = torch.randperm(len(labels))
        chosen = torch.cat([order[labels[order] == digit][: n // 10] for digit in range(10)])
        results.append({"fid": frechet_distance(test_features, train_features[chosen])})
    return summary(n, results)


def summary(n: int, results: list[dict[str, float]]) -> dict[str, dict]:
    """Mean and standard deviation of each score over the subsets for which it was measured."""
    found = {}
    for result in results:
        for name, score in result.items():
            found.setdefault(name, []).append(score)
    return {
        name: {"n": n, "mean": statistics.fmean(scores), "std": statistics.pstdev(scores), "draws": len(scores)}
        for name, scores in found.items()
    }


if __name__ == "__main__":
    main()
