"""Answers to the exercises of notebook 01, written from their text; see n04.py."""

import numpy as np
import torch


def jump(x, a, e):
    return a.sqrt() * x + (1 - a).sqrt() * e


def picture_by_picture(x_0, alpha_bar_t, eps):
    out = torch.empty_like(x_0)
    for i, bar in enumerate(alpha_bar_t.flatten().tolist()):
        out[i] = bar**0.5 * x_0[i] + (1 - bar) ** 0.5 * eps[i]
    return out


def as_angle(x_0, alpha_bar_t, eps):
    angle = torch.acos(alpha_bar_t.sqrt())
    return angle.cos() * x_0 + angle.sin() * eps


def from_log_snr(x_0, alpha_bar_t, eps):
    log_snr = torch.log(alpha_bar_t / (1 - alpha_bar_t))
    return log_snr.sigmoid().sqrt() * x_0 + (-log_snr).sigmoid().sqrt() * eps


def jump_in_place(x_0, alpha_bar_t, eps):
    x_0 *= alpha_bar_t.sqrt()
    x_0 += (1 - alpha_bar_t).sqrt() * eps
    return x_0


def first_by_loop(schedule):
    t = 0
    while 1 - schedule.alpha_bar[t] < 0.5:
        t += 1
    return t


def first_by_product(schedule):
    bar = 1.0
    for t in range(1, schedule.T + 1):
        bar *= schedule.alpha[t].double().item()
        if bar <= 0.5 + 1e-9:
            return t


def first_below_T(schedule):
    for t in range(1, schedule.T):
        if 1 - schedule.alpha_bar[t] >= 0.5:
            return t


def returns_in_the_loop(schedule):
    for t in range(schedule.T + 1):
        if 1 - schedule.alpha_bar[t] >= 0.5:
            return t
        return 0


def changes_the_table(schedule):
    schedule.alpha_bar -= 0.5
    return int((schedule.alpha_bar <= 0).int().argmax())


def shift_entry_by_entry(alpha_bar, shift):
    out = []
    for bar in alpha_bar.tolist():
        if bar == 1:
            out.append(1.0)
        else:
            log_snr = np.log(bar / (1 - bar)) - shift
            out.append(1 / (1 + np.exp(-log_snr)))
    return out


def shift_in_numpy(alpha_bar, shift):
    with np.errstate(divide="ignore"):
        snr = alpha_bar.numpy() / (1 - alpha_bar.numpy()) * np.exp(-shift)
        return 1 - 1 / (1 + snr)


def shift_but_0(alpha_bar, shift):
    out = alpha_bar.clone()
    out[1:] = torch.sigmoid(torch.logit(alpha_bar[1:]) - shift)
    return out


def zero_at_0(alpha_bar, shift):
    out = torch.zeros_like(alpha_bar)
    out[1:] = torch.sigmoid(torch.logit(alpha_bar[1:]) - shift)
    return out


def shift_in_place(alpha_bar, shift):
    alpha_bar[1:] = torch.sigmoid(torch.logit(alpha_bar[1:]) - shift)
    return alpha_bar


def logit(a):
    return torch.log(a / (1 - a))


def no_return(*inputs):
    result = inputs[0]
    result = [result, result]


def printed(*inputs):
    print(type(inputs[0]), len(inputs))


def left_below(alpha_bar, shift):
    log_snr = torch.log(alpha_bar / (1 - alpha_bar))
    result = torch.sigmoid(log_snr - shift)
    print(result.shape)
    return None


def walk(x_0, beta, z):
    x, states = x_0, [x_0]
    for i in range(len(beta)):
        x = torch.sqrt(1 - beta[i]) * x + torch.sqrt(beta[i]) * z[i]
        states.append(x)
    return torch.stack(states)


def walk_into_a_table(x_0, beta, z):
    states = torch.empty(len(beta) + 1, *x_0.shape)
    states[0] = x_0
    for t in range(1, len(beta) + 1):
        states[t] = (1 - beta[t - 1]) ** 0.5 * states[t - 1] + beta[t - 1] ** 0.5 * z[t - 1]
    return states


