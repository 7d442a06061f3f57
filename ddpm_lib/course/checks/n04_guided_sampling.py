"""Checks of notebook 04, Guided sampling."""

from collections.abc import Callable

import torch

from ddpm_lib.course.checks.shared import images
from ddpm_lib.course.exercise import Verdict, call, check, judge
from ddpm_lib.schedule import NoiseSchedule


@check
def guided_noise(attempt: Callable) -> Verdict:
    """attempt(eps_y, eps_null, w) → (1+w)·ε(y) − w·ε(∅)."""
    mistakes = {
        "your w is the guidance scale 1 + w: your w = 1 is this course's w = 0": lambda c, u, w: u + w * (c - u),
        "the branches are swapped: you push away from the label": lambda c, u, w: (1 + w) * u - w * c,
        "the sign is flipped: you add the unlabelled branch instead of subtracting it": lambda c, u, w: (
            (1 + w) * c + w * u
        ),
        "you forgot the 1: w = 0 must give ε(y)": lambda c, u, w: w * c - w * u,
        "this is (1 − w)·ε(y) + w·ε(∅): it weakens the label": lambda c, u, w: (1 - w) * c + w * u,
    }
    w = float(torch.rand(()) * 3 + 1.3)
    return judge(
        attempt,
        lambda c, u, w: (1 + w) * c - w * u,
        mistakes,
        torch.randn(4, 1, 28, 28),
        torch.randn(4, 1, 28, 28),
        w,
    )


@check
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
    return judge(attempt, step, mistakes, images(4), torch.randn(4, 1, 28, 28), alpha_bar_t, alpha_bar_t + 0.3)


@check
def ancestral_step(attempt: Callable) -> Verdict:
    """attempt(schedule, x_t, eps_hat, t) → x_{t-1}, drawn from q(x_{t-1} | x_t, x̂_0) with fresh noise."""
    schedule, count = NoiseSchedule.linear(T=10, beta_1=0.05, beta_T=0.3), 256
    t = torch.full((count,), int(torch.randint(5, 7, ())))
    x_0, eps_hat = (x.expand(count, -1, -1, -1).clone() for x in (0.9 * images(1), torch.randn(1, 1, 28, 28)))
    x_t = schedule.add_noise(x_0, t, eps_hat)  # so x̂_0 is in [−1, 1], and clipping it is neither asked for nor wrong
    x_0_hat = schedule.predict_x_0(x_t, t, eps_hat)
    mean, std = schedule.posterior(x_0_hat, x_t, t)
    std = std.flatten()[0]
    got = call(attempt, schedule, x_t, eps_hat, t)
    if got.shape != x_t.shape:
        return Verdict("wrong", f"the answer should have shape {tuple(x_t.shape)}, got {tuple(got.shape)}")

    # All inputs are equal. So what the answers have in common is the mean, and the rest is the noise.
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
    same_again = torch.equal(call(attempt, schedule, x_t, eps_hat, t), got)
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
