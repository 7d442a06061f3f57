"""Checks of notebook 03, Training."""

from collections.abc import Callable

import torch

from ddpm_lib.course.checks.shared import images
from ddpm_lib.course.exercise import Verdict, call, check, judge


@check
def label_dropout(attempt: Callable) -> Verdict:
    """attempt(y (B, 10), p_uncond) → y with each row set to zero with probability p_uncond, drawn for each row."""
    y = torch.rand(4000, 10).softmax(dim=1)  # not one-hot: dropping an entry of such a row looks like dropping the row
    p_uncond = 0.25
    got = call(attempt, y, p_uncond)
    if got.shape != y.shape:
        return Verdict("wrong", f"the answer should be a tensor of shape {tuple(y.shape)}, got {tuple(got.shape)}")
    dropped, kept = (got == 0).all(1), (got == y).all(1)
    share = dropped.float().mean().item()
    if not (dropped | kept).all():
        if ((got == 0) | (got == y)).all():
            return Verdict("wrong", "a row is kept whole or all zero: draw one number for each row, not for each entry")
        if torch.allclose(got, (~dropped)[:, None] * y / (1 - p_uncond)):
            return Verdict(
                "wrong", "you divide by 1 − p_uncond, as nn.Dropout does: a label that is kept stays as it is"
            )
        off = (got - y)[~dropped].abs().max()
        return Verdict(
            "wrong", f"a row should be kept or be zero; the rows that aren't zero are off by up to {off:.3g}"
        )
    if share in (0.0, 1.0):
        return Verdict("wrong", "the whole batch is kept or dropped together: draw one number for each row")
    if abs(share - (1 - p_uncond)) < 0.05:
        return Verdict(
            "wrong", f"you keep a share of p_uncond and drop the rest: {share:.0%} dropped, asked for {p_uncond:.0%}"
        )
    if abs(share - p_uncond) > 0.05:  # seven standard deviations
        return Verdict("wrong", f"{share:.1%} of the rows lost their label, asked for {p_uncond:.0%}")
    if torch.equal(call(attempt, y, p_uncond) == 0, got == 0):
        return Verdict("wrong", "two calls drop the same rows: draw new random numbers each time")
    return Verdict("passed", f"{share:.1%} of the rows lost their label, asked for {p_uncond:.0%}")


@check
def eps_from_v(attempt: Callable) -> Verdict:
    """attempt(x_t, alpha_bar_t, v) → ε, where v = √ᾱ_t·ε − √(1−ᾱ_t)·x_0."""
    mistakes = {
        "the two roots are swapped": lambda x, a, v: a.sqrt() * x + (1 - a).sqrt() * v,
        "the sign of v is flipped: ε = √(1−ᾱ_t)·x_t + √ᾱ_t·v": lambda x, a, v: (1 - a).sqrt() * x - a.sqrt() * v,
        "that is x_0, not ε": lambda x, a, v: a.sqrt() * x - (1 - a).sqrt() * v,
        "you used ᾱ_t without its root": lambda x, a, v: (1 - a) * x + a * v,
    }
    x_0, eps = images(8), torch.randn(8, 1, 28, 28)
    alpha_bar_t = torch.rand(8, 1, 1, 1) * 0.8 + 0.1
    x_t = alpha_bar_t.sqrt() * x_0 + (1 - alpha_bar_t).sqrt() * eps
    v = alpha_bar_t.sqrt() * eps - (1 - alpha_bar_t).sqrt() * x_0
    return judge(attempt, lambda x, a, v: (1 - a).sqrt() * x + a.sqrt() * v, mistakes, x_t, alpha_bar_t, v)


@check
def training_times(attempt: Callable) -> Verdict:
    """attempt(batch, T) → t (batch,) whole numbers, each of 1 … T equally likely. Stratified times pass, too."""
    batch, T = 5, int(torch.randint(6, 10, ()))
    t = [call(attempt, batch, T) for _ in range(1000)]
    if t[0].shape != (batch,):
        return Verdict(
            "wrong", f"the answer should have shape ({batch},), a time for each picture, got {tuple(t[0].shape)}"
        )
    t = torch.stack(t)
    if t.is_floating_point():
        return Verdict("wrong", f"a time should be a whole number, because it is an index, got {t.dtype}")
    if (t == t[:, :1]).all():
        return Verdict("wrong", "the whole batch gets the same t: draw one for each picture")
    if (t == t[0]).all():
        return Verdict("wrong", "two calls give the same times: draw new random numbers each time")
    low, high = int(t.min()), int(t.max())
    if (low, high) == (0, T - 1):
        return Verdict("wrong", "your t runs from 0 to T − 1: the paper counts from 1, and t = 0 has no noise to find")
    if (low, high) == (1, T - 1):
        return Verdict(
            "wrong", "your t = T is never drawn, and sampling begins there: randint leaves out its upper end"
        )
    if (low, high) == (0, T):
        return Verdict("wrong", "you draw t = 0 too: there x_t is the digit itself, with no noise to find")
    if (low, high) != (1, T):
        return Verdict("wrong", f"your times run from {low} to {high}, asked for 1 to {T}")
    share = torch.bincount(t.flatten(), minlength=T + 1)[1:] / t.numel()
    worst = int((share - 1 / T).abs().argmax())
    if (share[worst] - 1 / T).abs() > 0.04:  # seven standard deviations
        return Verdict(
            "wrong", f"t = {worst + 1} comes in {share[worst]:.0%} of the draws, asked for {1 / T:.0%} of each"
        )
    return Verdict("passed", f"each of 1 … {T} came in {share.min():.0%} to {share.max():.0%} of {t.numel():,} draws")
