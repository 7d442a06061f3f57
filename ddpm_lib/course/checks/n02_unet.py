"""Checks of notebook 02, The U-Net."""

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_lib.course.exercise import Verdict, check, judge


@check
def resize_and_concatenate(attempt: Callable) -> Verdict:
    """attempt(features (B, C, 7, 7), t_embedding (B, E), y_embedding (B, E)) → (B, C + 2E, 7, 7)."""

    def joined(h, t, y):
        return torch.cat([h, *(e[:, :, None, None].expand(-1, -1, *h.shape[-2:]) for e in (t, y))], dim=1)

    mistakes = {
        "t and y are swapped: features first, then t, then y": lambda h, t, y: joined(h, y, t),
        "features belong first: [features, t, y]": lambda h, t, y: torch.cat([joined(h, t, y)[:, 3:], h], dim=1),
        "you joined t twice; y never arrives": lambda h, t, y: joined(h, t, t),
        "you joined y twice; t never arrives": lambda h, t, y: joined(h, y, y),
    }
    return judge(attempt, joined, mistakes, torch.randn(2, 3, 7, 7), torch.randn(2, 4), torch.randn(2, 4))


@check
def conv_parameters(attempt: Callable) -> Verdict:
    """attempt(channels_in, channels_out, kernel) → number of parameters of a convolution with bias."""
    mistakes = {
        "you forgot the bias: one number for each output channel": lambda i, o, k: i * o * k * k,
        "a kernel has kernel × kernel entries": lambda i, o, k: i * o * k + o,
        "the bias has one number for each output channel, not input channel": lambda i, o, k: i * o * k * k + i,
        "every output channel has its own kernel for every input channel": lambda i, o, k: o * k * k + o,
    }
    return judge(attempt, lambda i, o, k: i * o * k * k + o, mistakes, 7, 11, 3)


@check
def label_rows(attempt: Callable) -> Verdict:
    """attempt(labels) → rows (B, 10), one for each label. labels: list of digits, and of None for "no label"."""

    def rows(labels: list[int | None], null: Tensor) -> Tensor:
        return torch.stack([null if label is None else torch.eye(10)[label] for label in labels])

    mistakes = {
        "label 0 and no label look the same: the row of the digit 0 has a 1 in the first place": lambda labels: rows(
            labels, torch.eye(10)[0]
        ),
        "the digit 0 lost its label: `if label` is false for 0 too, ask `label is None`": lambda labels: rows(
            [label or None for label in labels], torch.zeros(10)
        ),
        "no label became a 9: as an index, −1 counts from the end": lambda labels: rows(labels, torch.eye(10)[9]),
        "a row of equal shares asks for all digits at once; no label asks for none": lambda labels: rows(
            labels, torch.full((10,), 0.1)
        ),
        "a row of ones is the sum of all ten labels; no label is a row of zeros": lambda labels: rows(
            labels, torch.ones(10)
        ),
        "that is an eleventh class, and the network has ten inputs for y": lambda labels: torch.eye(11)[
            [10 if label is None else label for label in labels]
        ],
        "pictures without a label have no row: every picture needs one, theirs is zero": lambda labels: rows(
            [label for label in labels if label is not None], torch.zeros(10)
        ),
    }
    labels = [*range(10), None, None, None]
    labels = [labels[i] for i in torch.randperm(len(labels)).tolist()]
    return judge(attempt, lambda labels: rows(labels, torch.zeros(10)), mistakes, labels)
