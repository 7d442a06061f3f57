"""Self-checks of the exercises: is the answer right, and if not, what kind of wrong is it?

Each check calls the learner's function on fresh random inputs and compares what comes back with the right
answer and with the mistakes that people make. It never raises: it returns a `Verdict`, which prints itself.
"""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_lib.course.exercise import NOT_ATTEMPTED, Judged, Verdict
from ddpm_lib.course.exercise import call as _call
from ddpm_lib.course.exercise import check as _check
from ddpm_lib.course.exercise import judge as _judge
from ddpm_lib.schedule import NoiseSchedule


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
        "you stretch by the darkest and the brightest pixel: a picture must not depend on the others": lambda x: (
            2 * (x - x.min()) / (x.max() - x.min()) - 1
        ),
        "you gave the batch mean 0 and standard deviation 1: the range asked for is [−1, 1]": lambda x: (
            (x - x.mean()) / x.std()
        ),
    }
    return _judge(attempt, lambda x: 2 * x - 1, mistakes, torch.rand(8, 1, 28, 28) * 0.8 + 0.1)


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
        "the noise is subtracted: the forward process adds it": lambda x, a, e: a.sqrt() * x - (1 - a).sqrt() * e,
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


@_check
def shift_log_snr(attempt: Callable) -> Verdict:
    """attempt(alpha_bar (T+1,), shift) → the ᾱ whose log-SNR is lower by shift at every t."""
    mistakes = {
        "the log-SNR is raised: a shift of 1.5 must mean more noise": lambda a, s: (a.logit() + s).sigmoid(),
        "that is the shifted log-SNR itself: turn it back into ᾱ": lambda a, s: a.logit() - s,
        "that is the shifted SNR: solve SNR = ᾱ/(1 − ᾱ) for ᾱ": lambda a, s: (a.logit() - s).exp(),
        "you lowered log ᾱ: SNR is ᾱ/(1 − ᾱ), and the noise changes too": lambda a, s: a * math.exp(-s),
        "you lowered ᾱ itself, which even gets negative": lambda a, s: a - s,
        "you shifted by twice as much: log-SNR is log(ᾱ/(1 − ᾱ)), without a square or a root": lambda a, s: (
            a.logit() - 2 * s
        ).sigmoid(),
        "you shifted by half of it: log-SNR is log(ᾱ/(1 − ᾱ)), without a square or a root": lambda a, s: (
            a.logit() - s / 2
        ).sigmoid(),
    }
    alpha_bar = (torch.rand(50) * 0.96 + 0.02).sort(descending=True).values
    shift = float(torch.rand(()) + 0.7)
    return _judge(attempt, lambda a, s: (a.logit() - s).sigmoid(), mistakes, alpha_bar, shift)


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


@_check
def label_rows(attempt: Callable) -> Verdict:
    """attempt(labels) → rows (B, 10), one for each label. labels: list of digits, and of None for "no label"."""

    def rows(labels: list[int | None], null: Tensor) -> Tensor:
        return torch.stack([null if label is None else torch.eye(10)[label] for label in labels])

    mistakes = {
        "label 0 and no label look the same: the row of the digit 0 has a 1 in the first place": lambda labels: rows(
            labels, torch.eye(10)[0]
        ),
        "the digit 0 lost its label: `if label` is false for 0 too, ask `label is None`": lambda labels: rows(
            [label or None for label in labels], torch.zeros(10)
        ),
        "no label became a 9: as an index, −1 counts from the end": lambda labels: rows(labels, torch.eye(10)[9]),
        "a row of equal shares asks for all digits at once; no label asks for none": lambda labels: rows(
            labels, torch.full((10,), 0.1)
        ),
        "a row of ones is the sum of all ten labels; no label is a row of zeros": lambda labels: rows(
            labels, torch.ones(10)
        ),
        "that is an eleventh class, and the network has ten inputs for y": lambda labels: torch.eye(11)[
            [10 if label is None else label for label in labels]
        ],
        "pictures without a label have no row: every picture needs one, theirs is zero": lambda labels: rows(
            [label for label in labels if label is not None], torch.zeros(10)
        ),
    }
    labels = [*range(10), None, None, None]
    labels = [labels[i] for i in torch.randperm(len(labels)).tolist()]
    return _judge(attempt, lambda labels: rows(labels, torch.zeros(10)), mistakes, labels)


