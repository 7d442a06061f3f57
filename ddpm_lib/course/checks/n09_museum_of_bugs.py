"""Checks of notebook 09, The museum of bugs."""

import functools
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from ddpm_lib.course import bug_tests
from ddpm_lib.course.chance import UNIFORM, Law, judge_draw, judge_shares
from ddpm_lib.course.checks.shared import images
from ddpm_lib.course.exercise import Verdict, answer_of, check, judge, wrong
from ddpm_lib.course.sandbox import Judged
from ddpm_lib.sampling import ancestral_step, ddim_step
from ddpm_lib.schedule import NoiseSchedule


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


# ---------------------------------------------------------------------------- tests that the learner writes

# What the code does, in words that fit behind "your test doesn't see"; the code; whether it is right.
Code = tuple[str, Callable, bool]


def judge_test(
    attempt: Callable, codes: Sequence[Code], blind: Sequence[tuple], too_much: str, *more: object, calls: int = 2
) -> Verdict:
    """Judge a test, attempt(code, *more) → True where the code is right and False where it has a bug.

    Each code is shown to the test in several calls: a test that draws too little says now this, now that. blind:
    tuples of the bugs that a mistaken test takes for right code (by their words, or as said(words, right) → bool),
    and the diagnosis. too_much: what to think of where right code is refused. more: further inputs of the test.
    """
    words, truth = [name for name, _, _ in codes], {name: right for name, _, right in codes}
    shown = [_named(name, code) for name, code, _ in codes]
    answers = {code.__name__: _said(attempt, code, more, calls, first=code is shown[0]) for code in shown}

    def mistaken(missed: Sequence[str] | Callable) -> Callable:
        says = missed if callable(missed) else lambda name, right: right or name in missed
        return lambda code, *_: says(code.__name__, truth[code.__name__])

    mistakes = [
        (lambda name, right: True, "your test finds nothing: it returns True for every bug"),
        (lambda name, right: not right, "the other way round: True stands for right code, and False for a bug"),
        *blind,
    ]
    mistakes = [(mistaken(missed), diagnosis) for missed, diagnosis in mistakes]
    verdict = judge(
        lambda code: answers[code.__name__],
        lambda code: truth[code.__name__],
        mistakes,
        [(code.__name__, code) for code in shown],
    )
    refused, missed = (
        [name for name in words if answers[name] is not good and truth[name] is good] for good in (True, False)
    )
    if verdict.status == "passed":
        bugs = [name for name in words if not truth[name]]
        return Verdict(
            "passed", f"right code of {len(words) - len(bugs)} kinds passes your test, and it finds {'; '.join(bugs)}"
        )
    if verdict.mistake:
        return verdict
    parts = [f"your test refuses right code ({'; '.join(refused)}): {too_much}"] if refused else []
    if not missed:
        return Verdict("wrong", parts[0], parts[0])
    return wrong("; and ".join([*parts, f"your test doesn't see {'; '.join(missed)}"]))


def _named(name: str, code: Callable) -> Callable:
    def shown(*inputs: object, **named_inputs: object) -> object:
        return code(*inputs, **named_inputs)

    shown.__name__ = name
    return shown


def _said(attempt: Callable, code: Callable, more: Sequence[object], calls: int, first: bool) -> bool:
    """What the learner's test says of a code. Ends the check where that is no True or False, or changes."""
    answers = []
    for _ in range(calls):
        try:
            (array,) = answer_of(attempt, [code, *more], "" if first else f"on code with {code.__name__}").values()
        except AssertionError:
            text = "an `assert` would stop the notebook: `return False` where the code has a bug"
            raise Judged(Verdict("wrong", text, text)) from None
        if array.shape != () or array not in (0, 1):
            got = array if array.shape == () else f"numbers of shape {array.shape}"
            raise Judged(wrong(f"your test should return True or False, got {got}"))
        answers.append(bool(array))
    if len(set(answers)) > 1:
        text = "your test says True and then False of the same code: draw more, so that chance has less to say"
        raise Judged(Verdict("wrong", text, text))
    return answers[0]


