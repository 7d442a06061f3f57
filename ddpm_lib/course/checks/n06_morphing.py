"""Checks of notebook 06, Morphing."""

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ddpm_lib.course import redraw, soft_labels
from ddpm_lib.course.exercise import Verdict, answer_of, check, judge

CLASS_NUMBERS = "that is the digit whose number lies between: mix the rows, not the class numbers"
KEEPS = "it does not sum to 1: digit a must leave as b comes, so it gets 1 − share"
OVERWRITTEN = "where both digits are the same, the second weight overwrites the first: add it with +="
UNMIXED = "nothing is mixed: each row is the nearer digit"


def _one_hot(digit: float) -> Tensor:
    return torch.eye(10)[digit]


def _mixed(a: int, b: int, share: float) -> Tensor:
    return (1 - share) * _one_hot(a) + share * _one_hot(b)


def _assigned(a: int, b: int, share: float) -> Tensor:
    row = torch.zeros(10)
    row[a] = 1 - share
    row[b] = share
    return row


def _kept(a: int, b: int, share: float) -> Tensor:
    row = _one_hot(a)
    row[b] = share
    return row


def _number_between(whole: Callable[[float], int]) -> Callable:
    return lambda a, b, share: _one_hot(whole((1 - share) * a + share * b))


def _smeared(a: int, b: int, share: float) -> Tensor:
    """The number between two class numbers, as weights of its two neighbours."""
    number = (1 - share) * a + share * b
    return (1 - abs(torch.arange(10) - number)).clamp(min=0)


# Mistakes of one row, (function of a, b and share, diagnosis), which a film of many rows can have, too.
OF_A_ROW = [
    (_assigned, OVERWRITTEN),
    (lambda a, b, share: _one_hot(a) + share * _one_hot(b), KEEPS),
    (_kept, KEEPS),
    (lambda a, b, share: (1 - share) * _one_hot(a) + _one_hot(b), "it does not sum to 1: digit b gets share"),
    (
        lambda a, b, share: math.floor(1 - share) * _one_hot(a) + math.floor(share) * _one_hot(b),
        "your row holds whole numbers only, and cuts off the shares: make it a row of floats",
    ),
    *[(_number_between(whole), CLASS_NUMBERS) for whole in (round, math.floor, lambda x: math.floor(x + 0.5))],
    (_smeared, CLASS_NUMBERS),
    (lambda a, b, share: (1 - share) * _one_hot(a), "digit b is missing: it comes in with weight share"),
    (lambda a, b, share: share * _one_hot(b), "digit a is missing: it goes out with weight 1 − share"),
    (
        lambda a, b, share: (1 - share) ** 0.5 * _one_hot(a) + share**0.5 * _one_hot(b),
        "you took roots of the shares: the weights themselves must sum to 1, not their squares",
    ),
    (lambda a, b, share: _mixed(a, b, share).softmax(0), "softmax gives weight to all ten digits: leave it out"),
    (
        lambda a, b, share: _mixed(a - 1, b - 1, share),
        "all weights stand one place too early: digit d has place d, counted from 0",
    ),
]  # fmt: skip


