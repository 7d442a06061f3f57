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


def game(
    t=lambda B, T: torch.randint(1, T + 1, (B,)),
    eps=torch.randn_like,
    rows=lambda y: F.one_hot(y, 10).float(),
    keep=lambda B, p: torch.rand(B, 1) >= p,
    x_t=lambda x_0, eps, bar: bar.sqrt() * x_0 + (1 - bar).sqrt() * eps,
    ask=lambda ddpm, x_t, t, rows: ddpm.unet(x_t, t / ddpm.schedule.T, rows),
    score=lambda eps, eps_hat, x_0, x_t: F.mse_loss(eps_hat, eps),
):
    """A loss by hand, of which single lines may be another's."""

    def loss(ddpm, x_0, y, p_uncond):
        times, noise = t(len(x_0), ddpm.schedule.T), eps(x_0)
        bar = ddpm.schedule.alpha_bar[times].view(-1, 1, 1, 1)
        noised, told = x_t(x_0, noise, bar), rows(y) * keep(len(y), p_uncond)
        return score(noise, ask(ddpm, noised, times, told), x_0, noised)

    return loss


def with_the_schedules_own_method(ddpm, x_0, y, p_uncond):
    t = torch.randint(ddpm.schedule.T, (len(x_0),)) + 1
    eps = torch.randn(x_0.shape)
    rows = torch.eye(10)[y]
    rows[torch.rand(len(rows)) < p_uncond] = 0
    return ((ddpm.predict_noise(ddpm.schedule.add_noise(x_0, t, eps), t, rows) - eps) ** 2).mean()


def one_picture_at_a_time(ddpm, x_0, y, p_uncond):
    total = 0.0
    for picture, digit in zip(x_0, y.tolist(), strict=True):
        t = random.randint(1, ddpm.schedule.T)
        eps, row = torch.randn(1, 1, 28, 28), torch.zeros(1, 10)
        if random.random() >= p_uncond:
            row[0, digit] = 1
        signal, sigma = ddpm.schedule.levels(torch.tensor([t]))
        eps_hat = ddpm.unet(signal * picture + sigma * eps, torch.tensor([t / ddpm.schedule.T]), row)
        total = total + (eps - eps_hat).square().mean()
    return total / len(x_0)


def drawn_by_numpy(ddpm, x_0, y, p_uncond):
    rng = np.random.default_rng()
    t = torch.from_numpy(rng.integers(1, ddpm.schedule.T, len(x_0), endpoint=True))
    eps = torch.from_numpy(rng.standard_normal(x_0.shape)).float()
    keep = torch.from_numpy(rng.random((len(y), 1)) >= p_uncond)
    x_t = ddpm.schedule.add_noise(x_0, t, eps)
    eps_hat = ddpm.unet(x_t, (t / ddpm.schedule.T).float(), F.one_hot(y, 10) * keep.float())
    return (eps_hat - eps).flatten(1).pow(2).mean(1).mean(0)


def with_its_own_generator(ddpm, x_0, y, p_uncond):
    generator = torch.Generator()
    generator.seed()
    B = len(x_0)
    t = torch.randint(1, ddpm.schedule.T + 1, size=(B,), generator=generator)
    eps = torch.randn(x_0.shape, generator=generator)
    keep = torch.bernoulli(torch.full((B, 1), 1 - float(p_uncond)), generator=generator)
    x_t = ddpm.schedule.add_noise(x_0, t, eps)
    return torch.nn.MSELoss()(ddpm.unet(x_t=x_t, t_over_T=t / ddpm.schedule.T, y=torch.eye(10)[y] * keep), eps)


def two_noises_for_each_picture(ddpm, x_0, y, p_uncond):
    return game()(ddpm, torch.cat([x_0, x_0]), torch.cat([y, y]), p_uncond)


def loss_with_labels_in_a_list(ddpm, x_0, y, p_uncond):
    labels = [None if random.random() < p_uncond else int(digit) for digit in y]
    rows = torch.stack([torch.zeros(10) if d is None else torch.eye(10)[d] for d in labels])
    return game(rows=lambda y: rows, keep=lambda B, p: torch.ones(B, 1))(ddpm, x_0, y, p_uncond)