@check
def sampler_test(attempt: Callable) -> Verdict:
    """attempt(film, alpha_bar) → whether film(x_0, steps), a list of (s, x_s), is that of a right sampler."""
    schedule = NoiseSchedule.cosine(T=500, shift=1.5)

    def film_of(sampler: Callable) -> Callable:
        film = bug_tests.film_of(schedule, sampler)

        def watched(x_0: Tensor, steps: int) -> list[tuple[int, Tensor]]:
            x_0 = torch.as_tensor(x_0, dtype=torch.float32)
            if x_0.ndim != 4 or x_0.shape[1:] != (1, 28, 28) or abs(x_0).max() > 1:
                shape = tuple(x_0.shape)
                raise Judged(wrong(f"film takes pictures x_0 of shape (B, 1, 28, 28) in [−1, 1], got {shape}"))
            if steps > 100:
                text = f"{steps} steps are too many: noise after the last step is smallest there, so take fewer steps"
                raise Judged(Verdict("wrong", text, text))
            if len(x_0) * steps > 5_000:
                text = f"{len(x_0)} pictures in {steps} steps are too many for a check: take 100 pictures and 10 steps"
                raise Judged(wrong(text))
            return film(x_0, int(steps))

        return watched

    def step(change: Callable) -> Callable:
        """A step that makes x_s of the posterior's mean and std, of noise z, and of the noise level at t."""

        def sampler(schedule: NoiseSchedule, x_t: Tensor, x_0: Tensor, t: Tensor, s: Tensor, z: Tensor) -> Tensor:
            mean, std = schedule.posterior(x_0, x_t, t, s)
            return change(mean, std, z, schedule.levels(t)[1] if s[0] == 0 else 0)

        return sampler

    def guess_never_used(schedule: NoiseSchedule, x_t: Tensor, x_0: Tensor, t: Tensor, s: Tensor, z: Tensor) -> Tensor:
        return ancestral_step(schedule, x_t, 0 * x_0, t, s, z)

    codes = [
        ("the ancestral sampler", ancestral_step, True),
        ("DDIM, which adds no noise on its way", ddim_step, True),
        ("DDIM with half of the noise", functools.partial(ddim_step, eta=0.5), True),
        ("uniform noise", step(lambda mean, std, z, last: mean + std * torch.rand_like(z)), False),
        ("a variance for the standard deviation", step(lambda mean, std, z, last: mean + std**2 * z), False),
        ("noise after the last step", step(lambda mean, std, z, last: mean + (std + last) * z), False),
        ("missing noise", step(lambda mean, std, z, last: mean), False),
        ("noise of twice the size", step(lambda mean, std, z, last: mean + 2 * std * z), False),
        ("noise that isn't around 0", step(lambda mean, std, z, last: mean + std * (z + 0.7)), False),
        ("a guess x̂_0 that is never used", guess_never_used, False),
    ]
    uniform, variance, last, missing, twice, shifted, unused = (name for name, _, right in codes if not right)
    blind = [
        (
            [uniform, variance, missing, twice, shifted],
            "your test looks at the last picture alone: noise of a wrong kind on the way is gone by then",
        ),
        (
            [variance, last, missing, twice],
            "your test looks at means alone: noise of a wrong size has the right mean",
        ),
        (
            [shifted, unused],
            "your test looks at the standard deviation alone: a mean that is off goes unseen",
        ),
        ([unused], "with x_0 = 0 your test can't see what becomes of x_0: take another picture"),
        ([last], "noise after the last step goes unseen: look at s = 0, too, and take few steps"),
        (
            [variance, last, unused],
            "your test looks at the first step alone: go through the whole film",
        ),
        (
            [variance, missing, unused],
            "your test sees deviations upwards only: take their absolute value",
        ),
    ]
    too_much = "which size has the noise at s, and how much is chance?"
    codes = [(name, film_of(sampler), right) for name, sampler, right in codes]
    return judge_test(attempt, codes, blind, too_much, schedule.alpha_bar, calls=1)  # a film takes a while


