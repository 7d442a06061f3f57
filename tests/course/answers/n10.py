"""Answers to the exercises of notebook 10, written from their text; see n04.py."""

import math

import numpy as np
import torch


def no_return(*inputs):
    print(type(inputs[0]))


# ----------------------------------------------------------------------------------------------------- noise_in


def levels(alpha_bar):
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def through_x_0(answer, p, q, x_t, alpha_bar):
    """First the digit, then its noise."""
    signal, sigma = levels(alpha_bar)
    x_0 = (q * x_t - sigma * answer) / (q * signal - sigma * p)
    return (x_t - signal * x_0) / sigma


def by_determinants(answer, p, q, x_t, alpha_bar):
    signal, sigma = levels(alpha_bar.double())
    return (signal * answer.double() - x_t.double() * p) / (signal * q - sigma * p)


def by_a_linear_system(answer, p, q, x_t, alpha_bar):
    out = []
    rows = [torch.as_tensor(share).double().broadcast_to(alpha_bar.shape).flatten() for share in (p, q)]
    for one, other, bar, p_i, q_i in zip(answer, x_t, alpha_bar.flatten().double(), *rows, strict=True):
        matrix = torch.stack([torch.stack(levels(bar)), torch.stack([p_i, q_i])])
        known = torch.stack([other.flatten(), one.flatten()]).double()
        out.append(torch.linalg.solve(matrix, known)[1].view(1, 28, 28))
    return torch.stack(out)


def in_numpy(answer, p, q, x_t, alpha_bar):
    answer, p, q, x_t, bar = (np.asarray(value, dtype=float) for value in (answer, p, q, x_t, alpha_bar))
    return (x_t * p - bar**0.5 * answer) / ((1 - bar) ** 0.5 * p - bar**0.5 * q)


def by_substitution(answer, p, q, x_t, alpha_bar):
    """x_0 = (x_t − σ·ε)/√ᾱ put into the second equation."""
    signal, sigma = levels(alpha_bar)
    return (answer - p * x_t / signal) / (q - p * sigma / signal)


def picture_by_picture(answer, p, q, x_t, alpha_bar):
    out = torch.zeros_like(x_t)
    for i, bar in enumerate(alpha_bar.flatten().tolist()):
        p_i, q_i = (float(share) if np.ndim(share) == 0 else float(share.flatten()[i]) for share in (p, q))
        out[i] = (bar**0.5 * answer[i] - p_i * x_t[i]) / (bar**0.5 * q_i - (1 - bar) ** 0.5 * p_i)
    return out.tolist()


def solved(form):
    """An answer from a formula in answer, p, q, x_t, signal and sigma."""
    return lambda answer, p, q, x_t, alpha_bar: form(answer, p, q, x_t, *levels(alpha_bar))


def divided_by_q(answer, p, q, x_t, alpha_bar):
    signal, sigma = levels(alpha_bar)
    x_0 = (q * x_t - sigma * answer) / (q * signal - sigma * p)
    return (answer - p * x_0) / q


def in_place(answer, p, q, x_t, alpha_bar):
    signal, sigma = levels(alpha_bar)
    answer *= signal
    answer -= p * x_t
    return answer / (signal * q - sigma * p)


# -------------------------------------------------------------------------------------------------------- score


def by_autograd(log_density, x, h):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(log_density(x).sum(), x)[0]


def number_by_number(log_density, x, h):
    return [float(log_density(at + h) - log_density(at - h)) / (2 * h) for at in x.tolist()]


def by_five_points(log_density, x, h):
    f = log_density
    return (f(x - 2 * h) - 8 * f(x - h) + 8 * f(x + h) - f(x + 2 * h)) / (12 * h)


def both_sides(log_density, x, h):
    here = log_density(x)
    right, left = (log_density(x + h) - here) / h, (here - log_density(x - h)) / h
    return (right + left) / 2


def by_numpy(log_density, x, h):
    high, low = (np.asarray(log_density(x.numpy() + step), dtype=float) for step in (h, -h))
    return (high - low) / (2 * h)


def moved_in_place(log_density, x, h):
    x += h
    high = log_density(x)
    x -= 2 * h
    return (high - log_density(x)) / (2 * h)


def variances_in_numpy(tau):
    tau = np.asarray(tau, dtype=float)
    signal, noise = (1 - tau) ** 2, tau**2
    return np.log(signal / noise)


