"""Answers to the exercises of notebook 07, written from their text; see n04.py."""

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


RIGHT = {
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