def as_in_the_paper(ddpm, x_0, y, p_uncond):
    """‖ε − ε_θ‖², divided by the number of pixels."""
    B = len(x_0)
    t = torch.multinomial(torch.ones(ddpm.schedule.T), B, replacement=True) + 1
    eps = torch.normal(0.0, 1.0, x_0.shape)
    y = F.one_hot(y, num_classes=10).float().masked_fill(torch.rand(B)[:, None] < p_uncond, 0.0)
    sigma = (1 - ddpm.schedule.alpha_bar[t]).sqrt()[:, None, None, None]
    x_t = (1 - sigma**2).sqrt() * x_0 + sigma * eps
    return torch.linalg.vector_norm(eps - ddpm.unet(x_t, t.float() / ddpm.schedule.T, y)) ** 2 / eps.numel()


def drop_labels_to_digit_0(ddpm, x_0, y, p_uncond):
    y = y * (torch.rand(len(y)) >= p_uncond)
    return game(keep=lambda B, p: 1)(ddpm, x_0, y, p_uncond)


def labels_in_place(ddpm, x_0, y, p_uncond):
    y[torch.rand(len(y)) < p_uncond] = 0
    return game()(ddpm, x_0, y, p_uncond)


def pictures_in_place(ddpm, x_0, y, p_uncond):
    loss = game()(ddpm, x_0, y, p_uncond)
    x_0 += 1
    return loss


def without_gradient(ddpm, x_0, y, p_uncond):
    with torch.no_grad():
        return game()(ddpm, x_0, y, p_uncond)


def seeded_loss(ddpm, x_0, y, p_uncond):
    torch.manual_seed(0)
    return game()(ddpm, x_0, y, p_uncond)


def exactly_a_share_of_labels(B, p):
    return (torch.randperm(B) >= round(B * p))[:, None]


def loss_left_below(ddpm, x_0, y, p_uncond):
    loss = game()(ddpm, x_0, y, p_uncond)
    loss.backward()
    return None


def from_eps(x, a, v):
    eps = (1 - a).sqrt() * x + a.sqrt() * v
    return (x - (1 - a).sqrt() * eps) / a.sqrt()


def from_eps_and_v(x, a, v):
    eps = (1 - a).sqrt() * x + a.sqrt() * v
    return (a.sqrt() * eps - v) / (1 - a).sqrt()


def by_angle(x, a, v):
    angle = torch.acos(a.sqrt())
    return x * torch.cos(angle) - v * torch.sin(angle)


def x_0_by_a_linear_system(x, a, v):
    out = []
    for one, bar, other in zip(x.double(), a.flatten().double(), v.double(), strict=True):
        signal, sigma = float(bar) ** 0.5, float(1 - bar) ** 0.5
        known = torch.stack([one.flatten(), other.flatten()])
        matrix = torch.tensor([[signal, sigma], [-sigma, signal]], dtype=torch.float64)
        out.append((torch.linalg.inv(matrix) @ known)[0].view(1, 28, 28))
    return torch.stack(out)


def x_0_picture_by_picture(x, a, v):
    pairs = zip(x, a.flatten().tolist(), v, strict=True)
    return [(bar**0.5 * one - (1 - bar) ** 0.5 * other).tolist() for one, bar, other in pairs]


def x_0_in_place(x, a, v):
    v *= (1 - a).sqrt()
    return a.sqrt() * x - v


