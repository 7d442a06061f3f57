"""Answers to the exercises of notebook 12, written from their text; see n04.py."""

import numpy as np
import torch


def no_return(*inputs):
    print(type(inputs[0]))


# ------------------------------------------------------------------------------------------ choose_w_by_coverage


def by_loop(w, agreement, coverage, target):
    best = None
    for i in range(len(w)):
        if agreement[i] >= target and (best is None or (coverage[i], -w[i]) > (coverage[best], -w[best])):
            best = i
    return w[best] if best is not None else w[max(range(len(w)), key=lambda i: agreement[i])]


def by_sorting(w, agreement, coverage, target):
    rows = sorted(zip(w, agreement, coverage, strict=True))
    enough = [row for row in rows if row[1] >= target]
    if not enough:
        return max(rows, key=lambda row: row[1])[0]
    return max(enough, key=lambda row: row[2])[0]  # the first of the largest, and w rises


def by_torch(w, agreement, coverage, target):
    w, a, c = (torch.tensor(values, dtype=torch.float64) for values in (w, agreement, coverage))
    order = w.argsort()
    w, a, c = w[order], a[order], c[order]
    reached = a >= target
    return w[torch.where(reached, c, -1.0).argmax()] if reached.any() else w[a.argmax()]


def by_numpy(w, agreement, coverage, target):
    w, a, c = map(np.asarray, (w, agreement, coverage))
    keep = np.flatnonzero(a >= target)
    if keep.size == 0:
        return float(w[a.argmax()])
    top = keep[c[keep] == c[keep].max()]
    return float(w[top].min())


def by_filter(w, agreement, coverage, target):
    rows = [row for row in zip(coverage, w, agreement, strict=True) if row[2] >= target]
    if rows:
        most = max(row[0] for row in rows)
        return min(row[1] for row in rows if row[0] == most)
    return w[agreement.index(max(agreement))]


def rule(keep=lambda a, t: a >= t, key=lambda w, a, c: (c, -w), otherwise=lambda w, a, c: (a, -w)):
    def attempt(w, agreement, coverage, target):
        rows = list(zip(w, agreement, coverage, strict=True))
        enough = [row for row in rows if keep(row[1], target)]
        chosen = enough or rows
        return max(chosen, key=lambda row: (key if enough else otherwise)(*row))[0]

    return attempt


def first_row(w, agreement, coverage, target):
    return w[0]


def no_answer_below(w, agreement, coverage, target):
    rows = [row for row in zip(coverage, w, agreement, strict=True) if row[2] >= target]
    return max(rows)[1]


# ------------------------------------------------------------------------------------------------ mirrored_class


def class_by_class(images, labels, read):
    best, most = None, -2.0
    for label in labels.unique().tolist():
        mine = images[labels == label]
        gain = (read(mine.flip(-1)) == label).float().mean() - (read(mine) == label).float().mean()
        if gain > most:
            best, most = label, float(gain)
    return best


def all_at_once(images, labels, read):
    gain = (read(torch.flip(images, dims=[3])) == labels).double() - (read(images) == labels).double()
    classes = labels.unique()
    return classes[torch.stack([gain[labels == c].mean() for c in classes]).argmax()]


def by_counting(images, labels, read):
    before, after = read(images), read(images.flip(-1))
    count = torch.bincount(labels, minlength=28).double()
    right = [torch.bincount(labels[x == labels], minlength=28).double() for x in (before, after)]
    share = (right[1] - right[0]) / count.clamp(min=1)
    share[count == 0] = -2
    return int(share.argmax())


def in_numpy(images, labels, read):
    y = labels.numpy()
    before, after = read(images).numpy() == y, read(images.flip(-1)).numpy() == y
    return int(max(set(y.tolist()), key=lambda c: after[y == c].mean() - before[y == c].mean()))


def by_index(images, labels, read):
    turned = images[..., torch.arange(27, -1, -1)]
    gains = {}
    for c in set(labels.tolist()):
        at = (labels == c).nonzero()[:, 0]
        gains[c] = ((read(turned[at]) == c).sum() - (read(images[at]) == c).sum()).item() / len(at)
    return max(gains, key=gains.get)


def mirror(score, flip=-1):
    def attempt(images, labels, read):
        before, after = read(images) == labels, read(images.flip(flip)) == labels
        classes = labels.unique().tolist()
        return max(classes, key=lambda c: float(score(before[labels == c].float(), after[labels == c].float())))

    return attempt


def first_class(images, labels, read):
    return labels[0]


def one_picture_each(images, labels, read):
    classes = labels.unique()
    firsts = torch.stack([images[labels == c][0] for c in classes])
    return classes[(read(firsts.flip(-1)) == classes).int().argmax()]


def everything_turned(images, labels, read):
    return (read(images.flip(-1)) == labels).float().mean()


# -------------------------------------------------------------------------------------------------- share_nearer


def with_cdist(real, drawn, other):
    return (torch.cdist(real, drawn).min(1).values < torch.cdist(real, other).min(1).values).float().mean()


