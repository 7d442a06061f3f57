"""Answers to the exercises of notebook 11, written from their text; see n04.py."""

import numpy as np
import torch


def no_return(*inputs):
    print(type(inputs[0]))


# ----------------------------------------------------------------------------------------------- two_step_target


def ddim(schedule, x, x_0_hat, t, s):
    (signal_t, sigma_t), (signal_s, sigma_s) = schedule.levels(t), schedule.levels(s)
    return signal_s * x_0_hat + sigma_s * (x - signal_t * x_0_hat) / sigma_t


def two(ask, schedule, x_t, t, m, s):
    x_m = ddim(schedule, x_t, ask(x_t, t), t, m)
    return ddim(schedule, x_m, ask(x_m, m), m, s)


def solve(schedule, x_t, x_s, t, s):
    (signal_t, sigma_t), (signal_s, sigma_s) = schedule.levels(t), schedule.levels(s)
    return (x_s - sigma_s / sigma_t * x_t) / (signal_s - sigma_s / sigma_t * signal_t)


def by_the_equation(ask, schedule, x_t, t, m, s):
    return solve(schedule, x_t, two(ask, schedule, x_t, t, m, s), t, s)


def over_sigma_t(ask, schedule, x_t, t, m, s):
    """Numerator and denominator times σ_t."""
    x_s = two(ask, schedule, x_t, t, m, s)
    (signal_t, sigma_t), (signal_s, sigma_s) = schedule.levels(t), schedule.levels(s)
    return (sigma_t * x_s - sigma_s * x_t) / (sigma_t * signal_s - sigma_s * signal_t)


def in_float64(ask, schedule, x_t, t, m, s):
    a, b, c = ([level.double() for level in schedule.levels(i)] for i in (t, m, s))
    first = ask(x_t, t).double()
    x_m = b[0] * first + b[1] * (x_t.double() - a[0] * first) / a[1]
    second = ask(x_m.float(), m).double()
    x_s = c[0] * second + c[1] * (x_m - b[0] * second) / b[1]
    ratio = c[1] / a[1]
    return (x_s - ratio * x_t.double()) / (c[0] - ratio * a[0])


def as_a_mean_of_both(ask, schedule, x_t, t, m, s):
    """In units of σ each step adds a guess times the growth of r = √SNR; where s = 0 only the second guess is left."""
    first = ask(x_t, t)
    second = ask(ddim(schedule, x_t, first, t, m), m)
    r_t, r_m, r_s = (torch.exp(schedule.log_snr[i].double() / 2).view(-1, 1, 1, 1) for i in (t, m, s))
    share = (r_m - r_t) / (r_s - r_t)
    return share.float() * first + (1 - share.float()) * second


def in_numpy(ask, schedule, x_t, t, m, s):
    bar = schedule.alpha_bar.double().numpy()
    signal, sigma = (
        {name: level[np.asarray(i)].reshape(-1, 1, 1, 1) for name, i in zip("tms", (t, m, s), strict=True)}
        for level in (np.sqrt(bar), np.sqrt(1 - bar))
    )
    x = np.asarray(x_t, dtype=float)
    for here, there, time in (("t", "m", t), ("m", "s", m)):
        x_0 = np.asarray(ask(torch.tensor(x).float(), time), dtype=float)
        x = signal[there] * x_0 + sigma[there] * (x - signal[here] * x_0) / sigma[here]
    ratio = sigma["s"] / sigma["t"]
    return (x - ratio * np.asarray(x_t)) / (signal["s"] - ratio * signal["t"])


def picture_by_picture(ask, schedule, x_t, t, m, s):
    return torch.cat([by_the_equation(ask, schedule, *(z[i : i + 1] for z in (x_t, t, m, s))) for i in range(len(x_t))])


def first_guess(ask, schedule, x_t, t, m, s):
    return ask(x_t, t)


def second_guess(ask, schedule, x_t, t, m, s):
    return ask(ddim(schedule, x_t, ask(x_t, t), t, m), m)


def where_they_end(ask, schedule, x_t, t, m, s):
    return two(ask, schedule, x_t, t, m, s)


def mean_of_the_guesses(*inputs):
    return (first_guess(*inputs) + second_guess(*inputs)) / 2


def one_step_only(ask, schedule, x_t, t, m, s):
    return solve(schedule, x_t, ddim(schedule, x_t, ask(x_t, t), t, s), t, s)


def stops_in_the_middle(ask, schedule, x_t, t, m, s):
    return solve(schedule, x_t, ddim(schedule, x_t, ask(x_t, t), t, m), t, s)


def solved_from_m(ask, schedule, x_t, t, m, s):
    x_m = ddim(schedule, x_t, ask(x_t, t), t, m)
    return solve(schedule, x_m, ddim(schedule, x_m, ask(x_m, m), m, s), m, s)


