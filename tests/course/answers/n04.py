"""Answers to the exercises of notebook 04, written from their text: RIGHT[name], and WRONG[name] with its words.

The words stand in the verdict's diagnosis. None: the answer must be rejected, and no mistake may be named.
"""

import numpy as np
import torch


def four(values):
    return values.view(-1, 1, 1, 1)


def textbook(schedule, x_t, eps_hat, t):
    """DDPM's algorithm 2, which writes the mean with ε̂."""
    beta, alpha, bar, before = (four(v) for v in (
        schedule.beta[t], schedule.alpha[t], schedule.alpha_bar[t], schedule.alpha_bar[t - 1]))  # fmt: skip
    mean = (x_t - beta / (1 - bar).sqrt() * eps_hat) / alpha.sqrt()
    return mean + ((1 - before) / (1 - bar) * beta).sqrt() * torch.randn(x_t.shape)


def picture_by_picture(schedule, x_t, eps_hat, t):
    out = []
    for i in range(len(x_t)):
        part = slice(i, i + 1)
        x_0 = schedule.predict_x_0(x_t[part], t[part], eps_hat[part])
        mean, std = schedule.posterior(x_0, x_t[part], t[part])
        out.append(torch.normal(mean, std.expand_as(mean)) if t[i] > 1 else mean)
    return torch.cat(out)


def own_generator(schedule, x_t, eps_hat, t):
    generator = torch.Generator()
    generator.seed()
    mean, std = schedule.posterior(schedule.predict_x_0(x_t, t, eps_hat), x_t, t)
    return mean + std * torch.randn(mean.shape, generator=generator)


def in_numpy(schedule, x_t, eps_hat, t):
    mean, std = schedule.posterior(schedule.predict_x_0(x_t, t, eps_hat), x_t, t)
    return mean.numpy() + std.numpy() * np.random.standard_normal(mean.shape)


def clipped(schedule, x_t, eps_hat, t):
    mean, std = schedule.posterior(schedule.predict_x_0(x_t, t, eps_hat).clamp(-1, 1), x_t, t)
    return mean + std * torch.randn_like(x_t) * four(t > 1)


def step(mean=lambda mean, x_0, x_t, eps: mean, std=lambda std, beta: std, draw=torch.randn_like, x_0=None):
    """An ancestral step with one thing changed."""

    def attempt(schedule, x_t, eps_hat, t):
        x_0_hat = schedule.predict_x_0(x_t, t, eps_hat)
        middle, deviation = schedule.posterior(x_0_hat, x_t, t)
        return mean(middle, x_0_hat, x_t, eps_hat) + std(deviation, four(schedule.beta[t])) * draw(x_t)

    return attempt


def posterior_of(first, second=lambda x_0, x_t, eps: x_t):
    def attempt(schedule, x_t, eps_hat, t):
        three = schedule.predict_x_0(x_t, t, eps_hat), x_t, eps_hat
        mean, std = schedule.posterior(first(*three), second(*three), t)
        return mean + std * torch.randn_like(x_t)

    return attempt


def seeded(x):
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(0))


def seeded_globally(x):
    torch.manual_seed(0)
    return torch.randn_like(x)


def no_return(*inputs):
    inputs[1] * 2


def left_below(eps_y, eps_null, w):
    eps_hat = (1 + w) * eps_y - w * eps_null
    print(eps_hat.shape)
    return None


def in_place(eps_y, eps_null, w):
    eps_y *= 1 + w
    eps_y -= w * eps_null
    return eps_y


RIGHT = {
    "guided_noise": [
        lambda c, u, w: c + w * (c - u),
        lambda c, u, w: u + (1 + w) * (c - u),
        lambda c, u, w: torch.lerp(u, c, 1 + w),
        lambda c, u, w: ((1 + w) * c.double() - w * u.double()),
        lambda c, u, w: (1 + w) * c.numpy() - w * u.numpy(),
        lambda c, u, w: ((1 + w) * c - w * u).tolist(),
        lambda c, u, w: c if w == 0 else u if w == -1 else (1 + w) * c - w * u,
    ],
    "ddim_step": [
        lambda x, e, a, b: (b / a).sqrt() * x + ((1 - b).sqrt() - (b * (1 - a) / a).sqrt()) * e,
        lambda x, e, a, b: b**0.5 * (x - (1 - a) ** 0.5 * e) / a**0.5 + (1 - b) ** 0.5 * e,
        lambda x, e, a, b: np.sqrt(b.numpy()) * (x.numpy() - np.sqrt(1 - a.numpy()) * e.numpy()) / np.sqrt(a.numpy())
        + np.sqrt(1 - b.numpy()) * e.numpy(),
        lambda x, e, a, b: (b.double().sqrt() * (x.double() - (1 - a.double()).sqrt() * e) / a.double().sqrt()
                            + (1 - b.double()).sqrt() * e),
        lambda x, e, a, b: (b.sqrt() * ((x - (1 - a).sqrt() * e) / a.sqrt()) + (1 - b).sqrt() * e).tolist(),
        lambda x, e, a, b: torch.addcmul((1 - b).sqrt() * e, b.sqrt(), (x - (1 - a).sqrt() * e) / a.sqrt()),
    ],
    "ancestral_step": [step(), textbook, picture_by_picture, own_generator, in_numpy, clipped],
}  # fmt: skip

