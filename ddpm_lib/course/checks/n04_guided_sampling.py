"""Checks of notebook 04, Guided sampling."""

import functools
from collections.abc import Callable

import numpy as np
import torch

from ddpm_lib.course.chance import UNIFORM, Law, judge_draw
from ddpm_lib.course.checks.shared import cases_over_w, images
from ddpm_lib.course.exercise import Verdict, answer_of, arrays_of, check, judge, same, wrong
from ddpm_lib.course.sandbox import Judged
from ddpm_lib.course.toys import GaussianPixels, coefficients
from ddpm_lib.sampling import ancestral_step as library_step
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


@check
def posterior(attempt: Callable) -> Verdict:
    """attempt(x_0, x_t, alpha_bar_t, alpha_bar_s) → mean and standard deviation of q(x_s | x_t, x_0)."""

    def changed(
        m_1=lambda x, a: a.sqrt() * x,
        v_1=lambda a_t, a_s: 1 - a_s,
        m_2=lambda x, a: x / a.sqrt(),
        v_2=lambda a: (1 - a) / a,
        mean=lambda m, v, n, u: (u * m + v * n) / (v + u),
        std=lambda v, u, beta: (v * u / (v + u)).sqrt(),
        alpha=lambda a_t, a_s: a_t / a_s,
    ):
        """The posterior with another opinion of x_0 (m_1, v_1), of x_t (m_2, v_2), or with another rule for both."""

        def answer(x_0, x_t, a_t, a_s):
            # In float64, so that no answer is refused for the rounding of the right one.
            x_0, x_t, a_t, a_s = (value.double() for value in (x_0, x_t, a_t, a_s))
            a = alpha(a_t, a_s)
            m, v, n, u = m_1(x_0, a_s), v_1(a_t, a_s), m_2(x_t, a), v_2(a)
            return _mean_and_std((mean(m, v, n, u), std(v, u, 1 - a)))

        return answer

    right = changed()
    mistakes = [
        (
            changed(mean=lambda m, v, n, u: (v * m + u * n) / (v + u)),
            "you weigh each mean with its own variance: then the less sure one wins. It gets the variance of the other",
        ),
        (
            changed(mean=lambda m, v, n, u: (m + n) / 2),
            "your mean is the middle of the two means: the surer one should weigh more",
        ),
        (changed(mean=lambda m, v, n, u: m), "your mean listens only to x_0: x_t has something to say, too"),
        (changed(mean=lambda m, v, n, u: n), "your mean listens only to x_t: x_0 has something to say, too"),
        (
            changed(mean=lambda m, v, n, u: u * m + v * n),
            "the sum of both variances is missing below your mean: the weights must sum to 1",
        ),
        (changed(std=lambda v, u, beta: v * u / (v + u)), "that is the variance: the standard deviation is its root"),
        (
            changed(std=lambda v, u, beta: beta.sqrt()),
            "your std is √β, that of the step forward: x_0 tells something, too, so that it must be smaller",
        ),
        (
            changed(std=lambda v, u, beta: (v + u).sqrt()),
            "your std is the root of the sum of the variances: two opinions together are surer than each alone",
        ),
        (changed(std=lambda v, u, beta: v.sqrt()), "your std is that of what x_0 says alone: two opinions are surer"),
        (changed(std=lambda v, u, beta: u.sqrt()), "your std is that of what x_t says alone: two opinions are surer"),
        (changed(std=lambda v, u, beta: 0 * v), "your std is 0: x_0 and x_t together leave something open"),
        (changed(m_1=lambda x, a: x), "x_0 says √ᾱ_s·x_0 of x_s, not x_0 itself: that is the jump to time s"),
        (changed(m_1=lambda x, a: a * x), "a root is missing: the jump to time s keeps √ᾱ_s of x_0"),
        (changed(v_1=lambda a_t, a_s: 1 - a_t), "you took the variance 1 − ᾱ of time t: x_0 speaks of x_s, at time s"),
        (
            changed(v_1=lambda a_t, a_s: (1 - a_s).sqrt()),
            "1 − ᾱ_s is a variance already: leave out its root",
        ),
        (
            changed(m_2=lambda x, a: x, v_2=lambda a: 1 - a),
            "x_t itself with the variance β is what the step forward makes: solve it for x_s first",
        ),
        (changed(v_2=lambda a: 1 - a), "whoever divides x_t by √α must divide the variance β by α"),
        (changed(m_2=lambda x, a: x), "you divide the variance β by α, so divide x_t by √α, too"),
        (changed(m_2=lambda x, a: x * a.sqrt()), "you multiply x_t by √α: the step forward shrank it, so divide"),
        (changed(m_2=lambda x, a: x / a), "a root is missing: the step forward shrank x_s by √α"),
        (
            changed(v_2=lambda a: ((1 - a) / a).sqrt()),
            "β/α is a variance already: leave out its root",
        ),
        (
            changed(alpha=lambda a_t, a_s: a_t),
            "you took ᾱ_t for α: the step from s to t alone keeps ᾱ_t/ᾱ_s",
        ),
        (lambda *inputs: right(*inputs)[::-1], "the order is mean, std: yours is the other way round"),
        (
            lambda x_0, x_t, a_t, a_s: right(x_t, x_0, a_t, a_s),
            "x_0 and x_t are swapped",
        ),
    ]
    bars = torch.rand(4, 1, 1, 1) * 0.4 + 0.1  # one for each picture
    schedule = NoiseSchedule.cosine(T=500, shift=1.5)  # that of the shipped weights

    def case(name: str, alpha_bar_t: torch.Tensor, alpha_bar_s: torch.Tensor) -> tuple:
        return name, images(len(alpha_bar_t)), torch.randn(len(alpha_bar_t), 1, 28, 28), alpha_bar_t, alpha_bar_s

    def bar(t: int) -> torch.Tensor:
        return schedule.alpha_bar[t].expand(2, 1, 1, 1).clone()

    cases = [
        case("on random inputs", bars, bars + 0.1 + 0.4 * torch.rand(4, 1, 1, 1)),
        case("for a batch of 1", bars[:1], bars[:1] + 0.2),
        case("from t = 250 to 249", bar(250), bar(249)),
        case("from t = T to T − 1", bar(500), bar(499)),
        case("in the last step, where ᾱ_s = 1", bar(20), bar(0)),
    ]
    return judge(_in_one(attempt), right, mistakes, cases, rtol=1e-3, atol=1e-3)


