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


def opinions(x_0, x_t, bar_t, bar_s):
    """What x_0 says of x_s, and what x_t says: two means, two variances."""
    alpha = bar_t / bar_s
    return bar_s.sqrt() * x_0, 1 - bar_s, x_t / alpha.sqrt(), (1 - alpha) / alpha


def two_opinions(x_0, x_t, bar_t, bar_s):
    m_1, v_1, m_2, v_2 = opinions(x_0, x_t, bar_t, bar_s)
    return (v_2 * m_1 + v_1 * m_2) / (v_1 + v_2), (v_1 * v_2 / (v_1 + v_2)).sqrt()


def closed_form(x_0, x_t, bar_t, bar_s):
    alpha = bar_t / bar_s
    beta = 1 - alpha
    mean = (bar_s**0.5 * beta * x_0 + alpha**0.5 * (1 - bar_s) * x_t) / (1 - bar_t)
    return mean, torch.sqrt(beta * (1 - bar_s) / (1 - bar_t))


def posterior_in_numpy(x_0, x_t, bar_t, bar_s):
    x_0, x_t, bar_t, bar_s = (np.asarray(value, dtype=np.float64) for value in (x_0, x_t, bar_t, bar_s))
    alpha = bar_t / bar_s
    share = (1 - alpha) / (1 - bar_t)
    return [np.sqrt(bar_s) * share * x_0 + (1 - share) / np.sqrt(alpha) * x_t, np.sqrt(share * (1 - bar_s))]


def posterior_by_noise(x_0, x_t, bar_t, bar_s):
    """DDIM's family at η = 1."""
    eps = (x_t - bar_t.sqrt() * x_0) / (1 - bar_t).sqrt()
    variance = (1 - bar_s) / (1 - bar_t) * (1 - bar_t / bar_s)
    return bar_s.sqrt() * x_0 + (1 - bar_s - variance).clamp(min=0).sqrt() * eps, variance.sqrt()


def posterior_of_full_shape(*inputs):
    mean, std = two_opinions(*inputs)
    return mean.double(), std.expand_as(mean)


def posterior_with(change, std=lambda std, *inputs: std):
    """The posterior of changed opinions (m_1, v_1, m_2, v_2)."""

    def attempt(x_0, x_t, bar_t, bar_s):
        m_1, v_1, m_2, v_2 = change(*opinions(x_0, x_t, bar_t, bar_s), x_0, x_t, bar_t, bar_s)
        mean, deviation = (v_2 * m_1 + v_1 * m_2) / (v_1 + v_2), (v_1 * v_2 / (v_1 + v_2)).sqrt()
        return mean, std(deviation, v_1, v_2, bar_t, bar_s)

    return attempt


def as_it_is(m_1, v_1, m_2, v_2, *inputs):
    return m_1, v_1, m_2, v_2


def own_weights(x_0, x_t, bar_t, bar_s):
    m_1, v_1, m_2, v_2 = opinions(x_0, x_t, bar_t, bar_s)
    return (v_1 * m_1 + v_2 * m_2) / (v_1 + v_2), (v_1 * v_2 / (v_1 + v_2)).sqrt()


def swapped_pair(*inputs):
    mean, std = two_opinions(*inputs)
    return std, mean


def loop(first=None, last=1, noise=lambda std, beta, t: std, w=lambda w: w, mean=None, end=lambda x: x, **more):
    """The whole reverse loop with one thing changed."""

    def attempt(ddpm, labels, w_asked, generator):
        schedule, shape = ddpm.schedule, (len(labels), 1, 28, 28)
        start, draw = more.get("start", torch.randn), more.get("draw", torch.randn)
        x_t = start(shape, generator=generator)
        for t in range(schedule.T if first is None else schedule.T + first, last - 1, -1):
            now = torch.full((len(labels),), t)
            eps_hat = ddpm.predict_noise(x_t, now, more.get("y", lambda y: y)(labels), w=w(w_asked))
            x_0_hat = schedule.predict_x_0(x_t, now, eps_hat)
            middle, std = schedule.posterior(x_0_hat, x_t, now)
            if mean is not None:
                middle = mean(middle, x_0_hat, x_t, schedule, now)
            x_t = middle + noise(std, schedule.beta[t].item(), t) * draw(shape, generator=generator)
        return end(x_t)

    return attempt