def log_snr_of_each(tau):
    return [2 * math.log((1 - number) / number) for number in tau.tolist()]


def by_the_schedule(tau):
    """ᾱ of the rescaled picture first, then log(ᾱ/(1 − ᾱ))."""
    alpha_bar = (1 - tau).square() / ((1 - tau).square() + tau.square())
    return (alpha_bar / (1 - alpha_bar)).log()


def step_of(
    scale=lambda signal, sigma: signal + sigma,
    tau=lambda signal, sigma: sigma / (signal + sigma),
    u=lambda x_t, x_0, signal, sigma, z: (x_t - signal * x_0) / sigma - x_0,
    way=lambda tau_t, tau_s: tau_s - tau_t,
    back=lambda scale_t, scale_s: scale_s,
    enter=lambda x_t, scale: x_t / scale,
    clip=lambda x: x,
):
    """An Euler step of the flow with something in it replaced."""

    def attempt(schedule, x_t, x_0_hat, t, s, z):
        (signal_t, sigma_t), (signal_s, sigma_s) = schedule.levels(t), schedule.levels(s)
        x_tau = enter(x_t, scale(signal_t, sigma_t))
        length = way(tau(signal_t, sigma_t), tau(signal_s, sigma_s))
        x_tau = x_tau + length * u(x_t, x_0_hat, signal_t, sigma_t, z)
        return clip(x_tau * back(scale(signal_t, sigma_t), scale(signal_s, sigma_s)))

    return attempt


def by_alpha_bar(schedule, x_t, x_0_hat, t, s, z):
    """With the table of ᾱ, in float64, and û from x_τ and x̂_0 alone: û = (x_τ − x̂_0)/τ."""

    def levels(t):
        log_snr = schedule.log_snr.double()[t].view(-1, 1, 1, 1)
        return log_snr.sigmoid().sqrt(), (-log_snr).sigmoid().sqrt()

    (a, b), (c, d) = levels(t), levels(s)
    tau, next_tau = b / (a + b), d / (c + d)
    x = x_t.double() / (a + b)
    u = (x - x_0_hat) / tau
    return (c + d) * (x + u * (next_tau - tau))


def by_log_snr(schedule, x_t, x_0_hat, t, s, z):
    """τ = sigmoid(−log-SNR/2), and the scale √((1−τ)² + τ²) of section 3."""
    tau, tau_s = (torch.sigmoid(-schedule.log_snr[i] / 2).view(-1, 1, 1, 1) for i in (t, s))
    size, size_s = (((1 - number) ** 2 + number**2).sqrt() for number in (tau, tau_s))
    x_tau = size * x_t
    eps = (x_tau - (1 - tau) * x_0_hat) / tau
    return (x_tau + (tau_s - tau) * (eps - x_0_hat)) / size_s


def as_ddim(schedule, x_t, x_0_hat, t, s, z):
    signal, sigma = schedule.levels(s)
    return signal * x_0_hat + sigma * schedule.predict_eps(x_t, t, x_0_hat)


def step_picture_by_picture(schedule, x_t, x_0_hat, t, s, z):
    out = []
    for x, guess, i, j in zip(x_t, x_0_hat, t, s, strict=True):
        (a, b), (c, d) = (
            (schedule.alpha_bar[k].item() ** 0.5, (1 - schedule.alpha_bar[k].item()) ** 0.5) for k in (i, j)
        )
        eps = (x - a * guess) / b
        x_tau = x / (a + b) + (d / (c + d) - b / (a + b)) * (eps - guess)
        out.append(x_tau * (c + d))
    return torch.stack(out)


def step_in_numpy(schedule, x_t, x_0_hat, t, s, z):
    (a, b), (c, d) = ([level.numpy() for level in schedule.levels(i)] for i in (t, s))
    x, guess = x_t.numpy(), x_0_hat.numpy()
    u = (x - a * guess) / b - guess
    return ((x / (a + b)) - (b / (a + b) - d / (c + d)) * u) * (c + d)


def ends_weighted(schedule, x_t, x_0_hat, t, s, z):
    """x_τ moves the share 1 − τ_s/τ_t of its way to x̂_0."""
    (a, b), (c, d) = schedule.levels(t), schedule.levels(s)
    left = (d / (c + d)) / (b / (a + b))
    return (left * x_t / (a + b) + (1 - left) * x_0_hat) * (c + d)


