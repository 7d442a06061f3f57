"""Self-checks of the exercises: is the answer right, and if not, what kind of wrong is it?

Each check calls the learner's function on fresh random inputs and compares what comes back with the right
answer and with the mistakes that people make. It never raises: it returns a `Verdict`, which prints itself.
"""

import functools
import itertools
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_lib.schedule import NoiseSchedule


@dataclass(frozen=True)
class Verdict:
    """status: "passed", "wrong" or "not attempted". message: one sentence for the learner."""

    status: str
    message: str

    def __repr__(self) -> str:
        sign = {"passed": "✓", "wrong": "✗", "not attempted": "…"}[self.status]
        return f"{sign} {self.status}: {self.message}"


NOT_ATTEMPTED = Verdict("not attempted", "replace None by your code and run the cell and this check again")


def _check(check: Callable) -> Callable:
    """Turn a learner's exception into a verdict that shows the line where it happened."""

    @functools.wraps(check)
    def guarded(attempt: Callable) -> Verdict:
        try:
            return check(attempt)
        except Exception as error:
            # The deepest frame outside this package and outside torch is the learner's own.
            frames = [f for f in traceback.extract_tb(error.__traceback__) if "ddpm_lib" not in f.filename]
            own = [f for f in frames if "site-packages" not in f.filename] or frames
            where = f" in line {own[-1].lineno}, `{own[-1].line}`" if own and own[-1].line else ""
            return Verdict("wrong", f"your code raised {type(error).__name__}{where}: {error}")

    return guarded


def _judge(attempt: Callable, right: Callable, mistakes: dict[str, Callable], *inputs: object) -> Verdict:
    """Compare attempt(*inputs) with right(*inputs), then with each named mistake."""
    got = attempt(*[value.clone() if isinstance(value, Tensor) else value for value in inputs])
    if got is None:
        return NOT_ATTEMPTED
    want = torch.as_tensor(right(*inputs)).double()  # not as an integer: that would truncate a wrong 142.5
    try:
        got = torch.as_tensor(got, dtype=want.dtype)
    except (TypeError, ValueError, RuntimeError):
        return Verdict("wrong", f"the answer should be a tensor or a number, got {type(got).__name__}")

    def is_like(answer: object) -> bool:
        answer = torch.as_tensor(answer, dtype=want.dtype)
        return got.shape == answer.shape and torch.allclose(got, answer, atol=1e-4, rtol=1e-4)

    if is_like(want):
        return Verdict("passed", "right on fresh random inputs")
    for diagnosis, mistake in mistakes.items():  # some of them have a shape of their own
        if is_like(mistake(*inputs)):
            return Verdict("wrong", diagnosis)
    if got.shape != want.shape:
        return Verdict("wrong", f"the answer should have shape {tuple(want.shape)}, got {tuple(got.shape)}")
    return Verdict("wrong", f"off by up to {(got - want).abs().max():.3g} from the right answer")


def _images(*shape: int) -> Tensor:
    return torch.rand(*shape, 1, 28, 28) * 2 - 1


# ---------------------------------------------------------------------------- 00 welcome


@_check
def rescale(attempt: Callable) -> Verdict:
    """attempt(images in [0, 1]) → the same images in [−1, 1]."""
    mistakes = {
        "that is the way back, from [−1, 1] to [0, 1]": lambda x: (x + 1) / 2,
        "your pixels lie in [−½, ½]: shifted, but not stretched": lambda x: x - 0.5,
        "your pixels lie in [0, 2]: stretched, but not shifted": lambda x: 2 * x,
        "your pixels lie in [−1, 0]: shifted, but not stretched": lambda x: x - 1,
        "ink and paper are swapped: 0 must become −1": lambda x: 1 - 2 * x,
        "you changed nothing: the pixels still lie in [0, 1]": lambda x: x,
    }
    return _judge(attempt, lambda x: 2 * x - 1, mistakes, torch.rand(8, 1, 28, 28))


# ---------------------------------------------------------------------------- 01 forward process