def walk_in_numpy(x_0, beta, z):
    states = [x_0.numpy()]
    for b, noise in zip(beta.numpy(), z.numpy(), strict=True):
        states.append(np.sqrt(1 - b) * states[-1] + np.sqrt(b) * noise)
    return np.stack(states)


def walk_as_angles(x_0, beta, z):
    states, angles = [x_0], torch.asin(beta.sqrt())
    for angle, noise in zip(angles, z, strict=True):
        states.append(states[-1] * torch.cos(angle) + noise * torch.sin(angle))
    return torch.stack(states).tolist()


def walk_by_recursion(x_0, beta, z):
    if len(beta) == 0:
        return x_0[None]
    before = walk_by_recursion(x_0, beta[:-1], z[:-1])
    last = torch.lerp(before[-1], z[-1], 0.0) * (1 - beta[-1]).sqrt() + beta[-1].sqrt() * z[-1]
    return torch.cat([before, last[None]])


def walk_by_products(x_0, beta, z):
    """All at once: x_t/√ᾱ_t is x_0 plus a running sum. float64, because ᾱ gets small."""
    shape = (-1, *[1] * x_0.ndim)
    root = (1 - beta.double()).cumprod(0).sqrt().view(shape)
    rest = (beta.double().sqrt().view(shape) * z / root).cumsum(0)
    return torch.cat([x_0[None].double(), root * (x_0 + rest)])


def walk_in_place(x_0, beta, z):
    x = x_0.clone()
    states = [x.clone()]
    for b, noise in zip(beta, z, strict=True):
        x *= (1 - b).sqrt()
        x += b.sqrt() * noise
        states.append(x.clone())
    return torch.stack(states)


def walked(step, first=True, stack=torch.stack):
    """A chain whose step is step(x, β_t, z_t, i, x_0, z)."""

    def attempt(x_0, beta, z):
        x, states = x_0, [x_0] if first else []
        for i, b in enumerate(beta):
            x = step(x, b, z[i], i, x_0, z)
            states.append(x)
        return stack(states)

    return attempt


def right_step(x, b, z_t, *_):
    return (1 - b).sqrt() * x + b.sqrt() * z_t


def stores_one_tensor(x_0, beta, z):
    x = x_0.clone()
    states = [x]
    for b, noise in zip(beta, z, strict=True):
        x *= (1 - b).sqrt()
        x += b.sqrt() * noise
        states.append(x)
    return torch.stack(states)


def changes_x_0(x_0, beta, z):
    states = [x_0.clone()]
    for b, noise in zip(beta, z, strict=True):
        x_0 *= (1 - b).sqrt()
        x_0 += b.sqrt() * noise
        states.append(x_0.clone())
    return torch.stack(states)


def returns_in_the_chain(x_0, beta, z):
    states = [x_0]
    for b, noise in zip(beta, z, strict=True):
        states.append((1 - b).sqrt() * states[-1] + b.sqrt() * noise)
        return torch.stack(states)


def forgets_the_last(x_0, beta, z):
    states = [x_0]
    for i in range(len(beta) - 1):
        states.append(right_step(states[-1], beta[i], z[i]))
    return torch.stack(states)


def line(T, first, last):
    return torch.linspace(first, last, T, dtype=torch.float64)


def bars(T, first, last):
    return torch.cat([torch.ones(1), torch.sigmoid(line(T, first, last))])


def beta_by_loop(T, first, last):
    before, betas = 1.0, []
    for i in range(T):
        log_snr = first + (last - first) * i / (T - 1)
        bar = np.exp(log_snr) / (1 + np.exp(log_snr))
        betas.append(1 - bar / before)
        before = bar
    return betas


def beta_in_numpy(T, first, last):
    bar = 1 / (1 + np.exp(-np.linspace(first, last, T)))
    alpha = bar.copy()
    alpha[1:] = bar[1:] / bar[:-1]
    return 1 - alpha


def beta_by_logs(T, first, last):
    log_bar = torch.nn.functional.logsigmoid(torch.linspace(first, last, T))
    return 1 - torch.exp(torch.cat([log_bar[:1], log_bar[1:] - log_bar[:-1]]))


