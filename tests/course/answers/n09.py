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


# ---------------------------------------------------------------------------- tests that a learner writes


def sampler_judge(film, alpha_bar):
    """As the hints lead to."""
    x_0 = torch.full((100, 1, 28, 28), 0.5)
    for s, x_s in film(x_0, 10):
        noise = x_s - alpha_bar[s].sqrt() * x_0
        if noise.mean().abs() > 0.05 or (noise.std() - (1 - alpha_bar[s]).sqrt()).abs() > 0.05:
            return False
    return True


def sampler_judge_in_numpy(film, alpha_bar):
    x_0 = torch.rand(50, 1, 28, 28) * 2 - 1
    worst = 0
    for s, x_s in film(x_0, steps=5):
        a = float(alpha_bar[s])
        rest = x_s.numpy() - np.sqrt(a) * x_0.numpy()
        worst = max(worst, abs(rest.mean()), abs(rest.std() - np.sqrt(1 - a)))
    return np.bool_(worst < 0.06)


def sampler_judge_by_variance(film, alpha_bar):
    x_0 = -torch.ones(100, 1, 28, 28)
    good = []
    for s, x_s in film(x_0, 20):
        good.append(torch.isclose(x_s.mean(), -alpha_bar[s].sqrt(), atol=0.05))
        good.append(torch.isclose(x_s.std(), (1 - alpha_bar[s]) ** 0.5, atol=0.05))
    return torch.stack(good).all()


def sampler_judge_by_z(film, alpha_bar):
    """Divides by the size of the noise, and looks at the last picture by itself."""
    x_0 = torch.zeros(60, 1, 28, 28)
    x_0[:, :, ::2] = 0.8
    *way, (last, x_last) = film(x_0, 8)
    for s, x_s in way:
        z = (x_s - alpha_bar[s].sqrt() * x_0) / (1 - alpha_bar[s]).sqrt()
        if abs(z.mean()) > 0.1 or not 0.93 < z.std() < 1.07:
            return False
    return last == 0 and bool(torch.allclose(x_last, x_0, atol=0.01))


def sampler_judge_twice(film, alpha_bar):
    return all(sampler_judge(film, alpha_bar) for _ in range(2)) and 1


def judged_film(means=True, stds=True, x=0.5, steps=10, pick=lambda frames: frames, tolerance=0.05, size=1, n=100,
                difference=abs):  # fmt: skip
    """A test of samplers that sees too little, or too much."""

    def judge(film, alpha_bar):
        x_0 = torch.full((n, 1, 28, 28), x)
        for s, x_s in pick(film(x_0, steps)):
            noise = x_s - alpha_bar[s].sqrt() * x_0
            if means and difference(noise.mean()) > tolerance:
                return False
            if stds and difference(noise.std() - (1 - alpha_bar[s]) ** (size / 2)) > tolerance:
                return False
        return True

    return judge


def asserting(film, alpha_bar):
    assert sampler_judge(film, alpha_bar)
    return True


def silent_where_it_is_right(film, alpha_bar):
    if not sampler_judge(film, alpha_bar):
        return False


def times_judge(draw_times):
    T, n = 20, 20_000
    count = torch.bincount(draw_times(T, n), minlength=T + 2)
    return len(count) == T + 2 and count[0] == 0 and count[T + 1] == 0 and bool((count[1:-1] > 0.7 * n / T).all())


def times_judge_in_numpy(draw_times):
    values, counts = np.unique(draw_times(10, 10_000).numpy(), return_counts=True)
    return list(values) == list(range(1, 11)) and max(counts) / min(counts) < 1.5


def times_judge_in_python(draw_times):
    t = [int(number) for number in draw_times(6, 6000)]
    return min(t) == 1 and max(t) == 6 and all(800 < t.count(k) < 1200 for k in range(1, 7))


def times_judge_of_two_batches(draw_times):
    for _ in range(2):
        t = draw_times(8, 8000)
        share = torch.tensor([(t == k).float().mean() for k in range(1, 9)])
        if t.min() < 1 or t.max() > 8 or (share - 1 / 8).abs().max() > 0.03:
            return False
    return True