@_check
def add_noise(attempt: Callable) -> Verdict:
    """attempt(x_0, alpha_bar_t, eps) → x_t, with alpha_bar_t of shape (B, 1, 1, 1)."""
    mistakes = {
        "you used ᾱ_t and 1 − ᾱ_t without their square roots": lambda x, a, e: a * x + (1 - a) * e,
        "your noise has standard deviation 1 − ᾱ_t: that is the variance, take its root": lambda x, a, e: (
            a.sqrt() * x + (1 - a) * e
        ),
        "your noise level is 1 − √ᾱ_t; it is √(1 − ᾱ_t)": lambda x, a, e: a.sqrt() * x + (1 - a.sqrt()) * e,
        "signal and noise are swapped": lambda x, a, e: (1 - a).sqrt() * x + a.sqrt() * e,
        "the noise is missing": lambda x, a, e: a.sqrt() * x,
        "x_0 isn't scaled down: the variance grows with t": lambda x, a, e: x + (1 - a).sqrt() * e,
    }
    alpha_bar_t = torch.rand(8, 1, 1, 1) * 0.8 + 0.1
    x_0 = _images(8)
    return _judge(
        attempt,
        lambda x, a, e: a.sqrt() * x + (1 - a).sqrt() * e,
        mistakes,
        x_0,
        alpha_bar_t,
        torch.randn_like(x_0),
    )


@_check
def half_noise_time(attempt: Callable) -> Verdict:
    """attempt(schedule) → the first t at which at least half of x_t's variance is noise, 1 − ᾱ_t ≥ 1/2."""
    schedule = NoiseSchedule.linear(T=int(torch.randint(300, 700, ())))
    mistakes = {
        "that is the first t with 1 − α_t ≥ 1/2 or none: you used α, the single step, not ᾱ": lambda s: int(
            (s.beta >= 0.5).int().argmax()
        ),
        "you took the standard deviation √(1 − ᾱ_t) ≥ 1/2, not the variance": lambda s: int(
            ((1 - s.alpha_bar).sqrt() >= 0.5).int().argmax()
        ),
        "off by one: ᾱ has an entry for t = 0, so the index is already t": lambda s: (
            int((s.alpha_bar <= 0.5).int().argmax()) + 1
        ),
        "that is half of T; the schedule isn't that even": lambda s: s.T // 2,
    }
    return _judge(attempt, lambda s: int((s.alpha_bar <= 0.5).int().argmax()), mistakes, schedule)


# ---------------------------------------------------------------------------- 02 the U-Net


@_check
def resize_and_concatenate(attempt: Callable) -> Verdict:
    """attempt(features (B, C, 7, 7), t_embedding (B, E), y_embedding (B, E)) → (B, C + 2E, 7, 7)."""

    def joined(h, t, y):
        return torch.cat([h, *(e[:, :, None, None].expand(-1, -1, *h.shape[-2:]) for e in (t, y))], dim=1)

    mistakes = {
        "t and y are swapped: features first, then t, then y": lambda h, t, y: joined(h, y, t),
        "features belong first: [features, t, y]": lambda h, t, y: torch.cat([joined(h, t, y)[:, 3:], h], dim=1),
        "you joined t twice; y never arrives": lambda h, t, y: joined(h, t, t),
        "you joined y twice; t never arrives": lambda h, t, y: joined(h, y, y),
    }
    return _judge(attempt, joined, mistakes, torch.randn(2, 3, 7, 7), torch.randn(2, 4), torch.randn(2, 4))


@_check
def conv_parameters(attempt: Callable) -> Verdict:
    """attempt(channels_in, channels_out, kernel) → number of parameters of a convolution with bias."""
    mistakes = {
        "you forgot the bias: one number for each output channel": lambda i, o, k: i * o * k * k,
        "a kernel has kernel × kernel entries": lambda i, o, k: i * o * k + o,
        "the bias has one number for each output channel, not input channel": lambda i, o, k: i * o * k * k + i,
        "every output channel has its own kernel for every input channel": lambda i, o, k: o * k * k + o,
    }
    return _judge(attempt, lambda i, o, k: i * o * k * k + o, mistakes, 7, 11, 3)


