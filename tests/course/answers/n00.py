"""Answers to the exercise of notebook 00, written from its text; see n04.py."""

import numpy as np
import torch
import torch.nn.functional as F


def on_a_copy(images):
    images = images.clone()
    images *= 2
    images -= 1
    return images


def recursive(images):
    if images.ndim == 0:
        return images.item() * 2 - 1
    return [recursive(part) for part in images]


def in_place(images):
    return images.mul_(2).sub_(1)


def in_place_in_two_lines(images):
    images *= 2
    images = images - 1
    return images


def no_return(images):
    images = 2 * images - 1


def printed(images):
    print(2 * images - 1)


def left_below(images):
    scaled = 2 * images - 1
    assert scaled.shape == images.shape
    return None


RIGHT = {
    "rescale": [
        lambda x: (x - 0.5) / 0.5,
        lambda x: x - (1 - x),
        lambda x: x.double() * 2 - 1,
        lambda x: x.numpy() * 2 - 1,
        lambda x: (x * 2 - 1).tolist(),
        lambda x: torch.lerp(-torch.ones_like(x), torch.ones_like(x), x),
        lambda x: np.interp(x.numpy(), [0, 1], [-1, 1]),
        lambda x: (2 * x - 1).clamp(-1, 1),
        on_a_copy,
        recursive,
    ],
}

WRONG = {
    "rescale": [
        (lambda x: x - 0.5, "not stretched"),
        (lambda x: 2 * x, "not shifted"),
        (lambda x: x - 1, "not stretched"),
        (lambda x: 2 * (x - 1), "brackets"),
        (lambda x: 1 - 2 * x, "swapped"),
        (lambda x: 2 * x + 1, "not up"),
        (lambda x: x / 127.5 - 1, "255"),
        (lambda x: 2 * x / 255 - 1, "255"),
        (lambda x: x * 255, "255"),
        (lambda x: x, "changed nothing"),
        (lambda x: (x - x.mean()) / x.std(), "standard deviation"),
        (lambda x: (x - 0.1307) / 0.3081, "standard deviation"),
        (lambda x: 2 * (x - x.min()) / (x.max() - x.min()) - 1, "the darkest and the brightest"),
        (lambda x: 2 * x / x.max() - 1, "the brightest pixel"),
        (lambda x: (x + 1) / 2, "way back"),
        (lambda x: (2 * x - 1).clamp(0, 1), "clip"),
        (lambda x: 2 * x - 1.25, None),
        (lambda x: x**2 - 1, None),
        (lambda x: (2 * x - 1).long(), "whole numbers"),
        (lambda x: x.round() * 2 - 1, None),
        (lambda x: (2 * x - 1).mean(), None),
        (lambda x: F.pad(2 * x - 1, (2, 2, 2, 2)), None),
        (in_place, "in place"),
        (in_place_in_two_lines, "in place"),
        (no_return, "`return`"),
        (printed, "`return`"),
        (left_below, "`return None`"),
    ],
}