# ---------------------------------------------------------------------------- 03 training


@_check
def label_dropout(attempt: Callable) -> Verdict:
    """attempt(y (B, 10), p_uncond) → y with each row set to zero on its own with probability p_uncond."""
    y = torch.rand(4000, 10).softmax(dim=1)  # not one-hot: there, dropping single entries looks like dropping rows
    p_uncond = 0.25
    got = _call(attempt, y, p_uncond)
    if got.shape != y.shape:
        return Verdict("wrong", f"the answer should be a tensor of shape {tuple(y.shape)}, got {tuple(got.shape)}")
    dropped, kept = (got == 0).all(1), (got == y).all(1)
    share = dropped.float().mean().item()
    if not (dropped | kept).all():
        if ((got == 0) | (got == y)).all():
            return Verdict("wrong", "a row is kept whole or all zero: draw one number for each row, not for each entry")
        if torch.allclose(got, (~dropped)[:, None] * y / (1 - p_uncond)):
            return Verdict(
                "wrong", "you divide by 1 − p_uncond, as nn.Dropout does: a label that is kept stays as it is"
            )
        off = (got - y)[~dropped].abs().max()
        return Verdict(
            "wrong", f"a row should be kept or be zero; the rows that aren't zero are off by up to {off:.3g}"
        )
    if share in (0.0, 1.0):
        return Verdict("wrong", "the whole batch is kept or dropped together: draw one number for each row")
    if abs(share - (1 - p_uncond)) < 0.05:
        return Verdict(
            "wrong", f"you keep a share of p_uncond and drop the rest: {share:.0%} dropped, asked for {p_uncond:.0%}"
        )
    if abs(share - p_uncond) > 0.05:  # seven standard deviations
        return Verdict("wrong", f"{share:.1%} of the rows lost their label, asked for {p_uncond:.0%}")
    if torch.equal(_call(attempt, y, p_uncond) == 0, got == 0):
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


@_check
def training_times(attempt: Callable) -> Verdict:
    """attempt(batch, T) → t (batch,) whole numbers, each of 1 … T equally likely. Stratified is as good."""
    batch, T = 5, int(torch.randint(6, 10, ()))
    t = [_call(attempt, batch, T) for _ in range(1000)]
    if t[0].shape != (batch,):
        return Verdict(
            "wrong", f"the answer should have shape ({batch},), a time for each picture, got {tuple(t[0].shape)}"
        )
    t = torch.stack(t)
    if t.is_floating_point():
        return Verdict("wrong", f"a time should be a whole number, because it is an index, got {t.dtype}")
    if (t == t[:, :1]).all():
        return Verdict("wrong", "the whole batch gets the same t: draw one for each picture")
    if (t == t[0]).all():
        return Verdict("wrong", "two calls give the same times: draw new random numbers each time")
    low, high = int(t.min()), int(t.max())
    if (low, high) == (0, T - 1):
        return Verdict("wrong", "your t runs from 0 to T − 1: the paper counts from 1, and t = 0 has no noise to find")
    if (low, high) == (1, T - 1):
        return Verdict(
            "wrong", "your t = T is never drawn, and sampling begins there: randint leaves out its upper end"
        )
    if (low, high) == (0, T):
        return Verdict("wrong", "you draw t = 0 too: there x_t is the digit itself, with no noise to find")
    if (low, high) != (1, T):
        return Verdict("wrong", f"your times run from {low} to {high}, asked for 1 to {T}")
    share = torch.bincount(t.flatten(), minlength=T + 1)[1:] / t.numel()
    worst = int((share - 1 / T).abs().argmax())
    if (share[worst] - 1 / T).abs() > 0.04:  # seven standard deviations
        return Verdict(
            "wrong", f"t = {worst + 1} comes in {share[worst]:.0%} of the draws, asked for {1 / T:.0%} of each"
        )
    return Verdict("passed", f"each of 1 … {T} came in {share.min():.0%} to {share.max():.0%} of {t.numel():,} draws")


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


