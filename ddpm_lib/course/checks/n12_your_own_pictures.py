"""Checks of notebook 12, Your own pictures."""

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_lib.course import own_pictures
from ddpm_lib.course.exercise import Verdict, check, judge


@check
def choose_w_by_coverage(attempt: Callable) -> Verdict:
    """attempt(w, agreement, coverage, target) → the w with the most coverage of those whose agreement reaches target.

    w, agreement, coverage: lists of equal length, in any order.
    """
    right = own_pictures.choose_w

    def among(reach: Callable, best: Callable, otherwise: Callable = lambda rows: max(rows, key=_more)[0]) -> Callable:
        """The rule with one of its parts changed. Rows are (w, agreement, coverage)."""

        def answer(w: list[float], agreement: list[float], coverage: list[float], target: float) -> float:
            rows = list(zip(w, agreement, coverage, strict=True))
            enough = [row for row in rows if reach(row[1], target)]
            return best(enough) if enough else otherwise(rows)

        return answer

    def at_least(a: float, target: float) -> bool:
        return a >= target

    def covering(rows: list[tuple]) -> float:
        return max(rows, key=lambda row: (row[2], -row[0]))[0]

    def always(a: float, target: float) -> bool:
        return True

    no_target = "you look at coverage alone: first keep the w whose agreement is at least the target"
    mistakes = [
        (among(always, covering), no_target),
        (
            among(always, lambda rows: max(rows, key=_more)[0]),
            "that is the w with the highest agreement: of those that reach the target, coverage decides",
        ),
        (
            among(at_least, lambda rows: min(rows)[0]),
            "that is the smallest w that reaches the target, the rule of notebook 05: here coverage decides",
        ),
        (among(at_least, lambda rows: max(rows)[0]), "that is the largest w that reaches the target: coverage decides"),
        (
            among(at_least, lambda rows: min(rows, key=lambda row: (row[2], row[0]))[0]),
            "you took the lowest coverage: the highest is asked for",
        ),
        (
            among(at_least, lambda rows: max(rows, key=lambda row: (row[2], row[0]))[0]),
            "where two have the same coverage, take the smaller w",
        ),
        (among(lambda a, t: a > t, covering), "at least means ≥: an agreement of exactly the target is enough"),
        (among(lambda a, t: a <= t, covering), "you keep what stays below the target: ≥ is asked for, and you took ≤"),
        (among(lambda a, t: a < t, covering), "you keep what stays below the target: ≥ is asked for, and you took <"),
        (
            among(at_least, covering, otherwise=covering),
            "where no w reaches the target, take the one with the highest agreement, not coverage",
        ),
        (
            among(at_least, covering, otherwise=lambda rows: min(rows)[0]),
            "where no w reaches the target, take the one with the highest agreement, not the smallest",
        ),
        (
            among(at_least, covering, otherwise=lambda rows: max(rows)[0]),
            "where no w reaches the target, take the one with the highest agreement, not the largest",
        ),
        (
            lambda w, a, c, t: max(x for x, y in zip(c, a, strict=True) if y >= t) if max(a) >= t else max(a),
            "that is a score; return the w where it is measured",
        ),
        (lambda w, a, c, t: c[w.index(right(w, a, c, t))], "that is a score; return the w where it is measured"),
        (lambda w, a, c, t: w.index(right(w, a, c, t)), "that is a place in the list; return the w there"),
        (
            among(always, lambda rows: max(rows, key=lambda row: (row[1] + row[2], -row[0]))[0]),
            "you add agreement and coverage: the target is a condition, and then coverage alone decides",
        ),
        (
            among(always, lambda rows: max(rows, key=lambda row: (row[1] * row[2], -row[0]))[0]),
            "you multiply agreement and coverage: the target is a condition, and then coverage alone decides",
        ),
        (
            lambda w, a, c, t: right(sorted(w), a, c, t),
            "w, agreement and coverage belong together: you sorted w without the others",
        ),
    ]

    def case(name: str, target: float, *rows: tuple) -> tuple:
        """These rows (agreement, coverage), with other w, which rise, in another order."""
        w = (0.2 + torch.rand(len(rows), dtype=torch.float64)).cumsum(0).tolist()
        rows = [(x, *row) for x, row in zip(w, rows, strict=True)]
        columns = zip(*(rows[i] for i in torch.randperm(len(rows))), strict=True)
        return name, *map(list, columns), target

    cases = [
        case("on scores like yours", 0.97, (0.04, 0.05), (0.93, 0.58), (0.98, 0.54), (0.99, 0.5), (0.975, 0.3)),
        case("where coverage rises first", 0.9, (0.8, 0.6), (0.92, 0.4), (0.97, 0.55), (0.99, 0.45), (0.85, 0.58)),
        case("where two have the same coverage", 0.9, (0.7, 0.6), (0.95, 0.4), (0.92, 0.5), (0.93, 0.5), (0.97, 0.3)),
        case("at exactly the target", 0.9, (0.6, 0.3), (0.9, 0.6), (0.95, 0.5), (0.99, 0.55)),
        case(
            "where none reaches the target",
            0.99,
            (0.5, 0.3),
            (0.9, 0.6),
            (0.96, 0.4),
            (0.94, 0.2),
            (0.7, 0.8),
            (0.6, 0.1),
        ),
        case("where all reach it", 0.5, (0.9, 0.3), (0.95, 0.4), (0.8, 0.6), (0.7, 0.2)),
        case("with one w", 0.9, (0.95, 0.5)),
    ]
    return judge(attempt, right, mistakes, cases)


