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

    def share(d: Tensor, r: Tensor) -> Tensor:
        return hits(d, r).amax(dim=1).mean()

    own_radius = "each ball has a radius of its own: radii[:, None] lines them up with the rows"
    mistakes = [
        (
            lambda d, r: hits(d, r).amax(dim=0).mean(),
            "that is precision, the share of generated points in some ball: coverage counts the balls",
        ),
        (lambda d, r: hits(d, r).mean(), "that is the share of all pairs; one point in a ball is enough to cover it"),
        (
            lambda d, r: hits(d, r).sum(dim=1).mean(),
            "that is how many points a ball holds on average: one is enough, more count no more",
        ),
        (
            lambda d, r: hits(d, r).sum(dim=0).mean(),
            "that is like density, in how many balls a generated point lies: coverage counts the balls that are hit",
        ),
        (lambda d, r: hits(d, r).amax(dim=1).sum(), "that is a number of balls; coverage is their share"),
        (lambda d, r: 100 * share(d, r), "that is in percent; coverage is a share, from 0 to 1"),
        (lambda d, r: hits(d, r).amax(dim=1).sum() / d.shape[1], "you divide by N, the generated points: divide by M"),
        (lambda d, r: 1 - share(d, r), "that is the share of balls that stay empty"),
        (
            lambda d, r: (d < r[:, None]).double().amax(dim=1).mean(),
            "the edge belongs to the ball: ≤, not <",
        ),
        (
            lambda d, r: (d >= r[:, None]).double().amax(dim=1).mean(),
            "the comparison is the other way round: a point is inside where its distance is at most the radius",
        ),
        (lambda d, r: hits(d, r).amin(dim=1).mean(), "you ask for all generated points in a ball; any one is enough"),
        (lambda d, r: hits(d, r).amax(), "that says whether at least one ball is hit; coverage is the share of them"),
        (lambda d, r: hits(d, r.mean().expand_as(r)).amax(dim=1).mean(), own_radius),
        (lambda d, r: hits(d, r.amax().expand_as(r)).amax(dim=1).mean(), own_radius),
        (lambda d, r: hits(d, r.amin().expand_as(r)).amax(dim=1).mean(), own_radius),
        (lambda d, r: hits(d, r).amax(dim=1), "you return an answer for each ball: take the mean of them"),
    ]
    # Of 37 balls 25 are hit, three of them at their edge only. With fixed counts no two mistakes agree by chance.
    distances = 0.1 + torch.rand(37, 23)
    shares = torch.cat([torch.full((12,), 0.9), torch.ones(3), 1.2 + torch.rand(22) / 2])[torch.randperm(37)]
    real, drawn = torch.randn(60, 2), 0.35 * torch.randn(60, 2)
    balls = torch.cdist(real, real).topk(4, largest=False).values[:, -1]
    prototype = torch.cdist(real, real[:1].repeat(60, 1))
    cases = [
        ("on random inputs", distances, shares * distances.amin(dim=1)),
        ("on sixty points, as in the figure", torch.cdist(real, drawn), balls),
        ("for one prototype, at distance 0 of a ball of radius 0", prototype, torch.zeros(60)),
        ("for a single generated point", distances[:, :1], shares * distances[:, 0]),
        ("for a single ball", distances[:1], distances[:1, 0]),
        ("where every ball is hit", distances, distances.amax(dim=1)),
        ("where none is hit", distances, 0.5 * distances.amin(dim=1)),
    ]
    return judge(attempt, share, mistakes, cases)


