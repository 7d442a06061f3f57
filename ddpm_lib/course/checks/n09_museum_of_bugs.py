"""Checks of notebook 09, The museum of bugs."""

from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from torch import Tensor

from ddpm_lib.course.chance import UNIFORM, Law, judge_draw, judge_shares
from ddpm_lib.course.checks.shared import images
from ddpm_lib.course.exercise import Verdict, answer_of, check, judge, wrong
from ddpm_lib.course.sandbox import Judged


@check
def repaired_step(attempt: Callable) -> Verdict:
    """attempt(mean (B, 1, 28, 28), std number, s int) → mean + std·z with Gaussian z; at s = 0 the mean alone."""

    def draw(std: Callable = lambda std: std, noisy: Callable = lambda s: s > 0, middle: int = 1) -> Callable:
        return lambda mean, deviation, s: Law(middle * mean if noisy(s) else mean, std(deviation) * noisy(s))

    def uniform(shift: float, scale: float, std: Callable, noisy: Callable) -> Callable:
        """The law of mean + std·u with uniform u of this mean and standard deviation."""
        return lambda mean, deviation, s: Law(
            mean + shift * std(deviation) * noisy(s), scale * std(deviation) * noisy(s), UNIFORM
        )

    kinds = {
        "": None,
        "you drew uniform noise, rand: its mean is ½, so each step makes the picture brighter": (0.5, 12**-0.5),
        "you moved uniform noise to mean 0, but it is still uniform, and has 0.29 of the size": (0, 12**-0.5),
        "you stretched uniform noise to [−1, 1], but it is still uniform, and has 0.58 of the size": (0, 3**-0.5),
        "mean and variance of your noise are right, but it is uniform: that takes randn, not rand": (0, 1),
    }
    sizes = {
        "": lambda std: std,
        "you multiply it by std²: that is the variance, and std is what you were given": lambda std: std**2,
        "you multiply it by the root √std: std is a standard deviation already": lambda std: std**0.5,
        "std is missing: your noise has standard deviation 1": lambda std: 1,
    }
    ends = {
        "": lambda s: s > 0,
        "at s = 0 you still add noise: nothing will remove it any more": lambda s: True,
        "at s = 1 one more step follows: only at s = 0 the noise is left out": lambda s: s > 1,
        "the condition is the other way round: you add noise at the last step, and nowhere else": lambda s: s == 0,
    }
    mistakes = [
        (draw(size, end) if kind is None else uniform(*kind, size, end), "; ".join(filter(None, texts)))
        for texts, (kind, size, end) in zip(
            product(kinds, sizes, ends), product(kinds.values(), sizes.values(), ends.values()), strict=True
        )
        if 0 < sum(map(bool, texts)) < 3 and not (kind and texts[2].startswith("the condition"))
    ]
    stub = [list(table)[i] for table, i in ((kinds, 1), (sizes, 1), (ends, 1))]
    mistakes += [
        (uniform(*kinds[stub[0]], sizes[stub[1]], ends[stub[2]]), "; ".join(["all three bugs are still there", *stub])),
        (draw(lambda std: 0), "the noise is missing: you return the mean at every step"),
        (draw(middle=0), "the mean is missing: you return the noise alone"),
        (
            lambda mean, std, s: Law(mean * (s > 0), std * (s > 0)),
            "at s = 0 only the noise falls away: return the mean, not 0",
        ),
        (draw(lambda std: 2 * std), "your noise has twice the standard deviation asked for"),
    ]
    # Where no two mistakes have the same size, as √std/√12 and std² have near 0.43.
    std = 0.46 + 0.02 * float(torch.rand(()))
    cases = [
        ("on the way", images(64), std, 7),
        ("for a batch of 1", images(1), std, 25),
        ("at s = 1", images(16), 1.7 * std, 1),
        ("in the last step, s = 0", images(32), std, 0),
    ]
    return judge_draw(attempt, draw(), mistakes, cases)


