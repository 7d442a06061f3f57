"""Answers to the exercises of notebook 03, written from their text; see n04.py."""

import random

import numpy as np
import torch
import torch.nn.functional as F


def dropout(keep):
    """Label dropout that keeps the rows where keep(y, p) is 1."""
    return lambda y, p: y * keep(y, p)


def on_a_copy(y, p):
    y = y.clone()
    y[torch.rand(len(y)) < p] = 0
    return y


def row_by_row(y, p):
    return torch.stack([torch.zeros_like(row) if random.random() < p else row for row in y])


def in_numpy(y, p):
    return np.where(np.random.default_rng().random((len(y), 1)) < p, 0, y.numpy())


def own_generator(y, p):
    generator = torch.Generator()
    generator.seed()
    return y * (torch.rand(len(y), 1, generator=generator) >= p)


def in_place(y, p):
    y[torch.rand(len(y)) < p] = 0
    return y


def in_place_by_product(y, p):
    y *= torch.rand(len(y), 1) >= p
    return y


def thrown_away(y, p):
    keep = torch.rand(len(y), 1) >= p
    y * keep
    return y


def seeded(y, p):
    return y * (torch.rand(len(y), 1, generator=torch.Generator().manual_seed(0)) >= p)


def seeded_globally(y, p):
    torch.manual_seed(0)
    return y * (torch.rand(len(y), 1) >= p)


def filled_with(row):
    """Label dropout in which a row without a label becomes this row."""
    return lambda y, p: torch.where(torch.rand(len(y), 1) < p, row, y)


def exactly_a_share(y, p):
    y = y.clone()
    y[torch.randperm(len(y))[: int(p * len(y))]] = 0
    return y


def dropout_left_below(y, p):
    keep = torch.rand(len(y), 1) >= p
    result = y * keep
    print(result.shape)
    return None


def times_in_a_loop(batch, T):
    times = []
    for _ in range(batch):
        times.append(random.randint(1, T))
    return times


def stratified(batch, T):
    return ((torch.arange(batch) + torch.rand(batch)) / batch * T).long().clamp(max=T - 1) + 1


def one_u_for_all(batch, T):
    """Systematic draws, as Kingma and others (2021) make them."""
    return ((torch.arange(batch) + torch.rand(1)) / batch * T).long().clamp(max=T - 1) + 1


def from_own_generator(batch, T):
    generator = torch.Generator()
    generator.seed()
    return torch.randint(1, T + 1, (batch,), generator=generator)


def times_seeded(batch, T):
    return torch.randint(1, T + 1, (batch,), generator=torch.Generator().manual_seed(0))


def times_seeded_globally(batch, T):
    torch.manual_seed(42)
    return torch.randint(1, T + 1, (batch,))


def whole_parts(batch, T):
    part = T // batch
    return torch.arange(batch) * part + torch.randint(1, part + 1, (batch,))


def by_solving_for_x_0(x, a, v):
    x_0 = a.sqrt() * x - (1 - a).sqrt() * v
    return (x - a.sqrt() * x_0) / (1 - a).sqrt()


def by_solving_for_x_0_with_v(x, a, v):
    x_0 = a.sqrt() * x - (1 - a).sqrt() * v
    return (v + (1 - a).sqrt() * x_0) / a.sqrt()


def picture_by_picture(x, a, v):
    out = torch.zeros_like(x)
    for i, bar in enumerate(a.flatten().tolist()):
        out[i] = (1 - bar) ** 0.5 * x[i] + bar**0.5 * v[i]
    return out


def turned_back(x, a, v):
    angle = torch.atan2((1 - a).sqrt(), a.sqrt())
    return angle.sin() * x + angle.cos() * v


def by_a_linear_system(x, a, v):
    out = []
    for one, bar, other in zip(x, a.flatten().double(), v, strict=True):
        signal, sigma = bar.sqrt(), (1 - bar).sqrt()
        matrix = torch.stack([torch.stack([signal, sigma]), torch.stack([-sigma, signal])])
        known = torch.stack([one.flatten(), other.flatten()]).double()
        out.append(torch.linalg.solve(matrix, known)[1].view(1, 28, 28))
    return torch.stack(out)


def v_in_place(x, a, v):
    x *= (1 - a).sqrt()
    x += a.sqrt() * v
    return x


def v_left_below(x_t, alpha_bar_t, v):
    eps = (1 - alpha_bar_t).sqrt() * x_t + alpha_bar_t.sqrt() * v
    assert eps.shape == x_t.shape
    return None