# ---------------------------------------------------------------------------- 03 training


@_check
def label_dropout(attempt: Callable) -> Verdict:
    """attempt(y (B, 10), p_uncond) → y with each row set to zero on its own with probability p_uncond."""
    y = torch.rand(4000, 10).softmax(dim=1)  # not one-hot: there, dropping single entries looks like dropping rows
    before, p_uncond = y.clone(), 0.25
    got = attempt(y, p_uncond)
    if got is None:
        return NOT_ATTEMPTED
    if not torch.equal(y, before):
        return Verdict("wrong", "you changed the caller's labels in place: next epoch they will be gone")
    if not isinstance(got, Tensor) or got.shape != y.shape:
        return Verdict(
            "wrong", f"the answer should be a tensor of shape {tuple(y.shape)}, got {getattr(got, 'shape', got)}"
        )
    dropped, kept = (got == 0).all(1), (got == y).all(1)
    share = dropped.float().mean().item()
    if not (dropped | kept).all():
        return Verdict("wrong", "a row is either kept whole or all zero: draw one number for each row, not each entry")
    if share in (0.0, 1.0):
        return Verdict("wrong", "the whole batch is kept or dropped together: draw one number for each row")
    if abs(share - (1 - p_uncond)) < 0.05:
        return Verdict(
            "wrong", f"you keep a share of p_uncond and drop the rest: {share:.0%} dropped, asked for {p_uncond:.0%}"
        )
    if abs(share - p_uncond) > 0.05:  # seven standard deviations
        return Verdict("wrong", f"{share:.1%} of the rows lost their label, asked for {p_uncond:.0%}")
    if torch.equal(attempt(y, p_uncond) == 0, got == 0):
        return Verdict("wrong", "two calls drop the same rows: draw new random numbers each time")
    return Verdict("passed", f"{share:.1%} of the rows lost their label, asked for {p_uncond:.0%}")


@_check
def eps_from_v(attempt: Callable) -> Verdict:
    """attempt(x_t, alpha_bar_t, v) → ε, where v = √ᾱ_t·ε − √(1−ᾱ_t)·x_0."""
    mistakes = {
        "the two roots are swapped": lambda x, a, v: a.sqrt() * x + (1 - a).sqrt() * v,
        "the sign of v is flipped: ε = √(1−ᾱ_t)·x_t + √ᾱ_t·v": lambda x, a, v: (1 - a).sqrt() * x - a.sqrt() * v,
        "that is x_0, not ε": lambda x, a, v: a.sqrt() * x - (1 - a).sqrt() * v,
        "you used ᾱ_t without its root": lambda x, a, v: (1 - a) * x + a * v,
    }
    x_0, eps = _images(8), torch.randn(8, 1, 28, 28)
    alpha_bar_t = torch.rand(8, 1, 1, 1) * 0.8 + 0.1
    x_t = alpha_bar_t.sqrt() * x_0 + (1 - alpha_bar_t).sqrt() * eps
    v = alpha_bar_t.sqrt() * eps - (1 - alpha_bar_t).sqrt() * x_0
    return _judge(attempt, lambda x, a, v: (1 - a).sqrt() * x + a.sqrt() * v, mistakes, x_t, alpha_bar_t, v)


# ---------------------------------------------------------------------------- 04 guided sampling


@_check
def guided_noise(attempt: Callable) -> Verdict:
    """attempt(eps_y, eps_null, w) → (1+w)·ε(y) − w·ε(∅)."""
    mistakes = {
        "this is s = 1 + w: your w = 1 is this course's w = 0": lambda c, u, w: u + w * (c - u),
        "the branches are swapped: you push away from the label": lambda c, u, w: (1 + w) * u - w * c,
        "the sign is flipped: you add the unlabelled branch instead of subtracting it": lambda c, u, w: (
            (1 + w) * c + w * u
        ),
        "you forgot the 1: w = 0 must give ε(y)": lambda c, u, w: w * c - w * u,
        "this is (1 − w)·ε(y) + w·ε(∅): it weakens the label": lambda c, u, w: (1 - w) * c + w * u,
    }
    w = float(torch.rand(()) * 3 + 1.3)
    return _judge(
        attempt,
        lambda c, u, w: (1 + w) * c - w * u,
        mistakes,
        torch.randn(4, 1, 28, 28),
        torch.randn(4, 1, 28, 28),
        w,
    )