@_check
def ancestral_step(attempt: Callable) -> Verdict:
    """attempt(schedule, x_t, eps_hat, t) → x_{t-1}, drawn from q(x_{t-1} | x_t, x̂_0) with noise of its own."""
    schedule, count = NoiseSchedule.linear(T=10, beta_1=0.05, beta_T=0.3), 256
    t = torch.full((count,), int(torch.randint(5, 7, ())))
    x_0, eps_hat = (z.expand(count, -1, -1, -1).clone() for z in (0.9 * _images(1), torch.randn(1, 1, 28, 28)))
    x_t = schedule.add_noise(x_0, t, eps_hat)  # so x̂_0 is in [−1, 1], and clipping it is neither asked for nor wrong
    x_0_hat = schedule.predict_x_0(x_t, t, eps_hat)
    mean, std = schedule.posterior(x_0_hat, x_t, t)
    std = std.flatten()[0]
    got = _call(attempt, schedule, x_t, eps_hat, t)
    if got.shape != x_t.shape:
        return Verdict("wrong", f"the answer should have shape {tuple(x_t.shape)}, got {tuple(got.shape)}")

    # All pictures are equal, so what they have in common is the mean, and what differs is the noise.
    common = got.mean(dim=0, keepdim=True)
    noise = got - common
    spread = noise.std()
    uniform = noise.pow(4).mean() < 2.4 * spread**4  # 3 for a Gaussian, 1.8 for a uniform distribution
    means = {
        "the mean of your draw is x̂_0 itself: it lies between x_t and x̂_0, ask schedule.posterior": x_0_hat,
        "the mean of your draw is x_t itself: it lies between x_t and x̂_0, ask schedule.posterior": x_t,
        "x̂_0 and x_t are swapped: posterior(x_0, x_t, t)": schedule.posterior(x_t, x_0_hat, t)[0],
        "you gave ε̂ to posterior where x̂_0 belongs: solve for the digit first": schedule.posterior(eps_hat, x_t, t)[0],
    }
    spreads = {
        "the noise is missing: you return the mean of the Gaussian": 0.0,
        "you multiplied by the variance: randn wants the standard deviation": std**2,
        "your noise has standard deviation √β_t: that of the posterior is smaller, √β̃_t": schedule.beta[t[0]].sqrt(),
        "your noise has standard deviation 1, whatever t is: multiply it by the posterior's": 1.0,
    }
    same_again = torch.equal(_call(attempt, schedule, x_t, eps_hat, t), got)
    if spread < 1e-4 and not same_again:
        return Verdict("wrong", "every picture gets the same noise: draw it in the shape of x_t")
    if spread > 1e-4 and noise.mean(dim=(1, 2, 3)).std() > 0.9 * spread:
        return Verdict("wrong", "all pixels of a picture get the same noise: draw it in the shape of x_t")
    if spread > 1e-4 and uniform:
        return Verdict("wrong", "you drew uniform noise: rand where randn belongs")
    rate = spread / count**0.5 + 1e-4  # how far the common part is from the mean by chance
    for diagnosis, other in means.items():
        if (common - other[:1]).square().mean().sqrt() < 3 * rate:
            return Verdict("wrong", diagnosis)
    off = (common - mean[:1]).square().mean().sqrt()
    if off > 3 * rate:
        return Verdict("wrong", f"the mean of your Gaussian is off by {off:.3g} per pixel from that of the posterior")
    for diagnosis, other in spreads.items():
        if abs(spread - other) < 0.03 * std:
            return Verdict("wrong", diagnosis)
    if abs(spread - std) > 0.03 * std:
        return Verdict("wrong", f"your noise has standard deviation {spread:.3g}, asked for {std:.3g}")
    if same_again:
        return Verdict("wrong", "two calls give the same noise: draw new random numbers each time")
    return Verdict("passed", f"mean right, noise of standard deviation {spread:.3f}, asked for {std:.3f}")


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