def no_return(*inputs):
    result = inputs[0]
    result = [result, result]


def printed(*inputs):
    print(len(inputs))


RIGHT = {
    "label_dropout": [
        dropout(lambda y, p: torch.rand(len(y), 1) >= p),
        dropout(lambda y, p: torch.rand(len(y), 1) > p),
        dropout(lambda y, p: torch.bernoulli(torch.full((len(y), 1), 1.0 - p))),
        dropout(lambda y, p: (torch.rand(len(y)) >= p)[:, None]),
        lambda y, p: torch.where(torch.rand(len(y), 1) < p, torch.zeros_like(y), y),
        lambda y, p: y.double() * (torch.rand(len(y), 1) >= p),
        lambda y, p: (y * (torch.rand(len(y), 1) >= p)).tolist(),
        lambda y, p: y.masked_fill(torch.rand(len(y), 1) < p, 0),
        lambda y, p: y * torch.rand_like(y).ge(p),  # a row has a single 1, so this drops whole rows, too
        on_a_copy,
        row_by_row,
        in_numpy,
        own_generator,
    ],
    "training_times": [
        lambda batch, T: torch.randint(1, T + 1, (batch,)),
        lambda batch, T: torch.randint(T, (batch,)) + 1,
        lambda batch, T: (torch.rand(batch) * T).floor() + 1,
        lambda batch, T: np.random.randint(1, T + 1, size=batch),
        lambda batch, T: np.random.default_rng().integers(1, T, batch, endpoint=True),
        lambda batch, T: torch.multinomial(torch.ones(T), batch, replacement=True) + 1,
        lambda batch, T: random.choices(range(1, T + 1), k=batch),
        lambda batch, T: stratified(batch, T)[torch.randperm(batch)],
        times_in_a_loop,
        stratified,
        one_u_for_all,
        from_own_generator,
    ],
    "eps_from_v": [
        lambda x, a, v: (1 - a) ** 0.5 * x + a**0.5 * v,
        lambda x, a, v: np.sqrt(1 - a.numpy()) * x.numpy() + np.sqrt(a.numpy()) * v.numpy(),
        lambda x, a, v: (1 - a.double()).sqrt() * x.double() + a.double().sqrt() * v.double(),
        lambda x, a, v: ((1 - a).sqrt() * x + a.sqrt() * v).tolist(),
        by_solving_for_x_0,
        by_solving_for_x_0_with_v,
        picture_by_picture,
        turned_back,
        by_a_linear_system,
    ],
}