def _more(row: tuple) -> tuple:
    """Of rows (w, agreement, coverage): more agreement, then a smaller w."""
    return row[1], -row[0]


def _pictures(sizes: dict[int, int]) -> tuple[Tensor, Tensor]:
    """Made-up pictures: a dot left of the middle, in the row of the class, and a doubt, in the middle at the bottom.

    sizes: of each class. Returns images (N, 1, 28, 28) and labels (N,), in any order. Doubts are even in (0, 1).
    """
    images, labels = [], []
    for label, size in sizes.items():
        x = torch.zeros(size, 1, 28, 28)
        x[:, 0, label, int(torch.randint(2, 12, ()))] = 1.0
        doubts = (torch.randperm(size) + 0.5) / size
        x[:, 0, 27, 13:15] = doubts[:, None]
        images.append(x)
        labels += [label] * size
    order = torch.randperm(len(labels))
    return torch.cat(images)[order], torch.tensor(labels)[order]


def _reader(surely: dict[int, tuple[float, float]]) -> Callable[[Tensor], Tensor]:
    """A judge of `_pictures`. surely: for each class, which share it reads right as they are, and which mirrored."""

    def read(images: Tensor) -> Tensor:
        images = torch.as_tensor(images).float()
        dots = images[:, 0, :27].clone()
        label = dots.amax(dim=2).argmax(dim=1)
        turned = dots.amax(dim=1).argmax(dim=1) >= 14
        shares = torch.tensor([surely.get(i, (0.0, 0.0)) for i in range(28)])
        is_right = images[:, 0, 27, 13] < shares[label, turned.long()]
        return torch.where(is_right, label, (label + 1) % 26)

    return read


@check
def mirrored_class(attempt: Callable) -> Verdict:
    """attempt(images (N, 1, 28, 28), labels (N,), read) → the class whose pictures are mirrored, a whole number."""

    def by(gain: Callable, flip: int | tuple = -1, best: Callable = max) -> Callable:
        """The class with the best gain(right as they are, right turned, read as they are, read turned) of its rows."""

        def answer(images: Tensor, labels: Tensor, read: Callable) -> int:
            as_it_is, turned = read(images), read(images.flip(flip))
            first, second = (as_it_is == labels).double(), (turned == labels).double()

            def of(label: Tensor) -> float:
                mine = labels == label
                return float(gain(first[mine], second[mine], as_it_is[mine], turned[mine]))

            return int(best(labels.unique(), key=of))

        return answer

    def difference(first: Tensor, second: Tensor, *_: Tensor) -> Tensor:
        return second.mean() - first.mean()

    right = own_pictures.mirrored_class
    upside_down = "you turn the pictures upside down, too: left to right is the last dimension only"
    counted = "you count pictures, and a large class has more of them: compare shares, so means over a class"
    mistakes = [
        (
            by(lambda a, b, *_: -a.mean()),
            "that is the class that is read worst: it may be hard, or drawn badly; does turning it round help?",
        ),
        (
            by(lambda a, b, *_: b.mean()),
            "that is the class that is read best when turned, such as an O: compare with how it is read as it is",
        ),
        (
            by(lambda a, b, *_: a.mean()),
            "that is the class that is read best as it is: look for one that is read better when turned",
        ),
        (
            by(lambda a, b, *_: a.mean() - b.mean()),
            "that is the class that loses most when turned: it stands the right way round, and one gains",
        ),
        (by(lambda a, b, *_: (b - a).sum()), counted),
        (by(lambda a, b, *_: b.sum()), counted),
        (
            by(lambda a, b, c, d: (c != d).double().mean()),
            "that is the class whose reading changes most: it must change from wrong to right",
        ),
        (
            by(lambda a, b, *_: b.mean() / (a.mean() + 1e-9)),
            "you divide the shares: a class that is hardly read at all wins by luck; take the difference",
        ),
        (by(difference, flip=-2), upside_down),
        (by(difference, flip=(-2, -1)), upside_down),
        (
            lambda images, labels, read: int((labels.unique() == right(images, labels, read)).int().argmax()),
            "that is the place of the class among those that occur; return the class itself",
        ),
        (
            lambda images, labels, read: _gain(images, labels, read),
            "that is how much the class gains; return the class",
        ),
        (
            lambda images, labels, read: int(read(images[labels == right(images, labels, read)]).mode().values),
            "that is what the mirrored class is read as; return the class that it is",
        ),
    ]

    def case(name: str, mirrored: int, sizes: dict[int, int], **shares: tuple) -> tuple:
        """shares: named c3 for class 3; all others are plain letters, which are read the right way round only."""
        surely = {label: (0.95, 0.1) for label in sizes} | {mirrored: (0.3, 0.9)}
        surely |= {int(label[1:]): pair for label, pair in shares.items()}
        return name, *_pictures(sizes), _reader(surely)

    even = dict.fromkeys(range(10), 40)
    cases = [
        case("among symmetric letters", 3, even, c1=(0.95, 0.95), c5=(0.98, 0.98), c7=(1.0, 1.0)),
        case("beside a hard class", 6, even, c2=(0.1, 0.15), c4=(0.0, 0.05), c8=(1.0, 0.97)),
        case("beside a class that reads badly both ways", 2, even, c2=(0.45, 0.85), c5=(0.2, 0.3), c9=(0.99, 0.99)),
        case("where a mirrored picture is never read", 7, even, c7=(0.02, 0.98), c1=(0.9, 0.95)),
        case("where classes have other sizes", 4, even | {4: 20, 7: 400, 1: 10}, c7=(0.5, 0.6), c1=(0.2, 0.2)),
        case("where some classes don't occur", 9, dict.fromkeys((3, 9, 12, 20), 40), c20=(0.9, 0.96), c3=(0.1, 0.12)),
    ]
    return judge(attempt, right, mistakes, cases)