def by_t_over_T(schedule, x_t, x_0_hat, t, s, z):
    (signal_t, sigma_t), (signal_s, sigma_s) = schedule.levels(t), schedule.levels(s)
    u = (x_t - signal_t * x_0_hat) / sigma_t - x_0_hat
    way = ((s - t) / schedule.T).view(-1, 1, 1, 1)
    return (x_t / (signal_t + sigma_t) + way * u) * (signal_s + sigma_s)


def changed_in_place(schedule, x_t, x_0_hat, t, s, z):
    right = step_of()(schedule, x_t.clone(), x_0_hat, t, s, z)
    x_t /= 2
    return right


def one_time_for_all(schedule, x_t, x_0_hat, t, s, z):
    return step_of()(schedule, x_t, x_0_hat, t[:1], s[:1], z)


def from_the_scale(i):
    """The scale √((1−τ)² + τ²), put on the wrong side in the way in (0), or in both (1)."""

    def attempt(schedule, x_t, x_0_hat, t, s, z):
        tau, tau_s = (torch.sigmoid(-schedule.log_snr[k] / 2).view(-1, 1, 1, 1) for k in (t, s))
        size, size_s = (((1 - number) ** 2 + number**2).sqrt() for number in (tau, tau_s))
        signal, sigma = schedule.levels(t)
        u = (x_t - signal * x_0_hat) / sigma - x_0_hat
        x = x_t / size + (tau_s - tau) * u
        return x * size_s if i else x / size_s

    return attempt


RIGHT = {
    "noise_in": [
        solved(lambda n, p, q, x, a, s: (a * n - p * x) / (a * q - s * p)),
        through_x_0,
        by_determinants,
        by_a_linear_system,
        in_numpy,
        by_substitution,
        picture_by_picture,
    ],
    "score": [
        lambda f, x, h: (f(x + h) - f(x - h)) / (2 * h),
        lambda f, x, h: (f(x + h / 2) - f(x - h / 2)) / h,
        lambda f, x, h: ((f(x + h) - f(x - h)) / h / 2).float(),
        by_autograd,
        number_by_number,
        by_five_points,
        both_sides,
        by_numpy,
    ],
    "log_snr": [
        lambda tau: 2 * torch.log((1 - tau) / tau),
        variances_in_numpy,
        log_snr_of_each,
        by_the_schedule,
        lambda tau: -2 * torch.logit(tau),
        lambda tau: 2 * (torch.log1p(-tau) - tau.log()),
        lambda tau: torch.log(((1 - tau) / tau) ** 2).double(),
        lambda tau: torch.log(1 / tau - 1) * 2.0,
    ],
    "euler_step": [
        step_of(),
        by_alpha_bar,
        by_log_snr,
        as_ddim,
        step_picture_by_picture,
        step_in_numpy,
        ends_weighted,
        lambda schedule, x_t, x_0_hat, t, s, z: step_of()(schedule, x_t.double(), x_0_hat.double(), t, s, z),
    ],
    "guided_u": [
        lambda u_y, u_null, s: u_null + s * (u_y - u_null),
        lambda u_y, u_null, s: s * u_y + (1 - s) * u_null,
        lambda u_y, u_null, s: u_y + (s - 1) * (u_y - u_null),
        lambda u_y, u_null, s: torch.lerp(u_null, u_y, float(s)),
        lambda u_y, u_null, s: u_null.numpy() * (1 - s) + u_y.numpy() * s,
        lambda u_y, u_null, s: ((1 + (s - 1)) * u_y - (s - 1) * u_null).double(),
        lambda u_y, u_null, s: (torch.stack([u_y, u_null]) * torch.tensor([s, 1 - s]).view(2, 1, 1, 1, 1)).sum(0),
    ],
}

