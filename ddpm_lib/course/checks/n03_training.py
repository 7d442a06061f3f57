"""Checks of notebook 03, Training."""

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_lib.course.chance import draws, judge_shares
from ddpm_lib.course.checks.shared import images
from ddpm_lib.course.exercise import Mistake, Verdict, check, judge, named, wrong
from ddpm_lib.course.sandbox import Judged
from ddpm_lib.ddpm import DDPM
from ddpm_lib.schedule import NoiseSchedule


def _is(diagnosis: str) -> Judged:
    """Ends a check with the name of a mistake."""
    return Judged(named([Mistake(lambda *inputs: None, diagnosis)]))


@check
def label_dropout(attempt: Callable) -> Verdict:
    """attempt(y (B, 10) one-hot, p_uncond) → y with each row set to zero on its own with probability p_uncond."""

    def dropped(rows: np.ndarray, y: Tensor, p: float) -> np.ndarray:
        """(B,) 1 where a row is zero, and 0 where it is kept."""
        rows, y = np.asarray(rows), y.numpy()
        is_zero, off = (rows == 0).all(axis=1), abs(rows - y).max(axis=1)
        odd = ~is_zero & (off > 1e-4)
        if not odd.any():
            return is_zero.astype(int)
        these, labels = rows[odd], y[odd]
        if p < 1 and np.allclose(these, labels / (1 - p)):
            raise _is("you divide by 1 − p_uncond, as nn.Dropout does: a label that is kept stays as it is")
        if np.allclose(these, labels * (1 - p)):
            raise _is("you multiply the labels by 1 − p_uncond: draw which rows become zero, and keep the rest whole")
        if np.allclose(these, 0.1) or np.allclose(these, 1):
            raise _is("such a row asks for all digits alike; no label is a row of zeros")
        if np.allclose(these, np.eye(10)[0]):
            raise _is("your rows without a label are those of the digit 0: no label is a row of zeros")
        raise Judged(wrong(f"a row should be kept or be zero; the others are off by up to {off[odd].max():.3g}"))

    def chance_of(share: Callable) -> Callable:
        """The law by which a row is dropped with probability share(p)."""
        return lambda y, p: {0: 1 - share(p), 1: share(p)}

    def one_hot(digits: Tensor) -> Tensor:
        return F.one_hot(digits, 10).float()

    def case(name: str, batch: int, p_uncond: float) -> tuple:
        return name, one_hot(torch.randint(10, (batch,))), p_uncond

    # Mistakes that shares can't tell: each row for itself looks right.
    y, p = one_hot(torch.arange(10).repeat(8)), 0.5
    first = np.stack([dropped(rows, y, p) for rows in draws(attempt, (y, p), tuple(y.shape), calls=30)])
    if not first.any():
        raise _is("all rows come back unchanged: the rows that lose their label must be in what you return")
    if first.all():
        raise _is("every row becomes zero, whatever p_uncond is")
    by_digit = first.reshape(30, 8, 10)
    if (by_digit == by_digit[:, :1]).all() and not (first == first[:, :1]).all():
        raise _is("you drop columns: all pictures of a digit lose their label together; draw one number for each row")
    if (first.sum(axis=1) == p * len(y)).all() and not (first == first[:1]).all():
        raise _is("you drop exactly a share of p_uncond in each batch: draw for each row on its own")

    mistakes = [
        (chance_of(lambda p: 1 - p), "it is the other way round: you keep a share of p_uncond and drop the rest"),
        (chance_of(lambda p: 0.1), "you drop a share of 0.1, whatever p_uncond is"),
        (chance_of(lambda p: 0.9), "you keep a share of 0.1, whatever p_uncond is"),
        (chance_of(lambda p: 0.5), "you drop half of the rows, whatever p_uncond is"),
        (
            chance_of(lambda p: (1 + math.erf(p / 2**0.5)) / 2),
            "you compare p_uncond with randn: its numbers are Gaussian; rand's are spread evenly over [0, 1)",
        ),
        (
            chance_of(lambda p: (1 - math.erf(p / 2**0.5)) / 2),
            "you compare p_uncond with randn, the other way round: rand's numbers are spread evenly over [0, 1)",
        ),
        (chance_of(lambda p: p**2), "you drop a share of p_uncond²: do you draw twice?"),
    ]
    cases = [
        case("on random rows", 64, 0.25),
        case("at p_uncond = 0.1", 64, 0.1),
        case("at a random p_uncond", 32, float(torch.rand(()) * 0.2 + 0.6)),
        case("at p_uncond = 0", 16, 0.0),
        case("at p_uncond = 1", 16, 1.0),
        case("for a batch of 1", 1, 0.4),
    ]
    what = "decisions (0 keeps, 1 drops)"
    return judge_shares(
        attempt, dropped, chance_of(lambda p: p), mistakes, cases, what, "row", lambda y, p: tuple(y.shape)
    )