@check
def repaired_times(attempt: Callable) -> Verdict:
    """attempt(T, batch) → (batch,) whole numbers, each of 1 … T equally likely. Stratified is as good."""

    def evenly(low: int, high: int, halved: int = 0) -> Callable:
        """The law of times from low to T + high; as many at both ends are half as likely."""

        def law(T: int, batch: int) -> dict[int, float]:
            weights = {t: 1.0 for t in range(low, T + high + 1)}
            if halved:
                weights[low] = weights[T + high] = 0.5
            return {t: weight / sum(weights.values()) for t, weight in weights.items()}

        return law

    half = "you round where you should cut off"
    mistakes = [
        (
            evenly(1, -1),
            "your t = T is never drawn, and sampling begins there: randint leaves out its upper end",
        ),
        (evenly(0, -1), "your times are 0 … T − 1: one too small each; here t counts from 1 to T"),
        (evenly(0, 0), "you draw t = 0, where there is no noise to be found: begin at 1"),
        (evenly(1, 1), "you draw T + 1, past T: randint leaves out its upper end, and that is T + 1 then"),
        (evenly(2, 0), "your t = 1 is never drawn: begin at 1"),
        (evenly(0, -2), "your times are 0 … T − 2: both ends are wrong, they should be 1 and T"),
        (evenly(2, 1), "your times are 2 … T + 1: one too large each"),
        (evenly(1, 0, halved=True), f"1 and T are drawn half as often as the other times: {half}"),
        (evenly(0, 0, halved=True), f"you draw t = 0, and 0 and T are drawn half as often as the other times: {half}"),
        (evenly(0, -1, halved=True), f"you draw 0 … T − 1, and the ends are drawn half as often: {half}"),
    ]
    cases = [
        ("on random inputs", int(torch.randint(15, 30, ())), 256),
        ("for a batch of 1", 6, 1),
        ("at T = 20, as in room 6", 20, 64),
        ("for more times than pictures", 100, 16),
    ]
    whole = "the times should be whole numbers (torch.long): they index the schedule"

    def outcomes(t: np.ndarray, T: int, batch: int) -> np.ndarray:
        if (t != np.round(t)).any():
            raise Judged(wrong(f"{whole}, got {t[t != np.round(t)][0]:.3g}"))
        return t

    def shape(T: int, batch: int) -> tuple:
        return (batch,)

    verdict = judge_shares(
        attempt, outcomes, evenly(1, 0), mistakes, cases, what="times", each="picture", shape=shape, calls=60
    )
    if verdict.status == "passed":
        (array,) = answer_of(attempt, cases[0][1:]).values()
        if not array.whole:
            return wrong(f"{whole}, got {array.came_as or 'numbers with a point'}")
    return verdict


