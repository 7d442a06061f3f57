"""Checks of notebook 04, Guided sampling."""

from collections.abc import Callable

import torch

from ddpm_lib.course.chance import UNIFORM, Law, judge_draw
from ddpm_lib.course.checks.shared import cases_over_w, images
from ddpm_lib.course.exercise import Verdict, check, judge
from ddpm_lib.schedule import NoiseSchedule


@check
def guided_noise(attempt: Callable) -> Verdict:
    """attempt(eps_y, eps_null, w) → (1+w)·ε(y) − w·ε(∅)."""

    def guided(c, u, w):
        return (1 + w) * c - w * u

    mistakes = [
        (lambda c, u, w: u + w * (c - u), "your w is the guidance scale 1 + w: your w = 1 is this course's w = 0"),
        (lambda c, u, w: (1 + w) * u - w * c, "the branches are swapped: you push away from the label"),
        (
            lambda c, u, w: (1 + w) * c + w * u,
            "the sign is flipped: you add the unlabelled branch instead of subtracting it",
        ),
        (lambda c, u, w: w * (c - u), "you forgot the 1: w = 0 must give ε(y)"),
        (lambda c, u, w: (1 - w) * c + w * u, "this is (1 − w)·ε(y) + w·ε(∅): it weakens the label"),
        (lambda c, u, w: (1 + w) * c - u, "w is missing in front of ε(∅): at w = 0 it must vanish"),
        (lambda c, u, w: w * c - u, "the weights are 1 + w and w: you took w and 1"),
        (lambda c, u, w: c + (1 + w) * (c - u), "that is one too many: you take 2 + w and 1 + w for 1 + w and w"),
        (lambda c, u, w: (1 + w) * (c - u), "you weigh both branches with 1 + w: ε(∅) gets w"),
        (lambda c, u, w: c, "that is ε(y) alone, whatever w is"),
        (lambda c, u, w: u, "that is ε(∅) alone, whatever w is"),
        (lambda c, u, w: guided(c, u, w) if w else u, "at w = 0 you return ε(∅); it must be ε(y)"),
        (lambda c, u, w: guided(c, u, max(w, 0)), "below 0 you return ε(y); but w = −1 must give ε(∅)"),
        (lambda c, u, w: guided(c, u, abs(w)), "you lost the sign of w: w = −1 must give ε(∅)"),
        (
            lambda c, u, w: guided(c, u, w).clamp(-1, 1),
            "you clip the noise to [−1, 1]: pixels end there, noise doesn't",
        ),
        (lambda c, u, w: guided(c, u, w) / (1 + 2 * w), "the weights 1 + w and −w sum to 1 already: don't divide"),
    ]
    return judge(attempt, guided, mistakes, cases_over_w())


