"""Answers to the exercises of notebook 07, written from their text; see n04.py."""

from itertools import pairwise

import numpy as np
import torch


def no_return(*inputs):
    print(type(inputs[0]))


def counting_down(T, steps):
    out, t = [], T
    while t >= 0:
        out.append(t)
        t -= T // steps
    return out


def ddim(schedule, x, x_0, t, s):
    """From t to s with this guess of the digit."""
    a, b = schedule.alpha_bar[t], schedule.alpha_bar[s]
    return b.sqrt() * x_0 + (1 - b).sqrt() * (x - a.sqrt() * x_0) / (1 - a).sqrt()


def in_a_loop(ask, x_0_middle, schedule, x_T, times):
    x, lam, before = x_T, schedule.log_snr / 2, None
    for t, s in pairwise(times):
        x_0_hat = middle = ask(x, t)
        if before and s > 0:
            x_0_before, t_before = before
            middle = x_0_middle(x_0_hat, x_0_before, lam[t_before], lam[t], lam[s])
        before = x_0_hat, t
        x = ddim(schedule, x, middle, t, s)
    return x


def as_in_the_paper(ask, x_0_middle, schedule, x_T, times):
    """Algorithm 2 of DPM-Solver++, with r, and the formula written out."""
    x, q = x_T.double(), None
    lam = torch.logit(schedule.alpha_bar.double()) / 2
    alpha, sigma = schedule.alpha_bar.double().sqrt(), (1 - schedule.alpha_bar.double()).sqrt()
    for i in range(1, len(times)):
        s, t = times[i], times[i - 1]
        p, h = ask(x.float(), t), lam[s] - lam[t]
        d = p
        if i > 1 and s != 0:
            r = (lam[t] - lam[times[i - 2]]) / h
            d = (1 + 1 / (2 * r)) * p - 1 / (2 * r) * q
        x = sigma[s] / sigma[t] * x - alpha[s] * torch.expm1(-h) * d
        q = p
    return x


def in_numpy(ask, x_0_middle, schedule, x_T, times):
    bars = schedule.alpha_bar.numpy().astype(float)
    x, guesses = x_T.numpy().astype(float), []
    for i, (t, s) in enumerate(pairwise(times)):
        guesses.append(np.asarray(ask(torch.from_numpy(x).float(), t), dtype=float))
        d = guesses[-1]
        if i and s:
            lam = [0.5 * np.log(bars[k] / (1 - bars[k])) for k in (times[i - 1], t, s)]
            d = d + (lam[2] - lam[1]) / (2 * (lam[1] - lam[0])) * (d - guesses[-2])
        eps = (x - bars[t] ** 0.5 * d) / (1 - bars[t]) ** 0.5
        x = bars[s] ** 0.5 * d + (1 - bars[s]) ** 0.5 * eps
    return x


def by_itself(ask, x_0_middle, schedule, x_t, times, before=None):
    """A function that calls itself for the rest of the times."""
    t, s, *_ = times
    g = ask(x_t, torch.tensor(t))
    d = g if before is None or s == 0 else x_0_middle(g, before[0], *(schedule.log_snr[[before[1], t, s]] / 2))
    rows = [torch.full((len(x_t),), number) for number in (t, s)]
    eps = schedule.predict_eps(x_t, rows[0], d)
    signal, sigma = schedule.levels(rows[1])
    x_s = signal * d + sigma * eps
    return x_s if len(times) == 2 else by_itself(ask, x_0_middle, schedule, x_s, times[1:], (g, t))


def with_floats(ask, x_0_middle, schedule, x_T, times):
    """λ as plain numbers, twice too large: only ratios count."""
    lam, x, old = schedule.log_snr.tolist(), x_T.clone(), {}
    for t, s in pairwise(times):
        old[t] = ask(x, t)
        d = old[t]
        if len(old) > 1 and lam[s] != float("inf"):
            u = list(old)[-2]
            d = x_0_middle(old[t], old[u], lam[u], lam[t], lam[s])
        x = ddim(schedule, x, d, t, s)
    return x.tolist()


def solver(
    guess=lambda ask, x, t, s: ask(x, t),
    skip=lambda i, s, n: i == 0 or s == 0,
    middle=lambda f, g, b, lam, u, t, s: f(g, b, lam[u], lam[t], lam[s]),
    step=lambda schedule, x, d, g, t, s: ddim(schedule, x, d, t, s),
    remember=lambda g, d, b, x: g,
    steps=lambda times: list(pairwise(times)),
    result=lambda x, all: x,
):
    """The solver with something in it replaced."""

    def attempt(ask, x_0_middle, schedule, x_T, times):
        x, lam, before, u, all = x_T, schedule.log_snr / 2, None, None, [x_T]
        for i, (t, s) in enumerate(steps(times)):
            d = g = guess(ask, x, t, s)
            if not skip(i, s, len(times) - 1):
                d = middle(x_0_middle, g, before, lam, u, t, s)
            before, u = remember(g, d, before, x), t
            x = step(schedule, x, d, g, t, s)
            all.append(x)
        return result(x, all)

    return attempt