@check
def soft_label(attempt: Callable) -> Verdict:
    """attempt(a, b, share) → label row (10,): 1 − share of digit a, share of digit b."""
    mistakes = [
        *OF_A_ROW,
        *[
            (lambda a, b, share, mix=mix: mix(b, a, share), "the shares are swapped: at share 0 the row is digit a")
            for mix in (_mixed, lambda b, a, share: _assigned(a, b, 1 - share))
        ],
        (
            lambda a, b, share: (1 - share) * a + share * b,
            "that mixes the class numbers: it is one number, and a label is a row",
        ),
        (lambda a, b, share: _one_hot(b if share > 0.5 else a), "that is the nearer digit alone: nothing is mixed"),
        (lambda a, b, share: _one_hot(b if share >= 0.5 else a), "that is the nearer digit alone: nothing is mixed"),
        (lambda a, b, share: _one_hot(a), "that is digit a alone, whatever the share is"),
        (lambda a, b, share: _one_hot(b), "that is digit b alone, whatever the share is"),
        (lambda a, b, share: _mixed(a, b, 0.5), "that is half and half, whatever the share is"),
        (lambda a, b, share: torch.tensor([1 - share, share]), "a row has ten weights, one for each digit, not two"),
    ]
    a, b = int(torch.randint(0, 3, ())), int(torch.randint(7, 10, ()))
    share, less = float(torch.rand(()) * 0.2 + 0.55), float(torch.rand(()) * 0.2 + 0.25)
    cases = [("on random inputs", a, b, share), ("where a is the larger one", b, a, less), ("half-way", 3, 8, 0.5),
             ("at share 0", 4, 9, 0.0), ("at share 1", 4, 9, 1.0), ("from 9 to 0", 9, 0, 0.125),
             ("where a and b are the same digit", 6, 6, less), ("between neighbours", 1, 2, share)]  # fmt: skip
    return judge(attempt, _mixed, mistakes, cases)


@check
def birthday_rows(attempt: Callable) -> Verdict:
    """attempt(date, n) → label rows (L + (L − 1)·n, 10): a row for each of the L digits, n mixtures between neighbours.

    date: text such as "07.03.1998"; what isn't a digit is left out.
    """

    def digits_of(date: str) -> list[int]:
        return [int(character) for character in date if character.isdigit()]

    def even(n: int) -> list[float]:
        return [k / (n + 1) for k in range(n + 1)]

    def rows(
        shares: Callable[[int], list[float]] = even,
        mix: Callable = _mixed,
        order: Callable[[list[int]], list[int]] = list,
        last: bool = True,
    ) -> Callable:
        """An answer. shares(n): of the later digit, for each row from one digit to the next. order: of the digits."""

        def answer(date: str, n: int) -> Tensor:
            digits = order(digits_of(date))
            changes = [mix(a, b, share) for a, b in itertools.pairwise(digits) for share in shares(n)]
            return torch.stack(changes + [mix(digits[-1], digits[-1], 0.0)] * last)

        return answer

    twice = "digits in the middle stand there twice: they end one change and begin the next"
    fewer = "between two digits stand n − 1 mixtures: k runs from 0 to n, where 0 is the digit itself"
    more = "between two digits stand n + 1 mixtures: the shares are k/(n + 1)"
    backwards = "each change runs backwards: the earlier digit has 1 − k/(n + 1)"
    mistakes = [(rows(mix=mix), diagnosis) for mix, diagnosis in OF_A_ROW]
    for mix in (_mixed, _assigned):  # who writes = for += may make another mistake, too; that one is named first
        of = functools.partial(rows, mix=mix)
        mistakes += [
            (
                lambda date, n, of=of: of()(str(int(date.replace(".", ""))), n),
                "the zero in front is lost: take the characters of the text, not of a number",
            ),
            (
                lambda date, n, of=of: of()("".join(str(int(part)) for part in date.split(".")), n),
                "the zeros of day and month are lost: take the characters of the text, not of numbers",
            ),
            (of(last=False), "the row of the last digit is missing: add it after the loop"),
            (lambda date, n, of=of: of()(date, n)[1:], "the row of the first digit is missing: k = 0 is that digit"),
            (of(lambda n: [*even(n), 1.0], last=False), twice),
            (of(lambda n: [*even(n), 1.0]), twice),
            (
                of(lambda n: [k / n for k in range(n + 1)]),
                "the shares are k/n, so each change arrives one frame early: k/(n + 1)",
            ),
            (of(lambda n: [k / n for k in range(n)]), fewer),
            (of(lambda n: even(n)[:-1]), fewer),
            (of(lambda n: even(n + 1)), more),
            (of(lambda n: [1 - share for share in even(n)]), backwards),
            (of(lambda n: [1 - share for share in even(n)], last=False), backwards),
            (of(lambda n: even(n)[::-1]), "the mixtures stand in reverse order: k = 0 comes first"),
            (of(lambda n: [0.5] * (n + 1)), "all rows of a change are half and half: the share is k/(n + 1)"),
            (of(lambda n: even(n)[1:], last=False), "these are the mixtures alone: the digits themselves are missing"),
            (
                of(order=lambda digits: [*digits, digits[0]], last=False),
                "you go back to the first digit: that is no neighbour of the last one",
            ),
            (of(order=lambda digits: digits[::-1]), "the date runs in reverse: begin with its first digit"),
            (of(order=sorted), "you sorted the digits: they come in the order of the date"),
            (
                of(order=lambda digits: list(dict.fromkeys(digits))),
                "a digit that comes again stands there only once: it gets its rows each time",
            ),
            (
                lambda date, n, of=of: of()(date, n).T,
                "rows and columns are swapped: the shape is (rows, 10), one row for each frame",
            ),
        ]
    mistakes += [
        (rows(lambda n: [float(share > 0.5) for share in even(n)]), UNMIXED),
        (rows(lambda n: [float(share >= 0.5) for share in even(n)]), UNMIXED),
        (rows(lambda n: [0.0] * (n + 1)), "nothing is mixed: each digit only waits for n more rows"),
        (rows(lambda n: [0.0]), "only the digits themselves: the n mixtures between neighbours are missing"),
    ]
    others = (torch.randperm(9)[:7] + 1).tolist()
    cases = [
        ("on a random date", "0{}.{}{}.{}{}{}{}".format(*others), 4),
        ("where a digit stands beside itself", "11.05.2004", 3),
        ("on the notebook's birthday", "21.06.1998", 8),
        ("on a short date, with n = 1", "7.3.98", 1),
        ("with n = 2", "30.09.{}{}{}{}".format(*others), 2),
    ]
    return judge(attempt, rows(), mistakes, cases)