@check
def times_test(attempt: Callable) -> Verdict:
    """attempt(draw_times) → whether draw_times(T, batch) draws each of 1 … T alike, for each picture on its own."""

    def even(low: int, high: int) -> Callable:
        return lambda T, batch: torch.randint(low, T + high + 1, (batch,))

    def rounded(T: int, batch: int) -> Tensor:
        return (torch.rand(batch) * (T - 1)).round().long() + 1

    def rising(T: int, batch: int) -> Tensor:
        return (torch.rand(batch).sqrt() * T).ceil().long().clamp(1, T)

    codes = [
        ("one randint for each picture", even(1, 0), True),
        ("the course's own draw", bug_tests.times_of(bug_tests.DDPM), True),
        ("T times a uniform number", lambda T, batch: (torch.rand(batch) * T).long().clamp(max=T - 1) + 1, True),
        ("a T that is never drawn", even(1, -1), False),
        ("times 0 … T − 1", even(0, -1), False),
        ("times 0 … T", even(0, 0), False),
        ("times 1 … T + 1", even(1, 1), False),
        ("a 1 that is never drawn", even(2, 0), False),
        ("ends that come half as often", rounded, False),
        ("late times that come more often", rising, False),
        ("one time for the whole batch", lambda T, batch: torch.randint(1, T + 1, (1,)).repeat(batch), False),
    ]
    no_T, zero_based, from_0, to_more, no_1, halved, late, together = (name for name, _, right in codes if not right)
    blind = [
        ([halved], "ends that come half as often go unseen: a mean doesn't show them, so count each time"),
        ([halved, late], "your test looks at which times come, and not at how often each comes"),
        (
            [no_T, no_1, halved, late, together],
            "your test looks for strange times, and not at whether all of 1 … T come",
        ),
        (
            [from_0, to_more, no_1, halved, late],
            "your test asks whether T comes, and nothing else: look at all times",
        ),
        (
            [no_T, zero_based, from_0, no_1, halved, late, together],
            "your test asks whether a time is too large, and nothing else: look at all times",
        ),
        *(
            (
                [no_T, to_more, zero_based, from_0, halved, *unseen],
                "your test asks whether 1 comes, and nothing else: look at all times",
            )
            for unseen in ([], [late])
        ),
        ([from_0, no_1, halved, late], "your test looks at the largest time alone: look at all times"),
        *(
            ([no_T, to_more, halved, *unseen], "your test looks at the smallest time alone: look at all times")
            for unseen in ([], [late])
        ),
        (
            [together],
            "one time for the whole batch goes unseen: your test throws many batches together, so look at a single one",
        ),
        (
            [together, halved],
            "one time for the whole batch goes unseen, and so do ends that come half as often: count the times of a "
            "single large batch",
        ),
    ]
    return judge_test(attempt, codes, blind, "counts differ by chance, so leave them some room")


@check
def dropout_test(attempt: Callable) -> Verdict:
    """attempt(drop) → whether drop(labels, p_uncond) makes label rows, each all zero with probability p_uncond."""

    def rows(labels: Tensor) -> Tensor:
        return torch.eye(10)[labels]

    def kept(labels: Tensor, p: float) -> Tensor:
        return torch.rand(len(labels), 1) >= p

    def scaled(labels: Tensor, p: float) -> Tensor:
        return rows(labels) * kept(labels, p) / (1 - p if p < 1 else 1)

    codes = [
        ("rows times kept", lambda y, p: rows(y) * kept(y, p), True),
        ("a row of zeros, or that of the label", lambda y, p: torch.where(kept(y, p), rows(y), 0.0), True),
        ("whole numbers", lambda y, p: torch.where(torch.rand(len(y), 1) < p, 0, rows(y).long()), True),
        ("a whole batch that is dropped together", lambda y, p: rows(y) * (torch.rand(1, 1) >= p), False),
        ("labels that become a 0", lambda y, p: rows(y * kept(y, p)[:, 0]), False),
        ("p_uncond for the share that is kept", lambda y, p: rows(y) * ~kept(y, p), False),
        ("a share that is always 0.1", lambda y, p: rows(y) * kept(y, 0.1), False),
        ("labels that are never dropped", lambda y, p: rows(y), False),
        ("kept rows that are larger than 1", scaled, False),
        ("dropped rows of a tenth each", lambda y, p: torch.where(kept(y, p), rows(y), 0.1), False),
    ]
    together, zero, inverse, fixed, never, larger, tenth = (name for name, _, right in codes if not right)
    many = "a whole batch that is dropped together goes unseen: your test throws many batches together, so look at one"
    blind = [
        ([larger], "your test doesn't look at the kept rows: they must be the one-hot rows of their labels"),
        ([together], many),
        (
            [together, larger],
            "a whole batch that is dropped together goes unseen, and kept rows that are larger than 1: look at one "
            "batch, at a p_uncond between 0 and 1, and at the kept rows",
        ),
        ([fixed], "a share that is always 0.1 goes unseen: try another p_uncond, too"),
        (
            [fixed, larger],
            "your test counts at p_uncond = 0.1 alone: try another p_uncond, and look at the kept rows, too",
        ),
        ([inverse], "at ½ the dropped share and the kept share are the same: try a p_uncond other than ½"),
        (
            [together, inverse, fixed, never],
            "your test doesn't look at how many labels are dropped",
        ),
        ([together, larger, zero, never, tenth], "at p_uncond = 0 nothing is dropped: try a p_uncond in between"),
    ]
    return judge_test(attempt, codes, blind, "the dropped share differs from p_uncond by chance, so leave it room")