def x_0_left_below(x_t, alpha_bar_t, v):
    x_0 = alpha_bar_t.sqrt() * x_t - (1 - alpha_bar_t).sqrt() * v
    assert x_0.shape == x_t.shape
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
    "loss": [
        game(),
        game(t=stratified),
        game(rows=lambda y: torch.eye(10)[y], score=lambda eps, eps_hat, x_0, x_t: (eps - eps_hat).pow(2).mean()),
        game(ask=lambda ddpm, x_t, t, rows: ddpm.predict_noise(x_t, t, rows)),
        game(ask=lambda ddpm, x_t, t, rows: ddpm.unet.forward(x_t, t.div(ddpm.schedule.T), y=rows)),
        game(score=lambda eps, eps_hat, x_0, x_t: (eps - eps_hat).square().sum() / eps.numel()),
        game(score=lambda eps, eps_hat, x_0, x_t: F.mse_loss(eps, eps_hat, reduction="none").mean()),
        with_the_schedules_own_method,
        one_picture_at_a_time,
        drawn_by_numpy,
        with_its_own_generator,
        two_noises_for_each_picture,
        loss_with_labels_in_a_list,
        as_in_the_paper,
    ],
    "x_0_from_v": [
        lambda x, a, v: a.sqrt() * x - (1 - a).sqrt() * v,
        lambda x, a, v: a.numpy() ** 0.5 * x.numpy() - (1 - a.numpy()) ** 0.5 * v.numpy(),
        lambda x, a, v: x.double() * a.double().sqrt() - v.double() * (1 - a.double()).sqrt(),
        lambda x, a, v: -((1 - a).sqrt() * v - a.sqrt() * x),
        from_eps,
        from_eps_and_v,
        by_angle,
        x_0_by_a_linear_system,
        x_0_picture_by_picture,
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
    "loss": [
        (game(score=lambda eps, eps_hat, x_0, x_t: F.mse_loss(eps_hat, x_0)), "with x_0"),
        (game(score=lambda eps, eps_hat, x_0, x_t: F.mse_loss(eps_hat, x_t)), "with x_t"),
        (game(score=lambda eps, eps_hat, x_0, x_t: F.mse_loss(eps_hat, torch.randn_like(eps))), "another noise"),
        (game(score=lambda eps, eps_hat, x_0, x_t: (eps - eps_hat).square().sum()), "sum"),
        (game(score=lambda eps, eps_hat, x_0, x_t: (eps - eps_hat).flatten(1).square().sum(1).mean()), "sum"),
        (game(score=lambda eps, eps_hat, x_0, x_t: (eps - eps_hat).abs().mean()), "absolute"),
        (game(score=lambda eps, eps_hat, x_0, x_t: F.mse_loss(eps_hat, eps).sqrt()), "root"),
        (game(score=lambda eps, eps_hat, x_0, x_t: F.mse_loss(eps_hat, eps) / 2), "half"),
        (game(score=lambda eps, eps_hat, x_0, x_t: (eps - eps_hat).mean() ** 2), None),
        (game(score=lambda eps, eps_hat, x_0, x_t: F.mse_loss(eps_hat, eps) * 1.05), None),
        (game(score=lambda eps, eps_hat, x_0, x_t: F.mse_loss(eps_hat, eps).item()), "gradient"),
        (game(score=lambda eps, eps_hat, x_0, x_t: F.mse_loss(eps_hat.detach(), eps)), "gradient"),
        (game(score=lambda eps, eps_hat, x_0, x_t: F.mse_loss(x_t, eps)), "gradient"),
        (game(score=lambda eps, eps_hat, x_0, x_t: F.mse_loss(eps_hat, eps, reduction="none")), None),
        (game(score=lambda eps, eps_hat, x_0, x_t: (eps - eps_hat).square().mean(dim=(1, 2, 3))), None),
        (game(t=lambda B, T: torch.randint(1, T, (B,))), "T is never drawn"),
        (game(t=lambda B, T: torch.randint(0, T, (B,))), "t = 0"),
        (game(t=lambda B, T: torch.randint(0, T + 1, (B,))), "t = 0"),
        (game(t=lambda B, T: torch.randint(1, T + 1, (1,)).expand(B)), "whole batch gets the same time"),
        (game(t=lambda B, T: torch.arange(B) % T + 1), "same times"),
        (game(eps=torch.rand_like), "rand"),
        (game(eps=lambda x: torch.randn_like(x[:1]).expand(x.shape)), "same noise"),
        (game(eps=lambda x: torch.randn(len(x), 1, 1, 1).expand(x.shape)), "all pixels"),
        (game(eps=lambda x: torch.randn(x.shape, generator=torch.Generator().manual_seed(0))), "same noise"),
        (game(x_t=lambda x_0, eps, bar: bar * x_0 + (1 - bar) * eps), "root"),
        (game(x_t=lambda x_0, eps, bar: (1 - bar).sqrt() * x_0 + bar.sqrt() * eps), "swapped"),
        (game(x_t=lambda x_0, eps, bar: x_0 + (1 - bar).sqrt() * eps), "scaled"),
        (game(x_t=lambda x_0, eps, bar: x_0 + eps), None),
        (game(x_t=lambda x_0, eps, bar: x_0), "x_0 itself"),
        (game(x_t=lambda x_0, eps, bar: bar.sqrt() * x_0 + (1 - bar.sqrt()) * eps), None),
        (game(ask=lambda ddpm, x_t, t, rows: ddpm.unet(x_t, t, rows)), "t/T"),
        (game(ask=lambda ddpm, x_t, t, rows: ddpm.unet(x_t, t.float(), rows)), "t/T"),
        (game(ask=lambda ddpm, x_t, t, rows: ddpm.unet(x_t, t / 500, rows)), None),
        (game(ask=lambda ddpm, x_t, t, rows: torch.zeros_like(x_t)), "never asks"),
        (game(keep=lambda B, p: 1), "no row ever loses"),
        (game(keep=lambda B, p: torch.rand(B, 1) < p), "other way round"),
        (game(keep=lambda B, p: torch.rand(1, 1) >= p), "whole batch loses"),
        (game(keep=lambda B, p: torch.rand(1, 10) >= p), "columns"),
        (game(keep=lambda B, p: torch.rand(B, 1) >= 0.1), None),
        (game(keep=lambda B, p: torch.rand(B, 1) >= p / 2), None),
        (game(keep=exactly_a_share_of_labels), "exactly"),
        (game(keep=lambda B, p: 0), "every row"),
        (game(keep=lambda B, p: (torch.rand(B, 1) >= p) / (1 - p + 1e-9)), "1 − p_uncond"),
        (game(rows=lambda y: y, keep=lambda B, p: torch.rand(B) >= p), "rows"),
        (game(rows=lambda y: y.float(), keep=lambda B, p: torch.rand(B) >= p), "rows"),
        (game(rows=lambda y: F.one_hot(y).float()), "10"),
        (game(rows=lambda y: F.one_hot((y + 1) % 10, 10).float()), None),
        (drop_labels_to_digit_0, "digit 0"),
        (labels_in_place, "in place"),
        (pictures_in_place, "in place"),
        (without_gradient, "gradient"),
        (seeded_loss, "same"),
        (lambda ddpm, x_0, y, p: ddpm.loss(x_0, y, p), "by hand"),
        (lambda ddpm, x_0, y, p: ddpm.errors(x_0, y, p)[1].mean(), "by hand"),
        (lambda ddpm, x_0, y, p: torch.tensor(1.0, requires_grad=True), "never asks"),
        (loss_left_below, "`return None`"),
        (no_return, "`return`"),
        (printed, "`return`"),
    ],
    "x_0_from_v": [
        (lambda x, a, v: a.sqrt() * x + (1 - a).sqrt() * v, "sign of v"),
        (lambda x, a, v: (1 - a).sqrt() * v - a.sqrt() * x, "−x_0"),
        (lambda x, a, v: (1 - a).sqrt() * x - a.sqrt() * v, "swapped"),
        (lambda x, a, v: (1 - a).sqrt() * x + a.sqrt() * v, "that is ε"),
        (lambda x, a, v: a * x - (1 - a) * v, "roots"),
        (lambda x, a, v: a * x - (1 - a).sqrt() * v, "root"),
        (lambda x, a, v: a.sqrt() * x - (1 - a) * v, "root"),
        (lambda x, a, v: (x - (1 - a).sqrt() * v) / a.sqrt(), "v where ε"),
        (lambda x, a, v: (a.sqrt() * x - v) / (1 - a).sqrt(), "x_t where ε"),
        (lambda x, a, v: x, "x_t itself"),
        (lambda x, a, v: v, "v itself"),
        (lambda x, a, v: -v, "−v"),
        (lambda x, a, v: a.sqrt() * x, "v is missing"),
        (lambda x, a, v: -(1 - a).sqrt() * v, "x_t is missing"),
        (lambda x, a, v: a.sqrt() * x - v, "√(1−ᾱ_t) is missing"),
        (lambda x, a, v: x - (1 - a).sqrt() * v, "√ᾱ_t is missing"),
        (lambda x, a, v: x - v, "levels"),
        (lambda x, a, v: a.sqrt() * x - (1 - a.sqrt()) * v, "1 − √ᾱ_t"),
        (lambda x, a, v: (a.sqrt() * x - (1 - a).sqrt() * v).clamp(-1, 1), "clip"),
        (lambda x, a, v: a[:1].sqrt() * x - (1 - a[:1]).sqrt() * v, "first picture"),
        (lambda x, a, v: (a.sqrt() * x - (1 - a).sqrt() * v) / 2, "half"),
        (lambda x, a, v: torch.randn_like(x), "no random numbers"),
        (lambda x, a, v: 1.01 * (a.sqrt() * x - (1 - a).sqrt() * v), None),
        (x_0_in_place, "in place"),
        (x_0_left_below, "`return None`"),
        (no_return, "`return`"),
        (printed, "`return`"),
    ],
}
