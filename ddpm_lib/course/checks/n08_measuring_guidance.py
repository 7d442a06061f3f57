"""Checks of notebook 08, Measuring guidance."""

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_lib.course.exercise import Verdict, check, judge


@check
def coverage(attempt: Callable) -> Verdict:
    """attempt(distances (M, N) of real to generated, radii (M,) of real balls) → the share of balls that are hit."""

    def hits(d: Tensor, r: Tensor) -> Tensor:
        return (d <= r[:, None]).double()

    mistakes = {
        "that is precision, the share of generated points in some ball: coverage counts the balls": lambda d, r: (
            hits(d, r).amax(dim=0).mean()
        ),
        "that is the share of all pairs; one point in a ball is enough to cover it": lambda d, r: hits(d, r).mean(),
        "that is how many points a ball holds on average: one is enough, more count no more": lambda d, r: (
            hits(d, r).sum(dim=1).mean()
        ),
        "that is a number of balls; coverage is their share": lambda d, r: hits(d, r).amax(dim=1).sum(),
        "that is the share of balls that stay empty": lambda d, r: 1 - hits(d, r).amax(dim=1).mean(),
        "the edge belongs to the ball: ≤, not <": lambda d, r: (d < r[:, None]).double().amax(dim=1).mean(),
        "you ask for all generated points in a ball; one is enough": lambda d, r: hits(d, r).amin(dim=1).mean(),
    }
    # Of 37 balls 25 are hit, three of them at their edge only. With fixed counts no two mistakes agree by chance.
    distances = 0.1 + torch.rand(37, 23)
    share = torch.cat([torch.full((12,), 0.9), torch.ones(3), 1.2 + torch.rand(22) / 2])[torch.randperm(37)]
    radii = share * distances.amin(dim=1)
    return judge(attempt, lambda d, r: hits(d, r).amax(dim=1).mean(), mistakes, distances, radii)


@check
def inception_score(attempt: Callable) -> Verdict:
    """attempt(p (N, 10), p[i, k] = p(y = k | x_i)) → exp of the mean over i of KL(p(y | x_i) ‖ p(y))."""

    def kl(p: Tensor, q: Tensor) -> Tensor:
        return (p * (p / q).log()).sum(dim=-1)

    def entropy(p: Tensor) -> Tensor:
        return -(p * p.log()).sum(dim=-1)

    mistakes = {
        "the exponential is missing: that is the mean of the divergences": lambda p: kl(p, p.mean(dim=0)).mean(),
        "you added up the divergences of the images; take their mean": lambda p: kl(p, p.mean(dim=0)).sum().exp(),
        "that averages over the classes, too: a divergence is a sum over them": lambda p: (
            kl(p, p.mean(dim=0)).mean() / p.shape[1]
        ).exp(),
        "p(y) isn't 1/10 for each digit: it is the mean of p(y|x) over the images": lambda p: (
            kl(p, torch.full_like(p, 0.1)).mean().exp()
        ),
        "the divergence is the wrong way round: p(y|x) comes first": lambda p: kl(p.mean(dim=0), p).mean().exp(),
        "that is only how unsure the images are, exp of the mean entropy of p(y|x)": lambda p: entropy(p).mean().exp(),
        "that is only how many digits appear, exp of the entropy of p(y)": lambda p: entropy(p.mean(dim=0)).exp(),
        "you took the exponential of each image before the mean; the mean comes first": lambda p: (
            kl(p, p.mean(dim=0)).exp().mean()
        ),
    }
    p = (2 * torch.randn(20, 10) + torch.linspace(-1, 1, 10)).double().softmax(dim=1)  # digits in unequal shares
    return judge(attempt, lambda p: kl(p, p.mean(dim=0)).mean().exp(), mistakes, p)


@check
def fid_infinity(attempt: Callable) -> Verdict:
    """attempt(n (5,), fid (5,)) → FID at infinitely many images: the line through FID over 1/n, where 1/n = 0."""

    def line(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Intercept and slope by least squares."""
        slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
        return y.mean() - slope * x.mean(), slope

    mistakes = {
        "you drew the line over n; the bias falls like 1/n": lambda n, fid: line(n, fid)[0],
        "you drew the line over 1/√n; the bias falls like 1/n": lambda n, fid: line(n**-0.5, fid)[0],
        "that is the slope, the size of the bias; FID without bias is where 1/n = 0": lambda n, fid: line(1 / n, fid)[
            1
        ],
        "that is the line at 1/n = 1, one single image": lambda n, fid: sum(line(1 / n, fid)),
        "that is the FID of the largest n; it still has bias": lambda n, fid: fid[-1],
        "that is the mean of the FIDs, with the mean of their biases": lambda n, fid: fid.mean(),
        "that uses the last two points only; the others hold noise that would average out": lambda n, fid: line(
            1 / n[-2:], fid[-2:]
        )[0],
        "that uses the first and the last point only; those between help against noise": lambda n, fid: line(
            1 / n[[0, -1]], fid[[0, -1]]
        )[0],
    }
    n = torch.tensor([100.0, 200, 500, 1000, 2000], dtype=torch.float64) + torch.randint(0, 50, (5,))
    noise = 0.005 * torch.tensor([1.0, -1, 1, -1, 1]) * (1 + torch.rand(5))  # they never lie on a line, so no two agree
    fid = 0.2 + torch.rand(()) + (100 + 100 * torch.rand(())) / n + noise
    return judge(attempt, lambda n, fid: line(1 / n, fid)[0], mistakes, n, fid.double())