@check
def ddim_step(attempt: Callable) -> Verdict:
    """attempt(x_t, eps_hat, alpha_bar_t, alpha_bar_s) → x_s, the deterministic DDIM step."""

    def solved(x, e, a):
        return (x - (1 - a).sqrt() * e) / a.sqrt()

    def step(x, e, a, b):
        return b.sqrt() * solved(x, e, a) + (1 - b).sqrt() * e

    roots = "a root is missing: levels are roots, √ᾱ of the signal and √(1−ᾱ) of the noise"
    mistakes = [
        (lambda x, e, a, b: solved(x, e, a), "that is x̂_0; now add the noise of time s again"),
        (lambda x, e, a, b: b.sqrt() * solved(x, e, a), "the noise of time s is missing: go forward with the same ε̂"),
        (
            lambda x, e, a, b: b.sqrt() * solved(x, e, a) + (1 - a).sqrt() * e,
            "you put back the noise of time t, not of time s",
        ),
        (
            lambda x, e, a, b: a.sqrt() * solved(x, e, a) + (1 - b).sqrt() * e,
            "you took the signal level of time t, not of time s, on the way forward",
        ),
        (lambda x, e, a, b: x, "that is x_t again: on the way forward you took both levels of time t, not of time s"),
        (
            lambda x, e, a, b: solved(x, e, a) + (1 - b).sqrt() * e,
            "the signal level √ᾱ_s is missing on the way forward",
        ),
        (lambda x, e, a, b: step(x, e, b, a), "t and s are swapped: this step adds noise"),
        (
            lambda x, e, a, b: b.sqrt() * (x - (1 - a).sqrt() * e) + (1 - b).sqrt() * e,
            "you forgot to divide by √ᾱ_t when you solved for x̂_0",
        ),
        (lambda x, e, a, b: b.sqrt() * x + (1 - b).sqrt() * e, "you used x_t where x̂_0 belongs: solve for the digit"),
        (
            lambda x, e, a, b: b.sqrt() * (x + (1 - a).sqrt() * e) / a.sqrt() + (1 - b).sqrt() * e,
            "to solve for x̂_0 subtract the noise, you added it",
        ),
        (
            lambda x, e, a, b: b.sqrt() * solved(x, e, a) - (1 - b).sqrt() * e,
            "on the way forward add the noise, you subtract it",
        ),
        (lambda x, e, a, b: b * (x - (1 - a) * e) / a + (1 - b) * e, roots),
        (lambda x, e, a, b: b.sqrt() * (x - (1 - a).sqrt() * e) / a + (1 - b).sqrt() * e, f"{roots}; look at 1/√ᾱ_t"),
        (lambda x, e, a, b: b.sqrt() * (x - (1 - a) * e) / a.sqrt() + (1 - b).sqrt() * e, f"{roots}; look at time t"),
        (lambda x, e, a, b: b.sqrt() * (x - (1 - a) * e) / a.sqrt() + (1 - b) * e, f"{roots}; look at 1 − ᾱ"),
        (lambda x, e, a, b: b * solved(x, e, a) + (1 - b).sqrt() * e, f"{roots}; look at ᾱ_s"),
        (lambda x, e, a, b: b.sqrt() * solved(x, e, a) + (1 - b) * e, f"{roots}; look at 1 − ᾱ_s"),
        (lambda x, e, a, b: b * solved(x, e, a) + (1 - b) * e, f"{roots}; look at time s"),
        (
            lambda x, e, a, b: b.sqrt() * solved(x, e, a) + (1 - b.sqrt()) * e,
            "your noise level is 1 − √ᾱ_s; it is √(1 − ᾱ_s)",
        ),
        (
            lambda x, e, a, b: b.sqrt() * solved(x, e, a).clamp(-1, 1) + (1 - b).sqrt() * e,
            "you clip x̂_0; the sampler does that outside the step, and it isn't in the equation",
        ),
    ]
    bars = torch.rand(4, 1, 1, 1) * 0.4 + 0.1  # one for each picture
    near = NoiseSchedule.linear(T=500).alpha_bar[[200, 199]].view(2, 1, 1, 1, 1)
    last = NoiseSchedule.linear(T=500).alpha_bar[[25, 0]].view(2, 1, 1, 1, 1)
    pairs = {
        "on random inputs": (bars, bars + 0.3),
        "for a batch of 1": (bars[:1], bars[:1] + 0.2),
        "from t to t − 1": tuple(near.expand(-1, 3, -1, -1, -1).clone()),
        "in the last step, where ᾱ_s = 1": tuple(last.expand(-1, 3, -1, -1, -1).clone()),
    }
    cases = [(name, images(len(a)), torch.randn(len(a), 1, 28, 28), a, b) for name, (a, b) in pairs.items()]
    return judge(attempt, step, mistakes, cases)