WRONG = {
    "guided_noise": [
        (lambda c, u, w: u + w * (c - u), "guidance scale 1 + w"),
        (lambda c, u, w: (1 + w) * u - w * c, "swapped"),
        (lambda c, u, w: (1 + w) * c + w * u, "sign"),
        (lambda c, u, w: w * c - w * u, "forgot the 1"),
        (lambda c, u, w: (1 - w) * c + w * u, "weakens"),
        (lambda c, u, w: (1 + w) * c - u, "w is missing"),
        (lambda c, u, w: c + (1 + w) * (c - u), "one too many"),
        (lambda c, u, w: c, "alone"),
        (lambda c, u, w: u if w == 0 else (1 + w) * c - w * u, "w = 0"),
        (lambda c, u, w: (1 + max(w, 0)) * c - max(w, 0) * u, "w = −1"),
        (lambda c, u, w: c if w <= 0 else (1 + w) * c - w * u, "w = −1"),
        (lambda c, u, w: (1 + w) * c - (1 + w) * u, "both branches"),
        (lambda c, u, w: ((1 + w) * c - w * u).clamp(-1, 1), "clip"),
        (lambda c, u, w: 1.01 * ((1 + w) * c - w * u), None),
        (no_return, "`return`"),
        (left_below, "`return None`"),
        (in_place, "in place"),
    ],
    "ddim_step": [
        (lambda x, e, a, b: (x - (1 - a).sqrt() * e) / a.sqrt(), "that is x̂_0"),
        (lambda x, e, a, b: b.sqrt() * (x - (1 - a).sqrt() * e) / a.sqrt() + (1 - a).sqrt() * e, "not of time s"),
        (lambda x, e, a, b: a.sqrt() * (x - (1 - b).sqrt() * e) / b.sqrt() + (1 - a).sqrt() * e, "swapped"),
        (lambda x, e, a, b: b.sqrt() * (x - (1 - a).sqrt() * e) + (1 - b).sqrt() * e, "divide"),
        (lambda x, e, a, b: b * (x - (1 - a) * e) / a + (1 - b) * e, "root"),
        (lambda x, e, a, b: b.sqrt() * (x - (1 - a).sqrt() * e) / a + (1 - b).sqrt() * e, "root"),
        (lambda x, e, a, b: b * (x - (1 - a).sqrt() * e) / a.sqrt() + (1 - b).sqrt() * e, "root"),
        (lambda x, e, a, b: a.sqrt() * (x - (1 - a).sqrt() * e) / a.sqrt() + (1 - b).sqrt() * e, "signal"),
        (lambda x, e, a, b: (x - (1 - a).sqrt() * e) / a.sqrt() + (1 - b).sqrt() * e, "signal"),
        (lambda x, e, a, b: b.sqrt() * (x - (1 - a).sqrt() * e) / a.sqrt(), "noise of time s is missing"),
        (lambda x, e, a, b: b.sqrt() * x + (1 - b).sqrt() * e, "x_t"),
        (lambda x, e, a, b: b.sqrt() * (x - (1 - a).sqrt() * e) / a.sqrt() - (1 - b).sqrt() * e, "subtract"),
        (lambda x, e, a, b: b.sqrt() * (x - (1 - a).sqrt() * e) / a.sqrt() + (1 - b).sqrt() * torch.randn_like(x),
         "no random numbers"),
        (lambda x, e, a, b: b.sqrt() * (x + (1 - a).sqrt() * e) / a.sqrt() + (1 - b).sqrt() * e, "subtract"),
        (lambda x, e, a, b: x, "x_t again"),
        (no_return, "`return`"),
    ],
    "ancestral_step": [
        (step(std=lambda std, beta: 0), "noise is missing"),
        (step(std=lambda std, beta: std**2), "variance"),
        (step(std=lambda std, beta: beta.sqrt()), "√β_t"),
        (step(std=lambda std, beta: 1), "standard deviation 1"),
        (step(draw=torch.rand_like), "uniform"),
        (step(draw=lambda x: torch.randn(1, 1, 28, 28)), "every picture gets the same"),
        (step(draw=lambda x: torch.randn(len(x), 1, 1, 1)), "all pixels"),
        (step(mean=lambda mean, x_0, x_t, eps: x_0), "x̂_0 itself"),
        (step(mean=lambda mean, x_0, x_t, eps: x_t), "x_t itself"),
        (posterior_of(lambda x_0, x_t, eps: x_t, lambda x_0, x_t, eps: x_0), "swapped"),
        (posterior_of(lambda x_0, x_t, eps: eps), "ε̂ to posterior"),
        (step(draw=seeded), "two calls"),
        (step(draw=seeded_globally), "two calls"),
        (step(mean=lambda mean, x_0, x_t, eps: mean, draw=lambda x: -0.5 + torch.rand_like(x)), "uniform"),
        (lambda schedule, x_t, eps_hat, t: schedule.posterior(
            schedule.predict_x_0(x_t, t, eps_hat), x_t, t)[0] + schedule.posterior(x_t, x_t, t)[1] * eps_hat, "ε̂"),
        (step(std=lambda std, beta: 0.8 * std), None),
        (step(mean=lambda mean, x_0, x_t, eps: mean + 0.1), None),
        (step(std=lambda std, beta: std.clamp(min=0.05)), None),
        (lambda schedule, x_t, eps_hat, t: schedule.predict_x_0(x_t, t, eps_hat), "that is x̂_0"),
        (no_return, "`return`"),
    ],
}  # fmt: skip