def changed_in_place(ask, x_0_middle, schedule, x_T, times):
    x_T *= 1.0
    x_T += 0.1
    return in_a_loop(ask, x_0_middle, schedule, x_T, times)


def asks_twice(ask, x_0_middle, schedule, x_T, times):
    def heun(x, t, s):
        first = ask(x, t)
        return ddim(schedule, x, (first + ask(ddim(schedule, x, first, t, s), s)) / 2 if s else first, t, s)

    x = x_T
    for t, s in pairwise(times):
        x = heun(x, t, s)
    return x


def asks_again(ask, x_0_middle, schedule, x_T, times):
    """Right, but it asks for the guess of the step before a second time."""
    x, past = x_T, None
    for t, s in pairwise(times):
        d = g = ask(x, t)
        if past and s:
            d = x_0_middle(g, ask(*past), *(schedule.log_snr[[past[1], t, s]] / 2))
        past, x = (x, t), ddim(schedule, x, d, t, s)
    return x


RIGHT = {
    "second_order_solver": [
        in_a_loop,
        as_in_the_paper,
        in_numpy,
        by_itself,
        with_floats,
        solver(),
        solver(result=lambda x, all: all[-1].double().numpy()),
    ],
    "x_0_middle": [
        lambda x, b, l0, l1, l2: x + (x - b) / (l1 - l0) * (l2 - l1) / 2,
        lambda x, b, l0, l1, l2: torch.lerp(b, x, 1 + (l2 - l1) / (2 * (l1 - l0))),
        lambda x, b, l0, l1, l2: b + (x - b) * ((l1 + l2) / 2 - l0) / (l1 - l0),
        lambda x, b, l0, l1, l2: x.double() + 0.5 * (l2 - l1) / (l1 - l0) * (x.double() - b),
        lambda x, b, l0, l1, l2: x.numpy() + (x.numpy() - b.numpy()) * (l2 - l1) / (l1 - l0) / 2,
        lambda x, b, l0, l1, l2: (x + (l2 - l1) / (2 * (l1 - l0)) * (x - b)).tolist(),
    ],
    "time_steps": [
        lambda T, n: list(range(T, -1, -(T // n))),
        lambda T, n: range(T, -1, -(T // n)),
        lambda T, n: torch.linspace(T, 0, n + 1),
        lambda T, n: np.linspace(T, 0, n + 1).round().astype(int),
        lambda T, n: torch.arange(n, -1, -1) * (T // n),
        lambda T, n: tuple(float(T * i / n) for i in range(n, -1, -1)),
        counting_down,
    ],
    "weight_at": [
        lambda t, w, low, high: w * (low <= t <= high),
        lambda t, w, low, high: w if t in range(low, high + 1) else 0,
        lambda t, w, low, high: torch.tensor(w if low <= t <= high else 0.0),
        lambda t, w, low, high: np.where((t >= low) & (t <= high), w, 0.0),
        lambda t, w, low, high: 0.0 if t < low or t > high else w,
        lambda t, w, low, high: np.float64(w) if low <= t <= high else np.float64(0),
    ],
}

WRONG = {
    "second_order_solver": [
        (solver(skip=lambda i, s, n: True), "DDIM"),
        (solver(skip=lambda i, s, n: i == 0), "infinite"),
        (solver(remember=lambda g, d, b, x: g if b is None else b), "first step"),
        (solver(remember=lambda g, d, b, x: d), "middle guess"),
        (solver(guess=lambda ask, x, t, s: ask(x, max(s, 1))), "told s"),
        (
            solver(step=lambda sch, x, d, g, t, s: ddim(sch, x, g, t, s) + sch.alpha_bar[s].sqrt() * (d - g)),
            "noise",
        ),
        (
            solver(step=lambda sch, x, d, g, t, s: ddim(sch, x, d, t, s) + sch.alpha_bar[s].sqrt() * (g - d)),
            "signal",
        ),
        (solver(middle=lambda f, g, b, lam, u, t, s: f(b, g, lam[u], lam[t], lam[s])), "swapped"),
        (solver(middle=lambda f, g, b, lam, u, t, s: f(g, b, lam[t], lam[u], lam[s])), "order"),
        (solver(middle=lambda f, g, b, lam, u, t, s: f(g, b, u, t, s)), "λ"),
        (solver(middle=lambda f, g, b, lam, u, t, s: g + (g - b) / 2), "differ in length"),
        (solver(middle=lambda f, g, b, lam, u, t, s: 2 * f(g, b, lam[u], lam[t], lam[s]) - g), "end of the step"),
        (solver(middle=lambda f, g, b, lam, u, t, s: 2 * g - f(g, b, lam[u], lam[t], lam[s])), "backwards"),
        (solver(middle=lambda f, g, b, lam, u, t, s: f(g, b, lam[u], lam[t], lam[s]).clamp(-1, 1)), "clip"),
        (solver(middle=lambda f, g, b, lam, u, t, s: f(g, b, lam[u], lam[t], lam[s]) - g), None),
        (solver(steps=lambda times: list(pairwise(times))[:-1]), "last step is missing"),
        (solver(skip=lambda i, s, n: i == 0 or i == n - 1), "last step of the list"),
        (solver(result=lambda x, all: torch.stack(all)), "all pictures"),
        (solver(step=lambda sch, x, d, g, t, s: sch.alpha_bar[s].sqrt() * d), "noise of time s"),
        (solver(step=lambda sch, x, d, g, t, s: d), None),
        (solver(skip=lambda i, s, n: i < 2 or s == 0), "second step"),
        (solver(step=lambda sch, x, d, g, t, s: ddim(sch, x, d, t, s) + 0.01 * torch.randn_like(x)), None),
        (changed_in_place, None),
        (asks_twice, "once a step"),
        (asks_again, "once a step"),
        (no_return, "`return`"),
        (lambda ask, x_0_middle, schedule, x_T, times: ask(x_T, times[0]), None),
        (
            lambda ask, x_0_middle, schedule, x_T, times: ddim(schedule, x_T, ask(x_T, times[0]), times[0], times[-1]),
            "single step",
        ),
    ],
    "x_0_middle": [
        (lambda x, b, l0, l1, l2: x + (l2 - l1) / (l1 - l0) * (x - b), "end of the step"),
        (lambda x, b, l0, l1, l2: x - (l2 - l1) / (2 * (l1 - l0)) * (x - b), "backwards"),
        (lambda x, b, l0, l1, l2: (x + b) / 2, "mean of the two"),
        (lambda x, b, l0, l1, l2: x + (x - b) / 2, "differ in length"),
        (lambda x, b, l0, l1, l2: x + (l1 - l0) / (2 * (l2 - l1)) * (x - b), "upside down"),
        (lambda x, b, l0, l1, l2: x, "DDIM"),
        (lambda x, b, l0, l1, l2: b + (l2 - l1) / (2 * (l1 - l0)) * (x - b), "before"),
        (lambda x, b, l0, l1, l2: x + (l2 - l1) / 2 * (x - b), "per unit"),
        (lambda x, b, l0, l1, l2: (l2 - l1) / (2 * (l1 - l0)) * (x - b), "alone"),
        (lambda x, b, l0, l1, l2: x + (l2 - l0) / (2 * (l1 - l0)) * (x - b), "from before to s"),
        (lambda x, b, l0, l1, l2: x + (l2 - l1) / (2 * (l1 + l0)) * (x - b), None),
        (lambda x, b, l0, l1, l2: (x + (l2 - l1) / (2 * (l1 - l0)) * (x - b)).clamp(-1, 1), "clip"),
        (no_return, "`return`"),
    ],
    "time_steps": [
        (lambda T, n: [i * T // n for i in range(n + 1)], "rise"),
        (lambda T, n: list(range(T, 0, -(T // n))), "0 is missing"),
        (lambda T, n: list(range(T - T // n, -1, -(T // n))), "T is missing"),
        (lambda T, n: list(range(T, -1, -1)), "all times"),
        (lambda T, n: [T - i * (T - 1) // n for i in range(n + 1)], "ends at 1"),
        (lambda T, n: [(T - 1) - i * (T - 1) // n for i in range(n + 1)], "T − 1"),
        (lambda T, n: torch.linspace(T - 1, 0, n + 1), "T − 1"),
        (lambda T, n: list(range(T, -1, -n)), "step size"),
        (lambda T, n: torch.linspace(T, 0, n), "one too few"),
        (lambda T, n: list(range(0, T, T // n))[::-1], "T is missing"),
        (lambda T, n: list(range(T, 0, -(T // n)))[1:], "both"),
        (lambda T, n: T // n, None),
        (no_return, "`return`"),
    ],
    "weight_at": [
        (lambda t, w, low, high: w if low <= t <= high else -1, "−1"),
        (lambda t, w, low, high: w if low <= t <= high else 1, "return 1"),
        (lambda t, w, low, high: 0 if low <= t <= high else w, "swapped"),
        (lambda t, w, low, high: w if low < t < high else 0, "two ends"),
        (lambda t, w, low, high: w if low <= t < high else 0, "t_max belongs"),
        (lambda t, w, low, high: w if t in range(low, high) else 0, "t_max belongs"),
        (lambda t, w, low, high: w if low < t <= high else 0, "t_min belongs"),
        (lambda t, w, low, high: w if t >= low else 0, "forgot t_max"),
        (lambda t, w, low, high: w if t <= high else 0, "forgot t_min"),
        (lambda t, w, low, high: w, "everywhere"),
        (lambda t, w, low, high: low <= t <= high, "yes or no"),
        (lambda t, w, low, high: 1 + w if low <= t <= high else 0, "1 + w"),
        (lambda t, w, low, high: w if low <= t <= high else None, "`return`"),
        (lambda t, w, low, high: w / 2 if low <= t <= high else 0, None),
    ],
}
