"""Checks of notebook 10, One model, many names."""

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_lib.course import flows, names
from ddpm_lib.course.checks.shared import images
from ddpm_lib.course.exercise import Verdict, check, judge
from ddpm_lib.course.toys import TwoClasses
from ddpm_lib.schedule import NoiseSchedule


@check
def noise_in(attempt: Callable) -> Verdict:
    """attempt(answer, p, q, x_t, alpha_bar) → the ε in answer = p·x_0 + q·ε, given x_t = √ᾱ·x_0 + √(1−ᾱ)·ε."""

    def form(formula: Callable) -> Callable:
        """A mistake as a formula in answer, p, q, x_t and the two levels."""
        return lambda answer, p, q, x_t, bar: formula(answer, p, q, x_t, bar.sqrt(), (1 - bar).sqrt())

    sign = "a sign is wrong: subtract p times the first equation, on both sides alike"
    mistakes = [
        (
            form(lambda n, p, q, x, a, s: (q * x - s * n) / (a * q - s * p)),
            "that is x_0: ε is asked for, so x_0 must drop out",
        ),
        (form(lambda n, p, q, x, a, s: (p * x - a * n) / (a * q - s * p)), "that is −ε: turn the sign round"),
        (
            form(lambda n, p, q, x, a, s: (a * n + p * x) / (a * q - s * p)),
            "the sign of p·x_t is wrong: x_0 drops out of a difference",
        ),
        (form(lambda n, p, q, x, a, s: (a * n + p * x) / (a * q + s * p)), sign),
        (
            form(lambda n, p, q, x, a, s: (a * n - p * x) / (a * q + s * p)),
            "you divide by √ᾱ·q + σ·p: there, too, stands a difference",
        ),
        (
            form(lambda n, p, q, x, a, s: (s * n - p * x) / (s * q - a * p)),
            "√ᾱ and √(1−ᾱ) are swapped: √ᾱ is the share of x_0",
        ),
        (
            form(lambda n, p, q, x, a, s: (a * n - q * x) / (a * p - s * q)),
            "p and q are swapped: p is the share of x_0, and q that of ε",
        ),
        (
            lambda n, p, q, x, bar: (bar * n - p * x) / (bar * q - (1 - bar) * p),
            "the roots are missing: x_t has the shares √ᾱ and √(1−ᾱ)",
        ),
        (
            lambda n, p, q, x, bar: (bar * n - p * x) / (bar * q - (1 - bar).sqrt() * p),
            "the root of ᾱ is missing: the share of x_0 is √ᾱ",
        ),
        (
            lambda n, p, q, x, bar: (bar.sqrt() * n - p * x) / (bar.sqrt() * q - (1 - bar) * p),
            "the root of 1 − ᾱ is missing: the share of ε is √(1−ᾱ)",
        ),
        (
            form(lambda n, p, q, x, a, s: (a * n - p * x) / (a * q - (1 - a) * p)),
            "your share of ε is 1 − √ᾱ; it is √(1−ᾱ)",
        ),
        (
            form(lambda n, p, q, x, a, s: a * n - p * x),
            "the division is missing: this is ε times a number that depends on p and q",
        ),
        (
            form(lambda n, p, q, x, a, s: a * n + s * x),
            "that is right for an answer v only (notebook 03): use p and q",
        ),
        (
            form(lambda n, p, q, x, a, s: (x - a * n) / s),
            "you take the answer for x_0, whatever p and q are",
        ),
        (
            form(lambda n, p, q, x, a, s: (n - p * x) / q),
            "you put x_t where x_0 belongs: both are unknown, so use both equations",
        ),
        (form(lambda n, p, q, x, a, s: n), "that is the answer as it is: it is ε only at p = 0 and q = 1"),
        (form(lambda n, p, q, x, a, s: x), "that is x_t itself"),
        (
            lambda *inputs: names.noise_in(*inputs).clamp(-1, 1),
            "you clip ε to [−1, 1]: only pictures have such limits, and noise has none",
        ),
        (
            form(lambda n, p, q, x, a, s: (n - p * ((q * x - s * n) / (a * q - s * p))) / q),
            "you divide by q, which is 0 if the answer is x_0: get ε from the other equation",
        ),
    ]
    bars = {
        "on random mixtures": torch.rand(6, 1, 1, 1) * 0.8 + 0.1,
        "for ε": torch.rand(3, 1, 1, 1) * 0.8 + 0.1,
        "for x_0": torch.rand(3, 1, 1, 1) * 0.8 + 0.1,
        "for v": NoiseSchedule.cosine(T=500, shift=1.5).alpha_bar[torch.randint(10, 400, (4,))].view(-1, 1, 1, 1),
        "for u": torch.rand(3, 1, 1, 1) * 0.8 + 0.1,
        "where x_t is nearly noise": torch.full((2, 1, 1, 1), 1e-3),
        "for a batch of 1": torch.rand(1, 1, 1, 1) * 0.5 + 0.3,
    }
    cases = []
    for name, bar in bars.items():
        x_0, eps = images(len(bar)), torch.randn(len(bar), 1, 28, 28)
        random = (-0.3 - torch.rand(len(bar), 1, 1, 1), 0.4 + torch.rand(len(bar), 1, 1, 1))  # far from x_t's shares
        p, q = {
            "for ε": (0, 1),
            "for x_0": (1, 0),
            "for v": (-(1 - bar).sqrt(), bar.sqrt()),
            "for u": (-1, 1),
        }.get(name, random)
        cases.append((name, p * x_0 + q * eps, p, q, bar.sqrt() * x_0 + (1 - bar).sqrt() * eps, bar))
    return judge(attempt, names.noise_in, mistakes, cases, atol=1e-3)