def _gain(images: Tensor, labels: Tensor, read: Callable) -> float:
    mine = labels == own_pictures.mirrored_class(images, labels, read)
    return float(((read(images.flip(-1)) == labels)[mine].double() - (read(images) == labels)[mine].double()).mean())


@check
def share_nearer(attempt: Callable) -> Verdict:
    """attempt(real (M, D), drawn (N, D), other (N, D)) → the share of the real ones that a drawn one is nearer to."""

    def nearest(real: Tensor, x: Tensor) -> Tensor:
        return torch.cdist(real.double(), x.double()).amin(dim=1)

    def by(compare: Callable, of: Callable = nearest) -> Callable:
        return lambda real, drawn, other: float(compare(of(real, drawn), of(real, other)))

    def reduced(how: str) -> Callable:
        def of(real: Tensor, x: Tensor) -> Tensor:
            distances = torch.cdist(real.double(), x.double())
            return distances.mean(dim=1) if how == "mean" else distances.amax(dim=1)

        return of

    def share(a: Tensor, b: Tensor) -> Tensor:
        return (a < b).double().mean()

    nearer = own_pictures.share_nearer
    mistakes = [
        (by(lambda a, b: (a > b).double().mean()), "the comparison is the wrong way round: is the drawn one nearer?"),
        (by(lambda a, b: (a <= b).double().mean()), "nearer means <: where both are equally near, the drawn one isn't"),
        (by(share, reduced("mean")), "you compare mean distances: only the nearest picture of each set counts"),
        (by(share, reduced("max")), "you compare with the farthest picture: take the smallest distance"),
        (by(lambda a, b: a.mean() / b.mean()), "that is a ratio of mean distances: ask each real picture"),
        (by(lambda a, b: (a - b).mean()), "that is a difference of distances: ask each real picture"),
        (by(lambda a, b: (a / b).mean()), "that is a mean of ratios: ask each real picture"),
        (
            lambda real, drawn, other: (nearest(real, drawn) < nearest(real, other)).double(),
            "that is an answer for each real picture: take the mean",
        ),
        (by(lambda a, b: (a < b).double().sum()), "that is a number of pictures: divide by how many there are"),
        (
            lambda real, drawn, other: share(nearest(drawn, real), nearest(other, real)).item(),
            "the real pictures ask, not the drawn ones: the table of distances is turned round",
        ),
        (
            by(lambda a, b: (a < b.mean()).double().mean()),
            "you compare with a mean over all real pictures: each has a nearest other one of its own",
        ),
        (by(lambda a, b: float(a.mean() < b.mean())), "you compare two means: ask each real picture first"),
        (
            by(share, lambda real, x: (real.double()[:, None] - x.double()[None]).abs().sum(dim=2).amin(dim=1)),
            "you add up absolute differences: the distance is the root of the sum of squares",
        ),
        (
            by(share, lambda real, x: (real.double() - x.double().mean(dim=0)).norm(dim=1)),
            "you compare with the mean picture of each set: take the nearest picture",
        ),
    ]  # fmt: skip

    def case(name: str, m: int, n: int, d: int, far: float, wide: float = 1.0) -> tuple:
        real, drawn, other = torch.randn(m, d), torch.randn(n, d) * wide + far, torch.randn(n, d)
        return name, real, drawn, other

    real = torch.randn(6, 4)
    cases = [
        case("on random inputs", 40, 30, 3, 0.3),
        case("where the drawn ones lie apart", 50, 40, 8, 0.8),
        case("where the drawn ones are wide", 60, 30, 4, 0.0, wide=2.0),
        case("where the drawn ones are alike", 60, 30, 4, 0.1, wide=0.4),
        case("for a single real one", 1, 20, 4, 0.0),
        ("where both are copies", real, real[:4], real[:4]),
        ("where the drawn ones are copies", real, real.clone(), torch.randn(6, 4) + 3),
    ]
    return judge(attempt, nearer, mistakes, cases)