def with_the_wrong_start(ask, schedule, x_t, t, m, s):
    x_m = ddim(schedule, x_t, ask(x_t, t), t, m)
    return solve(schedule, x_m, ddim(schedule, x_m, ask(x_m, m), m, s), t, s)


def the_old_guess_again(ask, schedule, x_t, t, m, s):
    first = ask(x_t, t)
    x_m = ddim(schedule, x_t, first, t, m)
    return solve(schedule, x_t, ddim(schedule, x_m, first, m, s), t, s)


def asked_at_t_twice(ask, schedule, x_t, t, m, s):
    x_m = ddim(schedule, x_t, ask(x_t, t), t, m)
    return solve(schedule, x_t, ddim(schedule, x_m, ask(x_m, t), m, s), t, s)


def the_old_picture(ask, schedule, x_t, t, m, s):
    x_m = ddim(schedule, x_t, ask(x_t, t), t, m)
    return solve(schedule, x_t, ddim(schedule, x_m, ask(x_t, m), m, s), t, s)


def noise_forgotten(ask, schedule, x_t, t, m, s):
    x_s = two(ask, schedule, x_t, t, m, s)
    return x_s / schedule.levels(s)[0]


def no_denominator(ask, schedule, x_t, t, m, s):
    x_s, ratio = two(ask, schedule, x_t, t, m, s), schedule.levels(s)[1] / schedule.levels(t)[1]
    return x_s - ratio * x_t


def sum_below(ask, schedule, x_t, t, m, s):
    x_s = two(ask, schedule, x_t, t, m, s)
    (signal_t, sigma_t), (signal_s, sigma_s) = schedule.levels(t), schedule.levels(s)
    return (x_s - sigma_s / sigma_t * x_t) / (signal_s + sigma_s / sigma_t * signal_t)


def ratio_turned(ask, schedule, x_t, t, m, s):
    x_s = two(ask, schedule, x_t, t, m, s)
    (signal_t, sigma_t), (signal_s, sigma_s) = schedule.levels(t), schedule.levels(s)
    ratio = sigma_t / sigma_s.clamp(min=1e-4)
    return (x_s - ratio * x_t) / (signal_s - ratio * signal_t)


def the_end_of_the_path(ask, schedule, x_t, t, m, s):
    """As if the second step went on to 0."""
    x_s = two(ask, schedule, x_t, t, m, s)
    return ask(x_s, s.clamp(min=1))


def clipped(*inputs):
    return by_the_equation(*inputs).clamp(-0.5, 0.5)


def in_place(ask, schedule, x_t, t, m, s):
    x_s, ratio = two(ask, schedule, x_t, t, m, s), schedule.levels(s)[1] / schedule.levels(t)[1]
    x_t *= ratio
    return (x_s - x_t) / (schedule.levels(s)[0] - ratio * schedule.levels(t)[0])


# ---------------------------------------------------------------------------------------------------- loss_weight


def by_the_snr(alpha_bar):
    return 1 + alpha_bar / (1 - alpha_bar)


def root_then_square(alpha_bar):
    sigma = (1 - alpha_bar).sqrt()
    return (1 / sigma) ** 2


def through_both_shares(alpha_bar):
    """v = √ᾱ·ε − σ·x_0 with ε = (x_t − √ᾱ·x_0)/σ: the factor of x_0 is −(ᾱ/σ + σ)."""
    sigma = torch.sqrt(1 - alpha_bar.double())
    return (alpha_bar / sigma + sigma) ** 2


def weight_in_numpy(alpha_bar):
    return 1 / (1 - np.asarray(alpha_bar, dtype=float))


def weight_of_each(alpha_bar):
    return [1 / (1 - bar) for bar in alpha_bar.tolist()]


# --------------------------------------------------------------------------------------------------- renoise_step


def by_add_noise(schedule, x_t, x_0_hat, t, s, z):
    return schedule.add_noise(x_0_hat, s, z)


def by_levels(schedule, x_t, x_0_hat, t, s, z):
    signal, sigma = schedule.levels(s)
    return signal * x_0_hat + z * sigma


def by_alpha_bar(schedule, x_t, x_0_hat, t, s, z):
    bar = schedule.alpha_bar[s].view(-1, 1, 1, 1)
    return torch.sqrt(bar) * x_0_hat + torch.sqrt(1 - bar) * z


def renoise_in_numpy(schedule, x_t, x_0_hat, t, s, z):
    bar = schedule.alpha_bar.numpy().astype(float)[s.numpy()].reshape(-1, 1, 1, 1)
    return bar**0.5 * x_0_hat.numpy() + (1 - bar) ** 0.5 * z.numpy()


def renoise_one_by_one(schedule, x_t, x_0_hat, t, s, z):
    out = [schedule.alpha_bar[i] ** 0.5 * x + (1 - schedule.alpha_bar[i]) ** 0.5 * e
           for x, i, e in zip(x_0_hat, s, z, strict=True)]  # fmt: skip
    return torch.stack(out)