WRONG = {
    "noise_in": [
        (solved(lambda n, p, q, x, a, s: (q * x - s * n) / (a * q - s * p)), "that is x_0"),
        (solved(lambda n, p, q, x, a, s: (p * x - a * n) / (a * q - s * p)), "−ε"),
        (solved(lambda n, p, q, x, a, s: (a * n + p * x) / (a * q - s * p)), "sign of p·x_t"),
        (solved(lambda n, p, q, x, a, s: (a * n + p * x) / (a * q + s * p)), "sign"),
        (solved(lambda n, p, q, x, a, s: (a * n - p * x) / (a * q + s * p)), "you divide by"),
        (solved(lambda n, p, q, x, a, s: (s * n - p * x) / (s * q - a * p)), "swapped"),
        (solved(lambda n, p, q, x, a, s: (a * n - q * x) / (a * p - s * q)), "swapped"),
        (solved(lambda n, p, q, x, a, s: (a**2 * n - p * x) / (a**2 * q - s**2 * p)), "roots"),
        (solved(lambda n, p, q, x, a, s: (a * n - p * x) / (a * q - (1 - a) * p)), "1 − √ᾱ"),
        (solved(lambda n, p, q, x, a, s: a * n - p * x), "division"),
        (solved(lambda n, p, q, x, a, s: s * x + a * n), "v"),
        (solved(lambda n, p, q, x, a, s: (x - a * n) / s), "x_0"),
        (solved(lambda n, p, q, x, a, s: (n - p * x) / q), "x_t where x_0"),
        (solved(lambda n, p, q, x, a, s: n), "as it is"),
        (solved(lambda n, p, q, x, a, s: x), "x_t itself"),
        (solved(lambda n, p, q, x, a, s: n / q), None),
        (solved(lambda n, p, q, x, a, s: ((a * n - p * x) / (a * q - s * p)).clamp(-1, 1)), "clip"),
        (solved(lambda n, p, q, x, a, s: (a[:1] * n - p * x) / (a[:1] * q - s[:1] * p)), None),
        (solved(lambda n, p, q, x, a, s: 1.01 * (a * n - p * x) / (a * q - s * p)), None),
        (divided_by_q, "divide by q"),
        (in_place, "in place"),
        (no_return, "`return`"),
    ],
    "score": [
        (lambda f, x, h: (f(x + h) - f(x - h)) / h, "twice"),
        (lambda f, x, h: (f(x + h) - f(x - h)) / (4 * h), "half"),
        (lambda f, x, h: (f(x + h) - f(x)) / h, "right only"),
        (lambda f, x, h: (f(x) - f(x - h)) / h, "left only"),
        (lambda f, x, h: (f(x - h) - f(x + h)) / (2 * h), "sign"),
        (lambda f, x, h: f(x + h) - f(x - h), "divide"),
        (lambda f, x, h: (f(x + h) - f(x - h)) / 2, "2h"),
        (lambda f, x, h: ((f(x + h)).exp() - f(x - h).exp()) / (2 * h), "density itself"),
        (lambda f, x, h: ((f(x + h)).log() - f(x - h).log()) / (2 * h), "logarithm"),
        (lambda f, x, h: (f(x + h) - 2 * f(x) + f(x - h)) / h**2, "second"),
        (lambda f, x, h: (f(x + h) + f(x - h)) / (2 * h), "sum"),
        (lambda f, x, h: f(x), "log-density itself"),
        (lambda f, x, h: (f(x + h) - f(x - h)).mean() / (2 * h), None),
        (lambda f, x, h: torch.ones_like(x) * (f(x + h) - f(x - h)).mean() / (2 * h), None),
        (lambda f, x, h: (f(x + h) - f(x - h)).abs() / (2 * h), "direction"),
        (lambda f, x, h: -x, None),
        (moved_in_place, "in place"),
        (no_return, "`return`"),
    ],
    "log_snr": [
        (lambda tau: torch.log((1 - tau) / tau), "variances"),
        (lambda tau: 2 * torch.log(tau / (1 - tau)), "noise over signal"),
        (lambda tau: -torch.log((1 - tau) / tau), "noise over signal"),
        (lambda tau: ((1 - tau) / tau) ** 2, "logarithm"),
        (lambda tau: (1 - tau) / tau, "logarithm"),
        (lambda tau: 2 * torch.log10((1 - tau) / tau), "natural"),
        (lambda tau: torch.log2((1 - tau) / tau) * 2, "natural"),
        (lambda tau: 2 * torch.log(1 - tau), "noise is missing"),
        (lambda tau: -2 * torch.log(tau), "signal is missing"),
        (lambda tau: torch.log((1 - tau) ** 2 / ((1 - tau) ** 2 + tau**2)), "sum of both"),
        (lambda tau: torch.logit(1 - tau) / 2, "roots"),
        (lambda tau: torch.log((1 - tau).sqrt() / tau.sqrt()), "roots"),
        (lambda tau: 4 * torch.log((1 - tau) / tau), "twice"),
        (lambda tau: 2 * (torch.log(1 - tau) - torch.log(tau)).mean(), None),
        (lambda tau: torch.log((1 - tau**2) / tau**2), "1 − τ²"),
        (lambda tau: 2 * torch.log((1 - tau) / tau).flip(0), None),
        (no_return, "`return`"),
    ],
    "euler_step": [
        (step_of(way=lambda tau_t, tau_s: tau_t - tau_s), "away from"),
        (step_of(u=lambda x_t, x_0, a, b, z: x_0 - (x_t - a * x_0) / b), "away from"),
        (
            step_of(u=lambda x_t, x_0, a, b, z: x_0 - (x_t - a * x_0) / b, way=lambda tau_t, tau_s: tau_s + tau_t),
            None,
        ),
        (step_of(enter=lambda x_t, scale: x_t), "x_t itself"),
        (step_of(back=lambda scale_t, scale_s: 1), "scale of x_s"),
        (step_of(back=lambda scale_t, scale_s: scale_t), "scale of time t"),
        (step_of(enter=lambda x_t, scale: x_t, back=lambda scale_t, scale_s: 1), "never"),
        (step_of(enter=lambda x_t, scale: x_t * scale, back=lambda scale_t, scale_s: 1 / scale_s), "turned over"),
        (step_of(tau=lambda signal, sigma: sigma), "τ isn't σ"),
        (step_of(tau=lambda signal, sigma: 1 - signal), "τ isn't σ"),
        (step_of(tau=lambda signal, sigma: sigma**2), "τ isn't σ"),
        (step_of(u=lambda x_t, x_0, a, b, z: z - x_0), "fresh noise"),
        (step_of(u=lambda x_t, x_0, a, b, z: x_t - x_0), "û = x_t − x̂_0"),
        (step_of(u=lambda x_t, x_0, a, b, z: (x_t - a * x_0) / b), "that is ε̂"),
        (step_of(u=lambda x_t, x_0, a, b, z: a * (x_t - a * x_0) / b - b * x_0), "that is v"),
        (step_of(u=lambda x_t, x_0, a, b, z: x_t / (a + b) - x_0), "x_τ isn't ε̂"),
        (step_of(clip=lambda x: x.clamp(-1, 1)), "clip"),
        (step_of(way=lambda tau_t, tau_s: -tau_t), "whole way"),
        (lambda schedule, x_t, x_0_hat, t, s, z: x_0_hat, "whole way"),
        (lambda schedule, x_t, x_0_hat, t, s, z: x_t, "no step"),
        (lambda schedule, x_t, x_0_hat, t, s, z: step_of()(schedule, x_t, x_0_hat, t, s, z) + 0.1 * z, None),
        (from_the_scale(0), "turned over on the way in"),
        (from_the_scale(1), "turned over: divide"),
        (by_t_over_T, "t/T"),
        (one_time_for_all, "first picture"),
        (changed_in_place, None),
        (no_return, "`return`"),
    ],
    "guided_u": [
        (lambda u_y, u_null, s: (1 + s) * u_y - s * u_null, "for w"),
        (lambda u_y, u_null, s: u_y + s * (u_y - u_null), "for w"),
        (lambda u_y, u_null, s: u_y + s * (u_null - u_y), "swapped"),
        (lambda u_y, u_null, s: u_y - s * (u_y - u_null), "swapped"),
        (lambda u_y, u_null, s: u_null - s * (u_y - u_null), "away from"),
        (lambda u_y, u_null, s: s * u_null + (1 - s) * u_y, "swapped"),
        (lambda u_y, u_null, s: s * (u_y - u_null), "û(∅)"),
        (lambda u_y, u_null, s: s * u_y, "û(∅)"),
        (lambda u_y, u_null, s: s * u_y + u_null, "add up to 1"),
        (lambda u_y, u_null, s: s * u_y - (1 - s) * u_null, "second share"),
        (lambda u_y, u_null, s: u_null + (s - 1) * (u_y - u_null), "s − 1"),
        (lambda u_y, u_null, s: u_y, "s = 1"),
        (lambda u_y, u_null, s: (u_null + s * (u_y - u_null)).clamp(-1, 1), "clip"),
        (lambda u_y, u_null, s: (u_y + u_null) / 2, "mean of the two"),
        (no_return, "`return`"),
    ],
}