@check
def ancestral_step(attempt: Callable) -> Verdict:
    """attempt(schedule, x_t, eps_hat, t) → x_{t-1}, drawn from q(x_{t-1} | x_t, x̂_0) with noise of its own."""

    def changed(mean=lambda mean, x_0_hat, x_t, eps_hat: mean, std=lambda std, beta: std, **kind):
        """The law of an answer in which the mean or the standard deviation is another."""

        def law(schedule, x_t, eps_hat, t):
            x_0_hat = schedule.predict_x_0(x_t, t, eps_hat)
            middle, deviation = schedule.posterior(x_0_hat, x_t, t)
            deviation = std(deviation, schedule.beta[t].view(-1, 1, 1, 1))
            return Law(mean(middle, x_0_hat, x_t, eps_hat), deviation, **kind)

        return law

    def posterior_of(order):
        def law(schedule, x_t, eps_hat, t):
            first, second = order(schedule.predict_x_0(x_t, t, eps_hat), x_t, eps_hat)
            return Law(*schedule.posterior(first, second, t))

        return law

    def uniform(shift, scale):
        def law(schedule, x_t, eps_hat, t):
            mean, std = changed()(schedule, x_t, eps_hat, t)[:2]
            return Law(mean + shift * std, scale * std, UNIFORM)

        return law

    def found_noise(schedule, x_t, eps_hat, t):
        mean, std = changed()(schedule, x_t, eps_hat, t)[:2]
        return Law(mean + std * eps_hat, 0 * std)

    lies_between = "it lies between x_t and x̂_0, ask schedule.posterior"
    itself = {"x̂_0": lambda mean, x_0_hat, x_t, eps_hat: x_0_hat, "x_t": lambda mean, x_0_hat, x_t, eps_hat: x_t}
    mistakes = [
        (changed(std=lambda std, beta: 0 * std), "the noise is missing: you return the mean of the Gaussian"),
        (changed(std=lambda std, beta: std**2), "you multiplied by the variance: randn wants the standard deviation"),
        (changed(std=lambda std, beta: std.sqrt()), "you took the root of std: that is a standard deviation already"),
        (
            changed(std=lambda std, beta: beta.sqrt()),
            "your noise has standard deviation √β_t: that of the posterior is smaller, √β̃_t",
        ),
        (
            changed(std=lambda std, beta: beta.sqrt() * (std > 0)),
            "your noise has standard deviation √β_t: that of the posterior is smaller, √β̃_t",
        ),
        (
            changed(std=lambda std, beta: 0 * std + 1),
            "your noise has standard deviation 1, whatever t is: multiply it by the posterior's",
        ),
        (
            changed(std=lambda std, beta: 1.0 * (std > 0)),
            "your noise has standard deviation 1, whatever t is: multiply it by the posterior's",
        ),
        (uniform(0.5, 12**-0.5), "you drew uniform noise: rand where randn belongs"),
        (uniform(0, 12**-0.5), "you moved uniform noise to mean 0, but it is still uniform: rand where randn belongs"),
        (uniform(0, 3**-0.5), "you stretched uniform noise to [−1, 1], but it is still uniform: randn belongs there"),
        (uniform(0, 1), "your noise has the right size, but it is uniform: rand where randn belongs"),
        (found_noise, "you add ε̂ again: the noise must be a new draw, torch.randn_like"),
        (posterior_of(lambda x_0_hat, x_t, eps_hat: (x_t, x_0_hat)), "x̂_0 and x_t are swapped: posterior(x_0, x_t, t)"),
        (
            posterior_of(lambda x_0_hat, x_t, eps_hat: (eps_hat, x_t)),
            "you gave ε̂ to posterior where x̂_0 belongs: solve for the digit first",
        ),
    ]
    for name, mean in itself.items():
        mistakes += [
            (changed(mean), f"the mean of your draw is {name} itself: {lies_between}"),
            (changed(mean, lambda std, beta: 0 * std), f"that is {name} itself, and no draw: {lies_between}"),
        ]

    def case(name: str, T: int, t: torch.Tensor) -> tuple:
        schedule = NoiseSchedule.linear(T=T, beta_1=0.05, beta_T=0.3)
        eps_hat = torch.randn(len(t), 1, 28, 28)
        # so x̂_0 is in [−1, 1], and clipping it is neither asked for nor wrong
        return name, schedule, schedule.add_noise(0.9 * images(len(t)), t, eps_hat), eps_hat, t

    T = int(torch.randint(8, 13, ()))
    cases = [
        case("on a batch of many t", T, torch.randint(2, T + 1, (64,))),
        case("for a batch of 1", T, torch.tensor([T // 2])),
        case("at t = T", T, torch.full((3,), T)),
        case("at t = 1, where nothing is drawn", T, torch.ones(3, dtype=torch.long)),
        case("where t = 1 stands beside other times", T, torch.tensor([1, 2, T])),
    ]
    return judge_draw(attempt, changed(), mistakes, cases, along=lambda schedule, x_t, eps_hat, t: (x_t, eps_hat))