@_check
def ddim_step(attempt: Callable) -> Verdict:
    """attempt(x_t, eps_hat, alpha_bar_t, alpha_bar_s) → x_s, the deterministic DDIM step."""

    def step(x, e, a, b):
        return b.sqrt() * (x - (1 - a).sqrt() * e) / a.sqrt() + (1 - b).sqrt() * e

    mistakes = {
        "that is x̂_0; now add the noise of time s again": lambda x, e, a, b: (x - (1 - a).sqrt() * e) / a.sqrt(),
        "you put back the noise of time t, not of time s": lambda x, e, a, b: (
            b.sqrt() * (x - (1 - a).sqrt() * e) / a.sqrt() + (1 - a).sqrt() * e
        ),
        "t and s are swapped: this step adds noise": lambda x, e, a, b: step(x, e, b, a),
        "you forgot to divide by √ᾱ_t when you solved for x̂_0": lambda x, e, a, b: (
            b.sqrt() * (x - (1 - a).sqrt() * e) + (1 - b).sqrt() * e
        ),
    }
    alpha_bar_t = torch.rand(4, 1, 1, 1) * 0.4 + 0.1
    return _judge(attempt, step, mistakes, _images(4), torch.randn(4, 1, 28, 28), alpha_bar_t, alpha_bar_t + 0.3)


# ---------------------------------------------------------------------------- 05 guidance lab


@_check
def guidance_push(attempt: Callable) -> Verdict:
    """attempt(eps_y, eps_null, w) → w·(ε(y) − ε(∅)): what guidance adds to ε(y)."""
    mistakes = {
        "that is the whole guided noise: leave out the ε(y) to which it is added": lambda c, u, w: (1 + w) * c - w * u,
        "that is what is added to ε(∅), with s = 1 + w": lambda c, u, w: (1 + w) * (c - u),
        "the sign is flipped: it must point from ε(∅) to ε(y)": lambda c, u, w: w * (u - c),
        "w is missing: at w = 0 nothing may be added": lambda c, u, w: c - u,
    }
    w = float(torch.rand(()) * 3 + 1.3)
    eps_y, eps_null = torch.randn(4, 1, 28, 28), torch.randn(4, 1, 28, 28)
    return _judge(attempt, lambda c, u, w: w * (c - u), mistakes, eps_y, eps_null, w)


@_check
def w_of_scale(attempt: Callable) -> Verdict:
    """attempt(guidance_scale) → w, where guidance_scale is the s of ε(∅) + s·(ε(y) − ε(∅))."""
    mistakes = {
        "that is s for a given w; you are given s": lambda s: s + 1,
        "the two are not the same number: s = 1 is plain conditional sampling, which is w = 0": lambda s: s,
        "the sign is flipped: a larger scale must give a larger w": lambda s: 1 - s,
    }
    return _judge(attempt, lambda s: s - 1, mistakes, float(torch.rand(()) * 6 + 2))