@check
def noise_between(attempt: Callable) -> Verdict:
    """attempt(z_a, z_b, share) → noise of variance 1, a weighted sum: z_a at share 0, z_b at share 1."""

    def plain(a, b, s):
        return (1 - s) * a + s * b

    def mended(a, b, s):
        return plain(a, b, s) / math.hypot(1 - s, s)

    def on_circle(a, b, s):
        return math.cos(s * math.pi / 2) * a + math.sin(s * math.pi / 2) * b

    def of_roots(a, b, s):
        return (1 - s) ** 0.5 * a + s**0.5 * b

    def on_sphere(a, b, s, dims=(1, 2, 3)):
        cosine = (a * b).sum(dims, keepdim=True) / (a.square().sum(dims, True) * b.square().sum(dims, True)).sqrt()
        angle = cosine.acos()
        return (torch.sin((1 - s) * angle) * a + torch.sin(s * angle) * b) / torch.sin(angle)

    def nearest(a: Tensor, b: Tensor, s: float) -> object:
        """The right answer that is nearest to the attempt: there are many ways from z_a to z_b."""
        if s in (0, 1):
            return (a, b)[int(s)]
        got = answer_of(attempt, (a, b, s)).get(None)
        if got is None or got.shape != a.shape or not np.isfinite(got).all():
            return a
        pairs = torch.stack([a.flatten(1), b.flatten(1)], dim=2).double()  # slerp has other weights for each picture
        found = torch.linalg.lstsq(pairs, torch.from_numpy(np.array(got)).flatten(1)[..., None]).solution
        squares = found.square().sum(dim=(1, 2))
        # slerp keeps the length of the pictures, so their variance is 1 but for what the two noises share by chance
        if abs(squares.mean() - 1) > 6 / math.sqrt(a.numel()) or found.abs().amin() < 0.01:
            return mended(a, b, s)
        return (pairs @ found).view(a.shape)

    swapped = "the shares are swapped: at share 0 it is z_a"
    measured = "you divide by what you measure on this noise: z_a must come out unchanged at share 0, so compute it"
    root = "one root is missing: the squares of the two weights must sum to 1"
    mistakes = [
        (plain, "variances add, not noises: the standard deviation of the mixture is √((1 − λ)² + λ²), not 1"),
        (
            lambda a, b, s: plain(a, b, s) / ((1 - s) ** 2 + s**2),
            "you divided by the variance of the mixture: divide by its root",
        ),
        (
            lambda a, b, s: plain(a, b, s) * math.hypot(1 - s, s),
            "you multiply by the standard deviation of the mixture: divide by it",
        ),
        (lambda a, b, s: plain(a, b, s) / 2**0.5, "you divide by √2 at every share; z_a must come out unchanged at 0"),
        (
            lambda a, b, s: plain(a, b, s) * 2**0.5,
            "you multiply by √2 at every share; that is right half-way only",
        ),
        *[(lambda a, b, s, way=way: way(b, a, s), swapped) for way in (mended, on_circle, of_roots, on_sphere, plain)],
        (lambda a, b, s: a if s < 0.5 else b, "that is the nearer noise alone: nothing is mixed"),
        (lambda a, b, s: b if s > 0.5 else a, "that is the nearer noise alone: nothing is mixed"),
        (lambda a, b, s: a, "that is z_a alone, whatever the share is"),
        (lambda a, b, s: b, "that is z_b alone, whatever the share is"),
        (lambda a, b, s: (a + b) / 2**0.5, "that is half-way, whatever the share is: share 0 should give z_a"),
        (lambda a, b, s: plain(a, b, s) / plain(a, b, s).std(), measured),
        (lambda a, b, s: plain(a, b, s) / plain(a, b, s).std((1, 2, 3), keepdim=True), measured),
        (lambda a, b, s: plain(a, b, s) / plain(a, b, s).var(), measured),
        (lambda a, b, s: (plain(a, b, s) - plain(a, b, s).mean()) / plain(a, b, s).std(), measured),
        (lambda a, b, s: mended(a, -b, s), "the sign of z_b is flipped: at share 1 it must be z_b"),
        (
            lambda a, b, s: (1 - s) ** 2 * a + s**2 * b,
            "you squared the shares, which makes it worse: the squares of the two weights must sum to 1",
        ),
        (
            lambda a, b, s: (1 - s**2) * a + s**2 * b,
            "your weights 1 − λ² and λ² sum to 1; but the squares of the two weights must",
        ),
        (lambda a, b, s: (1 - s) ** 0.5 * a + s * b, root),
        (lambda a, b, s: (1 - s) * a + s**0.5 * b, root),
        (
            lambda a, b, s: math.cos(s) * a + math.sin(s) * b,
            "your angle ends at 1: it must end at π/2, where the cosine is 0 and the sine is 1",
        ),
        (
            lambda a, b, s: math.cos(90 * s) * a + math.sin(90 * s) * b,
            "your angle is in degrees: math.cos and math.sin want radians, and end at π/2",
        ),
        (
            lambda a, b, s: on_circle(a, b, 2 * s),
            "your angle ends at π: it must end at π/2, where the cosine is 0 and the sine is 1",
        ),
        *[
            (lambda a, b, s, way=way: way(a, b, s).clamp(-1, 1), "you clip to [−1, 1]: pixels end there, noise doesn't")
            for way in (mended, on_circle, of_roots, plain)
        ],
    ]
    share = 0.3 + 0.1 * float(torch.rand(()))
    sizes = {"on random inputs": (16, share), "at share 0": (4, 0.0), "at share 1": (4, 1.0), "half-way": (4, 0.5),
             "near z_b": (16, 0.75), "for a batch of 1": (1, 0.2), "at share 0.9": (1, 0.9)}  # fmt: skip
    cases = [(name, *torch.randn(2, batch, 1, 28, 28), s) for name, (batch, s) in sizes.items()]
    return judge(attempt, nearest, mistakes, cases)