@check
def training_times(attempt: Callable) -> Verdict:
    """attempt(batch, T) → t (batch,) whole numbers, each of 1 … T equally likely. Stratified is as good."""

    def whole(times: np.ndarray, batch: int, T: int) -> np.ndarray:
        times = np.asarray(times)
        if np.array_equal(times, np.round(times)):
            return times.astype(int)
        if np.allclose(times * T, np.round(times * T), atol=1e-3) and (abs(times) <= 1).all():
            raise _is("that is t/T, which only the network is told; asked for are the t")
        raise _is("times are whole numbers, because they are indices; yours lie between them")

    def evenly(first: Callable, last: Callable) -> Callable:
        """The law by which each of first(T) … last(T) is equally likely."""
        return lambda batch, T: {t: 1 / (last(T) - first(T) + 1) for t in range(first(T), last(T) + 1)}

    def rounded(first: int) -> Callable:
        """The law of rounding numbers between first and T: the two ends get half a share."""
        return lambda batch, T: {t: (1 - (t in (first, T)) / 2) / (T - first) for t in range(first, T + 1)}

    mistakes = [
        (
            evenly(lambda T: 1, lambda T: T - 1),
            "your t = T is never drawn, and sampling begins there: randint leaves out its upper end",
        ),
        (
            evenly(lambda T: 0, lambda T: T - 1),
            "your t runs over 0 … T − 1: the paper counts from 1, and t = 0 has no noise to find",
        ),
        (
            evenly(lambda T: 0, lambda T: T),
            "your t runs over 0 … T: you draw t = 0 too, and there x_t is the digit itself, with no noise to find",
        ),
        (evenly(lambda T: 2, lambda T: T + 1), "your t runs over 2 … T + 1: that is one too many"),
        (evenly(lambda T: 1, lambda T: T + 1), "your t runs over 1 … T + 1: that is one too many"),
        (
            rounded(0),
            "you round numbers between 0 and T: t = 0 comes, too, and both ends come half as often as the rest",
        ),
        (rounded(1), "you round numbers between 1 and T: both ends come half as often as the rest"),
        (evenly(lambda T: 1, lambda T: 500), "your times run to 500, whatever T is"),
        (evenly(lambda T: 1, lambda T: 1000), "your times run to 1000, whatever T is"),
    ]
    cases = [  # a batch that T divides would leave no chance to a stratified draw
        ("for a large batch", 64, int(torch.randint(9, 13, ()))),
        ("as the notebook trains", 32, 500),
        ("for a batch of 1", 1, 7),
        ("at T = 3", 16, 3),
    ]
    right = evenly(lambda T: 1, lambda T: T)
    return judge_shares(attempt, whole, right, mistakes, cases, "times", "picture", lambda batch, T: (batch,))