def times_judge_by_histogram(draw_times):
    t = draw_times(25, 50_000).float()
    shares = torch.histc(t, bins=25, min=0.5, max=25.5) / 50_000
    return bool((t >= 1).all() and (t <= 25).all() and torch.allclose(shares, torch.tensor(0.04), atol=0.01))


def times_pooled(draw_times):
    t = torch.cat([draw_times(5, 16) for _ in range(2000)])
    count = torch.bincount(t, minlength=6)
    return len(count) == 6 and count[0] == 0 and bool((count[1:] > 0.75 * len(t) / 5).all())


def dropout_judge(drop):
    labels = torch.arange(10).repeat(300)
    for p in (0.1, 0.6):
        rows = drop(labels, p)
        empty = rows.sum(1) == 0
        if abs(empty.float().mean() - p) > 0.05 or (rows[~empty] != F.one_hot(labels, 10)[~empty]).any():
            return False
    return True


def dropout_judge_in_numpy(drop):
    labels = torch.randint(10, (4000,))
    for p in (0.25, 0.75):
        rows = drop(labels, p).numpy()
        empty = ~rows.any(axis=1)
        kept_right = np.allclose(rows[~empty], np.eye(10)[labels[~empty]])
        if not kept_right or not p - 0.05 < empty.mean() < p + 0.05:
            return False
    return True


def dropout_judge_in_a_loop(drop):
    for p in (0.3, 0.8):
        labels, dropped = [k % 10 for k in range(2000)], 0
        for label, row in zip(labels, drop(torch.tensor(labels), p).tolist(), strict=True):
            if row == [0] * 10:
                dropped += 1
            elif row != [float(k == label) for k in range(10)]:
                return False
        if not (p - 0.06) * 2000 < dropped < (p + 0.06) * 2000:
            return False
    return True


def dropout_judge_with_the_ends(drop):
    labels, rows = torch.arange(10).repeat(200), torch.eye(10).repeat(200, 1)
    if not torch.equal(drop(labels, 0).float(), rows) or drop(labels, 1).any():
        return False
    got = drop(labels, 0.3).float()
    kept = got.any(1)
    return bool(abs(kept.float().mean() - 0.7) < 0.05) and torch.equal(got, rows * kept[:, None])


def dropout_judge_by_digit(drop):
    """Each digit on its own loses its label as often as the others."""
    for p in (0.2, 0.9):
        for k in range(10):
            rows = drop(torch.full((2000,), k), p)
            if not set(rows.flatten().tolist()) <= {0, 1} or rows.sum() != rows[:, k].sum():
                return False
            if abs(rows.sum() / 2000 - (1 - p)) > 0.07:
                return False
    return True


def judged_dropout(labels=range(10), shares=(0.2, 0.7), look=True, tolerance=0.05, n=300, kept=True, batches=1):
    def judge(drop):
        y = torch.tensor(list(labels)).repeat(n)
        for p in shares:
            rows = torch.cat([drop(y, p) for _ in range(batches)])
            empty = (rows == 0).all(dim=1)
            if kept and not torch.equal(rows[~empty].float(), F.one_hot(y.repeat(batches), 10)[~empty].float()):
                return False
            if look and abs(empty.float().mean() - p) > tolerance:
                return False
        return True

    return judge


def guidance_judge(guided):
    y, null = torch.randn(2, 3, 1, 28, 28)
    return all(torch.allclose(guided(y, null, w), y + w * (y - null), atol=1e-4) for w in (-1, -0.3, 0, 0.4, 1, 2.5, 7))


def guidance_judge_of_numbers(guided):
    y, null = torch.full((1, 1, 28, 28), 2.0), torch.full((1, 1, 28, 28), 0.5)
    wanted = {-1: 0.5, -0.5: 1.25, 0: 2.0, 1: 3.5, 3: 6.5}
    return np.all([abs(guided(y, null, w).mean().item() - value) < 1e-3 for w, value in wanted.items()])


