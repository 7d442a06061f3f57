"""Answers to the exercises of notebook 06, written from their text; see n04.py."""

import itertools
import math
import re

import numpy as np
import torch
import torch.nn.functional as F


def no_return(*inputs):
    inputs[0] * 2


def unit(digit, n=10):
    return [1.0 if i == digit else 0.0 for i in range(n)]


def assigned(a, b, share):
    y = torch.zeros(10)
    y[a] = 1 - share
    y[b] = share
    return y


def added(a, b, share):
    y = torch.zeros(10)
    y[a] += 1 - share
    y[b] += share
    return y


def whole_numbers(a, b, share):
    y = torch.zeros(10, dtype=torch.long)
    y[a] = 1 - share
    y[b] = share
    return y


def row_printed(a, b, share):
    print(added(a, b, share))


def row_left_below(a, b, share):
    y = torch.zeros(10)
    y[a] += 1 - share
    y[b] += share
    return None


def a_keeps_its_weight(a, b, share):
    y = torch.zeros(10)
    y[a] = 1
    y[b] = share
    return y


def in_between(a, b, share):
    y = torch.zeros(10)
    y[round((1 - share) * a + share * b)] = 1
    return y


def smeared(a, b, share):
    number = (1 - share) * a + share * b
    y = torch.zeros(11)
    y[int(number)] += 1 - number % 1
    y[int(number) + 1] += number % 1
    return y[:10]


def digits_of(date):
    return [int(c) for c in date if c.isdigit()]


def birthday(mix=added, shares=lambda n: [k / (n + 1) for k in range(n + 1)], digits=digits_of, last=True):
    """The rows of a date: between two neighbours mix(a, b, share) at these shares."""

    def attempt(date, n):
        d = digits(date)
        rows = [mix(a, b, share) for a, b in itertools.pairwise(d) for share in shares(n)]
        rows += [mix(d[-1], d[-1], 0.0)] if last else []
        return torch.stack(rows)

    return attempt


def by_interpolation(date, n):
    d = digits_of(date)
    one_hot = F.one_hot(torch.tensor(d), 10).float().T[None]
    return F.interpolate(one_hot, size=len(d) + (len(d) - 1) * n, mode="linear", align_corners=True)[0].T


def by_np_interp(date, n):
    d = [int(c) for c in re.sub(r"\D", "", date)]
    at = np.arange(len(d) + (len(d) - 1) * n) / (n + 1)
    return np.stack([np.interp(at, np.arange(len(d)), [float(x == i) for x in d]) for i in range(10)], axis=1)


def by_lists(date, n):
    d = [int(c) for c in date.replace(".", "")]
    rows = []
    for i in range(len(d) - 1):
        rows.append(unit(d[i]))
        for k in range(1, n + 1):
            row = [0.0] * 10
            row[d[i]] += (n + 1 - k) / (n + 1)
            row[d[i + 1]] += k / (n + 1)
            rows.append(row)
    return [*rows, unit(d[-1])]


def into_zeros(date, n):
    d = [int(c) for part in date.split(".") for c in part]
    out = np.zeros((len(d) + (len(d) - 1) * n, 10))
    for i, digit in enumerate(d):
        for k in range(-n, n + 1):
            if 0 <= i * (n + 1) + k < len(out):
                out[i * (n + 1) + k, digit] += 1 - abs(k) / (n + 1)
    return out


def by_lerp(date, n):
    e = torch.eye(10, dtype=torch.float64)[digits_of(date)]
    way = torch.linspace(0, 1, n + 2, dtype=torch.float64)[:-1, None]
    return torch.cat([torch.cat([torch.lerp(p, q, way) for p, q in itertools.pairwise(e)]), e[-1:]])


def around_the_clock(date, n):
    d = digits_of(date)
    return birthday(last=False, digits=lambda _: [*d, d[0]])(date, n)


def mixtures_alone(date, n):
    return birthday(shares=lambda n: [k / (n + 1) for k in range(1, n + 1)], last=False)(date, n)


def held(date, n):
    d = digits_of(date)
    return torch.eye(10)[[x for x in d[:-1] for _ in range(n + 1)] + d[-1:]]


def rows_printed(date, n):
    print(birthday()(date, n).shape)


