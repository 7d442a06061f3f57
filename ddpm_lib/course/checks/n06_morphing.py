"""Checks of notebook 06, Morphing."""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_lib.course.exercise import Judged, Verdict, call, check, judge


def _one_hot(digit: float) -> Tensor:
    return torch.eye(10)[round(digit)]


@check
def soft_label(attempt: Callable) -> Verdict:
    """attempt(a, b, share) → label row (10,): 1 − share of digit a, share of digit b."""
    mistakes = {
        "the shares are swapped: at share 0 the row is digit a": lambda a, b, share: (
            share * _one_hot(a) + (1 - share) * _one_hot(b)
        ),
        "that mixes the class numbers: it is one number, and a label is a row": lambda a, b, share: (
            (1 - share) * a + share * b
        ),
        "that is the digit whose number lies between: mix the rows, not the class numbers": lambda a, b, share: (
            _one_hot((1 - share) * a + share * b)
        ),
        "that is the nearer digit alone: nothing is mixed": lambda a, b, share: _one_hot(b if share > 0.5 else a),
        "it does not sum to 1: digit a must leave as b comes, so it gets 1 − share": lambda a, b, share: (
            _one_hot(a) + share * _one_hot(b)
        ),
        "digit b is missing": lambda a, b, share: (1 - share) * _one_hot(a),
        "digit a is missing": lambda a, b, share: share * _one_hot(b),
    }
    a, b = int(torch.randint(0, 3, ())), int(torch.randint(7, 10, ()))
    share = float(torch.rand(()) * 0.2 + 0.55)  # b is the nearer digit; the number between is neither
    return judge(attempt, lambda a, b, share: (1 - share) * _one_hot(a) + share * _one_hot(b), mistakes, a, b, share)


@check
def birthday_rows(attempt: Callable) -> Verdict:
    """attempt(date, n) → label rows (L + (L − 1)·n, 10): a row for each of the L digits, n mixtures between neighbours.

    date: text such as "07.03.1998"; what isn't a digit is left out.
    """

    def rows(digits: list[int], shares: list[float], last: bool = True) -> Tensor:
        """shares: of the later digit, for each row from one digit to the next."""
        mixed = [
            (1 - share) * _one_hot(a) + share * _one_hot(b) for a, b in itertools.pairwise(digits) for share in shares
        ]
        return torch.stack(mixed + [_one_hot(digits[-1])] * last)

    def digits_of(date: str) -> list[int]:
        return [int(character) for character in date if character.isdigit()]

    def even(n: int) -> list[float]:
        return [k / (n + 1) for k in range(n + 1)]

    mistakes = {
        "the zero in front is lost: take the characters of the text, not of a number": lambda date, n: rows(
            digits_of(date)[1:], even(n)
        ),
        "the row of the last digit is missing: add it after the loop": lambda date, n: rows(
            digits_of(date), even(n), last=False
        ),
        "digits in the middle stand there twice: they end one change and begin the next": lambda date, n: rows(
            digits_of(date), [*even(n), 1.0], last=False
        ),
        "the shares are k/n, so each change arrives one frame early: k/(n + 1)": lambda date, n: rows(
            digits_of(date), [k / n for k in range(n + 1)]
        ),
        "each change runs backwards: the earlier digit has 1 − k/(n + 1)": lambda date, n: rows(
            digits_of(date), [1 - k / (n + 1) for k in range(n + 1)]
        ),
        "nothing is mixed: each row is the nearer digit": lambda date, n: rows(
            digits_of(date), [float(round(share)) for share in even(n)]
        ),
        "only the digits themselves: the n mixtures between neighbours are missing": lambda date, n: rows(
            digits_of(date), [0.0]
        ),
    }
    chosen = (torch.randperm(9)[:7] + 1).tolist()  # all are different, else two mistakes could look the same
    date = "0{}.{}{}.{}{}{}{}".format(*chosen)
    return judge(attempt, lambda date, n: rows(digits_of(date), even(n)), mistakes, date, 4)


@check
def noise_between(attempt: Callable) -> Verdict:
    """attempt(z_a, z_b, share) → noise of variance 1: z_a at share 0, z_b at share 1, a mixture of both between."""
    z_a, z_b = torch.randn(2, 16, 1, 28, 28)
    pair = torch.stack([z_a.flatten(), z_b.flatten()], dim=1).double()

    def shares_of(share: float) -> tuple[float, float]:
        """a and b of the answer a·z_a + b·z_b."""
        got = call(attempt, z_a, z_b, share)
        if got.shape != z_a.shape:
            raise Judged(Verdict("wrong", f"the answer should have shape {tuple(z_a.shape)}, got {tuple(got.shape)}"))
        got = got.flatten().double()
        found = torch.linalg.lstsq(pair, got[:, None]).solution
        rest = (got - (pair @ found)[:, 0]).abs().max()
        if rest > 0.3:  # with slerp the shares of pictures differ a little
            message = (
                f"the answer should be made of z_a and z_b alone; what neither explains is off by up to {rest:.3g}"
            )
            raise Judged(Verdict("wrong", message))
        return tuple(found.flatten().tolist())

    def is_near(got: tuple[float, float], a: float, b: float) -> bool:
        return abs(got[0] - a) < 0.03 and abs(got[1] - b) < 0.03

    share = 0.3 + 0.1 * float(torch.rand(()))
    start, middle, end = shares_of(0.0), shares_of(share), shares_of(1.0)
    norm = (1 - share) ** 2 + share**2
    if is_near(middle, 1 - share, share):
        deviation = norm**0.5
        return Verdict("wrong", f"variances add, not noises: yours has standard deviation {deviation:.2f} here, not 1")
    if is_near(middle, (1 - share) / norm, share / norm):
        return Verdict("wrong", "you divided by the variance of the mixture: divide by its root")
    if is_near(start, 0, 1) and is_near(end, 1, 0):
        return Verdict("wrong", "the shares are swapped: at share 0 it is z_a")
    if is_near(middle, 1, 0) or is_near(middle, 0, 1):
        return Verdict("wrong", "that is one of the two noises alone: nothing is mixed")
    if not is_near(start, 1, 0) or not is_near(end, 0, 1):
        (a, b), (c, d) = start, end
        return Verdict("wrong", f"share 0 should give z_a and share 1 z_b; yours give {a:.2f}·z_a + {b:.2f}·z_b and "
                                f"{c:.2f}·z_a + {d:.2f}·z_b")  # fmt: skip
    deviation = math.hypot(*middle)
    if abs(deviation - 1) > 0.03:
        return Verdict("wrong", f"at share {share:.2f} your noise has standard deviation {deviation:.3g}, asked for 1")
    return Verdict("passed", f"the ends are z_a and z_b, and between them the standard deviation stays {deviation:.2f}")
