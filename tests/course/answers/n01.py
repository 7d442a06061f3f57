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
}

WRONG = {
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