def guidance_judge_by_the_line(guided):
    """Right at 0 and −1, and a straight line between all of them."""
    y, null = torch.randn(1, 1, 28, 28), torch.randn(1, 1, 28, 28)
    at = {w: guided(y, null, w) for w in (-1, -0.5, 0, 0.5, 1, 2, 4)}
    if (at[0] - y).abs().max() > 1e-3 or (at[-1] - null).abs().max() > 1e-3:
        return False
    return all((x - (at[0] + w * (at[0] - at[-1]))).abs().max() < 1e-3 for w, x in at.items())


def guidance_judge_in_numpy(guided):
    y, null = torch.rand(2, 2, 1, 28, 28)
    for w in np.linspace(-1, 5, 13):
        want = (1 + w) * y.double().numpy() - w * null.double().numpy()
        if not np.allclose(guided(y, null, float(w)).numpy(), want, atol=1e-3):
            return False
    return True


def guidance_judge_by_mean(guided):
    y, null = torch.randn(64, 1, 28, 28), torch.randn(64, 1, 28, 28) + 1
    off = [(guided(y, null, w) - (1 + w) * y + w * null).pow(2).mean() for w in (-1, -0.6, 0, 0.6, 2, 3)]
    return max(off) < 1e-6


def judged_guidance(weights, want=lambda y, null, w: (1 + w) * y - w * null, equal=None, alike=False):
    def judge(guided):
        y, null = torch.randn(2, 4, 1, 28, 28)
        null = y if alike else null
        close = equal or (lambda a, b: torch.allclose(a, b, atol=1e-4))
        return all(close(guided(y, null, w), want(y, null, w)) for w in weights)

    return judge


def linear_only(guided):
    y, null = torch.randn(2, 4, 1, 28, 28)
    one, two, three = (guided(y, null, w) for w in (1, 2, 3))
    return torch.allclose(three - two, two - one, atol=1e-4)


def opposite(judge):
    return lambda *inputs: not judge(*inputs)


EVERY_W = (-1, -0.5, 0, 0.5, 1, 3)

