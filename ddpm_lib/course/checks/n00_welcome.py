"""Checks of notebook 00, Welcome."""

from collections.abc import Callable

import torch

from ddpm_lib.course.exercise import Verdict, check, judge


@check
def rescale(attempt: Callable) -> Verdict:
    """attempt(images in [0, 1]) → the same images in [−1, 1]."""
    mistakes = {
        "that is the way back, from [−1, 1] to [0, 1]": lambda x: (x + 1) / 2,
        "your pixels lie in [−½, ½]: shifted, but not stretched": lambda x: x - 0.5,
        "your pixels lie in [0, 2]: stretched, but not shifted": lambda x: 2 * x,
        "your pixels lie in [−1, 0]: shifted, but not stretched": lambda x: x - 1,
        "ink and paper are swapped: 0 must become −1": lambda x: 1 - 2 * x,
        "you changed nothing: the pixels still lie in [0, 1]": lambda x: x,
        "you stretch by the darkest and the brightest pixel: a picture must not depend on the others": lambda x: (
            2 * (x - x.min()) / (x.max() - x.min()) - 1
        ),
        "you gave the batch mean 0 and standard deviation 1: the range asked for is [−1, 1]": lambda x: (
            (x - x.mean()) / x.std()
        ),
    }
    return judge(attempt, lambda x: 2 * x - 1, mistakes, torch.rand(8, 1, 28, 28) * 0.8 + 0.1)
