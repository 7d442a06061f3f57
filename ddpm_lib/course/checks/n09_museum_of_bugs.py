"""Checks of notebook 09, The museum of bugs."""

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_lib.course.checks.shared import images, shape_of
from ddpm_lib.course.exercise import NOT_ATTEMPTED, Verdict, check, judge


@check
def repaired_step(attempt: Callable) -> Verdict:
    """attempt(mean (B, 1, 28, 28), std number, s int) → mean + std·z with Gaussian z; at s = 0 the mean alone."""
    mean, std = images(64), float(torch.rand(())) * 0.2 + 0.3
    first, again, last = (attempt(mean.clone(), std, s) for s in (7, 7, 0))
    if first is None and last is None:
        return NOT_ATTEMPTED
    for answer in (first, again, last):
        if not isinstance(answer, Tensor) or answer.shape != mean.shape:
            return Verdict(
                "wrong", f"the answer should be a tensor of shape {tuple(mean.shape)}, got {shape_of(answer)}"
            )
    z = (first - mean) / std
    if not (z.isfinite().all() and last.isfinite().all()):
        return Verdict("wrong", "the answer should be finite")
    noisy_end, size = not torch.allclose(last, mean, atol=1e-5), z.std().item()
    if size < 1e-3:
        return Verdict(
            "wrong", "you add noise at the last step, and nowhere else" if noisy_end else "there is no noise at all"
        )
    if torch.allclose(z[0], z[1], atol=1e-4):
        return Verdict("wrong", "all images get the same noise: draw it in the shape of mean")
    if torch.allclose(first, again, atol=1e-5):
        return Verdict("wrong", "two calls add the same noise: draw new random numbers each time")
    if abs(z.mean() - 0.5) < 0.05 and abs(size - 12**-0.5) < 0.03:
        return Verdict("wrong", "you drew uniform noise, rand: its mean is ½, so each step makes the picture brighter")
    if abs(z.mean()) > 0.05:
        return Verdict("wrong", f"your z has mean {z.mean():.2f}; it should be 0")
    if abs(size - 12**-0.5) < 0.01 and abs(z.abs().max() - 0.5) < 0.01:
        return Verdict("wrong", "you moved uniform noise to mean 0, but it is still uniform, and has 0.29 of the size")
    if abs(size - std) < 0.01:
        return Verdict("wrong", "you multiply z by std²: that is the variance, and std is what you were given")
    if abs(size - std**-0.5) < 0.05:
        return Verdict("wrong", "you multiply z by √std: std is a standard deviation already")
    if abs(size - 1 / std) < 0.05:
        return Verdict("wrong", "std is missing: your noise has size 1")
    if abs(size - 1) > 0.05:  # that is sixteen standard deviations
        return Verdict("wrong", f"your noise has {size:.2f} of the size it should have")
    if z.pow(4).mean() < 2.5:  # 3 for a Gaussian, 1.8 for uniform numbers of the same variance
        return Verdict("wrong", "mean and variance are right, but the noise isn't Gaussian: that takes randn, not rand")
    if noisy_end:
        return Verdict("wrong", "at s = 0 you still add noise: nothing will remove it any more")
    return Verdict("passed", f"Gaussian noise of size {size:.2f}·std on the way, none at the end")


@check
def repaired_times(attempt: Callable) -> Verdict:
    """attempt(T, batch) → (batch,) integers, each of 1 … T equally likely."""
    T, batch = int(torch.randint(15, 30, ())), 30_000
    t = attempt(T, batch)
    if t is None:
        return NOT_ATTEMPTED
    if not isinstance(t, Tensor) or t.shape != (batch,):
        return Verdict("wrong", f"the answer should be a tensor of shape (batch,), got {shape_of(t)}")
    if t.is_floating_point():
        return Verdict(
            "wrong", f"the times should be whole numbers (torch.long), got {t.dtype}: they index the schedule"
        )
    low, high = int(t.min()), int(t.max())
    if low == high:
        return Verdict("wrong", "the whole batch gets one and the same t: draw one for each image")
    if (low, high) == (1, T - 1):
        return Verdict(
            "wrong", "your t = T is never drawn, and sampling begins there: randint leaves out its upper end"
        )
    if (low, high) == (0, T - 1):
        return Verdict("wrong", "your times are 0 … T − 1: one too small each; here t counts from 1 to T")
    if low == 0:
        return Verdict("wrong", "you draw t = 0, where there is no noise to be found: begin at 1")
    if high > T:
        return Verdict("wrong", f"you draw t = {high}, past T = {T}")
    if (low, high) != (1, T):
        return Verdict("wrong", f"your times lie in {low} … {high}; they should lie in 1 … {T}")
    counts = t.long().bincount(minlength=T + 1)[1:].double() / (batch / T)  # 1 ± 0.03
    if counts[0] < 0.65 and counts[-1] < 0.65 and counts[1:-1].min() > 0.8:
        return Verdict("wrong", "1 and T are drawn half as often as the others: you round where you should cut off")
    if (counts - 1).abs().max() > 0.25:
        return Verdict("wrong", f"the most frequent t is {counts.argmax() + 1}; all should be equally likely")
    return Verdict("passed", f"1 … {T} with both ends, each equally often")