@_check
def smallest_w(attempt: Callable) -> Verdict:
    """attempt(weights, agreement, target) → the smallest w whose agreement is at least target.

    weights, agreement: lists of equal length, in any order. target: reached by at least one of them.
    """

    def right(weights: list[float], agreement: list[float], target: float) -> float:
        return min(w for w, a in zip(weights, agreement, strict=True) if a >= target)

    mistakes = {
        "that is the w with the highest agreement: a smaller one is good enough, and more diverse": lambda w, a, t: w[
            a.index(max(a))
        ],
        "that is the first in the list that reaches the target: the list need not be in order": lambda w, a, t: next(
            x for x, y in zip(w, a, strict=True) if y >= t
        ),
        "that is the largest w that reaches the target, not the smallest": lambda w, a, t: max(
            x for x, y in zip(w, a, strict=True) if y >= t
        ),
        "at least means ≥: an agreement of exactly the target is enough": lambda w, a, t: min(
            x for x, y in zip(w, a, strict=True) if y > t
        ),
        "that is an agreement, not the w where it is measured": lambda w, a, t: min(y for y in a if y >= t),
        "that is a place in the list, not the w there": lambda w, a, t: w.index(right(w, a, t)),
        "that w doesn't reach the target: look at agreement, not only at w": lambda w, a, t: min(w),
    }
    # Such an order and such a dip after the best that each mistake gives another answer.
    shift = round(0.1 + 0.3 * float(torch.rand(())), 2)
    weights = [w + shift for w in (6.0, -1.0, 8.0, 0.5, 3.0, 2.0, 4.0)]
    return _judge(attempt, right, mistakes, weights, [0.97, 0.1, 0.96, 0.9, 0.98, 0.95, 0.99], 0.95)


# ---------------------------------------------------------------------------- 06 morphing


def _one_hot(digit: float) -> Tensor:
    return torch.eye(10)[round(digit)]


@_check
def soft_label(attempt: Callable) -> Verdict:
    """attempt(a, b, share) → label row (10,): 1 − share of digit a, share of digit b."""
    mistakes = {
        "the shares are swapped: at share 0 the row is digit a": lambda a, b, s: (
            s * _one_hot(a) + (1 - s) * _one_hot(b)
        ),
        "that mixes the class numbers: it is one number, and a label is a row": lambda a, b, s: (1 - s) * a + s * b,
        "that is the digit whose number lies between: mix the rows, not the class numbers": lambda a, b, s: _one_hot(
            (1 - s) * a + s * b
        ),
        "that is the nearer digit alone: nothing is mixed": lambda a, b, s: _one_hot(b if s > 0.5 else a),
        "it does not sum to 1: digit a must leave as b comes, so it gets 1 − share": lambda a, b, s: (
            _one_hot(a) + s * _one_hot(b)
        ),
        "digit b is missing": lambda a, b, s: (1 - s) * _one_hot(a),
        "digit a is missing": lambda a, b, s: s * _one_hot(b),
    }
    a, b = int(torch.randint(0, 3, ())), int(torch.randint(7, 10, ()))
    share = float(torch.rand(()) * 0.2 + 0.55)  # so that the nearer digit is b, and the number between is neither
    return _judge(attempt, lambda a, b, s: (1 - s) * _one_hot(a) + s * _one_hot(b), mistakes, a, b, share)


@_check
def birthday_rows(attempt: Callable) -> Verdict:
    """attempt(date, n) → label rows (L + (L − 1)·n, 10): a row for each of the L digits, n mixtures between neighbours.

    date: text such as "07.03.1998"; what isn't a digit is left out.
    """

    def rows(digits: list[int], shares: list[float], last: bool = True) -> Tensor:
        """shares: of the later digit, for each row from one digit to the next."""
        mixed = [(1 - s) * _one_hot(a) + s * _one_hot(b) for a, b in itertools.pairwise(digits) for s in shares]
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
    others = (torch.randperm(9)[:7] + 1).tolist()  # all different: else two mistakes could look the same
    date = "0{}.{}{}.{}{}{}{}".format(*others)
    return _judge(attempt, lambda date, n: rows(digits_of(date), even(n)), mistakes, date, 4)


# ---------------------------------------------------------------------------- 07 fast sampling


