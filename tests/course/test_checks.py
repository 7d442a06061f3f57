"""The self-checks: right answers pass however they are written, and each mistake gets its own diagnosis.

For each check: two right answers, written differently, and every mistake that the check can name, written as a
learner would; the key is part of the diagnosis. A last test makes sure that no check and no diagnosis is left out.
"""

import itertools
import math
import re
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ddpm_lib.course import checks
from ddpm_lib.morph import morph_rows


def joined(h, *embeddings, first=True):
    maps = [e.view(*e.shape, 1, 1).repeat(1, 1, 7, 7) for e in embeddings]
    return torch.cat([h, *maps] if first else [*maps, h], 1)


def counted(share):
    """The first t at which share(schedule, t) says so, by a loop as in the exercise's text."""

    def attempt(schedule):
        return next((t for t in range(schedule.T + 1) if share(schedule, t)), 0)

    return attempt


def dropped_in_place(y, p):
    y[torch.rand(len(y)) < p] = 0
    return y


def keep_by_loop(y, p):
    return torch.stack([row if torch.rand(()) >= p else torch.zeros_like(row) for row in y])


def always_the_same_rows(y, p):
    return y * (torch.rand(len(y), 1, generator=torch.Generator().manual_seed(0)) >= p)


def soft(a, b, share):
    row = [0.0] * 10
    row[a] += 1 - share
    row[b] += share
    return torch.tensor(row)


def one_hot(digit):
    return F.one_hot(torch.tensor(int(digit)), 10).float()


def one_hots(digits):
    return F.one_hot(torch.tensor(digits), 10)


def frame_by_frame(shares, last=True, digits=lambda date: [int(c) for c in date if c in "0123456789"]):
    """The rows of a date, with shares(n) of the later digit in the frames of each change."""

    def attempt(date, n):
        labels, rows = digits(date), []
        for a, b in itertools.pairwise(labels):
            for share in shares(n):
                rows.append(soft(a, b, share))
        if last:
            rows.append(one_hot(labels[-1]))
        return torch.stack(rows)

    return attempt


def stepped(mean=lambda mean, x_0, x_t: mean, std=lambda std, beta: std, draw=torch.randn_like):
    """An ancestral step whose mean, standard deviation and noise come from these."""

    def attempt(schedule, x_t, eps_hat, t):
        x_0_hat = schedule.predict_x_0(x_t, t, eps_hat)
        of_posterior, deviation = schedule.posterior(x_0_hat, x_t, t)
        return mean(of_posterior, x_0_hat, x_t) + std(deviation, schedule.beta[t].view(-1, 1, 1, 1)) * draw(x_t)

    return attempt


def textbook_step(schedule, x_t, eps_hat, t):
    """DDPM's algorithm 2, where the mean is written with ε̂."""
    beta, alpha, alpha_bar, before = (
        v.view(-1, 1, 1, 1)
        for v in (schedule.beta[t], schedule.alpha[t], schedule.alpha_bar[t], schedule.alpha_bar[t - 1])
    )
    z = torch.randn(x_t.shape)
    return (x_t - beta / (1 - alpha_bar).sqrt() * eps_hat) / alpha.sqrt() + (
        (1 - before) / (1 - alpha_bar) * beta
    ).sqrt() * z


def slerp(z_a, z_b, share):
    angle = torch.acos((z_a * z_b).sum((1, 2, 3), keepdim=True) / z_a.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
                       / z_b.flatten(1).norm(dim=1).view(-1, 1, 1, 1))  # fmt: skip
    return (torch.sin((1 - share) * angle) * z_a + torch.sin(share * angle) * z_b) / torch.sin(angle)


def one_of_each_stratum(batch, T):
    return (((torch.arange(batch) + torch.rand(batch)) / batch * T).long() + 1)[torch.randperm(batch)]


def marked(labels):
    """Rows by one_hot, where −1 marks that there is no label."""
    y = torch.tensor([-1 if label is None else label for label in labels])
    return F.one_hot(y.clamp(min=0), 10) * (y >= 0)[:, None]


def entropy(p):
    return torch.special.entr(p).sum(dim=-1)