def one_by_one(real, drawn, other):
    nearer = 0
    for x in real:
        nearer += (drawn - x).norm(dim=1).min() < (other - x).norm(dim=1).min()
    return nearer / len(real)


def of_squares(real, drawn, other):
    a = ((real[:, None] - drawn[None]) ** 2).sum(2).amin(1)
    b = ((real[:, None] - other[None]) ** 2).sum(2).amin(1)
    return (a < b).double().mean().item()


def with_numpy(real, drawn, other):
    real, drawn, other = (x.double().numpy() for x in (real, drawn, other))
    a, b = (np.linalg.norm(real[:, None] - x[None], axis=2).min(axis=1) for x in (drawn, other))
    return float(np.mean(a < b))


def whose_is_the_nearest(real, drawn, other):
    both = torch.cdist(real, torch.cat([other, drawn]))  # argmin takes the first of two: the other one
    return (both.argmin(dim=1) >= len(other)).float().mean()


def nearness(reduce, compare, transposed=False):
    def attempt(real, drawn, other):
        a, b = (reduce(torch.cdist(x, real) if transposed else torch.cdist(real, x)) for x in (drawn, other))
        return compare(a, b)

    return attempt


def row_by_row(real, drawn, other):
    n = min(len(real), len(drawn), len(other))
    return ((real[:n] - drawn[:n]).norm(dim=1) < (real[:n] - other[:n]).norm(dim=1)).float().mean()


def least(d):
    return d.amin(dim=1)


RIGHT = {
    "choose_w_by_coverage": [by_loop, by_sorting, by_torch, by_numpy, by_filter],
    "mirrored_class": [class_by_class, all_at_once, by_counting, in_numpy, by_index],
    "share_nearer": [with_cdist, one_by_one, of_squares, with_numpy, whose_is_the_nearest],
}
WRONG = {
    "choose_w_by_coverage": [
        (rule(keep=lambda a, t: True), "coverage alone"),
        (rule(key=lambda w, a, c: (a, -w)), "highest agreement"),
        (rule(key=lambda w, a, c: -w), "smallest w"),
        (rule(key=lambda w, a, c: w), "largest w"),
        (rule(key=lambda w, a, c: (c, w)), "the smaller w"),
        (rule(keep=lambda a, t: a > t), "≥"),
        (rule(keep=lambda a, t: a <= t), "≥ is asked for"),
        (rule(otherwise=lambda w, a, c: (c, -w)), "not coverage"),
        (rule(otherwise=lambda w, a, c: -w), "not the smallest"),
        (lambda w, a, c, t: w.index(by_loop(w, a, c, t)), "a place in the list"),
        (lambda w, a, c, t: c[w.index(by_loop(w, a, c, t))], "a score"),
        (first_row, None),
        (no_answer_below, None),
        (no_return, None),
    ],
    "mirrored_class": [
        (mirror(lambda before, after: 1 - before.mean()), "read worst"),
        (mirror(lambda before, after: after.mean()), "read best when turned"),
        (mirror(lambda before, after: before.mean() - after.mean()), "loses most"),
        (mirror(lambda before, after: after.sum() - before.sum()), "compare shares"),
        (mirror(lambda before, after: after.mean() - before.mean(), flip=-2), "upside down"),
        (mirror(lambda before, after: after.mean() - before.mean(), flip=2), "upside down"),
        (mirror(lambda before, after: after.mean() - before.mean(), flip=(2, 3)), "upside down"),
        (mirror(lambda before, after: after.mean() / (before.mean() + 1e-9)), "you divide"),
        (lambda x, y, read: torch.tensor(sorted(set(y.tolist()))).tolist().index(in_numpy(x, y, read)), "the place"),
        (first_class, None),
        (one_picture_each, None),
        (everything_turned, None),
        (no_return, None),
    ],
    "share_nearer": [
        (nearness(least, lambda a, b: (a > b).float().mean()), "wrong way round"),
        (nearness(least, lambda a, b: (a <= b).float().mean()), "nearer means <"),
        (nearness(lambda d: d.mean(dim=1), lambda a, b: (a < b).float().mean()), "mean distances"),
        (nearness(lambda d: d.amax(dim=1), lambda a, b: (a < b).float().mean()), "farthest"),
        (nearness(least, lambda a, b: a.mean() / b.mean()), "a ratio of mean distances"),
        (nearness(least, lambda a, b: (a - b).mean()), "a difference of distances"),
        (nearness(least, lambda a, b: (a < b).sum()), "a number of pictures"),
        (nearness(least, lambda a, b: (a < b).float().mean(), transposed=True), "the real pictures ask"),
        (nearness(least, lambda a, b: (a < b).float()), "take the mean"),
        (nearness(least, lambda a, b: float(a.mean() < b.mean())), "two means"),
        (nearness(least, lambda a, b: (a / b).mean()), "a mean of ratios"),
        (row_by_row, None),
        (no_return, None),
    ],
}