def by_the_roots(schedule, x_t, x_0_hat, t, s, z):
    bars = schedule.alpha_bar.index_select(0, s)
    return torch.einsum("b,bchw->bchw", bars.sqrt(), x_0_hat) + torch.einsum("b,bchw->bchw", (1 - bars).sqrt(), z)


def from_levels(form):
    """An answer from a formula in x_t, x̂_0, z and the levels at t and s."""
    return lambda schedule, x_t, x_0_hat, t, s, z: form(x_t, x_0_hat, z, *schedule.levels(t), *schedule.levels(s))


def renoise_in_place(schedule, x_t, x_0_hat, t, s, z):
    signal, sigma = schedule.levels(s)
    z *= sigma
    return signal * x_0_hat + z


RIGHT = {
    "two_step_target": [by_the_equation, over_sigma_t, in_float64, as_a_mean_of_both, in_numpy, picture_by_picture],
    "loss_weight": [by_the_snr, root_then_square, through_both_shares, weight_in_numpy, weight_of_each],
    "renoise_step": [by_levels, by_alpha_bar, renoise_in_numpy, renoise_one_by_one, by_the_roots],
}
WRONG = {
    "two_step_target": [
        (first_guess, "first guess"),
        (one_step_only, "first guess"),
        (the_old_guess_again, "first guess"),
        (second_guess, "second guess"),
        (solved_from_m, "second guess"),
        (where_they_end, "x_s"),
        (mean_of_the_guesses, "middle of the two guesses"),
        (stops_in_the_middle, "middle time"),
        (with_the_wrong_start, "x_m"),
        (asked_at_t_twice, "time m"),
        (the_old_picture, "x_m"),
        (noise_forgotten, "noise"),
        (no_denominator, "division"),
        (sum_below, "sign"),
        (ratio_turned, "turned over"),
        (the_end_of_the_path, None),
        (clipped, None),
        (in_place, "in place"),
        (no_return, "`return`"),
    ],
    "loss_weight": [
        (lambda bar: bar / (1 - bar), "weight of ε"),
        (lambda bar: (1 - bar) / bar, "turned over"),
        (lambda bar: 1 - bar, "turned over"),
        (lambda bar: 1 / (1 - bar).sqrt(), "squared"),
        (lambda bar: 1 / bar, "noise"),
        (lambda bar: torch.ones_like(bar), "x̂_0"),
        (lambda bar: 1 / (1 - bar) ** 2, "twice"),
        (lambda bar: 1 / (1 - bar.sqrt()), "root"),
        (lambda bar: -1 / (1 - bar), "negative"),
        (lambda bar: (bar / (1 - bar)).sqrt(), None),
        (lambda bar: bar / (1 - bar) - (1 - bar), None),
        (lambda bar: (bar / (1 - bar)).clamp(min=1), "SNR"),
        (no_return, "`return`"),
    ],
    "renoise_step": [
        (by_add_noise, "t must lie in 1…500, got 0"),  # it can't make the last step
        (from_levels(lambda x, x_0, z, a, b, c, d: a * x_0 + b * z), "time t"),
        (from_levels(lambda x, x_0, z, a, b, c, d: c * x_0 + d * (x - a * x_0) / b), "DDIM"),
        (from_levels(lambda x, x_0, z, a, b, c, d: c * x + d * z), "x_t"),
        (from_levels(lambda x, x_0, z, a, b, c, d: d * x_0 + c * z), "swapped"),
        (from_levels(lambda x, x_0, z, a, b, c, d: c * x_0), "noise"),
        (from_levels(lambda x, x_0, z, a, b, c, d: x_0), "guess itself"),
        (from_levels(lambda x, x_0, z, a, b, c, d: x_0 + d * z), "signal"),
        (from_levels(lambda x, x_0, z, a, b, c, d: c**2 * x_0 + d**2 * z), "roots"),
        (from_levels(lambda x, x_0, z, a, b, c, d: c * x_0 + z), "share of the noise"),
        (from_levels(lambda x, x_0, z, a, b, c, d: c * x_0 + d * x), "x_t"),
        (from_levels(lambda x, x_0, z, a, b, c, d: c * x_0 - d * z), "sign"),
        (from_levels(lambda x, x_0, z, a, b, c, d: (c * x_0 + d * z).clamp(-1, 1)), "clip"),
        (lambda schedule, x_t, x_0_hat, t, s, z: schedule.posterior(x_0_hat, x_t, t, s)[0], "ancestral"),
        (
            lambda schedule, x_t, x_0_hat, t, s, z: (
                schedule.posterior(x_0_hat, x_t, t, s)[0] + schedule.posterior(x_0_hat, x_t, t, s)[1] * z
            ),
            "ancestral",
        ),
        (lambda schedule, x_t, x_0_hat, t, s, z: schedule.add_noise(x_0_hat, s, torch.randn_like(z)), None),
        (renoise_in_place, "in place"),
        (no_return, "`return`"),
    ],
}