@check
def score(attempt: Callable) -> Verdict:
    """attempt(log_density, x (N,), h) → (N,) the slope of log_density at each x, from values h to each side of it."""

    def scaled(factor: float) -> Callable:
        return lambda f, x, h: factor * names.score(f, x, h)

    mistakes = [
        (scaled(2), "that is twice the slope: from x − h to x + h the way is 2h"),
        (scaled(0.5), "that is half of the slope: from x − h to x + h the way is 2h"),
        (
            lambda f, x, h: (f(x + h) - f(x)) / h,
            "you look to the right only: that is the slope half a step further on; look as far to the left",
        ),
        (
            lambda f, x, h: (f(x) - f(x - h)) / h,
            "you look to the left only: that is the slope half a step before; look as far to the right",
        ),
        (scaled(-1), "the sign is turned round: the score points to where the density grows"),
        (lambda f, x, h: f(x + h) - f(x - h), "you don't divide by the way between the two points"),
        (lambda f, x, h: (f(x + h) - f(x - h)) / 2, "you divide by 2: the way between the two points is 2h"),
        (
            lambda f, x, h: (f(x + h).exp() - f(x - h).exp()) / (2 * h),
            "that is the slope of the density itself: the score is the slope of its logarithm",
        ),
        (
            lambda f, x, h: (f(x + h).log() - f(x - h).log()) / (2 * h),
            "you take a second logarithm: `log_density` is a logarithm already",
        ),
        (
            lambda f, x, h: (f(x + h) - 2 * f(x) + f(x - h)) / h**2,
            "that is the second derivative, the bend: one difference is enough",
        ),
        (
            lambda f, x, h: (f(x + h) + f(x - h)) / (2 * h),
            "that is a sum: a slope is a difference over the way",
        ),
        (lambda f, x, h: f(x), "that is the log-density itself, not its slope"),
        (
            lambda f, x, h: names.score(f, x, h).abs(),
            "you lose the direction: left of the nearest top the score is positive, and right of it negative",
        ),
    ]
    mean, std = float(torch.randn(())), float(torch.rand(()) + 0.5)

    def parabola(x: object) -> Tensor:
        """A Gaussian's log-density: here a difference over any way is exact."""
        x = torch.as_tensor(x, dtype=torch.float64)
        return 0.3 - (x - mean) ** 2 / (2 * std**2)

    two = TwoClasses(NoiseSchedule.linear(T=1000), d=0.4)
    x = torch.randn(40, dtype=torch.float64)
    cases = [
        ("for a Gaussian", parabola, x, 0.25),
        ("for a small h", parabola, x.clone(), 1e-3),
        *((f"for two classes at t = {t}", names.log_density(two, t), 1.5 * x, 1e-3) for t in (100, 300, 1000)),
        ("at a single x", parabola, x[:1], 0.1),
    ]
    return judge(attempt, names.score, mistakes, cases, rtol=1e-3, atol=1e-3)