@_check
def noise_between(attempt: Callable) -> Verdict:
    """attempt(z_a, z_b, share) → noise of variance 1: z_a at share 0, z_b at share 1, a mixture of both between."""
    z_a, z_b = torch.randn(2, 16, 1, 28, 28)
    pair = torch.stack([z_a.flatten(), z_b.flatten()], dim=1).double()

    def shares_of(share: float) -> tuple[float, float]:
        """a and b of the answer a·z_a + b·z_b."""
        got = _call(attempt, z_a, z_b, share)
        if got.shape != z_a.shape:
            raise Judged(Verdict("wrong", f"the answer should have shape {tuple(z_a.shape)}, got {tuple(got.shape)}"))
        got = got.flatten().double()
        found = torch.linalg.lstsq(pair, got[:, None]).solution
        rest = (got - (pair @ found)[:, 0]).abs().max()
        if rest > 0.3:  # slerp has other shares for each picture, but hardly
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


# ---------------------------------------------------------------------------- 09 museum of bugs


@_check
def repaired_step(attempt: Callable) -> Verdict:
    """attempt(mean (B, 1, 28, 28), std number, s int) → mean + std·z with Gaussian z; at s = 0 the mean alone."""
    mean, std = _images(64), float(torch.rand(())) * 0.2 + 0.3
    first, again, last = (attempt(mean.clone(), std, s) for s in (7, 7, 0))
    if first is None and last is None:
        return NOT_ATTEMPTED
    for answer in (first, again, last):
        if not isinstance(answer, Tensor) or answer.shape != mean.shape:
            return Verdict("wrong", f"the answer should be a tensor of shape {tuple(mean.shape)}, got {_shape(answer)}")
    z = (first - mean) / std
    if not (z.isfinite().all() and last.isfinite().all()):
        return Verdict("wrong", "the answer should be finite")
    noisy_end, size = not torch.allclose(last, mean, atol=1e-5), z.std().item()
    if size < 1e-3:
        return Verdict(
            "wrong", "you add noise at the last step, and nowhere else" if noisy_end else "there is no noise at all"
        )
    if torch.allclose(z[0], z[1], atol=1e-4):
        return Verdict("wrong", "all images get the same noise: draw it in the shape of mean")
    if torch.allclose(first, again, atol=1e-5):
        return Verdict("wrong", "two calls add the same noise: draw new random numbers each time")
    if abs(z.mean() - 0.5) < 0.05 and abs(size - 12**-0.5) < 0.03:
        return Verdict("wrong", "you drew uniform noise, rand: its mean is ½, so each step makes the picture brighter")
    if abs(z.mean()) > 0.05:
        return Verdict("wrong", f"your z has mean {z.mean():.2f}; it should be 0")
    if abs(size - 12**-0.5) < 0.01 and abs(z.abs().max() - 0.5) < 0.01:
        return Verdict("wrong", "you moved uniform noise to mean 0, but it is still uniform, and has 0.29 of the size")
    if abs(size - std) < 0.01:
        return Verdict("wrong", "you multiply z by std²: that is the variance, and std is what you were given")
    if abs(size - std**-0.5) < 0.05:
        return Verdict("wrong", "you multiply z by √std: std is a standard deviation already")
    if abs(size - 1 / std) < 0.05:
        return Verdict("wrong", "std is missing: your noise has size 1")
    if abs(size - 1) > 0.05:  # sixteen standard deviations
        return Verdict("wrong", f"your noise has {size:.2f} of the size it should have")
    if z.pow(4).mean() < 2.5:  # 3 for a Gaussian, 1.8 for uniform numbers of the same variance
        return Verdict("wrong", "mean and variance are right, but the noise isn't Gaussian: that takes randn, not rand")
    if noisy_end:
        return Verdict("wrong", "at s = 0 you still add noise: nothing will remove it any more")
    return Verdict("passed", f"Gaussian noise of size {size:.2f}·std on the way, none at the end")