@check
def repaired_average(attempt: Callable) -> Verdict:
    """attempt(average, model, decay) → dict of tensors: weights averaged, names that begin with "schedule." kept."""

    def answer(own: Callable, table: Callable) -> Callable:
        """An answer that makes the weights by `own` and the tables by `table`, and leaves out what is None."""

        def attempt(average: dict, model: dict, decay: float) -> dict:
            made = {
                name: (table if name.startswith("schedule.") else own)(value, model[name], decay)
                for name, value in average.items()
            }
            return {name: value for name, value in made.items() if value is not None}

        return attempt

    def mixed(a: Tensor, m: Tensor, d: float) -> Tensor:
        return d * a + (1 - d) * m

    def only(*kept: str) -> Callable:
        """The right answer, but of the tables only these are kept."""
        return lambda average, model, decay: {
            name: mixed(value, model[name], decay) if name.startswith("schedule.") and name not in kept else new
            for (name, value), new in zip(average.items(), right(average, model, decay).values(), strict=True)
        }

    own = {
        "": mixed,
        "decay is the share that the average keeps; you gave it to the model: the two are swapped": (
            lambda a, m, d: d * m + (1 - d) * a
        ),
        "nothing is averaged: these are the model's weights": lambda a, m, d: m,
        "the average never moves, nothing comes in: the model's weights must": lambda a, m, d: a,
        "that is the plain mean, half of each: decay has no say": lambda a, m, d: (a + m) / 2,
        "the model comes in with weight 1: it gets 1 − decay": lambda a, m, d: d * a + m,
        "both get decay: the model gets 1 − decay": lambda a, m, d: d * (a + m),
        "both get 1 − decay: the average keeps decay": lambda a, m, d: (1 - d) * (a + m),
        "the average comes in with weight 1: it keeps decay": lambda a, m, d: a + (1 - d) * m,
        "the sign is wrong: the model's weights are added": lambda a, m, d: d * a - (1 - d) * m,
    }
    tables = {
        "": lambda a, m, d: a,
        "the schedule is still averaged: its tables are configuration, leave them as they are": mixed,
        "you copied the model's schedule over the average's own: leave it as it is": lambda a, m, d: m,
        "the schedule became 0: leave it as it is": lambda a, m, d: 0 * a,
        "the names of the schedule are missing: they belong into the dict, as they are": lambda a, m, d: None,
    }
    right = answer(own[""], tables[""])
    mistakes = [
        (answer(own[texts[0]], tables[texts[1]]), "; ".join(filter(None, texts)))
        for texts in product(own, tables)
        if any(texts)
        and not (texts[0].startswith("the average never") and "still averaged" in texts[1])  # the last but two below
    ]
    mistakes += [
        (
            answer(make, make),
            f"{text}; and the schedule is still averaged: its tables are configuration, leave them as they are",
        )
        for text, make in list(own.items())[1:]
        if text.startswith(("decay", "that", "the model comes", "both", "the average comes", "the sign"))
    ]
    mistakes += [
        (
            answer(tables[""], mixed),
            "the condition is the other way round: you average the schedule, and leave the weights",
        ),
        *(
            (only(f"schedule.{name}"), f"only {name} is kept: leave all names that begin with `schedule.`")
            for name in ("beta", "alpha_bar")
        ),
    ]

    def case(name: str, decay: float, model_has_other_tables: bool = True) -> tuple:
        shapes = {"unet.conv.weight": (4, 3, 3), "schedule.beta": (9,), "unet.conv.bias": (4,),
                  "schedule.alpha_bar": (9,)}  # fmt: skip
        average, model = ({key: torch.randn(shape) for key, shape in shapes.items()} for _ in range(2))
        if not model_has_other_tables:
            model |= {key: value.clone() for key, value in average.items() if key.startswith("schedule.")}
        return name, average, model, decay

    cases = [
        case("on random inputs", 0.75 + 0.15 * float(torch.rand(()))),
        case("at decay = 0.9", 0.9),
        case("at decay = 0", 0.0),
        case("at decay = 1", 1.0),
        case("where both have the same schedule", 0.8, model_has_other_tables=False),
    ]
    verdict = judge(attempt, right, mistakes, cases)
    if verdict.status == "passed":
        _, average, *others = case("", 0.9999, model_has_other_tables=False)
        got = answer_of(attempt, [average, *others])
        if any(np.any(got[name] != np.asarray(value)) for name, value in average.items() if "schedule." in name):
            text = "the tables of the schedule change by rounding: hand them on as they are, don't compute them anew"
            return Verdict("wrong", text, text)
    return verdict