@check
def eps_from_v(attempt: Callable) -> Verdict:
    """attempt(x_t, alpha_bar_t, v) → ε, where v = √ᾱ_t·ε − √(1−ᾱ_t)·x_0."""

    def solved(x, a, v):
        return (1 - a).sqrt() * x + a.sqrt() * v

    mistakes = [
        (lambda x, a, v: a.sqrt() * x + (1 - a).sqrt() * v, "the two roots are swapped"),
        (lambda x, a, v: (1 - a).sqrt() * x - a.sqrt() * v, "the sign of v is flipped: add the two equations"),
        (lambda x, a, v: a.sqrt() * v - (1 - a).sqrt() * x, "the sign of x_t is flipped: add the two equations"),
        (lambda x, a, v: -solved(x, a, v), "that is −ε: both signs are flipped"),
        (lambda x, a, v: a.sqrt() * x - (1 - a).sqrt() * v, "that is x_0, not ε"),
        (lambda x, a, v: (1 - a) * x + a * v, "you used ᾱ_t and 1 − ᾱ_t without their roots"),
        (lambda x, a, v: (1 - a) * x + a.sqrt() * v, "the root of 1 − ᾱ_t is missing"),
        (lambda x, a, v: (1 - a).sqrt() * x + a * v, "the root of ᾱ_t is missing"),
        (lambda x, a, v: a * x + (1 - a) * v, "the two levels are swapped, and their roots are missing"),
        (
            lambda x, a, v: (v + (1 - a).sqrt() * x) / a.sqrt(),
            "you used x_t where x_0 belongs: x_0 is unknown, so it must drop out",
        ),
        (lambda x, a, v: v, "that is v itself"),
        (lambda x, a, v: x, "that is x_t itself"),
        (lambda x, a, v: a.sqrt() * v, "x_t is missing: v alone doesn't tell the noise"),
        (lambda x, a, v: (1 - a).sqrt() * x, "v is missing: x_t alone doesn't tell the noise"),
        (lambda x, a, v: (1 - a).sqrt() * x + v, "the factor √ᾱ_t is missing in front of v"),
        (lambda x, a, v: x + a.sqrt() * v, "the factor √(1−ᾱ_t) is missing in front of x_t"),
        (lambda x, a, v: x + v, "both levels are missing: multiply x_t by √(1−ᾱ_t), and v by √ᾱ_t"),
        (lambda x, a, v: (1 - a.sqrt()) * x + a.sqrt() * v, "your noise level is 1 − √ᾱ_t; it is √(1−ᾱ_t)"),
        (lambda x, a, v: (x - a.sqrt() * v) / (1 - a).sqrt(), "you put v where x_0 belongs, in the equation for x_t"),
        (lambda x, a, v: (x + a.sqrt() * v) / (1 - a).sqrt(), "you took v for −x_0, which it is at large t only"),
        (lambda x, a, v: solved(x, a, v) / 2, "that is half of ε: the two squared levels sum to 1, not to 2"),
        (lambda x, a, v: solved(x, a[:1], v), "all pictures get the ᾱ_t of the first picture"),
        (
            lambda x, a, v: solved(x, a, v).clamp(-1, 1),
            "you clip the noise to [−1, 1]: pixels end there, noise doesn't",
        ),
    ]
    # at t = 1 some right forms divide by √(1−ᾱ_1) = 0.01, and float32 rounds
    return judge(attempt, solved, mistakes, cases_of_v(), atol=1e-3)


@check
def x_0_from_v(attempt: Callable) -> Verdict:
    """attempt(x_t, alpha_bar_t, v) → x_0, where v = √ᾱ_t·ε − √(1−ᾱ_t)·x_0."""

    def solved(x, a, v):
        return a.sqrt() * x - (1 - a).sqrt() * v

    mistakes = [
        (lambda x, a, v: a.sqrt() * x + (1 - a).sqrt() * v, "the sign of v is flipped: subtract the second equation"),
        (lambda x, a, v: -solved(x, a, v), "that is −x_0: both signs are flipped"),
        (lambda x, a, v: (1 - a).sqrt() * x - a.sqrt() * v, "the two roots are swapped"),
        (lambda x, a, v: a.sqrt() * v - (1 - a).sqrt() * x, "the two roots are swapped, and the signs are flipped"),
        (lambda x, a, v: (1 - a).sqrt() * x + a.sqrt() * v, "that is ε, not x_0: now let ε drop out"),
        (lambda x, a, v: a * x - (1 - a) * v, "you used ᾱ_t and 1 − ᾱ_t without their roots"),
        (lambda x, a, v: a * x - (1 - a).sqrt() * v, "the root of ᾱ_t is missing"),
        (lambda x, a, v: a.sqrt() * x - (1 - a) * v, "the root of 1 − ᾱ_t is missing"),
        (lambda x, a, v: (1 - a) * x - a * v, "the two levels are swapped, and their roots are missing"),
        (
            lambda x, a, v: (x - (1 - a).sqrt() * v) / a.sqrt(),
            "you put v where ε belongs: ε is unknown, so it must drop out",
        ),
        (
            lambda x, a, v: (a.sqrt() * x - v) / (1 - a).sqrt(),
            "you put x_t where ε belongs: ε is unknown, so it must drop out",
        ),
        (lambda x, a, v: x, "that is x_t itself"),
        (lambda x, a, v: v, "that is v itself"),
        (lambda x, a, v: -v, "that is −v, which is near x_0 at large t only"),
        (lambda x, a, v: x / a.sqrt(), "you took ε for 0: v tells what the noise is"),
        (lambda x, a, v: a.sqrt() * x, "v is missing: x_t alone doesn't tell the digit"),
        (lambda x, a, v: -(1 - a).sqrt() * v, "x_t is missing: v alone doesn't tell the digit"),
        (lambda x, a, v: a.sqrt() * x - v, "the factor √(1−ᾱ_t) is missing in front of v"),
        (lambda x, a, v: x - (1 - a).sqrt() * v, "the factor √ᾱ_t is missing in front of x_t"),
        (lambda x, a, v: x - v, "both levels are missing: multiply x_t by √ᾱ_t, and v by √(1−ᾱ_t)"),
        (lambda x, a, v: a.sqrt() * x - (1 - a.sqrt()) * v, "your noise level is 1 − √ᾱ_t; it is √(1−ᾱ_t)"),
        (lambda x, a, v: solved(x, a, v) / 2, "that is half of x_0: the two squared levels sum to 1, not to 2"),
        (lambda x, a, v: solved(x, a[:1], v), "all pictures get the ᾱ_t of the first picture"),
        (
            lambda x, a, v: solved(x, a, v).clamp(-1, 1),
            "you clip x_0 to [−1, 1]; a sampler does that later, and it isn't in the equations",
        ),
    ]
    # at t = 1 some right forms divide by √(1−ᾱ_1) = 0.01, and at t = T by √ᾱ_T = 0.08: float32 rounds
    return judge(attempt, solved, mistakes, cases_of_v(), atol=1e-3)