def list_of_tensors(date, n):
    return list(birthday()(date, n))


def rows_left_below(date, n):
    rows = []
    for a, b in itertools.pairwise(digits_of(date)):
        rows += [added(a, b, k / (n + 1)) for k in range(n + 1)]
    return None


def eight_digits(date, n):
    d = digits_of(date)
    out = torch.zeros(36, 10)
    for i in range(36):
        before, k = divmod(i, 5)
        out[i, d[before]] += 1 - k / 5
        out[i, d[min(before + 1, 7)]] += k / 5
    return out


def sphere(z_a, z_b, share):
    """Slerp, for each picture."""
    a, b = z_a.flatten(1), z_b.flatten(1)
    angle = torch.acos((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)))[:, None, None, None]
    return (torch.sin((1 - share) * angle) * z_a + torch.sin(share * angle) * z_b) / torch.sin(angle)


def sphere_of_all(z_a, z_b, share):
    """Slerp of the whole batch as one vector."""
    angle = torch.acos(F.cosine_similarity(z_a.flatten(), z_b.flatten(), dim=0)).item()
    return (math.sin((1 - share) * angle) * z_a + math.sin(share * angle) * z_b) / math.sin(angle)


def plain(a, b, s):
    return (1 - s) * a + s * b


def mended(a, b, s):
    return plain(a, b, s) / math.hypot(1 - s, s)


def noise_in_place(a, b, s):
    a *= 1 - s
    a += s * b
    return a / math.hypot(1 - s, s)


def noise_printed(a, b, s):
    print(mended(a, b, s).std())


def noise_left_below(a, b, s):
    mixture = (1 - s) * a + s * b
    mixture = mixture / ((1 - s) ** 2 + s**2) ** 0.5
    return None


def pixel_by_pixel(a, b, s):
    return torch.where(torch.rand_like(a) < s, b, a)


# Answers to `my_morph(labels, frames, hold, x_T, draw)`: rows(labels, frames, hold) are drawn from one noise.


def drawn(rows):
    def attempt(labels, frames, hold, x_T, draw):
        return draw(rows(labels, frames, hold), x_T)

    return attempt


def film(
    mix=added,
    shares=lambda n: [k / (n + 1) for k in range(1, n + 1)],
    digits=list,
    first=True,
    last=True,
    repeats=False,
    stay=lambda hold: hold,
):
    """The rows of a film; repeats: whether there are mixtures between a digit and itself, too."""

    def rows(labels, frames, hold):
        d = digits(labels)
        found = [unit(d[0])] * (stay(hold) if first else 0)
        for i, (a, b) in enumerate(itertools.pairwise(d)):
            if a != b or repeats:
                found += [torch.as_tensor(mix(a, b, share)).tolist() for share in shares(frames)]
            if last or i < len(d) - 2:
                found += [unit(b)] * stay(hold)
        return torch.tensor(found)

    return rows


def by_runs(labels, frames, hold, x_T, draw):
    runs = [(digit, len(list(run))) for digit, run in itertools.groupby(labels)]
    parts = []
    for i, (digit, count) in enumerate(runs):
        parts.append(F.one_hot(torch.tensor([digit] * count * hold), 10).double())
        if i + 1 < len(runs):
            share = torch.linspace(0, 1, frames + 2, dtype=torch.float64)[1:-1, None]
            parts.append((1 - share) * torch.eye(10)[digit] + share * torch.eye(10)[runs[i + 1][0]])
    return draw(torch.cat(parts), x_T)


def frame_after_frame(labels, frames, hold, x_T, draw):
    return torch.cat([draw(row[None], x_T) for row in film()(labels, frames, hold)])


def noise_for_each_row(labels, frames, hold, x_T, draw):
    rows = film()(labels, frames, hold)
    return draw(rows, x_T.repeat(len(rows), 1, 1, 1))


def each_row_once(labels, frames, hold, x_T, draw):
    rows, place = torch.unique(film()(labels, frames, hold), dim=0, return_inverse=True)
    return draw(rows, x_T)[place]