@_check
def repaired_times(attempt: Callable) -> Verdict:
    """attempt(T, batch) → (batch,) integers, each of 1 … T equally likely."""
    T, batch = int(torch.randint(15, 30, ())), 30_000
    t = attempt(T, batch)
    if t is None:
        return NOT_ATTEMPTED
    if not isinstance(t, Tensor) or t.shape != (batch,):
        return Verdict("wrong", f"the answer should be a tensor of shape (batch,), got {_shape(t)}")
    if t.is_floating_point():
        return Verdict(
            "wrong", f"the times should be whole numbers (torch.long), got {t.dtype}: they index the schedule"
        )
    low, high = int(t.min()), int(t.max())
    if low == high:
        return Verdict("wrong", "the whole batch gets one and the same t: draw one for each image")
    if (low, high) == (1, T - 1):
        return Verdict(
            "wrong", "your t = T is never drawn, and sampling begins there: randint leaves out its upper end"
        )
    if (low, high) == (0, T - 1):
        return Verdict("wrong", "your times are 0 … T − 1: one too small each; here t counts from 1 to T")
    if low == 0:
        return Verdict("wrong", "you draw t = 0, where there is no noise to be found: begin at 1")
    if high > T:
        return Verdict("wrong", f"you draw t = {high}, past T = {T}")
    if (low, high) != (1, T):
        return Verdict("wrong", f"your times lie in {low} … {high}; they should lie in 1 … {T}")
    counts = t.long().bincount(minlength=T + 1)[1:].double() / (batch / T)  # 1 ± 0.03
    if counts[0] < 0.65 and counts[-1] < 0.65 and counts[1:-1].min() > 0.8:
        return Verdict("wrong", "1 and T are drawn half as often as the others: you round where you should cut off")
    if (counts - 1).abs().max() > 0.25:
        return Verdict("wrong", f"the most frequent t is {counts.argmax() + 1}; all should be equally likely")
    return Verdict("passed", f"1 … {T} with both ends, each equally often")


@_check
def repaired_average(attempt: Callable) -> Verdict:
    """attempt(average, model, decay) → dict of tensors: weights averaged, names that begin with "schedule." kept."""
    average, model = ({"unet.weight": torch.randn(9), "schedule.alpha_bar": torch.rand(9)} for _ in range(2))
    decay = float(torch.rand(())) * 0.15 + 0.75
    a, m, table = average["unet.weight"].clone(), model["unet.weight"].clone(), average["schedule.alpha_bar"].clone()
    other = model["schedule.alpha_bar"].clone()  # never another one in practice; here it shows what was done with it
    got = attempt(average, model, decay)
    if got is None:
        return NOT_ATTEMPTED
    if not isinstance(got, dict) or got.keys() != model.keys():
        names = f"{type(got).__name__} {', '.join(map(str, got)) if isinstance(got, dict) else ''}"
        return Verdict("wrong", f"the answer should be a dict with the names of average, got {names}")
    if not all(isinstance(value, Tensor) and value.shape == a.shape for value in got.values()):
        return Verdict("wrong", "each value should be a tensor shaped as before")
    weight, kept = got["unet.weight"], got["schedule.alpha_bar"]

    def is_like(value: Tensor, answer: Tensor) -> bool:
        return torch.allclose(value, answer, atol=1e-5)

    if is_like(weight, (1 - decay) * a + decay * m):
        return Verdict("wrong", "decay is the share that the average keeps; you gave it to the model")
    if is_like(weight, m):
        return Verdict("wrong", "nothing is averaged: these are the model's weights")
    if is_like(weight, a):
        return Verdict("wrong", "the average never moves: the model's weights must come in")
    if is_like(weight, (a + m) / 2):
        return Verdict("wrong", "that is the plain mean: decay has no say")
    if not is_like(weight, decay * a + (1 - decay) * m):
        return Verdict(
            "wrong", f"the weights are off by up to {(weight - decay * a - (1 - decay) * m).abs().max():.3g}"
        )
    if is_like(kept, decay * table + (1 - decay) * other):
        return Verdict("wrong", "the schedule is still averaged: its tables are configuration, leave them as they are")
    if is_like(kept, other):
        return Verdict("wrong", "you copied the model's schedule over the average's own: leave it as it is")
    if not torch.equal(kept, table):
        return Verdict("wrong", f"the schedule is off by up to {(kept - table).abs().max():.3g}, and should not change")
    return Verdict("passed", "the weights are averaged, the schedule is the same to the last bit")