def cases_of_v() -> list[tuple]:
    """Cases of x_t, ᾱ_t and v: v as it follows from a digit and its noise, and as a network may guess it."""
    linear = NoiseSchedule.linear(T=500).alpha_bar.view(-1, 1, 1, 1)
    cosine = NoiseSchedule.cosine(T=500, shift=1.5).alpha_bar.view(-1, 1, 1, 1)
    levels = {
        "on random inputs": torch.rand(8, 1, 1, 1) * 0.8 + 0.1,
        "for the notebook's schedule": cosine[torch.randint(10, 400, (4,))],
        "for a batch of 1": torch.rand(1, 1, 1, 1) * 0.5 + 0.3,
        "at t = 1": linear[[1, 1]],
        "at t = T": linear[[-1, -1]],
    }
    cases = []
    for name, a in levels.items():
        x_0, eps = images(len(a)), torch.randn(len(a), 1, 28, 28)
        x_t, v = a.sqrt() * x_0 + (1 - a).sqrt() * eps, a.sqrt() * eps - (1 - a).sqrt() * x_0
        cases.append((name, x_t, a.clone(), v))
    x_t, v = torch.randn(2, 3, 1, 28, 28)
    return [*cases, ("for a v that a network guesses", x_t, torch.rand(3, 1, 1, 1) * 0.8 + 0.1, v)]


class Notes(list):
    """What networks were asked, from all copies of them: a copy of the notes is the notes."""

    def __deepcopy__(self, memo: dict) -> "Notes":
        return self


class Oracle(nn.Module):
    """In the place of the U-Net: its answer is known, and it takes notes of what it is asked.

    answer: function of (x_t, t/T, label rows). Ends a check where the U-Net would crash, or be told nonsense.
    """

    def __init__(self, answer: Callable, notes: Notes):
        super().__init__()
        self.answer, self.notes = answer, notes
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x_t: Tensor, t_over_T: Tensor, y: Tensor) -> Tensor:
        if not isinstance(x_t, Tensor) or x_t.shape[1:] != (1, 28, 28):
            raise Judged(wrong(f"the network's first input should be x_t of shape (B, 1, 28, 28), got {_form(x_t)}"))
        B = len(x_t)
        if not isinstance(t_over_T, Tensor) or t_over_T.shape != (B,):
            raise Judged(wrong(f"the network's second input should be t/T of shape ({B},), got {_form(t_over_T)}"))
        if (t_over_T > 1).any():
            raise _is("the network is told t/T, which lies between 0 and 1; you hand it larger numbers")
        if (t_over_T <= 0).any():
            raise _is("you draw t = 0, too: there x_t is the digit itself, with no noise to find; times are 1 … T")
        if not isinstance(y, Tensor) or y.ndim != 2 or len(y) != B:
            raise _is("the network's third input should be label rows (B, 10), with a 1 at the digit")
        if y.shape[1] != 10:
            raise _is(f"your label rows have {y.shape[1]} numbers; they need 10, even if no 9 is in the batch")
        answer = self.answer(x_t, t_over_T.view(-1, 1, 1, 1), y.to(x_t)).expand(x_t.shape)
        self.notes.append((x_t.detach(), t_over_T.detach(), y.detach(), answer.detach()))
        return self.scale * answer