def on_a_clock(labels, frames, hold, x_T, draw):
    """Key frames in time, and np.interp between them."""
    times, keys, now = [], [], 0
    for i, digit in enumerate(labels):
        if i:
            now += 1 if digit == labels[i - 1] else frames + 1
        times += [now, now + hold - 1]
        keys += [digit, digit]
        now += hold - 1
    at = np.arange(now + 1)
    rows = [np.interp(at, times, [float(key == d) for key in keys]) for d in range(10)]
    return draw(np.stack(rows, axis=1), x_T).numpy()


def list_of_rows(labels, frames, hold, x_T, draw):
    rows = [torch.eye(10)[labels[0]]] * hold
    for before, digit in itertools.pairwise(labels):
        for k in range(frames if before != digit else 0):
            rows.append(torch.lerp(torch.eye(10)[before], torch.eye(10)[digit], (k + 1) / (frames + 1)))
        rows = rows + [torch.eye(10)[digit]] * hold
    return draw(torch.stack(rows), x_T).tolist()


def into_many_zeros(labels, frames, hold, x_T, draw):
    changes = sum(a != b for a, b in itertools.pairwise(labels))
    out, at = torch.zeros(len(labels) * hold + changes * frames, 10), 0
    for i, digit in enumerate(labels):
        if i and digit != labels[i - 1]:
            for k in range(1, frames + 1):
                out[at, labels[i - 1]] = 1 - k / (frames + 1)
                out[at, digit] = k / (frames + 1)
                at += 1
        out[at : at + hold, digit] = 1
        at += hold
    return draw(out, x_T)


def pixels_mixed(labels, frames, hold, x_T, draw):
    pictures = draw(torch.eye(10)[labels], x_T)
    out = [pictures[0]] * hold
    for i in range(1, len(labels)):
        if labels[i] != labels[i - 1]:
            for k in range(1, frames + 1):
                out.append(torch.lerp(pictures[i - 1], pictures[i], k / (frames + 1)))
        out += [pictures[i]] * hold
    return torch.stack(out)


def new_noise_each(labels, frames, hold, x_T, draw):
    rows = film()(labels, frames, hold)
    return draw(rows, torch.randn(len(rows), 1, 28, 28))


def no_noise(labels, frames, hold, x_T, draw):
    return draw(film()(labels, frames, hold), torch.zeros(1, 1, 28, 28))


def rows_alone(labels, frames, hold, x_T, draw):
    return film()(labels, frames, hold)


def film_printed(labels, frames, hold, x_T, draw):
    print(draw(film()(labels, frames, hold), x_T).shape)


def film_left_below(labels, frames, hold, x_T, draw):
    film_of_it = draw(film()(labels, frames, hold), x_T)
    film_of_it.clamp(0, 1)
    return None


def pops_labels(labels, frames, hold, x_T, draw):
    rows = [unit(labels[0])] * hold
    before = labels.pop(0)
    while labels:
        digit = labels.pop(0)
        if digit != before:
            rows += [added(before, digit, k / (frames + 1)).tolist() for k in range(1, frames + 1)]
        rows += [unit(digit)] * hold
        before = digit
    return draw(torch.tensor(rows), x_T)


def without_last(labels, frames, hold, x_T, draw):
    """The usual loop, whose last hold is forgotten; for one digit it has no rows at all."""
    rows = []
    for a, b in itertools.pairwise(labels):
        rows += [torch.eye(10)[a]] * hold
        if a != b:
            rows += [added(a, b, k / (frames + 1)) for k in range(1, frames + 1)]
    return draw(torch.stack(rows), x_T)


def one_digit_forgotten(labels, frames, hold, x_T, draw):
    parts = []
    for i, (a, b) in enumerate(itertools.pairwise(labels)):
        parts += [torch.eye(10)[a]] * hold * (i == 0)
        parts += [added(a, b, k / (frames + 1)) for k in range(1, frames + 1)] * (a != b)
        parts += [torch.eye(10)[b]] * hold
    return draw(torch.stack(parts), x_T)


def once_each(labels):
    return [digit for digit, _ in itertools.groupby(labels)]


def known_by_loops(x_s, x_0, hidden, alpha_bar_s, eps):
    out = x_s.numpy().astype(np.float64)
    for place in np.argwhere(~hidden.numpy()):
        i = tuple(place)
        out[i] = alpha_bar_s**0.5 * float(x_0[i]) + (1 - alpha_bar_s) ** 0.5 * float(eps[i])
    return out