@check
def repaired_dropout(attempt: Callable) -> Verdict:
    """attempt(labels (B,) integers, keep (B,) booleans) → label rows (B, 10), all zero where keep is False."""

    def rows(labels: Tensor, keep: Tensor, missing: float = 0) -> Tensor:
        return torch.where(keep[:, None], torch.eye(10)[labels], torch.tensor(missing))

    def together(keep: Callable) -> Callable:
        return lambda y, k: torch.eye(10)[y] * keep(k)

    def guessed(y: Tensor, k: Tensor) -> Tensor:
        return torch.eye(int(y.max()) + 1)[y] * k[:, None]

    def sure(y: Tensor, k: Tensor) -> Tensor:
        return rows(y, k & (y > 0))

    whole = "the whole batch is kept or dropped together: each label has a `keep` of its own"
    guess = "F.one_hot takes the largest label for the last class: tell it that there are 10"
    zero = "a digit without label became a 0: nobody and zero must not share a row"
    mistakes = [
        (lambda y, k: torch.eye(10)[y * k], zero),
        (lambda y, k: torch.eye(int((y * k).max()) + 1)[y * k], f"{zero}; and {guess}"),
        (guessed, guess),
        (lambda y, k: rows(y, ~k), "keep is the other way round, upside down: you drop what should stay"),
        (
            lambda y, k: torch.eye(11)[torch.where(k, y, 10)],
            "no label became an eleventh class, so the rows have shape (B, 11); here it is a row of ten zeros",
        ),
        (
            lambda y, k: rows(y, k, 0.1),
            "no label became 1/10, a tenth of each digit: that is a mixture of all; no label is all zeros",
        ),
        (lambda y, k: rows(y, k, -1.0), "no label became a row of −1; here it is a row of zeros"),
        (lambda y, k: rows(y, k, 1.0), "no label became a row of ones, all digits at once; here it is a row of zeros"),
        (lambda y, k: torch.eye(10)[y], "nothing is dropped"),
        (lambda y, k: y * k, "these are class numbers, not rows: the answer should have shape (B, 10)"),
        (lambda y, k: torch.zeros(len(y), 10), "all rows are zero: those with keep = True stay"),
        (sure, "a real zero lost its label, too: drop by `keep`, not where the label is 0"),
        (
            lambda y, k: torch.eye(10)[y][k],
            "the dropped rows are gone, and the shape with them: they stay in their places, filled with zeros",
        ),
        (together(lambda k: k.all()), whole),
        (together(lambda k: k.any()), whole),
        (together(lambda k: k[0]), whole),
    ]

    def case(name: str, labels: Tensor, keep: Tensor | None = None) -> tuple:
        return name, labels, torch.rand(len(labels)) < 0.5 if keep is None else keep

    labels, keep = torch.cat([torch.arange(10), torch.arange(10)]), torch.rand(20) < 0.5
    keep[0], keep[10], keep[3], keep[13] = True, False, True, False  # a zero and a three, with label and without
    yes, no = torch.tensor([True]), torch.tensor([False])
    cases = [
        case("on random inputs", labels, keep),
        case("for ten labels", torch.randperm(10), torch.randperm(10) < 5),
        case("for labels without a 9", torch.randint(0, 8, (28,))),
        case("for a batch of 1, kept", torch.tensor([7]), yes),
        case("for a batch of 1, dropped", torch.tensor([7]), no),
        case("for zeros", torch.zeros(4, dtype=torch.long), torch.tensor([True, False, False, True])),
        case("where all are dropped", torch.randint(10, (6,)), no.repeat(6)),
        case("where none is dropped", torch.randint(10, (6,)), yes.repeat(6)),
    ]
    return judge(attempt, rows, mistakes, cases)


@check
def repaired_config(attempt: Callable) -> Verdict:
    """attempt(widths list, embedding_width int) → new list: the last width with two embeddings added."""

    def last(make: Callable) -> Callable:
        return lambda widths, e: [*widths[:-1], make(widths[-1], e)]

    longer = "your list is longer than the caller's: the room is added to the last width, not behind it"
    alone = "that is the last width alone: return the whole list, with the same shape as the caller's"
    mistakes = [
        (last(lambda width, e: width), "nothing is added: these are the widths as they were"),
        (last(lambda width, e: width + e), "there are two embeddings, t's and y's: add the width twice"),
        (
            lambda widths, e: [widths[0] + 2 * e, *widths[1:]],
            "that is the first width: t and y arrive at the last one",
        ),
        (
            lambda widths, e: [width + 2 * e for width in widths],
            "only the last width grows: t and y arrive nowhere else",
        ),
        (lambda widths, e: [*widths, 2 * e], longer),
        (lambda widths, e: [*widths, e, e], longer),
        (lambda widths, e: [*widths, widths[-1] + 2 * e], longer),
        (last(lambda width, e: 2 * e), "you replaced the last width: add the room to it"),
        (last(lambda width, e: width * 2 * e), "you multiply the last width: add 2 · embedding_width to it"),
        (last(lambda width, e: width + e**2), "that is the square of the embedding's width; two of them are 2 times"),
        (last(lambda width, e: 2 * (width + e)), "you double the last width, too: only the embedding comes twice"),
        (last(lambda width, e: width - 2 * e), "you subtract the room: add it"),
        (lambda widths, e: widths[-1] + 2 * e, alone),
        (lambda widths, e: [widths[-1] + 2 * e], alone),
        (lambda widths, e: [*widths[:-1]], "the last width is missing"),
    ]
    widths = [(torch.randperm(50)[:n] + 10).tolist() for n in (3, 5, 2)]
    width = int(torch.randint(60, 90, ()))
    cases = [
        ("on random inputs", widths[0], width),
        ("for the widths of the course", [16, 32, 64], 64),
        ("for five widths", widths[1], 1 + width),
        ("for two widths", widths[2], 8),
        ("for a single width", [24], width),
        ("for equal widths", [48, 48, 48], 32),
    ]
    return judge(attempt, last(lambda width, e: width + 2 * e), mistakes, cases)