@check
def log_snr(attempt: Callable) -> Verdict:
    """attempt(tau (N,)) → the log-SNR of x_τ = (1−τ)·x_0 + τ·ε, 2·log((1−τ)/τ)."""

    def ratio(tau: Tensor) -> Tensor:
        return (1 - tau) / tau

    variances = "that is the log of a ratio of levels; SNR is the ratio of their squares, the variances"
    no_log = "the logarithm is missing"
    natural = "the logarithm is the natural one, torch.log"
    mistakes = [
        (lambda tau: ratio(tau).log(), variances),
        (lambda tau: -2 * ratio(tau).log(), "that is noise over signal: turn the fraction over"),
        (lambda tau: -ratio(tau).log(), f"that is noise over signal, turn the fraction over; and {variances}"),
        (ratio, f"{no_log}, and SNR is the ratio of the squares"),
        (lambda tau: ratio(tau) ** 2, f"{no_log}: that is the SNR"),
        (lambda tau: ratio(tau).log() / 2, "you took roots where squares belong: 1 − τ and τ are levels, no variances"),
        (lambda tau: 4 * ratio(tau).log(), "you squared twice: the variances are (1 − τ)² and τ²"),
        (lambda tau: 2 * ratio(tau).log10(), natural),
        (lambda tau: 2 * ratio(tau).log2(), natural),
        (lambda tau: 2 * torch.log(1 - tau), "that is the signal alone: the noise is missing below the fraction line"),
        (lambda tau: -2 * torch.log(tau), "that is the noise alone: the signal is missing above the fraction line"),
        (
            lambda tau: 2 * torch.log(1 - tau) - torch.log((1 - tau) ** 2 + tau**2),
            "you divide the signal by the sum of both variances: that is log ᾱ; divide by the noise",
        ),
        (lambda tau: torch.log((1 - tau**2) / tau**2), "the signal's variance is (1 − τ)², not 1 − τ²"),
        (lambda tau: torch.log((1 - tau) ** 2 / (1 - (1 - tau) ** 2)), "the noise's variance is τ², not 1 − (1 − τ)²"),
        (lambda tau: 2 * ratio(1 - tau).flip(0).log(), "the values come in the wrong order: one for each τ, in order"),
    ]
    course = torch.arange(1, 501, dtype=torch.float64) / 501
    cases = [
        ("on random inputs", torch.rand(50).sort().values * 0.9 + 0.05),
        ("at a single τ", torch.rand(1) * 0.3 + 0.1),
        ("near both ends", torch.tensor([0.02, 0.3, 0.6, 0.98])),
        ("at the times of the notebook", course),
    ]
    return judge(attempt, flows.log_snr, mistakes, cases)


def step(
    enter: Callable = lambda x, scale: x / scale,
    back: Callable = lambda x, scale_t, scale_s: x * scale_s,
    tau: Callable = lambda signal, sigma: sigma / (signal + sigma),
    scale: Callable = lambda signal, sigma: signal + sigma,
    u: Callable = lambda x_t, x_0, eps, z, levels: eps - x_0,
    way: Callable = lambda tau_t, tau_s: tau_s - tau_t,
    one_time: Callable = lambda times: times,
) -> Callable:
    """An Euler step of the flow, or one in which something is another.

    enter, back: from x_t to x_τ, and from there to x_s. tau, scale: from the levels of a time. u: from x_t, x̂_0, ε̂, z
    and the levels. way: the length of the step. one_time: the times that it takes.
    """

    def walk(schedule: NoiseSchedule, x_t: Tensor, x_0: Tensor, t: Tensor, s: Tensor, z: Tensor) -> Tensor:
        t, s = one_time(t), one_time(s)
        at_t, at_s = schedule.levels(t), schedule.levels(s)
        signal, sigma = at_t
        eps = (x_t - signal * x_0) / sigma
        x_tau = enter(x_t, scale(*at_t)) + way(tau(*at_t), tau(*at_s)) * u(x_t, x_0, eps, z, at_t)
        return back(x_tau, scale(*at_t), scale(*at_s))

    return walk