@check
def guidance_test(attempt: Callable) -> Verdict:
    """attempt(guided) → whether guided(eps_y, eps_null, w) is classifier-free guidance, for numbers w ≥ −1."""

    def mixed(y: Tensor, null: Tensor, w: float) -> Tensor:
        return (1 + w) * y - w * null

    def scale(y: Tensor, null: Tensor, w: float) -> Tensor:
        return null + w * (y - null)

    def plus(y: Tensor, null: Tensor, w: float) -> Tensor:
        return (1 + w) * y + w * null

    def at(change: Callable) -> Callable:
        return lambda y, null, w: mixed(y, null, change(w))

    def shortened(formula: Callable) -> Callable:
        """With the short ways of the course's code, which calls the network once where once is enough."""
        return lambda y, null, w: y.clone() if w == 0 else null.clone() if w == -1 else formula(y, null, w)

    codes = [
        ("the formula of notebook 04", mixed, True),
        ("the push written out", lambda y, null, w: y + w * (y - null), True),
        ("the guidance scale 1 + w", lambda y, null, w: scale(y, null, 1 + w), True),
        ("the same in float64", lambda y, null, w: mixed(y.double(), null.double(), w).to(y.dtype), True),
        ("the course's own code", shortened(mixed), True),
        ("a scale for the weight", scale, False),
        ("a scale for the weight behind short ways at w = 0 and −1", shortened(scale), False),
        ("a plus for the minus", plus, False),
        ("a plus for the minus behind short ways at w = 0 and −1", shortened(plus), False),
        ("swapped guesses", lambda y, null, w: mixed(null, y, w), False),
        ("a w that is never used", lambda y, null, w: y.clone(), False),
        ("a w that is cut off below 0", at(lambda w: max(w, 0)), False),
        ("a w that loses its sign", at(abs), False),
        ("a w that is cut off above 1", at(lambda w: min(w, 1)), False),
    ]
    scaled, short_scale, added, short_plus, swapped, unused, low, unsigned, high = (
        name for name, _, right in codes if not right
    )
    blind = [
        (
            [short_scale, added, short_plus, unused, low, unsigned, high],
            "at w = 0 alone nearly every bug hides: try w = 1, and a w below 0",
        ),
        (
            [short_scale, short_plus, high],
            "at w = 0 and −1 code often takes short ways around the formula: try other w, too",
        ),
        ([high], "your test tries no w above 1, and some bugs live there"),
        ([low, unsigned, high], "your test looks at w = 1 alone, or between 0 and 1: try other w, too"),
        ([low, unsigned], "your test tries no w below 0, and some bugs live there"),
        (
            [scaled, short_scale, swapped, unused, low, unsigned, high],
            "your two guesses are equal, and then w has hardly a say: take two different ones",
        ),
        (
            lambda name, right: name in (scaled,),
            "your test has the bug of room 10 itself: it takes w for the guidance scale",
        ),
        (
            lambda name, right: name in (added,),
            "your test has the bug of room 11 itself: it adds where it should subtract",
        ),
    ]
    too_much = "torch.allclose(a, b, atol=1e-4) leaves room for rounding"
    return judge_test(attempt, codes, blind, too_much)