def loop_with_textbook_mean(ddpm, labels, w, generator):
    """Algorithm 2 as printed, with guidance in two calls and no noise at the end."""
    s = ddpm.schedule
    x = torch.randn(len(labels), 1, 28, 28, generator=generator)
    for t in reversed(range(1, s.T + 1)):
        times = torch.tensor([t] * len(labels))
        eps_y = ddpm.predict_noise(x, times, labels, w=0.0)
        eps_null = ddpm.predict_noise(x, times, labels, w=-1.0)
        eps_hat = eps_y + w * (eps_y - eps_null)
        bar, before = s.alpha_bar[t], s.alpha_bar[t - 1]
        x = (x - s.beta[t] / (1 - bar).sqrt() * eps_hat) / s.alpha[t].sqrt()
        if t > 1:
            x = x + ((1 - before) / (1 - bar) * s.beta[t]).sqrt() * torch.randn(x.shape, generator=generator)
    return x


def loop_in_double(ddpm, labels, w, generator):
    x = torch.empty(len(labels), 1, 28, 28, dtype=torch.float64).normal_(generator=generator)
    t = ddpm.schedule.T
    while t > 0:
        times = torch.full([len(labels)], t)
        x_0 = ddpm.schedule.predict_x_0(x, times, ddpm.predict_noise(x, times, labels, w)).clip(-1, 1)
        mean, std = ddpm.schedule.posterior(x_0, x, times)
        x = mean + std * torch.empty_like(x).normal_(generator=generator)
        t -= 1
    return x.numpy()


def loop_by_respaced_alphas(ddpm, labels, w, generator):
    bar = ddpm.schedule.alpha_bar
    x = torch.randn((len(labels), 1, 28, 28), generator=generator)
    for t, s in zip(range(ddpm.schedule.T, 0, -1), range(ddpm.schedule.T - 1, -1, -1), strict=True):
        now = torch.full((len(labels),), t)
        eps = ddpm.predict_noise(x, now, labels, w=w)
        x_0 = (x - (1 - bar[t]).sqrt() * eps) / bar[t].sqrt()
        mean, std = closed_form(x_0, x, bar[t], bar[s])
        x = mean + std * torch.randn(x.shape, generator=generator)
    return x


def loop_with_ones_z(ddpm, labels, w, generator):
    z = torch.randn(len(labels), 1, 28, 28, generator=generator)
    return loop(draw=lambda shape, generator: z)(ddpm, labels, w, generator)


def loop_up(ddpm, labels, w, generator):
    x_t = torch.randn(len(labels), 1, 28, 28, generator=generator)
    for t in range(1, ddpm.schedule.T + 1):
        now = torch.full((len(labels),), t)
        x_0_hat = ddpm.schedule.predict_x_0(x_t, now, ddpm.predict_noise(x_t, now, labels, w=w))
        mean, std = ddpm.schedule.posterior(x_0_hat, x_t, now)
        x_t = mean + std * torch.randn(x_t.shape, generator=generator)
    return x_t


def anew(middle, x_0_hat, x_t, schedule, now):
    return schedule.levels(now - 1)[0] * x_0_hat


