"""Answers to the exercises of notebook 02, written from their text; see n04.py."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def maps(e):
    return e[:, :, None, None].expand(-1, -1, 7, 7)


def filled_by_loops(features, t, y):
    batch, channels = features.shape[:2]
    out = torch.zeros(batch, channels + 2 * t.shape[1], 7, 7)
    out[:, :channels] = features
    for i in range(t.shape[1]):
        for row in range(7):
            for column in range(7):
                out[:, channels + i, row, column] = t[:, i]
                out[:, channels + t.shape[1] + i, row, column] = y[:, i]
    return out


def in_numpy(features, t, y):
    both = np.concatenate([t.numpy(), y.numpy()], axis=1)
    return np.concatenate([features.numpy(), np.tile(both[:, :, None, None], (1, 1, 7, 7))], axis=1)


def unsqueezed_in_place(features, t, y):
    for e in (t, y):
        e.unsqueeze_(-1).unsqueeze_(-1)
    return torch.cat([features, t.expand(-1, -1, 7, 7), y.expand(-1, -1, 7, 7)], dim=1)


def at_one_place(e, row, column):
    out = torch.zeros(*e.shape, 7, 7)
    out[:, :, row, column] = e
    return out


def rows_by_masks(labels):
    known = torch.tensor([label is not None for label in labels])
    digits = torch.tensor([0 if label is None else label for label in labels])
    return F.one_hot(digits, num_classes=10) * known[:, None]


def rows_in_numpy(labels):
    rows = np.zeros((len(labels), 10))
    for i, label in enumerate(labels):
        if label is not None:
            rows[i, label] += 1
    return rows


def rows_from_eleven(labels):
    eye = torch.cat([torch.eye(10), torch.zeros(1, 10)])
    return eye[[10 if label is None else label for label in labels]]


def falsy_zero(labels):
    rows = torch.zeros(len(labels), 10)
    for row, label in zip(rows, labels, strict=True):
        if label:
            row[label] = 1
    return rows


def one_list_for_all(labels):
    rows = [[0] * 10] * len(labels)
    for row, label in zip(rows, labels, strict=True):
        if label is not None:
            row[label] = 1
    return torch.tensor(rows)


def all_in_one_row(labels):
    row = torch.zeros(10)
    for label in labels:
        if label is not None:
            row[label] = 1
    return row


def return_in_the_loop(labels):
    rows = torch.zeros(len(labels), 10)
    for row, label in zip(rows, labels, strict=True):
        if label is not None:
            row[label] = 1
        return rows


def none_replaced_in_the_list(labels):
    for i, label in enumerate(labels):
        if label is None:
            labels[i] = 10
    return F.one_hot(torch.tensor(labels), 11)[:, :10]


def eye_with_none_as(row):
    """An answer in which "no label" is this row."""
    return lambda labels: torch.stack([row if label is None else torch.eye(10)[label] for label in labels])


def one_hot_without_width(labels):
    known = torch.tensor([label is not None for label in labels])
    return F.one_hot(torch.tensor([label or 0 for label in labels])) * known[:, None]


def counted_by_torch(channels_in, channels_out, kernel):
    return sum(p.numel() for p in nn.Conv2d(channels_in, channels_out, kernel).parameters())


def counted_in_loops(channels_in, channels_out, kernel):
    count = 0
    for _ in range(channels_out):
        count += 1
        for _ in range(channels_in):
            count += kernel**2
    return count


def labels_left_below(labels):
    rows = torch.zeros(len(labels), 10)
    for i, label in enumerate(labels):
        if label is not None:
            rows[i, label] = 1
    return None


def no_return(*inputs):
    result = inputs[0]
    result = [result, result]


def printed(*inputs):
    print(inputs[0] if isinstance(inputs[0], int | list) else inputs[0].shape)


RIGHT = {
    "resize_and_concatenate": [
        lambda f, t, y: torch.cat([f, maps(t), maps(y)], dim=1),
        lambda f, t, y: torch.cat([f, maps(torch.cat([t, y], dim=1))], dim=1),
        lambda f, t, y: torch.cat([f, *(e[..., None, None].repeat(1, 1, 7, 7) for e in (t, y))], 1),
        lambda f, t, y: torch.hstack([f, *(F.interpolate(e[:, :, None, None], size=7) for e in (t, y))]),
        lambda f, t, y: torch.cat([f, *(e.repeat_interleave(49, dim=1).view(*e.shape, 7, 7) for e in (t, y))], 1),
        lambda f, t, y: torch.cat([f.double(), maps(t).double(), maps(y).double()], dim=1),
        lambda f, t, y: torch.cat([f, maps(t), maps(y)], dim=1).tolist(),
        lambda f, t, y: torch.cat([f, *(torch.einsum("be,hw->behw", e, torch.ones(7, 7)) for e in (t, y))], 1),
        filled_by_loops,
        in_numpy,
    ],
    "label_rows": [
        lambda labels: torch.stack([torch.zeros(10) if d is None else torch.eye(10)[d] for d in labels]),
        lambda labels: [[float(d == digit) for digit in range(10)] for d in labels],
        lambda labels: [[0] * 10 if d is None else [0] * d + [1] + [0] * (9 - d) for d in labels],
        lambda labels: torch.tensor([-1 if d is None else d for d in labels])[:, None] == torch.arange(10),
        lambda labels: np.array([np.zeros(10) if d is None else np.eye(10)[d] for d in labels]),
        rows_by_masks,
        rows_in_numpy,
        rows_from_eleven,
    ],
    "conv_parameters": [
        lambda n, m, k: n * m * k**2 + m,
        lambda n, m, k: float(m * (n * k * k + 1)),
        lambda n, m, k: torch.zeros(m, n, k, k).numel() + m,
        lambda n, m, k: np.prod([n, m, k, k]) + m,
        lambda n, m, k: torch.tensor(m * n * k * k + m),
        lambda n, m, k: sum([n * k * k + 1] * m),
        counted_by_torch,
        counted_in_loops,
    ],
}

WRONG = {
    "resize_and_concatenate": [
        (lambda f, t, y: torch.cat([f, maps(y), maps(t)], dim=1), "swapped"),
        (lambda f, t, y: torch.cat([maps(t), maps(y), f], dim=1), "features belong first"),
        (lambda f, t, y: torch.cat([maps(t), f, maps(y)], dim=1), "features belong first"),
        (lambda f, t, y: torch.cat([f, *(e.repeat(1, 49).view(*e.shape, 7, 7) for e in (t, y))], 1), "mixes"),
        (lambda f, t, y: torch.cat([f, maps(t)], dim=1), "y is missing"),
        (lambda f, t, y: torch.cat([f, maps(y)], dim=1), "t is missing"),
        (lambda f, t, y: torch.cat([f, maps(t), maps(t)], dim=1), "twice"),
        (lambda f, t, y: torch.cat([f, maps(y), maps(y)], dim=1), "twice"),
        (lambda f, t, y: torch.cat([f, maps(t + y)], dim=1), "add"),
        (lambda f, t, y: torch.cat([f, at_one_place(t, 3, 3), at_one_place(y, 3, 3)], dim=1), "one position"),
        (lambda f, t, y: torch.cat([f, at_one_place(t, 0, 0), at_one_place(y, 0, 0)], dim=1), "one position"),
        (lambda f, t, y: torch.cat([f, maps(t / 49), maps(y / 49)], dim=1), "49"),
        (lambda f, t, y: torch.cat([f, *(maps(e[:1].expand(len(f), -1)) for e in (t, y))], 1), "first picture"),
        (lambda f, t, y: torch.cat([f, *(maps(e.mean(0).expand(len(f), -1)) for e in (t, y))], 1), "mean"),
        (lambda f, t, y: torch.cat([f, *(maps(e.mean(1, True).expand_as(e)) for e in (t, y))], 1), "mean"),
        (lambda f, t, y: maps(torch.cat([t, y], dim=1)), "features are missing"),
        (lambda f, t, y: torch.cat([f, maps(t), maps(y)], dim=0), None),
        (lambda f, t, y: torch.cat([f, t[:, :, None, None], y[:, :, None, None]], dim=1), None),
        (lambda f, t, y: torch.cat([f, maps(t), maps(y)], dim=1).transpose(2, 3), None),
        (lambda f, t, y: torch.cat([f, maps(t), maps(y)], dim=1)[:, :, :, :6], None),
        (lambda f, t, y: torch.cat([f, maps(t), maps(y)], dim=1).flatten(2), None),
        (lambda f, t, y: [f, maps(t), maps(y)], None),
        (unsqueezed_in_place, "in place"),
        (no_return, "`return`"),
        (printed, "`return`"),
    ],
    "label_rows": [
        (falsy_zero, "the digit 0"),
        (lambda labels: torch.eye(10)[[d or 0 for d in labels]], "row of the digit 0"),
        (eye_with_none_as(torch.full((10,), 0.1)), "all digits at once"),
        (eye_with_none_as(torch.ones(10)), "row of ones"),
        (eye_with_none_as(torch.eye(10)[9]), "digit 9"),
        (lambda labels: torch.eye(10)[[-1 if d is None else d for d in labels]], "digit 9"),
        (eye_with_none_as(-torch.ones(10)), None),
        (one_hot_without_width, "ten columns"),
        (lambda labels: torch.stack([torch.eye(10)[d] for d in labels if d is not None]), "leave out"),
        (all_in_one_row, "one row for all"),
        (one_list_for_all, "same row"),
        (return_in_the_loop, "first label"),
        (lambda labels: torch.stack([torch.eye(11)[10 if d is None else d] for d in labels]), "eleven"),
        (lambda labels: torch.stack([torch.zeros(10) if d is None else torch.eye(10)[d - 1] for d in labels]),
         "digit below"),
        (lambda labels: [-1 if d is None else d for d in labels], None),
        (lambda labels: [0 if d is None else d for d in labels], "numbers themselves"),
        (lambda labels: rows_from_eleven(labels).T, "rows and columns"),
        (lambda labels: [[None] * 10 if d is None else torch.eye(10)[d].tolist() for d in labels], "None"),
        (lambda labels: torch.zeros(len(labels), 10), "all rows are zero"),
        (lambda labels: rows_from_eleven(labels) * 0.9, None),
        (lambda labels: F.one_hot(torch.tensor(labels), 10), "raised"),
        (lambda labels: rows_from_eleven([3, None, 0]), "example"),
        (none_replaced_in_the_list, "in place"),
        (labels_left_below, "`return None`"),
        (no_return, "`return`"),
        (printed, "`return`"),
    ],
    "conv_parameters": [
        (lambda n, m, k: n * m * k * k, "biases"),
        (lambda n, m, k: n * m * k * k + 1, "one bias"),
        (lambda n, m, k: n * m * k * k + n, "bias for each input"),
        (lambda n, m, k: n * (m * k * k + 1), "bias for each input"),
        (lambda n, m, k: n * m * (k * k + 1), "bias for each kernel"),
        (lambda n, m, k: n * m * 2 * k + m, "2k"),
        (lambda n, m, k: n * m * (k + k) + m, "2k"),
        (lambda n, m, k: n * m * k + m, "square"),
        (lambda n, m, k: n * m * 9 + m, "3"),
        (lambda n, m, k: 704, None),
        (lambda n, m, k: n * m * k**3 + m, "k³"),
        (lambda n, m, k: m * k * k + m, "every input channel"),
        (lambda n, m, k: m * (k * k + 1), "every input channel"),
        (lambda n, m, k: n * k * k + 1, "one output channel"),
        (lambda n, m, k: (n + m) * k * k + m, "add"),
        (lambda n, m, k: n * m * (k ^ 2) + m, "`^`"),
        (lambda n, m, k: n * m * 2**k + m, "k²"),
        (lambda n, m, k: (n * m * k * k + m) * 784, "positions"),
        (lambda n, m, k: n * m * k * k * 784, "positions"),
        (lambda n, m, k: n * m * k * k + m + n, None),
        (lambda n, m, k: (n * m * k * k, m), None),
        (lambda n, m, k: f"{n * m * k * k + m:,}", None),
        (lambda n, m, k: nn.Conv2d(n, m, k), None),
        (lambda n, m, k: nn.Conv2d(n, m, k).weight.numel(), "biases"),
        (no_return, "`return`"),
        (printed, "`return`"),
    ],
}  # fmt: skip