def beta_of_ratios(T, first, last):
    bar = torch.sigmoid(torch.linspace(first, last, T))
    return 1 - bar / torch.nn.functional.pad(bar[:-1], (1, 0), value=1.0)


def beta_of_differences(T, first, last):
    bar = bars(T, first, last)
    return (bar[:-1] - bar[1:]) / bar[:-1]


def beta_by_index(T, first, last):
    bar = torch.ones(T + 1)
    for t in range(1, T + 1):
        snr = torch.tensor(first + (t - 1) * (last - first) / (T - 1), dtype=torch.float32).exp()
        bar[t] = snr / (1 + snr)
    return 1 - bar[1:] / bar[:-1]


RIGHT = {
    "add_noise": [
        jump,
        lambda x, a, e: a**0.5 * x + (1 - a) ** 0.5 * e,
        lambda x, a, e: np.sqrt(a.numpy()) * x.numpy() + np.sqrt(1 - a.numpy()) * e.numpy(),
        lambda x, a, e: jump(x.double(), a.double(), e.double()),
        lambda x, a, e: jump(x, a, e).tolist(),
        lambda x, a, e: torch.addcmul((1 - a).sqrt() * e, a.sqrt(), x),
        picture_by_picture,
        as_angle,
        from_log_snr,
    ],
    "half_noise_time": [
        lambda s: next(t for t in range(s.T + 1) if 1 - s.alpha_bar[t] >= 0.5),
        lambda s: np.argmax(1 - s.alpha_bar.numpy() >= 0.5),
        lambda s: (s.alpha_bar > 0.5).sum(),
        lambda s: torch.nonzero(s.alpha_bar <= 0.5)[0].item(),
        lambda s: torch.nonzero(s.alpha_bar <= 0.5)[0, 0],
        lambda s: min(t for t, bar in enumerate(s.alpha_bar.tolist()) if bar <= 0.5),
        lambda s: float((s.alpha_bar <= 0.5).int().argmax()),
        lambda s: int((s.log_snr[1:] <= 0).int().argmax()) + 1,
        lambda s: int(np.searchsorted(1 - s.alpha_bar.numpy(), 0.5)),
        lambda s: int((s.alpha_bar.sqrt() <= 0.5**0.5).int().argmax()),
        first_by_loop,
        first_by_product,
    ],
    "shift_log_snr": [
        lambda a, s: torch.sigmoid(torch.logit(a) - s),
        lambda a, s: a / (a + (1 - a) * np.exp(s)),
        lambda a, s: 1 / (1 + np.exp(s) * (1 / a - 1)),
        lambda a, s: torch.sigmoid(a.double().log() - torch.log1p(-a.double()) - s),
        lambda a, s: torch.sigmoid(logit(a) - s).tolist(),
        lambda a, s: torch.sigmoid(torch.logit(a, eps=1e-6) - s),
        lambda a, s: 1 / (1 + torch.exp(s - logit(a))),
        shift_entry_by_entry,
        shift_in_numpy,
        shift_but_0,
    ],
    "forward_chain": [
        walk,
        walk_into_a_table,
        walk_in_numpy,
        walk_as_angles,
        walk_by_recursion,
        walk_by_products,
        walk_in_place,
        lambda x, b, z: walk(x.double(), b.double(), z.double()),
        lambda x, b, z: list(walk(x, b, z).numpy()),
    ],
    "straight_log_snr": [
        lambda T, a, b: 1 - bars(T, a, b)[1:] / bars(T, a, b)[:-1],
        beta_by_loop,
        beta_in_numpy,
        beta_by_logs,
        beta_of_ratios,
        beta_of_differences,
        beta_by_index,
        lambda T, a, b: (1 - bars(T, a, b)[1:] / bars(T, a, b)[:-1]).clamp(max=0.999),
        lambda T, a, b: tuple(float(beta) for beta in beta_by_loop(T, a, b)),
    ],
}