@check
def inception_score(attempt: Callable) -> Verdict:
    """attempt(p (N, 10), p[i, k] = p(y = k | x_i)) → exp of the mean over i of KL(p(y | x_i) ‖ p(y))."""

    def kl(p: Tensor, q: Tensor) -> Tensor:
        return (p * (p / q).log()).sum(dim=-1)

    def entropy(p: Tensor) -> Tensor:
        return -(p * p.log()).sum(dim=-1)

    def divergences(p: Tensor) -> Tensor:
        return kl(p, p.mean(dim=0))

    def score(p: Tensor) -> Tensor:
        return divergences(p).mean().exp()

    bases = "you mix the bases: log goes with exp, and log2 with 2**"
    mistakes = [
        (lambda p: divergences(p).mean(), "the exponential is missing: that is the mean of the divergences"),
        (
            lambda p: divergences(p).sum().exp(),
            "you added up the divergences of the images; take their mean over the images",
        ),
        (
            lambda p: (divergences(p).mean() / 10).exp(),
            "that averages over the classes, too: a divergence is a sum over the classes",
        ),
        (
            lambda p: kl(p, torch.full_like(p, 0.1)).mean().exp(),
            "p(y) isn't 1/10 for each digit: it is the mean of p(y|x) over the images",
        ),
        (
            lambda p: kl(p.mean(dim=0), p).mean().exp(),
            "the divergence is the wrong way round: p(y|x) comes first",
        ),
        (
            lambda p: entropy(p).mean().exp(),
            "that is only how unsure the images are, exp of the mean entropy of p(y|x); p(y) is missing",
        ),
        (
            lambda p: entropy(p.mean(dim=0)).exp(),
            "that is only how many digits appear, exp of the entropy of p(y)",
        ),
        (
            lambda p: divergences(p).exp().mean(),
            "you took the exponential of each image before the mean; the mean comes first",
        ),
        (
            lambda p: divergences(p).exp(),
            "that is a score for each image: take the mean of the divergences, then exp",
        ),
        (
            lambda p: (p / p.mean(dim=0)).log().sum(dim=1).mean().exp(),
            "the weight p(y|x) in front of the logarithm is missing",
        ),
        (
            lambda p: (p.mean(dim=0) * (p / p.mean(dim=0)).log()).sum(dim=1).mean().exp(),
            "you weight with p(y); the weight in front of the logarithm is p(y|x)",
        ),
        (
            lambda p: (-divergences(p).mean()).exp(),
            "a sign is wrong, or the fraction is upside down: it is p(y|x) / p(y)",
        ),
        (lambda p: (divergences(p).mean() / torch.tensor(2.0).log()).exp(), bases),
        (lambda p: (divergences(p).mean() * torch.tensor(2.0).log()).exp(), bases),
        (
            lambda p: (divergences(p).mean() / torch.tensor(10.0).log()).exp(),
            "log10 doesn't go with exp: take the natural logarithm",
        ),
        (
            lambda p: score(p.softmax(dim=1)),
            "p holds probabilities already: you took their softmax once more",
        ),
        (
            lambda p: (p * p / p.mean(dim=0)).sum(dim=1).mean().log().exp(),
            "the logarithm is missing: a divergence is a sum of p·log(p / q)",
        ),
        (
            lambda p: (p * p / p.mean(dim=0)).sum(dim=1).mean().exp(),
            "the logarithm is missing: a divergence is a sum of p·log(p / q)",
        ),
    ]

    def probabilities(images: int, sharp: float = 2) -> Tensor:
        """(images, 10) float64, with the digits in unequal shares."""
        return (sharp * torch.randn(images, 10) + torch.linspace(-1, 1, 10)).double().softmax(dim=1)

    few = torch.full((12, 10), -12.0)
    few[torch.arange(12), torch.arange(12) % 3] = 0.0
    cases = [
        ("on random inputs", probabilities(20)),
        ("in float32, as the classifier gives them", probabilities(50, sharp=4).float()),
        ("for a single image", probabilities(1)),
        ("for ten images", probabilities(10)),
        ("where all images are alike", probabilities(1).repeat(7, 1)),
        ("where only three digits appear", few.double().softmax(dim=1)),
    ]
    return judge(attempt, score, mistakes, cases)