def _in_one(attempt: Callable) -> Callable:
    """An answer of two things as one array, (2, B, 1, 28, 28), which `judge` compares."""

    @functools.wraps(attempt)
    def answer(*inputs: object) -> object:
        got = attempt(*inputs)
        return None if got is None else _mean_and_std(got)

    return answer


def _mean_and_std(got: object) -> np.ndarray:
    try:
        mean, std = got
    except (TypeError, ValueError):
        raise Judged(wrong("return two things: `return mean, std`")) from None
    pair = [np.asarray(arrays_of(value)[None]) for value in (mean, std)]
    try:
        return np.stack(np.broadcast_arrays(*pair))
    except ValueError:
        shapes = " and ".join(str(array.shape) for array in pair)
        raise Judged(wrong(f"mean and std should have the shapes (B, 1, 28, 28) and (B, 1, 1, 1), got {shapes}")) from (
            None
        )


@check
def reverse_loop(attempt: Callable) -> Verdict:
    """attempt(ddpm, labels, w, generator) → x_0: the whole walk from t = T down to 0, by ancestral steps.

    The model is exact, so that the law of what comes out is known: see `toys.exact_spread`.
    """
    gaussian, uniform = (0.0, 1.0), (0.5, 1 / 12)
    asked = []  # the times that the network is asked for; copies of the model share this list

    class Watched(GaussianPixels):
        """It knows on paper what a step makes of x_t: (√ᾱ_s, √(1−ᾱ_s), a, b, std, β, √ᾱ_t, k) of each."""

        def __init__(self, schedule, means):
            super().__init__(schedule, means, d=0.1, null=0.03)
            signals, sigmas = (level.flatten().tolist() for level in schedule.levels(torch.arange(schedule.T + 1)))
            self.steps = []
            for t in range(schedule.T, 0, -1):
                of_step = (*coefficients(schedule, library_step, t, t - 1), float(schedule.beta[t]))
                self.steps.append((signals[t - 1], sigmas[t - 1], *of_step, signals[t], self.slope(t)))

        def predict_noise(self, x_t, t, y, w=0.0):
            asked.append(int(t[0]) if isinstance(t, torch.Tensor) and t.numel() else t)
            return super().predict_noise(x_t, t, y, w)

    def chain(
        change=lambda a, b, std, beta, *levels: (a, b, std),
        start=gaussian,
        z=gaussian,
        w=lambda w: w,
        y=lambda y: y,
        end=lambda mean, std: (mean, std),
        one_z=False,
    ):
        """The law of a loop in which one thing is another. change: of a step x_s = a·x_t + b·x̂_0 + std·z.

        start, z: mean and variance of what is drawn. one_z: whether all steps share one z.
        """

        def law(ddpm, labels, asked_w, *_):
            m = ddpm.mean(y(labels), w(asked_w)).double()
            (mean, variance), shared = start, 0.0
            for signal_s, sigma_s, *of_step, beta, signal, k in ddpm.steps:
                a, b, std = change(*of_step, beta, signal_s, sigma_s)
                slope = a + b * k
                mean = slope * mean + b * (1 - k * signal) * m + std * z[0]
                variance = slope**2 * variance + (0 if one_z else std**2 * z[1])
                shared = slope * shared + std if one_z else 0.0
            mean, std = end(mean, (variance + shared**2) ** 0.5)
            return Law(mean + torch.zeros(len(labels), 1, 28, 28), std)

        return law

    mistakes = [
        (chain(lambda a, b, std, beta, *levels: (a, b, 0.0)), "no noise is added on the way: draw around the mean"),
        (
            chain(lambda a, b, std, beta, *levels: (a, b, std**2)),
            "you multiply z by the variance: it is the std that belongs",
        ),
        (
            chain(lambda a, b, std, beta, *levels: (a, b, beta**0.5)),
            "your noise has standard deviation √β_t: that of the posterior is smaller, and 0 in the last step",
        ),
        (
            chain(lambda a, b, std, beta, *levels: (a, b, beta**0.5 * (levels[1] > 0))),
            "your noise has standard deviation √β_t, not that of the posterior",
        ),
        (
            chain(lambda a, b, std, beta, *levels: (a, b, 1.0 * (levels[1] > 0))),
            "your noise has standard deviation 1, whatever t is: multiply it by the posterior's",
        ),
        (
            chain(lambda a, b, std, beta, *levels: (a, b, 1.0)),
            "your noise has standard deviation 1, whatever t is: multiply it by the posterior's",
        ),
        (chain(start=(0.0, 0.0)), "your loop starts from zeros: x_T is Gaussian noise"),
        (chain(z=uniform), "you draw uniform noise: rand where randn belongs"),
        (chain(start=uniform), "x_T is uniform noise in your loop: rand where randn belongs"),
        (chain(start=uniform, z=uniform), "you draw uniform noise: rand where randn belongs"),
        (chain(one_z=True), "each step adds the same noise: draw a new z inside the loop"),
        (
            chain(lambda a, b, std, beta, *levels: (0.0, 1.0, std)),
            "each step jumps to x̂_0: the posterior's mean uses x_t, too",
        ),
        (
            chain(lambda a, b, std, beta, *levels: (1.0, 0.0, std)),
            "x_t is never moved towards x̂_0: where is the posterior?",
        ),
        (
            chain(lambda a, b, std, beta, *levels: (b, a, std)),
            "x̂_0 and x_t are swapped: posterior(x_0, x_t, t)",
        ),
        (
            chain(lambda a, b, std, beta, signal_s, sigma_s: (0.0, signal_s, sigma_s)),
            "each step draws all the noise anew, as the jump does: take the posterior's mean",
        ),
        (chain(w=lambda w: 0.0), "w has no effect: hand it to predict_noise"),
        (chain(w=lambda w: w - 1), "your w is the guidance scale 1 + w: your w = 1 is this course's w = 0"),
        (chain(w=lambda w: -1 - w), "the branches are swapped: you push away from the label"),
        (
            chain(y=lambda y: torch.zeros(len(y), 10)),
            "the label has no effect: the network is asked without one",
        ),
        (
            chain(end=lambda mean, std: ((mean + 1) / 2, std / 2)),
            "your digits are in [0, 1]: return x_0 in [−1, 1], as it comes out of the loop",
        ),
    ]

    def case(name: str, w: float, labels: torch.Tensor, schedule: NoiseSchedule) -> tuple:
        means = (torch.rand(10) * 0.06 + 0.06) * torch.tensor([1, -1]).repeat(5)
        return name, Watched(schedule, means), labels, w

    T = int(torch.randint(8, 13, ()))
    linear, cosine = NoiseSchedule.linear(T=T, beta_1=0.05, beta_T=0.3), NoiseSchedule.cosine(T=T + 5, shift=1.5)
    short = NoiseSchedule.linear(T=2, beta_1=0.02, beta_T=0.05)  # here it matters what the loop starts from
    cases = [
        case("on a batch of many labels", 1.5, torch.randint(10, (32,)), linear),
        case("at w = 0", 0.0, torch.tensor([3, 3, 3, 7]), linear),
        case("at w = −1", -1.0, torch.tensor([0, 9, 4]), linear),
        case("for a batch of 1", 2.0, torch.tensor([5]), linear),
        case("with two steps", 0.5, torch.randint(10, (24,)), short),
        case("on a schedule that ends in noise", 1.0, torch.arange(10), cosine),
    ]
    _, model, *inputs = cases[0]
    answer_of(attempt, [model, *inputs, torch.Generator().manual_seed(0)])  # takes four inputs, returns numbers
    times = list(dict.fromkeys(asked))
    seeds = torch.Generator().manual_seed(int(torch.randint(2**62, ())))

    def seeded(ddpm: GaussianPixels, labels: torch.Tensor, w: float) -> object:
        seed = int(torch.randint(2**62, (), generator=seeds))
        return attempt(ddpm, labels, w, torch.Generator().manual_seed(seed))

    def at_a_time() -> str:
        """What is wrong with the times that the loop visits, or ""."""
        if times == sorted(times) and len(times) > 1:
            return "your loop walks up: t falls from T to 1"
        if times[0] != T:
            return f"your loop must start at t = T = {T}, it starts at t = {times[0]}"
        if times[-1] != 1:
            return f"your loop must end with the step from t = 1, its last step is from t = {times[-1]}"
        return "" if len(times) == T else f"your loop takes {len(times)} steps, and T is {T}"

    if times and (found := at_a_time()):
        return Verdict("wrong", found, found)
    verdict = judge_draw(seeded, chain(), mistakes, cases)
    if verdict.status == "passed":
        two = [answer_of(attempt, [model, *inputs, torch.Generator().manual_seed(7)]) for _ in range(2)]
        if not same(*two):
            text = "the same seed gives other digits: hand `generator` to everything that draws"
            return Verdict("wrong", text, text)
    return verdict