@check
def whole_morph(attempt: Callable) -> Verdict:
    """attempt(labels, frames, hold, x_T, draw) → the film (F, 1, 28, 28) of a list of digits, repeated ones too.

    F = L·hold + frames for each change; a digit that follows itself is no change.
    """

    def even(n: int) -> list[float]:
        return [k / (n + 1) for k in range(1, n + 1)]

    def film(
        shares: Callable[[int], list[float]] = even,
        mix: Callable = _mixed,
        order: Callable[[list[int]], list[int]] = list,
        stay: Callable[[int], int] = int,
        ends: tuple[bool, bool] = (True, True),
        repeats: bool = False,
        of: Callable = lambda rows, x_T, draw: draw(rows, x_T),
    ) -> Callable:
        """An answer. shares(n): of the later digit, in the rows of a change. stay(hold): rows of a digit.

        ends: whether the first and the last digit stay. repeats: whether a digit turns into itself, too.
        """

        def answer(labels: list[int], frames: int, hold: int, x_T: Tensor, draw: Callable) -> Tensor:
            digits = order(labels)
            rows = [_one_hot(digits[0])] * (stay(hold) * ends[0])
            for i, (a, b) in enumerate(itertools.pairwise(digits)):
                if a != b or repeats:
                    rows += [mix(a, b, share) for share in shares(frames)]
                rows += [_one_hot(b)] * (stay(hold) * (ends[1] or i < len(digits) - 2))
            return of(torch.stack(rows), x_T, draw)

        return answer

    def crossfade(labels, frames, hold, x_T, draw):
        return film(of=lambda rows, x_T, draw: (rows @ draw(torch.eye(10), x_T).flatten(1)).view(-1, 1, 28, 28))(
            labels, frames, hold, x_T, draw
        )

    def by_digit(labels: list[int]) -> list[int]:
        return [digit for digit, _ in itertools.groupby(labels)]

    no_change = "a digit that follows itself is no change: no mixtures there, only `hold` frames more"
    longer = "each digit stands one frame too long at a change: k = 0 and k = n + 1 are the digits themselves"
    spread = "the shares are k/(n + 1), with n = `frames` and k = 1 … n: none is 0 and none is 1"
    touch = "your mixtures end at the digits themselves: the shares are k/(n + 1) with k = 1 … n"
    few = "each digit stands for one frame only: it stays for `hold` frames"
    backwards = "each change runs backwards: the later digit has share k/(n + 1)"
    last = "the last digit doesn't stay: its `hold` frames come after the loop"
    mistakes = [
        *[(film(mix=mix), diagnosis) for mix, diagnosis in OF_A_ROW if mix is not _assigned],
        *[(film(mix=mix, repeats=True), no_change) for mix in (_mixed, _assigned)],
        *[(film(mix=mix, repeats=True), diagnosis) for mix, diagnosis in OF_A_ROW if diagnosis == KEEPS],
        (film(order=by_digit), "a digit that follows itself stays for `hold` frames more: you show it only once"),
        (
            film(order=lambda labels: list(dict.fromkeys(labels))),
            "a digit that comes again later is missing: each one in the list gets its frames",
        ),
        (film(order=lambda labels: labels[::-1]), "the film runs in reverse: begin with the first digit"),
        (film(order=sorted), "you sorted the digits: they come in the order of the list"),
        (
            film(order=lambda labels: [*labels, labels[0]]),
            "you go back to the first digit: the film ends at the last one",
        ),
        (film(mix=lambda a, b, share: _mixed(b, a, share)), backwards),
        (film(lambda n: [float(share > 0.5) for share in even(n)]), UNMIXED),
        (film(lambda n: [float(share >= 0.5) for share in even(n)]), UNMIXED),
        (film(lambda n: [0.0] * n), "nothing is mixed: each digit only waits for `frames` more"),
        (film(lambda n: [0.5] * n), "all rows of a change are half and half: the share is k/(n + 1)"),
        (film(lambda n: []), "only the digits themselves: the mixtures are missing"),
        (film(lambda n: [k / n for k in range(1, n + 1)]), spread),
        (film(lambda n: [k / n for k in range(n)]), spread),
        (film(lambda n: [k / (n + 1) for k in range(n)]), "your k starts at 0: it runs from 1 to n = `frames`"),
        (film(lambda n: [k / (n + 1) for k in range(1, n)]), "one mixture is missing: k runs from 1 to n = `frames`"),
        (film(lambda n: torch.linspace(0, 1, n).tolist()), touch),
        (film(lambda n: [0.0, *even(n)]), longer),
        (film(lambda n: [*even(n), 1.0]), longer),
        (film(lambda n: [0.0, *even(n), 1.0]), longer),
        (film(stay=lambda hold: 1), few),
        (film(stay=lambda hold: 1, repeats=True), few),
        (film(stay=lambda hold: 1, order=by_digit), few),
        (
            lambda labels, frames, hold, x_T, draw: film()(labels, hold, frames, x_T, draw),
            "hold and frames are swapped: a digit stays for `hold`, a change takes `frames`",
        ),
        (crossfade, "that is a crossfade, you mix the drawings: mix the label rows, and draw each mixture"),
        (
            film(of=lambda rows, x_T, draw: draw(rows, torch.zeros_like(x_T))),
            "x_T isn't used: all frames are drawn from it",
        ),
        (film(of=lambda rows, x_T, draw: rows), "these are the label rows: hand them to `draw`, with x_T"),
        (lambda labels, frames, hold, x_T, draw: draw(torch.eye(10)[labels], x_T), "one frame for each digit: "
         "it stays for `hold` frames, and the mixtures are missing"),
    ]  # fmt: skip
    one_only = [(film(ends=(True, False)), last), (film(ends=(True, False), repeats=True), last),
                (film(ends=(False, True)), "the first digit doesn't stay: it has `hold` frames before the first "
                 "change")]  # fmt: skip

    pattern, push = torch.randn(10, 28 * 28), torch.randn(10)

    def draw(rows: object, x_T: object) -> Tensor:
        """In the place of the network: a picture that shows each weight of the row, and the noise."""
        rows, x_T = soft_labels.batch_of(rows, x_T)
        return torch.sigmoid(rows @ pattern + (1 + rows @ push)[:, None] * x_T.flatten(1)).view(-1, 1, 28, 28)

    a, b, c, d = torch.randperm(10)[:4].tolist()
    cases = [
        ("on random digits", [a, b, c, a, d], 4, 3),
        ("on [3, 3, 8, 8, 8, 1]", [3, 3, 8, 8, 8, 1], 3, 2),
        ("where the last digit repeats", [d, c, c], 1, 4),
        ("at hold = 1 and frames = 1", [1, 2, 0, 0, 9, 8, 1], 1, 1),
        ("where nothing changes", [b, b, b], 3, 2),
    ]
    cases = [(name, *case, torch.randn(1, 1, 28, 28), draw) for name, *case in cases]
    one_digit = ("for one digit alone", [c], 5, 3, torch.randn(1, 1, 28, 28), draw)
    verdict = judge(attempt, film(), [*mistakes, *one_only], cases)
    # One digit alone comes last: many a loop has nothing to say there and stops, which would hide a named mistake.
    return verdict if verdict.status != "passed" else judge(attempt, film(), [], [*cases, one_digit])


