"""Checks of notebook 00, Welcome."""

from collections.abc import Callable

import torch

from ddpm_lib.course.exercise import Verdict, check, judge


@check
def rescale(attempt: Callable) -> Verdict:
    """attempt(images in [0, 1]) → the same images in [−1, 1]."""
    bytes_ = "that divides by 255, but these pixels are no bytes: they lie in [0, 1] already"
    mistakes = [
        (lambda x: (x + 1) / 2, "that is the way back, from [−1, 1] to [0, 1]"),
        (lambda x: x - 0.5, "your pixels lie in [−½, ½]: shifted, but not stretched"),
        (lambda x: 2 * x, "your pixels lie in [0, 2]: stretched, but not shifted"),
        (lambda x: x - 1, "your pixels lie in [−1, 0]: shifted, but not stretched"),
        (lambda x: 2 * (x - 1), "your pixels lie in [−2, 0]: first stretch, then shift, and mind the brackets"),
        (lambda x: 2 * x + 1, "your pixels lie in [1, 3]: shift them down, not up"),
        (lambda x: 1 - 2 * x, "ink and paper are swapped: 0 must become −1"),
        (lambda x: x, "you changed nothing: the pixels still lie in [0, 1]"),
        (
            lambda x: 2 * (x - x.min()) / (x.max() - x.min()) - 1,
            "you stretch by the darkest and the brightest pixel: a picture must not depend on the others",
        ),
        (
            lambda x: 2 * x / x.max() - 1,
            "you divide by the brightest pixel: 1 is white, whether a picture has white in it or not",
        ),
        (
            lambda x: (x - x.mean()) / x.std(),
            "you gave the batch mean 0 and standard deviation 1: the range asked for is [−1, 1]",
        ),
        (
            lambda x: (x - 0.1307) / 0.3081,
            "you used the mean and the standard deviation of MNIST: the range asked for is [−1, 1]",
        ),
        (lambda x: x / 127.5 - 1, bytes_),
        (lambda x: x / 255, bytes_),
        (lambda x: x * 255, "that is the range of bytes, 0 to 255; asked for is [−1, 1]"),
        (lambda x: (2 * x - 1).clamp(0, 1), "you clip at 0: what is darker than the middle grey lies below it"),
    ]
    cases = [
        ("on random pictures", torch.rand(8, 1, 28, 28) * 0.8 + 0.1),
        ("for black and white", torch.randint(2, (4, 1, 28, 28)).float()),
        ("for a batch of 1", torch.rand(1, 1, 28, 28)),
        ("in other shapes", torch.rand(28, 28) * 0.6 + 0.2),
    ]
    return judge(attempt, lambda x: 2 * x - 1, mistakes, cases)
