"""Answers to the exercises of notebook 09, written from their text; see n04.py."""

import copy
import random

import numpy as np
import torch
import torch.nn.functional as F


def no_return(*inputs):
    print(type(inputs[0]))


def step_with_zeros(mean, std, s):
    z = torch.randn(mean.shape) if s > 0 else torch.zeros(mean.shape)
    return mean + std * z


def step_in_numpy(mean, std, s):
    mean = mean.numpy().astype(np.float64)
    return mean + std * np.random.standard_normal(mean.shape) if s != 0 else mean


def step_picture_by_picture(mean, std, s):
    if not s:
        return mean.clone()
    return torch.stack([picture + std * torch.randn(1, 28, 28) for picture in mean])


def noised_in_place(mean, std, s):
    if s > 0:
        mean += std * torch.randn_like(mean)
    return mean


def silent_at_the_end(mean, std, s):
    if s > 0:
        return mean + std * torch.randn_like(mean)


def step_from_one_seed(mean, std, s):
    z = torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))
    return mean + std * z * (s > 0)


def step_that_seeds(mean, std, s):
    torch.manual_seed(0)
    return mean + std * torch.randn_like(mean) * (s > 0)


def noised_with(noise, end=lambda mean, std: mean):
    return lambda mean, std, s: end(mean, std) if s == 0 else noise(mean, std)


def left_below(mean, std, s):
    mean + std * torch.randn_like(mean)
    return None


def times_from_one_seed(T, batch):
    return torch.randint(1, T + 1, (batch,), generator=torch.Generator().manual_seed(0))


def times_that_seed(T, batch):
    torch.manual_seed(0)
    return torch.randint(1, T + 1, (batch,))


def updated(average, model, decay):
    new = dict(average)
    for name, value in model.items():
        if name[:9] != "schedule.":
            new[name] = new[name] * decay + value * (1 - decay)
    return new


def updated_backwards(average, model, decay):
    new = {}
    for name in reversed(list(average)):
        keep = 1 if name.split(".")[0] == "schedule" else decay
        new[name] = keep * average[name] + (1 - keep) * model[name]
    return new


def averaged_where(is_table, of_table=lambda a, m, decay: a):
    """An average that takes some names for tables."""
    return lambda average, model, decay: {
        name: of_table(a, model[name], decay) if is_table(name) else decay * a + (1 - decay) * model[name]
        for name, a in average.items()
    }


def average_with(mix):
    return lambda average, model, decay: {
        name: a if name.startswith("schedule.") else mix(a, model[name], decay) for name, a in average.items()
    }


def average_in_place(average, model, decay):
    for name, value in average.items():
        if not name.startswith("schedule."):
            value.mul_(decay).add_((1 - decay) * model[name])
    return average


def average_into_the_dict(average, model, decay):
    for name in average:
        if not name.startswith("schedule."):
            average[name] = decay * average[name] + (1 - decay) * model[name]
    return average


def is_table(name):
    return name.startswith("schedule.")


def zeroed(labels, keep):
    rows = F.one_hot(labels, 10)
    rows[~keep] = 0
    return rows


def rows_in_a_loop(labels, keep):
    return [[int(kept and k == label) for k in range(10)] for label, kept in zip(labels, keep, strict=True)]


def rows_by_scatter(labels, keep):
    return torch.zeros(len(labels), 10).scatter_(1, labels[:, None], keep[:, None].float())


def without_column_0(labels, keep):
    rows = F.one_hot(labels * keep, 10)
    rows[:, 0] = 0
    return rows


def labels_in_place(labels, keep):
    labels[~keep] = 0
    return F.one_hot(labels, 10) * keep[:, None]


def copied(widths, embedding_width):
    widths = list(widths)
    widths[-1] += 2 * embedding_width
    return widths


def copied_deep(widths, embedding_width):
    new = copy.deepcopy(widths)
    new[len(widths) - 1] = new[-1] + embedding_width + embedding_width
    return tuple(new)


def appended(widths, embedding_width):
    new = []
    for i, width in enumerate(widths):
        new.append(width + 2 * embedding_width if i == len(widths) - 1 else width)
    return new


def in_tensor(widths, embedding_width):
    new = torch.tensor(widths)
    new[-1] += 2 * embedding_width
    return new