@check
def repaired_average(attempt: Callable) -> Verdict:
    """attempt(average, model, decay) → dict of tensors: weights averaged, names that begin with "schedule." kept."""
    average, model = ({"unet.weight": torch.randn(9), "schedule.alpha_bar": torch.rand(9)} for _ in range(2))
    decay = float(torch.rand(())) * 0.15 + 0.75
    a, m, table = average["unet.weight"].clone(), model["unet.weight"].clone(), average["schedule.alpha_bar"].clone()
    other = model["schedule.alpha_bar"].clone()  # in practice it is the same; here it differs, to show what was done
    got = attempt(average, model, decay)
    if got is None:
        return NOT_ATTEMPTED
    if not isinstance(got, dict) or got.keys() != model.keys():
        names = f"{type(got).__name__} {', '.join(map(str, got)) if isinstance(got, dict) else ''}"
        return Verdict("wrong", f"the answer should be a dict with the names of average, got {names}")
    if not all(isinstance(value, Tensor) and value.shape == a.shape for value in got.values()):
        return Verdict("wrong", "each value should be a tensor shaped as before")
    weight, kept = got["unet.weight"], got["schedule.alpha_bar"]

    def is_like(value: Tensor, answer: Tensor) -> bool:
        return torch.allclose(value, answer, atol=1e-5)

    if is_like(weight, (1 - decay) * a + decay * m):
        return Verdict("wrong", "decay is the share that the average keeps; you gave it to the model")
    if is_like(weight, m):
        return Verdict("wrong", "nothing is averaged: these are the model's weights")
    if is_like(weight, a):
        return Verdict("wrong", "the average never moves: the model's weights must come in")
    if is_like(weight, (a + m) / 2):
        return Verdict("wrong", "that is the plain mean: decay has no say")
    if not is_like(weight, decay * a + (1 - decay) * m):
        return Verdict(
            "wrong", f"the weights are off by up to {(weight - decay * a - (1 - decay) * m).abs().max():.3g}"
        )
    if is_like(kept, decay * table + (1 - decay) * other):
        return Verdict("wrong", "the schedule is still averaged: its tables are configuration, leave them as they are")
    if is_like(kept, other):
        return Verdict("wrong", "you copied the model's schedule over the average's own: leave it as it is")
    if not torch.equal(kept, table):
        return Verdict("wrong", f"the schedule is off by up to {(kept - table).abs().max():.3g}, and should not change")
    return Verdict("passed", "the weights are averaged, the schedule is the same to the last bit")


@check
def repaired_dropout(attempt: Callable) -> Verdict:
    """attempt(labels (B,) integers, keep (B,) booleans) → label rows (B, 10), all zero where keep is False."""
    labels = torch.cat([torch.arange(10), torch.arange(10)])
    keep = torch.cat([torch.rand(10) < 0.5, torch.rand(10) < 0.5])
    keep[0], keep[10], keep[3], keep[13] = True, False, True, False

    def rows(labels: Tensor, keep: Tensor) -> Tensor:
        return torch.eye(10)[labels] * keep[:, None]

    mistakes = {
        "a digit without label became a 0: nobody and zero must not share a row": lambda y, k: torch.eye(10)[y * k],
        "keep is upside down: you drop what should stay": lambda y, k: rows(y, ~k),
        "no label became an eleventh class; here it is a row of zeros": lambda y, k: torch.eye(11)[
            torch.where(k, y, 10)
        ],
        "no label became a tenth of each digit: that is a mixture of all; no label is all zeros": lambda y, k: (
            torch.where(k[:, None], torch.eye(10)[y], torch.tensor(0.1))
        ),
        "nothing is dropped": lambda y, k: torch.eye(10)[y],
        "these are class numbers, not rows": lambda y, k: y * k,
        "the whole batch lost its labels": lambda y, k: torch.zeros(len(y), 10),
    }
    return judge(attempt, rows, mistakes, labels, keep)


@check
def repaired_config(attempt: Callable) -> Verdict:
    """attempt(widths list, embedding_width int) → new list: the last width with two embeddings added."""
    widths = (torch.randperm(50)[:3] + 10).tolist()
    width = int(torch.randint(60, 90, ()))
    given, config = list(widths), list(widths)
    got = attempt(config, width)
    if got is None:
        return NOT_ATTEMPTED
    right = [*given[:2], given[2] + 2 * width]
    if config != given:
        return Verdict("wrong", f"the caller's list was {given} and is now {config}: the next model will be larger")
    if not isinstance(got, list | tuple) or len(got) != 3:
        return Verdict("wrong", f"the answer should be a list of three widths, got {got!r:.60}")
    got = list(got)
    mistakes = {
        "nothing is added": given,
        "there are two embeddings, t's and y's: add the width twice": [*given[:2], given[2] + width],
        "that is the first width: t and y arrive at the last one": [given[0] + 2 * width, *given[1:]],
        "only the last width grows: t and y arrive nowhere else": [old + 2 * width for old in given],
    }
    if got == right:
        return Verdict("passed", "the right widths, and the caller's list is as it was")
    for diagnosis, mistake in mistakes.items():
        if got == mistake:
            return Verdict("wrong", diagnosis)
    return Verdict("wrong", f"the widths should be {right}, got {got}")
