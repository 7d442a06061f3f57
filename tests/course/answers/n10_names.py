"""Answers to the exercises of notebook 10, sections 1 and 2, written from their text; see n04.py."""

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


RIGHT = {
    "noise_in": [
        solved(lambda ans, p, q, x, a, s: (a * ans - p * x) / (a * q - s * p)),
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
}

WRONG = {
    "noise_in": [
        (solved(lambda ans, p, q, x, a, s: (q * x - s * ans) / (a * q - s * p)), "that is x_0"),
        (solved(lambda ans, p, q, x, a, s: (p * x - a * ans) / (a * q - s * p)), "−ε"),
        (solved(lambda ans, p, q, x, a, s: (a * ans + p * x) / (a * q - s * p)), "sign of p·x_t"),
        (solved(lambda ans, p, q, x, a, s: (a * ans + p * x) / (a * q + s * p)), "sign"),
        (solved(lambda ans, p, q, x, a, s: (a * ans - p * x) / (a * q + s * p)), "you divide by"),
        (solved(lambda ans, p, q, x, a, s: (s * ans - p * x) / (s * q - a * p)), "swapped"),
        (solved(lambda ans, p, q, x, a, s: (a * ans - q * x) / (a * p - s * q)), "swapped"),
        (solved(lambda ans, p, q, x, a, s: (a**2 * ans - p * x) / (a**2 * q - s**2 * p)), "roots"),
        (solved(lambda ans, p, q, x, a, s: (a * ans - p * x) / (a * q - (1 - a) * p)), "1 − √ᾱ"),
        (solved(lambda ans, p, q, x, a, s: a * ans - p * x), "division"),
        (solved(lambda ans, p, q, x, a, s: s * x + a * ans), "v"),
        (solved(lambda ans, p, q, x, a, s: (x - a * ans) / s), "x_0"),
        (solved(lambda ans, p, q, x, a, s: (ans - p * x) / q), "x_t where x_0"),
        (solved(lambda ans, p, q, x, a, s: ans), "as it is"),
        (solved(lambda ans, p, q, x, a, s: x), "x_t itself"),
        (solved(lambda ans, p, q, x, a, s: ans / q), None),
        (solved(lambda ans, p, q, x, a, s: ((a * ans - p * x) / (a * q - s * p)).clamp(-1, 1)), "clip"),
        (solved(lambda ans, p, q, x, a, s: (a[:1] * ans - p * x) / (a[:1] * q - s[:1] * p)), None),
        (solved(lambda ans, p, q, x, a, s: 1.01 * (a * ans - p * x) / (a * q - s * p)), None),
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
}