def known_by_index(x_s, x_0, hidden, alpha_bar_s, eps):
    out = x_s.clone()
    out[~hidden] = (math.sqrt(alpha_bar_s) * x_0 + math.sqrt(1 - alpha_bar_s) * eps)[~hidden]
    return out


def known_by_product(x_s, x_0, hidden, alpha_bar_s, eps):
    m = hidden.float()
    return m * x_s + (1 - m) * (alpha_bar_s**0.5 * x_0 + (1 - alpha_bar_s) ** 0.5 * eps)


def known_by_snr(x_s, x_0, hidden, alpha_bar_s, eps):
    noise_level = torch.tensor(1 - alpha_bar_s).sqrt()
    signal_level = (1 - noise_level.square()).sqrt()
    return x_s.masked_fill(~hidden, 0) + (signal_level * x_0 + noise_level * eps).masked_fill(hidden, 0)


def known_in_place(x_s, x_0, hidden, alpha_bar_s, eps):
    x_s[~hidden] = (alpha_bar_s**0.5 * x_0 + (1 - alpha_bar_s) ** 0.5 * eps)[~hidden]
    return x_s


def known_with_own_noise(x_s, x_0, hidden, alpha_bar_s, eps):
    return torch.where(hidden, x_s, alpha_bar_s**0.5 * x_0 + (1 - alpha_bar_s) ** 0.5 * torch.randn_like(x_0))


def keeping(noised=None, merge=None):
    """An answer. noised(x_0, a, eps): the known pixels at ᾱ_s = a. merge(hidden, x_s, known): both in one picture."""
    noised = noised or (lambda x_0, a, eps: a**0.5 * x_0 + (1 - a) ** 0.5 * eps)
    merge = merge or torch.where
    return lambda x_s, x_0, hidden, a, eps: merge(hidden, x_s, noised(x_0, a, eps))


def known_printed(x_s, x_0, hidden, alpha_bar_s, eps):
    print(keeping()(x_s, x_0, hidden, alpha_bar_s, eps).mean())


RIGHT = {
    "keep_known": [
        keeping(),
        known_by_loops,
        known_by_index,
        known_by_product,
        known_by_snr,
        lambda x_s, x_0, hidden, a, eps: np.where(hidden, x_s, np.sqrt(a) * x_0.numpy() + np.sqrt(1 - a) * eps.numpy()),
        lambda x_s, x_0, hidden, a, eps: keeping()(*(v.double() for v in (x_s, x_0)), hidden, a, eps.double()),
        lambda x_s, x_0, hidden, a, eps: keeping()(x_s, x_0, hidden, a, eps).tolist(),
    ],
    "soft_label": [
        added,
        lambda a, b, share: (1 - share) * torch.eye(10)[a] + share * torch.eye(10)[b],
        lambda a, b, share: (1 - share) * np.eye(10)[a] + share * np.eye(10)[b],
        lambda a, b, share: [(1 - share) * (i == a) + share * (i == b) for i in range(10)],
        lambda a, b, share: torch.lerp(torch.eye(10)[a], torch.eye(10)[b], share),
        lambda a, b, share: F.one_hot(torch.tensor([a, b]), 10).double().T @ torch.tensor([1 - share, share]).double(),
        lambda a, b, share: tuple(x + share * (y - x) for x, y in zip(unit(a), unit(b), strict=True)),
        lambda a, b, share: torch.zeros(10).index_add(0, torch.tensor([a, b]), torch.tensor([1.0 - share, share])),
        lambda a, b, share: np.bincount([a, b], weights=[1 - share, share], minlength=10),
    ],
    "birthday_rows": [birthday(), by_interpolation, by_np_interp, by_lists, into_zeros, by_lerp],
    "noise_between": [
        mended,
        sphere,
        sphere_of_all,
        lambda a, b, s: (1 - s) ** 0.5 * a + s**0.5 * b,
        lambda a, b, s: math.cos(s * math.pi / 2) * a + math.sin(s * math.pi / 2) * b,
        lambda a, b, s: (1 - s**2) ** 0.5 * a + s * b,
        lambda a, b, s: plain(a.double(), b.double(), s) / (1 - 2 * s + 2 * s**2) ** 0.5,
        lambda a, b, s: ((1 - s) * a.numpy() + s * b.numpy()) / np.sqrt((1 - s) ** 2 + s**2),
        lambda a, b, s: mended(a, b, s).tolist(),
        lambda a, b, s: a if s == 0 else b if s == 1 else mended(a, b, s),
        lambda a, b, s: torch.lerp(a, b, s) / torch.tensor([1 - s, s]).norm(),
    ],
    "whole_morph": [
        drawn(film()),
        drawn(film(mix=assigned)),
        by_runs,
        frame_after_frame,
        noise_for_each_row,
        each_row_once,
        on_a_clock,
        list_of_rows,
        into_many_zeros,
    ],
}  # fmt: skip