class Game(DDPM):
    """A DDPM that won't compute its own loss: the exercise is to write it."""

    def errors(self, *inputs: object, **settings: object) -> None:
        raise _is("that is the library's loss: write it by hand, from the five lines of the algorithm")


def _form(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def played(
    t: Callable = lambda B, T: torch.randint(1, T + 1, (B,)),
    eps: Callable = torch.randn_like,
    rows: Callable = lambda y, keep: F.one_hot(y, 10) * keep[:, None],
    keep: Callable = lambda B, p: torch.rand(B) >= p,
    x_t: Callable = lambda x_0, eps, a: a.sqrt() * x_0 + (1 - a).sqrt() * eps,
    level: str = "alpha_bar",
    score: Callable = lambda eps, eps_hat, x_0, x_t, a: F.mse_loss(eps_hat, eps),
) -> Callable:
    """The loss by hand, of which a line may be another's."""

    def loss(ddpm, x_0, y, p_uncond):
        T = ddpm.schedule.T
        times, noise = t(len(x_0), T), eps(x_0)
        a = getattr(ddpm.schedule, level)[times].view(-1, 1, 1, 1)
        noised = x_t(x_0, noise, a)
        eps_hat = ddpm.unet(noised, times / T, rows(y, keep(len(y), p_uncond)).float())
        return score(noise, eps_hat, x_0, noised, a)

    return loss


@check
def loss(attempt: Callable) -> Verdict:
    """attempt(ddpm, x_0, y (B,), p_uncond) → the mean of (ε − ε̂)² over the batch, with label dropout; a scalar.

    The networks give answers that are known. Then the loss of a large batch is known, up to chance; and what the
    network was asked tells the noise that was drawn, so that the loss of a small batch is known exactly.
    """

    def x_0_of(batch: int) -> Tensor:
        return images(batch) * 0.3 - 0.7  # dark, as digits are, so that their mean tells the signal level

    def ddpm_of(answer: Callable, schedule: NoiseSchedule, notes: Notes) -> DDPM:
        return Game(Oracle(answer, notes), schedule)

    def mean_of(answer: Callable) -> Callable:
        """A mistake in what the loss does with the noise and the network's answer."""
        return played(score=answer)

    _play_fair(attempt, ddpm_of)
    mistakes = [
        (mean_of(lambda e, e_hat, x_0, x_t, a: F.mse_loss(e_hat, x_0)), "you compare the answer with x_0; asked is ε"),
        (mean_of(lambda e, e_hat, x_0, x_t, a: F.mse_loss(e_hat, x_t)), "you compare the answer with x_t; asked is ε"),
        (
            mean_of(lambda e, e_hat, x_0, x_t, a: F.mse_loss(e_hat, torch.randn_like(e))),
            "you compare with another noise than the one in x_t: draw ε once, and use it twice",
        ),
        (
            mean_of(lambda e, e_hat, x_0, x_t, a: F.mse_loss(e_hat, a.sqrt() * e - (1 - a).sqrt() * x_0)),
            "you compare the answer with v; this network is asked for ε",
        ),
        (
            mean_of(lambda e, e_hat, x_0, x_t, a: (e_hat - e).square().sum()),
            "that is the sum of all squares: take their mean, or the loss grows with the batch",
        ),
        (
            mean_of(lambda e, e_hat, x_0, x_t, a: (e_hat - e).flatten(1).square().sum(1).mean()),
            "you sum over the pixels: take the mean over them, too",
        ),
        (mean_of(lambda e, e_hat, x_0, x_t, a: (e_hat - e).abs().mean()), "you take absolute errors: square them"),
        (mean_of(lambda e, e_hat, x_0, x_t, a: F.mse_loss(e_hat, e).sqrt()), "that is the root of the mean square"),
        (mean_of(lambda e, e_hat, x_0, x_t, a: F.mse_loss(e_hat, e) / 2), "that is half of the mean square"),
        (
            played(t=lambda B, T: torch.randint(1, T, (B,))),
            "your t = T is never drawn, and sampling begins there: randint leaves out its upper end",
        ),
        (played(eps=torch.rand_like), "your noise is rand, even over [0, 1): Gaussian noise is randn"),
        (played(x_t=lambda x, e, a: a * x + (1 - a) * e), "in x_t, ᾱ_t and 1 − ᾱ_t need their roots"),
        (played(x_t=lambda x, e, a: a * x + (1 - a).sqrt() * e), "in x_t, the root of ᾱ_t is missing"),
        (played(x_t=lambda x, e, a: a.sqrt() * x + (1 - a) * e), "in x_t, the root of 1 − ᾱ_t is missing"),
        (played(x_t=lambda x, e, a: (1 - a).sqrt() * x + a.sqrt() * e), "in x_t, the two levels are swapped"),
        (played(x_t=lambda x, e, a: x + (1 - a).sqrt() * e), "in x_t, x_0 isn't scaled down by √ᾱ_t"),
        (played(x_t=lambda x, e, a: x), "the network is handed x_0 itself: it should see x_t"),
        (played(level="alpha"), "in x_t, you used α_t, the share that one step keeps; it is ᾱ_t"),
        (
            played(keep=lambda B, p: torch.rand(B) < p),
            "label dropout is the other way round: you keep a share of p_uncond and drop the rest",
        ),
        (
            played(rows=lambda y, keep: F.one_hot(y * keep, 10)),
            "your rows without a label are those of the digit 0: no label is a row of zeros",
        ),
        (
            lambda ddpm, x, y, p: played(rows=lambda y, keep: F.one_hot(y, 10) * keep[:, None] / (1 - p + 1e-9))(
                ddpm, x, y, p
            ),
            "you divide labels by 1 − p_uncond, as nn.Dropout does: a label that is kept stays as it is",
        ),
    ]
    notes, weights = Notes(), torch.tensor([2.0, *[1.0] * 9])
    networks = {
        "that always answers 0": lambda x_t, t, y: 0 * x_t,
        "that answers −x_t": lambda x_t, t, y: -x_t,
        "that answers by the brightness of x_t": lambda x_t, t, y: 2 * x_t.mean(dim=(1, 2, 3), keepdim=True),
        "that answers t/T": lambda x_t, t, y: 1.5 * t,
        "that answers by the label": lambda x_t, t, y: (y * weights).sum(1).view(-1, 1, 1, 1),
    }
    short = NoiseSchedule(torch.tensor([0.4, 0.4, 0.6, 0.7]))
    many = x_0_of(1024), torch.arange(1024) % 10
    cases = [(f"for a network {name}", ddpm_of(answer, short, notes), *many, 0.25) for name, answer in networks.items()]
    by_label = ddpm_of(networks["that answers by the label"], short, notes)
    cases += [("at p_uncond = 0", by_label, *many, 0.0), ("at p_uncond = 1", by_label, *many, 1.0)]
    # a mean over 1,024 pictures has a standard deviation of at most 0.03
    verdict = judge(attempt, played(), mistakes, cases, rtol=0.04, atol=0.06)
    if verdict.status != "passed":
        return verdict
    notebooks = NoiseSchedule.cosine(T=500, shift=1.5)
    for name, batch in (("for the notebook's batches", 32), ("for a batch of 1", 1), ("for two pictures", 2)):
        inputs = ddpm_of(lambda x_t, t, y: x_t.tanh() + t, notebooks, notes), x_0_of(batch), torch.arange(batch)
        notes.clear()
        got = draws(attempt, (*inputs[:2], inputs[2] % 9, 0.1), (), calls=1, case=name)[0]
        off = _off(float(got), inputs[1], notes, notebooks)
        if off > 2e-3:
            return wrong(f"right for large batches, but {name}: off by up to {off:.3g} from the right answer")
    return verdict


def _play_fair(attempt: Callable, ddpm_of: Callable) -> None:
    """Ends the check where something is shared or fixed that should be drawn, or where no gradient comes back."""
    notes, played_with, batch, calls = Notes(), [], 8, 30
    ddpm = ddpm_of(lambda x_t, t, y: 0.1 * x_t + 1, NoiseSchedule.linear(T=500), notes)

    @functools.wraps(attempt)
    def watched(*inputs: object) -> object:
        played_with[:] = inputs[0].unet.scale, attempt(*inputs)
        return played_with[1]

    grey = torch.zeros(batch, 1, 28, 28)  # then x_t is the noise, whatever its level
    digits = torch.tensor([3, 3, 3, 3, 8, 8, 8, 8])
    seen, some_label = [], False
    for _ in range(calls):
        notes.clear()
        draws(watched, (ddpm, grey, digits, 0.5), (), calls=1)
        if not notes:
            raise _is("your loss never asks the network: ddpm.unet(x_t, t / T, rows)")
        x_t, t, rows, _ = (torch.cat(parts).double() for parts in zip(*notes, strict=True))
        if len(x_t) % batch:
            raise Judged(wrong(f"the network should be asked about each of the {batch} pictures, got {len(x_t)}"))
        flat = x_t.flatten(1) / x_t.flatten(1).norm(dim=1, keepdim=True).clamp(min=1e-9)
        told = rows.gather(1, digits.repeat(len(rows) // batch)[:, None])[:, 0]  # what stands at the digit
        seen.append((flat, t, told == 0))
        some_label |= bool(rows.any())
    _is_differentiable(*played_with)
    (first, t, _), (second, t_again, _) = seen[:2]
    noisy = first.norm(dim=1) > 0.5
    if noisy.any():
        if first.shape == second.shape and (first - second).abs().max() < 1e-4:
            raise _is("two calls use the same noise: draw new random numbers each time")
        if (first[noisy].std(dim=1) < 1e-6).all():
            raise _is("all pixels of a picture get the same noise: draw it in the shape of the pictures")
        if (first[noisy] - first[noisy][:1]).abs().max() < 1e-4:
            raise _is("every picture gets the same noise: draw it in the shape of the pictures")
    if torch.equal(t, t_again):
        raise _is("two calls use the same times: draw new random numbers each time")
    if all((times == times[0]).all() for _, times, _ in seen):
        raise _is("the whole batch gets the same time: draw one for each picture")
    dropped = torch.stack([gone[:batch] for _, _, gone in seen])
    if dropped.all() and some_label:
        raise Judged(wrong("a label row should have its 1 at the digit; yours have it elsewhere"))
    _drop_fair(dropped)


def _is_differentiable(scale: nn.Parameter, value: object) -> None:
    """Ends the check where value has no gradient with respect to the network's scale."""
    if scale.grad is not None:
        raise _is("your loss calls backward() itself: return the loss, and the training loop does that")
    if isinstance(value, Tensor) and value.requires_grad:
        value.sum().backward()
    if scale.grad is None or scale.grad == 0:
        raise _is(
            "no gradient comes back to the network: return a tensor that was computed from its answer, without "
            "`.item()`, `.detach()` or `no_grad`"
        )


def _drop_fair(dropped: Tensor) -> None:
    """dropped: (calls, 8) whether a picture lost its label, at p_uncond = 0.5; four pictures of a digit each."""
    if not dropped.any():
        raise _is("no row ever loses its label: label dropout is missing")
    if dropped.all():
        raise _is("every row loses its label, whatever p_uncond is")
    if (dropped == dropped[:1]).all():
        raise _is("two calls drop the same labels: draw new random numbers each time")
    if (dropped == dropped[:, :1]).all():
        raise _is("the whole batch loses its labels together: draw one number for each row")
    by_digit = dropped.view(-1, 2, 4)
    if (by_digit == by_digit[:, :, :1]).all():
        raise _is("you drop columns: all pictures of a digit lose their label together; draw one number for each row")
    if (dropped.sum(dim=1) == 4).all():
        raise _is("you drop exactly a share of p_uncond in each batch: draw for each row on its own")


def _off(got: float, x_0: Tensor, notes: Notes, schedule: NoiseSchedule) -> float:
    """How far a loss is from that of the noise which the network's pictures hold; 0 if that can't be told."""
    x_t, t, _, answer = (torch.cat(parts).double() for parts in zip(*notes, strict=True))
    if len(x_t) != len(x_0):
        return 0.0
    signal, sigma = (level.double() for level in schedule.levels((t * schedule.T).round().long()))
    eps = (x_t - signal * x_0) / sigma
    return abs(got - float((answer - eps).square().mean()))