@_check
def time_steps(attempt: Callable) -> Verdict:
    """attempt(T, steps) → the steps + 1 times of a sampler, evenly spread, falling from T to 0."""
    mistakes = {
        "the times rise: a sampler starts at T and walks down": lambda T, n: [i * T // n for i in range(n + 1)],
        "0 is missing: the last step never arrives at the digit": lambda T, n: [T - i * T // n for i in range(n)],
        "that ends at 1, where a little noise is left; it must end at 0": lambda T, n: [
            T - i * (T - 1) // n for i in range(n + 1)
        ],
        "T is missing: x_T is pure noise, but you tell the network that it is less": lambda T, n: [
            T - i * T // n for i in range(1, n + 1)
        ],
        "these are all times; only some are asked for": lambda T, n: list(range(T, -1, -1)),
    }
    steps = int(torch.randint(4, 9, ()))
    T = steps * int(torch.randint(20, 60, ()))
    return _judge(attempt, lambda T, n: [T - i * T // n for i in range(n + 1)], mistakes, T, steps)


@_check
def x_0_middle(attempt: Callable) -> Verdict:
    """attempt(x_0_hat, x_0_before, lambda_before, lambda_t, lambda_s) → x̂_0 extrapolated to the middle of the step."""
    mistakes = {
        "you went to the end of the step, not to its middle: half of h": lambda x, b, l0, l1, l2: (
            x + (l2 - l1) / (l1 - l0) * (x - b)
        ),
        "you went backwards: add the change since the step before, don't subtract it": lambda x, b, l0, l1, l2: (
            x - (l2 - l1) / (2 * (l1 - l0)) * (x - b)
        ),
        "that is the mean of the two guesses, which looks back; look ahead": lambda x, b, l0, l1, l2: (x + b) / 2,
        "the two steps may differ in length: scale the change by h over the step before": lambda x, b, l0, l1, l2: (
            x + (x - b) / 2
        ),
        "the ratio of the two steps is upside down": lambda x, b, l0, l1, l2: x + (l1 - l0) / (2 * (l2 - l1)) * (x - b),
        "that is x̂_0 as it is now: DDIM": lambda x, b, l0, l1, l2: x,
    }
    lambda_before, lambda_t, lambda_s = -2.0, -1.5 + float(torch.rand(())) / 4, 0.5 + float(torch.rand(()))
    return _judge(
        attempt,
        lambda x, b, l0, l1, l2: x + (l2 - l1) / (2 * (l1 - l0)) * (x - b),
        mistakes,
        _images(4),
        _images(4),
        lambda_before,
        lambda_t,
        lambda_s,
    )


@_check
def weight_at(attempt: Callable) -> Verdict:
    """attempt(t, w, t_min, t_max) → the guidance weight at time t: w inside the interval, ends included, else 0."""
    times = (50, 99, 100, 101, 250, 399, 400, 401, 450)
    w = float(torch.rand(()) * 3 + 1.3)

    def everywhere(weight: Callable) -> Callable:
        return lambda w: [weight(t, w) for t in times]

    mistakes = {
        "outside you return −1: that ignores the label; without guidance w is 0": lambda t, w: (
            w if 100 <= t <= 400 else -1
        ),
        "outside you return 1: that is s = 1 + w; without guidance w is 0": lambda t, w: w if 100 <= t <= 400 else 1,
        "inside and outside are swapped": lambda t, w: 0 if 100 <= t <= 400 else w,
        "the two ends belong to the interval": lambda t, w: w if 100 < t < 400 else 0,
        "you forgot t_max": lambda t, w: w if t >= 100 else 0,
        "you forgot t_min": lambda t, w: w if t <= 400 else 0,
    }
    if attempt(250, w, 100, 400) is None:
        return NOT_ATTEMPTED
    return _judge(
        everywhere(lambda t, w: attempt(t, w, 100, 400)),
        everywhere(lambda t, w: w if 100 <= t <= 400 else 0),
        {diagnosis: everywhere(mistake) for diagnosis, mistake in mistakes.items()},
        w,
    )


# ---------------------------------------------------------------------------- 08 measuring guidance


@_check
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
    return _judge(attempt, lambda d, r: hits(d, r).amax(dim=1).mean(), mistakes, distances, radii)


@_check
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
    return _judge(attempt, lambda p: kl(p, p.mean(dim=0)).mean().exp(), mistakes, p)


@_check
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
    noise = 0.005 * torch.tensor([1.0, -1, 1, -1, 1]) * (1 + torch.rand(5))  # never on a line, so that no two agree
    fid = 0.2 + torch.rand(()) + (100 + 100 * torch.rand(())) / n + noise
    return _judge(attempt, lambda n, fid: line(1 / n, fid)[0], mistakes, n, fid.double())