def only_another_name(widths, embedding_width):
    new = widths
    new[-1] += 2 * embedding_width
    return new


def changed_and_silent(widths, embedding_width):
    widths[-1] += 2 * embedding_width


def last_replaced(widths, embedding_width):
    return [*widths[:-1], 2 * embedding_width]


RIGHT = {
    "repaired_step": [
        lambda mean, std, s: mean + (s > 0) * std * torch.randn(mean.shape),
        lambda mean, std, s: torch.normal(mean, std) if s else mean,
        lambda mean, std, s: mean.double() + (std * torch.randn_like(mean.double()) if s else 0),
        lambda mean, std, s: (mean + std * torch.empty_like(mean).normal_() * min(s, 1)).tolist(),
        lambda mean, std, s: torch.distributions.Normal(mean, std).sample() if s >= 1 else mean,
        step_with_zeros,
        step_in_numpy,
        step_picture_by_picture,
    ],
    "repaired_times": [
        lambda T, batch: 1 + torch.randint(T, (batch,)),
        lambda T, batch: np.random.randint(1, T + 1, batch),
        lambda T, batch: np.random.default_rng().integers(1, T, size=batch, endpoint=True),
        lambda T, batch: [random.randint(1, T) for _ in range(batch)],
        lambda T, batch: random.choices(range(1, T + 1), k=batch),
        lambda T, batch: (torch.rand(batch) * T).long() + 1,
        lambda T, batch: torch.multinomial(torch.ones(T), batch, replacement=True) + 1,
        lambda T, batch: torch.arange(1, T + 1)[torch.randint(0, T, size=(batch,))],
        lambda T, batch: torch.stack([torch.randint(1, T + 1, ()) for _ in range(batch)]),
        # stratified, as notebook 03 allows
        lambda T, batch: (torch.arange(batch) + torch.randint(T, ())) % T + 1,
        lambda T, batch: (torch.randperm(T) + 1).repeat(batch // T + 1)[:batch],
    ],
    "repaired_average": [
        lambda a, m, d: {k: a[k] if k.startswith("schedule.") else torch.lerp(m[k], a[k], d) for k in a},
        lambda a, m, d: {k: v if k[:9] == "schedule." else v + (1 - d) * (m[k] - v) for k, v in a.items()},
        lambda a, m, d: {k: v.double() if is_table(k) else d * v.double() + (1 - d) * m[k] for k, v in a.items()},
        lambda a, m, d: {k: v.numpy() if is_table(k) else d * v.numpy() + (1 - d) * m[k].numpy() for k, v in a.items()},
        lambda a, m, d: {**a, **{k: (d * a[k] + (1 - d) * m[k]).tolist() for k in a if not is_table(k)}},
        averaged_where(lambda name: "schedule" in name),
        updated,
        updated_backwards,
    ],
    "repaired_dropout": [
        lambda labels, keep: F.one_hot(labels, 10).float() * keep.unsqueeze(1).float(),
        lambda labels, keep: torch.eye(10)[labels] * keep.view(-1, 1),
        lambda labels, keep: np.eye(10)[labels.numpy()] * keep.numpy()[:, None],
        lambda labels, keep: torch.where(keep[:, None], F.one_hot(labels, num_classes=10), 0),
        lambda labels, keep: F.one_hot(torch.where(keep, labels, 10), 11)[:, :10],
        lambda labels, keep: (labels[:, None] == torch.arange(10)) & keep[:, None],
        lambda labels, keep: torch.diag(keep.double()) @ torch.eye(10).double()[labels],
        zeroed,
        rows_in_a_loop,
        rows_by_scatter,
    ],
    "repaired_config": [
        lambda widths, embedding_width: [*widths[:-1], widths[-1] + 2 * embedding_width],
        lambda widths, e: np.array(widths) + np.array([0] * (len(widths) - 1) + [2 * e]),
        lambda widths, e: (*widths[:-1], float(widths[-1] + e + e)),
        copied,
        copied_deep,
        appended,
        in_tensor,
    ],
}

WRONG = {
    "repaired_step": [
        (lambda mean, std, s: mean + std**2 * torch.rand_like(mean), "rand"),
        (noised_with(lambda mean, std: mean + std * torch.rand_like(mean)), "uniform"),
        (lambda mean, std, s: mean + std * torch.rand_like(mean), "rand"),
        (noised_with(lambda mean, std: mean + std**2 * torch.randn_like(mean)), "variance"),
        (lambda mean, std, s: mean + std**2 * torch.randn_like(mean), "variance"),
        (lambda mean, std, s: mean + std * torch.randn_like(mean), "s = 0"),
        (noised_with(lambda mean, std: mean + std**0.5 * torch.randn_like(mean)), "root"),
        (lambda mean, std, s: mean if s <= 1 else mean + std * torch.randn_like(mean), "s = 1"),
        (lambda mean, std, s: mean if s > 0 else mean + std * torch.randn_like(mean), "other way round"),
        (noised_with(lambda mean, std: mean + std * (torch.rand_like(mean) - 0.5)), "uniform"),
        (noised_with(lambda mean, std: mean + std * (2 * torch.rand_like(mean) - 1)), "uniform"),
        (noised_with(lambda mean, std: mean + std * (torch.rand_like(mean) - 0.5) * 12**0.5), "uniform"),
        (lambda mean, std, s: mean, "noise is missing"),
        (noised_with(lambda mean, std: mean + torch.randn_like(mean)), "standard deviation 1"),
        (noised_with(lambda mean, std: std * torch.randn_like(mean)), "mean"),
        (noised_with(lambda mean, std: mean + std * torch.randn(1, 1, 28, 28)), "every picture"),
        (noised_with(lambda mean, std: mean + std * torch.randn(())), "all pixels"),
        (noised_with(lambda mean, std: mean + std * torch.randn(len(mean), 1, 1, 1)), "all pixels"),
        (noised_with(lambda mean, std: mean * torch.randn_like(mean) * std), None),
        (noised_with(lambda mean, std: mean + std * torch.randn_like(mean), lambda mean, std: 0 * mean), "s = 0"),
        (lambda mean, std, s: mean - std, None),
        (step_from_one_seed, "same noise"),
        (step_that_seeds, "same noise"),
        (noised_in_place, "in place"),
        (silent_at_the_end, "`return`"),
        (left_below, "`return None`, is still there"),
        (no_return, "`return`"),
    ],
    "repaired_times": [
        (lambda T, batch: torch.randint(1, T, (batch,)), "T"),
        (lambda T, batch: torch.randint(T, (batch,)), "0"),
        (lambda T, batch: torch.randint(0, T + 1, (batch,)), "0"),
        (lambda T, batch: torch.randint(1, T + 2, (batch,)), "T + 1"),
        (lambda T, batch: torch.arange(batch) % T + 1, "same times"),
        (lambda T, batch: torch.linspace(1, T, batch).round(), "same times"),
        (lambda T, batch: torch.randint(1, T + 1, ()).expand(batch), "whole batch"),
        (lambda T, batch: [random.randint(1, T)] * batch, "whole batch"),
        (lambda T, batch: torch.empty(batch).random_(1, T + 1), "whole number"),
        (lambda T, batch: torch.randperm(T)[:batch] + 1, None),
        (lambda T, batch: 1 + (T - 1) * torch.rand(batch), "whole number"),
        (lambda T, batch: T * torch.rand(batch), "whole number"),
        (lambda T, batch: 1 + ((T - 1) * torch.rand(batch)).round(), "half"),
        (lambda T, batch: (T * torch.rand(batch)).round().long(), "half"),
        (lambda T, batch: torch.randint(1, T + 1, (batch, 1)), "shape"),
        (lambda T, batch: torch.randint(1, batch + 1, (T,)), "shape"),
        (lambda T, batch: int(torch.randint(1, T + 1, ())), "shape"),
        (lambda T, batch: (T / 2 + T / 6 * torch.randn(batch)).round().clamp(1, T), None),
        (times_from_one_seed, "same times"),
        (times_that_seed, "same times"),
        (no_return, "`return`"),
    ],
    "repaired_average": [
        (averaged_where(lambda name: False), "schedule"),
        (averaged_where(is_table, lambda a, m, decay: m), "model's"),
        (averaged_where(is_table, lambda a, m, decay: 0 * a), "schedule"),
        (average_with(lambda a, m, decay: decay * m + (1 - decay) * a), "swapped"),
        (averaged_where(lambda name: name == "schedule.beta"), "all"),
        (averaged_where(lambda name: name == "schedule.alpha_bar"), "all"),
        (averaged_where(lambda name: not is_table(name)), "other way round"),
        (lambda a, m, d: {k: d * a[k] + (1 - d) * m[k] for k in a if not is_table(k)}, "names"),
        (average_with(lambda a, m, decay: decay * a + m), "1 − decay"),
        (average_with(lambda a, m, decay: decay * a + decay * m), "1 − decay"),
        (average_with(lambda a, m, decay: (a + m) / 2), "half"),
        (average_with(lambda a, m, decay: m), "model"),
        (lambda average, model, decay: dict(average), "nothing"),
        (lambda average, model, decay: dict(model), "model"),
        (average_in_place, "in place"),
        (average_into_the_dict, "in place"),
        (lambda a, m, d: torch.stack([d * a[k].mean() + (1 - d) * m[k].mean() for k in a]), "dict"),
        (no_return, "`return`"),
    ],
    "repaired_dropout": [
        (lambda labels, keep: F.one_hot(labels * keep, 10), "zero"),
        (lambda labels, keep: F.one_hot(labels, 10) * ~keep[:, None], "other way round"),
        (lambda labels, keep: F.one_hot(labels, 10), "nothing is dropped"),
        (lambda labels, keep: F.one_hot(labels) * keep[:, None], "there are 10"),
        (lambda labels, keep: F.one_hot(labels, 10) * keep, "raised RuntimeError"),
        (lambda labels, keep: F.one_hot(labels, 10)[keep], "shape"),
        (lambda labels, keep: F.one_hot(torch.where(keep, labels, 10), 11), "shape"),
        (lambda labels, keep: torch.where(keep[:, None], F.one_hot(labels, 10), 0.1), "1/10"),
        (lambda labels, keep: torch.where(keep[:, None], F.one_hot(labels, 10), -1), "−1"),
        (lambda labels, keep: F.one_hot(labels, 10) * (labels * keep > 0)[:, None], "real zero"),
        (without_column_0, "real zero"),
        (lambda labels, keep: F.one_hot(labels, 10) * keep.all(), "whole batch"),
        (lambda labels, keep: F.one_hot(labels, 10) * keep.any(), "whole batch"),
        (lambda labels, keep: F.one_hot(labels, 10) * keep[0], "whole batch"),
        (lambda labels, keep: torch.zeros(len(labels), 10), "all rows"),
        (lambda labels, keep: F.one_hot(labels, 10) * (torch.rand(len(labels), 1) > 0.1), "random"),
        (lambda labels, keep: labels * keep, "shape"),
        (labels_in_place, "in place"),
        (no_return, "`return`"),
    ],
    "repaired_config": [
        (only_another_name, "in place"),
        (lambda widths, e: widths.append(widths.pop() + 2 * e) or widths, "in place"),
        (changed_and_silent, "`return`"),
        (lambda widths, e: [*widths[:-1], widths[-1] + e], "two"),
        (lambda widths, e: [width + 2 * e for width in widths], "last"),
        (lambda widths, e: [widths[0] + 2 * e, *widths[1:]], "last"),
        (lambda widths, e: [*widths, 2 * e], "longer"),
        (lambda widths, e: [*widths, widths[-1] + 2 * e], "longer"),
        (last_replaced, "add"),
        (lambda widths, e: [*widths[:-1], widths[-1] * 2 * e], "add"),
        (lambda widths, e: [*widths[:-1], widths[-1] + e**2], "square"),
        (lambda widths, e: [*widths[:-1], 2 * (widths[-1] + e)], "double"),
        (lambda widths, e: [*widths[:-1], widths[-1] - 2 * e], "subtract"),
        (lambda widths, e: list(widths), "as they were"),
        (lambda widths, e: widths[-1] + 2 * e, "shape"),
        (lambda widths, e: [widths[-1] + 2 * e], "shape"),
        (lambda widths, e: [32, 64, 128 + 2 * e], None),
        (no_return, "`return`"),
    ],
}