@_check
def repaired_dropout(attempt: Callable) -> Verdict:
    """attempt(labels (B,) integers, keep (B,) booleans) → label rows (B, 10), all zero where keep is False."""
    labels = torch.cat([torch.arange(10), torch.arange(10)])
    keep = torch.cat([torch.rand(10) < 0.5, torch.rand(10) < 0.5])
    keep[0], keep[10], keep[3], keep[13] = True, False, True, False

    def rows(labels: Tensor, keep: Tensor) -> Tensor:
        return torch.eye(10)[labels] * keep[:, None]

    mistakes = {
        "a digit without label became a 0: nobody and zero must not share a row": lambda y, k: torch.eye(10)[y * k],
        "keep is upside down: you drop what should stay": lambda y, k: rows(y, ~k),
        "no label became an eleventh class; here it is a row of zeros": lambda y, k: torch.eye(11)[
            torch.where(k, y, 10)
        ],
        "no label became a tenth of each digit: that is a mixture of all; no label is all zeros": lambda y, k: (
            torch.where(k[:, None], torch.eye(10)[y], torch.tensor(0.1))
        ),
        "nothing is dropped": lambda y, k: torch.eye(10)[y],
        "these are class numbers, not rows": lambda y, k: y * k,
        "the whole batch lost its labels": lambda y, k: torch.zeros(len(y), 10),
    }
    return _judge(attempt, rows, mistakes, labels, keep)


@_check
def repaired_config(attempt: Callable) -> Verdict:
    """attempt(widths list, embedding_width int) → new list: the last width with two embeddings added."""
    widths = (torch.randperm(50)[:3] + 10).tolist()
    width = int(torch.randint(60, 90, ()))
    given, config = list(widths), list(widths)
    got = attempt(config, width)
    if got is None:
        return NOT_ATTEMPTED
    right = [*given[:2], given[2] + 2 * width]
    if config != given:
        return Verdict("wrong", f"the caller's list was {given} and is now {config}: the next model will be larger")
    if not isinstance(got, list | tuple) or len(got) != 3:
        return Verdict("wrong", f"the answer should be a list of three widths, got {got!r:.60}")
    got = list(got)
    mistakes = {
        "nothing is added": given,
        "there are two embeddings, t's and y's: add the width twice": [*given[:2], given[2] + width],
        "that is the first width: t and y arrive at the last one": [given[0] + 2 * width, *given[1:]],
        "only the last width grows: t and y arrive nowhere else": [w + 2 * width for w in given],
    }
    if got == right:
        return Verdict("passed", "the right widths, and the caller's list is as it was")
    for diagnosis, mistake in mistakes.items():
        if got == mistake:
            return Verdict("wrong", diagnosis)
    return Verdict("wrong", f"the widths should be {right}, got {got}")


def _shape(value: object) -> str:
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