def along_t(schedule: NoiseSchedule, x_t: Tensor, x_0: Tensor, t: Tensor, s: Tensor, z: Tensor) -> Tensor:
    """An Euler step that takes t/T for τ."""
    (signal_t, sigma_t), (signal_s, sigma_s) = schedule.levels(t), schedule.levels(s)
    u = (x_t - signal_t * x_0) / sigma_t - x_0
    way = ((s - t) / schedule.T).view(-1, 1, 1, 1)
    return (x_t / (signal_t + sigma_t) + way * u) * (signal_s + sigma_s)


@check
def euler_step(attempt: Callable) -> Verdict:
    """attempt(schedule, x_t, x_0_hat, t, s, z) → x_s, by an Euler step of the flow from τ(t) to τ(s)."""
    right = flows.euler_step
    no_scale = "τ isn't σ_t: find the scale of x_t at which the shares of x_0 and ε add up to 1"

    mistakes = [
        (
            step(way=lambda tau_t, tau_s: tau_t - tau_s),
            "you walk away from the digit, into the noise: û = ε̂ − x̂_0 points to the noise, so the step τ(s) − τ(t) "
            "must be below 0, where τ is the share of the noise",
        ),
        (step(enter=lambda x, scale: x), "you take a step from x_t itself: it has another scale than x_τ"),
        (step(back=lambda x, scale_t, scale_s: x), "you return x_τ at the new time: give it the scale of x_s again"),
        (
            step(back=lambda x, scale_t, scale_s: x * scale_t),
            "at the end you take the scale of time t: x_s has that of time s",
        ),
        (
            step(enter=lambda x, scale: x, back=lambda x, scale_t, scale_s: x),
            "you never change the scale: x_t isn't x_τ, because √ᾱ_t and σ_t don't add up to 1",
        ),
        (
            step(enter=lambda x, scale: x * scale, back=lambda x, scale_t, scale_s: x / scale_s),
            "the scale is turned over: divide x_t by it, and multiply at the end",
        ),
        (step(tau=lambda signal, sigma: sigma), no_scale),
        (step(tau=lambda signal, sigma: sigma, scale=lambda signal, sigma: signal * 0 + 1), no_scale),
        (step(tau=lambda signal, sigma: 1 - signal), f"τ isn't 1 − √ᾱ_t either; {no_scale}"),
        (step(tau=lambda signal, sigma: sigma**2), f"τ isn't 1 − ᾱ_t either; {no_scale}"),
        (along_t, "t/T isn't τ on every schedule: take τ from the levels of the times t and s"),
        (
            step(u=lambda x_t, x_0, eps, z, levels: z - x_0),
            "û is made with z, which is fresh noise: it takes ε̂, the noise in x_t",
        ),
        (step(u=lambda x_t, x_0, eps, z, levels: x_t - x_0), "you took û = x_t − x̂_0: x_t isn't ε̂, it holds it"),
        (
            step(u=lambda x_t, x_0, eps, z, levels: x_t / sum(levels) - x_0),
            "you took û = x_τ − x̂_0: x_τ isn't ε̂, it holds it",
        ),
        (step(u=lambda x_t, x_0, eps, z, levels: eps), "that is ε̂ in the place of û = ε̂ − x̂_0"),
        (
            step(u=lambda x_t, x_0, eps, z, levels: levels[0] * eps - levels[1] * x_0),
            "that is v in the place of û: û = ε̂ − x̂_0, at every time",
        ),
        (
            step(way=lambda tau_t, tau_s: -tau_t, back=lambda x, scale_t, scale_s: x),
            "you walk the whole way, to τ = 0: this step ends at τ(s)",
        ),
        (
            step(way=lambda tau_t, tau_s: -tau_t),
            "you walk the whole way, to τ = 0: this step ends at τ(s)",
        ),
        (lambda schedule, x_t, x_0, t, s, z: x_t, "that is x_t as it came: no step was made"),
        (lambda *inputs: right(*inputs).clamp(-1, 1), "you clip x_s: it is noisy, and its pixels may lie outside"),
        (
            step(one_time=lambda times: times[:1]),
            "all pictures walk from the t of the first picture: each has a t and an s of its own",
        ),
        (
            step(enter=lambda x, scale: x * scale),
            "the scale is turned over on the way in: divide x_t by it",
        ),
        (
            step(back=lambda x, scale_t, scale_s: x / scale_s),
            "the scale is turned over at the end: multiply by it",
        ),
    ]
    cosine, linear = NoiseSchedule.cosine(T=500, shift=1.5), NoiseSchedule.linear(T=100, beta_1=1e-3, beta_T=0.1)
    flow = NoiseSchedule.from_log_snr(flows.log_snr(torch.arange(1, 101) / 101))
    walks = [
        ("on random inputs", cosine, [480, 333, 250, 111], [300, 250, 20, 110]),
        ("for a batch of 1 and another schedule", linear, [70], [20]),
        ("in one step from T to 0", cosine, [500, 500], [0, 0]),
        ("at the last step, to 0", cosine, [62, 1], [0, 0]),
        ("at the first step", cosine, [500, 500], [438, 499]),
        ("on the schedule of the flow", flow, [90, 40], [60, 0]),
    ]
    cases = [
        (name, schedule, torch.randn(len(t), 1, 28, 28), images(len(t)), torch.tensor(t), torch.tensor(s))
        for name, schedule, t, s in walks
    ]
    cases = [(*case, torch.randn_like(case[2])) for case in cases]
    return judge(attempt, right, mistakes, cases, rtol=5e-4, atol=5e-4)