WRONG = {
    "keep_known": [
        (keeping(merge=lambda h, x, k: torch.where(h, k, x)), "swapped"),
        (keeping(merge=lambda h, x, k: torch.where(~h, x, k)), "swapped"),
        (keeping(lambda x_0, a, eps: x_0), "clean"),
        (keeping(lambda x_0, a, eps: a**0.5 * x_0), "noise is missing"),
        (keeping(lambda x_0, a, eps: a**0.5 * x_0 + (1 - a) * eps), "root"),
        (keeping(lambda x_0, a, eps: a * x_0 + (1 - a) ** 0.5 * eps), "root"),
        (keeping(lambda x_0, a, eps: a * x_0 + (1 - a) * eps), "root"),
        (keeping(lambda x_0, a, eps: a**0.5 * x_0 + (1 - a**0.5) * eps), "1 − √ᾱ"),
        (keeping(lambda x_0, a, eps: (1 - a) ** 0.5 * x_0 + a**0.5 * eps), "levels are swapped"),
        (keeping(lambda x_0, a, eps: x_0 + (1 - a) ** 0.5 * eps), "√ᾱ"),
        (keeping(lambda x_0, a, eps: a**0.5 * x_0 + eps), "noise level"),
        (keeping(lambda x_0, a, eps: a**0.5 * x_0 + a * eps), None),
        (keeping(merge=lambda h, x, k: x), "x_s itself"),
        (keeping(merge=lambda h, x, k: k), "x_s is lost"),
        (keeping(merge=lambda h, x, k: x + k), "add"),
        (keeping(merge=lambda h, x, k: x + k * ~h), "add"),
        (keeping(merge=lambda h, x, k: (x + k) / 2), None),
        (keeping(merge=lambda h, x, k: k * ~h), "0"),
        (keeping(merge=lambda h, x, k: x * h), "0"),
        (keeping(merge=lambda h, x, k: x[h]), "shape"),
        (keeping(merge=lambda h, x, k: (1 - h) * k + h * x), "Subtraction"),
        (known_in_place, "in place"),
        (known_with_own_noise, "random numbers"),
        (known_printed, "`return`"),
        (no_return, "`return`"),
    ],
    "soft_label": [
        (lambda a, b, share: added(b, a, share), "shares are swapped"),
        (lambda a, b, share: (1 - share) * a + share * b, "class numbers"),
        (lambda a, b, share: unit(round((1 - share) * a + share * b)), "number lies between"),
        (in_between, "number lies between"),
        (smeared, "number lies between"),
        (lambda a, b, share: unit(a if share < 0.5 else b), "nearer digit alone"),
        (a_keeps_its_weight, "does not sum to 1"),
        (lambda a, b, share: torch.eye(10)[a] + share * torch.eye(10)[b], "does not sum to 1"),
        (lambda a, b, share: (1 - share) * torch.eye(10)[a], "digit b is missing"),
        (lambda a, b, share: share * torch.eye(10)[b], "digit a is missing"),
        (assigned, "+="),
        (lambda a, b, share: 0.5 * torch.eye(10)[a] + 0.5 * torch.eye(10)[b], "half"),
        (lambda a, b, share: torch.eye(10)[a], "digit a alone"),
        (lambda a, b, share: torch.eye(10)[b], "digit b alone"),
        (lambda a, b, share: (1 - share) ** 0.5 * torch.eye(10)[a] + share**0.5 * torch.eye(10)[b], "root"),
        (lambda a, b, share: added(a, b, share)[None], "(10,)"),
        (lambda a, b, share: added(a, b, share).softmax(0), "softmax"),
        (whole_numbers, "whole numbers"),
        (lambda a, b, share: added(a - 1, b - 1, share), "place"),
        (lambda a, b, share: torch.tensor([1 - share, share]), "two"),
        (lambda a, b, share: (1 - share) * np.eye(11)[a] + share * np.eye(11)[b], "(10,)"),
        (lambda a, b, share: torch.eye(10)[a] - share * torch.eye(10)[b], None),
        (lambda a, b, share: added(3, 8, share), None),
        (no_return, "`return`"),
        (row_printed, "`return`"),
        (row_left_below, "`return None`"),
    ],
    "birthday_rows": [
        (birthday(digits=lambda date: [int(c) for c in str(int(date.replace(".", "")))]), "zero in front is lost"),
        (birthday(digits=lambda date: [int(c) for p in date.split(".") for c in str(int(p))]), "zeros"),
        (birthday(last=False), "row of the last digit is missing"),
        (birthday(shares=lambda n: torch.linspace(0, 1, n + 2).tolist(), last=False), "twice"),
        (birthday(shares=lambda n: torch.linspace(0, 1, n + 2).tolist()), "twice"),
        (birthday(shares=lambda n: [k / n for k in range(n + 1)]), "one frame early"),
        (birthday(shares=lambda n: [k / (n + 1) for k in range(n)]), "n − 1 mixtures"),
        (birthday(shares=lambda n: [k / n for k in range(n)]), "n − 1 mixtures"),
        (birthday(shares=lambda n: [k / (n + 2) for k in range(n + 2)]), "n + 1 mixtures"),
        (birthday(mix=lambda a, b, share: added(b, a, share)), "runs backwards"),
        (birthday(shares=lambda n: [1 - k / (n + 1) for k in range(n + 1)]), "runs backwards"),
        (birthday(mix=lambda a, b, share: added(a, b, round(share))), "nothing is mixed"),
        (held, "nothing is mixed"),
        (lambda date, n: torch.eye(10)[digits_of(date)], "only the digits themselves"),
        (birthday(mix=assigned), "+="),
        (birthday(mix=in_between), "class number"),
        (birthday(mix=a_keeps_its_weight), "sum to 1"),
        (mixtures_alone, "mixtures alone"),
        (around_the_clock, "back to the first"),
        (birthday(digits=lambda date: sorted(digits_of(date))), "order"),
        (birthday(digits=lambda date: sorted(set(digits_of(date)))), None),
        (birthday(digits=lambda date: list(dict.fromkeys(digits_of(date)))), "once"),
        (birthday(digits=lambda date: digits_of(date)[::-1]), "reverse"),
        (lambda date, n: birthday()(date, n)[1:], "first digit is missing"),
        (lambda date, n: birthday()(date, n).T, "shape"),
        (lambda date, n: birthday()(date, n + 1), "n + 1 mixtures"),
        (eight_digits, None),
        (lambda date, n: birthday()(date, 4), None),
        (birthday(digits=lambda date: [int(c) for c in date]), "ValueError"),
        (list_of_tensors, "torch.stack"),
        (no_return, "`return`"),
        (rows_printed, "`return`"),
        (rows_left_below, "`return None`"),
    ],
    "noise_between": [
        (plain, "variances add"),
        (torch.lerp, "variances add"),
        (lambda a, b, s: plain(a, b, s) / ((1 - s) ** 2 + s**2), "divide by its root"),
        (lambda a, b, s: mended(b, a, s), "shares are swapped"),
        (lambda a, b, s: (1 - s) ** 0.5 * b + s**0.5 * a, "shares are swapped"),
        (lambda a, b, s: sphere(b, a, s), "shares are swapped"),
        (lambda a, b, s: a if s < 0.5 else b, "nothing is mixed"),
        (pixel_by_pixel, None),
        (lambda a, b, s: (a + b) / 2**0.5, "share 0 should give z_a"),
        (lambda a, b, s: a, "z_a"),
        (lambda a, b, s: b, "z_b"),
        (lambda a, b, s: plain(a, b, s) * math.hypot(1 - s, s), "multiply"),
        (lambda a, b, s: plain(a, b, s) / 2**0.5, "√2"),
        (lambda a, b, s: plain(a, b, s) / plain(a, b, s).std(), "measure"),
        (lambda a, b, s: (plain(a, b, s) - plain(a, b, s).mean()) / plain(a, b, s).std(), "measure"),
        (lambda a, b, s: plain(a, b, s) / plain(a, b, s).var(), "measure"),
        (lambda a, b, s: plain(a, b, s) / ((1 - s) ** 2 + s**2**0.5), None),
        (lambda a, b, s: mended(a, -b, s), "sign"),
        (lambda a, b, s: (1 - s) ** 0.5 * a + s**0.5 * torch.randn_like(b), "random numbers"),
        (lambda a, b, s: torch.randn_like(a), "random numbers"),
        (lambda a, b, s: plain(a, b, s) + (1 - math.hypot(1 - s, s)) * torch.randn_like(a), "random numbers"),
        (lambda a, b, s: (1 - s) ** 2 * a + s**2 * b, "you squared"),
        (lambda a, b, s: (1 - s**2) * a + s**2 * b, "sum to 1"),
        (lambda a, b, s: math.cos(s) * a + math.sin(s) * b, "π/2"),
        (lambda a, b, s: a + s * b, None),
        (lambda a, b, s: mended(a, b, s).clamp(-1, 1), "clip"),
        (lambda a, b, s: mended(a, b, 0.5), "share 0 should give z_a"),
        (lambda a, b, s: mended(a, b, s)[:1], "shape"),
        (noise_in_place, "in place"),
        (no_return, "`return`"),
        (noise_printed, "`return`"),
        (noise_left_below, "`return None`"),
    ],
    "whole_morph": [
        (drawn(film(repeats=True)), "no change"),
        (drawn(film(repeats=True, mix=assigned)), "no change"),
        (drawn(film(digits=once_each)), "stays for `hold` frames more"),
        (drawn(film(digits=lambda labels: list(dict.fromkeys(labels)))), "comes again"),
        (drawn(film(digits=lambda labels: labels[::-1])), "in reverse"),
        (drawn(film(digits=sorted)), "sorted"),
        (drawn(film(mix=lambda a, b, share: added(b, a, share))), "runs backwards"),
        (drawn(film(mix=a_keeps_its_weight)), "sum to 1"),
        (drawn(film(mix=in_between)), "class numbers"),
        (drawn(film(mix=lambda a, b, share: added(a, b, round(share)))), "nothing is mixed"),
        (drawn(film(mix=whole_numbers)), "whole numbers"),
        (drawn(film(shares=lambda n: [])), "mixtures are missing"),
        (drawn(film(shares=lambda n: [k / n for k in range(1, n + 1)])), "k/(n + 1)"),
        (drawn(film(shares=lambda n: [k / n for k in range(n)])), "k/(n + 1)"),
        (drawn(film(shares=lambda n: [k / (n + 1) for k in range(n + 1)])), "too long"),
        (drawn(film(shares=lambda n: [k / (n + 1) for k in range(1, n + 2)])), "too long"),
        (drawn(film(shares=lambda n: torch.linspace(0, 1, n + 2).tolist())), "too long"),
        (drawn(film(shares=lambda n: torch.linspace(0, 1, n).tolist())), "end at the digits themselves"),
        (drawn(film(stay=lambda hold: 1)), "one frame only"),
        (drawn(film(stay=lambda hold: hold + 1)), None),
        (drawn(film(last=False)), "last digit"),
        (without_last, "last digit"),
        (drawn(lambda labels, frames, hold: film()(labels, hold, frames)), "swapped"),
        (one_digit_forgotten, "one digit"),
        (pixels_mixed, "crossfade"),
        (new_noise_each, "random numbers"),
        (no_noise, "x_T"),
        (rows_alone, "label rows"),
        (lambda labels, frames, hold, x_T, draw: draw(torch.eye(10)[labels], x_T), "one frame"),
        (pops_labels, "in place"),
        (lambda labels, frames, hold, x_T, draw: draw(film()(labels, frames, hold), x_T)[:, 0], "shape"),
        (lambda labels, frames, hold, x_T, draw: film()(labels, frames, hold) @ draw, "TypeError"),
        (no_return, "`return`"),
        (film_printed, "`return`"),
        (film_left_below, "`return None`"),
    ],
}  # fmt: skip