RIGHT = {
    "sampler_test": [
        sampler_judge,
        sampler_judge_in_numpy,
        sampler_judge_by_variance,
        sampler_judge_by_z,
        sampler_judge_twice,
        judged_film(x=1.0, tolerance=0.03),
        judged_film(x=-0.7, steps=6, tolerance=0.08),
    ],
    "times_test": [
        times_judge,
        times_judge_in_numpy,
        times_judge_in_python,
        times_judge_of_two_batches,
        times_judge_by_histogram,
    ],
    "dropout_test": [
        dropout_judge,
        dropout_judge_in_numpy,
        dropout_judge_in_a_loop,
        dropout_judge_with_the_ends,
        dropout_judge_by_digit,
        judged_dropout(),
    ],
    "guidance_test": [
        guidance_judge,
        guidance_judge_of_numbers,
        guidance_judge_by_the_line,
        guidance_judge_in_numpy,
        guidance_judge_by_mean,
        judged_guidance(EVERY_W),
    ],
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
    "sampler_test": [
        (judged_film(pick=lambda frames: frames[-1:]), "last picture"),
        (judged_film(steps=1), "last picture"),
        (judged_film(stds=False), "means alone"),
        (judged_film(means=False), "standard deviation alone"),
        (judged_film(x=0.0), "x_0 = 0"),
        (judged_film(pick=lambda frames: frames[:-1]), "last step"),
        (judged_film(steps=100, tolerance=0.07, n=30), "last step"),
        (judged_film(pick=lambda frames: frames[:1]), "first step"),
        (judged_film(steps=500, n=20), "fewer steps"),
        (judged_film(difference=lambda value: value), "upwards"),
        (judged_film(tolerance=1e-4), "refuses right code"),
        (judged_film(size=2), "refuses right code"),
        (judged_film(tolerance=2.0), "finds nothing"),
        (opposite(sampler_judge), "other way round"),
        (judged_film(steps=80, n=300), "too many"),
        (lambda film, alpha_bar: len(film(torch.zeros(10, 1, 28, 28), 10)) == 10, "finds nothing"),
        (lambda film, alpha_bar: film(torch.zeros(28, 28), 10) is None, "(B, 1, 28, 28)"),
        (lambda film, alpha_bar: film(torch.zeros(4, 1, 28, 28), 10)[-1][1], "True or False"),
        (lambda film, alpha_bar: "right" if sampler_judge(film, alpha_bar) else "wrong", "str"),
        (asserting, "assert"),
        (silent_where_it_is_right, "`return`"),
        (no_return, "`return`"),
    ],
    "times_test": [
        (lambda draw_times: abs(draw_times(20, 50_000).float().mean() - 10.5) < 0.3, "half as often"),
        (lambda draw_times: set(draw_times(20, 20_000).tolist()) == set(range(1, 21)), "how often"),
        (lambda draw_times: draw_times(50, 20_000).min() > 0 and draw_times(50, 20_000).max() <= 50, "strange"),
        (lambda draw_times: bool((draw_times(900, 20_000) == 900).any()), "T comes"),
        (lambda draw_times: bool((draw_times(3000, 60_000) == 1).any()), "1 comes"),
        (lambda draw_times: draw_times(900, 20_000).max() == 900, "largest time"),
        (lambda draw_times: draw_times(3000, 60_000).min() == 1, "smallest time"),
        (times_pooled, "one time for the whole batch"),
        (lambda draw_times: len(draw_times(20, 64)) == 64, "finds nothing"),
        (lambda draw_times: bool((torch.bincount(draw_times(20, 20_000))[1:] == 1000).all()), "right code"),
        (opposite(times_judge), "other way round"),
        (lambda draw_times: set(draw_times(20, 60).tolist()) == set(range(1, 21)), "draw more"),
        (lambda draw_times: draw_times(20, 20_000), "True or False"),
        (no_return, "`return`"),
    ],
    "dropout_test": [
        (judged_dropout(kept=False), "kept rows"),
        (judged_dropout(n=1, batches=800, tolerance=0.09), "whole batch"),
        (judged_dropout(n=1, batches=800, tolerance=0.09, kept=False), "whole batch"),
        (judged_dropout(shares=[0.1]), "always 0.1"),
        (judged_dropout(shares=[0.1], kept=False), "p_uncond = 0.1 alone"),
        (judged_dropout(look=False), "how many"),
        (judged_dropout(shares=[1.0]), "between 0 and 1"),
        (judged_dropout(shares=[0.0]), "p_uncond = 0"),
        (judged_dropout(shares=[0.5]), "other than ½"),
        (judged_dropout(tolerance=0, n=301), "right code"),
        (judged_dropout(n=5), "chance"),
        (opposite(dropout_judge), "other way round"),
        (lambda drop: drop(torch.arange(10), 0.1).shape == (10, 10), "finds nothing"),
        (lambda drop: drop(torch.arange(10), 0.1).sum(1) == 0, "True or False"),
        (no_return, "`return`"),
    ],
    "guidance_test": [
        (judged_guidance([0]), "w = 0 alone"),
        (judged_guidance([0, -1]), "short ways"),
        (judged_guidance([1]), "w = 1 alone"),
        (judged_guidance([0.5, 1, 3]), "below 0"),
        (judged_guidance(EVERY_W, alike=True), "equal"),
        (judged_guidance(EVERY_W, equal=torch.equal), "rounding"),
        (judged_guidance(EVERY_W, want=lambda y, null, w: null + w * (y - null)), "room 10"),
        (judged_guidance(EVERY_W, want=lambda y, null, w: (1 + w) * y + w * null), "room 11"),
        (judged_guidance(EVERY_W, equal=lambda a, b: a.shape == b.shape), "finds nothing"),
        (linear_only, "finds nothing"),
        (judged_guidance([-1, -0.5, 0]), "above 1"),
        (judged_guidance([-1, -0.5, 0, 1]), "above 1"),
        (judged_guidance([0, 0.5, 1]), "between 0 and 1"),
        (judged_guidance([2]), "below 0"),
        (opposite(guidance_judge), "other way round"),
        (lambda guided: guided(torch.ones(1), torch.zeros(1), 3), "True or False"),
        (no_return, "`return`"),
    ],
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
