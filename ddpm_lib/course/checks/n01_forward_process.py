"""Checks of notebook 01, The forward process."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from ddpm_lib.course.checks.shared import images
from ddpm_lib.course.exercise import Verdict, check, judge
from ddpm_lib.schedule import NoiseSchedule


@check
def forward_chain(attempt: Callable) -> Verdict:
    """attempt(x_0 (B, 1, H, W), beta (n,), z (n, B, 1, H, W)) → x_0, x_1, … x_n, (n + 1, B, 1, H, W)."""

    def step(x, b, z):
        return (1 - b).sqrt() * x + b.sqrt() * z

    def walk(step=step, noise=lambda z, i: z[i]):
        """A chain with this step, whose noise in step i + 1 is noise(z, i)."""

        def states(x_0, beta, z):
            found = [x_0]
            for i, b in enumerate(beta):
                found.append(step(found[-1], b, noise(z, i)))
            return torch.stack(found)

        return states

    def from_x_0(x_0, beta, z):
        return torch.stack([x_0, *(step(x_0, b, z_t) for b, z_t in zip(beta, z, strict=True))])

    def jumps(x_0, beta, z):
        a = (1 - beta).cumprod(0)
        return torch.stack([x_0, *(step(x_0, 1 - bar, z_t) for bar, z_t in zip(a, z, strict=True))])

    right = walk()
    variance = "your noise has standard deviation β_t: that is its variance, take the root"
    mistakes = [
        (walk(lambda x, b, z: (1 - b).sqrt() * x + b * z), variance),
        (walk(lambda x, b, z: (1 - b) * x + b.sqrt() * z), "you shrink by 1 − β_t: its root is missing"),
        (walk(lambda x, b, z: (1 - b) * x + b * z), "both roots are missing: of 1 − β_t and of β_t"),
        (
            walk(lambda x, b, z: x + b.sqrt() * z),
            "you don't shrink: without the factor √(1 − β_t) the numbers grow with every step",
        ),
        (
            walk(lambda x, b, z: x + b * z),
            "you don't shrink by √(1 − β_t), and the noise needs the root of β_t, its variance",
        ),
        (walk(lambda x, b, z: (1 - b).sqrt() * x), "the noise is missing: that only shrinks the digit"),
        (
            walk(lambda x, b, z: b.sqrt() * x + (1 - b).sqrt() * z),
            "the two factors are swapped: a step keeps nearly all",
        ),
        (walk(lambda x, b, z: b * x + (1 - b) * z), "the two factors are swapped, and their roots are missing"),
        (walk(lambda x, b, z: (1 - b.sqrt()) * x + b.sqrt() * z), "you shrink by 1 − √β_t; it is √(1 − β_t)"),
        (
            walk(lambda x, b, z: (1 - b).sqrt() * (x + b.sqrt() * z)),
            "you shrink the noise too: shrink first, then add noise of variance β_t",
        ),
        (walk(lambda x, b, z: (1 - b).sqrt() * x - b.sqrt() * z), "you subtract the noise: a step adds it"),
        (
            walk(lambda x, b, z: (1 - b).sqrt() * x + z),
            "the noise level √β_t is missing: you add noise of variance 1 in every step",
        ),
        (walk(lambda x, b, z: (1 - b) ** 2 * x + b**2 * z), "you took squares where square roots belong"),
        (
            walk(lambda x, b, z: (1 + b).sqrt() * x + b.sqrt() * z),
            "you multiply by √(1 + β_t): a step shrinks, 1 − β_t",
        ),
        (walk(lambda x, b, z: step(x, b, z).clamp(-1, 1)), "you clip to [−1, 1]: noisy pixels may lie outside"),
        (walk(noise=lambda z, i: z[0]), "every step gets the same noise, z[0]: step i + 1 has its own, z[i]"),
        (walk(noise=lambda z, i: z[-1]), "every step gets the same noise, z[−1]: step i + 1 has its own, z[i]"),
        (from_x_0, "each step starts from x_0 again: it should start where the step before it ended"),
        (jumps, "you jump from x_0 to each x_t, with new noise each time: in a chain, x_t comes from x_{t−1}"),
        (lambda x, b, z: right(x, b.flip(0), z), "you take the β from the back: the first step has β_1, beta[0]"),
        (lambda x, b, z: right(x, b, z)[1:], "x_0 itself is missing: it is the first of the n + 1 states"),
        (lambda x, b, z: right(x, b, z)[:-1], "the last step is missing: there are n of them, and n + 1 states"),
        (lambda x, b, z: right(x, b, z)[-1], "that is x_n alone: keep every state, from x_0 on"),
        (lambda x, b, z: right(x, b, z).transpose(0, 1), "time is your second dimension: it should be the first"),
        (
            lambda x, b, z: right(x, b, z)[-1:].expand(len(b) + 1, *x.shape),
            "all your states are the last one: you change one tensor in place, and store it again and again",
        ),
    ]
    course = NoiseSchedule.cosine(T=int(torch.randint(100, 400, ())), shift=1.5).beta[1:]
    inputs = {
        "on random inputs": (torch.rand(7) * 0.5 + 0.01, (3, 1, 28, 28)),
        "for a batch of 1": (torch.rand(4) * 0.5 + 0.01, (1, 1, 28, 28)),
        "for a single step": (torch.rand(1) * 0.5 + 0.3, (2, 1, 28, 28)),
        "for the linear schedule": (NoiseSchedule.linear(T=500).beta[1:], (2, 1, 4, 4)),
        "for two pixels side by side": (torch.rand(20) * 0.1 + 0.01, (6, 1, 1, 2)),
        "for the course's schedule": (course, (2, 1, 3, 3)),
    }
    cases = [
        (name, torch.rand(shape) * 2 - 1, beta.clone(), torch.randn(len(beta), *shape))
        for name, (beta, shape) in inputs.items()
    ]
    return judge(attempt, right, mistakes, cases)


@check
def add_noise(attempt: Callable) -> Verdict:
    """attempt(x_0, alpha_bar_t, eps) → x_t, with alpha_bar_t of shape (B, 1, 1, 1)."""

    def jump(x, a, e):
        return a.sqrt() * x + (1 - a).sqrt() * e

    mistakes = [
        (lambda x, a, e: a * x + (1 - a) * e, "you used ᾱ_t and 1 − ᾱ_t without their square roots"),
        (
            lambda x, a, e: a.sqrt() * x + (1 - a) * e,
            "your noise has standard deviation 1 − ᾱ_t: that is the variance, take its root",
        ),
        (lambda x, a, e: a * x + (1 - a).sqrt() * e, "your signal level is ᾱ_t: its root is missing"),
        (lambda x, a, e: a.sqrt() * x + (1 - a.sqrt()) * e, "your noise level is 1 − √ᾱ_t; it is √(1 − ᾱ_t)"),
        (lambda x, a, e: (1 - a).sqrt() * x + a.sqrt() * e, "signal and noise are swapped"),
        (
            lambda x, a, e: (1 - a) * x + a * e,
            "signal and noise are swapped, and their square roots are missing",
        ),
        (lambda x, a, e: a.sqrt() * x, "the noise is missing: that is only the shrunken digit"),
        (lambda x, a, e: (1 - a).sqrt() * e, "the digit is missing: that is only its noise"),
        (lambda x, a, e: a.sqrt() * x - (1 - a).sqrt() * e, "the noise is subtracted: the forward process adds it"),
        (
            lambda x, a, e: x + (1 - a).sqrt() * e,
            "x_0 isn't scaled down by the signal level √ᾱ_t: the variance grows with t",
        ),
        (lambda x, a, e: a.sqrt() * x + e, "the noise level √(1 − ᾱ_t) is missing: you add all of ε at every t"),
        (lambda x, a, e: x + e, "both levels are missing: √ᾱ_t of the digit and √(1 − ᾱ_t) of the noise"),
        (lambda x, a, e: a**2 * x + (1 - a) ** 2 * e, "you took squares where square roots belong"),
        (lambda x, a, e: a.sqrt() * x + (1 - a**2).sqrt() * e, "your noise level is √(1 − ᾱ_t²): ᾱ_t has no square"),
        (lambda x, a, e: a.sqrt() * x + (1 + a).sqrt() * e, "your noise level is √(1 + ᾱ_t): it should rise with t"),
        (lambda x, a, e: (x - (1 - a).sqrt() * e) / a.sqrt(), "that is the way back, from x_t to x_0"),
        (lambda x, a, e: jump(x, a[:1], e), "all pictures get the ᾱ_t of the first picture"),
        (
            lambda x, a, e: jump(x, a.mean(), e),
            "all pictures get the mean of the ᾱ_t: every picture has a t of its own",
        ),
        (lambda x, a, e: jump(x, a, e).clamp(-1, 1), "you clip x_t to [−1, 1]: noisy pixels may lie outside"),
    ]
    linear = NoiseSchedule.linear(T=500).alpha_bar.view(-1, 1, 1, 1)
    levels = {
        "on random inputs": torch.rand(8, 1, 1, 1) * 0.8 + 0.1,
        "for a batch of 1": torch.rand(1, 1, 1, 1) * 0.5 + 0.3,
        "at t = 1": linear[[1, 1, 1]],
        "at t = T": linear[[-1, -1]],
        "at both ends in one batch": linear[[1, -1, 250]],
    }
    cases = [(name, images(len(a)), a.clone(), torch.randn(len(a), 1, 28, 28)) for name, a in levels.items()]
    return judge(attempt, jump, mistakes, cases)


@check
def half_noise_time(attempt: Callable) -> Verdict:
    """attempt(schedule) → the first t at which at least half of x_t's variance is noise, 1 − ᾱ_t ≥ 1/2."""

    def first(condition: Callable) -> Callable:
        """The first t at which the condition holds, and 0 where it never does, as argmax has it."""
        return lambda schedule: int(condition(schedule).int().argmax())

    half = first(lambda s: s.alpha_bar <= 0.5)
    mistakes = [
        (
            first(lambda s: s.beta >= 0.5),
            "you used α_t, the share that a single step keeps, not ᾱ_t, which all steps up to t keep",
        ),
        (
            first(lambda s: (1 - s.alpha_bar).sqrt() >= 0.5),
            "you took the standard deviation √(1−ᾱ_t) ≥ 1/2, not the variance",
        ),
        (
            first(lambda s: s.alpha_bar.sqrt() <= 0.5),
            "you took the signal level √ᾱ_t ≤ 1/2; its square is the variance",
        ),
        (
            lambda s: 0,
            "you return t = 0, where there is no noise yet: is the inequality the wrong way round, or do you return "
            "in the first round of a loop?",
        ),
        (lambda s: half(s) + 1, "one too late: ᾱ has an entry for t = 0, so the index is already t"),
        (
            lambda s: half(s) - 1,
            "one too early: that is the last t with less than half noise, or an index that starts at 1",
        ),
        (first(lambda s: s.alpha_bar < 0.5), "1 − ᾱ_t = 1/2 itself counts: ≥, not >"),
        (lambda s: s.T // 2, "that is half of T; the schedule isn't that even"),
        (lambda s: half(s) / s.T, "that is t/T, as in the figure: multiply it by T"),
        (lambda s: s.T, "that is the last t at which it holds, T; asked for is the first"),
        (
            lambda s: int((s.alpha_bar - 0.5).abs().argmin()),
            "that is the t closest to half noise; it may come too early",
        ),
        (first(lambda s: s.beta.cumsum(0) >= 0.5), "you summed the β_t: the shares that the steps keep are multiplied"),
        (lambda s: s.alpha_bar[half(s)], "that is ᾱ_t at that time; asked for is t"),
        (lambda s: 1 - s.alpha_bar[half(s)], "that is 1 − ᾱ_t at that time; asked for is t"),
        (
            first(lambda s: s.alpha_bar / (1 - s.alpha_bar) <= 0.5),
            "you took SNR ≤ 1/2: where half is noise and half is signal, the SNR is 1",
        ),
        (first(lambda s: s.log_snr <= 0.5), "you took log-SNR ≤ 1/2: where half is noise, the log-SNR is 0"),
        (lambda s: 185, "that is right for the linear schedule only, with T = 500: ask the schedule that comes in"),
    ]
    cases = [
        ("for the notebook's linear schedule", NoiseSchedule.linear(T=500)),
        ("for another T", NoiseSchedule.linear(T=int(torch.randint(600, 1000, ())))),
        ("for the cosine", NoiseSchedule.cosine(T=500)),
        ("for the shifted cosine", NoiseSchedule.cosine(T=int(torch.randint(300, 700, ())), shift=1.5)),
        ("where 1 − ᾱ_1 = 1/2", NoiseSchedule(torch.tensor([0.5, 0.4, 0.6, 0.7]))),
        ("where it is t = T", NoiseSchedule(torch.tensor([0.1, 0.2, 0.25, 0.9]))),
    ]
    return judge(attempt, half, mistakes, cases)


@check
def shift_log_snr(attempt: Callable) -> Verdict:
    """attempt(alpha_bar (T+1,), shift) → the ᾱ whose log-SNR is lower by shift at every t."""

    def shifted(a, shift):
        return (a.double().logit() - shift).sigmoid()

    def snr(a):
        return a.double() / (1 - a.double())

    def without_t_0(value):
        return lambda a, shift: torch.cat([torch.tensor([value]), shifted(a, shift)[1:]])

    itself = "you lowered ᾱ_t itself, which even gets negative; lower its log-SNR"
    log_bar = "you lowered log ᾱ_t: SNR is ᾱ/(1 − ᾱ), and the noise changes too"
    not_log = "you lowered the SNR itself, not its log: the log is missing"
    lost = "ᾱ_0 = 1 is lost: at t = 0 there is no noise, shifted or not"
    mistakes = [
        (
            lambda a, shift: (a.logit() + shift).sigmoid(),
            "the log-SNR is raised: a shift of 1.5 must mean more noise",
        ),
        (lambda a, shift: a.logit() - shift, "that is the shifted log-SNR itself: the way back to ᾱ is missing"),
        (lambda a, shift: (a.logit() - shift).exp(), "that is the shifted SNR: solve SNR = ᾱ/(1 − ᾱ) for ᾱ"),
        (lambda a, shift: a.log().sub(shift).exp(), log_bar),
        (lambda a, shift: a.log().sub(shift).sigmoid(), log_bar),
        (lambda a, shift: a - shift, itself),
        (lambda a, shift: (a - shift).clamp(0, 1), itself),
        (lambda a, shift: (a - shift).clamp(min=0), itself),
        (lambda a, shift: (snr(a) - shift).sigmoid(), "the log is missing: sigmoid wants the log-SNR, not the SNR"),
        (lambda a, shift: (snr(a) - shift) / (1 + snr(a) - shift), not_log),
        (lambda a, shift: 1 - 1 / (1 + snr(a) - shift), not_log),
        (lambda a, shift: (snr(a).log10() - shift).sigmoid(), "you took log10; log is the natural logarithm"),
        (lambda a, shift: (snr(a).log2() - shift).sigmoid(), "you took log2; log is the natural logarithm"),
        (
            lambda a, shift: (-a.logit() - shift).sigmoid(),
            "your SNR is upside down: it is signal over noise, ᾱ/(1 − ᾱ)",
        ),
        (
            lambda a, shift: 1 - shifted(a, shift),
            "that is 1 − ᾱ, the share of the noise: a sign is flipped on the way back",
        ),
        (lambda a, shift: (a.logit() * shift).sigmoid(), "you multiply the log-SNR by shift: subtract it"),
        (
            lambda a, shift: (a.logit() - 2 * shift).sigmoid(),
            "you shifted by twice as much: log-SNR is log(ᾱ/(1 − ᾱ)), without a square or a root",
        ),
        (
            lambda a, shift: (a.logit() - shift / 2).sigmoid(),
            "you shifted by half of it: log-SNR is log(ᾱ/(1 − ᾱ)), without a square or a root",
        ),
        (
            lambda a, shift: (a.logit() / 2 - shift).sigmoid(),
            "your log-SNR is that of the levels: ᾱ/(1 − ᾱ) has no root",
        ),
        (lambda a, shift: (a.sqrt().logit() - shift).sigmoid(), "you took √ᾱ for ᾱ: the SNR has no root"),
        (lambda a, shift: (a.logit() - 1.5).sigmoid(), "you always shift by 1.5, whatever shift is"),
        (lambda a, shift: a, "that is ᾱ unchanged"),
        (lambda a, shift: 0 * a, "all of it is 0: a/1 − a is not a/(1 − a), mind the brackets"),
        (
            lambda a, shift: (a.log() / (1 - a).log() - shift).sigmoid(),
            "the log of a quotient is no quotient of logs: it is log ᾱ − log(1 − ᾱ)",
        ),
        (
            lambda a, shift: (a.logit() - shift).tanh(),
            "tanh leads to [−1, 1]; the way back from log-SNR is the sigmoid",
        ),
        (lambda a, shift: shifted(a, shift)[1:], "entry 0 is missing: the table has T + 1 entries"),
        (without_t_0(0.0), lost),
        (without_t_0(torch.nan), lost),
    ]

    def table(T: int) -> torch.Tensor:
        """ᾱ_0 = 1, and T random numbers that fall."""
        return torch.cat([torch.ones(1), (torch.rand(T) * 0.96 + 0.02).sort(descending=True).values])

    shift = float(torch.rand(()) + 0.7)
    cases = [
        ("on random inputs", table(50), shift),
        ("for the notebook's cosine", NoiseSchedule.cosine(T=500).alpha_bar, 1.5),
        ("for a linear schedule", NoiseSchedule.linear(T=int(torch.randint(300, 600, ()))).alpha_bar, 1),
        ("at shift = 0", table(20), 0.0),
        ("at a negative shift", table(20), -2 * shift),
    ]
    return judge(attempt, shifted, mistakes, cases)


@check
def straight_log_snr(attempt: Callable) -> Verdict:
    """attempt(T, first, last) → β_1 … β_T, (T,), whose log-SNR falls in a straight line from first to last."""

    def line(T, first, last):
        return torch.linspace(first, last, T, dtype=torch.float64)

    def of(log_bar):
        """β from log ᾱ_1 … log ᾱ_T."""
        return -torch.expm1(log_bar.diff(prepend=torch.zeros(1)))

    def beta(T, first, last):
        return of(F.logsigmoid(line(T, first, last)))

    def bar(*inputs):
        return line(*inputs).sigmoid()

    missing = "β_1 is missing: the first step comes from ᾱ_0 = 1"
    mistakes = [
        (lambda *i: 1 - beta(*i), "that is α_t, the share that a step keeps; β_t is the rest"),
        (bar, "that is ᾱ_t: the product of all α up to t. Which factor comes with step t?"),
        (lambda *i: 1 - bar(*i), "that is 1 − ᾱ_t, the noise of all steps up to t; β_t is that of one step"),
        (line, "that is the log-SNR itself: the way to ᾱ_t, and from there to β_t, is missing"),
        (
            lambda *i: -F.pad(bar(*i), (1, 0), value=1.0).diff(),
            "that is the difference of two neighbours ᾱ; ᾱ_t is a product, so take a quotient",
        ),
        (lambda *i: 1 - 1 / (1 - beta(*i)), "your quotient is upside down: α_t is ᾱ_t/ᾱ_{t−1}"),
        (lambda *i: beta(*i)[1:], missing),
        (lambda *i: F.pad(beta(*i)[1:], (1, 0)), "your β_1 is 0, but the first step adds noise too: ᾱ_0 is 1"),
        (lambda *i: F.pad(beta(*i), (1, 0)), "there is an entry for t = 0: asked for are β_1 … β_T, T numbers"),
        (lambda T, a, b: beta(T, b, a), "first and last are swapped: the log-SNR should fall"),
        (lambda *i: beta(*i).flip(0), "back to front: β_1 comes first"),
        (
            lambda *i: -torch.log1p(-beta(*i)),
            "that is −log α_t: close to β_t where β_t is small, but β_t is 1 − α_t",
        ),
        (lambda *i: beta(*i).sqrt(), "that is √β_t: no root here"),
        (
            lambda *i: 1 - (1 - beta(*i)).sqrt(),
            "that is 1 − √α_t: no root here, ᾱ_t is the product of the α themselves",
        ),
        (lambda *i: of(-F.softplus(line(*i))), "your SNR is upside down: it is signal over noise, ᾱ/(1 − ᾱ)"),
        (lambda *i: of(line(*i)), "you took the SNR for ᾱ_t: solve SNR = ᾱ/(1 − ᾱ) for ᾱ"),
        (
            lambda *i: of(F.logsigmoid(line(*i) * math.log(10))),
            "you took powers of 10; log is the natural logarithm",
        ),
        (
            lambda *i: of(F.logsigmoid(2 * line(*i))),
            "you took the log-SNR for that of the levels: ᾱ/(1 − ᾱ) has no root",
        ),
        (
            lambda T, a, b: of(F.logsigmoid(line(T + 1, a, b)[1:])),
            "your line begins one step before t = 1: asked for is first at t = 1",
        ),
        (
            lambda T, a, b: of(F.logsigmoid(line(T + 1, a, b)[:-1])),
            "your line doesn't reach last: asked for is last at t = T",
        ),
        (
            lambda T, a, b: of(torch.linspace(*torch.tensor([a, b]).double().sigmoid(), T, dtype=torch.float64).log()),
            "your ᾱ falls in a straight line; the log-SNR should",
        ),
        (
            lambda T, a, b: torch.linspace(1e-4, 0.02, T),
            "that is the linear schedule: its β is a straight line, here the log-SNR should be one",
        ),
    ]
    some = int(torch.randint(20, 300, ()))
    cases = [
        ("for random ends", some, float(torch.rand(()) * 4 + 4), float(-torch.rand(()) * 6 - 3)),
        ("for T = 500, from 9 to −9", 500, 9.0, -9.0),
        ("for T = 2", 2, 3.0, -2.0),
        ("for ends as whole numbers", 30, 5, -6),
    ]
    return judge(attempt, beta, mistakes, cases, rtol=1e-3, atol=1e-5)