WRONG = {
    "forward_chain": [
        (walked(lambda x, b, z, *_: (1 - b).sqrt() * x + b * z), "standard deviation β"),
        (walked(lambda x, b, z, *_: (1 - b) * x + b.sqrt() * z), "root"),
        (walked(lambda x, b, z, *_: (1 - b) * x + b * z), "roots"),
        (walked(lambda x, b, z, *_: x + b.sqrt() * z), "shrink"),
        (walked(lambda x, b, z, *_: (1 - b).sqrt() * x), "noise is missing"),
        (walked(lambda x, b, z, *_: b.sqrt() * x + (1 - b).sqrt() * z), "swapped"),
        (walked(lambda x, b, z, i, x_0, all_z: (1 - b).sqrt() * x + b.sqrt() * all_z[0]), "same noise"),
        (walked(lambda x, b, z, *_: (1 - b.sqrt()) * x + b.sqrt() * z), "1 − √β"),
        (walked(lambda x, b, z, *_: (1 - b).sqrt() * (x + b.sqrt() * z)), "too"),
        (walked(lambda x, b, z, *_: (1 - b).sqrt() * x - b.sqrt() * z), "subtract"),
        (walked(lambda x, b, z, *_: (1 - b).sqrt() * x + z), "noise level"),
        (walked(lambda x, b, z, i, x_0, _: (1 - b).sqrt() * x_0 + b.sqrt() * z), "x_0 again"),
        (walked(lambda x, b, z, *_: right_step(x, b, z).clamp(-1, 1)), "clip"),
        (walked(lambda x, b, z, *_: (1 - b) ** 2 * x + b**2 * z), "square"),
        (walked(lambda x, b, z, *_: x + b * z), "shrink"),
        (walked(lambda x, b, z, *_: (1 + b).sqrt() * x + b.sqrt() * z), "1 + β"),
        (walked(right_step, first=False), "x_0 itself"),
        (walked(right_step, stack=lambda states: states[-1]), "every state"),
        (walked(right_step, stack=lambda states: torch.stack(states, dim=1)), "second"),
        (walked(right_step, stack=torch.cat), None),
        (walked(lambda x, b, z, *_: right_step(x, b, torch.randn_like(x))), "no random numbers"),
        (walked(lambda x, b, z, *_: right_step(x, b, z).mean() + 0 * x), None),
        (walked(lambda x, b, z, *_: 1.01 * right_step(x, b, z)), None),
        (lambda x, b, z: walk(x, b.flip(0), z), "from the back"),
        (stores_one_tensor, "in place"),
        (changes_x_0, "in place"),
        (forgets_the_last, "last step"),
        (returns_in_the_chain, None),
        (no_return, "`return`"),
        (printed, "`return`"),
    ],
    "straight_log_snr": [
        (lambda T, a, b: bars(T, a, b)[1:] / bars(T, a, b)[:-1], "that is α"),
        (lambda T, a, b: bars(T, a, b)[1:], "that is ᾱ"),
        (lambda T, a, b: 1 - bars(T, a, b)[1:], "all steps"),
        (lambda T, a, b: bars(T, a, b)[:-1] - bars(T, a, b)[1:], "difference"),
        (lambda T, a, b: 1 - bars(T, a, b)[:-1] / bars(T, a, b)[1:], "upside down"),
        (lambda T, a, b: 1 - bars(T, a, b)[2:] / bars(T, a, b)[1:-1], "β_1"),
        (lambda T, a, b: line(T, a, b), "log-SNR itself"),
        (lambda T, a, b: 1 - bars(T, b, a)[1:] / bars(T, b, a)[:-1], "swapped"),
        (lambda T, a, b: -torch.diff(torch.log(bars(T, a, b))), "−log α"),
        (lambda T, a, b: (1 - bars(T, a, b)[1:] / bars(T, a, b)[:-1]).sqrt(), "root"),
        (lambda T, a, b: 1 - (bars(T, a, b)[1:] / bars(T, a, b)[:-1]).sqrt(), "root"),
        (lambda T, a, b: torch.cat([torch.zeros(1), 1 - bars(T, a, b)[1:] / bars(T, a, b)[:-1]]), "entry for t = 0"),
        (lambda T, a, b: torch.cat([torch.zeros(1), 1 - bars(T, a, b)[2:] / bars(T, a, b)[1:-1]]), "β_1"),
        (lambda T, a, b: 1 - torch.diff(line(T, a, b).exp(), prepend=torch.ones(1)), None),
        (lambda T, a, b: torch.linspace(1e-4, 0.02, T), "straight line"),
        (lambda T, a, b: 1 - torch.sigmoid(torch.linspace(a, b, T)) ** (1 / T), None),
        (lambda T, a, b: beta_in_numpy(T, a, b)[::-1], "back to front"),
        (lambda T, a, b: 1 - bars(T + 1, a, b)[2:] / bars(T + 1, a, b)[1:-1], None),
        (lambda T, a, b: beta_in_numpy(500, a, b), None),
        (lambda T, a, b: 1.02 * beta_in_numpy(T, a, b), None),
        (lambda T, a, b: beta_in_numpy(T, a, b).mean(), None),
        (no_return, "`return`"),
        (printed, "`return`"),
    ],
    "add_noise": [
        (lambda x, a, e: a * x + (1 - a) * e, "root"),
        (lambda x, a, e: (1 - a).sqrt() * x + a.sqrt() * e, "swapped"),
        (lambda x, a, e: a.sqrt() * x + (1 - a) * e, "root"),
        (lambda x, a, e: a * x + (1 - a).sqrt() * e, "root"),
        (lambda x, a, e: a.sqrt() * x + (1 - a.sqrt()) * e, "1 − √ᾱ_t"),
        (lambda x, a, e: a.sqrt() * x, "noise is missing"),
        (lambda x, a, e: (1 - a).sqrt() * e, "digit is missing"),
        (lambda x, a, e: x + (1 - a).sqrt() * e, "signal level"),
        (lambda x, a, e: a.sqrt() * x + e, "noise level"),
        (lambda x, a, e: x + e, "levels"),
        (lambda x, a, e: a.sqrt() * x - (1 - a).sqrt() * e, "subtract"),
        (lambda x, a, e: a.sqrt() * x + (1 - a**2).sqrt() * e, "1 − ᾱ_t²"),
        (lambda x, a, e: a.sqrt() * x + (1 + a).sqrt() * e, "1 + ᾱ_t"),
        (lambda x, a, e: a.sqrt() * x + (1 - a).sqrt() * torch.randn_like(x), "no random numbers"),
        (lambda x, a, e: jump(x, a[:1], e), "first picture"),
        (lambda x, a, e: jump(x, a.mean(), e), "mean"),
        (lambda x, a, e: jump(x, a, e).clamp(-1, 1), "clip"),
        (lambda x, a, e: (x - (1 - a).sqrt() * e) / a.sqrt(), "way back"),
        (lambda x, a, e: a**2 * x + (1 - a) ** 2 * e, "square"),
        (lambda x, a, e: (jump(x, a, e), e), None),
        (lambda x, a, e: jump(x, a, e)[0], None),
        (lambda x, a, e: 1.01 * jump(x, a, e), None),
        (lambda x, a, e: a.sqrt() * x + (1 - a).sqrt() * torch.rand_like(x), "no random numbers"),
        (lambda x, a, e: a.sqrt() * x + (1 - a).sqrt() * e.mean(), None),
        (jump_in_place, "in place"),
        (no_return, "`return`"),
        (printed, "`return`"),
    ],
    "half_noise_time": [
        (lambda s: int((s.alpha_bar.sqrt() <= 0.5).int().argmax()), "√ᾱ_t"),
        (lambda s: int(((1 - s.alpha_bar).sqrt() >= 0.5).int().argmax()), "√(1−ᾱ_t)"),
        (lambda s: int((s.alpha <= 0.5).int().argmax()), "single step"),
        (lambda s: int((s.beta >= 0.5).int().argmax()), "single step"),
        (lambda s: int((s.alpha_bar >= 0.5).int().argmax()), "wrong way round"),
        (lambda s: int((1 - s.alpha_bar <= 0.5).int().argmax()), "wrong way round"),
        (lambda s: int((s.alpha_bar[1:] <= 0.5).int().argmax()), "one too early"),
        (lambda s: int((s.alpha_bar > 0.5).nonzero()[-1]), "one too early"),
        (lambda s: int((s.alpha_bar <= 0.5).int().argmax()) + 1, "one too late"),
        (lambda s: s.T // 2, "half of T"),
        (lambda s: int((s.alpha_bar <= 0.5).int().argmax()) / s.T, "t/T"),
        (lambda s: int((s.alpha_bar <= 0.5).nonzero()[-1]), "last"),
        (lambda s: s.T, "last"),
        (lambda s: int((s.alpha_bar - 0.5).abs().argmin()), "closest"),
        (lambda s: int((s.alpha_bar < 0.5).int().argmax()), "1/2 itself"),
        (lambda s: int((s.beta.cumsum(0) >= 0.5).int().argmax()), "sum"),
        (lambda s: s.alpha_bar[int((s.alpha_bar <= 0.5).int().argmax())], "ᾱ_t at that"),
        (lambda s: int((s.alpha_bar / (1 - s.alpha_bar) <= 0.5).int().argmax()), "SNR"),
        (lambda s: int((s.log_snr <= 0.5).int().argmax()), "log-SNR"),
        (lambda s: s.alpha_bar <= 0.5, None),
        (lambda s: 185, "linear schedule only"),
        (lambda s: "t", None),
        (first_below_T, "`return`"),
        (returns_in_the_loop, "t = 0"),
        (changes_the_table, "in place"),
        (no_return, "`return`"),
        (printed, "`return`"),
    ],
    "shift_log_snr": [
        (lambda a, s: torch.sigmoid(logit(a) + s), "raise"),
        (lambda a, s: a - s, "ᾱ_t itself"),
        (lambda a, s: (a - s).clamp(0, 1), "ᾱ_t itself"),
        (lambda a, s: torch.sigmoid(logit(a)) - s, "ᾱ_t itself"),
        (lambda a, s: logit(a) - s, "way back"),
        (lambda a, s: torch.sigmoid(a / (1 - a) - s), "log is missing"),
        (lambda a, s: torch.sigmoid(torch.log10(a / (1 - a)) - s), "log10"),
        (lambda a, s: torch.sigmoid(torch.log2(a / (1 - a)) - s), "log2"),
        (lambda a, s: torch.sigmoid(torch.log((1 - a) / a) - s), "upside down"),
        (lambda a, s: torch.sigmoid(torch.log(a) - s), "log ᾱ_t"),
        (lambda a, s: torch.exp(torch.log(a) - s), "log ᾱ_t"),
        (lambda a, s: torch.exp(logit(a) - s), "SNR"),
        (lambda a, s: (a / (1 - a) - s) / (1 + a / (1 - a) - s), "SNR itself"),
        (lambda a, s: torch.sigmoid(logit(a) * s), "multiply"),
        (lambda a, s: torch.sigmoid(logit(a.sqrt()) - s), "root"),
        (lambda a, s: torch.sigmoid(0.5 * logit(a) - s), "root"),
        (lambda a, s: torch.sigmoid(logit(a) - 1.5), "1.5"),
        (lambda a, s: a, "unchanged"),
        (lambda a, s: torch.sigmoid(torch.log(a / 1 - a) - s), "brackets"),
        (lambda a, s: torch.sigmoid(s - logit(a)), "1 − ᾱ"),
        (lambda a, s: torch.sigmoid(logit(a[1:]) - s), "entry 0"),
        (lambda a, s: torch.sigmoid(torch.log(a) / torch.log(1 - a) - s), "quotient"),
        (lambda a, s: torch.tanh(logit(a) - s), "tanh"),
        (zero_at_0, "t = 0"),
        (lambda a, s: torch.sigmoid(logit(a) - 1.1 * s), None),
        (shift_in_place, "in place"),
        (no_return, "`return`"),
        (printed, "`return`"),
        (left_below, "`return None`"),
    ],
}