WRONG = {
    "label_dropout": [
        (dropout(lambda y, p: torch.rand(1) >= p), "whole batch"),
        (dropout(lambda y, p: float(torch.rand(()) >= p)), "whole batch"),
        (dropout(lambda y, p: torch.rand(len(y), 1) < p), "other way round"),
        (in_place, "in place"),
        (in_place_by_product, "in place"),
        (thrown_away, "unchanged"),
        (lambda y, p: y, "unchanged"),
        (lambda y, p: torch.zeros_like(y), "every row"),
        (lambda y, p: y * (1 - p), "1 − p_uncond"),
        (lambda y, p: y * (torch.arange(len(y)) >= p * len(y))[:, None], "two calls"),
        (seeded, "two calls"),
        (seeded_globally, "two calls"),
        (dropout(lambda y, p: torch.rand(len(y), 1) >= 0.1), "0.1"),
        (dropout(lambda y, p: torch.rand(len(y), 1) >= 0.5), "half"),
        (dropout(lambda y, p: torch.randint(2, (len(y), 1))), "half"),
        (dropout(lambda y, p: torch.randn(len(y), 1) >= p), "randn"),
        (dropout(lambda y, p: torch.rand(1, 10) >= p), "columns"),
        (lambda y, p: F.dropout(y, p), "1 − p_uncond"),
        (filled_with(torch.full((10,), 0.1)), "all digits alike"),
        (filled_with(torch.eye(10)[0]), "digit 0"),
        (filled_with(-torch.ones(10)), None),
        (lambda y, p: torch.rand(len(y), 1) >= p, None),
        (lambda y, p: y[torch.rand(len(y)) >= p], None),
        (dropout(lambda y, p: torch.rand(len(y), 1)), None),
        (dropout(lambda y, p: torch.rand(len(y), 1) >= p / 2), None),
        (exactly_a_share, "exactly"),
        (dropout_left_below, "`return None`"),
        (no_return, "`return`"),
        (printed, "`return`"),
    ],
    "training_times": [
        (lambda batch, T: torch.randint(1, T, (batch,)), "T is never drawn"),
        (lambda batch, T: torch.randint(0, T, (batch,)), "0 … T − 1"),
        (lambda batch, T: torch.randint(0, T + 1, (batch,)), "0 … T"),
        (lambda batch, T: torch.randint(1, T + 1, (1,)).expand(batch), "whole batch"),
        (lambda batch, T: torch.full((batch,), random.randint(1, T)), "whole batch"),
        (lambda batch, T: torch.arange(batch) % T + 1, "two calls"),
        (lambda batch, T: torch.linspace(1, T, batch).long(), "two calls"),
        (lambda batch, T: ((torch.arange(batch) + 0.5) / batch * T).long() + 1, "two calls"),
        (times_seeded, "two calls"),
        (times_seeded_globally, "two calls"),
        (lambda batch, T: stratified(batch, T) - 1, "0 … T − 1"),
        (lambda batch, T: torch.rand(batch) * T, "whole numbers"),
        (lambda batch, T: torch.rand(batch) * (T - 1) + 1, "whole numbers"),
        (lambda batch, T: torch.randint(1, T + 1, (batch,)) / T, "t/T"),
        (lambda batch, T: (torch.rand(batch) * T).round(), "round"),
        (lambda batch, T: (torch.rand(batch) * (T - 1)).round() + 1, "round"),
        (lambda batch, T: (torch.rand(batch) * T).ceil() + 1, "2 … T + 1"),
        (lambda batch, T: torch.randint(1, 501, (batch,)), "500"),
        (lambda batch, T: (torch.rand(batch) ** 2 * T).long() + 1, None),
        (lambda batch, T: torch.randint(1, T + 1, (batch, 1)), None),
        (lambda batch, T: int(torch.randint(1, T + 1, ())), None),
        (lambda batch, T: torch.randint(1, batch + 1, (T,)), None),
        (lambda batch, T: torch.randn(batch), "whole numbers"),
        (whole_parts, None),
        (no_return, "`return`"),
        (printed, "`return`"),
    ],
    "eps_from_v": [
        (lambda x, a, v: a.sqrt() * x + (1 - a).sqrt() * v, "swapped"),
        (lambda x, a, v: (1 - a).sqrt() * x - a.sqrt() * v, "sign"),
        (lambda x, a, v: a.sqrt() * v - (1 - a).sqrt() * x, "sign"),
        (lambda x, a, v: (1 - a) * x + a * v, "root"),
        (lambda x, a, v: (1 - a).sqrt() * x + a * v, "root"),
        (lambda x, a, v: (1 - a) * x + a.sqrt() * v, "root"),
        (lambda x, a, v: a.sqrt() * x - (1 - a).sqrt() * v, "that is x_0"),
        (lambda x, a, v: (v + (1 - a).sqrt() * x) / a.sqrt(), "x_t where x_0"),
        (lambda x, a, v: v, "v itself"),
        (lambda x, a, v: x, "x_t itself"),
        (lambda x, a, v: (1 - a).sqrt() * x + v, "√ᾱ_t is missing"),
        (lambda x, a, v: x + a.sqrt() * v, "√(1−ᾱ_t) is missing"),
        (lambda x, a, v: x + v, "levels"),
        (lambda x, a, v: (1 - a.sqrt()) * x + a.sqrt() * v, "1 − √ᾱ_t"),
        (lambda x, a, v: a.sqrt() * v, "x_t is missing"),
        (lambda x, a, v: (x + a.sqrt() * v) / (1 - a).sqrt(), "−x_0"),
        (lambda x, a, v: (x - a.sqrt() * v) / (1 - a).sqrt(), "v where x_0"),
        (lambda x, a, v: -((1 - a).sqrt() * x + a.sqrt() * v), "sign"),
        (lambda x, a, v: ((1 - a).sqrt() * x + a.sqrt() * v) / 2, "half"),
        (lambda x, a, v: (1 - a[:1]).sqrt() * x + a[:1].sqrt() * v, "first picture"),
        (lambda x, a, v: ((1 - a).sqrt() * x + a.sqrt() * v).clamp(-1, 1), "clip"),
        (lambda x, a, v: torch.randn_like(x), "no random numbers"),
        (lambda x, a, v: 1.01 * ((1 - a).sqrt() * x + a.sqrt() * v), None),
        (lambda x, a, v: ((1 - a).sqrt() * x, a.sqrt() * v), None),
        (v_in_place, "in place"),
        (v_left_below, "`return None`"),
        (no_return, "`return`"),
        (printed, "`return`"),
    ],
}