RIGHT = {
    "rescale": [lambda x: x * 2 - 1, lambda x: (x - 0.5) / 0.5],
    "add_noise": [
        lambda x, a, e: torch.sqrt(a) * x + torch.sqrt(1 - a) * e,
        lambda x, a, e: (x.double() * a**0.5 + e * (1 - a) ** 0.5).float(),
    ],
    "half_noise_time": [
        counted(lambda schedule, t: 1 - schedule.alpha_bar[t] >= 0.5),
        lambda schedule: (schedule.log_snr <= 0).nonzero()[0, 0],
    ],
    "shift_log_snr": [
        lambda a, shift: torch.sigmoid(torch.log(a / (1 - a)) - shift),
        lambda a, shift: a / (a + (1 - a) * math.exp(shift)),
    ],
    "resize_and_concatenate": [
        joined,
        lambda h, t, y: torch.cat([h, F.interpolate(torch.cat([t, y], 1)[..., None, None], size=(7, 7))], 1),
    ],
    "conv_parameters": [
        lambda i, o, k: sum(p.numel() for p in torch.nn.Conv2d(i, o, k).parameters()),
        lambda i, o, k: torch.tensor(o * (i * k**2 + 1)),
    ],
    "label_rows": [
        lambda labels: torch.stack([zeros if label is None else torch.eye(10)[label] for label in labels]),
        marked,
    ],
    "label_dropout": [lambda y, p: y * (torch.rand(len(y), 1) >= p), keep_by_loop],
    "eps_from_v": [
        lambda x, a, v: torch.sqrt(1 - a) * x + torch.sqrt(a) * v,
        lambda x, a, v: (x - a.sqrt() * (a.sqrt() * x - (1 - a).sqrt() * v)) / (1 - a).sqrt(),
    ],
    "training_times": [lambda batch, T: torch.randint(1, T + 1, (batch,)), one_of_each_stratum],
    "guided_noise": [lambda c, u, w: c + w * (c - u), lambda c, u, w: torch.lerp(u, c, 1 + w)],
    "ddim_step": [
        lambda x, e, a, b: (b / a).sqrt() * (x - (1 - a).sqrt() * e) + (1 - b).sqrt() * e,
        lambda x, e, a, b: (b / a).sqrt() * x + ((1 - b).sqrt() - (b * (1 - a) / a).sqrt()) * e,
    ],
    "ancestral_step": [stepped(), textbook_step],
    "guidance_push": [lambda c, u, w: w * c - w * u, lambda c, u, w: torch.lerp(u, c, w) - u],
    "w_of_scale": [lambda scale: scale - 1, lambda scale: torch.tensor(scale) - 1],
    "smallest_w": [
        lambda w, a, t: min(x for x, y in zip(w, a, strict=True) if y >= t),
        lambda w, a, t: torch.tensor(w)[torch.tensor(a, dtype=torch.float64) >= t].min(),
    ],
    "soft_label": [
        soft,
        lambda a, b, share: torch.lerp(one_hot(a), one_hot(b), share),
    ],
    "birthday_rows": [
        frame_by_frame(lambda n: torch.linspace(0, 1, n + 2)[:-1].tolist()),
        lambda date, n: morph_rows([int(c) for c in date.replace(".", "")], n, hold=1),
    ],
    "noise_between": [
        lambda a, b, share: ((1 - share) * a + share * b) / ((1 - share) ** 2 + share**2) ** 0.5,
        lambda a, b, share: (1 - share) ** 0.5 * a + share**0.5 * b,
        lambda a, b, share: math.cos(share * math.pi / 2) * a + math.sin(share * math.pi / 2) * b,
        slerp,
    ],
    "time_steps": [
        lambda T, n: torch.linspace(T, 0, n + 1).round().long(),
        lambda T, n: list(range(T, -1, -T // n)),
    ],
    "x_0_middle": [
        lambda x, b, l0, l1, l2: x + 0.5 * (l2 - l1) * (x - b) / (l1 - l0),
        lambda x, b, l0, l1, l2: torch.lerp(b, x, 1 + (l2 - l1) / (l1 - l0) / 2),
    ],
    "weight_at": [
        lambda t, w, low, high: torch.tensor(w) * (low <= t) * (t <= high),
        lambda t, w, low, high: 0.0 if t < low or t > high else w,
    ],
    "coverage": [
        lambda d, r: (d.min(dim=1).values <= r).float().mean(),
        lambda d, r: sum(bool((row <= radius).any()) for row, radius in zip(d, r, strict=True)) / len(r),
    ],
    "inception_score": [
        lambda p: math.exp(entropy(p.mean(0)) - entropy(p).mean()),
        lambda p: torch.exp(F.kl_div(p.mean(0).log().expand_as(p), p, reduction="batchmean")),
    ],
    "fid_infinity": [
        lambda n, fid: np.polyfit(1 / n.numpy(), fid.numpy(), 1)[1],
        lambda n, fid: torch.linalg.lstsq(torch.stack([torch.ones(5).double(), 1 / n], 1), fid[:, None]).solution[0, 0],
    ],
}  # fmt: skip

MISTAKES = {
    "rescale": {
        "the way back": lambda x: x / 2 + 0.5,
        "lie in [−½, ½]": lambda x: x - 1 / 2,
        "lie in [0, 2]": lambda x: x + x,
        "lie in [−1, 0]": lambda x: x - 1,
        "swapped": lambda x: -(x * 2 - 1),
        "you changed nothing": lambda x: x.clone(),
        "must not depend on the others": lambda x: -1 + 2 * (x - x.amin()) / (x.amax() - x.amin()),
        "mean 0 and standard deviation 1": lambda x: (x - torch.mean(x)) / torch.std(x),
    },
    "add_noise": {
        "without their square roots": lambda x, a, e: x * a + e * (1 - a),
        "standard deviation 1 − ᾱ_t": lambda x, a, e: torch.sqrt(a) * x + (1 - a) * e,
        "it is √(1 − ᾱ_t)": lambda x, a, e: torch.sqrt(a) * x + (1 - torch.sqrt(a)) * e,
        "swapped": lambda x, a, e: torch.sqrt(a) * e + torch.sqrt(1 - a) * x,
        "the noise is missing": lambda x, a, e: torch.sqrt(a) * x,
        "the noise is subtracted": lambda x, a, e: torch.sqrt(a) * x - torch.sqrt(1 - a) * e,
        "x_0 isn't scaled down": lambda x, a, e: x + torch.sqrt(1 - a) * e,
    },
    "half_noise_time": {
        "the share that a single step keeps": counted(lambda s, t: 1 - s.alpha[t] >= 0.5),
        "you took the standard deviation": counted(lambda s, t: (1 - s.alpha_bar[t]) ** 0.5 >= 0.5),
        "one too late": lambda s: counted(lambda s, t: s.alpha_bar[t] <= 0.5)(s) + 1,
        "half of T": lambda s: s.T // 2,
    },
    "shift_log_snr": {
        "the log-SNR is raised": lambda a, s: torch.sigmoid(torch.logit(a) + s),
        "the shifted log-SNR itself": lambda a, s: torch.log(a) - torch.log(1 - a) - s,
        "the shifted SNR": lambda a, s: a / (1 - a) * math.exp(-s),
        "you lowered log ᾱ_t": lambda a, s: torch.exp(torch.log(a) - s),
        "you lowered ᾱ_t itself": lambda a, s: a - s,
        "twice as much": lambda a, s: torch.sigmoid(2 * (torch.logit(a) / 2 - s)),
        "half of it": lambda a, s: torch.sigmoid(torch.logit(a) - 0.5 * s),
    },
    "resize_and_concatenate": {
        "t and y are swapped": lambda h, t, y: joined(h, y, t),
        "features belong first": lambda h, t, y: joined(h, t, y, first=False),
        "t twice": lambda h, t, y: joined(h, t, t),
        "y twice": lambda h, t, y: joined(h, y, y),
    },
    "conv_parameters": {
        "forgot the biases": lambda i, o, k: k**2 * i * o,
        "kernel × kernel entries": lambda i, o, k: o + k * i * o,
        "not input channel": lambda i, o, k: i + k**2 * i * o,
        "for every input channel": lambda i, o, k: o + k**2 * o,
    },
    "label_rows": {
        "label 0 and no label look the same": lambda labels: one_hots([label or 0 for label in labels]),
        "the digit 0 lost its label": lambda labels: torch.stack([one_hot(d) if d else zeros for d in labels]),
        "no label became the digit 9": lambda labels: torch.eye(10)[[-1 if d is None else d for d in labels]],
        "equal shares": lambda labels: torch.stack([torch.ones(10) / 10 if d is None else one_hot(d) for d in labels]),
        "a row of ones": lambda labels: torch.stack([torch.ones(10) if d is None else one_hot(d) for d in labels]),
        "an eleventh class": lambda labels: F.one_hot(torch.tensor([10 if d is None else d for d in labels]), 11),
        "have no row": lambda labels: one_hots([label for label in labels if label is not None]),
    },
    "label_dropout": {
        "in place": dropped_in_place,
        "should have shape": lambda y, p: y[torch.rand(len(y)) >= p],
        "as nn.Dropout does": lambda y, p: y * (torch.rand(len(y), 1) >= p) / (1 - p),
        "off by up to": lambda y, p: y * (torch.rand(len(y), 1) >= p) + 0.5,
        "whole batch": lambda y, p: y * (torch.rand(1) >= p),
        "you keep a share of p_uncond": lambda y, p: y * (torch.rand(len(y), 1) < p),
        "of the decisions (0 keeps, 1 drops), asked for": lambda y, p: y * (torch.rand(len(y), 1) >= p / 2),
        "two calls give the same": always_the_same_rows,
    },
    "training_times": {
        "t = T is never drawn": lambda batch, T: torch.randint(1, T, (batch,)),
        "0 … T − 1": lambda batch, T: torch.randint(0, T, (batch,)),
        "0 … T: ": lambda batch, T: torch.randint(0, T + 1, (batch,)),
        "the whole batch": lambda batch, T: torch.randint(1, T + 1, (1,)).expand(batch),
        "two calls": lambda batch, T: torch.arange(batch) % T + 1,
        "whole numbers": lambda batch, T: torch.rand(batch) * T,
        "1 … T + 1": lambda batch, T: torch.randint(1, T + 2, (batch,)),
        "of the times, asked for": lambda batch, T: (torch.rand(batch) ** 2 * T).long() + 1,
    },
    "eps_from_v": {
        "the two roots are swapped": lambda x, a, v: torch.sqrt(a) * x + torch.sqrt(1 - a) * v,
        "the sign of v is flipped": lambda x, a, v: torch.sqrt(1 - a) * x - torch.sqrt(a) * v,
        "that is x_0, not ε": lambda x, a, v: torch.sqrt(a) * x - torch.sqrt(1 - a) * v,
        "without their roots": lambda x, a, v: x - a * x + a * v,
    },
    "guided_noise": {
        "the guidance scale 1 + w": lambda c, u, w: torch.lerp(u, c, w),
        "branches are swapped": lambda c, u, w: u + w * (u - c),
        "the sign is flipped": lambda c, u, w: c + w * (c + u),
        "you forgot the 1": lambda c, u, w: w * (c - u),
        "it weakens the label": lambda c, u, w: c - w * (c - u),
    },
    "ddim_step": {
        "that is x̂_0": lambda x, e, a, b: (x - (1 - a) ** 0.5 * e) / a**0.5,
        "not of time s": lambda x, e, a, b: (b / a).sqrt() * (x - (1 - a).sqrt() * e) + (1 - a).sqrt() * e,
        "t and s are swapped": lambda x, e, a, b: (a / b).sqrt() * (x - (1 - b).sqrt() * e) + (1 - a).sqrt() * e,
        "forgot to divide": lambda x, e, a, b: b.sqrt() * (x - (1 - a).sqrt() * e) + (1 - b).sqrt() * e,
    },
    "ancestral_step": {
        "the noise is missing": stepped(std=lambda std, beta: 0),
        "you multiplied by the variance": stepped(std=lambda std, beta: std**2),
        "√β_t": stepped(std=lambda std, beta: beta.sqrt()),
        "standard deviation 1, whatever": stepped(std=lambda std, beta: 1),
        "uniform noise": stepped(draw=torch.rand_like),
        "every picture gets the same noise": stepped(draw=lambda x: torch.randn(1, 1, 28, 28)),
        "all pixels of a picture": stepped(draw=lambda x: torch.randn(len(x), 1, 1, 1)),
        "your draw is x̂_0 itself": stepped(mean=lambda mean, x_0, x_t: x_0),
        "your draw is x_t itself": stepped(mean=lambda mean, x_0, x_t: x_t),
        "x̂_0 and x_t are swapped": lambda schedule, x_t, eps_hat, t: (
            schedule.posterior(x_t, schedule.predict_x_0(x_t, t, eps_hat), t)[0] + stepped()(schedule, x_t, eps_hat, t)
            - schedule.posterior(schedule.predict_x_0(x_t, t, eps_hat), x_t, t)[0]
        ),
        "you gave ε̂ to posterior": lambda schedule, x_t, eps_hat, t: (
            schedule.posterior(eps_hat, x_t, t)[0] + schedule.posterior(eps_hat, x_t, t)[1] * torch.randn_like(x_t)
        ),
        "two calls give the same noise": stepped(
            draw=lambda x: torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        ),
        "of the standard deviation asked for": stepped(std=lambda std, beta: 0.8 * std),
        "mean of your draw is off": stepped(mean=lambda mean, x_0, x_t: mean + 0.5),
    },
    "guidance_push": {
        "that is the whole guided noise": lambda c, u, w: c + w * (c - u),
        "added to ε(∅)": lambda c, u, w: c - u + w * (c - u),
        "the sign is flipped": lambda c, u, w: w * u - w * c,
        "w is missing": lambda c, u, w: c - u,
    },
    "w_of_scale": {
        "here the scale is given": lambda scale: 1 + scale,
        "not the same number": lambda scale: scale,
        "a larger scale must give a larger w": lambda scale: -(scale - 1),
    },
    "smallest_w": {
        "the highest agreement": lambda w, a, t: w[max(range(len(a)), key=a.__getitem__)],
        "the first in the list": lambda w, a, t: w[[y >= t for y in a].index(True)],
        "the largest w": lambda w, a, t: max(x for x, y in zip(w, a, strict=True) if y >= t),
        "at least means ≥": lambda w, a, t: sorted(x for x, y in zip(w, a, strict=True) if y > t)[0],
        "that is an agreement": lambda w, a, t: sorted(y for y in a if y >= t)[0],
        "a place in the list": lambda w, a, t: int(np.argmin([x if y >= t else 99 for x, y in zip(w, a, strict=True)])),
        "doesn't reach the target": lambda w, a, t: sorted(w)[0],
    },
    "soft_label": {
        "shares are swapped": lambda a, b, share: soft(b, a, share),
        "mixes the class numbers": lambda a, b, share: a + share * (b - a),
        "number lies between": lambda a, b, share: one_hot(a + share * (b - a) + 0.5),
        "nearer digit alone": lambda a, b, share: one_hot(a) if share < 0.5 else one_hot(b),
        "does not sum to 1": lambda a, b, share: one_hot(a) + one_hot(b) * share,
        "digit b is missing": lambda a, b, share: one_hot(a) * (1 - share),
        "digit a is missing": lambda a, b, share: one_hot(b) * share,
    },
    "birthday_rows": {
        "the zero in front is lost": frame_by_frame(
            lambda n: [k / (n + 1) for k in range(n + 1)],
            digits=lambda date: [int(c) for c in str(int(date.replace(".", "")))],
        ),
        "row of the last digit is missing": frame_by_frame(lambda n: [k / (n + 1) for k in range(n + 1)], last=False),
        "stand there twice": frame_by_frame(lambda n: torch.linspace(0, 1, n + 2).tolist(), last=False),
        "one frame early": frame_by_frame(lambda n: torch.linspace(0, 1, n + 1).tolist()),
        "runs backwards": frame_by_frame(lambda n: [(n + 1 - k) / (n + 1) for k in range(n + 1)]),
        "nothing is mixed": frame_by_frame(lambda n: [int(k / (n + 1) > 0.5) for k in range(n + 1)]),
        "only the digits themselves": lambda date, n: torch.stack([one_hot(c) for c in date if c.isdigit()]),
    },
    "noise_between": {
        "variances add": torch.lerp,
        "divide by its root": lambda a, b, s: ((1 - s) * a + s * b) / ((1 - s) ** 2 + s**2),
        "the shares are swapped": lambda a, b, s: slerp(b, a, s),
        "nothing is mixed": lambda a, b, s: a if s < 0.5 else b,
        "share 0 should give z_a": lambda a, b, s: (a + b) / math.sqrt(2),
        "1 − λ² and λ²": lambda a, b, s: (1 - s**2) * a + s**2 * b,
        "draw no random numbers here": lambda a, b, s: (1 - s) ** 0.5 * a + s**0.5 * torch.randn_like(b),
    },
    "time_steps": {
        "the times rise": lambda T, n: torch.arange(0, T + 1, T // n),
        "0 is missing": lambda T, n: list(range(T, 0, -T // n)),
        "it must end at 0": lambda T, n: [T - i * (T - 1) // n for i in range(n + 1)],
        "T is missing": lambda T, n: list(range(T, -1, -T // n))[1:],
        "these are all times": lambda T, n: torch.arange(T + 1).flip(0),
    },
    "x_0_middle": {
        "not to its middle": lambda x, b, l0, l1, l2: x + (x - b) * (l2 - l1) / (l1 - l0),
        "you went backwards": lambda x, b, l0, l1, l2: x + (b - x) * (l2 - l1) / (l1 - l0) / 2,
        "which looks back": lambda x, b, l0, l1, l2: torch.lerp(x, b, 0.5),
        "may differ in length": lambda x, b, l0, l1, l2: 1.5 * x - 0.5 * b,
        "upside down": lambda x, b, l0, l1, l2: x + (x - b) * (l1 - l0) / (l2 - l1) / 2,
        "as it is now": lambda x, b, l0, l1, l2: x.clone(),
    },
    "weight_at": {
        "you return −1": lambda t, w, low, high: w if low <= t <= high else -1.0,
        "you return 1": lambda t, w, low, high: w if low <= t <= high else 1.0,
        "are swapped": lambda t, w, low, high: w * (t < low or t > high),
        "belong to the interval": lambda t, w, low, high: w * (low < t < high),
        "forgot t_max": lambda t, w, low, high: w * (t >= low),
        "forgot t_min": lambda t, w, low, high: w * (t <= high),
    },
    "coverage": {
        "that is precision": lambda d, r: (d <= r[:, None]).any(dim=0).float().mean(),
        "share of all pairs": lambda d, r: (d <= r[:, None]).float().mean(),
        "how many points a ball holds": lambda d, r: (d <= r.view(-1, 1)).sum() / len(r),
        "a number of balls": lambda d, r: (d.min(dim=1).values <= r).sum(),
        "stay empty": lambda d, r: (d.min(dim=1).values > r).float().mean(),
        "the edge belongs to the ball": lambda d, r: (d.min(dim=1).values < r).float().mean(),
        "you ask for all": lambda d, r: (d.max(dim=1).values <= r).float().mean(),
    },
    "inception_score": {
        "the exponential is missing": lambda p: entropy(p.mean(0)) - entropy(p).mean(),
        "you added up": lambda p: torch.exp((p * (p / p.mean(0)).log()).sum()),
        "averages over the classes, too": lambda p: torch.exp((p * (p / p.mean(0)).log()).mean()),
        "isn't 1/10 for each digit": lambda p: 10 * torch.exp(-entropy(p).mean()),
        "the wrong way round": lambda p: torch.exp((p.mean(0) * (p.mean(0) / p).log()).sum(1).mean()),
        "only how unsure the images are": lambda p: torch.exp(entropy(p).mean()),
        "only how many digits appear": lambda p: torch.exp(entropy(p.mean(0))),
        "the mean comes first": lambda p: (p * (p / p.mean(0)).log()).sum(1).exp().mean(),
    },
    "fid_infinity": {
        "you drew the line over n": lambda n, fid: np.polyfit(n.numpy(), fid.numpy(), 1)[1],
        "over 1/√n": lambda n, fid: np.polyfit(n.numpy() ** -0.5, fid.numpy(), 1)[1],
        "that is the slope": lambda n, fid: np.polyfit(1 / n.numpy(), fid.numpy(), 1)[0],
        "one single image": lambda n, fid: np.polyval(np.polyfit(1 / n.numpy(), fid.numpy(), 1), 1.0),
        "the FID of the largest n": lambda n, fid: fid[n.argmax()],
        "the mean of the FIDs": lambda n, fid: sum(fid) / len(fid),
        "the last two points only": lambda n, fid: (n[-1] * fid[-1] - n[-2] * fid[-2]) / (n[-1] - n[-2]),
        "the first and the last point only": lambda n, fid: (n[-1] * fid[-1] - n[0] * fid[0]) / (n[-1] - n[0]),
    },
}  # fmt: skip

zeros = torch.zeros(10)
every_check = pytest.mark.parametrize("name", RIGHT)


@pytest.fixture(autouse=True, params=range(5))
def seed(request):
    """The inputs are fresh and random in each call: every test runs with several, the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(request.param)
        yield request.param


@every_check
def test_an_untouched_stub_is_not_attempted(name):
    verdict = getattr(checks, name)(lambda *inputs: None)
    assert verdict.status == "not attempted"
    assert "…" in repr(verdict)


@every_check
def test_right_answers_pass_however_they_are_written(name):
    for attempt in RIGHT[name]:
        verdict = getattr(checks, name)(attempt)
        assert verdict.status == "passed", verdict
        assert "✓" in repr(verdict)


@pytest.mark.parametrize(("name", "diagnosis"), [(name, key) for name in MISTAKES for key in MISTAKES[name]])
def test_each_mistake_has_its_own_diagnosis(name, diagnosis):
    verdict = getattr(checks, name)(MISTAKES[name][diagnosis])
    assert verdict.status == "wrong"
    assert diagnosis in verdict.message
    assert [other for other in MISTAKES[name] if other in verdict.message] == [diagnosis]
    assert "✗" in repr(verdict)


# How the discrepancy is worded by checks that judge random answers by their statistics.
MEASURED = {"training_times": "run from 8 to ", "ancestral_step": "is off by "}


@every_check
def test_a_mistake_that_nobody_named_is_measured(name):
    right = RIGHT[name][0]
    for error in (7, 0.5) if name != "training_times" else (7,):
        verdict = getattr(checks, name)(lambda *inputs, error=error: right(*inputs) + error)
        assert verdict.status == "wrong"
        assert MEASURED.get(name, f"off by up to {error if name != 'noise_between' else ''}") in verdict.message
        assert re.search(r"\d", verdict.message)


@every_check
def test_answers_that_are_no_numbers_or_have_another_shape_are_wrong(name):
    for attempt in (lambda *_: "text", lambda *_: object(), lambda *_: torch.zeros(3, 3), lambda *_: {"x": 1}):
        verdict = getattr(checks, name)(attempt)
        assert verdict.status == "wrong"
        assert "should" in verdict.message


@every_check
def test_answers_that_are_not_finite_are_wrong(name):
    right = RIGHT[name][0]
    verdict = getattr(checks, name)(lambda *inputs: right(*inputs) * math.nan)
    assert verdict.status == "wrong"


@every_check
def test_an_exception_is_a_verdict_that_shows_the_learners_line(name):
    def attempt(*inputs):
        return inputs[0] / undefined_by_the_learner  # noqa: F821

    verdict = getattr(checks, name)(attempt)
    assert verdict.status == "wrong"
    assert "NameError" in verdict.message
    assert "return inputs[0] / undefined_by_the_learner" in verdict.message


@every_check
def test_an_exception_inside_torch_shows_the_learners_line_too(name):
    def attempt(*inputs):
        return F.conv2d(torch.zeros(2, 2), torch.zeros(3))

    verdict = getattr(checks, name)(attempt)
    assert verdict.status == "wrong"
    assert "return F.conv2d(torch.zeros(2, 2), torch.zeros(3))" in verdict.message


@every_check
def test_what_cannot_be_called_at_all_is_a_verdict(name):
    for attempt in (None, 3, lambda: 1):
        assert getattr(checks, name)(attempt).status == "wrong"


def test_no_check_is_left_out_here():
    public = {name for name, value in vars(checks).items() if isinstance(value, types.FunctionType)}
    public = {name for name in public if not name.startswith("_") and hasattr(getattr(checks, name), "__wrapped__")}
    public = {name for name in public if not name.startswith("repaired_")}  # those are in test_museum.py
    public -= {"sampler_test", "times_test", "dropout_test", "guidance_test"}  # those are in test_bug_tests.py
    assert public == set(RIGHT) == set(MISTAKES)

    for name in public:
        assert len(RIGHT[name]) >= 2, f"{name}: at least two right answers, written differently"
        assert len(MISTAKES[name]) >= 3, f"{name}: at least three mistakes, each with its own diagnosis"
