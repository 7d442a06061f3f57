"""Checks of notebook 08, Measuring guidance."""

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_lib.course.exercise import Verdict, check, judge
from ddpm_lib.course.sweep_table import SweepTable
from ddpm_lib.course.sweep_table import choose_w as chosen_w


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
        ("where the classifier is sure", probabilities(30, sharp=12)),
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


@check
def choose_w(attempt: Callable) -> Verdict:
    """attempt(w (W,) rising, fid (W, S), floor) → the smallest w too close to tell from the best; see exercise 4.

    fid: a row for each w, a column for each seed; less is better, and what lies below the floor counts as the floor.
    """

    def lift(fid: Tensor, floor: float) -> Tensor:
        return fid.clamp(min=floor)

    def by_mean(fid: Tensor) -> Tensor:
        return fid.mean(dim=1).argmin()

    def overlap(fid: Tensor, best: Tensor) -> Tensor:
        return fid.amin(dim=1) <= best.max()

    def changed(count: Callable = lift, winner: Callable = by_mean, close: Callable = overlap, at: int = 0) -> Callable:
        """The rule with one of its steps changed."""

        def answer(w: Tensor, fid: Tensor, floor: float) -> Tensor:
            fid = count(fid, floor)
            return w[close(fid, fid[winner(fid)])][at]

        return answer

    def by_std(size: float, correction: int) -> Callable:
        def close(fid: Tensor, best: Tensor) -> Tensor:
            less = correction if fid.shape[1] > 1 else 0
            low = fid.mean(dim=1) - size * fid.std(dim=1, correction=less)
            return low <= best.mean() + size * best.std(correction=less)

        return close

    def floor_for_means(w: Tensor, fid: Tensor, floor: float) -> Tensor:
        best = fid[fid.mean(dim=1).clamp(min=floor).argmin()]
        return w[overlap(fid, best)][0]

    def floor_reached(w: Tensor, fid: Tensor, floor: float) -> Tensor:
        reached = fid.amin(dim=1) <= floor
        return w[reached][0] if reached.any() else w[by_mean(fid)]

    def without_the_lucky(w: Tensor, fid: Tensor, floor: float) -> Tensor:
        kept = fid.mean(dim=1) >= floor
        return changed()(w[kept], fid[kept], floor) if kept.any() else w[0]

    right = changed()
    no_band = "that is the w with the lowest mean; ask which others have a band that overlaps its band (step 3)"
    single = "your best w is that of the best single run, which may be luck: compare the means over the seeds"
    std = "the band reaches from the lowest to the highest seed; you took the mean and the standard deviation"
    floor_first = "you raised the means to the floor only; the floor is for each run, before you take the band (step 1)"
    all_of_them = "these are all w that are close; return one of them, the smallest"
    mistakes = [
        (lambda w, fid, floor: w[by_mean(fid)], no_band),
        (lambda w, fid, floor: w[by_mean(lift(fid, floor))], no_band),
        (changed(count=lambda fid, floor: fid), "the floor is missing: a run below it counts as the floor (step 1)"),
        (floor_for_means, floor_first),
        (
            changed(count=lambda fid, floor: fid.clamp(max=floor)),
            "the floor works the wrong way round: a run below it is raised to it, one above stays",
        ),
        (
            changed(count=lambda fid, floor: (fid - floor).abs()),
            "you take the distance from the floor, which punishes a run below it: such a run counts as the floor",
        ),
        (
            changed(winner=lambda fid: fid.amin(dim=1).argmin()),
            single,
        ),
        (lambda w, fid, floor: w[fid.amin(dim=1).argmin()], single),
        (lambda w, fid, floor: w[lift(fid, floor).amin(dim=1).argmin()], single),
        (
            changed(winner=lambda fid: fid.amax(dim=1).argmin()),
            "your best w is that with the lowest highest seed: compare the means over the seeds (step 2)",
        ),
        (
            changed(close=lambda fid, best: (fid.amin(dim=1) < best.max()) | (fid == best).all(dim=1)),
            "bands that touch count as close, too: ≤, not <",
        ),
        (
            changed(close=lambda fid, best: fid.mean(dim=1) <= best.max()),
            "you ask whether its mean lies in the best's band; bands overlap as soon as its lowest seed does",
        ),
        (
            changed(close=lambda fid, best: fid.amin(dim=1) <= best.mean()),
            "you compare with the best's mean; its band reaches up to its highest seed",
        ),
        (
            changed(close=lambda fid, best: fid.mean(dim=1) <= best.mean() + best.max() - best.min()),
            "you add the width of the best's band to its mean; ask whether the two bands overlap (step 3)",
        ),
        (changed(close=by_std(1, 0)), std),
        (changed(close=by_std(1, 1)), std),
        (changed(close=by_std(2, 0)), std),
        (changed(close=by_std(2, 1)), std),
        (changed(at=-1), "that is the largest w that is close; take the smallest (step 4)"),
        (
            lambda w, fid, floor: w[0],
            "that is the smallest w of all; a w is close only where its lowest seed isn't above the best's highest",
        ),
        (floor_reached, "you ask which band reaches the floor; compare with the band of the best w (step 3)"),
        (without_the_lucky, "you threw away what lies below the floor; it counts as the floor (step 1)"),
        (
            lambda w, fid, floor: (w == right(w, fid, floor)).int().argmax(),
            "that is the place of the right w in the list; return w there",
        ),
        (lambda w, fid, floor: w[overlap(lift(fid, floor), lift(fid, floor)[by_mean(lift(fid, floor))])], all_of_them),
        (lambda w, fid, floor: overlap(lift(fid, floor), lift(fid, floor)[by_mean(lift(fid, floor))]), all_of_them),
        (
            lambda w, fid, floor: lift(fid, floor)[w == right(w, fid, floor)][0].mean(),
            "that is a score, the mean at the w that you chose; return this w",
        ),
        (
            lambda w, fid, floor: fid[w == right(w, fid, floor)][0].mean(),
            "that is a score; return the w that you chose",
        ),
    ]

    def case(name: str, floor: float, *rows: list[float]) -> tuple:
        """Rising weights, and these runs in another order of the seeds and in another unit."""
        fid = torch.tensor(rows, dtype=torch.float64)
        unit = 0.5 + torch.rand(()).item()
        w = (0.3 + torch.rand(len(rows), dtype=torch.float64)).cumsum(0)
        return name, w, unit * fid[:, torch.randperm(fid.shape[1])], unit * floor

    def stored(name: str, title: str, sign: int) -> tuple:
        table = SweepTable()
        w, scores = table.scores(name)
        return f"on the stored {title}", w, sign * scores, sign * table.real(name)

    cases = [
        case(
            "with a smaller w close",
            0.5,
            [3, 3.2, 3.4],
            [1.28, 1.6, 1.6],
            [1, 1.05, 1.3],
            [1.15, 1.2, 1.28],
            [2, 2.1, 2.4],
        ),
        case("with wide bands", 0.2, [2, 2.1, 2.2], [1.1, 1.9, 2], [1, 1.2, 1.4]),
        case("with means alike", 0.2, [2, 2.1, 2.2], [1.2, 1.3, 1.5], [1, 1.2, 1.4]),
        case("with bands apart", 0.2, [2, 2.1, 2.2], [1.45, 1.5, 1.6], [1, 1.2, 1.4]),
        case("with a lucky run", 0.1, [1.5, 1.6, 1.7], [1, 1.1, 1.2], [0.8, 2, 2.2]),
        case("with a failed run", 0.1, [1.5, 1.6, 1.7], [1, 1.1, 1.2], [1.02, 1.05, 6]),
        case("with a narrow band", 0.1, [1.45, 1.6, 1.7], [1.3, 1.32, 1.35], [1, 1, 1.5]),
        case("with runs below the floor", 1, [1.3, 1.4, 1.5], [0.9, 0.95, 0.98], [0.6, 0.7, 0.65], [0.85, 0.99, 1.2]),
        case("with runs far below it", 1, [2, 2.1, 2.2], [0.1, 0.2, 0.15], [0.95, 0.98, 0.99], [1.1, 1.2, 1.3]),
        case("with one run below it", 1, [2, 2.1, 2.2], [0.97, 1.2, 1.3], [0.6, 0.7, 0.65]),
        case("with bands that touch", 0.2, [2, 3], [1.5, 2], [4, 5]),
        case("with one seed", 0.2, [1.4], [1.1], [1.3]),
        case("with one w", 0.2, [1.1, 1.2, 1.3]),
        case("with the smallest w best", 0.2, [1, 1.1, 1.2, 1.1], [1.5, 1.6, 1.7, 1.8], [2, 2.1, 2.2, 2.3]),
        stored("fid", "FID", 1),
        stored("inception_score", "Inception Score with a minus", -1),
        stored("agreement", "agreement with a minus", -1),
    ]
    return judge(attempt, chosen_w, mistakes, cases)