def loop_anew(ddpm, labels, w, generator):
    """All noise is drawn anew in each step."""
    s, shape = ddpm.schedule, (len(labels), 1, 28, 28)
    x_t = torch.randn(shape, generator=generator)
    for t in range(s.T, 0, -1):
        now = torch.full((len(labels),), t)
        x_0_hat = s.predict_x_0(x_t, now, ddpm.predict_noise(x_t, now, labels, w=w))
        signal, sigma = s.levels(now - 1)
        x_t = signal * x_0_hat + sigma * torch.randn(shape, generator=generator)
    return x_t


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
    "posterior": [
        two_opinions,
        closed_form,
        posterior_in_numpy,
        posterior_by_noise,
        posterior_of_full_shape,
        lambda *inputs: torch.stack(torch.broadcast_tensors(*two_opinions(*inputs))),
        lambda x_0, x_t, a, b: closed_form(x_0.double(), x_t.double(), a.double(), b.double()),
    ],
    "reverse_loop": [
        loop(),
        loop_with_textbook_mean,
        loop_in_double,
        loop_by_respaced_alphas,
        loop(mean=lambda middle, x_0, x_t, schedule, now: schedule.posterior(x_0.clamp(-1, 1), x_t, now)[0]),
        loop(y=lambda y: torch.nn.functional.one_hot(y, 10).float()),
        loop(end=lambda x: x.clamp(-1, 1)),
        loop(w=lambda w: float(w)),
    ],
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
    "posterior": [
        (own_weights, "its own variance"),
        (posterior_with(as_it_is, lambda std, *more: std**2), "variance"),
        (posterior_with(as_it_is, lambda std, v_1, v_2, a, b: (1 - a / b).sqrt()), "√β"),
        (posterior_with(as_it_is, lambda std, v_1, v_2, a, b: (v_1 + v_2).sqrt()), "sum"),
        (posterior_with(as_it_is, lambda std, v_1, v_2, a, b: 0 * std), "0"),
        (posterior_with(lambda m, v, n, u, x_0, x_t, a, b: (x_0, v, n, u)), "√ᾱ_s"),
        (posterior_with(lambda m, v, n, u, x_0, x_t, a, b: (m, 1 - a, n, u)), "time t"),
        (posterior_with(lambda m, v, n, u, x_0, x_t, a, b: (m, v, x_t, 1 - a / b)), "x_t itself"),
        (posterior_with(lambda m, v, n, u, x_0, x_t, a, b: (m, v, n, 1 - a / b)), "divide"),
        (posterior_with(lambda m, v, n, u, x_0, x_t, a, b: (m, v, x_t, u)), "divide"),
        (posterior_with(lambda m, v, n, u, x_0, x_t, a, b: (b * x_0, v, n, u)), "root"),
        (posterior_with(lambda m, v, n, u, x_0, x_t, a, b: (m, v, x_t / (a / b), u)), "root"),
        (posterior_with(lambda m, v, n, u, x_0, x_t, a, b: (m, v, x_t / a.sqrt(), (1 - a) / a)), "ᾱ_t"),
        (posterior_with(lambda m, v, n, u, *more: ((m + n) / 2, v, (m + n) / 2, u)), "middle"),
        (swapped_pair, "order"),
        (lambda x_0, x_t, a, b: closed_form(x_t, x_0, a, b), "swapped"),
        (lambda x_0, x_t, a, b: closed_form(x_0, x_t, b, a), None),
        (lambda *inputs: two_opinions(*inputs)[0], "two"),
        (lambda *inputs: (two_opinions(*inputs)[0], two_opinions(*inputs)[1].flatten()), None),
        (lambda *inputs: (two_opinions(*inputs)[0] * 1.02, two_opinions(*inputs)[1]), None),
        (no_return, "`return`"),
    ],
    "reverse_loop": [
        (loop(noise=lambda std, beta, t: 0 * std), "no noise"),
        (loop(noise=lambda std, beta, t: std**2), "variance"),
        (loop(noise=lambda std, beta, t: beta**0.5), "√β"),
        (loop(noise=lambda std, beta, t: beta**0.5 if t > 1 else 0), "√β"),
        (loop(noise=lambda std, beta, t: 1.0 if t > 1 else 0.0), "standard deviation 1"),
        (loop(start=lambda shape, generator: torch.zeros(shape)), "zeros"),
        (loop(start=torch.rand, draw=torch.rand), "uniform"),
        (loop(draw=torch.rand), "uniform"),
        (loop(start=torch.rand), "x_T is uniform"),
        (loop(w=lambda w: 0.0), "w"),
        (loop(w=lambda w: w - 1), "scale"),
        (loop(y=lambda y: 0 * y), None),
        (loop(y=lambda y: torch.zeros(len(y), 10)), "label"),
        (loop(last=2), "t = 2"),
        (loop(first=-1), "start"),
        (loop_up, "falls"),
        (loop(mean=lambda middle, x_0, x_t, schedule, now: x_0), "x̂_0"),
        (loop(mean=lambda middle, x_0, x_t, schedule, now: schedule.posterior(x_t, x_0, now)[0]), "swapped"),
        (loop_anew, "anew"),
        (loop(end=lambda x: (x + 1) / 2), "[0, 1]"),
        (loop(end=lambda x: x[:1].expand_as(x)), "every picture gets the same"),
        (lambda ddpm, labels, w, generator: loop()(ddpm, labels, w, None), "generator"),
        (lambda ddpm, labels, w, generator: loop()(ddpm, labels, w, torch.Generator().manual_seed(1)), "same"),
        (loop_with_ones_z, "same noise"),
        (lambda ddpm, labels, w, generator: loop()(ddpm, labels[:1], w, generator), None),
        (no_return, "`return`"),
    ],
}  # fmt: skip