@check
def keep_known(attempt: Callable) -> Verdict:
    """attempt(x_s, x_0, mask, alpha_bar_s, eps) → x_s with the known pixels of x_0 in it, noised to time s.

    x_s, x_0, eps: (B, 1, 28, 28). mask: True where a pixel is missing, (B, 1, 28, 28). alpha_bar_s: number in (0, 1].
    """

    def noised(x_0: Tensor, bar: float, eps: Tensor) -> Tensor:
        return bar**0.5 * x_0 + (1 - bar) ** 0.5 * eps

    def kept(known: Callable = noised, merge: Callable = torch.where) -> Callable:
        """An answer. known(x_0, bar, eps): pixels at time s. merge(mask, x_s, known): both in one picture."""
        return lambda x_s, x_0, mask, bar, eps: merge(mask, x_s, known(x_0, bar, eps))

    root = "a root is missing: the levels at time s are √ᾱ_s for the picture and √(1 − ᾱ_s) for the noise"
    swapped = "known and missing pixels are swapped: where mask is True, x_s stays"
    sum_of_both = "you add the two pictures: a known pixel takes the place of the one in x_s"
    zero = "where mask is {}, your picture is 0: {}"
    levels = [
        (lambda x_0, bar, eps: x_0, "you put in the clean pixels: at time s the network expects noisy ones everywhere"),
        (lambda x_0, bar, eps: bar**0.5 * x_0, "the noise is missing: add eps at the noise level of time s"),
        (lambda x_0, bar, eps: bar**0.5 * x_0 + (1 - bar) * eps, root),
        (lambda x_0, bar, eps: bar * x_0 + (1 - bar) ** 0.5 * eps, root),
        (lambda x_0, bar, eps: bar * x_0 + (1 - bar) * eps, root),
        (
            lambda x_0, bar, eps: bar**0.5 * x_0 + (1 - bar**0.5) * eps,
            "your noise level is 1 − √ᾱ_s: the squares of the two levels sum to 1, so it is √(1 − ᾱ_s)",
        ),
        (
            lambda x_0, bar, eps: (1 - bar) ** 0.5 * x_0 + bar**0.5 * eps,
            "the two levels are swapped: √ᾱ_s belongs to the picture, √(1 − ᾱ_s) to the noise",
        ),
        (lambda x_0, bar, eps: x_0 + (1 - bar) ** 0.5 * eps, "the picture fades, too: multiply x_0 by √ᾱ_s"),
        (lambda x_0, bar, eps: bar**0.5 * x_0 + eps, "eps comes in at full strength: multiply it by the noise level"),
        (
            lambda x_0, bar, eps: noised(x_0, bar, -eps),
            "the sign of eps is flipped: the noise is added",
        ),
    ]
    merges = [
        (lambda mask, x_s, known: torch.where(mask, known, x_s), swapped),
        (lambda mask, x_s, known: x_s, "that is x_s itself: the known pixels are not put back"),
        (lambda mask, x_s, known: known, "x_s is lost: keep it where mask is True"),
        (lambda mask, x_s, known: x_s + known, sum_of_both),
        (lambda mask, x_s, known: x_s + known * ~mask, sum_of_both),
        (lambda mask, x_s, known: x_s * mask + known, sum_of_both),
        (lambda mask, x_s, known: known * ~mask, zero.format(True, "x_s stays there")),
        (lambda mask, x_s, known: x_s * mask, zero.format(False, "put the known pixels there")),
    ]
    mistakes = [(kept(known), diagnosis) for known, diagnosis in levels]
    mistakes += [(kept(merge=merge), diagnosis) for merge, diagnosis in merges]
    mistakes += [
        (kept(known, merges[0][0]), swapped) for known, _ in levels
    ]  # whoever swaps may make another mistake, too; this one is named first
    half, spots = redraw.right_half(), torch.rand(3, 1, 28, 28) < 0.5
    bars = {"on random inputs": (0.2 + 0.6 * float(torch.rand(())), spots), "with half a picture": (0.3, half),
            "at s = 0": (1.0, spots), "near s = T": (1e-3, half), "where nothing is missing": (0.5, half & ~half),
            "where all is missing": (0.5, half | ~half)}  # fmt: skip
    cases = []
    for name, (bar, mask) in bars.items():
        x_s, x_0, eps = torch.randn(3, len(mask), 1, 28, 28)
        cases.append((name, x_s, x_0.clamp(-1, 1), mask, bar, eps))
    return judge(attempt, redraw.keep_known, mistakes, cases)
