"""Generators whose scores you know before you measure: with them, notebook 08 tests the scores."""

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_lib.data import load_mnist
from ddpm_lib.evaluation import K, classify, load_classifier, load_test_features, radii_of

CLOUDS = ("as the data", "only typical", "too wide", "one prototype")


def probabilities(images: int = 50, sure: float = 0.999) -> dict[str, Tensor]:
    """Name → p(y | x) of made-up images, (images, 10) float64: all digits and clear, one digit, none clear."""
    others = (1 - sure) / 9
    clear = torch.full((images, 10), others, dtype=torch.float64)
    clear[torch.arange(images), torch.arange(images) % 10] = sure
    return {
        "ten clear digits": clear,
        "one clear digit": clear[:1].repeat(images, 1),
        "nothing clear": torch.full((images, 10), 0.1, dtype=torch.float64),
    }


def clouds(generator: torch.Generator, points: int = 60) -> tuple[Tensor, dict[str, Tensor]]:
    """Real points in two dimensions, (points, 2), and the points of four generators, by name."""
    real = torch.randn(points, 2, generator=generator)
    drawn = [width * torch.randn(points, 2, generator=generator) for width in (1, 0.35, 2.5)]
    prototype = real[real.norm(dim=1).argmin()].repeat(points, 1)
    return real, dict(zip(CLOUDS, [*drawn, prototype], strict=True))


def prototypes() -> Tensor:
    """(10, 1, 28, 28): of each digit the held-out one whose features lie nearest to the mean of real ones."""
    images, labels = load_mnist(source="embedded")[1].tensors
    reference = load_test_features()
    _, features = classify(load_classifier(), images)
    found = []
    for digit in range(10):
        centre = reference.features[reference.labels == digit].mean(dim=0)
        mine = (labels == digit).nonzero()[:, 0]
        found.append(mine[(features[mine] - centre).norm(dim=1).argmin()])
    return images[torch.stack(found)]


def equal_shares(labels: Tensor, each: int, generator: torch.Generator) -> Tensor:
    """Row numbers of `each` random images of every digit, fewer where there are fewer. labels: (N,)."""
    order = torch.randperm(len(labels), generator=generator)
    return torch.cat([order[labels[order] == digit][:each] for digit in range(10)])


def real_digits(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Real training digits in equal shares, and their labels: about count of them, at most what is embedded."""
    images, labels = load_mnist(source="embedded")[0].tensors
    rows = equal_shares(labels, -(-count // 10), generator)
    return images[rows], labels[rows]


def by_digit(coverage: Callable[[Tensor, Tensor], float], features: Tensor, labels: Tensor) -> float:
    """Coverage(distances, radii) of the balls around real test features, digit by digit; the mean over the digits.

    features: (N, D) of drawn digits. labels: (N,), asked for. A digit that nobody asked for is not covered.
    """
    reference, found = load_test_features(), []
    for digit in range(10):
        real, drawn = reference.features[reference.labels == digit].double(), features[labels == digit].double()
        found.append(float(coverage(torch.cdist(real, drawn), radii_of(real, K))) if len(drawn) else 0.0)
    return sum(found) / len(found)


def inception_score(p: Tensor) -> float:
    """What exercise 1 asks for: exp(H(p(y)) − mean of H(p(y | x))), with the entropy H. p: (N, 10)."""
    p = p.double()
    return (torch.special.entr(p.mean(dim=0)).sum() - torch.special.entr(p).sum(dim=1).mean()).exp().item()


def coverage(distances: Tensor, radii: Tensor) -> float:
    """What exercise 2 asks for, from the nearest drawn point of each ball."""
    return (distances.amin(dim=1) <= radii).double().mean().item()


def as_text(found: dict[str, dict[str, float]]) -> str:
    """A table: a line for each generator, a column for each score of the last one, without KID and density."""
    columns = {
        name: name.replace("inception_score", "IS").replace("fid", "FID")
        for name in list(found.values())[-1]
        if name not in ("kid", "density")
    }
    lines = [" " * 16 + "".join(f"{title:>{max(7, len(title) + 2)}}" for title in columns.values())]
    for generator, scores in found.items():
        cells = (
            f"{f'{scores[name]:.2f}' if name in scores else '':>{max(7, len(title) + 2)}}"
            for name, title in columns.items()
        )
        lines.append(f"{generator:<16}{''.join(cells)}".rstrip())
    return "\n".join(lines)