@check
def fid_infinity(attempt: Callable) -> Verdict:
    """attempt(n (5,), fid (5,)) → FID at infinitely many images: the line through FID over 1/n, where 1/n = 0.

    Both inputs are tensors of float64, as `points` is in the notebook.
    """

    def line(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Intercept and slope by least squares."""
        slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
        return y.mean() - slope * x.mean(), slope

    def over(change: Callable) -> Callable:
        return lambda n, fid: line(change(n), fid)[0]

    def with_slope(slope: Callable) -> Callable:
        """The line through the means with another slope."""
        return lambda n, fid: fid.mean() - slope(1 / n, fid) * (1 / n).mean()

    def parabola(n: Tensor, fid: Tensor) -> Tensor:
        powers = (1000 / n)[:, None] ** torch.arange(3)
        return torch.linalg.lstsq(powers, fid[:, None]).solution[0, 0]

    def swapped(n: Tensor, fid: Tensor) -> Tensor:
        intercept, slope = line(fid, 1 / n)
        return -intercept / slope

    axes = "the axes are swapped: fit FID over 1/n, not 1/n over FID"
    centred = "the slope is wrong: above and below the fraction stand differences from the means, such as x − x̄"
    largest = "that is the FID of the largest n; it still has bias"
    mistakes = [
        (over(lambda n: n), "you drew the line over n; the bias falls like 1/n"),
        (over(lambda n: n**-0.5), "you drew the line over 1/√n; the bias falls like 1/n"),
        (over(lambda n: n.log()), "you drew the line over log n; the bias falls like 1/n"),
        (over(lambda n: n**-2), "you drew the line over 1/n²; the bias falls like 1/n"),
        (
            lambda n, fid: line(1 / n, fid)[1],
            "that is the slope, the size of the bias; FID without bias is where 1/n = 0",
        ),
        (
            lambda n, fid: torch.stack(line(1 / n, fid)),
            "these are both numbers of the line: return only its value where 1/n = 0",
        ),
        (
            lambda n, fid: torch.stack(line(1 / n, fid)[::-1]),
            "these are both numbers of the line: return only its value where 1/n = 0",
        ),
        (lambda n, fid: sum(line(1 / n, fid)), "that is the line at x = 1, one single image"),
        (lambda n, fid: fid[-1], largest),
        (lambda n, fid: fid.min(), "that is the lowest FID of the five; it still has bias, and luck"),
        (lambda n, fid: fid.mean(), "that is the mean of the FIDs, with the mean of their biases"),
        (
            lambda n, fid: line(1 / n[-2:], fid[-2:])[0],
            "that uses the last two points only; the others hold noise that would average out",
        ),
        (
            lambda n, fid: line(1 / n[[0, -1]], fid[[0, -1]])[0],
            "that uses the first and the last point only; those between help against noise",
        ),
        (
            lambda n, fid: 2 * fid.mean() - line(1 / n, fid)[0],
            "you went away from 1/n = 0: from the means go back by slope · x̄, don't add it",
        ),
        (lambda n, fid: fid.mean() - line(1 / n, fid)[1], "x̄ is missing: the way back from the means is slope · x̄"),
        (
            lambda n, fid: fid.mean() - line(1 / n, fid)[1] / n.mean(),
            "x̄ is the mean of 1/n; you took 1 over the mean of n",
        ),
        (
            lambda n, fid: fid[-1] - line(1 / n, fid)[1] / n[-1],
            "you go back from the last point; the line goes through the two means",
        ),
        (
            lambda n, fid: fid[0] - line(1 / n, fid)[1] / n[0],
            "you go back from the first point; the line goes through the two means",
        ),
        (with_slope(lambda x, fid: (x * fid).sum() / (x**2).sum()), centred),
        (with_slope(lambda x, fid: ((x - x.mean()) * (fid - fid.mean())).sum() / (x**2).sum()), centred),
        (with_slope(lambda x, fid: (x * fid).sum() / ((x - x.mean()) ** 2).sum()), centred),
        (
            with_slope(lambda x, fid: ((x - x.mean()) * (fid - fid.mean())).sum() / (x - x.mean()).abs().sum()),
            "below the fraction of the slope the square is missing",
        ),
        (parabola, "that is a parabola: with five noisy points it bends after the noise; a straight line is asked for"),
        (swapped, axes),
        (lambda n, fid: line(fid, 1 / n)[0], axes),
    ]

    def case(name: str, n: list) -> tuple:
        """Noise keeps the points off any line, and the lowest FID off the largest n, so that no two mistakes agree."""
        n = torch.tensor(n, dtype=torch.float64)
        noise = 0.06 * torch.tensor([1.0, -1, 1, -1, 1]) * (1 + torch.rand(5))
        return name, n, 0.2 + torch.rand(()) + (100 + 100 * torch.rand(())) / n + noise.double()

    exact = torch.tensor([50.0, 100, 200, 250, 1000], dtype=torch.float64)
    cases = [
        case("on random inputs", (torch.tensor([100, 200, 500, 1000, 2000]) + torch.randint(0, 50, (5,))).tolist()),
        case("at the counts of section 2", [200, 400, 500, 1000, 2000]),
        ("on points that lie on a line", exact, 0.5 + 120 / exact),
    ]
    return judge(attempt, lambda n, fid: line(1 / n, fid)[0], mistakes, cases)