@check
def guided_u(attempt: Callable) -> Verdict:
    """attempt(u_y, u_null, s) → û(∅) + s·(û(y) − û(∅)), with the guidance scale s = 1 + w."""

    guided = flows.guided_u

    mistakes = [
        (
            lambda u_y, u_null, s: guided(u_y, u_null, 1 + s),
            "you took s for w: s is 1 + w, so it is already larger by 1",
        ),
        (
            lambda u_y, u_null, s: guided(u_y, u_null, s - 1),
            "you took w = s − 1 for the share of û(y): that is 1 + w, s",
        ),
        (
            lambda u_y, u_null, s: guided(u_null, u_y, s),
            "the two shares are swapped: s belongs to û(y), and 1 − s to û(∅)",
        ),
        (lambda u_y, u_null, s: guided(u_y, u_null, -s), "you push away from the label: the sign of s is turned"),
        (lambda u_y, u_null, s: s * (u_y - u_null), "that is the push alone: it starts from û(∅)"),
        (lambda u_y, u_null, s: s * u_y, "the branch without a label, û(∅), is missing"),
        (lambda u_y, u_null, s: s * u_y + u_null, "the two shares must add up to 1: s and 1 − s"),
        (lambda u_y, u_null, s: s * u_y + (1 + s) * u_null, "the two shares must add up to 1: s and 1 − s"),
        (
            lambda u_y, u_null, s: s * u_y - (1 - s) * u_null,
            "the sign of the second share is wrong: s and 1 − s, added",
        ),
        (lambda u_y, u_null, s: u_y, "that is s = 1 always: the label without guidance"),
        (lambda u_y, u_null, s: u_null, "that is s = 0 always: the label is ignored"),
        (lambda u_y, u_null, s: (u_y + u_null) / 2, "that is the mean of the two, s = 0.5 always"),
        (lambda u_y, u_null, s: guided(u_y, u_null, s).clamp(-1, 1), "you clip û: flow velocities may lie outside"),
    ]
    scales = {"on random inputs": float(torch.rand(()) * 3 + 2.3), "at s = 1.5": 1.5, "at s = 1, without guidance": 1.0,
              "at s = 0, without a label": 0.0, "at s = 5": 5, "at s = 0.5": 0.5}  # fmt: skip
    cases = [(name, *torch.randn(2, 3, 1, 28, 28), s) for name, s in scales.items()]
    cases += [("for a batch of 1", *torch.randn(2, 1, 1, 28, 28), 3.0)]
    return judge(attempt, guided, mistakes, cases)
